#![expect(clippy::disallowed_methods, reason = "a real process is killed")]

use super::{Place, id, noted, now, owner, started};
use crate::engine::RunStore;
use crate::store::{RunState, Store, Taken};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

const STORE: &str = "RUNWRIGHT_TEST_STORE";

/// Writes for ever, and says after each sync which line is durable.
#[test]
#[ignore = "the child of the test below, which kills it"]
fn writer() {
    let store = Store::open(Path::new(&std::env::var_os(STORE).unwrap()), true).unwrap();
    let run_id = id("a-run");
    let mut run = store.create(&run_id, &owner()).unwrap();
    run.append(&mut [started(&run_id, store.id())]).unwrap();
    let mut evidence = run.evidence().begin("stdout").unwrap();
    evidence.write(b"a first line\n").unwrap();
    loop {
        let mut records = [noted("one"), noted("two")];
        run.append(&mut records).unwrap();
        run.sync().unwrap();
        writeln!(std::io::stdout(), "durable {}", records[1].seq).unwrap();
    }
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let place = Place::new();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::kill::writer", "--ignored", "--nocapture"])
        .env(STORE, place.store.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let durable = |line: String| line.strip_prefix("durable ").and_then(|seq| seq.parse::<u64>().ok());
    let mut acknowledged = lines.map(Result::unwrap).filter_map(durable);
    let seen = acknowledged.nth(30).unwrap();
    assert!(place.store.is_live(&id("a-run")));
    child.kill().unwrap();
    child.wait().unwrap();
    let last = acknowledged.last().unwrap_or(seen);

    assert!(!place.store.is_live(&id("a-run")));
    assert_eq!(place.store.summary(&id("a-run")).unwrap().state, RunState::Interrupted);
    let Taken { mut run, transcript, .. } = place.store.resume(&id("a-run"), &owner(), None).unwrap();
    assert!(transcript.lines >= last, "{} lines, {last} were acknowledged", transcript.lines);
    assert_eq!(transcript.records.last().unwrap().time, now());
    assert_eq!(run.adopt_leftovers().unwrap()[0].excerpt, "a first line\n");
    run.append(&mut [super::ended()]).unwrap();
    run.close().unwrap();
    drop(run);
    assert!(place.again().verify_all().unwrap().is_sound());
}
