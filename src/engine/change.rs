//! A change: card, gate, act, verify. And lists of reads and changes.

use super::attempt::{DEFAULT_TIMEOUT, Gone, Task, captures, checks};
use super::message::{GateOutcome, GateRequest, Halt, Message, StepEnd};
use super::run::Acts;
use super::step::{ended, skipped, target_of};
use super::store_value::store;
use crate::event::{ActView, CardView, ErrorClass, Event, GateRequirement, ItemView, Outcome, StepVerdict, UsedView};
use crate::expr::{Expr, Place, Value, unknown_of};
use crate::plan::{Act, StepScope, view};
use crate::runbook::{Action, Body, Change, Each, ItemFailure, Probe, Step, Undo};
use futures_util::stream::{FuturesUnordered, StreamExt};
use indexmap::IndexMap;
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// One item of a list, or the only one.
struct Unit {
    path: String,
    item: Option<Value>,
    scope: StepScope,
}

/// What a gate is about, at one moment.
struct Facts {
    acts: Vec<Act>,
    requirement: Option<GateRequirement>,
    card: CardView,
    digest_base: serde_json::Value,
}

impl Facts {
    /// SHA-256 over the facts that an approval is bound to (ruling 12): not titles, preview or evidence.
    fn digest(&self, number: u32) -> String {
        let text = serde_json::json!({ "facts": self.digest_base, "number": number }).to_string();
        Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Task {
    fn units(&self, step: &Step) -> Result<Vec<Unit>, StepEnd> {
        let scope = self.scope();
        let Some(each) = &step.each else {
            return Ok(vec![Unit { path: self.id().to_owned(), item: None, scope }]);
        };
        let bad = |reason: String| StepEnd::failed(ErrorClass::BadValue, reason);
        let list = each.list.eval(&scope).map_err(|error| bad(error.message))?;
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
        self.note(self.id(), None, Event::ItemsListed { items: items.iter().map(store).collect() });
        let units = items.into_iter().enumerate().map(|(place, item)| Unit {
            path: format!("{}[{place}]", self.id()),
            scope: scope.clone().with(each.name.value.clone(), item.clone()).with("items", whole.clone()),
            item: Some(item),
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
            return Ok(self.list_end(step, Vec::new(), false));
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
            Err(Halt::Blocked(reason)) => return Ok(StepEnd::because(Outcome::Skipped, reason)),
            Err(Halt::Ending) => return Ok(StepEnd::because(Outcome::Cancelled, "the run is ending")),
        };
        let facts = match self.pass_gate(step, action, change, &units).await? {
            Ok(facts) => facts,
            Err(end) => return Ok(end),
        };
        let end = match &step.each {
            None => {
                let unit = &units[0];
                self.change_unit(step, action, change, unit, facts.acts.into_iter().next(), timeout).await?
            }
            Some(each) => self.change_list(step, action, change, each, &units, facts.acts, timeout).await?,
        };
        drop(permit);
        Ok(end)
    }

    /// Opens the gate until it is passed with the facts unmoved.
    async fn pass_gate(
        &self,
        step: &Arc<Step>,
        action: &Action,
        change: &Change,
        units: &[Unit],
    ) -> Result<Result<Facts, StepEnd>, Gone> {
        let mut moved: Vec<String> = Vec::new();
        for number in 1..=20 {
            let mut facts = match self.facts(step, action, change, units).await {
                Ok(facts) => facts,
                Err(end) => return Ok(Err(end)),
            };
            facts.card.moved = std::mem::take(&mut moved);
            let digest = facts.digest(number);
            let (reply, answer) = tokio::sync::oneshot::channel();
            let request = GateRequest {
                number,
                digest: digest.clone(),
                card: facts.card.clone(),
                requirement: facts.requirement.clone(),
                risk: change.risk,
                may_skip: !step.required,
            };
            let message = Message::Gate { node: self.node, request: Box::new(request), reply };
            self.bus.send(message).map_err(|_| Gone)?;
            match answer.await.map_err(|_| Gone)? {
                GateOutcome::Approved => {}
                GateOutcome::Declined(reason) => {
                    let reason = reason.unwrap_or_else(|| "a person said no".to_owned());
                    return Ok(Err(StepEnd::because(Outcome::Declined, reason)));
                }
                GateOutcome::Skipped(reason) => return Ok(Err(skipped(reason))),
                GateOutcome::Ended => return Err(Gone),
            }
            // Right before the act everything is looked at again.
            let again = match self.facts(step, action, change, units).await {
                Ok(again) => again,
                Err(end) => return Ok(Err(end)),
            };
            if again.digest(number) == digest {
                return Ok(Ok(again));
            }
            moved = differences(&facts.digest_base, &again.digest_base);
        }
        Ok(Err(StepEnd::failed(
            ErrorClass::BadValue,
            "the facts of this change never stayed still long enough to approve them",
        )))
    }

    /// Everything a gate is about, looked at now.
    async fn facts(
        &self,
        step: &Arc<Step>,
        action: &Action,
        change: &Change,
        units: &[Unit],
    ) -> Result<Facts, StepEnd> {
        let mut acts = Vec::new();
        for unit in units {
            match self.shared.resolver.act(action, step.target.as_ref(), &unit.scope) {
                Ok(Some(act)) => acts.push(act),
                Ok(None) => {
                    return Err(StepEnd::failed(ErrorClass::BadValue, format!("`{}` is not an act", action.name())));
                }
                Err(refusal) => return Err(StepEnd::failed(ErrorClass::BadValue, refusal.message)),
            }
        }
        let views: Vec<ActView> = acts.iter().map(view).collect();
        if let Some(hole) = views.iter().find_map(|view| view.holes.first()) {
            let reason = format!("`{}` is unknown: {}", hole.label, hole.text);
            return Err(StepEnd::failed(ErrorClass::BadValue, reason));
        }
        let scope = &units[0].scope;
        let target = target_of(&acts[0]);
        let identity = match &target {
            None => None,
            Some(target) => self
                .prove(target, true, scope)
                .await
                .map_err(|error| StepEnd::failed(ErrorClass::BadAnswer, error.reason()))?,
        };
        let address = match &acts[0] {
            Act::Http(http) => http.target.base.to_string(),
            _ => self.shared.host.clone(),
        };
        let name = identity.clone().or_else(|| target.clone()).unwrap_or_else(|| self.shared.host.clone());
        let requirement = self
            .shared
            .policy
            .requirement(change, &name, scope)
            .map_err(|refusal| StepEnd::failed(ErrorClass::BadValue, refusal.message))?;
        let fingerprints: Vec<_> = acts.iter().map(|act| self.shared.performer.fingerprint(act)).collect();
        let undo = self.undo_text(change, scope);
        let digest_base = serde_json::json!({
            "run": self.shared.run,
            "step": self.id(),
            "environment": self.shared.environment,
            "acts": views,
            "files": fingerprints,
            "target": target,
            "address": address,
            "identity": identity,
            "undo": undo,
            "attempts": step.retry.as_ref().map_or(1, |retry| retry.attempts.value),
        });
        let preview = self.preview(change, &acts, scope).await?;
        let card = CardView {
            title: people(&step.title, scope),
            risk: change.risk.as_str().to_owned(),
            act: views[0].clone(),
            items: items(units, &views),
            target: Some(match (&target, &identity) {
                (Some(target), Some(identity)) => format!("{target} = {identity} (proven just now) at {address}"),
                (Some(target), None) => format!("{target} at {address} (declares no identity)"),
                (None, _) => format!("this machine, {address}"),
            }),
            because: self.because(action, scope),
            missing: missing(&self.because(action, scope)),
            preview,
            verify: change.verify.as_ref().map(|probe| self.probe_text(probe, scope)),
            undo,
            irreversible: change.irreversible.as_ref().map(|why| people(why, scope)),
            warning: step.warning.as_ref().map(|warning| people(warning, scope)),
            moved: Vec::new(),
            limit: None,
            requires: requirement.clone().unwrap_or(GateRequirement::Confirm),
        };
        Ok(Facts { acts, requirement, card, digest_base })
    }

    async fn preview(&self, change: &Change, acts: &[Act], scope: &StepScope) -> Result<Option<String>, StepEnd> {
        let diff =
            self.shared.performer.preview(&acts[0]).map_err(|reason| StepEnd::failed(ErrorClass::BadValue, reason))?;
        if diff.is_some() {
            return Ok(diff);
        }
        let Some(probe) = &change.preview else { return Ok(None) };
        let shown = match self.probe_once(probe, scope, "preview", 1).await {
            Ok(end) => {
                let text = ["stdout", "text"].iter().find_map(|name| end.values.get(*name));
                let text = text.filter(|text| unknown_of(text).is_none()).map(ToString::to_string);
                text.or(end.reason).unwrap_or_else(|| "the preview gave nothing".to_owned())
            }
            Err(Gone) => "the preview was stopped".to_owned(),
        };
        Ok(Some(shown))
    }

    fn undo_text(&self, change: &Change, scope: &StepScope) -> Option<String> {
        match &change.undo {
            Some(Undo::Act(probe)) => Some(self.probe_text(probe, scope)),
            Some(Undo::Steps(steps)) => {
                Some(steps.iter().map(|step| people(&step.title, scope)).collect::<Vec<_>>().join("; "))
            }
            None => None,
        }
    }

    fn probe_text(&self, probe: &Probe, scope: &StepScope) -> String {
        let act = match self.shared.resolver.act(&probe.action, probe.target.as_ref(), scope) {
            Ok(Some(act)) => view(&act).text,
            Ok(None) => probe.action.name().to_owned(),
            Err(refusal) => refusal.message,
        };
        if probe.expect.is_empty() {
            return act;
        }
        let expects: Vec<_> = probe.expect.iter().map(|expr| expr.text().trim()).collect();
        format!("{act} expects {}", expects.join(" and "))
    }

    /// The results of earlier steps that an act rests on.
    fn because(&self, action: &Action, scope: &StepScope) -> Vec<UsedView> {
        let mut found: Vec<UsedView> = Vec::new();
        for reference in expressions(action).iter().flat_map(|expr| expr.references()) {
            let Some(root) = reference.path.first() else { continue };
            if self.shared.graph.find(root).is_none() {
                continue;
            }
            let name = reference.path.join(".");
            if found.iter().any(|used| used.name == name) {
                continue;
            }
            let place = |_| reference.span;
            let value = match Expr::parse(&name, &place).map(|expr| expr.eval(scope)) {
                Ok(Ok(value)) => store(&value),
                _ => continue,
            };
            found.push(UsedView { name, value });
        }
        found
    }

    /// One unit of a change: the act, with the attempts it is allowed, and its verify.
    async fn change_unit(
        &self,
        step: &Arc<Step>,
        action: &Action,
        change: &Change,
        unit: &Unit,
        act: Option<Act>,
        timeout: Duration,
    ) -> Result<StepEnd, Gone> {
        let attempts = step.retry.as_ref().map_or(1, |retry| u32::try_from(retry.attempts.value).unwrap_or(1).max(1));
        let pause = step.retry.as_ref().and_then(|retry| retry.every.as_ref().or(retry.backoff.as_ref()));
        let pause = self.duration(pause, &unit.scope, Duration::from_secs(1)).unwrap_or(Duration::from_secs(1));
        let mut act = act;
        let mut number = 0;
        loop {
            number += 1;
            let this = match act.take() {
                Some(act) => act,
                None => match self.shared.resolver.act(action, step.target.as_ref(), &unit.scope) {
                    Ok(Some(act)) => act,
                    _ => return Ok(StepEnd::failed(ErrorClass::BadValue, "the act cannot be resolved again")),
                },
            };
            let attempted = self.attempt(&unit.path, number, this, true, timeout, &step.tolerate).await?;
            let end = ended(attempted.performed, attempted.tolerated, number);
            let mut end = self.conclude(step, end, unit.scope.clone());
            end.changed = true;
            let end = self.verified(change, unit, end).await?;
            let expects_fail = end.outcome == Outcome::Succeeded
                && matches!(end.verdict, Some(StepVerdict::DoesNotHold | StepVerdict::CannotTell));
            let end = if expects_fail { expectation_failed(end) } else { end };
            // An unknown outcome is never repeated by itself (ruling 5).
            if end.outcome != Outcome::Failed || number >= attempts || !self.sleep(pause).await {
                return Ok(end);
            }
        }
    }

    /// Asks the verify of a change; it settles an unknown outcome too.
    async fn verified(&self, change: &Change, unit: &Unit, mut end: StepEnd) -> Result<StepEnd, Gone> {
        let Some(probe) = &change.verify else { return Ok(end) };
        if !matches!(end.outcome, Outcome::Succeeded | Outcome::Unknown) {
            return Ok(end);
        }
        let mut scope = unit.scope.clone();
        let mut own: IndexMap<String, Value> = end.values.clone();
        own.extend(end.captures.clone());
        scope.extend([(self.id().to_owned(), Value::from_pairs(own))]);
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
    async fn poll(&self, probe: &Probe, scope: &StepScope, path: &str) -> Result<StepEnd, Gone> {
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

    async fn probe_once(&self, probe: &Probe, scope: &StepScope, path: &str, number: u32) -> Result<StepEnd, Gone> {
        let timeout = self.duration(probe.timeout.as_ref(), scope, Duration::from_secs(30)).unwrap_or(DEFAULT_TIMEOUT);
        let mut inner = scope.clone();
        let mut end = match self.shared.resolver.act(&probe.action, probe.target.as_ref(), scope) {
            Err(refusal) => StepEnd::failed(ErrorClass::BadValue, refusal.message),
            Ok(None) => StepEnd::new(Outcome::Succeeded),
            Ok(Some(act)) => {
                let attempted = self.attempt(path, number, act, false, timeout, &probe.tolerate).await?;
                ended(attempted.performed, attempted.tolerated, number)
            }
        };
        inner.extend(end.values.clone());
        let error = end.error.as_ref().map_or(Value::from(()), |error| Value::from(error.to_string()));
        inner.extend([("error".to_owned(), error)]);
        if let Err(reason) = captures(&probe.capture, &mut inner) {
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

    async fn change_list(
        &self,
        step: &Arc<Step>,
        action: &Action,
        change: &Change,
        each: &Each,
        units: &[Unit],
        acts: Vec<Act>,
        timeout: Duration,
    ) -> Result<StepEnd, Gone> {
        let mut waiting: VecDeque<(usize, Act)> = acts.into_iter().enumerate().collect();
        let mut running = FuturesUnordered::new();
        let mut results: Vec<Option<StepEnd>> = units.iter().map(|_| None).collect();
        let mut stopped = false;
        loop {
            while running.len() < each.at_once && !stopped && !self.cancel.is_cancelled() {
                let Some((place, act)) = waiting.pop_front() else { break };
                let unit = &units[place];
                running.push(
                    async move { (place, self.change_unit(step, action, change, unit, Some(act), timeout).await) },
                );
            }
            let Some((place, end)) = running.next().await else { break };
            let end = end?;
            self.item_ended(&units[place], &end);
            stopped |= end.is_failure() && each.on_item_failure == ItemFailure::Stop;
            stopped |= end.outcome == Outcome::Unknown;
            results[place] = Some(end);
        }
        let results = units.iter().zip(results).map(|(unit, end)| (unit.item.clone(), end)).collect();
        Ok(self.list_end(step, results, true))
    }

    pub(super) async fn read_list(&self, step: &Arc<Step>, action: &Action) -> Result<StepEnd, Gone> {
        let Some(each) = &step.each else { return Ok(StepEnd::new(Outcome::Failed)) };
        let units = match self.units(step) {
            Ok(units) => units,
            Err(end) => return Ok(end),
        };
        let mut waiting: VecDeque<usize> = (0..units.len()).collect();
        let mut running = FuturesUnordered::new();
        let mut results: Vec<Option<StepEnd>> = units.iter().map(|_| None).collect();
        let mut stopped = false;
        loop {
            while running.len() < each.at_once && !stopped && !self.cancel.is_cancelled() {
                let Some(place) = waiting.pop_front() else { break };
                let unit = &units[place];
                running
                    .push(async move { (place, self.read_unit(step, action, unit.scope.clone(), &unit.path).await) });
            }
            let Some((place, end)) = running.next().await else { break };
            let end = end?;
            self.item_ended(&units[place], &end);
            stopped |= end.is_failure() && each.on_item_failure == ItemFailure::Stop;
            results[place] = Some(end);
        }
        let results = units.iter().zip(results).map(|(unit, end)| (unit.item.clone(), end)).collect();
        Ok(self.list_end(step, results, false))
    }

    fn item_ended(&self, unit: &Unit, end: &StepEnd) {
        let event = Event::StepEnded {
            outcome: end.outcome,
            verdict: end.verdict,
            captures: end.captures.iter().map(|(name, value)| (name.clone(), store(value))).collect(),
            checks: end.checks.clone(),
            shown: end.shown.clone(),
            reason: end.reason.clone(),
            handled: false,
        };
        self.note(&unit.path, None, event);
    }

    /// A list as one step: its outcome and `results`.
    fn list_end(&self, step: &Step, results: Vec<(Option<Value>, Option<StepEnd>)>, change: bool) -> StepEnd {
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

/// The ends of the items that were started.
trait FlattenEnds<'a> {
    fn flatten_ends(self) -> impl Iterator<Item = &'a StepEnd>;
}

impl<'a, I: Iterator<Item = &'a (Option<Value>, Option<StepEnd>)>> FlattenEnds<'a> for I {
    fn flatten_ends(self) -> impl Iterator<Item = &'a StepEnd> {
        self.filter_map(|(_, end)| end.as_ref())
    }
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

fn expectation_failed(mut end: StepEnd) -> StepEnd {
    let check = end.checks.iter().find(|check| check.verdict != StepVerdict::Holds);
    end.reason = check.map(|check| format!("`{}` does not hold", check.expression));
    end.outcome = if end.verdict == Some(StepVerdict::CannotTell) { Outcome::Unknown } else { Outcome::Failed };
    end
}

fn people(template: &crate::expr::Template, scope: &StepScope) -> String {
    template.render(scope, Place::Plain).map_or_else(|_| template.source_text().to_owned(), |text| text.to_string())
}

fn items(units: &[Unit], views: &[ActView]) -> Vec<ItemView> {
    let rows = units
        .iter()
        .zip(views)
        .filter_map(|(unit, view)| Some(ItemView { item: store(unit.item.as_ref()?), text: view.text.clone() }));
    rows.collect()
}

fn missing(because: &[UsedView]) -> Vec<String> {
    because
        .iter()
        .filter_map(|used| match &used.value {
            crate::event::StoredValue::Unknown(reason) => Some(format!("{}: {reason}", used.name)),
            _ => None,
        })
        .collect()
}

/// What moved between two looks at the same facts, one line each.
fn differences(before: &serde_json::Value, after: &serde_json::Value) -> Vec<String> {
    let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else { return Vec::new() };
    let moved = before.iter().filter(|(name, value)| after.get(*name) != Some(value));
    moved
        .map(|(name, value)| format!("{name}: {value} became {}", after.get(name).cloned().unwrap_or_default()))
        .collect()
}

/// The expressions whose values go into an act.
fn expressions(action: &Action) -> Vec<&Expr> {
    let mut templates: Vec<&crate::expr::Template> = Vec::new();
    let program = match action {
        Action::Run(run) => {
            templates.extend(&run.argv);
            Some(&run.program)
        }
        Action::Shell(shell) => Some(&shell.program),
        Action::Http(http) => {
            templates.push(&http.path);
            templates.extend(http.query.values());
            templates.extend(http.headers.values());
            match &http.body {
                Body::Empty => {}
                Body::Json(data) => data.templates(&mut templates),
                Body::Form(form) => templates.extend(form.values()),
                Body::Text(text) => templates.push(text),
            }
            None
        }
        Action::Edit(edit) => {
            templates.push(&edit.file);
            if let Some(set) = &edit.set {
                set.templates(&mut templates);
            }
            None
        }
        Action::Write(write) => {
            templates.extend([&write.file, &write.text]);
            None
        }
        _ => None,
    };
    if let Some(program) = program {
        templates.extend(program.env.values());
        templates.extend(program.cwd.iter().chain(&program.stdin));
    }
    templates.into_iter().flat_map(crate::expr::Template::expressions).collect()
}
