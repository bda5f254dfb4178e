//! `undo`: the changes of a run that has ended are taken back, by a run of their own.

use super::answers::read_answers;
use super::arguments::{ResumeArguments, UndoArguments};
use super::exit::Exit;
use super::failure::CommandError;
use super::keys::private_key;
use super::perform::{Way, Work, confirmations, operate, teach};
use super::person::operator;
use super::recorded::kept_values;
use super::refusal::Refusal;
use super::resume::unchanged;
use super::run::started;
use super::session::Session;
use super::thaw::{Start, Thawed};
use crate::engine::{Answers, Past, UndoOf};
use crate::event::{Event, Mode, RunId};
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
    let as_resume = ResumeArguments::from(arguments);
    let folder = start.folder(session, arguments.folder.as_deref())?;
    std::env::set_current_dir(&folder).map_err(|source| CommandError::Read { path: folder, source })?;
    let Thawed { prepared, .. } = start.prepared(session, &as_resume)?;
    let (past, done) = of_record(&store, &transcript, None)?;
    let answers = match &arguments.answers {
        Some(path) => read_answers(session, path, &prepared.graph)?,
        None => Answers::new(),
    };
    let way = Way {
        mode: Mode::Run,
        yes: confirmations(arguments.yes),
        answers,
        jobs: 1,
        park_after: arguments.park_after.unwrap_or_default(),
        operator: operator(arguments.as_name.as_deref()),
        sign: arguments.sign.as_deref().map(|path| private_key(session, path)).transpose()?,
        beside: arguments.beside.iter().map(|name| store.find(name)).collect::<Result<_, _>>()?,
    };
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

impl From<&UndoArguments> for ResumeArguments {
    fn from(undo: &UndoArguments) -> Self {
        Self {
            run: undo.run.clone(),
            inputs: undo.inputs.clone(),
            yes: undo.yes,
            answers: undo.answers.clone(),
            jobs: 1,
            as_name: undo.as_name.clone(),
            park_after: undo.park_after,
            refresh: false,
            take_over: None,
            sign: undo.sign.clone(),
            beside: undo.beside.clone(),
            runbook: None,
            accept_runbook: None,
            folder: undo.folder.clone(),
            find_programs: undo.find_programs,
        }
    }
}
