//! A program at a far end that has the person's terminal (`interactive`).
//!
//! Its input is the person, so nothing can be sent as data: what it needs stands in the command line, written in octal, in
//! which no login shell finds syntax. Secrets are refused, because a process list shows command lines.

use super::super::outcome::{Refusal, known};
use super::super::process::{Prepared, Workshop, arguments};
use super::address::Address;
use super::far::Errand;
use super::link::client;
use crate::plan::{CommandAct, SshTarget};
use std::ffi::OsString;
use std::fmt::Write as _;

/// As for other programs, but with the kind of terminal, and with the errand as an argument.
const COMMAND: &str = concat!(
    "exec /bin/sh -c '",
    "exec /usr/bin/env -i HOME=\"$HOME\" USER=\"$USER\" LOGNAME=\"$LOGNAME\" TERM=\"$TERM\" ",
    "${LANG:+LANG=\"$LANG\"} ${LC_ALL:+LC_ALL=\"$LC_ALL\"} ${TZ:+TZ=\"$TZ\"} ${TMPDIR:+TMPDIR=\"$TMPDIR\"} ",
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /bin/sh -c \"$1\" sh \"$2\"",
    "' sh 'eval \"$(printf %b \"$1\")\"' "
);

/// The client, ready to be given the terminal. It makes a connection of its own.
///
/// # Errors
/// A value cannot be used, or is a secret.
pub(in crate::action) fn at_terminal(
    act: &CommandAct,
    target: &SshTarget,
    marker: &str,
    workshop: &Workshop,
) -> Result<Prepared, Refusal> {
    if act.env.values().any(crate::expr::Rendered::has_secret) {
        return Err(Refusal::value(
            "a secret in `env` cannot reach an interactive program on another machine: it would stand in a command line",
        ));
    }
    let argv = arguments(&act.argv)?;
    let environment = workshop.environment.for_far_end(act)?;
    let folder = act.cwd.as_ref().map(|cwd| known(cwd, "`cwd`")).transpose()?;
    let far_marker = format!("{marker}@[{}]", target.name);
    let errand = Errand {
        nonce: "",
        marker: &far_marker,
        argv: &argv,
        environment: &environment,
        folder: folder.as_deref(),
        stdin: &[],
        grace: 1,
    };
    let mut command = String::from(COMMAND);
    command.push('\'');
    for byte in errand.alone()?.bytes() {
        // Writing to a String cannot fail.
        _ = write!(command, "\\0{byte:03o}");
    }
    command.push('\'');
    let address = Address::of(target)?;
    let client = client(target, workshop)?;
    // The first word on an option counts.
    let mut words: Vec<OsString> = ["ssh", "-t", "-o", "LogLevel=ERROR", "-S", "none"].map(OsString::from).into();
    words.extend(address.options(&client)?);
    words.extend(["--", address.host(), &command].map(OsString::from));
    Ok(Prepared {
        program: client,
        argv: words,
        environment: workshop.environment.for_client(Some(marker), address.agent),
        folder: None,
        stdin: None,
    })
}
