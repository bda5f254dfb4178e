//! What `plan` does to the world, seen by the system calls it makes: nothing.

#![expect(clippy::disallowed_methods, reason = "the program is traced by a program")]

use std::path::Path;
use std::process::Command;

/// The system calls of one call of the program, as strace tells them.
fn trace(calls: &str, arguments: &[&str]) -> (String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("trace");
    let output = Command::new("strace")
        .args(["-f", "-qq", "-e", &format!("trace={calls}"), "-o"])
        .arg(&log)
        .arg(env!("CARGO_BIN_EXE_runwright"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("RUNWRIGHT_STORE", folder.path().join("store"))
        .output()
        .expect("strace is missing: install the package strace");
    let trace = std::fs::read_to_string(&log).expect("a trace");
    (trace, String::from_utf8_lossy(&output.stdout).into_owned())
}

const PLAN: &[&str] = &[
    "plan",
    "quarantine-overflow",
    "--library",
    "runbooks",
    "--env",
    "simulator",
    "-i",
    "stemedb_url=http://127.0.0.1:9",
];

/// One step of each mechanism, on targets of every kind.
const MECHANISMS: &[&str] = &["plan", "tests/inputs/valid/mechanisms.yaml"];

#[test]
fn plan_starts_no_process() {
    starts_no_process(PLAN);
    starts_no_process(MECHANISMS);
}

fn starts_no_process(arguments: &[&str]) {
    let (trace, stdout) = trace("process", arguments);
    assert!(stdout.contains("nothing is executed"), "{stdout}");
    let started: Vec<_> = trace.lines().filter(|line| line.contains("execve(")).collect();
    assert_eq!(started.len(), 1, "only the program itself: {started:#?}");
    let forked =
        trace.lines().filter(|line| line.contains("fork(") || line.contains("clone(") || line.contains("clone3("));
    let forked: Vec<_> = forked.filter(|line| !line.contains("CLONE_THREAD")).collect();
    assert!(forked.is_empty(), "{forked:#?}");
}

#[test]
fn plan_opens_no_socket() {
    for arguments in [PLAN, MECHANISMS] {
        let (trace, _) = trace("network", arguments);
        let network: Vec<_> = trace.lines().filter(|line| !line.contains("+++")).collect();
        assert!(network.is_empty(), "{network:#?}");
    }
}

#[test]
fn plan_writes_no_file_but_its_own() {
    writes_no_file(PLAN);
    writes_no_file(MECHANISMS);
}

fn writes_no_file(arguments: &[&str]) {
    let (trace, _) = trace("%file,write", arguments);
    let writing =
        trace.lines().filter(|line| line.contains("O_WRONLY") || line.contains("O_RDWR") || line.contains("O_CREAT"));
    let foreign: Vec<_> = writing.filter(|line| !line.contains("/dev/tty") && !line.contains("/store")).collect();
    assert!(foreign.is_empty(), "{foreign:#?}");
    for call in ["unlink", "rename(", "renameat", "mkdir"] {
        let found: Vec<_> = trace.lines().filter(|line| line.contains(call) && !line.contains("/store")).collect();
        assert!(found.is_empty(), "{found:#?}");
    }
}

/// The trace sees what it should: a run of the same kind does start processes.
#[test]
fn the_trace_would_see_a_process() {
    let (trace, _) = trace("process", &["run", "disk-filling"]);
    assert!(trace.lines().filter(|line| line.contains("execve(")).count() > 3);
    assert!(Path::new("/proc/self").exists());
}
