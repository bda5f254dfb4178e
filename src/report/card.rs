//! The card of a gate: everything a person must know to answer, the whole act first, the answers last.

use super::grid::Grid;
use super::layout::headline;
use super::steps::StepInfo;
use super::style::{Style, Tone, break_exact, break_words, columns_of, pad};
use super::value::{short, spread, used, whole};
use super::words::span;
use crate::event::{CardView, GateRequirement, GateTerms, ItemView, StoredValue, UsedView};

/// Items that are listed on a card; the rest is counted and shown on demand.
const ITEMS: usize = 10;
/// Lines of a preview on a card; the rest is counted and shown on demand.
const PREVIEW: usize = 24;
/// The column of labels inside the box.
const LABEL: usize = 9;

/// A card and the circumstances it is shown in.
#[derive(Clone, Copy, Debug)]
pub struct CardFrame<'a> {
    /// The step: its kind and id stand in the headline.
    pub step: &'a StepInfo,
    /// What is shown.
    pub card: &'a CardView,
    /// What an approval is bound to, in hex; the first eight characters are shown.
    pub digest: &'a str,
    /// Milliseconds for which an approval is good, seen from now.
    pub good_for_ms: u64,
    /// Whether the step may be left out.
    pub may_skip: bool,
    /// Whether somebody answers here: then the answers stand at the bottom.
    pub answers: bool,
}

/// The card as lines.
#[must_use]
pub fn card(frame: &CardFrame<'_>, style: &Style) -> Vec<String> {
    card_with_foot(frame, style, "waits for a person")
}

/// The card as lines; where nobody answers, these words stand at the bottom.
pub(crate) fn card_with_foot(frame: &CardFrame<'_>, style: &Style, foot: &str) -> Vec<String> {
    let card = frame.card;
    let risk = (format!("risk {}", style.cut(&style.text(&card.risk), 12)), risk_tone(&card.risk));
    let step = StepInfo { depth: 0, ..frame.step.clone() };
    let mut out = headline(style, &step, &card.title, &[risk]);
    let mut body = Frame::open(style, &heading(card));
    body.moved(card);
    body.exact(&card.act.text);
    body.facts(card);
    body.footer(frame);
    out.append(&mut body.close(frame, foot));
    out
}

/// The evidence of a card in full: every value, every item, the whole preview, the expressions.
#[must_use]
pub fn evidence(card: &CardView, style: &Style) -> Vec<String> {
    let mut body = Frame::open(style, "evidence");
    for value in &card.because {
        body.value(value);
    }
    for text in &card.missing {
        body.fact("MISSING", text);
    }
    for text in &card.stale {
        body.fact("STALE", text);
    }
    for (index, item) in card.items.iter().enumerate() {
        body.fact(&format!("item {}", index + 1), &format!("{}  {}", whole(&item.item), item.text));
    }
    if let Some(preview) = &card.preview {
        body.fact("preview", "");
        body.exact(preview);
    }
    if body.lines.len() == 1 {
        body.fact("", "this step rests on no value");
    }
    body.end("end of the evidence");
    body.lines
}

/// Values in full, as the evidence of a decision.
#[must_use]
pub(crate) fn evidence_values(values: &[UsedView], style: &Style) -> Vec<String> {
    let mut body = Frame::open(style, "evidence");
    for value in values {
        body.value(value);
    }
    if values.is_empty() {
        body.fact("", "nothing was collected");
    }
    body.end("end of the evidence");
    body.lines
}

/// The act alone, without a box, so that it can be copied; each item's act for a list. The first and the last line say
/// what stands between them.
pub(crate) fn act_to_copy(card: &CardView) -> Vec<String> {
    let mut out = vec!["--- the act, to copy ---".to_owned()];
    out.extend(super::sanitize::visible_block(&card.act.text).lines().map(str::to_owned));
    out.extend(card.items.iter().skip(1).map(|item| super::sanitize::visible(&item.text)));
    out.push("--- end of the act ---".to_owned());
    out
}

fn heading(card: &CardView) -> String {
    let verb = match card.act.action.as_str() {
        "http" => "will send",
        "edit" | "write" => "will change",
        "manual" => "is done by hand",
        _ => "will run",
    };
    match card.items.len() {
        0 => verb.to_owned(),
        1 => format!("{verb}, for 1 item"),
        count => format!("{verb}, for each of {count} items (the first is shown)"),
    }
}

pub(crate) fn risk_tone(risk: &str) -> Tone {
    match risk {
        "low" => Tone::Quiet,
        "medium" => Tone::Attention,
        _ => Tone::Bad,
    }
}

/// A box being filled. Whatever goes in is escaped and broken here, so nothing inside can draw over the frame.
struct Frame<'a> {
    style: &'a Style,
    lines: Vec<String>,
}

impl<'a> Frame<'a> {
    fn open(style: &'a Style, heading: &str) -> Self {
        let glyphs = style.glyphs();
        let start = style.cut(&format!("  {} {heading} ", glyphs.top), style.columns());
        let rest = style.columns().saturating_sub(columns_of(&start) + 1);
        let lines = vec![format!("{start}{}", glyphs.rule.repeat(rest)).trim_end().to_owned()];
        Self { style, lines }
    }

    fn room(&self) -> usize {
        self.style.columns() - 4
    }

    /// Lines that must be seen character by character; a line that goes on has another side mark.
    fn exact(&mut self, text: &str) {
        let glyphs = self.style.glyphs();
        for line in self.style.lines(text) {
            for (index, piece) in break_exact(&line, self.room()).into_iter().enumerate() {
                let side = if index == 0 { glyphs.side } else { glyphs.onward };
                self.lines.push(format!("  {side} {piece}").trim_end().to_owned());
            }
        }
    }

    /// `label     text`; each line of the text is broken between words and hangs under its beginning.
    fn fact(&mut self, label: &str, text: &str) {
        let label = self.style.text(label);
        let mut indent = columns_of(&label).max(LABEL) + 1;
        let mut lead = pad(&label, indent);
        if indent * 2 > self.room() {
            // A label that leaves no room stands on lines of its own.
            let side = self.style.glyphs().side;
            let pieces = break_exact(&label, self.room());
            self.lines.extend(pieces.into_iter().map(|piece| format!("  {side} {piece}")));
            indent = LABEL + 1;
            lead = " ".repeat(indent);
            if text.is_empty() {
                return;
            }
        }
        let lines = self.style.lines(text);
        for line in if lines.is_empty() { vec![String::new()] } else { lines } {
            for piece in break_words(&line, self.room().saturating_sub(indent).max(16)) {
                self.lines.push(format!("  {} {lead}{piece}", self.style.glyphs().side).trim_end().to_owned());
                lead = " ".repeat(indent);
            }
        }
    }

    /// A loud fact: its label is marked.
    fn alarm(&mut self, label: &str, text: &str) {
        let from = self.lines.len();
        self.fact(label, text);
        if let Some(line) = self.lines.get_mut(from) {
            *line = line.replacen(label, &self.style.paint(Tone::Attention, label), 1);
        }
    }

    fn value(&mut self, value: &UsedView) {
        let simple = matches!(&value.value, StoredValue::Value(json) if !json.is_array() && !json.is_object());
        if simple {
            self.fact(&value.name, &whole(&value.value));
            return;
        }
        // A list of maps is a table, all of it, as long as nothing of it has to be cut.
        let entries = match &value.value {
            StoredValue::Value(serde_json::Value::Array(entries)) => entries.as_slice(),
            _ => &[],
        };
        let grid = Grid::of(entries, usize::MAX).filter(|grid| grid.fits(self.style, self.room()));
        if let Some(grid) = grid {
            self.fact(&value.name, &format!("{} entries", entries.len()));
            let side = self.style.glyphs().side;
            self.lines.extend(grid.lines(self.style, self.room()).iter().map(|line| format!("  {side} {line}")));
        } else {
            self.fact(&value.name, "");
            self.exact(&spread(&value.value));
        }
    }

    fn moved(&mut self, card: &CardView) {
        for text in &card.moved {
            self.alarm("MOVED", text);
        }
        for hole in &card.act.holes {
            self.alarm("HOLE", &format!("{}: {}", hole.label, hole.text));
        }
    }

    fn facts(&mut self, card: &CardView) {
        for line in &card.act.more {
            // A body or an environment is part of the act: exact, under its label.
            if line.text.contains('\n') || columns_of(&line.text) + LABEL + 2 > self.room() {
                self.fact(&line.label, "");
                self.exact(&line.text);
            } else {
                self.fact(&line.label, &line.text);
            }
        }
        self.items(card);
        self.preview(card);
        if let Some(target) = card.target.as_ref().or(card.act.target.as_ref()) {
            self.fact("target", target);
        }
        if !card.because.is_empty() {
            let values = used(self.style, &card.because, 48);
            self.fact("because", &values);
        }
        for text in &card.missing {
            self.alarm("MISSING", text);
        }
        for text in &card.stale {
            self.alarm("STALE", text);
        }
        self.fact("verify", card.verify.as_deref().unwrap_or("nothing is looked at afterwards"));
        match (&card.undo, &card.irreversible) {
            (Some(undo), Some(why)) => {
                self.alarm("no undo", &format!("cannot be undone: {why}"));
                self.fact("undo", undo);
            }
            (None, Some(why)) => self.alarm("no undo", &format!("cannot be undone: {why}")),
            (Some(undo), None) => self.fact("undo", undo),
            (None, None) => self.fact("undo", "none is written"),
        }
        if card.idempotent {
            self.fact("repeated", "it may be made twice: if its end is not seen, it is offered again");
        }
        if let Some(warning) = &card.warning {
            self.alarm("WARNING", warning);
        }
        self.terms(&card.terms);
    }

    /// What it takes beside the answer.
    fn terms(&mut self, terms: &GateTerms) {
        if let Some(approvals) = &terms.approvals {
            self.fact("needs", &format!("{approvals}, signed"));
        }
        if !terms.windows.is_empty() {
            let opens = terms.opens.as_ref().map(|opens| format!("; closed now, opens {opens}"));
            self.fact("window", &format!("{}{}", terms.windows.join(" or "), opens.unwrap_or_default()));
        }
    }

    fn items(&mut self, card: &CardView) {
        if card.items.is_empty() {
            return;
        }
        let count = card.items.len();
        let shown = &card.items[..count.min(ITEMS)];
        let last = card.items.last().map(|item| short(self.style, &item.item, 30)).unwrap_or_default();
        let rest = format!("and {} more, the last is {last}; [e]vidence lists all", count.saturating_sub(ITEMS));
        let brief: Option<Vec<String>> = shown.iter().map(|item| self.brief(card, item)).collect();
        if let Some(names) = brief {
            let rest = if count > ITEMS { format!(" {rest}") } else { String::new() };
            return self.fact("items", &format!("{count}: {}{rest}", names.join(", ")));
        }
        self.fact("items", &count.to_string());
        for (index, item) in shown.iter().enumerate() {
            let text = self.brief(card, item);
            let text = text.unwrap_or_else(|| format!("{}  {}", short(self.style, &item.item, 30), item.text));
            self.fact(&format!("  {}", index + 1), &text);
        }
        if count > ITEMS {
            self.fact("", &rest);
        }
    }

    /// An item by its name alone, where the name says it all: its act is the act above with this item in place of the
    /// first.
    fn brief(&self, card: &CardView, item: &ItemView) -> Option<String> {
        let own = whole(&item.item);
        let first = card.items.first().map(|first| whole(&first.item))?;
        let fits = columns_of(&own) <= self.room() / 2;
        let is_same = !first.is_empty() && card.act.text.replace(&first, &own) == item.text;
        (fits && is_same).then(|| short(self.style, &item.item, self.room()))
    }

    fn preview(&mut self, card: &CardView) {
        let Some(preview) = &card.preview else { return };
        // The diff of an edit is its act; it need not be shown twice.
        if preview.trim_end() == card.act.text.trim_end() {
            return;
        }
        let lines: Vec<&str> = preview.lines().collect();
        self.fact("preview", "");
        self.exact(&lines.iter().take(PREVIEW).copied().collect::<Vec<_>>().join("\n"));
        if lines.len() > PREVIEW {
            self.fact("", &format!("and {} more lines; [e]vidence shows all", lines.len() - PREVIEW));
        }
    }

    fn footer(&mut self, frame: &CardFrame<'_>) {
        let dot = self.style.glyphs().dot;
        let mut parts = Vec::new();
        if let Some(limit) = &frame.card.limit {
            parts.push(self.style.text(limit));
        }
        let lines = frame.card.act.text.lines().count();
        if lines > PREVIEW {
            parts.push(format!("the act above has {lines} lines"));
        }
        let span = whole_span(frame.good_for_ms);
        parts.push(match frame.card.terms.expires_ms {
            Some(_) => format!("declined when nobody passes it within {span}"),
            None => format!("an answer is good for {span}"),
        });
        let short: String = frame.digest.chars().take(8).collect();
        parts.push(format!("digest {}", self.style.text(&short)));
        let text = parts.join(&format!(" {dot} "));
        for piece in break_words(&text, self.room()) {
            self.lines.push(format!("  {} {piece}", self.style.glyphs().side));
        }
    }

    fn end(&mut self, text: &str) {
        self.lines.push(format!("  {} {text}", self.style.glyphs().bottom));
    }

    fn close(mut self, frame: &CardFrame<'_>, foot: &str) -> Vec<String> {
        if !frame.answers {
            self.end(foot);
            return self.lines;
        }
        let skip = if frame.may_skip { "[s]kip " } else { "" };
        let go = match &frame.card.requires {
            _ if frame.card.terms.approvals.is_some() => "passes when the last signature is in, or:".to_owned(),
            GateRequirement::Confirm => "[y]es to go on, or:".to_owned(),
            // A target may have proved another name than the runbook gives it: the text itself is said.
            GateRequirement::Type { text, what } => {
                format!("type {} ({}) to go on, or:", self.style.text(text.trim()), self.style.text(what))
            }
        };
        let letters = format!("[n]o {skip}[e]vidence no[t]e [l]ater [a]bort [?]");
        let pieces = if columns_of(&go) + 1 + columns_of(&letters) <= self.room() {
            vec![format!("{go} {letters}")]
        } else {
            [break_words(&go, self.room()), break_words(&letters, self.room())].concat()
        };
        let last = pieces.len().saturating_sub(1);
        for (index, piece) in pieces.into_iter().enumerate() {
            let glyphs = self.style.glyphs();
            let side = if index == last { glyphs.bottom } else { glyphs.side };
            self.lines.push(format!("  {side} {piece}"));
        }
        self.lines
    }
}

/// A span for a promise: whole minutes are said without seconds.
fn whole_span(milliseconds: u64) -> String {
    match milliseconds / 1000 {
        seconds @ 60..3600 if seconds % 60 == 0 => format!("{} min", seconds / 60),
        _ => span(milliseconds),
    }
}
