//! A step that gives the person's terminal to a program: asked first, told of afterwards.
//!
//! Three prompts follow each other: whether it is started (its own confirm gate, ruling 36), the hand-over itself, which
//! asks nothing, and the person's own account. Of what happens at the terminal nothing is seen.

use super::attempt::{Gone, Task, refused};
use super::change::Unit;
use super::facts::{Facts, Look};
use super::message::{Halt, StepEnd};
use super::port::{Answer, HandedOver, Performed, PromptKind};
use super::step::{By, skipped, unexpected};
use super::store_value::store;
use crate::event::{AnswerKind, ErrorClass, Event, GateAnswer, GateRequirement, Outcome};
use crate::expr::{Time, UnknownSort, Value, unknown};
use crate::plan::{Act, CommandAct, StepScope, view};
use crate::runbook::{Action, Kind, Step};
use indexmap::IndexMap;
use std::sync::Arc;

impl Task {
    /// Gives the terminal away, once.
    pub(super) async fn interactive(&self, step: &Arc<Step>, action: &Action) -> Result<StepEnd, Gone> {
        let scope = self.scope();
        let act = match self.program(step, action, &scope) {
            Ok(act) => act,
            Err(reason) => return Ok(StepEnd::failed(ErrorClass::BadValue, reason)),
        };
        let given = self.shared.answers.get(&self.path()).and_then(serde_json::Value::as_str);
        let mut permit = None;
        let mut own_gate = None;
        if let (Some(change), true) = (&step.change, self.round.unsettled().is_some()) {
            let unit = self.only_unit(scope.clone());
            let settled = self.settle_unseen(step, action, change, &unit, &self.round).await?;
            self.settled();
            if let Some(end) = settled {
                return Ok(end);
            }
        }
        if step.change.is_some() {
            permit = match self.permit(true).await {
                Ok(permit) => Some(permit),
                Err(Halt::Blocked(reason)) => return Ok(StepEnd::because(Outcome::Skipped, reason)),
                Err(Halt::Ending) => return Ok(StepEnd::because(Outcome::Cancelled, "the run is ending")),
            };
            own_gate = match self.pass_typed_gate(step, action, &scope).await? {
                Ok(facts) => facts,
                Err(end) => return Ok(end),
            };
        }
        let (answer, by) = match given {
            Some("done") => (Answer::Done { evidence: None }, By::beforehand()),
            Some("failed") => (Answer::NotDone { reason: "said beforehand".to_owned() }, By::beforehand()),
            _ => {
                let command = view(&Act::Interactive(Box::new(act.clone()))).text;
                self.ask(PromptKind::Interactive { command, may_skip: !step.required }).await?
            }
        };
        let (end, by) = match answer {
            Answer::Approve => {
                self.gate_passed(own_gate, by);
                match self.hand_over(step, act).await? {
                    Ok(ended) => ended,
                    Err(end) => return Ok(end),
                }
            }
            // It was done elsewhere.
            answer @ (Answer::Done { .. } | Answer::NotDone { .. }) => (account(answer), by),
            other => return Ok(unexpected(&other)),
        };
        let end = self.told(step, end, by, &scope);
        let end = match &step.change {
            Some(change) => {
                let unit = self.only_unit(scope);
                self.verified(change, &unit, end).await?
            }
            None => end,
        };
        drop(permit);
        Ok(end)
    }

    pub(super) fn only_unit(&self, scope: StepScope) -> Unit {
        Unit { path: self.path(), item: None, items: Value::default(), scope }
    }

    fn program(&self, step: &Step, action: &Action, scope: &StepScope) -> Result<CommandAct, String> {
        let act = self.scene.resolver.act(action, step.target.as_ref(), step.change.is_some(), scope);
        let act = act.map_err(|refusal| refusal.message)?.ok_or("this is not an act")?;
        if let Some(hole) = view(&act).holes.first() {
            return Err(format!("`{}` is unknown: {}", hole.label, hole.text));
        }
        match act {
            Act::Interactive(command) => Ok(*command),
            _ => Err("this is not a program for a terminal".to_owned()),
        }
    }

    /// A gate that wants more than a yes stays (ruling 36). Otherwise the prompt is the gate: these are its facts.
    async fn pass_typed_gate(
        &self,
        step: &Arc<Step>,
        action: &Action,
        scope: &StepScope,
    ) -> Result<Result<Option<Facts>, StepEnd>, Gone> {
        let Some(change) = &step.change else { return Ok(Ok(None)) };
        let units = [self.only_unit(scope.clone())];
        let before = self.done_before(step, action, change, &[]).await?;
        let facts = match self.facts(step, action, change, &units, Look::Fresh).await {
            Ok(facts) => facts,
            Err(end) => return Ok(Err(end)),
        };
        match facts.requirement {
            None | Some(GateRequirement::Confirm) if facts.card.terms.is_empty() => Ok(Ok(Some(facts))),
            _ => Ok(self.pass_gate(step, action, change, &units, &before).await?.map(|_| None)),
        }
    }

    /// The prompt of work by hand is its own confirm gate; what its runbook asks beyond that stays (ruling 36).
    pub(super) async fn pass_gate_by_hand(
        &self,
        step: &Arc<Step>,
        action: &Action,
        scope: &StepScope,
    ) -> Result<Result<(), StepEnd>, Gone> {
        let Some(change) = &step.change else { return Ok(Ok(())) };
        if !change.gate.as_ref().is_some_and(|gate| gate.text.is_some() || gate.asks_more()) {
            return Ok(Ok(()));
        }
        let units = [self.only_unit(scope.clone())];
        let before = self.done_before(step, action, change, &[]).await?;
        Ok(self.pass_gate(step, action, change, &units, &before).await?.map(|_| ()))
    }

    /// Puts the gate that the prompt was on record: no change is attempted without one.
    fn gate_passed(&self, own_gate: Option<Facts>, by: By) {
        let Some(facts) = own_gate else { return };
        let now = self.shared.clock.now();
        let (number, digest) = (1, facts.digest(1));
        let opened = Event::GateOpened { number, digest: digest.clone(), expires: now, card: Box::new(facts.card) };
        self.note(&self.path(), None, opened);
        let answer = GateAnswer { answer: AnswerKind::Approved, door: by.door, reason: None };
        self.note_as(by.actor, &self.path(), None, Event::GateAnswered { number, digest, answer });
    }

    /// Has the program started and waits for its end, then for the person's account.
    async fn hand_over(&self, step: &Arc<Step>, act: CommandAct) -> Result<Result<(StepEnd, By), StepEnd>, Gone> {
        let path = self.path();
        let shown = view(&Act::Interactive(Box::new(act.clone())));
        let command = shown.text.clone();
        if let Some(reason) = self.open_secret(&shown) {
            return Ok(Err(StepEnd::failed(ErrorClass::BadValue, reason)));
        }
        let change = step.change.is_some();
        self.record(&path, Some(1), Event::AttemptStarted { act: Box::new(shown), change }).await?;
        let started = self.shared.clock.elapsed();
        let marker = format!("{}/{path}/1", self.shared.run);
        let answer = self.ask(PromptKind::HandOver { act: Box::new(act), marker }).await;
        let took = self.shared.clock.elapsed().saturating_sub(started);
        let (performed, how) = if let Ok((Answer::HandedOver(over), _)) = answer {
            (self.performed(&over), how(&over))
        } else {
            // The run is ending, and what was done until then is not known.
            let outcome = if change { Outcome::Unknown } else { Outcome::Cancelled };
            let taken = refused(ErrorClass::Cancelled, "the run took its terminal back");
            (Performed { outcome, ..taken }, String::new())
        };
        let event = Event::AttemptEnded {
            outcome: performed.outcome,
            error: performed.error.clone(),
            message: performed.message.clone(),
            fields: self.stored(&performed.fields),
            evidence: Vec::new(),
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            left: performed.left.clone(),
        };
        self.note(&path, Some(1), event);
        if performed.outcome != Outcome::Succeeded {
            let mut end = StepEnd::because(performed.outcome, performed.message.unwrap_or_default());
            end.error = performed.error;
            end.attempts = 1;
            end.changed = performed.outcome == Outcome::Unknown;
            return Ok(Err(end));
        }
        let text = format!("`{command}` {how}. What did you do there, and how did it go?");
        let (answer, by) = self.ask(PromptKind::Manual { text, may_skip: !step.required }).await?;
        let mut end = match answer {
            Answer::Done { .. } | Answer::NotDone { .. } => account(answer),
            Answer::Skip { reason } => skipped(&reason),
            other => return Ok(Err(unexpected(&other))),
        };
        end.values.extend(performed.fields);
        end.attempts = 1;
        end.changed = step.kind == Kind::Remediate;
        Ok(Ok((end, by)))
    }

    /// The end of the program as the end of an attempt. Its exit code judges nothing: the person does.
    fn performed(&self, over: &HandedOver) -> Performed {
        if let Some((class, why)) = &over.not_started {
            return refused(class.clone(), self.shared.evidence.mask(why));
        }
        let by_signal = || {
            let reason = match over.signal {
                Some(signal) => format!("signal {signal} ended it"),
                None => "its end was not seen".to_owned(),
            };
            unknown(UnknownSort::Unobtained, reason)
        };
        let exit = over.exit.map_or_else(by_signal, Value::from);
        Performed {
            outcome: Outcome::Succeeded,
            error: None,
            message: None,
            fields: IndexMap::from([("exit".to_owned(), exit)]),
            evidence: Vec::new(),
            left: over.left.clone(),
        }
    }

    /// Puts the account on record, and looks at captures and checks.
    fn told(&self, step: &Step, mut end: StepEnd, by: By, scope: &StepScope) -> StepEnd {
        let missing = |reason: &str| unknown(UnknownSort::Unobtained, reason);
        end.values.entry("exit".to_owned()).or_insert_with(|| missing("the program was not started here"));
        end.values.entry("account".to_owned()).or_insert_with(|| missing("nothing was told"));
        let values =
            ["account", "exit"].iter().filter_map(|name| Some(((*name).to_owned(), store(end.values.get(*name)?))));
        let event = Event::Answered { values: values.collect(), door: by.door };
        self.note_as(by.actor, &self.path(), None, event);
        end.values.insert("by".into(), Value::from(by.name));
        end.values.insert("at".into(), Time(self.shared.clock.now()).into());
        if end.outcome == Outcome::Skipped { end } else { self.conclude(step, end, scope.clone()) }
    }
}

/// What a person told, as the end of a step.
fn account(answer: Answer) -> StepEnd {
    match answer {
        Answer::Done { evidence } => {
            let mut end = StepEnd::new(Outcome::Succeeded);
            end.values.extend(evidence.map(|text| ("account".to_owned(), Value::from(text))));
            end
        }
        Answer::NotDone { reason } => {
            let mut end = StepEnd::because(Outcome::Failed, reason.clone());
            end.values.insert("account".to_owned(), Value::from(reason));
            end
        }
        other => unexpected(&other),
    }
}

/// How the program ended, for people.
fn how(over: &HandedOver) -> String {
    match (over.exit, over.signal) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "has an end that was not seen".to_owned(),
    }
}
