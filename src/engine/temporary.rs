//! Temporary changes: what is taken back by itself when the run ends (ruling 31).
//!
//! How a change is taken back is settled right after it was made, with the values that were there: nothing that happens
//! later can turn it into something else. The gate of the change showed it and covers it.

use super::attempt::Task;
use super::body::{At, Scene};
use super::change::Unit;
use super::message::{Message, StepEnd};
use super::undo_part::UndoPart;
use crate::event::{Event, Outcome};
use crate::expr::{Place, Value};
use crate::plan::StepScope;
use crate::runbook::{Change, Temporary};
use std::sync::Arc;

/// How one change is taken back.
pub(super) struct TakeBack {
    pub(super) scene: Arc<Scene>,
    pub(super) at: At,
    /// The path of the change, or of the item.
    path: String,
    title: String,
    parts: Vec<UndoPart>,
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
        let (Some(Temporary::Run), Some(undo), true) = (&change.temporary, &change.undo, is_made) else {
            return;
        };
        let mut scope = unit.scope.clone();
        let mut own = end.values.clone();
        own.extend(end.captures.clone());
        scope.extend([(self.id().to_owned(), Value::from_pairs(own))]);
        let parts = UndoPart::all(undo, &self.scene.resolver, &scope);
        let title = &self.scene.graph.node(self.at.node).step.title;
        let title =
            title.render(&scope, Place::Plain).map_or_else(|_| title.source_text().to_owned(), |t| t.to_string());
        let (scene, at, path) = (self.scene.clone(), self.at, unit.path.clone());
        let back = TakeBack { scene, at, path, title, parts, scope };
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
        // What an undo walks through is over: what stands of it comes later, behind its gate.
        if self.shared.is_undo {
            return Ok(());
        }
        let path = format!("{}/undo", back.path);
        let round = self.shared.take_past(&path);
        // What was left half-way when its run was suspended goes on.
        if let Some(end) = round.step_end().filter(|end| end.outcome != Outcome::Cancelled) {
            return stands(&end);
        }
        if !self.goes_on().await {
            return Err("the run was left".to_owned());
        }
        self.note(&path, None, Event::StepStarted { title: format!("Take back: {}", back.title) });
        let left = || StepEnd::because(Outcome::Cancelled, "the run was left");
        let end = match self.permit(true).await {
            Ok(permit) => {
                let end = self.perform_undo(&path, &back.parts, &back.scope, &round).await;
                drop(permit);
                end.unwrap_or_else(|_| left())
            }
            Err(_) => left(),
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
    /// The acts in words.
    fn text(&self) -> String {
        self.parts.iter().map(UndoPart::text).collect::<Vec<_>>().join("; then ")
    }
}
