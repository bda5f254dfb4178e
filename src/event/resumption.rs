//! What a run's record says when another process takes the run up, and what a person settles then.

use super::kind::Event;
use super::name::Operator;
use super::view::{EvidenceRef, FrozenRunbook, ProgramView};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The process that takes a run up again, and how it found the record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resumption {
    /// Who took it up.
    pub operator: Operator,
    /// On which host.
    pub host: String,
    /// The id of that host's current boot.
    pub boot: String,
    /// The process.
    pub pid: u32,
    /// The version of the program.
    pub version: String,
    /// The id of the store it stands in now.
    pub store: String,
    /// The host it was last on, when the record was moved to another store: approvals that were not used are void.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<String>,
    /// Why it was taken from another process that had it, in the person's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Bytes at the end of the record that were no whole line and were dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub torn: Option<u64>,
    /// Output that was still coming when the earlier process died.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leftovers: Vec<EvidenceRef>,
    /// The runbook that is used from here on, when it is not the one that was frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<FrozenRunbook>,
    /// The working folder from here on, when that of the start is not here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// The library's root from here on, when that of the start is not here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub library: Option<String>,
    /// The programs from here on, when they were looked for anew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<ProgramView>,
    /// Whether the reads are performed again, although they had ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refresh: bool,
}

/// What a person says became of a change whose end was not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settlement {
    /// It was done.
    Done,
    /// It was not done, and is not tried again: it counts as failed.
    NotDone,
    /// It was not done, or may be done twice: it is tried again, behind its gate.
    Retry,
}

impl Settlement {
    /// All of them, as they are offered.
    pub const ALL: [Self; 3] = [Self::Done, Self::NotDone, Self::Retry];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::NotDone => "not_done",
            Self::Retry => "retry",
        }
    }
}

impl fmt::Display for Settlement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A moment of an incident that people name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// Somebody or something noticed it.
    Detected,
    /// It was declared an incident.
    Declared,
    /// Users no longer suffer from it.
    Mitigated,
    /// It is over.
    Resolved,
}

impl Mark {
    /// All of them, in their usual order.
    pub const ALL: [Self; 4] = [Self::Detected, Self::Declared, Self::Mitigated, Self::Resolved];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Detected => "detected",
            Self::Declared => "declared",
            Self::Mitigated => "mitigated",
            Self::Resolved => "resolved",
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Mark {
    type Err = UnknownMark;

    fn from_str(text: &str) -> Result<Self, UnknownMark> {
        Self::ALL.into_iter().find(|mark| mark.as_str() == text).ok_or_else(|| UnknownMark(text.to_owned()))
    }
}

impl Event {
    /// Whether people add it in whatever state the run is: it says nothing about that state.
    #[must_use]
    pub fn is_remark(&self) -> bool {
        matches!(self, Self::Noted { .. } | Self::Marked { .. })
    }
}

/// A word that is no mark.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no mark (detected, declared, mitigated, resolved)")]
pub struct UnknownMark(String);
