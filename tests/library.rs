//! The runbooks that come with the program: they check clean, and answers for unattended runs fit them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends by panicking")]

use runwright::runbook::{Action, Decide, Runbook, Step, StepBody, parse_runbook};
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

/// Every runbook of the library by its id.
fn library() -> BTreeMap<String, Runbook> {
    let mut paths = Vec::new();
    files(&root().join("runbooks"), &mut paths);
    let stem = |path: &PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    let mut library = BTreeMap::new();
    for path in &paths {
        let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        let source = Source::new(name, std::fs::read_to_string(path).unwrap());
        let mut problems = Diagnostics::new();
        let runbook = parse_runbook(&source, &mut problems);
        assert!(problems.is_empty(), "{}", render(&problems, DiagnosticFormat::Text, false));
        let runbook = runbook.expect("no problem, so there is a runbook");
        assert_eq!(runbook.id(), stem(path), "a runbook is called as its file");
        assert!(library.insert(stem(path), runbook).is_none(), "{} is there twice", stem(path));
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

/// Also those that are called, each with what its callers give it.
#[test]
fn every_runbook_checks_without_a_warning() {
    let library = library();
    for id in ["quarantine-overflow", "unban-agent", "disk-filling"] {
        assert!(library.contains_key(id), "{id} is missing");
    }
    let mut command = assert_cmd::Command::cargo_bin("runwright").unwrap();
    let output =
        command.current_dir(root()).args(["check", "--library", "runbooks", "--", "runbooks"]).output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).join("\n");
    assert!(output.status.success() && text.contains("nothing to mend"), "{text}");
}

#[test]
fn answers_for_unattended_runs_fit_the_questions() {
    let library = library();
    let steps = all_steps(&library["quarantine-overflow"].steps);
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
