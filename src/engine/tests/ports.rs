//! Ports in memory.

use crate::engine::{
    Clock, Evidence, EvidenceWriter, Inbox, InboxDecision, InboxWord, LockRefused, Locks, RunStore, StoreError,
};
use crate::event::{Event, EvidenceRef, Record};
use jiff::Timestamp;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(super) struct Nothing;

impl Evidence for Nothing {
    fn begin(&self, _: &str) -> Result<Box<dyn EvidenceWriter>, StoreError> {
        Ok(Box::new(Self))
    }

    fn mask(&self, text: &str) -> String {
        text.to_owned()
    }

    fn learn(&self, _: &crate::expr::SecretText) -> Result<(), String> {
        Ok(())
    }
}

impl EvidenceWriter for Nothing {
    fn write(&mut self, _: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(Vec::new())
    }

    fn finish(self: Box<Self>) -> Result<(EvidenceRef, Vec<u8>), StoreError> {
        Err(StoreError::NoRun("nothing is kept here".to_owned()))
    }
}

/// Keeps records in memory, and remembers how many were synced.
pub(super) struct Memory {
    pub(super) records: Arc<Mutex<Vec<Record>>>,
    pub(super) synced: Arc<Mutex<usize>>,
    pub(super) fails_after: Option<usize>,
    pub(super) room_for: Option<usize>,
}

impl RunStore for Memory {
    fn append(&mut self, records: &mut [Record]) -> Result<(), StoreError> {
        let mut all = self.records.lock().expect("lock");
        for record in records {
            record.seq = all.len() as u64 + 1;
            all.push(record.clone());
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        let count = self.records.lock().expect("lock").len();
        if self.fails_after.is_some_and(|limit| count > limit) {
            return Err(StoreError::Full { path: "store".into(), left: 0, reserve: 1 });
        }
        *self.synced.lock().expect("lock") = count;
        Ok(())
    }

    fn close(&mut self) -> Result<String, StoreError> {
        Ok("head".to_owned())
    }

    fn evidence(&self) -> Arc<dyn Evidence> {
        Arc::new(Nothing)
    }

    fn room(&self) -> Result<(), StoreError> {
        let is_change = |record: &&Record| matches!(record.event, Event::AttemptStarted { change: true, .. });
        let changes = self.records.lock().expect("lock").iter().filter(is_change).count();
        if self.room_for.is_some_and(|limit| changes >= limit) {
            return Err(StoreError::Full { path: "store".into(), left: 0, reserve: 1 });
        }
        Ok(())
    }
}

pub(super) struct Letters(pub(super) Arc<Mutex<Vec<InboxDecision>>>, pub(super) Arc<Mutex<Vec<InboxWord>>>);

impl Inbox for Letters {
    fn take(&mut self) -> Result<Vec<InboxDecision>, StoreError> {
        Ok(std::mem::take(&mut *self.0.lock().expect("lock")))
    }

    fn words(&mut self) -> Result<Vec<InboxWord>, StoreError> {
        Ok(std::mem::take(&mut *self.1.lock().expect("lock")))
    }
}

/// Locks of which some are held by another run.
#[derive(Default)]
pub(super) struct Held {
    pub(super) by_others: Vec<String>,
    pub(super) ours: HashSet<String>,
}

impl Locks for Held {
    fn take(&mut self, what: &str) -> Result<bool, LockRefused> {
        if self.by_others.iter().any(|held| held == what) {
            return Err(LockRefused::Held(format!("{what} is held by another run")));
        }
        Ok(self.ours.insert(what.to_owned()))
    }
}

pub(super) struct Paused(pub(super) tokio::time::Instant, pub(super) Option<(Duration, i64)>);

impl Clock for Paused {
    fn now(&self) -> Timestamp {
        let start: Timestamp = "2026-11-21T01:00:00Z".parse().expect("a time");
        let jump = self.1.filter(|(after, _)| self.elapsed() >= *after).map_or(0, |(_, seconds)| seconds);
        start + jiff::SignedDuration::try_from(self.elapsed()).expect("small") + jiff::SignedDuration::from_secs(jump)
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
