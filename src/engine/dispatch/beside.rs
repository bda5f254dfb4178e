//! Processes that run beside the steps: ended with their group or their runbook, and missed when they end by themselves.

use super::super::body::{At, BodyId, Over};
use super::super::message::StepEnd;
use super::super::port::Cancel;
use super::Dispatcher;
use crate::event::{Event, Outcome};
use crate::graph::Section;
use crate::runbook::StepBody;
use std::time::Duration;

/// A process that runs beside the steps.
pub(super) struct Beside {
    at: At,
    stop: Cancel,
    /// Whether we are ending it.
    is_stopped: bool,
}

impl Dispatcher {
    /// A process may be relied on: for the steps after it, its step is over.
    pub(super) fn background_ready(&mut self, at: At, stop: Cancel, after: Duration) {
        let is_again = self.is_restarting(at);
        self.task_over(at);
        let step = self.bodies.node(at).step.clone();
        self.log_step(at, Event::BackgroundReady { after_ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX) });
        if is_again {
            return self.beside.push(Beside { at, stop, is_stopped: false });
        }
        let end = StepEnd::because(Outcome::Succeeded, "it runs in the background");
        self.keep_values(at, &step, &end);
        self.turn += 1;
        self.bodies[at.body].over.insert(at.node, Over::new(Outcome::Succeeded, self.turn));
        if step.change.is_some() {
            let tally = &mut self.bodies.owner_mut(at.body).tally;
            tally.changes += 1;
            tally.last_change = self.turn;
        }
        self.beside.push(Beside { at, stop, is_stopped: false });
        self.finish(at);
        if self.is_ending(at.body) {
            self.stop_beside(|other| other.body == at.body);
        }
    }

    /// Ends processes; each counts as a task until it has ended. Gives how many.
    pub(super) fn stop_beside(&mut self, which: impl Fn(At) -> bool) -> usize {
        let mut count = 0;
        for beside in self.beside.iter_mut().filter(|beside| !beside.is_stopped && which(beside.at)) {
            beside.is_stopped = true;
            beside.stop.cancel();
            self.bodies[beside.at.body].live += 1;
            count += 1;
        }
        count
    }

    /// Ends the processes that a holder started.
    pub(super) fn stop_beside_in(&mut self, holder: At) {
        let is_group = matches!(self.bodies.node(holder).step.body, StepBody::Group(_));
        if self.beside.is_empty() || !is_group {
            return;
        }
        let scene = self.bodies[holder.body].scene.clone();
        self.stop_beside(|at| at.body == holder.body && scene.graph.holders(at.node).any(|other| other == holder.node));
    }

    /// Goes on at the end of a runbook: temporary changes are taken back, then processes are ended, then comes `finally`.
    pub(super) fn wind_up(&mut self, id: BodyId) {
        if !self.clear(id) {
            self.end_beside(id);
        }
    }

    /// Ends the processes of a runbook; `finally` comes when none is left.
    pub(super) fn end_beside(&mut self, id: BodyId) {
        if self.stop_beside(|at| at.body == id) == 0 {
            self.bodies[id].schedule.open_finally();
        }
    }

    /// A process has ended: because we ended it, or by itself.
    pub(super) fn background_over(&mut self, at: At, mut end: StepEnd) {
        let Some(place) = self.beside.iter().position(|beside| beside.at == at) else { return };
        let beside = self.beside.swap_remove(place);
        let step = self.bodies.node(at).step.clone();
        if beside.is_stopped {
            end.outcome = Outcome::Succeeded;
            end.error = None;
            end.verdict = None;
            end.reason = Some("it was ended when it was no longer needed".to_owned());
            self.log_end(at, &step, &end, false);
            self.task_over(at);
            let waits = self.beside.iter().any(|beside| beside.at.body == at.body && beside.is_stopped);
            let body = &mut self.bodies[at.body];
            if body.in_finally && !body.clearing && !waits {
                body.schedule.open_finally();
            }
            return;
        }
        self.lost_beside(at, end);
    }

    /// A process that the steps rely on is gone.
    pub(super) fn lost_beside(&mut self, at: At, mut end: StepEnd) {
        let step = self.bodies.node(at).step.clone();
        let why = end.reason.take().or(end.error.as_ref().map(ToString::to_string));
        let why = why.map_or_else(String::new, |why| format!(": {why}"));
        end.outcome = Outcome::Failed;
        end.reason = Some(format!("it ended while it was needed{why}"));
        self.log_end(at, &step, &end, false);
        self.keep_values(at, &step, &end);
        self.turn += 1;
        let over = Over { failed: true, error: end.error.clone(), ..Over::new(Outcome::Failed, self.turn) };
        self.bodies[at.body].over.insert(at.node, over);
        self.block_by_default(at, &step, &end);
        self.miss(at);
    }

    /// A process has ended while the run is being left: its step is not over, a resume starts it again.
    pub(super) fn gone_beside(&mut self, at: At) {
        let Some(place) = self.beside.iter().position(|beside| beside.at == at) else { return };
        if self.beside.swap_remove(place).is_stopped {
            self.task_over(at);
        }
    }

    /// The steps after a process that ended cannot rely on it: they are not started, and their running reads are stopped.
    pub(super) fn miss(&mut self, at: At) {
        let body = &self.bodies[at.body];
        let node = body.node(at.node);
        let reason = format!("`{}` ended while it was needed", node.id);
        let own = |id: &crate::graph::NodeId| {
            let other = body.node(*id);
            *id > at.node && other.parent == node.parent && other.section == Section::Body
        };
        let after: Vec<_> = body.scene.graph.ids().filter(own).filter(|id| !body.over.contains_key(id)).collect();
        let body = &mut self.bodies[at.body];
        body.halted.extend(after.into_iter().map(|id| (id, reason.clone())));
        self.stop_halted(&reason);
    }
}
