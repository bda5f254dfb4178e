//! The arguments of one call, with the ways in which functions ask for them.

#![expect(clippy::disallowed_methods, reason = "a deadline of an evaluation, which is no part of its value")]

use super::Entry;
use crate::expr::eval::Scope;
use crate::expr::kind::{Kind, LONGEST_LIST, Number, described, part_of, quoted, short};
use crate::expr::operate::{spread, unobtained};
use crate::expr::time::{Duration, Time};
use crate::expr::value::{Value, unknown_of};
use std::time::Instant;

/// Why a function gives no value.
#[derive(Debug)]
pub(in crate::expr) enum Refusal {
    /// The arguments make no sense: the expression is wrong.
    Wrong(String),
    /// The arguments are of the right kind, but what is asked for is not there: the result is this unknown.
    Missing(Value),
}

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self::Wrong(message)
    }
}

impl Refusal {
    /// An unknown result with a reason.
    pub(in crate::expr) fn missing(reason: impl Into<String>) -> Self {
        Self::Missing(unobtained(reason))
    }
}

/// The arguments of one call; the subject of a filter or test is the first.
pub(in crate::expr) struct Arguments<'a> {
    scope: &'a dyn Scope,
    deadline: Instant,
    whole: &'a str,
    name: &'static str,
    positional: Vec<Value>,
    sources: Vec<&'a str>,
    named: Vec<(&'a str, Value)>,
}

impl<'a> Arguments<'a> {
    pub(in crate::expr) fn new(scope: &'a dyn Scope, deadline: Instant, whole: &'a str) -> Self {
        Self { scope, deadline, whole, name: "", positional: Vec::new(), sources: Vec::new(), named: Vec::new() }
    }

    /// The arguments of a call that is made by a function on each item of a list.
    pub(super) fn inner(&self, positional: Vec<Value>) -> Self {
        let sources = vec!["item"; positional.len().min(1)];
        Self {
            scope: self.scope,
            deadline: self.deadline,
            whole: self.whole,
            name: "",
            positional,
            sources,
            named: Vec::new(),
        }
    }

    pub(in crate::expr) fn push(&mut self, value: Value, source: &'a str) {
        self.positional.push(value);
        self.sources.push(source);
    }

    pub(in crate::expr) fn name(&mut self, name: &'a str, value: Value) {
        self.named.push((name, value));
    }

    /// Checks number and names of the arguments, and that no secret is among them.
    pub(super) fn fits(&mut self, entry: &Entry) -> Result<(), String> {
        self.name = entry.doc.name;
        let count = self.positional.len();
        if count < entry.arity.0 || count > entry.arity.1 {
            let signature = entry.doc.signature;
            return Err(format!("`{}` takes other arguments: write `{signature}`", self.name));
        }
        if !entry.named.contains(&"*")
            && let Some((name, _)) = self.named.iter().find(|(name, _)| !entry.named.contains(name))
        {
            return Err(format!("`{}` has no argument named `{name}`: write `{}`", self.name, entry.doc.signature));
        }
        let lets_secrets = entry.doc.is_test && self.name == "none";
        if !lets_secrets && self.all().any(|value| Kind::of(value) == Kind::Secret) {
            return Err("a secret may only be passed on as it is".to_owned());
        }
        Ok(())
    }

    fn all(&self) -> impl Iterator<Item = &Value> {
        self.positional.iter().chain(self.named.iter().map(|(_, value)| value))
    }

    /// The unknown that decides the call: an argument, or an item of a list unless the function bears `holes`.
    pub(super) fn unknown(&self, holes: bool) -> Option<Value> {
        let mut found: Option<Value> = None;
        let mut note = |value: &Value| found = spread(found.as_ref().unwrap_or(value), value);
        for value in self.all() {
            match Kind::of(value) {
                Kind::Unknown => note(value),
                Kind::List if !holes => {
                    let items = value.try_iter().into_iter().flatten();
                    items.filter(|item| unknown_of(item).is_some()).for_each(|item| note(&item));
                }
                _ => {}
            }
        }
        found
    }

    /// Refuses values with unknown or secret parts, for functions that look at every part.
    pub(super) fn whole_parts(&self) -> Result<(), Refusal> {
        for value in self.all() {
            if let Some(unknown) = part_of(value, Kind::Unknown) {
                return Err(Refusal::Missing(unknown));
            }
            if part_of(value, Kind::Secret).is_some() {
                return Err(self.refuse("a part of the value is a secret, which may only be passed on as it is"));
            }
        }
        Ok(())
    }

    /// Whether the expression has taken too long.
    pub(super) fn late(&self) -> bool {
        Instant::now() > self.deadline
    }

    pub(super) fn positional(&self) -> &[Value] {
        &self.positional
    }

    pub(super) fn count(&self) -> usize {
        self.positional.len()
    }

    pub(super) fn scope(&self) -> &'a dyn Scope {
        self.scope
    }

    /// The text of the whole call, for reasons.
    pub(super) fn whole(&self) -> String {
        short(self.whole, 60)
    }

    /// How an argument was written.
    pub(super) fn source(&self, at: usize) -> String {
        short(self.sources.get(at).copied().unwrap_or("value"), 60)
    }

    /// An argument that is there and not none.
    pub(super) fn present(&self, at: usize) -> Result<&Value, Refusal> {
        match self.positional.get(at) {
            Some(value) if value.is_none() => Err(Refusal::missing(format!("`{}` is none", self.source(at)))),
            Some(value) => Ok(value),
            None => Err(Refusal::Wrong(format!("`{}` needs one more argument", self.name))),
        }
    }

    /// The refusal of an argument of the wrong kind.
    pub(super) fn wrong(&self, at: usize, wanted: &str) -> Refusal {
        let value = self.positional.get(at).map_or_else(|| "nothing".to_owned(), described);
        Refusal::Wrong(format!("`{}` needs a {wanted}, not {value} (`{}`)", self.name, self.source(at)))
    }

    /// A refusal that begins with the name of the function.
    pub(super) fn refuse(&self, what: impl std::fmt::Display) -> Refusal {
        Refusal::Wrong(format!("`{}`: {what}", self.name))
    }

    pub(super) fn text(&self, at: usize) -> Result<&str, Refusal> {
        match self.present(at)? {
            value if Kind::of(value) == Kind::Text => Ok(value.as_str().unwrap_or_default()),
            _ => Err(self.wrong(at, "text")),
        }
    }

    pub(super) fn number(&self, at: usize) -> Result<Number, Refusal> {
        Number::of(self.present(at)?).ok_or_else(|| self.wrong(at, "number"))
    }

    /// A whole number from nought up, and not larger than the longest list.
    pub(super) fn size(&self, at: usize) -> Result<usize, Refusal> {
        let value = self.present(at)?;
        value
            .as_usize()
            .filter(|&size| value.is_integer() && size <= LONGEST_LIST)
            .ok_or_else(|| self.wrong(at, "whole number from 0 to 1000000"))
    }

    /// The items of a list.
    pub(super) fn list(&self, at: usize) -> Result<Vec<Value>, Refusal> {
        let value = self.present(at)?;
        match (Kind::of(value), value.try_iter()) {
            (Kind::List, Ok(items)) => Ok(items.collect()),
            _ => Err(self.wrong(at, "list")),
        }
    }

    /// A point in time, as such or as RFC 3339 text.
    pub(super) fn time(&self, at: usize) -> Result<Time, Refusal> {
        let value = self.present(at)?;
        if let Some(time) = Time::of(value) {
            return Ok(time);
        }
        let text = value.as_str().ok_or_else(|| self.wrong(at, "time or RFC 3339 text"))?;
        Time::parse(text).ok_or_else(|| {
            Refusal::missing(format!("`{}` is not an RFC 3339 time: {}", self.source(at), quoted("", text, 40)))
        })
    }

    /// A duration, as such or as text.
    pub(super) fn duration(&self, at: usize) -> Result<Duration, Refusal> {
        let value = self.present(at)?;
        if let Some(duration) = Duration::of(value) {
            return Ok(duration);
        }
        let text = value.as_str().ok_or_else(|| self.wrong(at, "duration or a text such as `1h30m`"))?;
        Duration::parse(text).ok_or_else(|| {
            Refusal::missing(format!("`{}` is not a duration: {}", self.source(at), quoted("", text, 40)))
        })
    }

    /// A named argument.
    pub(super) fn named(&self, name: &str) -> Option<&Value> {
        self.named.iter().find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    /// All named arguments, in the order written.
    pub(super) fn all_named(&self) -> impl Iterator<Item = (&'a str, &Value)> {
        self.named.iter().map(|(name, value)| (*name, value))
    }

    /// A named argument that is a text.
    pub(super) fn named_text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.named(name) {
            None => Ok(None),
            Some(value) => match value.as_str() {
                Some(text) => Ok(Some(text)),
                None => Err(self.refuse(format!("`{name}` must be a text, not {}", described(value)))),
            },
        }
    }

    /// A named argument that is a boolean; `false` when it is not given.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.named(name) {
            None => Ok(false),
            Some(value) if Kind::of(value) == Kind::Boolean => Ok(value.is_true()),
            Some(value) => Err(self.refuse(format!("`{name}` must be true or false, not {}", described(value)))),
        }
    }
}
