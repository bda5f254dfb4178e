//! `--answers FILE`: answers given beforehand, by step.

use super::failure::CommandError;
use super::session::Session;
use crate::engine::Answers;
use crate::graph::StepGraph;
use crate::source::{Data, Diagnostic, Diagnostics, Node, Source, parse_yaml};
use serde_json::{Map, Value};
use std::path::Path;

/// Reads the file; every step it names must be in the runbook.
pub(super) fn read_answers(session: &Session, path: &Path, graph: &StepGraph) -> Result<Answers, CommandError> {
    let path = session.folder().join(path);
    let bytes =
        std::fs::read(&path).map_err(|source| CommandError::Read { path: session.shown(&path).into(), source })?;
    let source = Source::from_bytes(session.shown(&path), &bytes).map_err(CommandError::Invalid)?;
    let mut problems = Diagnostics::new();
    let tree = parse_yaml(&source, &mut problems);
    let answers = tree.map(|tree| of_tree(&source, &tree, graph, &mut problems)).unwrap_or_default();
    if problems.has_errors() { Err(CommandError::Invalid(problems)) } else { Ok(answers) }
}

fn of_tree(source: &Source, tree: &Node, graph: &StepGraph, problems: &mut Diagnostics) -> Answers {
    let mut answers = Answers::new();
    let Data::Map(entries) = &tree.data else {
        let problem = Diagnostic::error(source, "wrong-type", tree.span, "answers are a map: step: answer");
        problems.push(problem.hint("write: step: option, step: { question: value } or step: done"));
        return answers;
    };
    let outline = graph.outline();
    // A step inside a loop may be named by its id alone: the answer is that for every item.
    let is_own_id = |id: &str| graph.find(id).is_some();
    for entry in entries {
        let step = &entry.key;
        if graph.at_path(&step.value).is_none() && !is_own_id(&step.value) {
            let message = format!("`{}` has no step `{}`", graph.runbook().id(), step.value);
            let ids: Vec<&str> = outline.iter().map(|place| place.path.as_str()).collect();
            problems.push(Diagnostic::error(source, "unknown-step", step.span, message).near(&step.value, ids));
            continue;
        }
        answers.insert(step.value.clone(), json(&entry.value));
    }
    answers
}

/// Answers are texts that the question's own type reads, so only their nesting matters here.
fn json(node: &Node) -> Value {
    match &node.data {
        Data::Scalar(scalar) => Value::from(scalar.text.clone()),
        Data::List(items) => Value::Array(items.iter().map(json).collect()),
        Data::Map(entries) => Value::Object(
            entries.iter().map(|entry| (entry.key.value.clone(), json(&entry.value))).collect::<Map<_, _>>(),
        ),
    }
}
