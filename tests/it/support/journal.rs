//! Files of the systemd journal, written by the stock program that takes entries from other machines. The stock
//! `journalctl` reads them; no systemd needs to run.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Of the package `systemd-journal-remote`.
const WRITER: &str = "/lib/systemd/systemd-journal-remote";

/// A folder of journal files.
pub(crate) struct Journal {
    folder: PathBuf,
    files: u32,
}

/// One entry.
pub(crate) struct Entry<'a> {
    pub(crate) unit: &'a str,
    pub(crate) at: jiff::Timestamp,
    pub(crate) message: &'a [u8],
}

impl<'a> Entry<'a> {
    /// What a unit says now.
    pub(crate) fn now(unit: &'a str, message: &'a str) -> Self {
        Self { unit, at: jiff::Timestamp::now(), message: message.as_bytes() }
    }

    /// What a unit said some minutes ago.
    pub(crate) fn ago(unit: &'a str, minutes: i64, message: &'a str) -> Self {
        let at = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(minutes);
        Self { unit, at, message: message.as_bytes() }
    }
}

impl Journal {
    /// A journal without an entry, in a new folder below this one.
    pub(crate) fn new(parent: &Path) -> Self {
        assert!(Path::new(WRITER).exists(), "there is no {WRITER}: apt-get install systemd-journal-remote");
        let folder = parent.join("journal");
        std::fs::create_dir(&folder).expect("a folder");
        Self { folder, files: 0 }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Adds entries.
    pub(crate) fn write(&mut self, entries: &[Entry<'_>]) {
        self.files += 1;
        let new = self.folder.with_file_name(format!("making-{}.journal", self.files));
        let mut child = Command::new(WRITER)
            .args(["-o".as_ref(), new.as_os_str(), "-".as_ref()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the writer of the journal starts");
        child.stdin.take().expect("its input").write_all(&export(entries)).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // Whole when it is seen: a reader may be at it already.
        std::fs::rename(&new, self.folder.join(format!("{}.journal", self.files))).expect("a file");
    }
}

/// The export format: fields of bytes carry their length.
fn export(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        let head = format!(
            "__REALTIME_TIMESTAMP={}\n__MONOTONIC_TIMESTAMP={}\n_BOOT_ID=0123456789abcdef0123456789abcdef\n\
             _MACHINE_ID=fedcba9876543210fedcba9876543210\n_SYSTEMD_UNIT={}.service\nSYSLOG_IDENTIFIER={}\nMESSAGE\n",
            entry.at.as_microsecond(),
            1000 + number,
            entry.unit,
            entry.unit,
        );
        out.extend(head.bytes());
        out.extend((entry.message.len() as u64).to_le_bytes());
        out.extend(entry.message);
        out.extend(b"\n\n");
    }
    out
}
