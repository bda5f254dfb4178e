//! Decisions and words left by other processes.

use super::folder::{Folder, failed};
use super::root::fill_random;
use crate::engine::{Inbox, InboxDecision, InboxWord, StoreError};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// The largest decision that is taken, in bytes.
pub const DECISION_AT_MOST: u64 = 256 * 1024;

const REFUSED: &str = "refused";
const UNFINISHED: &str = ".tmp-";
/// The names of words that nobody asked for end with this.
const WORD: &str = ".word.json";

/// The inbox of one run, for the process that has the run.
///
/// A decision that was taken is removed when `take` is called again or the inbox is dropped: by then it is in the
/// record. A process that is killed in between finds it again, and its digest tells whether it still counts.
#[derive(Debug)]
pub struct DirInbox {
    folder: Folder,
    /// Decisions and words that were taken; each kind is removed when it is looked for again.
    taken: [Vec<String>; 2],
    /// Files that could not even be moved aside; told once.
    ignored: BTreeSet<String>,
    refusals: Refusals,
}

/// Files that were found in the inbox and refused, one line each. Clones share the list.
#[derive(Clone, Debug, Default)]
pub struct Refusals(Arc<Mutex<Vec<String>>>);

impl Refusals {
    /// Takes what was refused since the last call.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, line: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

impl DirInbox {
    pub(super) fn open(run: &Folder) -> Result<Self, StoreError> {
        let folder = run.ensure_folder("inbox")?;
        Ok(Self { folder, taken: Default::default(), ignored: BTreeSet::new(), refusals: Refusals::default() })
    }

    /// What was refused; may be kept beside the inbox after that was given away.
    #[must_use]
    pub fn refusals(&self) -> Refusals {
        self.refusals.clone()
    }

    /// Takes what is there of one kind: words, or decisions.
    fn gather<T: DeserializeOwned>(&mut self, words: bool) -> Result<Vec<T>, StoreError> {
        self.remove_taken(words)?;
        let mut all = Vec::new();
        for name in self.folder.names()? {
            let is_meant = name.ends_with(WORD) == words;
            if name == REFUSED || name.starts_with(UNFINISHED) || self.ignored.contains(&name) || !is_meant {
                continue;
            }
            match self.read(&name) {
                Ok(one) => {
                    all.push(one);
                    self.taken[usize::from(words)].push(name);
                }
                Err(reason) => self.refuse(&name, &reason),
            }
        }
        Ok(all)
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<T, String> {
        let told = |error: StoreError| {
            std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string)
        };
        let facts = self.folder.facts(name).map_err(told)?.ok_or("it is gone")?;
        let us = rustix::process::geteuid().as_raw();
        if !facts.is_file {
            return Err("it is not a plain file".to_owned());
        }
        if facts.owner != us {
            return Err(format!("it belongs to user {}", facts.owner));
        }
        if facts.size > DECISION_AT_MOST {
            return Err(format!("it has {} bytes, more than {DECISION_AT_MOST}", facts.size));
        }
        let mut bytes = Vec::new();
        let file = self.folder.read(name).map_err(told)?;
        file.take(DECISION_AT_MOST).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        let what = if name.ends_with(WORD) { "word" } else { "decision" };
        serde_json::from_slice(&bytes).map_err(|error| format!("it is not a {what}: {error}"))
    }

    fn refuse(&mut self, name: &str, reason: &str) {
        let moved = self
            .folder
            .ensure_folder(REFUSED)
            .and_then(|refused| self.folder.rename(name, &refused, &free_name(&refused, name)));
        let kept = if moved.is_ok() { "moved to `refused`" } else { "left where it is" };
        if moved.is_err() {
            self.ignored.insert(name.to_owned());
        }
        self.refusals.add(format!("inbox file `{}` was refused and {kept}: {reason}", name.escape_debug()));
    }

    fn remove_taken(&mut self, words: bool) -> Result<(), StoreError> {
        while let Some(name) = self.taken[usize::from(words)].pop() {
            self.folder.remove(&name)?;
        }
        Ok(())
    }
}

impl Inbox for DirInbox {
    fn take(&mut self) -> Result<Vec<InboxDecision>, StoreError> {
        self.gather(false)
    }

    fn words(&mut self) -> Result<Vec<InboxWord>, StoreError> {
        self.gather(true)
    }
}

impl Drop for DirInbox {
    fn drop(&mut self) {
        // What cannot be removed is found again and does not count a second time.
        for words in [false, true] {
            self.remove_taken(words).unwrap_or_default();
        }
    }
}

fn free_name(refused: &Folder, name: &str) -> String {
    let mut free = name.to_owned();
    let mut number = 1;
    while matches!(refused.facts(&free), Ok(Some(_))) {
        number += 1;
        free = format!("{name}.{number}");
    }
    free
}

/// Leaves a decision in a run's inbox, durable when it returns. Names sort by the time of the decision.
pub(super) fn leave(run: &Folder, decision: &InboxDecision) -> Result<(), StoreError> {
    put(run, decision, decision.at, ".json")?;
    Ok(())
}

/// Leaves a word in a run's inbox, durable when it returns; gives the name of its file.
pub(super) fn leave_word(run: &Folder, word: &InboxWord) -> Result<String, StoreError> {
    put(run, word, word.at, WORD)
}

/// Takes a word back that nobody has taken up. False when somebody has.
pub(super) fn take_back(run: &Folder, name: &str) -> Result<bool, StoreError> {
    let folder = run.ensure_folder("inbox")?;
    let is_there = folder.facts(name)?.is_some();
    folder.remove(name)?;
    Ok(is_there)
}

/// Whether a word that was left is still there.
pub(super) fn is_there(run: &Folder, name: &str) -> bool {
    run.folder("inbox").is_ok_and(|inbox| matches!(inbox.facts(name), Ok(Some(_))))
}

fn put(run: &Folder, entry: &impl Serialize, at: Timestamp, ending: &str) -> Result<String, StoreError> {
    let folder = run.ensure_folder("inbox")?;
    let bytes = serde_json::to_vec(entry).map_err(|error| failed("write", folder.path(), error))?;
    if bytes.len() as u64 > DECISION_AT_MOST {
        let reason = format!("the entry has {} bytes, more than {DECISION_AT_MOST}", bytes.len());
        return Err(StoreError::Refused { path: folder.path().to_owned(), reason });
    }
    let mut random = [0; 8];
    fill_random(&mut random, folder.path())?;
    let name = format!("{:016}-{}{ending}", at.as_millisecond().max(0), super::evidence::hex(&random));
    let unfinished = format!("{UNFINISHED}{name}");
    let mut file = folder.create(&unfinished)?;
    let path = folder.path_of(&name);
    file.write_all(&bytes).map_err(|error| failed("write", &path, error))?;
    file.sync_data().map_err(|error| failed("sync", &path, error))?;
    folder.rename(&unfinished, &folder, &name)?;
    folder.sync()?;
    Ok(name)
}
