//! A handover as a page: text of fewer than 40 lines, Markdown, JSON.

use super::super::sanitize::{json_text, markdown, markdown_code};
use super::super::show::{Recorded, show_json_value};
use super::super::style::{Style, Tone, break_words, columns_of, pad};
use super::{About, Handover, Item, Section};
use jiff::Timestamp;
use serde_json::{Value as Json, json};

/// Lines of a page, whatever the run: it must be read at one glance.
const LINES: usize = 39;
/// The column of labels.
const LABEL: usize = 11;
/// Lines of one item; what is longer is cut with a mark.
const ITEM: usize = 2;
/// Items of a section before the page is fitted.
const ITEMS: usize = 12;
/// Which sections give first when the page is too long; the last of them is what the next person needs most.
const GIVE: [&str; 10] = ["notes", "found", "ruled out", "done", "wrong", "who", "tried", "look again", "next", "open"];

/// The handover as text.
#[must_use]
pub fn handover_text(run: &Recorded<'_>, about: &About, now: Timestamp, style: &Style) -> Vec<String> {
    let handover = Handover::of(run, about, now);
    let mut out = head(&handover, style);
    let sections = handover.sections();
    let counts = fitted(&sections, style, LINES - out.len());
    let is_cut = sections.iter().zip(&counts).any(|(section, count)| section.items.len() > *count);
    for (section, count) in sections.iter().zip(counts) {
        out.extend(lines(section, count, style));
    }
    if is_cut {
        out.push(format!("{}all of it: {}", " ".repeat(LABEL), run.commands.line("show", &[handover.id()], "")));
    }
    out
}

fn head(handover: &Handover<'_>, style: &Style) -> Vec<String> {
    let (runbook, _) = handover.names();
    let first = format!("HANDOVER  {}  {}", style.text(runbook), style.text(handover.id()));
    let state = style.text(&handover.state());
    let room = style.columns().saturating_sub(LABEL);
    let mut out = break_words(&first, style.columns());
    out.truncate(ITEM);
    if columns_of(&first) + 3 + columns_of(&state) <= style.columns() {
        out = vec![format!("{first}   {state}")];
    } else {
        if columns_of(&first) <= style.columns() {
            out = vec![first];
        }
        out.extend(bounded(&state, room, style).into_iter().map(|line| format!("{}{line}", " ".repeat(LABEL))));
    }
    if let Some(line) = out.first_mut() {
        *line = line.replacen("HANDOVER", &style.paint(Tone::Kind, "HANDOVER"), 1);
    }
    let facts = bounded(&style.text(&handover.circumstances()), room, style);
    out.extend(facts.into_iter().map(|line| format!("{}{line}", " ".repeat(LABEL))));
    out
}

/// A text on at most two lines.
fn bounded(text: &str, columns: usize, style: &Style) -> Vec<String> {
    let mut pieces = break_words(text, columns);
    if pieces.len() > ITEM {
        pieces.truncate(ITEM);
        if let Some(last) = pieces.last_mut() {
            let mark = style.glyphs().cut;
            *last = style.cut(&format!("{last} {}", "x".repeat(columns)), columns.saturating_sub(columns_of(mark)));
            *last = format!("{}{mark}", last.trim_end_matches(mark).trim_end_matches('x').trim_end());
        }
    }
    pieces
}

/// The lines of a section of which so many items are shown.
fn lines(section: &Section, count: usize, style: &Style) -> Vec<String> {
    let columns = style.columns().saturating_sub(LABEL);
    let mut out: Vec<String> = Vec::new();
    for item in section.items.iter().take(count) {
        let text = style.text(&item.text);
        let Some(command) = item.command.as_deref() else {
            out.extend(bounded(&text, columns, style));
            continue;
        };
        // A command is there to be pasted: it is never broken and never cut.
        let joined = format!("{text}: {command}");
        if columns_of(&joined) <= columns {
            out.push(joined);
        } else {
            out.extend(bounded(&format!("{text}:"), columns, style));
            out.push(format!("  {command}"));
        }
    }
    let rest = section.items.len().saturating_sub(count);
    if rest > 0 {
        out.push(format!("{} and {rest} more", style.glyphs().cut));
    }
    let mut label = style.paint(Tone::Kind, section.label) + &" ".repeat(LABEL.saturating_sub(section.label.len()));
    out.into_iter()
        .map(|line| {
            let label = std::mem::replace(&mut label, pad("", LABEL));
            format!("{label}{line}").trim_end().to_owned()
        })
        .collect()
}

/// How many items of each section are shown, so that all of them fill at most so many lines.
fn fitted(sections: &[Section], style: &Style, room: usize) -> Vec<usize> {
    let mut counts: Vec<usize> = sections.iter().map(|section| section.items.len().min(ITEMS)).collect();
    let height = |counts: &[usize]| -> usize {
        // One line more names where all of it is.
        let is_cut = sections.iter().zip(counts).any(|(section, count)| section.items.len() > *count);
        let all = sections.iter().zip(counts).map(|(section, count)| lines(section, *count, style).len());
        all.sum::<usize>() + usize::from(is_cut)
    };
    while height(&counts) > room {
        // The longest section gives an item; of several, the one that is needed least.
        let order = |label: &str| GIVE.iter().position(|name| *name == label).unwrap_or(0);
        let longest = (0..sections.len())
            .filter(|at| counts[*at] > 1)
            .max_by_key(|at| (counts[*at].min(4), std::cmp::Reverse(order(sections[*at].label))));
        let Some(longest) = longest else { return counts };
        counts[longest] -= 1;
    }
    counts
}

/// The handover as Markdown, for a ticket or a chat: nothing is left out.
#[must_use]
pub fn handover_markdown(run: &Recorded<'_>, about: &About, now: Timestamp) -> String {
    let handover = Handover::of(run, about, now);
    let (runbook, title) = handover.names();
    let mut out = format!("# Handover: {}\n\n", markdown(if title.is_empty() { runbook } else { title }));
    out.push_str(&format!(
        "{} of {}: {}\n\n{}\n",
        markdown_code(handover.id()),
        markdown_code(runbook),
        markdown(&handover.state()),
        markdown(&handover.circumstances())
    ));
    for section in handover.sections() {
        out.push_str(&format!("\n## {}\n\n", capital(section.label)));
        for item in &section.items {
            let command = item.command.as_deref().map(|command| format!(": {}", markdown_code(command)));
            out.push_str(&format!("- {}{}\n", markdown(&item.text), command.unwrap_or_default()));
        }
    }
    out
}

fn capital(label: &str) -> String {
    let mut letters = label.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The handover as JSON: `run`, `runbook`, `title`, `state`, `live`, `at`, each part as a list of texts (`wrong`,
/// `found`, `done`, `tried`, `ruled_out`, `open`, `next`, `who`, `notes`, `look_again`), and as data `open_changes`,
/// `waiting`, `marks` and `spans` as `show --format json` has them.
#[must_use]
pub fn handover_json(run: &Recorded<'_>, about: &About, now: Timestamp) -> String {
    let handover = Handover::of(run, about, now);
    let (runbook, title) = handover.names();
    let mut shown = show_json_value(run);
    let mut part = |name: &str| shown.get_mut(name).map_or(Json::Null, Json::take);
    let mut page = json!({
        "run": handover.id(), "runbook": runbook, "title": title, "state": part("state"), "standing": handover.state(),
        "live": run.live, "at": now.to_string(), "open_changes": part("open"), "waiting": part("waiting"),
        "marks": part("marks"), "spans": part("spans"),
    });
    let all = ["wrong", "found", "done", "tried", "ruled out", "open", "next", "who", "notes", "look again"];
    let sections = handover.sections();
    for label in all {
        let items = sections
            .iter()
            .find(|section| section.label == label)
            .map(|section| section.items.iter().map(Item::whole).collect::<Vec<_>>());
        page[label.replace(' ', "_")] = json!(items.unwrap_or_default());
    }
    json_text(&page)
}
