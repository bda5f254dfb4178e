//! Programs: one child per attempt, watched by one thread until it and everything it started are gone.

mod bell;
mod command;
mod crew;
mod family;
mod interactive;
mod launcher;
mod lines;
mod output;
mod pipes;
mod survivors;
mod unkept;
mod verdict;
mod watch;

pub(super) use bell::Bell;
pub(super) use command::{Prepared, arguments};
pub(super) use crew::Crew;
pub use interactive::Lender;
pub(super) use launcher::{ChildEnds, launch, nonce};
pub use launcher::{Isolation, exec_mode};
pub(super) use survivors::{Survivors, await_survivors, end_survivors};
pub(super) use verdict::Answer;

pub(super) use lines::Lines;

use super::environment::BaseEnvironment;
use super::outcome::{Refusal, cancelled_before_start};
use super::ssh::{self, Links};
use crate::engine::{AttemptContext, Cancel, Performed};
use crate::event::{ErrorClass, Outcome};
use crate::plan::{CommandAct, Machine};
use crew::Duty;
use std::convert::Infallible;
use std::sync::Arc;
use unkept::Unkept;
use verdict::Facts;

/// What every attempt shares.
pub(super) struct Workshop {
    pub(super) environment: BaseEnvironment,
    pub(super) isolation: Isolation,
    pub(super) crew: Crew,
    /// Connections to other machines.
    pub(super) links: Links,
}

/// Performs one command to its end.
///
/// The work is done on a thread that has nothing else to do: it blocks in `poll`, and a pool with a bound could be
/// exhausted by children that hang.
pub(super) async fn perform(act: CommandAct, context: AttemptContext, workshop: Arc<Workshop>) -> Performed {
    if context.cancel.is_cancelled() {
        return cancelled_before_start();
    }
    let evidence = Arc::clone(&context.evidence);
    let (cancel, kill, change) = (context.cancel.clone(), context.kill.clone(), context.change);
    let bell = match Bell::new() {
        Ok(bell) => Arc::new(bell),
        Err(error) => return system("cannot make an event counter", &error).report(&*evidence),
    };
    let (report, mut reported) = tokio::sync::oneshot::channel();
    let (heard, shared) = (Arc::clone(&bell), Arc::clone(&workshop));
    let duty = Duty { attempt: Box::new(move || attempt(&act, context, &shared, &heard)), report };
    let assigned = workshop.crew.assign(duty);
    if let Err(error) = assigned {
        return system("cannot start a thread", &error).report(&*evidence);
    }
    let ended = tokio::select! {
        biased;
        ended = &mut reported => ended,
        never = stop(&bell, &cancel, &kill) => match never {},
    };
    ended.unwrap_or_else(|_| {
        let lost = Refusal::new(ErrorClass::System, "the thread that watched the program is gone");
        let outcome = if change { Outcome::Unknown } else { Outcome::Failed };
        Performed { outcome, ..lost.report(&*evidence) }
    })
}

/// Has another machine answer: performs a program of our own there and gives back what it wrote, whole. Nothing of it is
/// kept or shown; `name` names it in messages.
pub(super) async fn ask(
    act: CommandAct,
    name: String,
    mut context: AttemptContext,
    workshop: Arc<Workshop>,
) -> verdict::Answer {
    context.evidence = Arc::new(Unkept(Arc::clone(&context.evidence)));
    context.live = None;
    let (cancel, kill, change) = (context.cancel.clone(), context.kill.clone(), context.change);
    let bell = match Bell::new() {
        Ok(bell) => Arc::new(bell),
        Err(error) => return verdict::Answer::refused(system("cannot make an event counter", &error)),
    };
    let heard = Arc::clone(&bell);
    let mut work = tokio::task::spawn_blocking(move || {
        let facts = Facts::named(&name, &context);
        match carry_out(&act, context, &workshop, &heard) {
            Ok(ended) => facts.answer(ended),
            Err(refusal) => verdict::Answer::refused(refusal),
        }
    });
    let ended = tokio::select! {
        biased;
        ended = &mut work => ended,
        never = stop(&bell, &cancel, &kill) => match never {},
    };
    ended.unwrap_or_else(|error| {
        let lost = Refusal::new(ErrorClass::System, format!("the thread that watched the program is gone: {error}"));
        let outcome = if change { Outcome::Unknown } else { Outcome::Failed };
        verdict::Answer { outcome, ..verdict::Answer::refused(lost) }
    })
}

/// Wakes the watching thread when it must stop, and once more when that must be at once. Never ends.
async fn stop(bell: &Bell, cancel: &Cancel, kill: &Cancel) -> Infallible {
    cancel.cancelled().await;
    bell.ring();
    kill.cancelled().await;
    bell.ring();
    std::future::pending().await
}

/// One attempt, on its own thread.
fn attempt(act: &CommandAct, context: AttemptContext, workshop: &Workshop, bell: &Bell) -> Performed {
    let evidence = Arc::clone(&context.evidence);
    let facts = Facts::new(act, &context);
    let cancel = context.cancel.clone();
    match carry_out(act, context, workshop, bell) {
        Ok(ended) => facts.judge(ended, &*evidence),
        // Stopped while it connected.
        Err(refusal) if refusal.class == ErrorClass::Cancelled && cancel.is_cancelled() => cancelled_before_start(),
        Err(refusal) => refusal.report(&*evidence),
    }
}

/// Starts the program here or at a far end, and watches it to its end.
fn carry_out(
    act: &CommandAct,
    mut context: AttemptContext,
    workshop: &Workshop,
    bell: &Bell,
) -> Result<watch::Ended, Refusal> {
    let (prepared, talk) = match &act.machine {
        Machine::Here | Machine::Local(_) => (command::Prepared::new(act, &context.marker, workshop)?, None),
        Machine::Ssh(target) => {
            let (prepared, talk) = ssh::prepare(act, target, &mut context, workshop, bell)?;
            (prepared, Some(talk))
        }
    };
    watch::Watch::start(prepared, talk, context, workshop).map(|watch| watch.follow(bell))
}

fn system(what: &str, error: &std::io::Error) -> Refusal {
    Refusal::new(ErrorClass::System, format!("{what}: {error}"))
}

#[cfg(test)]
mod survivor_tests;
#[cfg(test)]
mod tests;
