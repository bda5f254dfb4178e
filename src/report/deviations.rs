//! What went otherwise than the runbook says, each thing once.

use crate::event::StepPath;
use jiff::Timestamp;

/// Deviations in the order they happened.
///
/// A step that its operator leaves out is recorded at the step and, in words, for the run: that is one deviation.
#[derive(Default)]
pub(crate) struct Deviations {
    all: Vec<(Timestamp, String)>,
    /// Steps left out, with the reason.
    skipped: Vec<(StepPath, String)>,
}

impl Deviations {
    /// A step was left out against the runbook.
    pub(crate) fn skipped(&mut self, time: Timestamp, step: &StepPath, reason: &str) {
        self.skipped.push((step.clone(), reason.to_owned()));
        self.all.push((time, format!("`{step}` was left out: {reason}")));
    }

    /// Something was said to be a deviation; tells whether that is news.
    pub(crate) fn said(&mut self, time: Timestamp, text: &str) -> bool {
        let known = |(step, reason): &(StepPath, String)| {
            let id = step.0.rsplit('/').next().unwrap_or(&step.0);
            let named = text.contains(&format!("`{step}`")) || text.contains(&format!("`{id}`"));
            named && text.contains(reason.as_str())
        };
        let news = !self.skipped.iter().any(known);
        if news {
            self.all.push((time, text.to_owned()));
        }
        news
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[(Timestamp, String)] {
        &self.all
    }
}
