//! From what a person typed to a runbook.

use super::built_in::{BuiltIn, built_in};
use super::folder::Library;
use std::path::{Path, PathBuf};

/// Where a runbook is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunbookPlace {
    /// In a file.
    File(PathBuf),
    /// Inside the program.
    BuiltIn(BuiltIn),
}

/// No runbook has this id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no runbook `{id}`{}", where_looked(.root.as_deref()))]
pub struct UnknownRunbook {
    /// What was asked for.
    pub id: String,
    /// The root of the library that was looked through.
    pub root: Option<PathBuf>,
    /// Ids that are like it, the most like first; at most three.
    pub near: Vec<String>,
}

/// Two files of a library have the same id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("two files are the runbook `{id}`: {} and {}", first.display(), second.display())]
pub struct DuplicateRunbook {
    /// The id.
    pub id: String,
    /// The first file.
    pub first: PathBuf,
    /// The second file.
    pub second: PathBuf,
}

/// Why a runbook was not found.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// No runbook has this id.
    #[error(transparent)]
    Unknown(#[from] UnknownRunbook),
    /// Two have it.
    #[error(transparent)]
    Duplicate(#[from] DuplicateRunbook),
}

impl Library {
    /// The file of a runbook.
    ///
    /// # Errors
    /// No file, or more than one, has this id.
    pub fn path_of(&self, id: &str) -> Result<PathBuf, LookupError> {
        let mut files = self.runbooks().iter().filter(|file| file.id == id);
        match (files.next(), files.next()) {
            (Some(file), None) => Ok(file.path.clone()),
            (Some(first), Some(second)) => Err(DuplicateRunbook {
                id: id.to_owned(),
                first: first.relative.clone(),
                second: second.relative.clone(),
            }
            .into()),
            (None, _) => Err(unknown(id, Some(self)).into()),
        }
    }

    /// Every id that more than one file has, each once, with two of its files.
    #[must_use]
    pub fn duplicates(&self) -> Vec<DuplicateRunbook> {
        let mut by_id: Vec<_> = self.runbooks().iter().collect();
        by_id.sort_by(|a, b| (&a.id, &a.relative).cmp(&(&b.id, &b.relative)));
        let mut found: Vec<DuplicateRunbook> = Vec::new();
        for pair in by_id.windows(2) {
            if let [first, second] = pair
                && first.id == second.id
                && found.last().is_none_or(|last| last.id != first.id)
            {
                let (first, second) = (first.relative.clone(), second.relative.clone());
                found.push(DuplicateRunbook { id: pair[0].id.clone(), first, second });
            }
        }
        found
    }
}

/// Whether this names a file: it has a `/` in it, or ends in `.yaml` or `.yml`. Anything else is an id.
#[must_use]
pub fn is_file_name(text: &str) -> bool {
    text.contains('/') || Path::new(text).extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// Finds a runbook by its id or the name of its file; a file is not looked at. Runbooks inside the program are used when
/// the library has none of that id.
///
/// # Errors
/// No runbook, or more than one, has this id.
pub fn resolve_runbook(text: &str, library: Option<&Library>) -> Result<RunbookPlace, LookupError> {
    if is_file_name(text) {
        return Ok(RunbookPlace::File(PathBuf::from(text)));
    }
    let found = library.map(|library| library.path_of(text));
    match found {
        Some(Ok(path)) => return Ok(RunbookPlace::File(path)),
        Some(Err(duplicate @ LookupError::Duplicate(_))) => return Err(duplicate),
        Some(Err(LookupError::Unknown(_))) | None => {}
    }
    match built_in().iter().find(|runbook| runbook.id == text) {
        Some(runbook) => Ok(RunbookPlace::BuiltIn(*runbook)),
        None => Err(unknown(text, library).into()),
    }
}

fn unknown(id: &str, library: Option<&Library>) -> UnknownRunbook {
    let ids = library.into_iter().flat_map(Library::runbooks).map(|file| file.id.as_str());
    let all = ids.chain(built_in().iter().map(|runbook| runbook.id));
    UnknownRunbook {
        id: id.to_owned(),
        root: library.map(|library| library.root().to_owned()),
        near: near_names(id, all),
    }
}

/// The names most like `wrong`, the most like first. More generous than a hint in a file: a person in a hurry types a
/// part of the name.
fn near_names<'a>(wrong: &str, all: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut scored: Vec<(f64, &str)> = all
        .map(|name| {
            let is_part = wrong.len() > 2 && name.contains(wrong);
            (if is_part { 1.0 } else { strsim::jaro_winkler(wrong, name) }, name)
        })
        .filter(|&(likeness, _)| likeness > 0.8)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
}

fn where_looked(root: Option<&Path>) -> String {
    root.map_or_else(
        || ", and no library was found here (a folder with a runwright.yaml)".to_owned(),
        |root| format!(" in the library {}", root.display()),
    )
}
