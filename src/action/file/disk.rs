//! The file on the disk: reached without following links, read whole, replaced at once or not at all.
//!
//! Everything happens relative to a handle of the folder that was reached component by component, so a link put in the
//! way later has no effect.

use super::problem::Problem;
use crate::event::ErrorClass;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, Stat, XattrFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

/// Larger files are refused.
pub(super) const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// A file in a folder that is held open; the file itself may be missing.
pub(super) struct Place {
    path: PathBuf,
    folder: OwnedFd,
    name: OsString,
    old: Option<Old>,
}

/// The file as it was found.
struct Old {
    file: File,
    stat: Stat,
    bytes: Vec<u8>,
}

/// Whose and how a new file is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rights {
    pub(super) mode: u32,
    pub(super) user: Option<u32>,
    pub(super) group: Option<u32>,
}

/// Whether a replacement is certain to survive a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    Durable,
    /// It is there, but the folder could not be synced.
    Unproven,
}

impl Place {
    /// Reaches a file and reads it.
    pub(super) fn open(path: &Path, follow: bool) -> Result<Self, Problem> {
        if path.as_os_str().is_empty() || path.as_os_str().as_bytes().contains(&0) {
            return Err(Problem::bad_value("the path of the file is empty or holds a NUL byte"));
        }
        let real = if follow { real_path(path)? } else { path.to_owned() };
        let mut components: Vec<_> = real.components().collect();
        let Some(Component::Normal(name)) = components.pop() else {
            return Err(Problem::bad_value(format!("{} does not name a file", path.display())));
        };
        // `Path` drops the `/` or `/.` after a name, which would mean a folder.
        if path.as_os_str().as_bytes().ends_with(b"/") || path.as_os_str().as_bytes().ends_with(b"/.") {
            return Err(Problem::bad_value(format!("{} does not name a file", path.display())));
        }
        let folder = open_folder(&components)?;
        let old = read_old(&folder, name, &real)?;
        Ok(Self { name: name.to_owned(), path: real, folder, old })
    }

    /// What is in the file, if it is there.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        self.old.as_ref().map(|old| old.bytes.as_slice())
    }

    /// Puts new bytes in the place of the file. On an error the file is as it was.
    pub(super) fn replace(&self, bytes: &[u8], rights: Rights) -> Result<Kept, Problem> {
        let sync = self.readable_folder()?;
        let mut draft = Draft::new(self)?;
        let write = |error: std::io::Error| {
            Problem::new(ErrorClass::System, format!("cannot write beside {}: {error}", self.path.display()))
        };
        draft.file.write_all(bytes).map_err(write)?;
        match &self.old {
            Some(old) => self.keep_rights(&draft.file, old)?,
            None => self.give_rights(&draft.file, rights)?,
        }
        draft.file.sync_all().map_err(write)?;
        self.still_the_same()?;
        let flags = if self.old.is_some() { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
        let renamed = match rustix::fs::renameat_with(&self.folder, &draft.name, &self.folder, &self.name, flags) {
            // A file system without that flag: the check above has just been made.
            Err(Errno::INVAL | Errno::NOSYS) => {
                rustix::fs::renameat(&self.folder, &draft.name, &self.folder, &self.name)
            }
            other => other,
        };
        match renamed {
            Ok(()) => draft.done = true,
            Err(Errno::EXIST) => return Err(self.moved("it was made by somebody else meanwhile")),
            Err(error) => return Err(Problem::from_os("replace", &self.path, error)),
        }
        Ok(if rustix::fs::fsync(&sync).is_ok() { Kept::Durable } else { Kept::Unproven })
    }

    /// Removes the file. On an error it is still there.
    pub(super) fn remove(&self) -> Result<Kept, Problem> {
        let sync = self.readable_folder()?;
        self.still_the_same()?;
        rustix::fs::unlinkat(&self.folder, &self.name, AtFlags::empty())
            .map_err(|error| Problem::from_os("remove", &self.path, error))?;
        Ok(if rustix::fs::fsync(&sync).is_ok() { Kept::Durable } else { Kept::Unproven })
    }

    /// The folder once more, so that it can be synced.
    fn readable_folder(&self) -> Result<OwnedFd, Problem> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(&self.folder, ".", flags, Mode::empty())
            .map_err(|error| Problem::from_os("open the folder of", &self.path, error))
    }

    fn keep_rights(&self, draft: &File, old: &Old) -> Result<(), Problem> {
        let new = rustix::fs::fstat(draft).map_err(|error| Problem::from_os("look at", &self.path, error))?;
        if (new.st_uid, new.st_gid) != (old.stat.st_uid, old.stat.st_gid) {
            self.own(draft, Some(old.stat.st_uid), Some(old.stat.st_gid), "keep the owner of")?;
        }
        copy_attributes(&old.file, draft)
            .map_err(|error| Problem::from_os("keep the extended attributes of", &self.path, error))?;
        rustix::fs::fchmod(draft, Mode::from_raw_mode(old.stat.st_mode & 0o7777))
            .map_err(|error| Problem::from_os("keep the mode of", &self.path, error))
    }

    fn give_rights(&self, draft: &File, rights: Rights) -> Result<(), Problem> {
        if rights.user.is_some() || rights.group.is_some() {
            self.own(draft, rights.user, rights.group, "give an owner to")?;
        }
        rustix::fs::fchmod(draft, Mode::from_raw_mode(rights.mode & 0o7777))
            .map_err(|error| Problem::from_os("set the mode of", &self.path, error))
    }

    fn own(&self, draft: &File, user: Option<u32>, group: Option<u32>, doing: &str) -> Result<(), Problem> {
        let (user, group) = (user.map(rustix::fs::Uid::from_raw), group.map(rustix::fs::Gid::from_raw));
        rustix::fs::fchown(draft, user, group).map_err(|error| Problem::from_os(doing, &self.path, error))
    }

    /// Refuses when the file in the folder is no longer the one that was read.
    fn still_the_same(&self) -> Result<(), Problem> {
        let now = rustix::fs::statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW);
        let same = match (&self.old, now) {
            (None, Err(Errno::NOENT)) => true,
            (Some(old), Ok(now)) => {
                let old = &old.stat;
                (old.st_dev, old.st_ino, old.st_size, old.st_nlink)
                    == (now.st_dev, now.st_ino, now.st_size, now.st_nlink)
                    && (old.st_mtime, old.st_mtime_nsec) == (now.st_mtime, now.st_mtime_nsec)
                    && (old.st_ctime, old.st_ctime_nsec) == (now.st_ctime, now.st_ctime_nsec)
            }
            _ => false,
        };
        if same { Ok(()) } else { Err(self.moved("somebody else changed it meanwhile")) }
    }

    fn moved(&self, why: &str) -> Problem {
        Problem::new(ErrorClass::System, format!("{} was left alone: {why}; run the step again", self.path.display()))
    }
}

/// A file beside the real one, gone again unless it took its place.
struct Draft<'a> {
    place: &'a Place,
    file: File,
    name: OsString,
    done: bool,
}

impl<'a> Draft<'a> {
    fn new(place: &'a Place) -> Result<Self, Problem> {
        let mut last = Errno::EXIST;
        for _ in 0..8 {
            let mut random = [0_u8; 8];
            getrandom::fill(&mut random)
                .map_err(|error| Problem::new(ErrorClass::System, format!("no random bytes: {error}")))?;
            let name = OsString::from(format!(".runwright-{:016x}.tmp", u64::from_le_bytes(random)));
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match rustix::fs::openat(&place.folder, &name, flags, Mode::from_raw_mode(0o600)) {
                Ok(fd) => return Ok(Self { place, file: File::from(fd), name, done: false }),
                Err(error) => last = error,
            }
            if last != Errno::EXIST {
                break;
            }
        }
        Err(Problem::from_os("make a new file beside", &place.path, last))
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.done {
            // Best effort: a draft that stays is never read by anybody.
            rustix::fs::unlinkat(&self.place.folder, &self.name, AtFlags::empty()).unwrap_or_default();
        }
    }
}

/// The path without links; the last component may be missing.
fn real_path(path: &Path) -> Result<PathBuf, Problem> {
    let fail = |error: std::io::Error| {
        let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
        Problem::from_os("follow", path, errno)
    };
    match std::fs::canonicalize(path) {
        Ok(real) => Ok(real),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && std::fs::symlink_metadata(path).is_err() => {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let name = path.file_name().ok_or_else(|| fail(error))?;
            Ok(std::fs::canonicalize(parent).map_err(fail)?.join(name))
        }
        Err(error) => Err(fail(error)),
    }
}

#[cfg(target_os = "linux")]
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn open_folder(components: &[Component<'_>]) -> Result<OwnedFd, Problem> {
    let (first, rest) = match components.split_first() {
        Some((Component::RootDir, rest)) => ("/", rest),
        _ => (".", components),
    };
    let mut at = PathBuf::from(first);
    let start = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut folder = rustix::fs::openat(rustix::fs::CWD, first, FOLDER, Mode::empty())
        .or_else(|_| rustix::fs::openat(rustix::fs::CWD, first, start, Mode::empty()))
        .map_err(|error| Problem::from_os("open", &at, error))?;
    for component in rest {
        let name = component.as_os_str();
        at.push(name);
        folder = match rustix::fs::openat(&folder, name, FOLDER, Mode::empty()) {
            Ok(next) => next,
            Err(error) => return Err(not_entered(&folder, name, &at, error)),
        };
    }
    Ok(folder)
}

fn not_entered(folder: &OwnedFd, name: &OsStr, at: &Path, error: Errno) -> Problem {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| FileType::from_raw_mode(stat.st_mode))
    {
        Ok(FileType::Symlink) => symlink(at),
        Err(Errno::NOENT) => {
            Problem::new(ErrorClass::NotFound, format!("the folder {} is not there; make it first", at.display()))
        }
        Ok(FileType::Directory) | Err(_) => Problem::from_os("enter", at, error),
        Ok(_) => Problem::new(ErrorClass::NotFound, format!("{} is not a folder", at.display())),
    }
}

fn symlink(at: &Path) -> Problem {
    Problem::denied(format!("{} is a symbolic link; name the real path, or say `follow: true`", at.display()))
}

fn read_old(folder: &OwnedFd, name: &OsStr, path: &Path) -> Result<Option<Old>, Problem> {
    // Non-blocking, or a named pipe would hold us.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let special = || Problem::denied(format!("{} is not a regular file", path.display()));
    let kind = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
    match kind.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(Problem::from_os("look at", path, error)),
        Ok(FileType::Symlink) => return Err(symlink(path)),
        // Devices are not even opened: opening alone may have an effect.
        Ok(FileType::RegularFile) => {}
        Ok(_) => return Err(special()),
    }
    let file = match rustix::fs::openat(folder, name, flags, Mode::empty()) {
        Ok(fd) => File::from(fd),
        Err(Errno::LOOP) => return Err(symlink(path)),
        Err(error) => return Err(Problem::from_os("read", path, error)),
    };
    let stat = rustix::fs::fstat(&file).map_err(|error| Problem::from_os("look at", path, error))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(special());
    }
    if stat.st_nlink > 1 {
        return Err(Problem::denied(format!(
            "{} has {} names (hard links), and replacing it would change only one of them; break the link first",
            path.display(),
            stat.st_nlink
        )));
    }
    let mut bytes = Vec::new();
    (&file)
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Problem::new(ErrorClass::System, format!("cannot read {}: {error}", path.display())))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Problem::bad_file(format!("{} is larger than 16 MiB", path.display())));
    }
    Ok(Some(Old { file, stat, bytes }))
}

fn copy_attributes(old: &File, new: &File) -> Result<(), Errno> {
    for name in attribute_names(old)? {
        let value = attribute(old, &name)?;
        // Labels that the system gives by itself may be the same already, and may not be set by us.
        if attribute(new, &name).is_ok_and(|there| there == value) {
            continue;
        }
        rustix::fs::fsetxattr(new, name.as_os_str(), &value, XattrFlags::empty())?;
    }
    Ok(())
}

fn attribute_names(file: &File) -> Result<Vec<OsString>, Errno> {
    let size = match rustix::fs::flistxattr_query(file) {
        Ok(size) => size,
        Err(Errno::NOTSUP) => 0,
        Err(error) => return Err(error),
    };
    if size == 0 {
        return Ok(Vec::new());
    }
    let mut names = vec![0_u8; size + 1024];
    let length = rustix::fs::flistxattr(file, &mut names[..])?;
    names.truncate(length);
    Ok(names
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| OsStr::from_bytes(name).to_owned())
        .collect())
}

fn attribute(file: &File, name: &OsStr) -> Result<Vec<u8>, Errno> {
    let size = rustix::fs::fgetxattr_query(file, name)?;
    let mut value = vec![0_u8; size + 256];
    let length = rustix::fs::fgetxattr(file, name, &mut value[..])?;
    value.truncate(length);
    Ok(value)
}

/// `user`, `user:group` or `:group`; names or numbers, names from the machine's own `/etc/passwd` and `/etc/group`.
pub(super) fn owner(text: &str) -> Result<(Option<u32>, Option<u32>), Problem> {
    let (user, group) = text.split_once(':').map_or((text, ""), |(user, group)| (user, group));
    let id = |name: &str, table: &str| -> Result<Option<u32>, Problem> {
        if name.is_empty() {
            return Ok(None);
        }
        if let Ok(number) = name.parse::<u32>() {
            return Ok(Some(number));
        }
        let unknown = || Problem::bad_value(format!("`{name}` is not in {table}; give the number instead"));
        let lines = std::fs::read_to_string(table).map_err(|_| unknown())?;
        let line = lines.lines().find(|line| line.split(':').next() == Some(name)).ok_or_else(unknown)?;
        line.split(':').nth(2).and_then(|number| number.parse().ok()).map(Some).ok_or_else(unknown)
    };
    Ok((id(user, "/etc/passwd")?, id(group, "/etc/group")?))
}
