//! A group for each item of a list: the steps inside are performed for every item, some items side by side.

use super::attempt::{Gone, Task};
use super::body::{Approved, Scene};
use super::change::{Unit, outcome_word};
use super::message::{BodyEnd, Message, Opening, StepEnd};
use super::run::Acts;
use crate::event::{Event, Outcome};
use crate::expr::Value;
use crate::runbook::{Each, ItemFailure, Step};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use indexmap::IndexMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

impl Task {
    /// Performs a group for each item of its list.
    pub(super) async fn perform_items(&self, step: &Arc<Step>) -> Result<StepEnd, Gone> {
        let Some(each) = &step.each else { return Ok(StepEnd::new(Outcome::Failed)) };
        let units = match self.units(step) {
            Ok(units) => units,
            Err(end) if self.shared.acts == Acts::Reads => {
                return Ok(StepEnd { outcome: Outcome::NotPerformed, error: None, ..end });
            }
            Err(end) => return Ok(end),
        };
        let pause = match self.duration(each.pause.as_ref(), &self.scope(), Duration::ZERO) {
            Ok(pause) => pause,
            Err(reason) => return Ok(StepEnd::failed(crate::event::ErrorClass::BadValue, reason)),
        };
        let approved = if self.has_items_before() {
            Arc::new(Approved::new(self.round.approved.clone().into_iter().collect()))
        } else {
            match self.pass_list_gate(step, &units).await? {
                Ok(approved) => Arc::new(approved),
                Err(end) => return Ok(end),
            }
        };
        let mut items = Items { task: self, each, pause, units: &units, approved, ends: Vec::new() };
        items.ends.resize_with(units.len(), || None);
        items.perform().await?;
        let end = items.end();
        Ok(match self.round.step_end() {
            // Its outcome is the one on record; what the record has not are the rows of its results, and of a list that
            // was left out how much of it was.
            Some(past) => StepEnd { values: end.values, undone: past.undone.max(end.undone), ..past },
            None => end,
        })
    }

    /// What the tasks of one item see.
    pub(super) fn item_scene(&self, unit: &Unit, each: &Each, approved: Arc<Approved>) -> Scene {
        let graph = self.scene.graph.clone();
        let inside = graph.ids().filter(|&id| graph.node(id).item_of == Some(self.at.node));
        let ids = inside.map(|id| graph.node(id).id.to_string()).collect::<Vec<_>>();
        let name = each.name.value.clone();
        let item = unit.item.clone().unwrap_or_default();
        let roots = IndexMap::from([(name, item), ("items".to_owned(), unit.items.clone())]);
        Scene {
            values: self.scene.values.within(roots, ids),
            resolver: self.scene.resolver.clone(),
            prefix: format!("{}/", unit.path),
            proven: self.scene.proven.clone(),
            budget: self.scene.budget.clone(),
            approved,
            graph,
        }
    }

    /// Has a body opened; its end comes later.
    pub(super) fn open(&self, opening: Opening) -> Result<oneshot::Receiver<BodyEnd>, Gone> {
        let (reply, end) = oneshot::channel();
        let message = Message::Open { at: self.at, opening: Box::new(opening), reply };
        self.bus.send(message).map_err(|_| Gone)?;
        Ok(end)
    }

    /// Says that nothing is done here now but to wait for bodies that were opened.
    pub(super) fn hold(&self, open: usize) {
        self.bus.send(Message::Holds { at: self.at, open }).ok();
    }
}

/// The items of a loop on their way.
struct Items<'t> {
    task: &'t Task,
    each: &'t Each,
    /// Nothing starts sooner than this after an item started or ended.
    pause: Duration,
    units: &'t [Unit],
    approved: Arc<Approved>,
    ends: Vec<Option<BodyEnd>>,
}

type Ending = BoxFuture<'static, (usize, Option<BodyEnd>)>;

impl Items<'_> {
    async fn perform(&mut self) -> Result<(), Gone> {
        let mut running: FuturesUnordered<Ending> = FuturesUnordered::new();
        let mut waiting: VecDeque<usize> = VecDeque::new();
        for (place, unit) in self.units.iter().enumerate() {
            let has_begun = self.task.past().has_item(&unit.path);
            if has_begun { running.push(self.start(place)?) } else { waiting.push_back(place) }
        }
        // What ended before is walked through first; nothing new starts before all of it was.
        let goes_on = self.task.shared.goes_on.clone();
        let has_begun = !running.is_empty();
        let mut stopped = self.task.round.end.is_some();
        let mut not_before = Instant::now();
        loop {
            stopped |= self.task.cancel.is_cancelled();
            let walks = !goes_on.is_cancelled();
            let may_start = !walks && !stopped && !waiting.is_empty() && running.len() < self.each.at_once;
            if may_start
                && Instant::now() >= not_before
                && let Some(place) = waiting.pop_front()
            {
                running.push(self.start(place)?);
                not_before = Instant::now() + self.pause;
                continue;
            }
            let is_left = !stopped && !waiting.is_empty();
            if !may_start && running.is_empty() && !(walks && is_left) {
                return Ok(());
            }
            if !may_start {
                self.task.hold(running.len());
            } else if running.is_empty() {
                let left = not_before.saturating_duration_since(Instant::now());
                self.task.tell_pause(&self.task.path(), left, "`pause` before the next item".to_owned());
            }
            tokio::select! {
                Some((place, end)) = running.next() => {
                    let end = end.ok_or(Gone)?;
                    stopped |= self.stops(&end);
                    self.tell(place, &end);
                    self.ends[place] = Some(end);
                    not_before = Instant::now() + self.pause;
                }
                () = tokio::time::sleep_until(not_before), if may_start => {}
                // The pause after what an earlier process started begins anew: never shorter than it should be.
                () = goes_on.cancelled(), if walks => if has_begun { not_before = Instant::now() + self.pause },
                () = self.task.cancel.cancelled(), if may_start => {}
            }
        }
    }

    fn start(&self, place: usize) -> Result<Ending, Gone> {
        let scene = self.task.item_scene(&self.units[place], self.each, self.approved.clone());
        let round = self.task.shared.take_past(&self.units[place].path);
        let past = round.step_end();
        let is_sealed = past.is_some() || self.task.round.end.is_some();
        let end = self.task.open(Opening { scene, item_of: Some(self.task.at.node), is_sealed })?;
        Ok(Box::pin(async move {
            let mut end = end.await.ok();
            if let (Some(end), Some(past)) = (&mut end, past) {
                end.outcome = past.outcome;
                end.reason = past.reason;
            }
            (place, end)
        }))
    }

    /// Whether no further item is started after this end.
    fn stops(&self, end: &BodyEnd) -> bool {
        // In a probe nothing is changed, and what proves a change has nothing to prove: every item is looked at.
        if self.task.shared.acts == Acts::Reads && end.outcome != Outcome::Cancelled {
            return false;
        }
        let failed = is_failure(end) && self.each.on_item_failure == ItemFailure::Stop;
        // What is not known must be looked at before the same is done again.
        failed || matches!(end.outcome, Outcome::Unknown | Outcome::Cancelled | Outcome::Skipped)
    }

    fn tell(&self, place: usize, end: &BodyEnd) {
        let event = Event::StepEnded {
            outcome: end.outcome,
            verdict: None,
            captures: IndexMap::new(),
            checks: Vec::new(),
            shown: Vec::new(),
            reason: end.reason.clone(),
            handled: false,
            facts: Box::default(),
        };
        self.task.note(&self.units[place].path, None, event);
    }

    /// The loop as one step: its outcome and `results`.
    fn end(self) -> StepEnd {
        let total = self.ends.len();
        let ends = || self.ends.iter().flatten();
        let failed = ends().filter(|end| is_failure(end)).count();
        let undone = total - ends().filter(|end| is_failure(end) || end.outcome == Outcome::Succeeded).count();
        let within = matches!(self.each.on_item_failure, ItemFailure::AtMost(most) if failed <= most);
        let only = |outcome: Outcome| ends().filter(|end| is_failure(end)).all(|end| end.outcome == outcome);
        let outcome = if ends().any(|end| end.outcome == Outcome::Unknown) {
            Outcome::Unknown
        } else if failed > 0 && !within {
            if only(Outcome::Declined) { Outcome::Declined } else { Outcome::Failed }
        } else if undone == 0 {
            Outcome::Succeeded
        } else if self.task.cancel.is_cancelled() || ends().any(|end| end.outcome == Outcome::Cancelled) {
            Outcome::Cancelled
        } else if failed == 0 && undone == total {
            Outcome::Skipped
        } else {
            Outcome::Failed
        };
        let mut end = StepEnd::new(outcome);
        let trouble = || self.ends.iter().zip(self.units).filter_map(|(end, unit)| Some((end.as_ref()?, unit)));
        let first = trouble().find(|(end, _)| end.outcome != Outcome::Succeeded);
        end.error = first.and_then(|(end, _)| end.error.clone()).filter(|_| outcome == Outcome::Failed);
        if failed > 0 || undone > 0 {
            let first = first.map_or_else(String::new, |(end, unit)| {
                let reason = end.reason.as_deref().unwrap_or(outcome_word(end.outcome));
                format!("; {}: {reason}", unit.path)
            });
            end.reason = Some(format!("{failed} of {total} items failed, {undone} were not performed{first}"));
        }
        end.undone = undone;
        end.blocked = outcome == Outcome::Skipped;
        end.attempts = u32::try_from(total - undone).unwrap_or(u32::MAX);
        let rows: Vec<Value> = self.ends.into_iter().zip(self.units).map(|(end, unit)| row(end, unit)).collect();
        let items: Vec<_> = self.units.iter().map(|unit| unit.item.clone().unwrap_or_default()).collect();
        end.values.insert("results".into(), Value::from(rows));
        end.values.insert("items".into(), Value::from(items));
        end
    }
}

fn is_failure(end: &BodyEnd) -> bool {
    matches!(end.outcome, Outcome::Failed | Outcome::TimedOut | Outcome::Unknown | Outcome::Declined)
}

/// One row of `<id>.results`.
fn row(end: Option<BodyEnd>, unit: &Unit) -> Value {
    let word = end.as_ref().map_or("skipped", |end| outcome_word(end.outcome));
    let error = end.as_ref().and_then(|end| end.error.as_ref());
    let error = error.map_or(Value::from(()), |error| Value::from(error.to_string()));
    let captures = Value::from_pairs(end.map(|end| end.values).unwrap_or_default());
    Value::from_pairs([
        ("item".to_owned(), unit.item.clone().unwrap_or_default()),
        ("outcome".to_owned(), Value::from(word)),
        ("error".to_owned(), error),
        ("captures".to_owned(), captures),
    ])
}
