use super::{Place, attempt_started, id, noted, owner, parked, record};
use crate::engine::{RunStore, StoreError};
use crate::event::{Event, Resumption, RunId};
use crate::store::{DirRun, Owner, ResumeError, Store, TakeOver, Taken, Whereabouts};
use std::fs;
use std::path::Path;

fn elsewhere() -> Owner {
    Owner { host: "ops2".into(), boot: "c".into(), machine: "n".into(), pid: 5, ..owner() }
}

fn with_reason() -> TakeOver {
    TakeOver { reason: "ops1 burnt down".into() }
}

fn held(taken: Result<Taken, ResumeError>) -> (Whereabouts, String) {
    match taken {
        Err(ResumeError::Held(holding)) => (holding.whereabouts, holding.to_string()),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was taken"),
    }
}

fn begun(place: &Place) -> DirRun {
    let mut run = place.begin("a-run");
    run.append(&mut [attempt_started()]).unwrap();
    run.sync().unwrap();
    run
}

fn resume(store: &Store, run: &RunId, owner: &Owner, take_over: Option<&TakeOver>) -> Result<Taken, ResumeError> {
    store.resume(run, owner, take_over)
}

/// Copies a run's folder into another store.
fn copied(place: &Place, other: &Place) {
    copy(&place.path("runs/a-run"), &other.path("runs/a-run"));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() { copy(&entry.path(), &to) } else { drop(fs::copy(entry.path(), to)) }
    }
}

#[test]
fn a_dead_process_of_this_machine_needs_no_word() {
    let place = Place::new();
    drop(begun(&place));
    let rebooted = Owner { boot: "later".into(), ..owner() };
    let taken = resume(&place.store, &id("a-run"), &rebooted, None).unwrap();
    assert_eq!((taken.before, taken.moved_from), (Some(owner()), None));
}

#[test]
fn a_process_of_another_machine_is_passed_over_only_with_a_reason() {
    let place = Place::new();
    drop(begun(&place));
    let (whereabouts, text) = held(resume(&place.store, &id("a-run"), &elsewhere(), None));
    assert_eq!(whereabouts, Whereabouts::Unseen);
    assert!(text.starts_with("run `a-run` was last had by anna, process 4711 on ops1, since 2026"), "{text}");
    assert!(text.contains("at `cause`") && text.ends_with("nobody can see whether that process is gone"), "{text}");
    let taken = resume(&place.store, &id("a-run"), &elsewhere(), Some(&with_reason())).unwrap();
    assert_eq!(taken.moved_from, None, "the same store, used from another machine");
    assert_eq!(place.store.owner(&id("a-run")), Some(elsewhere()));
}

#[test]
fn a_run_that_was_let_go_in_order_is_taken_anywhere() {
    let place = Place::new();
    let mut run = begun(&place);
    run.append(&mut [parked()]).unwrap();
    run.close().unwrap();
    drop(run);
    assert!(resume(&place.store, &id("a-run"), &elsewhere(), None).is_ok());
}

#[test]
fn a_live_process_of_this_machine_is_not_passed_over() {
    let place = Place::new();
    let run = begun(&place);
    for us in [owner(), Owner { boot: "c".into(), ..owner() }] {
        let taken = resume(&place.store, run.id(), &us, Some(&with_reason()));
        assert_eq!(held(taken).0, Whereabouts::Here);
    }
}

#[test]
fn an_owner_that_was_passed_over_writes_nothing_more() {
    let place = Place::new();
    let mut old = begun(&place);
    assert_eq!(held(resume(&place.store, old.id(), &elsewhere(), None)).0, Whereabouts::Elsewhere);
    let mut taken = resume(&place.store, old.id(), &elsewhere(), Some(&with_reason())).unwrap();
    let before = fs::read(place.transcript("a-run")).unwrap();
    old.append(&mut [attempt_started()]).unwrap();
    for error in [old.sync().unwrap_err(), old.append(&mut [noted("x")]).unwrap_err(), old.room().unwrap_err()] {
        assert!(matches!(error, StoreError::TakenOver { .. }), "{error}");
        assert!(error.to_string().starts_with("run `a-run` was taken over by anna, process 5 on ops2"), "{error}");
    }
    assert_eq!(fs::read(place.transcript("a-run")).unwrap(), before);
    taken.run.append(&mut [noted("mine")]).unwrap();
    taken.run.sync().unwrap();
    drop(old);
    assert!(place.store.is_live(&id("a-run")), "the lock of the older owner counts no more");
    assert!(place.store.verify(&id("a-run"), None).unwrap().is_sound());
}

#[test]
fn a_copy_in_another_store_tells_where_it_was() {
    let (place, other) = (Place::new(), Place::new());
    let mut run = begun(&place);
    run.append(&mut [parked()]).unwrap();
    run.close().unwrap();
    drop(run);
    copied(&place, &other);
    let Taken { mut run, moved_from, .. } = resume(&other.store, &id("a-run"), &elsewhere(), None).unwrap();
    assert_eq!(moved_from.as_deref(), Some("ops1"));
    run.append(&mut [resumed(&elsewhere(), other.store.id()), parked()]).unwrap();
    run.close().unwrap();
    drop(run);
    let taken = resume(&other.store, &id("a-run"), &elsewhere(), None).unwrap();
    assert_eq!(taken.moved_from, None, "it is at home there now");
}

fn resumed(by: &Owner, store: &str) -> crate::event::Record {
    record(Event::RunResumed(Box::new(Resumption {
        operator: by.operator.clone(),
        host: by.host.clone(),
        boot: by.boot.clone(),
        pid: by.pid,
        version: "0.1.0".into(),
        store: store.into(),
        moved_from: None,
        reason: None,
        torn: None,
        leftovers: Vec::new(),
        runbook: None,
        refresh: false,
        folder: None,
        library: None,
        programs: Vec::new(),
    })))
}

#[test]
fn a_copy_is_not_taken_while_the_original_lives() {
    let (place, other) = (Place::new(), Place::new());
    let id = id("a-run");
    let real = Owner::this_process(owner().operator, owner().since);
    let mut run = place.store.create(&id, &real).unwrap();
    run.append(&mut [super::started(&id, place.store.id()), attempt_started()]).unwrap();
    run.sync().unwrap();
    copied(&place, &other);
    let us = Owner { pid: real.pid + 1, ..real.clone() };
    let (whereabouts, text) = held(resume(&other.store, &id, &us, Some(&with_reason())));
    assert_eq!(whereabouts, Whereabouts::Original);
    assert!(text.ends_with("this folder is a copy of the one it has"), "{text}");
    let gone = fs::read_to_string(other.path("runs/a-run/owner.json")).unwrap();
    let gone = gone.replace(&format!("\"started\":{}", real.started), "\"started\":1");
    fs::write(other.path("runs/a-run/owner.json"), gone).unwrap();
    assert!(resume(&other.store, &id, &us, None).is_ok(), "its number belongs to another process now");
}

#[test]
fn a_transcript_that_is_removed_cut_or_written_to_stops_the_run() {
    type Attack = fn(&Path);
    let attacks: [(Attack, &str); 4] = [
        (|path| fs::remove_file(path).unwrap(), "removed"),
        (|path| fs::File::options().write(true).open(path).unwrap().set_len(10).unwrap(), "cut"),
        (|path| fs::write(path, fs::read(path).unwrap().repeat(2)).unwrap(), "something else has written"),
        (
            |path| {
                let copy = path.with_extension("copy");
                fs::copy(path, &copy).unwrap();
                fs::rename(copy, path).unwrap();
            },
            "another file",
        ),
    ];
    for (attack, word) in attacks {
        let place = Place::new();
        let mut run = begun(&place);
        attack(&place.transcript("a-run"));
        run.append(&mut [attempt_started()]).unwrap();
        let error = run.sync().unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains(word), "{cause}");
        assert!(run.sync().is_err() && run.room().is_err(), "it stays broken");
    }
}

#[test]
fn a_sign_of_life_moves_the_time_of_the_owners_file() {
    let place = Place::new();
    let run = begun(&place);
    let path = place.path("runs/a-run/owner.json");
    let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    fs::File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
    let ago = |place: &Place| place.store.holding(run.id(), owner().since).unwrap().last_sign.unwrap();
    assert!(ago(&place).as_hours() > 24 * 365);
    let text = fs::read(&path).unwrap();
    run.heartbeat().beat();
    assert!(fs::metadata(&path).unwrap().modified().unwrap() > long_ago);
    assert_eq!(fs::read(&path).unwrap(), text);
}
