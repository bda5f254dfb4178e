//! A run as its record tells it: the fold of its events.
//!
//! The fold knows the laws of a record (an attempt at a change needs a passed gate, an end needs a start, nothing comes
//! after the closing event), so it is also the judge of one: every prefix of a true record is a legal state, and a
//! record that breaks a law was not written by a run.

use super::tally::{GateTally, Given};
use crate::event::{Actor, AnswerKind, Door, Event, GateAnswer, Outcome, Record, RunResult, StepPath};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// A decision and its record are not of the very same moment.
const MOMENT: SignedDuration = SignedDuration::from_secs(1);

/// The state of a step, as far as the record goes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepHistory {
    /// Attempts that were started.
    pub attempts: u32,
    /// The attempt whose end was not seen, and whether it changes something.
    pub open: Option<(u32, bool)>,
    /// How the step ended.
    pub outcome: Option<Outcome>,
    /// Options that were chosen.
    pub chosen: Vec<String>,
    /// The gate that is open: number and digest.
    pub gate: Option<(u32, String)>,
    /// What that gate asks beside a yes, and the approvals it has; nothing where it asks nothing.
    pub tally: Option<GateTally>,
    /// The gate that was passed and not used up by the end of the step.
    pub passed: bool,
    /// Whether its gate was ever passed: that covers the undo of a temporary change.
    pub approved: bool,
}

/// The state of a run, as far as the record goes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Its steps, loops and parts of steps by path.
    pub steps: BTreeMap<StepPath, StepHistory>,
    /// Targets that were proven.
    pub proven: BTreeSet<String>,
    /// Whether the process let go of it.
    pub is_left: bool,
    /// Its result, after the closing event.
    pub result: Option<RunResult>,
    started: bool,
    seq: u64,
}

/// A law of the record that is broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {seq}: {law}")]
pub struct BrokenLaw {
    /// The record.
    pub seq: u64,
    /// What is wrong with it.
    pub law: String,
}

impl History {
    /// Folds a whole record.
    ///
    /// # Errors
    /// The first law that is broken.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Result<Self, BrokenLaw> {
        let mut history = Self::default();
        for record in records {
            history.apply(record)?;
        }
        Ok(history)
    }

    /// Attempts at changes whose end was not seen.
    pub fn unsettled(&self) -> impl Iterator<Item = (&StepPath, u32)> {
        self.steps.iter().filter_map(|(path, step)| match step.open {
            Some((number, true)) => Some((path, number)),
            _ => None,
        })
    }

    /// Takes in one record.
    ///
    /// # Errors
    /// The law that it breaks; the state is then as before.
    pub fn apply(&mut self, record: &Record) -> Result<(), BrokenLaw> {
        let broken = |law: &str| Err(BrokenLaw { seq: record.seq, law: law.to_owned() });
        if record.seq != self.seq + 1 {
            return broken("its number does not follow the one before");
        }
        if self.result.is_some() {
            return broken("something comes after the closing event");
        }
        if self.started == matches!(record.event, Event::RunStarted { .. }) {
            return broken("a record starts with the start of the run, once");
        }
        if let Err(law) = self.event(record) {
            return broken(law);
        }
        self.seq = record.seq;
        if !record.event.is_remark() {
            self.is_left = matches!(record.event, Event::RunParked { .. } | Event::RunSuspended { .. });
        }
        Ok(())
    }

    /// In another store, approvals that were not used no longer hold (ruling 17).
    fn void_approvals(&mut self) {
        for tally in self.steps.values_mut().filter_map(|step| step.tally.as_mut()) {
            tally.void();
        }
    }

    /// Whether the gate of a change, or of the list it is an item of, was ever passed.
    fn is_approved(&self, path: &str) -> bool {
        let path = StepPath(path.to_owned());
        std::iter::once(path.clone())
            .chain(holder(&path))
            .any(|path| self.steps.get(&path).is_some_and(|step| step.approved))
    }

    fn is_passed(&self, path: &StepPath) -> bool {
        self.steps.get(path).is_some_and(|step| step.passed)
    }

    fn event(&mut self, record: &Record) -> Result<(), &'static str> {
        match &record.event {
            Event::RunStarted { .. } => self.started = true,
            Event::RunEnded { result, .. } => {
                if self.steps.values().any(|step| step.open.is_some()) {
                    return Err("the run ends while an attempt is open");
                }
                if self.steps.values().any(|step| step.gate.is_some()) {
                    return Err("the run ends while a gate is open");
                }
                self.result = Some(*result);
            }
            Event::RunResumed(resumption) if resumption.moved_from.is_some() => self.void_approvals(),
            Event::TargetProven { target, .. } => {
                self.proven.insert(target.clone());
            }
            event => {
                let Some(path) = &record.step else { return Ok(()) };
                // A loop's gate covers its items, a step's gate its own attempts.
                let covered = holder(path).or_else(|| undo_of(path)).is_some_and(|holder| self.is_passed(&holder));
                let by_list = matches!(event, Event::GateAnswered { answer, .. } if answer.door == Door::List);
                if by_list && !loops(path).any(|path| self.is_passed(&path)) {
                    return Err("a change passes with a list whose gate was not passed");
                }
                let undo = undo_of(path).unwrap_or_else(|| path.clone());
                let takes_back = undo.0.strip_suffix("/undo").is_some_and(|path| self.is_approved(path));
                let step = self.steps.entry(path.clone()).or_default();
                step.event(record, covered, takes_back)?;
            }
        }
        Ok(())
    }
}

impl StepHistory {
    fn event(&mut self, record: &Record, covered: bool, takes_back: bool) -> Result<(), &'static str> {
        let attempt = record.attempt.unwrap_or(0);
        match &record.event {
            Event::AttemptStarted { change, .. } => {
                if self.open.is_some() {
                    return Err("an attempt starts while another one is open");
                }
                if *change && !covered && !self.passed && !takes_back {
                    return Err("a change is attempted whose gate was not passed");
                }
                self.attempts += 1;
                self.open = Some((attempt, *change));
            }
            Event::AttemptEnded { .. } => {
                if self.open.is_none_or(|(number, _)| number != attempt) {
                    return Err("an attempt ends that was not started");
                }
                self.open = None;
            }
            Event::GateOpened { number, digest, expires, card } => {
                if self.gate.is_some() {
                    return Err("a gate is opened while it is open");
                }
                self.passed = false;
                self.gate = Some((*number, digest.clone()));
                self.tally = (!card.terms.is_empty()).then(|| GateTally::new(&card.terms, *expires));
            }
            Event::GateApproved { number, digest, approval } => {
                let is_open = self.gate.as_ref() == Some(&(*number, digest.clone()));
                let tally = self.tally.as_mut().filter(|_| is_open).ok_or("a gate is approved that is not open")?;
                let Actor::Person(by) = &record.actor else { return Err("a gate is approved by nobody") };
                let given = Given { by: by.clone(), approval: (**approval).clone() };
                if tally.has(&given) {
                    return Err("somebody approves a gate twice");
                }
                if tally.wants_signatures() && given.approval.signature.is_none() {
                    return Err("an approval without a signature counts where signatures are wanted");
                }
                tally.add(given);
            }
            Event::GateAnswered { number, digest, answer } => {
                if self.gate.take() != Some((*number, digest.clone())) {
                    return Err("a gate is answered that is not open");
                }
                self.passed = answer.answer == AnswerKind::Approved;
                if let Some(tally) = self.tally.take().filter(|_| self.passed) {
                    judge_passing(&tally, answer, record.time)?;
                }
                self.approved |= self.passed;
            }
            Event::Decided { chosen, .. } => self.chosen.clone_from(chosen),
            Event::StepEnded { outcome, .. } => {
                if self.open.is_some() {
                    return Err("a step ends while its attempt is open");
                }
                self.outcome = Some(*outcome);
                self.passed = false;
            }
            Event::StepSkipped { .. } => self.outcome = Some(Outcome::Skipped),
            _ => {}
        }
        Ok(())
    }
}

/// A gate that asks more than a yes is passed by the list that it belongs to, or with all that it asks.
fn judge_passing(tally: &GateTally, answer: &GateAnswer, now: Timestamp) -> Result<(), &'static str> {
    let a_moment_ago = now.checked_sub(MOMENT).unwrap_or(now);
    let at_either = |rule: &dyn Fn(Timestamp) -> bool| rule(now) || rule(a_moment_ago);
    if !at_either(&|at| tally.is_open(at)) {
        return Err("a gate is passed outside its window");
    }
    match answer.door {
        Door::List => return Ok(()),
        Door::Terminal | Door::Inbox => {}
        Door::Flag | Door::Policy | Door::Clock => return Err("a gate that asks for more is passed without a person"),
    }
    if !at_either(&|at| !tally.is_over(at)) {
        return Err("a gate is passed after it expired");
    }
    if tally.wants_signatures() && !tally.is_enough() {
        return Err("a gate is passed with fewer approvals than it wants");
    }
    Ok(())
}

/// The list that an item belongs to: `reject[3]` gives `reject`, `store[3]/reject[0]` gives `store[3]/reject`.
fn holder(path: &StepPath) -> Option<StepPath> {
    let path = path.0.strip_suffix(']')?;
    path.rsplit_once('[').map(|(holder, _)| StepPath(holder.to_owned()))
}

/// The undo that an act of a list belongs to: `ban[3]/undo/lift` gives `ban[3]/undo`.
fn undo_of(path: &StepPath) -> Option<StepPath> {
    let (undo, _) = path.0.rsplit_once('/')?;
    undo.ends_with("/undo").then(|| StepPath(undo.to_owned()))
}

/// The loops that a step stands in: `outer[0]/inner[2]/mint` gives `outer[0]/inner` and `outer`.
fn loops(path: &StepPath) -> impl Iterator<Item = StepPath> + '_ {
    let items = path.0.rmatch_indices("]/").map(|(end, _)| StepPath(path.0[..=end].to_owned()));
    items.filter_map(|item| holder(&item))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_the_loops_around_a_step() {
        let path = |text: &str| StepPath(text.to_owned());
        assert_eq!(holder(&path("store[3]/reject[0]")), Some(path("store[3]/reject")));
        assert_eq!(holder(&path("store[3]/mint")), None);
        assert_eq!(undo_of(&path("ban[3]/undo/lift")), Some(path("ban[3]/undo")));
        assert_eq!((undo_of(&path("ban/undo")), undo_of(&path("undo/ban"))), (None, None));
        let all: Vec<_> = loops(&path("outer[0]/call/inner[2]/mint")).collect();
        assert_eq!(all, [path("outer[0]/call/inner"), path("outer")]);
    }
}
