//! What is looked for, compiled.

use super::forms::forms_of;
use crate::expr::SecretText;
use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::{Anchored, MatchKind, StartKind, dfa, nfa};
use std::collections::HashMap;
use std::sync::Arc;

/// Up to this many bytes of forms, the fast automaton is built; it takes up to 256 bytes for each of them.
const FAST_UP_TO: usize = 32 * 1024;

/// The forms of all secrets as one automaton.
#[derive(Default)]
pub(super) struct Table {
    machine: Machine,
    /// For each state, how many of the last bytes may be the beginning of a form.
    depths: HashMap<StateID, usize>,
    /// For each form, its secret's place in `names`.
    secrets: Vec<usize>,
    names: Vec<Arc<str>>,
}

#[derive(Default)]
enum Machine {
    #[default]
    Empty,
    Fast(dfa::DFA),
    Small(nfa::contiguous::NFA),
}

/// The forms do not fit into an automaton.
pub(super) struct TableTooLarge;

/// A stretch of a stream that belongs to a secret, by absolute position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) secret: usize,
}

impl Table {
    pub(super) fn new(secrets: &[SecretText]) -> Result<Self, TableTooLarge> {
        let mut patterns: Vec<Vec<u8>> = Vec::new();
        let mut owners = Vec::new();
        for (index, secret) in secrets.iter().enumerate() {
            for form in forms_of(secret.reveal()) {
                patterns.push(form);
                owners.push(index);
            }
        }
        let machine = Machine::new(&patterns)?;
        let depths = machine.depths(&patterns);
        let names = secrets.iter().map(|secret| Arc::clone(&secret.name)).collect();
        Ok(Self { machine, depths, secrets: owners, names })
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self.machine, Machine::Empty)
    }

    pub(super) fn name(&self, secret: usize) -> &str {
        self.names.get(secret).map_or("", |name| name)
    }

    /// Where every stream begins.
    pub(super) fn start(&self) -> StateID {
        self.machine.start()
    }

    /// How many of the last bytes may be the beginning of a form.
    pub(super) fn depth(&self, state: StateID) -> usize {
        self.depths.get(&state).copied().unwrap_or(0)
    }

    /// Walks on over bytes that begin at `position`, and adds what it finds. Overlapping finds are all found, so
    /// that no tail of a longer form is left over beside a shorter one.
    pub(super) fn walk(&self, state: StateID, bytes: &[u8], position: u64, found: &mut Vec<Found>) -> StateID {
        match &self.machine {
            Machine::Empty => state,
            Machine::Fast(machine) => self.walk_in(machine, state, bytes, position, found),
            Machine::Small(machine) => self.walk_in(machine, state, bytes, position, found),
        }
    }

    fn walk_in<A: Automaton>(
        &self,
        machine: &A,
        mut state: StateID,
        bytes: &[u8],
        position: u64,
        found: &mut Vec<Found>,
    ) -> StateID {
        for (end, &byte) in (position + 1..).zip(bytes) {
            state = machine.next_state(Anchored::No, state, byte);
            if machine.is_special(state) && machine.is_match(state) {
                self.note(machine, state, end, found);
            }
        }
        state
    }

    #[cold]
    fn note<A: Automaton>(&self, machine: &A, state: StateID, end: u64, found: &mut Vec<Found>) {
        let longest = (0..machine.match_len(state))
            .map(|index| machine.match_pattern(state, index))
            .max_by_key(|pattern| machine.pattern_len(*pattern));
        let Some(pattern) = longest else { return };
        let start = end.saturating_sub(machine.pattern_len(pattern) as u64);
        let secret = self.secrets.get(pattern.as_usize()).copied().unwrap_or(0);
        while found.last().is_some_and(|last| last.start >= start) {
            found.pop();
        }
        match found.last_mut() {
            Some(last) if last.end >= start && last.secret == secret => last.end = end,
            _ => found.push(Found { start, end, secret }),
        }
    }

    /// Whether there is anything to mask in a text.
    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        let mut found = Vec::new();
        // In small pieces: most texts have nothing, and those that do are walked again anyway.
        let mut state = self.start();
        text.chunks(4096).any(|piece| {
            state = self.walk(state, piece, u64::MAX / 2, &mut found);
            !found.is_empty()
        })
    }
}

impl Machine {
    fn new(patterns: &[Vec<u8>]) -> Result<Self, TableTooLarge> {
        if patterns.is_empty() {
            return Ok(Self::Empty);
        }
        let size: usize = patterns.iter().map(Vec::len).sum();
        if size <= FAST_UP_TO {
            let mut builder = dfa::DFA::builder();
            builder.match_kind(MatchKind::Standard).start_kind(StartKind::Unanchored);
            builder.build(patterns).map(Self::Fast).map_err(|_| TableTooLarge)
        } else {
            let mut builder = nfa::contiguous::NFA::builder();
            builder.match_kind(MatchKind::Standard);
            builder.build(patterns).map(Self::Small).map_err(|_| TableTooLarge)
        }
    }

    fn start(&self) -> StateID {
        let start = match self {
            Self::Empty => return StateID::default(),
            Self::Fast(machine) => machine.start_state(Anchored::No),
            Self::Small(machine) => machine.start_state(Anchored::No),
        };
        // Both were built for searches that are not anchored.
        start.unwrap_or_default()
    }

    /// The state after the first k bytes of a form stands for exactly those k bytes.
    fn depths(&self, patterns: &[Vec<u8>]) -> HashMap<StateID, usize> {
        let mut depths = HashMap::new();
        for pattern in patterns {
            let mut state = self.start();
            for (index, &byte) in pattern.iter().enumerate() {
                state = match self {
                    Self::Empty => break,
                    Self::Fast(machine) => machine.next_state(Anchored::No, state, byte),
                    Self::Small(machine) => machine.next_state(Anchored::No, state, byte),
                };
                depths.insert(state, index + 1);
            }
        }
        depths
    }
}
