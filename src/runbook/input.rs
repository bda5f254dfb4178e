//! Inputs: typed values that a run is given.

use super::action::Data;
use super::decode::Many;
use crate::expr::Template;
use crate::source::Sp;

words! {
    /// The type of an input or an answer.
    pub enum InputType = "a type" {
        /// Text.
        String = "string",
        /// A whole number.
        Integer = "integer",
        /// A number.
        Number = "number",
        /// `true` or `false`.
        Boolean = "boolean",
        /// A span of time.
        Duration = "duration",
        /// An absolute http or https URL.
        Url = "url",
        /// A path in the file system.
        Path = "path",
        /// One of `choices`.
        Choice = "choice",
        /// A list of values of the type `of`.
        List = "list",
    }
}

record! {
    /// Where an input may come from, beside the command line, the environment profile and its default.
    pub struct InputFrom = "from" {
        /// A label of the alert that started the run.
        may label = "label": Sp<String>,
        /// An environment variable.
        may env = "env": Sp<String>,
        /// The first line of a file (for a list: one item a line).
        may file = "file": Sp<String>,
        /// What a program prints: its argv.
        may run = "run": Vec<Sp<String>>,
    }
}

record! {
    /// One input of a runbook.
    pub struct Input = "input" {
        /// Its type.
        must kind = "type": InputType,
        /// The type of a list's items (default: string).
        may of = "of": InputType,
        /// What it is when nothing else gives a value.
        may default = "default": Data,
        /// Whether it may be left out; it is then unknown.
        may optional = "optional": Sp<bool>,
        /// A regular expression that the whole text must match.
        may pattern = "pattern": Sp<String>,
        /// The smallest value (numbers), or length (texts, lists).
        may min = "min": Sp<f64>,
        /// The largest value (numbers), or length (texts, lists).
        may max = "max": Sp<f64>,
        /// The values of a choice.
        with choices = "choices": Many<Sp<String>>,
        /// Whether it is a secret: never shown, never recorded.
        may secret = "secret": Sp<bool>,
        /// What it is, for people.
        may description = "description": Template,
        /// Where a person finds it.
        may find = "find": Template,
        /// Other sources.
        may from = "from": InputFrom,
    }
}

impl Input {
    /// Whether it is a secret.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.secret.as_ref().is_some_and(|secret| secret.value)
    }

    /// Whether it may be left out.
    #[must_use]
    pub fn is_optional(&self) -> bool {
        self.optional.as_ref().is_some_and(|optional| optional.value)
    }
}

/// Names that no input and no step may have: roots of the expression language and fields of every step.
#[must_use]
pub fn is_reserved_name(name: &str) -> bool {
    const RESERVED: &[&str] = &[
        "env", "run", "now", "item", "items", "targets", "true", "false", "none", "and", "or", "not", "if", "else",
        "in", "is", "outcome", "verdict", "error", "attempts", "started", "ended", "chosen", "by", "results", "loop",
        "self", "inputs", "steps",
    ];
    RESERVED.contains(&name)
}
