//! Why a command could not do what it was asked: to words, and to an exit, in one place.

use super::console::Console;
use super::exit::Exit;
use super::refusal::Refusal;
use crate::engine::{LockRefused, StoreError};
use crate::event::RunId;
use crate::library::{EnvironmentError, LibraryError, LookupError};
use crate::report::{Problem, Style, problem};
use crate::source::{Diagnostic, DiagnosticFormat, Diagnostics, render};
use crate::store::{FindError, Holding, MaskRefused, Masker, ResumeError};
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
    /// Inputs that are not there, or have values that cannot be used; some have no place in a file.
    #[error("inputs have problems")]
    Inputs {
        /// Problems without a place.
        loose: Vec<Diagnostic>,
        /// The others.
        placed: Diagnostics,
    },
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
    /// The runbook says that it must not be run.
    #[error("`{runbook}` must not be run: {reason}")]
    MustNotRun {
        /// Its id.
        runbook: String,
        /// What it says.
        reason: String,
    },
    /// A saved plan does not fit.
    #[error("{message}")]
    Plan {
        /// What is wrong.
        message: String,
        /// What differs: names and texts.
        facts: Vec<(String, String)>,
    },
    /// A secret cannot be kept out of sight.
    #[error(transparent)]
    Mask(#[from] MaskRefused),
    /// Threads, signals or the terminal cannot be set up.
    #[error("cannot set up {what}")]
    SetUp {
        /// What.
        what: &'static str,
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
    /// The record cannot be written or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The record broke while a run went on.
    #[error("run `{run}` was left where it was, because its record is lost")]
    RecordLost {
        /// The run.
        run: RunId,
        /// Why.
        #[source]
        error: StoreError,
    },
    /// What the run had locked is not free.
    #[error("{0}")]
    PlaceHeld(String),
    /// The run cannot be taken up.
    #[error(transparent)]
    Resume(ResumeError),
    /// The run cannot go on as it is.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The run was not found.
    #[error(transparent)]
    Find(#[from] FindError),
    /// Nothing can be printed.
    #[error("cannot print")]
    Output(#[source] io::Error),
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
            Self::Invalid(_) | Self::Inputs { .. } => (Exit::Invalid, "invalid"),
            Self::Write { .. } => (Exit::Usage, "cannot-write"),
            Self::Usage { .. } => (Exit::Usage, "usage"),
            Self::MustNotRun { .. } => (Exit::Invalid, "refused-runbook"),
            Self::Plan { .. } => (Exit::Invalid, "plan-differs"),
            Self::Mask(_) => (Exit::Invalid, "secret-refused"),
            Self::SetUp { .. } => (Exit::Internal, "set-up"),
            Self::Store(StoreError::NoRun(_)) | Self::Find(FindError::None(_) | FindError::Several { .. }) => {
                (Exit::Usage, "unknown-run")
            }
            Self::PlaceHeld(_) => (Exit::Refused, "place-held"),
            Self::Refused(refusal) => refusal.kind(),
            Self::Resume(ResumeError::Held(_)) => (Exit::Refused, "run-held"),
            Self::Resume(ResumeError::Ended { .. }) => (Exit::Usage, "run-ended"),
            Self::Store(StoreError::TakenOver { .. })
            | Self::RecordLost { error: StoreError::TakenOver { .. }, .. } => (Exit::Refused, "taken-over"),
            Self::Store(error)
            | Self::Find(FindError::Store(error))
            | Self::Resume(ResumeError::Store(error))
            | Self::RecordLost { error, .. } => (Exit::Record, store_code(error)),
            Self::Output(_) => (Exit::Internal, "cannot-print"),
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
            Self::Library(LibraryError::Io { .. }) => {
                Some("name a folder that has a runwright.yaml: --library DIR, or RUNWRIGHT_LIBRARY".to_owned())
            }
            Self::Store(StoreError::Refused { .. }) | Self::Find(FindError::Store(StoreError::Refused { .. })) => {
                Some("mend what is said above, or name another folder: --store DIR, or RUNWRIGHT_STORE".to_owned())
            }
            Self::Store(StoreError::Full { .. }) => {
                Some("make room there, or name a folder on another disk: --store DIR".to_owned())
            }
            Self::Store(StoreError::Io { .. }) => {
                Some("a folder that can be read and written is needed: --store DIR names another".to_owned())
            }
            Self::Resume(ResumeError::Held(holding)) => Some(held_hint(holding)),
            Self::Resume(ResumeError::Ended { run, .. }) => {
                Some(format!("its record: runwright show {run}; its changes are taken back with: runwright undo {run}"))
            }
            Self::Refused(refusal) => Some(refusal.hint()),
            Self::RecordLost { run, error } => Some(Self::after_loss(run, error)),
            Self::Usage { hint, .. } => hint.clone(),
            Self::Find(FindError::None(_)) => Some("`runwright list` names the runs".to_owned()),
            Self::Find(FindError::Several { .. }) => Some("give more of its name".to_owned()),
            _ => None,
        }
    }

    /// Where the record of a run that broke off can be looked at and gone on with.
    fn after_loss(run: &RunId, error: &StoreError) -> String {
        match error {
            StoreError::Full { .. } => format!("make room there, then go on: runwright resume {run}"),
            StoreError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                format!("make room there, then go on: runwright resume {run}")
            }
            StoreError::TakenOver { .. } => {
                format!("nothing more was started here; watch it: runwright show {run} --follow")
            }
            _ => format!("nothing more was started; what is left of the record: runwright verify {run}"),
        }
    }

    /// Tells it, without the secrets that are known by now, and gives its exit.
    pub(super) fn tell(&self, console: &Console, secrets: &Masker) -> Exit {
        let (exit, code) = self.kind();
        let style = console.error_style();
        if let Self::Invalid(problems) = self {
            console.say(&render(problems, DiagnosticFormat::Text, style.colour));
            return exit;
        }
        if let Self::Inputs { loose, placed } = self {
            for problem in loose {
                console.say_lines(&without_place(problem, &style));
            }
            console.say(&render(placed, DiagnosticFormat::Text, style.colour));
            return exit;
        }
        let facts = if let Self::Plan { facts, .. } = self { facts.clone() } else { Vec::new() };
        // Before the lines are broken: a secret over two lines is not found.
        let facts = facts.into_iter().map(|(name, text)| (name, secrets.mask(&text))).collect();
        let (message, hint) = (secrets.mask(&with_causes(self)), self.hint());
        let told = Problem { code: code.to_owned(), message, facts, hint, ..Problem::default() };
        console.say_lines(&problem(&told, &style));
        exit
    }
}

/// What can be done about a process that has a run, or may have it.
fn held_hint(holding: &Holding) -> String {
    let run = &holding.run;
    if holding.may_be_taken_over() {
        return format!("make sure that process is gone, then: runwright resume {run} --take-over 'why'");
    }
    let stop = holding.owner.as_ref().map_or_else(String::new, |owner| {
        format!("; to have it here, let that process suspend it first: kill -TERM {}", owner.pid)
    });
    format!("watch it: runwright show {run} --follow{stop}; or end it: runwright abort {run} --reason 'why'")
}

impl From<LockRefused> for CommandError {
    fn from(refused: LockRefused) -> Self {
        match refused {
            LockRefused::Held(who) => Self::PlaceHeld(who),
            LockRefused::Store(error) => Self::Store(error),
        }
    }
}

impl From<ResumeError> for CommandError {
    fn from(error: ResumeError) -> Self {
        match error {
            ResumeError::Store(error) => Self::Store(error),
            error => Self::Resume(error),
        }
    }
}

fn store_code(error: &StoreError) -> &'static str {
    match error {
        StoreError::Io { .. } => "record-io",
        StoreError::Full { .. } => "disk-full",
        StoreError::Refused { .. } => "store-refused",
        StoreError::TakenOver { .. } => "taken-over",
        StoreError::NoRun(_) => "unknown-run",
        StoreError::Damaged { .. } => "record-damaged",
    }
}

/// A problem that stands in no file.
fn without_place(found: &Diagnostic, style: &Style) -> Vec<String> {
    let told = Problem {
        code: found.code.to_owned(),
        message: found.message.clone(),
        hint: found.hint.clone(),
        ..Problem::default()
    };
    problem(&told, style)
}

/// The message and what caused it, on one line.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
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
