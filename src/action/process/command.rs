//! From an act to what is started: every value final and checked, before anything happens.

use super::Workshop;
use crate::action::environment::{ChildEnvironment, LONGEST_STRING, absolute};
use crate::action::outcome::{Refusal, bytes, known};
use crate::action::program::{ProgramError, check, find_program_from};
use crate::action::ssh::at_terminal;
use crate::event::ErrorClass;
use crate::expr::Rendered;
use crate::plan::{CommandAct, Machine};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A command that can be started.
pub(in crate::action) struct Prepared {
    /// Absolute.
    pub(in crate::action) program: PathBuf,
    /// As written, the name in front: what the program sees.
    pub(in crate::action) argv: Vec<OsString>,
    pub(in crate::action) environment: ChildEnvironment,
    /// Absolute.
    pub(in crate::action) folder: Option<PathBuf>,
    pub(in crate::action) stdin: Option<Zeroizing<Vec<u8>>>,
}

impl Prepared {
    /// # Errors
    /// A value is unknown or cannot be passed on, the folder or the program is not there.
    pub(super) fn new(act: &CommandAct, marker: &str, workshop: &Workshop) -> Result<Self, Refusal> {
        // Only a program that is lent the terminal comes here for another machine: all others are sent as data.
        if let Machine::Ssh(target) = &act.machine {
            return at_terminal(act, target, marker, workshop);
        }
        let argv = arguments(&act.argv)?;
        let environment = workshop.environment.for_child(act, marker)?;
        let folder = act.cwd.as_ref().map(folder).transpose()?;
        let stdin = act.stdin.as_ref().map(|text| known(text, "stdin")).transpose()?;
        let program = program(act, &argv, folder.as_deref(), workshop)?;
        Ok(Self {
            program,
            argv: argv.into_iter().map(OsString::from).collect(),
            environment,
            folder,
            stdin: stdin.map(|text| Zeroizing::new(text.into_bytes())),
        })
    }
}

/// The elements of a command line, each final.
///
/// # Errors
/// One is unknown, holds a NUL, or is longer than Linux takes.
pub(in crate::action) fn arguments(argv: &[Rendered]) -> Result<Vec<String>, Refusal> {
    if argv.is_empty() {
        return Err(Refusal::value("there is no program to run"));
    }
    let mut arguments = Vec::with_capacity(argv.len());
    for (place, argument) in argv.iter().enumerate() {
        let what = if place == 0 { "the program".to_owned() } else { format!("argument {place}") };
        let text = known(argument, &what)?;
        if text.contains('\0') {
            return Err(Refusal::value(format!("{what} holds a NUL")));
        }
        if text.len() >= LONGEST_STRING {
            let size = bytes(text.len() as u64);
            return Err(Refusal::value(format!(
                "{what} is {size}; Linux takes at most 128 KiB in one argument: use `stdin`"
            )));
        }
        arguments.push(text);
    }
    Ok(arguments)
}

fn folder(cwd: &Rendered) -> Result<PathBuf, Refusal> {
    let text = known(cwd, "`cwd`")?;
    if text.is_empty() || text.contains('\0') {
        return Err(Refusal::value("`cwd` is not a path"));
    }
    let folder = absolute(Path::new(&text));
    match std::fs::metadata(&folder) {
        Ok(facts) if facts.is_dir() => Ok(folder),
        Ok(_) => Err(Refusal::new(ErrorClass::NotFound, format!("`cwd`: `{}` is not a folder", folder.display()))),
        Err(error) => {
            let class = match error.kind() {
                std::io::ErrorKind::PermissionDenied => ErrorClass::Denied,
                _ => ErrorClass::NotFound,
            };
            Err(Refusal::new(class, format!("`cwd`: cannot enter `{}`: {error}", folder.display())))
        }
    }
}

fn program(act: &CommandAct, argv: &[String], folder: Option<&Path>, workshop: &Workshop) -> Result<PathBuf, Refusal> {
    let name = argv.first().map(String::as_str).unwrap_or_default();
    let found = match &act.program {
        // The path that was found, shown and approved is the one that runs.
        Some(program) => {
            let program = absolute(program);
            check(&program).map(|()| program)
        }
        None => find_program_from(name, workshop.environment.path(), folder.unwrap_or_else(|| Path::new("."))),
    };
    found.map_err(|error| {
        let class = match error {
            ProgramError::NotOnPath { .. } | ProgramError::NoFile(_) => ErrorClass::NotFound,
            ProgramError::NotAFile(_) | ProgramError::NotExecutable(_) => ErrorClass::Denied,
            ProgramError::BadName => ErrorClass::BadValue,
        };
        Refusal::new(class, error.to_string())
    })
}
