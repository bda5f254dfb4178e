//! The blocks of a run's text: its head, its steps, its end. Each is a function from facts to lines.

use super::layout::{INDENT, headline, labelled, prose};
use super::prompt::value_table;
use super::steps::{StepInfo, StepTable};
use super::style::{Style, Tone, break_exact, break_words, columns_of, pad};
use super::value::{short, used};
use super::words;
use crate::event::{
    CheckView, EvidenceRef, InputView, Mode, Operator, Outcome, RunId, RunResult, StepVerdict, StoredValue, UsedView,
    Waiting,
};
use indexmap::IndexMap;
use jiff::Timestamp;

/// Lines of a failed program's output that are repeated beside the failure.
const EXCERPT: usize = 8;
/// How many outputs of a failure are shown.
const EXCERPTS: usize = 4;

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
    let side = style.glyphs().side;
    let mut out = Vec::new();
    let left_out = if from > 0 || !kept.inline { ", in part" } else { "" };
    out.extend(prose(style, INDENT, &format!("{} ({} bytes{left_out})", style.text(&kept.stream), kept.size)));
    for line in &lines[from..] {
        let text = super::sanitize::output_line(line);
        let text = if style.unicode { text } else { style.text(&text) };
        let text = style.cut(&text, style.columns().saturating_sub(INDENT + 2));
        out.push(style.paint(Tone::Quiet, format!("{}{side} {text}", " ".repeat(INDENT)).trim_end()));
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

/// What a parked run waits for, each with the command that settles it.
pub(crate) fn parked(style: &Style, run: &str, waiting: &[Waiting], steps: &StepTable) -> Vec<String> {
    let count = if waiting.len() == 1 { "1 answer is".to_owned() } else { format!("{} answers are", waiting.len()) };
    let mut out = loud(style, "PARKED", &format!("the run waits in the store; {count} needed"));
    for wait in waiting {
        let step = style.text(&wait.step.0);
        let what = style.text(&wait.what);
        out.extend(labelled(style, 2, &what, "  ", &format!("{step}: {}", style.text(&wait.text))));
    }
    out.extend(prose(style, 2, GO_ON));
    for wait in waiting {
        // Another run has another name and another digest: a command with those of this one would be refused.
        let (command, instead) = settles("last", wait, &steps.find(&wait.step).answers);
        out.push(format!("    {command}"));
        out.extend(instead.iter().flat_map(|text| prose(style, 4, &style.text(text))));
    }
    out.push(format!("  record   runwright show {run}"));
    out
}

/// What this version makes of a parked run.
const GO_ON: &str = "This version does not take up a run that has stopped: start it anew at a terminal, or with \
                     --answers. With --park-after 30m a run stays, and while it waits this answers it:";

/// The command that settles what is waited for, and what else can be said in its place.
fn settles(run: &str, wait: &Waiting, answers: &[String]) -> (String, Option<String>) {
    let word = super::sanitize::shell_quote(&[run, wait.step.0.as_str()]);
    match wait.what.as_str() {
        "decide" => {
            // No option is filled in: a command that is pasted must not choose by itself.
            let known = (!answers.is_empty()).then(|| format!("OPTION is one of {}", answers.join(", ")));
            (format!("runwright answer {word} --choose OPTION"), known)
        }
        "when" => (format!("runwright answer {word} perform=yes"), Some("or perform=no".to_owned())),
        "manual" => (format!("runwright answer {word} result=done"), Some("or result=failed --reason TEXT".to_owned())),
        "ask" => {
            let names = if answers.is_empty() { vec!["NAME".to_owned()] } else { answers.to_vec() };
            let name = |name: &String| super::sanitize::shell_quote(&[name]);
            let pairs: Vec<String> = names.iter().map(|one| format!("{}=VALUE", name(one))).collect();
            (format!("runwright answer {word} {}", pairs.join(" ")), None)
        }
        _ => {
            let instead = "with --digest and the digest on the card where there is no terminal, or with --deny";
            (format!("runwright approve {word}"), Some(instead.to_owned()))
        }
    }
}

/// A run that was left by its operator.
///
/// `flags` are those that a later call needs to find the run, with a blank before each.
pub(crate) fn suspended(style: &Style, run: &str, reason: &str, flags: &str) -> Vec<String> {
    let mut out = loud(style, "SUSPENDED", "nothing is undone and nothing is closed");
    out.extend(labelled(style, 2, "because ", " ", &style.text(reason)));
    // Not broken into lines: they are pasted.
    out.push(format!("  go on    runwright resume {run}{flags}"));
    out.push(format!("  end it   runwright abort {run}{flags}"));
    out.push(format!("  record   runwright show {run}{flags}"));
    out
}

/// The closing facts of a run.
pub(crate) struct Closing<'a> {
    pub(crate) run: &'a str,
    pub(crate) result: RunResult,
    pub(crate) elapsed_ms: u64,
    pub(crate) waited_ms: u64,
    pub(crate) ran_to_end: bool,
    pub(crate) reasons: &'a [String],
    pub(crate) holds: u32,
    pub(crate) validations: u32,
    pub(crate) changes: u32,
    pub(crate) open_changes: &'a [String],
    pub(crate) cleaned_up: Option<bool>,
    pub(crate) deviations: &'a [(Timestamp, String)],
}

impl Closing<'_> {
    pub(crate) fn lines(&self, style: &Style) -> Vec<String> {
        let (word, tone) = words::result(self.result);
        let mut out = labelled(style, 0, word, "  ", &self.time());
        if let Some(first) = out.first_mut() {
            *first = first.replacen(word, &style.paint(tone, word), 1);
        }
        for reason in self.reasons {
            out.extend(labelled(style, 2, &pad("because", 16), " ", &style.text(reason)));
        }
        let ran = if self.ran_to_end { "yes" } else { "no" };
        out.extend(fact(style, "ran to the end", ran, ""));
        out.extend(self.goal(style));
        out.extend(fact(style, "changes made", &self.changes.to_string(), ""));
        match self.cleaned_up {
            None => {}
            Some(true) => out.extend(fact(style, "cleaned up", "yes", "temporary changes were taken back")),
            Some(false) => out.extend(fact(style, "cleaned up", "NO", "a temporary change stands")),
        }
        out.extend(self.standing(style));
        out.extend(self.deviating(style));
        out.extend(command("record", &format!("runwright show {}", self.run)));
        out
    }

    fn time(&self) -> String {
        let all = words::span(self.elapsed_ms);
        if self.waited_ms == 0 {
            return format!("in {all} (nobody was waited for)");
        }
        let machine = words::span(self.elapsed_ms.saturating_sub(self.waited_ms));
        format!("in {all} (machine {machine}, waiting for people {})", words::span(self.waited_ms))
    }

    fn goal(&self, style: &Style) -> Vec<String> {
        let proof = format!("{} of {} validations hold", self.holds, self.validations);
        let (word, text) = match (self.result, self.validations) {
            (RunResult::Resolved, _) => ("yes", proof),
            (RunResult::NoAction, 0) => ("yes", "nothing needed doing".to_owned()),
            (RunResult::NoAction, _) => ("yes", format!("nothing needed doing; {proof}")),
            (RunResult::Completed, _) => ("none", "this runbook validates nothing, and it changed nothing".to_owned()),
            (_, 0) => ("no", "not proven: nothing was validated".to_owned()),
            _ => ("no", proof),
        };
        fact(style, "goal met", word, &text)
    }

    /// Changes that stand and could be taken back; where nothing was changed there is nothing to say.
    fn standing(&self, style: &Style) -> Vec<String> {
        let Some((first, rest)) = self.open_changes.split_first() else {
            let nothing = "nothing that an undo would take back";
            return if self.changes == 0 { Vec::new() } else { labelled(style, 2, &pad("stands", 17), "", nothing) };
        };
        let count = match self.open_changes.len() {
            1 => "1 change that can be taken back".to_owned(),
            count => format!("{count} changes that can be taken back"),
        };
        let mut out = labelled(style, 2, &pad("stands", 17), "", &format!("{count}:"));
        for change in std::iter::once(first).chain(rest) {
            // The text of an undo can be pasted, so it is broken only where it must be.
            let (step, undo) = change.split_once(": ").unwrap_or(("", change));
            let step = if step.is_empty() { String::new() } else { format!("{}  ", style.text(step)) };
            let lead = format!("    {step}");
            let undo = style.text(undo);
            let whole = format!("{lead}{undo}");
            if columns_of(&whole) <= style.columns() {
                out.push(whole);
            } else {
                out.push(lead.trim_end().to_owned());
                let pieces = break_exact(&undo, style.columns().saturating_sub(6));
                out.extend(pieces.into_iter().map(|piece| format!("      {piece}").trim_end().to_owned()));
            }
        }
        out
    }

    fn deviating(&self, style: &Style) -> Vec<String> {
        let count = self.deviations.len();
        if count == 0 {
            return fact(style, "deviations", "none", "");
        }
        let mut label = "deviations";
        let mut word = count.to_string();
        let mut out = Vec::new();
        for (_, deviation) in self.deviations {
            out.extend(fact(style, std::mem::take(&mut label), &std::mem::take(&mut word), &style.text(deviation)));
        }
        out
    }
}

/// One closing fact: what, in a word, and more about it.
fn fact(style: &Style, label: &str, word: &str, text: &str) -> Vec<String> {
    let lead = pad(label, 17) + &pad(word, 6);
    labelled(style, 2, &lead, " ", text)
}

/// A closing fact that can be pasted, on one line.
fn command(label: &str, text: &str) -> Vec<String> {
    vec![format!("  {}{text}", pad(label, 17))]
}
