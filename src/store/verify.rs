//! Proving that a record is whole, and saying where it is not.

use super::chain::{self, Link, Says};
use super::evidence::{UNFINISHED, hex, sha256};
use super::findings::{END_OPEN, End, Finding, StoreReport, VerifyReport};
use super::folder::{Folder, failed, is_missing};
use super::ledger::{self, LEDGER, LedgerEntry};
use super::read::{NO_LINE_BEFORE, Parts, TRANSCRIPT, bytes_of};
use super::root::Store;
use crate::engine::StoreError;
use crate::event::{EvidenceRef, RunId};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

impl Store {
    /// Follows the chain of one run over its bytes, and compares its end with the ledger and with `against`, a head
    /// that was kept elsewhere (at least its first 8 digits).
    ///
    /// # Errors
    /// There is no such run, or a file cannot be read. What is wrong inside is no error but a finding.
    pub fn verify(&self, run: &RunId, against: Option<&str>) -> Result<VerifyReport, StoreError> {
        let entries = ledger::entries(self.root())?;
        RunCheck::new(self, run, &entries)?.report(against)
    }

    /// Verifies the ledger and every run.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn verify_all(&self) -> Result<StoreReport, StoreError> {
        let bytes = ledger::bytes(self.root())?;
        let parts = Parts::of(&bytes);
        let parsed: Vec<_> = parts.lines().map(serde_json::from_slice::<LedgerEntry>).collect();
        let links: Vec<Link> = parts.lines().zip(&parsed).map(|(line, entry)| ledger_link(line, entry)).collect();
        let places =
            (1..).zip(&parsed).filter_map(|(line, entry)| entry.as_ref().ok().map(|_| line)).collect::<Vec<u64>>();
        let entries: Vec<LedgerEntry> = parsed.into_iter().flatten().collect();
        let mut report =
            StoreReport { entries: links.len() as u64, findings: Vec::new(), notes: Vec::new(), runs: Vec::new() };
        for (line, sentence) in chain::breaks(&links) {
            report.findings.push(Finding { file: LEDGER.to_owned(), line: Some(line), sentence });
        }
        if let Some(sentence) = rest_sentence(parts.rest, links.len() as u64 + 1) {
            report.notes.push(Finding { file: LEDGER.to_owned(), line: None, sentence });
        }
        let runs = self.run_ids()?;
        report.compare(&places, &entries, &runs);
        for run in &runs {
            match RunCheck::new(self, run, &entries) {
                Ok(check) => report.runs.push(check.report(None)?),
                Err(StoreError::NoRun(_)) => report.notes.push(Finding {
                    file: format!("runs/{run}"),
                    line: None,
                    sentence: format!("run {run} has no transcript: its process died before it began"),
                }),
                Err(error) => return Err(error),
            }
        }
        Ok(report)
    }
}

fn ledger_link(line: &[u8], entry: &Result<LedgerEntry, serde_json::Error>) -> Link {
    let says = match entry {
        Ok(entry) => Ok(Says { seq: entry.seq, prev: entry.prev.clone() }),
        Err(error) => Err(error.to_string()),
    };
    Link { hash: sha256(line), says }
}

impl StoreReport {
    /// Compares the ledger with the runs that are there, and with itself.
    fn compare(&mut self, places: &[u64], entries: &[LedgerEntry], runs: &[RunId]) {
        let there: BTreeSet<&RunId> = runs.iter().collect();
        let pruned: BTreeSet<&RunId> = entries.iter().filter(|entry| entry.pruned).map(|entry| &entry.run).collect();
        let mut seen: BTreeMap<&RunId, &LedgerEntry> = BTreeMap::new();
        let mut numbers: BTreeSet<u64> = BTreeSet::new();
        for (&line, entry) in places.iter().zip(entries) {
            let mut wrong = Vec::new();
            let (run, seq) = (&entry.run, entry.seq);
            if !numbers.insert(seq) {
                wrong.push(format!("number {seq} is there twice: the ledger is forked, two copies of it were written"));
            }
            if entry.pruned {
                let sentence = format!("run {run} was removed on purpose on {}", entry.time);
                self.notes.push(Finding { file: LEDGER.to_owned(), line: Some(line), sentence });
            } else {
                if seen.insert(run, entry).is_some_and(|other| other.head != entry.head) {
                    wrong.push(format!("run {run} is entered twice with different heads: the run was forked"));
                }
                if !there.contains(run) && !pruned.contains(run) {
                    wrong.push(format!("run {run} is in the ledger, and its folder is missing"));
                }
            }
            let findings = wrong.into_iter();
            self.findings.extend(findings.map(|sentence| Finding {
                file: LEDGER.to_owned(),
                line: Some(line),
                sentence,
            }));
        }
    }
}

/// As much of an event as is needed here; whatever version wrote it.
#[derive(Deserialize)]
struct Look {
    seq: u64,
    prev: String,
    event: serde_json::Value,
}

/// The check of one run.
struct RunCheck<'s> {
    store: &'s Store,
    run: &'s RunId,
    folder: Folder,
    bytes: Vec<u8>,
    entry: Option<&'s LedgerEntry>,
    findings: Vec<Finding>,
    notes: Vec<Finding>,
}

impl<'s> RunCheck<'s> {
    fn new(store: &'s Store, run: &'s RunId, entries: &'s [LedgerEntry]) -> Result<Self, StoreError> {
        let folder = store.folder_of(run)?;
        let bytes = bytes_of(&folder, run)?;
        let entry = entries.iter().rfind(|entry| entry.run == *run && !entry.pruned);
        Ok(Self { store, run, folder, bytes, entry, findings: Vec::new(), notes: Vec::new() })
    }

    fn report(mut self, against: Option<&str>) -> Result<VerifyReport, StoreError> {
        let bytes = std::mem::take(&mut self.bytes);
        let parts = Parts::of(&bytes);
        let mut links = Vec::new();
        let mut events = Vec::new();
        for line in parts.lines() {
            let (says, event) = match serde_json::from_slice::<Look>(line) {
                Ok(look) => (Ok(Says { seq: look.seq, prev: look.prev }), look.event),
                Err(error) => (Err(error.to_string()), serde_json::Value::Null),
            };
            links.push(Link { hash: sha256(line), says });
            events.push(event);
        }
        for (line, sentence) in chain::breaks(&links) {
            self.wrong(line, sentence);
        }
        self.check_start(events.first());
        let ends = self.check_closing(&events);
        self.check_evidence(&events)?;
        self.check_rest(parts.rest, links.len() as u64, ends);
        let end = self.check_end(&links, ends, against);
        let head = links.last().map_or_else(|| NO_LINE_BEFORE.to_owned(), |link| link.hash.clone());
        let count = links.len() as u64;
        Ok(VerifyReport { run: self.run.clone(), lines: count, head, end, findings: self.findings, notes: self.notes })
    }

    fn file(&self) -> String {
        format!("runs/{}/{TRANSCRIPT}", self.run)
    }

    fn wrong(&mut self, line: u64, sentence: String) {
        self.findings.push(Finding { file: self.file(), line: Some(line), sentence });
    }

    fn note(&mut self, line: Option<u64>, sentence: String) {
        self.notes.push(Finding { file: self.file(), line, sentence });
    }

    fn check_start(&mut self, first: Option<&serde_json::Value>) {
        let Some(event) = first else { return };
        let text = |key| event.get(key).and_then(serde_json::Value::as_str);
        if let Some(run) = text("run")
            && run != self.run.as_str()
        {
            self.wrong(1, format!("this is the transcript of run {run}, in the folder of run {}", self.run));
        }
        if let Some(store) = text("store")
            && store != self.store.id()
        {
            self.note(Some(1), format!("this run began in another store ({store}) and was copied"));
        }
    }

    /// Whether the last line is a closing event; nothing may follow one.
    fn check_closing(&mut self, events: &[serde_json::Value]) -> bool {
        let is_closing = |event: &serde_json::Value| event.get("kind").is_some_and(|kind| kind == "run_ended");
        let first = (1..).zip(events).find(|(_, event)| is_closing(event)).map(|(line, _)| line);
        if let Some(line) = first
            && line < events.len() as u64
        {
            self.wrong(line + 1, format!("the run ended in line {line}, and line {} follows", line + 1));
        }
        events.last().is_some_and(is_closing)
    }

    fn check_rest(&mut self, rest: &[u8], lines: u64, ends: bool) {
        let Some(sentence) = rest_sentence(rest, lines + 1) else { return };
        // After an end, or when text follows on NULs, this is no crash.
        let text_after_nul =
            rest.iter().position(|byte| *byte == 0).is_some_and(|nul| rest[nul..].iter().any(|b| *b != 0));
        if ends || self.entry.is_some() || text_after_nul {
            self.wrong(lines + 1, sentence);
        } else {
            self.note(Some(lines + 1), sentence);
        }
    }

    fn check_end(&mut self, links: &[Link], ends: bool, against: Option<&str>) -> End {
        let mut end = if ends { End::Closing } else { End::Open };
        if let Some(head) = against
            && self.is_at_end(links, head)
        {
            end = End::Given;
        }
        if let Some(entry) = self.entry {
            return if self.fits_ledger(links, entry) { End::Ledger } else { end };
        }
        self.check_unknown(ends);
        if end == End::Open {
            self.note(None, END_OPEN.to_owned());
        }
        end
    }

    /// An ended run that the ledger does not know: entered at the next start when it is still marked, else suspect.
    fn check_unknown(&mut self, ends: bool) {
        if !ends {
            return;
        }
        let is_copy = self.notes.iter().any(|note| note.sentence.contains("another store"));
        let sentence = format!("run {} has ended, and the ledger has no entry for it", self.run);
        if self.store.is_marked(self.run) || is_copy || self.store.is_live(self.run) {
            self.note(None, sentence);
        } else {
            self.findings.push(Finding { file: LEDGER.to_owned(), line: None, sentence });
        }
    }

    fn is_at_end(&mut self, links: &[Link], head: &str) -> bool {
        let fits = |link: &Link| head.len() >= 8 && link.hash.starts_with(&head.to_ascii_lowercase());
        match links.iter().rposition(fits) {
            Some(place) if place + 1 == links.len() => true,
            Some(place) => {
                let more = links.len() - place - 1;
                let line = place + 1;
                self.note(Some(line as u64), format!("the given head is line {line}; {more} lines came after it"));
                false
            }
            None => {
                let sentence =
                    "no line has the given head: the end was cut, lines were written anew, or a copy of the \
                    run went on elsewhere"
                        .to_owned();
                self.wrong(links.len() as u64, sentence);
                false
            }
        }
    }

    fn fits_ledger(&mut self, links: &[Link], entry: &LedgerEntry) -> bool {
        let count = links.len() as u64;
        if links.last().is_some_and(|link| link.hash == entry.head) && count == entry.lines {
            return true;
        }
        let closed_in = links.iter().position(|link| link.hash == entry.head).map(|place| place as u64 + 1);
        let sentence = match closed_in {
            Some(line) if line < count => {
                format!("the run was closed with line {line}, and {} lines came after it", count - line)
            }
            _ if count < entry.lines => format!(
                "the end was cut: the ledger counted {} lines when the run was closed, and {count} are left",
                entry.lines
            ),
            Some(line) => format!("the ledger counted {} lines up to what is now line {line}", entry.lines),
            None if self.findings.is_empty() => "every line fits the one before, and the last is not the one in the \
                ledger: the last line was changed, or all were written anew after the run was closed"
                .to_owned(),
            None => "the last line is not the one that the ledger holds".to_owned(),
        };
        self.wrong(count, sentence);
        false
    }

    fn check_evidence(&mut self, events: &[serde_json::Value]) -> Result<(), StoreError> {
        let folder = match self.folder.folder("evidence") {
            Err(error) if is_missing(&error) => None,
            opened => Some(opened?),
        };
        let mut named = BTreeSet::new();
        for (line, event) in (1..).zip(events) {
            for reference in references(event) {
                if let Some(sentence) = evidence_problem(folder.as_ref(), &reference, &mut named)? {
                    self.wrong(line, sentence);
                }
            }
        }
        let Some(folder) = folder else { return Ok(()) };
        for name in folder.names()?.into_iter().filter(|name| !named.contains(name)) {
            let what = if name.starts_with(UNFINISHED) { "was not finished" } else { "is named by no event" };
            let file = format!("runs/{}/evidence/{name}", self.run);
            let sentence = format!("kept output {what}: its process died, or the event that names it is gone");
            self.notes.push(Finding { file, line: None, sentence });
        }
        Ok(())
    }
}

impl Store {
    fn is_marked(&self, run: &RunId) -> bool {
        self.root().folder("open").and_then(|open| open.facts(run.as_str())).is_ok_and(|facts| facts.is_some())
    }
}

/// The kept output that an event names: of its attempt, of a process that died, and values that were too long for it.
/// What stands in a value comes from outside and names nothing.
fn references(event: &serde_json::Value) -> Vec<EvidenceRef> {
    let mut found = Vec::new();
    let mut stack = vec![event];
    while let Some(part) = stack.pop() {
        let Some(entries) = part.as_object() else {
            stack.extend(part.as_array().into_iter().flatten());
            continue;
        };
        // A value as it was given stands alone in its object, and may hold anything; what names a value stands beside it.
        for (key, value) in entries.iter().filter(|(key, _)| key.as_str() != "value" || entries.len() > 1) {
            match (key.as_str(), value) {
                ("evidence" | "leftovers", serde_json::Value::Array(list)) => {
                    found.extend(list.iter().filter_map(|one| EvidenceRef::deserialize(one).ok()));
                }
                ("kept", one) => found.extend(EvidenceRef::deserialize(one)),
                _ => stack.push(value),
            }
        }
    }
    found
}

/// What is wrong with kept output; files that were looked at are added to `named`.
fn evidence_problem(
    folder: Option<&Folder>,
    reference: &EvidenceRef,
    named: &mut BTreeSet<String>,
) -> Result<Option<String>, StoreError> {
    let EvidenceRef { stream, sha256: expected, excerpt, inline, .. } = reference;
    if *inline {
        // A secret that was added between keeping and recording changes the text in the event.
        let fits = sha256(excerpt.as_bytes()) == *expected || excerpt.contains("‹secret ");
        return Ok((!fits).then(|| format!("the text of `{stream}` in the event does not match its hash")));
    }
    if !named.insert(expected.clone()) {
        return Ok(None);
    }
    let missing = || Some(format!("kept output `{stream}` ({expected}) is missing"));
    let is_hash = expected.len() == 64 && expected.bytes().all(|byte| byte.is_ascii_hexdigit());
    let Some(folder) = folder.filter(|_| is_hash) else { return Ok(missing()) };
    match hash_of_file(folder, expected) {
        Ok(hash) if hash == *expected => Ok(None),
        Ok(_) => Ok(Some(format!("kept output `{stream}` ({expected}) was changed: its content has another hash"))),
        Err(error) if is_missing(&error) => Ok(missing()),
        Err(StoreError::Refused { reason, .. }) => Ok(Some(format!("kept output `{stream}` ({expected}): {reason}"))),
        Err(error) => {
            let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            Ok(Some(format!("kept output `{stream}` ({expected}) cannot be read: {cause}")))
        }
    }
}

fn hash_of_file(folder: &Folder, name: &str) -> Result<String, StoreError> {
    let mut file = folder.read(name)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        match file.read(&mut piece).map_err(|error| failed("read", &folder.path_of(name), error))? {
            0 => return Ok(hex(&hash.finalize())),
            length => hash.update(&piece[..length]),
        }
    }
}

/// What to say of bytes after the last whole line.
fn rest_sentence(rest: &[u8], line: u64) -> Option<String> {
    let nul = rest.iter().position(|byte| *byte == 0);
    Some(match nul {
        None if rest.is_empty() => return None,
        None => format!("line {line} is not whole: {} bytes of a line that was being written", rest.len()),
        Some(nul) if rest[nul..].iter().all(|byte| *byte == 0) => {
            format!(
                "from line {line} on there are {} NUL bytes: disk that was given to the file and never written",
                rest.len() - nul
            )
        }
        Some(_) => format!("line {line} holds a NUL byte and text after it: it was changed"),
    })
}
