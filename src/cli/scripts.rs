//! The syntax of scripts, asked of the shell itself (`bash -n`, `sh -n`): it reads them and performs nothing.

use super::helper::perform_program;
use crate::action::{BaseEnvironment, find_program};
use crate::event::Outcome;
use crate::graph::StepGraph;
use crate::report::sanitize::visible;
use crate::runbook::{Action, Shell, ShellAction, Step, Undo};
use crate::source::{Diagnostic, Diagnostics, Source, Sp, Span};
use regex::Regex;
use std::sync::Arc;

/// Checks every script of a runbook; where the shell is not installed, nothing is said.
pub(super) fn check_scripts(graph: &StepGraph, environment: &BaseEnvironment, problems: &mut Diagnostics) {
    let mut scripts = Vec::new();
    for node in graph.nodes() {
        of_step(&node.step, &mut scripts);
    }
    for script in scripts {
        if let Some(problem) = syntax_error(script, environment, graph.runbook().source()) {
            problems.push(problem);
        }
    }
}

fn of_step<'s>(step: &'s Arc<Step>, scripts: &mut Vec<&'s ShellAction>) {
    let mut add = |action: Option<&'s Action>| {
        if let Some(Action::Shell(script)) = action {
            scripts.push(script);
        }
    };
    add(step.action());
    let Some(change) = &step.change else { return };
    add(change.preview.as_ref().map(|probe| &probe.action));
    add(change.verify.as_ref().map(|probe| &probe.action));
    for (probe, _) in change.undo.iter().flat_map(Undo::probes) {
        add(Some(&probe.action));
        add(probe.verify.as_ref().map(|verify| &verify.action));
    }
}

fn syntax_error(script: &ShellAction, environment: &BaseEnvironment, source: &Source) -> Option<Diagnostic> {
    let name = match script.shell {
        Shell::Bash => "bash",
        Shell::Sh => "sh",
    };
    let program = find_program(name, environment.path()).ok()?;
    let argv = [name.to_owned(), "-n".to_owned()];
    let performed = perform_program(environment, &argv, Some(program), Some(&script.script.value)).ok()?;
    if performed.outcome == Outcome::Succeeded {
        return None;
    }
    let said = performed.fields.get("stderr").and_then(|text| text.as_str().map(str::to_owned))?;
    let (line, message) = first_error(&said)?;
    let message = format!("`{name}` cannot read this script: {}", visible(message));
    Some(Diagnostic::error(source, "shell-syntax", place_of_line(source, &script.script, line), message))
}

/// Line and words of the first error: `bash: line 2: syntax error ..`, `sh: 2: Syntax error: ..`.
pub(super) fn first_error(said: &str) -> Option<(usize, &str)> {
    let form = Regex::new(r"(?m)^[^:\n]*: (?:line )?(\d+): (.+)$").ok()?;
    let found = form.captures(said)?;
    let line = found.get(1)?.as_str().parse().ok()?;
    Some((line, found.get(2)?.as_str().trim_end()))
}

/// Where a line of a script stands in the file: a block scalar has a line of its own before the text.
pub(super) fn place_of_line(source: &Source, script: &Sp<String>, line: usize) -> Span {
    let written = source.slice(script.span);
    let lines: Vec<&str> = written.split_inclusive('\n').collect();
    let before = lines.len().saturating_sub(script.value.lines().count()).min(1);
    // An unexpected end is told of the line after the last.
    let last = lines.len().saturating_sub(1);
    let index = (line.saturating_sub(1) + before).min(last);
    let Some(text) = lines.get(index).filter(|text| !text.trim().is_empty()) else { return script.span };
    let start = script.span.start + lines[..index].iter().map(|line| line.len()).sum::<usize>();
    let indent = text.len() - text.trim_start().len();
    Span::new(start + indent, start + text.trim_end().len())
}
