//! `resume`: a run is taken up again, out of its record.

use super::arguments::ResumeArguments;
use super::exit::Exit;
use super::failure::CommandError;
use super::perform::{Way, Work, operate, teach};
use super::recorded::kept_values;
use super::refusal::Refusal;
use super::session::Session;
use super::thaw::{Start, Thawed};
use crate::engine::{Past, StoreError, UndoOf};
use crate::event::{Event, EvidenceRef, Resumption, RunId};
use crate::graph::StepGraph;
use crate::runbook::{Action, Step, StepBody};
use crate::store::{Masker, Owner, ResumeError, Store, TakeOver, Taken, Transcript, boot_id, host_name};
use jiff::Timestamp;

/// Takes a run up again.
pub(super) fn resume(session: &Session, arguments: &ResumeArguments) -> Result<Exit, CommandError> {
    take_up(session, arguments, None)
}

/// Takes a run up again; with a reason to abort, only to end it.
pub(super) fn take_up(
    session: &Session,
    arguments: &ResumeArguments,
    abort: Option<String>,
) -> Result<Exit, CommandError> {
    let store = session.store()?;
    let run = store.find(&arguments.run)?;
    let transcript = sound(&store, &run, arguments)?;
    let start = Start::of(&transcript)?;
    if let Some(of) = start.undo_of.filter(|_| arguments.refresh || arguments.mended.runbook.is_some()) {
        return Err(Refusal::Undo { run, of: of.clone() }.into());
    }
    let folder = start.folder(session, arguments.thaw.folder.as_deref())?;
    std::env::set_current_dir(&folder).map_err(|source| CommandError::Read { path: folder, source })?;
    let Thawed { prepared, runbook } = start.prepared(session, &arguments.thaw, Some(&arguments.mended))?;
    let way = Way::of(session, &store, &arguments.how, &prepared.graph, arguments.jobs)?;
    // Tried on a masker of its own first: a refused secret must leave the record as it is.
    teach(&Masker::new(), &prepared.inputs)?;
    let owner = Owner::this_process(way.operator.clone(), Timestamp::now());
    let take_over = arguments.take_over.clone().map(|reason| TakeOver { reason });
    let taken = store.resume(&run, &owner, take_over.as_ref())?;
    teach(&taken.run.masker(), &prepared.inputs)?;
    let leftovers = taken.run.adopt_leftovers()?;
    let own = Past::of(&taken.transcript.records, &kept_values(&store, &run));
    let (mut past, undo) = match start.undo_of {
        None => (own, None),
        Some(of) => {
            let (past, done) = super::undo::of_record(&store, &unchanged(&store, of)?, Some(&run))?;
            (past, Some(UndoOf { past: Some(own), done }))
        }
    };
    if arguments.refresh {
        past.refresh(|path| is_read(&prepared.graph, path));
    }
    let opening = Resumption {
        runbook,
        folder: start.other_folder(&prepared.folder),
        library: start.other_library(prepared.library.as_deref()),
        programs: if arguments.thaw.find_programs { prepared.programs.clone() } else { Vec::new() },
        ..resumed(&store, &owner, &taken, leftovers, arguments)
    };
    let opening = Event::RunResumed(Box::new(opening));
    let starter = start.operator.name.clone();
    let locked = taken.transcript.locked();
    let of = start.undo_of.cloned();
    let work = Work {
        prepared: &prepared,
        way,
        owner,
        record: taken.run,
        opening,
        starter,
        before: taken.transcript.records,
        past: Some(past),
        undo,
        of,
        locked,
        abort,
    };
    operate(session, &store, work)
}

/// The record, if nobody else has the run, it has not ended, and nothing in it was changed.
fn sound(store: &Store, run: &RunId, arguments: &ResumeArguments) -> Result<Transcript, CommandError> {
    if arguments.take_over.is_none()
        && let Some(holding) = store.holding(run, Timestamp::now())
    {
        return Err(ResumeError::Held(Box::new(holding)).into());
    }
    unchanged(store, run).and_then(|transcript| match transcript.records.last().map(|record| &record.event) {
        Some(Event::RunEnded { result, .. }) => Err(ResumeError::Ended { run: run.clone(), result: *result }.into()),
        _ => Ok(transcript),
    })
}

/// The record of a run, if nothing in it was changed.
pub(super) fn unchanged(store: &Store, run: &RunId) -> Result<Transcript, CommandError> {
    let damaged = |what: String| Refusal::Damaged { run: run.clone(), what };
    let transcript = match store.read(run) {
        Err(StoreError::Damaged { line, reason, .. }) => return Err(damaged(format!("line {line}: {reason}")).into()),
        Err(StoreError::NoRun(_)) => return Err(Refusal::NeverBegan(run.clone()).into()),
        read => read?,
    };
    match store.verify(run, None)?.findings.first() {
        Some(finding) => {
            let line = finding.line.map_or_else(String::new, |line| format!("line {line}: "));
            Err(damaged(format!("{line}{}", finding.sentence)).into())
        }
        None => Ok(transcript),
    }
}

/// The first event of this process.
fn resumed(
    store: &Store,
    owner: &Owner,
    taken: &Taken,
    leftovers: Vec<EvidenceRef>,
    arguments: &ResumeArguments,
) -> Resumption {
    Resumption {
        operator: owner.operator.clone(),
        host: host_name(),
        boot: boot_id(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        store: store.id().to_owned(),
        moved_from: taken.moved_from.clone(),
        reason: arguments.take_over.clone(),
        torn: taken.transcript.torn.map(|torn| torn.bytes),
        leftovers,
        runbook: None,
        folder: None,
        library: None,
        programs: Vec::new(),
        refresh: arguments.refresh,
    }
}

/// Whether a path of the record is that of a step that is performed again for fresh evidence: one that looks at
/// something, or a loop of nothing else. Not what waits, asks a person or watches for a stretch of time.
fn is_read(graph: &StepGraph, path: &str) -> bool {
    graph.at_path(path).is_some_and(|node| looks(&node.step))
}

fn looks(step: &Step) -> bool {
    match &step.body {
        StepBody::Group(steps) => step.each.is_some() && steps.iter().all(|step| looks(step)),
        StepBody::Decide(_) => false,
        StepBody::Action(action) => {
            let is_person = matches!(action, Action::Ask(_) | Action::Manual(_) | Action::Interactive(_));
            let is_other = matches!(action, Action::Wait(_) | Action::Escalate(_));
            step.kind.is_read() && step.hold.is_none() && step.background.is_none() && !is_person && !is_other
        }
    }
}
