//! What one person tells the next about a run, from its record alone: what is wrong, what was found, what was done and
//! tried, what was ruled out, what is open, what comes next, and when to look again.

use super::changes::{Became, Change};
use super::closing::{Closing, end_of};
use super::show::Recorded;
use super::story::{StepStory, Story};
use super::style::Style;
use super::value::{short, used};
use super::words::{self, between, near, span};
use crate::event::{AnswerKind, Event, OptionVerdict, Outcome, StepPath, StepVerdict, StoredValue, UsedView, Waiting};
use indexmap::IndexMap;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashSet;
use std::fmt::Write as _;

pub(crate) mod page;

/// Columns of one value.
const VALUE: usize = 48;
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
    pub order: Vec<StepPath>,
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

    /// Decisions with what they rest on, then what reads found: what was used first, and what does not hold first of
    /// all.
    fn found(&self) -> Vec<String> {
        let mut out: Vec<String> = self.decisions();
        let used = self.names_used();
        let mut reads: Vec<(u8, String)> = Vec::new();
        for (path, step) in &self.story.steps {
            let is_read = matches!(step.info.kind.as_str(), "diagnose" | "validate");
            if !is_read || path.0.ends_with("/verify") {
                continue;
            }
            let Some(text) = self.read(path, step) else { continue };
            let matters = match (step.outcome, step.verdict) {
                (Some(Outcome::Succeeded), None | Some(StepVerdict::Holds)) if used.contains(path.0.as_str()) => 1,
                (Some(Outcome::Succeeded), None | Some(StepVerdict::Holds)) => 2,
                _ => 0,
            };
            reads.push((matters, text));
        }
        reads.sort_by_key(|(matters, _)| *matters);
        out.extend(reads.into_iter().map(|(_, text)| text));
        out
    }

    fn decisions(&self) -> Vec<String> {
        let decided = self.story.decisions.iter().filter(|decision| !decision.options.is_empty());
        let one = |decision: &super::story::DecisionStory<'_>| {
            let option = |name: &String| decision.options.iter().find(|option| option.name == *name);
            let titles: Vec<&str> = decision
                .chosen
                .iter()
                .map(|name| option(name).map_or(name.as_str(), super::prompt::option_title))
                .collect();
            let titles = if titles.is_empty() { "no option".to_owned() } else { titles.join(", ") };
            let by = if decision.by == "person" { words::actor(decision.actor) } else { decision.by.to_owned() };
            let mut because: Vec<String> = decision
                .chosen
                .iter()
                .filter_map(option)
                .filter_map(|option| proof(option.expression.as_deref(), &option.used))
                .collect();
            because.extend(decision.reason.map(str::to_owned));
            let because = if because.is_empty() { String::new() } else { format!(": {}", because.join("; ")) };
            format!("{}: {titles} (by {by}{because})", decision.step.0)
        };
        decided.map(one).collect()
    }

    /// Steps whose values a decision or a card rests on.
    fn names_used(&self) -> HashSet<&'a str> {
        let cards = self.run.records.iter().filter_map(|record| match &record.event {
            Event::GateOpened { card, .. } => Some(&card.because),
            _ => None,
        });
        let mut names: Vec<&'a UsedView> = cards.flatten().collect();
        for decision in &self.story.decisions {
            names.extend(decision.shown);
            names.extend(decision.options.iter().flat_map(|option| &option.used));
        }
        names.iter().filter_map(|used| used.name.split(['.', '[']).next()).collect()
    }

    fn read(&self, path: &StepPath, step: &StepStory<'_>) -> Option<String> {
        let outcome = step.outcome.filter(|outcome| *outcome != Outcome::Skipped)?;
        let (state, _) = words::state(outcome, step.verdict, false, step.handled);
        let values = values(step);
        let is_plain = outcome == Outcome::Succeeded && step.verdict.is_none_or(|says| says == StepVerdict::Holds);
        if is_plain {
            let proven = if step.info.kind == "validate" { " holds" } else { "" };
            return match (values.is_empty(), proven.is_empty()) {
                (true, true) => None,
                (true, false) => Some(format!("{}{proven}: {}", path.0, step.title())),
                (false, _) => Some(format!("{}{proven}: {values}", path.0)),
            };
        }
        let failing = step.checks.iter().find(|check| check.verdict != StepVerdict::Holds);
        let check = failing.and_then(|check| proof(Some(&check.expression), &check.used));
        let why = check.or_else(|| step.reason.map(str::to_owned)).or_else(|| step.error.clone()).unwrap_or_default();
        let title = step.title();
        Some(format!("{} {state}: {}", path.0, if why.is_empty() { title } else { &why }))
    }

    fn done(&self) -> Vec<String> {
        let done = self.story.changes.all().filter(|(_, change)| change.became() == Became::Done);
        let line = |path: &str, change: &Change| {
            let when = change.ended.or(change.began).map(|time| near(time, self.now)).unwrap_or_default();
            let title = change.title.as_deref().unwrap_or(&change.act);
            let verified = if change.verdict == Some(StepVerdict::Holds) { ", verified" } else { "" };
            let by = change.approved.as_deref().map(|who| format!(", approved by {who}")).unwrap_or_default();
            let settled = change.settled.as_ref().map(|(_, who, why)| format!(", as {who} says: {why}"));
            format!("{when} {path}: {title}{verified}{by}{}", settled.unwrap_or_default())
        };
        grouped(done, |list, items, change| match items {
            1 => line(list, change),
            items => format!("{} ({items} items)", line(list, change)),
        })
    }

    /// Changes that failed or were taken back, what people refused, and what went otherwise than written.
    fn tried(&self) -> Vec<String> {
        let failed = self.story.changes.all().filter(|(_, change)| change.became() == Became::Failed);
        let mut out = grouped(failed, |path, items, change| {
            let error = change.error.as_deref().unwrap_or("no reason is on record");
            let items = if items > 1 { format!(" ({items} items, this is the first)") } else { String::new() };
            let tries =
                if change.attempts > 1 { format!(" after {} attempts", change.attempts) } else { String::new() };
            format!("{path} FAILED{tries}{items}: {}", cut(error))
        });
        let back = self.story.changes.all().filter(|(_, change)| change.became() == Became::TakenBack);
        out.extend(grouped(back, |path, items, change| {
            let items = if items > 1 { format!(" ({items} items)") } else { String::new() };
            format!("{path} was done and taken back{items}: {}", change.title.as_deref().unwrap_or(&change.act))
        }));
        for gate in &self.story.gates {
            let Some((answer, by, _)) = gate.answer else { continue };
            let word = match answer.answer {
                AnswerKind::Declined => "declined",
                AnswerKind::Expired => "not answered in time",
                _ => continue,
            };
            let why = answer.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            let by =
                if answer.answer == AnswerKind::Expired { String::new() } else { format!(" by {}", words::actor(by)) };
            out.push(format!("{} {word}{by}{why}", gate.step.0));
        }
        out.extend(self.story.deviations.all().iter().map(|(_, text)| text.clone()));
        out
    }

    fn ruled_out(&self) -> Vec<String> {
        let options = self.story.decisions.iter().flat_map(|decision| decision.options);
        let out = options.filter(|option| option.verdict == OptionVerdict::DoesNotHold);
        let line = |option: &crate::event::OptionView| {
            let proof = proof(option.expression.as_deref(), &option.used);
            let proof = proof.map(|proof| format!(" ({proof})")).unwrap_or_default();
            format!("{}{proof}", super::prompt::option_title(option))
        };
        out.map(line).collect()
    }

    /// What may still be there when nobody does anything, the uncertain first.
    fn open(&self) -> Vec<Item> {
        let changes = &self.story.changes;
        let unknown = changes.all().filter(|(_, change)| change.became() == Became::Unknown);
        let mut out = grouped(unknown, |path, items, change| {
            let items = if items > 1 { format!(" ({items} items)") } else { String::new() };
            let why = change.error.as_deref().unwrap_or("its end was not seen");
            format!(
                "NOT KNOWN whether done: {path}{items}: {} ({})",
                change.title.as_deref().unwrap_or(&change.act),
                cut(why)
            )
        });
        let running = changes.all().filter(|(_, change)| change.became() == Became::Running && change.is_open);
        let word = if self.run.live { "is being done" } else { "had begun, and its end was not seen" };
        out.extend(running.map(|(path, change)| format!("{} {word}: {}", path.0, cut(&change.act))));
        let mut standing: Vec<_> =
            changes.standing(self.now).filter(|(_, change)| change.became() == Became::Done).collect();
        // Those that go by themselves are the ones to watch.
        standing.sort_by_key(|(_, change)| !change.is_passing());
        let can_undo = standing.iter().any(|(_, change)| change.undo.is_some());
        out.extend(grouped(standing.into_iter(), |path, items, change| {
            let items = if items > 1 { format!(" ({items} items)") } else { String::new() };
            let end = self.end(change);
            let undo = match (&change.undo, &change.irreversible) {
                (_, Some(why)) => format!("cannot be undone: {why}"),
                (Some(undo), None) => format!("undo: {}", cut(undo)),
                (None, None) => "no undo is written".to_owned(),
            };
            let failed = change.not_taken_back().map(|why| format!("; NOT taken back: {why}")).unwrap_or_default();
            format!("{path}{items} stands{end}; {undo}{failed}")
        }));
        let mut out: Vec<Item> = out.into_iter().map(Item::from).collect();
        if can_undo && self.story.end.is_some() {
            out.push(Item::with("take back what can be", self.run.commands.line("undo", &[self.id()], "")));
        }
        out
    }

    /// When a change goes: ` (until 02:15:00 UTC, in 43 min 10 s)`.
    fn end(&self, change: &Change) -> String {
        let mut end = end_of(change, self.now);
        if let Some(until) = change.until
            && end.ends_with(')')
        {
            end.truncate(end.len() - 1);
            _ = write!(end, ", in {})", span(between(self.now, until)));
        }
        end
    }

    pub(crate) fn id(&self) -> &'a str {
        self.story.run_id()
    }

    fn next(&self) -> Vec<Item> {
        let commands = self.run.commands;
        let id = self.id();
        if let Some(end) = self.story.end.and_then(Closing::of) {
            let mut out: Vec<String> = end.reasons.to_vec();
            if let Some((to, text)) = self.story.escalated {
                let to = to.map(|to| format!(" to {to}")).unwrap_or_default();
                out.insert(0, format!("escalated{to}: {text}"));
            }
            let (word, proof) = end.goal();
            out.push(format!("nothing runs any more; goal met: {word} ({proof})"));
            return out.into_iter().map(Item::from).collect();
        }
        let mut out: Vec<Item> = Vec::new();
        if !self.run.live {
            for wait in self.waiting() {
                out.push(format!("{} {} waits for an answer: {}", wait.what, wait.step, cut(&wait.text)).into());
            }
            out.push(Item::with("go on with", commands.line("resume", &[id], "")));
        } else {
            let open = self.story.gates.iter().filter(|gate| gate.answer.is_none());
            out.extend(open.map(|gate| {
                let command = commands.line("approve", &[id, gate.step.0.as_str()], "");
                Item::with(format!("gate {} waits for an answer", gate.step.0), command)
            }));
            let waits = self.story.steps.iter().filter(|(_, step)| step.asked && step.ended.is_none());
            out.extend(
                waits.map(|(path, step)| Item::from(format!("{} waits for a person: {}", path.0, step.title()))),
            );
        }
        let ahead = self.ahead();
        if !ahead.is_empty() {
            out.push(format!("then: {}", ahead.join("; ")).into());
        }
        if !self.run.live {
            out.push(Item::with("or end it", commands.line("abort", &[id], "--reason TEXT")));
        }
        out
    }

    pub(crate) fn waiting(&self) -> &'a [Waiting] {
        match self.story.last.map(|record| &record.event) {
            Some(Event::RunParked { waiting }) => waiting,
            _ => &[],
        }
    }

    /// Steps that nothing is on record of, in written order: each with its kind and title.
    fn ahead(&self) -> Vec<String> {
        let begun: HashSet<StepPath> = self.story.steps.keys().map(|path| super::steps::general(path)).collect();
        let waits = self.waiting();
        let is_ahead = |path: &&StepPath| !begun.contains(*path) && waits.iter().all(|wait| wait.step != **path);
        let ahead = self.about.order.iter().filter(is_ahead);
        let line = |path: &StepPath| {
            let info = self.run.steps.find(path);
            format!("{} {}: {}", info.kind, path.0, info.title)
        };
        ahead.map(line).collect()
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

    fn look_again(&self) -> Vec<String> {
        let mut when: Vec<(Timestamp, String)> = Vec::new();
        for (path, change) in self.story.changes.standing(self.now) {
            if let Some(until) = change.until {
                when.push((until, format!("{} ends by itself", path.0)));
            }
        }
        let mut waits: IndexMap<&StepPath, (Timestamp, String)> = IndexMap::new();
        for record in self.run.records {
            let Some(path) = &record.step else { continue };
            let (ms, why) = match &record.event {
                Event::Paused { for_ms, reason } => (*for_ms, reason.clone()),
                Event::Sampled { left_ms, .. } => (*left_ms, "it has been watched for long enough".to_owned()),
                Event::StepEnded { .. } | Event::StepSkipped { .. } => {
                    waits.shift_remove(path);
                    continue;
                }
                _ => continue,
            };
            let ms = SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX));
            if let Ok(over) = record.time.checked_add(ms) {
                waits.insert(path, (over, format!("{}: {why}", path.0)));
            }
        }
        if self.run.live {
            when.extend(waits.into_values().filter(|(over, _)| *over > self.now));
        }
        when.sort();
        when.into_iter()
            .map(|(time, what)| format!("{} UTC, in {}: {what}", near(time, self.now), span(between(self.now, time))))
            .collect()
    }
}

/// Items of the same list become one line. Gives the list's place, how many, and the first of them.
fn grouped<'c>(
    changes: impl Iterator<Item = (&'c StepPath, &'c Change)>,
    line: impl Fn(&str, usize, &Change) -> String,
) -> Vec<String> {
    let mut lists: IndexMap<String, (usize, &Change)> = IndexMap::new();
    for (path, change) in changes {
        let place =
            path.0.strip_suffix(']').and_then(|path| path.rsplit_once('[')).map_or(path.0.as_str(), |(list, _)| list);
        lists.entry(place.to_owned()).or_insert((0, change)).0 += 1;
    }
    lists.into_iter().map(|(place, (count, change))| line(&place, count, change)).collect()
}

/// What a person wants to see of a read: what its author shows, else what it kept; lists and maps only in short.
fn values(step: &StepStory<'_>) -> String {
    if !step.shown.is_empty() {
        return used(&Style::PLAIN, step.shown, VALUE);
    }
    let captures = step.captures.into_iter().flatten();
    let telling = captures.filter(|(_, value)| {
        !matches!(
            value,
            StoredValue::Value(serde_json::Value::Array(_) | serde_json::Value::Object(_)) | StoredValue::Kept(_)
        )
    });
    let texts = telling.map(|(name, value)| format!("{name} {}", short(&Style::PLAIN, value, VALUE)));
    texts.collect::<Vec<_>>().join(", ")
}

/// An expression with the values it saw: `queue.top_share > 0.5 with queue.top_share 0.95`.
fn proof(expression: Option<&str>, values: &[UsedView]) -> Option<String> {
    let seen = used(&Style::PLAIN, values, VALUE);
    match (expression, seen.is_empty()) {
        (None, true) => None,
        (None, false) => Some(seen),
        (Some(expression), true) => Some(cut(expression)),
        (Some(expression), false) => Some(format!("{} with {seen}", cut(expression))),
    }
}

fn cut(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    let mark = if text.lines().nth(1).is_some() { " …" } else { "" };
    format!("{}{mark}", Style::PLAIN.cut(first, ACT))
}
