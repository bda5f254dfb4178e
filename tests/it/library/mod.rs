//! The runbooks that come with the program, run for real: every procedure of the documents they were made from.

mod catalog;
mod plans;
mod rows;
pub(crate) mod shelf;
mod stemedb;
mod vestige;

use std::path::{Path, PathBuf};

/// The files below a folder whose names end so; the library's own file is no runbook, and is not among them.
fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.extension().is_some_and(|extension| extension == ending) && !path.ends_with("runwright.yaml") {
            found.push(path);
        }
    }
}
