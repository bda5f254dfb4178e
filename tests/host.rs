//! The runbook about this machine's disks, run on this machine.

#![expect(clippy::disallowed_methods, reason = "the age of files is told by the clock")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends by panicking")]

use assert_cmd::Command;
use std::path::{Path, PathBuf};

/// Runs `disk-filling` on a folder; exit code and everything it said.
fn disk_filling(folder: &Path, arguments: &[String]) -> (i32, String) {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let output = Command::cargo_bin("runwright")
        .unwrap()
        .env("RUNWRIGHT_LIBRARY", root.join("runbooks"))
        .env("RUNWRIGHT_STORE", folder.join("store"))
        .args(["run", "disk-filling", "-i", &format!("path={}", folder.display())])
        .args(arguments)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).join("\n");
    (output.status.code().unwrap_or(-1), text)
}

fn input(name: &str, value: impl std::fmt::Display) -> [String; 2] {
    ["-i".to_owned(), format!("{name}={value}")]
}

/// A folder with one log that is old enough to be deleted.
fn with_old_log() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("logs/app.log.1");
    std::fs::create_dir(folder.path().join("logs")).unwrap();
    let file = std::fs::File::create(&old).unwrap();
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_hours(40 * 24);
    file.set_modified(long_ago).unwrap();
    (folder, old)
}

#[test]
fn a_machine_with_space_needs_nothing() {
    let (folder, old) = with_old_log();
    // Its own limits, so that the test does not depend on how full this machine is.
    let limits =
        [input("used_limit", 100), input("inode_limit", 100), input("logs", folder.path().join("logs").display())];
    let (code, text) = disk_filling(folder.path(), &limits.concat());
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("NO ACTION"), "{text}");
    assert!(old.exists());
}

#[test]
fn what_old_logs_cannot_help_is_handed_over_and_nothing_is_deleted() {
    let (folder, old) = with_old_log();
    let limits =
        [input("used_limit", 1), input("inode_limit", 100), input("logs", folder.path().join("logs").display())];
    let (code, text) = disk_filling(folder.path(), &limits.concat());
    assert_eq!(code, 6, "{text}");
    assert!(old.exists());
}

#[test]
fn only_a_folder_of_logs_can_be_cleaned() {
    let folder = tempfile::tempdir().unwrap();
    for refused in ["/", "/etc", "/home", "/var/log/../../etc", "logs", "/var/logistics", "/var/log/"] {
        let (code, text) = disk_filling(folder.path(), &input("logs", refused));
        assert_eq!(code, 3, "{refused}: {text}");
        assert!(text.contains("does not match the pattern"), "{refused}: {text}");
    }
}
