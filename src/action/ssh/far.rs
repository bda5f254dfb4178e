//! What is sent to the far end: one constant command line, and everything else as data.
//!
//! The command line is all that the login shell there parses, so it holds no value. What follows goes through standard
//! input, where no other user of that machine can read it: one line of POSIX shell (`far.sh` behind the quoted values), then
//! the program's own input, then nothing until the channel ends.

use super::super::outcome::Refusal;
use std::fmt::Write as _;
use zeroize::Zeroizing;

/// The far end says this when it is ready to read; what came before it was said by somebody else.
pub(super) const HELLO: &str = "runwright-far-end-1\n";

/// For every login shell: no quote inside the quotes, no backslash, no `!`, no newline, so that bash, dash, zsh, fish and
/// csh all read the same. The environment is emptied before anything is read.
pub(super) const COMMAND: &str = concat!(
    "exec /bin/sh -c '",
    "exec /usr/bin/env -i HOME=\"$HOME\" USER=\"$USER\" LOGNAME=\"$LOGNAME\" ",
    "${LANG:+LANG=\"$LANG\"} ${LC_ALL:+LC_ALL=\"$LC_ALL\"} ${TZ:+TZ=\"$TZ\"} ${TMPDIR:+TMPDIR=\"$TMPDIR\"} ",
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /bin/sh -c \"$1\"",
    "' sh 'echo runwright-far-end-1; IFS= read -r p; eval \"$p\"'"
);

/// What holds a connection open: it ends when its input does.
pub(super) const HOLD: &str = "exec /bin/sh -c 'echo runwright-far-end-1; read -r p'";

const SCRIPT: &str = include_str!("far.sh");

/// What a far end is told to do; every value final.
pub(super) struct Errand<'a> {
    /// Names our marks in the output: nothing else can know it.
    pub(super) nonce: &'a str,
    /// `RUN/STEP/ATTEMPT@[TARGET]`; no marker is the beginning of another.
    pub(super) marker: &'a str,
    pub(super) argv: &'a [String],
    pub(super) environment: &'a [(String, Zeroizing<String>)],
    pub(super) folder: Option<&'a str>,
    pub(super) stdin: &'a [u8],
    /// Tenths of a second between TERM and KILL.
    pub(super) grace: u64,
}

impl Errand<'_> {
    /// Everything that goes through the channel.
    ///
    /// # Errors
    /// A value holds a NUL, or a name that a shell keeps for itself.
    pub(super) fn text(&self) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let mut line = self.values()?;
        line.push_str(&script());
        line.push('\n');
        let mut text = Zeroizing::new(Vec::with_capacity(line.len() + self.stdin.len()));
        text.extend_from_slice(line.as_bytes());
        text.extend_from_slice(self.stdin);
        Ok(text)
    }

    /// A line of shell that becomes the program, without anybody who watches it.
    ///
    /// # Errors
    /// As for [`Errand::text`].
    pub(super) fn alone(&self) -> Result<Zeroizing<String>, Refusal> {
        let mut line = self.values()?;
        if self.folder.is_some() {
            line.push_str("case $rw_cwd in /*) ;; *) rw_cwd=./$rw_cwd ;; esac; cd -- \"$rw_cwd\" || exit 1; ");
        }
        line.push_str("rw_env; export RUNWRIGHT_ATTEMPT=\"$rw_mark\"; unset PWD OLDPWD SHLVL; exec \"$@\"");
        Ok(line)
    }

    /// Sets everything the script is told.
    fn values(&self) -> Result<Zeroizing<String>, Refusal> {
        let mut line = Zeroizing::new(String::from("rw_n=$(printf \"\\nx\"); rw_n=${rw_n%x}; "));
        let size = self.stdin.len();
        // Writing to a String cannot fail.
        _ = write!(line, "rw_id={}; rw_size={size}; rw_grace={}; ", self.nonce, self.grace);
        line.push_str("rw_mark=");
        quote(&mut line, self.marker, "the marker")?;
        line.push_str("; rw_cwd=");
        quote(&mut line, self.folder.unwrap_or_default(), "`cwd`")?;
        line.push_str("; rw_env() { :; ");
        for (name, value) in self.environment {
            may_export(name)?;
            _ = write!(line, "export {name}=");
            quote(&mut line, value, name)?;
            line.push_str("; ");
        }
        line.push_str("}; set --");
        for argument in self.argv {
            line.push(' ');
            quote(&mut line, argument, "an argument")?;
        }
        line.push_str("; ");
        Ok(line)
    }
}

/// The script on one line.
fn script() -> String {
    let lines: Vec<&str> =
        SCRIPT.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    lines.join(" ")
}

/// One word of POSIX shell, on one line, that means exactly this text.
fn quote(line: &mut String, text: &str, what: &str) -> Result<(), Refusal> {
    line.push('\'');
    for character in text.chars() {
        match character {
            '\0' => return Err(Refusal::value(format!("{what} holds a NUL"))),
            '\'' => line.push_str("'\\''"),
            '\n' => line.push_str("'\"$rw_n\"'"),
            other => line.push(other),
        }
    }
    line.push('\'');
    Ok(())
}

/// Variables that some shell computes, or does not let be set: their value would not arrive.
const KEPT: [&str; 25] = [
    "BASH",
    "BASHPID",
    "COLUMNS",
    "DIRSTACK",
    "EPOCHREALTIME",
    "EPOCHSECONDS",
    "EUID",
    "FUNCNAME",
    "GID",
    "GROUPS",
    "HISTCMD",
    "LINENO",
    "LINES",
    "OLDPWD",
    "OPTARG",
    "OPTIND",
    "PPID",
    "PS1",
    "PS2",
    "PWD",
    "RANDOM",
    "SECONDS",
    "SHLVL",
    "SRANDOM",
    "UID",
];

fn may_export(name: &str) -> Result<(), Refusal> {
    let mut characters = name.chars();
    let is_name = characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|next| next.is_ascii_alphanumeric() || next == '_');
    if !is_name {
        return Err(Refusal::value(format!("`env`: `{name}` is not a name that a shell at the far end can set")));
    }
    if KEPT.contains(&name) || name == "_" || name.starts_with("BASH_") || name.starts_with("rw_") {
        return Err(Refusal::value(format!(
            "`env`: `{name}` is kept by shells for themselves, so its value would not arrive"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_means_the_same_in_every_shell() {
        let inside: String = COMMAND.chars().filter(|c| *c != '\'').collect();
        assert_eq!(COMMAND.matches('\'').count(), 4);
        assert!(!inside.contains(['\\', '!', '\n']), "{COMMAND}");
        assert!(COMMAND.contains(HELLO.trim_end()) && HOLD.contains(HELLO.trim_end()));
    }

    #[test]
    fn the_script_stands_on_one_line() {
        let script = script();
        assert!(!script.contains('\n') && !script.contains(" # "), "{script}");
        assert!(script.len() < 8 << 10, "{}", script.len());
    }

    #[test]
    fn values_that_would_not_arrive_are_refused() {
        for name in ["UID", "PWD", "BASH_X", "rw_id", "a-b", "", "1a", "_"] {
            assert!(may_export(name).is_err(), "{name}");
        }
        assert!(may_export("A_1").is_ok());
        assert!(quote(&mut String::new(), "a\0", "it").is_err());
    }
}
