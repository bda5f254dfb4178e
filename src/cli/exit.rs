//! Exit codes: a closed set, in one place (`docs/cli.md` prints this table).

use crate::event::RunResult;

/// What the exit of the program says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Resolved, completed, nothing to do; or the command did what it was asked.
    Done,
    /// It ran, and the answer is no.
    NotResolved,
    /// The command line makes no sense.
    Usage,
    /// The runbook, the library or an input is invalid.
    Invalid,
    /// Declined or aborted by a person.
    Declined,
    /// Parked: a gate or a decision needs a person.
    Parked,
    /// Escalated.
    Escalated,
    /// A change failed, or its outcome is unknown.
    Failed,
    /// The record cannot be written.
    Record,
    /// A target's identity or the lock was refused.
    Refused,
    /// A fault of the program itself.
    Internal,
    /// Suspended by Ctrl-C.
    Interrupted,
    /// Ended by SIGHUP.
    HungUp,
    /// Ended by SIGTERM.
    Terminated,
}

impl Exit {
    /// Every exit, in the order of the table.
    pub const ALL: [Self; 14] = [
        Self::Done,
        Self::NotResolved,
        Self::Usage,
        Self::Invalid,
        Self::Declined,
        Self::Parked,
        Self::Escalated,
        Self::Failed,
        Self::Record,
        Self::Refused,
        Self::Internal,
        Self::HungUp,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::NotResolved => 1,
            Self::Usage => 2,
            Self::Invalid => 3,
            Self::Declined => 4,
            Self::Parked => 5,
            Self::Escalated => 6,
            Self::Failed => 7,
            Self::Record => 8,
            Self::Refused => 9,
            Self::Internal => 70,
            Self::HungUp => 129,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// One sentence about it, without a full stop.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "resolved, completed, or nothing to do; for other commands: done",
            Self::NotResolved => {
                "it ran to its end and the goal is not met; `verify`: the record does not hold; `list --overdue`: something is overdue; `lookup`: no runbook fits"
            }
            Self::Usage => "the command line makes no sense, or names a runbook, run or step that is not there",
            Self::Invalid => {
                "the runbook, the library or an input is invalid, or the runbook says that it must not be run"
            }
            Self::Declined => "a person declined or aborted",
            Self::Parked => "parked: a gate or a decision needs a person",
            Self::Escalated => "escalated",
            Self::Failed => "a change failed, or its outcome is unknown",
            Self::Record => "the record cannot be written or read",
            Self::Refused => "a target is not what it should be, or another run holds it",
            Self::Internal => "a fault of Runwright itself",
            Self::HungUp => "suspended because the terminal went away (SIGHUP)",
            Self::Interrupted => "suspended by Ctrl-C (SIGINT), or left at once by a second one or SIGQUIT",
            Self::Terminated => "suspended by SIGTERM",
        }
    }

    /// The exit of a run that ended. A record that could not be written and a refused target come before it.
    #[must_use]
    pub fn of_result(result: RunResult) -> Self {
        match result {
            RunResult::Resolved | RunResult::Completed | RunResult::NoAction => Self::Done,
            RunResult::NotResolved => Self::NotResolved,
            RunResult::Declined | RunResult::Aborted => Self::Declined,
            RunResult::Undecided => Self::Parked,
            RunResult::Escalated => Self::Escalated,
            RunResult::Failed | RunResult::Interrupted => Self::Failed,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
