//! The signature over the head of a record that has ended, beside the record.
//!
//! What is signed is a text of three lines that anybody can write down again from the run's name and the head of its
//! record. This module keeps texts; keys are no matter of the store.

use super::folder::{failed, is_missing};
use super::root::Store;
use crate::engine::StoreError;
use crate::event::RunId;
use std::io::{Read as _, Write as _};

/// The file with the signature, in the run's folder.
pub const SEAL: &str = "head.sig";
const SEAL_NEXT: &str = ".tmp-head-sig";
/// More of it is not read, in bytes.
const READ_AT_MOST: u64 = 16 * 1024;

/// What is signed: the run and the head of its record.
#[must_use]
pub fn head_statement(run: &RunId, head: &str) -> String {
    format!("runwright head v1\nrun {run}\nhead {head}\n")
}

impl Store {
    /// Keeps the signature over a run's head, durable when it returns; replaces an older one.
    ///
    /// # Errors
    /// There is no such run, or it cannot be written.
    pub fn seal(&self, run: &RunId, signature: &str) -> Result<(), StoreError> {
        let folder = self.folder_of(run)?;
        let path = folder.path_of(SEAL);
        folder.remove(SEAL_NEXT)?;
        let mut file = folder.create(SEAL_NEXT)?;
        file.write_all(signature.as_bytes()).map_err(|error| failed("write", &path, error))?;
        file.sync_all().map_err(|error| failed("sync", &path, error))?;
        folder.rename(SEAL_NEXT, &folder, SEAL)?;
        folder.sync()
    }

    /// The signature over a run's head; nothing when it has none.
    ///
    /// # Errors
    /// There is no such run, or it cannot be read.
    pub fn seal_of(&self, run: &RunId) -> Result<Option<String>, StoreError> {
        let folder = self.folder_of(run)?;
        let file = match folder.read(SEAL) {
            Err(error) if is_missing(&error) => return Ok(None),
            opened => opened?,
        };
        let mut bytes = Vec::new();
        file.take(READ_AT_MOST)
            .read_to_end(&mut bytes)
            .map_err(|error| failed("read", &folder.path_of(SEAL), error))?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }
}
