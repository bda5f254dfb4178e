//! A run read back from the store, with what its frozen runbook says of its steps.

use super::failure::CommandError;
use crate::engine::restore;
use crate::event::{Event, Record, RunId, StepPath};
use crate::expr::{Place, Template, UnknownSort, Value, unknown};
use crate::graph::{CheckContext, StepGraph, check};
use crate::plan::Values;
use crate::report::{StepInfo, StepTable};
use crate::runbook::{Action, StepBody, parse_runbook};
use crate::source::{Diagnostics, Source};
use crate::store::{Store, Transcript};
use indexmap::IndexMap;
use std::collections::HashMap;
use std::sync::Arc;

/// A run that was read.
pub(super) struct Read {
    pub(super) id: RunId,
    pub(super) transcript: Transcript,
    /// The steps of its frozen runbook; none when this version cannot read that.
    pub(super) graph: Option<StepGraph>,
    pub(super) steps: StepTable,
}

impl Read {
    /// Reads a run by its name, the start of it, or `last`.
    pub(super) fn run(store: &Store, name: &str) -> Result<Self, CommandError> {
        let id = store.find(name)?;
        let transcript = store.read(&id)?;
        let graph = frozen(&transcript.records);
        let steps = graph.as_ref().map(|graph| step_table(graph, &inputs(graph, &transcript.records)));
        let steps = steps.unwrap_or_default();
        Ok(Self { id, transcript, graph, steps })
    }
}

/// The graph of the runbook as it was frozen into the first event.
fn frozen(records: &[Record]) -> Option<StepGraph> {
    let Event::RunStarted { text, file, .. } = &records.first()?.event else { return None };
    let source = Source::new(file.as_str(), text.as_str());
    let runbook = parse_runbook(&source, &mut Diagnostics::new())?;
    check(Arc::new(runbook), &CheckContext::default(), &mut Diagnostics::new())
}

/// The inputs as they were recorded; everything else is not known here.
fn inputs(graph: &StepGraph, records: &[Record]) -> Values {
    let recorded = match records.first().map(|record| &record.event) {
        Some(Event::RunStarted { inputs, .. }) => inputs.as_slice(),
        _ => &[],
    };
    let mut roots: IndexMap<String, Value> =
        recorded.iter().map(|input| (input.name.clone(), restore(&input.value))).collect();
    for name in ["env", "run", "targets"] {
        roots.insert(name.to_owned(), unknown(UnknownSort::Unobtained, "not kept"));
    }
    Values::new(roots, graph.nodes().iter().map(|node| node.id.to_string()), UnknownSort::NotYet)
}

/// What reports want to know of each step. Titles have the values in that are given; the others stand as names.
pub(super) fn step_table(graph: &StepGraph, values: &Values) -> StepTable {
    let scope = values.scope(jiff::Timestamp::now());
    let title = |template: &Template| match template.render(&scope, Place::Plain) {
        Ok(text) => text.to_string(),
        Err(_) => template.source_text().to_owned(),
    };
    let info = |node: &crate::graph::GraphNode| StepInfo {
        kind: node.step.kind.as_str().to_owned(),
        id: node.id.to_string(),
        title: title(&node.step.title),
        depth: node.depth,
        risk: node.step.change.as_ref().map(|change| change.risk.as_str().to_owned()),
        answers: match &node.step.body {
            StepBody::Decide(decide) => decide.options.keys().map(|name| name.value.clone()).collect(),
            StepBody::Action(Action::Ask(ask)) => ask.questions.keys().map(|name| name.value.clone()).collect(),
            _ => Vec::new(),
        },
    };
    let steps: HashMap<StepPath, StepInfo> =
        graph.nodes().iter().map(|node| (StepPath(node.id.to_string()), info(node))).collect();
    steps.into()
}

/// Where each step stands: `runbooks/x.yaml:38:7`.
pub(super) fn step_places(graph: &StepGraph) -> HashMap<StepPath, String> {
    let source = graph.runbook().source();
    let place = |node: &crate::graph::GraphNode| {
        let (line, column) = source.position(node.step.span.start);
        (StepPath(node.id.to_string()), format!("{}:{line}:{column}", source.name()))
    };
    graph.nodes().iter().map(place).collect()
}
