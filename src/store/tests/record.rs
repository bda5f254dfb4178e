use super::{Place, attempt_ended, attempt_started, ended, ended_with, id, noted, owner, record};
use crate::engine::{RunStore, StoreError};
use crate::event::{Event, StoredValue};
use crate::expr::SecretText;
use crate::store::mask::write_masked_line;
use crate::store::run::{Disk, room};
use crate::store::{Masker, ResumeError, Taken};
use indexmap::IndexMap;
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn what_was_appended_is_read_back() {
    let place = Place::new();
    let mut run = place.begin("a-run");
    let mut records = [attempt_started(), attempt_ended(Vec::new()), noted("ünïcode \u{0} \n"), ended()];
    run.append(&mut records).unwrap();
    assert_eq!((records[0].seq, records[3].seq), (2, 5));
    let head = run.close().unwrap();
    let transcript = place.store.read(&id("a-run")).unwrap();
    assert_eq!(transcript.records[1..], records);
    assert_eq!((transcript.lines, &transcript.head, transcript.torn), (5, &head, None));
    let text = fs::read_to_string(place.transcript("a-run")).unwrap();
    let last = text.lines().last().unwrap();
    assert_eq!(head, Sha256::digest(last).iter().map(|byte| format!("{byte:02x}")).collect::<String>());
}

#[test]
fn nothing_is_on_disk_before_the_sync() {
    let place = Place::new();
    let mut run = place.begin("a-run");
    let before = fs::read(place.transcript("a-run")).unwrap();
    run.append(&mut [noted("x")]).unwrap();
    assert_eq!(fs::read(place.transcript("a-run")).unwrap(), before);
    run.sync().unwrap();
    assert!(fs::read(place.transcript("a-run")).unwrap().len() > before.len());
}

/// A disk that takes a number of bytes, and counts syncs.
struct Small {
    left: usize,
    syncs: Arc<AtomicUsize>,
    sync_fails: bool,
}

impl Disk for Small {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > self.left {
            return Err(io::Error::from_raw_os_error(28));
        }
        self.left -= bytes.len();
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        if self.sync_fails { Err(io::Error::from_raw_os_error(5)) } else { Ok(()) }
    }
}

fn code(result: Result<(), StoreError>) -> Option<i32> {
    match result {
        Err(StoreError::Io { source, .. }) => source.raw_os_error(),
        _ => None,
    }
}

#[test]
fn a_full_disk_breaks_the_record_for_good() {
    let place = Place::new();
    let mut run = place.begin("a-run");
    let syncs = Arc::new(AtomicUsize::new(0));
    run.disk = Box::new(Small { left: 2000, syncs: Arc::clone(&syncs), sync_fails: false });
    run.append(&mut [noted("small"), noted("small")]).unwrap();
    run.sync().unwrap();
    run.sync().unwrap();
    assert_eq!(syncs.load(Ordering::Relaxed), 1, "one sync for two records, none for nothing");
    run.append(&mut [noted(&"big".repeat(1000))]).unwrap();
    assert_eq!(code(run.sync()), Some(28));
    assert_eq!(code(run.sync()), Some(28));
    assert_eq!(code(run.append(&mut [noted("x")])), Some(28));
    assert_eq!(code(run.room()), Some(28));
    assert_eq!(code(run.close().map(drop)), Some(28));
    assert_eq!(syncs.load(Ordering::Relaxed), 1, "nothing was tried again");
}

#[test]
fn a_failed_sync_is_not_tried_again() {
    let place = Place::new();
    let mut run = place.begin("a-run");
    let syncs = Arc::new(AtomicUsize::new(0));
    run.disk = Box::new(Small { left: 100_000, syncs: Arc::clone(&syncs), sync_fails: true });
    run.append(&mut [ended()]).unwrap();
    for _ in 0..3 {
        assert_eq!(code(run.sync()), Some(5));
        assert_eq!(code(run.close().map(drop)), Some(5));
    }
    assert_eq!(syncs.load(Ordering::Relaxed), 1);
    assert!(place.store.ledger().unwrap().is_empty(), "a broken record is not entered");
}

#[test]
fn room_keeps_a_reserve() {
    let place = Place::new();
    let run = place.begin("a-run");
    run.room().unwrap();
    let error = room(place.store.root(), u64::MAX).unwrap_err();
    assert!(matches!(error, StoreError::Full { reserve: u64::MAX, .. }), "{error}");
}

#[test]
fn one_owner_at_a_time() {
    let place = Place::new();
    let run = place.begin("a-run");
    let Err(error) = place.store.resume(run.id(), &owner(), None) else { panic!("two owners") };
    assert_eq!(
        error.to_string(),
        "run `a-run` is held by anna, process 4711 on ops1, since 2026-11-21 01:14:09 UTC, at `cause`, last sign of life 0 s ago"
    );
    drop(run);
    assert!(place.store.resume(&id("a-run"), &owner(), None).is_ok());
}

#[test]
fn a_killed_run_is_taken_up_after_its_last_whole_line() {
    let place = Place::new();
    let mut run = place.begin("a-run");
    run.append(&mut [attempt_started()]).unwrap();
    run.sync().unwrap();
    drop(run);
    let whole = fs::read(place.transcript("a-run")).unwrap();
    let mut torn = whole.clone();
    torn.extend(b"{\"seq\":3,\"ti");
    fs::write(place.transcript("a-run"), &torn).unwrap();
    let Taken { mut run, transcript, .. } = place.store.resume(&id("a-run"), &owner(), None).unwrap();
    assert_eq!(transcript.torn.map(|torn| (torn.line, torn.bytes)), Some((3, 12)));
    assert_eq!(fs::read(place.transcript("a-run")).unwrap(), whole);
    let mut records = [noted("again"), ended()];
    run.append(&mut records).unwrap();
    assert_eq!(records[0].seq, 3);
    run.close().unwrap();
    drop(run);
    assert!(place.store.verify_all().unwrap().is_sound());
    let Err(error) = place.store.resume(&id("a-run"), &owner(), None) else { panic!("an end is final") };
    assert!(matches!(error, ResumeError::Ended { .. }));
}

#[test]
fn a_crash_between_the_close_and_the_ledger_is_repaired() {
    let place = Place::new();
    let mut run = place.begin("a-run");
    run.append(&mut [ended()]).unwrap();
    run.sync().unwrap();
    let store = place.again();
    assert!(store.ledger().unwrap().is_empty(), "its owner still lives");
    let head = run.head().to_owned();
    drop(run);
    let store = place.again();
    let entries = store.ledger().unwrap();
    assert_eq!((entries.len(), &entries[0].head, entries[0].lines), (1, &head, 2));
    assert_eq!(place.again().ledger().unwrap().len(), 1, "repaired once");
    assert!(store.verify_all().unwrap().is_sound());
}

#[test]
fn a_crash_between_the_ledger_and_its_mark_enters_nothing_twice() {
    let place = Place::new();
    place.closed_run("a-run");
    fs::write(place.path("open/a-run"), "").unwrap();
    assert_eq!(place.again().ledger().unwrap().len(), 1);
    assert!(!place.path("open/a-run").exists());
}

#[test]
fn a_ledger_line_cut_by_a_crash_is_written_again() {
    let place = Place::new();
    place.closed_run("a-run");
    place.closed_run("b-run");
    let whole = fs::read(place.path("ledger.jsonl")).unwrap();
    fs::write(place.path("ledger.jsonl"), &whole[..whole.len() - 20]).unwrap();
    fs::write(place.path("open/b-run"), "").unwrap();
    let store = place.again();
    assert_eq!(store.warnings(), [""; 0]);
    assert_eq!(fs::read(place.path("ledger.jsonl")).unwrap(), whole);
}

#[test]
fn a_damaged_ledger_is_a_warning_and_no_hindrance() {
    let place = Place::new();
    fs::write(place.path("ledger.jsonl"), "not a line of ours\n").unwrap();
    let mut run = place.begin("a-run");
    run.append(&mut [ended()]).unwrap();
    assert!(matches!(run.close(), Err(StoreError::Damaged { line: 1, .. })));
    drop(run);
    assert_eq!(place.again().warnings().len(), 1);
}

#[test]
fn closing_from_many_threads_keeps_the_ledger_whole() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let place = &place;
            scope.spawn(move || place.closed_run(&format!("run-{number}")));
        }
    });
    let report = place.store.verify_all().unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.entries, 8);
}

#[test]
fn a_newer_event_stays_readable() {
    let place = Place::new();
    drop(place.begin("a-run"));
    let path = place.transcript("a-run");
    let mut text = fs::read_to_string(&path).unwrap();
    text.push_str(r#"{"seq":2,"time":"2026-11-21T01:14:10Z","elapsed_ms":1,"actor":"runwright","event":{"kind":"moon_rose","phase":3},"prev":"x"}"#);
    text.push('\n');
    fs::write(&path, &text).unwrap();
    let transcript = place.store.read(&id("a-run")).unwrap();
    assert_eq!((transcript.lines, transcript.records.len(), transcript.newer.len()), (2, 1, 1));
    assert_eq!(transcript.newer[0].json["event"]["phase"], 3);
    assert_eq!(transcript.newer[0].line, 2);
    fs::write(&path, text + "{}\n").unwrap();
    assert!(matches!(place.store.read(&id("a-run")), Err(StoreError::Damaged { line: 3, .. })));
}

#[test]
fn a_transcript_cut_or_overwritten_anywhere_is_read_without_panic() {
    let place = Place::new();
    let run = place.closed_run("a-run");
    let path = place.transcript("a-run");
    let whole = fs::read(&path).unwrap();
    for cut in 0..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let lines = whole[..cut].iter().filter(|byte| **byte == b'\n').count() as u64;
        let transcript = place.store.read(&run).unwrap();
        assert_eq!(transcript.lines, lines);
        assert_eq!(transcript.torn.is_some(), cut > 0 && whole[cut - 1] != b'\n', "cut at {cut}");
        let report = place.store.verify(&run, None).unwrap();
        assert!(!report.is_sound(), "cut at {cut}");
        place.store.runs().unwrap();
    }
    for place_of_nul in (0..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[place_of_nul] = 0;
        fs::write(&path, &bytes).unwrap();
        place.store.read(&run).unwrap();
        assert!(!place.store.verify(&run, None).unwrap().is_sound());
    }
}

#[test]
fn a_run_cut_anywhere_is_taken_up_again_and_sound() {
    let place = Place::new();
    let mut run = place.begin("a-run");
    run.append(&mut [attempt_started(), noted("x")]).unwrap();
    run.sync().unwrap();
    drop(run);
    let path = place.transcript("a-run");
    let whole = fs::read(&path).unwrap();
    for cut in (0..whole.len()).step_by(11) {
        for nuls in [0, 100] {
            fs::write(&path, [&whole[..cut], &vec![0; nuls]].concat()).unwrap();
            let mut run = place.store.resume(&id("a-run"), &owner(), None).unwrap().run;
            run.append(&mut [noted("after the crash")]).unwrap();
            run.sync().unwrap();
            let report = place.store.verify(&id("a-run"), Some(run.head())).unwrap();
            assert!(report.is_sound(), "cut at {cut}: {report:?}");
        }
    }
}

fn masked(masker: &Masker, event: Event) -> (String, bool) {
    let line = write_masked_line(masker, &record(event)).unwrap();
    (String::from_utf8(line.bytes).unwrap(), line.changed)
}

#[test]
fn secrets_are_masked_in_the_record_and_the_line_stays_json() {
    let place = Place::new();
    let mut run = place.begin("a-run");
    let masker = run.masker();
    masker.add(&SecretText::new("token", "nabc\"def\\gh")).unwrap();
    masker.add(&SecretText::new("number", "12345678")).unwrap();
    masker.add(&SecretText::new("words", "hush hush it's")).unwrap();
    let fields = IndexMap::from([
        ("a".to_owned(), StoredValue::Value(serde_json::json!({"12345678": [12_345_678, 1.5, "\nabc\"def\\gh"]}))),
        ("hush hush it's".to_owned(), StoredValue::Unknown("'hush hush it'\\''s'".to_owned())),
    ]);
    let mut records = [noted("tab\tnabc\"def\\gh"), ended_with(fields, Vec::new()), ended()];
    run.append(&mut records).unwrap();
    run.close().unwrap();
    let text = fs::read_to_string(place.transcript("a-run")).unwrap();
    for secret in ["tnabc", "12345678", "hush it"] {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(text.contains("‹secret token›") && text.contains("\"‹secret number›\""), "{text}");
    assert_eq!(place.store.read(&id("a-run")).unwrap().records.len(), 4);
    assert!(place.store.verify(&id("a-run"), None).unwrap().is_sound());
}

#[test]
fn numbers_of_the_envelope_are_left_alone() {
    let masker = Masker::new();
    masker.add(&SecretText::new("n", "99999999")).unwrap();
    let (line, changed) = masked(&masker, Event::ClockMoved { by_ms: 99_999_999 });
    assert!(!changed && line.contains("99999999"), "{line}");
}

#[test]
fn without_a_secret_in_it_a_line_is_the_same_with_and_without_secrets() {
    let masker = Masker::new();
    masker.add(&SecretText::new("n", "not in there")).unwrap();
    let event = attempt_ended(Vec::new()).event;
    assert_eq!(masked(&masker, event.clone()), masked(&Masker::new(), event));
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        (-1_000_000_i32..1_000_000).prop_map(|n| serde_json::json!(f64::from(n) / 64.0)),
        ".{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::Array),
            proptest::collection::vec((".{0,6}", inner), 0..4)
                .prop_map(|pairs| serde_json::Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any values come back as they were, through the masking writer too.
    #[test]
    fn records_come_back(values in proptest::collection::vec((".{0,8}", json()), 0..5), text in ".{0,30}") {
        let fields: IndexMap<_, _> =
            values.into_iter().map(|(name, value)| (name, StoredValue::Value(value))).collect();
        let place = Place::new();
        let mut run = place.begin("a-run");
        run.masker().add(&SecretText::new("n", "surely not in there")).unwrap();
        let mut records = [noted(&text), ended_with(fields, Vec::new()), ended()];
        run.append(&mut records).unwrap();
        run.close().unwrap();
        let transcript = place.store.read(&id("a-run")).unwrap();
        prop_assert_eq!(&transcript.records[1..], &records[..]);
        prop_assert!(place.store.verify_all().unwrap().is_sound());
    }
}
