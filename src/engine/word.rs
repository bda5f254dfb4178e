//! What people say to a run without being asked: notes, marks, and that it is to end.

use crate::event::{Event, Mark, Operator};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Something that a person said to a run, left for the process that has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxWord {
    /// What they said.
    pub said: Said,
    /// Who.
    pub by: Operator,
    /// When it was left.
    pub at: Timestamp,
}

/// What a person says to a run without being asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// A note for the record.
    Note {
        /// The text.
        text: String,
    },
    /// A moment of the incident has a name.
    Mark {
        /// Which.
        mark: Mark,
        /// When it was; left out for the moment at which it is said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Timestamp>,
        /// Something about it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// The run is to end.
    Abort {
        /// Why; never empty.
        reason: String,
    },
}

impl Said {
    /// The event that keeps it, when it was said at `now`; nothing for an abort, which is more than an entry.
    #[must_use]
    pub fn event(&self, now: Timestamp) -> Option<Event> {
        match self {
            Self::Note { text } => Some(Event::Noted { text: text.clone() }),
            Self::Mark { mark, at, text } => {
                Some(Event::Marked { mark: *mark, at: at.unwrap_or(now), text: text.clone() })
            }
            Self::Abort { .. } => None,
        }
    }
}
