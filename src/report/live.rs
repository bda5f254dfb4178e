//! The screen of a run: a fold over its records that gives the lines to print, in the order things happen.

use super::blocks::{Closing, Head, StepEnd, marked, parked, suspended, target};
use super::card::{CardFrame, card};
use super::layout::{INDENT, headline, labelled, prose, table};
use super::output::Output;
use super::problem::{Problem, problem};
use super::prompt::{boxed, option_table, option_title, shown_table, value_table};
use super::steps::{StepInfo, StepTable, is_item};
use super::style::{Style, Tone};
use super::value::short;
use super::words;
use crate::engine::Chunk;
use crate::event::{
    Actor, AnswerKind, CardView, ErrorClass, Event, EvidenceRef, GateAnswer, OptionView, Outcome, Record, StepPath,
    StoredValue, UsedView,
};
use indexmap::IndexMap;
use jiff::Timestamp;
use std::collections::HashMap;

/// Items of a loop that get a line each when they succeed; beyond, only trouble is shown.
const ITEM_LINES: usize = 20;

/// Below so many columns the time of day stands on a line of its own.
const NARROW: usize = 60;

/// What a screen shows beside the lines of the run.
#[derive(Clone, Copy, Debug)]
pub struct ScreenOptions {
    /// Whether the cards of gates are printed when they open. Off where a person is asked at this terminal, because
    /// the prompt shows the card.
    pub cards: bool,
    /// Whether each block begins with the time of day (UTC): for a run that is over.
    pub clock: bool,
    /// Whether output of steps is shown while they run, once they have run for some seconds.
    pub output: bool,
}

impl ScreenOptions {
    /// A run on a terminal.
    pub const LIVE: Self = Self { cards: false, clock: false, output: true };
    /// A run in a pipe or in CI: nobody is asked here.
    pub const UNATTENDED: Self = Self { cards: true, clock: false, output: false };
    /// A recorded run.
    pub const RECORDED: Self = Self { cards: true, clock: true, output: false };
}

/// A step that has begun and not ended.
#[derive(Default)]
struct Running {
    since: Option<Timestamp>,
    since_ms: Option<u64>,
    attempt: u32,
    active: bool,
    change: bool,
    error: Option<String>,
    evidence: Vec<EvidenceRef>,
    title: Option<String>,
    gated: bool,
    waiting: Option<&'static str>,
    items_shown: usize,
}

/// The screen of a run. Feed it every record once, in order; print what comes back.
pub struct LiveScreen {
    style: Style,
    steps: StepTable,
    options: ScreenOptions,
    run: String,
    running: IndexMap<StepPath, Running>,
    targets: HashMap<String, (String, Option<String>)>,
    /// Steps left out since the last line, with the reason.
    skipped: Vec<(String, String)>,
    skipped_at: Option<Timestamp>,
    /// Whether something stands below the head.
    begun: bool,
    deviations: Vec<String>,
    output: Output,
    places: HashMap<StepPath, String>,
}

impl LiveScreen {
    /// A screen on which nothing has happened yet.
    #[must_use]
    pub fn new(style: Style, steps: StepTable, options: ScreenOptions) -> Self {
        Self {
            style,
            steps,
            options,
            run: "RUN".to_owned(),
            running: IndexMap::new(),
            targets: HashMap::new(),
            skipped: Vec::new(),
            skipped_at: None,
            begun: false,
            deviations: Vec::new(),
            output: Output::default(),
            places: HashMap::new(),
        }
    }

    /// Says where steps stand in the runbook (`runbooks/x.yaml:38:7`), so that failures can point at it.
    #[must_use]
    pub fn with_places(mut self, places: HashMap<StepPath, String>) -> Self {
        self.places = places;
        self
    }

    /// Takes a record; gives the lines to print for it, which may be none.
    pub fn fold(&mut self, record: &Record) -> Vec<String> {
        let inner = self.inner_style();
        let lines = self.event(record, &inner);
        if lines.is_empty() {
            return lines;
        }
        let mut out = Vec::new();
        if record.step.is_some() && !std::mem::replace(&mut self.begun, true) {
            out.push(String::new());
        }
        if let Some(time) = self.skipped_at.take() {
            let skipped = self.take_skipped(&inner);
            out.extend(self.timed(time, skipped));
        }
        out.extend(self.timed(record.time, lines));
        out
    }

    /// The last line of a run that was sealed: the head of its record.
    #[must_use]
    pub fn sealed(&self, head: &str) -> Vec<String> {
        let head = self.style.text(head);
        let short = match (head.get(..8), head.get(head.len().saturating_sub(8)..)) {
            (Some(first), Some(last)) if head.len() > 20 => format!("{first}{}{last}", self.style.glyphs().cut),
            _ => head,
        };
        let inset = self.style.columns() - self.inner_style().columns();
        labelled(&self.style, inset + 2, "head            ", " ", &short)
    }

    /// Takes a piece of output of a running step.
    pub fn output(&mut self, chunk: &Chunk) {
        if self.options.output {
            self.output.take(chunk);
        }
    }

    /// The lines of output that are due: of each step that has run for some seconds, its latest lines. To be called
    /// a few times a second.
    pub fn tick(&mut self, now: Timestamp) -> Vec<String> {
        let mut out = Vec::new();
        for (path, step) in &self.running {
            let ran = step.since.map_or(0, |since| words::between(since, now));
            if step.active {
                out.extend(self.output.due(path, ran, &self.style));
            }
        }
        out
    }

    /// One line about what runs now, for a terminal; nothing when nothing runs.
    #[must_use]
    pub fn status_line(&self, now: Timestamp) -> Option<String> {
        if !self.style.terminal {
            return None;
        }
        let mut parts = Vec::new();
        for (path, step) in &self.running {
            let name = self.style.text(&path.0);
            if let Some(what) = step.waiting {
                parts.push(format!("{name} waits for {what}"));
            } else if step.active {
                let ran = step.since.map_or(0, |since| words::between(since, now));
                let attempt = if step.attempt > 1 { format!(" (attempt {})", step.attempt) } else { String::new() };
                parts.push(format!("{name} {}{attempt}", words::span(ran / 1000 * 1000).replace(".0 s", " s")));
            }
        }
        if parts.is_empty() {
            return None;
        }
        let line = format!("{} {}", self.style.glyphs().cut, parts.join("  "));
        let line = self.style.cut(&line, self.style.columns() - 1);
        Some(self.style.paint(Tone::Quiet, &line))
    }

    fn inner_style(&self) -> Style {
        let taken = if self.options.clock && self.style.columns() >= NARROW { 10 } else { 0 };
        Style { width: self.style.columns().saturating_sub(taken), ..self.style }
    }

    /// Puts the time of day before the first line of a block that has a text, and blanks before the others.
    fn timed(&self, time: Timestamp, lines: Vec<String>) -> Vec<String> {
        if !self.options.clock {
            return lines;
        }
        if self.style.columns() < NARROW {
            let mut out = lines;
            out.insert(usize::from(out.first().is_some_and(String::is_empty)), words::clock(time));
            return out;
        }
        let mut stamp = Some(words::clock(time));
        let put = |line: String| match (line.is_empty(), stamp.take_if(|_| !line.is_empty())) {
            (true, _) => line,
            (false, Some(stamp)) => format!("{stamp}  {line}"),
            (false, None) => format!("{}{line}", " ".repeat(10)),
        };
        lines.into_iter().map(put).collect()
    }

    fn event(&mut self, record: &Record, style: &Style) -> Vec<String> {
        match (&record.event, &record.step) {
            (Event::RunStarted { .. }, _) => self.started(record, style),
            (Event::TargetProven { target: name, address, identity }, _) => {
                let facts = (address.clone(), identity.clone());
                if self.targets.get(name) == Some(&facts) {
                    return Vec::new();
                }
                self.targets.insert(name.clone(), facts);
                target(style, name, address, identity.as_deref())
            }
            (Event::TargetRefused { target, address, expected, found }, step) => {
                self.refused(step.as_ref(), [target, address, expected, found], style)
            }
            (Event::Noted { text }, _) => {
                let who = if record.actor == Actor::Runwright {
                    String::new()
                } else {
                    format!(" ({})", words::actor(&record.actor))
                };
                labelled(style, 2, "note", "  ", &style.text(&format!("{text}{who}")))
            }
            (Event::Deviated { text }, _) => {
                self.deviations.push(text.clone());
                marked(style, Tone::Attention, "deviation", &style.text(text))
            }
            (Event::ClockMoved { by_ms }, _) => {
                let way = if *by_ms < 0 { "back" } else { "ahead" };
                let text = format!(
                    "the wall clock was set {way} by {}; open approvals are void",
                    words::span(by_ms.unsigned_abs())
                );
                marked(style, Tone::Attention, "clock", &text)
            }
            (Event::Escalated { to, text }, _) => {
                let to = to.as_deref().map(|to| format!(" to {}", style.text(to))).unwrap_or_default();
                let head = style.paint(Tone::Attention, "ESCALATED");
                let mut out = vec![String::new()];
                out.extend(
                    labelled(style, 0, "ESCALATED", "", &to)
                        .into_iter()
                        .map(|line| line.replacen("ESCALATED", &head, 1)),
                );
                out.extend(boxed(style, text));
                out
            }
            (Event::RunParked { waiting }, _) => spaced(parked(style, &self.run, waiting)),
            (Event::RunSuspended { reason }, _) => spaced(suspended(style, &self.run, reason)),
            (Event::RunEnded { .. }, _) => self.ended(record, style),
            (_, Some(step)) => self.step_event(record, step, style),
            _ => Vec::new(),
        }
    }

    fn step_event(&mut self, record: &Record, path: &StepPath, style: &Style) -> Vec<String> {
        match &record.event {
            Event::StepSkipped { reason, deviation } => {
                self.skipped_at.get_or_insert(record.time);
                self.step_skipped(path, reason, *deviation)
            }
            Event::Decided { .. } => self.decided(record, path, style),
            Event::ItemsListed { items } => {
                let step = self.steps.find(path);
                let items = StoredValue::Value(items.iter().map(super::value::to_json).collect());
                let text = [("items".to_owned(), short(style, &items, style.columns().saturating_sub(INDENT + 8)))];
                let mut out = self.opening(&step, path, style, "");
                out.extend(table(style, INDENT, &text));
                out
            }
            Event::GateOpened { digest, expires, card: view, .. } => {
                let good_for_ms = words::between(record.time, *expires);
                self.gate_opened(path, style, view, digest, good_for_ms)
            }
            Event::GateAnswered { digest, answer, .. } => self.gate_answered(record, path, digest, answer, style),
            Event::Asked { .. } => {
                self.running.entry(path.clone()).or_default().waiting = Some("an answer");
                Vec::new()
            }
            Event::Answered { values, door } => {
                self.entry(path).waiting = None;
                let step = self.steps.find(path);
                let values = value_table(style, values.iter().map(|(name, value)| (name.as_str(), value)));
                let mut out = self.opening(&step, path, style, "answered");
                out.extend(values);
                let who = style.text(&words::actor(&record.actor));
                out.extend(prose(style, INDENT, &format!("by {who} {}", words::door(*door))));
                out
            }
            Event::AttemptStarted { .. } => self.attempt_started(record, path, style),
            Event::AttemptEnded { .. } => self.attempt_ended(record, path, style),
            Event::StepEnded { .. } => self.step_ended(record, path, style),
            _ => Vec::new(),
        }
    }

    fn entry(&mut self, path: &StepPath) -> &mut Running {
        self.running.entry(path.clone()).or_default()
    }

    fn title(&self, path: &StepPath, step: &StepInfo) -> String {
        self.running.get(path).and_then(|running| running.title.clone()).unwrap_or_else(|| step.title.clone())
    }

    fn opening(&self, step: &StepInfo, path: &StepPath, style: &Style, state: &str) -> Vec<String> {
        let right = if state.is_empty() { vec![] } else { vec![(state.to_owned(), Tone::Good)] };
        headline(style, step, &self.title(path, step), &right)
    }

    fn started(&mut self, record: &Record, style: &Style) -> Vec<String> {
        let Event::RunStarted {
            run,
            mode,
            runbook,
            title,
            library,
            environment,
            production,
            operator,
            inputs,
            warnings,
            ..
        } = &record.event
        else {
            return Vec::new();
        };
        run.as_str().clone_into(&mut self.run);
        let head = Head {
            run,
            mode: *mode,
            runbook,
            title,
            environment: environment.as_deref(),
            production: *production,
            operator,
            library: library.as_deref(),
            inputs,
            warnings,
        };
        let mut out = head.lines(style);
        if self.options.clock {
            out.extend(labelled(
                style,
                2,
                "started",
                " ",
                &format!("{} UTC; times are UTC", words::day_and_clock(record.time)),
            ));
        }
        out
    }

    fn refused(&self, step: Option<&StepPath>, facts: [&String; 4], style: &Style) -> Vec<String> {
        let [target, address, expected, found] = facts;
        spaced(problem(
            &Problem {
                code: "target-identity".to_owned(),
                message: format!("`{target}` is not what this run was started for"),
                facts: vec![
                    ("expected".to_owned(), expected.clone()),
                    ("found".to_owned(), format!("{found} at {address}")),
                ],
                notes: vec![
                    "Nothing was sent to it after this was seen. The name may have moved to another machine."
                        .to_owned(),
                ],
                location: step.and_then(|step| self.places.get(step).cloned()),
                hint: Some(format!(
                    "compare with `runwright show {}`, then start a new run for the right target",
                    self.run
                )),
            },
            style,
        ))
    }

    fn step_skipped(&mut self, path: &StepPath, reason: &str, deviation: bool) -> Vec<String> {
        self.running.shift_remove(path);
        if deviation {
            self.deviations.push(format!("{path} was skipped: {reason}"));
        }
        self.skipped.push((path.0.clone(), reason.to_owned()));
        Vec::new()
    }

    /// Steps left out for the same reason stand on one line.
    fn take_skipped(&mut self, style: &Style) -> Vec<String> {
        let mut grouped: IndexMap<String, Vec<String>> = IndexMap::new();
        for (step, reason) in self.skipped.drain(..) {
            grouped.entry(reason).or_default().push(style.text(&step));
        }
        let line = |(reason, steps): (String, Vec<String>)| {
            marked(style, Tone::Attention, "skipped", &format!("{}: {}", steps.join(", "), style.text(&reason)))
        };
        grouped.into_iter().flat_map(line).collect()
    }

    fn decided(&mut self, record: &Record, path: &StepPath, style: &Style) -> Vec<String> {
        let Event::Decided { chosen, by, options, shown, reason, values } = &record.event else { return Vec::new() };
        self.entry(path).waiting = None;
        let step = self.steps.find(path);
        let who = match by.as_str() {
            "person" => style.text(&words::actor(&record.actor)),
            other => style.text(other),
        };
        let why = reason.as_deref().map(|why| format!(": {}", style.text(why))).unwrap_or_default();
        if options.is_empty() {
            // A `when` that the machine settled shows in what follows; one that a person settled is told.
            let plain = by == "evidence";
            let text = format!("{} {}, by {who}{why}", path, chosen.join(", "));
            return if plain { Vec::new() } else { labelled(style, 2, "when", "  ", &style.text(&text)) };
        }
        self.decision(&step, path, style, (chosen, options, shown, values), &format!("(by {who}{why})"))
    }

    fn decision(
        &self,
        step: &StepInfo,
        path: &StepPath,
        style: &Style,
        facts: (&Vec<String>, &Vec<OptionView>, &Vec<UsedView>, &IndexMap<String, StoredValue>),
        by: &str,
    ) -> Vec<String> {
        let (chosen, options, shown, values) = facts;
        let mut out = self.opening(step, path, style, "");
        out.extend(shown_table(style, shown));
        out.extend(option_table(style, options, false));
        let title = |name: &String| {
            options
                .iter()
                .find(|option| option.name == *name)
                .map_or_else(|| name.clone(), |option| option_title(option).to_owned())
        };
        let titles: Vec<String> = chosen.iter().map(title).collect();
        let titles = if titles.is_empty() { "no option".to_owned() } else { style.text(&titles.join(", ")) };
        out.extend(labelled(style, INDENT - 2, "->", " ", &format!("{titles} {by}")));
        let values = value_table(style, values.iter().map(|(name, value)| (name.as_str(), value)));
        out.extend(values);
        out
    }

    fn gate_opened(
        &mut self,
        path: &StepPath,
        style: &Style,
        view: &CardView,
        digest: &str,
        good_for_ms: u64,
    ) -> Vec<String> {
        let running = self.entry(path);
        running.waiting = Some("an answer");
        running.title = Some(view.title.clone());
        running.gated = true;
        running.change = true;
        if !self.options.cards {
            return Vec::new();
        }
        let step = self.steps.find(path);
        let frame = CardFrame { step: &step, card: view, digest, good_for_ms, may_skip: false, answers: false };
        spaced(card(&frame, style))
    }

    fn gate_answered(
        &mut self,
        record: &Record,
        path: &StepPath,
        digest: &str,
        answer: &GateAnswer,
        style: &Style,
    ) -> Vec<String> {
        self.entry(path).waiting = None;
        let (word, _) = words::answer(answer.answer);
        let who = match (&record.actor, answer.answer) {
            (Actor::Runwright, AnswerKind::Expired | AnswerKind::Voided) => String::new(),
            (Actor::Runwright, _) => format!(" {}", words::door(answer.door)),
            (who, _) => format!(" by {} {}", words::actor(who), words::door(answer.door)),
        };
        let why = answer.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        let short: String = digest.chars().take(8).collect();
        let text = style.text(&format!("{path} {word}{who}{why}"));
        let digest = format!(" {} digest {}", style.glyphs().dot, style.text(&short));
        labelled(style, 2, "gate", "  ", &format!("{text}{digest}"))
    }

    fn attempt_started(&mut self, record: &Record, path: &StepPath, style: &Style) -> Vec<String> {
        let Event::AttemptStarted { act, change } = &record.event else { return Vec::new() };
        let (time, elapsed) = (record.time, record.elapsed_ms);
        let attempt = record.attempt.unwrap_or(1);
        let running = self.entry(path);
        let first = running.since.is_none();
        running.since.get_or_insert(time);
        running.since_ms.get_or_insert(elapsed);
        running.attempt = attempt;
        running.active = true;
        running.change = *change;
        running.waiting = None;
        let gated = running.gated;
        if !*change || is_item(path) {
            return Vec::new();
        }
        if !first {
            return prose(style, INDENT, &format!("attempt {attempt} begins"));
        }
        let mut out = self.opening(&self.steps.find(path), path, style, "started");
        if !gated {
            for line in style.lines(&act.text) {
                let pieces = super::style::break_exact(&line, style.columns().saturating_sub(INDENT + 2));
                out.extend(
                    pieces.into_iter().map(|piece| format!("{}{} {piece}", " ".repeat(INDENT), style.glyphs().side)),
                );
            }
        }
        out
    }

    fn attempt_ended(&mut self, record: &Record, path: &StepPath, style: &Style) -> Vec<String> {
        let Event::AttemptEnded { outcome, error, message, evidence, left, .. } = &record.event else {
            return Vec::new();
        };
        let text = told(error.as_ref(), message.as_deref());
        let running = self.entry(path);
        running.active = false;
        running.evidence.clone_from(evidence);
        running.error.clone_from(&text);
        let change = running.change;
        self.output.forget(path);
        let mut out = Vec::new();
        if change && *outcome != Outcome::Succeeded && !is_item(path) {
            let (word, _) = words::outcome(*outcome);
            let attempt = record.attempt.unwrap_or(1);
            let text = text.map(|text| format!(": {}", style.text(&text))).unwrap_or_default();
            out.extend(prose(style, INDENT, &format!("attempt {attempt} {word}{text}")));
        }
        for process in left {
            out.extend(marked(style, Tone::Attention, "left behind", &style.text(process)));
        }
        out
    }

    fn step_ended(&mut self, record: &Record, path: &StepPath, style: &Style) -> Vec<String> {
        let Event::StepEnded { outcome, verdict, captures, checks, shown, reason, handled } = &record.event else {
            return Vec::new();
        };
        let step = self.steps.find(path);
        let title = self.title(path, &step);
        let running = self.running.shift_remove(path).unwrap_or_default();
        self.output.forget(path);
        let took_ms = running.since_ms.map(|since| record.elapsed_ms.saturating_sub(since));
        // A decide has told its choice; its end is news only when it is not a success.
        if step.kind == "decide" && *outcome == Outcome::Succeeded {
            return Vec::new();
        }
        if is_item(path) {
            let text = reason.as_deref().or(running.error.as_deref());
            return self.item_ended(path, *outcome, took_ms, text, style);
        }
        let end = StepEnd {
            step: &step,
            title: &title,
            change: running.change,
            took_ms,
            attempts: running.attempt,
            outcome: *outcome,
            verdict: *verdict,
            captures,
            checks,
            shown,
            reason: reason.as_deref(),
            handled: *handled,
            // A change has told each of its attempts as it ended.
            error: running.error.as_deref().filter(|_| !running.change),
            evidence: &running.evidence,
            location: self.places.get(path).map(String::as_str),
        };
        end.lines(style)
    }

    fn item_ended(
        &mut self,
        path: &StepPath,
        outcome: Outcome,
        took_ms: Option<u64>,
        text: Option<&str>,
        style: &Style,
    ) -> Vec<String> {
        let holder = StepPath(path.0.rsplit_once('[').map_or(path.0.as_str(), |(holder, _)| holder).to_owned());
        let running = self.entry(&holder);
        running.items_shown += 1;
        let (word, tone) = words::outcome(outcome);
        let quiet = outcome == Outcome::Succeeded;
        if quiet && running.items_shown > ITEM_LINES {
            let first = running.items_shown == ITEM_LINES + 1;
            let line = "further items are shown only when they do not succeed";
            return if first { prose(style, INDENT, line) } else { Vec::new() };
        }
        let took = took_ms.map(words::span).unwrap_or_default();
        let mut out =
            vec![format!("{}{}  {took}  {}", " ".repeat(INDENT), style.text(&path.0), style.paint(tone, word))];
        if let Some(text) = text.filter(|_| !quiet) {
            out.extend(prose(style, INDENT + 2, &style.text(text)));
        }
        out
    }

    fn ended(&self, record: &Record, style: &Style) -> Vec<String> {
        let Event::RunEnded { result, ran_to_end, reasons, holds, validations, changes, open_changes, waited_ms } =
            &record.event
        else {
            return Vec::new();
        };
        let end = Closing {
            run: &self.run,
            result: *result,
            elapsed_ms: record.elapsed_ms,
            waited_ms: *waited_ms,
            ran_to_end: *ran_to_end,
            reasons,
            holds: *holds,
            validations: *validations,
            changes: *changes,
            open_changes,
            deviations: &self.deviations,
        };
        spaced(end.lines(style))
    }
}

/// The class of an error and what was said about it.
pub(crate) fn told(error: Option<&ErrorClass>, message: Option<&str>) -> Option<String> {
    match (error, message) {
        (Some(error), Some(message)) => Some(format!("{error}: {message}")),
        (Some(error), None) => Some(error.to_string()),
        (None, Some(message)) => Some(message.to_owned()),
        (None, None) => None,
    }
}

fn spaced(lines: Vec<String>) -> Vec<String> {
    let mut out = Vec::with_capacity(lines.len() + 1);
    out.push(String::new());
    out.extend(lines);
    out
}
