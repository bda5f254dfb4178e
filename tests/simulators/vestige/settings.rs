//! What steers the stand-ins, and where they write.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;

/// The arguments with the sub-command in them when the program goes by the name of one.
pub fn by_name(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    let name = arguments.first().and_then(|program| Path::new(program).file_name()).map(std::ffi::OsStr::to_os_string);
    if let Some(name) = name.filter(|name| name == "vestige" || name == "vestige-mcp") {
        arguments.insert(1, name);
    }
    arguments
}

/// A number out of the environment.
pub fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// A line of the log: time, level, where it comes from, what happened.
pub fn log(level: &str, module: &str, message: &str) {
    say(&format!("{:.6} {level:>5} {module}: {message}", jiff::Timestamp::now()));
}

/// A line on standard output.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _reader_may_be_gone = writeln!(out, "{line}").and_then(|()| out.flush());
}
