//! How attempts, steps and runs come out.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What kind of run this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Everything is performed.
    Run,
    /// Reads only.
    Probe,
    /// Nothing.
    Plan,
}

/// How an attempt or a step came out. A closed set (`semantics.md` 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did what it should.
    Succeeded,
    /// The target answered no, or nothing was sent.
    Failed,
    /// It took too long (reads; a change that takes too long is `unknown`).
    TimedOut,
    /// It was stopped.
    Cancelled,
    /// A person said no.
    Declined,
    /// It was left out; the reason stands beside.
    Skipped,
    /// Dry run.
    NotPerformed,
    /// It was started and its end was not seen.
    Unknown,
}

/// What a diagnose or validate step says, apart from its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepVerdict {
    /// Every `expect` holds.
    Holds,
    /// At least one does not.
    DoesNotHold,
    /// None fails, at least one is unknown.
    CannotTell,
}

impl StepVerdict {
    /// The word for it, as expressions and records write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::DoesNotHold => "does_not_hold",
            Self::CannotTell => "cannot_tell",
        }
    }
}

/// The result of a run (`semantics.md` 2, ruling 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunResult {
    /// Every validate holds after the last change.
    Resolved,
    /// No validate and no change: it ran to its end.
    Completed,
    /// It ran to its end, and the goal is not met (or was not proven).
    NotResolved,
    /// Nothing needed doing.
    NoAction,
    /// Handed to people.
    Escalated,
    /// A person said no.
    Declined,
    /// A change failed or its outcome is unknown.
    Failed,
    /// No option was chosen.
    Undecided,
    /// Ended by the operator, with a reason.
    Aborted,
    /// The process died.
    Interrupted,
}

impl RunResult {
    /// The word for it, as `<id>.result` gives it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolved => "resolved",
            Self::Completed => "completed",
            Self::NotResolved => "not_resolved",
            Self::NoAction => "no_action",
            Self::Escalated => "escalated",
            Self::Declined => "declined",
            Self::Failed => "failed",
            Self::Undecided => "undecided",
            Self::Aborted => "aborted",
            Self::Interrupted => "interrupted",
        }
    }
}

/// The class of an error, as `tolerate` and `<id>.error` name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// A program ended with a code that is not in `ok`.
    Exit(i32),
    /// A program was ended by a signal.
    Signal(i32),
    /// It took longer than its `timeout`.
    Timeout,
    /// The connection was refused.
    Refused,
    /// The name does not resolve.
    Dns,
    /// The TLS handshake failed.
    Tls,
    /// The connection broke.
    Connection,
    /// An HTTP status that is not in `status`.
    Status(u16),
    /// A file, program or object is not there (HTTP 404 is `status`).
    NotFound,
    /// Permission was denied.
    Denied,
    /// An object of that name is there already.
    AlreadyExists,
    /// Somebody else has changed the object, or it is not in the state that was wanted.
    Conflict,
    /// The object was refused for what stands in it.
    Invalid,
    /// The answer could not be used (invalid, too large).
    BadAnswer,
    /// An expression or value was refused before anything was sent.
    BadValue,
    /// The address is not among those the target allows.
    Address,
    /// A database said no: the name of its SQLSTATE, such as `undefined_table`.
    Sql(String),
    /// Anything else of the machine: the disk is full, no process can be made.
    System,
    /// It was stopped by a person or by the end of the run.
    Cancelled,
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "exit_{code}"),
            Self::Signal(number) => write!(f, "signal_{number}"),
            Self::Timeout => f.write_str("timeout"),
            Self::Refused => f.write_str("refused"),
            Self::Dns => f.write_str("dns"),
            Self::Tls => f.write_str("tls"),
            Self::Connection => f.write_str("connection"),
            Self::Status(status) => write!(f, "status_{status}"),
            Self::NotFound => f.write_str("not_found"),
            Self::Denied => f.write_str("denied"),
            Self::AlreadyExists => f.write_str("already_exists"),
            Self::Conflict => f.write_str("conflict"),
            Self::Invalid => f.write_str("invalid"),
            Self::BadAnswer => f.write_str("bad_answer"),
            Self::BadValue => f.write_str("bad_value"),
            Self::Address => f.write_str("address"),
            Self::Sql(name) => f.write_str(name),
            Self::System => f.write_str("system"),
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}
