//! Scripted ports.

pub(super) use super::ports::{Held, Letters, Memory, Nothing, Paused};
use crate::engine::{
    Acts, Answer, Answers, AttemptContext, InboxDecision, InboxWord, NoPreview, Past, Performed, Performer, Person,
    Ports, Prompt, PromptId, PromptKind, RunEnd, Said, Setup, Signal, StoreError, UndoOf, run,
};
use crate::event::{ErrorClass, Event, EvidenceRef, IdentityKind, Mode, Operator, Outcome, Record, RunId, RunResult};
use crate::expr::{UnknownSort, Value};
use crate::graph::{Callee, CheckContext, StepGraph, check};
use crate::library::Approvers;
use crate::plan::{Act, Called, GatePolicy, Resolver, Values, view};
use crate::runbook::{Risk, parse_runbook};
use crate::source::{DiagnosticFormat, Diagnostics, Source, render};
use futures_util::future::BoxFuture;
use indexmap::IndexMap;
use sha2::{Digest as _, Sha256};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

/// What the hands give for an act.
#[derive(Clone)]
pub(super) enum Script {
    /// Succeeds with these fields after so many milliseconds.
    Ok(serde_json::Value, u64),
    /// Fails with this class.
    Fail(ErrorClass),
    /// Fails with this class, and gave these fields before.
    FailAfter(ErrorClass, serde_json::Value),
    /// Succeeds with these fields, and kept this as its stream `before`.
    Kept(serde_json::Value, EvidenceRef),
    /// Its end is not seen.
    Unknown,
    /// Ends only when it is stopped.
    Hangs,
    /// One after the other; the last stays.
    Then(Vec<Script>),
}

impl Script {
    pub(super) fn ok(fields: serde_json::Value) -> Self {
        Self::Ok(fields, 0)
    }
}

pub(super) struct Hands {
    scripts: Mutex<HashMap<String, Script>>,
    pub(super) seen: Mutex<Vec<String>>,
    running: Mutex<(usize, usize)>,
    files: Mutex<Vec<String>>,
}

impl Hands {
    fn next(&self, text: &str) -> Script {
        let mut scripts = self.scripts.lock().expect("lock");
        match scripts.get_mut(text) {
            Some(Script::Then(list)) if list.len() > 1 => list.remove(0),
            Some(Script::Then(list)) => list[0].clone(),
            Some(script) => script.clone(),
            None => Script::ok(serde_json::json!({ "exit": 0, "stdout": "" })),
        }
    }

    pub(super) fn most_at_once(&self) -> usize {
        self.running.lock().expect("lock").1
    }
}

struct Shared(Arc<Hands>);

impl Performer for Shared {
    fn perform(&self, act: Act, context: AttemptContext) -> BoxFuture<'static, Performed> {
        let hands = self.0.clone();
        let text = view(&act).text;
        Box::pin(async move {
            hands.seen.lock().expect("lock").push(text.clone());
            {
                let mut running = hands.running.lock().expect("lock");
                running.0 += 1;
                running.1 = running.1.max(running.0);
            }
            let performed = play(hands.next(&text), &context).await;
            hands.running.lock().expect("lock").0 -= 1;
            performed
        })
    }

    fn preview(&self, _: Act, _: AttemptContext) -> BoxFuture<'static, Result<Option<String>, NoPreview>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn fingerprint(&self, _: &Act) -> Vec<(String, String)> {
        let mut files = self.0.files.lock().expect("lock");
        let now = if files.len() > 1 { Some(files.remove(0)) } else { files.first().cloned() };
        now.map(|digest| ("change.sh".to_owned(), digest)).into_iter().collect()
    }
}

fn fields_of(fields: &serde_json::Value) -> IndexMap<String, Value> {
    let fields = fields.as_object().expect("a map").iter();
    fields.map(|(name, value)| (name.clone(), crate::expr::from_record(value))).collect()
}

async fn play(script: Script, context: &AttemptContext) -> Performed {
    let end = |outcome, error, fields: IndexMap<String, Value>| Performed {
        outcome,
        error,
        message: None,
        fields,
        evidence: Vec::new(),
        left: Vec::new(),
    };
    match script {
        Script::Ok(fields, took) => {
            tokio::time::sleep(Duration::from_millis(took)).await;
            end(Outcome::Succeeded, None, fields_of(&fields))
        }
        Script::Kept(fields, evidence) => {
            Performed { evidence: vec![evidence], ..end(Outcome::Succeeded, None, fields_of(&fields)) }
        }
        Script::Fail(class) => end(Outcome::Failed, Some(class), IndexMap::new()),
        Script::FailAfter(class, fields) => end(Outcome::Failed, Some(class), fields_of(&fields)),
        Script::Unknown => end(Outcome::Unknown, Some(ErrorClass::Timeout), IndexMap::new()),
        Script::Hangs => {
            context.cancel.cancelled().await;
            let outcome = if context.change { Outcome::Unknown } else { Outcome::Cancelled };
            end(outcome, Some(ErrorClass::Cancelled), IndexMap::new())
        }
        Script::Then(_) => unreachable!("taken apart before"),
    }
}

pub(super) type Reply = Box<dyn FnMut(&Prompt) -> Option<Answer> + Send>;

pub(super) struct Actor {
    pub(super) reply: Option<Reply>,
    pub(super) answers: mpsc::Sender<(PromptId, Answer)>,
    pub(super) prompts: Arc<Mutex<Vec<Prompt>>>,
}

impl Person for Actor {
    fn is_present(&self) -> bool {
        self.reply.is_some()
    }

    fn ask(&mut self, prompt: Prompt) {
        self.prompts.lock().expect("lock").push(prompt.clone());
        if let Some(answer) = self.reply.as_mut().and_then(|reply| reply(&prompt)) {
            self.answers.try_send((prompt.id, answer)).expect("room for an answer");
        }
    }

    fn withdraw(&mut self, _: PromptId, _: &str) {}

    fn refuse(&mut self, id: PromptId, _: &str) {
        let asked = self.prompts.lock().expect("lock").iter().find(|prompt| prompt.id == id).cloned();
        if let Some(prompt) = asked {
            self.ask(prompt);
        }
    }
}

/// A run to be performed with scripted ports.
pub(super) struct Scripted {
    yaml: String,
    called: Vec<String>,
    scripts: HashMap<String, Script>,
    reply: Option<Reply>,
    pub(super) letters: Arc<Mutex<Vec<InboxDecision>>>,
    pub(super) words: Arc<Mutex<Vec<InboxWord>>>,
    policy: GatePolicy,
    yes: Option<Risk>,
    answers: Answers,
    acts: Acts,
    jobs: usize,
    park_after: Duration,
    signals: Vec<(Duration, Signal)>,
    aborted: Option<Duration>,
    jump: Option<(Duration, i64)>,
    fails_after: Option<usize>,
    room_for: Option<usize>,
    held: Vec<String>,
    undo: Option<(Past, UndoOf)>,
    before: Vec<Record>,
    approvers: Approvers,
    files: Vec<String>,
    later: Vec<(Duration, Answer)>,
    /// The digests of the gates that were opened, as the record has them.
    pub(super) opened: Arc<Mutex<Vec<String>>>,
}

/// What came of it.
pub(super) struct Played {
    pub(super) end: Result<RunEnd, StoreError>,
    pub(super) records: Vec<Record>,
    pub(super) hands: Arc<Hands>,
    pub(super) prompts: Vec<Prompt>,
}

impl Scripted {
    /// A runbook with this body under `steps:` (and whatever follows).
    pub(super) fn new(steps: &str) -> Self {
        Self {
            yaml: format!("runbook: test\ntitle: Test\n{steps}"),
            called: Vec::new(),
            scripts: HashMap::new(),
            reply: None,
            letters: Arc::default(),
            words: Arc::default(),
            policy: GatePolicy { production: true, ..GatePolicy::default() },
            yes: None,
            answers: Answers::new(),
            acts: Acts::All,
            jobs: 8,
            park_after: Duration::ZERO,
            signals: Vec::new(),
            aborted: None,
            jump: None,
            fails_after: None,
            room_for: None,
            held: Vec::new(),
            undo: None,
            before: Vec::new(),
            approvers: Approvers::default(),
            files: Vec::new(),
            later: Vec::new(),
            opened: Arc::default(),
        }
    }

    /// A runbook that can be called, by this one and by those given after it.
    pub(super) fn calling(mut self, yaml: &str) -> Self {
        self.called.push(yaml.to_owned());
        self
    }

    pub(super) fn act(mut self, text: &str, script: Script) -> Self {
        self.scripts.insert(text.to_owned(), script);
        self
    }

    pub(super) fn person(mut self, reply: impl FnMut(&Prompt) -> Option<Answer> + Send + 'static) -> Self {
        self.reply = Some(Box::new(reply));
        self
    }

    /// Somebody who approves every gate.
    pub(super) fn yes_man(self) -> Self {
        self.person(|prompt| matches!(prompt.kind, PromptKind::Gate { .. }).then_some(Answer::Approve))
    }

    pub(super) fn policy(mut self, policy: GatePolicy) -> Self {
        self.policy = policy;
        self
    }

    pub(super) fn yes(mut self, risk: Risk) -> Self {
        self.yes = Some(risk);
        self
    }

    pub(super) fn answer(mut self, step: &str, value: serde_json::Value) -> Self {
        self.answers.insert(step.to_owned(), value);
        self
    }

    pub(super) fn probe(mut self) -> Self {
        self.acts = Acts::Reads;
        self
    }

    pub(super) fn jobs(mut self, jobs: usize) -> Self {
        self.jobs = jobs;
        self
    }

    pub(super) fn park_after(mut self, duration: Duration) -> Self {
        self.park_after = duration;
        self
    }

    /// The wall clock jumps by so many seconds.
    pub(super) fn clock_jumps(mut self, after: Duration, seconds: i64) -> Self {
        self.jump = Some((after, seconds));
        self
    }

    /// Somebody ends the run.
    pub(super) fn aborts(mut self, after: Duration) -> Self {
        self.aborted = Some(after);
        self
    }

    pub(super) fn signal(mut self, after: Duration, number: i32) -> Self {
        let all = [Signal::Interrupt, Signal::Terminate, Signal::HangUp, Signal::Quit];
        let signal = all.into_iter().find(|signal| signal.number() == number).expect("a signal");
        self.signals.push((after, signal));
        self
    }

    /// The digests of a file that every act depends on: one for each look, the last stays.
    pub(super) fn files(mut self, digests: &[&str]) -> Self {
        self.files = digests.iter().map(|digest| (*digest).to_owned()).collect();
        self
    }

    /// What the person says to the prompt that is open then.
    pub(super) fn says_later(mut self, after: Duration, answer: Answer) -> Self {
        self.later.push((after, answer));
        self
    }

    /// Who may approve.
    pub(super) fn approvers(mut self, approvers: Approvers) -> Self {
        self.approvers = approvers;
        self
    }

    /// What another run has.
    pub(super) fn held(mut self, what: &str) -> Self {
        self.held.push(what.to_owned());
        self
    }

    /// Takes back what a run made, by its records.
    pub(super) fn undoing(self, records: &[Record]) -> Self {
        self.undoing_with(records, &[])
    }

    /// The same, where the run kept these texts as evidence.
    pub(super) fn undoing_with(mut self, records: &[Record], kept: &[&str]) -> Self {
        let read = |wanted: &EvidenceRef| {
            let found = kept.iter().find(|text| sha256(text) == wanted.sha256);
            found.map(|text| text.as_bytes().to_vec()).ok_or_else(|| "it is gone".to_owned())
        };
        self.undo = Some((Past::of(records, &read), UndoOf::default()));
        self
    }

    /// Takes up an undo whose own records so far are these.
    pub(super) fn undoing_again(self, records: &[Record], own: &[Record]) -> Self {
        let mut again = self.undoing(records);
        if let Some((_, undo)) = &mut again.undo {
            undo.past = Some(Past::of(own, &|_| Err("nothing is kept here".to_owned())));
        }
        Self { before: own.to_vec(), ..again }
    }

    pub(super) fn disk_full_after(mut self, records: usize) -> Self {
        self.fails_after = Some(records);
        self
    }

    /// The disk has room for the record of so many changes.
    pub(super) fn room_for(mut self, changes: usize) -> Self {
        self.room_for = Some(changes);
        self
    }

    pub(super) async fn play(self) -> Played {
        let graph = graph(self.called.iter().chain([&self.yaml]));
        let is_resumed = !self.before.is_empty();
        let records = Arc::new(Mutex::new(self.before));
        let hands = Arc::new(Hands {
            scripts: Mutex::new(self.scripts),
            seen: Mutex::default(),
            running: Mutex::default(),
            files: Mutex::new(self.files),
        });
        let prompts = Arc::new(Mutex::new(Vec::new()));
        let (answers, received) = mpsc::channel(64);
        let (send_signal, signals) = mpsc::channel(4);
        for (after, signal) in self.signals {
            let send_signal = send_signal.clone();
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                send_signal.send(signal).await.ok();
            });
        }
        if let Some(after) = self.aborted {
            let words = self.words.clone();
            let by = Operator { name: "bob".into(), identity: IdentityKind::OsUser, host: None };
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                let said = Said::Abort { reason: "enough".into() };
                let at = "2026-11-21T01:00:00Z".parse().expect("a time");
                words.lock().expect("lock").push(InboxWord { said, by, at });
            });
        }
        for (after, answer) in self.later {
            let (answers, prompts) = (answers.clone(), prompts.clone());
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                let open = prompts.lock().expect("lock").last().map(|prompt: &Prompt| prompt.id);
                if let Some(id) = open {
                    answers.send((id, answer)).await.ok();
                }
            });
        }
        let opened = self.opened;
        let operator = Operator { name: "ana".into(), identity: IdentityKind::OsUser, host: None };
        let run_id: RunId = "20261121-0100-test".parse().expect("a run id");
        let resolver = |graph: &StepGraph| Resolver::new(graph.runbook().clone(), HashMap::new(), Arc::new(|_| None));
        let called = graph
            .all_called()
            .into_iter()
            .map(|(name, graph)| (name, Called { resolver: resolver(&graph), inputs: IndexMap::new() }));
        let ids = graph.nodes().iter().map(|node| node.id.to_string()).collect::<Vec<_>>();
        let (past, undo) = self.undo.map_or((None, None), |(past, undo)| (Some(past), Some(undo)));
        let setup = Setup {
            run: run_id.clone(),
            values: Values::new(IndexMap::new(), ids, UnknownSort::Unobtained),
            resolver: resolver(&graph),
            called: called.collect(),
            graph,
            started: if is_resumed { resumed() } else { started(run_id, operator.clone()) },
            acts: self.acts,
            policy: self.policy,
            environment: None,
            yes: self.yes,
            answers: self.answers,
            jobs: self.jobs,
            park_after: self.park_after,
            operators: Vec::new(),
            approvers: self.approvers,
            operator,
            host: "box".into(),
            machine: "0123".into(),
            grace: Duration::from_secs(1),
            past,
            undo,
            abort: None,
        };
        let ports = Ports {
            performer: Arc::new(Shared(hands.clone())),
            person: Box::new(Actor { reply: self.reply, answers, prompts: prompts.clone() }),
            answers: received,
            store: Box::new(Memory {
                records: records.clone(),
                synced: Arc::default(),
                fails_after: self.fails_after,
                room_for: self.room_for,
            }),
            inbox: Box::new(Letters(self.letters, self.words)),
            locks: Box::new(Held { by_others: self.held, ours: HashSet::new() }),
            clock: Arc::new(Paused(tokio::time::Instant::now(), self.jump)),
            signals,
            observer: Box::new(move |record| {
                if let Event::GateOpened { digest, .. } = &record.event {
                    opened.lock().expect("lock").push(digest.clone());
                }
            }),
            live: None,
        };
        let end = tokio::time::timeout(Duration::from_hours(24), run(setup, ports)).await.expect("the run hangs");
        let records: Vec<Record> = records.lock().expect("lock").clone();
        // Every run of every test is judged: each prefix of its record is a legal state.
        if let Err(broken) = crate::engine::History::of(&records) {
            panic!("{broken}: {:#?}", records.iter().map(|record| (&record.step, &record.event)).collect::<Vec<_>>());
        }
        let prompts = prompts.lock().expect("lock").clone();
        Played { end, records, hands, prompts }
    }
}

/// The graph of the last of these runbooks; each may call those before it.
pub(super) fn graph<'a>(texts: impl IntoIterator<Item = &'a String>) -> Arc<StepGraph> {
    let mut context = CheckContext::default();
    let mut last = None;
    for yaml in texts {
        let source = Source::new("test.yaml", yaml.clone());
        let mut problems = Diagnostics::new();
        let runbook = parse_runbook(&source, &mut problems);
        let graph = runbook.and_then(|runbook| check(Arc::new(runbook), &context, &mut problems));
        let graph = graph.unwrap_or_else(|| panic!("{}", render(&problems, DiagnosticFormat::Text, false)));
        let graph = Arc::new(graph);
        context.callees.insert(graph.runbook().id().to_owned(), Callee::Checked(graph.clone()));
        last = Some(graph);
    }
    last.expect("a runbook")
}

pub(super) fn started(run: RunId, operator: Operator) -> Event {
    Event::RunStarted {
        run,
        semantics: crate::event::SEMANTICS,
        version: "0".into(),
        mode: Mode::Run,
        runbook: "test".into(),
        title: "Test".into(),
        file: "test.yaml".into(),
        text: String::new(),
        digest: String::new(),
        library: None,
        environment: None,
        production: true,
        operator,
        host: "box".into(),
        boot: "boot".into(),
        pid: 1,
        store: "store".into(),
        inputs: Vec::new(),
        programs: Vec::new(),
        warnings: Vec::new(),
        called: Vec::new(),
        settings: None,
        folder: None,
        began: None,
        undo_of: None,
    }
}

fn resumed() -> Event {
    let resumption = serde_json::json!({
        "operator": Operator { name: "ana".into(), identity: IdentityKind::OsUser, host: None },
        "host": "box", "boot": "boot", "pid": 2, "version": "0", "store": "store",
    });
    Event::RunResumed(Box::new(serde_json::from_value(resumption).expect("a resumption")))
}

/// In hex.
pub(super) fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Played {
    /// The acts that were performed, in order.
    pub(super) fn seen(&self) -> Vec<String> {
        self.hands.seen.lock().expect("lock").clone()
    }

    pub(super) fn result(&self) -> RunResult {
        match self.records.last().map(|record| &record.event) {
            Some(Event::RunEnded { result, .. }) => *result,
            other => panic!("the run did not end: {other:?}"),
        }
    }

    /// The outcome of a step, by its end or its being skipped.
    pub(super) fn outcome(&self, step: &str) -> Option<Outcome> {
        let of = |record: &&Record| record.step.as_ref().is_some_and(|path| path.0 == step);
        self.records.iter().filter(of).rev().find_map(|record| match &record.event {
            Event::StepEnded { outcome, .. } => Some(*outcome),
            Event::StepSkipped { .. } => Some(Outcome::Skipped),
            _ => None,
        })
    }

    pub(super) fn reason(&self, step: &str) -> String {
        let of = |record: &&Record| record.step.as_ref().is_some_and(|path| path.0 == step);
        let found = self.records.iter().filter(of).rev().find_map(|record| match &record.event {
            Event::StepEnded { reason, .. } => reason.clone(),
            Event::StepSkipped { reason, .. } => Some(reason.clone()),
            _ => None,
        });
        found.unwrap_or_default()
    }
}
