//! The overview of `--help`, with the commands in groups; and reading the command line.

use super::arguments::Arguments;
use clap::{CommandFactory as _, FromArgMatches as _};
use std::ffi::OsString;

/// Commands by what they are for; the others come last.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Do", &["run", "resume", "plan", "probe"]),
    ("Write", &["check", "new", "alerts", "schema"]),
    ("Look", &["lookup", "list", "show", "verify"]),
    ("Decide", &["approve", "deny", "answer", "abort"]),
    ("Tell", &["handover", "note", "mark"]),
];

/// The declaration of the whole command line.
#[must_use]
pub fn command() -> clap::Command {
    let command = Arguments::command();
    let overview = overview(&command);
    command.help_template(format!("{{about}}\n\n{{usage-heading}} {{usage}}\n\n{overview}{{options}}{{after-help}}\n"))
}

fn overview(command: &clap::Command) -> String {
    let line = |name: &str| {
        let about = command.find_subcommand(name).and_then(clap::Command::get_about).map(ToString::to_string);
        format!("  {name:<12} {}\n", about.unwrap_or_default())
    };
    let group = |(title, names): &(&str, &[&str])| {
        let lines: String = names.iter().map(|name| line(name)).collect();
        format!("{title}:\n{lines}\n")
    };
    let is_grouped = |name: &str| GROUPS.iter().any(|(_, names)| names.contains(&name));
    let grouped: String = GROUPS.iter().map(group).collect();
    let others = command.get_subcommands().map(clap::Command::get_name).filter(|name| !is_grouped(name));
    let others: String = others.map(line).collect();
    format!("{grouped}More:\n{others}\nGlobal options:\n")
}

/// Reads the command line.
///
/// # Errors
/// What clap says: also for `--help` and `--version`, which are no mistakes.
pub(super) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Arguments, clap::Error> {
    let matches = command().try_get_matches_from(arguments)?;
    Arguments::from_arg_matches(&matches).map_err(|error| error.format(&mut command()))
}
