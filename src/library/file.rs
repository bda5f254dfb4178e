//! `runwright.yaml`: what a library says about itself.

use super::approvers::{ApproverRecord, Approvers};
use super::environment::{Environment, EnvironmentRecord};
use crate::runbook::{Decode, Decoder, Grammar, Many, json_schema, record};
use crate::source::{Diagnostic, Diagnostics, Source, Sp, parse_yaml};
use indexmap::IndexMap;

/// The name of the file at a library's root.
pub const FILE_NAME: &str = "runwright.yaml";

record! {
    /// The file at the root of a library.
    pub(super) struct LibraryRecord = "library" {
        /// The name of the library, for people.
        must library = "library": Sp<String>,
        /// One line about it.
        may description = "description": Sp<String>,
        /// The environments by name.
        with environments = "environments": IndexMap<Sp<String>, EnvironmentRecord>,
        /// The environment of a run that names none.
        may default_environment = "default_environment": Sp<String>,
        /// The people whose signatures count at gates, by name.
        with approvers = "approvers": IndexMap<Sp<String>, ApproverRecord>,
        /// Groups of them, by name: one or a list of names.
        with groups = "groups": IndexMap<Sp<String>, Many<Sp<String>>>,
    }
    later: ["notify"]
}

/// What a library says about itself.
#[derive(Clone, Debug)]
pub struct LibraryFile {
    /// Its name.
    pub name: String,
    /// One line about it.
    pub description: Option<String>,
    /// Its environments by name, in the order of the file.
    pub environments: IndexMap<String, Environment>,
    /// The environment of a run that names none.
    pub default_environment: Option<String>,
    /// Who may approve.
    pub approvers: Approvers,
}

/// Reads `runwright.yaml`. Every problem of the text is reported; something comes back only when there is no error.
pub fn parse_library(source: &Source, problems: &mut Diagnostics) -> Option<LibraryFile> {
    let mut found = Diagnostics::new();
    let file = parse_yaml(source, &mut found).and_then(|node| {
        let mut decoder = Decoder::new(source);
        let file = LibraryRecord::decode(&node, &mut decoder).map(|record| of_record(&record, &mut decoder));
        found.extend(decoder.problems);
        file
    });
    let failed = found.has_errors();
    problems.extend(found);
    if failed { None } else { file }
}

/// The JSON Schema of `runwright.yaml`.
#[must_use]
pub fn library_schema() -> serde_json::Value {
    json_schema("Runwright library", &library_grammar())
}

/// What may stand in `runwright.yaml`: the declaration behind its reader, its schema and its reference.
#[must_use]
pub fn library_grammar() -> Grammar {
    LibraryRecord::grammar()
}

fn of_record(record: &LibraryRecord, decoder: &mut Decoder<'_>) -> LibraryFile {
    let environments: IndexMap<_, _> = record
        .environments
        .iter()
        .map(|(name, environment)| (name.value.clone(), Environment::of(name, environment, decoder)))
        .collect();
    if let Some(default) = &record.default_environment
        && !environments.contains_key(&default.value)
    {
        let problem = Diagnostic::error(
            decoder.source,
            "unknown-environment",
            default.span,
            format!("`{}` is not an environment of this library", default.value),
        );
        decoder.problems.push(problem.near(&default.value, environments.keys().map(String::as_str)));
    }
    LibraryFile {
        name: record.library.value.clone(),
        description: record.description.as_ref().map(|text| text.value.clone()),
        approvers: Approvers::of(&record.approvers, &record.groups, decoder),
        environments,
        default_environment: record.default_environment.as_ref().map(|name| name.value.clone()),
    }
}
