//! What one person tells the next about a run, from its record alone: what is wrong, what was found, what was done and
//! tried, what was ruled out, what is open, what comes next, and when to look again.

use super::show::Recorded;
use super::story::Story;
use super::style::Style;
use super::words::{self, between, near, span};
use crate::event::{Event, StepPath};
use jiff::Timestamp;
use std::fmt::Write as _;

mod ahead;
mod changes;
mod found;
pub(crate) mod page;

/// Columns of an act or an error.
const ACT: usize = 110;

/// What the runbook says beside its steps, for the person who takes over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// One sentence: what is wrong when this runbook is the right one.
    pub summary: Option<String>,
    /// What it means for users.
    pub impact: Option<String>,
    /// What a person sees.
    pub symptoms: Vec<String>,
    /// The names of the alerts it answers.
    pub alerts: Vec<String>,
    /// Who keeps it.
    pub owner: Option<String>,
    /// Who can be reached, and how: `oncall: Ana, tel:1`.
    pub contacts: Vec<String>,
    /// Its steps in the order of the document.
    pub order: Vec<Ahead>,
}

/// A step that may still come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// Its place.
    pub path: StepPath,
    /// The options it stands in: the place of each decide, and the option's name.
    pub arms: Vec<(StepPath, String)>,
    /// Whether it is performed only when a step has failed.
    pub on_failure: bool,
}

/// A run as it is handed over.
pub(crate) struct Handover<'a> {
    pub(crate) story: Story<'a>,
    pub(crate) run: &'a Recorded<'a>,
    about: &'a About,
    now: Timestamp,
}

/// One part of it: a label and what is said under it.
pub(crate) struct Section {
    pub(crate) label: &'static str,
    pub(crate) items: Vec<Item>,
}

/// One thing that is said, perhaps with a command to paste.
pub(crate) struct Item {
    pub(crate) text: String,
    pub(crate) command: Option<String>,
}

impl Item {
    fn with(text: impl Into<String>, command: String) -> Self {
        Self { text: text.into(), command: Some(command) }
    }

    /// All of it on one line.
    pub(crate) fn whole(&self) -> String {
        match &self.command {
            Some(command) => format!("{}: {command}", self.text),
            None => self.text.clone(),
        }
    }
}

impl From<String> for Item {
    fn from(text: String) -> Self {
        Self { text, command: None }
    }
}

impl<'a> Handover<'a> {
    pub(crate) fn of(run: &'a Recorded<'a>, about: &'a About, now: Timestamp) -> Self {
        Self { story: Story::of(run.records, run.steps), run, about, now }
    }

    /// The name of the runbook and its title.
    pub(crate) fn names(&self) -> (&str, &str) {
        match self.story.started.map(|record| &record.event) {
            Some(Event::RunStarted { runbook, title, .. }) => (runbook, title),
            _ => ("unknown", ""),
        }
    }

    /// Who runs it, where: the last one who took it up.
    pub(crate) fn circumstances(&self) -> String {
        let Some(record) = self.story.started else { return "its beginning is not on record".to_owned() };
        let Event::RunStarted { environment, production, operator, host, .. } = &record.event else {
            return String::new();
        };
        let environment = match (environment, production) {
            (Some(name), true) => format!("{name} (production)"),
            (Some(name), false) => name.clone(),
            (None, _) => "no environment".to_owned(),
        };
        let mut out = format!(
            "{environment}; started {} UTC by {} on {host}",
            near(record.time, self.now),
            words::operator(operator)
        );
        let last = self.story.resumed.last().map(|(record, _)| *record);
        if let Some((record, Event::RunResumed(resumption))) = last.map(|record| (record, &record.event)) {
            let who = words::operator(&resumption.operator);
            _ = write!(out, "; resumed {} UTC by {who} on {}", near(record.time, self.now), resumption.host);
        }
        out
    }

    /// How the run stands: `parked 6 min 02 s at ban_agent`.
    pub(crate) fn state(&self) -> String {
        let since = self.story.last.map(|last| span(between(last.time, self.now))).unwrap_or_default();
        match self.story.last.map(|record| &record.event) {
            Some(Event::RunEnded { result, .. }) => {
                format!("ended {since} ago: {}", words::result(*result).0)
            }
            _ if self.run.live => "running".to_owned(),
            Some(Event::RunParked { waiting }) => {
                let at: Vec<String> = waiting.iter().map(|wait| format!("{} {}", wait.what, wait.step)).collect();
                format!("parked {since} ago at {}", at.join(", "))
            }
            Some(Event::RunSuspended { reason }) => format!("suspended {since} ago: {reason}"),
            Some(_) => format!("INTERRUPTED: no process has it; last sign of it {since} ago"),
            None => "empty".to_owned(),
        }
    }

    /// All parts that have something to say, in order.
    pub(crate) fn sections(&self) -> Vec<Section> {
        let said = |texts: Vec<String>| texts.into_iter().map(Item::from).collect::<Vec<_>>();
        let sections = [
            ("wrong", said(self.wrong())),
            ("found", said(self.found())),
            ("done", said(self.done())),
            ("tried", said(self.tried())),
            ("ruled out", said(self.ruled_out())),
            ("open", self.open()),
            ("next", self.next()),
            ("who", said(self.who())),
            ("notes", said(self.notes())),
            ("look again", said(self.look_again())),
        ];
        let sections = sections.into_iter().filter(|(_, items)| !items.is_empty());
        sections.map(|(label, items)| Section { label, items }).collect()
    }

    fn wrong(&self) -> Vec<String> {
        let (_, title) = self.names();
        let mut first = self.about.alerts.join(", ");
        let said = self.about.summary.as_deref().unwrap_or(title);
        if !first.is_empty() {
            first.push_str(": ");
        }
        first.push_str(said);
        let mut out = vec![first];
        let marks = self.story.marks.current();
        if !marks.is_empty() {
            let said: Vec<String> = marks
                .iter()
                .map(|said| {
                    let text = said.text.as_deref().map(|text| format!(" ({text})")).unwrap_or_default();
                    format!("{} {} UTC{text}", said.mark, near(said.at, self.now))
                })
                .collect();
            out.push(said.join(", "));
            out.extend(self.story.marks.spans_in_words());
        }
        out.extend(self.about.impact.iter().map(|impact| format!("impact: {impact}")));
        out.extend(self.about.symptoms.iter().cloned());
        out
    }

    pub(crate) fn id(&self) -> &'a str {
        self.story.run_id()
    }

    fn who(&self) -> Vec<String> {
        let owner = self.about.owner.iter().map(|owner| format!("the runbook is kept by {owner}"));
        self.about.contacts.iter().cloned().chain(owner).collect()
    }

    /// The latest first: what was said last matters most.
    fn notes(&self) -> Vec<String> {
        let notes = self.story.notes.iter().rev();
        notes
            .map(|(record, text)| format!("{} {}: {text}", near(record.time, self.now), words::actor(&record.actor)))
            .collect()
    }
}

/// The first line of a text, of at most so many columns as two lines of a page have.
fn cut(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    let mark = if text.lines().nth(1).is_some() { " …" } else { "" };
    format!("{}{mark}", Style::PLAIN.cut(first, ACT))
}
