//! Starting a child, in its own process group or in its own session.
//!
//! A child that shares our session can open `/dev/tty`, push keys into it and answer a gate. When we have a terminal,
//! every child is therefore started through ourselves: the hidden mode `__exec` leaves the session and then becomes
//! the program.

#![expect(clippy::disallowed_methods, reason = "a child becomes the program here")]

use super::command::Prepared;
use crate::action::outcome::Refusal;
use crate::event::ErrorClass;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// What the launcher says on stderr when it could not become the program: this, a nonce, and an error number.
const FAILED: &str = "runwright-exec-failed";

/// The exit code of a launcher that could not become the program.
const FAILED_EXIT: u8 = 127;

/// How often a program that is open for writing is tried again, and how long after.
const BUSY_TRIES: u32 = 20;
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// How children are kept apart from us.
#[derive(Clone, Debug)]
pub enum Isolation {
    /// A process group of its own: enough when there is no terminal to steal.
    Group,
    /// A session of its own, without our terminal. `launcher` is our own program; it is started with `arguments` and
    /// then `__exec` and what [`exec_mode`] expects.
    Session {
        /// Usually `/proc/self/exe`, which stays right when the file on disk is replaced during a run.
        launcher: PathBuf,
        /// Usually none.
        arguments: Vec<OsString>,
    },
}

impl Isolation {
    /// A session when this process has a controlling terminal, a group otherwise.
    #[must_use]
    pub fn detect() -> Self {
        // Opening it fails with ENXIO when there is none, whatever our streams are.
        match std::fs::File::open("/dev/tty") {
            Ok(_) => Self::Session { launcher: PathBuf::from("/proc/self/exe"), arguments: Vec::new() },
            Err(_) => Self::Group,
        }
    }
}

/// The ends of the pipes that the child gets.
pub(in crate::action) struct ChildEnds {
    pub(in crate::action) stdin: Option<io::PipeReader>,
    pub(in crate::action) stdout: io::PipeWriter,
    pub(in crate::action) stderr: io::PipeWriter,
}

/// A started child.
pub(in crate::action) struct Launched {
    pub(in crate::action) handle: duct::Handle,
    /// What the launcher would say if it failed; none when the child was started directly.
    pub(in crate::action) nonce: Option<String>,
}

/// Starts a prepared command. The ends given to the child are closed on our side when this returns.
///
/// # Errors
/// Nothing was started.
pub(in crate::action) fn launch(
    prepared: &Prepared,
    ends: ChildEnds,
    isolation: &Isolation,
) -> Result<Launched, Refusal> {
    let (program, arguments, nonce) = command_line(prepared, isolation)?;
    let name = prepared.argv.first().cloned().unwrap_or_default();
    let direct = nonce.is_none();
    let environment: HashMap<_, _> = prepared.environment.0.clone().into_iter().collect();
    let mut command = duct::cmd(program, arguments)
        .full_env(environment)
        .stdout_file(ends.stdout)
        .stderr_file(ends.stderr)
        .unchecked()
        .before_spawn(move |command| {
            if direct {
                // Both stay within what `posix_spawn` can do.
                command.arg0(&name).process_group(0);
            }
            Ok(())
        });
    command = match ends.stdin {
        Some(stdin) => command.stdin_file(stdin),
        None => command.stdin_null(),
    };
    if let Some(folder) = &prepared.folder {
        command = command.dir(folder);
    }
    let handle = start(&command).map_err(|error| not_started(&prepared.program, &error))?;
    Ok(Launched { handle, nonce })
}

/// Starts it. A program that was written a moment ago can still be open for writing in a child that another thread is
/// just starting; that passes by itself.
fn start(command: &duct::Expression) -> io::Result<duct::Handle> {
    for _ in 0..BUSY_TRIES {
        match command.start() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => std::thread::sleep(BUSY_PAUSE),
            other => return other,
        }
    }
    command.start()
}

fn command_line(
    prepared: &Prepared,
    isolation: &Isolation,
) -> Result<(PathBuf, Vec<OsString>, Option<String>), Refusal> {
    let after_name = prepared.argv.iter().skip(1).cloned();
    match isolation {
        Isolation::Group => Ok((prepared.program.clone(), after_name.collect(), None)),
        Isolation::Session { launcher, arguments } => {
            let nonce = nonce()?;
            let mut line = arguments.clone();
            line.extend(["__exec".into(), nonce.clone().into(), prepared.program.clone().into(), "--".into()]);
            line.extend(prepared.argv.iter().cloned());
            Ok((launcher.clone(), line, Some(nonce)))
        }
    }
}

/// Sixteen random bytes in hex.
///
/// # Errors
/// There is no randomness.
pub(in crate::action) fn nonce() -> Result<String, Refusal> {
    let mut random = [0_u8; 16];
    getrandom::fill(&mut random)
        .map_err(|error| Refusal::new(ErrorClass::System, format!("there is no randomness: {error}")))?;
    Ok(format!("{:032x}", u128::from_ne_bytes(random)))
}

/// Why a program could not be started.
pub(super) fn not_started(program: &Path, error: &io::Error) -> Refusal {
    use rustix::io::Errno;
    let program = program.display();
    let (class, why) = match Errno::from_io_error(error) {
        // The file was there a moment ago.
        Some(Errno::NOENT) => {
            (ErrorClass::NotFound, format!("`{program}`, or the interpreter its first line names, is not there"))
        }
        Some(Errno::NOEXEC) => {
            (ErrorClass::Denied, format!("`{program}` is neither a program nor a script that begins with `#!`"))
        }
        Some(Errno::ACCESS | Errno::PERM) => (ErrorClass::Denied, format!("`{program}` may not be executed: {error}")),
        Some(Errno::TOOBIG) => {
            (ErrorClass::BadValue, "the arguments and the environment together are too long for Linux".to_owned())
        }
        _ => (ErrorClass::System, format!("cannot start `{program}`: {error}")),
    };
    Refusal::new(class, why)
}

/// The refusal inside what a launcher wrote, if this is what it wrote and how it ended.
pub(super) fn launcher_failure(nonce: &str, exit: Option<i32>, stderr: &[u8], program: &Path) -> Option<Refusal> {
    if exit != Some(i32::from(FAILED_EXIT)) {
        return None;
    }
    let said = std::str::from_utf8(stderr).ok()?;
    let number = said.trim_end().strip_prefix(FAILED)?.trim_start().strip_prefix(nonce)?.trim().parse().ok()?;
    Some(not_started(program, &io::Error::from_raw_os_error(number)))
}

/// The hidden mode `__exec`: leaves the session of the terminal and becomes another program. `arguments` is what
/// follows `__exec`: NONCE PROGRAM `--` ARGV. Environment, folder and streams are already what the program shall have.
///
/// Returns only when that failed; the caller ends with this code at once.
pub fn exec_mode(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter();
    let nonce = arguments.next().unwrap_or_default();
    let error = become_program(arguments);
    let said = format!("{FAILED} {} {}\n", nonce.to_string_lossy(), error.raw_os_error().unwrap_or(0));
    // There is nobody else to tell.
    rustix::io::write(rustix::stdio::stderr(), said.as_bytes()).ok();
    ExitCode::from(FAILED_EXIT)
}

fn become_program(mut arguments: impl Iterator<Item = OsString>) -> io::Error {
    let (Some(program), Some(dashes), Some(name)) = (arguments.next(), arguments.next(), arguments.next()) else {
        return rustix::io::Errno::INVAL.into();
    };
    if dashes != OsStr::new("--") {
        return rustix::io::Errno::INVAL.into();
    }
    if let Err(error) = rustix::process::setsid() {
        return error.into();
    }
    std::process::Command::new(program).arg0(name).args(arguments).exec()
}
