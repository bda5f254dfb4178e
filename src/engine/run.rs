//! The entry: a run from its first event to its last.

use super::dispatch::Dispatcher;
use super::past::Past;
use super::port::{Answer, Chunk, Clock, Inbox, Locks, Performer, Person, PromptId, RunStore, StoreError};
use super::result::RunEnd;
use super::undo::UndoOf;
use crate::event::{Event, Operator, RunId};
use crate::graph::StepGraph;
use crate::library::Approvers;
use crate::plan::{Called, GatePolicy, Resolver, Values};
use crate::runbook::Risk;
use indexmap::IndexMap;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// What is performed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acts {
    /// Everything.
    All,
    /// Reads and nothing else: a probe.
    Reads,
}

/// Answers given beforehand, by step: `step: option`, `step: {question: value}`, `step: done`.
pub type Answers = IndexMap<String, serde_json::Value>;

/// Everything a run is started with.
pub struct Setup {
    /// The run.
    pub run: RunId,
    /// The checked runbook.
    pub graph: Arc<StepGraph>,
    /// The values known before the first step.
    pub values: Values,
    /// Resolves acts.
    pub resolver: Resolver,
    /// What the runbooks that are called need, by their names; their graphs are held by the graph that calls them.
    pub called: HashMap<String, Called>,
    /// The first event.
    pub started: Event,
    /// What is performed.
    pub acts: Acts,
    /// The gates of the environment.
    pub policy: GatePolicy,
    /// The environment's name.
    pub environment: Option<String>,
    /// The highest risk whose confirmations `--yes` answers.
    pub yes: Option<Risk>,
    /// Answers given beforehand.
    pub answers: Answers,
    /// How many reads run at once.
    pub jobs: usize,
    /// How long the run stays when it waits for people and nobody is at its terminal.
    pub park_after: Duration,
    /// Who runs it.
    pub operator: Operator,
    /// Other names of the operator: the user of the operating system, where they gave another. `not_operator` is about
    /// them, about the operator, and about those who ran the run before.
    pub operators: Vec<String>,
    /// Whose signatures count, as it was when the run began.
    pub approvers: Approvers,
    /// The name of this machine: what a typed gate wants for local acts.
    pub host: String,
    /// What tells this machine from others, for the lock on local changes.
    pub machine: String,
    /// Between TERM and KILL.
    pub grace: Duration,
    /// What an earlier process did of this run: it is taken up again.
    pub past: Option<Past>,
    /// The run takes back the changes of another one, whose past that is.
    pub undo: Option<UndoOf>,
    /// Why the run is ended as soon as what was left open is settled; only for a run with a past.
    pub abort: Option<String>,
}

/// A signal to the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C: a person is asked what is meant, and where nobody is there the run is suspended. The second one leaves at
    /// once.
    Interrupt,
    /// Somebody wants the process to end: the run is suspended. The second one leaves at once.
    Terminate,
    /// The terminal went away: the run is suspended.
    HangUp,
    /// Leaves at once.
    Quit,
}

impl Signal {
    /// Its number, for the exit code.
    #[must_use]
    pub fn number(self) -> i32 {
        match self {
            Self::HangUp => 1,
            Self::Interrupt => 2,
            Self::Quit => 3,
            Self::Terminate => 15,
        }
    }

    /// Its name for people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::HangUp => "the terminal went away (SIGHUP)",
            Self::Interrupt => "Ctrl-C",
            Self::Quit => "SIGQUIT",
            Self::Terminate => "SIGTERM",
        }
    }
}

/// The outside.
pub struct Ports {
    /// The hands.
    pub performer: Arc<dyn Performer>,
    /// The person at the terminal.
    pub person: Box<dyn Person>,
    /// That person's answers.
    pub answers: mpsc::Receiver<(PromptId, Answer)>,
    /// The record.
    pub store: Box<dyn RunStore>,
    /// Decisions of others.
    pub inbox: Box<dyn Inbox>,
    /// What one run at a time may change.
    pub locks: Box<dyn Locks>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Signals.
    pub signals: mpsc::Receiver<Signal>,
    /// Sees every record as it is kept.
    pub observer: Box<dyn FnMut(&crate::event::Record) + Send>,
    /// Hears of output as it comes.
    pub live: Option<mpsc::Sender<Chunk>>,
}

/// Performs a run. Must be called inside a tokio `LocalSet` or runtime that can spawn tasks.
///
/// # Errors
/// The record cannot be written: nothing more was started after that.
pub async fn run(setup: Setup, ports: Ports) -> Result<RunEnd, StoreError> {
    Dispatcher::new(setup, ports).run().await
}
