//! The moments of an incident that people named.

use super::words;
use crate::event::{Actor, Event, Mark, Record};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// One mark as it was said.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) mark: Mark,
    pub(crate) at: Timestamp,
    pub(crate) text: Option<String>,
    pub(crate) by: Actor,
    /// When it was written down.
    pub(crate) noted: Timestamp,
}

/// All marks, in the order they were said. Of a mark that was said twice the later word counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    all: Vec<Said>,
}

impl Marks {
    pub(crate) fn take(&mut self, record: &Record) {
        if let Event::Marked { mark, at, text } = &record.event {
            let by = record.actor.clone();
            self.all.push(Said { mark: *mark, at: *at, text: text.clone(), by, noted: record.time });
        }
    }

    /// Every word, also those that were said anew later.
    pub(crate) fn all(&self) -> &[Said] {
        &self.all
    }

    /// What counts, in the order of the marks.
    pub(crate) fn current(&self) -> Vec<&Said> {
        let latest: BTreeMap<Mark, &Said> = self.all.iter().map(|said| (said.mark, said)).collect();
        latest.into_values().collect()
    }

    /// The spans from each mark to the next one that was said, and from the first to the last when there are more than
    /// two: `(from, to, milliseconds)`, negative where a later mark was earlier.
    pub(crate) fn spans(&self) -> Vec<(Mark, Mark, i64)> {
        let current = self.current();
        let span = |from: &Said, to: &Said| (from.mark, to.mark, to.at.as_millisecond() - from.at.as_millisecond());
        let mut spans: Vec<_> = current.windows(2).map(|pair| span(pair[0], pair[1])).collect();
        if let [first, _, .., last] = current.as_slice() {
            spans.push(span(first, last));
        }
        spans
    }

    /// The spans in words: `detected to mitigated 14 min 20 s`.
    pub(crate) fn spans_in_words(&self) -> Vec<String> {
        let spans = self.spans().into_iter();
        spans.map(|(from, to, ms)| format!("{from} to {to} {}", signed(ms))).collect()
    }
}

/// A span that may go backwards, because people said so.
pub(crate) fn signed(ms: i64) -> String {
    let span = words::span(ms.unsigned_abs());
    if ms < 0 { format!("-{span}") } else { span }
}
