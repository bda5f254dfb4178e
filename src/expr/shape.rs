//! What is known of values before a run (the checker itself is in `check`).

use crate::source::Span;
use indexmap::IndexMap;

/// What is known of a value before the run.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Anything.
    Any,
    /// A text.
    Text,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A span of time.
    Duration,
    /// A point in time.
    Time,
    /// A list of one shape.
    List(Box<Shape>),
    /// A map with exactly these keys.
    Record(IndexMap<String, Shape>),
    /// A map with any keys.
    Map,
    /// A secret: may only be passed on as it is.
    Secret,
}

/// The names an expression may use.
pub trait Names {
    /// The shape of a root name, or nothing when there is no such name.
    fn shape(&self, name: &str) -> Option<Shape>;

    /// All root names, for suggestions.
    fn all(&self) -> Vec<String>;
}

/// A problem found in an expression before a run.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Stable code: `unknown-name`, `unknown-field`, `unknown-function`, `unknown-filter`, `unknown-test`, `type-clash`,
    /// `secret-use`, or `bad-argument` for a wrong number of arguments and for a jq program, regular expression or
    /// duration that cannot be read.
    pub code: &'static str,
    /// One sentence without a full stop.
    pub message: String,
    /// The exact word.
    pub span: Span,
    /// How to mend it, a near name for instance.
    pub hint: Option<String>,
}

impl Shape {
    /// The word for it in messages.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Any => "value",
            Self::Text => "text",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Duration => "duration",
            Self::Time => "time",
            Self::List(_) => "list",
            Self::Record(_) | Self::Map => "map",
            Self::Secret => "secret",
        }
    }

    pub(super) fn list() -> Self {
        Self::List(Box::new(Self::Any))
    }

    pub(super) fn is_any(&self) -> bool {
        *self == Self::Any
    }

    /// What is known of a value that is one of two.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Secret, _) | (_, Self::Secret) => Self::Secret,
            (one, other) if one == other => one,
            (Self::List(_), Self::List(_)) => Self::list(),
            (Self::Record(_) | Self::Map, Self::Record(_) | Self::Map) => Self::Map,
            _ => Self::Any,
        }
    }
}
