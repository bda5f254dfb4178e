//! Answers that come in pages: what one page holds, and how to ask for the next one.

use crate::expr::{Expr, Scope, UnknownSort, Value, is_secret, unknown, unknown_of};
use indexmap::IndexMap;
use jiff::Timestamp;

/// The most items when the author does not say.
pub const MOST_ITEMS: usize = 10_000;

/// How the pages of an answer are followed.
#[derive(Clone, Debug)]
pub struct PagesAct {
    /// The list of one page, over its result.
    items: Expr,
    /// What asks for the next page, over the same; `none` or an empty text after the last one.
    next: Expr,
    /// The query key that `next` goes into. Without it, `next` is a URL or a path.
    pub param: Option<String>,
    /// The most items of all pages.
    pub limit: usize,
    outer: Outer,
}

/// What one page says.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its items.
    pub items: Vec<Value>,
    /// What asks for the next page; nothing after the last one.
    pub next: Option<String>,
}

/// The names that the two expressions take from the steps and inputs before, as they were when the act was resolved.
#[derive(Clone, Debug)]
struct Outer {
    values: IndexMap<String, Value>,
    now: Timestamp,
}

/// The names of one page before those of the run.
struct PageScope<'a> {
    page: &'a IndexMap<String, Value>,
    more: [(&'static str, Value); 3],
    outer: &'a Outer,
}

impl Scope for PageScope<'_> {
    fn lookup(&self, name: &str) -> Option<Value> {
        let more = || self.more.iter().find(|(own, _)| *own == name).map(|(_, value)| value);
        more().or_else(|| self.page.get(name)).or_else(|| self.outer.values.get(name)).cloned()
    }

    fn now(&self) -> Timestamp {
        self.outer.now
    }
}

impl PagesAct {
    /// Takes the expressions with the values of the run that they name.
    #[must_use]
    pub fn new(items: Expr, next: Expr, param: Option<String>, limit: Option<usize>, scope: &dyn Scope) -> Self {
        let mut values = IndexMap::new();
        for reference in items.references().into_iter().chain(next.references()) {
            let Some(root) = reference.path.into_iter().next() else { continue };
            if let Some(value) = scope.lookup(&root) {
                values.insert(root, value);
            }
        }
        let outer = Outer { values, now: scope.now() };
        Self { items, next, param, limit: limit.unwrap_or(MOST_ITEMS), outer }
    }

    /// Reads page `number` (from 1) out of its result; `before` items came on earlier pages. Beside the fields of the
    /// result `next` knows `items` (the list of this page), `count` (all items so far) and `page` (the number).
    ///
    /// # Errors
    /// One line: an expression that is unknown or gives something else than a list, or a text or number.
    pub fn read(&self, fields: &IndexMap<String, Value>, number: usize, before: usize) -> Result<Page, String> {
        let scope = |items: Value, count: usize| PageScope {
            page: fields,
            more: [("items", items), ("count", Value::from(before + count)), ("page", Value::from(number))],
            outer: &self.outer,
        };
        let list = evaluated(&self.items, &scope(unknown(UnknownSort::Unobtained, "the page is not read yet"), 0))?;
        let is_list = matches!(list.kind(), minijinja::value::ValueKind::Seq | minijinja::value::ValueKind::Iterable);
        let items: Vec<Value> = match list.try_iter() {
            Ok(items) if is_list => items.collect(),
            _ => return Err(format!("`{}` is not a list", self.items.text().trim())),
        };
        let next = self.next(&scope(list, items.len()))?;
        Ok(Page { items, next })
    }

    fn next(&self, scope: &PageScope<'_>) -> Result<Option<String>, String> {
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
        format!("{}, next {}{place}, at most {} items", self.items.text().trim(), self.next.text().trim(), self.limit)
    }
}

/// A value that is known.
fn evaluated(expr: &Expr, scope: &PageScope<'_>) -> Result<Value, String> {
    let value = expr.eval(scope).map_err(|error| error.message)?;
    match unknown_of(&value) {
        Some(unknown) => Err(format!("`{}` is unknown: {}", expr.text().trim(), unknown.reason)),
        None => Ok(value),
    }
}
