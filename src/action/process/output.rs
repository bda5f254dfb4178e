//! One output stream of a child: kept in the evidence, shown live, and held in memory up to a bound.

use crate::action::outcome::bytes;
use crate::action::ssh::Sieve;
use crate::engine::{AttemptContext, Chunk, Evidence, EvidenceWriter, StoreError};
use crate::event::{EvidenceRef, StepPath};
use rustix::io::Errno;
use std::io::PipeReader;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;

/// What expressions may see of one stream.
pub(super) const SEEN: usize = 16 << 20;

/// How much of the end of a stream is remembered for a message.
const TAIL: usize = 4096;

/// The reading end of one stream.
pub(super) struct Stream {
    name: &'static str,
    pipe: Option<PipeReader>,
    keeper: Keeper,
    /// Takes out what is not the program's, when it runs at a far end.
    sieve: Option<Sieve>,
    /// The whole of it, until it is more than `SEEN`.
    seen: Vec<u8>,
    size: u64,
    tail: Vec<u8>,
}

/// What came out of a stream.
pub(super) struct Collected {
    /// The text, or why expressions cannot have it.
    pub(super) text: Result<Vec<u8>, String>,
    /// Its last lines, each whole.
    pub(super) tail: Vec<u8>,
    /// Where it was kept; none when nothing came.
    pub(super) evidence: Option<EvidenceRef>,
    /// Why it could not be kept.
    pub(super) trouble: Option<String>,
    /// What was taken out, when it came from a far end.
    pub(super) sieve: Option<Sieve>,
}

impl Stream {
    /// Begins to keep a stream.
    ///
    /// # Errors
    /// The evidence cannot be made.
    pub(super) fn new(
        name: &'static str,
        pipe: PipeReader,
        sieve: Option<Sieve>,
        context: &AttemptContext,
    ) -> Result<Self, StoreError> {
        let keeper = Keeper::new(name, &*context.evidence, &context.step, context.live.clone())?;
        Ok(Self { name, pipe: Some(pipe), keeper, sieve, seen: Vec::new(), size: 0, tail: Vec::new() })
    }

    /// What to poll, while it is open.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Takes one piece out of the pipe, which must not block. At its end the stream closes.
    pub(super) fn take(&mut self, buffer: &mut [u8]) {
        let Some(pipe) = &self.pipe else { return };
        match rustix::io::read(pipe, &mut *buffer) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            Ok(0) | Err(_) => self.pipe = None,
            Ok(count) => {
                let piece = buffer.get(..count).unwrap_or_default();
                match &mut self.sieve {
                    None => self.keep(piece),
                    Some(sieve) => {
                        let passed = sieve.sift(piece);
                        self.keep(&passed);
                    }
                }
            }
        }
    }

    /// What is taken out of it, when it comes from a far end.
    pub(super) fn sieve(&self) -> Option<&Sieve> {
        self.sieve.as_ref()
    }

    fn keep(&mut self, piece: &[u8]) {
        if piece.is_empty() {
            return;
        }
        self.keeper.keep(self.name, piece);
        self.size += piece.len() as u64;
        if self.size <= SEEN as u64 {
            self.seen.extend_from_slice(piece);
        } else {
            self.seen = Vec::new();
        }
        let last = piece.len().saturating_sub(TAIL);
        self.tail.extend_from_slice(piece.get(last..).unwrap_or_default());
        if self.tail.len() > 2 * TAIL {
            self.tail.drain(..self.tail.len() - TAIL);
        }
    }

    /// Ends it.
    pub(super) fn finish(mut self) -> Collected {
        if let Some(rest) = self.sieve.as_mut().map(Sieve::rest) {
            self.keep(&rest);
        }
        let (evidence, trouble) = self.keeper.finish(self.name, self.size);
        let text =
            if self.size > SEEN as u64 { Err(format!("too large: {}", bytes(self.size))) } else { Ok(self.seen) };
        Collected { text, tail: whole_lines(self.tail, self.size), evidence, trouble, sieve: self.sieve }
    }
}

/// The end of a stream without the line that its beginning cuts through: that may be half of a secret, which no masker
/// knows.
fn whole_lines(mut tail: Vec<u8>, size: u64) -> Vec<u8> {
    if size > tail.len() as u64 {
        let end = tail.iter().position(|byte| *byte == b'\n').map_or(tail.len(), |newline| newline + 1);
        tail.drain(..end);
    }
    tail
}

/// Writes pieces into the evidence and passes the masked ones on to the screen.
struct Keeper {
    writer: Option<Box<dyn EvidenceWriter>>,
    trouble: Option<String>,
    step: StepPath,
    live: Option<tokio::sync::mpsc::Sender<Chunk>>,
}

impl Keeper {
    fn new(
        name: &str,
        evidence: &dyn Evidence,
        step: &StepPath,
        live: Option<tokio::sync::mpsc::Sender<Chunk>>,
    ) -> Result<Self, StoreError> {
        Ok(Self { writer: Some(evidence.begin(name)?), trouble: None, step: step.clone(), live })
    }

    fn keep(&mut self, name: &'static str, piece: &[u8]) {
        let Some(writer) = &mut self.writer else { return };
        match writer.write(piece) {
            Ok(masked) => self.show(name, masked),
            Err(error) => {
                self.trouble = Some(error.to_string());
                self.writer = None;
            }
        }
    }

    /// The screen is never waited for: what it cannot take now it does not get.
    fn show(&mut self, name: &'static str, masked: Vec<u8>) {
        if masked.is_empty() {
            return;
        }
        if let Some(live) = &self.live {
            drop(live.try_send(Chunk { step: self.step.clone(), stream: name, bytes: masked }));
        }
    }

    fn finish(mut self, name: &'static str, size: u64) -> (Option<EvidenceRef>, Option<String>) {
        let Some(writer) = self.writer.take() else { return (None, self.trouble) };
        match writer.finish() {
            Ok((reference, masked)) => {
                self.show(name, masked);
                ((size > 0).then_some(reference), self.trouble)
            }
            Err(error) => (None, Some(error.to_string())),
        }
    }
}
