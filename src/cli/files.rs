//! Runbooks off the disk, under the names that messages show.

use super::failure::CommandError;
use super::session::Session;
use crate::graph::{CheckContext, StepGraph, check};
use crate::library::{Library, RunbookPlace};
use crate::runbook::{Runbook, parse_runbook};
use crate::source::{Diagnostic, Diagnostics, Source};
use std::path::Path;
use std::sync::Arc;

/// Reads the text of a runbook; text that cannot be read as text is a problem, a file that cannot be read a failure.
pub(super) fn read_source(
    session: &Session,
    place: &RunbookPlace,
    problems: &mut Diagnostics,
) -> Result<Option<Source>, CommandError> {
    let path = match place {
        RunbookPlace::BuiltIn(runbook) => return Ok(Some(runbook.source())),
        RunbookPlace::File(path) => path,
    };
    let bytes =
        std::fs::read(path).map_err(|source| CommandError::Read { path: session.shown(path).into(), source })?;
    Ok(match Source::from_bytes(session.shown(path), &bytes) {
        Ok(source) => Some(source),
        Err(unreadable) => {
            problems.extend(unreadable);
            None
        }
    })
}

/// Reads and checks one runbook; a graph comes back only when there is no error.
pub(super) fn read_checked(
    session: &Session,
    place: &RunbookPlace,
    context: &CheckContext,
    problems: &mut Diagnostics,
) -> Result<Option<StepGraph>, CommandError> {
    let Some(source) = read_source(session, place, problems)? else { return Ok(None) };
    let mut found = Diagnostics::new();
    let graph = parse_runbook(&source, &mut found).and_then(|runbook| {
        if let RunbookPlace::File(path) = place {
            check_stem(&runbook, path, &mut found);
        }
        check(Arc::new(runbook), context, &mut found)
    });
    let failed = found.has_errors();
    problems.extend(found);
    Ok(if failed { None } else { graph })
}

/// What checks know of the library.
pub(super) fn check_context(library: Option<&Library>) -> CheckContext {
    let ids = |library: &Library| library.runbooks().iter().map(|file| file.id.clone()).collect();
    let names = |library: &Library| {
        let environments = library.file().into_iter().flat_map(|file| file.environments.values());
        let mut names: Vec<String> = environments.flat_map(|environment| environment.values.keys().cloned()).collect();
        names.sort();
        names.dedup();
        names
    };
    CheckContext {
        runbooks: library.map(ids),
        environment_values: library.map(names),
        today: Some(jiff::Zoned::now().date()),
    }
}

/// The id is the file's stem: `run NAME` finds files by it.
fn check_stem(runbook: &Runbook, path: &Path, problems: &mut Diagnostics) {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    if stem == runbook.id() {
        return;
    }
    let id = &runbook.runbook;
    let message = format!("this file is `{stem}`, and the runbook in it says it is `{}`", id.value);
    problems.push(
        Diagnostic::error(runbook.source(), "runbook-id", id.span, message)
            .label("must be the file's name without .yaml")
            .hint(format!("write `runbook: {stem}`, or rename the file to {}.yaml", id.value)),
    );
}
