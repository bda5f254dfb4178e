//! `disk-filling` with a person at the terminal, on a file system that nobody else writes to. Unattended, it is tested
//! in `tests/host.rs`.

use crate::support::{Sandbox, Terminal};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

/// Used and free KiB of the file system of a folder.
fn space(folder: &Path) -> (u64, u64) {
    let output = Command::new("df").args(["-P", "-k", "--"]).arg(folder).output().expect("df: the package coreutils");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let row: Vec<&str> = text.lines().nth(1).expect("a row").split_whitespace().collect();
    (row[2].parse().expect("a number"), row[3].parse().expect("a number"))
}

fn age(path: &Path) {
    let long_ago = SystemTime::now() - Duration::from_hours(40 * 24);
    std::fs::File::options().write(true).open(path).expect("a file").set_modified(long_ago).expect("its time");
}

/// Old logs that fill a part of a memory file system, and two files that must stay.
fn full_disk() -> (tempfile::TempDir, PathBuf, PathBuf, PathBuf) {
    let folder = tempfile::Builder::new().prefix("runwright-it-").tempdir_in("/dev/shm").expect("a tmpfs at /dev/shm");
    let logs = folder.path().join("logs");
    std::fs::create_dir(&logs).expect("a folder");
    let (used, free) = space(folder.path());
    // The runbook takes no limit under 1 %.
    let size = ((used + free) * 12 / 1000).max(4096) * 1024;
    let (old, young, outside) = (logs.join("app.log.1"), logs.join("app.log.2"), folder.path().join("other.log.1"));
    let file = std::fs::File::create(&old).expect("an old log");
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, size).expect("room at /dev/shm");
    std::fs::write(&young, "young").expect("a young log");
    std::fs::write(&outside, "outside").expect("a file outside");
    age(&old);
    age(&outside);
    (folder, old, young, outside)
}

fn at_the_terminal(sandbox: &Sandbox, folder: &Path) -> Terminal {
    let gates = "{ high: confirm, irreversible: confirm }";
    let text = format!("library: test\nenvironments: {{ practice: {{ production: false, gates: {gates} }} }}\n");
    _ = sandbox.write("runwright.yaml", &text);
    let (used, free) = space(folder);
    let arguments = [
        "run".to_owned(),
        "disk-filling".to_owned(),
        "--env=practice".to_owned(),
        format!("--input=path={}", folder.display()),
        format!("--input=logs={}", folder.join("logs").display()),
        limit_under(used, free),
        "--input=inode_limit=100".to_owned(),
    ];
    Terminal::open(sandbox, &arguments.each_ref().map(String::as_str))
}

#[test]
fn old_logs_are_deleted_only_when_a_person_says_so() {
    let sandbox = Sandbox::new();
    let (folder, old, young, outside) = full_disk();
    let mut terminal = at_the_terminal(&sandbox, folder.path());
    terminal.sees("app.log.1").sees("go on?").types("n").sees("why?").types("they are needed");
    _ = terminal.exits(4);
    assert!(old.exists() && young.exists() && outside.exists());
    let mut terminal = at_the_terminal(&sandbox, folder.path());
    terminal.sees("app.log.1").sees("go on?").types("y");
    let screen = terminal.exits(0);
    assert!(screen.contains("RESOLVED"), "{screen}");
    assert!(!old.exists() && young.exists() && outside.exists(), "{screen}");
    sandbox.is_whole();
    sandbox.leaves_nothing_behind();
}

/// A limit that the disk is over by a MiB, in percent with six places.
fn limit_under(used: u64, free: u64) -> String {
    let millionths = (used - 1024) * 100_000_000 / (used + free);
    format!("--input=used_limit={}.{:06}", millionths / 1_000_000, millionths % 1_000_000)
}
