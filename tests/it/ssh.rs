//! Steps on another machine, through a real sshd.

use crate::support::sshd::{kill, make_key};
use crate::support::{Output, Sandbox, Sshd};
use std::path::Path;
use std::time::{Duration, Instant};

/// Only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A library with an environment in which nothing asks.
fn bench() -> Sandbox {
    let sandbox = Sandbox::new();
    let gates = "{ low: pass, medium: pass, high: pass, irreversible: pass }";
    let text = format!("library: test\nenvironments:\n  free: {{ production: false, gates: {gates} }}\n");
    _ = sandbox.write("runwright.yaml", &text);
    sandbox
}

/// Writes a runbook with one machine, `web`.
fn runbook(sandbox: &Sandbox, sshd: &Sshd, steps: &str) {
    _ = sandbox.runbook("case", &format!("targets:\n{}steps:\n{steps}", sshd.target("web")));
}

fn run(sandbox: &Sandbox) -> Output {
    sandbox.call(["run", "case", "--env", "free"])
}

/// What a step came to: the last `attempt_ended` of it.
fn ended(run: &Path, step: &str) -> serde_json::Value {
    let events = Sandbox::events(run);
    let of = |event: &&serde_json::Value| event["type"] == "attempt_ended" && event["step"] == step;
    events.iter().rfind(of).unwrap_or_else(|| panic!("no end of {step}: {events:#?}")).clone()
}

/// Waits until something holds.
#[track_caller]
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "this never came: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The processes with this in their command line, zombies left out.
fn processes(words: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ").contains(words)
    })
    .collect()
}

#[test]
fn programs_and_scripts_run_there() {
    let (sandbox, sshd) = (bench(), Sshd::start());
    let steps = "
  - { id: hello, target: web, diagnose: Say, run: [echo, 'a  b', \"it's $HOME\"], show: [hello.stdout] }
  - { id: script, target: web, diagnose: Say, shell: 'echo \"$WORD\" | tr a-z A-Z; pwd', env: { WORD: 'x $(y)' }, cwd: /usr, show: [script.stdout] }
  - { id: lines, target: web, diagnose: Count, run: [wc, -c], stdin: \"four\", expect: lines.stdout == \"4\\n\" }
";
    runbook(&sandbox, &sshd, steps);
    let output = run(&sandbox).exits(0);
    println!("{output}");
    for event in Sandbox::events(&sandbox.only_run()) {
        println!("{event}");
    }
    println!("{}", sshd.log());
    assert_eq!(sshd.logins(), 1, "{}", sshd.log());
    sandbox.leaves_nothing_behind();
}
