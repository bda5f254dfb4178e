//! `limits`: how much a run of a runbook may change, how fast, and which share of a whole at once.
//!
//! What `finally` does is neither counted nor refused: clearing away must not stop half-way.

use super::attempt::Task;
use super::message::StepEnd;
use crate::event::{ErrorClass, Event};
use crate::expr::{self, Scope, Value, unknown_of};
use crate::graph::Section;
use crate::plan::StepScope;
use crate::runbook::{Runbook, Share, Step};
use jiff::SignedDuration;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What a runbook may change in one run, and what it has changed. A called runbook has one of its own.
pub(super) struct Budget {
    most: Option<u32>,
    spent: Mutex<Spent>,
}

#[derive(Clone, Copy, Default)]
struct Spent {
    changes: u32,
    /// When the last change ended, by the clock that goes on while the machine sleeps.
    last: Option<Duration>,
}

impl Budget {
    pub(super) fn new(runbook: &Runbook) -> Self {
        let most = runbook.limits.as_ref().and_then(|limits| limits.changes.as_ref());
        let most = most.map(|most| u32::try_from(most.value.max(0)).unwrap_or(u32::MAX));
        Self { most, spent: Mutex::default() }
    }

    fn spent(&self) -> Spent {
        *self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one change out of what is left.
    fn take(&self) -> Result<(), String> {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if self.most.is_some_and(|most| spent.changes >= most) {
            return Err(self.exhausted(spent.changes));
        }
        spent.changes += 1;
        Ok(())
    }

    fn exhausted(&self, changes: u32) -> String {
        let most = self.most.unwrap_or(u32::MAX);
        format!("`limits.changes` allows {most} in one run, and {changes} were made")
    }

    /// Whether so many changes are left, and how a card says which they are.
    fn room(&self, count: u32) -> Result<Option<String>, String> {
        let Some(most) = self.most else { return Ok(None) };
        let changes = self.spent().changes;
        let left = most.saturating_sub(changes);
        if left == 0 {
            return Err(self.exhausted(changes));
        }
        if count > left {
            return Err(format!("the list has {count} changes, and `limits.changes` leaves {left} of {most}"));
        }
        let first = changes + 1;
        Ok(Some(match count {
            1 => format!("act {first} of at most {most}"),
            _ => format!("acts {first} to {} of at most {most}", changes + count),
        }))
    }

    pub(super) fn ended(&self, now: Duration) {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner).last = Some(now);
    }
}

impl Task {
    fn is_limited(&self) -> bool {
        self.stands.is_none() && self.scene.graph.node(self.at.node).section == Section::Body
    }

    /// Whether so many changes of this step, for so many items, are within the limits; gives the words for its card.
    pub(super) fn within_limits(
        &self,
        step: &Step,
        changes: usize,
        items: usize,
        scope: &StepScope,
    ) -> Result<Option<String>, StepEnd> {
        if !self.is_limited() {
            return Ok(None);
        }
        let refused = |reason: String| StepEnd::failed(ErrorClass::BadValue, reason);
        let words = match u32::try_from(changes).unwrap_or(u32::MAX) {
            0 => None,
            changes => self.scene.budget.room(changes).map_err(refused)?,
        };
        let limits = self.scene.graph.runbook().limits.as_ref();
        let Some(share) = limits.and_then(|limits| limits.of.as_ref()).filter(|_| step.each.is_some()) else {
            return Ok(words);
        };
        let part = part_of(share, items, scope).map_err(refused)?;
        Ok(Some(words.map_or_else(|| part.clone(), |words| format!("{words}; {part}"))))
    }

    /// Takes one attempt at a change out of what is left.
    pub(super) fn take_change(&self) -> Result<(), String> {
        if self.is_limited() { self.scene.budget.take() } else { Ok(()) }
    }

    /// An attempt at a change is over: the pause before the next one begins.
    pub(super) fn change_over(&self) {
        self.scene.budget.ended(self.shared.clock.elapsed());
    }

    /// The same for one that ended so long ago, in an earlier process.
    pub(super) fn change_was_over(&self, ago: Duration) {
        self.scene.budget.ended(self.shared.clock.elapsed().saturating_sub(ago));
    }

    /// Waits until a change may start. False when the step was stopped meanwhile.
    pub(super) async fn breathe(&self, path: &str, scope: &StepScope) -> Result<bool, StepEnd> {
        let limits = self.scene.graph.runbook().limits.as_ref();
        let Some(pause) = limits.and_then(|limits| limits.pause.as_ref()).filter(|_| self.is_limited()) else {
            return Ok(true);
        };
        let pause = self
            .duration(Some(pause), scope, Duration::ZERO)
            .map_err(|reason| StepEnd::failed(ErrorClass::BadValue, format!("`limits.pause`: {reason}")))?;
        loop {
            let Some(last) = self.scene.budget.spent().last else { return Ok(true) };
            let left = (last + pause).saturating_sub(self.shared.clock.elapsed());
            if left.is_zero() {
                return Ok(true);
            }
            let pause = expr::Duration(SignedDuration::try_from(pause).unwrap_or_default());
            self.tell_pause(path, left, format!("`limits.pause` leaves {pause} between two changes"));
            if !self.sleep_before_attempt(left).await.unwrap_or(false) {
                return Ok(false);
            }
        }
    }

    /// Says on record and on the screen why nothing happens for a while.
    pub(super) fn tell_pause(&self, path: &str, length: Duration, reason: String) {
        let for_ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        self.note(path, None, Event::Paused { for_ms, reason });
    }
}

/// Whether a list is within its share of the whole; in words for the card.
fn part_of(share: &Share, count: usize, scope: &dyn Scope) -> Result<String, String> {
    let text = share.whole.text().trim();
    let value = share.whole.eval(scope).map_err(|error| format!("`limits.of.whole`: {}", error.message))?;
    if let Some(unknown) = unknown_of(&value) {
        return Err(format!("`limits.of.whole` is unknown, so the share cannot be told: {}", unknown.reason));
    }
    let whole =
        size(&value).ok_or_else(|| format!("`limits.of.whole` is no list and no number: `{text}` is {value}"))?;
    let percent = share.percent.value;
    let (part, most) = (f64::from(u32::try_from(count).unwrap_or(u32::MAX)), whole * percent / 100.0);
    if part > most + 1e-9 {
        return Err(format!("a list of {count} is more than {percent} % of {whole} (`limits.of`)"));
    }
    Ok(format!("{count} of {whole}, at most {percent} %"))
}

/// A count, or the length of a list.
fn size(value: &Value) -> Option<f64> {
    use minijinja::value::ValueKind;
    match value.kind() {
        ValueKind::Number => f64::try_from(value.clone()).ok().filter(|number| number.is_finite() && *number >= 0.0),
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => {
            value.len().and_then(|length| u32::try_from(length).ok()).map(f64::from)
        }
        _ => None,
    }
}
