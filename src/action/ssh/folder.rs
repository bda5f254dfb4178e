//! A folder for the sockets and logs of ssh clients: short, ours alone, and gone at the end.

use super::super::environment::BaseEnvironment;
use super::super::outcome::Refusal;
use crate::event::ErrorClass;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// A socket's path has room for 108 bytes, and the client adds 17 while it makes it.
const LONGEST: usize = 60;

/// Makes it, with mode 0700. What a run that was killed has left is taken away.
///
/// # Errors
/// It cannot be made anywhere.
pub(super) fn private_folder(environment: &BaseEnvironment) -> Result<tempfile::TempDir, Refusal> {
    let wanted = ["XDG_RUNTIME_DIR", "TMPDIR"].into_iter().filter_map(|name| environment.var(name)).map(Path::new);
    let short = wanted.filter(|path| path.is_absolute() && path.as_os_str().len() <= LONGEST);
    let mut last = None;
    for parent in short.chain([Path::new("/tmp"), Path::new("/var/tmp")]) {
        sweep(parent);
        match tempfile::Builder::new().prefix(&format!("rw-{}-", std::process::id())).tempdir_in(parent) {
            Ok(folder) => return Ok(folder),
            Err(error) => last = Some(error),
        }
    }
    let why = last.map(|error| error.to_string()).unwrap_or_default();
    Err(Refusal::new(ErrorClass::System, format!("cannot make a folder for the sockets of ssh: {why}")))
}

/// Removes folders of ours whose process is gone.
fn sweep(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    let own = rustix::process::getuid().as_raw();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(owner) else { continue };
        // Neither a link nor somebody else's folder.
        let is_ours = entry.metadata().is_ok_and(|about| about.is_dir() && about.uid() == own);
        if is_ours && rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH) {
            std::fs::remove_dir_all(entry.path()).ok();
        }
    }
}

/// The process that made a folder of this name: `rw-PID-..`.
fn owner(name: &str) -> Option<rustix::process::Pid> {
    let (pid, _) = name.strip_prefix("rw-")?.split_once('-')?;
    rustix::process::Pid::from_raw(pid.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_process_left_is_taken_away() {
        let parent = tempfile::tempdir().unwrap();
        // No process has such a number.
        let (dead, alive) = ("rw-999999999-abc".to_owned(), format!("rw-{}-abc", std::process::id()));
        for name in [&dead, &alive, &"rw-other".to_owned()] {
            std::fs::create_dir(parent.path().join(name)).unwrap();
        }
        sweep(parent.path());
        let left: Vec<_> = std::fs::read_dir(parent.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(!parent.path().join(dead).exists());
    }
}
