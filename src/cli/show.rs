//! `show`: a run from its record.

use super::arguments::{ShowArguments, ShowFormat};
use super::exit::Exit;
use super::failure::CommandError;
use super::follow::follow;
use super::list::ended;
use super::recorded::Read;
use super::session::Session;
use crate::event::Event;
use crate::report::{Recorded, show_json, show_markdown, show_text};

/// Prints a run.
pub(super) fn show(session: &Session, arguments: &ShowArguments) -> Result<Exit, CommandError> {
    let store = session.store()?;
    if arguments.follow {
        return follow(session, &store, &arguments.run);
    }
    let read = Read::run(&store, &arguments.run)?;
    let records = &read.transcript.records;
    let is_over = records.last().is_some_and(|record| matches!(record.event, Event::RunEnded { .. }));
    let findings = findings(&read);
    let recorded = Recorded {
        records,
        steps: &read.steps,
        findings: &findings,
        head: is_over.then_some(read.transcript.head.as_str()),
    };
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
