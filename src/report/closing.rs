//! The end of a run: did it run to its end, was the goal met, is everything cleaned up; three facts, never one.

use super::changes::{Became, Change, Changes, list_of};
use super::commands::Commands;
use super::layout::labelled;
use super::left::record_line;
use super::marks::Marks;
use super::style::{Style, Tone, break_exact, columns_of, pad};
use super::words;
use crate::event::{Event, KEPT, Record, RunResult, StepPath};
use indexmap::IndexMap;
use jiff::Timestamp;

/// The column of facts.
const LABEL: usize = 17;
/// Open changes that are listed; the others are counted.
const OPEN: usize = 12;

/// The closing event, taken apart.
#[derive(Clone, Copy)]
pub(crate) struct Closing<'a> {
    pub(crate) result: RunResult,
    pub(crate) time: Timestamp,
    pub(crate) elapsed_ms: u64,
    pub(crate) waited_ms: u64,
    pub(crate) ran_to_end: bool,
    pub(crate) reasons: &'a [String],
    pub(crate) holds: u32,
    pub(crate) validations: u32,
    /// As the record counts them: every attempt.
    pub(crate) changes: u32,
    pub(crate) open_changes: &'a [String],
    pub(crate) cleaned_up: Option<bool>,
    pub(crate) outputs: &'a IndexMap<String, crate::event::StoredValue>,
}

/// What the record says beside its closing event.
pub(crate) struct Around<'a> {
    pub(crate) run: &'a str,
    pub(crate) changes: &'a Changes,
    pub(crate) marks: &'a Marks,
    pub(crate) deviations: &'a [(Timestamp, String)],
    pub(crate) commands: &'a Commands,
    /// The run whose changes this one takes back.
    pub(crate) undo_of: Option<&'a str>,
}

impl<'a> Closing<'a> {
    /// The closing facts; nothing when the record is of something else.
    pub(crate) fn of(record: &'a Record) -> Option<Self> {
        let Event::RunEnded {
            result,
            ran_to_end,
            reasons,
            holds,
            validations,
            changes,
            open_changes,
            waited_ms,
            cleaned_up,
            outputs,
        } = &record.event
        else {
            return None;
        };
        Some(Self {
            result: *result,
            time: record.time,
            elapsed_ms: record.elapsed_ms,
            waited_ms: *waited_ms,
            ran_to_end: *ran_to_end,
            reasons,
            holds: *holds,
            validations: *validations,
            changes: *changes,
            open_changes,
            cleaned_up: *cleaned_up,
            outputs,
        })
    }

    /// The goal: a word, and the proof.
    pub(crate) fn goal(&self) -> (&'static str, String) {
        let proof = format!("{} of {} validations hold", self.holds, self.validations);
        match (self.result, self.validations) {
            (RunResult::Resolved, _) => ("yes", proof),
            (RunResult::NoAction, 0) => ("yes", "nothing needed doing".to_owned()),
            (RunResult::NoAction, _) => ("yes", format!("nothing needed doing; {proof}")),
            (RunResult::Completed, _) => ("none", "this runbook validates nothing, and it changed nothing".to_owned()),
            (_, 0) => ("no", "not proven: nothing was validated".to_owned()),
            _ => ("no", proof),
        }
    }

    /// What an undo came to: a word, and what remains.
    pub(crate) fn undone(&self) -> (&'static str, String) {
        match self.open_changes.len() {
            0 if self.ran_to_end => ("yes", "nothing of it remains".to_owned()),
            0 => ("no", "it did not run to its end".to_owned()),
            1 => ("no", "1 change remains".to_owned()),
            count => ("no", format!("{count} changes remain")),
        }
    }

    /// Whether everything is cleaned up: a word, and why.
    pub(crate) fn clean(&self, changes: &Changes) -> (&'static str, String) {
        let passing = changes.standing(self.time).filter(|(_, change)| change.is_passing()).count();
        let unknown = changes.count(Became::Unknown);
        let mut wrong = Vec::new();
        match passing {
            0 if self.cleaned_up == Some(false) => wrong.push("a temporary change stands".to_owned()),
            0 => {}
            1 => wrong.push("1 temporary change stands".to_owned()),
            count => wrong.push(format!("{count} temporary changes stand")),
        }
        match unknown {
            0 => {}
            1 => wrong.push("1 change is not known to be done or not".to_owned()),
            count => wrong.push(format!("{count} changes are not known to be done or not")),
        }
        if !wrong.is_empty() {
            return ("NO", wrong.join("; "));
        }
        let why = match self.cleaned_up {
            Some(_) => "temporary changes were taken back",
            None if self.changes == 0 => "nothing was changed",
            None => "there were no temporary changes",
        };
        ("yes", why.to_owned())
    }

    /// How many changes became what; what the record alone counts where the events are not there.
    pub(crate) fn changes(&self, changes: &Changes) -> String {
        if changes.is_empty() && self.changes > 0 { format!("{} made", self.changes) } else { changes.in_words() }
    }

    /// How long it took, and who for.
    pub(crate) fn took(&self) -> String {
        let all = words::span(self.elapsed_ms);
        if self.waited_ms == 0 {
            return format!("in {all} (nobody was waited for)");
        }
        let machine = words::span(self.elapsed_ms.saturating_sub(self.waited_ms));
        format!("in {all} (machine {machine}, waiting for people {})", words::span(self.waited_ms))
    }

    /// The last lines of the screen: enough to decide what to do now.
    pub(crate) fn lines(&self, style: &Style, around: &Around<'_>) -> Vec<String> {
        if let Some(undone) = around.undo_of {
            return self.undo_lines(style, around, undone);
        }
        let (word, tone) = words::result(self.result);
        let mut out = labelled(style, 0, word, "  ", &self.took());
        if let Some(first) = out.first_mut() {
            *first = first.replacen(word, &style.paint(tone, word), 1);
        }
        for reason in self.reasons {
            out.extend(labelled(style, 2, &pad("because", LABEL - 1), " ", &style.text(reason)));
        }
        out.extend(fact(style, "ran to the end", if self.ran_to_end { "yes" } else { "no" }, ""));
        let (word, proof) = self.goal();
        out.extend(fact(style, "goal met", word, &proof));
        let (word, why) = self.clean(around.changes);
        out.extend(fact(style, "cleaned up", word, &why));
        if self.changes > 0 || !around.changes.is_empty() {
            out.extend(labelled(style, 2, &pad("changes", LABEL), "", &self.changes(around.changes)));
            out.extend(self.standing(style, around));
        }
        out.extend(marks(style, around.marks));
        out.extend(deviating(style, around.deviations));
        out.extend(record_line(around.commands, around.run));
        out
    }

    /// The end of a run that took the changes of another one back.
    fn undo_lines(&self, style: &Style, around: &Around<'_>, undone: &str) -> Vec<String> {
        let all = around.changes.all().count();
        let back = around.changes.count(Became::TakenBack);
        let is_whole = self.open_changes.is_empty() && back == all && self.ran_to_end;
        let (word, tone) = match back {
            _ if is_whole => ("UNDONE", Tone::Good),
            0 => words::result(self.result),
            _ => ("PARTLY UNDONE", Tone::Bad),
        };
        let mut out = labelled(style, 0, word, "  ", &self.took());
        if let Some(first) = out.first_mut() {
            *first = first.replacen(word, &style.paint(tone, word), 1);
        }
        for reason in self.reasons {
            out.extend(labelled(style, 2, &pad("because", LABEL - 1), " ", &style.text(reason)));
        }
        let tried = all.max(back + self.open_changes.len());
        out.extend(labelled(style, 2, &pad("taken back", LABEL), "", &format!("{back} of {tried}")));
        if !self.open_changes.is_empty() {
            out.extend(labelled(style, 2, &pad("these remain", LABEL), "", "in the order they were made:"));
            out.extend(recorded_lines(style, self.open_changes));
        }
        if !is_whole {
            out.extend(pasted("again", &around.commands.line("undo", &[undone], "")));
        }
        out.extend(deviating(style, around.deviations));
        out.extend(record_line(around.commands, around.run));
        out
    }

    /// Changes that stand and could be taken back, and the command that does it.
    fn standing(&self, style: &Style, around: &Around<'_>) -> Vec<String> {
        let lines: Vec<String> = if around.changes.is_empty() {
            recorded_lines(style, self.open_changes)
        } else {
            let open =
                around.changes.standing(self.time).filter(|(_, change)| change.undo.is_some() || change.is_passing());
            let is_kept = |change: &Change| change.undo.as_ref().is_some_and(|undo| undo.starts_with(KEPT));
            open_lines(style, open.filter(|(_, change)| !is_kept(change)), self.time)
        };
        let uncertain = around.changes.count(Became::Unknown) + around.changes.count(Became::Failed);
        if lines.is_empty() && uncertain == 0 {
            let nothing = "nothing that an undo would take back";
            return labelled(style, 2, &pad("stands", LABEL), "", nothing);
        }
        let mut out = Vec::new();
        if !lines.is_empty() {
            out.extend(labelled(style, 2, &pad("stands", LABEL), "", "and can be taken back:"));
            out.extend(lines);
        }
        out.extend(pasted("undo with", &around.commands.line("undo", &[around.run], "")));
        out
    }
}

/// Each open change with its end and how it is taken back, under each other.
pub(crate) fn open_lines<'c>(
    style: &Style,
    open: impl Iterator<Item = (&'c StepPath, &'c Change)>,
    now: Timestamp,
) -> Vec<String> {
    // Items of one list are told together, by the first of them.
    let mut lists: IndexMap<StepPath, (usize, &Change)> = IndexMap::new();
    for (path, change) in open {
        lists.entry(list_of(path).unwrap_or_else(|| path.clone())).or_insert((0, change)).0 += 1;
    }
    let mut out = Vec::new();
    for (path, (items, change)) in lists.iter().take(OPEN) {
        let count = if *items > 1 { format!(" ({items} items, the first is shown)") } else { String::new() };
        let name = format!("    {}{count}{}", style.text(&path.0), style.text(&end_of(change, now)));
        let undo = style.lines(change.undo.as_deref().unwrap_or("no undo is written"));
        out.extend(pasted_under(style, &name, &undo));
        if let Some(why) = change.not_taken_back() {
            out.extend(labelled(style, 6, "not taken back", ": ", &style.text(why)));
        }
    }
    if lists.len() > OPEN {
        out.push(format!("    {} and {} more", style.glyphs().cut, lists.len() - OPEN));
    }
    out
}

/// When and how a change goes: ` (until 02:15:00 UTC)`.
pub(crate) fn end_of(change: &Change, now: Timestamp) -> String {
    let mut out = match change.became() {
        Became::Unknown => " (NOT KNOWN whether done)".to_owned(),
        _ => String::new(),
    };
    if let Some(until) = change.until {
        out.push_str(&format!(" (until {} UTC)", words::near(until, now)));
    } else if change.not_taken_back().is_some() {
        out.push_str(" (was to be taken back)");
    } else if change.temporary {
        out.push_str(" (taken back when the run ends)");
    }
    out
}

/// What the closing event names, for a record whose changes cannot be told otherwise.
fn recorded_lines(style: &Style, open: &[String]) -> Vec<String> {
    // Items of one list of which the same is said are told together.
    let mut told: IndexMap<(String, &str), (usize, &str)> = IndexMap::new();
    for change in open {
        let (step, text) = change.split_once(": ").unwrap_or(("", change));
        let list = list_of(&StepPath(step.to_owned())).map_or_else(|| step.to_owned(), |list| list.0);
        told.entry((list, text)).or_insert((0, step)).0 += 1;
    }
    let line = |((list, text), (items, step)): (&(String, &str), &(usize, &str))| {
        let name = if *items > 1 { format!("{list} ({items} items)") } else { (*step).to_owned() };
        pasted_under(style, &format!("    {}", style.text(&name)), &style.lines(text))
    };
    told.iter().flat_map(line).collect()
}

/// A name and a text that can be pasted: on one line where there is room, else below, broken only where it must be.
fn pasted_under(style: &Style, name: &str, lines: &[String]) -> Vec<String> {
    if let [line] = lines {
        let whole = format!("{name}  {line}");
        if columns_of(&whole) <= style.columns() {
            return vec![whole.trim_end().to_owned()];
        }
    }
    let mut out: Vec<String> = break_exact(name.trim_end(), style.columns());
    let pieces = lines.iter().flat_map(|line| break_exact(line, style.columns().saturating_sub(6)));
    out.extend(pieces.into_iter().map(|piece| format!("      {piece}").trim_end().to_owned()));
    out
}

/// The named moments with the spans between them.
fn marks(style: &Style, marks: &Marks) -> Vec<String> {
    let mut label = "marks";
    let mut out = Vec::new();
    for said in marks.current() {
        let text = said.text.as_deref().map(|text| format!(": {text}")).unwrap_or_default();
        let line = format!("{} {} UTC{text}", said.mark, words::day_and_clock(said.at));
        out.extend(labelled(style, 2, &pad(std::mem::take(&mut label), LABEL), "", &style.text(&line)));
    }
    for span in marks.spans_in_words() {
        out.extend(labelled(style, 2, &pad("", LABEL), "", &span));
    }
    out
}

fn deviating(style: &Style, deviations: &[(Timestamp, String)]) -> Vec<String> {
    let count = deviations.len();
    if count == 0 {
        return fact(style, "deviations", "none", "");
    }
    let mut label = "deviations";
    let mut word = count.to_string();
    let mut out = Vec::new();
    for (_, deviation) in deviations {
        out.extend(fact(style, std::mem::take(&mut label), &std::mem::take(&mut word), &style.text(deviation)));
    }
    out
}

/// One closing fact: what, in a word, and more about it.
fn fact(style: &Style, label: &str, word: &str, text: &str) -> Vec<String> {
    let lead = pad(label, LABEL) + &pad(word, 6);
    labelled(style, 2, &lead, " ", text)
}

/// A closing fact that can be pasted, on one line.
pub(crate) fn pasted(label: &str, text: &str) -> Vec<String> {
    vec![format!("  {}{text}", pad(label, LABEL))]
}
