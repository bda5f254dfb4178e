//! Background steps with real processes: they serve the steps after them, and nothing is left of them.

use crate::support::Sandbox;
use std::time::{Duration, Instant};

/// Whether a process with this word in its command line runs.
fn runs(word: &str) -> bool {
    let processes = std::fs::read_dir("/proc").expect("processes");
    processes.flatten().any(|entry| {
        let number = entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit());
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        number && String::from_utf8_lossy(&line).contains(word)
    })
}

fn runbook(word: &str, steps: &str) -> String {
    format!(
        "runbook: stays\ntitle: A process that stays\nsteps:\n  - id: server\n    diagnose: Start it\n    \
         shell: |\n      echo started > {word}.ready\n      exec sleep 1000.{word}\n    background: true\n    \
         ready: {{ run: [cat, {word}.ready], expect: stdout | trim == 'started', every: 100ms }}\n{steps}"
    )
}

/// A word that no other test uses.
fn word(test: u32) -> String {
    format!("{}{test}", std::process::id())
}

#[test]
fn it_serves_what_follows_and_is_gone_with_the_run() {
    let (sandbox, word) = (Sandbox::new(), word(1));
    let seen = format!("  - validate: It runs\n    shell: grep -lz 1000.{word} /proc/[0-9]*/cmdline\n");
    sandbox.write("stays.yaml", &runbook(&word, &seen));
    let output = sandbox.runwright("run stays.yaml").exits(0);
    assert!(!runs(&format!("sleep\u{0}1000.{word}")), "{}", output.all());
    sandbox.is_whole();
}

#[test]
fn an_early_end_is_told_and_what_relies_on_it_is_not_performed() {
    let (sandbox, word) = (Sandbox::new(), word(2));
    let text =
        runbook(&word, "  - { diagnose: Wait, wait: 2s }\n  - { id: look, validate: It runs, run: [touch, looked] }\n");
    sandbox.write("stays.yaml", &text.replace("exec sleep 1000", "exec sleep 0"));
    let output = sandbox.runwright("run stays.yaml").exits(1);
    let shown = format!("{}", output.all());
    assert!(shown.contains("ended early") && shown.contains("relies on it"), "{shown}");
    assert!(!sandbox.path("looked").exists());
}

#[test]
fn a_signal_ends_it() {
    let (sandbox, word) = (Sandbox::new(), word(3));
    sandbox.write("stays.yaml", &runbook(&word, "  - { diagnose: Wait, wait: 60s }\n"));
    let mut child = sandbox.command(["run", "stays.yaml"]).spawn().expect("the program starts");
    let deadline = Instant::now() + Duration::from_secs(20);
    let pattern = format!("sleep\u{0}1000.{word}");
    while !runs(&pattern) {
        assert!(Instant::now() < deadline, "it never ran");
        std::thread::sleep(Duration::from_millis(50));
    }
    let pid = rustix::process::Pid::from_raw(child.id().try_into().expect("a number")).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a signal");
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(4), "{status:?}");
    assert!(!runs(&pattern));
}
