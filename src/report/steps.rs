//! What the events do not say about steps: kind, title, depth, risk.

use crate::event::StepPath;
use std::collections::HashMap;

/// A step as the runbook has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepInfo {
    /// `diagnose`, `decide`, `remediate`, `validate`, `group`, ...
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Its title; may still hold templates, so that a card's title is preferred.
    pub title: String,
    /// How deep it is nested, from 0.
    pub depth: usize,
    /// `low`, `medium` or `high`, for changes.
    pub risk: Option<String>,
    /// What a person can answer by name: the options of a decide, the questions of an ask.
    pub answers: Vec<String>,
}

/// All steps of a run by their place.
#[derive(Clone, Debug, Default)]
pub struct StepTable {
    steps: HashMap<StepPath, StepInfo>,
}

impl From<HashMap<StepPath, StepInfo>> for StepTable {
    fn from(steps: HashMap<StepPath, StepInfo>) -> Self {
        Self { steps }
    }
}

impl StepTable {
    /// The step at a place. An item of a loop (`reject[3]`, `store[3]/mint`) is found under the loop's own place, and
    /// its id is shown as the whole place. A step nobody described has its place as id.
    #[must_use]
    pub fn find(&self, path: &StepPath) -> StepInfo {
        if let Some(info) = self.steps.get(path) {
            return info.clone();
        }
        match self.steps.get(&general(path)) {
            Some(info) => StepInfo { id: path.0.clone(), ..info.clone() },
            None => StepInfo { kind: "step".to_owned(), id: path.0.clone(), ..StepInfo::default() },
        }
    }
}

/// Whether a place is one item of a loop (and not a step inside the item).
pub(crate) fn is_item(path: &StepPath) -> bool {
    path.0.ends_with(']')
}

/// The place of a step in the runbook, whatever the item: `store[3]/mint` gives `store/mint`.
pub(crate) fn general(path: &StepPath) -> StepPath {
    let mut out = String::with_capacity(path.0.len());
    let mut inside = false;
    for character in path.0.chars() {
        match character {
            '[' => inside = true,
            ']' => inside = false,
            _ if !inside => out.push(character),
            _ => {}
        }
    }
    StepPath(out)
}
