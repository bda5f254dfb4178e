//! What a person is shown when something is wanted of them. The terminal adds the line to type on.

use super::blocks::loud;
use super::card::{CardFrame, act_to_copy, card, evidence, evidence_values};
use super::grid::{Grid, ROWS, plain_list};
use super::layout::{INDENT, headline, labelled, prose, table};
use super::passed::exact_in_short;
use super::steps::{StepInfo, StepTable};
use super::style::{Style, Tone, break_exact, break_words, columns_of, pad};
use super::value::short;
use super::words;
use crate::engine::{Prompt, PromptKind, QuestionView};
use crate::event::{OptionVerdict, OptionView, RunId, StepPath, StoredValue, UsedView};
use jiff::Timestamp;

/// The column of the author's guess: `  45 %  `.
const GUESS: usize = 8;
/// Lines of a list of plain values.
const LIST_LINES: usize = 4;
/// The most lines of a text with several.
const TEXT_LINES: usize = 8;

/// The text of a prompt, without the line to type on.
#[must_use]
pub fn prompt(prompt: &Prompt, steps: &StepTable, style: &Style, now: Timestamp) -> Vec<String> {
    let step = StepInfo { depth: 0, ..steps.find(&prompt.step) };
    let mut out = vec![String::new()];
    match &prompt.kind {
        PromptKind::Gate { card: view, digest, expires, may_skip } => out.extend(card(
            &CardFrame {
                step: &step,
                card: view,
                digest,
                good_for_ms: words::between(now, *expires),
                may_skip: *may_skip,
                answers: true,
            },
            style,
        )),
        PromptKind::Decide { options, shown, reason } => {
            out.extend(headline(style, &step, &prompt.title, &[]));
            out.extend(shown_table(style, shown));
            out.extend(option_table(style, options, true));
            out.extend(labelled(style, 2, "asked because", " ", &style.text(reason)));
            out.extend(prose(style, 2, "a number or a name, or: [e]vidence no[t]e [l]ater [a]bort [?]"));
        }
        PromptKind::When { expression, reason } => {
            out.extend(headline(style, &step, &prompt.title, &[]));
            let rows = [("performed when", expression), ("unknown because", reason)];
            out.extend(table(style, 2, &rows.map(|(name, text)| (name.to_owned(), style.text(text)))));
            out.extend(prose(style, 2, "perform it? [y]es [n]o, or: no[t]e [l]ater [a]bort [?]"));
        }
        PromptKind::Ask { questions } => {
            out.extend(headline(style, &step, &prompt.title, &[]));
            out.extend(question_list(style, questions));
        }
        PromptKind::Interactive { command, may_skip } => {
            out.extend(headline(style, &step, &prompt.title, &[("at this terminal".to_owned(), Tone::Attention)]));
            out.extend(boxed(style, command));
            let skip = if *may_skip { "[s]kip " } else { "" };
            out.extend(prose(style, 2, &format!("start it? [y]es [n]o, or: {skip}[c]opy no[t]e [l]ater [a]bort [?]")));
        }
        PromptKind::HandOver { .. } => {}
        PromptKind::Settle { act, known } => {
            out.extend(headline(style, &step, &prompt.title, &[("its end was not seen".to_owned(), Tone::Bad)]));
            out.extend(boxed(style, act));
            for line in known {
                out.extend(labelled(style, 2, "known", " ", &style.text(line)));
            }
            out.extend(prose(style, 2, "look at the target, then say what became of it:"));
            out.extend(prose(
                style,
                2,
                "[d]one [f] not done, and not tried again [r]etry behind its gate, or: no[t]e [l]ater [a]bort [?]",
            ));
        }
        PromptKind::Outlived { processes, spent } => {
            out.extend(headline(style, &step, &prompt.title, &[("still running".to_owned(), Tone::Attention)]));
            let began = words::span(u64::try_from(spent.as_millis()).unwrap_or(u64::MAX));
            let text = format!("{}; begun {began} ago by a process that is gone", processes.join(", "));
            out.extend(labelled(style, 2, "processes", " ", &style.text(&text)));
            out.extend(labelled(
                style,
                2,
                "w        ",
                " ",
                "wait until they have ended; then its `verify`, or you, say what came of it",
            ));
            out.extend(labelled(style, 2, "e        ", " ", "end them: the change is cut off, and may be half done"));
            out.extend(prose(style, 2, "[w]ait [e]nd, or: no[t]e [l]ater [a]bort [?]"));
        }
        PromptKind::Stop { run, changes, others, may_abort } => {
            out.extend(how_to_stop(style, run, changes, others, *may_abort));
        }
        PromptKind::Manual { text, may_skip } => {
            out.extend(headline(style, &step, &prompt.title, &[("to do by hand".to_owned(), Tone::Attention)]));
            out.extend(boxed(style, text));
            let skip = if *may_skip { "[s]kip " } else { "" };
            out.extend(prose(style, 2, &format!("[d]one [f]ailed, or: {skip}no[t]e [l]ater [a]bort [?]")));
        }
    }
    out
}

/// The question of the first Ctrl-C: what runs, and what each answer does with it.
fn how_to_stop(style: &Style, run: &RunId, changes: &[StepPath], others: &[StepPath], may_abort: bool) -> Vec<String> {
    let names = |steps: &[StepPath]| {
        style.text(&steps.iter().map(|step| format!("`{}`", step.0)).collect::<Vec<_>>().join(", "))
    };
    let mut out = loud(style, "CTRL-C", "what runs goes on until you answer; no change is begun");
    if !changes.is_empty() {
        out.extend(labelled(style, 2, "change", "  ", &format!("{} is running", names(changes))));
    }
    if !others.is_empty() {
        out.extend(labelled(style, 2, "running", " ", &names(others)));
    }
    let waits = if changes.is_empty() { "" } else { "the change that runs is waited for, with its verify; " };
    let stops = if others.is_empty() { "" } else { "other steps are stopped, and begun again by a resume; " };
    let text = format!("suspend: {waits}{stops}nothing is undone, `runwright resume {run}` goes on");
    out.extend(labelled(style, 2, "Enter ", "  ", &text));
    if may_abort {
        let cuts = if changes.is_empty() { "" } else { "the change is cut off, and its outcome is unknown; " };
        let text = format!("abort: {cuts}temporary changes are taken back, `finally` runs, the run ends for good");
        out.extend(labelled(style, 2, "a     ", "  ", &text));
    }
    out.extend(labelled(style, 2, "c     ", "  ", "continue as if nothing had happened"));
    out.extend(labelled(style, 2, "Ctrl-C", "  ", "leave at once: what runs is killed"));
    out
}

/// What stands behind a prompt, in full.
#[must_use]
pub fn prompt_evidence(prompt: &Prompt, style: &Style) -> Vec<String> {
    match &prompt.kind {
        PromptKind::Gate { card, .. } => evidence(card, style),
        PromptKind::Decide { options, shown, .. } => {
            let mut values: Vec<UsedView> = shown.clone();
            for used in options.iter().flat_map(|option| &option.used) {
                if !values.contains(used) {
                    values.push(used.clone());
                }
            }
            evidence_values(&values, style)
        }
        PromptKind::When { .. }
        | PromptKind::Ask { .. }
        | PromptKind::Interactive { .. }
        | PromptKind::HandOver { .. }
        | PromptKind::Settle { .. }
        | PromptKind::Stop { .. }
        | PromptKind::Outlived { .. }
        | PromptKind::Manual { .. } => evidence_values(&[], style),
    }
}

/// The act of a gate alone, for copying; nothing for other prompts.
#[must_use]
pub fn prompt_act(prompt: &Prompt) -> Vec<String> {
    match &prompt.kind {
        PromptKind::Gate { card, .. } => act_to_copy(card),
        PromptKind::Interactive { command, .. } => vec![command.clone()],
        _ => Vec::new(),
    }
}

/// The evidence table of a decision.
pub(crate) fn shown_table(style: &Style, shown: &[UsedView]) -> Vec<String> {
    value_table(style, shown.iter().map(|used| (used.name.as_str(), &used.value)))
}

/// Names and values under each other, each value short enough for its line. A list of maps is a table below its name,
/// a list of plain values goes on below its beginning.
pub(crate) fn value_table<'a>(style: &Style, values: impl Iterator<Item = (&'a str, &'a StoredValue)>) -> Vec<String> {
    let values: Vec<_> = values.map(|(name, value)| (style.text(name), value)).collect();
    let widest = values.iter().map(|(name, _)| columns_of(name)).max().unwrap_or(0).min(style.columns() / 3);
    let room = style.columns().saturating_sub(INDENT + widest + 2).max(16);
    let mut out = Vec::new();
    for (name, value) in values {
        let label = pad(&name, widest);
        let entries = match value {
            StoredValue::Value(serde_json::Value::Array(entries)) if entries.len() > 1 => entries.as_slice(),
            _ => &[],
        };
        if let Some(grid) = Grid::of(entries, ROWS) {
            out.extend(labelled(style, INDENT, &label, "  ", &format!("{} entries", entries.len())));
            let room = style.columns().saturating_sub(INDENT + 2);
            out.extend(grid.lines(style, room).into_iter().map(|line| format!("{}{line}", " ".repeat(INDENT + 2))));
        } else if let Some(list) = Some(entries).filter(|entries| !entries.is_empty()).and_then(plain_list) {
            out.extend(labelled(style, INDENT, &label, "  ", &style.cut(&style.text(&list), room * LIST_LINES)));
        } else if let StoredValue::Value(serde_json::Value::String(text)) = value {
            out.extend(text_lines(style, &label, text, room));
        } else {
            out.extend(labelled(style, INDENT, &label, "  ", &short(style, value, room)));
        }
    }
    out
}

/// A text: on a few lines of our own, or by its own last lines when it has several.
fn text_lines(style: &Style, label: &str, text: &str, room: usize) -> Vec<String> {
    let lines: Vec<&str> = text.trim_end_matches('\n').split('\n').collect();
    if let [line] = lines.as_slice() {
        return labelled(style, INDENT, label, "  ", &style.cut(&style.text(line), room * LIST_LINES));
    }
    let from = lines.len().saturating_sub(TEXT_LINES);
    let count = match from {
        0 => format!("{} lines", lines.len()),
        _ => format!("{} lines, the last {TEXT_LINES}", lines.len()),
    };
    let mut out = labelled(style, INDENT, label, "  ", &count);
    out.extend(lines[from..].iter().flat_map(|line| exact_in_short(style, line, LIST_LINES)));
    out
}

/// Options with the author's guess and the machine's view: `title   45 %   holds   top_share > 0.5  (top_share 0.95)`.
pub(crate) fn option_table(style: &Style, options: &[OptionView], numbered: bool) -> Vec<String> {
    let titles: Vec<String> = options.iter().map(|option| style.text(option_title(option))).collect();
    let guesses = if options.iter().any(|option| option.likelihood.is_some()) { GUESS } else { 0 };
    let views = options.iter().map(|option| words::option(option.verdict).len()).max().unwrap_or(0);
    let room = style.columns().saturating_sub(INDENT + 2 + guesses + views).max(12);
    let beside = INDENT + 2 + guesses + views + 12 <= style.columns();
    let longest = titles.iter().map(|title| columns_of(title)).max().unwrap_or(0);
    let widest = if beside { longest.min(room) } else { style.columns().saturating_sub(INDENT) };
    let mut out = Vec::new();
    for (index, (option, title)) in options.iter().zip(&titles).enumerate() {
        let mut start = if numbered { format!("{:>10}  ", index + 1) } else { " ".repeat(INDENT) };
        let mut pieces = break_words(title, widest.max(1));
        // What belongs to the option stands beside the last line of its title.
        let last = pieces.pop().unwrap_or_default();
        for piece in pieces {
            out.push(format!("{start}{piece}"));
            start = " ".repeat(INDENT);
        }
        let guess = option.likelihood.map(|percent| format!("{percent:>4} %  ")).unwrap_or_default();
        let view = words::option(option.verdict);
        let lead = if beside {
            format!("{start}{}  {}", pad(&last, widest), pad(&guess, guesses))
        } else {
            out.push(format!("{start}{last}"));
            format!("{}{}", " ".repeat(INDENT), guess.trim_start())
        };
        let because = because(style, option);
        let word = style.paint(option_tone(option.verdict), view);
        let gap = " ".repeat(views - view.len() + 2);
        if because.is_empty() {
            out.push(format!("{lead}{word}"));
        } else if columns_of(&lead) + views + 2 + columns_of(&because) <= style.columns() {
            out.push(format!("{lead}{word}{gap}{because}"));
        } else {
            out.push(format!("{lead}{word}"));
            out.extend(prose(style, INDENT + 2, &because));
        }
    }
    out
}

fn option_tone(verdict: OptionVerdict) -> Tone {
    match verdict {
        OptionVerdict::Holds => Tone::Good,
        OptionVerdict::Unknown => Tone::Attention,
        OptionVerdict::DoesNotHold | OptionVerdict::PersonsChoice => Tone::Quiet,
    }
}

pub(crate) fn option_title(option: &OptionView) -> &str {
    if option.title.is_empty() { &option.name } else { &option.title }
}

/// The expression and what it saw: `queue.top_share > 0.5 (queue.top_share 0.95)`.
fn because(style: &Style, option: &OptionView) -> String {
    let expression = option.expression.as_deref().map(|text| style.text(text)).unwrap_or_default();
    let mut parts = Vec::new();
    if !option.used.is_empty() {
        parts.push(super::value::used(style, &option.used, 24));
    }
    if let Some(reason) = &option.reason {
        parts.push(style.text(reason));
    }
    match (expression.is_empty(), parts.is_empty()) {
        (true, _) => parts.join("; "),
        (false, true) => expression,
        (false, false) => format!("{expression}  ({})", parts.join("; ")),
    }
}

fn question_list(style: &Style, questions: &[QuestionView]) -> Vec<String> {
    let many = if questions.len() == 1 { "1 question" } else { "questions, one after the other" };
    let count = if questions.len() == 1 { String::new() } else { format!("{} ", questions.len()) };
    prose(style, 2, &format!("{count}{many}; or: !note TEXT, !later, !abort, !help"))
}

/// Text of several lines that is not ours, behind a side mark: it cannot pass for a frame of ours.
pub(crate) fn boxed(style: &Style, text: &str) -> Vec<String> {
    let glyphs = style.glyphs();
    let mut out = Vec::new();
    for line in style.lines(text) {
        for (index, piece) in break_exact(&line, style.columns() - 4).into_iter().enumerate() {
            let side = if index == 0 { glyphs.side } else { glyphs.onward };
            out.push(format!("  {side} {piece}").trim_end().to_owned());
        }
    }
    out
}
