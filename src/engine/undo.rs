//! Taking back the changes of a run that has ended.
//!
//! The record of that run is walked through as for a resume, without a word and without an act; each change gives what
//! it takes to go back, with the values that it had. Then the changes are taken back, the last one first, each behind
//! its own gate and with its own verify. That is a run of its own with a record of its own.

use super::attempt::{Stands, Task};
use super::body::{At, Scene};
use super::change::Unit;
use super::message::{Message, StepEnd};
use super::past::{Past, Round};
use crate::event::Outcome;
use crate::expr::{Place, Value};
use crate::plan::StepScope;
use crate::runbook::{Action, Change, Probe, Step, StepBody, Temporary, Undo};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The undo of a run; beside it, [`super::Setup::past`] is the past of the run whose changes are taken back.
#[derive(Default)]
pub struct UndoOf {
    /// What an earlier process did of the undo itself: it is taken up again.
    pub past: Option<Past>,
    /// The paths of changes that earlier runs have taken back.
    pub done: BTreeSet<String>,
}

/// A change that an earlier run made, or may have made.
pub(super) struct Undoable {
    pub(super) scene: Arc<Scene>,
    pub(super) at: At,
    /// The path of the change, or of the item.
    pub(super) path: String,
    pub(super) title: String,
    /// The number of the record of its end: the order in which changes were made.
    pub(super) seq: u64,
    /// When it ends by itself.
    pub(super) until: Option<Timestamp>,
    /// What is performed, or why there is nothing.
    pub(super) back: Result<Back, String>,
}

/// How a change is taken back.
pub(super) struct Back {
    step: Arc<Step>,
    scope: StepScope,
}

impl Undoable {
    /// The change in words, for a list of what remains.
    pub(super) fn text(&self) -> String {
        format!("{}: {}", self.path, self.title)
    }
}

impl Task {
    /// While the record of another run is walked through: tells how a change of it is taken back.
    pub(super) fn tell_undoable(&self, step: &Step, change: &Change, unit: &Unit, end: &StepEnd, round: &Round) {
        let made = matches!(end.outcome, Outcome::Succeeded | Outcome::Unknown | Outcome::Failed);
        let Some(past) = end.past.as_ref().filter(|_| self.shared.is_undo && end.changed && made) else { return };
        let mut scope = unit.scope.clone();
        let mut own = end.values.clone();
        own.extend(end.captures.clone());
        scope.extend([(self.id().to_owned(), Value::from_pairs(own))]);
        let title = step.title.render(&scope, Place::Plain);
        let title = title.map_or_else(|_| step.title.source_text().to_owned(), |title| title.to_string());
        let undoable = Undoable {
            scene: self.scene.clone(),
            at: self.at,
            path: unit.path.clone(),
            title,
            seq: past.seq.max(round.first),
            until: past.until,
            back: back(step, change, &scope),
        };
        self.bus.send(Message::Undoable(Box::new(undoable))).ok();
    }

    /// Takes one change back, behind its gate.
    pub(super) async fn take_one_back(mut self, step: Arc<Step>) {
        self.round = self.shared.take_past(&self.path());
        let end = match (self.round.step_end(), &step.body) {
            (Some(end), _) => Ok(end),
            (None, StepBody::Action(action)) => {
                self.tell_title(&step, &self.scope());
                self.change(&step, action).await
            }
            (None, _) => Ok(StepEnd::new(Outcome::Failed)),
        };
        let end = end.unwrap_or_else(|_| StepEnd::because(Outcome::Cancelled, "the run went on without it"));
        self.bus.send(Message::Ended { at: self.at, end: Box::new(end) }).ok();
    }
}

impl Back {
    /// The step that takes the change back, and the task that performs it.
    pub(super) fn task(self, task: Task, path: &str) -> (Task, Arc<Step>) {
        let stands = Stands { path: format!("{path}/undo"), scope: self.scope };
        (Task { stands: Some(Box::new(stands)), ..task }, self.step)
    }
}

/// The step that takes a change back; or why there is none.
fn back(step: &Step, change: &Change, scope: &StepScope) -> Result<Back, String> {
    if let Some(why) = &change.irreversible {
        let why = why.render(scope, Place::Plain).map_or_else(|_| why.source_text().to_owned(), |why| why.to_string());
        return Err(format!("it cannot be undone: {why}"));
    }
    match &change.undo {
        Some(Undo::Act(probe)) => Ok(Back { step: Arc::new(undo_step(step, change, probe)), scope: scope.clone() }),
        Some(Undo::Steps(_)) => Err("its undo is a list of steps".to_owned()),
        None if matches!(step.action(), Some(Action::Manual(_) | Action::Interactive(_) | Action::Ask(_))) => {
            Err("it was done by hand, and its runbook says no `undo`".to_owned())
        }
        None => Err("its runbook says neither how to undo it nor why not".to_owned()),
    }
}

/// An undo as a change: with the risk and the gate of the change that it takes back, and a verify of its own.
fn undo_step(step: &Step, change: &Change, probe: &Probe) -> Step {
    Step {
        body: StepBody::Action(probe.action.clone()),
        target: probe.target.clone().or_else(|| step.target.clone()),
        when: None,
        needs: None,
        why: None,
        notes: None,
        warning: None,
        timeout: probe.timeout.clone(),
        retry: None,
        until: None,
        hold: None,
        background: None,
        parallel: None,
        each: None,
        capture: probe.capture.clone(),
        expect: probe.expect.clone(),
        show: Vec::new(),
        tolerate: probe.tolerate.clone(),
        on_failure: None,
        required: false,
        change: Some(Change {
            preview: None,
            verify: probe.verify.clone(),
            undo: None,
            irreversible: None,
            temporary: None::<Temporary>,
            idempotent: false,
            ..change.clone()
        }),
        ..step.clone()
    }
}
