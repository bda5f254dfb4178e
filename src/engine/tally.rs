//! How far a gate is: which approvals count, who may still give one, and what it waits for.

use super::statement::Signer;
use crate::event::{Event, GateApproval, GateTerms, Operator, Record};
use crate::library::Approvers;
use crate::runbook::Window;
use jiff::Timestamp;

/// The names of everybody who ran a run, as its record tells: who started it, and who took it up.
#[must_use]
pub fn operators(records: &[Record]) -> Vec<String> {
    let names = records.iter().filter_map(|record| match &record.event {
        Event::RunStarted { operator, .. } => Some(&operator.name),
        Event::RunResumed(resumption) => Some(&resumption.operator.name),
        _ => None,
    });
    let mut all: Vec<String> = Vec::new();
    for name in names {
        if !all.contains(name) {
            all.push(name.clone());
        }
    }
    all
}

/// The approvals that one opening of a gate has, and its terms. It keeps no clock: every question says at what moment.
#[derive(Clone, Debug, PartialEq)]
pub struct GateTally {
    terms: GateTerms,
    windows: Vec<Window>,
    over_at: Option<Timestamp>,
    given: Vec<Given>,
}

/// An approval that counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// Who.
    pub by: Operator,
    /// When, why, through which door, with which signature.
    pub approval: GateApproval,
}

impl Given {
    fn key(&self) -> Option<&str> {
        self.approval.signature.as_ref().map(|signature| signature.key.as_str())
    }
}

impl GateTally {
    /// A gate that was just opened; `expires` is when an answer goes stale, as the record says it.
    #[must_use]
    pub fn new(terms: &GateTerms, expires: Timestamp) -> Self {
        // What a runbook says was checked; a record written by hand may hold anything, and then no window is ever open.
        let windows = terms.windows.iter().filter_map(|text| Window::parse(text).ok()).collect();
        let over_at = terms.expires_ms.map(|_| expires);
        Self { terms: terms.clone(), windows, over_at, given: Vec::new() }
    }

    /// Takes in an approval that counts.
    pub fn add(&mut self, given: Given) {
        self.given.push(given);
    }

    /// Approvals so far.
    #[must_use]
    pub fn given(&self) -> &[Given] {
        &self.given
    }

    /// Forgets the approvals so far: they no longer hold.
    pub fn void(&mut self) -> usize {
        std::mem::take(&mut self.given).len()
    }

    /// Whether signatures are counted.
    #[must_use]
    pub fn wants_signatures(&self) -> bool {
        self.terms.approvals.is_some()
    }

    /// Why an approval does not count, in words that follow "was not used:". Nothing when it counts.
    ///
    /// People are told apart by their names and by their keys: one person counts once, and one key too. Those who run
    /// the run are compared by every name they run under.
    #[must_use]
    pub fn refuses(
        &self,
        by: &str,
        signer: Option<&Signer>,
        approvers: &Approvers,
        operators: &[String],
    ) -> Option<String> {
        if self.has_person(by, signer.map(|signer| signer.key.as_str())) {
            return Some(format!("{by} has approved this already, and counts once"));
        }
        let terms = self.terms.approvals.as_ref()?;
        let Some(signer) = signer else {
            return Some("this gate counts signatures only, and it has none".to_owned());
        };
        if !approvers.members(&terms.from).iter().any(|person| person.name == signer.name) {
            return Some(format!("{by} is not in {}", terms.from.join(" or ")));
        }
        let runs = |name: &String| *name == signer.name || signer.users.contains(name);
        if terms.not_operator && operators.iter().any(runs) {
            return Some(format!("{by} runs this run, and the operator does not count here"));
        }
        None
    }

    /// Whether it has an approval of the same person: of that name, or by that key.
    #[must_use]
    pub fn has(&self, given: &Given) -> bool {
        self.has_person(&given.by.name, given.key())
    }

    fn has_person(&self, name: &str, key: Option<&str>) -> bool {
        self.given.iter().any(|given| given.by.name == name || key.is_some() && given.key() == key)
    }

    /// When its time is over, if it has an end.
    #[must_use]
    pub fn over_at(&self) -> Option<Timestamp> {
        self.over_at
    }

    /// Whether its time is over.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.over_at.is_some_and(|over| over <= now)
    }

    /// Whether enough approvals are there.
    #[must_use]
    pub fn is_enough(&self) -> bool {
        self.given.len() >= self.wanted()
    }

    /// Whether it is passed: enough approvals, in a window, in time.
    #[must_use]
    pub fn passes(&self, now: Timestamp) -> bool {
        self.is_enough() && self.is_open(now) && !self.is_over(now)
    }

    /// Whether it can be passed at that moment at all.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.terms.windows.is_empty() || self.windows.iter().any(|window| window.open_until(now).is_some())
    }

    /// When it can be passed next, by the clock of its window: `Sat 2026-11-28 02:00`, and which one of several.
    #[must_use]
    pub fn next_opening(&self, now: Timestamp) -> Option<String> {
        let next = self.windows.iter().filter_map(|window| Some((window.next_opening(now)?, window)));
        let (at, window) = next.min_by_key(|(at, _)| *at)?;
        let at = window.on_its_clock(at);
        Some(if self.windows.len() == 1 { at } else { format!("{at} ({window})") })
    }

    /// What it waits for, in words; nothing when one yes would pass it.
    #[must_use]
    pub fn waits_for(&self, now: Timestamp) -> Option<String> {
        let mut parts = Vec::new();
        let names: Vec<&str> = self.given.iter().map(|given| given.by.name.as_str()).collect();
        match &self.terms.approvals {
            Some(_) if self.is_enough() => parts.push(format!("approved by {}", names.join(", "))),
            Some(terms) if names.is_empty() => parts.push(terms.to_string()),
            Some(terms) => parts.push(format!("{terms}, {} given by {}", names.len(), names.join(", "))),
            None if !names.is_empty() => parts.push(format!("approved by {}", names.join(", "))),
            None => {}
        }
        if !self.is_open(now) {
            let next = self.next_opening(now);
            parts.push(next.map_or_else(
                || "its windows cannot be read: it is never open".to_owned(),
                |next| format!("the window {} opens {next}", self.terms.windows.join(" or ")),
            ));
        }
        if let Some(over) = self.over_at {
            parts.push(format!("expires {over:.0}"));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    fn wanted(&self) -> usize {
        self.terms.approvals.as_ref().map_or(1, |terms| usize::try_from(terms.wanted).unwrap_or(usize::MAX)).max(1)
    }
}
