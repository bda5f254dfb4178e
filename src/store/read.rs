//! Reading a transcript back.

use super::evidence::{UNFINISHED, sha256};
use super::folder::{Folder, failed, is_missing};
use crate::engine::StoreError;
use crate::event::{Record, RunId};
use std::io::Read;

/// The file's name in a run's folder.
pub(super) const TRANSCRIPT: &str = "transcript.jsonl";
/// What the first line holds instead of a hash.
pub(super) const NO_LINE_BEFORE: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A transcript as it was read.
#[derive(Clone, Debug)]
pub struct Transcript {
    /// The run.
    pub run: RunId,
    /// Its events, in order.
    pub records: Vec<Record>,
    /// Lines that only a newer version of the program understands.
    pub newer: Vec<NewerRecord>,
    /// What was dropped at the end: a line that was being written when the process died.
    pub torn: Option<Torn>,
    /// Whole lines.
    pub lines: u64,
    /// SHA-256 of the last whole line, in hex; 64 zeros when there is none.
    pub head: String,
    /// Output that was still coming when the process died.
    pub leftovers: Vec<Leftover>,
    /// Where the last whole line ends, in bytes.
    pub(super) end: u64,
}

/// A line of a newer version, kept as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct NewerRecord {
    /// Which line, from 1.
    pub line: u64,
    /// What stands there.
    pub json: serde_json::Value,
    /// Why this version does not understand it.
    pub reason: String,
}

/// The end of a transcript that is not a whole line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn {
    /// Which line it would have been, from 1.
    pub line: u64,
    /// How many bytes were dropped.
    pub bytes: u64,
}

/// Output that was being kept when the process died: it is there up to its last piece, and no event names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// The file's name in the evidence folder.
    pub file: String,
    /// Its size in bytes.
    pub size: u64,
}

/// The bytes of a transcript, cut into what is whole and what is not.
pub(super) struct Parts<'b> {
    /// Whole lines, each with its newline.
    pub(super) whole: &'b [u8],
    /// What stands after the last newline or from the first NUL on.
    pub(super) rest: &'b [u8],
}

impl<'b> Parts<'b> {
    pub(super) fn of(bytes: &'b [u8]) -> Self {
        // No line of JSON holds a NUL: it is disk that was given to the file and never written.
        let text = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        let end = bytes[..text].iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let (whole, rest) = bytes.split_at(end);
        Self { whole, rest }
    }

    /// The whole lines, without their newlines.
    pub(super) fn lines(&self) -> impl Iterator<Item = &'b [u8]> + use<'b> {
        self.whole.split_inclusive(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line))
    }
}

/// Reads the bytes of a run's transcript.
pub(super) fn bytes_of(folder: &Folder, run: &RunId) -> Result<Vec<u8>, StoreError> {
    let mut file = match folder.read(TRANSCRIPT) {
        Err(error) if is_missing(&error) => return Err(StoreError::NoRun(run.to_string())),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|error| failed("read", &folder.path_of(TRANSCRIPT), error))?;
    Ok(bytes)
}

/// Reads a run's transcript.
pub(super) fn transcript(folder: &Folder, run: &RunId) -> Result<Transcript, StoreError> {
    let bytes = bytes_of(folder, run)?;
    let parts = Parts::of(&bytes);
    let mut read = Transcript {
        run: run.clone(),
        records: Vec::new(),
        newer: Vec::new(),
        torn: None,
        lines: 0,
        head: NO_LINE_BEFORE.to_owned(),
        leftovers: leftovers(folder)?,
        end: parts.whole.len() as u64,
    };
    let mut last: &[u8] = &[];
    for line in parts.lines() {
        read.lines += 1;
        last = line;
        match line_of(line, read.lines) {
            Ok(Line::Known(record)) => read.records.push(*record),
            Ok(Line::Newer(newer)) => read.newer.push(newer),
            Err(reason) => {
                return Err(StoreError::Damaged { path: folder.path_of(TRANSCRIPT), line: read.lines, reason });
            }
        }
    }
    if read.lines > 0 {
        read.head = sha256(last);
    }
    if !parts.rest.is_empty() {
        read.torn = Some(Torn { line: read.lines + 1, bytes: parts.rest.len() as u64 });
    }
    Ok(read)
}

/// One whole line.
pub(super) enum Line {
    Known(Box<Record>),
    Newer(NewerRecord),
}

/// Reads one whole line. An event of an unknown kind is no error: a newer version wrote it.
pub(super) fn line_of(line: &[u8], number: u64) -> Result<Line, String> {
    let not_understood = match serde_json::from_slice::<Record>(line) {
        Ok(record) => return Ok(Line::Known(Box::new(record))),
        Err(error) => error.to_string(),
    };
    let json: serde_json::Value = serde_json::from_slice(line).map_err(|error| format!("not JSON: {error}"))?;
    let has_envelope = ["seq", "time", "event", "prev"].iter().all(|key| json.get(key).is_some());
    if has_envelope {
        Ok(Line::Newer(NewerRecord { line: number, json, reason: not_understood }))
    } else {
        Err(format!("not an event: {not_understood}"))
    }
}

fn leftovers(folder: &Folder) -> Result<Vec<Leftover>, StoreError> {
    let evidence = match folder.folder("evidence") {
        Err(error) if is_missing(&error) => return Ok(Vec::new()),
        opened => opened?,
    };
    let mut leftovers = Vec::new();
    for file in evidence.names()?.into_iter().filter(|name| name.starts_with(UNFINISHED)) {
        if let Some(facts) = evidence.facts(&file)? {
            leftovers.push(Leftover { file, size: facts.size });
        }
    }
    Ok(leftovers)
}
