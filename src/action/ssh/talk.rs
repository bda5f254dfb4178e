//! One program at a far end: what is sent there, and what came of it.

#![expect(clippy::disallowed_methods, reason = "connecting counts as part of the attempt's time")]

use super::super::outcome::{Refusal, known};
use super::super::process::{Bell, Prepared, Workshop, arguments, nonce};
use super::address::Address;
use super::far::{COMMAND, Errand};
use super::link::{Means, Patience, client, read_log, until};
use super::sieve::{Said, Sieve};
use super::trouble::{last_line, not_reached};
use crate::engine::AttemptContext;
use crate::event::ErrorClass;
use crate::plan::{CommandAct, SshTarget};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What is said to a far end and heard of it.
pub(in crate::action) struct Talk {
    nonce: String,
    address: Address,
    /// Where the client complains.
    log: PathBuf,
}

/// What a far end came to.
pub(in crate::action) struct FarEnd {
    pub(in crate::action) far: Far,
    /// `user@host:port`.
    pub(in crate::action) place: String,
    /// Processes that outlived the program there.
    pub(in crate::action) left: Vec<String>,
}

/// How far a program got at a far end.
pub(in crate::action) enum Far {
    /// It was not started: nothing, or not everything, was sent; or the far end said why not.
    NotBegun(Refusal),
    /// It ended, and nothing of it is left. 128 and more may be a signal.
    Ended(i32),
    /// Everything was sent, and the end was not seen. The client's last words.
    Lost(String),
}

impl FarEnd {
    /// What the program ended with.
    pub(in crate::action) fn exit(&self) -> Option<i32> {
        match self.far {
            Far::Ended(code) => Some(code),
            Far::NotBegun(_) | Far::Lost(_) => None,
        }
    }
}

/// Makes everything ready for one attempt: the connection, the client, and what it will carry.
///
/// # Errors
/// A value cannot be used, or there is no connection: nothing was started.
pub(in crate::action) fn prepare(
    act: &CommandAct,
    target: &SshTarget,
    context: &mut AttemptContext,
    workshop: &Workshop,
    bell: &Bell,
) -> Result<(Prepared, Talk), Refusal> {
    let began = Instant::now();
    let argv = arguments(&act.argv)?;
    if argv.first().is_some_and(|name| name.is_empty() || name.starts_with('-')) {
        return Err(Refusal::value("the program at the far end has no name, or one that begins with `-`"));
    }
    let environment = workshop.environment.for_far_end(act)?;
    let folder = act.cwd.as_ref().map(|cwd| known(cwd, "`cwd`")).transpose()?;
    let stdin = act.stdin.as_ref().map(|text| known(text, "stdin")).transpose()?.map(zeroize::Zeroizing::new);
    let nonce = nonce()?;
    // Not the marker of the client: the far end may be this very machine, and must not take the client for its own.
    let marker = format!("{}@[{}]", context.marker, target.name);
    let errand = Errand {
        nonce: &nonce,
        marker: &marker,
        argv: &argv,
        environment: &environment,
        folder: folder.as_deref(),
        stdin: stdin.as_ref().map(|text| text.as_bytes()).unwrap_or_default(),
        grace: u64::try_from(context.grace.as_millis() / 100).unwrap_or(u64::MAX).clamp(1, 36_000),
    };
    let text = errand.text()?;
    let address = Address::of(target)?;
    let means =
        Means { environment: &workshop.environment, isolation: &workshop.isolation, client: client(target, workshop)? };
    let wait = Patience { bell, cancel: &context.cancel, until: until(context.timeout) };
    let socket = workshop.links.reach(&address, &means, &wait)?;
    let log = workshop.links.new_file(&workshop.environment, "l")?;
    let mut words: Vec<OsString> = ["ssh", "-T"].map(OsString::from).into();
    words.extend(address.options(&means.client)?);
    words.extend(["-S".into(), socket.into(), "-E".into(), log.clone().into()]);
    words.extend(["--", address.host(), COMMAND].map(OsString::from));
    let prepared = Prepared {
        program: means.client,
        argv: words,
        environment: workshop.environment.for_client(Some(&context.marker), address.agent),
        folder: None,
        stdin: Some(text),
    };
    context.timeout = context.timeout.saturating_sub(began.elapsed()).max(Duration::from_millis(1));
    Ok((prepared, Talk { nonce, address, log }))
}

impl Talk {
    /// What takes our words out of its stdout and stderr.
    pub(in crate::action) fn sieves(&mut self) -> (Sieve, Sieve) {
        (Sieve::stdout(&self.nonce), Sieve::stderr(&self.nonce))
    }

    /// What came of it. `told` says that everything was sent.
    pub(in crate::action) fn ended(self, told: bool, stdout: Option<&Sieve>, stderr: Option<&Sieve>) -> FarEnd {
        let log = read_log(&self.log);
        std::fs::remove_file(&self.log).ok();
        let said = stderr.map(Sieve::said).unwrap_or_default();
        let left = said
            .iter()
            .filter_map(|said| match said {
                Said::Left(who) => Some(format!("{who} at {}", self.address)),
                Said::Lost(who) => Some(format!("{who} at {} could not be ended", self.address)),
                _ => None,
            })
            .collect();
        let ended = said.iter().find_map(|said| match said {
            Said::End(code) => Some(Far::Ended(*code)),
            Said::Refused(class, text) => Some(Far::NotBegun(self.refused(class, text))),
            _ => None,
        });
        let far = ended.unwrap_or_else(|| {
            if told {
                return Far::Lost(last_line(&log));
            }
            let noise: Vec<String> = [stdout, stderr].into_iter().flatten().map(Sieve::noise).collect();
            Far::NotBegun(not_reached(&self.address, &log, &noise.concat()))
        });
        FarEnd { far, place: self.address.to_string(), left }
    }

    /// What the script there refused, by the class it gave.
    fn refused(&self, class: &str, text: &str) -> Refusal {
        let class = match class {
            "not_found" => ErrorClass::NotFound,
            "denied" => ErrorClass::Denied,
            _ => ErrorClass::System,
        };
        Refusal::new(class, format!("at {}: {text}", self.address))
    }
}
