//! A gate that nobody was asked at: what is done, where, how it is taken back, and who let it pass.

use super::layout::{INDENT, headline, labelled, prose};
use super::steps::StepInfo;
use super::style::{Style, Tone, break_exact, columns_of, pad};
use super::words;
use crate::event::{CardView, Door};

/// The column of labels.
const LABEL: usize = 8;

/// The short form of a card that was passed. The whole card stays in the record.
pub(crate) fn passed(style: &Style, step: &StepInfo, card: &CardView, digest: &str, door: Door) -> Vec<String> {
    if door == Door::List {
        return with_its_list(style, step, card, digest);
    }
    let risk = (format!("risk {}", style.cut(&style.text(&card.risk), 12)), Tone::Quiet);
    let mut out = headline(style, step, &card.title, &[risk]);
    match card.items.len() {
        0 => {}
        1 => out.extend(prose(style, INDENT, "for 1 item:")),
        count => out.extend(prose(style, INDENT, &format!("for each of {count} items; the first:"))),
    }
    out.extend(exact(style, &card.act.text));
    for line in &card.act.more {
        out.extend(exact(style, &format!("{} {}", pad(&line.label, LABEL), line.text)));
    }
    let mut fact = |label: &str, text: &str| {
        out.extend(labelled(style, INDENT, &pad(label, LABEL), "  ", &style.text(text)));
    };
    if let Some(target) = card.target.as_ref().or(card.act.target.as_ref()) {
        fact("target", target);
    }
    match (&card.undo, &card.irreversible) {
        (_, Some(why)) => fact("no undo", &format!("cannot be undone: {why}")),
        (Some(undo), None) => fact("undo", undo),
        (None, None) => fact("undo", "none is written"),
    }
    let short: String = digest.chars().take(8).collect();
    let dot = style.glyphs().dot;
    let text = format!("passed {} {dot} digest {}", words::door(door), style.text(&short));
    out.extend(labelled(style, INDENT, &pad("gate", LABEL), "  ", &text));
    out
}

/// A change that was shown and approved with its list: what it is, and no more.
fn with_its_list(style: &Style, step: &StepInfo, card: &CardView, digest: &str) -> Vec<String> {
    let mut out = headline(style, step, &card.title, &[("started".to_owned(), Tone::Good)]);
    out.extend(exact(style, &card.act.text));
    let short: String = digest.chars().take(8).collect();
    let text = format!("passed {} {} digest {}", words::door(Door::List), style.glyphs().dot, style.text(&short));
    out.extend(labelled(style, INDENT, &pad("gate", LABEL), "  ", &text));
    out
}

/// Lines that can be read character by character, behind a side mark.
pub(crate) fn exact(style: &Style, text: &str) -> Vec<String> {
    style.lines(text).iter().flat_map(|line| behind_mark(style, line)).collect()
}

/// One line of somebody else, behind a side mark, on so many lines of ours at most.
pub(crate) fn exact_in_short(style: &Style, line: &str, most: usize) -> Vec<String> {
    let line = style.text(&super::sanitize::output_line(line));
    behind_mark(style, &style.cut(&line, room(style) * most))
}

fn room(style: &Style) -> usize {
    style.columns().saturating_sub(INDENT + columns_of(style.glyphs().side) + 1)
}

fn behind_mark(style: &Style, line: &str) -> Vec<String> {
    let glyphs = style.glyphs();
    let pieces = break_exact(line, room(style)).into_iter().enumerate();
    let sides = pieces.map(|(index, piece)| (if index == 0 { glyphs.side } else { glyphs.onward }, piece));
    sides.map(|(side, piece)| format!("{}{side} {piece}", " ".repeat(INDENT)).trim_end().to_owned()).collect()
}
