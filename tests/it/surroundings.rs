//! A record in surroundings that fail it: full and read-only disks, folders that go away, runs that are moved.

use crate::support::{Sandbox, Terminal};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const CASE: &str = "
steps:
  - { id: look, diagnose: Look, run: [date] }
  - { id: act, remediate: Make it, run: [touch, made], undo: { run: [rm, made] } }
  - { id: made, validate: It is made, run: [test, -e, made] }
";

/// A memory file system of its own. Mounting one takes root, or sudo that asks nothing.
struct Disk(PathBuf);

impl Disk {
    fn mounted(path: &Path, mib: u32) -> Self {
        fs::create_dir_all(path).expect("a folder");
        let us = rustix::process::geteuid().as_raw();
        let options = format!("size={mib}m,mode=0700,uid={us}");
        mount(&["-t", "tmpfs", "-o", &options, "tmpfs"], path);
        Self(path.to_owned())
    }

    fn read_only(&self) {
        mount(&["-o", "remount,ro"], &self.0);
    }

    /// Takes all but so many KiB.
    fn fill(&self, all_but: u64) -> PathBuf {
        let stat = rustix::fs::statvfs(&self.0).expect("its size");
        let size = (stat.f_bavail * stat.f_frsize).saturating_sub(all_but * 1024);
        let path = self.0.join("ballast");
        let file = fs::File::create(&path).expect("ballast");
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, size).expect("room for it");
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(as_root("umount").arg("--lazy").arg(&self.0).status());
    }
}

#[track_caller]
fn mount(arguments: &[&str], path: &Path) {
    let status = as_root("mount").args(arguments).arg(path).status().expect("mount (or sudo): the package mount");
    assert!(status.success(), "mount {arguments:?} {}: this takes root, or sudo without a password", path.display());
}

fn as_root(program: &str) -> Command {
    if rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.args(["--non-interactive", program]);
    command
}

fn case() -> Sandbox {
    let sandbox = Sandbox::library();
    _ = sandbox.runbook("case", CASE);
    sandbox
}

#[test]
fn a_full_disk_is_refused_before_the_start() {
    let sandbox = case();
    let disk = Disk::mounted(&sandbox.store(), 16);
    _ = disk.fill(1024);
    let output = sandbox.call(["run", "case", "--env", "free"]).exits(8);
    _ = output.says("disk-full").tells("the record keeps 4194304 in reserve").tells("--store DIR");
    assert!(sandbox.runs().is_empty() && !sandbox.path("made").exists());
    _ = sandbox.call(["list"]).exits(0);
}

#[test]
fn a_disk_that_fills_in_mid_run_stops_it_before_its_change() {
    let sandbox = case();
    let disk = Disk::mounted(&sandbox.store(), 16);
    let mut terminal = Terminal::open(&sandbox, &["run", "case", "--env", "prod"]);
    terminal.sees("go on?");
    let ballast = disk.fill(2048);
    terminal.types("y");
    let screen = terminal.exits(8);
    let run = sandbox.only_run().file_name().expect("a name").to_string_lossy().into_owned();
    let flowing = screen.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in ["`act` was not started", "the record keeps 4194304 in reserve", &format!("runwright resume {run}")] {
        assert!(flowing.contains(words), "{words}\n{screen}");
    }
    assert!(!sandbox.path("made").exists());
    _ = sandbox.call(["resume", "last", "--yes=medium"]).exits(8).says("make room there");
    fs::remove_file(ballast).expect("room");
    _ = sandbox.call(["resume", "last", "--yes=medium"]).exits(0);
    assert!(sandbox.path("made").exists());
    sandbox.is_whole();
    sandbox.leaves_nothing_behind();
}

#[test]
fn a_store_on_a_read_only_disk_can_be_read_and_starts_nothing() {
    let sandbox = case();
    let disk = Disk::mounted(&sandbox.store(), 16);
    _ = sandbox.call(["run", "case", "--env", "free"]).exits(0);
    _ = sandbox.call(["run", "case", "--env", "prod"]).exits(5);
    fs::remove_file(sandbox.path("made")).expect("a file");
    disk.read_only();
    let output = sandbox.call(["run", "case", "--env", "free"]).exits(8);
    _ = output.says("ead-only file system").tells("--store DIR names another");
    _ = sandbox.call(["resume", "last", "--yes=medium"]).exits(8).says("ead-only file system");
    assert!(!sandbox.path("made").exists());
    _ = sandbox.call(["list"]).exits(0).says("resolved").says("parked");
    _ = sandbox.call(["show", "last"]).exits(0).says("touch");
    _ = sandbox.call(["verify", "--all"]).exits(0);
}

#[test]
fn a_record_that_goes_away_stops_the_run_before_its_change() {
    type Attack = fn(&Sandbox);
    let attacks: [(&str, Attack, &str); 4] = [
        ("removed", |sandbox| fs::remove_file(sandbox.only_run().join("transcript.jsonl")).expect("it"), "was removed"),
        (
            "cut",
            |sandbox| {
                let file = fs::File::options().write(true).open(sandbox.only_run().join("transcript.jsonl"));
                file.expect("it").set_len(100).expect("cut");
            },
            "its end was cut",
        ),
        ("the run's folder", |sandbox| fs::remove_dir_all(sandbox.only_run()).expect("it"), "was removed"),
        ("the store", |sandbox| fs::remove_dir_all(sandbox.store()).expect("it"), "was removed"),
    ];
    for (what, attack, words) in attacks {
        let sandbox = case();
        let mut terminal = Terminal::open(&sandbox, &["run", "case", "--env", "prod"]);
        terminal.sees("go on?");
        attack(&sandbox);
        terminal.types("y");
        let screen = terminal.exits(8);
        let flowing = screen.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flowing.contains(words), "{what}\n{screen}");
        assert!(!sandbox.path("made").exists(), "{what}");
        sandbox.leaves_nothing_behind();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").map(|entry| entry.expect("an entry")) {
        let to = to.join(entry.file_name());
        if entry.file_type().expect("its type").is_dir() {
            copy(&entry.path(), &to);
        } else {
            drop(fs::copy(entry.path(), to));
        }
    }
}

#[test]
fn a_run_that_was_moved_goes_on_there_and_a_fork_shows() {
    let sandbox = case();
    _ = sandbox.call(["run", "case", "--env", "prod"]).exits(5);
    let run = sandbox.only_run();
    let name = run.file_name().expect("a name").to_string_lossy().into_owned();
    let other = sandbox.path("other-store");
    let at = other.display().to_string();
    _ = sandbox.call(["--store", &at, "list"]).exits(0);
    fs::set_permissions(&other, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("its mode");
    copy(&run, &other.join("runs").join(&name));
    _ = sandbox.call(["--store", &at, "resume", &name, "--yes=medium", "--as", "bo"]).exits(0);
    let events = Sandbox::events(&other.join("runs").join(&name));
    let resumed = events.iter().find(|event| event["event"]["kind"] == "run_resumed").expect("it was taken up");
    assert!(resumed["event"]["moved_from"].is_string(), "{resumed}");
    assert_ne!(resumed["event"]["store"], events[0]["event"]["store"]);
    let verified = sandbox.call(["--store", &at, "verify", &name]).exits(0);
    _ = verified.says("end: in the ledger").says("began in another store");
    // The copy that stayed behind goes on as well: both are whole by themselves, and not the same run any more.
    fs::remove_file(sandbox.path("made")).expect("what the other made");
    _ = sandbox.call(["resume", &name, "--yes=medium"]).exits(0);
    let head = sandbox.call(["verify", &name]).exits(0).stdout;
    let head = head.lines().find_map(|line| line.trim().strip_prefix("head ")).expect("a head").to_owned();
    let forked = sandbox.call(["--store", &at, "verify", &name, "--against", &head]).exits(1);
    _ = forked.says("no line has the given head").tells("a copy of the run went on elsewhere");
}
