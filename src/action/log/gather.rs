//! The lines that were found: all counted, some in memory, all in the evidence.

use super::filter::Filter;
use crate::action::outcome::{bytes, unobtained};
use crate::action::process::Lines;
use crate::engine::{AttemptContext, Chunk, EvidenceWriter, StoreError};
use crate::event::EvidenceRef;
use crate::expr::Value;
use indexmap::IndexMap;
use std::sync::Arc;

/// What expressions may see of the lines, in bytes.
const SEEN: usize = 16 << 20;

/// The name of the evidence.
const STREAM: &str = "lines";

/// Takes the lines of a log one by one.
pub(super) struct Gather {
    filter: Filter,
    writer: Option<Box<dyn EvidenceWriter>>,
    trouble: Option<String>,
    live: Option<(crate::event::StepPath, tokio::sync::mpsc::Sender<Chunk>)>,
    /// The lines found, each with a newline; none once there are too many.
    seen: Option<String>,
    size: u64,
    scanned: u64,
    count: u64,
    first: Option<String>,
    last: String,
}

/// What was found.
pub(super) struct Gathered {
    /// `lines`, `count`, `first`, `last`, `scanned`.
    pub(super) fields: IndexMap<String, Value>,
    pub(super) evidence: Option<EvidenceRef>,
    /// Why the evidence could not be kept.
    pub(super) trouble: Option<String>,
}

impl Gather {
    /// # Errors
    /// The evidence cannot be made.
    pub(super) fn new(filter: Filter, context: &AttemptContext) -> Result<Self, StoreError> {
        Ok(Self {
            filter,
            writer: Some(context.evidence.begin(STREAM)?),
            trouble: None,
            live: context.live.clone().map(|live| (context.step.clone(), live)),
            seen: Some(String::new()),
            size: 0,
            scanned: 0,
            count: 0,
            first: None,
            last: String::new(),
        })
    }

    /// Takes a line that is shown as it is.
    pub(super) fn line(&mut self, text: &str) {
        self.stamped("", text);
    }

    /// Takes a line with something before it that is shown, and not looked at by the patterns.
    pub(super) fn stamped(&mut self, stamp: &str, text: &str) {
        self.scanned += 1;
        if self.filter.takes(text) {
            self.found(&format!("{stamp}{text}\n"));
        }
    }

    fn found(&mut self, line: &str) {
        self.count += 1;
        self.size += line.len() as u64;
        let text = line.strip_suffix('\n').unwrap_or(line);
        if self.first.is_none() {
            self.first = Some(text.to_owned());
        }
        text.clone_into(&mut self.last);
        match &mut self.seen {
            Some(seen) if self.size <= SEEN as u64 => seen.push_str(line),
            seen => *seen = None,
        }
        self.keep(line.as_bytes());
    }

    fn keep(&mut self, line: &[u8]) {
        let Some(writer) = &mut self.writer else { return };
        match writer.write(line) {
            Ok(masked) => self.show(masked),
            Err(error) => {
                self.trouble = Some(error.to_string());
                self.writer = None;
            }
        }
    }

    /// The screen is never waited for: what it cannot take now it does not get.
    fn show(&self, bytes: Vec<u8>) {
        if let Some((step, live)) = self.live.as_ref().filter(|_| !bytes.is_empty()) {
            drop(live.try_send(Chunk { step: step.clone(), stream: "stdout", bytes }));
        }
    }

    /// Ends it.
    pub(super) fn finish(mut self) -> Gathered {
        let mut evidence = None;
        if let Some(writer) = self.writer.take() {
            match writer.finish() {
                Ok((reference, masked)) => {
                    self.show(masked);
                    evidence = (self.count > 0).then_some(reference);
                }
                Err(error) => self.trouble = Some(error.to_string()),
            }
        }
        let none = || unobtained("no line was found");
        let lines = match self.seen {
            Some(seen) => Value::from_object(Lines::new(Arc::from(seen))),
            None => unobtained(format!("too large: {} lines, {}", self.count, bytes(self.size))),
        };
        let last = self.first.is_some().then_some(self.last);
        let fields = IndexMap::from_iter([
            ("lines".to_owned(), lines),
            ("count".to_owned(), Value::from(self.count)),
            ("first".to_owned(), self.first.map_or_else(none, Value::from)),
            ("last".to_owned(), last.map_or_else(none, Value::from)),
            ("scanned".to_owned(), Value::from(self.scanned)),
        ]);
        Gathered { fields, evidence, trouble: self.trouble }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::fixture::Trial;
    use crate::expr::{to_json, unknown_of};
    use serde_json::json;

    fn gathered(include: &str, lines: &[(&str, &str)]) -> (IndexMap<String, Value>, Vec<u8>) {
        let trial = Trial::new();
        let filter = Filter::new(&[include.to_owned()], &[]).unwrap();
        let mut gather = Gather::new(filter, &trial.context).unwrap();
        for (stamp, line) in lines {
            gather.stamped(stamp, line);
        }
        (gather.finish().fields, trial.memory.kept(STREAM).start)
    }

    #[test]
    fn what_matches_is_kept_and_everything_is_counted() {
        let (fields, kept) = gathered("^b", &[("1 ", "a"), ("2 ", "b"), ("3 ", "ba"), ("4 ", "c")]);
        assert_eq!(to_json(&fields["lines"]), json!(["2 b", "3 ba"]));
        assert_eq!(to_json(&fields["first"]), json!("2 b"));
        assert_eq!(to_json(&fields["last"]), json!("3 ba"));
        assert_eq!(to_json(&fields["count"]), json!(2));
        assert_eq!(to_json(&fields["scanned"]), json!(4));
        assert_eq!(kept, b"2 b\n3 ba\n");
    }

    #[test]
    fn no_match_is_a_finding_and_has_no_first_line() {
        let (fields, _) = gathered("z", &[("", "a")]);
        assert_eq!(to_json(&fields["lines"]), json!([]));
        assert_eq!(to_json(&fields["count"]), json!(0));
        assert_eq!(unknown_of(&fields["last"]).unwrap().reason, "no line was found");
        assert_eq!(unknown_of(&fields["first"]).unwrap().reason, "no line was found");
    }

    #[test]
    fn an_empty_line_that_is_found_is_the_last_one() {
        let (fields, _) = gathered("^$", &[("", "a"), ("", "")]);
        assert_eq!(to_json(&fields["last"]), json!(""));
        assert_eq!(to_json(&fields["lines"]), json!([""]));
    }

    #[test]
    fn too_many_lines_are_counted_and_not_held() {
        let long = "x".repeat(1 << 20);
        let lines: Vec<_> = (0..17).map(|_| ("", long.as_str())).collect();
        let (fields, _) = gathered("x", &lines);
        assert_eq!(unknown_of(&fields["lines"]).unwrap().reason, "too large: 17 lines, 17 MiB");
        assert_eq!(to_json(&fields["count"]), json!(17));
    }
}
