//! The changes of a run: which were done, taken back, failed, are not known, and which stand.

use super::live::told;
use super::words;
use crate::event::{Actor, AnswerKind, Event, Outcome, Record, Settlement, StepPath, StepVerdict};
use indexmap::IndexMap;
use jiff::Timestamp;
use std::collections::HashSet;

/// Characters of an act that are remembered.
const ACT: usize = 400;

/// What became of one change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Became {
    /// It was made.
    Done,
    /// It was made, and taken back.
    TakenBack,
    /// The target said no, or nothing was sent.
    Failed,
    /// Nobody knows whether it was made.
    Unknown,
    /// It goes on.
    Running,
}

/// One change: a step, or an item of a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    pub(crate) title: Option<String>,
    /// The act as it was started.
    pub(crate) act: String,
    pub(crate) attempts: u32,
    /// Whether an attempt began whose end is not on record.
    pub(crate) is_open: bool,
    /// Whether the process that made the attempt has gone since.
    is_left: bool,
    pub(crate) began: Option<Timestamp>,
    pub(crate) ended: Option<Timestamp>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) verdict: Option<StepVerdict>,
    pub(crate) error: Option<String>,
    /// How it is taken back, in words.
    pub(crate) undo: Option<String>,
    /// Why it cannot be.
    pub(crate) irreversible: Option<String>,
    /// When it ends by itself.
    pub(crate) until: Option<Timestamp>,
    /// Whether it is taken back by itself when the run ends.
    pub(crate) temporary: bool,
    /// Whether the record says that it stands.
    made: bool,
    /// Whether an act of its undo did not succeed.
    undo_failed: bool,
    /// Whether it was taken back, once that was tried; and why not.
    back: Option<Result<(), String>>,
    /// Those whose approvals a gate has counted so far.
    signed: Vec<String>,
    /// Who let it pass, and by which door: `approved by ana at the terminal`.
    pub(crate) approved: Option<String>,
    /// What a person said of it when its end was not seen, who, and why.
    pub(crate) settled: Option<(Settlement, String, String)>,
}

impl Change {
    pub(crate) fn became(&self) -> Became {
        if matches!(self.back, Some(Ok(()))) {
            return Became::TakenBack;
        }
        match self.outcome {
            Some(Outcome::Succeeded) => Became::Done,
            Some(Outcome::Unknown) => Became::Unknown,
            Some(_) => Became::Failed,
            None if self.made => Became::Done,
            None if self.is_left => Became::Unknown,
            None => Became::Running,
        }
    }

    /// Why it was not taken back, when that was tried.
    pub(crate) fn not_taken_back(&self) -> Option<&str> {
        self.back.as_ref()?.as_ref().err().map(String::as_str)
    }

    /// Whether it stands at a moment, or may stand, as far as is known.
    pub(crate) fn stands(&self, now: Timestamp) -> bool {
        let is_there = matches!(self.became(), Became::Done | Became::Unknown) || (self.is_open && self.made);
        is_there && self.until.is_none_or(|until| until > now)
    }

    /// Whether it is one that has to go again: it ends by itself, or was to be taken back at the end.
    pub(crate) fn is_passing(&self) -> bool {
        self.until.is_some() || self.temporary
    }
}

/// The act alone, where a card says in words that it is done by itself: that is told by the change.
fn act_of(undo: &str) -> String {
    let by_itself = undo.strip_prefix("taken back by itself when the run ends: ");
    let ends = undo.strip_prefix("ends by itself after ").and_then(|rest| Some(rest.split_once("; before that: ")?.1));
    by_itself.or(ends).unwrap_or(undo).to_owned()
}

/// Every change of a run, in the order they began.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    all: IndexMap<StepPath, Change>,
    /// Lists whose items are among them.
    lists: HashSet<StepPath>,
    /// What gates said of steps, lists included.
    gates: IndexMap<StepPath, Change>,
    /// Whether this is a run that takes another one's changes back.
    is_undo: bool,
}

impl Changes {
    /// Takes in one record.
    pub(crate) fn take(&mut self, record: &Record) {
        let Some(path) = &record.step else {
            self.is_undo |= matches!(&record.event, Event::RunStarted { undo_of: Some(_), .. });
            if matches!(record.event, Event::RunResumed(_) | Event::RunSuspended { .. } | Event::RunParked { .. }) {
                self.all.values_mut().for_each(|change| change.is_left |= change.is_open);
            }
            return;
        };
        match &record.event {
            Event::GateOpened { card, .. } => {
                let gate = self.gates.entry(path.clone()).or_default();
                gate.title = Some(card.title.clone());
                gate.signed.clear();
                gate.undo = card.undo.as_deref().map(act_of);
                gate.irreversible.clone_from(&card.irreversible);
            }
            // Of several people each has an event of their own; the answer of the gate comes last.
            Event::GateApproved { approval, .. } => {
                let kind = if approval.signature.is_some() { "signed" } else { words::door(approval.door) };
                let Actor::Person(person) = &record.actor else { return };
                let gate = self.gates.entry(path.clone()).or_default();
                gate.signed.push(format!("{} {kind}", person.name));
            }
            Event::GateAnswered { answer, .. } if answer.answer == AnswerKind::Approved => {
                let who = match &record.actor {
                    Actor::Runwright => format!("passed {}", words::door(answer.door)),
                    Actor::Person(person) => format!("approved by {} {}", person.name, words::door(answer.door)),
                };
                let gate = self.gates.entry(path.clone()).or_default();
                let signed = format!("approved by {}", gate.signed.join(", "));
                gate.approved = Some(if gate.signed.is_empty() { who } else { signed });
            }
            // An act of an undo that has several. Here each is for itself; of what is taken back at the end of its own run,
            // the end is told by the undo as a whole.
            _ if self.is_undo => {
                let (change, _) = path.0.rsplit_once("/undo").unwrap_or((&path.0, ""));
                let change = StepPath(change.to_owned());
                let failed_before = self.all.get(&change).is_some_and(|change| change.undo_failed);
                if !failed_before {
                    self.undo(record, &change);
                }
            }
            _ if path.0.contains("/undo/") => {}
            _ => match path.0.strip_suffix("/undo") {
                Some(change) => self.undo(record, &StepPath(change.to_owned())),
                None => self.change(record, path),
            },
        }
    }

    fn change(&mut self, record: &Record, path: &StepPath) {
        match &record.event {
            Event::AttemptStarted { act, change: true } => {
                self.lists.extend(list_of(path));
                let gate = self.gate_of(path);
                let change = self.all.entry(path.clone()).or_default();
                if let Some(gate) = gate {
                    change.title = gate.title;
                    change.undo = change.undo.take().or(gate.undo);
                    change.irreversible = gate.irreversible;
                    change.approved = gate.approved;
                }
                change.act = act.text.chars().take(ACT).collect();
                change.attempts += 1;
                change.began.get_or_insert(record.time);
                (change.is_open, change.is_left) = (true, false);
                (change.outcome, change.back) = (None, None);
            }
            Event::ChangeMade { undo, until, temporary } => {
                let change = self.all.entry(path.clone()).or_default();
                change.made = true;
                change.began.get_or_insert(record.time);
                change.undo = undo.as_deref().map(act_of).or(change.undo.take());
                change.until = *until;
                change.temporary = *temporary;
            }
            event => {
                let Some(change) = self.all.get_mut(path) else { return };
                change.event(record, event);
            }
        }
    }

    /// A change is taken back: by the end of its run, or by a run of its own.
    fn undo(&mut self, record: &Record, path: &StepPath) {
        match &record.event {
            Event::AttemptStarted { .. } => {
                let change = self.all.entry(path.clone()).or_default();
                change.made = true;
                change.back = Some(Err("its end was not seen".to_owned()));
            }
            Event::StepEnded { outcome, reason, .. } => {
                let change = self.all.entry(path.clone()).or_default();
                change.made = true;
                let why = || reason.clone().unwrap_or_else(|| words::outcome(*outcome).0.to_lowercase());
                change.back = Some(if *outcome == Outcome::Succeeded { Ok(()) } else { Err(why()) });
                // What a stop cut off is gone on with by the next process.
                change.undo_failed = !matches!(outcome, Outcome::Succeeded | Outcome::Cancelled);
            }
            _ => {}
        }
    }

    /// What the gate of a change said, or that of the list it is an item of.
    fn gate_of(&self, path: &StepPath) -> Option<Change> {
        let own = self.gates.get(path);
        own.or_else(|| self.gates.get(&list_of(path)?)).cloned()
    }

    /// All of them. A list is told by its items.
    pub(crate) fn all(&self) -> impl DoubleEndedIterator<Item = (&StepPath, &Change)> {
        self.all.iter().filter(|(path, change)| change.attempts > 0 || !self.lists.contains(*path))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The changes that became something.
    pub(crate) fn count(&self, of: Became) -> usize {
        self.all().filter(|(_, change)| change.became() == of).count()
    }

    /// Those that stand at a moment, or may stand.
    pub(crate) fn standing(&self, now: Timestamp) -> impl Iterator<Item = (&StepPath, &Change)> {
        self.all().filter(move |(_, change)| change.stands(now))
    }

    /// How many became what: `2 done, 1 failed, 1 not known`.
    pub(crate) fn in_words(&self) -> String {
        let parts = [
            (Became::Done, "done"),
            (Became::TakenBack, "taken back"),
            (Became::Failed, "failed"),
            (Became::Unknown, "NOT KNOWN whether done"),
            (Became::Running, "not ended"),
        ];
        let parts = parts.map(|(became, word)| (self.count(became), word));
        let parts: Vec<String> =
            parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
    }
}

impl Change {
    fn event(&mut self, record: &Record, event: &Event) {
        match event {
            Event::AttemptEnded { error, message, .. } => {
                self.is_open = false;
                self.error = told(error.as_ref(), message.as_deref());
            }
            Event::Settled { settlement, reason, .. } => {
                let who = words::actor(&record.actor);
                (self.is_open, self.is_left) = (false, false);
                self.settled = Some((*settlement, who, reason.clone()));
                match settlement {
                    Settlement::Done => self.outcome = Some(Outcome::Succeeded),
                    Settlement::NotDone => self.outcome = Some(Outcome::Failed),
                    Settlement::Retry => {}
                }
            }
            Event::StepEnded { outcome, verdict, reason, .. } => {
                self.is_open = false;
                self.outcome = Some(*outcome);
                self.verdict = *verdict;
                self.ended = Some(record.time);
                if *outcome != Outcome::Succeeded {
                    self.error = reason.clone().or(self.error.take());
                }
            }
            _ => {}
        }
    }
}

/// The list that an item belongs to.
pub(crate) fn list_of(path: &StepPath) -> Option<StepPath> {
    let (list, _) = path.0.strip_suffix(']')?.rsplit_once('[')?;
    Some(StepPath(list.to_owned()))
}
