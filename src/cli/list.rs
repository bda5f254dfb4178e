//! `list`: the runs of the store, or the runbooks of the library.

use super::arguments::ListArguments;
use super::exit::Exit;
use super::failure::CommandError;
use super::overdue::overdue;
use super::session::Session;
use crate::event::{Mode, RunId, RunResult, Waiting};
use crate::library::{Library, built_in};
use crate::report::sanitize::{json_text, visible};
use crate::report::{OpenLine, OwnerLine, RunLine, WaitLine, list_json, list_text};
use crate::store::{OpenChange, RunState, RunSummary, Store, Whereabouts};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// Prints a list.
pub(super) fn list(session: &Session, arguments: &ListArguments) -> Result<Exit, CommandError> {
    if arguments.runbooks {
        return runbooks(session, arguments.json);
    }
    if arguments.overdue {
        return overdue(session, arguments.json);
    }
    let store = session.store()?;
    let summaries = store.runs()?;
    let (undone, now) = (undone(&summaries), Timestamp::now());
    let runs: Vec<RunLine> = summaries.iter().map(|run| line(&store, run, &undone, now)).collect();
    if arguments.json {
        session.console.data(&ended(list_json(&runs)))?;
    } else if runs.is_empty() {
        session.console.say(&format!("no runs in {}\n", visible(&session.shown(store.path()))));
    } else {
        session.console.data_lines(&list_text(&runs, &session.console.out_style()))?;
    }
    Ok(Exit::Done)
}

/// One run with how it stands; a record that cannot be read is no reason to list nothing.
fn line(store: &Store, run: &RunSummary, undone: &BTreeSet<&RunId>, now: Timestamp) -> RunLine {
    let standing = store.standing(run, now).unwrap_or_default();
    let ms = |length: SignedDuration| u64::try_from(length.as_millis()).unwrap_or(0);
    let owner = standing.holding.and_then(|holding| {
        let owner = holding.owner?;
        Some(OwnerLine {
            operator: owner.operator.name,
            pid: owner.pid,
            host: owner.host,
            since: owner.since,
            last_sign_ms: holding.last_sign.map(ms),
            is_certain: holding.whereabouts != Whereabouts::Unseen,
        })
    });
    let waits = match &run.state {
        RunState::Parked(waiting) => waiting.as_slice(),
        _ => &[],
    };
    let wait = |wait: &Waiting| {
        let text = wait.wants.iter().fold(wait.text.clone(), |text, wants| format!("{text} (needs {wants})"));
        WaitLine { step: wait.step.to_string(), what: wait.what.clone(), text }
    };
    let open = |open: OpenChange| OpenLine { step: open.step.to_string(), undo: open.undo, until: open.until };
    let is_undone = undone.contains(&run.id);
    RunLine {
        run: run.id.to_string(),
        runbook: run.runbook.clone(),
        started: run.started,
        operator: run.operator.name.clone(),
        environment: run.environment.clone(),
        state: state(run),
        elapsed_ms: ms(run.last.duration_since(run.started)),
        owner,
        step: standing.step.map(|step| step.to_string()),
        unknown: standing.unknown.map(|step| step.to_string()),
        reason: standing.reason,
        waits: waits.iter().map(wait).collect(),
        open_changes: standing.open.into_iter().map(open).filter(|_| !is_undone).collect(),
        hosts: if standing.hosts.len() > 1 { standing.hosts } else { Vec::new() },
    }
}

/// The runs whose changes another run has taken back, all of them.
fn undone(runs: &[RunSummary]) -> BTreeSet<&RunId> {
    let is_good = |run: &&RunSummary| {
        matches!(run.state, RunState::Ended(RunResult::Resolved | RunResult::Completed | RunResult::NoAction))
    };
    runs.iter().filter(is_good).filter_map(|run| run.undo_of.as_ref()).collect()
}

fn state(run: &RunSummary) -> String {
    let word = match &run.state {
        RunState::Running => "running",
        RunState::Parked(_) => "parked",
        RunState::Suspended => "suspended",
        RunState::Interrupted => "incomplete",
        RunState::Ended(result) => result_word(*result),
    };
    match run.mode {
        Mode::Run => word.to_owned(),
        Mode::Probe => format!("probe: {word}"),
        Mode::Plan => format!("plan: {word}"),
    }
}

/// The word for a result, as events write it.
pub(super) fn result_word(result: RunResult) -> &'static str {
    match result {
        RunResult::Resolved => "resolved",
        RunResult::Completed => "completed",
        RunResult::NotResolved => "not_resolved",
        RunResult::NoAction => "no_action",
        RunResult::Escalated => "escalated",
        RunResult::Declined => "declined",
        RunResult::Failed => "failed",
        RunResult::Undecided => "undecided",
        RunResult::Aborted => "aborted",
        RunResult::Interrupted => "interrupted",
    }
}

/// One runbook of the listing.
struct Row {
    id: String,
    title: String,
    place: String,
    is_broken: bool,
    refuse: Option<String>,
}

fn runbooks(session: &Session, json: bool) -> Result<Exit, CommandError> {
    let library = session.library()?;
    let mut rows: Vec<Row> = library
        .iter()
        .flat_map(Library::list)
        .map(|line| Row {
            title: line.title.unwrap_or_default(),
            place: session.shown(&line.file.path),
            id: line.file.id,
            is_broken: line.is_broken,
            refuse: line.refuse,
        })
        .collect();
    for runbook in built_in() {
        if rows.iter().all(|row| row.id != runbook.id) {
            let title = crate::runbook::parse_runbook(&runbook.source(), &mut crate::source::Diagnostics::new())
                .map(|parsed| parsed.title.value.clone());
            let place = runbook.name.to_owned();
            let (id, title) = (runbook.id.to_owned(), title.unwrap_or_default());
            rows.push(Row { id, title, place, is_broken: false, refuse: None });
        }
    }
    if json {
        let list: Vec<_> = rows
            .iter()
            .map(|row| {
                serde_json::json!({
                    "id": row.id, "title": row.title, "file": row.place, "broken": row.is_broken, "refuse": row.refuse
                })
            })
            .collect();
        session.console.data(&ended(json_text(&serde_json::Value::Array(list))))?;
    } else {
        session.console.data(&table(&rows))?;
    }
    Ok(Exit::Done)
}

fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.id.chars().count()).max().unwrap_or(0);
    let line = |row: &Row| {
        let mark = match &row.refuse {
            _ if row.is_broken => "  BROKEN: runwright check",
            Some(_) => "  REFUSED: it must not be run",
            None => "",
        };
        let id = visible(&row.id);
        format!("{id:<width$}  {}{mark}\n{:width$}  {}\n", visible(&row.title), "", visible(&row.place))
    };
    rows.iter().map(line).collect()
}

/// A text with a newline at its end.
pub(super) fn ended(mut text: String) -> String {
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}
