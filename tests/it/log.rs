//! `log`: lines of the journal and of files, as a run sees them.

use crate::support::{Entry, Journal, Sandbox, Sshd, example};
use serde_json::json;
use std::io::Write as _;

#[test]
fn the_example_of_the_reference_runs() {
    let sandbox = Sandbox::library();
    let _ = sandbox.write("log-example.yaml", &example("log-example"));
    let log = sandbox.write("app.log", "12:00 up\n12:01 ERROR pool acquire timed out\n12:02 ERROR ignored\n");
    let file = format!("file={}", log.display());
    _ = sandbox.call(["run", "log-example", "-i", &file]).exits(0).says("pool acquire timed out");
    assert_eq!(sandbox.field("errors", "count"), json!({ "value": 1 }));
    assert_eq!(sandbox.field("errors", "scanned"), json!({ "value": 3 }));
    sandbox.is_whole();
}

/// A runbook with one step that reads a log.
fn look(sandbox: &Sandbox, log: &str, rest: &str) {
    let body = format!("steps:\n  - id: found\n    diagnose: Look\n    log: {log}\n{rest}");
    let _ = sandbox.runbook("look", &body);
}

#[test]
fn the_journal_of_a_unit_is_read_with_its_times() {
    let sandbox = Sandbox::library();
    let mut journal = Journal::new(&sandbox.folder());
    journal.write(&[
        Entry { message: b"not text: \xff\xfe", ..Entry::ago("podium", 90, "") },
        Entry::ago("podium", 60, "ERROR old"),
        Entry::ago("podium", 5, "ERROR in two lines\n  at main.rs:3"),
        Entry::ago("other", 4, "ERROR of another unit"),
        Entry::ago("podium", 3, "up"),
    ]);
    let from = |more: &str| format!("{{ journal: podium, directory: {}{more} }}", journal.folder().display());
    look(&sandbox, &from(", since: 10m, include: ERROR"), "");
    _ = sandbox.runwright("run look").exits(0);
    assert_eq!(sandbox.field("found", "count"), json!({ "value": 1 }));
    assert_eq!(sandbox.field("found", "scanned"), json!({ "value": 3 }), "the second line is a line of its own");
    let last = sandbox.field("found", "last")["value"].as_str().unwrap().to_owned();
    let (time, message) = last.split_once(' ').unwrap();
    assert!(time.parse::<jiff::Timestamp>().is_ok(), "{last}");
    assert_eq!(message, "ERROR in two lines");

    look(&sandbox, &from(", tail: 2"), "");
    _ = sandbox.runwright("run look").exits(0);
    assert_eq!(sandbox.field("found", "count"), json!({ "value": 3 }), "two entries, and one has two lines");

    look(&sandbox, &from(", include: \"^not text: \\uFFFD\""), "");
    _ = sandbox.runwright("run look").exits(0);
    assert_eq!(sandbox.field("found", "count"), json!({ "value": 1 }));
    sandbox.is_whole();
}

#[test]
fn a_journal_that_is_not_there_is_no_quiet_one() {
    let sandbox = Sandbox::library();
    let none = sandbox.path("none");
    look(&sandbox, &format!("{{ journal: podium, directory: {} }}", none.display()), "    tolerate: [not_found]\n");
    _ = sandbox.runwright("run look").exits(0);
    std::fs::create_dir(&none).unwrap();
    look(&sandbox, &format!("{{ journal: podium, directory: {} }}", none.display()), "");
    // An empty folder is a journal without entries.
    let output = sandbox.runwright("run look");
    assert!(output.code == 0 || output.all().contains("no files of the journal"), "{output}");
    sandbox.is_whole();
}

#[test]
fn no_line_is_a_finding_and_a_missing_file_is_an_error() {
    let sandbox = Sandbox::library();
    let _ = sandbox.write("app.log", "up\n");
    look(
        &sandbox,
        "{ file: app.log, include: ERROR }",
        "    expect: count == 0\n    show: [last | default('nothing')]\n",
    );
    _ = sandbox.runwright("run look").exits(0).says("nothing");
    look(&sandbox, "{ file: none.log }", "");
    let steps = "steps:\n  - { id: found, validate: Look, log: { file: none.log }, expect: count == 0 }\n";
    let _ = sandbox.runbook("look", steps);
    _ = sandbox.runwright("run look").exits(1).says("none.log").says("cannot be told");
    let steps = "steps:\n  - { id: found, validate: Look, log: { file: none.log }, tolerate: [not_found], \
                 expect: error == 'not_found' }\n";
    let _ = sandbox.runbook("look", steps);
    _ = sandbox.runwright("run look").exits(0);
    sandbox.is_whole();
}

#[test]
fn a_value_in_a_pattern_stands_for_itself() {
    let sandbox = Sandbox::library();
    let _ = sandbox.write("app.log", "user=a.c failed\nuser=abc failed\nuser=a.c ok\n");
    let body = "
inputs: { user: { type: string, default: a.c } }
steps:
  - id: found
    diagnose: Look
    log: { file: app.log, include: \"user={{ user }} \", exclude: [ok$, never] }
";
    let _ = sandbox.runbook("look", body);
    _ = sandbox.runwright("plan look").exits(0).says("# lines that match user=a\\.c  but not ok$ or never");
    _ = sandbox.runwright("run look").exits(0);
    assert_eq!(sandbox.field("found", "lines"), json!({ "value": ["user=a.c failed"] }));
}

#[test]
fn lines_are_cut_by_the_time_they_begin_with() {
    let sandbox = Sandbox::library();
    let stamp = |minutes: i64| (jiff::Timestamp::now() - jiff::SignedDuration::from_mins(minutes)).to_string();
    let text = format!("{} old\n{} new\n  at main.rs:3\n", stamp(60), stamp(1));
    let _ = sandbox.write("app.log", &text);
    look(&sandbox, "{ file: app.log, since: 10m }", "");
    _ = sandbox.runwright("run look").exits(0);
    assert_eq!(sandbox.field("found", "count"), json!({ "value": 2 }));
    let _ = sandbox.write("app.log", "up\n");
    let steps = "steps:\n  - { validate: Look, log: { file: app.log, since: 10m }, expect: count == 0 }\n";
    let _ = sandbox.runbook("look", steps);
    _ = sandbox.runwright("run look").exits(1).tells("begins with a time");
}

#[test]
fn a_line_is_waited_for() {
    let sandbox = Sandbox::library();
    let log = sandbox.write("app.log", "starting\n");
    let wait = "    until: { expect: count > 0, every: 50ms, within: 20s }\n";
    look(&sandbox, "{ file: app.log, include: \"^ready\" }", wait);
    let mut child = sandbox.command(["run", "look"]).stderr(std::process::Stdio::null()).spawn().unwrap();
    // It has looked in vain at least twice.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while sandbox.runs().first().is_none_or(|run| !tried(run, 2)) {
        assert!(std::time::Instant::now() < deadline, "it does not look");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    std::fs::OpenOptions::new().append(true).open(&log).unwrap().write_all(b"ready\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(sandbox.field("found", "last"), json!({ "value": "ready" }));
    sandbox.is_whole();
}

/// Whether so many attempts are over.
fn tried(run: &std::path::Path, times: usize) -> bool {
    let text = std::fs::read_to_string(run.join("transcript.jsonl")).unwrap_or_default();
    text.matches("\"attempt_ended\"").count() >= times
}

#[test]
fn a_log_of_any_size_and_shape_is_read_in_bounded_memory() {
    let sandbox = Sandbox::library();
    let path = sandbox.path("app.log");
    let mut file = std::fs::File::create(&path).unwrap();
    // 5 GB that are not on the disk, then a line of 3 MiB, then what is looked for.
    file.set_len(5 << 30).unwrap();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).unwrap();
    file.write_all(b"\n").unwrap();
    file.write_all(&b"log ".repeat(3 << 18)).unwrap();
    file.write_all(b"\nERROR \xff last\n").unwrap();
    let steps = "
steps:
  - id: found
    validate: Look
    log: { file: app.log, tail: 2 }
    capture: { longest: lines | map('length') | max }
    expect: [longest > 1048570, longest < 1048700, first is endingwith('2 MiB more)')]
";
    let _ = sandbox.runbook("look", steps);
    let began = std::time::Instant::now();
    _ = sandbox.runwright("run look").exits(0);
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(sandbox.field("found", "last"), json!({ "value": "ERROR \u{fffd} last" }));

    look(&sandbox, "{ file: app.log }", "    timeout: 200ms\n");
    _ = sandbox.runwright("run look").says("not read to its end within 200ms");
    sandbox.is_whole();
}

#[test]
fn a_secret_in_a_line_is_not_kept() {
    let sandbox = Sandbox::library();
    let _ = sandbox.write("app.log", "token hunter2hunter2 given\n");
    let body = "
inputs: { token: { type: string, secret: true, from: { env: TOKEN } } }
steps:
  - { id: found, diagnose: Look, log: { file: app.log, include: token }, show: [last] }
";
    let _ = sandbox.runbook("look", body);
    let output = crate::support::finish(sandbox.command(["run", "look"]).env("TOKEN", "hunter2hunter2"));
    let output = output.exits(0);
    assert!(!output.all().contains("hunter2"), "{output}");
    for entry in walk(&sandbox.only_run()) {
        let bytes = std::fs::read(&entry).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("hunter2"), "{}", entry.display());
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn the_logs_of_another_machine_are_read_there() {
    let (sandbox, sshd) = (Sandbox::library(), Sshd::start());
    let log = sandbox.write("far.log", "up\nERROR one\nERROR two\n");
    let mut journal = Journal::new(&sandbox.folder());
    journal.write(&[Entry::ago("podium", 60, "ERROR old"), Entry::ago("podium", 2, "ERROR new")]);
    let body = format!(
        "targets:\n{}steps:\n  - {{ id: file, target: web, diagnose: One, log: {{ file: {log}, tail: 2, include: ERROR }} }}\n  - {{ \
         id: gone, target: web, diagnose: Two, log: {{ file: {log}.1 }}, tolerate: [not_found], expect: error == 'not_found' }}\n  - {{ \
         id: journal, target: web, diagnose: Three, log: {{ journal: podium, directory: {folder}, since: 10m }} }}\n",
        sshd.target("web"),
        log = log.display(),
        folder = journal.folder().display(),
    );
    let _ = sandbox.runbook("far", &body);
    let output = sandbox.runwright("run far").exits(0);
    assert!(!output.all().contains("does not hold"), "{output}");
    assert_eq!(sandbox.field("file", "lines"), json!({ "value": ["ERROR one", "ERROR two"] }));
    assert_eq!(sandbox.field("journal", "count"), json!({ "value": 1 }));
    sandbox.is_whole();
    sandbox.leaves_nothing_behind();
}

#[test]
fn the_lines_of_pods_are_read_through_kubectl() {
    let sandbox = Sandbox::library();
    let kube = crate::kubernetes_api::with_web();
    let lines = ["starting", "ERROR one", "ERROR two", "up"];
    kube.control(&json!({ "logs": { "pod": "web-*", "container": "web", "lines": lines } }));
    let body = format!(
        "targets:\n  cluster: {{ kubernetes: {{ context: prod, namespace: default, kubeconfig: {} }} }}\nsteps:\n  - {{ id: pods, \
         diagnose: One, log: {{ kubectl: {{ selector: app=web, container: web }}, include: ^ERROR }} }}\n  - {{ id: last, diagnose: \
         Two, log: {{ kubectl: {{ selector: app=web }}, tail: 1 }} }}\n  - {{ id: gone, diagnose: Three, log: {{ kubectl: {{ pod: \
         nothing }} }}, tolerate: [not_found], expect: error == 'not_found' }}\n",
        kube.kubeconfig().display()
    );
    let _ = sandbox.runbook("pods", &body);
    let output = sandbox.runwright("run pods").exits(0);
    assert!(!output.all().contains("does not hold"), "{output}");
    assert_eq!(sandbox.field("pods", "count"), json!({ "value": 4 }), "two lines of two pods");
    let first = sandbox.field("pods", "first")["value"].as_str().unwrap().to_owned();
    assert!(first.starts_with("[pod/web-") && first.ends_with("/web] ERROR one"), "{first}");
    assert_eq!(sandbox.field("last", "count"), json!({ "value": 2 }), "the last line of each pod");
    sandbox.is_whole();
}
