//! `undo`: the changes of a run that has ended are taken back, by a run of their own.

use super::arguments::UndoArguments;
use super::exit::Exit;
use super::failure::CommandError;
use super::perform::{Way, Work, operate, teach};
use super::recorded::kept_values;
use super::refusal::Refusal;
use super::resume::unchanged;
use super::run::started;
use super::session::Session;
use super::thaw::{Start, Thawed};
use crate::engine::{Past, UndoOf};
use crate::event::{Event, RunId};
use crate::store::{Masker, Owner, RunState, Store, Transcript};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// Takes the changes of a run back.
pub(super) fn undo(session: &Session, arguments: &UndoArguments) -> Result<Exit, CommandError> {
    let store = session.store()?;
    let run = store.find(&arguments.run)?;
    let transcript = unchanged(&store, &run)?;
    let Some(Event::RunEnded { .. }) = transcript.records.last().map(|record| &record.event) else {
        return Err(Refusal::NotEnded(run).into());
    };
    let start = Start::of(&transcript)?;
    if let Some(of) = start.undo_of {
        return Err(Refusal::Undo { run, of: of.clone() }.into());
    }
    let folder = start.folder(session, arguments.thaw.folder.as_deref())?;
    std::env::set_current_dir(&folder).map_err(|source| CommandError::Read { path: folder, source })?;
    let Thawed { prepared, .. } = start.prepared(session, &arguments.thaw, None)?;
    let (past, done) = of_record(&store, &transcript, None)?;
    let way = Way::of(session, &store, &arguments.how, &prepared.graph, 1)?;
    teach(&Masker::new(), &prepared.inputs)?;
    let owner = Owner::this_process(way.operator.clone(), Timestamp::now());
    let record = store.create_new(&owner)?;
    teach(&record.masker(), &prepared.inputs)?;
    let opening = started(&prepared, &way, &store, record.id(), &record.masker(), Some(&run));
    let starter = start.operator.name.clone();
    let undo = Some(UndoOf { past: None, done });
    let work = Work {
        prepared: &prepared,
        way,
        owner,
        record,
        opening,
        starter,
        before: Vec::new(),
        past: Some(past),
        undo,
        of: Some(run),
        locked: Vec::new(),
        abort: None,
    };
    operate(session, &store, work)
}

/// What is walked through to take the changes of a run back, and what of them was taken back already: by that run
/// itself, and by undo runs that have ended. `this` is the undo run that asks.
pub(super) fn of_record(
    store: &Store,
    transcript: &Transcript,
    this: Option<&RunId>,
) -> Result<(Past, BTreeSet<String>), CommandError> {
    let run = &transcript.run;
    let mut past = Past::of(&transcript.records, &kept_values(store, run));
    let mut done = past.drop_undos();
    let (runbook, since) = {
        let summary = store.summary(run)?;
        (summary.runbook, summary.started)
    };
    for other in store.runs()?.into_iter().filter(|other| other.runbook == runbook && other.started >= since) {
        let Ok(transcript) = store.read(&other.id) else { continue };
        if Some(&other.id) == this || undone_by(&transcript) != Some(run) {
            continue;
        }
        if !matches!(other.state, RunState::Ended(_)) {
            return Err(Refusal::UndoOpen { run: run.clone(), undo: other.id }.into());
        }
        done.extend(Past::of(&transcript.records, &kept_values(store, &other.id)).done_undos());
    }
    Ok((past, done))
}

/// The run whose changes a run takes back.
fn undone_by(transcript: &Transcript) -> Option<&RunId> {
    match &transcript.records.first()?.event {
        Event::RunStarted { undo_of, .. } => undo_of.as_ref(),
        _ => None,
    }
}
