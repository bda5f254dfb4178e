mod disk;
mod formats;
mod performing;
mod properties;
mod restoring;

use super::datum::Datum;
use super::edit::{Change, edit};
use super::problem::Problem;
use crate::plan::EditFormat;

/// `a.b` as a path.
fn path(text: &str) -> Vec<String> {
    text.split('.').map(str::to_owned).collect()
}

fn set(key: &str, value: impl Into<Datum>) -> Change {
    Change { path: path(key), value: Some(value.into()) }
}

fn unset(key: &str) -> Change {
    Change { path: path(key), value: None }
}

fn edited(format: EditFormat, before: &str, changes: &[Change]) -> Result<String, Problem> {
    edit("conf", before, format, changes)
}

#[track_caller]
fn becomes(format: EditFormat, before: &str, changes: &[Change], after: &str) {
    match edited(format, before, changes) {
        Ok(text) => assert_eq!(text, after, "\n--- got\n{text}\n--- wanted\n{after}"),
        Err(problem) => panic!("{}\n--- in\n{before}", problem.message),
    }
}

#[track_caller]
fn refuses(format: EditFormat, before: &str, changes: &[Change], words: &str) {
    match edited(format, before, changes) {
        Ok(text) => panic!("was accepted:\n{text}"),
        Err(problem) => assert!(problem.message.contains(words), "{}", problem.message),
    }
}

impl From<i128> for Datum {
    fn from(value: i128) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Datum {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<bool> for Datum {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<&str> for Datum {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}
