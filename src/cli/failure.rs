//! Why a command could not do what it was asked: to words, and to an exit, in one place.

use super::console::Console;
use super::exit::Exit;
use crate::library::{EnvironmentError, LibraryError, LookupError};
use crate::report::{Problem, problem};
use crate::source::{DiagnosticFormat, Diagnostics, render};
use std::io;
use std::path::PathBuf;

/// A failure of a command.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    /// The library cannot be used.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// There is no library where one is needed.
    #[error("no library was found here (a folder with a runwright.yaml)")]
    NoLibrary,
    /// The runbook was not found.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The environment was not found.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// An environment is named, and there is no library to have it.
    #[error("there is no library here that could have the environment `{0}`")]
    EnvironmentWithoutLibrary(String),
    /// Problems of files or inputs.
    #[error("there are problems")]
    Invalid(Diagnostics),
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The arguments make no sense together.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// How to mend it.
        hint: Option<String>,
    },
    /// Nothing can be printed.
    #[error("cannot print")]
    Output(#[source] io::Error),
    /// Not there yet.
    #[error("this command is not there yet")]
    NotYet,
}

impl CommandError {
    /// A mistake on the command line.
    pub(super) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: Some(hint.into()) }
    }

    /// The exit and the stable name of each kind of failure.
    fn kind(&self) -> (Exit, &'static str) {
        match self {
            Self::Library(LibraryError::NotALibrary(_)) | Self::NoLibrary => (Exit::Usage, "no-library"),
            Self::Library(LibraryError::Refused { .. }) => (Exit::Invalid, "library-refused"),
            Self::Library(LibraryError::Io { .. }) | Self::Read { .. } => (Exit::Usage, "cannot-read"),
            Self::Lookup(LookupError::Unknown(_)) => (Exit::Usage, "unknown-runbook"),
            Self::Lookup(LookupError::Duplicate(_)) => (Exit::Invalid, "duplicate-runbook"),
            Self::Environment(EnvironmentError::Broken) => (Exit::Invalid, "library-invalid"),
            Self::Environment(EnvironmentError::Unknown { .. }) | Self::EnvironmentWithoutLibrary(_) => {
                (Exit::Usage, "unknown-environment")
            }
            Self::Invalid(_) => (Exit::Invalid, "invalid"),
            Self::Write { .. } => (Exit::Usage, "cannot-write"),
            Self::Usage { .. } => (Exit::Usage, "usage"),
            Self::Output(_) => (Exit::Internal, "cannot-print"),
            Self::NotYet => (Exit::Internal, "not-there-yet"),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Lookup(LookupError::Unknown(unknown)) => Some(match unknown.near.as_slice() {
                [] => "`runwright list --runbooks` names them; a file is named with a `/` or its .yaml".to_owned(),
                near => format!("did you mean {}?", quoted(near)),
            }),
            Self::Lookup(LookupError::Duplicate(_)) => Some("name the file you mean, or rename one of them".to_owned()),
            Self::Library(LibraryError::NotALibrary(_)) | Self::NoLibrary => {
                Some("name it with --library DIR, or make one: a runwright.yaml with `library: NAME`".to_owned())
            }
            Self::Library(LibraryError::Refused { .. }) => {
                Some("use it all the same by naming it: --library DIR".to_owned())
            }
            Self::Environment(EnvironmentError::Unknown { name, known }) => Some(unknown_environment(name, known)),
            Self::Environment(EnvironmentError::Broken) => Some("`runwright check` tells what is wrong".to_owned()),
            Self::Usage { hint, .. } => hint.clone(),
            _ => None,
        }
    }

    /// Tells it, and gives its exit.
    pub(super) fn tell(&self, console: &Console) -> Exit {
        let (exit, code) = self.kind();
        let style = console.error_style();
        if let Self::Invalid(problems) = self {
            console.say(&render(problems, DiagnosticFormat::Text, style.colour));
            return exit;
        }
        let told =
            Problem { code: code.to_owned(), message: with_causes(self), hint: self.hint(), ..Problem::default() };
        console.say_lines(&problem(&told, &style));
        exit
    }
}

/// The message and what caused it, on one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !message.ends_with(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        cause = error.source();
    }
    message
}

fn unknown_environment(name: &str, known: &[String]) -> String {
    let near = known
        .iter()
        .map(|other| (strsim::jaro_winkler(name, other), other))
        .filter(|(likeness, _)| *likeness > 0.84)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match (near, known) {
        (Some((_, other)), _) => format!("did you mean `{other}`?"),
        (None, []) => "runwright.yaml declares no environments".to_owned(),
        (None, _) => format!("its environments are {}", known.join(", ")),
    }
}

fn quoted(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
        [] => String::new(),
    }
}
