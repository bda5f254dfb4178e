//! Background steps: a process that is kept running for the steps after it, such as a port-forward.
//!
//! The step is over when the process can be relied on. Its attempt goes on under a path of its own, `forward/process`,
//! and is ended by the dispatcher: with the group it stands in, or with the run, whatever way out the run takes.

use super::attempt::{DEFAULT_TIMEOUT, Gone, Task};
use super::body::At;
use super::message::{Halt, Message, StepEnd};
use super::port::{Cancel, Performed};
use super::store_value::store_field;
use crate::event::{Actor, ErrorClass, Event, Outcome, StepVerdict};
use crate::plan::{Act, StepScope, view};
use crate::runbook::{Action, Background, Probe, Step};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// How long a process may live: until it is ended. (The hands want a number.)
const LIFE: Duration = Duration::from_hours(24 * 365);

/// How long it may take until a process is ready.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A process that runs in the background.
pub(super) struct Running {
    pub(super) at: At,
    /// The path of its attempt.
    pub(super) path: String,
    /// Ends it.
    pub(super) cancel: Cancel,
}

/// A process that has been started: when it is gone, it says why.
struct Started {
    path: String,
    cancel: Cancel,
    pid: oneshot::Receiver<u32>,
    gone: watch::Receiver<Option<String>>,
}

impl Started {
    /// Waits until it is gone; why, in one line.
    async fn gone(&mut self) -> String {
        self.gone.wait_for(Option::is_some).await.map_or_else(|_| String::new(), |why| why.clone().unwrap_or_default())
    }
}

impl Task {
    /// Starts the process of a step and waits until it is ready.
    pub(super) async fn background(
        &self,
        step: &Arc<Step>,
        action: &Action,
        background: &Background,
    ) -> Result<StepEnd, Gone> {
        let scope = self.scope();
        let act = match self.scene.resolver.act(action, step.target.as_ref(), false, &scope) {
            Ok(Some(act)) => act,
            Ok(None) => return Ok(StepEnd::failed(ErrorClass::BadValue, "there is no process to start")),
            Err(refusal) => return Ok(StepEnd::failed(ErrorClass::BadValue, refusal.message)),
        };
        if let Some(hole) = view(&act).holes.first() {
            return Ok(StepEnd::failed(ErrorClass::BadValue, format!("`{}` is unknown: {}", hole.label, hole.text)));
        }
        // It waits for a place like any read, and gives it back at once: it may run for as long as the run.
        match self.permit(false).await {
            Ok(permit) => drop(permit),
            Err(Halt::Blocked(reason)) => return Ok(StepEnd::because(Outcome::Skipped, reason)),
            Err(Halt::Ending) => return Ok(StepEnd::because(Outcome::Cancelled, "the run is ending")),
        }
        if let Some(target) = act.target().map(str::to_owned)
            && let Err(error) = self.prove(&target, false, &scope).await
        {
            return Ok(StepEnd::failed(ErrorClass::BadAnswer, error.reason()));
        }
        let mut started = self.start(act).await?;
        let end = self.until_ready(background, &scope, &mut started).await?;
        if end.outcome != Outcome::Succeeded {
            // Not relied on by anybody: it ends with its step.
            started.cancel.cancel();
            started.gone().await;
        }
        Ok(end)
    }

    /// Starts the process: on record first, and known to the dispatcher, who ends it on every way out.
    async fn start(&self, act: Act) -> Result<Started, Gone> {
        let path = format!("{}/process", self.path());
        let event = Event::AttemptStarted { act: Box::new(view(&act)), change: false };
        let cancel = Cancel::new();
        let running = Running { at: self.at, path: path.clone(), cancel: cancel.clone() };
        self.bus.send(Message::Background { running: Box::new(running) }).map_err(|_| Gone)?;
        if self.record(&path, Some(1), event).await.is_err() {
            // It may be on record all the same: what was announced there has an end there.
            let performed = super::attempt::refused(ErrorClass::Cancelled, "nothing was started");
            self.note(&path, Some(1), ended(performed, true, Duration::ZERO));
            self.bus.send(Message::BackgroundOver { at: self.at, path, reason: String::new() }).ok();
            return Err(Gone);
        }
        let (tell_pid, pid) = oneshot::channel();
        let (tell_gone, gone) = watch::channel(None);
        let mut context = self.context(&path, 1, false, LIFE, Some(tell_pid));
        context.cancel = cancel.clone();
        let performing = self.shared.performer.perform(act, context);
        let (bus, at, clock) = (self.bus.clone(), self.at, self.shared.clock.clone());
        let (its_path, its_cancel, began) = (path.clone(), cancel.clone(), clock.elapsed());
        tokio::spawn(async move {
            let performed = performing.await;
            let took = clock.elapsed().saturating_sub(began);
            let reason = reason_of(&performed);
            let event = ended(performed, its_cancel.is_cancelled(), took);
            let message = Message::Record {
                at,
                path: its_path.clone(),
                attempt: Some(1),
                actor: Actor::Runwright,
                event,
                durable: None,
            };
            // The dispatcher waits for this before it closes the record.
            bus.send(message).ok();
            bus.send(Message::BackgroundOver { at, path: its_path, reason: reason.clone() }).ok();
            tell_gone.send(Some(reason)).ok();
        });
        Ok(Started { path, cancel, pid, gone })
    }

    async fn until_ready(
        &self,
        background: &Background,
        scope: &StepScope,
        started: &mut Started,
    ) -> Result<StepEnd, Gone> {
        let runs = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Ok(stopped()),
            pid = &mut started.pid => Ok(pid.ok()),
            why = started.gone.wait_for(Option::is_some) => Err(why.map_or_else(|_| String::new(), |why| why.clone().unwrap_or_default())),
        };
        match runs {
            Err(reason) => {
                return Ok(StepEnd::failed(ErrorClass::System, format!("it ended before it was ready: {reason}")));
            }
            Ok(pid) => {
                if let Some(pid) = pid {
                    self.note(&started.path, Some(1), Event::ProcessStarted { pid });
                }
            }
        }
        match &background.ready {
            Some(probe) => self.poll_ready(probe, scope, started).await,
            None => Ok(StepEnd::new(Outcome::Succeeded)),
        }
    }

    async fn poll_ready(&self, probe: &Probe, scope: &StepScope, started: &mut Started) -> Result<StepEnd, Gone> {
        let bad = |reason: String| StepEnd::failed(ErrorClass::BadValue, reason);
        let within = match self.duration(probe.within.as_ref(), scope, READY_WITHIN) {
            Ok(within) => within,
            Err(reason) => return Ok(bad(reason)),
        };
        let every = Duration::from_secs(1).min(within / 4).max(Duration::from_millis(50));
        let every = self.duration(probe.every.as_ref(), scope, every).unwrap_or(every);
        let path = format!("{}/ready", self.path());
        let began = self.shared.clock.elapsed();
        let mut number = 0;
        loop {
            number += 1;
            let seen = self.probe_once(probe, scope, &path, number).await?;
            let gone = started.gone.borrow().clone();
            if let Some(reason) = gone {
                return Ok(StepEnd::failed(ErrorClass::System, format!("it ended before it was ready: {reason}")));
            }
            let ready =
                seen.verdict.map_or(seen.outcome == Outcome::Succeeded, |verdict| verdict == StepVerdict::Holds);
            if ready {
                let mut end = StepEnd::new(Outcome::Succeeded);
                end.checks = seen.checks;
                return Ok(end);
            }
            if self.shared.clock.elapsed().saturating_sub(began) + every > within {
                let word = crate::expr::Duration(jiff::SignedDuration::try_from(within).unwrap_or_default());
                let why = seen.reason.map_or_else(String::new, |reason| format!(": {reason}"));
                let mut end = StepEnd::failed(ErrorClass::Timeout, format!("it was not ready within {word}{why}"));
                end.checks = seen.checks;
                return Ok(end);
            }
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Ok(stopped()),
                reason = started.gone() => {
                    return Ok(StepEnd::failed(ErrorClass::System, format!("it ended before it was ready: {reason}")));
                }
                () = tokio::time::sleep(every.min(DEFAULT_TIMEOUT)) => {}
            }
        }
    }
}

fn stopped() -> StepEnd {
    StepEnd::because(Outcome::Cancelled, "stopped before it was ready")
}

/// Why a process is gone, in one line.
fn reason_of(performed: &Performed) -> String {
    match (&performed.message, &performed.error) {
        (Some(message), _) => message.clone(),
        (None, Some(error)) => error.to_string(),
        (None, None) => "exit 0".to_owned(),
    }
}

/// The end of its attempt; one that we ended has not failed.
fn ended(performed: Performed, by_us: bool, took: Duration) -> Event {
    let (error, message) = if by_us {
        (None, Some("ended: nothing relies on it any more".to_owned()))
    } else {
        (performed.error, performed.message)
    };
    Event::AttemptEnded {
        outcome: if by_us { Outcome::Cancelled } else { performed.outcome },
        error,
        message,
        fields: performed.fields.iter().map(|(name, value)| (name.clone(), store_field(value))).collect(),
        evidence: performed.evidence,
        took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        left: performed.left,
    }
}
