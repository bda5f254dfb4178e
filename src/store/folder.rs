//! A folder held open by its handle.

use crate::engine::StoreError;
use jiff::Timestamp;
use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;
use std::ffi::CStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A folder held open. What is inside is opened relative to the handle and never through a link, so swapping a part of
/// the path for a link while a run is going on leads nowhere.
#[derive(Debug)]
pub(super) struct Folder {
    handle: OwnedFd,
    path: PathBuf,
}

/// What is known of a thing in a folder without opening it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) owner: u32,
    pub(super) size: u64,
    pub(super) is_file: bool,
    /// The number that its file system has for it.
    pub(super) inode: u64,
    /// When its content was changed last.
    pub(super) changed: Timestamp,
}

/// Wraps a failed file operation.
pub(super) fn failed(action: &'static str, path: &Path, source: impl Into<std::io::Error>) -> StoreError {
    StoreError::Io { action, path: path.to_owned(), source: source.into() }
}

/// Whether an error says that the thing is not there.
pub(super) fn is_missing(error: &StoreError) -> bool {
    matches!(error, StoreError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
}

/// Whether an error says that something of that name is already there.
pub(super) fn is_taken(error: &StoreError) -> bool {
    matches!(error, StoreError::Io { source, .. } if source.kind() == std::io::ErrorKind::AlreadyExists)
}

impl Folder {
    /// Opens the root of a store. A link here is the operator's own choice and is followed once.
    pub(super) fn at(path: &Path) -> Result<Self, StoreError> {
        let handle = rustix::fs::open(path, FOLDER, Mode::empty()).map_err(|error| failed("read", path, error))?;
        Ok(Self { handle, path: path.to_owned() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn handle(&self) -> &OwnedFd {
        &self.handle
    }

    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Opens a folder inside.
    pub(super) fn folder(&self, name: &str) -> Result<Self, StoreError> {
        let path = self.path_of(name);
        let handle = rustix::fs::openat(&self.handle, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())
            .map_err(|error| failed("read", &path, error))?;
        Ok(Self { handle, path })
    }

    /// Makes a folder inside, which must not be there yet.
    pub(super) fn make_folder(&self, name: &str) -> Result<Self, StoreError> {
        let create = |error| failed("create", &self.path_of(name), error);
        rustix::fs::mkdirat(&self.handle, name, Mode::RWXU).map_err(create)?;
        // The umask may have taken bits away that we need.
        if let Err(error) = rustix::fs::chmodat(&self.handle, name, Mode::RWXU, AtFlags::empty()) {
            return Err(create(error));
        }
        self.folder(name)
    }

    /// Makes a folder inside, or opens it when it is there.
    pub(super) fn ensure_folder(&self, name: &str) -> Result<Self, StoreError> {
        match self.folder(name) {
            Err(error) if is_missing(&error) => match self.make_folder(name) {
                Err(error) if is_taken(&error) => self.folder(name),
                made => made,
            },
            opened => opened,
        }
    }

    /// Makes a file inside, which must not be there yet; for reading and appending.
    pub(super) fn create(&self, name: &str) -> Result<File, StoreError> {
        self.open(name, OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::APPEND, "create")
    }

    /// Opens a file inside for reading and appending, and makes it when it is not there.
    pub(super) fn create_or_append(&self, name: &str) -> Result<File, StoreError> {
        self.open(name, OFlags::CREATE | OFlags::RDWR | OFlags::APPEND, "create")
    }

    /// Opens a file inside for reading and appending.
    pub(super) fn append(&self, name: &str) -> Result<File, StoreError> {
        self.open(name, OFlags::RDWR | OFlags::APPEND, "write")
    }

    /// Opens a file inside for reading.
    pub(super) fn read(&self, name: &str) -> Result<File, StoreError> {
        self.open(name, OFlags::RDONLY, "read")
    }

    fn open(&self, name: &str, how: OFlags, action: &'static str) -> Result<File, StoreError> {
        let path = self.path_of(name);
        // NONBLOCK, so that a pipe put in the place of a file cannot hold us up.
        let flags = how | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let handle = rustix::fs::openat(&self.handle, name, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|error| failed(action, &path, error))?;
        if how.contains(OFlags::CREATE) {
            rustix::fs::fchmod(&handle, Mode::RUSR | Mode::WUSR).map_err(|error| failed(action, &path, error))?;
        }
        let file = File::from(handle);
        let is_file = file.metadata().map_err(|error| failed(action, &path, error))?.is_file();
        if is_file { Ok(file) } else { Err(StoreError::Refused { path, reason: "it is not a plain file".to_owned() }) }
    }

    /// What is known of a thing inside; nothing when it is not there.
    pub(super) fn facts(&self, name: &str) -> Result<Option<Facts>, StoreError> {
        match rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Facts {
                owner: stat.st_uid,
                size: u64::try_from(stat.st_size).unwrap_or(0),
                is_file: rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::RegularFile,
                inode: stat.st_ino,
                changed: Timestamp::from_second(stat.st_mtime).unwrap_or(Timestamp::UNIX_EPOCH),
            })),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(failed("read", &self.path_of(name), error)),
        }
    }

    /// The number that its file system has for this folder itself.
    pub(super) fn inode(&self) -> Result<u64, StoreError> {
        let stat = rustix::fs::fstat(&self.handle).map_err(|error| failed("read", &self.path, error))?;
        Ok(stat.st_ino)
    }

    /// Gives a file inside the time of now.
    pub(super) fn touch(&self, name: &str) -> Result<(), StoreError> {
        let now = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
        let times = Timestamps { last_access: now, last_modification: now };
        rustix::fs::utimensat(&self.handle, name, &times, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| failed("write", &self.path_of(name), error))
    }

    /// The names inside, sorted. Names that are not text are left out: the store makes none.
    pub(super) fn names(&self) -> Result<Vec<String>, StoreError> {
        let read = |error| failed("read", &self.path, error);
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.handle).map_err(read)? {
            let entry = entry.map_err(read)?;
            if let Some(name) = plain_name(entry.file_name()) {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Gives a thing inside another name, in this folder or in another one; replaces what has that name.
    pub(super) fn rename(&self, from: &str, into: &Self, to: &str) -> Result<(), StoreError> {
        rustix::fs::renameat(&self.handle, from, &into.handle, to)
            .map_err(|error| failed("write", &into.path_of(to), error))
    }

    /// Gives a file inside a second name, which must be free.
    pub(super) fn link(&self, from: &str, to: &str) -> Result<(), StoreError> {
        rustix::fs::linkat(&self.handle, from, &self.handle, to, AtFlags::empty())
            .map_err(|error| failed("create", &self.path_of(to), error))
    }

    /// Removes a file inside; it is no error when it is gone already.
    pub(super) fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.unlink(name, AtFlags::empty())
    }

    /// Removes a folder inside with everything in it.
    pub(super) fn remove_folder(&self, name: &str) -> Result<(), StoreError> {
        let inner = self.folder(name)?;
        for entry in inner.names()? {
            match inner.facts(&entry)? {
                Some(facts) if !facts.is_file && inner.folder(&entry).is_ok() => inner.remove_folder(&entry)?,
                _ => inner.remove(&entry)?,
            }
        }
        self.unlink(name, AtFlags::REMOVEDIR)
    }

    fn unlink(&self, name: &str, flags: AtFlags) -> Result<(), StoreError> {
        match rustix::fs::unlinkat(&self.handle, name, flags) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(failed("write", &self.path_of(name), error)),
        }
    }

    /// Makes names that were made, changed or removed inside durable.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        rustix::fs::fsync(&self.handle).map_err(|error| failed("sync", &self.path, error))
    }

    /// Bytes that are left on its disk for us.
    pub(super) fn bytes_left(&self) -> Result<u64, StoreError> {
        let stat = rustix::fs::fstatvfs(&self.handle).map_err(|error| failed("read", &self.path, error))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

fn plain_name(name: &CStr) -> Option<String> {
    let name = name.to_str().ok()?;
    (name != "." && name != "..").then(|| name.to_owned())
}
