//! One live run for each runbook and target.

use super::evidence::sha256;
use super::folder::{Folder, failed, is_missing};
use super::owner::{Owner, RunLock};
use super::root::Store;
use super::take::last_step;
use super::unfinished::Unfinished;
use crate::engine::{LockRefused, Locks, StoreError};
use crate::event::RunId;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::io::{Read, Write};

const HOLDS: &str = "holds";

/// Something that one run at a time may have, such as "this runbook on this cluster". It is let go when this is
/// dropped or the process is gone, however it went.
#[derive(Debug)]
pub struct Hold {
    _lock: RunLock,
}

/// Who has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// What is held, in words.
    pub what: String,
    /// The run that has it.
    pub run: RunId,
    /// The process that has that run.
    pub owner: Owner,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is held by run `{}` ({})", self.what, self.run, self.owner)
    }
}

/// Why it cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// Another run has it.
    #[error("{}", .0.as_deref().map_or_else(|| "another run holds it".to_owned(), ToString::to_string))]
    Held(Option<Box<Holder>>),
    /// It cannot be taken.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Takes what one run at a time may have. `what` names it exactly: the runbook and its sorted proven identities.
    ///
    /// # Errors
    /// Another run has it, or the lock cannot be taken.
    pub fn hold(&self, what: &str, run: &RunId, owner: &Owner) -> Result<Hold, HoldError> {
        let holds = self.root().ensure_folder(HOLDS)?;
        let name = sha256(what.as_bytes());
        let Some(lock) = RunLock::take_named(&holds, &name)? else {
            return Err(HoldError::Held(read_holder(&holds, &name).map(Box::new)));
        };
        let holder = Holder { what: what.to_owned(), run: run.clone(), owner: owner.clone() };
        write_holder(&holds, &name, &holder)?;
        Ok(Hold { _lock: lock })
    }

    /// Who has it right now; nothing when it is free.
    ///
    /// # Errors
    /// The lock cannot be looked at.
    pub fn holder(&self, what: &str) -> Result<Option<Holder>, StoreError> {
        let holds = match self.root().folder(HOLDS) {
            Err(error) if is_missing(&error) => return Ok(None),
            opened => opened?,
        };
        let name = sha256(what.as_bytes());
        Ok(if RunLock::is_held_named(&holds, &name) { read_holder(&holds, &name) } else { None })
    }
}

/// The locks of one run, as the engine takes them.
#[derive(Debug)]
pub struct RunHolds {
    store: Store,
    run: RunId,
    owner: Owner,
    held: HashMap<String, Hold>,
    beside: Vec<RunId>,
}

impl Store {
    /// The locks that a run will take.
    #[must_use]
    pub fn holds(&self, run: &RunId, owner: &Owner) -> RunHolds {
        let (held, beside) = (HashMap::new(), Vec::new());
        RunHolds { store: self.clone(), run: run.clone(), owner: owner.clone(), held, beside }
    }
}

impl Locks for RunHolds {
    fn take(&mut self, what: &str) -> Result<bool, LockRefused> {
        if self.held.contains_key(what) {
            return Ok(false);
        }
        let hold = match self.store.hold(what, &self.run, &self.owner) {
            Ok(hold) => hold,
            Err(HoldError::Held(Some(holder))) => return Err(LockRefused::Held(self.told(&holder))),
            Err(error @ HoldError::Held(None)) => return Err(LockRefused::Held(format!("{what}: {error}"))),
            Err(HoldError::Store(error)) => return Err(error.into()),
        };
        if let Some(refusal) = self.unfinished(what)? {
            return Err(LockRefused::Held(refusal));
        }
        self.held.insert(what.to_owned(), hold);
        Ok(true)
    }
}

impl RunHolds {
    /// The same, where changes whose end is unknown of these runs are no reason to refuse.
    #[must_use]
    pub fn beside(mut self, runs: &[RunId]) -> Self {
        self.beside.extend_from_slice(runs);
        self
    }

    /// Takes what the run had locked before it was left ([`super::Transcript::locked`]), all of it, before anything goes on.
    ///
    /// # Errors
    /// Another run has some of it now, or left a change behind there whose end is unknown.
    pub fn retake(&mut self, locked: &[String]) -> Result<(), LockRefused> {
        locked.iter().try_for_each(|what| self.take(what).map(drop))
    }

    /// Why the place is not free although its lock was: an interrupted run left a change there, and what came of it must
    /// be known first.
    fn unfinished(&self, what: &str) -> Result<Option<String>, StoreError> {
        let unfinished = self.store.unfinished()?;
        let is_one = |other: &&Unfinished| {
            other.run != self.run
                && !self.beside.contains(&other.run)
                && other.locked.iter().any(|locked| locked == what)
        };
        Ok(unfinished.iter().find(is_one).map(|other| {
            let run = &other.run;
            format!(
                "{what}: {other}; go on with it (runwright resume {run}) or end it (runwright abort {run} --reason TEXT) first, or say \
                 --beside {run}"
            )
        }))
    }

    /// Who has it, since when, at which step, how to watch that run, and how to have the place instead.
    fn told(&self, holder: &Holder) -> String {
        let Holder { what, run, owner } = holder;
        let step = self.store.read(run).ok().and_then(|transcript| last_step(&transcript.records));
        let step = step.map_or_else(String::new, |step| format!(", at `{step}`"));
        let (name, pid, host) = (&owner.operator.name, owner.pid, &owner.host);
        let since = owner.since.strftime("%Y-%m-%d %H:%M:%S UTC");
        let who = format!("run `{run}` of {name} (process {pid} on {host}) since {since}");
        let take = if owner.shares_boot(&self.owner) {
            format!("let it suspend (kill -TERM {pid}), then runwright resume {run}")
        } else {
            format!("runwright resume {run} --take-over 'why'")
        };
        format!("{what} is held by {who}{step}; watch it: runwright show {run} --follow; take over: {take}")
    }
}

fn write_holder(holds: &Folder, name: &str, holder: &Holder) -> Result<(), StoreError> {
    let (next, file) = (format!(".tmp-{name}"), format!("{name}.json"));
    let told = |error: std::io::Error| failed("write", &holds.path_of(&file), error);
    holds.remove(&next)?;
    let text = serde_json::to_vec(holder).map_err(|error| told(error.into()))?;
    holds.create(&next)?.write_all(&text).map_err(told)?;
    holds.rename(&next, holds, &file)
}

fn read_holder(holds: &Folder, name: &str) -> Option<Holder> {
    let mut text = Vec::new();
    holds.read(&format!("{name}.json")).ok()?.take(64 * 1024).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}
