//! The dispatcher's side of background steps: which processes run, when they are ended, what an early end means.

use super::super::background::Running;
use super::super::body::At;
use super::super::message::Message;
use super::Dispatcher;
use crate::event::{Event, StepPath};
use crate::graph::Section;
use std::time::Duration;

impl Dispatcher {
    /// A process is about to be started.
    pub(super) fn background_started(&mut self, running: Running) {
        self.background.push(running);
    }

    /// A process is gone: because it was ended, before its step was ready, or too early.
    pub(super) fn background_over(&mut self, at: At, path: &str, reason: &str) {
        let Some(place) = self.background.iter().position(|running| running.at == at && running.path == path) else {
            return;
        };
        if self.background.remove(place).cancel.is_cancelled() {
            return;
        }
        self.gone.insert(at, reason.to_owned());
        self.miss_background(at);
    }

    /// Nobody may rely on a process that is gone, once its step is over.
    pub(super) fn miss_background(&mut self, at: At) {
        let body = &mut self.bodies[at.body];
        let Some(over) = body.over.get_mut(&at.node) else { return };
        let Some(reason) = self.gone.remove(&at).filter(|_| !over.failed) else { return };
        over.failed = true;
        let (parent, id) = (body.node(at.node).parent, body.node(at.node).id.clone());
        let text = format!("`{id}` ended early: {reason}");
        let relies = format!("{text}, and this step relies on it");
        let later = body.scene.graph.ids().filter(|&other| {
            let node = body.scene.graph.node(other);
            other > at.node && node.parent == parent && node.section == Section::Body
        });
        let later: Vec<_> = later.map(|other| (other, relies.clone())).collect();
        body.halted.extend(later);
        self.log_step(at, Event::Deviated { text });
    }

    /// Ends the processes of steps inside a holder that is over.
    pub(super) fn end_background_inside(&mut self, holder: At) {
        let graph = self.bodies[holder.body].scene.graph.clone();
        for running in &self.background {
            let same = running.at.body == holder.body;
            if same && graph.holders(running.at.node).any(|other| other == holder.node) {
                running.cancel.cancel();
            }
        }
    }

    /// Ends the processes of a body that is over.
    pub(super) fn end_background_of(&mut self, body: super::super::body::BodyId) {
        self.background.iter().filter(|running| running.at.body == body).for_each(|running| running.cancel.cancel());
    }

    /// Ends every process and waits for it, with a bound: nothing outlives the run that started it.
    pub(super) async fn end_background(&mut self) {
        let deadline = tokio::time::Instant::now() + self.shared.grace + Duration::from_secs(5);
        self.background.iter().for_each(|running| running.cancel.cancel());
        while !self.background.is_empty() {
            let Ok(Some(message)) = tokio::time::timeout_at(deadline, self.messages.recv()).await else { return };
            match message {
                // Nothing is started any more.
                Message::Record { path, attempt, actor, event, .. } => {
                    self.push(Some(StepPath(path)), attempt, actor, event);
                }
                other => self.handle(other),
            }
        }
    }
}
