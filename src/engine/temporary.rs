//! Temporary changes: what is taken back by itself when the run ends (ruling 31).
//!
//! How a change is taken back is settled right after it was made, with the values that were there: nothing that happens
//! later can turn it into something else. The gate of the change showed it and covers it.

use super::attempt::{Gone, Task};
use super::body::{At, Scene};
use super::change::Unit;
use super::held::Wanted;
use super::message::{Message, StepEnd};
use super::past::Round;
use super::step::ended;
use crate::event::{ErrorClass, Event, Outcome, StepVerdict};
use crate::expr::{Place, Value};
use crate::plan::{Act, StepScope, view};
use crate::runbook::{Change, Probe, Temporary, Undo};
use std::sync::Arc;
use std::time::Duration;

/// How one change is taken back.
pub(super) struct TakeBack {
    pub(super) scene: Arc<Scene>,
    pub(super) at: At,
    /// The path of the change, or of the item.
    path: String,
    title: String,
    /// The act, or why there is none.
    act: Result<Act, String>,
    probe: Box<Probe>,
    scope: StepScope,
}

/// What became of the temporary changes of a runbook.
#[derive(Default)]
pub(super) struct Cleared {
    /// How many were taken back.
    pub(super) done: u32,
    /// Those that stand, in words.
    pub(super) standing: Vec<String>,
}

impl Task {
    /// A temporary change was made, or may have been: from now on it is taken back when the run ends.
    pub(super) fn remember(&self, change: &Change, unit: &Unit, end: &StepEnd) {
        let is_made = matches!(end.outcome, Outcome::Succeeded | Outcome::Unknown);
        let (Some(Temporary::Run), Some(Undo::Act(probe)), true) = (&change.temporary, &change.undo, is_made) else {
            return;
        };
        let mut scope = unit.scope.clone();
        let mut own = end.values.clone();
        own.extend(end.captures.clone());
        scope.extend([(self.id().to_owned(), Value::from_pairs(own))]);
        let act = match self.scene.resolver.act(&probe.action, probe.target.as_ref(), true, &scope) {
            Ok(Some(act)) => match view(&act).holes.first() {
                None => Ok(act),
                Some(hole) => Err(format!("`{}` is unknown: {}", hole.label, hole.text)),
            },
            Ok(None) => Err(format!("`{}` is no act", probe.action.name())),
            Err(refusal) => Err(refusal.message),
        };
        let title = &self.scene.graph.node(self.at.node).step.title;
        let title =
            title.render(&scope, Place::Plain).map_or_else(|_| title.source_text().to_owned(), |t| t.to_string());
        let (scene, at, path, probe) = (self.scene.clone(), self.at, unit.path.clone(), probe.clone());
        let back = TakeBack { scene, at, path, title, act, probe, scope };
        self.bus.send(Message::Temporary { at: self.at, back: Box::new(back) }).ok();
    }

    /// Takes changes back, the last one first, and tells the dispatcher what stands.
    pub(super) async fn clear(self, backs: Vec<TakeBack>) {
        let mut cleared = Cleared::default();
        for back in backs.into_iter().rev() {
            let at = At { body: self.at.body, node: back.at.node };
            let task = Self::new(self.shared.clone(), back.scene.clone(), at, self.bus.clone(), self.cancel.clone());
            let (text, path) = (back.text(), back.path.clone());
            match task.take_back(back).await {
                Ok(()) => cleared.done += 1,
                Err(reason) => cleared.standing.push(format!("{path}: {text} (not taken back: {reason})")),
            }
        }
        self.bus.send(Message::Cleared { at: self.at, cleared }).ok();
    }

    async fn take_back(&self, back: TakeBack) -> Result<(), String> {
        let path = format!("{}/undo", back.path);
        let round = self.shared.take_past(&path);
        if let Some(end) = round.step_end() {
            return stands(&end);
        }
        if !self.goes_on().await {
            return Err("the run was left".to_owned());
        }
        self.note(&path, None, Event::StepStarted { title: format!("Take back: {}", back.title) });
        let end = match self.undo_act(&path, &back, &round).await {
            Ok(end) => end,
            Err(Gone) => StepEnd::because(Outcome::Cancelled, "the run was left"),
        };
        let event = Event::StepEnded {
            outcome: end.outcome,
            verdict: end.verdict,
            captures: indexmap::IndexMap::new(),
            checks: end.checks.clone(),
            shown: Vec::new(),
            reason: end.reason.clone(),
            handled: false,
            facts: Box::default(),
        };
        self.note(&path, None, event);
        stands(&end)
    }

    /// Waits until the past has been walked through.
    async fn goes_on(&self) -> bool {
        if !self.shared.goes_on.is_cancelled() {
            self.hold(0);
        }
        tokio::select! {
            () = self.shared.goes_on.cancelled() => true,
            () = self.cancel.cancelled() => false,
        }
    }

    async fn undo_act(&self, path: &str, back: &TakeBack, round: &Round) -> Result<StepEnd, Gone> {
        let act = match &back.act {
            Ok(act) => act.clone(),
            Err(reason) => return Ok(StepEnd::failed(ErrorClass::BadValue, reason.clone())),
        };
        let Ok(permit) = self.permit(true).await else {
            return Ok(StepEnd::because(Outcome::Cancelled, "the run was left"));
        };
        if let Some(target) = act.target().map(str::to_owned)
            && let Err(error) = self.prove(&target, true, &back.scope).await
        {
            return Ok(StepEnd::failed(ErrorClass::BadAnswer, error.reason()));
        }
        let timeout = self.duration(back.probe.timeout.as_ref(), &back.scope, Duration::from_secs(30));
        let timeout = timeout.unwrap_or(super::attempt::DEFAULT_TIMEOUT);
        let made = round.changes();
        // Where an earlier process began to take it back, the verify tells whether that is done.
        if let Some(attempt) = round.unsettled() {
            let mut end = StepEnd::because(Outcome::Unknown, "its end was not seen");
            if let Some(verify) = &back.probe.verify {
                let seen = self.poll(verify, &back.scope, &format!("{path}/verify")).await?;
                (end.checks, end.verdict) = (seen.checks, seen.verdict);
                if end.verdict == Some(StepVerdict::Holds) {
                    return Ok(StepEnd { outcome: Outcome::Succeeded, reason: None, ..end });
                }
            }
            if let Some(end) = self.ask_what_became(path, attempt, end).await? {
                return Ok(end);
            }
        }
        let number = made + 1;
        let wanted = Wanted::of(&back.probe.capture, &back.scope);
        let attempted = self.attempt_for(path, number, act, true, timeout, &back.probe.tolerate, wanted).await?;
        let mut end = ended(attempted.performed, attempted.tolerated, number);
        if let Some(verify) = &back.probe.verify
            && matches!(end.outcome, Outcome::Succeeded | Outcome::Unknown)
        {
            let seen = self.poll(verify, &back.scope, &format!("{path}/verify")).await?;
            end.verdict = seen.verdict;
            end.checks = seen.checks;
            end.outcome = match seen.verdict {
                Some(StepVerdict::Holds) => Outcome::Succeeded,
                Some(StepVerdict::DoesNotHold) => Outcome::Failed,
                _ => Outcome::Unknown,
            };
            if end.outcome != Outcome::Succeeded {
                end.reason = seen.reason.or_else(|| Some("its verify does not say that it is undone".to_owned()));
            }
        }
        drop(permit);
        Ok(end)
    }
}

/// Why a change stands after it was to be taken back, if it does.
fn stands(end: &StepEnd) -> Result<(), String> {
    if end.outcome == Outcome::Succeeded {
        return Ok(());
    }
    let error = end.error.as_ref().map(ToString::to_string);
    let reason = end.reason.clone().or(error);
    Err(reason.unwrap_or_else(|| super::change::outcome_word(end.outcome).to_owned()))
}

impl TakeBack {
    /// The act in words.
    fn text(&self) -> String {
        match &self.act {
            Ok(act) => view(act).text,
            Err(_) => self.probe.action.name().to_owned(),
        }
    }
}
