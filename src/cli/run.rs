//! `run` and `probe`: the outside is put together, the engine does the rest.

use super::answers::read_answers;
use super::arguments::{DryRun, ProbeArguments, RunArguments, RunbookArguments, Yes};
use super::clock::MachineClock;
use super::console::Console;
use super::exit::Exit;
use super::failure::CommandError;
use super::person::operator;
use super::plan::{compare, plan_of_run};
use super::prepare::{Prepared, prepare};
use super::recorded::{step_places, step_table};
use super::screen::Screen;
use super::session::Session;
use super::signals::{Lent, listen};
use crate::action::{Hands, Isolation, Lender, install_crypto};
use crate::engine::{Acts, Answers, Ports, RunEnd, RunState, Setup, run as perform};
use crate::event::{Event, FrozenRunbook, Mode, Operator, RunId, SEMANTICS};
use crate::expr::{SecretText, UnknownSort};
use crate::graph::StepGraph;
use crate::plan::ResolvedInput;
use crate::report::sanitize::visible;
use crate::runbook::Risk;
use crate::store::{DirRun, Masker, Owner, Store, boot_id, host_name, machine_id};
use crate::terminal::{Lend, Paper};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Between TERM and KILL.
const GRACE: Duration = Duration::from_secs(10);
/// Chunks of output that may wait for the screen; a screen that is slower loses none, the programs wait.
const CHUNKS: usize = 256;

/// How a run is performed.
struct Way {
    mode: Mode,
    yes: Option<Risk>,
    answers: Answers,
    jobs: u16,
    park_after: Duration,
    operator: Operator,
}

/// Runs a runbook.
pub(super) fn run(session: &Session, arguments: &RunArguments) -> Result<Exit, CommandError> {
    let mode = match arguments.dry_run {
        Some(DryRun::Plan) => return plan_of_run(session, &arguments.runbook),
        Some(DryRun::Probe) => Mode::Probe,
        None => Mode::Run,
    };
    let prepared = prepare(session, &arguments.runbook, mode)?;
    if let Some(path) = &arguments.plan {
        compare(session, path, &prepared)?;
    }
    let answers = match &arguments.answers {
        Some(path) => read_answers(session, path, &prepared.graph)?,
        None => Answers::new(),
    };
    let way = Way {
        mode,
        yes: arguments.yes.map(|yes| if yes == Yes::Low { Risk::Low } else { Risk::Medium }),
        answers,
        jobs: arguments.jobs,
        park_after: arguments.park_after.unwrap_or_default(),
        operator: operator(arguments.as_name.as_deref()),
    };
    start(session, &prepared, way)
}

/// Performs the reads of a runbook.
pub(super) fn probe(session: &Session, arguments: &ProbeArguments) -> Result<Exit, CommandError> {
    let prepared = prepare(session, &arguments.runbook, Mode::Probe)?;
    let way = Way {
        mode: Mode::Probe,
        yes: None,
        answers: Answers::new(),
        jobs: arguments.jobs,
        park_after: Duration::ZERO,
        operator: operator(arguments.as_name.as_deref()),
    };
    announce(session, &arguments.runbook, &prepared, &way.operator);
    start(session, &prepared, way)
}

/// Says what a probe will touch, before it touches anything.
fn announce(session: &Session, runbook: &RunbookArguments, prepared: &Prepared, operator: &Operator) {
    let reads = prepared.plan(&operator.name).summary().reads;
    let reads: Vec<String> = reads.iter().map(|(place, number)| format!("{number} on {place}")).collect();
    if !reads.is_empty() {
        let text = format!("probe of {}: up to this many reads: {}; no change", runbook.runbook, reads.join(", "));
        session.console.say(&format!("{}\n", visible(&text)));
    }
}

fn start(session: &Session, prepared: &Prepared, way: Way) -> Result<Exit, CommandError> {
    install_crypto();
    let store = session.store()?;
    let owner = Owner {
        pid: std::process::id(),
        host: host_name(),
        boot: boot_id(),
        operator: way.operator.clone(),
        since: prepared.now,
    };
    let secrets = Masker::new();
    // Tried on a masker of its own first: a refused secret must not leave an empty run behind.
    teach(&secrets, &prepared.inputs)?;
    let record = store.create_new(&owner)?;
    teach(&record.masker(), &prepared.inputs)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| CommandError::SetUp { what: "the runtime", source })?;
    let run = record.id().clone();
    let (end, screen) =
        runtime.block_on(go(session, prepared, way, &store, record, &owner)).map_err(|error| match error {
            CommandError::Store(error) => CommandError::RecordLost { run: run.clone(), error },
            other => other,
        })?;
    screen.rest();
    if matches!(end.state, RunState::Ended(_)) {
        screen.sealed(&end.head);
    }
    Ok(exit_of(&end))
}

/// Makes the masker know what is secret and what is not.
fn teach(masker: &Masker, inputs: &[ResolvedInput]) -> Result<(), CommandError> {
    for input in inputs.iter().filter(|input| !input.is_secret) {
        if let Some(text) = input.value.as_str() {
            masker.know_plain(format!("input `{}`", input.name), text);
        }
    }
    for input in inputs {
        if let Some(secret) = input.value.downcast_object_ref::<SecretText>() {
            masker.add(secret)?;
        }
    }
    Ok(())
}

async fn go(
    session: &Session,
    prepared: &Prepared,
    way: Way,
    store: &Store,
    record: DirRun,
    owner: &Owner,
) -> Result<(RunEnd, Screen), CommandError> {
    let attended = Console::has_person();
    let (sink, style) = session.console.run_sink(attended);
    let paper = Arc::new(Paper::new(sink, style.terminal));
    let graph = &prepared.graph;
    let not_yet = prepared.values(prepared.run_value(None, &way.operator.name), None, UnknownSort::NotYet);
    let screen = Screen::new(paper, style, step_table(graph, &not_yet), step_places(graph), attended);
    let (typed, mut answers) = mpsc::unbounded_channel();
    let (hand_over, engine_answers) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Some(answer) = answers.recv().await {
            if hand_over.send(answer).await.is_err() {
                return;
            }
        }
    });
    let (chunks, output) = mpsc::channel(CHUNKS);
    let following = tokio::spawn(screen.clone().follow(output));
    let seen = screen.clone();
    let library = prepared.library.clone();
    let setup = setup(prepared, way, store, record.id());
    let lent = Lent::default();
    let ports = Ports {
        performer: Arc::new(Hands::new(prepared.base.clone(), Isolation::detect(), library)),
        person: Box::new(screen.desk(attended, lender(prepared, &lent), typed)?),
        answers: engine_answers,
        inbox: Box::new(record.inbox()?),
        locks: Box::new(store.holds(record.id(), owner)),
        clock: Arc::new(MachineClock),
        signals: listen(&lent)?,
        observer: Box::new(move |record| seen.see(record)),
        live: Some(chunks),
        store: Box::new(record),
    };
    let end = perform(setup, ports).await?;
    // The run has dropped its end of the channel, so this ends by itself; a screen that failed is no failure of the run.
    drop(following.await);
    Ok((end, screen))
}

/// Runs programs at our terminal.
fn lender(prepared: &Prepared, lent: &Lent) -> Lend {
    let (lender, lent) = (Lender::new(prepared.base.clone(), GRACE), lent.clone());
    Box::new(move |act, marker, wanted_back| lent.while_lent(|| lender.lend(act, marker, wanted_back)))
}

fn setup(prepared: &Prepared, way: Way, store: &Store, run: &RunId) -> Setup {
    let started = started(prepared, &way, store, run);
    let run_value = prepared.run_value(Some(run.as_str()), &way.operator.name);
    Setup {
        run: run.clone(),
        graph: Arc::clone(&prepared.graph),
        values: prepared.values(run_value, Some(run), UnknownSort::Unobtained),
        resolver: prepared.resolver.clone(),
        called: prepared.called.clone(),
        started,
        acts: if way.mode == Mode::Run { Acts::All } else { Acts::Reads },
        policy: prepared.policy,
        environment: prepared.environment.clone(),
        yes: way.yes,
        answers: way.answers,
        jobs: usize::from(way.jobs),
        park_after: way.park_after,
        operator: way.operator,
        host: host_name(),
        machine: machine_id(),
        grace: GRACE,
        past: None,
        abort: None,
    }
}

/// The first event.
fn started(prepared: &Prepared, way: &Way, store: &Store, run: &RunId) -> Event {
    let runbook = prepared.graph.runbook();
    let text = runbook.source().text();
    Event::RunStarted {
        run: run.clone(),
        semantics: SEMANTICS,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        mode: way.mode,
        runbook: runbook.id().to_owned(),
        title: runbook.title.value.clone(),
        file: runbook.source().name().to_owned(),
        text: text.to_owned(),
        digest: sha256(text),
        library: prepared.library.as_ref().map(|library| library.display().to_string()),
        environment: prepared.environment.clone(),
        production: prepared.policy.production,
        operator: way.operator.clone(),
        host: host_name(),
        boot: boot_id(),
        pid: std::process::id(),
        store: store.id().to_owned(),
        inputs: prepared.input_views(),
        programs: prepared.programs.clone(),
        warnings: prepared.warnings.clone(),
        called: frozen(prepared),
        settings: None,
        undo_of: None,
    }
}

/// The called runbooks as they are now.
fn frozen(prepared: &Prepared) -> Vec<FrozenRunbook> {
    let freeze = |graph: &Arc<StepGraph>| {
        let runbook = graph.runbook();
        let text = runbook.source().text();
        FrozenRunbook {
            runbook: runbook.id().to_owned(),
            file: runbook.source().name().to_owned(),
            text: text.to_owned(),
            digest: sha256(text),
        }
    };
    prepared.graph.all_called().values().map(freeze).collect()
}

/// The exit of a run, the first that applies (ruling 9).
pub(super) fn exit_of(end: &RunEnd) -> Exit {
    if end.refused {
        return Exit::Refused;
    }
    match &end.state {
        RunState::Suspended(_) => match end.signal {
            Some(1) => Exit::HungUp,
            Some(15) => Exit::Terminated,
            _ => Exit::Interrupted,
        },
        RunState::Parked(_) => Exit::Parked,
        RunState::Ended(_) if end.probe_does_not_hold => Exit::NotResolved,
        RunState::Ended(result) => Exit::of_result(*result),
    }
}

/// SHA-256 of a text, in hex.
fn sha256(text: &str) -> String {
    use std::fmt::Write as _;
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(text) {
        // Writing to a String cannot fail.
        _ = write!(hex, "{byte:02x}");
    }
    hex
}
