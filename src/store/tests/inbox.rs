use super::{Place, id, now, operator, owner, parked, record};
use crate::engine::{Inbox, InboxDecision, InboxWord, RunStore as _, Said, StoreError};
use crate::event::{Actor, AnswerKind, Event, Mark, RunResult, StepPath};
use crate::store::{DECISION_AT_MOST, End, Kept, ResumeError, RunState};
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
    let run = place.store.resume(&id("a-run"), &owner(), None).unwrap().run;
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

fn note(text: &str) -> InboxWord {
    InboxWord { said: Said::Note { text: text.into() }, by: operator(), at: now() }
}

fn texts(place: &Place, run: &str) -> Vec<String> {
    let records = place.store.read(&id(run)).unwrap().records;
    let noted = records.into_iter().filter_map(|record| match record.event {
        Event::Noted { text } => Some(text),
        _ => None,
    });
    noted.collect()
}

#[test]
fn words_and_decisions_do_not_meet() {
    let place = Place::new();
    let run = place.begin("a-run");
    let name = place.store.leave_word(run.id(), &note("one")).unwrap();
    place.store.leave(run.id(), &decision("step")).unwrap();
    let mut inbox = run.inbox().unwrap();
    assert_eq!(inbox.take().unwrap(), [decision("step")]);
    assert_eq!(inbox.words().unwrap(), [note("one")]);
    assert_eq!(inbox.take().unwrap(), []);
    // What is not known to be on record yet is still there for whoever comes after a kill.
    assert!(place.path("runs/a-run/inbox").join(&name).exists());
    assert_eq!(inbox.words().unwrap(), []);
    assert!(!place.store.take_word_back(run.id(), &name).unwrap(), "it was taken up");
    let name = place.store.leave_word(run.id(), &note("two")).unwrap();
    assert!(place.store.take_word_back(run.id(), &name).unwrap());
    assert_eq!(inbox.words().unwrap(), []);
}

#[test]
fn a_run_that_nobody_has_is_written_by_whoever_takes_its_lock() {
    let place = Place::new();
    let mut run = place.begin("a-run");
    assert!(matches!(place.store.add(run.id(), &note("held")), Err(ResumeError::Held { .. })));
    run.append(&mut [parked()]).unwrap();
    run.sync().unwrap();
    drop(run);
    assert_eq!(place.store.add(&id("a-run"), &note("one")).unwrap(), Kept::InRecord);
    assert_eq!(place.store.add(&id("a-run"), &note("one")).unwrap(), Kept::Already);
    let mark = Said::Mark { mark: Mark::Mitigated, at: None, text: None };
    let mark = InboxWord { said: mark, by: operator(), at: now() };
    assert_eq!(place.store.add(&id("a-run"), &mark).unwrap(), Kept::InRecord);
    let last = place.store.read(&id("a-run")).unwrap().records.pop().unwrap();
    assert_eq!(last.event, Event::Marked { mark: Mark::Mitigated, at: now(), text: None });
    assert_eq!((last.actor, last.elapsed_ms), (Actor::Person(operator()), 12));
    assert!(place.store.verify(&id("a-run"), None).unwrap().is_sound());
    // It is parked still, and can be taken up.
    assert!(matches!(place.store.summary(&id("a-run")).unwrap().state, RunState::Parked(_)));
    assert!(place.store.resume(&id("a-run"), &owner(), None).is_ok());
    let abort = InboxWord { said: Said::Abort { reason: "x".into() }, by: operator(), at: now() };
    assert!(matches!(place.store.add(&id("a-run"), &abort), Err(ResumeError::Store(StoreError::Refused { .. }))));
}

#[test]
fn a_torn_line_that_a_note_drops_is_told() {
    let place = Place::new();
    drop(place.begin("a-run"));
    let path = place.transcript("a-run");
    let mut text = fs::read_to_string(&path).unwrap();
    text.push_str("{\"seq\":2,\"ti");
    fs::write(&path, text).unwrap();
    place.store.add(&id("a-run"), &note("one")).unwrap();
    let said = texts(&place, "a-run");
    assert_eq!(said, ["line 2 was being written when the process died; its 12 bytes were dropped", "one"]);
    assert!(place.store.verify(&id("a-run"), None).unwrap().is_sound());
    assert_eq!(place.store.summary(&id("a-run")).unwrap().state, RunState::Interrupted);
}

#[test]
fn what_is_said_after_the_end_stands_beside_the_sealed_record() {
    let place = Place::new();
    let run = place.closed_run("a-run");
    let before = fs::read(place.transcript("a-run")).unwrap();
    for text in ["one", "two"] {
        assert_eq!(place.store.add(&run, &note(text)).unwrap(), Kept::Beside);
    }
    assert_eq!(fs::read(place.transcript("a-run")).unwrap(), before);
    assert_eq!(place.store.summary(&run).unwrap().state, RunState::Ended(RunResult::Resolved));
    let report = place.store.verify(&run, None).unwrap();
    assert!(report.is_sound() && report.end == End::Ledger, "{report:?}");
    let addenda = |place: &Place| place.store.addenda(&place.store.read(&run).unwrap()).unwrap();
    let said: Vec<_> = addenda(&place).records.into_iter().map(|record| (record.seq, record.event)).collect();
    let noted = |text: &str| Event::Noted { text: text.into() };
    assert_eq!(said, [(6, noted("one")), (7, noted("two"))]);
    assert_eq!(addenda(&place).findings, [""; 0]);
    // A line that was changed, one that was put in, one that is torn.
    let path = place.path("runs/a-run/addenda.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let foreign = serde_json::to_string(&record(parked().event)).unwrap();
    fs::write(&path, format!("{}{foreign}\nnonsense\n{{\"seq", text.replacen("one", "eno", 1))).unwrap();
    let found = addenda(&place).findings;
    let words = [
        "line 2 of addenda.jsonl does not follow",
        "line 3 of addenda.jsonl is neither",
        "line 4 of addenda.jsonl cannot",
    ];
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.iter().zip(words).all(|(line, words)| line.starts_with(words)), "{found:?}");
    place.store.add(&run, &note("three")).unwrap();
    assert_eq!(addenda(&place).records.len(), 3, "the torn line is gone, the new one is whole");
}
