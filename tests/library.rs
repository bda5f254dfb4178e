//! The runbooks that come with the program: they check clean, and what is said about them elsewhere is true.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends by panicking")]

use runwright::graph::{Callee, CheckContext, StepGraph, check};
use runwright::runbook::{Action, Decide, Step, StepBody, parse_runbook};
use runwright::source::{DiagnosticFormat, Diagnostics, Source, render};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yaml") && !path.ends_with("runwright.yaml") {
            found.push(path);
        }
    }
}

/// Every runbook of the library by its id, checked; the first problem of any of them ends the test.
fn library() -> BTreeMap<String, StepGraph> {
    let mut paths = Vec::new();
    files(&root().join("runbooks"), &mut paths);
    let stem = |path: &PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    let context = CheckContext { runbooks: Some(paths.iter().map(stem).collect()), ..CheckContext::default() };
    let mut waiting: Vec<_> = paths.iter().map(|path| (stem(path), path)).collect();
    let mut context = context;
    let mut library = BTreeMap::new();
    // A runbook is checked when those that it calls are.
    while !waiting.is_empty() {
        let mut told = String::new();
        let before = waiting.len();
        waiting.retain(|(id, path)| {
            let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
            let source = Source::new(name, std::fs::read_to_string(path).unwrap());
            let mut problems = Diagnostics::new();
            let graph = parse_runbook(&source, &mut problems).and_then(|runbook| {
                assert_eq!(runbook.id(), id, "a runbook is called as its file");
                check(Arc::new(runbook), &context, &mut problems)
            });
            if !problems.is_empty() {
                told += &render(&problems, DiagnosticFormat::Text, false);
                return true;
            }
            let graph = graph.expect("no problem, so there is a graph");
            context.callees.insert(id.clone(), Callee::Checked(Arc::new(graph.clone())));
            library.insert(id.clone(), graph);
            false
        });
        assert!(waiting.len() < before, "{told}");
    }
    library
}

fn all_steps(steps: &[Arc<Step>]) -> Vec<Arc<Step>> {
    steps
        .iter()
        .flat_map(|step| {
            let inner: Vec<Arc<Step>> = step.children().into_iter().cloned().collect();
            std::iter::once(Arc::clone(step)).chain(all_steps(&inner))
        })
        .collect()
}

#[test]
fn every_runbook_checks_without_a_warning() {
    let library = library();
    for id in ["quarantine-overflow", "unban-agent", "disk-filling"] {
        assert!(library.contains_key(id), "{id} is missing");
    }
}

#[test]
fn answers_for_unattended_runs_fit_the_questions() {
    let library = library();
    let steps = all_steps(&library["quarantine-overflow"].runbook().steps);
    let mut paths = Vec::new();
    files(&root().join("tests/inputs/answers"), &mut paths);
    assert!(!paths.is_empty());
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let answers: BTreeMap<String, serde_json::Value> = serde_yaml::from_str(&text).unwrap();
        for (id, answer) in answers {
            let step = steps.iter().find(|step| step.id.value == id);
            let step = step.unwrap_or_else(|| panic!("{}: there is no step {id}", path.display()));
            assert!(fits(step, &answer), "{}: {id} cannot be answered with {answer}", path.display());
        }
    }
}

fn fits(step: &Step, answer: &serde_json::Value) -> bool {
    match (&step.body, answer) {
        (StepBody::Decide(Decide { options, .. }), serde_json::Value::String(option)) => {
            options.keys().any(|name| name.value == *option)
        }
        (StepBody::Action(Action::Ask(ask)), serde_json::Value::Object(answers)) => {
            answers.keys().all(|name| ask.questions.keys().any(|question| question.value == *name))
        }
        _ => false,
    }
}

/// The rows of the transcription name steps and values that are there.
#[test]
fn the_table_of_the_transcription_names_what_exists() {
    let library = library();
    let runbook = &library["quarantine-overflow"].runbook();
    let (text, doc) = (runbook.source().text(), std::fs::read_to_string(root().join("docs/library.md")).unwrap());
    let rows: Vec<&str> = doc.lines().filter(|line| line.starts_with("| Q")).collect();
    let named = |row: &str| row.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(rows.len(), 24, "Q1 to Q22, Q29, Q30");
    for row in rows {
        assert!(!named(row).is_empty(), "{row}");
        for name in named(row) {
            let last = name.rsplit('.').next().unwrap_or_default();
            let exists = library.contains_key(&name)
                || text.contains(&format!("id: {name}\n"))
                || text.contains(&format!("{last}:"));
            assert!(exists, "{row}: there is no `{name}`");
        }
    }
}
