//! Reading a transcript while it grows.

use super::folder::{Folder, failed};
use super::read::{Line, Parts, TRANSCRIPT, line_of};
use super::root::Store;
use crate::engine::StoreError;
use crate::event::{Record, RunId};
use std::fs::File;
use std::io::Read;

/// Follows one run's transcript: each call gives what has come since the one before.
pub struct Follower {
    folder: Folder,
    file: File,
    /// Bytes that are no whole line yet.
    rest: Vec<u8>,
    lines: u64,
    head: String,
}

impl Store {
    /// Follows a run's transcript from its first line on.
    ///
    /// # Errors
    /// There is no such run, or it cannot be read.
    pub fn follow(&self, run: &RunId) -> Result<Follower, StoreError> {
        let folder = self.folder_of(run)?;
        let file = folder.read(TRANSCRIPT)?;
        Ok(Follower { folder, file, rest: Vec::new(), lines: 0, head: String::new() })
    }
}

impl Follower {
    /// The whole lines that have come. Those that only a newer version understands are passed over.
    ///
    /// # Errors
    /// The file cannot be read, or a line is not an event.
    pub fn more(&mut self) -> Result<Vec<Record>, StoreError> {
        let path = || self.folder.path_of(TRANSCRIPT);
        self.file.read_to_end(&mut self.rest).map_err(|error| failed("read", &path(), error))?;
        let mut records = Vec::new();
        let parts = Parts::of(&self.rest);
        for line in parts.lines() {
            self.lines += 1;
            match line_of(line, self.lines) {
                Ok(Line::Known(record)) => records.push(*record),
                Ok(Line::Newer(_)) => {}
                Err(reason) => return Err(StoreError::Damaged { path: path(), line: self.lines, reason }),
            }
            self.head = super::evidence::sha256(line);
        }
        let whole = parts.whole.len();
        self.rest.drain(..whole);
        Ok(records)
    }

    /// SHA-256 of the last whole line that was given, in hex.
    #[must_use]
    pub fn head(&self) -> &str {
        &self.head
    }
}
