//! A transcript put together by step: what Markdown and JSON are made from.

use super::changes::Changes;
use super::deviations::Deviations;
use super::live::told;
use super::marks::Marks;
use super::steps::{StepInfo, StepTable, is_item};
use crate::event::{
    ActView, Actor, CheckView, Event, EvidenceRef, GateAnswer, GateApproval, GateTerms, OptionView, Outcome, Record,
    StepPath, StepVerdict, StoredValue, UsedView,
};
use indexmap::IndexMap;
use jiff::Timestamp;

/// What a transcript tells, by step and in the order of first mention.
#[derive(Default)]
pub(crate) struct Story<'a> {
    pub(crate) started: Option<&'a Record>,
    /// The last record that says something about the state: no note and no mark.
    pub(crate) last: Option<&'a Record>,
    /// Each time a process took the run up, and when the one before did something last.
    pub(crate) resumed: Vec<(&'a Record, Option<Timestamp>)>,
    /// Each time a process let go of it.
    pub(crate) left: Vec<&'a Record>,
    pub(crate) changes: Changes,
    pub(crate) marks: Marks,
    pub(crate) aborted: Option<(&'a Record, &'a str)>,
    pub(crate) clock_moved: Vec<(Timestamp, i64)>,
    pub(crate) settled: Vec<(&'a Record, crate::event::Settlement, &'a str)>,
    pub(crate) targets: IndexMap<&'a str, (&'a str, Option<&'a str>, Timestamp)>,
    pub(crate) steps: IndexMap<&'a StepPath, StepStory<'a>>,
    pub(crate) gates: Vec<GateStory<'a>>,
    pub(crate) decisions: Vec<DecisionStory<'a>>,
    pub(crate) answers: Vec<(&'a Record, &'a IndexMap<String, StoredValue>)>,
    pub(crate) notes: Vec<(&'a Record, &'a str)>,
    pub(crate) deviations: Deviations,
    pub(crate) escalated: Option<(Option<&'a str>, &'a str)>,
    pub(crate) end: Option<&'a Record>,
}

/// One step as it went.
#[derive(Default)]
pub(crate) struct StepStory<'a> {
    pub(crate) info: StepInfo,
    /// The title with its values in, when a card showed it.
    pub(crate) title: Option<&'a str>,
    pub(crate) began: Option<&'a Record>,
    pub(crate) ended: Option<&'a Record>,
    pub(crate) attempts: u32,
    /// Whether an attempt began whose end is not in the record.
    pub(crate) acting: bool,
    /// Whether a person was asked and has not answered.
    pub(crate) asked: bool,
    pub(crate) act: Option<&'a ActView>,
    pub(crate) change: bool,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) verdict: Option<StepVerdict>,
    pub(crate) handled: bool,
    pub(crate) reason: Option<&'a str>,
    pub(crate) error: Option<String>,
    pub(crate) captures: Option<&'a IndexMap<String, StoredValue>>,
    pub(crate) checks: &'a [CheckView],
    pub(crate) shown: &'a [UsedView],
    /// Attempt and what was kept of it.
    pub(crate) evidence: Vec<(u32, &'a EvidenceRef)>,
}

impl StepStory<'_> {
    pub(crate) fn title(&self) -> &str {
        self.title.unwrap_or(&self.info.title)
    }

    pub(crate) fn took_ms(&self) -> Option<u64> {
        Some(self.ended?.elapsed_ms.saturating_sub(self.began?.elapsed_ms))
    }
}

/// One opening of a gate.
pub(crate) struct GateStory<'a> {
    pub(crate) step: &'a StepPath,
    pub(crate) number: u32,
    pub(crate) digest: &'a str,
    pub(crate) opened: Timestamp,
    /// What it asks beside a yes.
    pub(crate) terms: &'a GateTerms,
    /// The approvals it was given, with who gave them.
    pub(crate) approvals: Vec<(&'a GateApproval, &'a Actor)>,
    pub(crate) answer: Option<(&'a GateAnswer, &'a Actor, Timestamp)>,
}

/// One decision.
pub(crate) struct DecisionStory<'a> {
    pub(crate) step: &'a StepPath,
    pub(crate) time: Timestamp,
    pub(crate) chosen: &'a [String],
    pub(crate) by: &'a str,
    pub(crate) actor: &'a Actor,
    pub(crate) options: &'a [OptionView],
    /// The evidence that was on the screen.
    pub(crate) shown: &'a [UsedView],
    pub(crate) reason: Option<&'a str>,
}

impl<'a> Story<'a> {
    pub(crate) fn of(records: &'a [Record], steps: &StepTable) -> Self {
        let mut story = Self::default();
        for record in records {
            story.changes.take(record);
            story.marks.take(record);
            if matches!(record.event, Event::RunResumed(_)) {
                story.resumed.push((record, story.last.map(|last| last.time)));
            }
            if !record.event.is_remark() {
                story.last = Some(record);
            }
            match &record.step {
                Some(step) => story.step(record, step, steps),
                None => story.run(record),
            }
        }
        story
    }

    /// The title of the list that an item belongs to.
    fn title_of_list(&self, item: &StepPath) -> Option<&'a str> {
        let (list, _) = item.0.rsplit_once('[')?;
        self.steps.get(&StepPath(list.to_owned()))?.title
    }

    pub(crate) fn run_id(&self) -> &'a str {
        match self.started.map(|record| &record.event) {
            Some(Event::RunStarted { run, .. }) => run.as_str(),
            _ => "unknown",
        }
    }

    /// The run whose changes this one takes back.
    pub(crate) fn undo_of(&self) -> Option<&'a str> {
        match self.started.map(|record| &record.event) {
            Some(Event::RunStarted { undo_of, .. }) => undo_of.as_ref().map(crate::event::RunId::as_str),
            _ => None,
        }
    }

    /// The state of the run: its result, or `parked`, `suspended`, `incomplete`.
    pub(crate) fn state(&self) -> &'static str {
        match self.last.map(|record| &record.event) {
            Some(Event::RunEnded { result, .. }) => super::words::result(*result).0,
            Some(Event::RunParked { .. }) => "PARKED",
            Some(Event::RunSuspended { .. }) => "SUSPENDED",
            _ => "INCOMPLETE",
        }
    }

    fn run(&mut self, record: &'a Record) {
        match &record.event {
            Event::RunStarted { .. } => self.started = Some(record),
            Event::TargetProven { target, address, identity } => {
                self.targets.insert(target, (address, identity.as_deref(), record.time));
            }
            Event::Noted { text } => self.notes.push((record, text)),
            Event::Deviated { text } => {
                self.deviations.said(record.time, text);
            }
            Event::Escalated { to, text } => self.escalated = Some((to.as_deref(), text)),
            Event::RunEnded { .. } => self.end = Some(record),
            Event::RunParked { .. } | Event::RunSuspended { .. } => self.left.push(record),
            Event::Aborted { reason } => self.aborted = Some((record, reason)),
            Event::ClockMoved { by_ms } => self.clock_moved.push((record.time, *by_ms)),
            _ => {}
        }
    }

    fn step(&mut self, record: &'a Record, path: &'a StepPath, steps: &StepTable) {
        match &record.event {
            // These may name the step they came from; they are facts of the run.
            Event::TargetProven { .. }
            | Event::Noted { .. }
            | Event::Marked { .. }
            | Event::Deviated { .. }
            | Event::Escalated { .. } => {
                return self.run(record);
            }
            Event::Settled { settlement, reason, .. } => self.settled.push((record, *settlement, reason)),
            Event::StepSkipped { reason, deviation: true, .. } => {
                self.deviations.skipped(record.time, path, reason);
            }
            Event::GateOpened { number, digest, card, .. } => {
                let (terms, approvals, opened) = (&card.terms, Vec::new(), record.time);
                self.gates.push(GateStory {
                    step: path,
                    number: *number,
                    digest,
                    opened,
                    terms,
                    approvals,
                    answer: None,
                });
            }
            Event::GateApproved { number, approval, .. } => {
                let open = self.gates.iter_mut().rev().find(|gate| gate.step == path && gate.number == *number);
                if let Some(gate) = open {
                    gate.approvals.push((approval, &record.actor));
                }
            }
            Event::GateAnswered { number, answer, .. } => {
                let open = self.gates.iter_mut().rev().find(|gate| gate.step == path && gate.number == *number);
                if let Some(gate) = open {
                    gate.answer = Some((answer, &record.actor, record.time));
                }
            }
            Event::Decided { chosen, by, options, shown, reason, .. } => self.decisions.push(DecisionStory {
                step: path,
                time: record.time,
                chosen,
                by,
                actor: &record.actor,
                options,
                shown,
                reason: reason.as_deref(),
            }),
            Event::Answered { values, .. } => self.answers.push((record, values)),
            _ => {}
        }
        let title = is_item(path).then(|| self.title_of_list(path)).flatten();
        let story = self.steps.entry(path).or_insert_with(|| StepStory {
            info: steps.find(path),
            title,
            ..StepStory::default()
        });
        story.take(record);
    }
}

impl<'a> StepStory<'a> {
    fn take(&mut self, record: &'a Record) {
        match &record.event {
            Event::GateOpened { card, .. } => {
                self.title = Some(&card.title);
                self.change = true;
            }
            // The card's own title is the better one.
            Event::StepStarted { title } => self.title = self.title.or(Some(title)),
            Event::AttemptStarted { act, change } => {
                self.began.get_or_insert(record);
                self.attempts = record.attempt.unwrap_or(self.attempts + 1);
                self.act = Some(act);
                self.change = *change;
                self.acting = true;
            }
            Event::AttemptEnded { error, message, evidence, .. } => {
                self.acting = false;
                self.error = told(error.as_ref(), message.as_deref());
                let attempt = record.attempt.unwrap_or(self.attempts);
                self.evidence.extend(evidence.iter().map(|kept| (attempt, kept)));
            }
            Event::Asked { .. } => self.asked = true,
            Event::Answered { .. } => self.asked = false,
            Event::StepSkipped { reason, .. } => {
                self.outcome = Some(Outcome::Skipped);
                self.reason = Some(reason);
                self.ended = Some(record);
            }
            Event::StepEnded { outcome, verdict, captures, checks, shown, reason, handled, .. } => {
                self.outcome = Some(*outcome);
                self.verdict = *verdict;
                self.captures = Some(captures);
                self.checks = checks;
                self.shown = shown;
                self.reason = reason.as_deref();
                self.handled = *handled;
                self.ended = Some(record);
            }
            _ => {}
        }
    }
}
