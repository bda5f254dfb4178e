//! Taking back the changes of a run that has ended.
//!
//! The record of that run is walked through as for a resume, without a word and without an act; each change gives what
//! it takes to go back, with the values that it had. Then the changes are taken back, the last one first, each behind
//! its own gate and with its own verify. That is a run of its own with a record of its own.

use super::attempt::{Gone, Stands, Task};
use super::body::{At, Scene};
use super::change::Unit;
use super::message::{Halt, Message, StepEnd};
use super::past::{Past, Round};
use super::undo_part::UndoPart;
use crate::event::{EvidenceRef, Outcome};
use crate::expr::{Place, Value};
use crate::plan::{Act, StepScope, restore_of};
use crate::runbook::{Action, Change, Probe, Step, StepBody, Temporary, Undo};
use indexmap::IndexMap;
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
    /// Reads what that run kept as evidence: the bytes of files from before its changes. Without it no file is restored.
    pub kept: Option<ReadKept>,
}

/// Reads kept evidence back, all of it; or says why it cannot, as a fragment that fits after a colon.
pub type ReadKept = Arc<dyn Fn(&EvidenceRef) -> Result<Vec<u8>, String> + Send + Sync>;

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
    /// What is performed, where that is not the action of the step.
    parts: Vec<UndoPart>,
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
        let Some(back) = self.back(step, change, scope, round).transpose() else { return };
        let undoable = Undoable {
            scene: self.scene.clone(),
            at: self.at,
            path: unit.path.clone(),
            title,
            seq: past.seq.max(round.first),
            until: past.until,
            back,
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
                self.take_back_now(&step, action).await
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
        let stands = Stands { path: format!("{path}/undo"), scope: self.scope, parts: self.parts };
        (Task { stands: Some(Box::new(stands)), ..task }, self.step)
    }
}

impl Task {
    /// How a change is taken back, or why it cannot be; nothing when there is nothing to take back.
    fn back(&self, step: &Step, change: &Change, scope: StepScope, round: &Round) -> Result<Option<Back>, String> {
        if let Some(why) = &change.irreversible {
            let why = why.render(&scope, Place::Plain);
            let written = || change.irreversible.as_ref().map_or_else(String::new, |why| why.source_text().to_owned());
            let why = why.map_or_else(|_| written(), |why| why.to_string());
            return Err(format!("it cannot be undone: {why}"));
        }
        match (&change.undo, step.action()) {
            (Some(Undo::Act(probe)), _) => {
                Ok(Some(Back { step: Arc::new(undo_step(step, change, probe)), scope, parts: Vec::new() }))
            }
            (Some(undo), _) => {
                let parts = UndoPart::all(undo, &self.scene.resolver, &scope);
                let missing =
                    |part: &UndoPart| Some(format!("step `{}`: {}", part.id.as_deref()?, part.act.as_ref().err()?));
                if let Some(why) = parts.iter().find_map(missing) {
                    return Err(format!("its undo cannot be performed, {why}"));
                }
                let Some(first) = parts.first() else { return Ok(None) };
                let probe = Probe { verify: None, ..Probe::clone(&first.probe) };
                Ok(Some(Back { step: Arc::new(undo_step(step, change, &probe)), scope, parts }))
            }
            (None, Some(action @ (Action::Edit(_) | Action::Write(_)))) => {
                let Some(act) = self.restoring(step, action, &scope, round)? else { return Ok(None) };
                let probe = restoring_probe(step, action);
                let step = undo_step(step, change, &probe);
                Ok(Some(Back { step: Arc::new(step), scope, parts: vec![UndoPart::of_act(act, probe)] }))
            }
            (None, Some(Action::Manual(_) | Action::Interactive(_) | Action::Ask(_))) => {
                Err("it was done by hand, and its runbook says no `undo`".to_owned())
            }
            (None, _) => Err("its runbook says neither how to undo it nor why not".to_owned()),
        }
    }

    /// The act that puts the old bytes of a file back; nothing when the file was not changed.
    fn restoring(&self, step: &Step, action: &Action, scope: &StepScope, round: &Round) -> Result<Option<Act>, String> {
        let Some((fields, before)) = file_change(round)? else { return Ok(None) };
        let act = self.scene.resolver.act(action, step.target.as_ref(), true, scope);
        let act = act.map_err(|refusal| refusal.message)?.ok_or("it is no act")?;
        let before = match (before, &self.shared.kept) {
            (Some(kept), Some(read)) => {
                Some(read(&kept).map_err(|why| format!("what was kept of the file cannot be read: {why}"))?)
            }
            _ => None,
        };
        restore_of(&act, &fields, before)
    }

    /// Whether a file is put back: the file itself says whether that was done, so it is simply done again.
    pub(super) fn is_restoring(&self) -> bool {
        let mut parts = self.stands.iter().flat_map(|stands| &stands.parts);
        parts.any(|part| matches!(part.act, Ok(Act::Restore(_))))
    }

    /// Takes a change back now. A list of acts has one gate for all of them.
    async fn take_back_now(&self, step: &Arc<Step>, action: &Action) -> Result<StepEnd, Gone> {
        let parts = self.stands.as_ref().map_or(&[][..], |stands| &stands.parts);
        let is_list = parts.iter().any(|part| part.id.is_some());
        let (true, Some(change)) = (is_list, &step.change) else { return self.change(step, action).await };
        let units = [self.only_unit(self.scope())];
        let before = self.done_before(step, action, change, &units).await?;
        let permit = match self.permit(true).await {
            Ok(permit) => permit,
            Err(Halt::Blocked(reason)) => return Ok(StepEnd::blocked(reason)),
            Err(Halt::Ending) => return Ok(StepEnd::because(Outcome::Cancelled, "the run is ending")),
        };
        if let Err(end) = self.pass_gate(step, action, change, &units, &before).await? {
            return Ok(end);
        }
        let end = self.perform_undo(&self.path(), parts, &units[0].scope, &self.round).await;
        drop(permit);
        end
    }
}

/// What an `edit` or `write` did to its file in all its attempts, and the evidence of the bytes from before; nothing when
/// it changed nothing.
type FileChange = (IndexMap<String, Value>, Option<EvidenceRef>);

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
                let before = ended.evidence.iter().find(|kept| kept.stream == "before").cloned();
                let mut fields = ended.fields.clone();
                // What was there before the first attempt comes back.
                let before = match made.take() {
                    None => before,
                    Some((first, before)) => {
                        let names = ["created", "before_sha256"];
                        fields.extend(
                            names
                                .iter()
                                .filter_map(|name| first.get_key_value(*name))
                                .map(|(k, v)| (k.clone(), v.clone())),
                        );
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

/// The part of a step that a restore has: its action for people, and nothing to look at.
fn restoring_probe(step: &Step, action: &Action) -> Probe {
    Probe {
        span: step.span,
        action: action.clone(),
        target: step.target.clone(),
        capture: IndexMap::new(),
        expect: Vec::new(),
        within: None,
        every: None,
        timeout: step.timeout.clone(),
        tolerate: Vec::new(),
        verify: None,
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
