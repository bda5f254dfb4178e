//! What is known of a run from the first and the last line of its transcript.

use super::folder::{Folder, failed};
use super::owner::RunLock;
use super::read::{Line, Parts, TRANSCRIPT, line_of};
use super::root::Store;
use crate::engine::StoreError;
use crate::event::{Event, Mode, Operator, Record, RunId, RunResult, Waiting};
use jiff::Timestamp;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

/// A first look at a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSummary {
    /// Its name.
    pub id: RunId,
    /// The runbook's id.
    pub runbook: String,
    /// The runbook's title.
    pub title: String,
    /// Plan, probe or run.
    pub mode: Mode,
    /// When it began.
    pub started: Timestamp,
    /// When it last did something.
    pub last: Timestamp,
    /// The name of its environment.
    pub environment: Option<String>,
    /// Whether that counts as production.
    pub production: bool,
    /// Who started it.
    pub operator: Operator,
    /// How it stands.
    pub state: RunState,
    /// The run whose changes this one takes back.
    pub undo_of: Option<RunId>,
    /// Whether its end tells of changes that stand.
    pub leaves_open: bool,
}

/// How a run stands.
#[derive(Clone, Debug, PartialEq)]
pub enum RunState {
    /// A process has it.
    Running,
    /// It waits for people.
    Parked(Vec<Waiting>),
    /// The operator left it.
    Suspended,
    /// It has ended.
    Ended(RunResult),
    /// Its process died.
    Interrupted,
}

/// Why no run was found.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// No name begins so.
    #[error("no run `{0}` in this store")]
    None(String),
    /// Several names begin so.
    #[error("`{text}` fits {} runs: {}", runs.len(), some_of(runs))]
    Several {
        /// What was looked for.
        text: String,
        /// The runs, sorted.
        runs: Vec<RunId>,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn some_of(runs: &[RunId]) -> String {
    let names: Vec<&str> = runs.iter().take(4).map(RunId::as_str).collect();
    let more = if runs.len() > names.len() { ", .." } else { "" };
    format!("{}{more}", names.join(", "))
}

impl Store {
    /// All runs, the oldest first. Folders without a first event are left out: their process died before it began.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn runs(&self) -> Result<Vec<RunSummary>, StoreError> {
        let mut runs = Vec::new();
        for run in self.run_ids()? {
            // A run may be removed while we look.
            if let Ok(folder) = self.folder_of(&run)
                && let Some(summary) = summary(&folder, &run)?
            {
                runs.push(summary);
            }
        }
        runs.sort_by(|a, b| (a.started, &a.id).cmp(&(b.started, &b.id)));
        Ok(runs)
    }

    /// A first look at one run.
    ///
    /// # Errors
    /// There is no such run, or it cannot be read.
    pub fn summary(&self, run: &RunId) -> Result<RunSummary, StoreError> {
        summary(&self.folder_of(run)?, run)?.ok_or_else(|| StoreError::NoRun(run.to_string()))
    }

    /// Finds a run by its name, by a beginning that only one name has, or as `last`: the one that began last.
    ///
    /// # Errors
    /// There is none, or there are several.
    pub fn find(&self, text: &str) -> Result<RunId, FindError> {
        if text == "last" {
            let last = self.runs()?.pop();
            return last.map(|run| run.id).ok_or_else(|| FindError::None(text.to_owned()));
        }
        let mut runs = self.run_ids()?;
        if let Some(exact) = runs.iter().find(|run| run.as_str() == text) {
            return Ok(exact.clone());
        }
        runs.retain(|run| !text.is_empty() && run.as_str().starts_with(text));
        match runs.as_slice() {
            [] => Err(FindError::None(text.to_owned())),
            [one] => Ok(one.clone()),
            _ => Err(FindError::Several { text: text.to_owned(), runs }),
        }
    }
}

/// Whether the last whole line is a closing event.
pub(super) fn is_closed(folder: &Folder) -> bool {
    let last = folder.read(TRANSCRIPT).and_then(|mut file| last_record(&mut file, folder));
    matches!(last, Ok(Some(record)) if matches!(record.event, Event::RunEnded { .. }))
}

fn summary(folder: &Folder, run: &RunId) -> Result<Option<RunSummary>, StoreError> {
    let Ok(mut file) = folder.read(TRANSCRIPT) else { return Ok(None) };
    let Some(first) = first_record(&mut file, folder)? else { return Ok(None) };
    let Event::RunStarted { mode, runbook, title, environment, production, operator, undo_of, .. } = first.event else {
        return Ok(None);
    };
    // Before the last line is read: a run that ends just now must not look interrupted.
    let is_live = RunLock::is_held(folder);
    let last = last_record(&mut file, folder)?;
    let time = last.as_ref().map_or(first.time, |record| record.time);
    let leaves_open = matches!(
        last.as_ref().map(|record| &record.event),
        Some(Event::RunEnded { open_changes, cleaned_up, .. }) if !open_changes.is_empty() || *cleaned_up == Some(false)
    );
    let state = match state_after(last) {
        RunState::Ended(result) => RunState::Ended(result),
        _ if is_live => RunState::Running,
        state => state,
    };
    let id = run.clone();
    let (started, last) = (first.time, time);
    Ok(Some(RunSummary {
        id,
        runbook,
        title,
        mode,
        started,
        last,
        environment,
        production,
        operator,
        state,
        undo_of,
        leaves_open,
    }))
}

fn state_after(last: Option<Record>) -> RunState {
    match last.map(|record| record.event) {
        Some(Event::RunEnded { result, .. }) => RunState::Ended(result),
        Some(Event::RunParked { waiting }) => RunState::Parked(waiting),
        Some(Event::RunSuspended { .. }) => RunState::Suspended,
        _ => RunState::Interrupted,
    }
}

fn first_record(file: &mut File, folder: &Folder) -> Result<Option<Record>, StoreError> {
    let mut line = Vec::new();
    let read = BufReader::new(file).read_until(b'\n', &mut line);
    read.map_err(|error| failed("read", &folder.path_of(TRANSCRIPT), error))?;
    Ok(line.strip_suffix(b"\n").and_then(known))
}

/// The last whole line that this version understands, read from the end. Notes and marks are passed over: they are
/// added whatever state the run is in.
fn last_record(file: &mut File, folder: &Folder) -> Result<Option<Record>, StoreError> {
    let mut reach = 16 * 1024;
    loop {
        let (bytes, is_all) = tail(file, reach).map_err(|error| failed("read", &folder.path_of(TRANSCRIPT), error))?;
        // Without the whole file in hand, the first line may be cut.
        let skip = usize::from(!is_all);
        let lines: Vec<&[u8]> = Parts::of(&bytes).lines().skip(skip).collect();
        let found = lines.into_iter().rev().filter_map(known).find(|record| !record.event.is_remark());
        if found.is_some() || is_all {
            return Ok(found);
        }
        reach *= 8;
    }
}

fn tail(file: &mut File, reach: u64) -> io::Result<(Vec<u8>, bool)> {
    let size = file.seek(SeekFrom::End(0))?;
    let start = size.saturating_sub(reach);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok((bytes, start == 0))
}

fn known(line: &[u8]) -> Option<Record> {
    match line_of(line, 0) {
        Ok(Line::Known(record)) => Some(*record),
        _ => None,
    }
}
