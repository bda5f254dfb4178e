//! Taking up a run that has not ended: who may, and how an older owner finds out.
//!
//! The lock of the operating system is the truth wherever it reaches: who holds it is alive. It does not reach into
//! another machine, nor into a copy of the run's folder. What is asked there is who had the run last, where, and whether
//! that process let it go in order. Each owner has a number, the *epoch*, kept in the run's folder; an owner looks at it
//! before every write, so one that was passed over writes nothing more (ruling 18).

use super::folder::{Folder, failed, is_missing};
use super::mask::know_recorded;
use super::owner::{Owner, RunLock, Tenure, last_sign, read_owner, write_owner};
use super::read::{self, TRANSCRIPT, Transcript};
use super::root::Store;
use super::run::{DirRun, Position, RESERVE, room};
use crate::engine::StoreError;
use crate::event::{Event, Record, RunId, RunResult, StepPath};
use jiff::SignedDuration;
use std::fmt;
use std::io::{Read, Write};

const EPOCH: &str = "epoch";
const EPOCH_NEXT: &str = ".tmp-epoch";

/// A person's word that a run is to be taken from a process that cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakeOver {
    /// Why; never empty.
    pub reason: String,
}

/// A run that was taken up.
pub struct Taken {
    /// Its record, open for writing.
    pub run: DirRun,
    /// The record up to now.
    pub transcript: Transcript,
    /// Who had it before, when that is known.
    pub before: Option<Owner>,
    /// The host it was last on, when it was copied here from another store: approvals that were not used are void.
    pub moved_from: Option<String>,
}

/// Where the process is that has a run, or may have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// On this machine: it holds the run's lock.
    Here,
    /// On this machine: it has the folder that this one is a copy of.
    Original,
    /// On another machine, and it holds the run's lock.
    Elsewhere,
    /// On another machine, and from here nobody can see whether it is still there.
    Unseen,
}

/// Who has a run, or may have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The run.
    pub run: RunId,
    /// The process, when it was written down.
    pub owner: Option<Owner>,
    /// Where it is.
    pub whereabouts: Whereabouts,
    /// How long ago it last gave a sign of life.
    pub last_sign: Option<SignedDuration>,
    /// The step that the record told of last.
    pub step: Option<StepPath>,
}

impl Holding {
    /// Whether a person's word is enough to take the run from it: not while its process is on this machine, where it can
    /// be stopped.
    #[must_use]
    pub fn may_be_taken_over(&self) -> bool {
        matches!(self.whereabouts, Whereabouts::Elsewhere | Whereabouts::Unseen)
    }
}

impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.whereabouts == Whereabouts::Unseen { "was last had" } else { "is held" };
        write!(f, "run `{}` {verb} by ", self.run)?;
        match &self.owner {
            Some(owner) => write!(f, "{owner}")?,
            None => f.write_str("another process")?,
        }
        if let Some(step) = &self.step {
            write!(f, ", at `{step}`")?;
        }
        if let Some(ago) = self.last_sign {
            write!(f, ", last sign of life {} ago", span(ago))?;
        }
        match self.whereabouts {
            Whereabouts::Here | Whereabouts::Elsewhere => Ok(()),
            Whereabouts::Original => f.write_str("; this folder is a copy of the one it has"),
            Whereabouts::Unseen => f.write_str("; from here nobody can see whether that process is gone"),
        }
    }
}

/// A length of time in its two largest units.
pub(super) fn span(length: SignedDuration) -> String {
    let seconds = length.as_secs().max(0);
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, ..) => format!("{days} d {hours} h"),
    }
}

/// Why a run cannot be taken up again.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// Another process has it, or may have it: [`Holding::may_be_taken_over`].
    #[error("{0}")]
    Held(Box<Holding>),
    /// It has ended, and an end is final.
    #[error("run `{run}` has ended: {}", .result.as_str())]
    Ended {
        /// The run.
        run: RunId,
        /// How.
        result: RunResult,
    },
    /// It cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Takes up a run that has not ended: takes its lock and a new epoch, drops a torn last line from its transcript
    /// (the transcript given back tells of it), and opens it for writing. `owner` is the process that takes it, from now
    /// on. With `take_over`, it is also taken from a process that cannot be asked.
    ///
    /// # Errors
    /// Another process has it or may have it, it has ended, or it cannot be read or written.
    pub fn resume(&self, run: &RunId, owner: &Owner, take_over: Option<&TakeOver>) -> Result<Taken, ResumeError> {
        let folder = self.folder_of(run)?;
        room(&folder, RESERVE)?;
        let lock = match RunLock::take(&folder)? {
            Some(lock) => lock,
            None => self.steal(run, &folder, owner, take_over)?,
        };
        let transcript = read::transcript(&folder, run)?;
        if let Some(Event::RunEnded { result, .. }) = transcript.records.last().map(|record| &record.event) {
            return Err(ResumeError::Ended { run: run.clone(), result: *result });
        }
        let before = Before::of(self, &folder, &transcript)?;
        if let Some(whereabouts) = before.may_live(owner)
            && (whereabouts != Whereabouts::Unseen || take_over.is_none())
        {
            return Err(ResumeError::Held(Box::new(before.holding(run, &folder, owner, whereabouts, &transcript))));
        }
        let epoch = raise_epoch(&folder, before.tenure.as_ref().map_or(0, |tenure| tenure.epoch))?;
        write_owner(&folder, &Tenure { owner: owner.clone(), epoch, folder: folder.inode()? })?;
        let file = folder.append(TRANSCRIPT)?;
        if transcript.torn.is_some() {
            let path = folder.path_of(TRANSCRIPT);
            file.set_len(transcript.end).map_err(|error| failed("write", &path, error))?;
            file.sync_data().map_err(|error| failed("sync", &path, error))?;
        }
        self.mark(run)?;
        for name in ["evidence", "inbox"] {
            folder.ensure_folder(name)?;
        }
        let moved_from = before.moved_from(owner);
        let before = before.tenure.map(|tenure| tenure.owner);
        let run = DirRun::new(self.clone(), run.clone(), folder, lock, file, Position::after(&transcript, epoch))?;
        transcript.records.iter().for_each(|record| know_recorded(&run.masker(), record));
        Ok(Taken { run, transcript, before, moved_from })
    }

    /// Takes the lock of a run from a process of another machine, on a person's word: the lock's file is replaced, and
    /// the older owner finds the raised epoch before its next write.
    fn steal(
        &self,
        run: &RunId,
        folder: &Folder,
        owner: &Owner,
        take_over: Option<&TakeOver>,
    ) -> Result<RunLock, ResumeError> {
        let transcript = read::transcript(folder, run)?;
        let before = Before::of(self, folder, &transcript)?;
        let is_elsewhere = before
            .tenure
            .as_ref()
            .is_some_and(|tenure| !tenure.owner.shares_boot(owner) && !tenure.owner.shares_machine(owner));
        let whereabouts = if is_elsewhere { Whereabouts::Elsewhere } else { Whereabouts::Here };
        let held = || ResumeError::Held(Box::new(before.holding(run, folder, owner, whereabouts, &transcript)));
        if !is_elsewhere || take_over.is_none() {
            return Err(held());
        }
        RunLock::replace(folder)?;
        RunLock::take(folder)?.ok_or_else(held)
    }

    /// Who has a run right now, if anybody has; `now` is that of the question.
    #[must_use]
    pub fn holding(&self, run: &RunId, now: jiff::Timestamp) -> Option<Holding> {
        let folder = self.folder_of(run).ok()?;
        if !RunLock::is_held(&folder) {
            return None;
        }
        let step = read::transcript(&folder, run).ok().and_then(|transcript| last_step(&transcript.records));
        let owner = read_owner(&folder).map(|tenure| tenure.owner);
        let last_sign = last_sign(&folder).map(|sign| now.duration_since(sign));
        Some(Holding { run: run.clone(), owner, whereabouts: Whereabouts::Here, last_sign, step })
    }
}

/// The last step that a record tells of.
pub(super) fn last_step(records: &[Record]) -> Option<StepPath> {
    records.iter().rev().find_map(|record| record.step.clone())
}

/// What is known of the process that had a run.
struct Before {
    tenure: Option<Tenure>,
    /// Whether it let the run go in order: parked or suspended.
    let_go: bool,
    /// Whether the record was written in another store.
    is_of_other_store: bool,
    /// Whether this folder is a copy of the one that process had.
    is_copy: bool,
}

impl Before {
    fn of(store: &Store, folder: &Folder, transcript: &Transcript) -> Result<Self, StoreError> {
        // Words of people may follow: they change nothing about who has it.
        let of_owners = |record: &&Record| {
            matches!(
                record.event,
                Event::RunStarted { .. } | Event::RunResumed(_) | Event::RunParked { .. } | Event::RunSuspended { .. }
            )
        };
        let last = transcript.records.iter().rev().find(of_owners).map(|record| &record.event);
        let let_go = matches!(last, Some(Event::RunParked { .. } | Event::RunSuspended { .. }));
        let told = transcript.records.iter().rev().find_map(told_owner);
        let is_of_other_store = told.as_ref().is_some_and(|(_, id)| *id != store.id());
        let written = read_owner(folder);
        let inode = folder.inode()?;
        let is_copy =
            is_of_other_store || written.as_ref().is_some_and(|tenure| tenure.folder != 0 && tenure.folder != inode);
        let tenure = written.or_else(|| told.map(|(owner, _)| Tenure { owner, epoch: 0, folder: 0 }));
        Ok(Self { tenure, let_go, is_of_other_store, is_copy })
    }

    /// Whether the process that had the run may still have it, although its lock is free here, and where it is.
    fn may_live(&self, us: &Owner) -> Option<Whereabouts> {
        let before = &self.tenure.as_ref().filter(|_| !self.let_go)?.owner;
        // One running system, one folder: the lock was free, so nobody is there.
        if before.shares_boot(us) && !self.is_copy {
            return None;
        }
        if before.shares_machine(us) {
            let is_alive = self.is_copy && before.shares_boot(us) && before.pid != us.pid && before.is_alive();
            return is_alive.then_some(Whereabouts::Original);
        }
        Some(Whereabouts::Unseen)
    }

    fn moved_from(&self, us: &Owner) -> Option<String> {
        let host = &self.tenure.as_ref()?.owner.host;
        (self.is_of_other_store || (self.is_copy && *host != us.host)).then(|| host.clone())
    }

    fn holding(
        &self,
        run: &RunId,
        folder: &Folder,
        us: &Owner,
        whereabouts: Whereabouts,
        transcript: &Transcript,
    ) -> Holding {
        Holding {
            run: run.clone(),
            owner: self.tenure.as_ref().map(|tenure| tenure.owner.clone()),
            whereabouts,
            last_sign: last_sign(folder).map(|sign| us.since.duration_since(sign)),
            step: last_step(&transcript.records),
        }
    }
}

/// The process that an event says has the run from there on, and the store it has it in.
fn told_owner(record: &Record) -> Option<(Owner, &str)> {
    let (operator, host, boot, pid, store) = match &record.event {
        Event::RunStarted { operator, host, boot, pid, store, .. } => (operator, host, boot, *pid, store),
        Event::RunResumed(again) => (&again.operator, &again.host, &again.boot, again.pid, &again.store),
        _ => return None,
    };
    let (operator, host, boot, since) = (operator.clone(), host.clone(), boot.clone(), record.time);
    Some((Owner { pid, host, boot, operator, since, machine: String::new(), started: 0 }, store))
}

/// The number of the owner that has a run; 1 where none is written down: it was never taken up again.
pub(super) fn epoch_of(folder: &Folder) -> Result<u64, StoreError> {
    let mut text = String::new();
    match folder.read(EPOCH) {
        Err(error) if is_missing(&error) => return Ok(1),
        opened => {
            opened?.take(64).read_to_string(&mut text).map_err(|error| failed("read", &folder.path_of(EPOCH), error))?
        }
    };
    let path = folder.path_of(EPOCH);
    text.trim().parse().map_err(|_| StoreError::Refused { path, reason: "it holds no number".to_owned() })
}

/// Makes us the owner that counts, durable when it returns.
fn raise_epoch(folder: &Folder, told: u64) -> Result<u64, StoreError> {
    let epoch = epoch_of(folder)?.max(told) + 1;
    let path = folder.path_of(EPOCH);
    folder.remove(EPOCH_NEXT)?;
    let mut file = folder.create(EPOCH_NEXT)?;
    writeln!(file, "{epoch}").map_err(|error| failed("write", &path, error))?;
    file.sync_all().map_err(|error| failed("sync", &path, error))?;
    folder.rename(EPOCH_NEXT, folder, EPOCH)?;
    folder.sync()?;
    Ok(epoch)
}

/// Who has passed an older owner over, in words.
pub(super) fn successor(folder: &Folder) -> String {
    read_owner(folder).map_or_else(|| "another process".to_owned(), |tenure| tenure.owner.to_string())
}
