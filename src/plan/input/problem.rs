//! What is wrong with an input, told without its value when it is a secret.

use crate::source::{Diagnostic, Source, Span};

/// A problem of one input.
#[derive(Clone, Debug, PartialEq)]
pub struct InputProblem {
    /// Stable code: `unknown-input`, `input-missing`, `input-value`, `input-source`, `input-twice`, `input-label`.
    pub code: &'static str,
    /// The input's name.
    pub input: String,
    /// One sentence without a full stop: the input, the rule that was broken, and the source it came from.
    pub message: String,
    /// Where the input is declared; nothing when the runbook has no such input.
    pub span: Option<Span>,
    /// How to mend it.
    pub hint: Option<String>,
    /// The names that would be right, for an unknown one.
    pub known: Vec<String>,
}

impl InputProblem {
    /// The same as a problem of the runbook; one that is not about a declared input points at nothing in particular.
    #[must_use]
    pub fn diagnostic(&self, source: &Source) -> Diagnostic {
        let span = self.span.unwrap_or_default();
        let mut problem = Diagnostic::error(source, self.code, span, self.message.clone());
        problem.hint.clone_from(&self.hint);
        if self.span.is_some() {
            return problem.label("this input");
        }
        let mut problem = problem.near(&self.input, self.known.iter().map(String::as_str));
        // There is nothing in the file to replace: the name was typed on the command line.
        problem.suggestion = None;
        problem
    }
}
