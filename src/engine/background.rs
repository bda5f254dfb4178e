//! A process that is kept running for the steps after it: a tunnel, a port that is forwarded.
//!
//! The step is over for the steps after it as soon as the process may be relied on; its attempt ends when the process
//! does. From then on the dispatcher has it: it ends it with the run or the group, and hears when it ends by itself.

use super::attempt::{Gone, Task};
use super::message::{Halt, Message, Permit, StepEnd};
use super::port::Cancel;
use super::step::ended;
use crate::event::{ErrorClass, Outcome, StepVerdict};
use crate::plan::{Act, StepScope};
use crate::runbook::{Action, Background, DurationSpec, Step};
use crate::source::Span;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// A process in the background has no time limit of its own; this is longer than any run.
const FOREVER: Duration = Duration::from_hours(24 * 365);
/// How long it is waited for it to be ready when the author does not say.
const READY: Duration = Duration::from_secs(30);
/// How often that is asked.
const ASK: Duration = Duration::from_millis(250);
/// A process is given so long to start; without `ready`, one that still runs after it may be relied on.
const STARTED: Duration = Duration::from_millis(100);

impl Task {
    /// A read that is kept running.
    pub(super) async fn read_beside(&self, step: &Arc<Step>, action: &Action) -> Result<StepEnd, Gone> {
        let scope = self.scope();
        let act = match self.scene.resolver.act(action, step.target.as_ref(), false, &scope) {
            Ok(Some(act)) => act,
            Ok(None) => return Ok(StepEnd::failed(ErrorClass::BadValue, "this is not a program to keep running")),
            Err(refusal) => return Ok(StepEnd::failed(ErrorClass::BadValue, refusal.message)),
        };
        let permit = match self.permit(false).await {
            Ok(permit) => permit,
            Err(Halt::Blocked(reason)) => return Ok(StepEnd::because(Outcome::Skipped, reason)),
            Err(Halt::Ending) => return Ok(StepEnd::because(Outcome::Cancelled, "the run is ending")),
        };
        if let Some(target) = act.target().map(str::to_owned)
            && let Err(error) = self.prove(&target, false, &scope).await
        {
            return Ok(StepEnd::failed(ErrorClass::BadAnswer, error.reason()));
        }
        self.run_beside(step, act, &scope, permit).await
    }

    /// Starts a process again that an earlier process of ours ran: its step was over, and the steps after it rely on it.
    pub(super) async fn restart_beside(self) {
        let step = self.scene.graph.node(self.at.node).step.clone();
        let end = match step.action() {
            Some(action) if step.change.is_none() => self.read_beside(&step, action).await,
            Some(action) => self.change(&step, action).await,
            None => Ok(StepEnd::new(Outcome::Failed)),
        };
        let end = end.unwrap_or_else(|Gone| StepEnd::because(Outcome::Cancelled, "the run went on without it"));
        if !end.beside {
            self.bus.send(Message::Ended { at: self.at, end: Box::new(end) }).ok();
        }
    }

    /// Starts a process and waits until it may be relied on. The place of the step is given back then.
    pub(super) async fn run_beside(
        &self,
        step: &Arc<Step>,
        act: Act,
        scope: &StepScope,
        permit: Permit,
    ) -> Result<StepEnd, Gone> {
        let Some(background) = &step.background else { return Ok(StepEnd::new(Outcome::Failed)) };
        let began = self.shared.clock.elapsed();
        let stop = Cancel::new();
        let (tell, mut over) = oneshot::channel();
        let task = self.beside(stop.clone());
        let (path, change, tolerate) = (self.path(), step.change.is_some(), step.tolerate.clone());
        tokio::spawn(async move {
            let end = match task.attempt(&path, 1, act, change, FOREVER, &tolerate).await {
                Ok(attempted) => ended(attempted.performed, attempted.tolerated, 1),
                Err(Gone) => StepEnd::because(Outcome::Cancelled, "the run was left"),
            };
            if let Err(end) = tell.send(end) {
                task.bus.send(Message::BackgroundOver { at: task.at, end: Box::new(end) }).ok();
            }
        });
        let asking = self.beside(self.cancel.child_token());
        let ready = asking.until_ready(background, scope);
        tokio::pin!(ready);
        let trouble = tokio::select! {
            biased;
            end = &mut over => {
                // What is being asked is ended too, not dropped.
                asking.cancel.cancel();
                ready.await?;
                return Ok(too_early(end.map_err(|_| Gone)?));
            }
            trouble = &mut ready => trouble?,
        };
        let trouble = if self.cancel.is_cancelled() { Some("stopped before it was ready".to_owned()) } else { trouble };
        if trouble.is_none() {
            // What it tells from here on is for the dispatcher; what it told a moment ago is not lost.
            over.close();
            if let Ok(end) = over.try_recv() {
                return Ok(too_early(end));
            }
            let after = self.shared.clock.elapsed().saturating_sub(began);
            self.bus.send(Message::BackgroundReady { at: self.at, stop, after }).map_err(|_| Gone)?;
            drop(permit);
            return Ok(StepEnd { beside: true, ..StepEnd::new(Outcome::Succeeded) });
        }
        stop.cancel();
        let mut end = over.await.map_err(|_| Gone)?;
        end.outcome = if self.cancel.is_cancelled() { Outcome::Cancelled } else { Outcome::Failed };
        end.reason = trouble;
        Ok(end)
    }

    fn beside(&self, cancel: Cancel) -> Self {
        Self::new(self.shared.clone(), self.scene.clone(), self.at, self.bus.clone(), cancel)
    }

    /// Waits until a process may be relied on; gives the reason when it may not.
    async fn until_ready(&self, background: &Background, scope: &StepScope) -> Result<Option<String>, Gone> {
        self.sleep(STARTED).await;
        let Some(ready) = &background.ready else { return Ok(None) };
        let mut ready = ready.clone();
        ready.within.get_or_insert(DurationSpec::Fixed(READY, Span::default()));
        ready.every.get_or_insert(DurationSpec::Fixed(ASK, Span::default()));
        let seen = self.poll(&ready, scope, &format!("{}/ready", self.path())).await?;
        if seen.verdict == Some(StepVerdict::Holds) {
            return Ok(None);
        }
        let check = seen.checks.iter().find(|check| check.verdict != StepVerdict::Holds);
        let check = check.map(|check| format!("`{}` does not hold", check.expression));
        let why = seen.reason.or(check).unwrap_or_else(|| "its check does not hold".to_owned());
        Ok(Some(format!("it was not ready in time: {why}")))
    }
}

fn too_early(mut end: StepEnd) -> StepEnd {
    let why = end.reason.take().or(end.error.as_ref().map(ToString::to_string));
    let why = why.map_or_else(String::new, |why| format!(": {why}"));
    end.outcome = if end.outcome == Outcome::Cancelled { Outcome::Cancelled } else { Outcome::Failed };
    end.reason = Some(format!("it ended before it was ready{why}"));
    end
}
