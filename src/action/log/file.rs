//! A file of lines on this machine: read as it is now, from where the wanted lines begin.

use super::intake::Intake;
use crate::action::outcome::Refusal;
use crate::event::ErrorClass;
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What is read at once.
const BLOCK: usize = 256 << 10;

/// How compressed files begin.
const PACKED: [(&[u8], &str); 4] =
    [(b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"\xfd7zXZ\0", "xz"), (b"BZh", "bzip2")];

/// Why a file was not read to its end.
#[derive(Debug)]
pub(super) enum Halt {
    /// It cannot be read.
    Refused(Refusal),
    /// Somebody wanted it to stop, or its time is over.
    Stopped,
}

impl From<Refusal> for Halt {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Reads a file: the last `tail` lines of it, or all. What is added while it is read is left for the next time, so that
/// a busy writer cannot keep us. A file that was rotated away is another file, and not looked at.
///
/// # Errors
/// There is no such file, it may not be read, it is a folder or a device, it is compressed; or `stop` said so.
pub(super) fn read(path: &Path, tail: Option<u64>, stop: &dyn Fn() -> bool, intake: &mut Intake) -> Result<(), Halt> {
    let broken = |error: io::Error| Halt::Refused(unreadable(path, &error));
    let file = open(path)?;
    let size = file.metadata().map_err(broken)?.len();
    let mut block = vec![0; BLOCK];
    let mut place = match tail {
        Some(tail) => start_of_tail(&file, size, tail, stop, &mut block).map_err(broken)?.ok_or(Halt::Stopped)?,
        None => 0,
    };
    while place < size {
        if stop() {
            return Err(Halt::Stopped);
        }
        let wanted = usize::try_from(size - place).unwrap_or(BLOCK).min(BLOCK);
        let count = match file.read_at(block.get_mut(..wanted).unwrap_or_default(), place) {
            // It has become shorter.
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(broken(error)),
        };
        intake.take(block.get(..count).unwrap_or_default());
        place += count as u64;
    }
    Ok(())
}

fn open(path: &Path) -> Result<File, Refusal> {
    // A named pipe would otherwise wait for a writer.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file: File =
        rustix::fs::open(path, flags, Mode::empty()).map_err(|error| unreadable(path, &error.into()))?.into();
    let facts = file.metadata().map_err(|error| unreadable(path, &error))?;
    if !facts.is_file() {
        let what = if facts.is_dir() { "a folder" } else { "no ordinary file" };
        return Err(Refusal::value(format!("`{}` is {what}; a log is a file of lines", path.display())));
    }
    let mut start = [0; 6];
    let count = file.read_at(&mut start, 0).unwrap_or(0);
    let start = start.get(..count).unwrap_or_default();
    if let Some((_, packer)) = PACKED.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Err(Refusal::value(format!("`{}` is compressed ({packer}); unpack it first", path.display())));
    }
    Ok(file)
}

fn unreadable(path: &Path, error: &io::Error) -> Refusal {
    let class = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ErrorClass::NotFound,
        io::ErrorKind::PermissionDenied => ErrorClass::Denied,
        _ => ErrorClass::System,
    };
    Refusal::new(class, format!("cannot read `{}`: {error}", path.display()))
}

/// Where the last lines begin: newlines are counted from the end, block by block. Nothing when `stop` said so.
fn start_of_tail(
    file: &File,
    size: u64,
    tail: u64,
    stop: &dyn Fn() -> bool,
    block: &mut [u8],
) -> io::Result<Option<u64>> {
    if tail == 0 {
        return Ok(Some(size));
    }
    let mut found = 0;
    let mut end = size;
    while end > 0 {
        if stop() {
            return Ok(None);
        }
        let start = end.saturating_sub(BLOCK as u64);
        let piece = block.get_mut(..usize::try_from(end - start).unwrap_or(BLOCK)).unwrap_or_default();
        match file.read_exact_at(piece, start) {
            // It has become shorter: what is left is looked at from its beginning.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Some(0)),
            other => other?,
        }
        for place in memchr::memrchr_iter(b'\n', piece).map(|place| start + place as u64) {
            // The newline at the very end belongs to the last line.
            if place + 1 == size {
                continue;
            }
            found += 1;
            if found == tail {
                return Ok(Some(place + 1));
            }
        }
        end = start;
    }
    Ok(Some(0))
}

#[cfg(test)]
mod tests {
    use super::super::filter::Filter;
    use super::super::gather::Gather;
    use super::super::intake::Form;
    use super::super::stamp::Stamps;
    use super::super::window::Window;
    use super::*;
    use crate::action::fixture::Trial;
    use crate::expr::to_json;
    use jiff::tz::TimeZone;
    use std::cell::Cell;
    use std::io::Write as _;
    use std::path::PathBuf;

    fn never() -> bool {
        false
    }

    fn intake(include: &[String]) -> Intake {
        let gather = Gather::new(Filter::new(include, &[]).unwrap(), &Trial::new().context).unwrap();
        let stamps = Stamps::new("2026-11-26T12:00:00Z".parse().unwrap(), TimeZone::UTC);
        Intake::new(Form::Lines(Window::new(None, stamps)), gather)
    }

    fn lines(path: &Path, tail: Option<u64>) -> Vec<String> {
        let mut intake = intake(&[]);
        read(path, tail, &never, &mut intake).unwrap();
        let (gathered, usable) = intake.finish("it");
        usable.unwrap();
        serde_json::from_value(to_json(&gathered.fields["lines"])).unwrap()
    }

    fn refusal(path: &Path) -> Refusal {
        match read(path, Some(1), &never, &mut intake(&[])) {
            Err(Halt::Refused(refusal)) => refusal,
            other => panic!("{other:?}"),
        }
    }

    fn file(text: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.log");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn the_last_lines_are_the_last_lines() {
        for text in ["", "a\n", "a", "a\nb\nc\n", "a\nb\nc", "\n\n\n", "a\n\n"] {
            let (_folder, path) = file(text.as_bytes());
            let all: Vec<String> = text.lines().map(str::to_owned).collect();
            assert_eq!(lines(&path, None), all, "{text:?}");
            for tail in 0..5 {
                let from = all.len().saturating_sub(tail);
                assert_eq!(lines(&path, Some(tail as u64)), all[from..], "{text:?}, the last {tail}");
            }
        }
    }

    #[test]
    fn the_last_lines_are_found_over_many_blocks() {
        let text: String = (0..100_000).map(|number| format!("line {number}\n")).collect();
        assert!(text.len() > 4 * BLOCK);
        let (_folder, path) = file(text.as_bytes());
        let all: Vec<&str> = text.lines().collect();
        for tail in [1_usize, 500, 99_999, 100_000, 100_001] {
            assert_eq!(lines(&path, Some(tail as u64)), all[all.len().saturating_sub(tail)..]);
        }
    }

    #[test]
    fn the_end_of_a_huge_file_is_read_without_the_rest() {
        let (_folder, path) = file(b"");
        let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        // A hole: nothing of it is on the disk, and reading it all would take seconds.
        file.set_len(64 << 30).unwrap();
        std::io::Seek::seek(&mut file, io::SeekFrom::End(0)).unwrap();
        file.write_all("\nlast but one\nlast\n".as_bytes()).unwrap();
        let turns = Cell::new(0);
        let counted = || {
            turns.set(turns.get() + 1);
            assert!(turns.get() < 10, "the whole file is read");
            false
        };
        let mut intake = intake(&[]);
        read(&path, Some(2), &counted, &mut intake).unwrap();
        assert_eq!(to_json(&intake.finish("it").0.fields["lines"]), serde_json::json!(["last but one", "last"]));
    }

    #[test]
    fn reading_stops_when_it_is_told_to() {
        let (_folder, path) = file(&vec![b'x'; 3 * BLOCK]);
        for tail in [None, Some(5)] {
            assert!(matches!(read(&path, tail, &|| true, &mut intake(&[])), Err(Halt::Stopped)));
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let (folder, path) = file(b"\x1f\x8b\x08\0\0\0\0\0");
        assert_eq!(refusal(&path).class, ErrorClass::BadValue);
        assert!(refusal(&path).message.contains("is compressed (gzip)"), "{}", refusal(&path).message);
        let missing = folder.path().join("none.log");
        assert_eq!(refusal(&missing).class, ErrorClass::NotFound);
        assert_eq!(refusal(&path.join("below")).class, ErrorClass::NotFound);
        assert!(refusal(folder.path()).message.contains("is a folder"));
        assert!(refusal(Path::new("/dev/zero")).message.contains("is no ordinary file"));
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert!(refusal(&pipe).message.contains("is no ordinary file"));
    }

    #[test]
    fn a_file_that_may_not_be_read_is_denied() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_folder, path) = file(b"a\n");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
        if File::open(&path).is_ok() {
            // For an administrator nothing is forbidden; then the message alone is looked at.
            let refusal = unreadable(&path, &io::Error::from(io::ErrorKind::PermissionDenied));
            assert_eq!(refusal.class, ErrorClass::Denied);
        } else {
            assert_eq!(refusal(&path).class, ErrorClass::Denied);
        }
    }
}
