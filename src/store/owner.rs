//! Who has a run: the lock, and the information beside it.

use super::folder::{Folder, failed};
use crate::engine::StoreError;
use crate::event::Operator;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

const LOCK: &str = "lock";
const LOCK_NEXT: &str = ".tmp-lock";
const OWNER: &str = "owner.json";
const OWNER_NEXT: &str = ".tmp-owner";

/// A reader that asks whether a run is alive holds its lock for a moment, so a writer tries for a little while.
const TRIES: u32 = 20;
const BETWEEN_TRIES: Duration = Duration::from_millis(5);

/// The process that has a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The process.
    pub pid: u32,
    /// On which host.
    pub host: String,
    /// The id of that host's current boot.
    pub boot: String,
    /// Who started it.
    pub operator: Operator,
    /// Since when it has the run.
    pub since: Timestamp,
    /// What tells its machine from others; empty where an earlier version wrote it down.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub machine: String,
    /// When the process started, in the ticks that `/proc/PID/stat` has for it: a number that is used again for another
    /// process does not pass for this one. 0 where that is not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub started: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Owner {
    /// This process, which has a run from `since` on.
    #[must_use]
    pub fn this_process(operator: Operator, since: Timestamp) -> Self {
        let pid = std::process::id();
        let started = process_start(pid).unwrap_or(0);
        Self { pid, host: host_name(), boot: boot_id(), operator, since, machine: machine_id(), started }
    }

    /// Whether both are, or were, processes under the same running system: there a lock of one is seen by the other.
    pub(super) fn shares_boot(&self, other: &Self) -> bool {
        !self.boot.is_empty() && self.boot == other.boot
    }

    /// Whether both are, or were, processes of the same machine, perhaps of different boots of it.
    pub(super) fn shares_machine(&self, other: &Self) -> bool {
        self.host == other.host && self.machine == other.machine
    }

    /// Whether the process is there. Only to be asked of a process of this machine.
    pub(super) fn is_alive(&self) -> bool {
        process_start(self.pid).is_some_and(|started| self.started == 0 || started == self.started)
    }
}

/// When a process started, in clock ticks since the boot; nothing when there is no such process.
fn process_start(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything, brackets and blanks too; the start is the 20th field after it.
    text.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.since.strftime("%Y-%m-%d %H:%M:%S UTC");
        write!(f, "{}, process {} on {}, since {since}", self.operator.name, self.pid, self.host)
    }
}

/// The id of the current boot of this machine; empty where the system has none.
#[must_use]
pub fn boot_id() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

/// The name of this machine, as it calls itself.
#[must_use]
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// What tells this machine from others: its machine id, or its name where the system has none.
#[must_use]
pub fn machine_id() -> String {
    let text = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let id = text.trim();
    if id.is_empty() { host_name() } else { id.to_owned() }
}

/// The lock of a run, held until it is dropped or the process is gone, however it went.
#[derive(Debug)]
pub(super) struct RunLock {
    _file: File,
}

impl RunLock {
    /// Takes the lock of a run; nothing when another process (or another handle in this one) has it.
    pub(super) fn take(run: &Folder) -> Result<Option<Self>, StoreError> {
        Self::take_named(run, LOCK)
    }

    /// As [`RunLock::take`], with a lock file of another name.
    pub(super) fn take_named(folder: &Folder, name: &str) -> Result<Option<Self>, StoreError> {
        let mut file = folder.create_or_append(name)?;
        for attempt in 1..=TRIES {
            match file.try_lock() {
                Ok(()) if is_in_place(folder, name, &file)? => return Ok(Some(Self { _file: file })),
                // Replaced between our opening and our locking it.
                Ok(()) => file = folder.create_or_append(name)?,
                Err(TryLockError::WouldBlock) if attempt < TRIES => std::thread::sleep(BETWEEN_TRIES),
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(failed("lock", &folder.path_of(name), error)),
            }
        }
        Ok(None)
    }

    /// Puts a new file in the place of a run's lock: who holds the old one keeps it, and it locks nothing any more.
    pub(super) fn replace(run: &Folder) -> Result<(), StoreError> {
        run.remove(LOCK_NEXT)?;
        run.create(LOCK_NEXT)?;
        run.rename(LOCK_NEXT, run, LOCK)
    }

    /// Whether somebody holds the lock of a run right now.
    pub(super) fn is_held(run: &Folder) -> bool {
        Self::is_held_named(run, LOCK)
    }

    /// As [`RunLock::is_held`], with a lock file of another name.
    pub(super) fn is_held_named(folder: &Folder, name: &str) -> bool {
        let Ok(file) = folder.read(name) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }
}

/// Whether a file is the one that has its name.
fn is_in_place(folder: &Folder, name: &str, file: &File) -> Result<bool, StoreError> {
    let ours = file.metadata().map_err(|error| failed("lock", &folder.path_of(name), error))?.ino();
    Ok(folder.facts(name)?.is_some_and(|facts| facts.inode == ours))
}

/// Locks a file that is held for moments only, such as the ledger.
pub(super) fn lock_briefly_held(file: &File, folder: &Folder, name: &str) -> Result<(), StoreError> {
    let longest = 10 * Duration::from_secs(1);
    let mut waited = Duration::ZERO;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if waited < longest => {
                std::thread::sleep(BETWEEN_TRIES);
                waited += BETWEEN_TRIES;
            }
            Err(error) => return Err(failed("lock", &folder.path_of(name), error)),
        }
    }
}

/// What stands beside a run about the process that has it, or had it last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tenure {
    #[serde(flatten)]
    pub(super) owner: Owner,
    /// How often the run was taken up, from 1.
    #[serde(default)]
    pub(super) epoch: u64,
    /// The number that the file system has for the run's folder. A copy of the folder has another one.
    #[serde(default)]
    pub(super) folder: u64,
}

/// Writes down who has a run. Not synced: it is information, and the lock is the truth.
pub(super) fn write_owner(run: &Folder, tenure: &Tenure) -> Result<(), StoreError> {
    let text = serde_json::to_vec(tenure).map_err(|error| failed("write", &run.path_of(OWNER), error))?;
    run.remove(OWNER_NEXT)?;
    let mut file = run.create(OWNER_NEXT)?;
    file.write_all(&text).map_err(|error| failed("write", &run.path_of(OWNER), error))?;
    run.rename(OWNER_NEXT, run, OWNER)
}

/// Who has a run, or had it last; nothing when that was not written down.
pub(super) fn read_owner(run: &Folder) -> Option<Tenure> {
    let mut text = Vec::new();
    run.read(OWNER).ok()?.take(64 * 1024).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// When a process that has or had a run last gave a sign of life: the time of its file.
pub(super) fn last_sign(run: &Folder) -> Option<Timestamp> {
    run.facts(OWNER).ok()?.map(|facts| facts.changed)
}

/// A sign of life of the process that has a run: its file gets the time of now. Nothing is written and nothing synced.
///
/// It never fails: whoever cannot be seen to live may live all the same, and only the lock decides.
#[derive(Debug)]
pub struct Heartbeat {
    pub(super) run: Arc<Folder>,
}

impl Heartbeat {
    /// How often one is due.
    pub const EVERY: Duration = Duration::from_secs(10);

    /// Gives a sign of life.
    pub fn beat(&self) {
        drop(self.run.touch(OWNER));
    }
}
