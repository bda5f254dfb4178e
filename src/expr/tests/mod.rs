//! Tests of the expression language, by what an author sees.

mod checking;
mod evaluating;
mod laws;
mod parsing;
mod querying;
mod rendering;
mod series;

use super::{Expr, Scope, SecretText, UnknownSort, Value, from_json, secret, unknown};
use crate::source::Span;
use std::ops::Range;

/// Places of a text that is a file of its own.
pub(super) fn here(range: Range<usize>) -> Span {
    Span::new(range.start, range.end)
}

pub(super) fn parse(text: &str) -> Expr {
    Expr::parse(text, &here).unwrap_or_else(|error| panic!("{text}: {}", error.message))
}

/// The names that tests use.
pub(super) struct World;

pub(super) const NOW: &str = "2026-03-01T12:00:00Z";

impl Scope for World {
    fn lookup(&self, name: &str) -> Option<Value> {
        Some(match name {
            "n" => Value::from(10),
            "t" => Value::from("9"),
            "yes" => Value::from(true),
            "no" => Value::from(false),
            "nothing" => Value::from(()),
            "empty" => Value::from(Vec::<Value>::new()),
            "gone" => unknown(UnknownSort::Unobtained, "the read failed"),
            "later" => unknown(UnknownSort::NotYet, "`queue` has not run"),
            "admin" => secret(SecretText::new("admin", "hunter2hunter2".to_owned())),
            "partly" => vec![Value::from(1), unknown(UnknownSort::Unobtained, "lost")].into(),
            "started" => super::from_record(&serde_json::json!({"$time": "2026-03-01T11:30:00Z"})),
            "ban" => super::from_record(&serde_json::json!({"$duration": "1h 30m"})),
            "dash" => Value::from("-rf"),
            "body" => from_json(&serde_json::json!({
                "items": [{"id": 1, "agent": "a"}, {"id": 2, "agent": "b"}, {"id": 3, "agent": "a"}],
                "state": "OPEN", "none": null, "ratio": 0.5,
            })),
            "page" => Value::from(
                "# HELP up Up.\nup{job=\"a\",zone=\"x\"} 1\nup{job=\"b\",zone=\"x\"} 0\npending 100\nbad NaN\nodd{path=\"a\\\"b,}\"} 2.5 1700\n",
            ),
            _ => return None,
        })
    }

    fn now(&self) -> jiff::Timestamp {
        NOW.parse().unwrap()
    }

    fn last(&self, runbook: &str, name: &str) -> Value {
        Value::from(format!("{runbook}/{name}"))
    }
}

/// What an expression gives, as text: JSON of the value, or `error: ..`.
pub(super) fn shown(text: &str) -> String {
    match parse(text).eval(&World) {
        Ok(value) => super::to_json(&value).to_string(),
        Err(error) => format!("error: {}", error.message),
    }
}

/// Checks pairs of an expression and what it gives; all differences are shown at once.
pub(super) fn check(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(text, wanted)| (text, wanted, shown(text)))
        .filter(|(_, wanted, found)| **wanted != found)
        .map(|(text, wanted, found)| format!("{text}\n  wanted {wanted}\n  found  {found}"))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
