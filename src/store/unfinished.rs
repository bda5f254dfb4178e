//! Runs that no process has and that left a change behind whose end nobody saw.

use super::owner::RunLock;
use super::read::{self, Transcript};
use super::root::Store;
use super::summary::is_closed;
use crate::engine::StoreError;
use crate::event::{Event, Mode, Outcome, Record, RunId, StepPath};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::fmt;

/// A run that no process has, with a change whose end is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// The run.
    pub run: RunId,
    /// Its runbook's id.
    pub runbook: String,
    /// The change: of several the one that was started last.
    pub step: StepPath,
    /// When that was started.
    pub since: Timestamp,
    /// What the run had locked, and is the only one to know the state of.
    pub locked: Vec<String>,
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run, step, since, .. } = self;
        let since = since.strftime("%Y-%m-%d %H:%M:%S UTC");
        write!(f, "run `{run}` was interrupted at `{step}` ({since}) with a change whose end is unknown")
    }
}

impl Store {
    /// The runs that no process has and that left a change behind whose end is unknown, sorted by name. A run that
    /// cannot be read is left out: `verify` tells of it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn unfinished(&self) -> Result<Vec<Unfinished>, StoreError> {
        let marked = self.root().folder("open")?.names()?;
        let runs = marked.into_iter().filter_map(|name| RunId::try_from(name).ok());
        Ok(runs.filter_map(|run| self.unfinished_run(run)).collect())
    }

    fn unfinished_run(&self, run: RunId) -> Option<Unfinished> {
        let folder = self.folder_of(&run).ok()?;
        if is_closed(&folder) || RunLock::is_held(&folder) {
            return None;
        }
        let transcript = read::transcript(&folder, &run).ok()?;
        let Event::RunStarted { runbook, mode: Mode::Run, .. } = &transcript.records.first()?.event else {
            return None;
        };
        let (step, since) = open_change(&transcript.records)?;
        Some(Unfinished { runbook: runbook.clone(), step, since, locked: transcript.locked(), run })
    }
}

impl Transcript {
    /// What the run has locked, in the order it did, each once.
    #[must_use]
    pub fn locked(&self) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for record in &self.records {
            if let Event::Locked { what } = &record.event
                && !found.contains(what)
            {
                found.push(what.clone());
            }
        }
        found
    }
}

/// The change that was started last of those whose end is not known.
pub(super) fn open_change(records: &[Record]) -> Option<(StepPath, Timestamp)> {
    let mut open: BTreeMap<&StepPath, Timestamp> = BTreeMap::new();
    for record in records {
        let Some(step) = &record.step else { continue };
        match &record.event {
            Event::AttemptStarted { change: true, .. } => _ = open.insert(step, record.time),
            Event::AttemptEnded { outcome: Outcome::Unknown, .. }
            | Event::StepEnded { outcome: Outcome::Unknown, .. } => {}
            Event::AttemptEnded { .. } | Event::StepEnded { .. } => _ = open.remove(step),
            _ => {}
        }
    }
    open.into_iter().max_by_key(|(_, since)| *since).map(|(step, since)| (step.clone(), since))
}
