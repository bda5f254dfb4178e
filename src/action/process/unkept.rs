//! Evidence that is not kept: the output of programs of our own, which is only a means.

use crate::engine::{Evidence, EvidenceWriter, StoreError};
use crate::event::EvidenceRef;
use crate::expr::SecretText;
use std::sync::Arc;

/// Keeps nothing, and masks as the evidence behind it does.
pub(super) struct Unkept(pub(super) Arc<dyn Evidence>);

struct Nothing(String);

impl Evidence for Unkept {
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

impl EvidenceWriter for Nothing {
    fn write(&mut self, _: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(Vec::new())
    }

    fn finish(self: Box<Self>) -> Result<(EvidenceRef, Vec<u8>), StoreError> {
        let nothing = EvidenceRef {
            stream: self.0,
            size: 0,
            sha256: String::new(),
            excerpt: String::new(),
            inline: false,
            cut: false,
        };
        Ok((nothing, Vec::new()))
    }
}
