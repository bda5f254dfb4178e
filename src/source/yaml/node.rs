//! The tree: nodes, entries and texts, each with its place.

use super::super::file::{Source, Sp, Span};
use super::place;
use std::ops::Range;

/// One node of a document.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it stands (for an alias: the anchor's place).
    pub span: Span,
    /// What it is.
    pub data: Data,
}

/// What a node is. An empty value is a plain scalar with an empty text.
#[derive(Clone, Debug)]
pub enum Data {
    /// A text, in one of five spellings.
    Scalar(Scalar),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping with distinct keys, in file order; merge keys are applied.
    Map(Vec<Entry>),
}

/// One key of a mapping.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: Sp<String>,
    /// Its value.
    pub value: Node,
}

/// How a scalar was spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// `'..'`
    Single,
    /// `".."`
    Double,
    /// `|`
    Literal,
    /// `>`
    Folded,
}

/// A text and the way back from its bytes to the file's bytes.
#[derive(Clone, Debug)]
pub struct Scalar {
    /// The text after YAML's own rules (folding, escapes).
    pub text: String,
    /// How it was spelled.
    pub style: Style,
    span: Span,
}

impl Node {
    pub(super) fn scalar(text: impl Into<String>, style: Style, span: Span) -> Self {
        Self { span, data: Data::Scalar(Scalar { text: text.into(), style, span }) }
    }

    /// What it is, in a word that fits after "found": `a list`, `a map`, `text`, `nothing`.
    #[must_use]
    pub fn describe(&self) -> &'static str {
        match &self.data {
            Data::List(_) => "a list",
            Data::Map(_) => "a map",
            Data::Scalar(scalar) if scalar.is_empty() => "nothing",
            Data::Scalar(_) => "text",
        }
    }

    /// The text, if it is one; an empty value counts as one.
    #[must_use]
    pub fn as_scalar(&self) -> Option<&Scalar> {
        if let Data::Scalar(scalar) = &self.data { Some(scalar) } else { None }
    }

    /// The items, if it is a list.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Node]> {
        if let Data::List(items) = &self.data { Some(items) } else { None }
    }

    /// The entries, if it is a map.
    #[must_use]
    pub fn as_map(&self) -> Option<&[Entry]> {
        if let Data::Map(entries) = &self.data { Some(entries) } else { None }
    }

    /// Whether nothing was written at all (`key:`); `""`, `[]` and `{}` are something.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_scalar().is_some_and(Scalar::is_empty)
    }
}

impl Scalar {
    /// The place of the whole scalar, with its quotes or block header.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span
    }

    /// Whether it was put in quotes; such a text is never a number or a boolean.
    #[must_use]
    pub fn is_quoted(&self) -> bool {
        matches!(self.style, Style::Single | Style::Double)
    }

    /// Whether nothing was written at all; `""` is something.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.style == Style::Plain && self.text.is_empty()
    }

    /// The place in the file of a range of bytes of [`Scalar::text`]; the whole scalar where an escape makes it unclear.
    ///
    /// Ends are rounded to whole characters. The range may be empty: its place is then empty too.
    #[must_use]
    pub fn place(&self, source: &Source, range: Range<usize>) -> Span {
        place::find(self, source, range).unwrap_or(self.span)
    }

    /// The place in the file of each byte of [`Scalar::text`], or nothing where an escape makes it unclear.
    #[must_use]
    pub fn places(&self, source: &Source) -> Option<Vec<usize>> {
        place::all(self, source)
    }
}
