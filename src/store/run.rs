//! The record of one run, open for writing.

use super::evidence::{Bounds, DirEvidence, UNFINISHED, sha256};
use super::folder::{Folder, failed};
use super::ledger::{self, Closed};
use super::mask::{Masker, know_recorded, write_masked_line};
use super::owner::{Heartbeat, RunLock};
use super::read::{NO_LINE_BEFORE, TRANSCRIPT, Transcript};
use super::root::Store;
use super::take::{epoch_of, successor};
use crate::engine::{Evidence, RunStore, StoreError};
use crate::event::{Event, EvidenceRef, Record, RunId};
use jiff::Timestamp;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes of disk that are kept for the record itself: no change starts when less is left.
pub const RESERVE: u64 = 4 * 1024 * 1024;

/// Refuses when less than `reserve` bytes are left.
pub(super) fn room(folder: &Folder, reserve: u64) -> Result<(), StoreError> {
    let left = folder.bytes_left()?;
    if left < reserve { Err(StoreError::Full { path: folder.path().to_owned(), left, reserve }) } else { Ok(()) }
}

/// Where lines go. A trait of its own, so that tests can fill the disk.
pub(super) trait Disk: Send {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    fn sync(&mut self) -> io::Result<()>;
}

/// The transcript's file, looked at before each write: a record that goes into a file that nobody finds again, or after
/// lines that somebody else has put there or taken away, is none.
struct TranscriptFile {
    file: File,
    folder: Arc<Folder>,
    inode: u64,
    size: u64,
}

impl TranscriptFile {
    fn new(file: File, folder: Arc<Folder>) -> Result<Self, StoreError> {
        let told = |error: io::Error| failed("read", &folder.path_of(TRANSCRIPT), error);
        let metadata = file.metadata().map_err(told)?;
        Ok(Self { inode: metadata.ino(), size: metadata.len(), file, folder })
    }

    /// Whether the file in its place is the one we write to, and ends where we left it.
    fn look(&self) -> io::Result<()> {
        let facts = self.folder.facts(TRANSCRIPT).map_err(io::Error::other)?;
        let problem = match facts {
            None => "it was removed while the run went on",
            Some(facts) if facts.inode != self.inode => "another file was put in its place while the run went on",
            Some(facts) if facts.size < self.size => "its end was cut while the run went on",
            Some(facts) if facts.size > self.size => "something else has written to it while the run went on",
            Some(_) => return Ok(()),
        };
        Err(io::Error::other(problem))
    }
}

impl Disk for TranscriptFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.look()?;
        self.file.write_all(bytes)?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// The record of one run in a folder. It holds the run's lock for as long as it lives.
pub struct DirRun {
    store: Store,
    run: RunId,
    folder: Arc<Folder>,
    pub(super) disk: Box<dyn Disk>,
    path: PathBuf,
    /// Lines that are not written yet.
    buffer: Vec<u8>,
    lines: u64,
    head: String,
    last_time: Timestamp,
    ended: bool,
    closed: bool,
    broken: Option<Broken>,
    epoch: u64,
    masker: Masker,
    evidence: Arc<DirEvidence>,
    _lock: RunLock,
}

/// The first error; every later call gives it again.
enum Broken {
    Io { action: &'static str, kind: io::ErrorKind, code: Option<i32>, text: String },
    Refused { reason: String },
    Full { left: u64, reserve: u64 },
    TakenOver { by: String },
}

/// Where a transcript stands, and which owner in turn we are.
pub(super) struct Position {
    pub(super) epoch: u64,
    pub(super) lines: u64,
    pub(super) head: String,
    pub(super) last_time: Timestamp,
}

impl Position {
    pub(super) fn start() -> Self {
        Self { epoch: 1, lines: 0, head: NO_LINE_BEFORE.to_owned(), last_time: Timestamp::UNIX_EPOCH }
    }

    pub(super) fn after(transcript: &Transcript, epoch: u64) -> Self {
        let last_time = transcript.records.last().map_or(Timestamp::UNIX_EPOCH, |record| record.time);
        Self { epoch, lines: transcript.lines, head: transcript.head.clone(), last_time }
    }
}

impl DirRun {
    pub(super) fn new(
        store: Store,
        run: RunId,
        folder: Folder,
        lock: RunLock,
        file: File,
        at: Position,
    ) -> Result<Self, StoreError> {
        let masker = Masker::new();
        let evidence = DirEvidence::new(folder.folder("evidence")?, masker.clone(), Bounds::default())?;
        let folder = Arc::new(folder);
        Ok(Self {
            store,
            run,
            path: folder.path_of(TRANSCRIPT),
            disk: Box::new(TranscriptFile::new(file, folder.clone())?),
            folder,
            epoch: at.epoch,
            buffer: Vec::with_capacity(16 * 1024),
            lines: at.lines,
            head: at.head,
            last_time: at.last_time,
            ended: false,
            closed: false,
            broken: None,
            masker,
            evidence: Arc::new(evidence),
            _lock: lock,
        })
    }

    /// The run's name.
    #[must_use]
    pub fn id(&self) -> &RunId {
        &self.run
    }

    /// Gives signs of life for this run.
    #[must_use]
    pub fn heartbeat(&self) -> Heartbeat {
        Heartbeat { run: self.folder.clone() }
    }

    /// The run's masker: secrets added to any clone of it are masked in everything that is written from then on.
    #[must_use]
    pub fn masker(&self) -> Masker {
        self.masker.clone()
    }

    /// The decisions that other processes leave for this run.
    ///
    /// # Errors
    /// The folder cannot be opened.
    pub fn inbox(&self) -> Result<super::DirInbox, StoreError> {
        super::DirInbox::open(&self.folder)
    }

    /// SHA-256 of the last line appended, in hex; 64 zeros before the first.
    #[must_use]
    pub fn head(&self) -> &str {
        &self.head
    }

    /// Keeps for good what an earlier, killed owner of this run had written of its output; in the order it was begun.
    /// To be called after [`Store::resume`] and before anything new is kept.
    ///
    /// # Errors
    /// A file cannot be read or kept.
    pub fn adopt_leftovers(&self) -> Result<Vec<EvidenceRef>, StoreError> {
        let folder = self.folder.folder("evidence")?;
        let mut adopted = Vec::new();
        for name in folder.names()?.iter().filter(|name| name.starts_with(UNFINISHED)) {
            let stream = name.rsplit('-').next().unwrap_or_default();
            let mut file = folder.read(name)?;
            let mut writer = self.evidence.begin(stream)?;
            let mut piece = vec![0; 64 * 1024];
            loop {
                let length = io::Read::read(&mut file, &mut piece)
                    .map_err(|error| failed("read", &folder.path_of(name), error))?;
                if length == 0 {
                    break;
                }
                writer.write(&piece[..length])?;
            }
            adopted.push(writer.finish()?.0);
            folder.remove(name)?;
        }
        Ok(adopted)
    }

    fn check(&self) -> Result<(), StoreError> {
        match &self.broken {
            None => Ok(()),
            Some(broken) => Err(broken.error(&self.run, &self.path)),
        }
    }

    fn broke(&mut self, error: StoreError) -> StoreError {
        self.broken.get_or_insert_with(|| Broken::of(&error));
        self.buffer.clear();
        error
    }

    /// Whether nobody has taken the run over since we took it.
    fn still_ours(&self) -> Result<(), StoreError> {
        if epoch_of(&self.folder)? == self.epoch {
            return Ok(());
        }
        Err(StoreError::TakenOver { run: self.run.to_string(), by: successor(&self.folder) })
    }

    fn append_one(&mut self, record: &mut Record) -> Result<(), StoreError> {
        record.seq = self.lines + 1;
        record.prev.clone_from(&self.head);
        let line = write_masked_line(&self.masker, record).map_err(|error| failed("write", &self.path, error))?;
        if line.changed {
            // Whoever sees the record from here on, the screen for one, sees it as it is kept.
            *record = serde_json::from_slice(&line.bytes).map_err(|_| StoreError::Refused {
                path: self.path.clone(),
                reason:
                    "the text of a secret is a word of the record itself; masking it would make the record unreadable"
                        .to_owned(),
            })?;
        }
        know_recorded(&self.masker, record);
        self.head = sha256(&line.bytes);
        self.lines += 1;
        self.last_time = record.time;
        self.ended = matches!(record.event, Event::RunEnded { .. });
        self.buffer.extend_from_slice(&line.bytes);
        self.buffer.push(b'\n');
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.still_ours()?;
        self.disk.write(&self.buffer).map_err(|error| failed("write", &self.path, error))?;
        self.buffer.clear();
        self.disk.sync().map_err(|error| failed("sync", &self.path, error))
    }
}

impl RunStore for DirRun {
    fn append(&mut self, records: &mut [Record]) -> Result<(), StoreError> {
        self.check()?;
        if self.ended && !records.is_empty() {
            let reason = "nothing can be added after the closing event".to_owned();
            return Err(StoreError::Refused { path: self.path.clone(), reason });
        }
        for record in records {
            self.append_one(record).map_err(|error| self.broke(error))?;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.check()?;
        self.flush().map_err(|error| self.broke(error))
    }

    /// Without a closing event (a run that was parked or suspended) this only makes the transcript durable: the run has
    /// not ended and is not entered. Gives back the head.
    fn close(&mut self) -> Result<String, StoreError> {
        self.sync()?;
        if self.ended && !self.closed {
            let closed = Closed {
                run: self.run.clone(),
                head: self.head.clone(),
                lines: self.lines,
                time: self.last_time,
                pruned: false,
            };
            ledger::enter(self.store.root(), closed)?;
            self.closed = true;
            self.store.unmark(&self.run)?;
        }
        Ok(self.head.clone())
    }

    fn evidence(&self) -> Arc<dyn Evidence> {
        Arc::<DirEvidence>::clone(&self.evidence)
    }

    fn room(&self) -> Result<(), StoreError> {
        self.check()?;
        room(&self.folder, RESERVE)
    }
}

impl Broken {
    fn of(error: &StoreError) -> Self {
        match error {
            StoreError::Io { action, source, .. } => {
                Self::Io { action, kind: source.kind(), code: source.raw_os_error(), text: source.to_string() }
            }
            StoreError::Full { left, reserve, .. } => Self::Full { left: *left, reserve: *reserve },
            StoreError::TakenOver { by, .. } => Self::TakenOver { by: by.clone() },
            other => Self::Refused { reason: other.to_string() },
        }
    }

    fn error(&self, run: &RunId, path: &std::path::Path) -> StoreError {
        match self {
            Self::Full { left, reserve } => StoreError::Full { path: path.to_owned(), left: *left, reserve: *reserve },
            Self::TakenOver { by } => StoreError::TakenOver { run: run.to_string(), by: by.clone() },
            Self::Io { action, code: Some(code), .. } => failed(action, path, io::Error::from_raw_os_error(*code)),
            Self::Io { action, kind, text, .. } => failed(action, path, io::Error::new(*kind, text.clone())),
            Self::Refused { reason } => StoreError::Refused { path: path.to_owned(), reason: reason.clone() },
        }
    }
}
