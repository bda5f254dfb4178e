//! The store's folder: opening it safely, making runs, finding them.

use super::evidence::hex;
use super::folder::{Folder, failed, is_missing, is_taken};
use super::ledger::{self, Closed, LedgerEntry};
use super::owner::{Owner, RunLock, Tenure, read_owner, write_owner};
use super::read::{self, TRANSCRIPT, Transcript};
use super::run::{DirRun, Position, RESERVE, room};
use super::take::{Holding, ResumeError, Whereabouts};
use crate::engine::{InboxDecision, StoreError};
use crate::event::RunId;
use jiff::Timestamp;
use rustix::fs::Mode;
use std::io::{Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// File systems whose locks and syncs cannot be relied on, by the number the system gives them.
const UNSAFE: [(u64, &str); 5] =
    [(0x6969, "NFS"), (0xff53_4d42, "CIFS"), (0xfe53_4d42, "SMB"), (0x517b, "SMB"), (0x6573_5546, "FUSE")];
/// How often another name is tried when a new run's name is taken.
const TRIES: usize = 64;

/// A store in a folder. Clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: Folder,
    runs: Folder,
    open: Folder,
    id: String,
    warnings: Vec<String>,
}

/// A new name for a run: the date and time in UTC and four letters, such as `20261121-0114-k3f9`.
///
/// # Errors
/// The system has no random numbers.
pub fn new_run_id(now: Timestamp) -> Result<RunId, StoreError> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut random = [0; 4];
    fill_random(&mut random, Path::new("run"))?;
    let letters: String = random.iter().map(|byte| char::from(LETTERS[usize::from(byte & 31)])).collect();
    let text = format!("{}-{letters}", now.strftime("%Y%m%d-%H%M"));
    RunId::try_from(text).map_err(|error| StoreError::NoRun(error.to_string()))
}

pub(super) fn fill_random(bytes: &mut [u8], path: &Path) -> Result<(), StoreError> {
    getrandom::fill(bytes).map_err(|error| failed("create", path, std::io::Error::other(error.to_string())))
}

impl Store {
    /// Opens the store in a folder, and makes it (0700) when it is not there. Closed runs that a crash kept out of the
    /// ledger are entered now; what cannot be repaired is in [`Store::warnings`].
    ///
    /// # Errors
    /// The folder belongs to somebody else, others may write to it, it lies on a network file system (unless
    /// `unsafe_fs`), or it cannot be made.
    pub fn open(dir: &Path, unsafe_fs: bool) -> Result<Self, StoreError> {
        make_root(dir).map_err(|error| failed("create", dir, error))?;
        let root = Folder::at(dir)?;
        refuse_unsafe(&root, unsafe_fs)?;
        let runs = root.ensure_folder("runs")?;
        let open = root.ensure_folder("open")?;
        let id = store_id(&root)?;
        let mut inner = Inner { root, runs, open, id, warnings: Vec::new() };
        inner.warnings = inner.repair();
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The store's own name, made once; a run that was copied from another store holds another one.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.inner.root.path()
    }

    /// What could not be repaired when it was opened, one line each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.inner.warnings
    }

    /// Makes a new run of this name.
    ///
    /// # Errors
    /// There is one already, too little room is left for its record, or it cannot be made.
    pub fn create(&self, run: &RunId, owner: &Owner) -> Result<DirRun, StoreError> {
        match self.make(run, owner) {
            Err(error) if is_taken(&error) => Err(StoreError::Refused {
                path: self.inner.runs.path_of(run.as_str()),
                reason: "there is a run of this name already".to_owned(),
            }),
            made => made,
        }
    }

    /// Makes a new run with a new name.
    ///
    /// # Errors
    /// Too little room is left for its record, or it cannot be made.
    pub fn create_new(&self, owner: &Owner) -> Result<DirRun, StoreError> {
        let mut made = self.make(&new_run_id(owner.since)?, owner);
        for _ in 1..TRIES {
            match &made {
                Err(error) if is_taken(error) => made = self.make(&new_run_id(owner.since)?, owner),
                _ => break,
            }
        }
        made
    }

    /// Reads a run's transcript.
    ///
    /// # Errors
    /// There is no such run, or a line inside it cannot be read.
    pub fn read(&self, run: &RunId) -> Result<Transcript, StoreError> {
        read::transcript(&self.inner.run(run)?, run)
    }

    /// Who has a run, or had it last.
    #[must_use]
    pub fn owner(&self, run: &RunId) -> Option<Owner> {
        read_owner(&self.inner.run(run).ok()?).map(|tenure| tenure.owner)
    }

    /// Whether a process has a run right now.
    #[must_use]
    pub fn is_live(&self, run: &RunId) -> bool {
        self.inner.run(run).is_ok_and(|folder| RunLock::is_held(&folder))
    }

    /// Leaves a decision for the process that has the run, or that takes it up next.
    ///
    /// # Errors
    /// There is no such run, or the decision cannot be written or is too large.
    pub fn leave(&self, run: &RunId, decision: &InboxDecision) -> Result<(), StoreError> {
        super::inbox::leave(&self.inner.run(run)?, decision)
    }

    /// The path of kept output.
    #[must_use]
    pub fn evidence_path(&self, run: &RunId, sha256: &str) -> PathBuf {
        self.inner.runs.path_of(run.as_str()).join("evidence").join(sha256)
    }

    /// Kept output, up to `at_most` bytes of it.
    ///
    /// # Errors
    /// There is none of that hash, or it cannot be read.
    pub fn evidence_bytes(&self, run: &RunId, sha256: &str, at_most: u64) -> Result<Vec<u8>, StoreError> {
        let folder = self.inner.run(run)?.folder("evidence")?;
        let is_hash = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hash {
            return Err(StoreError::Refused { path: folder.path().to_owned(), reason: "not a SHA-256".to_owned() });
        }
        let mut bytes = Vec::new();
        let read = folder.read(sha256)?.take(at_most).read_to_end(&mut bytes);
        read.map_err(|error| failed("read", &folder.path_of(sha256), error))?;
        Ok(bytes)
    }

    /// Removes a run that is not live; the ledger remembers it as removed on purpose.
    ///
    /// # Errors
    /// There is no such run, a process has it, or it cannot be removed.
    pub fn prune(&self, run: &RunId, now: Timestamp) -> Result<(), ResumeError> {
        let folder = self.inner.run(run)?;
        let Some(lock) = RunLock::take(&folder)? else {
            let (run, owner) = (run.clone(), read_owner(&folder).map(|tenure| tenure.owner));
            let holding = Holding { run, owner, whereabouts: Whereabouts::Here, last_sign: None, step: None };
            return Err(ResumeError::Held(Box::new(holding)));
        };
        let transcript = read::transcript(&folder, run)?;
        let (head, lines) = (transcript.head, transcript.lines);
        ledger::enter(self.root(), Closed { run: run.clone(), head, lines, time: now, pruned: true })?;
        self.inner.runs.remove_folder(run.as_str())?;
        self.inner.runs.sync()?;
        drop(lock);
        Ok(self.unmark(run)?)
    }

    /// The ledger's entries that can be read.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn ledger(&self) -> Result<Vec<LedgerEntry>, StoreError> {
        ledger::entries(self.root())
    }

    /// The names of all runs, sorted.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn run_ids(&self) -> Result<Vec<RunId>, StoreError> {
        Ok(self.inner.runs.names()?.into_iter().filter_map(|name| RunId::try_from(name).ok()).collect())
    }

    pub(super) fn root(&self) -> &Folder {
        &self.inner.root
    }

    pub(super) fn folder_of(&self, run: &RunId) -> Result<Folder, StoreError> {
        self.inner.run(run)
    }

    /// Takes the mark of a run that is not in the ledger away.
    pub(super) fn unmark(&self, run: &RunId) -> Result<(), StoreError> {
        self.inner.open.remove(run.as_str())
    }

    pub(super) fn mark(&self, run: &RunId) -> Result<(), StoreError> {
        self.inner.open.create_or_append(run.as_str())?;
        self.inner.open.sync()
    }

    /// The mark comes first, so that there is never a closed run that the ledger does not know and nobody looks for.
    fn make(&self, run: &RunId, owner: &Owner) -> Result<DirRun, StoreError> {
        room(&self.inner.runs, RESERVE)?;
        let folder = self.inner.runs.make_folder(run.as_str())?;
        self.mark(run)?;
        let Some(lock) = RunLock::take(&folder)? else {
            return Err(failed("lock", folder.path(), std::io::ErrorKind::WouldBlock));
        };
        write_owner(&folder, &Tenure { owner: owner.clone(), epoch: 1, folder: folder.inode()? })?;
        for name in ["evidence", "inbox"] {
            folder.make_folder(name)?;
        }
        let file = folder.create(TRANSCRIPT)?;
        file.sync_all().map_err(|error| failed("sync", &folder.path_of(TRANSCRIPT), error))?;
        folder.sync()?;
        self.inner.runs.sync()?;
        DirRun::new(self.clone(), run.clone(), folder, lock, file, Position::start())
    }
}

impl Inner {
    fn run(&self, run: &RunId) -> Result<Folder, StoreError> {
        match self.runs.folder(run.as_str()) {
            Err(error) if is_missing(&error) => Err(StoreError::NoRun(run.to_string())),
            opened => opened,
        }
    }

    /// Enters runs that were closed and not entered. A store that cannot be repaired can still be read and written.
    fn repair(&self) -> Vec<String> {
        let marked = self.open.names().unwrap_or_default();
        let runs = marked.into_iter().filter_map(|name| RunId::try_from(name).ok());
        runs.filter_map(|run| self.enter_if_closed(&run).err().map(|error| warning(&run, &error))).collect()
    }

    fn enter_if_closed(&self, run: &RunId) -> Result<(), StoreError> {
        let folder = match self.run(run) {
            Err(StoreError::NoRun(_)) => return self.forget_if_known(run),
            opened => opened?,
        };
        if !super::summary::is_closed(&folder) {
            return Ok(());
        }
        // While it is held, its owner is about to do this itself.
        let Some(_lock) = RunLock::take(&folder)? else { return Ok(()) };
        if !self.is_known(run)? {
            let transcript = read::transcript(&folder, run)?;
            let Some(last) = transcript.records.last() else { return Ok(()) };
            let (time, head, lines) = (last.time, transcript.head.clone(), transcript.lines);
            ledger::enter(&self.root, Closed { run: run.clone(), head, lines, time, pruned: false })?;
        }
        self.open.remove(run.as_str())
    }

    fn is_known(&self, run: &RunId) -> Result<bool, StoreError> {
        Ok(ledger::entries(&self.root)?.iter().any(|entry| entry.run == *run))
    }

    fn forget_if_known(&self, run: &RunId) -> Result<(), StoreError> {
        if self.is_known(run)? { self.open.remove(run.as_str()) } else { Ok(()) }
    }
}

fn warning(run: &RunId, error: &StoreError) -> String {
    let cause = std::error::Error::source(error).map_or_else(String::new, |source| format!(": {source}"));
    format!("run `{run}` has ended and cannot be entered in the ledger: {error}{cause}")
}

/// Makes the folder and those above it, and their names durable: a record is worth nothing in a folder that is lost.
fn make_root(dir: &Path) -> std::io::Result<()> {
    let made: Vec<&Path> = dir.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    for parent in made.iter().filter_map(|path| path.parent()) {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        std::fs::File::open(parent)?.sync_all()?;
    }
    Ok(())
}

fn refuse_unsafe(root: &Folder, unsafe_fs: bool) -> Result<(), StoreError> {
    let refused = |reason: String| StoreError::Refused { path: root.path().to_owned(), reason };
    let stat = rustix::fs::fstat(root.handle()).map_err(|error| failed("read", root.path(), error))?;
    let us = rustix::process::geteuid().as_raw();
    if let Some(reason) = unsafe_owner(stat.st_uid, us, stat.st_mode) {
        return Err(refused(reason));
    }
    if !unsafe_fs && let Some(name) = file_system(root)? {
        return Err(refused(format!("it lies on {name}, where locks and syncs cannot be relied on")));
    }
    // Not when it is so already: a store on a disk that is read-only can still be read.
    if stat.st_mode & 0o7777 == Mode::RWXU.bits() {
        return Ok(());
    }
    rustix::fs::fchmod(root.handle(), Mode::RWXU).map_err(|error| failed("create", root.path(), error))
}

/// Why a folder with this owner and these permission bits cannot be a store.
pub(super) fn unsafe_owner(owner: u32, us: u32, mode: u32) -> Option<String> {
    if owner != us {
        return Some(format!("it belongs to user {owner}, not to user {us}"));
    }
    (mode & 0o022 != 0).then(|| format!("others may write to it (mode {:04o})", mode & 0o7777))
}

#[cfg(target_os = "linux")]
fn file_system(root: &Folder) -> Result<Option<&'static str>, StoreError> {
    let stat = rustix::fs::fstatfs(root.handle()).map_err(|error| failed("read", root.path(), error))?;
    // The number has 32 bits; where the type has a sign, it is extended.
    Ok(unsafe_file_system(u64::try_from(stat.f_type & 0xffff_ffff).unwrap_or(0)))
}

#[cfg(not(target_os = "linux"))]
fn file_system(_: &Folder) -> Result<Option<&'static str>, StoreError> {
    Ok(None)
}

/// The name of a file system that cannot hold a store.
pub(super) fn unsafe_file_system(number: u64) -> Option<&'static str> {
    UNSAFE.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
}

/// Reads the store's name, or makes it; of two processes that make it at once, one wins.
fn store_id(root: &Folder) -> Result<String, StoreError> {
    if root.facts("id")?.is_none() {
        let mut random = [0; 16];
        fill_random(&mut random, root.path())?;
        let id = hex(&random);
        let next = format!(".tmp-id-{id}");
        let mut file = root.create(&next)?;
        let path = root.path_of(&next);
        file.write_all(id.as_bytes()).map_err(|error| failed("write", &path, error))?;
        file.sync_all().map_err(|error| failed("sync", &path, error))?;
        let linked = root.link(&next, "id");
        root.remove(&next)?;
        match linked {
            Err(error) if is_taken(&error) => {}
            other => other?,
        }
        root.sync()?;
    }
    let mut id = String::new();
    let read = root.read("id")?.take(256).read_to_string(&mut id);
    read.map_err(|error| failed("read", &root.path_of("id"), error))?;
    Ok(id.trim().to_owned())
}
