//! The lives of a run: one process after the other has it, and each but the last dies.

use super::super::fixture::{Actor, Held, Letters, Nothing, started};
use super::books::Book;
use super::world::{Hands, Vitals, World};
use crate::engine::{
    Acts, Answer, Answers, Clock, Evidence, Past, Ports, Prompt, PromptKind, RunState, RunStore, Setup, StoreError, run,
};
use crate::event::{Event, IdentityKind, Operator, Record, Resumption, RunId};
use crate::expr::UnknownSort;
use crate::graph::StepGraph;
use crate::plan::{Called, GatePolicy, Resolver, Values};
use indexmap::IndexMap;
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// How a life ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Death {
    /// Before the n-th record of this life is written.
    Before(usize),
    /// As soon as it is written, before anything else happens.
    After(usize),
    /// The operator leaves the run at the n-th prompt of this life; nothing if there is none.
    Left(usize),
}

/// What is left of the record after a death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Survives {
    /// Everything that was written: the process was killed.
    Written,
    /// Only what was synced: the machine lost its power.
    Synced,
}

/// The record, as the disk has it.
#[derive(Default)]
struct Tape {
    records: Vec<Record>,
    synced: usize,
    /// Records that this life found.
    found: usize,
    death: Option<Death>,
    is_dead: bool,
}

/// What the hands, the record and the clock of one life share.
struct Body {
    tape: Mutex<Tape>,
    died: Notify,
    before: Duration,
    began: tokio::time::Instant,
}

impl Body {
    fn tape(&self) -> MutexGuard<'_, Tape> {
        self.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Vitals for Body {
    fn is_dead(&self) -> bool {
        self.tape().is_dead
    }

    fn is_on_disk(&self, marker: &str) -> bool {
        let tape = self.tape();
        tape.records[..tape.synced].iter().any(|record| {
            let (Some(step), Some(attempt)) = (&record.step, record.attempt) else { return false };
            matches!(record.event, Event::AttemptStarted { .. }) && marker.ends_with(&format!("/{step}/{attempt}"))
        })
    }

    fn elapsed(&self) -> Duration {
        self.before + self.began.elapsed()
    }
}

struct Pen(Arc<Body>);

impl RunStore for Pen {
    fn append(&mut self, records: &mut [Record]) -> Result<(), StoreError> {
        let mut tape = self.0.tape();
        for record in records {
            let next = tape.records.len() - tape.found + 1;
            tape.is_dead |= tape.death == Some(Death::Before(next));
            record.seq = tape.records.len() as u64 + 1;
            if !tape.is_dead {
                tape.records.push(record.clone());
            }
            tape.is_dead |= tape.death == Some(Death::After(next));
        }
        if tape.is_dead {
            self.0.died.notify_one();
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        let mut tape = self.0.tape();
        if !tape.is_dead {
            tape.synced = tape.records.len();
        }
        Ok(())
    }

    fn close(&mut self) -> Result<String, StoreError> {
        Ok("head".to_owned())
    }

    fn evidence(&self) -> Arc<dyn Evidence> {
        Arc::new(Nothing)
    }

    fn room(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

struct Going(Arc<Body>);

impl Clock for Going {
    fn now(&self) -> Timestamp {
        let start: Timestamp = "2026-11-21T01:00:00Z".parse().expect("a time");
        start + jiff::SignedDuration::try_from(self.elapsed()).expect("small")
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A run with its world, over all its lives.
pub(super) struct Lives {
    book: Book,
    pub(super) world: Arc<World>,
    pub(super) records: Vec<Record>,
    /// After how many records each life began, but the first.
    pub(super) resumed: Vec<usize>,
    elapsed: Duration,
}

impl Lives {
    pub(super) fn new(book: &Book) -> Self {
        Self {
            book: book.clone(),
            world: Arc::default(),
            records: Vec::new(),
            resumed: Vec::new(),
            elapsed: Duration::ZERO,
        }
    }

    /// One life that ends as it should, or earlier. Gives back the state the run was left in; nothing after a death.
    pub(super) fn live(&mut self, death: Option<Death>, survives: Survives) -> Option<RunState> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        let found = self.records.len();
        if found > 0 {
            self.resumed.push(found);
        }
        let (body, state) = runtime.block_on(async {
            let tape = Tape { records: self.records.clone(), synced: found, found, death, is_dead: false };
            let body = Arc::new(Body {
                tape: Mutex::new(tape),
                died: Notify::new(),
                before: self.elapsed,
                began: tokio::time::Instant::now(),
            });
            let (setup, ports) = self.start(&body, death);
            let state = tokio::select! {
                biased;
                () = body.died.notified() => None,
                end = tokio::time::timeout(Duration::from_hours(24), run(setup, ports)) => {
                    let hangs = |_| panic!("`{}` hangs, with {death:?} and this on record: {:#?}", self.book.name, story(&body.tape().records));
                    Some(end.unwrap_or_else(hangs).expect("the record can be written").state)
                }
            };
            self.elapsed = body.elapsed();
            (body, state)
        });
        // Whatever this process still had is gone with it.
        drop(runtime);
        let tape = body.tape();
        let kept = if state.is_none() && survives == Survives::Synced { tape.synced } else { tape.records.len() };
        self.records = tape.records[..kept].to_vec();
        state
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.records.last().map(|record| &record.event), Some(Event::RunEnded { .. }))
    }

    /// How often each act was attempted, as the record has it.
    fn attempted(&self) -> BTreeMap<String, u32> {
        let mut found = BTreeMap::new();
        for record in &self.records {
            if let Event::AttemptStarted { act, .. } = &record.event {
                *found.entry(act.text.clone()).or_default() += 1;
            }
        }
        found
    }

    pub(super) fn story(&self) -> Vec<String> {
        story(&self.records)
    }

    fn start(&self, body: &Arc<Body>, death: Option<Death>) -> (Setup, Ports) {
        let (answers, received) = mpsc::channel(64);
        let (_, signals) = mpsc::channel(1);
        let mut person = self.book.person(&self.world, self.attempted());
        let mut prompts = 0;
        let reply = move |prompt: &Prompt| {
            prompts += 1;
            if death == Some(Death::Left(prompts)) { Some(Answer::Suspend) } else { person(prompt) }
        };
        let ports = Ports {
            performer: Arc::new(Hands { world: self.world.clone(), vitals: body.clone() }),
            person: Box::new(Actor { reply: Some(Box::new(reply)), answers, prompts: Arc::default() }),
            answers: received,
            store: Box::new(Pen(body.clone())),
            inbox: Box::new(Letters(Arc::default(), Arc::default())),
            locks: Box::new(Held::default()),
            clock: Arc::new(Going(body.clone())),
            signals,
            observer: Box::new(|_| {}),
            live: None,
        };
        (self.setup(), ports)
    }

    fn setup(&self) -> Setup {
        let graph = self.book.graph.clone();
        let operator = Operator { name: "ana".into(), identity: IdentityKind::OsUser, host: None };
        let run_id: RunId = "20261121-0100-test".parse().expect("a run id");
        let resolver = |graph: &StepGraph| Resolver::new(graph.runbook().clone(), HashMap::new(), Arc::new(|_| None));
        let called = graph.all_called().into_iter();
        let called = called.map(|(name, graph)| (name, Called { resolver: resolver(&graph), inputs: IndexMap::new() }));
        let ids = graph.nodes().iter().map(|node| node.id.to_string()).collect::<Vec<_>>();
        Setup {
            operators: Vec::new(),
            approvers: crate::library::Approvers::default(),
            run: run_id.clone(),
            values: Values::new(IndexMap::new(), ids, UnknownSort::Unobtained),
            resolver: resolver(&graph),
            called: called.collect(),
            graph,
            started: if self.records.is_empty() { started(run_id, operator.clone()) } else { resumed(&operator) },
            acts: Acts::All,
            policy: GatePolicy { production: true, ..GatePolicy::default() },
            environment: None,
            yes: None,
            answers: Answers::new(),
            jobs: 8,
            park_after: Duration::ZERO,
            operator,
            host: "box".into(),
            machine: "0123".into(),
            grace: Duration::from_secs(1),
            past: (!self.records.is_empty())
                .then(|| Past::of(&self.records, &|_| Err("nothing is kept here".to_owned()))),
            abort: None,
            undo: None,
        }
    }
}

fn resumed(operator: &Operator) -> Event {
    Event::RunResumed(Box::new(Resumption {
        operator: operator.clone(),
        host: "box".into(),
        boot: "boot".into(),
        pid: 2,
        version: "0".into(),
        store: "store".into(),
        moved_from: None,
        reason: None,
        torn: None,
        leftovers: Vec::new(),
        runbook: None,
        folder: None,
        library: None,
        programs: Vec::new(),
        refresh: false,
    }))
}

/// What somebody says who looks at the world and tells the truth: steps `skip_..` are left out, those called `no_..`
/// declined.
pub(super) fn truthful(world: &World, attempted: &BTreeMap<String, u32>, prompt: &Prompt) -> Option<Answer> {
    let id = prompt.step.0.rsplit('/').next().unwrap_or_default();
    if id.starts_with("skip_") {
        return Some(Answer::Skip { reason: "not today".to_owned() });
    }
    if id.starts_with("no_") {
        return Some(Answer::Decline { reason: Some("never".to_owned()) });
    }
    Some(match &prompt.kind {
        PromptKind::Gate { .. } => Answer::Approve,
        PromptKind::Decide { options, .. } => Answer::Choose { option: options[0].name.clone(), reason: None },
        PromptKind::When { .. } => Answer::Perform(true),
        PromptKind::Ask { questions } => {
            Answer::Values(questions.iter().map(|question| (question.name.clone(), "7".to_owned())).collect())
        }
        PromptKind::Manual { .. } => Answer::Done { evidence: Some("seen".to_owned()) },
        PromptKind::Settle { act, .. } => {
            let times = attempted.get(act).copied().unwrap_or(0);
            Answer::Settled { settlement: world.became(act, times), reason: "looked".to_owned() }
        }
        PromptKind::Interactive { .. }
        | PromptKind::HandOver { .. }
        | PromptKind::Outlived { .. }
        | PromptKind::Stop { .. } => return None,
    })
}

/// A record in short, for people.
fn story(records: &[Record]) -> Vec<String> {
    let line = |record: &Record| {
        let step = record.step.as_ref().map_or("", |step| step.0.as_str());
        let event = format!("{:?}", record.event);
        let event: String = event.chars().take(150).collect();
        format!("{} {} ms {step} {:?} {event}", record.seq, record.elapsed_ms, record.attempt)
    };
    records.iter().map(line).collect()
}
