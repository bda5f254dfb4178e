//! `undo`: the changes of a run that has ended are taken back, by a run of their own.

use super::arguments::UndoArguments;
use super::exit::Exit;
use super::failure::CommandError;
use super::perform::{Way, Work, new_record, operate};
use super::recorded::kept_values;
use super::refusal::Refusal;
use super::resume::unchanged;
use super::run::started;
use super::session::Session;
use super::thaw::{Start, Thawed};
use crate::engine::{Past, UndoOf};
use crate::event::{Event, RunId};
use crate::store::{Owner, RunState, RunSummary, Store, Transcript};
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
    let owner = Owner::this_process(way.operator.clone(), Timestamp::now());
    let record = new_record(&store, &prepared, &owner)?;
    let opening = started(&prepared, &way, &store, record.id(), &record.masker(), Some(&run));
    let starter = start.operator.name.clone();
    let work = Work {
        past: Some(past),
        undo: Some(UndoOf { past: None, done }),
        of: Some(run),
        ..Work::new(&prepared, way, owner, record, opening, starter)
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
    for (other, transcript) in undo_runs(store, run)? {
        if Some(&other.id) == this {
            continue;
        }
        if !matches!(other.state, RunState::Ended(_)) {
            return Err(Refusal::UndoOpen { run: run.clone(), undo: other.id }.into());
        }
        done.extend(Past::of(&transcript.records, &kept_values(store, &other.id)).done_undos());
    }
    Ok((past, done))
}

/// The runs that take the changes of a run back, or did.
fn undo_runs(store: &Store, run: &RunId) -> Result<Vec<(RunSummary, Transcript)>, CommandError> {
    let summary = store.summary(run)?;
    let later = |other: &RunSummary| other.runbook == summary.runbook && other.started >= summary.started;
    let with_record = |other: RunSummary| {
        let transcript = store.read(&other.id).ok()?;
        (undone_by(&transcript) == Some(run)).then_some((other, transcript))
    };
    Ok(store.runs()?.into_iter().filter(later).filter_map(with_record).collect())
}

/// What the record of a run cannot say, because it came later: who took its changes back. One line each.
pub(super) fn taken_back_by(store: &Store, run: &RunId) -> Result<Vec<String>, CommandError> {
    let line = |(other, transcript): (RunSummary, Transcript)| {
        let count = Past::of(&transcript.records, &|_| Err("not read here".to_owned())).done_undos().len();
        if count == 0 {
            return None;
        }
        let what = if count == 1 { "1 change".to_owned() } else { format!("{count} changes") };
        let end = if matches!(other.state, RunState::Ended(_)) { "" } else { ", and has not ended" };
        Some(format!("run `{}` took {what} of it back afterwards{end}", other.id))
    };
    Ok(undo_runs(store, run)?.into_iter().filter_map(line).collect())
}

/// The run whose changes a run takes back.
fn undone_by(transcript: &Transcript) -> Option<&RunId> {
    match &transcript.records.first()?.event {
        Event::RunStarted { undo_of, .. } => undo_of.as_ref(),
        _ => None,
    }
}
