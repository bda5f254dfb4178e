//! The folder: found upward from a place, or opened by name; and the runbook files in it.

use super::environment::Environment;
use super::file::{FILE_NAME, LibraryFile, parse_library};
use super::trust::distrust;
use crate::runbook::{DurationSpec, parse_runbook};
use crate::source::{Data, Diagnostics, Source, parse_yaml};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How deep folders are searched; more is a mistake, not a library.
const DEEPEST: usize = 32;

/// One runbook file of a library. Its id is the file's stem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunbookFile {
    /// The id.
    pub id: String,
    /// The file, absolute.
    pub path: PathBuf,
    /// The file, below the library's root.
    pub relative: PathBuf,
}

/// One line of a library's listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The file.
    pub file: RunbookFile,
    /// The title; nothing when the file is too broken to tell.
    pub title: Option<String>,
    /// The system it belongs to.
    pub system: Option<String>,
    /// Whether the file has errors.
    pub is_broken: bool,
    /// Why it must not be run, when it says so.
    pub refuse: Option<String>,
    /// How often it is due.
    pub every: Option<Duration>,
    /// After which events it is due.
    pub after: Vec<String>,
}

/// Why a library cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// There is no `runwright.yaml`.
    #[error("{} is not a library: it has no {FILE_NAME}", .0.display())]
    NotALibrary(PathBuf),
    /// It was found, not named, and cannot be believed.
    #[error("{} was found above the working folder and is not used: {reason}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: &'static str,
    },
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A folder of runbooks.
#[derive(Clone, Debug)]
pub struct Library {
    root: PathBuf,
    source: Option<Source>,
    file: Option<LibraryFile>,
    problems: Diagnostics,
    runbooks: Vec<RunbookFile>,
}

/// An environment that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// `runwright.yaml` has errors: see [`Library::problems`].
    #[error("{FILE_NAME} has errors")]
    Broken,
    /// There is no environment of that name.
    #[error("there is no environment `{name}` in this library")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
}

impl Library {
    /// Searches from `start` upward. Stops at `home`, at the root, and where another file system begins.
    ///
    /// # Errors
    /// A `runwright.yaml` that was found but cannot be read or believed. Its own mistakes are no error here: they are in
    /// [`Library::problems`].
    pub fn find(start: &Path, home: Option<&Path>) -> Result<Option<Self>, LibraryError> {
        let start = start.canonicalize().map_err(|source| LibraryError::Io { path: start.to_owned(), source })?;
        let home = home.and_then(|home| home.canonicalize().ok());
        let mut device = None;
        for folder in start.ancestors() {
            let metadata = folder.metadata().map_err(|source| LibraryError::Io { path: folder.to_owned(), source })?;
            if *device.get_or_insert(metadata.dev()) != metadata.dev() {
                break;
            }
            let file = folder.join(FILE_NAME);
            if file.symlink_metadata().is_ok() {
                let reason =
                    distrust(&file, folder).map_err(|source| LibraryError::Io { path: file.clone(), source })?;
                if let Some(reason) = reason {
                    return Err(LibraryError::Refused { path: file, reason });
                }
                return Self::open(folder).map(Some);
            }
            if home.as_deref() == Some(folder) {
                break;
            }
        }
        Ok(None)
    }

    /// Opens the library in a folder that a person named.
    ///
    /// # Errors
    /// The folder has no `runwright.yaml`, or something in it cannot be read. Mistakes in `runwright.yaml` are no error
    /// here: they are in [`Library::problems`].
    pub fn open(folder: &Path) -> Result<Self, LibraryError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| LibraryError::Io { path, source }
        };
        let root = folder.canonicalize().map_err(failed(folder))?;
        let path = root.join(FILE_NAME);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(LibraryError::NotALibrary(root)),
            Err(source) => return Err(LibraryError::Io { path, source }),
        };
        let mut problems = Diagnostics::new();
        let source = match Source::from_bytes(path.display().to_string(), &bytes) {
            Ok(source) => Some(source),
            Err(unreadable) => {
                problems.extend(unreadable);
                None
            }
        };
        let file = source.as_ref().and_then(|source| parse_library(source, &mut problems));
        let runbooks = runbook_files(&root)?;
        Ok(Self { root, source, file, problems, runbooks })
    }

    /// Its root, absolute.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What `runwright.yaml` says; nothing when it has errors.
    #[must_use]
    pub fn file(&self) -> Option<&LibraryFile> {
        self.file.as_ref()
    }

    /// The text of `runwright.yaml`; nothing when it is not text.
    #[must_use]
    pub fn source(&self) -> Option<&Source> {
        self.source.as_ref()
    }

    /// The problems of `runwright.yaml`.
    #[must_use]
    pub fn problems(&self) -> &Diagnostics {
        &self.problems
    }

    /// Its runbook files, sorted by path.
    #[must_use]
    pub fn runbooks(&self) -> &[RunbookFile] {
        &self.runbooks
    }

    /// The environment of that name, or the default one when no name is given; nothing when there is no default either.
    ///
    /// # Errors
    /// There is no such environment, or `runwright.yaml` has errors.
    pub fn environment(&self, name: Option<&str>) -> Result<Option<&Environment>, EnvironmentError> {
        let file = self.file.as_ref().ok_or(EnvironmentError::Broken)?;
        let Some(name) = name.or(file.default_environment.as_deref()) else { return Ok(None) };
        match file.environments.get(name) {
            Some(environment) => Ok(Some(environment)),
            None => Err(EnvironmentError::Unknown {
                name: name.to_owned(),
                known: file.environments.keys().cloned().collect(),
            }),
        }
    }

    /// Ids and titles of its runbooks, sorted by path. A broken file is listed as far as it can be read.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        self.runbooks.iter().map(listed).collect()
    }
}

/// The runbook files below a folder, whether it is a library or not, sorted by path: every `.yaml` but `runwright.yaml`,
/// without hidden ones.
///
/// # Errors
/// The folder, or one in it, cannot be read.
pub fn runbook_files(folder: &Path) -> Result<Vec<RunbookFile>, LibraryError> {
    let failed = |source| LibraryError::Io { path: folder.to_owned(), source };
    let root = folder.canonicalize().map_err(failed)?;
    let mut found = Vec::new();
    collect(&root, &root, 0, &mut found)?;
    found.sort_by(|a, b| a.relative.cmp(&b.relative));
    Ok(found)
}

/// Gathers the runbook files below a folder. Links to folders are not followed, and a link to a file only when the file
/// is inside the library: so nothing outside is taken for a runbook of it, and no ring of links is walked.
fn collect(root: &Path, folder: &Path, depth: usize, found: &mut Vec<RunbookFile>) -> Result<(), LibraryError> {
    let failed = |source| LibraryError::Io { path: folder.to_owned(), source };
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() && depth < DEEPEST {
            collect(root, &path, depth + 1, found)?;
        } else if is_runbook_name(&path) && is_inside(root, &path, kind.is_symlink()) {
            found.extend(runbook_file(root, path));
        }
    }
    Ok(())
}

fn is_runbook_name(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml")
        && path.file_name().is_some_and(|name| name != FILE_NAME)
}

fn is_inside(root: &Path, path: &Path, is_link: bool) -> bool {
    let real = if is_link { path.canonicalize().ok() } else { Some(path.to_owned()) };
    real.is_some_and(|real| real.starts_with(root) && real.is_file())
}

fn runbook_file(root: &Path, path: PathBuf) -> Option<RunbookFile> {
    let id = path.file_stem()?.to_str()?.to_owned();
    let relative = path.strip_prefix(root).ok()?.to_owned();
    Some(RunbookFile { id, path, relative })
}

fn listed(file: &RunbookFile) -> Listed {
    let mut line = Listed {
        file: file.clone(),
        title: None,
        system: None,
        is_broken: true,
        refuse: None,
        every: None,
        after: Vec::new(),
    };
    let Ok(bytes) = std::fs::read(&file.path) else { return line };
    let Ok(source) = Source::from_bytes(file.relative.display().to_string(), &bytes) else { return line };
    let mut problems = Diagnostics::new();
    if let Some(runbook) = parse_runbook(&source, &mut problems) {
        line.title = Some(runbook.title.value.clone());
        line.system = runbook.system.as_ref().map(|system| system.value.clone());
        line.is_broken = false;
        line.refuse = runbook.refuse.as_ref().map(|refuse| refuse.value.clone());
        if let Some(cadence) = &runbook.cadence {
            line.every = cadence.every.as_ref().and_then(DurationSpec::fixed);
            line.after = cadence.after.0.iter().map(|event| event.value.clone()).collect();
        }
    } else if let Some(tree) = parse_yaml(&source, &mut Diagnostics::new()) {
        line.title = text_of(&tree.data, "title");
        line.system = text_of(&tree.data, "system");
    }
    line
}

pub(super) fn text_of(data: &Data, key: &str) -> Option<String> {
    let Data::Map(entries) = data else { return None };
    let entry = entries.iter().find(|entry| entry.key.value == key)?;
    match &entry.value.data {
        Data::Scalar(scalar) => Some(scalar.text.clone()),
        _ => None,
    }
}
