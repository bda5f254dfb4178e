//! From bytes to lines that were found, whatever they come from.

use super::gather::{Gather, Gathered};
use super::journal::{Entry, LONGEST_ENTRY};
use super::split::{LONGEST, Splitter};
use super::window::Window;
use crate::action::outcome::Refusal;
use crate::event::ErrorClass;

/// What the bytes are.
pub(super) enum Form {
    /// Lines as they stand, and the stretch of time that is meant.
    Lines(Window),
    /// What `journalctl -o json` writes; it has chosen the entries.
    Journal,
    /// What `kubectl logs` writes; it has chosen the lines.
    Pods {
        /// Whether each line begins with `[pod/POD/CONTAINER] `: shown, and not looked at by the patterns.
        has_prefix: bool,
    },
}

/// Takes the bytes of a log.
pub(super) struct Intake {
    splitter: Splitter,
    sorter: Sorter,
}

/// Takes its lines.
struct Sorter {
    form: Form,
    gather: Gather,
    /// Lines that are no entries of a journal.
    strange: u64,
}

impl Intake {
    pub(super) fn new(form: Form, gather: Gather) -> Self {
        let longest = if matches!(form, Form::Journal) { LONGEST_ENTRY } else { LONGEST };
        Self { splitter: Splitter::new(longest), sorter: Sorter { form, gather, strange: 0 } }
    }

    /// Takes a piece.
    pub(super) fn take(&mut self, piece: &[u8]) {
        let sorter = &mut self.sorter;
        self.splitter.take(piece, &mut |line| sorter.line(line));
    }

    /// Takes the end. `what` names the log.
    ///
    /// # Errors
    /// What came cannot be used.
    pub(super) fn finish(mut self, what: &str) -> (Gathered, Result<(), Refusal>) {
        let sorter = &mut self.sorter;
        self.splitter.finish(&mut |line| sorter.line(line));
        let usable = match &self.sorter.form {
            Form::Lines(window) => window.check(what),
            Form::Journal if self.sorter.strange > 0 => {
                let message = format!("{} lines of {what} are no entries of a journal", self.sorter.strange);
                Err(Refusal::new(ErrorClass::BadAnswer, message))
            }
            Form::Journal | Form::Pods { .. } => Ok(()),
        };
        (self.sorter.gather.finish(), usable)
    }
}

impl Sorter {
    fn line(&mut self, line: &str) {
        match &mut self.form {
            Form::Lines(window) => {
                if window.lets(line) {
                    self.gather.line(line);
                }
            }
            Form::Pods { has_prefix } => {
                let end = line.find("] ").filter(|_| *has_prefix && line.starts_with("[pod/")).map_or(0, |end| end + 2);
                let (prefix, text) = line.split_at(end);
                self.gather.stamped(prefix, text);
            }
            Form::Journal => match Entry::read(line) {
                Some(entry) => {
                    let stamp = entry.stamp();
                    entry.lines().for_each(|line| self.gather.stamped(&stamp, &line));
                }
                None if line.trim().is_empty() => {}
                None => self.strange += 1,
            },
        }
    }
}
