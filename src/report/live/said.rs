//! What people say to a run, and what is said of it as a whole.

use super::super::blocks::{loud, marked};
use super::super::layout::labelled;
use super::super::style::{Style, Tone, pad};
use super::super::words;
use crate::event::{Actor, Mark, Record};
use jiff::Timestamp;

/// A note, with who said it; as many lines as it has.
pub(super) fn note(style: &Style, text: &str, by: &Actor) -> Vec<String> {
    let who = if *by == Actor::Runwright { String::new() } else { format!(" ({})", words::actor(by)) };
    let mut lines = style.lines(text);
    match lines.last_mut() {
        Some(last) => last.push_str(&style.text(&who)),
        None => lines.push(style.text(&who)),
    }
    let mut label = "note";
    let lines = lines.iter().flat_map(|line| labelled(style, 2, &pad(std::mem::take(&mut label), 4), "  ", line));
    lines.collect()
}

/// A named moment of the incident.
pub(super) fn mark(style: &Style, record: &Record, mark: Mark, at: Timestamp, text: Option<&str>) -> Vec<String> {
    let text = text.map(|text| format!(": {text}")).unwrap_or_default();
    let when = words::near(at, record.time);
    let text = format!("{mark} at {when} UTC{text} ({})", words::actor(&record.actor));
    marked(style, Tone::Kind, "mark", &style.text(&text))
}

/// The run is being ended.
pub(super) fn aborting(style: &Style, reason: &str, by: &Actor) -> Vec<String> {
    let who = match by {
        Actor::Runwright => String::new(),
        Actor::Person(person) => format!(" by {}", words::operator(person)),
    };
    let mut out = loud(style, "ABORTING", &style.text(&format!("the run is ended{who}: {reason}")));
    out.insert(0, String::new());
    out
}

/// The wall clock jumped.
pub(super) fn clock(style: &Style, by_ms: i64) -> Vec<String> {
    let way = if by_ms < 0 { "back" } else { "ahead" };
    let text =
        format!("the wall clock was set {way} by {}; open approvals are void", words::span(by_ms.unsigned_abs()));
    marked(style, Tone::Attention, "clock", &text)
}
