//! `show`: a run from its record.

use super::arguments::{ShowArguments, ShowFormat};
use super::exit::Exit;
use super::failure::CommandError;
use super::follow::follow;
use super::list::ended;
use super::recorded::Read;
use super::session::Session;
use super::undo::taken_back_by;
use crate::event::{Event, Record};
use crate::report::{Commands, Recorded, show_json, show_markdown, show_text};
use crate::store::Store;

/// Prints a run.
pub(super) fn show(session: &Session, arguments: &ShowArguments) -> Result<Exit, CommandError> {
    let store = session.store()?;
    if arguments.follow {
        return follow(session, &store, &arguments.run);
    }
    let read = Read::run(&store, &arguments.run)?;
    let told = Told::of(&store, &read)?;
    let commands = session.commands();
    let recorded = told.recorded(&read, &commands);
    match arguments.format {
        ShowFormat::Text => {
            let lines = show_text(&recorded, &session.console.out_style());
            session.console.data_lines(&lines)?;
        }
        ShowFormat::Json => session.console.data(&ended(show_json(&recorded)))?,
        ShowFormat::Markdown => session.console.data(&ended(show_markdown(&recorded)))?,
    }
    Ok(Exit::Done)
}

/// A run with what was said after its end, and what was seen while reading.
pub(super) struct Told {
    records: Vec<Record>,
    findings: Vec<String>,
    is_over: bool,
    is_live: bool,
}

impl Told {
    pub(super) fn of(store: &Store, read: &Read) -> Result<Self, CommandError> {
        let mut records = read.transcript.records.clone();
        let is_over = records.last().is_some_and(|record| matches!(record.event, Event::RunEnded { .. }));
        let mut findings = findings(read);
        let addenda = store.addenda(&read.transcript)?;
        records.extend(addenda.records);
        findings.extend(addenda.findings);
        if is_over {
            findings.extend(taken_back_by(store, &read.id)?);
        }
        Ok(Self { records, findings, is_over, is_live: !is_over && store.is_live(&read.id) })
    }

    pub(super) fn recorded<'t>(&'t self, read: &'t Read, commands: &'t Commands) -> Recorded<'t> {
        Recorded {
            records: &self.records,
            steps: &read.steps,
            findings: &self.findings,
            head: self.is_over.then_some(read.transcript.head.as_str()),
            live: self.is_live,
            commands,
        }
    }
}

/// What was seen while reading.
fn findings(read: &Read) -> Vec<String> {
    let mut lines: Vec<String> = read
        .transcript
        .newer
        .iter()
        .map(|newer| format!("line {} was written by a newer version and is left out: {}", newer.line, newer.reason))
        .collect();
    lines.extend(read.transcript.torn.map(|torn| {
        format!("line {} was being written when the process died; its {} bytes do not count", torn.line, torn.bytes)
    }));
    lines
}
