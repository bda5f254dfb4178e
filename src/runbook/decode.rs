//! From the tree of a document to typed records, with every problem reported in one pass.
//!
//! serde's derive stops at the first problem of a record and loses spans in several forms the language needs; so records
//! are read by [`Decode`], whose implementations the `record!` macro writes. A record's declaration is its reader, its
//! schema and its documentation at once.

use super::grammar::{Grammar, RecordDoc};
use crate::expr::{Expr, Template};
use crate::source::{Data, Diagnostic, Diagnostics, Entry, Node, Scalar, Source, Sp, Span};
use indexmap::IndexMap;

/// Reads values out of one document and keeps its problems.
pub struct Decoder<'a> {
    /// The document.
    pub source: &'a Source,
    /// What was found so far.
    pub problems: Diagnostics,
}

/// A value that can be read from a document.
pub trait Decode: Sized {
    /// What may stand there.
    fn grammar() -> Grammar;

    /// Reads one; on a problem it is reported and nothing is given back.
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self>;
}

/// Something that stands in a document.
pub trait Placed {
    /// Where it stands.
    fn span(&self) -> Span;
}

impl Decoder<'_> {
    /// Starts reading a document.
    #[must_use]
    pub fn new(source: &Source) -> Decoder<'_> {
        Decoder { source, problems: Diagnostics::new() }
    }

    /// Reports an error and returns it for more detail to be added.
    pub fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.problems.push(Diagnostic::error(self.source, code, span, message));
    }

    /// Reports an error with a hint.
    pub fn error_hint(&mut self, code: &'static str, span: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(Diagnostic::error(self.source, code, span, message).hint(hint));
    }

    /// Reports that something else stands where a certain form is wanted.
    pub fn mismatch<T>(&mut self, node: &Node, wanted: &str) -> Option<T> {
        let found = node.describe();
        let problem =
            Diagnostic::error(self.source, "wrong-type", node.span, format!("expected {wanted}, found {found}"));
        self.problems.push(problem);
        None
    }

    /// The scalar of a node.
    pub fn scalar<'n>(&mut self, node: &'n Node, wanted: &str) -> Option<&'n Scalar> {
        match &node.data {
            Data::Scalar(scalar) if !node.is_empty() => Some(scalar),
            _ => self.mismatch(node, wanted),
        }
    }

    /// The entries of a record: its map, with unknown and unsupported keys reported.
    pub fn entries<'n>(&mut self, node: &'n Node, doc: &RecordDoc) -> Option<&'n [Entry]> {
        let Data::Map(entries) = &node.data else {
            return self.mismatch(node, &format!("a map of {} keys", doc.name));
        };
        for entry in entries {
            let key = entry.key.value.as_str();
            if doc.keys.iter().any(|known| known.key == key) {
                continue;
            }
            self.problems.push(unknown_key(self.source, entry, doc));
        }
        Some(entries)
    }

    /// Reports a key that must be there and is not.
    pub fn missing(&mut self, node: &Node, record: &str, key: &str) {
        let at = match &node.data {
            Data::Map(entries) => entries.first().map_or(node.span, |entry| entry.key.span),
            _ => node.span,
        };
        self.problems.push(
            Diagnostic::error(self.source, "missing-key", at, format!("this {record} has no `{key}`"))
                .label(format!("`{key}` is missing here")),
        );
    }

    /// Parses an expression that stands in a scalar.
    pub fn expression(&mut self, scalar: &Scalar) -> Option<Expr> {
        let source = self.source;
        match Expr::parse(&scalar.text, &|range| scalar.place(source, range)) {
            Ok(expr) => Some(expr),
            Err(error) => {
                let mut problem = Diagnostic::error(source, "expression-syntax", error.span, error.message);
                problem.hint = error.hint;
                self.problems.push(problem);
                None
            }
        }
    }

    /// Parses a text with `{{ .. }}` that stands in a scalar.
    pub fn template(&mut self, scalar: &Scalar) -> Option<Template> {
        let source = self.source;
        match Template::parse(&scalar.text, &|range| scalar.place(source, range)) {
            Ok(template) => Some(template),
            Err(errors) => {
                for error in errors {
                    let mut problem = Diagnostic::error(source, "template-syntax", error.span, error.message);
                    problem.hint = error.hint;
                    self.problems.push(problem);
                }
                None
            }
        }
    }
}

fn unknown_key(source: &Source, entry: &Entry, doc: &RecordDoc) -> Diagnostic {
    let key = entry.key.value.as_str();
    if doc.later.contains(&key) {
        return Diagnostic::error(source, "not-supported-yet", entry.key.span, format!("`{key}` is not supported yet"))
            .hint("it is part of the language, but this version cannot keep its promise; leave it out for now");
    }
    let names = doc.keys.iter().map(|known| known.key);
    let problem =
        Diagnostic::error(source, "unknown-key", entry.key.span, format!("`{key}` is not a key of a {}", doc.name));
    let near = problem.near(key, names);
    if near.hint.is_some() {
        return near;
    }
    let known: Vec<_> = doc.keys.iter().map(|known| known.key).collect();
    if known.len() <= 12 { near.hint(format!("its keys are {}", known.join(", "))) } else { near }
}

impl Decode for Sp<String> {
    fn grammar() -> Grammar {
        Grammar::Text
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let scalar = decoder.scalar(node, "text")?;
        Some(Sp::new(scalar.text.clone(), node.span))
    }
}

impl Decode for Template {
    fn grammar() -> Grammar {
        Grammar::Template
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let scalar = decoder.scalar(node, "text")?;
        decoder.template(scalar)
    }
}

impl Decode for Expr {
    fn grammar() -> Grammar {
        Grammar::Expression
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let scalar = decoder.scalar(node, "an expression")?;
        let trimmed = scalar.text.trim();
        if trimmed.starts_with("{{") && trimmed.ends_with("}}") {
            let bare = trimmed.trim_start_matches('{').trim_end_matches('}').trim();
            decoder.error_hint(
                "template-in-expression",
                node.span,
                "an expression stands here bare, without `{{ }}`",
                format!("write: {bare}"),
            );
            return None;
        }
        decoder.expression(scalar)
    }
}

impl Decode for Sp<bool> {
    fn grammar() -> Grammar {
        Grammar::Boolean
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let scalar = decoder.scalar(node, "`true` or `false`")?;
        match scalar.boolean() {
            Ok(value) => Some(Sp::new(value, node.span)),
            Err(problem) => {
                decoder.error_hint(problem.code, node.span, problem.message, problem.hint);
                None
            }
        }
    }
}

impl Decode for Sp<i64> {
    fn grammar() -> Grammar {
        Grammar::Integer
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let scalar = decoder.scalar(node, "a whole number")?;
        match scalar.integer() {
            Ok(value) => Some(Sp::new(value, node.span)),
            Err(problem) => {
                decoder.error_hint(problem.code, node.span, problem.message, problem.hint);
                None
            }
        }
    }
}

impl Decode for Sp<f64> {
    fn grammar() -> Grammar {
        Grammar::Number
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let scalar = decoder.scalar(node, "a number")?;
        match scalar.number() {
            Ok(value) => Some(Sp::new(value, node.span)),
            Err(problem) => {
                decoder.error_hint(problem.code, node.span, problem.message, problem.hint);
                None
            }
        }
    }
}

impl Decode for Sp<jiff::civil::Date> {
    fn grammar() -> Grammar {
        Grammar::Date
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let scalar = decoder.scalar(node, "a date such as 2026-02-11")?;
        if let Ok(date) = scalar.text.parse() {
            Some(Sp::new(date, node.span))
        } else {
            decoder.error("wrong-type", node.span, format!("`{}` is not a date such as 2026-02-11", scalar.text));
            None
        }
    }
}

impl<T: Decode> Decode for Box<T> {
    fn grammar() -> Grammar {
        T::grammar()
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        T::decode(node, decoder).map(Box::new)
    }
}

impl<T: Decode> Decode for std::sync::Arc<T> {
    fn grammar() -> Grammar {
        T::grammar()
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        T::decode(node, decoder).map(std::sync::Arc::new)
    }
}

/// A list of values; nothing is lost when one of them has a problem.
impl<T: Decode> Decode for Vec<T> {
    fn grammar() -> Grammar {
        Grammar::List(Box::new(T::grammar()))
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        match &node.data {
            Data::List(items) => Some(items.iter().filter_map(|item| T::decode(item, decoder)).collect()),
            _ => decoder.mismatch(node, "a list"),
        }
    }
}

/// Names of the author's choice, in file order.
impl<T: Decode> Decode for IndexMap<Sp<String>, T> {
    fn grammar() -> Grammar {
        Grammar::Table(Box::new(T::grammar()))
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let Data::Map(entries) = &node.data else { return decoder.mismatch(node, "a map of names") };
        let read = entries.iter().filter_map(|entry| Some((entry.key.clone(), T::decode(&entry.value, decoder)?)));
        Some(read.collect())
    }
}

/// One value or a list of them.
#[derive(Clone, Debug)]
pub struct Many<T>(pub Vec<T>);

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Decode> Decode for Many<T> {
    fn grammar() -> Grammar {
        Grammar::Many(Box::new(T::grammar()))
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        match &node.data {
            Data::List(_) => Vec::decode(node, decoder).map(Self),
            _ => T::decode(node, decoder).map(|one| Self(vec![one])),
        }
    }
}

/// Declares a record of the language: a struct, its reader and its documentation.
///
/// `must` keys have to be there, `may` keys are options, `with` keys fall back to their type's default.
macro_rules! record {
    (
        $(#[doc = $doc:literal])+
        $vis:vis struct $name:ident = $title:literal {
            $( $(#[doc = $key_doc:literal])+ $mode:ident $field:ident = $key:literal: $ty:ty, )*
        }
        $(later: [$($later:literal),* $(,)?])?
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug)]
        $vis struct $name {
            /// Where it stands.
            $vis span: $crate::source::Span,
            $( $(#[doc = $key_doc])+ $vis $field: record!(@type $mode $ty), )*
        }

        impl $name {
            /// Its declaration.
            $vis fn doc() -> $crate::runbook::RecordDoc {
                $crate::runbook::RecordDoc {
                    name: $title,
                    doc: concat!($($doc, "\n"),+),
                    keys: vec![$(
                        $crate::runbook::KeyDoc {
                            key: $key,
                            doc: concat!($($key_doc, "\n"),+),
                            required: record!(@required $mode),
                            grammar: <$ty as $crate::runbook::Decode>::grammar(),
                        },
                    )*],
                    later: &[$($($later),*)?],
                }
            }
        }

        impl $crate::runbook::Placed for $name {
            fn span(&self) -> $crate::source::Span {
                self.span
            }
        }

        impl $crate::runbook::Decode for $name {
            fn grammar() -> $crate::runbook::Grammar {
                $crate::runbook::Grammar::Record(Self::doc)
            }

            fn decode(node: &$crate::source::Node, decoder: &mut $crate::runbook::Decoder<'_>) -> Option<Self> {
                thread_local! {
                    // Built once: a runbook may hold ten thousand records of one kind.
                    static DOC: $crate::runbook::RecordDoc = $name::doc();
                }
                let entries = DOC.with(|doc| decoder.entries(node, doc))?;
                let mut complete = true;
                $(
                    let entry = entries.iter().find(|entry| entry.key.value == $key);
                    let $field: Option<$ty> = match entry {
                        Some(entry) => {
                            let read = <$ty as $crate::runbook::Decode>::decode(&entry.value, decoder);
                            complete &= read.is_some();
                            read
                        }
                        None => {
                            if record!(@required $mode) {
                                decoder.missing(node, $title, $key);
                                complete = false;
                            }
                            None
                        }
                    };
                )*
                if !complete {
                    return None;
                }
                Some(Self { span: node.span, $( $field: record!(@value $mode $field), )* })
            }
        }
    };
    (@type must $ty:ty) => { $ty };
    (@type may $ty:ty) => { Option<$ty> };
    (@type with $ty:ty) => { $ty };
    (@required must) => { true };
    (@required $mode:ident) => { false };
    (@value must $field:ident) => { $field? };
    (@value may $field:ident) => { $field };
    (@value with $field:ident) => { $field.unwrap_or_default() };
}

/// Declares a closed set of words.
macro_rules! words {
    (
        $(#[doc = $doc:literal])+
        pub enum $name:ident = $title:literal { $( $(#[doc = $word_doc:literal])+ $variant:ident = $word:literal, )+ }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $( $(#[doc = $word_doc])+ $variant, )+ }

        impl $name {
            /// Every word, in order.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word as written.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word, )+ }
            }
        }

        impl $crate::runbook::Decode for $name {
            fn grammar() -> $crate::runbook::Grammar {
                $crate::runbook::Grammar::Words(Self::WORDS)
            }

            fn decode(node: &$crate::source::Node, decoder: &mut $crate::runbook::Decoder<'_>) -> Option<Self> {
                let scalar = decoder.scalar(node, $title)?;
                match scalar.text.as_str() {
                    $( $word => Some(Self::$variant), )+
                    other => {
                        let all = Self::WORDS.join(", ");
                        let problem = $crate::source::Diagnostic::error(
                            decoder.source, "unknown-word", node.span, format!("`{other}` is not {}", $title),
                        ).near(other, Self::WORDS.iter().copied());
                        let problem = if problem.hint.is_some() { problem } else { problem.hint(format!("one of {all}")) };
                        decoder.problems.push(problem);
                        None
                    }
                }
            }
        }
    };
}

// For the other file that people write: `runwright.yaml`, in `library`.
pub(crate) use {record, words};
