//! Runbooks that were found, as text and as JSON.

use super::commands::Commands;
use super::layout::labelled;
use super::sanitize::json_text;
use super::style::{Style, Tone, pad};
use crate::library::{By, Found, Reason, TextKind};
use serde_json::{Value, json};

/// The version of the JSON form; it changes when a key goes or means something else.
const FORMAT: u32 = 1;
/// The columns of labels.
const LABEL: usize = 8;

/// What was found, the best first. `in_lines`: the input was lines, so that their numbers say something.
#[must_use]
pub fn found_text(found: &[Found<'_>], in_lines: bool, commands: &Commands, style: &Style) -> Vec<String> {
    let mut out = Vec::new();
    for found in found {
        let entry = found.entry;
        let place = format!("{}  ", found.place);
        let mut head =
            labelled(style, 0, &place, "", &format!("{}: {}", style.text(&entry.id), style.text(&entry.title)));
        if let Some(first) = head.first_mut() {
            let id = style.text(&entry.id);
            *first = first.replacen(&id, &style.paint(Tone::Kind, &id), 1);
        }
        out.extend(head);
        let mut fact = |label: &str, text: &str| {
            out.extend(labelled(style, 3, &pad(label, LABEL), " ", text));
        };
        // Words in common need no second witness.
        let is_words = found.reasons.first().is_some_and(|reason| matches!(reason.by, By::Words { .. }));
        for reason in found.reasons.iter().take(if is_words { 1 } else { found.reasons.len() }) {
            fact(reason.kind.word(), &told(reason, in_lines, style));
        }
        if let Some(owner) = &entry.owner {
            let reach = entry.reach.as_ref().map_or_else(String::new, |reach| format!(" ({reach})"));
            fact("owner", &style.text(&format!("{owner}{reach}")));
        }
        if entry.is_broken {
            fact("broken", &style.text(&format!("{} has errors, so only its title was searched", entry.place)));
        }
        if let Some(refuse) = &entry.refuse {
            fact("refused", &style.text(&format!("it must not be run: {refuse}")));
        } else {
            // Unbroken, so that it can be pasted.
            let verb = if entry.is_broken { "check" } else { "run" };
            out.push(format!("   {} {}", pad("start", LABEL), commands.line(verb, &[&entry.id], "")));
        }
    }
    out
}

fn told(reason: &Reason, in_lines: bool, style: &Style) -> String {
    let text = style.text(&reason.text);
    let words = style.text(&reason.words.join(", "));
    let mut told = match &reason.by {
        By::Name => text,
        By::Quoted(_) => format!("{text} (word for word)"),
        By::NearName => format!("{text} (is it `{words}`?)"),
        By::Words { .. } => format!("{text} ({words})"),
    };
    match &reason.kind {
        TextKind::Choice { step, option } => told.push_str(&style.text(&format!(" - option `{option}` of `{step}`"))),
        TextKind::AlertSummary { alert } => told.push_str(&style.text(&format!(" - {alert}"))),
        TextKind::Alert { only_with } if !only_with.is_empty() => {
            told.push_str(&style.text(&format!(" - only with {}", only_with.join(", "))));
        }
        _ => {}
    }
    if in_lines {
        let more = match reason.lines {
            1 => String::new(),
            lines => format!(", and {} more", lines - 1),
        };
        told.push_str(&format!(" - line {}{more}", reason.line));
    }
    told
}

/// What was found as one JSON document; `unknown` are words that no runbook has, each with one like it.
#[must_use]
pub fn found_json(
    found: &[Found<'_>],
    unknown: &[(String, Option<String>)],
    broken: &[&str],
    commands: &Commands,
) -> String {
    let found: Vec<Value> = found
        .iter()
        .map(|found| {
            let entry = found.entry;
            let start = entry.refuse.is_none().then(|| commands.line("run", &[&entry.id], ""));
            json!({
                "place": found.place, "id": entry.id, "title": entry.title, "file": entry.place, "owner": entry.owner,
                "reach": entry.reach, "broken": entry.is_broken, "refuse": entry.refuse, "start": start,
                "reasons": found.reasons.iter().map(reason_json).collect::<Vec<_>>(),
            })
        })
        .collect();
    let unknown: Vec<Value> = unknown.iter().map(|(word, like)| json!({ "word": word, "like": like })).collect();
    json_text(&json!({ "format": FORMAT, "found": found, "unknown": unknown, "broken": broken }))
}

fn reason_json(reason: &Reason) -> Value {
    let mut value = json!({
        "by": reason.by.word(), "kind": reason.kind.word(), "text": reason.text, "words": reason.words,
        "line": reason.line, "lines": reason.lines,
    });
    match &reason.kind {
        TextKind::Choice { step, option } => {
            value["step"] = json!(step);
            value["option"] = json!(option);
        }
        TextKind::AlertSummary { alert } => value["alert"] = json!(alert),
        TextKind::Alert { only_with } => value["match"] = json!(only_with),
        _ => {}
    }
    value
}
