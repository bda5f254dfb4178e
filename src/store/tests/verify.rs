use super::{Place, ended, id, noted};
use crate::engine::RunStore;
use crate::event::RunId;
use crate::store::{END_OPEN, End, StoreReport, VerifyReport};
use sha2::{Digest, Sha256};
use std::fs;

/// A closed run, and its lines to tamper with.
struct Tampered {
    place: Place,
    run: RunId,
    lines: Vec<String>,
}

impl Tampered {
    fn new() -> Self {
        let place = Place::new();
        let run = place.closed_run("a-run");
        let text = fs::read_to_string(place.transcript("a-run")).unwrap();
        Self { place, run, lines: text.lines().map(str::to_owned).collect() }
    }

    fn report(&self) -> VerifyReport {
        let text: String = self.lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(self.place.transcript("a-run"), text).unwrap();
        self.place.store.verify(&self.run, None).unwrap()
    }

    fn findings(&self) -> Vec<(Option<u64>, String)> {
        self.report().findings.into_iter().map(|finding| (finding.line, finding.sentence)).collect()
    }

    fn expect(&self, line: u64, words: &str) {
        let findings = self.findings();
        let found = findings.iter().any(|(at, sentence)| *at == Some(line) && sentence.contains(words));
        assert!(found, "no `{words}` at line {line}: {findings:#?}");
    }

    /// Chains all lines anew from one line on, as somebody would who knows how.
    fn chain_anew(&mut self, from: usize) {
        for index in from..self.lines.len() {
            let prev: String =
                Sha256::digest(&self.lines[index - 1]).iter().map(|byte| format!("{byte:02x}")).collect();
            let start = self.lines[index].rfind("\"prev\":\"").unwrap() + 8;
            self.lines[index].replace_range(start..start + 64, &prev);
        }
    }
}

#[test]
fn an_untouched_run_is_proven_by_the_ledger() {
    let tampered = Tampered::new();
    let report = tampered.report();
    assert_eq!((report.end, report.lines, &report.findings[..]), (End::Ledger, 5, &[][..]));
    assert!(tampered.place.store.verify_all().unwrap().is_sound());
}

#[test]
fn a_flipped_byte_is_found_in_its_line() {
    let whole = Tampered::new();
    let bytes: Vec<Vec<u8>> = whole.lines.iter().map(|line| line.clone().into_bytes()).collect();
    for (index, line) in bytes.iter().enumerate() {
        for at in (0..line.len()).step_by(5) {
            let mut changed = bytes.clone();
            changed[index][at] ^= 1;
            fs::write(whole.place.transcript("a-run"), changed.join(&b'\n')).unwrap();
            let mut with_newline = changed.join(&b'\n');
            with_newline.push(b'\n');
            fs::write(whole.place.transcript("a-run"), with_newline).unwrap();
            let report = whole.place.store.verify(&whole.run, None).unwrap();
            let number = index as u64 + 1;
            let is_named = report.findings.iter().any(|finding| {
                // A line that lost its hash does not fit the one before; anything else breaks the one after.
                finding.line.is_some_and(|line| line == number || line + 1 == number)
            });
            assert!(is_named, "line {number} byte {at}: {report:?}");
        }
    }
    let mut tampered = Tampered::new();
    tampered.lines[2] = tampered.lines[2].replace("\"took_ms\":31", "\"took_ms\":30");
    assert_eq!(
        tampered.findings(),
        [(Some(3), "line 3 does not match the hash in line 4: one of the two was changed".to_owned())]
    );
}

#[test]
fn a_changed_last_line_differs_from_the_ledger() {
    let mut tampered = Tampered::new();
    tampered.lines[4] = tampered.lines[4].replace("resolved", "escalated");
    tampered.expect(5, "the last line was changed");
}

#[test]
fn dropped_lines_are_counted() {
    let mut tampered = Tampered::new();
    tampered.lines.remove(2);
    tampered.expect(3, "number 3 is missing before line 3: dropped");
    tampered.lines.remove(2);
    tampered.expect(3, "numbers 3 to 4 are missing before line 3: dropped");
    let mut tampered = Tampered::new();
    tampered.lines.remove(0);
    tampered.expect(1, "number 1 is missing before line 1: dropped");
}

#[test]
fn lines_in_another_order_are_found() {
    let mut tampered = Tampered::new();
    tampered.lines.swap(1, 2);
    tampered.expect(2, "line 2 follows line 3, which stands after it");
}

#[test]
fn an_inserted_line_is_found() {
    let mut tampered = Tampered::new();
    let copy = tampered.lines[1].clone();
    tampered.lines.insert(3, copy);
    tampered.expect(4, "line 4 follows line 1 and not line 3");
    tampered.expect(5, "line 5 follows line 3 and not line 4: what stands between was inserted or moved there");
}

#[test]
fn a_chain_written_anew_is_found_by_the_ledger() {
    let mut tampered = Tampered::new();
    tampered.lines[2] = tampered.lines[2].replace("succeeded", "failed");
    tampered.chain_anew(3);
    let findings = tampered.findings();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].1.contains("written anew after the run was closed"), "{findings:?}");
    let mut tampered = Tampered::new();
    tampered.lines.remove(2);
    tampered.chain_anew(2);
    tampered.expect(3, "line 3 has number 4 after number 2: it was written anew");
}

#[test]
fn a_cut_end_is_found_by_the_ledger() {
    let mut tampered = Tampered::new();
    tampered.lines.pop();
    tampered.expect(4, "the end was cut: the ledger counted 5 lines when the run was closed, and 4 are left");
    tampered.lines.clear();
    tampered.expect(0, "the end was cut");
}

#[test]
fn lines_after_the_end_are_found() {
    let mut tampered = Tampered::new();
    let copy = tampered.lines[1].replace("\"seq\":2", "\"seq\":6");
    tampered.lines.push(copy);
    tampered.chain_anew(5);
    tampered.expect(6, "the run was closed with line 5, and 1 lines came after it");
    tampered.expect(6, "the run ended in line 5, and line 6 follows");
}

#[test]
fn the_end_of_an_open_run_is_proven_by_a_kept_head_only() {
    let place = Place::new();
    let mut run = place.begin("a-run");
    let first = run.head().to_owned();
    run.append(&mut [noted("one"), noted("two")]).unwrap();
    run.sync().unwrap();
    let verify = |head: Option<&str>| place.store.verify(&id("a-run"), head).unwrap();
    let report = verify(None);
    assert!(report.is_sound() && report.end == End::Open);
    assert_eq!(report.notes[0].sentence, END_OPEN);
    assert_eq!(verify(Some(run.head())).end, End::Given);
    assert_eq!(verify(Some(&run.head()[..12])).end, End::Given);
    let grown = verify(Some(&first));
    assert!(grown.is_sound() && grown.notes[0].sentence.contains("2 lines came after it"), "{grown:?}");
    let text = fs::read_to_string(place.transcript("a-run")).unwrap();
    let cut = text.lines().take(2).collect::<Vec<_>>().join("\n") + "\n";
    fs::write(place.transcript("a-run"), cut).unwrap();
    assert!(verify(None).is_sound(), "not provable without the head");
    let report = verify(Some(run.head()));
    assert_eq!(
        report.findings[0].sentence,
        "no line has the given head: the end was cut, lines were written anew, or a copy of the run went on elsewhere"
    );
}

#[test]
fn unused_disk_at_the_end_is_a_note_while_open_and_wrong_when_closed() {
    let place = Place::new();
    drop(place.begin("open-run"));
    place.closed_run("closed-run");
    for name in ["open-run", "closed-run"] {
        let mut bytes = fs::read(place.transcript(name)).unwrap();
        bytes.extend([0; 512]);
        fs::write(place.transcript(name), bytes).unwrap();
    }
    let report = place.store.verify(&id("open-run"), None).unwrap();
    assert!(report.is_sound() && report.notes.iter().any(|note| note.sentence.contains("512 NUL bytes")), "{report:?}");
    let report = place.store.verify(&id("closed-run"), None).unwrap();
    assert!(report.findings[0].sentence.contains("512 NUL bytes"), "{report:?}");
    assert_eq!(report.findings[0].line, Some(6));
}

fn sentences(report: &StoreReport) -> Vec<String> {
    report.findings.iter().map(|finding| finding.sentence.clone()).collect()
}

#[test]
fn a_missing_run_is_found() {
    let place = Place::new();
    place.closed_run("a-run");
    place.closed_run("b-run");
    fs::remove_dir_all(place.path("runs/a-run")).unwrap();
    let report = place.store.verify_all().unwrap();
    assert_eq!(sentences(&report), ["run a-run is in the ledger, and its folder is missing"]);
    assert_eq!(report.runs.len(), 1);
}

#[test]
fn a_run_put_under_another_name_is_found() {
    let place = Place::new();
    place.closed_run("a-run");
    fs::rename(place.path("runs/a-run"), place.path("runs/b-run")).unwrap();
    let report = place.store.verify_all().unwrap();
    assert_eq!(sentences(&report), ["run a-run is in the ledger, and its folder is missing"]);
    let inside = &report.runs[0].findings;
    assert!(inside[0].sentence.contains("this is the transcript of run a-run"), "{inside:?}");
}

#[test]
fn a_tampered_ledger_is_found() {
    let place = Place::new();
    for name in ["a-run", "b-run", "c-run"] {
        place.closed_run(name);
    }
    let path = place.path("ledger.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let report = |lines: &[&str]| {
        fs::write(&path, lines.join("\n") + "\n").unwrap();
        let report = place.store.verify_all().unwrap();
        assert!(!report.is_sound());
        let inside = report.runs.iter().flat_map(|run| &run.findings);
        sentences(&report)
            .into_iter()
            .chain(inside.map(|finding| finding.sentence.clone()))
            .collect::<Vec<_>>()
            .join("; ")
    };
    assert!(report(&[lines[0], lines[2]]).contains("number 2 is missing before line 2: dropped"));
    assert!(report(&lines[..2]).contains("run c-run has ended, and the ledger has no entry for it"));
    let changed = lines[0].replace("\"lines\":5", "\"lines\":4");
    assert!(report(&[&changed, lines[1], lines[2]]).contains("line 1 does not match the hash in line 2"));
    // Two copies of the store, joined: both went on after line 1.
    let other = lines[1].replace("b-run", "d-run");
    let forked = report(&[lines[0], lines[1], &other, lines[2]]);
    assert!(forked.contains("number 2 is there twice: the ledger is forked"), "{forked}");
}

#[test]
fn a_copied_run_is_a_note() {
    let (one, two) = (Place::new(), Place::new());
    let run = one.closed_run("a-run");
    fs::rename(one.path("runs/a-run"), two.path("runs/a-run")).unwrap();
    let report = two.store.verify(&run, None).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.end, End::Closing);
    assert!(report.notes.iter().any(|note| note.sentence.contains("began in another store")), "{report:?}");
}

#[test]
fn a_run_between_its_end_and_the_ledger_is_no_fault() {
    let place = Place::new();
    let mut run = place.begin("a-run");
    run.append(&mut [ended()]).unwrap();
    run.sync().unwrap();
    let report = place.store.verify_all().unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.runs[0].end, End::Closing);
}
