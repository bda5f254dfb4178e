//! How a run is left before its end: signals, the question of the first Ctrl-C, suspending in order and at once.
//!
//! A suspend ends nothing (ruling 6): no `finally`, no closing event. Reads are stopped, and performed again by a resume. A
//! change that runs is waited for, with its verify, up to its own timeout: a change that is cut off is unknown (ruling
//! 5), and that is worse than a minute of waiting. A second signal does not wait.

use super::super::body::{At, BodyId, Early};
use super::super::message::Message;
use super::super::port::{Answer, Prompt, PromptId, PromptKind, StoreError};
use super::super::result::RunState;
use super::super::run::Signal;
use super::Dispatcher;
use crate::event::{Actor, Event, Outcome, StepPath};
use crate::runbook::StepBody;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// Whoever stops a process often tells it and its group: what comes so soon after the first is the first. Keys at a
/// terminal are told once each.
const SAME: Duration = Duration::from_millis(250);
/// How much longer than its grace what was stopped may take to tell of its end.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// How long what the tasks tell may wait for the disk.
const SYNC_AFTER: Duration = Duration::from_millis(10);

/// What is known of the way the run is left.
#[derive(Default)]
pub(super) struct Stopping {
    /// The question of the first Ctrl-C, while it is open.
    asked: Option<PromptId>,
    /// Attempts at changes that wait for the answer.
    put_off: Vec<Message>,
    /// Steps that are in the middle of a change, with the path of that: of the step itself, of an item, of an undo.
    acting: BTreeSet<(At, String)>,
    /// When the last signal came.
    last: Option<Duration>,
    /// Whether nothing is waited for.
    is_cut: bool,
}

impl Stopping {
    fn is_acting(&self, at: At) -> bool {
        self.acting.iter().any(|(acting, _)| *acting == at)
    }

    fn is_over(&mut self, at: At) {
        self.acting.retain(|(acting, _)| *acting != at);
    }

    /// One task takes back the changes of many steps.
    fn is_cleared(&mut self, body: BodyId) {
        self.acting.retain(|(acting, _)| acting.body != body);
    }

    fn steps(&self) -> BTreeSet<At> {
        self.acting.iter().map(|(at, _)| *at).collect()
    }
}

impl Dispatcher {
    /// A signal came while the run goes on.
    pub(super) fn on_signal(&mut self, signal: Signal) {
        if self.is_the_same(signal) {
            return;
        }
        if signal == Signal::HangUp {
            self.person_gone = true;
        }
        match signal {
            Signal::Interrupt if self.stopping.asked.is_none() && self.is_attended() => self.ask_how_to_stop(),
            Signal::Interrupt if self.stopping.asked.is_some() => self.cut(signal, "Ctrl-C, twice"),
            Signal::Quit => self.cut(signal, signal.name()),
            Signal::Interrupt | Signal::Terminate | Signal::HangUp => {
                self.signal = Some(signal.number());
                self.suspend(signal.name().to_owned());
            }
        }
    }

    fn is_the_same(&mut self, signal: Signal) -> bool {
        let now = self.shared.clock.elapsed();
        let before = self.stopping.last;
        let is_key = signal == Signal::Interrupt && self.is_attended();
        let counts = is_key || signal == Signal::Quit;
        let is_same = !counts && before.is_some_and(|before| now.saturating_sub(before) < SAME);
        if !is_same {
            self.stopping.last = Some(now);
        }
        is_same
    }

    pub(super) fn is_attended(&self) -> bool {
        self.person.is_present() && !self.person_gone
    }

    fn ask_how_to_stop(&mut self) {
        let id = self.new_prompt();
        self.stopping.asked = Some(id);
        let acting = self.stopping.steps();
        let is_leaf = |at: &At| matches!(self.bodies.node(*at).step.body, StepBody::Action(_));
        let waits = |at: &At| self.pending.iter().any(|pending| pending.at == *at);
        let queued = |at: &At| self.queue.iter().any(|queued| queued.at == *at);
        let mut others: Vec<At> = self.running.keys().copied().filter(is_leaf).collect();
        others.retain(|at| !acting.contains(at) && !waits(at) && !queued(at) && !self.is_change(*at));
        others.sort_unstable();
        let paths = |list: &mut dyn Iterator<Item = At>| list.map(|at| self.bodies.path(at)).collect();
        let kind = PromptKind::Stop {
            run: self.run.clone(),
            changes: self.stopping.acting.iter().map(|(_, path)| StepPath(path.clone())).collect(),
            others: paths(&mut others.into_iter()),
            may_abort: self.may_abort(),
        };
        self.show(Prompt { id, step: StepPath(String::new()), title: "Ctrl-C".to_owned(), kind });
    }

    /// Whether an abort would still change anything.
    fn may_abort(&self) -> bool {
        let root = &self.bodies[BodyId::ROOT];
        !root.in_finally && !matches!(root.early, Some(Early::Aborted(_)))
    }

    /// Whether this is an answer to the question of the first Ctrl-C; it is taken in then.
    pub(in super::super) fn is_how_to_stop(&mut self, id: PromptId, answer: &Answer) -> bool {
        if self.stopping.asked != Some(id) {
            return false;
        }
        self.stopping.asked = None;
        match answer {
            Answer::GoOn => {
                for message in std::mem::take(&mut self.stopping.put_off) {
                    self.handle(message);
                }
                self.grant();
            }
            Answer::Abort { reason } => {
                self.stopping.put_off.clear();
                self.abort(reason.clone(), Actor::Person(self.operator()));
            }
            other => {
                self.person_gone |= *other == Answer::Gone;
                self.signal = Some(Signal::Interrupt.number());
                self.suspend(Signal::Interrupt.name().to_owned());
            }
        }
        true
    }

    /// The question goes away with the run.
    pub(super) fn take_stop_question_back(&mut self, why: &str) {
        if let Some(id) = self.stopping.asked.take() {
            self.person.withdraw(id, why);
        }
    }

    /// Whether a change may not start just now: somebody is asked whether the run shall go on at all.
    pub(super) fn is_put_off(&self) -> bool {
        self.stopping.asked.is_some()
    }

    /// Keeps account of the steps that are in the middle of a change. Gives the message back unless it waits for the
    /// question of the first Ctrl-C.
    pub(super) fn follow_acts(&mut self, message: Message) -> Option<Message> {
        match &message {
            Message::Record { event: Event::AttemptStarted { change: true, .. }, durable: Some(_), .. }
                if self.is_put_off() =>
            {
                self.stopping.put_off.push(message);
                return None;
            }
            Message::Record {
                at, path, event: Event::AttemptStarted { change: true, .. }, durable: Some(_), ..
            } => {
                self.stopping.acting.insert((*at, path.clone()));
            }
            Message::Record { at, path, event: Event::StepEnded { .. }, .. } => {
                self.stopping.acting.remove(&(*at, path.clone()));
            }
            Message::Ended { at, .. }
            | Message::Chosen { at, .. }
            | Message::BackgroundReady { at, .. }
            | Message::BackgroundOver { at, .. } => self.stopping.is_over(*at),
            // One task takes back the changes of many steps.
            Message::Cleared { at, .. } => self.stopping.is_cleared(at.body),
            _ => {}
        }
        Some(message)
    }

    /// Ends the run: what runs is stopped, then temporary changes are taken back and `finally` runs.
    pub(in super::super) fn abort(&mut self, reason: String, by: Actor) {
        if self.undoing.is_some() {
            self.push(None, None, by, Event::Aborted { reason: reason.clone() });
            return self.stop_undo(&reason);
        }
        if self.bodies[BodyId::ROOT].in_finally {
            return self.suspend(format!("{reason}, while `finally` ran"));
        }
        self.push(None, None, by, Event::Aborted { reason: reason.clone() });
        self.bodies[BodyId::ROOT].early = None;
        self.end_early(BodyId::ROOT, Early::Aborted(reason), false);
        self.void_prompts(BodyId::ROOT, "the run is ending");
    }

    /// Leaves the run as it is.
    pub(in super::super) fn suspend(&mut self, reason: String) {
        self.leave = Some(RunState::Suspended(reason));
    }

    /// Leaves the run at once: what runs is killed.
    fn cut(&mut self, signal: Signal, why: &str) {
        self.stopping.is_cut = true;
        self.signal = Some(signal.number());
        self.suspend(why.to_owned());
    }

    /// Gets ready to leave a run that is suspended: reads are stopped, a change that runs is waited for.
    pub(super) async fn wind_down(&mut self, reason: &str) -> Result<(), StoreError> {
        self.stopping.put_off.clear();
        self.take_stop_question_back("the run is suspended");
        self.leave_prompts_open();
        self.shared.leaving.cancel();
        let holds: BTreeSet<At> = self.stopping.steps().into_iter().flat_map(|at| self.bodies.chain(at)).collect();
        for (at, cancel) in &self.running {
            if !holds.contains(at) {
                cancel.cancel();
            }
        }
        if !self.stopping.acting.is_empty() && !self.stopping.is_cut {
            let waits_for = self.stopping.acting.iter().map(|(_, path)| StepPath(path.clone())).collect();
            self.log(Event::Suspending { reason: reason.to_owned(), waits_for });
        }
        while !self.stopping.acting.is_empty() && !self.stopping.is_cut && self.busy() > 0 {
            self.flush(true)?;
            self.wait_for_a_change().await?;
        }
        self.bodies.cancel_all();
        if self.stopping.is_cut {
            self.shared.kill.cancel();
        }
        Ok(())
    }

    /// Prompts stay open in the record, for a resume; at the terminal they are taken away.
    fn leave_prompts_open(&mut self) {
        for pending in std::mem::take(&mut self.pending) {
            // A program at the terminal is not waited for: the terminal may be gone, and it is wanted back.
            self.stopping.is_over(pending.at);
            self.person.withdraw(pending.id, "the run is suspended; the question stays open");
        }
    }

    async fn wait_for_a_change(&mut self) -> Result<(), StoreError> {
        tokio::select! {
            biased;
            signal = self.signals.recv(), if self.signals_open => match signal {
                Some(signal) if signal != Signal::HangUp && !self.is_the_same(signal) => {
                    self.stopping.is_cut = true;
                    self.signal = Some(signal.number());
                }
                Some(_) => {}
                None => self.signals_open = false,
            },
            Some(message) = self.messages.recv() => self.while_leaving(message),
            () = sleep(SYNC_AFTER), if self.unsynced => self.flush(true)?,
        }
        Ok(())
    }

    /// Takes in what a task tells while the run is being left: the end of a change that is waited for counts, nothing
    /// new is begun.
    fn while_leaving(&mut self, message: Message) {
        let waited_for = |run: &Self, at: &At| run.stopping.is_acting(*at);
        match message {
            Message::Ended { at, end } if waited_for(self, &at) => {
                self.stopping.is_over(at);
                // It was stopped between two attempts: a resume goes on with the next.
                if end.outcome == Outcome::Cancelled { self.task_over(at) } else { self.step_ended(at, *end) }
            }
            Message::Record { at, path, attempt, actor, event, durable: Some(durable) } => {
                let is_verify = matches!(event, Event::AttemptStarted { change: false, .. });
                // Dropping the sender stops the act before it is begun.
                if is_verify && waited_for(self, &at) {
                    self.push(Some(StepPath(path)), attempt, actor, event);
                    self.durable.push(durable);
                }
            }
            Message::Record { at, path, attempt, actor, event, durable: None } => {
                if matches!(&event, Event::StepEnded { .. }) {
                    self.stopping.acting.remove(&(at, path.clone()));
                }
                if !matches!(&event, Event::StepEnded { outcome: Outcome::Cancelled, .. }) {
                    self.push(Some(StepPath(path)), attempt, actor, event);
                }
            }
            Message::Temporary { at, back } => self.remember(at, *back),
            Message::BackgroundReady { at, stop, after } => {
                self.stopping.is_over(at);
                self.background_ready(at, stop, after);
            }
            Message::Lock { what, reply } => self.take_lock(&what, reply),
            other => self.settled_down(other),
        }
    }

    /// Waits, with a bound, for what was stopped to end: no child outlives the run that started it.
    pub(super) async fn settle_down(&mut self) {
        let grace = if self.stopping.is_cut { Duration::ZERO } else { self.shared.grace };
        let mut deadline = Instant::now() + grace + LAST_WORDS;
        while self.busy() > 0 {
            tokio::select! {
                biased;
                signal = self.signals.recv(), if self.signals_open => match signal {
                    Some(Signal::HangUp) => {}
                    Some(signal) if self.is_the_same(signal) => {}
                    Some(signal) => {
                        self.signal = self.signal.and(Some(signal.number()));
                        self.stopping.is_cut = true;
                        self.shared.kill.cancel();
                        deadline = deadline.min(Instant::now() + LAST_WORDS);
                    }
                    None => self.signals_open = false,
                },
                message = timeout_at(deadline, self.messages.recv()) => match message {
                    Ok(Some(message)) => self.settled_down(message),
                    _ => return,
                },
            }
        }
    }

    /// Takes in the last words of a task. Its step has not ended: a resume begins it again, or settles it.
    fn settled_down(&mut self, message: Message) {
        match message {
            Message::Ended { at, .. } | Message::Chosen { at, .. } => {
                self.stopping.is_over(at);
                self.task_over(at);
            }
            Message::Cleared { at, .. } => {
                self.stopping.is_cleared(at.body);
                self.task_over(at);
            }
            Message::BackgroundOver { at, .. } => self.gone_beside(at),
            Message::BackgroundReady { at, stop, after } => {
                self.background_ready(at, stop, after);
                self.stop_beside(|_| true);
            }
            Message::Record { path, attempt, actor, event, durable: None, .. } => {
                if !matches!(event, Event::StepEnded { .. } | Event::StepSkipped { .. }) {
                    self.push(Some(StepPath(path)), attempt, actor, event);
                }
            }
            // What is asked for now gets no answer, and what would be begun is not on record: the task ends by that.
            Message::Record { durable: Some(_), .. }
            | Message::Permit { .. }
            | Message::Gate { .. }
            | Message::Ask { .. }
            | Message::Expired { .. }
            | Message::Temporary { .. }
            | Message::Lock { .. }
            | Message::Refused { .. }
            | Message::Open { .. }
            | Message::Known { .. }
            | Message::Undoable(_)
            | Message::Outlived { .. } => {}
            Message::Holds { at, open } => self.holds(at, open),
        }
    }
}
