//! Notes and marks for a run that no process has: into its record, or beside it when that is sealed.
//!
//! Only one process at a time writes a record. Whoever holds the run's lock is that process, also for the moment that a
//! note takes. A record that has its closing event stays as it is: what is said later stands in a file beside it, chained
//! from the sealed head on.

use super::evidence::sha256;
use super::folder::{Folder, failed, is_missing};
use super::owner::RunLock;
use super::read::{self, TRANSCRIPT, Transcript};
use super::root::Store;
use super::run::{DirRun, Position};
use super::take::{Holding, ResumeError, Whereabouts, epoch_of};
use crate::engine::{InboxWord, RunStore as _, StoreError};
use crate::event::{Actor, Event, Record, RunId};
use std::io::{Read as _, Write as _};

/// The file beside a sealed record.
const ADDENDA: &str = "addenda.jsonl";
/// More of it is not read, in bytes.
const READ_AT_MOST: u64 = 16 * 1024 * 1024;

/// Where a note or a mark was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// In the record.
    InRecord,
    /// It stood there already: the process that had the run took it up before it went.
    Already,
    /// Beside the record, which is sealed.
    Beside,
}

/// What was said after the end of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Addenda {
    /// Notes and marks, in the order they were said; their numbers go on after those of the record.
    pub records: Vec<Record>,
    /// What is wrong with the file, one line each.
    pub findings: Vec<String>,
}

impl Store {
    /// Leaves a word for the process that has the run; gives the name under which it can be taken back.
    ///
    /// # Errors
    /// There is no such run, or the word cannot be written or is too large.
    pub fn leave_word(&self, run: &RunId, word: &InboxWord) -> Result<String, StoreError> {
        super::inbox::leave_word(&self.folder_of(run)?, word)
    }

    /// Takes a word back that was left. False when it is no longer there.
    ///
    /// # Errors
    /// There is no such run, or the word cannot be removed.
    pub fn take_word_back(&self, run: &RunId, name: &str) -> Result<bool, StoreError> {
        super::inbox::take_back(&self.folder_of(run)?, name)
    }

    /// Whether a word that was left is still there. It is removed only once it is on record.
    #[must_use]
    pub fn has_word(&self, run: &RunId, name: &str) -> bool {
        self.folder_of(run).is_ok_and(|folder| super::inbox::is_there(&folder, name))
    }

    /// Keeps a note or a mark of a run that no process has.
    ///
    /// # Errors
    /// A process has the run, the word is no note and no mark, or it cannot be written.
    pub fn add(&self, run: &RunId, word: &InboxWord) -> Result<Kept, ResumeError> {
        let folder = self.folder_of(run)?;
        let Some(event) = word.said.event(word.at) else {
            let reason = "an abort is more than an entry".to_owned();
            return Err(StoreError::Refused { path: folder.path().to_owned(), reason }.into());
        };
        let Some(lock) = RunLock::take(&folder)? else {
            let unknown =
                Holding { run: run.clone(), owner: None, whereabouts: Whereabouts::Here, last_sign: None, step: None };
            return Err(ResumeError::Held(Box::new(self.holding(run, word.at).unwrap_or(unknown))));
        };
        let transcript = read::transcript(&folder, run)?;
        let record = Record {
            seq: 0,
            time: word.at,
            // A run that no process has spends no time.
            elapsed_ms: transcript.records.last().map_or(0, |record| record.elapsed_ms),
            actor: Actor::Person(word.by.clone()),
            step: None,
            attempt: None,
            event,
            prev: String::new(),
        };
        if transcript.records.iter().any(|known| is_same(known, &record)) {
            return Ok(Kept::Already);
        }
        if transcript.records.last().is_some_and(|last| matches!(last.event, Event::RunEnded { .. })) {
            beside(&folder, &transcript, record)?;
            return Ok(Kept::Beside);
        }
        self.append(run, folder, lock, &transcript, record)?;
        Ok(Kept::InRecord)
    }

    fn append(
        &self,
        run: &RunId,
        folder: Folder,
        lock: RunLock,
        transcript: &Transcript,
        record: Record,
    ) -> Result<(), StoreError> {
        let file = folder.append(TRANSCRIPT)?;
        let mut records = vec![record];
        if let Some(torn) = transcript.torn {
            let path = folder.path_of(TRANSCRIPT);
            file.set_len(transcript.end).map_err(|error| failed("write", &path, error))?;
            let text = format!(
                "line {} was being written when the process died; its {} bytes were dropped",
                torn.line, torn.bytes
            );
            let dropped = Record { actor: Actor::Runwright, event: Event::Noted { text }, ..records[0].clone() };
            records.insert(0, dropped);
        }
        let epoch = epoch_of(&folder)?;
        let mut writer =
            DirRun::new(self.clone(), run.clone(), folder, lock, file, Position::after(transcript, epoch))?;
        writer.append(&mut records)?;
        writer.sync()
    }

    /// What was said after the end of a run.
    ///
    /// # Errors
    /// There is no such run, or the file cannot be read.
    pub fn addenda(&self, transcript: &Transcript) -> Result<Addenda, StoreError> {
        let folder = self.folder_of(&transcript.run)?;
        Ok(parsed(&bytes(&folder)?, transcript))
    }
}

/// Whether two records say the same thing: a word that was taken up just before its process went.
fn is_same(known: &Record, new: &Record) -> bool {
    let since = known.time.duration_since(new.time).as_secs();
    known.event == new.event && known.actor == new.actor && (0..60).contains(&since)
}

fn bytes(folder: &Folder) -> Result<Vec<u8>, StoreError> {
    let file = match folder.read(ADDENDA) {
        Err(error) if is_missing(&error) => return Ok(Vec::new()),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    let read = file.take(READ_AT_MOST).read_to_end(&mut bytes);
    read.map_err(|error| failed("read", &folder.path_of(ADDENDA), error))?;
    Ok(bytes)
}

fn parsed(bytes: &[u8], transcript: &Transcript) -> Addenda {
    let mut addenda = Addenda::default();
    let mut head = transcript.head.clone();
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    for (index, line) in bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).enumerate() {
        let mut wrong = |what: &str| addenda.findings.push(format!("line {} of {ADDENDA} {what}", index + 1));
        match serde_json::from_slice::<Record>(line) {
            Ok(record) if record.event.is_remark() => {
                if record.prev != head {
                    wrong("does not follow the line before it: it was changed, added or left out afterwards");
                }
                addenda.records.push(record);
            }
            Ok(_) => wrong("is neither a note nor a mark, and is left out"),
            Err(_) => wrong("cannot be read, and is left out"),
        }
        head = sha256(line);
    }
    addenda
}

/// Adds a line beside a sealed record, durable when it returns. The lock of the run is held.
fn beside(folder: &Folder, transcript: &Transcript, mut record: Record) -> Result<(), StoreError> {
    let known = bytes(folder)?;
    let whole = known.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let lines = known[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let (count, last) = lines.fold((0, None), |(count, _), line| (count + 1, Some(line)));
    record.seq = transcript.lines + count + 1;
    record.prev = last.map_or_else(|| transcript.head.clone(), sha256);
    let path = folder.path_of(ADDENDA);
    let mut line = serde_json::to_vec(&record).map_err(|error| failed("write", &path, error))?;
    line.push(b'\n');
    let mut file = folder.create_or_append(ADDENDA)?;
    if whole < known.len() {
        // A line that a crash cut was never acknowledged.
        file.set_len(whole as u64).map_err(|error| failed("write", &path, error))?;
    }
    file.write_all(&line).map_err(|error| failed("write", &path, error))?;
    file.sync_data().map_err(|error| failed("sync", &path, error))?;
    folder.sync()
}
