//! What is known of a service at one moment.

use crate::action::outcome::unobtained;
use crate::expr::{Time, Value};
use indexmap::IndexMap;
use jiff::Timestamp;

/// How a service is, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// It runs, or has done what it is for.
    Up,
    /// It does not run, and nothing is wrong with that.
    Down,
    /// It has failed.
    Failed,
    /// It is on its way to one of the others.
    Between,
}

/// What is known of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) health: Health,
    /// `active`, `inactive`, `failed`, `activating`, ...
    pub(super) word: String,
    /// More about it, in the words of what drives it.
    pub(super) sub: String,
    /// Since when it runs.
    pub(super) since: Option<Timestamp>,
    /// Whether it does its work now.
    pub(super) running: bool,
    /// Another text after each start: a service that dies and is started again has not run at two looks.
    pub(super) life: String,
    /// Why it is not what it shall be.
    pub(super) trouble: Option<String>,
}

impl State {
    /// `state`, `sub`, `since`, `running`.
    pub(super) fn fields(&self) -> IndexMap<String, Value> {
        let why = if self.running { "nothing tells since when it runs" } else { "it does not run" };
        let since = self.since.map_or_else(|| unobtained(why), |since| Value::from(Time(since)));
        IndexMap::from_iter([
            ("state".to_owned(), Value::from(self.word.clone())),
            ("sub".to_owned(), Value::from(self.sub.clone())),
            ("since".to_owned(), since),
            ("running".to_owned(), Value::from(self.running)),
        ])
    }

    /// Its state for people: `failed (exit-code, status 3)`.
    pub(super) fn words(&self) -> String {
        match &self.trouble {
            Some(trouble) => format!("{} ({trouble})", self.word),
            None if self.sub.is_empty() => self.word.clone(),
            None => format!("{} ({})", self.word, self.sub),
        }
    }
}
