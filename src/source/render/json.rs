//! One JSON document for other programs.

use super::MACHINE_LIMIT;
use crate::source::diagnostic::{Diagnostic, Diagnostics, Severity};
use serde_json::{Value, json};

pub(super) fn render(problems: &Diagnostics) -> String {
    let list: Vec<Value> = problems.sorted().into_iter().take(MACHINE_LIMIT).map(one).collect();
    let document = json!({
        "version": 1,
        "problems": list,
        "errors": problems.count(Severity::Error),
        "warnings": problems.count(Severity::Warning),
        "notes": problems.count(Severity::Note),
        "omitted": problems.len().saturating_sub(MACHINE_LIMIT),
    });
    format!("{document:#}\n")
}

fn one(problem: &Diagnostic) -> Value {
    let source = &problem.source;
    let span = problem.label.span;
    let (line, column) = source.position(span.start);
    let (end_line, end_column) = source.position(span.end);
    let others: Vec<Value> = problem
        .others
        .iter()
        .map(|other| {
            let (line, column) = source.position(other.span.start);
            json!({
                "line": line, "column": column, "offset": other.span.start,
                "length": other.span.end - other.span.start, "label": other.text,
            })
        })
        .collect();
    let suggestion = problem.suggestion.as_ref().map(|suggestion| {
        json!({
            "offset": suggestion.span.start,
            "length": suggestion.span.end - suggestion.span.start,
            "text": suggestion.text,
        })
    });
    json!({
        "code": problem.code,
        "severity": problem.severity.word(),
        "message": problem.message,
        "file": source.name(),
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
        "offset": span.start,
        "length": span.end - span.start,
        "label": problem.label.text,
        "others": others,
        "hint": problem.hint,
        "suggestion": suggestion,
    })
}
