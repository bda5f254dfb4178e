use super::{Place, attempt_ended, id, owner};
use crate::engine::{Evidence, EvidenceWriter, RunStore, StoreError};
use crate::event::EvidenceRef;
use crate::expr::SecretText;
use crate::store::evidence::{Bounds, DirEvidence, excerpt_of, sha256};
use crate::store::{INLINE_AT_MOST, Masker};
use std::fs;

fn keep(mut writer: Box<dyn EvidenceWriter>, pieces: &[&[u8]]) -> (EvidenceRef, Vec<u8>) {
    let mut shown = Vec::new();
    for piece in pieces {
        shown.extend(writer.write(piece).unwrap());
    }
    let (reference, last) = writer.finish().unwrap();
    shown.extend(last);
    (reference, shown)
}

fn files(place: &Place, run: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(place.path("runs").join(run).join("evidence"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn short_text_stands_in_the_event_and_has_no_file() {
    let place = Place::new();
    let run = place.begin("a-run");
    let (reference, shown) = keep(run.evidence().begin("stdout").unwrap(), &[b"one\n", "zw\u{f6}lf".as_bytes()]);
    assert_eq!(reference.excerpt, "one\nzw\u{f6}lf");
    assert_eq!((reference.inline, reference.cut, reference.size), (true, false, 10));
    assert_eq!(reference.sha256, sha256("one\nzw\u{f6}lf".as_bytes()));
    assert_eq!(shown, "one\nzw\u{f6}lf".as_bytes());
    let (empty, _) = keep(run.evidence().begin("stderr").unwrap(), &[]);
    assert_eq!((empty.inline, empty.size, empty.excerpt.as_str()), (true, 0, ""));
    assert!(files(&place, "a-run").is_empty());
}

#[test]
fn longer_output_has_a_file_named_by_its_hash() {
    let place = Place::new();
    let run = place.begin("a-run");
    let text = "a line of forty characters, more or less\n".repeat(100);
    let (reference, _) = keep(run.evidence().begin("stdout").unwrap(), &[text.as_bytes()]);
    assert_eq!((reference.inline, reference.size), (false, text.len() as u64));
    assert_eq!(files(&place, "a-run"), std::slice::from_ref(&reference.sha256));
    assert_eq!(reference.sha256, sha256(text.as_bytes()));
    assert!(reference.excerpt.len() <= INLINE_AT_MOST && reference.excerpt.ends_with("less\n"));
    let bytes = place.store.evidence_bytes(run.id(), &reference.sha256, u64::MAX).unwrap();
    assert_eq!(bytes, text.as_bytes());
    assert_eq!(place.store.evidence_bytes(run.id(), &reference.sha256, 10).unwrap().len(), 10);
    assert_eq!(fs::read(place.store.evidence_path(run.id(), &reference.sha256)).unwrap(), text.as_bytes());
    assert!(place.store.evidence_bytes(run.id(), "../../../id", 10).is_err());
    // The same content again is the same file.
    keep(run.evidence().begin("stdout").unwrap(), &[text.as_bytes()]);
    assert_eq!(files(&place, "a-run").len(), 1);
}

#[test]
fn bytes_that_are_no_text_have_a_file_however_few() {
    let place = Place::new();
    let run = place.begin("a-run");
    let (reference, _) = keep(run.evidence().begin("body").unwrap(), &[b"\xff\x00\xfe"]);
    assert!(!reference.inline);
    assert_eq!(reference.excerpt, "\u{fffd}\0\u{fffd}");
    assert_eq!(place.store.evidence_bytes(run.id(), &reference.sha256, 100).unwrap(), b"\xff\x00\xfe");
}

#[test]
fn an_excerpt_ends_with_a_line_or_a_character() {
    let long = "\u{e4}".repeat(INLINE_AT_MOST);
    let excerpt = excerpt_of(&long.as_bytes()[..=INLINE_AT_MOST]);
    assert_eq!(excerpt, "\u{e4}".repeat(INLINE_AT_MOST / 2));
    assert!(excerpt_of(&vec![0xff; INLINE_AT_MOST + 1]).len() <= INLINE_AT_MOST);
    let lines = "0123456789\n".repeat(300);
    assert_eq!(excerpt_of(&lines.as_bytes()[..=INLINE_AT_MOST]).len(), INLINE_AT_MOST / 11 * 11);
}

#[test]
fn secrets_are_masked_across_pieces_before_they_are_kept() {
    let place = Place::new();
    let run = place.begin("a-run");
    run.masker().add(&SecretText::new("key", "hunter2hunter2")).unwrap();
    let filler = "x".repeat(3000);
    let pieces: [&[u8]; 4] = [filler.as_bytes(), b" hunter2h", b"unter2", b" end hunt"];
    let (reference, shown) = keep(run.evidence().begin("stdout").unwrap(), &pieces);
    let kept = place.store.evidence_bytes(run.id(), &reference.sha256, u64::MAX).unwrap();
    assert_eq!(String::from_utf8(kept.clone()).unwrap(), format!("{filler} ‹secret key› end hunt"));
    assert_eq!(shown, kept);
    assert_eq!(reference.size, kept.len() as u64);
    assert_eq!(run.evidence().mask("no hunter2hunter2!"), "no ‹secret key›!");
}

#[test]
fn output_of_a_killed_process_is_still_there() {
    let place = Place::new();
    let run = place.begin("a-run");
    let mut writer = run.evidence().begin("stdout").unwrap();
    writer.write(b"the last words").unwrap();
    // As after a kill: nobody finishes it.
    drop(writer);
    drop(run);
    let transcript = place.store.read(&id("a-run")).unwrap();
    assert_eq!(transcript.leftovers.len(), 1);
    assert_eq!(transcript.leftovers[0].size, 14);
    let report = place.store.verify(&id("a-run"), None).unwrap();
    assert!(report.notes.iter().any(|note| note.sentence.contains("was not finished")), "{report:?}");
    let run = place.store.resume(&id("a-run"), &owner(), None).unwrap().run;
    let (reference, _) = keep(run.evidence().begin("stdout").unwrap(), &[b"new"]);
    assert_eq!(reference.excerpt, "new");
    let adopted = run.adopt_leftovers().unwrap();
    assert_eq!(adopted.len(), 1);
    assert_eq!((adopted[0].stream.as_str(), adopted[0].excerpt.as_str()), ("stdout", "the last words"));
    assert!(files(&place, "a-run").is_empty());
}

fn bounded(place: &Place, bounds: Bounds) -> DirEvidence {
    let run = place.store.folder_of(&id("a-run")).unwrap();
    DirEvidence::new(run.folder("evidence").unwrap(), Masker::new(), bounds).unwrap()
}

#[test]
fn the_bounds_of_a_stream_and_of_a_run_cut_with_a_mark() {
    let place = Place::new();
    let run = place.begin("a-run");
    let evidence = bounded(&place, Bounds { a_stream: 5000, a_run: 8000, reserve: 0 });
    let chunk = [b'x'; 3000];
    let (first, shown) = keep(evidence.begin("stdout").unwrap(), &[&chunk, &chunk, &chunk]);
    assert_eq!((first.size, first.cut, shown.len()), (9000, true, 9000));
    let kept =
        |reference: &EvidenceRef| place.store.evidence_bytes(run.id(), &reference.sha256, u64::MAX).unwrap().len();
    assert_eq!(kept(&first), 5000);
    let (second, _) = keep(evidence.begin("stdout").unwrap(), &[&chunk, &chunk]);
    assert_eq!((kept(&second), second.cut), (3000, true));
    let (third, _) = keep(evidence.begin("stdout").unwrap(), &[b"more"]);
    assert_eq!((third.size, third.cut, third.excerpt.as_str()), (4, true, ""));
    // What an earlier process kept counts too.
    let again = bounded(&place, Bounds { a_stream: 5000, a_run: 8100, reserve: 0 });
    assert!(keep(again.begin("stdout").unwrap(), &[&chunk]).0.cut);
}

#[test]
fn a_full_disk_is_told_once_and_the_rest_is_counted() {
    let place = Place::new();
    let _run = place.begin("a-run");
    let evidence = bounded(&place, Bounds { reserve: u64::MAX, ..Bounds::default() });
    let mut writer = evidence.begin("stdout").unwrap();
    assert!(matches!(writer.write(b"abc"), Err(StoreError::Full { .. })));
    assert_eq!(writer.write(b"def").unwrap(), b"def");
    let (reference, _) = writer.finish().unwrap();
    assert_eq!((reference.size, reference.cut, reference.excerpt.as_str()), (6, true, ""));
}

#[test]
fn altered_and_missing_output_is_found() {
    let place = Place::new();
    let mut run = place.begin("a-run");
    let (kept, _) = keep(run.evidence().begin("stdout").unwrap(), &[&[b'x'; 4000]]);
    let (inline, _) = keep(run.evidence().begin("stderr").unwrap(), &[b"short"]);
    run.append(&mut [attempt_ended(vec![kept.clone(), inline])]).unwrap();
    run.sync().unwrap();
    let findings = || place.store.verify(&id("a-run"), None).unwrap().findings;
    assert_eq!(findings(), []);
    let path = place.store.evidence_path(run.id(), &kept.sha256);
    fs::write(&path, [b'y'; 4000]).unwrap();
    assert!(findings()[0].sentence.contains("was changed"), "{:?}", findings());
    assert_eq!(findings()[0].line, Some(2));
    fs::remove_file(&path).unwrap();
    assert!(findings()[0].sentence.contains("is missing"), "{:?}", findings());
}

#[test]
fn a_large_stream_is_kept_whole() {
    let place = Place::new();
    let run = place.begin("a-run");
    let mut writer = run.evidence().begin("stdout").unwrap();
    let piece = vec![b'z'; 64 * 1024];
    for _ in 0..160 {
        assert_eq!(writer.write(&piece).unwrap().len(), piece.len());
    }
    let (reference, _) = writer.finish().unwrap();
    assert_eq!(reference.size, 160 * 64 * 1024);
    assert_eq!(fs::metadata(place.store.evidence_path(run.id(), &reference.sha256)).unwrap().len(), reference.size);
}
