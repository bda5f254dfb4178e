//! Masking of a stream that comes in pieces.

use super::Masker;
use super::table::{Found, Table};
use aho_corasick::automaton::StateID;
use std::sync::Arc;

/// Masks a stream across the borders of its pieces.
///
/// Bytes come out as soon as they cannot be a part of a secret any more: held back is never more than the beginning of
/// a form. What comes out does not depend on how the stream was cut into pieces.
pub struct StreamMasker {
    masker: Masker,
    table: Arc<Table>,
    state: StateID,
    /// Bytes held back.
    held: Vec<u8>,
    /// The position in the stream of the first byte held back.
    position: u64,
    /// What was found and not yet written, in order.
    found: Vec<Found>,
    /// The end and the secret of what was replaced last: a find that goes on there needs no second mark.
    replaced: Option<(u64, usize)>,
}

impl StreamMasker {
    pub(super) fn new(masker: Masker) -> Self {
        let table = masker.table();
        let state = table.start();
        Self { masker, table, state, held: Vec::new(), position: 0, found: Vec::new(), replaced: None }
    }

    /// Takes raw bytes and gives back masked ones.
    pub fn write(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.follow();
        if self.table.is_empty() {
            self.position += bytes.len() as u64;
            return bytes.to_vec();
        }
        let end = self.position + self.held.len() as u64;
        self.state = self.table.walk(self.state, bytes, end, &mut self.found);
        self.held.extend_from_slice(bytes);
        let keep = self.table.depth(self.state).min(self.held.len());
        self.release(self.held.len() - keep)
    }

    /// Ends the stream: gives back what was held back.
    pub fn finish(mut self) -> Vec<u8> {
        self.follow();
        self.release(self.held.len())
    }

    /// Takes over secrets that were added meanwhile, also for the bytes that are still held back.
    fn follow(&mut self) {
        let table = self.masker.table();
        if Arc::ptr_eq(&table, &self.table) {
            return;
        }
        // What was found already stays found; a secret never loses its place in the table.
        let mut found = Vec::new();
        self.state = table.walk(table.start(), &self.held, self.position, &mut found);
        self.found.extend(found);
        self.found.sort_by_key(|found| (found.start, found.end));
        self.table = table;
    }

    /// Gives out the first bytes held back, with what was found in them replaced.
    fn release(&mut self, length: usize) -> Vec<u8> {
        let limit = self.position + length as u64;
        let mut out = Vec::with_capacity(length);
        let mut at = self.position;
        let mut open = Vec::new();
        for found in std::mem::take(&mut self.found) {
            if found.start >= limit {
                open.push(found);
                continue;
            }
            if found.start > at {
                out.extend_from_slice(self.bytes(at, found.start));
                at = found.start;
            }
            if found.end > at {
                self.mark(&mut out, found, at);
                at = found.end.min(limit);
            }
            if found.end > limit {
                open.push(found);
            }
        }
        if limit > at {
            out.extend_from_slice(self.bytes(at, limit));
        }
        self.held.drain(..length);
        self.position = limit;
        self.found = open;
        out
    }

    fn mark(&mut self, out: &mut Vec<u8>, found: Found, at: u64) {
        let goes_on = self.replaced.is_some_and(|(end, secret)| end >= at && secret == found.secret);
        self.replaced = Some((found.end, found.secret));
        if !goes_on {
            out.extend_from_slice("‹secret ".as_bytes());
            out.extend_from_slice(self.table.name(found.secret).as_bytes());
            out.extend_from_slice("›".as_bytes());
        }
    }

    fn bytes(&self, from: u64, to: u64) -> &[u8] {
        let place = |at: u64| usize::try_from(at - self.position).unwrap_or(usize::MAX);
        self.held.get(place(from)..place(to)).unwrap_or_default()
    }
}
