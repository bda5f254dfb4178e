//! The blocks of a run's text: its head, its steps. Each is a function from facts to lines.

use super::layout::{INDENT, headline, labelled, prose};
use super::passed::{exact, exact_in_short};
use super::prompt::value_table;
use super::steps::StepInfo;
use super::style::{Style, Tone, break_exact, break_words, columns_of, pad};
use super::value::{short, used};
use super::words;
use crate::event::{
    ActView, CheckView, EvidenceRef, InputView, Mode, Operator, Outcome, RunId, StepVerdict, StoredValue, UsedView,
};
use indexmap::IndexMap;

/// Lines of a failed program's output that are repeated beside the failure.
const EXCERPT: usize = 8;
/// How many lines of ours one of them takes at most.
const LINES_OF_ONE: usize = 4;
/// How many outputs of a failure are shown.
const EXCERPTS: usize = 4;

/// The column of what goes with an act.
const ACT_LABEL: usize = 8;

/// The blanks before an input.
const INPUT: usize = 6;

/// What stands above a run.
pub(crate) struct Head<'a> {
    pub(crate) run: &'a RunId,
    pub(crate) mode: Mode,
    pub(crate) runbook: &'a str,
    pub(crate) title: &'a str,
    pub(crate) environment: Option<&'a str>,
    pub(crate) production: bool,
    pub(crate) operator: &'a Operator,
    pub(crate) library: Option<&'a str>,
    pub(crate) inputs: &'a [InputView],
    pub(crate) warnings: &'a [String],
}

impl Head<'_> {
    pub(crate) fn lines(&self, style: &Style) -> Vec<String> {
        let name = style.text(self.runbook);
        let title = style.text(self.title);
        let run = format!("run {}", style.text(self.run.as_str()));
        let left = format!("{name}  {title}");
        let columns = style.columns();
        let mut out = if columns_of(&left) + 2 + columns_of(&run) <= columns {
            let gap = " ".repeat(columns - columns_of(&left) - columns_of(&run));
            vec![format!("{}  {title}{gap}{run}", style.paint(Tone::Kind, &name))]
        } else {
            let mut lines = labelled(style, 0, &name, "  ", &title);
            lines.push(run);
            lines
        };
        match self.mode {
            Mode::Run => {}
            Mode::Probe => out.push("  PROBE   reads only: no change is made".to_owned()),
            Mode::Plan => out.push("  PLAN    nothing is executed".to_owned()),
        }
        out.extend(labelled(style, 2, "environment", " ", &self.circumstances(style)));
        out.extend(input_table(style, self.inputs));
        for warning in self.warnings {
            out.extend(marked(style, Tone::Attention, "warn       ", &style.text(warning)));
        }
        out
    }

    fn circumstances(&self, style: &Style) -> String {
        let environment = match (self.environment, self.production) {
            (Some(name), true) => format!("{} (production)", style.text(name)),
            (Some(name), false) => style.text(name),
            (None, true) => "none (counts as production)".to_owned(),
            (None, false) => "none (local)".to_owned(),
        };
        let mut parts = vec![environment, format!("operator {}", style.text(&words::operator(self.operator)))];
        if let Some(library) = self.library {
            parts.push(format!("library {}", style.text(library)));
        }
        parts.join(&format!(" {} ", style.glyphs().dot))
    }
}

/// Inputs under each other: name, value, and where it came from. Nothing is cut: a long value goes on in its column.
pub(crate) fn input_table(style: &Style, inputs: &[InputView]) -> Vec<String> {
    if inputs.is_empty() {
        return Vec::new();
    }
    let text = |input: &InputView| match &input.value {
        StoredValue::Unknown(_) => "(no value)".to_owned(),
        value => short(style, value, style.columns() * 4),
    };
    let rows: Vec<[String; 3]> =
        inputs.iter().map(|input| [style.text(&input.name), text(input), style.text(&input.source)]).collect();
    let width = |column: usize| rows.iter().map(|row| columns_of(&row[column])).max().unwrap_or(0);
    let name = width(0).min(style.columns() / 3);
    let room = style.columns().saturating_sub(INPUT + name + 2);
    let source = width(2).min(room / 2);
    let value = width(1).min(room.saturating_sub(source + 2));
    let mut out = vec!["  inputs".to_owned()];
    for [own, text, from] in &rows {
        let columns = [break_exact(own, name), break_exact(text, value), break_words(from, source)];
        for line in 0..columns.iter().map(Vec::len).max().unwrap_or(0) {
            let cell = |column: usize| columns[column].get(line).map_or("", String::as_str);
            let line = format!("{}  {}  {}", pad(cell(0), name), pad(cell(1), value), cell(2));
            out.push(format!("{}{}", " ".repeat(INPUT), line.trim_end()));
        }
    }
    out
}

/// A target as it was proven.
pub(crate) fn target(style: &Style, name: &str, address: &str, identity: Option<&str>) -> Vec<String> {
    let name = style.text(name);
    let address = style.text(address);
    let text = match identity {
        Some(identity) => format!("{name} {address} = {} (proven)", style.text(identity)),
        None => format!("{name} {address} (no identity declared: only the address is known)"),
    };
    labelled(style, 2, "target     ", " ", &text)
}

/// A label in a tone, and a text.
pub(crate) fn marked(style: &Style, tone: Tone, label: &str, text: &str) -> Vec<String> {
    let mut out = labelled(style, 2, label, " ", text);
    if let Some(first) = out.first_mut() {
        *first = first.replacen(label, &style.paint(tone, label), 1);
    }
    out
}

/// How a step ended.
pub(crate) struct StepEnd<'a> {
    pub(crate) step: &'a StepInfo,
    pub(crate) title: &'a str,
    pub(crate) change: bool,
    /// Of a loop: how many items succeeded, and how many did not.
    pub(crate) items: (usize, usize),
    pub(crate) took_ms: Option<u64>,
    pub(crate) attempts: u32,
    pub(crate) outcome: Outcome,
    pub(crate) verdict: Option<StepVerdict>,
    pub(crate) captures: &'a IndexMap<String, StoredValue>,
    pub(crate) checks: &'a [CheckView],
    pub(crate) shown: &'a [UsedView],
    pub(crate) reason: Option<&'a str>,
    pub(crate) handled: bool,
    pub(crate) error: Option<&'a str>,
    pub(crate) evidence: &'a [EvidenceRef],
    /// What was performed, where no card has told it.
    pub(crate) act: Option<&'a ActView>,
    pub(crate) location: Option<&'a str>,
}

impl StepEnd<'_> {
    pub(crate) fn lines(&self, style: &Style) -> Vec<String> {
        let state = words::state(self.outcome, self.verdict, self.change, self.handled);
        let mut right = Vec::new();
        if let Some(took) = self.took_ms {
            right.push((words::span(took), Tone::Quiet));
        }
        right.push(state);
        let mut out = headline(style, self.step, self.title, &right);
        if self.attempts > 1 {
            out.extend(prose(style, INDENT, &format!("after {} attempts", self.attempts)));
        }
        match self.items {
            (0, 0) => {}
            (good, 0) => out.extend(prose(style, INDENT, &format!("{good} items done"))),
            (good, bad) => out.extend(prose(style, INDENT, &format!("{good} items done, {bad} not"))),
        }
        out.extend(self.values(style));
        for check in self.checks {
            out.extend(check_lines(style, check));
        }
        if self.outcome != Outcome::Succeeded || self.verdict.is_some_and(|verdict| verdict != StepVerdict::Holds) {
            out.extend(self.trouble(style));
        } else if let Some(note) = self.reason {
            // What an act says although it succeeded: its answer is not whole, or was not kept.
            out.extend(labelled(style, INDENT, "note", "    ", &style.text(note)));
        }
        out
    }

    fn values(&self, style: &Style) -> Vec<String> {
        // What the author wants seen; without such a wish, all that was kept.
        if self.shown.is_empty() {
            return value_table(style, self.captures.iter().map(|(name, value)| (name.as_str(), value)));
        }
        value_table(style, self.shown.iter().map(|used| (used.name.as_str(), &used.value)))
    }

    fn trouble(&self, style: &Style) -> Vec<String> {
        let mut out = Vec::new();
        if let Some(act) = self.act {
            out.extend(exact(style, &act.text));
            for line in &act.more {
                out.extend(exact(style, &format!("{} {}", pad(&line.label, ACT_LABEL), line.text)));
            }
        }
        if let Some(reason) = self.reason {
            out.extend(labelled(style, INDENT, "reason", "  ", &style.text(reason)));
        }
        if let Some(error) = self.error.filter(|error| Some(*error) != self.reason) {
            // What the reason says already is not said twice: the class alone is left.
            let class = self.reason.and_then(|reason| error.strip_suffix(reason)?.strip_suffix(": "));
            out.extend(labelled(style, INDENT, "error", "   ", &style.text(class.unwrap_or(error))));
        }
        if matches!(self.outcome, Outcome::Failed | Outcome::TimedOut | Outcome::Unknown) {
            let kept: Vec<_> = self.evidence.iter().filter(|kept| !kept.excerpt.trim().is_empty()).collect();
            // The last pages of many; all of them are in the record.
            let before = kept.len().saturating_sub(EXCERPTS);
            if before > 0 {
                out.extend(prose(style, INDENT, &format!("{before} more before these are in the record")));
            }
            for kept in &kept[before..] {
                out.extend(excerpt(style, kept));
            }
        }
        if let Some(location) = self.location {
            out.push(format!("{}--> {}", " ".repeat(INDENT), style.text(location)));
        }
        out
    }
}

/// The last lines of the output that was kept of a failure.
fn excerpt(style: &Style, kept: &EvidenceRef) -> Vec<String> {
    let lines: Vec<&str> = kept.excerpt.lines().collect();
    let from = lines.len().saturating_sub(EXCERPT);
    let mut out = Vec::new();
    let left_out = if from > 0 || !kept.inline { ", in part" } else { "" };
    out.extend(prose(style, INDENT, &format!("{} ({} bytes{left_out})", style.text(&kept.stream), kept.size)));
    for line in &lines[from..] {
        let lines = exact_in_short(style, line, LINES_OF_ONE);
        out.extend(lines.iter().map(|line| style.paint(Tone::Quiet, line)));
    }
    out
}

/// One check with the values it saw: `body.items | length < 50    does not hold    length 512`.
fn check_lines(style: &Style, check: &CheckView) -> Vec<String> {
    let (word, tone) = words::verdict(check.verdict);
    let mut text = style.text(&check.expression);
    let values = used(style, &check.used, 32);
    let saw = match (&check.reason, values.is_empty()) {
        (Some(reason), true) => style.text(reason),
        (Some(reason), false) => format!("{values}; {}", style.text(reason)),
        (None, _) => values,
    };
    if !saw.is_empty() {
        text = format!("{text}  ({saw})");
    }
    let mut out = labelled(style, INDENT, &pad(word, 13), "  ", &text);
    if let Some(first) = out.first_mut() {
        *first = first.replacen(word, &style.paint(tone, word), 1);
    }
    out
}

/// A state of the run, and what it means.
pub(crate) fn loud(style: &Style, word: &str, text: &str) -> Vec<String> {
    let mut out = labelled(style, 0, word, "  ", text);
    if let Some(first) = out.first_mut() {
        *first = first.replacen(word, &style.paint(Tone::Attention, word), 1);
    }
    out
}
