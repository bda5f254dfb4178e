//! The programs a runbook requires: found, and their versions asked for.

use super::helper::run_program;
use crate::action::{BaseEnvironment, find_program};
use crate::event::ProgramView;
use crate::runbook::{Requirement, Runbook};
use crate::source::{Diagnostic, Diagnostics};
use regex::Regex;

/// Finds what a runbook requires. With `ask_versions`, programs that must have a version are run to tell it; else only
/// the file system is looked at.
pub(super) fn find_required(
    runbook: &Runbook,
    environment: &BaseEnvironment,
    ask_versions: bool,
    problems: &mut Diagnostics,
) -> Vec<ProgramView> {
    let mut found = Vec::new();
    for requirement in &runbook.requires.0 {
        let name = &requirement.program;
        let path = match find_program(&name.value, environment.path()) {
            Ok(path) => path,
            Err(error) => {
                let problem = Diagnostic::error(runbook.source(), "missing-program", name.span, error.to_string());
                problems.push(problem.hint("install it, or run this where it is"));
                continue;
            }
        };
        let view = ProgramView { name: name.value.clone(), path: path.display().to_string(), version: None };
        if !ask_versions || requirement.version.is_none() {
            found.push(view);
            continue;
        }
        match version(requirement, environment, &view.path) {
            Ok(version) => found.push(ProgramView { version: Some(version), ..view }),
            Err(message) => {
                problems.push(Diagnostic::error(runbook.source(), "program-version", name.span, message));
            }
        }
    }
    found
}

/// The line of what it prints that fits, or why none does.
fn version(requirement: &Requirement, environment: &BaseEnvironment, path: &str) -> Result<String, String> {
    let name = &requirement.program.value;
    let wanted = requirement.version.as_ref().map(|version| version.value.as_str()).unwrap_or_default();
    let pattern = Regex::new(wanted).map_err(|_| format!("the version of `{name}` is no regular expression"))?;
    let mut argv = vec![name.clone()];
    match requirement.version_from.as_slice() {
        [] => argv.push("--version".to_owned()),
        words => argv.extend(words.iter().map(|word| word.value.clone())),
    }
    let printed = run_program(environment, &argv, Some(path.into()));
    let (out, err) = printed.map_err(|why| format!("`{name}` does not tell its version: {why}"))?;
    let lines: Vec<&str> = out.lines().chain(err.lines()).collect();
    if let Some(line) = lines.iter().find(|line| pattern.is_match(line)) {
        return Ok((*line).to_owned());
    }
    let said = lines.first().copied().unwrap_or("nothing");
    Err(format!("`{name}` is not of the wanted version (`{wanted}`): it says {said}"))
}
