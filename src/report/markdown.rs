//! A recorded run as Markdown: for tickets and post-mortems.

use super::closing::Closing;
use super::grid::{Grid, ROWS};
use super::sanitize::{markdown, markdown_block, markdown_cell, markdown_cell_code, markdown_code};
use super::show::Recorded;
use super::story::{StepStory, Story};
use super::style::Style;
use super::value::{short, used};
use super::words::{self, between, clock, day_and_clock, span};
use crate::event::{Actor, Event, Outcome, Record, StoredValue};
use serde_json::Value as Json;
use std::fmt::Write as _;

/// Values in tables are cut to so many columns; the JSON report has them whole.
const VALUE: usize = 120;

/// The run as Markdown.
#[must_use]
pub fn show_markdown(run: &Recorded<'_>) -> String {
    let story = Story::of(run.records, run.steps);
    let mut page = Page { out: String::new(), story: &story };
    page.head();
    page.result();
    page.standing();
    page.marks();
    page.hands();
    page.timeline();
    page.decisions();
    page.gates();
    page.values();
    page.evidence();
    page.list("Deviations", story.deviations.all().iter().map(|(time, text)| (clock(*time), text.as_str())));
    let note =
        |(record, text): &(&Record, &str)| (format!("{} {}", clock(record.time), who(&record.actor)), text.to_string());
    let notes: Vec<_> = story.notes.iter().map(note).collect();
    page.list("Notes", notes.iter().map(|(when, text)| (when.clone(), text.as_str())));
    page.list("Findings", run.findings.iter().map(|text| (String::new(), text.as_str())));
    if let Some(head) = run.head {
        page.line(&format!("\nThe record is sealed; its head is {}.", markdown_code(head)));
    }
    page.out
}

mod later;

struct Page<'a> {
    out: String,
    story: &'a Story<'a>,
}

impl Page<'_> {
    fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn section(&mut self, title: &str) {
        _ = write!(self.out, "\n## {title}\n\n");
    }

    fn row(&mut self, cells: &[String]) {
        _ = writeln!(self.out, "| {} |", cells.join(" | "));
    }

    fn table(&mut self, names: &[&str]) {
        self.row(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        self.row(&names.iter().map(|_| "---".to_owned()).collect::<Vec<_>>());
    }

    fn head(&mut self) {
        let Some(record) = self.story.started else {
            return self.line("# A run without a beginning");
        };
        let Event::RunStarted {
            run,
            mode,
            runbook,
            title,
            file,
            digest,
            environment,
            operator,
            host,
            inputs,
            version,
            ..
        } = &record.event
        else {
            return;
        };
        let heading = if title.is_empty() { runbook } else { title };
        self.line(&format!("# {}\n", markdown(heading)));
        self.table(&["", ""]);
        let mode =
            serde_json::to_value(mode).ok().and_then(|mode| mode.as_str().map(str::to_owned)).unwrap_or_default();
        let facts = [
            ("Run", format!("{} ({mode})", markdown_cell_code(run.as_str()))),
            ("State", self.story.state().to_lowercase()),
            (
                "Runbook",
                format!(
                    "{} of {}, SHA-256 {}",
                    markdown_cell_code(runbook),
                    markdown_cell_code(file),
                    markdown_cell_code(digest)
                ),
            ),
            ("Environment", markdown_cell(environment.as_deref().unwrap_or("none"))),
            ("Operator", markdown_cell(&format!("{} on {host}", words::operator(operator)))),
            ("Started", format!("{} UTC", day_and_clock(record.time))),
            ("Program", markdown_cell(&format!("runwright {version}"))),
        ];
        for (name, text) in facts {
            self.row(&[name.to_owned(), text]);
        }
        for input in inputs {
            let value = short(&Style::PLAIN, &input.value, VALUE);
            let text = format!(
                "{} {} ({})",
                markdown_cell_code(&input.name),
                markdown_cell_code(&value),
                markdown_cell(&input.source)
            );
            self.row(&["Input".to_owned(), text]);
        }
        for (name, (address, identity, time)) in &self.story.targets {
            let identity = identity
                .map_or("no identity declared".to_owned(), |identity| format!("= {identity}, proven {}", clock(*time)));
            self.out.push_str("| Target | ");
            _ = writeln!(self.out, "{} |", markdown_cell(&format!("{name} {address} {identity}")));
        }
    }

    fn result(&mut self) {
        self.section("Result");
        if let Some((to, text)) = self.story.escalated {
            let to = to.map(|to| format!(" to {}", markdown(to))).unwrap_or_default();
            self.line(&format!("Escalated{to}:\n"));
            self.out.push_str(&markdown_block(text, "text"));
            self.out.push('\n');
        }
        let Some(record) = self.story.end else {
            let text = match self.story.last.map(|record| &record.event) {
                Some(Event::RunParked { waiting }) => {
                    let steps: Vec<String> = waiting.iter().map(|wait| markdown_code(&wait.step.0)).collect();
                    format!("The run is parked and waits for a person at {}.", steps.join(", "))
                }
                Some(Event::RunSuspended { reason }) => format!("The run is suspended: {}", markdown(reason)),
                _ => "The record has no closing event: the run goes on, or its process died.".to_owned(),
            };
            return self.line(&text);
        };
        let Some(end) = Closing::of(record) else { return };
        let machine = span(end.elapsed_ms.saturating_sub(end.waited_ms));
        let (word, _) = words::result(end.result);
        self.line(&format!(
            "**{word}** in {} (machine {machine}, waiting for people {}), ended {} UTC.\n",
            span(end.elapsed_ms),
            span(end.waited_ms),
            day_and_clock(end.time)
        ));
        let (goal, proof) = end.goal();
        let (clean, why) = end.clean(&self.story.changes);
        self.line(&format!("- ran to the end: {}", if end.ran_to_end { "yes" } else { "no" }));
        if let Some(of) = self.story.undo_of() {
            let (word, what) = end.undone();
            self.line(&format!("- taken back what `{of}` changed: {word} ({what})"));
            for change in end.open_changes {
                self.line(&format!("- remains: {}", markdown(change)));
            }
        } else {
            self.line(&format!("- goal met: {goal} ({proof})"));
            self.line(&format!("- cleaned up: {clean} ({why})"));
            self.line(&format!("- changes: {}", end.changes(&self.story.changes)));
            if self.story.changes.is_empty() {
                for change in end.open_changes {
                    self.line(&format!("- stands, and can be taken back: {}", markdown(change)));
                }
            }
        }
        for reason in end.reasons {
            self.line(&format!("- because: {}", markdown(reason)));
        }
    }

    fn timeline(&mut self) {
        self.section("Timeline");
        self.table(&["Time (UTC)", "Elapsed", "Step", "What", "Outcome", "Took"]);
        let story = self.story;
        let mut rows: Vec<(&Record, &str, &StepStory<'_>)> = story
            .steps
            .iter()
            .filter_map(|(path, step)| Some((step.began.or(step.ended)?, path.0.as_str(), step)))
            .collect();
        rows.sort_by_key(|(record, ..)| record.seq);
        for (record, path, step) in rows {
            let mut what = step.title().to_owned();
            if let Some(text) =
                step.reason.or(step.error.as_deref()).filter(|_| step.outcome != Some(Outcome::Succeeded))
            {
                _ = write!(what, " ({text})");
            }
            let state = match step.outcome {
                Some(outcome) => words::state(outcome, step.verdict, step.change, step.handled).0,
                None => "not ended".to_owned(),
            };
            self.row(&[
                clock(record.time),
                span(record.elapsed_ms),
                format!("{} {}", markdown_cell(&step.info.kind), markdown_cell_code(path)),
                markdown_cell(&what),
                state,
                step.took_ms().map(span).unwrap_or_default(),
            ]);
        }
    }

    fn decisions(&mut self) {
        let story = self.story;
        if story.decisions.is_empty() {
            return;
        }
        self.section("Decisions");
        for decision in &story.decisions {
            let chosen = if decision.chosen.is_empty() { "nothing".to_owned() } else { decision.chosen.join(", ") };
            let by = if decision.by == "person" { who(decision.actor) } else { decision.by.to_owned() };
            let why = decision.reason.map(|why| format!(": {}", markdown(why))).unwrap_or_default();
            self.line(&format!(
                "{} at {}: {} by {}{why}\n",
                markdown_code(&decision.step.0),
                clock(decision.time),
                markdown_code(&chosen),
                markdown(&by)
            ));
            if decision.options.is_empty() {
                continue;
            }
            if !decision.shown.is_empty() {
                let shown: Vec<_> = decision.shown.iter().map(|used| (used.name.clone(), &used.value)).collect();
                self.value_table(&shown);
                self.line("");
            }
            self.table(&["Option", "Guess", "Machine", "Expression", "Values"]);
            for option in decision.options {
                let values = used(&Style::PLAIN, &option.used, VALUE);
                let values = option.reason.as_deref().map_or(values.clone(), |reason| format!("{values} {reason}"));
                self.row(&[
                    markdown_cell(&option.title),
                    option.likelihood.map(|percent| format!("{percent} %")).unwrap_or_default(),
                    words::option(option.verdict).to_owned(),
                    markdown_cell_code(option.expression.as_deref().unwrap_or_default()),
                    markdown_cell(&values),
                ]);
            }
            self.line("");
        }
    }

    fn gates(&mut self) {
        let story = self.story;
        if story.gates.is_empty() {
            return;
        }
        self.section("Gates");
        self.table(&["Step", "Opened", "Answer", "By", "Waited", "Digest"]);
        for gate in &story.gates {
            let (answer, by, waited) = match gate.answer {
                Some((answer, actor, time)) => {
                    let why = answer.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
                    let text = format!("{}{why}", words::answer(answer.answer).0);
                    let by = match gate.approvals.as_slice() {
                        [] => format!("{} {}", who(actor), words::door(answer.door)),
                        several => several.iter().map(|(_, by)| who(by)).collect::<Vec<_>>().join(", "),
                    };
                    (text, by, span(between(gate.opened, time)))
                }
                None => ("open".to_owned(), String::new(), String::new()),
            };
            let step = format!("{} ({})", markdown_cell_code(&gate.step.0), gate.number);
            self.row(&[
                step,
                clock(gate.opened),
                markdown_cell(&answer),
                markdown_cell(&by),
                waited,
                markdown_cell_code(gate.digest),
            ]);
        }
        for (path, step) in &story.steps {
            let Some(act) = step.act.filter(|_| step.change) else { continue };
            let text = format!("\n{} {}:\n", markdown_code(&path.0), markdown(step.title()));
            self.line(&text);
            let language = if act.action == "edit" || act.action == "write" { "diff" } else { "text" };
            self.out.push_str(&markdown_block(&act.text, language));
        }
    }

    fn values(&mut self) {
        let story = self.story;
        let rows = story.steps.iter().flat_map(|(path, step)| {
            step.captures.into_iter().flatten().map(move |(name, value)| (format!("{path}.{name}"), value))
        });
        let answered = story.answers.iter().flat_map(|(record, values)| {
            let step = record.step.as_ref().map(|step| step.0.as_str()).unwrap_or_default();
            values.iter().map(move |(name, value)| (format!("{step}.{name}"), value))
        });
        let rows: Vec<_> = rows.chain(answered).collect();
        if rows.is_empty() {
            return;
        }
        self.section("Values");
        self.value_table(&rows);
    }

    /// Names and values; each list of maps is a table of its own below.
    fn value_table(&mut self, rows: &[(String, &StoredValue)]) {
        self.table(&["Name", "Value"]);
        let mut below = Vec::new();
        for (name, value) in rows {
            let entries = match value {
                StoredValue::Value(Json::Array(entries)) if entries.len() > 1 => entries.as_slice(),
                _ => &[],
            };
            let text = match Grid::of(entries, ROWS) {
                Some(grid) => {
                    below.push((name, grid));
                    format!("{} entries, below", entries.len())
                }
                None => markdown_cell_code(&short(&Style::PLAIN, value, VALUE)),
            };
            self.row(&[markdown_cell_code(name), text]);
        }
        for (name, grid) in below {
            self.grid(name, &grid);
        }
    }

    fn grid(&mut self, name: &str, grid: &Grid) {
        self.line(&format!("\n{}, {} entries:\n", markdown_code(name), grid.count));
        self.row(&grid.names.iter().map(|name| markdown_cell(name)).collect::<Vec<_>>());
        let rule = |is_number: &bool| if *is_number { "---:" } else { "---" }.to_owned();
        self.row(&grid.numbers.iter().map(rule).collect::<Vec<_>>());
        for row in &grid.rows {
            self.row(&row.iter().map(|cell| markdown_cell(&Style::PLAIN.cut(cell, VALUE))).collect::<Vec<_>>());
        }
        if let Some(rest) = grid.rest() {
            self.line(&format!("\n{rest}"));
        }
    }

    fn evidence(&mut self) {
        let story = self.story;
        if story.steps.values().all(|step| step.evidence.is_empty()) {
            return;
        }
        self.section("Evidence");
        self.table(&["Step", "Attempt", "Stream", "Bytes", "SHA-256"]);
        for (path, step) in &story.steps {
            for (attempt, kept) in &step.evidence {
                let cut = if kept.cut { " (cut)" } else { "" };
                self.row(&[
                    markdown_cell_code(&path.0),
                    attempt.to_string(),
                    markdown_cell(&kept.stream),
                    format!("{}{cut}", kept.size),
                    markdown_cell_code(&kept.sha256),
                ]);
            }
        }
    }

    fn list<'t>(&mut self, title: &str, items: impl Iterator<Item = (String, &'t str)>) {
        let mut items = items.peekable();
        if items.peek().is_none() {
            return;
        }
        self.section(title);
        for (when, text) in items {
            let when = if when.is_empty() { when } else { format!("{}: ", markdown(&when)) };
            self.line(&format!("- {when}{}", markdown(text)));
        }
    }
}

fn who(actor: &Actor) -> String {
    words::actor(actor)
}
