//! Output that is kept, by the hash of its content.

use super::folder::{Folder, failed};
use super::mask::{Masker, StreamMasker};
use super::run::{RESERVE, room};
use crate::engine::{Evidence, EvidenceWriter, StoreError};
use crate::event::EvidenceRef;
use crate::expr::SecretText;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Content up to this many bytes stands in the event itself, and has no file.
pub const INLINE_AT_MOST: usize = 2 * 1024;
/// What is kept of one stream, in bytes.
pub const EVIDENCE_A_STREAM: u64 = 256 * 1024 * 1024;
/// What is kept for one run, in bytes.
pub const EVIDENCE_A_RUN: u64 = 2 * 1024 * 1024 * 1024;

/// The names of files that are still being written begin with this.
pub(super) const UNFINISHED: &str = ".tmp-";
/// How often the disk is asked for what is left, in bytes written.
const ASK_EVERY: u64 = 1024 * 1024;

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) a_stream: u64,
    pub(super) a_run: u64,
    pub(super) reserve: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { a_stream: EVIDENCE_A_STREAM, a_run: EVIDENCE_A_RUN, reserve: RESERVE }
    }
}

/// The evidence folder of one run.
pub(super) struct DirEvidence {
    kept: Arc<Kept>,
    masker: Masker,
}

/// What the writers of a run share.
struct Kept {
    folder: Folder,
    bounds: Bounds,
    bytes: AtomicU64,
    next: AtomicU64,
}

impl DirEvidence {
    pub(super) fn new(folder: Folder, masker: Masker, bounds: Bounds) -> Result<Self, StoreError> {
        let mut bytes = 0;
        for name in folder.names()? {
            bytes += folder.facts(&name)?.map_or(0, |facts| facts.size);
        }
        let kept = Kept { folder, bounds, bytes: AtomicU64::new(bytes), next: AtomicU64::new(1) };
        Ok(Self { kept: Arc::new(kept), masker })
    }
}

impl Evidence for DirEvidence {
    fn begin(&self, stream: &str) -> Result<Box<dyn EvidenceWriter>, StoreError> {
        Ok(Box::new(DirEvidenceWriter {
            kept: Arc::clone(&self.kept),
            stream: stream.to_owned(),
            masker: self.masker.stream(),
            file: None,
            head: Vec::new(),
            hash: Sha256::new(),
            size: 0,
            written: 0,
            ask_at: 0,
            cut: false,
            broken: false,
        }))
    }

    fn mask(&self, text: &str) -> String {
        self.masker.mask(text)
    }

    fn learn(&self, secret: &SecretText) -> Result<(), String> {
        self.masker.add(secret).map_err(|refused| refused.to_string())
    }
}

/// One stream being kept. It goes to the disk as it comes, so that a killed process loses nothing of it; the name says
/// that it is unfinished until it is synced and hashed.
struct DirEvidenceWriter {
    kept: Arc<Kept>,
    stream: String,
    masker: StreamMasker,
    file: Option<(String, File)>,
    /// The first bytes, for the excerpt.
    head: Vec<u8>,
    hash: Sha256,
    /// Bytes that came, masked.
    size: u64,
    /// Bytes that are in the file.
    written: u64,
    ask_at: u64,
    cut: bool,
    /// A write failed otherwise than for want of space: nothing is retried.
    broken: bool,
}

impl EvidenceWriter for DirEvidenceWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
        let masked = self.masker.write(bytes);
        self.keep(&masked)?;
        Ok(masked)
    }

    fn finish(mut self: Box<Self>) -> Result<(EvidenceRef, Vec<u8>), StoreError> {
        let empty = Masker::new().stream();
        let last = std::mem::replace(&mut self.masker, empty).finish();
        // What cannot be kept any more is counted; the cut is in the reference.
        match self.keep(&last) {
            Ok(()) | Err(StoreError::Full { .. }) => {}
            Err(error) => return Err(error),
        }
        let reference = self.settle()?;
        Ok((reference, last))
    }
}

impl DirEvidenceWriter {
    fn keep(&mut self, masked: &[u8]) -> Result<(), StoreError> {
        self.size += masked.len() as u64;
        if self.cut || masked.is_empty() {
            return Ok(());
        }
        let wanted = masked.len() as u64;
        let free = self.bounds_left(wanted);
        let (kept, rest) = masked.split_at(usize::try_from(free).unwrap_or(usize::MAX).min(masked.len()));
        self.cut = !rest.is_empty();
        self.kept.bytes.fetch_sub(rest.len() as u64, Ordering::Relaxed);
        self.put(kept).inspect_err(|_| self.cut = true)
    }

    /// How many of the wanted bytes the bounds of stream and run allow; reserves all that were wanted.
    fn bounds_left(&self, wanted: u64) -> u64 {
        let before = self.kept.bytes.fetch_add(wanted, Ordering::Relaxed);
        let of_run = self.kept.bounds.a_run.saturating_sub(before);
        let of_stream = self.kept.bounds.a_stream.saturating_sub(self.written);
        wanted.min(of_run).min(of_stream)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        if bytes.is_empty() {
            return Ok(());
        }
        if self.written >= self.ask_at {
            room(&self.kept.folder, self.kept.bounds.reserve)?;
            self.ask_at = self.written + ASK_EVERY;
        }
        let result = self.put_in_file(bytes);
        if let Err(error) = result {
            return Err(self.failed(error));
        }
        let wanted = (INLINE_AT_MOST + 1).saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..wanted]);
        Ok(())
    }

    fn put_in_file(&mut self, mut bytes: &[u8]) -> Result<(), StoreError> {
        if self.file.is_none() {
            self.file = Some(self.kept.unfinished(&self.stream)?);
        }
        let Some((name, file)) = &mut self.file else { return Ok(()) };
        while !bytes.is_empty() {
            match file.write(bytes) {
                Ok(0) => return Err(failed("write", &self.kept.folder.path_of(name), ErrorKind::WriteZero)),
                Ok(length) => {
                    // Byte for byte, so that the hash fits the file even when the disk is full in the middle.
                    let (done, rest) = bytes.split_at(length.min(bytes.len()));
                    self.hash.update(done);
                    self.written += done.len() as u64;
                    bytes = rest;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(failed("write", &self.kept.folder.path_of(name), error)),
            }
        }
        Ok(())
    }

    /// A full disk cuts the stream and leaves the record usable; anything else does not.
    fn failed(&mut self, error: StoreError) -> StoreError {
        let StoreError::Io { source, .. } = &error else { return error };
        if !matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
            self.broken = true;
            return error;
        }
        let left = self.kept.folder.bytes_left().unwrap_or(0);
        StoreError::Full { path: self.kept.folder.path().to_owned(), left, reserve: self.kept.bounds.reserve }
    }

    fn settle(&mut self) -> Result<EvidenceRef, StoreError> {
        let sha256 = hex(&std::mem::take(&mut self.hash).finalize());
        let whole = if self.head.len() as u64 == self.written { std::str::from_utf8(&self.head).ok() } else { None };
        let inline = whole.is_some_and(|text| text.len() <= INLINE_AT_MOST) && !self.broken;
        let excerpt = match whole {
            Some(text) if inline => text.to_owned(),
            _ => excerpt_of(&self.head),
        };
        if let Some((name, file)) = self.file.take() {
            if inline {
                self.kept.folder.remove(&name)?;
            } else {
                self.publish(&name, &file, &sha256)?;
            }
        }
        let stream = std::mem::take(&mut self.stream);
        Ok(EvidenceRef { stream, size: self.size, sha256, excerpt, inline, cut: self.cut })
    }

    fn publish(&self, name: &str, file: &File, sha256: &str) -> Result<(), StoreError> {
        let folder = &self.kept.folder;
        let path = folder.path_of(name);
        if self.broken {
            return Err(failed("write", &path, std::io::Error::other("an earlier write failed")));
        }
        file.sync_data().map_err(|error| failed("sync", &path, error))?;
        folder.rename(name, folder, sha256)?;
        folder.sync()
    }
}

impl Kept {
    fn unfinished(&self, stream: &str) -> Result<(String, File), StoreError> {
        let stream: String = stream
            .chars()
            .filter(|character| character.is_ascii_alphanumeric() || *character == '_')
            .take(32)
            .collect();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let name = format!("{UNFINISHED}{number:06}-{stream}");
            match self.folder.create(&name) {
                // Left over from a process that was killed.
                Err(error) if super::folder::is_taken(&error) => {}
                Err(error) => return Err(error),
                Ok(file) => return Ok((name, file)),
            }
        }
    }
}

/// The first whole lines of at most [`INLINE_AT_MOST`] bytes, or the first characters when the first line is longer.
pub(super) fn excerpt_of(head: &[u8]) -> String {
    let text = String::from_utf8_lossy(head);
    if text.len() <= INLINE_AT_MOST && head.len() <= INLINE_AT_MOST {
        return text.into_owned();
    }
    let end = text.floor_char_boundary(INLINE_AT_MOST.min(text.len().saturating_sub(1)));
    let end = text[..end].rfind('\n').map_or(end, |newline| newline + 1);
    text[..end].to_owned()
}

/// Bytes as lower-case hex digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// The hash of a line, in hex.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
