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
use crate::expr::{Place, Template, Value};
use crate::plan::{Act, StepScope, restore_of};
use crate::runbook::{Action, Change, Kind, Probe, Step, StepBody, Undo, UndoAct};
use indexmap::IndexMap;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The undo of a run; beside it, [`super::Setup::past`] is the past of the run whose changes are taken back.
#[derive(Default)]
pub struct UndoOf {
    /// What an earlier process did of the undo itself: it is taken up again.
    pub past: Option<Past>,
    /// What earlier runs have taken back, by the paths of the undos ([`Past::drop_undos`]).
    pub done: BTreeSet<String>,
}

/// A change that an earlier run made, or may have made.
pub(super) struct Undoable {
    pub(super) scene: Arc<Scene>,
    pub(super) at: At,
    /// The path of the undo.
    pub(super) path: String,
    pub(super) title: String,
    /// The number of the record of its end: the order in which changes were made.
    pub(super) seq: u64,
    /// When it ends by itself.
    pub(super) until: Option<Timestamp>,
    /// What is performed, or why there is nothing.
    pub(super) way: Way,
}

/// How a change is taken back, if it is.
pub(super) enum Way {
    /// By this.
    Back(Box<Back>),
    /// Not at all, because of this: it remains.
    Not(String),
    /// It is meant to stay, for this reason.
    Kept(String),
}

/// What takes a change back.
pub(super) struct Back {
    step: Arc<Step>,
    scope: StepScope,
    /// The act itself, where it is not the step's action that is performed.
    act: Option<Act>,
}

/// One of the acts that take a change back.
struct Part {
    path: String,
    title: Option<String>,
    way: Way,
}

impl Undoable {
    /// The change in words, for a list of what remains.
    pub(super) fn text(&self) -> String {
        let path = self.path.split_once("/undo").map_or(self.path.as_str(), |(path, _)| path);
        format!("{path}: {}", self.title)
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
        let title = people(&step.title, &scope);
        // What is done last is told first: they are taken from the end.
        for Part { path, title: own_title, way } in self.parts(step, change, unit, round, &scope).into_iter().rev() {
            let title = own_title.map_or_else(|| title.clone(), |own| format!("{title}: {own}"));
            let (scene, at) = (self.scene.clone(), self.at);
            let undoable = Undoable { scene, at, path, title, seq: past.seq, until: past.until, way };
            self.bus.send(Message::Undoable(Box::new(undoable))).ok();
        }
    }

    /// The acts that take a change back, in order; or why there is none.
    fn parts(&self, step: &Step, change: &Change, unit: &Unit, round: &Round, scope: &StepScope) -> Vec<Part> {
        let path = format!("{}/undo", unit.path);
        if let Some(undo) = &change.undo {
            let is_one = matches!(undo, Undo::Act(_));
            let part = |act: UndoAct| {
                let way = match act.work.probe() {
                    Some(probe) => {
                        let step = Arc::new(undo_step(step, change, &act, probe));
                        Some(Way::Back(Box::new(Back { step, scope: scope.clone(), act: None })))
                    }
                    None => self.file_back(step, change, unit, round, scope),
                }?;
                let title = act.title.as_ref().map(|title| people(title, scope));
                let title = title.or_else(|| (!is_one).then(|| "the file as it was before".to_owned()));
                Some(Part { path: if is_one { path.clone() } else { format!("{path}/{}", act.id) }, title, way })
            };
            return undo.acts().into_iter().filter_map(part).collect();
        }
        let way = match (&change.irreversible, &change.keep, step.action()) {
            (Some(why), ..) => Way::Not(format!("it cannot be undone: {}", people(why, scope))),
            (None, Some(why), _) => Way::Kept(format!("it is kept: {}", people(why, scope))),
            (None, None, Some(Action::Edit(_) | Action::Write(_))) => {
                match self.file_back(step, change, unit, round, scope) {
                    Some(way) => way,
                    None => return Vec::new(),
                }
            }
            (None, None, Some(Action::Manual(_) | Action::Interactive(_) | Action::Ask(_))) => {
                Way::Not("it was done by hand, and its runbook says no `undo`".to_owned())
            }
            _ => Way::Not("its runbook says neither how to undo it nor why not".to_owned()),
        };
        vec![Part { path, title: None, way }]
    }

    /// How the file of an `edit` or `write` gets its bytes back; nothing when it was not changed.
    fn file_back(&self, step: &Step, change: &Change, unit: &Unit, round: &Round, scope: &StepScope) -> Option<Way> {
        match self.restore(step, step.action()?, unit, round) {
            Ok(act) => {
                let step = Arc::new(restore_step(step, change));
                Some(Way::Back(Box::new(Back { step, scope: scope.clone(), act: Some(act?) })))
            }
            Err(reason) => Some(Way::Not(reason)),
        }
    }

    /// The act that brings a file back to the byte; nothing when it was not changed.
    fn restore(&self, step: &Step, action: &Action, unit: &Unit, round: &Round) -> Result<Option<Act>, String> {
        let act = self.scene.resolver.act(action, step.target.as_ref(), true, &unit.scope);
        let act = act.map_err(|refusal| refusal.message)?.ok_or("this is not an act")?;
        let Some((fields, before)) = file_change(round)? else { return Ok(None) };
        restore_of(&act, &fields, before)
    }

    /// Whether a file is put back: the file itself says whether that was done, so it is simply done again.
    pub(super) fn is_restoring(&self) -> bool {
        self.stands.as_ref().is_some_and(|stands| matches!(stands.act, Some(Act::Restore(_))))
    }

    /// Takes one change back, behind its gate.
    pub(super) async fn take_one_back(mut self, step: Arc<Step>) {
        self.round = self.shared.take_past(&self.path());
        let end = match (self.round.step_end(), &step.body) {
            (Some(end), _) => Ok(end),
            (None, StepBody::Action(action)) if step.change.is_some() => self.change(&step, action).await,
            (None, StepBody::Action(action)) => self.read_unit(&step, action, self.scope(), &self.path()).await,
            (None, _) => Ok(StepEnd::new(Outcome::Failed)),
        };
        let end = end.unwrap_or_else(|_| StepEnd::because(Outcome::Cancelled, "the run went on without it"));
        self.bus.send(Message::Ended { at: self.at, end: Box::new(end) }).ok();
    }
}

/// The result fields of a change of a file, and the bytes from before.
type FileChange = (IndexMap<String, Value>, Option<Vec<u8>>);

/// What an `edit` or `write` did to its file in all its attempts; nothing when it changed nothing.
fn file_change(round: &Round) -> Result<Option<FileChange>, String> {
    let (mut made, mut is_unclear): (Option<FileChange>, bool) = (None, false);
    for attempt in round.attempts.iter().filter(|attempt| attempt.change) {
        let Some(ended) = &attempt.ended else {
            is_unclear = true;
            continue;
        };
        // The file is then as it was.
        if matches!(ended.outcome, Outcome::Failed | Outcome::Cancelled) {
            continue;
        }
        match ended.fields.get("changed").map(|changed| bool::try_from(changed.clone())) {
            Some(Ok(true)) => {
                let mut fields = ended.fields.clone();
                // What was there before the first attempt comes back.
                let before = match made.take() {
                    None => ended.before.clone(),
                    Some((first, before)) => {
                        for name in ["created", "before_sha256"] {
                            fields.extend(first.get(name).map(|value| (name.to_owned(), value.clone())));
                        }
                        before
                    }
                };
                made = Some((fields, before));
                // Had an attempt before it done the same, there would have been nothing left to change.
                is_unclear = false;
            }
            Some(Ok(false)) => {}
            _ => is_unclear = true,
        }
    }
    if is_unclear {
        return Err("the end of an attempt at it was not seen, so what was in the file before is not known".to_owned());
    }
    Ok(made)
}

impl Back {
    /// The step that takes the change back, and the task that performs it.
    pub(super) fn task(self, task: Task, path: &str, title: String) -> (Task, Arc<Step>) {
        let stands = Stands { path: path.to_owned(), title, scope: self.scope, act: self.act };
        (Task { stands: Some(Box::new(stands)), ..task }, self.step)
    }
}

/// A text for people.
fn people(template: &Template, scope: &StepScope) -> String {
    template.render(scope, Place::Plain).map_or_else(|_| template.source_text().to_owned(), |text| text.to_string())
}

/// The step that brings a file back: it has the risk and the gate of the change, and nothing to capture.
fn restore_step(step: &Step, change: &Change) -> Step {
    let own = Change { preview: None, verify: None, undo: None, temporary: None, idempotent: false, ..change.clone() };
    let (capture, expect, show) = (indexmap::IndexMap::new(), Vec::new(), Vec::new());
    let bare = Step { each: None, when: None, retry: None, on_failure: None, warning: None, ..step.clone() };
    Step { capture, expect, show, required: false, change: Some(own), ..bare }
}

/// An undo as a change: with the risk and the gate of the change that it takes back, and a verify of its own.
fn undo_step(step: &Step, change: &Change, act: &UndoAct, probe: &Probe) -> Step {
    let own = Change {
        preview: None,
        verify: probe.verify.clone(),
        undo: None,
        irreversible: None,
        temporary: None,
        idempotent: false,
        ..change.clone()
    };
    Step {
        kind: if act.change { step.kind } else { Kind::Diagnose },
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
        change: act.change.then_some(own),
        ..step.clone()
    }
}
