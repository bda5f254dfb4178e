//! What a run came to.

use crate::event::{RunId, RunResult, Waiting};

/// The state in which a process leaves a run.
#[derive(Clone, Debug, PartialEq)]
pub enum RunState {
    /// It has ended.
    Ended(RunResult),
    /// It waits in the store for people.
    Parked(Vec<Waiting>),
    /// The operator left it as it is.
    Suspended(String),
}

/// What a process knows of a run when it lets go of it.
#[derive(Clone, Debug, PartialEq)]
pub struct RunEnd {
    /// The run.
    pub run: RunId,
    /// Its state.
    pub state: RunState,
    /// Whether a target was not what it should be, or another run had what this one would have changed.
    pub refused: bool,
    /// Whether a change failed and nothing answered that, or its outcome is unknown.
    pub change_failed: bool,
    /// Whether a validate of a probe does not hold.
    pub probe_does_not_hold: bool,
    /// The digest of the last line.
    pub head: String,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
}
