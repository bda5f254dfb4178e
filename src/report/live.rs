//! The screen of a run: a fold over its records that gives the lines to print, in the order things happen.

use super::blocks::{Head, loud, marked, target};
use super::changes::Changes;
use super::closing::{Around, Closing};
use super::commands::Commands;
use super::deviations::Deviations;
use super::layout::{labelled, prose};
use super::left::Left;
use super::marks::Marks;
use super::output::Output;
use super::problem::{Problem, problem};
use super::prompt::boxed;
use super::resumed;
use super::standing;
use super::steps::StepTable;
use super::style::{Style, Tone};
use super::words;
use crate::engine::Chunk;
use crate::event::{ActView, Door, ErrorClass, Event, EvidenceRef, Record, StepPath};
use indexmap::IndexMap;
use jiff::Timestamp;
use std::collections::HashMap;

mod said;
mod step;

/// Items of a loop that get a line each when they succeed; beyond, only trouble is shown.
const ITEM_LINES: usize = 3;

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
    /// What a read performs: no card tells it.
    act: Option<Box<ActView>>,
    title: Option<String>,
    /// Whether a headline has told its title: of its gate, or of its first attempt.
    announced: bool,
    waiting: Option<&'static str>,
    /// Why it does nothing now, and until when.
    paused: Option<(String, Timestamp)>,
    /// The last sample of a stretch: its values in short, and when the stretch is over.
    sampled: Option<(String, Timestamp)>,
    /// Items that succeeded, and items that did not.
    items: (usize, usize),
}

/// The screen of a run. Feed it every record once, in order; print what comes back.
pub struct LiveScreen {
    style: Style,
    steps: StepTable,
    options: ScreenOptions,
    run: String,
    running: IndexMap<StepPath, Running>,
    targets: HashMap<String, (String, Option<String>)>,
    /// A gate that has opened, while it is not known whether anybody is asked.
    opened: Option<Record>,
    /// Steps left out since the last line, with the reason.
    skipped: Vec<(String, String)>,
    skipped_at: Option<Timestamp>,
    /// Whether something stands below the head.
    begun: bool,
    deviations: Deviations,
    changes: Changes,
    marks: Marks,
    commands: Commands,
    /// Whether the run takes the changes of another one back.
    undo_of: Option<String>,
    /// When the run last did something.
    last: Option<Timestamp>,
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
            opened: None,
            skipped: Vec::new(),
            skipped_at: None,
            begun: false,
            deviations: Deviations::default(),
            changes: Changes::default(),
            marks: Marks::default(),
            commands: Commands::default(),
            undo_of: None,
            last: None,
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

    /// Says which options the commands need that are printed to be pasted.
    #[must_use]
    pub fn with_commands(mut self, commands: Commands) -> Self {
        self.commands = commands;
        self
    }

    /// Takes the records of the processes that had the run before: its head, and in short where it stands. `next` are the
    /// steps that come next, as far as that is clear.
    pub fn recall(&mut self, records: &[Record], next: &[String]) -> Vec<String> {
        let mut out = Vec::new();
        for (place, record) in records.iter().enumerate() {
            let lines = self.fold(record);
            if place == 0 {
                out = lines;
            }
        }
        (self.opened, self.skipped_at) = (None, None);
        self.skipped.clear();
        self.begun = false;
        out.extend(standing::lines(&self.inner_style(), records, next));
        out
    }

    /// Takes a record; gives the lines to print for it, which may be none.
    pub fn fold(&mut self, record: &Record) -> Vec<String> {
        let inner = self.inner_style();
        self.changes.take(record);
        self.marks.take(record);
        let mut out = Vec::new();
        let opened = self.opened.take_if(|_| !passes(record));
        if let Some(opened) = opened {
            let foot = if self.options.clock { "a person was asked" } else { "needs an answer" };
            let card = self.opened_card(&opened, foot, &inner);
            if let Some(time) = self.skipped_at.take_if(|time| *time <= opened.time) {
                let skipped = self.take_skipped(&inner);
                out.extend(self.timed(time, skipped));
            }
            out.extend(self.timed(opened.time, card));
        }
        let lines = self.event(record, &inner);
        if !record.event.is_remark() {
            self.last = Some(record.time);
        }
        if lines.is_empty() {
            return out;
        }
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
        let inner = self.inner_style();
        let opened = self.opened.take();
        let mut out = opened.map(|opened| self.opened_card(&opened, "needs an answer", &inner)).unwrap_or_default();
        for (path, step) in &self.running {
            let ran = step.since.map_or(0, |since| words::between(since, now));
            if step.active {
                out.extend(self.output.due(path, ran, &self.style));
            }
        }
        out
    }

    /// The steps that act now, by their paths, safe for a terminal.
    #[must_use]
    pub fn active(&self) -> Vec<String> {
        let active = self.running.iter().filter(|(_, step)| step.active && step.waiting.is_none());
        active.map(|(path, _)| format!("`{}`", self.style.text(&path.0))).collect()
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
            } else if let Some((why, over)) = step.paused.as_ref().filter(|(_, over)| *over > now) {
                parts.push(format!("{name} pauses, {} left: {why}", seconds(words::between(now, *over))));
            } else if let Some((value, over)) = &step.sampled {
                let left = seconds(words::between(now, *over));
                let value = if value.is_empty() { String::new() } else { format!(" ({value})") };
                parts.push(format!("{name} {left} left, sample {}{value}", step.attempt));
            } else if step.active {
                let ran = step.since.map_or(0, |since| words::between(since, now));
                let attempt = if step.attempt > 1 { format!(" (attempt {})", step.attempt) } else { String::new() };
                parts.push(format!("{name} {}{attempt}", seconds(ran)));
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
            (Event::Noted { text }, _) => said::note(style, text, &record.actor),
            (Event::Marked { mark, at, text }, _) => said::mark(style, record, *mark, *at, text.as_deref()),
            (Event::Aborted { reason }, _) => said::aborting(style, reason, &record.actor),
            (Event::RunResumed(resumption), _) => {
                self.resumed();
                let facts = resumed::facts(record, resumption, self.last);
                spaced(loud(style, "RESUMED", &style.text(&facts.join("; "))))
            }
            (Event::Deviated { text }, _) => {
                if !self.deviations.said(record.time, text) {
                    return Vec::new();
                }
                marked(style, Tone::Attention, "deviation", &style.text(text))
            }
            (Event::ClockMoved { by_ms }, _) => said::clock(style, *by_ms),
            (Event::Escalated { to, text }, _) => {
                let to = to.as_deref().map(|to| format!("to {}", style.text(to))).unwrap_or_default();
                let mut out = loud(style, "ESCALATED", &to);
                out.insert(0, String::new());
                out.extend(boxed(style, text));
                out
            }
            (Event::Suspending { waits_for, .. }, _) => {
                let names: Vec<String> = waits_for.iter().map(|step| format!("`{}`", step.0)).collect();
                let text = format!("waits for the end of {}; Ctrl-C or a second signal cuts it off", names.join(", "));
                spaced(marked(style, Tone::Attention, "suspending", &style.text(&text)))
            }
            (Event::RunParked { waiting }, _) => spaced(self.left(record.time).parked(style, waiting)),
            (Event::RunSuspended { reason }, _) => spaced(self.left(record.time).suspended(style, reason)),
            (Event::RunEnded { .. }, _) => self.ended(record, style),
            (_, Some(step)) => self.step_event(record, step, style),
            _ => Vec::new(),
        }
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
            undo_of,
            ..
        } = &record.event
        else {
            return Vec::new();
        };
        self.undo_of = undo_of.as_ref().map(ToString::to_string);
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
        if let Some(undone) = undo_of {
            let text = format!("takes back the changes of run {undone}, the last one first");
            out.extend(marked(style, Tone::Attention, "undo       ", &style.text(&text)));
        }
        if self.options.clock {
            out.extend(labelled(
                style,
                2,
                "started    ",
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

    /// Steps left out for the same reason stand on one line.
    fn take_skipped(&mut self, style: &Style) -> Vec<String> {
        let mut grouped: IndexMap<String, Vec<String>> = IndexMap::new();
        for (step, reason) in self.skipped.drain(..) {
            grouped.entry(reason).or_default().push(style.text(&step));
        }
        let line = |(reason, steps): (String, Vec<String>)| {
            let steps = steps.join(", ");
            if reason == ENDING {
                return prose(style, 2, &format!("not reached, because the run ends here: {steps}"));
            }
            labelled(style, 2, "skipped", " ", &format!("{steps}: {}", style.text(&reason)))
        };
        grouped.into_iter().flat_map(line).collect()
    }

    fn ended(&self, record: &Record, style: &Style) -> Vec<String> {
        let around = Around {
            run: &self.run,
            changes: &self.changes,
            marks: &self.marks,
            deviations: self.deviations.all(),
            commands: &self.commands,
            undo_of: self.undo_of.as_deref(),
        };
        Closing::of(record).map(|closing| spaced(closing.lines(style, &around))).unwrap_or_default()
    }

    /// What the last lines of a run need that a process lets go of.
    pub(crate) fn left(&self, at: Timestamp) -> Left<'_> {
        let (run, steps, changes, commands) = (&self.run, &self.steps, &self.changes, &self.commands);
        Left { run, steps, changes, commands, at }
    }

    /// Nothing runs any more of what the process before had started, and nobody is asked what it asked.
    fn resumed(&mut self) {
        for step in self.running.values_mut() {
            (step.active, step.waiting, step.paused, step.sampled) = (false, None, None, None);
        }
    }
}

/// Why steps are left out that come after the runbook's own end.
const ENDING: &str = "the run is ending";

/// Whether a gate was passed without asking anybody.
fn passes(record: &Record) -> bool {
    matches!(&record.event, Event::GateAnswered { answer, .. } if matches!(answer.door, Door::Policy | Door::Flag | Door::List))
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

/// A span in whole seconds: what changes every second.
fn seconds(ms: u64) -> String {
    words::span(ms / 1000 * 1000).replace(".0 s", " s")
}

fn spaced(lines: Vec<String>) -> Vec<String> {
    let mut out = Vec::with_capacity(lines.len() + 1);
    out.push(String::new());
    out.extend(lines);
    out
}
