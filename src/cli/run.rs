//! `run` and `probe`: a runbook is found and started.

use super::arguments::{DryRun, ProbeArguments, RunArguments, RunbookArguments};
use super::exit::Exit;
use super::failure::CommandError;
use super::frozen;
use super::perform::{Way, Work, new_record, operate};
use super::person::operator;
use super::plan::{compare, plan_of_run};
use super::prepare::prepare;
use super::prepared::Prepared;
use super::session::Session;
use crate::engine::Answers;
use crate::event::{Event, Mode, Operator, RunId, SEMANTICS};
use crate::report::sanitize::visible;
use crate::store::{Masker, Owner, Store, boot_id, host_name};
use std::time::Duration;

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
    let store = session.store()?;
    let mut way = Way::of(session, &store, &arguments.how, &prepared.graph, arguments.jobs)?;
    way.mode = mode;
    start(session, &store, &prepared, way)
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
        beside: Vec::new(),
        sign: None,
    };
    announce(session, &arguments.runbook, &prepared, &way.operator);
    start(session, &session.store()?, &prepared, way)
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

fn start(session: &Session, store: &Store, prepared: &Prepared, way: Way) -> Result<Exit, CommandError> {
    let owner = Owner::this_process(way.operator.clone(), prepared.began);
    let record = new_record(store, prepared, &owner)?;
    let opening = started(prepared, &way, store, record.id(), &record.masker(), None);
    let starter = way.operator.name.clone();
    operate(session, store, Work::new(prepared, way, owner, record, opening, starter))
}

/// Interrupted runs of the same runbook that left a change nobody knows the end of. Whether they stood at the same place
/// is known only when the first change is due, and refused there; but a person should know at once.
fn left_unfinished(store: &Store, runbook: &str, way: &Way) -> Vec<String> {
    if way.mode != Mode::Run {
        return Vec::new();
    }
    let others = store.unfinished().unwrap_or_default();
    let others = others.iter().filter(|other| other.runbook == runbook && !way.beside.contains(&other.run));
    others.map(|other| format!("{other}; go on with it: runwright resume {}", other.run)).collect()
}

/// The first event.
pub(super) fn started(
    prepared: &Prepared,
    way: &Way,
    store: &Store,
    run: &RunId,
    masker: &Masker,
    undo_of: Option<&RunId>,
) -> Event {
    let runbook = prepared.graph.runbook();
    let own = frozen::runbook(&prepared.graph);
    let called = frozen::called(&prepared.graph);
    let mut warnings = prepared.warnings.clone();
    warnings.extend(frozen::not_frozen(masker, called.iter().chain([&own]), prepared.settings.as_ref()));
    warnings.extend(left_unfinished(store, runbook.id(), way));
    Event::RunStarted {
        run: run.clone(),
        semantics: SEMANTICS,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        mode: way.mode,
        runbook: runbook.id().to_owned(),
        title: runbook.title.value.clone(),
        file: own.file,
        text: own.text,
        digest: own.digest,
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
        warnings,
        called,
        settings: prepared.settings.clone().map(Box::new),
        undo_of: undo_of.cloned(),
        folder: Some(prepared.folder.display().to_string()),
        began: Some(prepared.began),
    }
}
