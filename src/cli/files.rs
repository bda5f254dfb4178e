//! Runbooks off the disk, under the names that messages show.

use super::failure::CommandError;
use super::session::Session;
use crate::graph::CheckContext;
use crate::library::{Library, RunbookPlace};
use crate::runbook::Runbook;
use crate::source::{Diagnostic, Diagnostics, Source};
use std::collections::BTreeMap;
use std::path::Path;

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
    let inputs = |library: &Library| {
        let environments = library.file().into_iter().flat_map(|file| file.environments.values());
        environments.flat_map(|environment| environment.inputs.keys().cloned()).collect()
    };
    CheckContext {
        runbooks: library.map(ids),
        environment_values: library.map(names),
        environment_inputs: library.map(inputs).unwrap_or_default(),
        callees: BTreeMap::new(),
        tainted: Vec::new(),
        callable: library.map(ids).unwrap_or_default(),
        approvers: Some(library.and_then(Library::file).map(|file| file.approvers.clone()).unwrap_or_default()),
        today: Some(jiff::Zoned::now().date()),
    }
}

/// The id is the file's stem: `run NAME` finds files by it.
pub(super) fn check_stem(runbook: &Runbook, path: &Path, problems: &mut Diagnostics) {
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
