//! A step that acts, from its condition to its end.

use super::attempt::{DEFAULT_TIMEOUT, Gone, Task, checks, shown};
use super::held::Wanted;
use super::message::{Halt, Message, Settled, StepEnd};
use super::port::{Answer, Performed, PromptKind};
use super::run::Acts;
use super::store_value::store;
use crate::event::{Actor, Door, ErrorClass, Event, Outcome, StepVerdict};
use crate::expr::{Place, Time, UnknownSort, Value, Verdict, unknown, unknown_of};
use crate::plan::StepScope;
use crate::runbook::{Action, Kind, Step, StepBody};
use indexmap::IndexMap;
use std::sync::Arc;
use std::time::Duration;

/// Whether a `when` lets a step go on.
pub(super) enum When {
    Yes,
    No(StepEnd),
}

/// Who answered.
pub(super) struct By {
    pub(super) name: String,
    pub(super) actor: Actor,
    pub(super) door: Door,
}

impl By {
    /// Nobody answered in time, and the runbook says what that means.
    pub(super) fn clock() -> Self {
        Self { name: "nobody in time".to_owned(), actor: Actor::Runwright, door: Door::Clock }
    }

    /// An answers file: written by a person, used by the program.
    pub(super) fn beforehand() -> Self {
        Self { name: "an answer given beforehand".to_owned(), actor: Actor::Runwright, door: Door::Flag }
    }
}

impl Task {
    /// Performs the step and tells the dispatcher how it ended.
    pub(super) async fn run(mut self) {
        let step = self.scene.graph.node(self.at.node).step.clone();
        self.round = self.shared.take_past(&self.path());
        if let Some(end) = self.ended_before(&step) {
            self.bus.send(Message::Ended { at: self.at, end: Box::new(end) }).ok();
            return;
        }
        if step.each.is_none() {
            self.tell_title(&step, &self.scope());
        }
        if matches!(step.body, StepBody::Decide(_)) {
            self.decide(&step).await;
            return;
        }
        let end = match self.perform_step(&step).await {
            Ok(end) => end,
            Err(Gone) => StepEnd::because(Outcome::Cancelled, "the run went on without it"),
        };
        if !end.beside {
            self.bus.send(Message::Ended { at: self.at, end: Box::new(end) }).ok();
        }
    }

    /// Puts a title on record that reads otherwise than it was written.
    pub(super) fn tell_title(&self, step: &Step, scope: &StepScope) {
        if step.title.literal().is_none()
            && let Ok(title) = step.title.render(scope, Place::Plain)
        {
            self.note(&self.path(), None, Event::StepStarted { title: title.to_string() });
        }
    }

    async fn perform_step(&self, step: &Arc<Step>) -> Result<StepEnd, Gone> {
        if let When::No(end) = self.when(step).await? {
            return Ok(end);
        }
        match &step.body {
            StepBody::Group(_) if step.each.is_some() => self.perform_items(step).await,
            StepBody::Group(_) | StepBody::Decide(_) => Ok(StepEnd::new(Outcome::Succeeded)),
            StepBody::Action(action) => self.perform_action(step, action).await,
        }
    }

    /// The step's own condition; an unknown one is asked.
    pub(super) async fn when(&self, step: &Step) -> Result<When, Gone> {
        let Some(when) = &step.when else { return Ok(When::Yes) };
        if self.has_begun(step) {
            return Ok(When::Yes);
        }
        let scope = self.scope();
        let mut used = Vec::new();
        let text = when.text().trim();
        let skipped = |reason: String| When::No(StepEnd::because(Outcome::Skipped, reason));
        let reason = match when.verdict(&scope, &mut used) {
            Ok(Verdict::Holds) => return Ok(When::Yes),
            Ok(Verdict::DoesNotHold) => return Ok(skipped(format!("`{text}` does not hold"))),
            Ok(Verdict::CannotTell) => used
                .iter()
                .find_map(|used| unknown_of(&used.value))
                .map_or_else(|| "it is unknown".to_owned(), |unknown| unknown.reason.clone()),
            Err(error) => return Ok(When::No(StepEnd::failed(ErrorClass::BadValue, error.message))),
        };
        if self.shared.acts == Acts::Reads {
            return Ok(When::No(StepEnd::because(Outcome::NotPerformed, format!("`{text}` is not known: {reason}"))));
        }
        let kind = PromptKind::When { expression: text.to_owned(), reason };
        match self.ask(kind).await? {
            (Answer::Perform(true), by) => {
                let chosen = vec!["yes".to_owned()];
                let (options, shown, values) = (Vec::new(), Vec::new(), IndexMap::new());
                let event = Event::Decided { chosen, by: by.name, options, shown, reason: None, values };
                self.note_as(by.actor, &self.path(), None, event);
                Ok(When::Yes)
            }
            (Answer::Perform(false), _) => Ok(skipped("a person said that it does not apply".to_owned())),
            (other, _) => Ok(When::No(unexpected(&other))),
        }
    }

    /// Puts a question to a person and waits; notes are kept on the way.
    pub(super) async fn ask(&self, kind: PromptKind) -> Result<(Answer, By), Gone> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.bus.send(Message::Ask { at: self.at, kind, stays: false, reply }).map_err(|_| Gone)?;
        match answer.await {
            Ok(Settled::By(answer, who, door)) => {
                Ok((answer, By { name: who.name.clone(), actor: Actor::Person(who), door }))
            }
            Ok(Settled::Nobody | Settled::Ended) | Err(_) => Err(Gone),
        }
    }

    async fn perform_action(&self, step: &Arc<Step>, action: &Action) -> Result<StepEnd, Gone> {
        let people = matches!(
            action,
            Action::Ask(_) | Action::Manual(_) | Action::Interactive(_) | Action::Wait(_) | Action::Escalate(_)
        );
        if people && self.shared.acts == Acts::Reads {
            return Ok(StepEnd::because(Outcome::NotPerformed, "a probe reads and does nothing else"));
        }
        match action {
            Action::Ask(ask) => self.questions(step, ask).await,
            Action::Manual(text) => self.manual(step, action, text).await,
            Action::Interactive(_) => self.interactive(step, action).await,
            Action::Wait(spec) => {
                let scope = self.scope();
                match self.duration(Some(spec), &scope, Duration::ZERO) {
                    Err(reason) => Ok(StepEnd::failed(ErrorClass::BadValue, reason)),
                    Ok(duration) => {
                        let finished = self.wait(duration).await;
                        let outcome = if finished { Outcome::Succeeded } else { Outcome::Cancelled };
                        Ok(self.conclude(step, StepEnd::new(outcome), self.scope()))
                    }
                }
            }
            Action::Set(values) => {
                let mut scope = self.scope();
                let mut end = StepEnd::new(Outcome::Succeeded);
                for (name, expr) in values {
                    match expr.eval(&scope) {
                        Ok(value) => {
                            scope.extend([(name.value.clone(), value.clone())]);
                            end.captures.insert(name.value.clone(), value);
                        }
                        Err(error) => {
                            let reason = format!("`{}`: {error}", name.value);
                            return Ok(StepEnd::failed(ErrorClass::BadValue, reason));
                        }
                    }
                }
                Ok(self.conclude(step, end, scope))
            }
            Action::Assert(list) => {
                let scope = self.scope();
                let mut end = StepEnd::new(Outcome::Succeeded);
                let (verdict, views) = checks(list.iter().chain(&step.expect), &scope);
                end.verdict = verdict;
                end.checks = views;
                end.shown = shown(&step.show, &scope);
                Ok(end)
            }
            Action::Escalate(escalation) => {
                let text = escalation.text.render(&self.scope(), Place::Plain);
                let text = text.map_or_else(|_| escalation.text.source_text().to_owned(), |text| text.to_string());
                let mut end = StepEnd::new(Outcome::Succeeded);
                end.escalate = Some((escalation.to.as_ref().map(|to| to.value.clone()), text));
                Ok(end)
            }
            Action::Runbook(call) => self.call(step, call).await,
            _ if step.change.is_some() => self.change(step, action).await,
            _ if step.background.is_some() => self.read_beside(step, action).await,
            _ => self.read(step, action).await,
        }
    }

    /// Captures, checks and evidence over a result.
    pub(super) fn conclude(&self, step: &Step, mut end: StepEnd, mut scope: StepScope) -> StepEnd {
        scope.extend(end.values.clone());
        scope.extend(end.captures.clone());
        let error = end.error.as_ref().map_or(Value::from(()), |error| Value::from(error.to_string()));
        scope.extend([("error".to_owned(), error), ("attempts".to_owned(), Value::from(end.attempts))]);
        if end.outcome != Outcome::Succeeded {
            // What an act gave before it failed is no evidence: half a list has a length, and no line matches. Where
            // an error is a finding, `tolerate` and `ok` say so.
            end.verdict = failed_verdict(step.kind, &end);
            return end;
        }
        match self.captures(&step.capture, &mut scope) {
            Ok(found) => end.captures.extend(found),
            Err(reason) => {
                end.outcome = Outcome::Failed;
                end.error = Some(ErrorClass::BadValue);
                end.reason = Some(reason);
                end.verdict = failed_verdict(step.kind, &end);
                return end;
            }
        }
        // What a stretch of samples comes to is judged over all of them.
        if step.hold.is_some() {
            return end;
        }
        let until = step.until.as_ref().into_iter().flat_map(|until| &until.expect.0);
        let (verdict, views) = checks(step.expect.iter().chain(until), &scope);
        // A validate without a check of its own holds when its action succeeds.
        end.verdict = verdict.or((step.kind == Kind::Validate).then_some(StepVerdict::Holds));
        end.checks = views;
        end.shown = shown(&step.show, &scope);
        end
    }

    /// A read: attempts until it holds, or once.
    async fn read(&self, step: &Arc<Step>, action: &Action) -> Result<StepEnd, Gone> {
        if step.each.is_some() {
            return self.read_list(step, action).await;
        }
        self.read_unit(step, action, self.scope(), &self.path()).await
    }

    pub(super) async fn read_unit(
        &self,
        step: &Arc<Step>,
        action: &Action,
        base: StepScope,
        path: &str,
    ) -> Result<StepEnd, Gone> {
        if let Some(hold) = &step.hold {
            return self.hold_unit(step, action, hold, &base, path).await;
        }
        let times = match Times::of(self, step, &base) {
            Ok(times) => times,
            Err(reason) => return Ok(StepEnd::failed(ErrorClass::BadValue, reason)),
        };
        let before = self.attempts_before(path);
        let began = self.shared.clock.elapsed();
        let mut number = before.made;
        loop {
            number += 1;
            let end = self.read_once(step, action, &base, path, number, times.timeout).await?;
            if end.outcome == Outcome::Cancelled || self.cancel.is_cancelled() {
                return Ok(end);
            }
            let pause = if let Some((every, within)) = times.until.filter(|_| self.shared.acts == Acts::All) {
                let holds = end.outcome == Outcome::Succeeded
                    && end.verdict.is_none_or(|verdict| verdict == StepVerdict::Holds);
                let spent = before.spent + self.shared.clock.elapsed().saturating_sub(began);
                if holds || spent + every > within || self.gives_up(step, &base, &end) {
                    return Ok(late(end, holds, spent, within));
                }
                every
            } else {
                match times.pause_after(&end, number - before.unseen) {
                    Some(pause) => pause,
                    None => return Ok(end),
                }
            };
            if !self.sleep(pause).await {
                return Ok(StepEnd::because(Outcome::Cancelled, "stopped while waiting for the next attempt"));
            }
        }
    }

    fn gives_up(&self, step: &Step, base: &StepScope, end: &StepEnd) -> bool {
        let Some(expr) = step.until.as_ref().and_then(|until| until.give_up.as_ref()) else { return false };
        let mut scope = base.clone();
        scope.extend(end.values.clone());
        scope.extend(end.captures.clone());
        matches!(expr.verdict(&scope, &mut Vec::new()), Ok(Verdict::Holds))
    }

    pub(super) async fn read_once(
        &self,
        step: &Arc<Step>,
        action: &Action,
        base: &StepScope,
        path: &str,
        number: u32,
        timeout: Duration,
    ) -> Result<StepEnd, Gone> {
        let failed = |error, reason: String| {
            let mut end = StepEnd::failed(error, reason);
            end.attempts = number;
            end
        };
        // The values are those of the step's start; the time is that of the attempt.
        let base = &base.clone().at(self.shared.clock.now());
        let act = match self.scene.resolver.act(action, step.target.as_ref(), false, base) {
            Ok(Some(act)) => act,
            Ok(None) => return Ok(StepEnd::new(Outcome::Succeeded)),
            Err(refusal) => {
                return Ok(self.conclude(step, failed(ErrorClass::BadValue, refusal.message), base.clone()));
            }
        };
        // What a probe leaves out gives nothing: a read that needs it is not performed either.
        if self.shared.acts == Acts::Reads
            && let Some(hole) = crate::plan::view(&act).holes.first()
        {
            let reason = format!("`{}` is unknown: {}", hole.label, hole.text);
            return Ok(StepEnd::because(Outcome::NotPerformed, reason));
        }
        let permit = match self.permit(false).await {
            Ok(permit) => permit,
            Err(Halt::Blocked(reason)) => return Ok(StepEnd::because(Outcome::Skipped, reason)),
            Err(Halt::Ending) => return Ok(StepEnd::because(Outcome::Cancelled, "the run is ending")),
        };
        if let Some(target) = act.target().map(str::to_owned)
            && let Err(error) = self.prove(&target, false, base).await
        {
            return Ok(failed(ErrorClass::BadAnswer, error.reason()));
        }
        let wanted = Wanted::of(&step.capture, base);
        let attempted = self.attempt_for(path, number, act, false, timeout, &step.tolerate, wanted).await?;
        drop(permit);
        let end = ended(attempted.performed, attempted.tolerated, number);
        Ok(self.conclude(step, end, base.clone()))
    }

    async fn manual(&self, step: &Arc<Step>, action: &Action, text: &crate::expr::Template) -> Result<StepEnd, Gone> {
        let scope = self.scope();
        let text =
            text.render(&scope, Place::Plain).map_or_else(|_| text.source_text().to_owned(), |text| text.to_string());
        let given = self.beforehand().and_then(serde_json::Value::as_str).map(str::to_owned);
        // A person's change is one change among others: it waits for its turn, and what blocks changes blocks it.
        let mut permit = None;
        if step.kind == Kind::Remediate {
            permit = match self.permit(true).await {
                Ok(permit) => Some(permit),
                Err(Halt::Blocked(reason)) => return Ok(StepEnd::because(Outcome::Skipped, reason)),
                Err(Halt::Ending) => return Ok(StepEnd::because(Outcome::Cancelled, "the run is ending")),
            };
            if let Err(end) = self.pass_gate_by_hand(step, action, &scope).await? {
                return Ok(end);
            }
            if let Err(reason) = self.take_change() {
                return Ok(StepEnd::failed(ErrorClass::BadValue, reason));
            }
        }
        let (answer, by) = match given.as_deref() {
            Some("done") => (Answer::Done { evidence: None }, By::beforehand()),
            Some("failed") => (Answer::NotDone { reason: "said beforehand".to_owned() }, By::beforehand()),
            _ => self.ask(PromptKind::Manual { text, may_skip: !step.required }).await?,
        };
        let mut end = match answer {
            Answer::Done { evidence } => {
                let mut end = StepEnd::new(Outcome::Succeeded);
                let missing = || unknown(UnknownSort::Unobtained, "no evidence was given");
                end.values.insert("evidence".into(), evidence.map_or_else(missing, Value::from));
                end
            }
            Answer::NotDone { reason } => StepEnd::because(Outcome::Failed, reason),
            Answer::Skip { reason } => return Ok(skipped(&reason)),
            other => return Ok(unexpected(&other)),
        };
        end.changed = step.kind == Kind::Remediate;
        if end.changed {
            self.change_over();
        }
        let mut values = IndexMap::new();
        if let Some(evidence) = end.values.get("evidence") {
            values.insert("evidence".to_owned(), store(evidence));
        }
        self.note_as(by.actor, &self.path(), None, Event::Answered { values, door: by.door });
        end.values.insert("by".into(), Value::from(by.name));
        end.values.insert("at".into(), Time(self.shared.clock.now()).into());
        let end = self.conclude(step, end, scope.clone());
        let end = match &step.change {
            Some(change) => self.verified(change, &self.only_unit(scope), end).await?,
            None => end,
        };
        drop(permit);
        Ok(end)
    }
}

/// The longest pause that a back-off grows to, or that the other side may ask for.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// The pauses and limits of a read's attempts.
struct Times {
    timeout: Duration,
    until: Option<(Duration, Duration)>,
    attempts: u32,
    every: Duration,
    backoff: bool,
    classes: Vec<String>,
}

impl Times {
    fn of(task: &Task, step: &Step, scope: &StepScope) -> Result<Self, String> {
        let timeout = task.duration(step.timeout.as_ref(), scope, DEFAULT_TIMEOUT)?;
        let until = match &step.until {
            None => None,
            Some(until) => {
                let every = task.duration(until.every.as_ref(), scope, Duration::from_secs(5))?;
                Some((every, task.duration(Some(&until.within), scope, Duration::ZERO)?))
            }
        };
        let retry = step.retry.as_ref();
        let backoff = retry.and_then(|retry| retry.backoff.as_ref());
        let every = backoff.or_else(|| retry.and_then(|retry| retry.every.as_ref()));
        Ok(Self {
            timeout,
            until,
            attempts: retry.map_or(1, |retry| u32::try_from(retry.attempts.value).unwrap_or(1).max(1)),
            every: task.duration(every, scope, Duration::from_secs(1))?,
            backoff: backoff.is_some(),
            classes: retry
                .map(|retry| retry.classes.0.iter().map(|class| class.value.clone()).collect())
                .unwrap_or_default(),
        })
    }

    /// The pause before the next attempt, or nothing when there is none.
    fn pause_after(&self, end: &StepEnd, number: u32) -> Option<Duration> {
        if !matches!(end.outcome, Outcome::Failed | Outcome::TimedOut) || number >= self.attempts {
            return None;
        }
        let class = end.error.as_ref().map(ToString::to_string).unwrap_or_default();
        let family = class.split('_').next().unwrap_or_default();
        if !self.classes.is_empty() && !self.classes.iter().any(|wanted| *wanted == class || wanted == family) {
            return None;
        }
        let own = if self.backoff { self.every.saturating_mul(1 << (number - 1).min(16)) } else { self.every };
        let pause = wished_pause(end).map_or(own, |wished| own.max(wished.min(LONGEST_PAUSE)));
        Some(if self.backoff { pause.min(LONGEST_PAUSE) } else { pause })
    }
}

/// The pause that the other side asks for: the result field `retry_after`.
fn wished_pause(end: &StepEnd) -> Option<Duration> {
    let wished = end.values.get("retry_after").and_then(crate::expr::Duration::of)?;
    Duration::try_from(wished.0).ok()
}

/// A read that was repeated until its time was over.
fn late(mut end: StepEnd, holds: bool, spent: Duration, within: Duration) -> StepEnd {
    if holds {
        return end;
    }
    let word = |duration: Duration| crate::expr::Duration(jiff::SignedDuration::try_from(duration).unwrap_or_default());
    let tried = Duration::from_secs(spent.as_secs());
    let note = format!("tried for {} of {}", word(tried), word(within));
    end.reason = Some(match end.reason.take() {
        Some(reason) => format!("{reason}; {note}"),
        None => note,
    });
    end
}

/// A performed attempt as the end of a step, before its captures.
pub(super) fn ended(performed: Performed, tolerated: bool, attempts: u32) -> StepEnd {
    let mut end = StepEnd::new(if tolerated { Outcome::Succeeded } else { performed.outcome });
    end.error = performed.error;
    end.reason = performed.message.filter(|_| !tolerated);
    end.values = performed.fields;
    end.attempts = attempts;
    end
}

/// What a validate says whose act did not succeed: a clear no is a no, and an answer that did not come tells nothing.
fn failed_verdict(kind: Kind, end: &StepEnd) -> Option<StepVerdict> {
    match (kind, end.outcome, &end.error) {
        (_, Outcome::Cancelled, _) => None,
        (Kind::Validate, Outcome::Failed, Some(ErrorClass::Exit(_) | ErrorClass::Status(_))) => {
            Some(StepVerdict::DoesNotHold)
        }
        (Kind::Validate, ..) => Some(StepVerdict::CannotTell),
        _ => None,
    }
}

pub(super) fn skipped(reason: &str) -> StepEnd {
    let mut end = StepEnd::because(Outcome::Skipped, format!("left out by the operator: {reason}"));
    end.deviation = true;
    end
}

pub(super) fn unexpected(answer: &Answer) -> StepEnd {
    match answer {
        Answer::Decline { reason } => {
            StepEnd::because(Outcome::Declined, reason.clone().unwrap_or_else(|| "a person said no".to_owned()))
        }
        Answer::Skip { reason } => skipped(reason),
        _ => StepEnd::because(Outcome::Cancelled, "the question was taken back"),
    }
}
