//! The dispatcher: owns all state of a run and is the only one to meet the outside.

mod beside;
mod clearing;
mod clock;
mod ending;
mod joins;
mod nested;
mod prompts;
mod record;
mod steps;
mod stopping;
mod survivors;
mod turns;
mod undoing;
mod walk;
mod words;

use self::walk::EndedBefore;
use super::attempt::Shared;
use super::bodies::Bodies;
use super::body::{At, Body, BodyId, Early, Scene};
use super::limits::Budget;
use super::message::{Halt, Message, Permit};
use super::port::{Cancel, Inbox, InboxDecision, Locks, Person, PromptId, RunStore, StoreError};
use super::result::{RunEnd, RunState};
use super::run::{Ports, Setup, Signal};
use super::settle::Pending;
use crate::event::{Event, Operator, Record, RunId, StepPath};
use crate::library::Approvers;
use crate::runbook::Risk;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How often the inbox is looked at.
const INBOX_EVERY: Duration = Duration::from_millis(300);
/// How long what reads tell may wait for the disk.
const SYNC_AFTER: Duration = Duration::from_millis(10);

/// A task that waits for its turn.
struct Queued {
    at: At,
    change: bool,
    reply: oneshot::Sender<Result<Permit, Halt>>,
}

/// How long a run has waited for people.
#[derive(Default)]
pub(super) struct Waited {
    pub(super) before: Duration,
    pub(super) since: Option<Duration>,
}

/// Owns a run.
pub(super) struct Dispatcher {
    run: RunId,
    shared: Arc<Shared>,
    bodies: Bodies,
    /// What stops each running task.
    running: HashMap<At, Cancel>,
    leave: Option<RunState>,
    waited: Waited,
    turn: u64,
    jobs: usize,
    reading: usize,
    write_slot: bool,
    queue: VecDeque<Queued>,
    beside: Vec<beside::Beside>,
    back: FuturesUnordered<BoxFuture<'static, bool>>,
    pending: Vec<Pending>,
    prompts: u64,
    person: Box<dyn Person>,
    person_gone: bool,
    store: Box<dyn RunStore>,
    inbox: Box<dyn Inbox>,
    locks: Box<dyn Locks>,
    observer: Box<dyn FnMut(&Record) + Send>,
    answers: mpsc::Receiver<(PromptId, super::port::Answer)>,
    answers_open: bool,
    signals: mpsc::Receiver<Signal>,
    signals_open: bool,
    signal: Option<i32>,
    stopping: stopping::Stopping,
    clocks: clock::Clocks,
    /// The host and its boot, for a run that was taken up again.
    here: Option<(String, String)>,
    bus: mpsc::UnboundedSender<Message>,
    messages: mpsc::UnboundedReceiver<Message>,
    records: Vec<Record>,
    unsynced: bool,
    durable: Vec<oneshot::Sender<()>>,
    head: String,
    park_after: Duration,
    /// When the inbox is looked at again.
    look_at: tokio::time::Instant,
    operator: Operator,
    operators: Vec<String>,
    approvers: Approvers,
    /// When this process took the run up.
    since: Timestamp,
    /// Decisions that were left before this process had the run, and whose prompt has not come yet.
    letters: Vec<InboxDecision>,
    yes: Option<Risk>,
    started: Option<Event>,
    /// Why the record cannot be gone on with, although it can still be written.
    trouble: Option<StoreError>,
    /// The walk through the past of a run that was taken up again.
    walk: Option<walk::Walk>,
    /// When the run was moved here from another store: approvals from before are void.
    moved_at: Option<Timestamp>,
    /// The changes of another run that are taken back.
    undoing: Option<undoing::Undoing>,
}

impl Dispatcher {
    pub(super) fn new(setup: Setup, ports: Ports) -> Self {
        let here = match &setup.started {
            Event::RunResumed(resumption) => Some((resumption.host.clone(), resumption.boot.clone())),
            _ => None,
        };
        let (bus, messages) = mpsc::unbounded_channel();
        let scene = Scene {
            graph: setup.graph.clone(),
            values: setup.values,
            resolver: setup.resolver,
            prefix: String::new(),
            proven: Arc::default(),
            budget: Arc::new(Budget::new(setup.graph.runbook())),
            approved: Arc::default(),
        };
        let own = setup.undo.as_ref().map_or(setup.past.as_ref(), |undo| undo.past.as_ref());
        let shared = Shared {
            run: setup.run.to_string(),
            performer: ports.performer,
            evidence: ports.store.evidence(),
            clock: ports.clock.clone(),
            acts: setup.acts,
            policy: setup.policy,
            environment: setup.environment,
            host: setup.host,
            machine: setup.machine,
            grace: setup.grace,
            live: ports.live,
            answers: setup.answers,
            called: setup.called,
            began: ports.clock.elapsed(),
            before: own.map_or(0, |past| past.elapsed_ms(ports.clock.now())),
            is_ending: setup.abort.is_some(),
            leaving: Cancel::new(),
            kill: Cancel::new(),
            is_undo: setup.undo.is_some(),
            goes_on: Cancel::new(),
            past: Mutex::default(),
        };
        let is_moved = matches!(&setup.started, Event::RunResumed(again) if again.moved_from.is_some());
        let moved_at = is_moved.then(|| ports.clock.now());
        let waited = setup.past.as_ref().map_or(0, |past| past.waited_ms(shared.before));
        let walk = setup.past.is_some().then(|| walk::Walk::new(setup.abort));
        let before = setup.past.iter().flat_map(|past| past.operators.iter().cloned());
        let operators = before.chain([setup.operator.name.clone()]).chain(setup.operators).collect();
        let turn = setup.past.as_ref().map_or(0, |past| past.last);
        if let Some(past) = setup.past {
            *shared.past.lock().unwrap_or_else(PoisonError::into_inner) = past;
        } else {
            shared.goes_on.cancel();
        }
        Self {
            run: setup.run,
            shared: Arc::new(shared),
            bodies: Bodies::new(Body::new(scene, None, BodyId::ROOT, Cancel::new())),
            running: HashMap::new(),
            leave: None,
            waited: Waited { before: Duration::from_millis(waited), since: None },
            turn,
            jobs: setup.jobs.max(1),
            reading: 0,
            write_slot: false,
            queue: VecDeque::new(),
            beside: Vec::new(),
            back: FuturesUnordered::new(),
            pending: Vec::new(),
            prompts: 0,
            person: ports.person,
            person_gone: false,
            store: ports.store,
            inbox: ports.inbox,
            locks: ports.locks,
            observer: ports.observer,
            answers: ports.answers,
            answers_open: true,
            signals: ports.signals,
            signals_open: true,
            signal: None,
            stopping: stopping::Stopping::default(),
            clocks: clock::Clocks::at(ports.clock.now(), ports.clock.elapsed()),
            here,
            bus,
            messages,
            records: Vec::new(),
            unsynced: false,
            durable: Vec::new(),
            head: String::new(),
            park_after: setup.park_after,
            look_at: tokio::time::Instant::now(),
            operator: setup.operator,
            operators,
            approvers: setup.approvers,
            since: ports.clock.now(),
            letters: Vec::new(),
            yes: setup.yes,
            started: Some(setup.started),
            trouble: None,
            walk,
            moved_at,
            undoing: setup.undo.map(undoing::Undoing::new),
        }
    }

    /// The life of a run: start what may start, wait for a message, keep the record, until nothing is left.
    pub(super) async fn run(mut self) -> Result<RunEnd, StoreError> {
        let end = self.life().await;
        if end.is_err() {
            // The record is broken: what runs is stopped, and nothing more is told of it.
            self.bodies.cancel_all();
            // Who waits to be on disk would wait for good.
            self.durable.clear();
            self.stop_beside(|_| true);
            self.settle_down().await;
        }
        // Whoever still waits for the run to go on waits for nothing now.
        self.bodies.cancel_all();
        end
    }

    async fn life(&mut self) -> Result<RunEnd, StoreError> {
        if let Some(started) = self.started.take() {
            self.log(started);
            self.flush(true)?;
            self.undoing.iter_mut().for_each(undoing::Undoing::mute);
        }
        loop {
            self.advance();
            if let Some(state) = self.leave.take() {
                if let RunState::Suspended(reason) = &state {
                    self.wind_down(reason).await?;
                }
                let stopped = self.stop_beside(|_| true);
                if stopped > 0 || matches!(state, RunState::Suspended(_)) {
                    self.settle_down().await;
                }
                return self.let_go(state);
            }
            if self.is_over() {
                self.read_words();
                return if self.undoing.is_some() { self.close_undo() } else { self.close() };
            }
            self.drain().await?;
        }
    }

    /// Nothing is left to do, in the body or in `finally`.
    fn is_over(&self) -> bool {
        if let Some(undoing) = &self.undoing {
            return undoing.is_over();
        }
        let root = &self.bodies[BodyId::ROOT];
        root.live == 0 && root.in_finally && root.schedule.is_all_done()
    }

    /// Tasks that do something: neither wait for people nor for their turn.
    fn busy(&self) -> usize {
        self.bodies.live().saturating_sub(self.pending.len() + self.queue.len() + self.bodies.holding())
    }

    pub(super) fn task_over(&mut self, at: At) {
        let body = &mut self.bodies[at.body];
        body.live = body.live.saturating_sub(1);
        body.holding.remove(&at.node);
        self.running.remove(&at);
        self.known(at);
    }

    /// Starts every step that may start, in all bodies.
    fn advance(&mut self) {
        for id in self.bodies.ids() {
            self.advance_body(id);
        }
    }

    /// Starts what may start; when the steps of a runbook are done, its `finally`.
    fn advance_body(&mut self, id: BodyId) {
        loop {
            while let Some(node) = self.bodies[id].schedule.take_ready() {
                self.spawn(At { body: id, node });
            }
            if self.is_ending(id) {
                self.close_body(id);
            }
            let body = &mut self.bodies[id];
            let is_done = body.schedule.is_body_done() && body.live == 0;
            if !is_done || body.in_finally || body.owner != id {
                return self.close_if_done(id);
            }
            body.in_finally = true;
            body.cancel = Cancel::new();
            self.wind_up(id);
        }
    }

    fn spawn(&mut self, at: At) {
        if !self.hold_back(at) {
            self.start(at);
        }
    }

    /// Starts the task of a step; what the end of its run or its branch leaves out is told here.
    fn start(&mut self, at: At) {
        match self.ended_before(at) {
            EndedBefore::Performed => {}
            EndedBefore::LeftOut(reason) => {
                let path = self.path_of(at).0;
                self.past().take(&path);
                return self.left_out(at, &reason);
            }
            EndedBefore::No if self.is_ending(at.body) => return self.left_out(at, "the run is ending"),
            EndedBefore::No => {
                if let Some(reason) = self.halted(at) {
                    return self.left_out(at, &reason);
                }
            }
        }
        let task = self.task(at);
        let now = self.now();
        let (began, undo) = self
            .past()
            .peek(&task.path())
            .map_or((None, None), |round| (round.began, round.gate.as_ref().and_then(|gate| gate.undo.clone())));
        if let Some(undo) = undo {
            self.keep_undo(at, undo);
        }
        let body = &mut self.bodies[at.body];
        body.live += 1;
        body.started.insert(at.node, began.unwrap_or(now));
        self.running.insert(at, task.cancel.clone());
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
                    // What ends from here on ends because the run is left, and that is not its end.
                    if matches!(self.leave, Some(RunState::Suspended(_))) {
                        return Ok(());
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
        if self.walk_on() {
            return Ok(());
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
            () = tokio::time::sleep_until(look) => {
                self.look_at = tokio::time::Instant::now() + INBOX_EVERY;
                self.read_words();
                if !self.pending.is_empty() {
                    self.read_inbox()?;
                    self.look_at_gates();
                    self.park_if_alone();
                }
            }
        }
        Ok(())
    }

    /// Until the next look at the inbox; at once when nobody is there and nothing else is to be waited for.
    fn next_look(&self) -> tokio::time::Instant {
        if !self.pending.is_empty() && self.may_park() { tokio::time::Instant::now() } else { self.look_at }
    }

    fn handle(&mut self, message: Message) {
        let Some(message) = self.follow_acts(message) else { return };
        match message {
            Message::Record { at, path, attempt, actor, event, durable } => {
                if matches!(event, Event::AttemptStarted { change: true, .. })
                    && let Err(error) = self.store.room()
                {
                    // Dropping the sender stops the act, and what never started is not put on record.
                    return self.leave_for(at, error);
                }
                self.push(Some(StepPath(path)), attempt, actor, event);
                self.durable.extend(durable);
            }
            Message::Permit { at, change, reply } => self.queue.push_back(Queued { at, change, reply }),
            Message::Gate { at, request, reply } => self.open_gate(at, request, reply),
            Message::Ask { at, kind, stays, reply } => self.open_question(at, kind, stays, reply),
            Message::Ended { at, end } => self.step_ended(at, *end),
            Message::Chosen { at, choice } => self.option_chosen(at, choice),
            Message::Temporary { at, back } => self.remember(at, *back),
            Message::Cleared { at, cleared } => self.cleared(at, cleared),
            Message::BackgroundReady { at, stop, after } => self.background_ready(at, stop, after),
            Message::BackgroundOver { at, end } => self.background_over(at, *end),
            Message::Expired { at } => self.question_expired(at),
            Message::Lock { what, reply } => self.take_lock(&what, reply),
            Message::Refused { target } => self.end_early(BodyId::ROOT, Early::TargetRefused(target), true),
            Message::Open { at, opening, reply } => self.open_body(at, *opening, reply),
            Message::Holds { at, open } => self.holds(at, open),
            Message::Known { at } => self.known(at),
            Message::Outlived { path, number, left } => self.outlived(&path, number, left),
            Message::Undoable(undoable) => self.undoable(*undoable),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Whether the runbook that a body belongs to is being ended, before its `finally`.
    pub(super) fn is_ending(&self, body: BodyId) -> bool {
        let owner = self.bodies.owner(body);
        owner.early.is_some() && !owner.in_finally
    }

    fn is_change(&self, at: At) -> bool {
        self.bodies.node(at).step.change.is_some()
    }

    pub(super) fn operator(&self) -> Operator {
        self.operator.clone()
    }

    pub(super) fn yes(&self) -> Option<Risk> {
        self.yes
    }
}
