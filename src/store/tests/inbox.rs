use super::{Place, id, now, operator, owner};
use crate::engine::{Inbox, InboxDecision, StoreError};
use crate::event::{AnswerKind, StepPath};
use crate::store::DECISION_AT_MOST;
use indexmap::IndexMap;
use std::fs;
use std::os::unix::fs::symlink;

fn decision(step: &str) -> InboxDecision {
    InboxDecision {
        step: StepPath(step.into()),
        digest: "d".repeat(64),
        answer: Some(AnswerKind::Approved),
        chosen: None,
        values: IndexMap::new(),
        reason: Some("seen".into()),
        by: operator(),
        at: now(),
        signed: None,
    }
}

#[test]
fn decisions_are_taken_once_in_the_order_of_their_time() {
    let place = Place::new();
    let run = place.begin("a-run");
    let mut inbox = run.inbox().unwrap();
    assert_eq!(inbox.take().unwrap(), []);
    let later = InboxDecision { at: "2026-11-21T01:20:00Z".parse().unwrap(), ..decision("two") };
    place.store.leave(run.id(), &later).unwrap();
    place.store.leave(run.id(), &decision("one")).unwrap();
    assert_eq!(inbox.take().unwrap(), [decision("one"), later]);
    assert_eq!(inbox.take().unwrap(), []);
    assert_eq!(fs::read_dir(place.path("runs/a-run/inbox")).unwrap().count(), 0);
}

#[test]
fn a_decision_left_for_a_parked_run_waits() {
    let place = Place::new();
    drop(place.begin("a-run"));
    place.store.leave(&id("a-run"), &decision("one")).unwrap();
    let (run, _) = place.store.resume(&id("a-run"), &owner()).unwrap();
    let mut inbox = run.inbox().unwrap();
    assert_eq!(inbox.take().unwrap().len(), 1);
    drop(inbox);
    assert_eq!(run.inbox().unwrap().take().unwrap(), [], "taken and gone with the inbox");
    assert!(matches!(place.store.leave(&id("no-run"), &decision("one")), Err(StoreError::NoRun(_))));
}

#[test]
fn a_decision_survives_a_kill_before_it_is_recorded() {
    let place = Place::new();
    let run = place.begin("a-run");
    place.store.leave(run.id(), &decision("one")).unwrap();
    let mut inbox = run.inbox().unwrap();
    inbox.take().unwrap();
    std::mem::forget(inbox);
    assert_eq!(run.inbox().unwrap().take().unwrap().len(), 1);
}

#[test]
fn what_is_no_decision_is_moved_aside_and_told() {
    let place = Place::new();
    let run = place.begin("a-run");
    let folder = place.path("runs/a-run/inbox");
    fs::write(folder.join("a.json"), "not json").unwrap();
    fs::write(folder.join("b.json"), "").unwrap();
    fs::write(folder.join("c.json"), vec![b' '; usize::try_from(DECISION_AT_MOST).unwrap() + 1]).unwrap();
    fs::create_dir(folder.join("d.json")).unwrap();
    symlink("/etc/passwd", folder.join("e.json")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, folder.join("f.json"), rustix::fs::Mode::RUSR).unwrap();
    fs::write(folder.join(".tmp-g.json"), "{").unwrap();
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        fs::write(folder.join("h.json"), serde_json::to_vec(&decision("theirs")).unwrap()).unwrap();
        std::os::unix::fs::chown(folder.join("h.json"), Some(4711), None).unwrap();
    }
    place.store.leave(run.id(), &decision("good")).unwrap();
    let mut inbox = run.inbox().unwrap();
    let refusals = inbox.refusals();
    assert_eq!(inbox.take().unwrap(), [decision("good")]);
    let told = refusals.take();
    assert_eq!(told.len(), if is_root { 7 } else { 6 }, "{told:?}");
    for (line, words) in
        told.iter().zip(["not a decision", "not a decision", "more than 262144", "plain", "plain", "plain"])
    {
        assert!(line.contains(words), "{line}");
    }
    assert!(!is_root || told[6].contains("belongs to user 4711"));
    assert_eq!(inbox.take().unwrap(), []);
    assert_eq!(refusals.take(), [""; 0]);
    assert_eq!(fs::read_dir(folder.join("refused")).unwrap().count(), told.len());
    // The same name again does not replace what was refused.
    fs::write(folder.join("a.json"), "again").unwrap();
    inbox.take().unwrap();
    assert_eq!(fs::read_to_string(folder.join("refused/a.json")).unwrap(), "not json");
    assert_eq!(fs::read_to_string(folder.join("refused/a.json.2")).unwrap(), "again");
}

#[test]
fn an_oversized_decision_is_not_left() {
    let place = Place::new();
    let run = place.begin("a-run");
    let mut large = decision("one");
    large.reason = Some("x".repeat(300_000));
    assert!(matches!(place.store.leave(run.id(), &large), Err(StoreError::Refused { .. })));
    assert_eq!(run.inbox().unwrap().take().unwrap(), []);
}
