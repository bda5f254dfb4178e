//! What the tests of the hands share: evidence in memory, and contexts.

#![expect(clippy::disallowed_methods, reason = "children of tests get the environment of the test")]

use super::{BaseEnvironment, Hands, Isolation};
use crate::engine::{AttemptContext, Cancel, Evidence, EvidenceWriter, Performed, Performer, StoreError};
use crate::event::{EvidenceRef, StepPath};
use crate::plan::Act;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What one stream was given: how much, the first MiB, the largest piece.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    pub(super) size: u64,
    pub(super) start: Vec<u8>,
    pub(super) largest: usize,
    pub(super) finished: bool,
}

/// Evidence in memory. It masks one word.
#[derive(Clone, Default)]
pub(super) struct Memory {
    pub(super) streams: Arc<Mutex<HashMap<String, Kept>>>,
    pub(super) full: bool,
}

pub(super) const SECRET: &str = "hunter2hunter2";

struct Writer {
    name: String,
    memory: Memory,
}

impl Memory {
    pub(super) fn kept(&self, stream: &str) -> Kept {
        self.streams.lock().unwrap().get(stream).cloned().unwrap_or_default()
    }
}

impl Evidence for Memory {
    fn begin(&self, stream: &str) -> Result<Box<dyn EvidenceWriter>, StoreError> {
        Ok(Box::new(Writer { name: stream.to_owned(), memory: self.clone() }))
    }

    fn mask(&self, text: &str) -> String {
        text.replace(SECRET, "***")
    }

    fn learn(&self, _: &crate::expr::SecretText) -> Result<(), String> {
        Ok(())
    }
}

impl EvidenceWriter for Writer {
    fn write(&mut self, bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
        if self.memory.full {
            return Err(StoreError::Full { path: "store".into(), left: 0, reserve: 1 });
        }
        let mut streams = self.memory.streams.lock().unwrap();
        let kept = streams.entry(self.name.clone()).or_default();
        kept.size += bytes.len() as u64;
        kept.largest = kept.largest.max(bytes.len());
        if kept.start.len() < 1 << 20 {
            kept.start.extend_from_slice(bytes);
        }
        Ok(String::from_utf8_lossy(bytes).replace(SECRET, "***").into_bytes())
    }

    fn finish(self: Box<Self>) -> Result<(EvidenceRef, Vec<u8>), StoreError> {
        let mut streams = self.memory.streams.lock().unwrap();
        let kept = streams.entry(self.name.clone()).or_default();
        kept.finished = true;
        let reference = serde_json::json!({
            "stream": self.name, "size": kept.size, "sha256": "", "excerpt": "", "inline": false, "path": null
        });
        Ok((serde_json::from_value(reference).unwrap(), Vec::new()))
    }
}

/// One attempt of a test.
pub(super) struct Trial {
    pub(super) memory: Memory,
    pub(super) cancel: Cancel,
    pub(super) context: AttemptContext,
}

impl Trial {
    pub(super) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let memory = Memory::default();
        let cancel = Cancel::new();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let context = AttemptContext {
            step: StepPath("step".to_owned()),
            marker: format!("test-{}-{count}/step/1", std::process::id()),
            change: false,
            timeout: Duration::from_secs(30),
            grace: Duration::from_millis(300),
            cancel: cancel.clone(),
            kill: Cancel::new(),
            evidence: Arc::new(memory.clone()),
            live: None,
            started: None,
        };
        Self { memory, cancel, context }
    }

    pub(super) fn change(mut self) -> Self {
        self.context.change = true;
        self
    }

    pub(super) fn timeout(mut self, milliseconds: u64) -> Self {
        self.context.timeout = Duration::from_millis(milliseconds);
        self
    }

    pub(super) async fn perform(self, act: Act) -> Performed {
        hands().perform(act, self.context).await
    }
}

pub(super) fn hands() -> Hands {
    Hands::new(BaseEnvironment::from_vars(std::env::vars_os()), Isolation::Group, None)
}

/// A field as JSON.
pub(super) fn field(performed: &Performed, name: &str) -> serde_json::Value {
    crate::expr::to_json(performed.fields.get(name).unwrap())
}

/// Asserts that no process carries a marker.
pub(super) fn assert_no_orphan(marker: &str) {
    let wanted = format!("RUNWRIGHT_ATTEMPT={marker}");
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(environ) = std::fs::read(entry.path().join("environ")) else { continue };
        let found = environ.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes());
        assert!(!found, "{} still lives", entry.path().display());
    }
}
