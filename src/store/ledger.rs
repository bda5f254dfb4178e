//! The ledger: one chained line for each closed run, so that a missing run shows.

use super::evidence::sha256;
use super::folder::{Folder, failed, is_missing};
use super::owner::lock_briefly_held;
use super::read::NO_LINE_BEFORE;
use crate::engine::StoreError;
use crate::event::RunId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

/// The file's name in the store's root.
pub(super) const LEDGER: &str = "ledger.jsonl";

/// One line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// Counted from 1.
    pub seq: u64,
    /// The run.
    pub run: RunId,
    /// SHA-256, in hex, of the last line of its transcript.
    pub head: String,
    /// How many lines its transcript has.
    pub lines: u64,
    /// When the run was closed (or removed).
    pub time: Timestamp,
    /// Whether the run was removed on purpose.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pruned: bool,
    /// SHA-256, in hex, of the ledger's previous line; 64 zeros on the first.
    pub prev: String,
}

/// What is to be entered.
pub(super) struct Closed {
    pub(super) run: RunId,
    pub(super) head: String,
    pub(super) lines: u64,
    pub(super) time: Timestamp,
    pub(super) pruned: bool,
}

/// Enters a closed run, durable when it returns.
pub(super) fn enter(root: &Folder, closed: Closed) -> Result<LedgerEntry, StoreError> {
    let is_new = root.facts(LEDGER)?.is_none();
    let mut file = root.create_or_append(LEDGER)?;
    lock_briefly_held(&file, root, LEDGER)?;
    let path = root.path_of(LEDGER);
    let (start, bytes) = read_end(&mut file).map_err(|error| failed("read", &path, error))?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let (seq, prev) = follow(root, &bytes[..whole], start == 0)?;
    if whole < bytes.len() {
        // A line that was cut by a crash was never acknowledged: its run is still marked open and entered again.
        file.set_len(start + whole as u64).map_err(|error| failed("write", &path, error))?;
    }
    let Closed { run, head, lines, time, pruned } = closed;
    let entry = LedgerEntry { seq, run, head, lines, time, pruned, prev };
    let mut line = serde_json::to_vec(&entry).map_err(|error| failed("write", &path, error))?;
    line.push(b'\n');
    file.write_all(&line).map_err(|error| failed("write", &path, error))?;
    file.sync_data().map_err(|error| failed("sync", &path, error))?;
    if is_new {
        root.sync()?;
    }
    Ok(entry)
}

/// The number and the hash that the next line must hold, from the end of the ledger.
fn follow(root: &Folder, end: &[u8], is_all: bool) -> Result<(u64, String), StoreError> {
    let damaged = |reason: String| {
        let line = bytes(root).map_or(0, |bytes| bytes.split(|byte| *byte == b'\n').count() as u64 - 1);
        StoreError::Damaged { path: root.path_of(LEDGER), line, reason }
    };
    let Some(last) = end.strip_suffix(b"\n").and_then(|end| end.rsplit(|byte| *byte == b'\n').next()) else {
        let nothing = Ok((1, NO_LINE_BEFORE.to_owned()));
        return if is_all { nothing } else { Err(damaged("its last line is too long".to_owned())) };
    };
    let entry: LedgerEntry = serde_json::from_slice(last).map_err(|error| damaged(error.to_string()))?;
    Ok((entry.seq.saturating_add(1), sha256(last)))
}

/// The bytes of the ledger; nothing when there is none yet.
pub(super) fn bytes(root: &Folder) -> Result<Vec<u8>, StoreError> {
    match root.read(LEDGER) {
        Ok(mut file) => read_whole(&mut file).map_err(|error| failed("read", &root.path_of(LEDGER), error)),
        Err(error) if is_missing(&error) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The entries that can be read.
pub(super) fn entries(root: &Folder) -> Result<Vec<LedgerEntry>, StoreError> {
    let bytes = bytes(root)?;
    Ok(bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

/// The end of the ledger, and where it begins. No line is nearly as long as what is read.
fn read_end(file: &mut File) -> std::io::Result<(u64, Vec<u8>)> {
    let mut bytes = Vec::new();
    let size = file.seek(SeekFrom::End(0))?;
    let start = size.saturating_sub(16 * 1024);
    file.seek(SeekFrom::Start(start))?;
    file.read_to_end(&mut bytes)?;
    Ok((start, bytes))
}

fn read_whole(file: &mut File) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}
