//! Lists: one act for each item, some at once, and what they come to together.

use super::attempt::{Gone, Task};
use super::change::{Unit, outcome_word};
use super::facts::Facts;
use super::gate_before::{DoneBefore, FirstNumber};
use super::message::StepEnd;
use crate::event::{ErrorClass, Outcome, StepVerdict};
use crate::expr::Value;
use crate::plan::Act;
use crate::runbook::{Action, Change, Each, ItemFailure, Kind, Step};
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

impl Task {
    #[expect(clippy::too_many_arguments, reason = "one caller, which has them all at hand")]
    pub(super) async fn change_list(
        &self,
        step: &Arc<Step>,
        action: &Action,
        change: &Change,
        each: &Each,
        units: &[Unit],
        facts: Facts,
        timeout: Duration,
        before: DoneBefore,
    ) -> Result<StepEnd, Gone> {
        let mut waiting = before.waiting(facts.acts);
        let mut running = FuturesUnordered::new();
        let mut pace = match Pace::of(self, each) {
            Ok(pace) => pace,
            Err(end) => return Ok(end),
        };
        pace.stopped = before.stops(each);
        if before.ends.iter().any(Option::is_some) {
            pace.breathe();
        }
        let firsts: Vec<_> = (0..units.len()).map(|place| before.first_number(place, facts.number)).collect();
        let mut results = before.ends;
        loop {
            pace.stopped |= self.cancel.is_cancelled() || self.shared.leaving.is_cancelled();
            let may_start = !pace.stopped && running.len() < each.at_once && !waiting.is_empty();
            if may_start
                && pace.is_due()
                && let Some((place, act)) = waiting.pop_front()
            {
                let unit = &units[place];
                running.push(self.change_item(step, action, change, (place, unit), act, timeout, firsts[place]));
                pace.breathe();
                continue;
            }
            if !may_start && running.is_empty() {
                break;
            }
            let alone = running.is_empty();
            let ended = tokio::select! {
                Some(ended) = running.next() => ended,
                () = pace.wait(self, alone), if may_start => continue,
            };
            let (place, end) = ended;
            // The others are not dropped: each ends by itself.
            let Ok(end) = end else {
                pace.is_gone = true;
                pace.stopped = true;
                continue;
            };
            self.item_ended(step, &units[place], &end);
            pace.stopped |= end.is_failure() && each.on_item_failure == ItemFailure::Stop;
            pace.stopped |= end.outcome == Outcome::Unknown;
            pace.breathe();
            results[place] = Some(end);
        }
        if pace.is_gone || !waiting.is_empty() && self.shared.leaving.is_cancelled() {
            return Err(Gone);
        }
        let results: Vec<_> = units.iter().zip(results).map(|(unit, end)| (unit.item.clone(), end)).collect();
        Ok(self.list_end(step, &results, true))
    }

    #[expect(clippy::too_many_arguments, reason = "one caller, which has them all at hand")]
    async fn change_item(
        &self,
        step: &Arc<Step>,
        action: &Action,
        change: &Change,
        (place, unit): (usize, &Unit),
        act: Act,
        timeout: Duration,
        first: FirstNumber,
    ) -> (usize, Result<StepEnd, Gone>) {
        (place, self.change_unit(step, action, change, unit, Some(act), timeout, first).await)
    }

    pub(super) async fn read_list(&self, step: &Arc<Step>, action: &Action) -> Result<StepEnd, Gone> {
        let Some(each) = &step.each else { return Ok(StepEnd::new(Outcome::Failed)) };
        let units = match self.units(step) {
            Ok(units) => units,
            Err(end) => return Ok(end),
        };
        let mut running = FuturesUnordered::new();
        let mut results = self.reads_before(&units);
        let mut waiting: VecDeque<usize> = (0..units.len()).filter(|place| results[*place].is_none()).collect();
        let mut pace = match Pace::of(self, each) {
            Ok(pace) => pace,
            Err(end) => return Ok(end),
        };
        if results.iter().any(Option::is_some) {
            pace.breathe();
        }
        let has_failed = results.iter().flatten().any(StepEnd::is_failure);
        pace.stopped = self.round.end.is_some() || has_failed && each.on_item_failure == ItemFailure::Stop;
        loop {
            pace.stopped |= self.cancel.is_cancelled() || self.shared.leaving.is_cancelled();
            let may_start = !pace.stopped && running.len() < each.at_once && !waiting.is_empty();
            if may_start
                && pace.is_due()
                && let Some(place) = waiting.pop_front()
            {
                let unit = &units[place];
                running
                    .push(async move { (place, self.read_unit(step, action, unit.scope.clone(), &unit.path).await) });
                pace.breathe();
                continue;
            }
            if !may_start && running.is_empty() {
                break;
            }
            let alone = running.is_empty();
            let ended = tokio::select! {
                Some(ended) = running.next() => ended,
                () = pace.wait(self, alone), if may_start => continue,
            };
            let (place, end) = ended;
            // The others are not dropped: each ends by itself.
            let Ok(end) = end else {
                pace.is_gone = true;
                pace.stopped = true;
                continue;
            };
            self.item_ended(step, &units[place], &end);
            pace.stopped |= end.is_failure() && each.on_item_failure == ItemFailure::Stop;
            pace.breathe();
            results[place] = Some(end);
        }
        if pace.is_gone || !waiting.is_empty() && self.shared.leaving.is_cancelled() {
            return Err(Gone);
        }
        let results: Vec<_> = units.iter().zip(results).map(|(unit, end)| (unit.item.clone(), end)).collect();
        Ok(self.recorded_list(self.list_end(step, &results, false)))
    }

    /// The outcome of a list that has ended before is the one on record; what the record has not are the rows of its
    /// results.
    pub(super) fn recorded_list(&self, end: StepEnd) -> StepEnd {
        match self.round.step_end() {
            Some(past) => StepEnd { values: end.values, ..past },
            None => end,
        }
    }

    fn item_ended(&self, step: &Step, unit: &Unit, end: &StepEnd) {
        self.note(&unit.path, None, end.event(step, false));
    }

    /// A list as one step: its outcome and `results`.
    pub(super) fn list_end(&self, step: &Step, results: &[(Option<Value>, Option<StepEnd>)], change: bool) -> StepEnd {
        let total = results.len();
        let failed = results.iter().flatten_ends().filter(|end| end.is_failure()).count();
        let undone = results.iter().filter(|(_, end)| end.is_none()).count();
        let is_unknown = results.iter().flatten_ends().any(|end| end.outcome == Outcome::Unknown);
        let policy = step.each.as_ref().map_or(ItemFailure::Stop, |each| each.on_item_failure);
        let within = matches!(policy, ItemFailure::AtMost(most) if failed <= most);
        let outcome = if is_unknown {
            Outcome::Unknown
        } else if (failed > 0 && !within) || undone > 0 {
            Outcome::Failed
        } else {
            Outcome::Succeeded
        };
        let mut end = StepEnd::new(outcome);
        if step.kind == Kind::Validate {
            end.verdict = Some(list_verdict(results, within));
        }
        if failed > 0 || undone > 0 {
            let first = results.iter().flatten_ends().find(|end| end.is_failure()).and_then(|end| end.reason.clone());
            let first = first.map_or_else(String::new, |reason| format!("; the first: {reason}"));
            end.reason = Some(format!("{failed} of {total} items failed, {undone} were not started{first}"));
        }
        let rows = results.iter().map(|(item, end)| {
            let word = end.as_ref().map_or("skipped", |end| outcome_word(end.outcome));
            let error = end
                .as_ref()
                .and_then(|end| end.error.as_ref())
                .map_or(Value::from(()), |error| Value::from(error.to_string()));
            let kept = end.as_ref().map(|end| end.captures.clone()).unwrap_or_default();
            Value::from_pairs([
                ("item".to_owned(), item.clone().unwrap_or_default()),
                ("outcome".to_owned(), Value::from(word)),
                ("error".to_owned(), error),
                ("captures".to_owned(), Value::from_pairs(kept)),
            ])
        });
        end.values.insert("results".into(), Value::from(rows.collect::<Vec<_>>()));
        let items = results.iter().map(|(item, _)| item.clone().unwrap_or_default()).collect::<Vec<_>>();
        end.values.insert("items".into(), Value::from(items));
        end.attempts = u32::try_from(total - undone).unwrap_or(u32::MAX);
        end.changed = change && end.attempts > 0;
        end.shown = Vec::new();
        end
    }
}

/// What a checklist says: it holds when every item does, but for as many as may fail.
fn list_verdict(results: &[(Option<Value>, Option<StepEnd>)], within: bool) -> StepVerdict {
    let says = |verdict| results.iter().flatten_ends().any(|end| end.verdict == Some(verdict));
    if within || results.iter().all(|(_, end)| end.as_ref().is_some_and(|end| end.verdict == Some(StepVerdict::Holds)))
    {
        StepVerdict::Holds
    } else if says(StepVerdict::DoesNotHold) {
        StepVerdict::DoesNotHold
    } else {
        StepVerdict::CannotTell
    }
}

/// When the next item of a list may start.
struct Pace {
    pause: Duration,
    not_before: Instant,
    /// Whether no further item is started.
    stopped: bool,
    /// Whether an item was given up because the run is left: the list has no end then.
    is_gone: bool,
}

impl Pace {
    fn of(task: &Task, each: &Each) -> Result<Self, StepEnd> {
        let pause = task.duration(each.pause.as_ref(), &task.scope(), Duration::ZERO);
        let pause = pause.map_err(|reason| StepEnd::failed(ErrorClass::BadValue, format!("`pause`: {reason}")))?;
        Ok(Self { pause, not_before: Instant::now(), stopped: false, is_gone: false })
    }

    fn is_due(&self) -> bool {
        Instant::now() >= self.not_before
    }

    /// An item has started or ended.
    fn breathe(&mut self) {
        self.not_before = Instant::now() + self.pause;
    }

    /// Waits until the next item is due, or the step is stopped. Where nothing else goes on, that is told.
    async fn wait(&self, task: &Task, alone: bool) {
        if alone {
            let left = self.not_before.saturating_duration_since(Instant::now());
            task.tell_pause(&task.path(), left, "`pause` before the next item".to_owned());
        }
        tokio::select! {
            () = tokio::time::sleep_until(self.not_before) => {}
            () = task.cancel.cancelled() => {}
            () = task.shared.leaving.cancelled() => {}
        }
    }
}

/// The ends of the items that were started.
trait FlattenEnds<'a> {
    fn flatten_ends(self) -> impl Iterator<Item = &'a StepEnd>;
}

impl<'a, I: Iterator<Item = &'a (Option<Value>, Option<StepEnd>)>> FlattenEnds<'a> for I {
    fn flatten_ends(self) -> impl Iterator<Item = &'a StepEnd> {
        self.filter_map(|(_, end)| end.as_ref())
    }
}
