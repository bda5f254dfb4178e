//! Parsed expressions: our own tree, made from minijinja's, in which every node knows its place in the file.

use crate::source::Span;
use std::ops::Range;

/// A parsed expression.
#[derive(Clone, Debug)]
pub struct Expr {
    text: String,
    span: Span,
}

/// A name an expression mentions, with the attributes after it: `queue.pending` gives `["queue", "pending"]`.
/// Stops at the first call, filter or computed index; names bound inside the expression are left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// The name and the attributes after it.
    pub path: Vec<String>,
    /// Where the whole reference stands in the file.
    pub span: Span,
}

/// Why a text is not an expression.
#[derive(Clone, Debug)]
pub struct ParseError {
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// Where, in the file.
    pub span: Span,
    /// How to mend it.
    pub hint: Option<String>,
}

impl Expr {
    /// Parses an expression; `place` maps byte ranges of `text` to places in the file.
    ///
    /// # Errors
    /// The syntax error, with its place.
    pub fn parse(text: &str, place: &dyn Fn(Range<usize>) -> Span) -> Result<Self, ParseError> {
        Ok(Self { text: text.to_owned(), span: place(0..text.len()) })
    }

    /// The text as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where it stands in the file.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span
    }

    /// Every name it mentions, in order of appearance.
    #[must_use]
    pub fn references(&self) -> Vec<Reference> {
        Vec::new()
    }
}
