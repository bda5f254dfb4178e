//! The few shapes that all texts are made of: a headline, a table of names and values, a labelled fact.

use super::steps::StepInfo;
use super::style::{Style, Tone, break_exact, break_words, columns_of, pad};

/// The blanks before everything that belongs to a headline.
pub(crate) const INDENT: usize = 12;
/// The column of kinds.
const KIND: usize = 9;
/// The least room a title is broken into; with less it goes below.
const LEAST: usize = 16;

/// One step: `KIND id  title ........ right`. What does not fit on the line goes below; nothing is cut.
pub(crate) fn headline(style: &Style, step: &StepInfo, title: &str, right: &[(String, Tone)]) -> Vec<String> {
    let inset = step.depth.min(6) * 2;
    let kind = style.text(&step.kind).to_uppercase();
    let id = style.text(&step.id);
    let lead = format!("{}{} {}", " ".repeat(inset), pad(&kind, KIND), pad(&id, 8));
    let end = columns_of(&right.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join("  "));
    let room = style.columns().saturating_sub(if end == 0 { 0 } else { end + 2 });
    let beside = room.saturating_sub(columns_of(&lead) + 2);
    let title = style.text(title);
    let mut below = Vec::new();
    let mut first = lead.trim_end().to_owned();
    let mut above = Vec::new();
    if columns_of(&first) > style.columns() {
        above = break_exact(&first, style.columns());
        first = above.pop().unwrap_or_default();
    }
    if !title.is_empty() {
        if beside >= LEAST {
            let mut pieces = break_words(&title, beside).into_iter();
            first = format!("{lead}  {}", pieces.next().unwrap_or_default());
            below.extend(pieces.map(|piece| format!("{}{piece}", " ".repeat(columns_of(&lead) + 2))));
        } else {
            let columns = style.columns().saturating_sub(INDENT);
            below
                .extend(break_words(&title, columns).into_iter().map(|piece| format!("{}{piece}", " ".repeat(INDENT))));
        }
    }
    let painted = first.replacen(&kind, &style.paint(Tone::Kind, &kind), 1);
    let mut out = above;
    let tail: Vec<String> = right.iter().map(|(text, tone)| style.paint(*tone, text)).collect();
    if end == 0 {
        out.push(painted);
    } else if columns_of(&first) + 2 + end > style.columns() {
        out.push(painted);
        out.push(format!("{}{}", " ".repeat(style.columns().saturating_sub(end)), tail.join("  ")));
    } else {
        let gap = style.columns() - columns_of(&first) - end;
        out.push(format!("{painted}{}{}", " ".repeat(gap), tail.join("  ")));
    }
    out.extend(below);
    out
}

/// Names and values under each other, values broken between words with a hanging indent.
pub(crate) fn table(style: &Style, indent: usize, rows: &[(String, String)]) -> Vec<String> {
    let widest = rows.iter().map(|(name, _)| columns_of(name)).max().unwrap_or(0).min(style.columns() / 3);
    let mut out = Vec::new();
    for (name, value) in rows {
        out.extend(labelled(style, indent, &pad(name, widest), "  ", value));
    }
    out
}

/// A label and its text: the text is broken between words and hangs under its beginning.
pub(crate) fn labelled(style: &Style, indent: usize, label: &str, gap: &str, text: &str) -> Vec<String> {
    let lead = format!("{}{label}{gap}", " ".repeat(indent));
    if columns_of(&lead) + LEAST > style.columns() {
        // A label that leaves no room stands on lines of its own.
        let mut out = break_exact(lead.trim_end(), style.columns());
        out.extend(prose(style, indent + 4, text));
        return out;
    }
    let hang = columns_of(&lead).min(style.columns() / 2);
    let mut pieces = break_words(text, style.columns().saturating_sub(columns_of(&lead)).max(LEAST)).into_iter();
    let mut out = vec![format!("{lead}{}", pieces.next().unwrap_or_default()).trim_end().to_owned()];
    out.extend(pieces.map(|piece| format!("{}{piece}", " ".repeat(hang))));
    out
}

/// Running text at an indent.
pub(crate) fn prose(style: &Style, indent: usize, text: &str) -> Vec<String> {
    let columns = style.columns().saturating_sub(indent).max(LEAST);
    break_words(text, columns)
        .into_iter()
        .map(|line| format!("{}{line}", " ".repeat(indent)).trim_end().to_owned())
        .collect()
}
