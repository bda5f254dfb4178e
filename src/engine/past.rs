//! What an earlier process did of this run: its record, folded for the walk that takes the run up again.
//!
//! A resume walks the same graph with the same dispatcher. What ended in the record is given back as it ended, in the
//! order of the record, and performed never again; what has no end is found here with everything that is known of it.

mod round;

pub(super) use round::{PastAttempt, PastGate, PastMoment, Round};

use super::store_value::Kept;
use super::survivor::{Started, Trace};
use super::tally::{GateTally, Given, operators};
use crate::event::{Actor, Event, Outcome, Record, Settlement, StepPath, StoredValue};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

/// The past of a run.
///
/// Paths are those of steps, items of loops and parts of steps (`drain`, `store[3]/mint`, `drain/verify`).
#[derive(Default)]
pub struct Past {
    /// What happened at each path, one round for each time the step was performed, in order.
    rounds: BTreeMap<String, VecDeque<Round>>,
    /// Events that the walk will tell again, and how often the record has them.
    told: HashMap<Told, u32>,
    /// The number of the last record.
    pub(super) last: u64,
    /// The time of the last record, and how long the run had gone on by then.
    pub(super) last_time: Option<(Timestamp, u64)>,
    /// Why the operator ended the run, when that had begun.
    pub(super) aborted: Option<String>,
    /// A target that was found to be another one.
    pub(super) refused: Option<String>,
    /// The identity that each target proved.
    pub(super) proven: HashMap<String, String>,
    /// Attempts that have no end: path, number, whether it changes something.
    pub(super) open: Vec<(StepPath, u32, bool)>,
    /// Where and as what process each of them was made, and what is known of what it left running.
    trails: HashMap<(StepPath, u32), Trail>,
    /// The host and its boot where the run is, as far as the record goes.
    place: (String, String),
    /// Gates that were opened and not answered: path, number, digest.
    pub(super) gates: BTreeMap<String, (u32, String)>,
    /// How far each of them is.
    pub(super) tallies: BTreeMap<String, GateTally>,
    /// The names of those who ran it.
    pub(super) operators: Vec<String>,
    /// What waits for people, and since when, in milliseconds since the run began.
    asking: BTreeMap<String, u64>,
    /// How long the run has waited for people, in milliseconds.
    waited: u64,
    /// When the last change ended, in milliseconds since the run began.
    pub(super) last_change_ms: Option<u64>,
}

/// Where an attempt was made that has no end.
#[derive(Default)]
struct Trail {
    place: (String, String),
    process: Option<Started>,
    began_ms: u64,
    left: Vec<String>,
}

/// An event as the walk tells it again: where, and of what kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Told {
    step: Option<StepPath>,
    kind: &'static str,
    /// What is said, for events of the whole run.
    text: String,
}

impl Told {
    /// Nothing for events that only happen, and are never told again.
    fn of(step: Option<&StepPath>, event: &Event) -> Option<Self> {
        let mut text = String::new();
        let kind = match event {
            Event::StepStarted { .. } => "started",
            Event::StepEnded { .. } | Event::StepSkipped { .. } => "ended",
            Event::Decided { .. } => "decided",
            Event::ItemsListed { .. } => "items",
            Event::Called { .. } => "called",
            Event::ChangeMade { .. } => "change",
            Event::Escalated { .. } => "escalated",
            Event::Deviated { text: words } => {
                text.clone_from(words);
                "deviated"
            }
            _ => return None,
        };
        Some(Self { step: step.cloned(), kind, text })
    }
}

/// Whether a value on record is a secret, or holds one.
fn holds_secret(value: &StoredValue) -> bool {
    fn inside(json: &serde_json::Value) -> bool {
        match json {
            serde_json::Value::Object(map) => map.contains_key("$secret") || map.values().any(inside),
            serde_json::Value::Array(items) => items.iter().any(inside),
            _ => false,
        }
    }
    match value {
        StoredValue::Secret(_) => true,
        StoredValue::Value(json) => inside(json),
        _ => false,
    }
}

impl Past {
    /// Folds a record. `kept` reads the evidence that holds a value which was too long for an event.
    #[must_use]
    pub fn of(records: &[Record], kept: Kept<'_>) -> Self {
        let mut past = Self::default();
        for record in records {
            past.take_in(record, kept);
        }
        past
    }

    fn take_in(&mut self, record: &Record, kept: Kept<'_>) {
        self.last = record.seq;
        self.last_time = Some((record.time, record.elapsed_ms));
        if let Some(told) = Told::of(record.step.as_ref(), &record.event)
            && !self.must_be_read_again(record)
        {
            *self.told.entry(told).or_default() += 1;
        }
        self.operators.extend(operators(std::slice::from_ref(record)));
        match &record.event {
            Event::RunStarted { host, boot, .. } => self.place = (host.clone(), boot.clone()),
            Event::RunResumed(resumption) => self.place = (resumption.host.clone(), resumption.boot.clone()),
            _ => {}
        }
        match &record.event {
            Event::Aborted { reason } => self.aborted = Some(reason.clone()),
            Event::TargetRefused { target, .. } => self.refused = Some(target.clone()),
            Event::TargetProven { target, identity: Some(identity), .. } => {
                self.proven.insert(target.clone(), identity.clone());
            }
            // What a copied run was allowed elsewhere it is not allowed here (ruling 17).
            Event::RunResumed(resumption) if resumption.moved_from.is_some() => {
                let rounds = self.rounds.values_mut().flatten();
                rounds.for_each(Round::void_approvals);
                self.tallies.values_mut().for_each(|tally| _ = tally.void());
            }
            // How long ago something was approved cannot be told any more.
            Event::ClockMoved { .. } => {
                self.rounds.values_mut().flatten().for_each(Round::void_approvals);
                self.tallies.values_mut().for_each(|tally| _ = tally.void());
            }
            _ => {}
        }
        let Some(step) = &record.step else { return };
        self.follow_open(step, record);
        self.follow_asking(step, record);
        self.step(step, record, kept);
    }

    /// Whether this is the end of a read that gave a secret: that is not kept, so the read is performed again (ruling 23).
    fn must_be_read_again(&self, record: &Record) -> bool {
        let Event::StepEnded { captures, .. } = &record.event else { return false };
        let changes = || {
            let round = record.step.as_ref().and_then(|step| self.rounds.get(&step.0)?.back());
            round.is_some_and(|round| round.changes() > 0)
        };
        captures.values().any(holds_secret) && !changes()
    }

    /// Keeps account of what is open.
    fn follow_open(&mut self, step: &StepPath, record: &Record) {
        let number = record.attempt.unwrap_or(0);
        match &record.event {
            Event::AttemptStarted { change, .. } => {
                self.open.push((step.clone(), number, *change));
                let trail = Trail { place: self.place.clone(), began_ms: record.elapsed_ms, ..Trail::default() };
                self.trails.insert((step.clone(), number), trail);
            }
            Event::ProcessStarted { pid, started } => {
                if let Some(trail) = self.trails.get_mut(&(step.clone(), number)) {
                    trail.process = Some(Started { pid: *pid, at: *started });
                }
            }
            Event::AttemptEnded { .. } => {
                self.trails.remove(&(step.clone(), number));
                let is_change = self.open.iter().any(|(path, open, change)| path == step && *open == number && *change);
                self.open.retain(|(path, open, _)| path != step || *open != number);
                if is_change {
                    self.last_change_ms = Some(record.elapsed_ms);
                }
            }
            Event::GateOpened { number, digest, expires, card } => {
                self.gates.insert(step.0.clone(), (*number, digest.clone()));
                self.tallies.insert(step.0.clone(), GateTally::new(&card.terms, *expires));
            }
            Event::GateApproved { approval, .. } => {
                if let (Some(tally), Actor::Person(by)) = (self.tallies.get_mut(&step.0), &record.actor) {
                    tally.add(Given { by: by.clone(), approval: (**approval).clone() });
                }
            }
            Event::GateAnswered { .. } => {
                self.gates.remove(&step.0);
                self.tallies.remove(&step.0);
            }
            _ => {}
        }
    }

    fn step(&mut self, step: &StepPath, record: &Record, kept: Kept<'_>) {
        if self.must_be_read_again(record) {
            return;
        }
        if !Round::is_about(&record.event) {
            if let Event::ChangeMade { undo, until, .. } = &record.event
                && let Some(round) = self.rounds.get_mut(&step.0).and_then(VecDeque::back_mut)
            {
                round.made(undo.as_deref(), *until);
            }
            return;
        }
        if let Event::GateAnswered { answer, .. } = &record.event
            && answer.door == crate::event::Door::List
        {
            self.use_up(&step.0);
        }
        if matches!(&record.event, Event::Settled { settlement: Settlement::Retry, .. })
            && let Some((list, _)) = step.0.strip_suffix(']').and_then(|path| path.rsplit_once('['))
            && let Some(round) = self.rounds.get_mut(list).and_then(VecDeque::back_mut)
        {
            // The gate of a list is that of its items.
            round.use_up_gate();
        }
        let rounds = self.rounds.entry(step.0.clone()).or_default();
        if rounds.back().is_none_or(|round| round.is_over_before(&record.event)) {
            rounds.push_back(Round::default());
        }
        if let Some(round) = rounds.back_mut() {
            round.take_in(record, kept);
        }
    }

    /// An approval that was given with a list has been used.
    fn use_up(&mut self, path: &str) {
        for round in self.rounds.values_mut().flatten() {
            round.approved.shift_remove(path);
        }
    }

    /// How long it had waited for people by a moment, both in milliseconds since it began: a gate or a question that is
    /// open waits on while nobody has the run.
    pub(super) fn waited_ms(&self, now_ms: u64) -> u64 {
        let open = self.asking.values().min().map_or(0, |since| now_ms.saturating_sub(*since));
        self.waited + open
    }

    /// Follows what waits for people; several at once wait together.
    fn follow_asking(&mut self, step: &StepPath, record: &Record) {
        let is_answered = matches!(
            record.event,
            Event::GateAnswered { .. } | Event::Answered { .. } | Event::StepEnded { .. } | Event::StepSkipped { .. }
        );
        if matches!(record.event, Event::GateOpened { .. } | Event::Asked { .. }) {
            self.asking.entry(step.0.clone()).or_insert(record.elapsed_ms);
        } else if is_answered && let Some(since) = self.asking.get(&step.0).copied() {
            let first = self.asking.values().min().copied().unwrap_or(since);
            self.asking.remove(&step.0);
            if self.asking.is_empty() {
                self.waited += record.elapsed_ms.saturating_sub(first);
            }
        }
    }

    /// How long the run had gone on by a moment, in milliseconds: the time when nobody had it counts.
    pub(super) fn elapsed_ms(&self, now: Timestamp) -> u64 {
        let Some((time, elapsed)) = self.last_time else { return 0 };
        elapsed.saturating_add(u64::try_from(now.duration_since(time).as_millis()).unwrap_or(0))
    }

    /// How the processes of attempts without an end are found that were made on this host and in this boot, with how long
    /// ago that was.
    pub(super) fn traces(
        &self,
        run: &str,
        here: &(String, String),
        since: impl Fn(u64) -> Duration,
    ) -> Vec<(StepPath, u32, bool, Duration, Trace)> {
        let trace = |(path, number, change): &(StepPath, u32, bool)| {
            let trail = self.trails.get(&(path.clone(), *number)).filter(|trail| trail.place == *here)?;
            let trace = Trace { marker: format!("{run}/{path}/{number}"), process: trail.process };
            Some((path.clone(), *number, *change, since(trail.began_ms), trace))
        };
        self.open.iter().filter_map(trace).collect()
    }

    /// Keeps which processes of an attempt had to be ended, or were left alone.
    pub(super) fn leave(&mut self, path: &StepPath, number: u32, left: Vec<String>) {
        if let Some(trail) = self.trails.get_mut(&(path.clone(), number)) {
            trail.left = left;
        }
    }

    /// What is to be said of the processes of an attempt.
    pub(super) fn left_of(&mut self, path: &StepPath, number: u32) -> Vec<String> {
        self.trails.remove(&(path.clone(), number)).map(|trail| trail.left).unwrap_or_default()
    }

    /// What happened the next time a step was performed; it is given once.
    pub(super) fn take(&mut self, path: &str) -> Option<Round> {
        let rounds = self.rounds.get_mut(path)?;
        let round = rounds.pop_front();
        if rounds.is_empty() {
            self.rounds.remove(path);
        }
        round
    }

    /// The same, left where it is.
    pub(super) fn peek(&self, path: &str) -> Option<&Round> {
        self.rounds.get(path)?.front()
    }

    /// The number of the first record of an item of a list, or of something inside one.
    pub(super) fn first_item(&self, path: &str) -> Option<u64> {
        self.items_of(path).map(|round| round.first).min()
    }

    /// Whether the record tells of an item of a loop, or of something inside it.
    pub(super) fn has_item(&self, path: &str) -> bool {
        let inside = format!("{path}/");
        let first = self.rounds.range(inside.clone()..).next();
        self.peek(path).is_some() || first.is_some_and(|(path, _)| path.starts_with(&inside))
    }

    /// Whether the outcome of a change is still to be settled: of the step, or of an item of its list.
    pub(super) fn has_unsettled(&self, path: &str) -> bool {
        let own = self.peek(path).into_iter();
        let own_items = self.rounds_below(path).filter(|(item, _)| item.ends_with(']')).map(|(_, round)| round);
        own.chain(own_items).any(|round| round.unsettled().is_some())
    }

    fn items_of(&self, path: &str) -> impl Iterator<Item = &Round> {
        self.rounds_below(path).map(|(_, round)| round)
    }

    fn rounds_below(&self, path: &str) -> impl Iterator<Item = (&String, &Round)> {
        let prefix = format!("{path}[");
        let range = self.rounds.range(prefix.clone()..).take_while(move |(path, _)| path.starts_with(&prefix));
        range.filter_map(|(path, rounds)| Some((path, rounds.front()?)))
    }

    /// Whether the record has this event already: it is told once.
    pub(super) fn has_told(&mut self, step: Option<&StepPath>, event: &Event) -> bool {
        if self.told.is_empty() {
            return false;
        }
        let Some(told) = Told::of(step, event) else { return false };
        let Some(left) = self.told.get_mut(&told) else { return false };
        *left -= 1;
        if *left == 0 {
            self.told.remove(&told);
        }
        true
    }

    /// What this run itself has taken back, by the paths of the undos; what it did to that end is forgotten, so that it
    /// can be done again.
    pub fn drop_undos(&mut self) -> BTreeSet<String> {
        let undos: Vec<String> = self.rounds.keys().filter(|path| self.is_undo(path)).cloned().collect();
        let mut done = BTreeSet::new();
        for path in undos {
            let rounds = self.rounds.remove(&path).unwrap_or_default();
            let mut ended = rounds.iter().filter_map(|round| round.end.as_ref());
            if ended.any(|end| end.outcome == Outcome::Succeeded) {
                done.insert(path);
            }
        }
        done
    }

    /// What a run whose only business it is has taken back, by the paths of the undos.
    #[must_use]
    pub fn done_undos(&self) -> BTreeSet<String> {
        let done = |rounds: &VecDeque<Round>| {
            let mut ended = rounds.iter().filter_map(|round| round.end.as_ref());
            ended.any(|end| end.outcome == Outcome::Succeeded)
        };
        self.rounds.iter().filter(|(_, rounds)| done(rounds)).map(|(path, _)| path.clone()).collect()
    }

    /// Whether a path is that of an undo: below a step that holds no others. A called runbook may have a step of that
    /// name.
    fn is_undo(&self, path: &str) -> bool {
        let holder = path.strip_suffix("/undo").or_else(|| path.split_once("/undo/").map(|(holder, _)| holder));
        holder.is_some_and(|holder| self.peek(holder).is_some_and(|round| !round.is_called && round.items.is_none()))
    }

    /// Forgets how reads ended: they are performed again (`resume --refresh`). `is_read` tells it of a path.
    pub fn refresh(&mut self, is_read: impl Fn(&str) -> bool) {
        let read: Vec<String> = self.rounds.keys().filter(|path| is_read(path)).cloned().collect();
        for path in read {
            self.rounds.remove(&path);
            self.told.retain(|told, _| told.step.as_ref().is_none_or(|step| step.0 != path));
        }
    }
}
