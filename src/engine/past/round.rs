//! One time that a step was performed, as the record tells it.

use super::super::message::StepEnd;
use super::super::port::Performed;
use super::super::store_value::{Kept, restore_kept};
use crate::event::{
    ActView, AnswerKind, CardView, CheckView, ErrorClass, Event, EvidenceRef, Outcome, Record, Settlement, StepFacts,
    StepVerdict, StoredValue, UsedView,
};
use crate::expr::Value;
use indexmap::IndexMap;
use jiff::Timestamp;

/// The evidence that holds a file as it was before its change.
const BEFORE: &str = "before";

/// Gives values of the record back.
type Restored<'a> = dyn Fn(&IndexMap<String, StoredValue>) -> IndexMap<String, Value> + 'a;

/// An attempt.
#[derive(Clone, Debug)]
pub(in super::super) struct PastAttempt {
    pub(in super::super) number: u32,
    pub(in super::super) change: bool,
    pub(in super::super) act: ActView,
    pub(in super::super) started: Timestamp,
    /// Milliseconds since the run began.
    pub(in super::super) started_ms: u64,
    /// How it ended; nothing when that was not seen.
    pub(in super::super) ended: Option<PastPerformed>,
}

/// The end of an attempt.
#[derive(Clone, Debug)]
pub(in super::super) struct PastPerformed {
    pub(in super::super) outcome: Outcome,
    pub(in super::super) error: Option<ErrorClass>,
    pub(in super::super) message: Option<String>,
    pub(in super::super) fields: IndexMap<String, Value>,
    pub(in super::super) evidence: Vec<EvidenceRef>,
    /// The bytes of a file before it was changed.
    pub(in super::super) before: Option<Vec<u8>>,
}

impl From<PastPerformed> for Performed {
    fn from(past: PastPerformed) -> Self {
        let PastPerformed { outcome, error, message, fields, evidence, .. } = past;
        Self { outcome, error, message, fields, evidence, left: Vec::new() }
    }
}

/// The last opening of a gate.
#[derive(Clone, Debug)]
pub(in super::super) struct PastGate {
    pub(in super::super) number: u32,
    pub(in super::super) digest: String,
    pub(in super::super) undo: Option<String>,
    /// What was shown; nothing for a change that no gate stands before.
    pub(in super::super) card: Option<Box<CardView>>,
    /// When it was passed; nothing while it is open, or when the answer was another one.
    pub(in super::super) passed: Option<Timestamp>,
    /// Whether it was answered at all.
    pub(in super::super) is_answered: bool,
}

/// How a step ended.
#[derive(Clone, Debug)]
pub(in super::super) struct PastEnd {
    /// The number of its record.
    pub(in super::super) seq: u64,
    pub(in super::super) time: Timestamp,
    pub(in super::super) outcome: Outcome,
    verdict: Option<StepVerdict>,
    captures: IndexMap<String, Value>,
    checks: Vec<CheckView>,
    shown: Vec<UsedView>,
    pub(in super::super) reason: Option<String>,
    facts: StepFacts,
    values: IndexMap<String, Value>,
    deviation: bool,
    blocked: bool,
    /// Whether the end of the run left it out, before its task began.
    pub(in super::super) ending: bool,
}

/// One time that a step was performed.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Round {
    /// The number of its first record.
    pub(in super::super) first: u64,
    /// When it began.
    pub(in super::super) began: Option<Timestamp>,
    pub(in super::super) attempts: Vec<PastAttempt>,
    pub(in super::super) gate: Option<PastGate>,
    /// How many attempts there were when a person said that it is to be made once more.
    retried: usize,
    /// What was chosen, for a decide.
    pub(in super::super) chosen: Option<Vec<String>>,
    /// Whether a person said that it is performed (`when`).
    pub(in super::super) wanted: bool,
    /// The items of a loop.
    pub(in super::super) items: Option<Vec<Value>>,
    /// The changes that were approved with the list, and not used.
    pub(in super::super) approved: IndexMap<String, String>,
    pub(in super::super) is_called: bool,
    /// Since when it waits, in milliseconds since the run began, and for how long: the first pause.
    pub(in super::super) paused: Option<(u64, u64)>,
    /// When the questions were put, in milliseconds since the run began.
    pub(in super::super) asked_ms: Option<u64>,
    /// The samples of a hold: when, in milliseconds since the run began, the verdict and the captures.
    pub(in super::super) samples: Vec<PastSample>,
    /// Whether its process in the background could be relied on.
    pub(in super::super) is_ready: bool,
    pub(in super::super) until: Option<Timestamp>,
    pub(in super::super) end: Option<PastEnd>,
}

/// A sample of a hold.
#[derive(Clone, Debug)]
pub(in super::super) struct PastSample {
    pub(in super::super) time: Timestamp,
    pub(in super::super) at_ms: u64,
    pub(in super::super) verdict: StepVerdict,
    pub(in super::super) captures: IndexMap<String, Value>,
}

impl Round {
    /// Whether an event tells of a step being performed.
    pub(super) fn is_about(event: &Event) -> bool {
        matches!(
            event,
            Event::StepStarted { .. }
                | Event::StepSkipped { .. }
                | Event::Decided { .. }
                | Event::ItemsListed { .. }
                | Event::GateOpened { .. }
                | Event::GateAnswered { .. }
                | Event::ListApproved { .. }
                | Event::Called { .. }
                | Event::Asked { .. }
                | Event::Answered { .. }
                | Event::AttemptStarted { .. }
                | Event::AttemptEnded { .. }
                | Event::BackgroundReady { .. }
                | Event::Paused { .. }
                | Event::Sampled { .. }
                | Event::Settled { .. }
                | Event::StepEnded { .. }
        )
    }

    /// Whether an event begins another round.
    pub(super) fn is_over_before(&self, event: &Event) -> bool {
        // What a gate or a decision of an ended step is answered with late belongs to it still.
        let again = matches!(event, Event::Decided { options, .. } if !options.is_empty()) && self.chosen.is_some();
        self.end.is_some() || again
    }

    pub(super) fn take_in(&mut self, record: &Record, kept: Kept<'_>) {
        let restore = |value: &StoredValue| restore_kept(value, kept);
        if self.first == 0 {
            self.first = record.seq;
            self.began = Some(record.time);
        }
        let all = |values: &IndexMap<String, StoredValue>| -> IndexMap<String, Value> {
            values.iter().map(|(name, value)| (name.clone(), restore(value))).collect()
        };
        match &record.event {
            Event::AttemptStarted { act, change } => self.attempts.push(PastAttempt {
                number: record.attempt.unwrap_or(0),
                change: *change,
                act: (**act).clone(),
                started: record.time,
                started_ms: record.elapsed_ms,
                ended: None,
            }),
            Event::AttemptEnded { outcome, error, message, fields, evidence, .. } => {
                let ended = PastPerformed {
                    outcome: *outcome,
                    error: error.clone(),
                    message: message.clone(),
                    fields: all(fields),
                    evidence: evidence.clone(),
                    before: evidence.iter().find(|one| one.stream == BEFORE).and_then(|one| kept(one).ok()),
                };
                if let Some(attempt) = self.attempts.last_mut() {
                    attempt.ended = Some(ended);
                }
            }
            Event::GateOpened { number, digest, card, .. } => self.gate_opened(*number, digest, card),
            Event::GateAnswered { answer, .. } => {
                if let Some(gate) = &mut self.gate {
                    gate.is_answered = true;
                    gate.passed = (answer.answer == AnswerKind::Approved).then_some(record.time);
                }
            }
            Event::Settled { settlement: Settlement::Retry, .. } => {
                self.retried = self.attempts.len();
                self.use_up_gate();
            }
            Event::ListApproved { digests } => self.approved.clone_from(digests),
            Event::Decided { chosen, options, .. } if options.is_empty() => {
                self.wanted = chosen.iter().any(|word| word == "yes");
            }
            Event::Decided { chosen, .. } => self.chosen = Some(chosen.clone()),
            Event::ItemsListed { items } => self.items = Some(items.iter().map(&restore).collect()),
            Event::Called { .. } => self.is_called = true,
            Event::Asked { .. } => self.asked_ms = self.asked_ms.or(Some(record.elapsed_ms)),
            Event::BackgroundReady { .. } => self.is_ready = true,
            Event::Paused { for_ms, .. } => self.paused = self.paused.or(Some((record.elapsed_ms, *for_ms))),
            Event::Sampled { verdict, captures, .. } => self.samples.push(PastSample {
                time: record.time,
                at_ms: record.elapsed_ms,
                verdict: *verdict,
                captures: all(captures),
            }),
            _ => self.ended(record, &all),
        }
    }

    fn gate_opened(&mut self, number: u32, digest: &str, card: &CardView) {
        self.gate = Some(PastGate {
            number,
            digest: digest.to_owned(),
            undo: card.undo.clone(),
            card: Some(Box::new(card.clone())),
            passed: None,
            is_answered: false,
        });
    }

    fn ended(&mut self, record: &Record, all: &Restored<'_>) {
        let mut end = PastEnd {
            seq: record.seq,
            time: record.time,
            outcome: Outcome::Skipped,
            verdict: None,
            captures: IndexMap::new(),
            checks: Vec::new(),
            shown: Vec::new(),
            reason: None,
            facts: StepFacts::default(),
            values: IndexMap::new(),
            deviation: false,
            blocked: false,
            ending: false,
        };
        match &record.event {
            Event::StepSkipped { reason, deviation, blocked, ending } => {
                end.reason = Some(reason.clone());
                (end.deviation, end.blocked, end.ending) = (*deviation, *blocked, *ending);
            }
            Event::StepEnded { outcome, verdict, captures, checks, shown, reason, facts, .. } => {
                end.outcome = *outcome;
                end.verdict = *verdict;
                end.captures = all(captures);
                end.checks.clone_from(checks);
                end.shown.clone_from(shown);
                end.reason.clone_from(reason);
                end.values = all(&facts.values);
                end.facts = (**facts).clone();
            }
            _ => return,
        }
        self.end = Some(end);
    }

    pub(super) fn made(&mut self, undo: Option<&str>, until: Option<Timestamp>) {
        self.until = until;
        if let (Some(undo), None) = (undo, &self.gate) {
            self.gate_opened_for(undo);
        }
    }

    fn gate_opened_for(&mut self, undo: &str) {
        let (digest, undo) = (String::new(), Some(undo.to_owned()));
        self.gate = Some(PastGate { number: 0, digest, undo, card: None, passed: None, is_answered: true });
    }

    /// What was approved was attempted: its gate opens again.
    pub(super) fn use_up_gate(&mut self) {
        if let Some(gate) = &mut self.gate {
            gate.passed = None;
            gate.is_answered = true;
        }
    }

    /// Approvals that were not used do not count any more.
    pub(super) fn void_approvals(&mut self) {
        self.approved.clear();
        if let Some(gate) = &mut self.gate {
            gate.passed = None;
        }
    }

    /// Whether anything is known.
    pub(in super::super) fn is_empty(&self) -> bool {
        self.first == 0
    }

    /// The attempt at a change whose outcome is still to be settled: its end was not seen, or what came after it.
    pub(in super::super) fn unsettled(&self) -> Option<&PastAttempt> {
        let is_open = self.end.is_none() && self.attempts.len() > self.retried;
        let last = self.attempts.last().filter(|attempt| attempt.change && is_open)?;
        let failed = |ended: &PastPerformed| ended.outcome == Outcome::Failed;
        last.ended.as_ref().is_none_or(|ended| !failed(ended)).then_some(last)
    }

    /// The attempt at a change that failed, when it is the last and the end of its step is missing.
    pub(in super::super) fn failed(&self) -> Option<&PastAttempt> {
        let last = self.attempts.last().filter(|attempt| attempt.change && self.end.is_none())?;
        last.ended.as_ref().is_some_and(|ended| ended.outcome == Outcome::Failed).then_some(last)
    }

    /// How often a change was attempted since its gate was passed; ever, when that is not known.
    pub(in super::super) fn changes_since(&self, passed: Option<Timestamp>) -> u32 {
        let since = |attempt: &&PastAttempt| attempt.change && passed.is_none_or(|passed| attempt.started >= passed);
        u32::try_from(self.attempts.iter().filter(since).count()).unwrap_or(u32::MAX)
    }

    /// How often a change was attempted.
    pub(in super::super) fn changes(&self) -> u32 {
        u32::try_from(self.attempts.iter().filter(|attempt| attempt.change).count()).unwrap_or(u32::MAX)
    }

    /// The end of the step as its task gave it; nothing when it has not ended.
    pub(in super::super) fn step_end(&self) -> Option<StepEnd> {
        let past = self.end.as_ref()?;
        let mut end = StepEnd::new(past.outcome);
        if let Some(ended) = self.attempts.last().and_then(|attempt| attempt.ended.as_ref()) {
            end.values.clone_from(&ended.fields);
        }
        end.values.extend(past.values.clone());
        end.verdict = past.verdict;
        end.error.clone_from(&past.facts.error);
        end.reason.clone_from(&past.reason);
        end.captures.clone_from(&past.captures);
        end.checks.clone_from(&past.checks);
        end.shown.clone_from(&past.shown);
        end.attempts = past.facts.attempts;
        end.changed = past.facts.changed;
        end.undecided = past.facts.undecided;
        end.undone = past.facts.undone as usize;
        end.deviation = past.deviation;
        end.blocked = past.blocked;
        end.past = Some(PastMoment {
            seq: past.seq,
            ended: past.time,
            undo: self.gate.as_ref().and_then(|gate| gate.undo.clone()),
            until: self.until,
        });
        Some(end)
    }
}

/// When a step ended that an earlier process performed, and what the dispatcher knew of it then.
#[derive(Clone, Debug)]
pub(in super::super) struct PastMoment {
    /// The number of its record.
    pub(in super::super) seq: u64,
    pub(in super::super) ended: Timestamp,
    /// How it is taken back, in words.
    pub(in super::super) undo: Option<String>,
    /// When it ends by itself.
    pub(in super::super) until: Option<Timestamp>,
}
