//! `verify`: whether records are whole, told line by line.

use super::arguments::VerifyArguments;
use super::exit::Exit;
use super::failure::CommandError;
use super::session::Session;
use crate::engine::History;
use crate::event::RunId;
use crate::report::sanitize::visible;
use crate::signature::{Namespace, PublicKey, Signature};
use crate::store::{END_OPEN, End, Finding, SEAL, Store, VerifyReport, WHAT_A_CHAIN_DOES_NOT_PROVE, head_statement};
use std::path::Path;

/// Verifies one run or the whole store.
pub(super) fn verify(session: &Session, arguments: &VerifyArguments) -> Result<Exit, CommandError> {
    let store = session.store()?;
    let (lines, is_sound) = if let Some(name) = &arguments.run {
        let mut report = judged(&store, store.verify(&store.find(name)?, arguments.against.as_deref())?);
        let key = arguments.key.as_deref().map(|path| public_key(session, path)).transpose()?;
        check_seal(&store, &mut report, key.as_ref())?;
        (run_lines(&report), report.is_sound())
    } else {
        let mut report = store.verify_all()?;
        report.runs = report.runs.into_iter().map(|run| judged(&store, run)).collect();
        report.runs.iter_mut().try_for_each(|run| check_seal(&store, run, None))?;
        let mut lines: Vec<String> = report.runs.iter().flat_map(run_lines).collect();
        lines.push(format!(
            "{} the ledger  {}",
            word(report.findings.is_empty()),
            count(report.entries, "entry", "entries")
        ));
        lines.extend(findings(&report.findings, &report.notes));
        lines.push(total(&report.runs));
        (lines, report.is_sound())
    };
    session.console.data_lines(&lines)?;
    // What the words above are worth, for a person; a program that reads the lines needs no reminder.
    session.console.say("\n");
    session.console.say_lines(&folded(WHAT_A_CHAIN_DOES_NOT_PROVE, session.console.error_style().width));
    Ok(if is_sound { Exit::Done } else { Exit::NotResolved })
}

fn word(is_sound: bool) -> &'static str {
    if is_sound { "WHOLE  " } else { "DAMAGED" }
}

fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn total(runs: &[VerifyReport]) -> String {
    let damaged = runs.iter().filter(|report| !report.is_sound()).count();
    let runs = count(runs.len() as u64, "run", "runs");
    if damaged == 0 { format!("{runs}, all of them whole") } else { format!("{runs}, {damaged} of them DAMAGED") }
}

/// A chain that holds can still tell what no run does: a change without a passed gate, an end without a start.
fn judged(store: &Store, mut report: VerifyReport) -> VerifyReport {
    if let Ok(transcript) = store.read(&report.run)
        && report.is_sound()
        && transcript.newer.is_empty()
        && let Err(broken) = History::of(&transcript.records)
    {
        let file = format!("runs/{}/transcript.jsonl", report.run);
        let sentence = format!("no run writes this: {}", broken.law);
        report.findings.push(Finding { file, line: Some(broken.seq), sentence });
    }
    if let Ok(transcript) = store.read(&report.run)
        && report.is_sound()
        && let Ok(addenda) = store.addenda(&transcript)
    {
        let file = format!("runs/{}/addenda.jsonl", report.run);
        let finding = |sentence| Finding { file: file.clone(), line: None, sentence };
        report.findings.extend(addenda.findings.into_iter().map(finding));
    }
    if let Ok(transcript) = store.read(&report.run)
        && report.is_sound()
    {
        let (holds, wrong) = super::signatures::judge(&transcript.records);
        let file = format!("runs/{}/transcript.jsonl", report.run);
        let finding = |(line, sentence)| Finding { file: file.clone(), line: Some(line), sentence };
        report.findings.extend(wrong.into_iter().map(finding));
        if holds > 0 {
            let sentence = format!(
                "{} by the keys frozen at the start",
                count(holds, "approval is signed", "approvals are signed")
            );
            report.notes.push(Finding { file, line: None, sentence });
        }
    }
    report
}

/// What the signature over the head says; with a key, it must be there and of that key.
fn check_seal(store: &Store, report: &mut VerifyReport, key: Option<&PublicKey>) -> Result<(), CommandError> {
    let finding = |run: &RunId, sentence: String| Finding { file: format!("runs/{run}/{SEAL}"), line: None, sentence };
    let run = report.run.clone();
    let Some(text) = store.seal_of(&run)? else {
        if key.is_some() {
            report.findings.push(finding(&run, "the head is not signed".to_owned()));
        }
        return Ok(());
    };
    let signature = match Signature::parse(&text) {
        Ok(signature) => signature,
        Err(error) => {
            report.findings.push(finding(&run, error.to_string()));
            return Ok(());
        }
    };
    let Some(key) = key else {
        let sentence = format!("it says that {} signed the head; --key PUBFILE proves it", signature.fingerprint());
        report.notes.push(finding(&run, sentence));
        return Ok(());
    };
    match key.verify(Namespace::Head, &head_statement(&run, &report.head), &signature) {
        Ok(()) => report.notes.push(finding(&run, format!("the head is signed by {}", key.fingerprint()))),
        Err(error) => {
            report.findings.push(finding(&run, format!("the head is not signed by {}: {error}", key.fingerprint())));
        }
    }
    Ok(())
}

fn public_key(session: &Session, path: &Path) -> Result<PublicKey, CommandError> {
    let path = session.folder().join(path);
    let text = std::fs::read_to_string(&path).map_err(|source| CommandError::Read { path: path.clone(), source })?;
    PublicKey::parse(text.trim()).map_err(|error| {
        CommandError::usage(format!("{} does not verify: {error}", path.display()), "name the file that ends in .pub")
    })
}

fn run_lines(report: &VerifyReport) -> Vec<String> {
    let end = match report.end {
        End::Ledger => "end: in the ledger",
        End::Given => "end: as given",
        End::Closing => "end: closed, not in the ledger",
        End::Open => END_OPEN,
    };
    let lines = count(report.lines, "line", "lines");
    let mut lines = vec![
        format!("{} {}  {lines}  {end}", word(report.is_sound()), report.run),
        format!("        head {}", visible(&report.head)),
    ];
    lines.extend(findings(&report.findings, &report.notes));
    lines
}

fn findings(wrong: &[Finding], notes: &[Finding]) -> Vec<String> {
    let place = |finding: &Finding| match finding.line {
        Some(line) => format!("{}:{line}", visible(&finding.file)),
        None => visible(&finding.file),
    };
    let wrong = wrong.iter().map(|finding| format!("  WRONG  {}  {}", place(finding), visible(&finding.sentence)));
    let notes = notes.iter().map(|finding| format!("  note   {}  {}", place(finding), visible(&finding.sentence)));
    wrong.chain(notes).collect()
}

/// A paragraph in lines of at most `width` columns.
pub(super) fn folded(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
