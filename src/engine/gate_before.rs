//! A change that an earlier process began: what of it is done, and how its gate stands.

use super::approving::expired;
use super::attempt::{Gone, Task};
use super::change::{Unit, attempts_of};
use super::message::StepEnd;
use super::past::PastGate;
use super::settle::GOOD_FOR;
use super::tally::GateTally;
use crate::event::{CardView, Event, GateAnswer, Outcome};
use crate::plan::Act;
use crate::runbook::{Action, Change, Each, ItemFailure, Step};
use jiff::Timestamp;
use std::collections::VecDeque;
use std::sync::Arc;

/// What of a change, or of each item of its list, is done.
pub(super) struct DoneBefore {
    pub(super) ends: Vec<Option<StepEnd>>,
    /// Attempts that were made at each.
    made: Vec<u32>,
    /// Whether something is made once more that had been attempted: its approval is used up.
    is_used: bool,
    /// The gate that was passed, whose attempts go on.
    passed: Option<u32>,
}

/// The number of the next attempt.
#[derive(Clone, Copy)]
pub(super) struct FirstNumber {
    /// Attempts that were made.
    pub(super) made: u32,
    /// From where the allowed attempts are counted: an approval covers them once.
    pub(super) counted_from: u32,
}

impl DoneBefore {
    pub(super) fn first_number(&self, place: usize, gate: u32) -> FirstNumber {
        let made = self.made.get(place).copied().unwrap_or(0);
        let goes_on = self.passed == Some(gate);
        FirstNumber { made, counted_from: if goes_on { 0 } else { made } }
    }

    fn left(&self) -> impl Iterator<Item = usize> {
        self.ends.iter().enumerate().filter(|(_, end)| end.is_none()).map(|(place, _)| place)
    }

    /// The acts that are left, each with its place. The facts of a gate hold those of all items, or of those left.
    pub(super) fn waiting(&self, acts: Vec<Act>) -> VecDeque<(usize, Act)> {
        if acts.len() == self.ends.len() {
            let left = acts.into_iter().enumerate();
            return left.filter(|(place, _)| self.ends[*place].is_none()).collect();
        }
        self.left().zip(acts).collect()
    }

    /// Whether no further item is started after what came of the others.
    pub(super) fn stops(&self, each: &Each) -> bool {
        let ends = || self.ends.iter().flatten();
        let fails = each.on_item_failure == ItemFailure::Stop && ends().any(StepEnd::is_failure);
        fails || ends().any(|end| end.outcome == Outcome::Unknown)
    }
}

/// The gate of a change as the record leaves it.
pub(super) struct GateBefore {
    /// Which opening comes now.
    pub(super) number: u32,
    /// The opening on record that may still count: its digest, and whether it was passed.
    standing: Option<(String, bool)>,
    /// Whether only what is left is asked for.
    only_left: bool,
}

/// A gate's facts now, against those on record.
pub(super) enum Compared {
    /// It was passed with these very facts.
    Passed,
    /// It is open with these very facts.
    Open,
    /// Nothing on record counts.
    New,
    /// What is on record was about other facts.
    Moved,
}

impl GateBefore {
    /// The next opening, which nothing on record is about.
    pub(super) fn next(&self) -> Self {
        Self { number: self.number + 1, standing: None, only_left: true }
    }

    pub(super) fn compare(&self, digest: &str) -> Compared {
        match &self.standing {
            None => Compared::New,
            Some((standing, _)) if standing != digest => Compared::Moved,
            Some((_, true)) => Compared::Passed,
            Some((_, false)) => Compared::Open,
        }
    }

    /// What a new opening is about: what is left. The opening on record was about all.
    pub(super) fn units(&self, units: &[Unit], before: &DoneBefore) -> Option<Vec<Unit>> {
        let some_done = before.ends.iter().any(Option::is_some);
        (self.only_left && some_done).then(|| before.left().map(|place| units[place].clone()).collect())
    }
}

impl Task {
    /// What of this change an earlier process has done. What it left unsettled is settled now.
    pub(super) async fn done_before(
        &self,
        step: &Arc<Step>,
        action: &Action,
        change: &Change,
        units: &[Unit],
    ) -> Result<DoneBefore, Gone> {
        let gate = self.round.gate.as_ref().and_then(|gate| Some((gate.number, gate.passed?)));
        let passed = gate.map(|(number, _)| number);
        let mut before = DoneBefore { ends: Vec::new(), made: Vec::new(), is_used: false, passed };
        for unit in units {
            let round = match step.each {
                Some(_) => self.shared.take_past(&unit.path),
                None => self.round.clone(),
            };
            before.made.push(round.changes());
            let is_spent = round.changes_since(gate.map(|(_, passed)| passed)) >= attempts_of(step);
            let end = if let Some(end) = round.step_end().filter(|_| step.each.is_some()) {
                self.spend(&round);
                self.remember(change, unit, &end);
                self.tell_undoable(step, change, unit, &end, &round);
                Some(end)
            } else if let Some(failed) = round.failed().filter(|_| is_spent && step.background.is_none()) {
                // Only the end of its step is missing: what failed is not tried more often than it may be.
                self.spend(&round);
                let end = self.as_attempted(step, unit, failed);
                self.tell_item(step, unit, &end);
                Some(end)
            } else if let Some(attempt) = round.unsettled().filter(|_| step.background.is_none()) {
                let end = self.settle_unseen(step, action, change, unit, &round).await?;
                let goes_on = |end: &StepEnd| attempt.ended.is_some() && end.outcome == Outcome::Failed && !is_spent;
                before.is_used |= end.is_none();
                // A verify that does not hold is a failed attempt, and others are left.
                let end = end.filter(|end| !goes_on(end));
                if let Some(end) = &end {
                    self.tell_item(step, unit, end);
                }
                end
            } else {
                self.spend(&round);
                before.is_used |= step.background.is_some() && round.changes() > 0;
                None
            };
            before.ends.push(end);
        }
        self.settled();
        Ok(before)
    }

    fn tell_item(&self, step: &Step, unit: &Unit, end: &StepEnd) {
        if step.each.is_some() {
            self.note(&unit.path, None, end.event(step, false));
        }
    }

    /// The end of the step when nothing of it is left to be done.
    pub(super) fn nothing_left(&self, step: &Step, units: &[Unit], before: &DoneBefore) -> Option<StepEnd> {
        let Some(each) = &step.each else { return before.ends.first().cloned().flatten() };
        let is_over = self.round.end.is_some() || before.left().next().is_none() || before.stops(each);
        if !is_over {
            return None;
        }
        let results: Vec<_> =
            units.iter().zip(&before.ends).map(|(unit, end)| (unit.item.clone(), end.clone())).collect();
        Some(self.recorded_list(self.list_end(step, &results, true)))
    }

    /// The ends of the items of a read that have one.
    pub(super) fn reads_before(&self, units: &[Unit]) -> Vec<Option<StepEnd>> {
        let end = |unit: &Unit| {
            let has_ended = self.past().peek(&unit.path).is_some_and(|round| round.end.is_some());
            if has_ended { self.shared.take_past(&unit.path).step_end() } else { None }
        };
        units.iter().map(end).collect()
    }

    /// How the gate of this change stands.
    pub(super) fn gate_before(&self, before: &DoneBefore) -> GateBefore {
        let opening = self.opening_before();
        let is_passed = matches!(opening.standing, Some((_, true)));
        if is_passed && before.is_used { opening.next() } else { opening }
    }

    /// How the gate of this step stands, whatever of the step is done.
    pub(super) fn opening_before(&self) -> GateBefore {
        let Some(gate) = &self.round.gate else { return GateBefore { number: 1, standing: None, only_left: false } };
        let used_up = GateBefore { number: gate.number + 1, standing: None, only_left: true };
        match gate.passed {
            None if gate.is_answered => used_up,
            None => GateBefore { number: gate.number, standing: Some((gate.digest.clone(), false)), only_left: false },
            Some(passed) if !self.is_fresh(passed) || !self.is_in_window(gate) => used_up,
            Some(_) => {
                GateBefore { number: gate.number, standing: Some((gate.digest.clone(), true)), only_left: false }
            }
        }
    }

    /// What was passed in a window is not done outside it.
    fn is_in_window(&self, gate: &PastGate) -> bool {
        let now = self.shared.clock.now();
        gate.card.as_ref().is_none_or(|card| GateTally::new(&card.terms, now).is_open(now))
    }

    fn is_fresh(&self, passed: Timestamp) -> bool {
        self.shared.clock.now().duration_since(passed) <= GOOD_FOR
    }

    /// What moved since the card on record was shown, as far as that card tells.
    pub(super) fn moved_since(&self, now: &CardView) -> Vec<String> {
        let shown = self.round.gate.as_ref().and_then(|gate| gate.card.as_deref());
        let mut moved = vec!["the run was taken up, and the facts are not those of the card that was shown".to_owned()];
        moved.extend(shown.map(|shown| super::moved::cards(shown, now)).unwrap_or_default());
        moved
    }

    /// A gate that expired while nobody had the run: other facts do not open it again.
    pub(super) fn expired_before(&self, gate: &GateBefore) -> Option<StepEnd> {
        let Some((digest, false)) = &gate.standing else { return None };
        let now = self.shared.clock.now();
        self.past().tallies.get(&self.path()).filter(|tally| tally.is_over(now))?;
        self.past().gates.remove(&self.path());
        let answer = expired();
        let reason = answer.reason.clone().unwrap_or_default();
        let event = Event::GateAnswered { number: gate.number, digest: digest.clone(), answer };
        self.note(&self.path(), None, event);
        Some(StepEnd::because(Outcome::Declined, reason))
    }

    /// A gate that the record has open, and whose facts are others by now.
    pub(super) fn void_gate_before(&self, gate: &GateBefore) {
        if let Some((digest, false)) = &gate.standing {
            self.past().gates.remove(&self.path());
            let answer = GateAnswer::voided("its facts are others by now");
            let event = Event::GateAnswered { number: gate.number, digest: digest.clone(), answer };
            self.note(&self.path(), None, event);
        }
    }
}
