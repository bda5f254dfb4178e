//! The output of a program as a log: its lines are looked through, and only those that were found are kept.

use super::gather::Gathered;
use super::intake::Intake;
use crate::action::outcome::Refusal;
use crate::engine::{Evidence, EvidenceWriter, StoreError};
use crate::event::EvidenceRef;
use crate::expr::SecretText;
use std::sync::{Arc, Mutex, PoisonError};

/// The stream that is the log.
const LOG: &str = "stdout";

/// Evidence that takes the standard output as a log, and keeps everything else.
pub(super) struct Tap {
    inner: Arc<dyn Evidence>,
    intake: Arc<Mutex<Option<Intake>>>,
}

impl Tap {
    pub(super) fn new(inner: Arc<dyn Evidence>, intake: Intake) -> Self {
        Self { inner, intake: Arc::new(Mutex::new(Some(intake))) }
    }

    /// What was found, and whether it can be used; nothing when it was taken before. `what` names the log.
    pub(super) fn finish(&self, what: &str) -> Option<(Gathered, Result<(), Refusal>)> {
        let intake = self.intake.lock().unwrap_or_else(PoisonError::into_inner).take();
        intake.map(|intake| intake.finish(what))
    }

    /// What was kept beside the log.
    pub(super) fn beside(references: Vec<EvidenceRef>) -> Vec<EvidenceRef> {
        references.into_iter().filter(|reference| reference.stream != LOG).collect()
    }
}

impl Evidence for Tap {
    fn begin(&self, stream: &str) -> Result<Box<dyn EvidenceWriter>, StoreError> {
        if stream != LOG {
            return self.inner.begin(stream);
        }
        Ok(Box::new(Writer { intake: Arc::clone(&self.intake) }))
    }

    fn mask(&self, text: &str) -> String {
        self.inner.mask(text)
    }

    fn learn(&self, secret: &SecretText) -> Result<(), String> {
        self.inner.learn(secret)
    }
}

struct Writer {
    intake: Arc<Mutex<Option<Intake>>>,
}

impl EvidenceWriter for Writer {
    fn write(&mut self, bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
        if let Some(intake) = self.intake.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            intake.take(bytes);
        }
        // The lines that were found are shown where they are found.
        Ok(Vec::new())
    }

    fn finish(self: Box<Self>) -> Result<(EvidenceRef, Vec<u8>), StoreError> {
        let reference = EvidenceRef {
            stream: LOG.to_owned(),
            size: 0,
            sha256: String::new(),
            excerpt: String::new(),
            inline: false,
            cut: false,
        };
        Ok((reference, Vec::new()))
    }
}
