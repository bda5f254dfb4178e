//! SARIF 2.1.0, for code scanning.

use super::MACHINE_LIMIT;
use crate::source::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::source::file::{Source, Span};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;

pub(super) fn render(problems: &Diagnostics) -> String {
    let list: Vec<&Diagnostic> = problems.sorted().into_iter().take(MACHINE_LIMIT).collect();
    let codes: BTreeSet<&str> = list.iter().map(|problem| problem.code).collect();
    let rules: Vec<Value> = codes.iter().map(|code| json!({ "id": code })).collect();
    let results: Vec<Value> = list.iter().map(|problem| result(problem, &codes)).collect();
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "runwright", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{document:#}\n")
}

fn result(problem: &Diagnostic, codes: &BTreeSet<&str>) -> Value {
    let mut text = problem.message.clone();
    if let Some(hint) = &problem.hint {
        text.push_str("\nhint: ");
        text.push_str(hint);
    }
    let mut result = Map::new();
    result.insert("ruleId".into(), problem.code.into());
    result.insert("ruleIndex".into(), codes.iter().position(|code| *code == problem.code).into());
    result.insert("level".into(), level(problem.severity).into());
    result.insert("message".into(), json!({ "text": text }));
    result.insert("locations".into(), json!([location(&problem.source, problem.label.span)]));
    if !problem.others.is_empty() {
        let others = problem.others.iter().map(|other| {
            let mut location = location(&problem.source, other.span);
            location["message"] = json!({ "text": other.text });
            location
        });
        result.insert("relatedLocations".into(), others.collect());
    }
    if let Some(suggestion) = &problem.suggestion {
        let fix = json!([{
            "description": { "text": format!("write `{}`", suggestion.text) },
            "artifactChanges": [{
                "artifactLocation": { "uri": uri(problem.source.name()) },
                "replacements": [{
                    "deletedRegion": region(&problem.source, suggestion.span),
                    "insertedContent": { "text": suggestion.text },
                }],
            }],
        }]);
        result.insert("fixes".into(), fix);
    }
    Value::Object(result)
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

fn location(source: &Source, span: Span) -> Value {
    json!({ "physicalLocation": {
        "artifactLocation": { "uri": uri(source.name()) },
        "region": region(source, span),
    }})
}

/// SARIF counts lines and columns from 1 and byte offsets from 0; the end column is one past the last character.
fn region(source: &Source, span: Span) -> Value {
    let (line, column) = source.position(span.start);
    let (end_line, end_column) = source.position(span.end);
    json!({
        "startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column,
        "byteOffset": span.start, "byteLength": span.end - span.start,
    })
}

/// A path as a URI reference.
fn uri(name: &str) -> String {
    let mut uri = String::with_capacity(name.len());
    for byte in name.bytes() {
        // A String can always be written to.
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => uri.push(char::from(byte)),
            byte => write!(uri, "%{byte:02X}").unwrap_or_default(),
        }
    }
    uri
}
