//! Performing a run: the outside is put together, the engine does the rest. Used by whatever starts one and by what takes
//! one up again.

use super::answers::read_answers;
use super::arguments::{HowArguments, Yes};
use super::clock::MachineClock;
use super::console::Console;
use super::exit::Exit;
use super::failure::CommandError;
use super::keys::private_key;
use super::person::operator;
use super::person::user_name;
use super::prepared::Prepared;
use super::recorded::{next_steps, step_places, step_table};
use super::screen::Screen;
use super::session::Session;
use super::signals::{Lent, listen};
use super::signatures::approvers;
use crate::action::{Hands, Isolation, Lender, install_crypto};
use crate::engine::{Acts, Answer, Answers, Past, Ports, PromptId, RunEnd, RunState, Setup, UndoOf, run as perform};
use crate::event::{Event, Mode, Operator, Record, RunId};
use crate::expr::{SecretText, UnknownSort, Value};
use crate::graph::StepGraph;
use crate::plan::ResolvedInput;
use crate::runbook::Risk;
use crate::signature::{Namespace, PrivateKey};
use crate::store::{DirRun, Heartbeat, Masker, Owner, Store, head_statement, host_name, machine_id};
use crate::terminal::{Lend, Paper};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Between TERM and KILL.
const GRACE: Duration = Duration::from_secs(10);
/// How long after a terminal went away its signal may come.
const GONE: Duration = Duration::from_millis(100);
/// Chunks of output that may wait for the screen; a screen that is slower loses none, the programs wait.
const CHUNKS: usize = 256;

/// How a run is performed.
pub(super) struct Way {
    pub(super) mode: Mode,
    pub(super) yes: Option<Risk>,
    pub(super) answers: Answers,
    pub(super) jobs: u16,
    pub(super) park_after: Duration,
    pub(super) operator: Operator,
    /// Interrupted runs whose unfinished changes are no reason to leave the same place alone.
    pub(super) beside: Vec<RunId>,
    /// Signs the head of the record when the run ends.
    pub(super) sign: Option<PrivateKey>,
}

/// A run whose record is open, about to be performed.
pub(super) struct Work<'a> {
    pub(super) prepared: &'a Prepared,
    pub(super) way: Way,
    pub(super) owner: Owner,
    pub(super) record: DirRun,
    /// The event that it begins with.
    pub(super) opening: Event,
    /// Who started it first: what expressions read as `run.operator`.
    pub(super) starter: String,
    /// What is on record already.
    pub(super) before: Vec<Record>,
    /// What an earlier process did of it.
    pub(super) past: Option<Past>,
    /// It takes back the changes of another run, whose past that is.
    pub(super) undo: Option<UndoOf>,
    /// The run whose values are used, when that is another one.
    pub(super) of: Option<RunId>,
    /// What the run had locked before, to be locked again before anything goes on ([`crate::store::Transcript::locked`]).
    pub(super) locked: Vec<String>,
    /// Why it is ended as soon as what was left open is settled.
    pub(super) abort: Option<String>,
}

/// A new record that knows the secrets of its run.
pub(super) fn new_record(store: &Store, prepared: &Prepared, owner: &Owner) -> Result<DirRun, CommandError> {
    // Tried on a masker of its own first: a refused secret must not leave an empty run behind.
    teach(&Masker::new(), &prepared.inputs)?;
    let record = store.create_new(owner)?;
    teach(&record.masker(), &prepared.inputs)?;
    Ok(record)
}

impl<'a> Work<'a> {
    /// A run that begins with nothing behind it.
    pub(super) fn new(
        prepared: &'a Prepared,
        way: Way,
        owner: Owner,
        record: DirRun,
        opening: Event,
        starter: String,
    ) -> Self {
        Self {
            prepared,
            way,
            owner,
            record,
            opening,
            starter,
            before: Vec::new(),
            past: None,
            undo: None,
            of: None,
            locked: Vec::new(),
            abort: None,
        }
    }
}

impl Way {
    /// How a run of a runbook is performed for real.
    pub(super) fn of(
        session: &Session,
        store: &Store,
        how: &HowArguments,
        graph: &StepGraph,
        jobs: u16,
    ) -> Result<Self, CommandError> {
        let answers = how.answers.as_ref().map(|path| read_answers(session, path, graph)).transpose()?;
        Ok(Self {
            mode: Mode::Run,
            yes: confirmations(how.yes),
            answers: answers.unwrap_or_default(),
            jobs,
            park_after: how.park_after.unwrap_or_default(),
            operator: operator(how.as_name.as_deref()),
            beside: how.beside.iter().map(|name| store.find(name)).collect::<Result<_, _>>()?,
            sign: how.sign.as_deref().map(|path| private_key(session, path)).transpose()?,
        })
    }
}

/// The risk up to which a flag answers confirmations.
fn confirmations(yes: Option<Yes>) -> Option<Risk> {
    yes.map(|yes| if yes == Yes::Low { Risk::Low } else { Risk::Medium })
}

/// Makes the masker know what is secret and what is not.
pub(super) fn teach(masker: &Masker, inputs: &[ResolvedInput]) -> Result<(), CommandError> {
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

/// Performs a run to its end, or until it is left.
pub(super) fn operate(session: &Session, store: &Store, mut work: Work<'_>) -> Result<Exit, CommandError> {
    install_crypto();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| CommandError::SetUp { what: "the runtime", source })?;
    let run = work.record.id().clone();
    let sign = work.way.sign.take();
    let (end, screen) = runtime.block_on(go(session, store, work)).map_err(|error| match error {
        CommandError::Store(error) => CommandError::RecordLost { run: run.clone(), error },
        other => other,
    })?;
    screen.rest();
    if matches!(end.state, RunState::Ended(_)) {
        screen.sealed(&end.head);
        if let Some(key) = sign {
            sign_head(session, store, &run, &end.head, &key)?;
        }
    }
    Ok(exit_of(&end))
}

/// Signs the head of a record that has ended.
fn sign_head(session: &Session, store: &Store, run: &RunId, head: &str, key: &PrivateKey) -> Result<(), CommandError> {
    let signature = key.sign(Namespace::Head, &head_statement(run, head)).map_err(|error| {
        CommandError::usage(format!("the head is not signed: {error}"), "the record is whole without")
    })?;
    store.seal(run, &signature.to_string())?;
    session.console.say(&format!("  signed by {}\n", signature.fingerprint()));
    Ok(())
}

async fn go(session: &Session, store: &Store, work: Work<'_>) -> Result<(RunEnd, Screen), CommandError> {
    let Work { prepared, way, owner, record, opening, starter, before, past, undo, of, locked, abort } = work;
    let mut locks = store.holds(record.id(), &owner).beside(&way.beside);
    locks.retake(&locked)?;
    let attended = Console::has_person();
    let (sink, style) = session.console.run_sink(attended);
    let paper = Arc::new(Paper::new(sink, style.terminal));
    let graph = &prepared.graph;
    let not_yet = prepared.values(prepared.run_value(None, &starter), None, UnknownSort::NotYet);
    let screen =
        Screen::new(paper, style, step_table(graph, &not_yet), step_places(graph), attended, session.commands());
    if !before.is_empty() {
        // What comes next in an undo is not what comes next in the runbook.
        let next = if undo.is_some() { Vec::new() } else { next_steps(graph, &before) };
        screen.recall(&before, &next);
    }
    let (typed, mut answers) = mpsc::unbounded_channel::<(PromptId, Answer)>();
    let (hand_over, engine_answers) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Some(answer) = answers.recv().await {
            // A terminal that goes away says so by a signal too, and that says more.
            if answer.1 == Answer::Gone {
                tokio::time::sleep(GONE).await;
            }
            if hand_over.send(answer).await.is_err() {
                return;
            }
        }
    });
    let (chunks, output) = mpsc::channel(CHUNKS);
    let following = tokio::spawn(screen.clone().follow(output));
    let seen = screen.clone();
    let library = prepared.library.clone();
    let run_value = prepared.run_value(Some(of.as_ref().unwrap_or(record.id()).as_str()), &starter);
    let setup = Setup { past, undo, abort, ..setup(prepared, way, run_value, record.id(), opening) };
    let inbox = record.inbox()?;
    let refused = inbox.refusals();
    let alive = tokio::spawn(give_signs_of_life(record.heartbeat()));
    let lent = Lent::default();
    let ports = Ports {
        performer: Arc::new(Hands::new(prepared.base.clone(), Isolation::detect(), library)),
        person: Box::new(screen.desk(attended, lender(prepared, &lent), typed)?),
        answers: engine_answers,
        inbox: Box::new(inbox),
        locks: Box::new(locks),
        clock: Arc::new(MachineClock),
        signals: listen(&lent, &screen)?,
        observer: Box::new(move |record| seen.see(record)),
        live: Some(chunks),
        store: Box::new(record),
    };
    let end = perform(setup, ports).await;
    alive.abort();
    // What lay in the inbox and was no answer is told: somebody put it there.
    for line in refused.take() {
        session.console.say(&format!("warning: {}\n", crate::report::sanitize::visible(&line)));
    }
    let end = end?;
    // The run has dropped its end of the channel, so this ends by itself; a screen that failed is no failure of the run.
    drop(following.await);
    Ok((end, screen))
}

/// Gives signs of life for as long as the run goes on.
async fn give_signs_of_life(heartbeat: Heartbeat) {
    let mut due = tokio::time::interval(Heartbeat::EVERY);
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        heartbeat.beat();
    }
}

/// Runs programs at our terminal.
fn lender(prepared: &Prepared, lent: &Lent) -> Lend {
    let (lender, lent) = (Lender::new(prepared.base.clone(), GRACE), lent.clone());
    Box::new(move |act, marker, wanted_back| lent.while_lent(|| lender.lend(act, marker, wanted_back)))
}

fn setup(prepared: &Prepared, way: Way, run_value: Value, run: &RunId, opening: Event) -> Setup {
    Setup {
        run: run.clone(),
        graph: Arc::clone(&prepared.graph),
        values: prepared.values(run_value, Some(run), UnknownSort::Unobtained),
        resolver: prepared.resolver.clone(),
        called: prepared.called.clone(),
        started: opening,
        acts: if way.mode == Mode::Run { Acts::All } else { Acts::Reads },
        policy: prepared.policy,
        environment: prepared.environment.clone(),
        yes: way.yes,
        answers: way.answers,
        jobs: usize::from(way.jobs),
        park_after: way.park_after,
        operator: way.operator,
        operators: vec![user_name()],
        approvers: approvers(prepared.settings.as_ref()),
        host: host_name(),
        machine: machine_id(),
        grace: GRACE,
        past: None,
        undo: None,
        abort: None,
    }
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
        RunState::Ended(_) if end.change_failed => Exit::Failed,
        RunState::Ended(_) if end.probe_does_not_hold => Exit::NotResolved,
        RunState::Ended(result) => Exit::of_result(*result),
    }
}
