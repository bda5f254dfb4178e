//! Why a run is not taken up again: to words, to an exit and to a way out, in one place.

use super::exit::Exit;
use crate::event::{Mode, RunId};
use std::path::PathBuf;

/// A run that cannot go on as it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// A dry run.
    #[error("run `{run}` is a {}: a dry run cannot be taken up as a real one", mode_word(*.mode))]
    DryRun {
        /// The run.
        run: RunId,
        /// Which kind.
        mode: Mode,
        /// Its runbook.
        runbook: String,
    },
    /// It takes the changes of another run back.
    #[error("run `{run}` takes back the changes of run `{of}`")]
    Undo {
        /// The run.
        run: RunId,
        /// The run whose changes it takes back.
        of: RunId,
    },
    /// It has not ended, so its changes are not taken back yet.
    #[error("run `{0}` has not ended, and only what has ended is taken back")]
    NotEnded(RunId),
    /// Another run takes its changes back and has not ended.
    #[error("run `{undo}` takes back the changes of run `{run}` and has not ended")]
    UndoOpen {
        /// The run.
        run: RunId,
        /// The one that takes its changes back.
        undo: RunId,
    },
    /// Its process died before the first event was written.
    #[error("run `{0}` never began: its process died before it did anything")]
    NeverBegan(RunId),
    /// The record is not what its process wrote.
    #[error("the record of run `{run}` is damaged: {what}")]
    Damaged {
        /// The run.
        run: RunId,
        /// The first finding.
        what: String,
    },
    /// The meaning of events has changed since.
    #[error("the record of run `{run}` has the semantics {found}, and this program has {ours}")]
    Semantics {
        /// The run.
        run: RunId,
        /// That of the record.
        found: u32,
        /// Ours.
        ours: u32,
        /// The version that wrote it.
        version: String,
    },
    /// A newer version wrote something that this one does not understand.
    #[error("line {line} of the record of run `{run}` was written by a newer version")]
    Newer {
        /// The run.
        run: RunId,
        /// The first such line.
        line: u64,
    },
    /// What is frozen is not accepted by this version.
    #[error("this version does not accept {file} as it is frozen in the record: {why}")]
    Unreadable {
        /// The file.
        file: String,
        /// The first problem.
        why: String,
        /// The version that wrote it.
        version: String,
    },
    /// A frozen text holds the mark of a secret, and the file is not there any more as it was.
    #[error("{file} held the text of a secret, so it is not frozen as it was, and {found}")]
    Masked {
        /// The file.
        file: String,
        /// What was found in its place.
        found: String,
        /// The option that names the file as it was.
        option: String,
    },
    /// The working folder of the start is not here.
    #[error("the folder {} in which the run was started is not here", .0.display())]
    FolderGone(PathBuf),
    /// A program that was found at the start is not there any more.
    #[error("`{name}` was {path} when the run was started, and that is no program here")]
    ProgramGone {
        /// Its name.
        name: String,
        /// Where it was.
        path: String,
    },
    /// An input was given that is frozen.
    #[error("input `{0}` is frozen: a run goes on with the inputs that it was started with")]
    Frozen(String),
    /// There is no such input.
    #[error("`{runbook}` has no secret input `{name}` to give again")]
    NoSecret {
        /// The runbook.
        runbook: String,
        /// What was given.
        name: String,
        /// The secrets it has.
        known: Vec<String>,
    },
    /// The runbook of `--runbook` does not fit what was done.
    #[error("{file} does not fit what run `{run}` has done: {}", .why.join("; "))]
    Unfit {
        /// The file.
        file: String,
        /// The run.
        run: RunId,
        /// What does not fit, one sentence each.
        why: Vec<String>,
    },
    /// The changed runbook was not agreed to.
    #[error("{file} is not the runbook that run `{run}` goes by")]
    NotAccepted {
        /// The file.
        file: String,
        /// The run.
        run: RunId,
        /// SHA-256 of the file, in hex.
        digest: String,
        /// Whether a person was asked.
        asked: bool,
    },
}

fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Run => "run",
        Mode::Probe => "probe",
        Mode::Plan => "plan",
    }
}

impl Refusal {
    /// The exit and the stable name.
    pub(super) fn kind(&self) -> (Exit, &'static str) {
        match self {
            Self::DryRun { .. } => (Exit::Usage, "dry-run"),
            Self::Undo { .. } => (Exit::Usage, "undo-run"),
            Self::NotEnded(_) => (Exit::Usage, "not-ended"),
            Self::UndoOpen { .. } => (Exit::Usage, "undo-open"),
            Self::NeverBegan(_) => (Exit::Usage, "never-began"),
            Self::Damaged { .. } => (Exit::Record, "record-damaged"),
            Self::Semantics { .. } => (Exit::Invalid, "other-semantics"),
            Self::Newer { .. } => (Exit::Invalid, "newer-record"),
            Self::Unreadable { .. } => (Exit::Invalid, "frozen-unreadable"),
            Self::Masked { .. } => (Exit::Invalid, "frozen-masked"),
            Self::FolderGone(_) => (Exit::Usage, "folder-gone"),
            Self::ProgramGone { .. } => (Exit::Invalid, "program-gone"),
            Self::Frozen(_) => (Exit::Usage, "input-frozen"),
            Self::NoSecret { .. } => (Exit::Usage, "unknown-input"),
            Self::Unfit { .. } => (Exit::Invalid, "runbook-unfit"),
            Self::NotAccepted { asked: true, .. } => (Exit::Declined, "runbook-declined"),
            Self::NotAccepted { asked: false, .. } => (Exit::Invalid, "runbook-differs"),
        }
    }

    /// How to go on.
    pub(super) fn hint(&self) -> String {
        match self {
            Self::DryRun { mode: Mode::Probe, runbook, .. } => {
                format!("a probe changes nothing and is simply started again: runwright probe {runbook}")
            }
            Self::DryRun { runbook, .. } => format!("start it for real: runwright run {runbook}"),
            Self::Undo { of, .. } => format!(
                "it goes by the record of that run, with no other runbook and no further reads; what remains after it is \
                 taken back with: runwright undo {of}"
            ),
            Self::NotEnded(run) => format!("end it first: runwright abort {run} --reason TEXT"),
            Self::UndoOpen { undo, .. } => format!("go on with that: runwright resume {undo}"),
            Self::NeverBegan(_) => "start it anew".to_owned(),
            Self::Damaged { run, .. } => format!("every finding, with its place: runwright verify {run}"),
            Self::Semantics { version, .. } | Self::Unreadable { version, .. } => {
                format!("take it up with version {version}, which wrote it")
            }
            Self::Newer { .. } => "take it up with the newer version".to_owned(),
            Self::Masked { option, .. } => {
                format!("name the file as it was at the start ({option}), or start a new run")
            }
            Self::FolderGone(_) => {
                "name the folder that is to stand for it: --folder DIR (or --library DIR, when it was inside the library)"
                    .to_owned()
            }
            Self::ProgramGone { name, .. } => {
                format!("put it back there, or look for `{name}` and the others anew: --find-programs")
            }
            Self::Frozen(_) => "leave it out; for other values, start a new run".to_owned(),
            Self::NoSecret { known, .. } if known.is_empty() => {
                "this run has no secret inputs, and all others are frozen".to_owned()
            }
            Self::NoSecret { known, .. } => format!("its secrets are {}; all others are frozen", known.join(", ")),
            Self::Unfit { .. } => {
                "what was done cannot be changed any more: change only steps that have not begun, or start a new run"
                    .to_owned()
            }
            Self::NotAccepted { asked: true, .. } => "nothing was done; the run waits as it is".to_owned(),
            Self::NotAccepted { digest, run, file, .. } => {
                format!("go on with it: runwright resume {run} --runbook {file} --accept-runbook {}", short(digest))
            }
        }
    }
}

/// As much of a digest as a person types.
pub(super) fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
