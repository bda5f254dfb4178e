//! What an earlier process did of a step: ends are given back, what has no end goes on from where it stood.

use super::attempt::{Gone, Task};
use super::change::Unit;
use super::message::{Message, StepEnd};
use super::past::{PastAttempt, Round};
use super::port::{Answer, PromptKind};
use super::step::{By, ended, unexpected};
use crate::event::{ErrorClass, Event, Outcome, Settlement, StepVerdict};
use crate::runbook::{Action, Change, Step, StepBody};
use std::sync::Arc;
use std::time::Duration;

/// The attempts at a read that were made before.
pub(super) struct Before {
    /// How many.
    pub(super) made: u32,
    /// How many of them have no end: they count for nothing.
    pub(super) unseen: u32,
    /// How long ago the first one was started.
    pub(super) spent: Duration,
}

impl Task {
    /// The end of this step as the record has it. What it holds has ends of its own and is walked through.
    pub(super) fn ended_before(&self, step: &Arc<Step>) -> Option<StepEnd> {
        let end = self.round.step_end()?;
        let is_walked = match &step.body {
            StepBody::Group(_) if step.each.is_some() => self.has_items_before(),
            StepBody::Group(_) => end.outcome != Outcome::Skipped && self.has_begun_inside(),
            StepBody::Decide(_) => self.round.chosen.is_some(),
            StepBody::Action(Action::Runbook(_)) => self.round.is_called,
            StepBody::Action(_) => step.each.is_some() && self.round.items.is_some(),
        };
        if is_walked {
            return None;
        }
        if let Some(change) = &step.change {
            let unit = self.only_unit(self.scope());
            self.spend(&self.round);
            self.remember(change, &unit, &end);
            self.tell_undoable(step, change, &unit, &end, &self.round);
        }
        Some(end)
    }

    /// Whether this step had begun: whether it is performed at all is settled.
    pub(super) fn has_begun(&self, step: &Step) -> bool {
        let is_group = matches!(step.body, StepBody::Group(_)) && step.each.is_none();
        self.round.wanted || if is_group { self.has_begun_inside() } else { !self.round.is_empty() }
    }

    /// Whether the record tells of an item of this loop.
    pub(super) fn has_items_before(&self) -> bool {
        self.round.items.is_some() && self.past().first_item(&self.path()).is_some()
    }

    fn has_begun_inside(&self) -> bool {
        let graph = &self.scene.graph;
        let past = self.past();
        let inside = graph.ids().filter(|&id| graph.holders(id).any(|holder| holder == self.at.node));
        inside.into_iter().any(|id| past.peek(&self.scene.path(id)).is_some())
    }

    pub(super) fn past(&self) -> std::sync::MutexGuard<'_, super::past::Past> {
        self.shared.past.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Attempts at a change that were made before count against the limits.
    pub(super) fn spend(&self, round: &Round) {
        let last = self.past().last_change_ms;
        for _ in 0..round.changes() {
            self.take_change().ok();
        }
        if let Some(last) = last {
            self.change_was_over(self.shared.since(last));
        }
    }

    /// What was done of a read that goes on, or is performed once more.
    pub(super) fn attempts_before(&self, path: &str) -> Before {
        let count = |round: &Round| {
            let made = u32::try_from(round.attempts.len()).unwrap_or(u32::MAX);
            let unseen = round.attempts.iter().filter(|attempt| !counts(attempt)).count();
            let spent = round.attempts.first().map_or(Duration::ZERO, |first| self.shared.since(first.started_ms));
            Before { made, unseen: u32::try_from(unseen).unwrap_or(u32::MAX), spent }
        };
        if path == self.path() { count(&self.round) } else { count(&self.shared.take_past(path)) }
    }

    /// Waits, less the time that has gone by since an earlier process began to.
    pub(super) async fn wait(&self, duration: Duration) -> bool {
        let spent = if let Some((began, _)) = self.round.paused {
            self.shared.since(began)
        } else {
            self.tell_pause(&self.path(), duration, "`wait`".to_owned());
            Duration::ZERO
        };
        self.sleep(duration.saturating_sub(spent)).await
    }

    /// Settles the attempt at a change whose end was not seen, or whose verify was not. Nothing when it is to be made
    /// again, behind its gate.
    pub(super) async fn settle_unseen(
        &self,
        step: &Arc<Step>,
        action: &Action,
        change: &Change,
        unit: &Unit,
        round: &Round,
    ) -> Result<Option<StepEnd>, Gone> {
        let Some(attempt) = round.unsettled() else { return Ok(None) };
        self.spend(round);
        if self.is_restoring() {
            return Ok(None);
        }
        let mut end = self.as_attempted(step, unit, attempt);
        end = self.ready(action, unit, end).await?;
        end = self.verified(change, unit, end).await?;
        let unknown = end.outcome == Outcome::Unknown;
        if unknown && change.idempotent && end.verdict == Some(StepVerdict::DoesNotHold) && !self.shared.is_ending {
            return Ok(None);
        }
        if unknown && !self.shared.is_ending {
            let Some(settled) = self.ask_what_became(&unit.path, attempt, end).await? else { return Ok(None) };
            end = settled;
        }
        self.change_over();
        self.remember(change, unit, &end);
        Ok(Some(end))
    }

    /// The attempt as the step's end would have been right after it.
    pub(super) fn as_attempted(&self, step: &Arc<Step>, unit: &Unit, attempt: &PastAttempt) -> StepEnd {
        let mut end = match attempt.ended.clone() {
            Some(past) => {
                let tolerated =
                    past.error.as_ref().is_some_and(|error| super::attempt::tolerates(&step.tolerate, error));
                self.conclude(step, ended(past.into(), tolerated, attempt.number), unit.scope.clone())
            }
            None => StepEnd {
                error: Some(ErrorClass::Cancelled),
                ..StepEnd::because(Outcome::Unknown, "its end was not seen")
            },
        };
        end.attempts = attempt.number;
        end.changed = true;
        end
    }

    /// Asks a person what became of a change. Nothing when it is to be made again.
    pub(super) async fn ask_what_became(
        &self,
        path: &str,
        attempt: &PastAttempt,
        mut end: StepEnd,
    ) -> Result<Option<StepEnd>, Gone> {
        let mut known = vec![match &attempt.ended {
            None => format!("it was started {} and its end was not seen", moment(attempt.started)),
            Some(_) => format!("it was started {} and its outcome is unknown", moment(attempt.started)),
        }];
        known.push(match (&end.verdict, end.checks.is_empty()) {
            (_, true) => "it has no `verify` that could settle it".to_owned(),
            (Some(StepVerdict::DoesNotHold), _) => {
                "its `verify` does not hold now; it may still take effect".to_owned()
            }
            _ => "its `verify` cannot tell".to_owned(),
        });
        known.extend(end.reason.clone());
        let kind = PromptKind::Settle { act: attempt.act.text.clone(), known };
        let (answer, by) = self.ask(kind).await?;
        let (settlement, reason) = match answer {
            Answer::Settled { settlement, reason } => (settlement, reason),
            other => return Ok(Some(StepEnd { outcome: Outcome::Unknown, changed: true, ..unexpected(&other) })),
        };
        let By { name, actor, door } = by;
        self.note_as(actor, path, None, Event::Settled { settlement, reason: reason.clone(), door });
        end.error = None;
        (end.outcome, end.reason) = match settlement {
            Settlement::Done => (Outcome::Succeeded, Some(format!("{name} says that it was done: {reason}"))),
            Settlement::NotDone => (Outcome::Failed, Some(format!("{name} says that it was not done: {reason}"))),
            Settlement::Retry => return Ok(None),
        };
        Ok(Some(end))
    }

    /// What became of a change is settled: others may start.
    pub(super) fn settled(&self) {
        self.bus.send(Message::Known { at: self.at }).ok();
    }
}

/// Whether an attempt was seen to its end.
fn counts(attempt: &PastAttempt) -> bool {
    attempt.ended.as_ref().is_some_and(|ended| ended.outcome != Outcome::Cancelled)
}

fn moment(time: jiff::Timestamp) -> String {
    time.strftime("at %Y-%m-%d %H:%M:%S UTC").to_string()
}
