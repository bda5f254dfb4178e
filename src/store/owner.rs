//! Who has a run: the lock, and the information beside it.

use super::folder::{Folder, failed};
use crate::engine::StoreError;
use crate::event::Operator;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::time::Duration;

const LOCK: &str = "lock";
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
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, process {} on {}, since {}", self.operator.name, self.pid, self.host, self.since)
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
        let file = folder.create_or_append(name)?;
        for attempt in 1..=TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Self { _file: file })),
                Err(TryLockError::WouldBlock) if attempt < TRIES => std::thread::sleep(BETWEEN_TRIES),
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(failed("lock", &folder.path_of(name), error)),
            }
        }
        Ok(None)
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

/// Writes down who has a run.
pub(super) fn write_owner(run: &Folder, owner: &Owner) -> Result<(), StoreError> {
    let text = serde_json::to_vec(owner).map_err(|error| failed("write", &run.path_of(OWNER), error))?;
    run.remove(OWNER_NEXT)?;
    let mut file = run.create(OWNER_NEXT)?;
    file.write_all(&text).map_err(|error| failed("write", &run.path_of(OWNER), error))?;
    run.rename(OWNER_NEXT, run, OWNER)
}

/// Who has a run, or had it last; nothing when that was not written down.
pub(super) fn read_owner(run: &Folder) -> Option<Owner> {
    let mut text = Vec::new();
    run.read(OWNER).ok()?.take(64 * 1024).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}
