//! A run read back from the store, with what its frozen runbook says of its steps.

use super::callees::Thaw;
use super::failure::{CommandError, with_causes};
use crate::engine::restore;
use crate::event::{Event, EvidenceRef, Record, RunId, StepPath};
use crate::expr::{Place, Template, UnknownSort, Value, unknown};
use crate::graph::{NodeId, Parent, Place as StepPlace, Section, StepGraph};
use crate::plan::Values;
use crate::report::{StepInfo, StepTable};
use crate::runbook::{Action, StepBody};
use crate::source::{Diagnostics, Source};
use crate::store::{Store, Transcript};
use indexmap::IndexMap;
use sha2::{Digest as _, Sha256};
use std::collections::{HashMap, HashSet};

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

/// Reads back values that were too long for an event, whole and as they were kept.
pub(super) fn kept_values<'s>(
    store: &'s Store,
    run: &'s RunId,
) -> impl Fn(&EvidenceRef) -> Result<Vec<u8>, String> + use<'s> {
    move |reference| {
        if reference.inline {
            return Ok(reference.excerpt.clone().into_bytes());
        }
        let bytes =
            store.evidence_bytes(run, &reference.sha256, reference.size + 1).map_err(|error| with_causes(&error))?;
        let found: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        if found == reference.sha256 { Ok(bytes) } else { Err("what was kept has been changed".to_owned()) }
    }
}

/// The graph of the runbook as it was frozen into the first event.
fn frozen(records: &[Record]) -> Option<StepGraph> {
    let Event::RunStarted { text, file, called, .. } = &records.first()?.event else { return None };
    // A resume may have put another version in its place.
    let newest = records.iter().rev().find_map(|record| match &record.event {
        Event::RunResumed(again) => again.runbook.as_ref().map(|runbook| (&runbook.file, &runbook.text)),
        _ => None,
    });
    let (file, text) = newest.unwrap_or((file, text));
    let source = Source::new(file.as_str(), text.as_str());
    let called =
        called.iter().map(|frozen| (frozen.runbook.clone(), Source::new(frozen.file.as_str(), frozen.text.as_str())));
    let called = called.collect();
    Thaw::new(&called, &IndexMap::new()).graph(&source, &mut Diagnostics::new())
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
    // The inputs of a called runbook are known when it is called.
    let title = |place: &StepPlace<'_>| {
        let template = &place.node().step.title;
        if std::ptr::eq(place.graph, graph) { title(template) } else { template.source_text().to_owned() }
    };
    let info = |place: &StepPlace<'_>, node: &crate::graph::GraphNode| StepInfo {
        kind: node.step.kind.as_str().to_owned(),
        id: place.path.clone(),
        title: title(place),
        depth: place.depth,
        risk: node.step.change.as_ref().map(|change| change.risk.as_str().to_owned()),
        answers: match &node.step.body {
            StepBody::Decide(decide) => decide.options.keys().map(|name| name.value.clone()).collect(),
            StepBody::Action(Action::Ask(ask)) => ask.questions.keys().map(|name| name.value.clone()).collect(),
            _ => Vec::new(),
        },
    };
    let steps = graph.outline().into_iter();
    let steps: HashMap<StepPath, StepInfo> =
        steps.map(|place| (StepPath(place.path.clone()), info(&place, place.node()))).collect();
    steps.into()
}

/// The steps of a runbook that a record says nothing of yet, in written order, as far as it is clear that they come.
pub(super) fn next_steps(graph: &StepGraph, records: &[Record]) -> Vec<String> {
    let mut over: HashSet<&str> = HashSet::new();
    let mut chosen: HashMap<&str, &[String]> = HashMap::new();
    for record in records {
        let Some(path) = &record.step else { continue };
        match &record.event {
            Event::StepEnded { .. } | Event::StepSkipped { .. } => _ = over.insert(&path.0),
            Event::Decided { chosen: taken, options, .. } if !options.is_empty() => {
                chosen.insert(&path.0, taken);
            }
            _ => {}
        }
    }
    let is_due = |id: NodeId| {
        let node = graph.node(id);
        let holders = std::iter::successors(node.parent, |parent| graph.node(parent.id()).parent);
        let mut holders = holders.map(|parent| match parent {
            Parent::Group(holder) => !over.contains(&*graph.node(holder).id),
            Parent::Failure(_) => false,
            Parent::Option(holder, place) => {
                let holder = graph.node(holder);
                let StepBody::Decide(decide) = &holder.step.body else { return false };
                let name = decide.options.keys().nth(place).map_or("otherwise", |name| name.value.as_str());
                chosen.get(&*holder.id).is_some_and(|taken| taken.iter().any(|taken| taken == name))
            }
        });
        let is_holder = matches!(node.step.body, StepBody::Group(_)) || chosen.contains_key(&*node.id);
        node.section == Section::Body && !is_holder && !over.contains(&*node.id) && holders.all(|is_due| is_due)
    };
    graph.ids().filter(|id| is_due(*id)).map(|id| graph.general_path(id)).collect()
}

/// Where each step stands: `runbooks/x.yaml:38:7`.
pub(super) fn step_places(graph: &StepGraph) -> HashMap<StepPath, String> {
    let place = |place: StepPlace<'_>| {
        let source = place.graph.runbook().source();
        let (line, column) = source.position(place.node().step.span.start);
        (StepPath(place.path), format!("{}:{line}:{column}", source.name()))
    };
    graph.outline().into_iter().map(place).collect()
}
