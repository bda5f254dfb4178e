//! The processes of an attempt that have outlived the process which had the run: waited for, ended, or asked about.

use super::attempt::{DEFAULT_TIMEOUT, Task};
use super::message::{Message, Settled};
use super::port::{Answer, Cancel, PromptKind};
use super::survivor::{Survivor, Trace};
use crate::event::StepPath;
use std::time::Duration;

/// An attempt whose processes live.
pub(super) struct Outlived {
    pub(super) path: StepPath,
    pub(super) number: u32,
    pub(super) trace: Trace,
    pub(super) survivors: Vec<Survivor>,
    /// How long ago the attempt was started.
    pub(super) spent: Duration,
    /// Whether they are ended without asking.
    pub(super) is_ended: bool,
    /// Whether somebody can be asked.
    pub(super) is_attended: bool,
}

impl Task {
    /// Sees to the processes of an attempt, and tells the dispatcher which were ended or left alone.
    pub(super) async fn see_to(self, outlived: Outlived) {
        let certain: Vec<&Survivor> = outlived.survivors.iter().filter(|survivor| survivor.is_certain).collect();
        let doubtful = outlived.survivors.iter().filter(|survivor| !survivor.is_certain);
        let mut left: Vec<String> = doubtful
            .map(|survivor| format!("{} may have been started by it, and was left alone", survivor.label))
            .collect();
        if !certain.is_empty() && (outlived.is_ended || !self.is_over_by_itself(&outlived).await) {
            // Whoever leaves the run meanwhile leaves them as they are: the next one finds them again.
            if self.cancel.is_cancelled() {
                return;
            }
            let performer = &self.shared.performer;
            let lost = performer.end_survivors(outlived.trace.clone(), self.shared.grace).await;
            left.extend(
                certain.iter().map(|survivor| format!("{} had outlived its run and was ended", survivor.label)),
            );
            left.extend(lost.iter().map(|survivor| format!("{} could not be ended", survivor.label)));
        }
        if !self.cancel.is_cancelled() {
            let message = Message::Outlived { path: outlived.path, number: outlived.number, left };
            self.bus.send(message).ok();
        }
    }

    /// Waits for the end of what a change has started: for as long as a person says, or for what is left of its own time.
    async fn is_over_by_itself(&self, outlived: &Outlived) -> bool {
        let gone = Cancel::new();
        let stop = gone.clone().drop_guard();
        let waiting = self.shared.performer.await_survivors(outlived.trace.clone(), gone.clone());
        tokio::pin!(waiting);
        let is_over = if outlived.is_attended {
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => false,
                _ = &mut waiting => {
                    self.bus.send(Message::Expired { at: self.at }).ok();
                    true
                }
                wait = self.may_go_on(outlived) => wait && tokio::select! {
                    () = self.cancel.cancelled() => false,
                    _ = &mut waiting => true,
                },
            }
        } else {
            let step = &self.scene.graph.node(self.at.node).step;
            let timeout = self.duration(step.timeout.as_ref(), &self.scope(), DEFAULT_TIMEOUT);
            let time = timeout.unwrap_or(DEFAULT_TIMEOUT).saturating_sub(outlived.spent);
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => false,
                _ = &mut waiting => true,
                () = tokio::time::sleep(time) => false,
            }
        };
        drop(stop);
        is_over
    }

    /// Asks a person whether they go on.
    async fn may_go_on(&self, outlived: &Outlived) -> bool {
        let certain = outlived.survivors.iter().filter(|survivor| survivor.is_certain);
        let processes = certain.map(|survivor| survivor.label.clone()).collect();
        let kind = PromptKind::Outlived { processes, spent: outlived.spent };
        let (reply, answer) = tokio::sync::oneshot::channel();
        // It goes away by itself when they end: the run does not park before.
        let message = Message::Ask { at: self.at, kind, stays: true, reply };
        if self.bus.send(message).is_err() {
            return false;
        }
        match answer.await {
            Ok(Settled::By(Answer::Perform(wait), ..)) => wait,
            // The question was taken back because they have ended, or the run is left: both are noticed elsewhere.
            _ => std::future::pending().await,
        }
    }
}
