//! Where a run stands when it is taken up again, in a few lines.

use super::layout::table;
use super::steps::is_item;
use super::style::Style;
use super::words;
use crate::event::{Event, Outcome, Record, StepPath};
use indexmap::IndexMap;
use jiff::Timestamp;

/// So many names of one kind are told; of more, only how many there are.
const NAMES: usize = 12;

/// What the record says of the steps so far.
#[derive(Default)]
struct Standing {
    done: Vec<String>,
    failed: Vec<String>,
    left_out: Vec<String>,
    /// Attempts without an end: whether it changes something, and since when.
    open: IndexMap<(StepPath, Option<u32>), (bool, Timestamp)>,
}

/// The lines; nothing when nothing has happened yet. `next` are the steps that come next, as far as that is clear.
pub(super) fn lines(style: &Style, records: &[Record], next: &[String]) -> Vec<String> {
    let mut standing = Standing::default();
    for record in records {
        standing.take(record);
    }
    let mut rows = Vec::new();
    let mut row = |label: &str, text: String| rows.push((label.to_owned(), style.text(&text)));
    for (label, names) in [("done", &standing.done), ("left out", &standing.left_out)] {
        if !names.is_empty() {
            row(label, listed(names));
        }
    }
    for text in &standing.failed {
        row("failed", text.clone());
    }
    for ((path, _), (change, since)) in &standing.open {
        let since = words::clock(*since);
        row(
            "not seen",
            match change {
                true => {
                    format!("{path}: this change was begun at {since}, and its end was not seen; it is settled first")
                }
                false => format!("{path}: begun at {since}; it is read again"),
            },
        );
    }
    let is_open = |name: &String| standing.open.keys().any(|(path, _)| path.0 == *name);
    let next: Vec<String> = next.iter().filter(|name| !is_open(name)).cloned().collect();
    if !next.is_empty() {
        row("next", listed(&next));
    }
    let mut out = table(style, 2, &rows);
    if !out.is_empty() {
        out.insert(0, String::new());
    }
    out
}

fn listed(names: &[String]) -> String {
    match names.split_at_checked(NAMES) {
        None | Some((_, [])) => names.join(", "),
        Some((first, _)) => format!("{}, … {} in all", first.join(", "), names.len()),
    }
}

impl Standing {
    fn take(&mut self, record: &Record) {
        let Some(step) = &record.step else { return };
        let key = (step.clone(), record.attempt);
        match &record.event {
            Event::AttemptStarted { change, .. } => _ = self.open.insert(key, (*change, record.time)),
            Event::AttemptEnded { .. } => _ = self.open.shift_remove(&key),
            Event::StepSkipped { .. } if !is_item(step) => self.left_out.push(step.0.clone()),
            Event::StepEnded { outcome, reason, .. } if !is_item(step) => match outcome {
                Outcome::Succeeded => self.done.push(step.0.clone()),
                Outcome::Skipped => self.left_out.push(step.0.clone()),
                other => {
                    let reason = reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
                    self.failed.push(format!("{} {}{reason}", step.0, words::outcome(*other).0));
                }
            },
            _ => {}
        }
    }
}
