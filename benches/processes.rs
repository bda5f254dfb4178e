//! Many small programs, run by the engine with the record on disk, beside starting them bare.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench ends by panicking and tells what it found")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock and starts programs")]

mod support;

use criterion::Criterion;
use indexmap::IndexMap;
use runwright::action::{BaseEnvironment, Hands, Isolation, find_program};
use runwright::engine::{Acts, Answers, Clock, Person, Ports, Prompt, PromptId, RunState, Setup, run};
use runwright::event::{Event, IdentityKind, Mode, Operator, RunId, RunResult, SEMANTICS};
use runwright::expr::UnknownSort;
use runwright::graph::{CheckContext, StepGraph, check};
use runwright::plan::{GatePolicy, Resolver, Values};
use runwright::runbook::parse_runbook;
use runwright::source::{DiagnosticFormat, Diagnostics, Source, render};
use runwright::store::{Owner, Store, boot_id, host_name};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::{beside, folder, tell};
use tempfile::TempDir;
use tokio::sync::mpsc;

const AT_ONCE: usize = 8;

/// Steps that run `true`; each waits for what `needs` says of its number.
fn graph(steps: usize, needs: impl Fn(usize) -> Vec<usize>) -> Arc<StepGraph> {
    let mut text = String::from("runbook: processes\ntitle: Processes\nsteps:\n");
    for step in 0..steps {
        let needs: Vec<String> = needs(step).iter().map(|before| format!("s{before}")).collect();
        let needs = needs.join(", ");
        writeln!(text, "  - {{ id: s{step}, diagnose: Step {step}, run: [\"true\"], needs: [{needs}] }}").unwrap();
    }
    let mut problems = Diagnostics::new();
    let runbook = parse_runbook(&Source::new("processes.yaml", text), &mut problems);
    let graph = runbook.and_then(|runbook| check(Arc::new(runbook), &CheckContext::default(), &mut problems));
    Arc::new(graph.unwrap_or_else(|| panic!("{}", render(&problems, DiagnosticFormat::Text, false))))
}

struct Nobody;

impl Person for Nobody {
    fn is_present(&self) -> bool {
        false
    }

    fn ask(&mut self, _: Prompt) {}

    fn withdraw(&mut self, _: PromptId, _: &str) {}

    fn refuse(&mut self, _: PromptId, _: &str) {}
}

struct Machine(Instant);

impl Clock for Machine {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

fn operator() -> Operator {
    Operator { name: "bench".into(), identity: IdentityKind::OsUser, host: None }
}

fn started(run: RunId, graph: &StepGraph, store: &Store) -> Event {
    Event::RunStarted {
        run,
        semantics: SEMANTICS,
        version: env!("CARGO_PKG_VERSION").into(),
        mode: Mode::Run,
        runbook: graph.runbook().id().into(),
        title: graph.runbook().title.value.clone(),
        file: graph.runbook().source().name().into(),
        text: graph.runbook().source().text().into(),
        digest: String::new(),
        library: None,
        environment: None,
        production: false,
        operator: operator(),
        host: host_name(),
        boot: boot_id(),
        pid: std::process::id(),
        store: store.id().into(),
        inputs: Vec::new(),
        programs: Vec::new(),
        called: Vec::new(),
        settings: None,
        undo_of: None,
        folder: None,
        began: None,
        warnings: Vec::new(),
    }
}

/// One run from its first event to its last, with real programs and a real record.
fn perform(graph: &Arc<StepGraph>, folder: &TempDir) {
    let store = Store::open(&folder.path().join("store"), false).unwrap();
    let now = jiff::Timestamp::now();
    let owner = Owner::this_process(operator(), now);
    let record = store.create_new(&owner).unwrap();
    let base = BaseEnvironment::from_vars(std::env::vars_os());
    let path = base.path().to_owned();
    let find = Arc::new(move |name: &str| find_program(name, &path).ok());
    let ids = graph.nodes().iter().map(|node| node.id.to_string());
    let setup = Setup {
        run: record.id().clone(),
        graph: Arc::clone(graph),
        values: Values::new(IndexMap::new(), ids, UnknownSort::Unobtained),
        resolver: Resolver::new(Arc::clone(graph.runbook()), HashMap::new(), find),
        called: HashMap::new(),
        started: started(record.id().clone(), graph, &store),
        acts: Acts::All,
        policy: GatePolicy::default(),
        environment: None,
        yes: None,
        answers: Answers::new(),
        jobs: AT_ONCE,
        park_after: Duration::ZERO,
        operator: operator(),
        host: host_name(),
        machine: String::new(),
        grace: Duration::from_secs(1),
        past: None,
        undo: None,
        approvers: runwright::library::Approvers::default(),
        operators: Vec::new(),
        abort: None,
    };
    let (_answer, answers) = mpsc::channel(1);
    let (_signal, signals) = mpsc::channel(1);
    let ports = Ports {
        performer: Arc::new(Hands::new(base, Isolation::Group, None)),
        person: Box::new(Nobody),
        answers,
        inbox: Box::new(record.inbox().unwrap()),
        locks: Box::new(store.holds(record.id(), &owner)),
        store: Box::new(record),
        clock: Arc::new(Machine(Instant::now())),
        signals,
        observer: Box::new(|_| {}),
        live: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let end = runtime.block_on(run(setup, ports)).unwrap();
    assert!(matches!(end.state, RunState::Ended(RunResult::Completed)), "{:?}", end.state);
}

fn bare() {
    let mut command = Command::new("true");
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(status.success());
}

fn bare_at_once(steps: usize) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while next.fetch_add(1, Ordering::Relaxed) < steps {
                    bare();
                }
            });
        }
    });
}

/// A number of steps out of the environment.
fn number(variable: &str, usual: usize) -> usize {
    std::env::var(variable).map_or(usual, |text| text.parse().unwrap())
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let folder = folder();
    let length = number("RUNWRIGHT_BENCH_CHAIN", 1_000);
    let chain = graph(length, |step| step.checked_sub(1).into_iter().collect());
    let chained = beside(
        &mut criterion,
        &format!("chain of {length} programs"),
        ("engine", || perform(&chain, &folder)),
        ("bare", || (0..length).for_each(|_| bare())),
    );
    // Layers of fifty; each step waits for two of the layer before.
    let steps = number("RUNWRIGHT_BENCH_LAYERS", 2_000);
    let layers = graph(steps, |step| {
        let above = step.checked_sub(50);
        above.into_iter().flat_map(|above| [above, above / 50 * 50 + (above + 7) % 50]).collect()
    });
    let layered = beside(
        &mut criterion,
        &format!("{steps} programs in layers, {AT_ONCE} at once"),
        ("engine", || perform(&layers, &folder)),
        ("bare threads", || bare_at_once(steps)),
    );
    criterion.final_summary();
    tell(&[chained, layered]);
}
