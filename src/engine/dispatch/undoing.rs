//! The dispatcher's side of an undo: what is taken back next, and what remains.

use super::super::body::{At, Body, BodyId, Scene};
use super::super::message::StepEnd;
use super::super::port::Cancel;
use super::super::result::{RunEnd, RunState};
use super::super::undo::{UndoOf, Undoable, Way};
use super::Dispatcher;
use crate::engine::StoreError;
use crate::event::{Event, Outcome, RunResult, StepPath, StepVerdict};
use crate::runbook::Kind;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The changes of another run, on their way back.
pub(super) struct Undoing {
    /// What an earlier process did of this undo.
    own: Option<super::super::past::Past>,
    done_before: BTreeSet<String>,
    /// In the order in which they were made.
    changes: Vec<Undoable>,
    /// The one that is being taken back.
    current: Option<(BodyId, String)>,
    /// Whether what happens is the past of the other run, which is not told again.
    is_mute: bool,
    /// Whether that record was walked through.
    has_begun: bool,
    done: u32,
    remaining: Vec<String>,
    result: Option<RunResult>,
    reasons: Vec<String>,
    stopped: Option<String>,
}

impl Undoing {
    pub(super) fn new(undo: UndoOf) -> Self {
        Self {
            own: undo.past,
            done_before: undo.done,
            changes: Vec::new(),
            current: None,
            is_mute: false,
            has_begun: false,
            done: 0,
            remaining: Vec::new(),
            result: None,
            reasons: Vec::new(),
            stopped: None,
        }
    }

    /// Whether what happens is the past of the other run, which is not told again.
    pub(super) fn is_mute(&self) -> bool {
        self.is_mute
    }

    /// The run has told that it began.
    pub(super) fn mute(&mut self) {
        self.is_mute = true;
    }

    pub(super) fn is_over(&self) -> bool {
        self.has_begun && self.current.is_none() && self.changes.is_empty()
    }
}

impl Dispatcher {
    pub(super) fn undoable(&mut self, undoable: Undoable) {
        if let Some(undoing) = &mut self.undoing {
            undoing.changes.push(undoable);
        }
    }

    /// The record of the other run was walked through: now its changes are taken back.
    pub(super) fn begin_undo(&mut self) {
        self.walk = None;
        let now = self.now();
        let Some(undoing) = &mut self.undoing else { return };
        undoing.has_begun = true;
        undoing.is_mute = false;
        undoing.changes.sort_by_key(|change| change.seq);
        let done = std::mem::take(&mut undoing.done_before);
        let is_over = |change: &Undoable| change.until.is_some_and(|until| until <= now);
        undoing.changes.retain(|change| !done.contains(&change.path) && !is_over(change));
        let own = undoing.own.take();
        let mut past = self.past();
        *past = own.unwrap_or_default();
        drop(past);
        self.close_open_attempts();
        self.next_undo();
    }

    /// Begins with the last change that is left.
    fn next_undo(&mut self) {
        loop {
            let Some(undoing) = &mut self.undoing else { return };
            if let Some(why) = undoing.stopped.clone() {
                let left = std::mem::take(&mut undoing.changes);
                undoing.remaining.extend(left.iter().rev().map(|change| format!("{} ({why})", change.text())));
                return;
            }
            let Some(change) = undoing.changes.pop() else { return };
            let text = change.text();
            let Undoable { scene, at, path, title, way, .. } = change;
            let (reason, remains) = match way {
                Way::Back(back) => {
                    let at = self.open_for_undo(scene, at, &path);
                    if let Some(undoing) = &mut self.undoing {
                        undoing.current = Some((at.body, text));
                    }
                    let title = format!("Take back: {title}");
                    self.log_step(at, Event::StepStarted { title: title.clone() });
                    let (task, step) = back.task(self.task(at), &path, title);
                    tokio::spawn(task.take_one_back(step));
                    return;
                }
                Way::Not(reason) => (reason, true),
                Way::Kept(reason) => (reason, false),
            };
            undoing.remaining.extend(remains.then(|| format!("{text} ({reason})")));
            let event = Event::StepSkipped { reason, deviation: false, blocked: false, ending: false };
            self.push(Some(StepPath(path)), None, crate::event::Actor::Runwright, event);
        }
    }

    /// A body that holds nothing but one change being taken back.
    fn open_for_undo(&mut self, scene: Arc<Scene>, at: At, path: &str) -> At {
        let body = Body::for_undo(scene, path.to_owned(), Cancel::new());
        At { body: self.bodies.add(body), node: at.node }
    }

    /// Whether a step is a change being taken back.
    pub(super) fn is_undo(&self, at: At) -> bool {
        self.bodies[at.body].stands_for.is_some()
    }

    /// One change was taken back, or was not.
    pub(super) fn taken_back(&mut self, at: At, end: &StepEnd) {
        self.task_over(at);
        let step = self.bodies.node(at).step.clone();
        self.log_step(at, end.event(&step, false));
        self.bodies[at.body].is_open = false;
        let Some(undoing) = &mut self.undoing else { return };
        let Some((_, text)) = undoing.current.take() else { return };
        let why = end.reason.clone().or_else(|| end.error.as_ref().map(ToString::to_string));
        let failed_check = end.checks.iter().find(|check| check.verdict != StepVerdict::Holds);
        let why = why.or_else(|| failed_check.map(|check| format!("`{}` does not hold", check.expression)));
        let why = why.unwrap_or_else(|| super::super::change::outcome_word(end.outcome).to_owned());
        let is_well = end.outcome == Outcome::Succeeded && !end.is_failure();
        if is_well {
            undoing.done += u32::from(step.kind == Kind::Remediate && end.changed);
        } else {
            undoing.remaining.push(format!("{text} ({why})"));
        }
        // What was made before it may be needed by it: nothing further is taken back under it.
        match end.outcome {
            Outcome::Succeeded if is_well => {}
            Outcome::Skipped => {}
            Outcome::Declined => {
                undoing.result.get_or_insert(RunResult::Declined);
                undoing.stopped.get_or_insert_with(|| "a person said no to what comes after it".to_owned());
            }
            Outcome::Cancelled => {
                undoing.stopped.get_or_insert_with(|| "the undo was stopped before it".to_owned());
            }
            _ => {
                undoing.result = Some(RunResult::Failed);
                undoing.reasons.push(format!("{text} was not taken back: {why}"));
                undoing.stopped.get_or_insert_with(|| "what was made after it still stands".to_owned());
            }
        }
        self.next_undo();
    }

    /// The operator ends the undo: what is going on is stopped, the rest remains.
    pub(super) fn stop_undo(&mut self, reason: &str) {
        let Some(undoing) = &mut self.undoing else { return };
        undoing.result = Some(RunResult::Aborted);
        undoing.reasons.push(format!("aborted: {reason}"));
        undoing.stopped = Some("the undo was aborted before it".to_owned());
        let current = undoing.current.as_ref().map(|(body, _)| *body);
        if let Some(body) = current {
            self.bodies[body].cancel.cancel();
        }
        self.void_prompts_where("the run is ending", |_, _| true);
    }

    /// Writes the closing event of an undo.
    pub(super) fn close_undo(&mut self) -> Result<RunEnd, StoreError> {
        self.void_past_gates();
        let Some(undoing) = self.undoing.take() else { return Ok(self.end(RunState::Ended(RunResult::Failed))) };
        let Undoing { done, remaining, result, mut reasons, .. } = undoing;
        if !remaining.is_empty() && done > 0 {
            reasons.push(format!("partly undone: {} of {} remain", remaining.len(), remaining.len() + done as usize));
        }
        let by_rest = if remaining.is_empty() { RunResult::Completed } else { RunResult::NotResolved };
        let result = result.unwrap_or(by_rest);
        let event = Event::RunEnded {
            result,
            ran_to_end: result != RunResult::Aborted,
            reasons,
            holds: 0,
            validations: 0,
            changes: done,
            cleaned_up: Some(remaining.is_empty()),
            open_changes: remaining,
            waited_ms: u64::try_from(self.waited.before.as_millis()).unwrap_or(u64::MAX),
            outputs: indexmap::IndexMap::new(),
        };
        self.log(event);
        self.flush(true)?;
        self.head = self.store.close()?;
        Ok(self.end(RunState::Ended(result)))
    }
}
