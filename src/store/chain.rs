//! Following a chain of hashes, line by line.

use super::read::NO_LINE_BEFORE;
use std::collections::HashMap;

/// What a line says of its own place, beside its hash as it stands on the disk.
#[derive(Clone, Debug)]
pub(super) struct Link {
    /// SHA-256 of the line's bytes.
    pub(super) hash: String,
    /// Its number and the hash it holds of the line before; or why it cannot be read.
    pub(super) says: Result<Says, String>,
}

/// Number and hash as the line has them.
#[derive(Clone, Debug)]
pub(super) struct Says {
    pub(super) seq: u64,
    pub(super) prev: String,
}

/// A place where the chain does not fit: the line, from 1, and a sentence.
pub(super) type Break = (u64, String);

/// Finds every place where a line does not fit the one before it.
pub(super) fn breaks(links: &[Link]) -> Vec<Break> {
    let mut lines_of: HashMap<&str, u64> = HashMap::with_capacity(links.len());
    for (line, link) in (1..).zip(links) {
        lines_of.entry(link.hash.as_str()).or_insert(line);
    }
    let mut found = Vec::new();
    let mut before: Option<&Link> = None;
    for (line, link) in (1..).zip(links) {
        match &link.says {
            Err(reason) => found.push((line, format!("line {line} cannot be read: {reason}"))),
            Ok(says) => found.extend(Joint { line, says, before, lines_of: &lines_of }.problem()),
        }
        before = Some(link);
    }
    found
}

/// The place between a line and the one before it.
struct Joint<'l> {
    line: u64,
    says: &'l Says,
    before: Option<&'l Link>,
    lines_of: &'l HashMap<&'l str, u64>,
}

impl Joint<'_> {
    fn problem(&self) -> Option<Break> {
        let Some(before) = self.before else { return self.problem_at_start() };
        let (line, above) = (self.line, self.line - 1);
        let seq = self.says.seq;
        let seq_before = before.says.as_ref().ok().map(|says| says.seq);
        let follows = seq_before.is_none_or(|before| seq == before.saturating_add(1));
        if self.says.prev == before.hash {
            let number = seq_before.unwrap_or_default();
            let sentence = format!("line {line} has number {seq} after number {number}: it was written anew");
            return (!follows).then_some((line, sentence));
        }
        let sentence = match (self.lines_of.get(self.says.prev.as_str()), seq_before) {
            (Some(&other), _) if other < line => format!(
                "line {line} follows line {other} and not line {above}: what stands between was inserted or moved there"
            ),
            (Some(&other), _) => {
                format!("line {line} follows line {other}, which stands after it: the lines were put in another order")
            }
            (None, Some(number)) if seq > number.saturating_add(1) => {
                let missing = Numbers(number + 1, seq - 1);
                format!("{missing} before line {line}: dropped")
            }
            (None, Some(number)) if seq <= number => format!(
                "line {line} has number {seq} after number {number} and follows no line here: inserted or put in another order"
            ),
            (None, _) => {
                return Some((
                    above,
                    format!("line {above} does not match the hash in line {line}: one of the two was changed"),
                ));
            }
        };
        Some((line, sentence))
    }

    fn problem_at_start(&self) -> Option<Break> {
        let Says { seq, prev } = self.says;
        match (*seq, prev == NO_LINE_BEFORE) {
            (1, true) => None,
            (0 | 1, _) => Some((1, "line 1 does not begin a chain: it was changed or put in front".to_owned())),
            (seq, _) => Some((1, format!("{} before line 1: dropped", Numbers(1, seq - 1)))),
        }
    }
}

/// A range of numbers that are missing.
struct Numbers(u64, u64);

impl std::fmt::Display for Numbers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(first, last) = self;
        if first == last {
            write!(f, "number {first} is missing")
        } else {
            write!(f, "numbers {first} to {last} are missing")
        }
    }
}
