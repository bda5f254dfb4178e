//! Workflow commands: GitHub shows them beside the lines of a change.

use super::MACHINE_LIMIT;
use crate::source::diagnostic::{Diagnostic, Diagnostics, Severity};

pub(super) fn render(problems: &Diagnostics) -> String {
    problems.sorted().into_iter().take(MACHINE_LIMIT).map(one).collect()
}

fn one(problem: &Diagnostic) -> String {
    let command = match problem.severity {
        Severity::Note => "notice",
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let source = &problem.source;
    let (line, column) = source.position(problem.label.span.start);
    let (end_line, end_column) = source.position(problem.label.span.end);
    // GitHub takes columns only within one line, and its last column is the last character itself.
    let end = if end_line == line && end_column > column {
        format!(",endLine={line},endColumn={}", end_column - 1)
    } else {
        String::new()
    };
    let mut message = problem.message.clone();
    if let Some(hint) = &problem.hint {
        message.push_str("\nhint: ");
        message.push_str(hint);
    }
    format!(
        "::{command} file={},line={line},col={column}{end},title={}::{}\n",
        property(source.name()),
        property(problem.code),
        data(&message)
    )
}

/// The escapes of a message.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The escapes of a property, where `:` and `,` separate.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
