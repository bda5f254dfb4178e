//! The dispatcher: owns all state of a run and is the only one to meet the outside.

mod ending;
mod prompts;
mod steps;

use super::attempt::{Shared, Task};
use super::message::{Halt, Message, Permit};
use super::port::{Cancel, Inbox, Person, PromptId, RunStore, StoreError};
use super::result::{RunEnd, RunState};
use super::run::{Ports, Setup, Signal};
use super::schedule::Schedule;
use super::settle::Pending;
use crate::event::{Actor, Event, Operator, Outcome, Record, RunId, StepPath, StepVerdict};
use crate::graph::{NodeId, StepGraph};
use crate::runbook::Risk;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How often the inbox is looked at while something waits for people.
const INBOX_EVERY: Duration = Duration::from_millis(300);
/// How long what reads tell may wait for the disk.
const SYNC_AFTER: Duration = Duration::from_millis(10);

/// What is known of a step that is over.
#[derive(Clone, Debug)]
pub(super) struct Over {
    pub(super) outcome: Outcome,
    pub(super) verdict: Option<StepVerdict>,
    pub(super) failed: bool,
    pub(super) handled: bool,
    /// Whether the runbook itself left it out: a branch not taken, a `when` that does not hold.
    pub(super) not_meant: bool,
    pub(super) turn: u64,
}

/// Why changes are blocked.
#[derive(Clone, Debug)]
pub(super) struct Blocker {
    pub(super) by: NodeId,
    /// Whether only later changes are blocked, or all.
    pub(super) later_only: bool,
    pub(super) reason: String,
}

/// How the run is being ended early.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Early {
    /// An option said so.
    Option(crate::runbook::End),
    /// Handed to people.
    Escalated,
    /// By the operator.
    Aborted(String),
    /// A target is another one.
    TargetRefused(String),
}

/// A task that waits for its turn.
struct Queued {
    node: NodeId,
    change: bool,
    reply: oneshot::Sender<Result<Permit, Halt>>,
}

/// Facts about the run as a whole.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) changes: u32,
    pub(super) last_change: u64,
    pub(super) declined: Option<String>,
    pub(super) undecided: Option<String>,
    pub(super) escalation: Option<(Option<String>, String)>,
    /// Changes that stand and that their `undo` would take back, in the order they were made.
    pub(super) standing: Vec<String>,
    pub(super) waited: Duration,
    pub(super) waiting_since: Option<Duration>,
}

/// Owns a run.
pub(super) struct Dispatcher {
    run: RunId,
    shared: Arc<Shared>,
    schedule: Schedule,
    over: BTreeMap<NodeId, Over>,
    blockers: Vec<Blocker>,
    repeats: HashMap<NodeId, usize>,
    chosen: HashMap<NodeId, Vec<usize>>,
    early: Option<Early>,
    leave: Option<RunState>,
    in_finally: bool,
    tally: Tally,
    /// How each change that was gated is taken back, in words.
    undo: HashMap<NodeId, String>,
    turn: u64,
    live: usize,
    jobs: usize,
    reading: usize,
    write_slot: bool,
    queue: VecDeque<Queued>,
    back: FuturesUnordered<BoxFuture<'static, bool>>,
    pending: Vec<Pending>,
    prompts: u64,
    person: Box<dyn Person>,
    person_gone: bool,
    store: Box<dyn RunStore>,
    inbox: Box<dyn Inbox>,
    observer: Box<dyn FnMut(&Record) + Send>,
    answers: mpsc::Receiver<(PromptId, super::port::Answer)>,
    answers_open: bool,
    signals: mpsc::Receiver<Signal>,
    signals_open: bool,
    signal: Option<i32>,
    bus: mpsc::UnboundedSender<Message>,
    messages: mpsc::UnboundedReceiver<Message>,
    records: Vec<Record>,
    unsynced: bool,
    durable: Vec<oneshot::Sender<()>>,
    head: String,
    began: Duration,
    park_after: Duration,
    operator: Operator,
    yes: Option<Risk>,
    cancel: Cancel,
    started: Option<Event>,
}

impl Dispatcher {
    pub(super) fn new(setup: Setup, ports: Ports) -> Self {
        let (bus, messages) = mpsc::unbounded_channel();
        let shared = Shared {
            run: setup.run.to_string(),
            graph: setup.graph.clone(),
            values: setup.values,
            resolver: setup.resolver,
            performer: ports.performer,
            evidence: ports.store.evidence(),
            clock: ports.clock.clone(),
            acts: setup.acts,
            policy: setup.policy,
            environment: setup.environment,
            host: setup.host,
            grace: setup.grace,
            live: ports.live,
            proven: Mutex::default(),
            answers: setup.answers,
        };
        Self {
            run: setup.run,
            shared: Arc::new(shared),
            schedule: Schedule::new(setup.graph),
            over: BTreeMap::new(),
            blockers: Vec::new(),
            repeats: HashMap::new(),
            chosen: HashMap::new(),
            early: None,
            leave: None,
            in_finally: false,
            tally: Tally::default(),
            undo: HashMap::new(),
            turn: 0,
            live: 0,
            jobs: setup.jobs.max(1),
            reading: 0,
            write_slot: false,
            queue: VecDeque::new(),
            back: FuturesUnordered::new(),
            pending: Vec::new(),
            prompts: 0,
            person: ports.person,
            person_gone: false,
            store: ports.store,
            inbox: ports.inbox,
            observer: ports.observer,
            answers: ports.answers,
            answers_open: true,
            signals: ports.signals,
            signals_open: true,
            signal: None,
            bus,
            messages,
            records: Vec::new(),
            unsynced: false,
            durable: Vec::new(),
            head: String::new(),
            began: ports.clock.elapsed(),
            park_after: setup.park_after,
            operator: setup.operator,
            yes: setup.yes,
            cancel: Cancel::new(),
            started: Some(setup.started),
        }
    }

    /// The life of a run: start what may start, wait for a message, keep the record, until nothing is left.
    pub(super) async fn run(mut self) -> Result<RunEnd, StoreError> {
        let end = self.life().await;
        if end.is_err() {
            // The record is broken: what runs is stopped, and nothing more is told of it.
            self.cancel.cancel();
            self.settle_down().await;
        }
        end
    }

    async fn life(&mut self) -> Result<RunEnd, StoreError> {
        if let Some(started) = self.started.take() {
            self.log(started);
            self.flush(true)?;
        }
        loop {
            self.advance();
            if let Some(state) = self.leave.take() {
                if matches!(state, RunState::Suspended(_)) {
                    self.settle_down().await;
                }
                return self.let_go(state);
            }
            if self.is_over() {
                return self.close();
            }
            self.drain().await?;
        }
    }

    /// Waits, with a bound, for what was stopped to end: no child outlives the run that started it.
    async fn settle_down(&mut self) {
        let deadline = tokio::time::Instant::now() + self.shared.grace + Duration::from_secs(2);
        while self.live > self.pending.len() + self.queue.len() {
            let Ok(Some(message)) = tokio::time::timeout_at(deadline, self.messages.recv()).await else { return };
            match message {
                Message::Ended { .. } | Message::Chosen { .. } => self.live = self.live.saturating_sub(1),
                Message::Record { path, attempt, actor, event, .. } => {
                    self.push(Some(StepPath(path)), attempt, actor, event);
                }
                // What is asked for now gets no answer: the task ends by that.
                Message::Permit { .. } | Message::Gate { .. } | Message::Ask { .. } | Message::Refused { .. } => {}
            }
        }
    }

    /// Nothing is left to do, in the body or in `finally`.
    fn is_over(&self) -> bool {
        self.live == 0 && self.in_finally && self.schedule.is_all_done()
    }

    /// Starts every step that may start; when the body is done, `finally`.
    fn advance(&mut self) {
        loop {
            while let Some(node) = self.schedule.take_ready() {
                self.spawn(node);
            }
            if self.early.is_some() && !self.in_finally {
                self.close_body();
            }
            let body_done = self.schedule.is_body_done() && self.live == 0;
            if body_done && !self.in_finally {
                self.in_finally = true;
                self.cancel = Cancel::new();
                self.schedule.open_finally();
                continue;
            }
            return;
        }
    }

    fn spawn(&mut self, node: NodeId) {
        if self.early.is_some() && !self.in_finally {
            return self.left_out(node, "the run is ending");
        }
        self.live += 1;
        let task = Task { shared: self.shared.clone(), node, bus: self.bus.clone(), cancel: self.cancel.child_token() };
        tokio::spawn(task.run());
    }

    /// Takes in what has come; waits only when nothing is left to do, with the record written.
    async fn drain(&mut self) -> Result<(), StoreError> {
        self.turn += 1;
        let mut quiet = 0;
        while quiet < 2 {
            match self.messages.try_recv() {
                Ok(message) => {
                    quiet = 0;
                    self.handle(message);
                    if matches!(self.leave, Some(RunState::Suspended(_))) {
                        break;
                    }
                    self.grant();
                    self.advance();
                }
                Err(_) if !self.durable.is_empty() => self.flush(true)?,
                Err(_) => {
                    quiet += 1;
                    tokio::task::yield_now().await;
                }
            }
            if self.is_over() || self.leave.is_some() {
                return Ok(());
            }
        }
        // While only reads run, nothing depends on the last records being on disk at once: what must be there before a
        // side effect asked for it above. A sync for each of them would cost a short program half its time again.
        let only_reads = !self.write_slot && self.pending.is_empty() && self.durable.is_empty() && self.leave.is_none();
        self.flush(!only_reads)?;
        self.wait().await
    }

    async fn wait(&mut self) -> Result<(), StoreError> {
        let look = self.next_look();
        tokio::select! {
            biased;
            signal = self.signals.recv(), if self.signals_open => match signal {
                Some(signal) => self.on_signal(signal),
                None => self.signals_open = false,
            },
            Some(message) = self.messages.recv() => {
                self.handle(message);
                self.grant();
            }
            Some(change) = self.back.next(), if !self.back.is_empty() => {
                if change { self.write_slot = false } else { self.reading = self.reading.saturating_sub(1) }
                self.grant();
            }
            answer = self.answers.recv(), if self.answers_open => match answer {
                Some((id, answer)) => self.terminal_answer(id, answer),
                None => self.answers_open = false,
            },
            () = tokio::time::sleep(SYNC_AFTER), if self.unsynced => self.flush(true)?,
            () = tokio::time::sleep(look), if !self.pending.is_empty() => {
                self.read_inbox()?;
                self.park_if_alone();
            }
        }
        Ok(())
    }

    /// Until the next look at the inbox; at once when nobody is there and nothing else is to be waited for.
    fn next_look(&self) -> Duration {
        let all_wait = self.live == self.pending.len() + self.queue.len();
        if all_wait && !self.somebody_may_answer() { Duration::ZERO } else { INBOX_EVERY }
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Record { node, path, attempt, actor, event, durable } => {
                self.push(Some(StepPath(path)), attempt, actor, event);
                if let Some(durable) = durable {
                    let guards_change = self.is_change(node);
                    if guards_change && self.store.room().is_err() {
                        // Dropping the sender stops the act: no change starts without room for its record.
                        self.abort("the disk has no room left for the record".to_owned(), None);
                    } else {
                        self.durable.push(durable);
                    }
                }
            }
            Message::Permit { node, change, reply } => self.queue.push_back(Queued { node, change, reply }),
            Message::Gate { node, request, reply } => self.open_gate(node, request, reply),
            Message::Ask { node, kind, reply } => self.open_question(node, kind, reply),
            Message::Ended { node, end } => self.step_ended(node, *end),
            Message::Chosen { node, choice } => self.option_chosen(node, choice),
            Message::Refused { target } => {
                self.early.get_or_insert(Early::TargetRefused(target));
                self.cancel.cancel();
            }
        }
    }

    /// Hands out places: reads up to `--jobs`, one change at a time, in the order asked.
    fn grant(&mut self) {
        let mut kept = VecDeque::new();
        while let Some(queued) = self.queue.pop_front() {
            if self.is_ending() && !self.in_finally {
                queued.reply.send(Err(Halt::Ending)).ok();
                continue;
            }
            if queued.change
                && let Some(reason) = self.blocked(queued.node)
            {
                queued.reply.send(Err(Halt::Blocked(reason))).ok();
                continue;
            }
            let free = if queued.change { !self.write_slot } else { self.reading < self.jobs };
            if !free {
                kept.push_back(queued);
                continue;
            }
            let (back, returned) = oneshot::channel();
            if queued.reply.send(Ok(Permit { _back: back })).is_err() {
                continue;
            }
            if queued.change {
                self.write_slot = true;
            } else {
                self.reading += 1;
            }
            let change = queued.change;
            self.back.push(Box::pin(async move {
                returned.await.ok();
                change
            }));
        }
        self.queue = kept;
    }

    /// Why a change may not start (rulings 7 and 8).
    fn blocked(&self, node: NodeId) -> Option<String> {
        if self.graph().node(node).section == crate::graph::Section::Finally {
            return None;
        }
        let inside = |holder: NodeId| self.graph().holders(node).any(|other| other == holder);
        self.blockers
            .iter()
            .find(|blocker| !inside(blocker.by) && (!blocker.later_only || blocker.by < node))
            .map(|blocker| blocker.reason.clone())
    }

    fn on_signal(&mut self, signal: Signal) {
        let Signal::Stop(number) = signal;
        if self.signal.is_some() {
            self.cancel.cancel();
            return self.suspend(format!("a second signal ({number}) left the run at once"));
        }
        self.signal = Some(number);
        let reason = match number {
            2 => "Ctrl-C".to_owned(),
            number => format!("signal {number}"),
        };
        self.abort(reason, Some(number));
    }

    pub(super) fn abort(&mut self, reason: String, signal: Option<i32>) {
        if self.in_finally {
            return self.suspend(format!("{reason}, while `finally` ran"));
        }
        if signal.is_none() {
            let actor = Actor::Person(self.operator.clone());
            self.push(None, None, actor, Event::Noted { text: format!("aborted: {reason}") });
        }
        self.early = Some(Early::Aborted(reason));
        self.cancel.cancel();
        self.void_prompts("the run is ending");
    }

    pub(super) fn suspend(&mut self, reason: String) {
        self.cancel.cancel();
        self.leave = Some(RunState::Suspended(reason));
    }

    /// Puts an event on record.
    fn push(&mut self, step: Option<StepPath>, attempt: Option<u32>, actor: Actor, event: Event) {
        let elapsed = self.shared.clock.elapsed().saturating_sub(self.began);
        self.records.push(Record {
            seq: 0,
            time: self.shared.clock.now(),
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            actor,
            step,
            attempt,
            event,
            prev: String::new(),
        });
    }

    pub(super) fn log(&mut self, event: Event) {
        self.push(None, None, Actor::Runwright, event);
    }

    pub(super) fn log_step(&mut self, node: NodeId, event: Event) {
        self.log_as(node, event, Actor::Runwright);
    }

    pub(super) fn log_as(&mut self, node: NodeId, event: Event, actor: Actor) {
        let path = self.path(node);
        self.push(Some(path), None, actor, event);
    }

    /// Writes what is on record, and lets those go on that waited for it to be on disk.
    fn flush(&mut self, sync: bool) -> Result<(), StoreError> {
        if !self.records.is_empty() {
            let mut records = std::mem::take(&mut self.records);
            self.store.append(&mut records)?;
            for record in &records {
                (self.observer)(record);
            }
            self.unsynced = true;
        }
        if sync && self.unsynced {
            self.store.sync()?;
            self.unsynced = false;
        }
        if !self.unsynced {
            for waiting in self.durable.drain(..) {
                waiting.send(()).ok();
            }
        }
        Ok(())
    }

    pub(super) fn graph(&self) -> &Arc<StepGraph> {
        &self.shared.graph
    }

    pub(super) fn path(&self, node: NodeId) -> StepPath {
        StepPath(self.graph().node(node).id.to_string())
    }

    pub(super) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    pub(super) fn is_ending(&self) -> bool {
        self.early.is_some() && !self.in_finally
    }

    fn is_change(&self, node: NodeId) -> bool {
        self.graph().node(node).step.change.is_some()
    }

    pub(super) fn operator(&self) -> Operator {
        self.operator.clone()
    }

    pub(super) fn yes(&self) -> Option<Risk> {
        self.yes
    }
}
