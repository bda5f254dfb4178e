//! Finding programs by looking at the file system only.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Why a program cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// There is none of this name on the search path.
    #[error("there is no program `{name}` in {searched}")]
    NotOnPath {
        /// The name as written.
        name: String,
        /// The search path.
        searched: String,
    },
    /// There is no such file.
    #[error("there is no file `{}`", .0.display())]
    NoFile(PathBuf),
    /// It is a folder, a device or the like.
    #[error("`{}` is not a file", .0.display())]
    NotAFile(PathBuf),
    /// It is there and may not be executed.
    #[error("`{}` is not executable", .0.display())]
    NotExecutable(PathBuf),
    /// The name is empty or holds a NUL.
    #[error("a program needs a name without NUL")]
    BadName,
}

/// Finds the absolute path of a program on a search path (`a:b:c`; entries that are not absolute are left out). A name
/// with a `/` in it is not searched: it is taken from the working folder when relative. Symlinks are not resolved,
/// because programs such as busybox look at the name they were started by. Nothing is executed.
///
/// # Errors
/// There is none, or it cannot be executed.
pub fn find_program(name: &str, path: &OsStr) -> Result<PathBuf, ProgramError> {
    find_program_from(name, path, Path::new("."))
}

/// As [`find_program`], with relative names taken from `folder`.
///
/// # Errors
/// As there.
pub(super) fn find_program_from(name: &str, path: &OsStr, folder: &Path) -> Result<PathBuf, ProgramError> {
    if name.is_empty() || name.contains('\0') {
        return Err(ProgramError::BadName);
    }
    if name.contains('/') {
        let file = super::environment::absolute(&folder.join(name));
        return check(&file).map(|()| file);
    }
    let entries: Vec<PathBuf> = std::env::split_paths(path).filter(|entry| entry.is_absolute()).collect();
    let searched = std::env::join_paths(&entries).unwrap_or_default();
    // The folder is never used: the name has no `/`, and every entry is absolute.
    which::which_in(name, Some(&searched), "/").map_err(|_| {
        let present = entries.iter().map(|entry| entry.join(name)).find(|file| file.is_file());
        match present {
            Some(file) => ProgramError::NotExecutable(file),
            None => {
                ProgramError::NotOnPath { name: name.to_owned(), searched: searched.to_string_lossy().into_owned() }
            }
        }
    })
}

/// Whether a file can be executed.
pub(super) fn check(file: &Path) -> Result<(), ProgramError> {
    let facts = std::fs::metadata(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::PermissionDenied => ProgramError::NotExecutable(file.to_owned()),
        _ => ProgramError::NoFile(file.to_owned()),
    })?;
    if !facts.is_file() {
        return Err(ProgramError::NotAFile(file.to_owned()));
    }
    let allowed =
        facts.permissions().mode() & 0o111 != 0 && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok();
    if allowed { Ok(()) } else { Err(ProgramError::NotExecutable(file.to_owned())) }
}
