//! A change: card, gate, act, verify. And lists of reads and changes.

use super::attempt::{DEFAULT_TIMEOUT, Gone, Task, checks};
use super::facts::{Facts, Look};
use super::gate_before::{Compared, DoneBefore, FirstNumber};
use super::held::Wanted;
use super::message::{GateOutcome, GateRequest, Halt, Message, StepEnd};
use super::run::Acts;
use super::step::{ended, skipped};
use super::store_value::store;
use crate::event::{ErrorClass, Event, Outcome, StepVerdict};
use crate::expr::{Expr, Value, unknown_of};
use crate::plan::{Act, StepScope};
use crate::runbook::{Action, Change, DurationSpec, Probe, Step};
use indexmap::IndexMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a service may take until `ready` holds, when the author does not say.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// One item of a list, or the only one.
#[derive(Clone)]
pub(super) struct Unit {
    pub(super) path: String,
    pub(super) item: Option<Value>,
    /// The whole list.
    pub(super) items: Value,
    pub(super) scope: StepScope,
}

impl Task {
    pub(super) fn units(&self, step: &Step) -> Result<Vec<Unit>, StepEnd> {
        let scope = self.scope();
        let Some(each) = &step.each else {
            return Ok(vec![Unit { path: self.path(), item: None, items: Value::default(), scope }]);
        };
        let bad = |reason: String| StepEnd::failed(ErrorClass::BadValue, reason);
        // What was listed when the loop began stays its list.
        let list = match &self.round.items {
            Some(items) => Value::from(items.clone()),
            None => each.list.eval(&scope).map_err(|error| bad(error.message))?,
        };
        let text = each.list.text().trim();
        if let Some(unknown) = unknown_of(&list) {
            return Err(bad(format!("the list `{text}` is unknown: {}", unknown.reason)));
        }
        let is_list = matches!(list.kind(), minijinja::value::ValueKind::Seq | minijinja::value::ValueKind::Iterable);
        let items: Vec<Value> = match list.try_iter() {
            Ok(items) if is_list => items.collect(),
            _ => return Err(bad(format!("`for_each` needs a list, and `{text}` is {list}"))),
        };
        if items.is_empty() && !each.allow_empty {
            return Err(bad(format!("the list `{text}` is empty (say `allow_empty: true` where that is fine)")));
        }
        let whole = Value::from(items.clone());
        self.tell_title(step, &scope.clone().with("items", whole.clone()));
        self.note(&self.path(), None, Event::ItemsListed { items: items.iter().map(store).collect() });
        let units = items.into_iter().enumerate().map(|(place, item)| Unit {
            path: format!("{}[{place}]", self.path()),
            scope: scope.clone().with(each.name.value.clone(), item.clone()).with("items", whole.clone()),
            item: Some(item),
            items: whole.clone(),
        });
        Ok(units.collect())
    }

    /// A change, from its card to its verify.
    pub(super) async fn change(&self, step: &Arc<Step>, action: &Action) -> Result<StepEnd, Gone> {
        let Some(change) = &step.change else { return Ok(StepEnd::new(Outcome::Failed)) };
        let units = match self.units(step) {
            Ok(units) => units,
            Err(end) => return Ok(end),
        };
        if units.is_empty() {
            return Ok(self.list_end(step, &[], false));
        }
        let before = self.done_before(step, action, change, &units).await?;
        if let Some(end) = self.nothing_left(step, &units, &before) {
            return Ok(end);
        }
        let timeout = match self.duration(step.timeout.as_ref(), &units[0].scope, DEFAULT_TIMEOUT) {
            Ok(timeout) => timeout,
            Err(reason) => return Ok(StepEnd::failed(ErrorClass::BadValue, reason)),
        };
        if self.shared.acts == Acts::Reads {
            return Ok(StepEnd::because(Outcome::NotPerformed, "a probe changes nothing"));
        }
        // The write slot is held from the first look to the end of the verify: what the card shows stays true.
        let permit = match self.permit(true).await {
            Ok(permit) => permit,
            Err(Halt::Blocked(reason)) => return Ok(StepEnd::blocked(reason)),
            Err(Halt::Ending) => return Ok(StepEnd::because(Outcome::Cancelled, "the run is ending")),
        };
        match self.breathe(&self.path(), &units[0].scope).await {
            Ok(true) => {}
            Ok(false) => return Ok(StepEnd::because(Outcome::Cancelled, "stopped before it began")),
            Err(end) => return Ok(end),
        }
        let facts = match self.pass_gate(step, action, change, &units, &before).await? {
            Ok(facts) => facts,
            Err(end) => return Ok(end),
        };
        if step.background.is_some() {
            let Some(act) = facts.acts.into_iter().next() else { return Ok(StepEnd::new(Outcome::Failed)) };
            if let Err(reason) = self.take_change() {
                return Ok(refused_by_limits(None, reason));
            }
            let end = self.run_beside(step, act, &units[0].scope, permit).await?;
            self.change_over();
            return Ok(StepEnd { changed: true, ..end });
        }
        let end = match &step.each {
            None => {
                let (unit, first) = (&units[0], before.first_number(0, facts.number));
                self.change_unit(step, action, change, unit, facts.acts.into_iter().next(), timeout, first).await?
            }
            Some(each) => self.change_list(step, action, change, each, &units, facts, timeout, before).await?,
        };
        drop(permit);
        Ok(end)
    }

    /// Opens the gate until it is passed with the facts unmoved.
    pub(super) async fn pass_gate(
        &self,
        step: &Arc<Step>,
        action: &Action,
        change: &Change,
        units: &[Unit],
        before: &DoneBefore,
    ) -> Result<Result<Facts, StepEnd>, Gone> {
        let mut moved: Vec<String> = Vec::new();
        let mut past = self.gate_before(before);
        let mut number = past.number;
        for _ in 0..20 {
            let left = past.units(units, before);
            let units = left.as_deref().unwrap_or(units);
            let mut facts = match self.facts(step, action, change, units, Look::Fresh).await {
                Ok(facts) => facts,
                Err(end) => return Ok(Err(end)),
            };
            facts.number = number;
            facts.card.moved = std::mem::take(&mut moved);
            let digest = facts.digest(number);
            let is_open = match past.compare(&digest) {
                Compared::Passed => return Ok(Ok(facts)),
                Compared::Open => true,
                Compared::New => false,
                Compared::Moved => {
                    if let Some(end) = self.expired_before(&past) {
                        return Ok(Err(end));
                    }
                    self.void_gate_before(&past);
                    past = past.next();
                    number = past.number;
                    moved = self.moved_since(&facts.card);
                    continue;
                }
            };
            self.past().gates.remove(&self.path());
            let tally = self.past().tallies.remove(&self.path()).filter(|_| is_open);
            let (reply, answer) = tokio::sync::oneshot::channel();
            let request = GateRequest {
                number,
                digest: digest.clone(),
                card: facts.card.clone(),
                requirement: facts.requirement.clone(),
                risk: change.risk,
                may_skip: !step.required,
                is_open,
                tally,
                in_list: number == 1 && self.scene.approved.take(&self.path(), &facts.digest(0)),
            };
            let message = Message::Gate { at: self.at, request: Box::new(request), reply };
            self.bus.send(message).map_err(|_| Gone)?;
            match answer.await.map_err(|_| Gone)? {
                GateOutcome::Approved => {}
                GateOutcome::Declined(reason) => {
                    let reason = reason.unwrap_or_else(|| "a person said no".to_owned());
                    return Ok(Err(StepEnd::because(Outcome::Declined, reason)));
                }
                GateOutcome::Skipped(reason) => return Ok(Err(skipped(&reason))),
                GateOutcome::Moved(why) => {
                    moved = vec![why];
                    past = past.next();
                    number = past.number;
                    continue;
                }
                GateOutcome::Ended => return Err(Gone),
            }
            // Right before the act everything is looked at again.
            let mut again = match self.facts(step, action, change, units, Look::Again).await {
                Ok(again) => again,
                Err(end) => return Ok(Err(end)),
            };
            again.number = number;
            if again.digest(number) == digest {
                return Ok(Ok(again));
            }
            moved = super::moved::moved(&facts.digest_base, &again.digest_base);
            past = past.next();
            number = past.number;
        }
        Ok(Err(StepEnd::failed(
            ErrorClass::BadValue,
            "the facts of this change never stayed still long enough to approve them",
        )))
    }

    #[expect(clippy::too_many_arguments, reason = "two callers, which have them all at hand")]
    /// One unit of a change: the act, with the attempts it is allowed, and its verify.
    pub(super) async fn change_unit(
        &self,
        step: &Arc<Step>,
        action: &Action,
        change: &Change,
        unit: &Unit,
        act: Option<Act>,
        timeout: Duration,
        first: FirstNumber,
    ) -> Result<StepEnd, Gone> {
        let attempts = attempts_of(step);
        let pause = step.retry.as_ref().and_then(|retry| retry.every.as_ref().or(retry.backoff.as_ref()));
        let pause = self.duration(pause, &unit.scope, Duration::from_secs(1)).unwrap_or(Duration::from_secs(1));
        let mut act = act;
        let mut last = None;
        let mut number = first.made;
        loop {
            number += 1;
            let this = match act.take() {
                Some(act) => act,
                None => match self.act(action, step, &unit.scope) {
                    Ok(Some(act)) => act,
                    _ => return Ok(StepEnd::failed(ErrorClass::BadValue, "the act cannot be resolved again")),
                },
            };
            match self.breathe(&unit.path, &unit.scope).await {
                Ok(true) => {}
                Ok(false) => return Ok(StepEnd::because(Outcome::Cancelled, "stopped before it began")),
                Err(end) => return Ok(end),
            }
            if let Err(reason) = self.take_change() {
                return Ok(refused_by_limits(last, reason));
            }
            let wanted = Wanted::of(&step.capture, &unit.scope);
            let attempted = self.attempt_for(&unit.path, number, this, true, timeout, &step.tolerate, wanted).await?;
            let end = ended(attempted.performed, attempted.tolerated, number);
            let mut end = self.conclude(step, end, unit.scope.clone());
            end.changed = true;
            let end = self.ready(action, unit, end).await?;
            let end = self.verified(change, unit, end).await?;
            self.change_over();
            let expects_fail = end.outcome == Outcome::Succeeded
                && matches!(end.verdict, Some(StepVerdict::DoesNotHold | StepVerdict::CannotTell));
            let end = if expects_fail { expectation_failed(end) } else { end };
            self.remember(change, unit, &end);
            // An unknown outcome is never repeated by itself (ruling 5).
            if end.outcome != Outcome::Failed || number - first.counted_from >= attempts {
                return Ok(end);
            }
            if !self.sleep_before_attempt(pause).await? {
                return Ok(end);
            }
            last = Some(end);
        }
    }

    /// Waits until a service says that it is ready. One that never does has failed: its act was to make it run.
    pub(super) async fn ready(&self, action: &Action, unit: &Unit, mut end: StepEnd) -> Result<StepEnd, Gone> {
        let Action::Service(service) = action else { return Ok(end) };
        let Some(ready) = service.ready.as_ref().filter(|_| end.outcome == Outcome::Succeeded) else { return Ok(end) };
        let mut probe = Probe::clone(ready);
        probe.within.get_or_insert(DurationSpec::Fixed(READY_WITHIN, probe.span));
        let seen = self.poll(&probe, &unit.scope, &format!("{}/ready", unit.path)).await?;
        end.checks.extend(seen.checks);
        if seen.verdict == Some(StepVerdict::Holds) {
            return Ok(end);
        }
        let why = seen.reason.map_or_else(String::new, |reason| format!(": {reason}"));
        end.outcome = if self.cancel.is_cancelled() { Outcome::Unknown } else { Outcome::Failed };
        end.error = Some(if self.cancel.is_cancelled() { ErrorClass::Cancelled } else { ErrorClass::Timeout });
        end.reason = Some(format!("it was accepted, and `ready` does not hold{why}"));
        Ok(end)
    }

    /// Asks the verify of a change; it settles an unknown outcome too.
    pub(super) async fn verified(&self, change: &Change, unit: &Unit, mut end: StepEnd) -> Result<StepEnd, Gone> {
        let Some(probe) = &change.verify else { return Ok(end) };
        if !matches!(end.outcome, Outcome::Succeeded | Outcome::Unknown) {
            return Ok(end);
        }
        if self.cancel.is_cancelled() {
            // What was cut off is not asked about: nothing would be sent.
            let why = end.reason.take().map_or_else(String::new, |why| format!("{why}; "));
            end.outcome = Outcome::Unknown;
            end.verdict = Some(StepVerdict::CannotTell);
            end.reason = Some(format!("{why}the run was stopped before its verify could be asked"));
            return Ok(end);
        }
        let mut scope = unit.scope.clone();
        let mut own: IndexMap<String, Value> = end.values.clone();
        own.extend(end.captures.clone());
        // In the verify of an undo, the step is the change that was taken back.
        if self.stands.is_none() {
            scope.extend([(self.id().to_owned(), Value::from_pairs(own))]);
        }
        let seen = self.poll(probe, &scope, &format!("{}/verify", unit.path)).await?;
        end.checks.extend(seen.checks);
        end.verdict = seen.verdict;
        let was_unknown = end.outcome == Outcome::Unknown;
        match seen.verdict {
            Some(StepVerdict::Holds) => {
                end.outcome = Outcome::Succeeded;
                end.reason = was_unknown.then(|| "its end was not seen; the verify says that it is done".to_owned());
            }
            Some(StepVerdict::DoesNotHold) if !was_unknown => {
                end.outcome = Outcome::Failed;
                end.reason = Some("the act was accepted, and the verify says that it has no effect".to_owned());
            }
            _ => {
                let why = seen.reason.map_or_else(String::new, |reason| format!(": {reason}"));
                end.outcome = Outcome::Unknown;
                end.reason = Some(format!("its effect is unknown: the verify cannot settle it{why}"));
            }
        }
        Ok(end)
    }

    /// Asks a verify until it holds or its time is over.
    pub(super) async fn poll(&self, probe: &Probe, scope: &StepScope, path: &str) -> Result<StepEnd, Gone> {
        let within = self.duration(probe.within.as_ref(), scope, Duration::ZERO).unwrap_or_default();
        let every = Duration::from_secs(2).min(within / 4).max(Duration::from_millis(50));
        let every = self.duration(probe.every.as_ref(), scope, every).unwrap_or(every);
        let began = self.shared.clock.elapsed();
        let mut number = 0;
        loop {
            number += 1;
            let end = self.probe_once(probe, scope, path, number).await?;
            let spent = self.shared.clock.elapsed().saturating_sub(began);
            if end.verdict == Some(StepVerdict::Holds) || spent + every > within || !self.sleep(every).await {
                return Ok(end);
            }
        }
    }

    pub(super) async fn probe_once(
        &self,
        probe: &Probe,
        scope: &StepScope,
        path: &str,
        number: u32,
    ) -> Result<StepEnd, Gone> {
        let scope = &scope.clone().at(self.shared.clock.now());
        let timeout = self.duration(probe.timeout.as_ref(), scope, Duration::from_secs(30)).unwrap_or(DEFAULT_TIMEOUT);
        let mut inner = scope.clone();
        let mut end = match self.scene.resolver.act(&probe.action, probe.target.as_ref(), false, scope) {
            Err(refusal) => StepEnd::failed(ErrorClass::BadValue, refusal.message),
            Ok(None) => StepEnd::new(Outcome::Succeeded),
            Ok(Some(act)) => {
                let wanted = Wanted::of(&probe.capture, scope);
                let attempted = self.attempt_for(path, number, act, false, timeout, &probe.tolerate, wanted).await?;
                ended(attempted.performed, attempted.tolerated, number)
            }
        };
        inner.extend(end.values.clone());
        let error = end.error.as_ref().map_or(Value::from(()), |error| Value::from(error.to_string()));
        inner.extend([("error".to_owned(), error)]);
        if let Err(reason) = self.captures(&probe.capture, &mut inner) {
            end.reason = Some(reason);
            end.verdict = Some(StepVerdict::CannotTell);
            return Ok(end);
        }
        let own: &[Expr] = if let Action::Assert(list) = &probe.action { list } else { &[] };
        let (verdict, views) = checks(own.iter().chain(&probe.expect), &inner);
        // An answer that did not come proves nothing either way.
        end.verdict = if end.outcome == Outcome::Succeeded { verdict } else { Some(StepVerdict::CannotTell) };
        end.checks = views;
        Ok(end)
    }
}

/// How often a change may be attempted behind one gate.
pub(super) fn attempts_of(step: &Step) -> u32 {
    step.retry.as_ref().map_or(1, |retry| u32::try_from(retry.attempts.value).unwrap_or(1).max(1))
}

/// The word of an outcome, as expressions see it.
pub(super) fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::Failed => "failed",
        Outcome::TimedOut => "timed_out",
        Outcome::Cancelled => "cancelled",
        Outcome::Declined => "declined",
        Outcome::Skipped => "skipped",
        Outcome::NotPerformed => "not_performed",
        Outcome::Unknown => "unknown",
    }
}

/// A change that is not started because the limits of the run are used up, perhaps after attempts that failed.
fn refused_by_limits(last: Option<StepEnd>, reason: String) -> StepEnd {
    match last {
        None => StepEnd::failed(ErrorClass::BadValue, reason),
        Some(mut end) => {
            let before = end.reason.take().map_or_else(String::new, |before| format!("{before}; "));
            end.reason = Some(format!("{before}not tried again: {reason}"));
            end
        }
    }
}

/// A step whose `expect` does not hold, or cannot be told.
pub(super) fn expectation_failed(mut end: StepEnd) -> StepEnd {
    let check = end.checks.iter().find(|check| check.verdict != StepVerdict::Holds);
    end.reason = check.map(|check| format!("`{}` does not hold", check.expression));
    end.outcome = if end.verdict == Some(StepVerdict::CannotTell) { Outcome::Unknown } else { Outcome::Failed };
    end
}
