//! How a run stands in detail: who has it, at which step it broke off, what it waits for, what it leaves open.

use super::owner::{Owner, last_sign, read_owner};
use super::read;
use super::root::Store;
use super::summary::{RunState, RunSummary};
use super::take::{Holding, Whereabouts, last_step};
use super::unfinished::open_change;
use crate::engine::StoreError;
use crate::event::{Event, Operator, Outcome, Record, StepPath};
use indexmap::IndexMap;
use jiff::Timestamp;

/// A temporary change that is not taken back, as far as the record goes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct OpenChange {
    /// The change.
    pub step: StepPath,
    /// How it is taken back, in words.
    pub undo: Option<String>,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
}

/// How a run stands beside the one word for it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// The process that has it, or that may have it on another machine.
    pub holding: Option<Holding>,
    /// The last step that the record tells of; only while the run has not ended.
    pub step: Option<StepPath>,
    /// A change whose end is unknown; only while the run has not ended.
    pub unknown: Option<StepPath>,
    /// Why it was suspended.
    pub reason: Option<String>,
    /// Temporary changes that are not taken back.
    pub open: Vec<OpenChange>,
    /// The hosts it was on, each once, in order.
    pub hosts: Vec<String>,
}

impl Store {
    /// How a run stands at this moment. The record of a run that ended is read only when it left something open.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn standing(&self, run: &RunSummary, now: Timestamp) -> Result<Standing, StoreError> {
        if matches!(run.state, RunState::Ended(_)) && !run.leaves_open {
            return Ok(Standing::default());
        }
        let folder = self.folder_of(&run.id)?;
        let records = read::transcript(&folder, &run.id)?.records;
        let mut standing =
            Standing { open: open_changes(&records, now), hosts: hosts(&records), ..Standing::default() };
        if matches!(run.state, RunState::Ended(_)) {
            return Ok(standing);
        }
        standing.step = last_step(&records);
        standing.unknown = open_change(&records).map(|(step, _)| step);
        standing.reason = records.iter().rev().find_map(|record| match &record.event {
            Event::RunSuspended { reason } => Some(reason.clone()),
            _ => None,
        });
        let owner = read_owner(&folder).map(|tenure| tenure.owner);
        let whereabouts = match &run.state {
            RunState::Running => Some(Whereabouts::Here),
            RunState::Interrupted if owner.as_ref().is_some_and(|owner| is_elsewhere(owner, now)) => {
                Some(Whereabouts::Unseen)
            }
            _ => None,
        };
        standing.holding = whereabouts.map(|whereabouts| Holding {
            run: run.id.clone(),
            owner,
            whereabouts,
            last_sign: last_sign(&folder).map(|sign| now.duration_since(sign)),
            step: standing.step.clone(),
        });
        Ok(standing)
    }
}

/// Whether an owner is, or was, on a machine whose processes cannot be seen from here.
fn is_elsewhere(owner: &Owner, now: Timestamp) -> bool {
    let nobody = Operator { name: String::new(), identity: crate::event::IdentityKind::OsUser, host: None };
    let us = Owner::this_process(nobody, now);
    !owner.shares_boot(&us) && !owner.shares_machine(&us)
}

/// Temporary changes that were made, and neither taken back nor over by themselves.
fn open_changes(records: &[Record], now: Timestamp) -> Vec<OpenChange> {
    let mut open: IndexMap<&str, OpenChange> = IndexMap::new();
    for record in records {
        let Some(path) = &record.step else { continue };
        match &record.event {
            Event::ChangeMade { undo, until, temporary } if *temporary || until.is_some() => {
                let change = OpenChange { step: path.clone(), undo: undo.clone(), until: *until };
                open.insert(&path.0, change);
            }
            Event::StepEnded { outcome: Outcome::Succeeded, .. } => {
                if let Some(taken_back) = path.0.strip_suffix("/undo") {
                    open.shift_remove(taken_back);
                }
            }
            _ => {}
        }
    }
    open.into_values().filter(|change| change.until.is_none_or(|until| until > now)).collect()
}

fn hosts(records: &[Record]) -> Vec<String> {
    let mut hosts: Vec<String> = Vec::new();
    for record in records {
        let host = match &record.event {
            Event::RunStarted { host, .. } => host,
            Event::RunResumed(again) => &again.host,
            _ => continue,
        };
        if !hosts.contains(host) {
            hosts.push(host.clone());
        }
    }
    hosts
}
