//! The acts that take one change back: settled with the values that were there, performed one after the other.

use super::attempt::{DEFAULT_TIMEOUT, Gone, Task, checks};
use super::change::expectation_failed;
use super::held::Wanted;
use super::message::StepEnd;
use super::past::Round;
use super::step::ended;
use crate::event::{ErrorClass, Event, Outcome, StepVerdict};
use crate::expr::{Place, Value};
use crate::plan::{Act, Resolver, StepScope, view};
use crate::runbook::{Probe, Undo, UndoAct, UndoWork};
use indexmap::IndexMap;
use std::time::Duration;

/// One act of an undo, with its values in.
#[derive(Clone)]
pub(super) struct UndoPart {
    /// Its id, where the undo is a list.
    id: Option<String>,
    title: String,
    /// The act, or why there is none.
    act: Result<Act, String>,
    probe: Box<Probe>,
    change: bool,
}

impl UndoPart {
    /// All acts of an undo, in order.
    pub(super) fn all(undo: &Undo, resolver: &Resolver, scope: &StepScope) -> Vec<Self> {
        let is_list = matches!(undo, Undo::Steps(_));
        let part = |UndoAct { id, title, work, change }: UndoAct| {
            // `check` refuses the other kind of work for what is temporary.
            let UndoWork::Probe(probe) = work else { return None };
            let act = match resolver.act(&probe.action, probe.target.as_ref(), change, scope) {
                Ok(Some(act)) => match view(&act).holes.first() {
                    None => Ok(act),
                    Some(hole) => Err(format!("`{}` is unknown: {}", hole.label, hole.text)),
                },
                Ok(None) => Err(format!("`{}` is no act", probe.action.name())),
                Err(refusal) => Err(refusal.message),
            };
            let title = title.map_or_else(String::new, |title| {
                title
                    .render(scope, Place::Plain)
                    .map_or_else(|_| title.source_text().to_owned(), |text| text.to_string())
            });
            Some(Self { id: is_list.then_some(id), title, act, probe, change })
        };
        undo.acts().into_iter().filter_map(part).collect()
    }

    /// The act in words.
    pub(super) fn text(&self) -> String {
        match &self.act {
            Ok(act) => view(act).text,
            Err(_) => self.probe.action.name().to_owned(),
        }
    }
}

impl Task {
    /// Performs the acts of an undo. The first that does not succeed ends it, and its end is that of the undo. What an
    /// earlier process has done of a list is not done again.
    pub(super) async fn perform_undo(
        &self,
        path: &str,
        parts: &[UndoPart],
        scope: &StepScope,
        round: &Round,
    ) -> Result<StepEnd, Gone> {
        let mut last = StepEnd::new(Outcome::Succeeded);
        for part in parts {
            let Some(id) = &part.id else { return self.perform_part(path, part, scope, round).await };
            // A run that is left begins no further act; what is left of the list is for its next process.
            if self.shared.leaving.is_cancelled() {
                return Err(Gone);
            }
            let path = format!("{path}/{id}");
            let round = self.shared.take_past(&path);
            let before = round.step_end().filter(|end| end.outcome != Outcome::Cancelled);
            let end = match before {
                Some(end) => end,
                None => self.tell_part(&path, part, scope, &round).await?,
            };
            if end.outcome != Outcome::Succeeded {
                let error = end.error.as_ref().map(ToString::to_string);
                let why = end.reason.clone().or(error);
                let why = why.unwrap_or_else(|| super::change::outcome_word(end.outcome).to_owned());
                return Ok(StepEnd { reason: Some(format!("step `{id}` of the undo: {why}")), ..end });
            }
            last.changed |= part.change;
            last.attempts = last.attempts.max(end.attempts);
            last.verdict = end.verdict;
            last.checks.extend(end.checks);
        }
        Ok(last)
    }

    /// One step of a list, with an end of its own on record.
    async fn tell_part(&self, path: &str, part: &UndoPart, scope: &StepScope, round: &Round) -> Result<StepEnd, Gone> {
        self.note(path, None, Event::StepStarted { title: part.title.clone() });
        let end = self.perform_part(path, part, scope, round).await?;
        let event = Event::StepEnded {
            outcome: end.outcome,
            verdict: end.verdict,
            captures: IndexMap::new(),
            checks: end.checks.clone(),
            shown: Vec::new(),
            reason: end.reason.clone(),
            handled: false,
            facts: Box::default(),
        };
        self.note(path, None, event);
        Ok(end)
    }

    async fn perform_part(
        &self,
        path: &str,
        part: &UndoPart,
        scope: &StepScope,
        round: &Round,
    ) -> Result<StepEnd, Gone> {
        let act = match &part.act {
            Ok(act) => act.clone(),
            Err(reason) => return Ok(StepEnd::failed(ErrorClass::BadValue, reason.clone())),
        };
        if let Some(target) = act.target().map(str::to_owned)
            && let Err(error) = self.prove(&target, true, scope).await
        {
            return Ok(StepEnd::failed(ErrorClass::BadAnswer, error.reason()));
        }
        let probe = &part.probe;
        let timeout = self.duration(probe.timeout.as_ref(), scope, Duration::from_secs(30)).unwrap_or(DEFAULT_TIMEOUT);
        // Where an earlier process began to take it back, the verify tells whether that is done.
        if let Some(attempt) = round.unsettled() {
            let mut end = StepEnd::because(Outcome::Unknown, "its end was not seen");
            if let Some(verify) = &probe.verify {
                let seen = self.poll(verify, scope, &format!("{path}/verify")).await?;
                (end.checks, end.verdict) = (seen.checks, seen.verdict);
                if end.verdict == Some(StepVerdict::Holds) {
                    return Ok(StepEnd { outcome: Outcome::Succeeded, reason: None, ..end });
                }
            }
            if let Some(end) = self.ask_what_became(path, attempt, end).await? {
                return Ok(end);
            }
        }
        let number = round.attempts.last().map_or(0, |attempt| attempt.number) + 1;
        let wanted = Wanted::of(&probe.capture, scope);
        let attempted = self.attempt_for(path, number, act, part.change, timeout, &probe.tolerate, wanted).await?;
        let end = self.expected(probe, ended(attempted.performed, attempted.tolerated, number), scope);
        self.verified_part(path, probe, end, scope).await
    }

    async fn verified_part(
        &self,
        path: &str,
        probe: &Probe,
        mut end: StepEnd,
        scope: &StepScope,
    ) -> Result<StepEnd, Gone> {
        let Some(verify) = &probe.verify else { return Ok(end) };
        if !matches!(end.outcome, Outcome::Succeeded | Outcome::Unknown) {
            return Ok(end);
        }
        let seen = self.poll(verify, scope, &format!("{path}/verify")).await?;
        end.verdict = seen.verdict;
        end.checks.extend(seen.checks);
        end.outcome = match seen.verdict {
            Some(StepVerdict::Holds) => Outcome::Succeeded,
            Some(StepVerdict::DoesNotHold) => Outcome::Failed,
            _ => Outcome::Unknown,
        };
        end.reason = match end.outcome {
            Outcome::Succeeded => None,
            _ => seen.reason.or_else(|| Some("its verify does not say that it is undone".to_owned())),
        };
        Ok(end)
    }
}

impl Task {
    /// What an act of an undo expects of its result.
    fn expected(&self, probe: &Probe, mut end: StepEnd, scope: &StepScope) -> StepEnd {
        if end.outcome != Outcome::Succeeded || probe.expect.is_empty() {
            return end;
        }
        let mut inner = scope.clone();
        inner.extend(end.values.clone());
        let error = end.error.as_ref().map_or(Value::from(()), |error| Value::from(error.to_string()));
        inner.extend([("error".to_owned(), error)]);
        if let Err(reason) = self.captures(&probe.capture, &mut inner) {
            return StepEnd { verdict: Some(StepVerdict::CannotTell), ..StepEnd::because(Outcome::Unknown, reason) };
        }
        (end.verdict, end.checks) = checks(&probe.expect, &inner);
        if end.verdict == Some(StepVerdict::Holds) { end } else { expectation_failed(end) }
    }
}
