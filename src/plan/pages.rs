//! Answers that come in pages: what one page holds, and how to ask for the next one.

use super::act::PagesAct;
use super::values::StepScope;
use crate::expr::{Expr, UnknownSort, Value, is_secret, unknown, unknown_of};
use indexmap::IndexMap;
use minijinja::value::ValueKind;

/// What one page says.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its items.
    pub items: Vec<Value>,
    /// What asks for the next page; nothing after the last one.
    pub next: Option<String>,
}

impl PagesAct {
    /// Reads page `number` (from 1) out of its result fields; `before` items came on earlier pages. Beside those fields
    /// `next` knows `items` (the list of this page), `count` (all items so far) and `pages` (the number).
    ///
    /// # Errors
    /// One line: an expression that is unknown or gives something else than a list, or a text or number.
    pub fn read(&self, fields: &IndexMap<String, Value>, number: usize, before: usize) -> Result<Page, String> {
        let mut scope = self.scope.clone();
        scope.extend(fields.clone());
        let early = unknown(UnknownSort::Unobtained, "the page is not read yet");
        scope.extend([("items", early.clone()), ("count", early), ("pages", number.into())].map(named));
        let list = evaluated(&self.items, &scope)?;
        let is_list = matches!(list.kind(), ValueKind::Seq | ValueKind::Iterable);
        let items: Vec<Value> = match list.try_iter() {
            Ok(items) if is_list => items.collect(),
            _ => return Err(format!("`{}` is not a list", self.items.text().trim())),
        };
        scope.extend([("items", list), ("count", Value::from(before + items.len()))].map(named));
        let next = self.next(&scope)?;
        Ok(Page { items, next })
    }

    fn next(&self, scope: &StepScope) -> Result<Option<String>, String> {
        let text = self.next.text().trim();
        let next = evaluated(&self.next, scope).map_err(|reason| {
            format!("{reason}; where a missing one means the last page, write `{text} | default('')`")
        })?;
        if next.is_none() {
            return Ok(None);
        }
        if is_secret(&next) {
            return Err(format!("`{text}` is a secret, and it would stand in a URL"));
        }
        match next.as_str() {
            Some("") => Ok(None),
            Some(next) => Ok(Some(next.to_owned())),
            None if next.is_integer() => Ok(Some(next.to_string())),
            None => Err(format!("`{text}` is neither a text nor a whole number")),
        }
    }

    /// As a person reads it: `body.items, next body.token as ?token=, at most 10000 items`.
    #[must_use]
    pub fn shown(&self) -> String {
        let place = self.param.as_ref().map_or_else(String::new, |param| format!(" as ?{param}="));
        let (items, next) = (self.items.text().trim(), self.next.text().trim());
        format!("{items}, next {next}{place}, at most {} items", self.limit)
    }
}

fn named((name, value): (&str, Value)) -> (String, Value) {
    (name.to_owned(), value)
}

/// A value that is known.
fn evaluated(expr: &Expr, scope: &StepScope) -> Result<Value, String> {
    let value = expr.eval(scope).map_err(|error| error.message)?;
    match unknown_of(&value) {
        Some(unknown) => Err(format!("`{}` is unknown: {}", expr.text().trim(), unknown.reason)),
        None => Ok(value),
    }
}
