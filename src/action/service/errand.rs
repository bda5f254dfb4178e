//! The programs that one act on a service runs, one after the other.

#![expect(clippy::disallowed_methods, reason = "all of them together have the time of one attempt")]

use crate::action::call::Call;
use crate::action::process::Workshop;
use crate::engine::{AttemptContext, Evidence, EvidenceWriter, Performed, StoreError};
use crate::event::EvidenceRef;
use crate::expr::SecretText;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Runs programs within one attempt.
pub(super) struct Errand {
    pub(super) context: AttemptContext,
    workshop: Arc<Workshop>,
    began: Instant,
}

impl Errand {
    pub(super) fn new(context: AttemptContext, workshop: Arc<Workshop>) -> Self {
        Self { context, workshop, began: Instant::now() }
    }

    /// How long it has taken so far.
    pub(super) fn took(&self) -> Duration {
        self.began.elapsed()
    }

    /// What is left of the attempt's time.
    pub(super) fn left(&self) -> Duration {
        self.context.timeout.saturating_sub(self.took())
    }

    /// Runs a program that changes something; its output is evidence.
    pub(super) async fn act(&mut self, call: Call) -> Performed {
        let context = AttemptContext {
            live: self.context.live.clone(),
            started: self.context.started.take(),
            ..self.like(true, Arc::clone(&self.context.evidence))
        };
        call.perform(context, Arc::clone(&self.workshop)).await
    }

    /// Runs a program that only looks; its output is evidence if it is `kept`.
    pub(super) async fn look(&self, call: Call, kept: bool) -> Performed {
        let evidence = Arc::clone(&self.context.evidence);
        let evidence = if kept { evidence } else { Arc::new(Passing(evidence)) as Arc<dyn Evidence> };
        let context = AttemptContext { change: false, ..self.like(false, evidence) };
        let mut performed = call.perform(context, Arc::clone(&self.workshop)).await;
        if !kept {
            performed.evidence.clear();
        }
        performed
    }

    /// Waits; says whether it may go on.
    pub(super) async fn pause(&self, time: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(time) => true,
            () = self.context.cancel.cancelled() => false,
        }
    }

    fn like(&self, change: bool, evidence: Arc<dyn Evidence>) -> AttemptContext {
        AttemptContext {
            step: self.context.step.clone(),
            marker: self.context.marker.clone(),
            change,
            timeout: self.left(),
            grace: self.context.grace,
            cancel: self.context.cancel.clone(),
            kill: self.context.kill.clone(),
            evidence,
            live: None,
            started: None,
        }
    }
}

/// Evidence that keeps nothing: what the looks say is in the result.
struct Passing(Arc<dyn Evidence>);

impl Evidence for Passing {
    fn begin(&self, stream: &str) -> Result<Box<dyn EvidenceWriter>, StoreError> {
        Ok(Box::new(Nothing(stream.to_owned())))
    }

    fn mask(&self, text: &str) -> String {
        self.0.mask(text)
    }

    fn learn(&self, secret: &SecretText) -> Result<(), String> {
        self.0.learn(secret)
    }
}

struct Nothing(String);

impl EvidenceWriter for Nothing {
    fn write(&mut self, _bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(Vec::new())
    }

    fn finish(self: Box<Self>) -> Result<(EvidenceRef, Vec<u8>), StoreError> {
        let (stream, sha256, excerpt) = (self.0, String::new(), String::new());
        Ok((EvidenceRef { stream, size: 0, sha256, excerpt, inline: false, cut: false }, Vec::new()))
    }
}
