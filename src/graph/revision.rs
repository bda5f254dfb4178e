//! Two versions of a runbook, step by step: what a run that goes on with the other one would do differently.

use super::node::StepGraph;
use crate::runbook::Runbook;
use crate::source::{Data, Diagnostics, Node, Span, parse_yaml};
use indexmap::IndexMap;
use std::collections::{HashMap, HashSet};

/// Keys of a step that are for people, and change nothing of what it does.
const FOR_PEOPLE: [&str; 11] =
    ["diagnose", "decide", "remediate", "validate", "group", "why", "notes", "warning", "links", "show", "title"];
/// Keys that say what kind a step is; their values are titles.
const KINDS: [&str; 5] = ["diagnose", "decide", "remediate", "validate", "group"];
/// Keys of a runbook that are for people, or are looked at step by step.
const NOT_COMPARED: [&str; 9] =
    ["title", "steps", "finally", "summary", "description", "symptoms", "cadence", "reviewed", "contacts"];

/// What became of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepChange {
    /// These keys differ.
    Changed(Vec<String>),
    /// It was not there.
    Added,
    /// It is not there any more.
    Removed,
}

/// The differences between two versions of a runbook.
#[derive(Clone, Debug, Default)]
pub struct Revision {
    /// Steps that differ, by path: those of the new version in its order, then those that are gone.
    pub steps: IndexMap<String, StepChange>,
    /// Keys of the runbook itself that differ.
    pub keys: Vec<String>,
    /// How many steps are as they were.
    pub same: usize,
    old: Vec<String>,
    new: Vec<String>,
}

/// A step as it is written, by key, without the steps inside it.
type Written = IndexMap<String, String>;

impl Revision {
    /// Compares two versions. Steps of called runbooks are none of theirs.
    #[must_use]
    pub fn between(old: &StepGraph, new: &StepGraph) -> Self {
        let (before, after) = (written(old), written(new));
        let mut revision = Self {
            keys: differing(&top(old.runbook()), &top(new.runbook()), &NOT_COMPARED),
            old: before.keys().cloned().collect(),
            new: after.keys().cloned().collect(),
            ..Self::default()
        };
        for (path, step) in &after {
            match before.get(path) {
                None => _ = revision.steps.insert(path.clone(), StepChange::Added),
                Some(known) => match differing(known, step, &[]) {
                    keys if keys.is_empty() => revision.same += 1,
                    keys => _ = revision.steps.insert(path.clone(), StepChange::Changed(keys)),
                },
            }
        }
        let gone = before.keys().filter(|path| !after.contains_key(*path));
        revision.steps.extend(gone.map(|path| (path.clone(), StepChange::Removed)));
        revision
    }

    /// Why a run cannot go on with the new version, one sentence each; nothing when it can. `begun` are the paths of the
    /// steps, without items of loops, that were performed or left out, or that were being performed.
    #[must_use]
    pub fn unfit(&self, begun: &HashSet<String>) -> Vec<String> {
        let mut why = Vec::new();
        for key in self.keys.iter().filter(|key| matches!(key.as_str(), "runbook" | "inputs" | "targets")) {
            why.push(format!("`{key}` is not what it was at the start"));
        }
        for (path, change) in self.steps.iter().filter(|(path, _)| begun.contains(*path)) {
            match change {
                StepChange::Removed => why.push(format!("`{path}` has begun, and is not there any more")),
                StepChange::Changed(keys) => {
                    let keys: Vec<&str> =
                        keys.iter().map(String::as_str).filter(|key| !FOR_PEOPLE.contains(key)).collect();
                    if !keys.is_empty() {
                        why.push(format!("`{path}` has begun, and its {} differs", quoted(&keys)));
                    }
                }
                StepChange::Added => {}
            }
        }
        let reached = |paths: &[String]| -> Vec<String> {
            let last = paths.iter().rposition(|path| begun.contains(path)).map_or(0, |last| last + 1);
            paths[..last].to_vec()
        };
        let (before, after) = (reached(&self.old), reached(&self.new));
        if why.is_empty() && before != after {
            let place = before.iter().zip(&after).find(|(a, b)| a != b).map_or_else(
                || after.last().or(before.last()).cloned().unwrap_or_default(),
                |(_, other)| other.clone(),
            );
            why.push(format!(
                "the order of the steps up to the point that was reached is another one, from `{place}` on"
            ));
        }
        why
    }
}

fn quoted(keys: &[&str]) -> String {
    keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}

/// The keys in which two maps differ.
fn differing(before: &Written, after: &Written, without: &[&str]) -> Vec<String> {
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    let keys = after.keys().filter(|key| before.get(*key) != after.get(*key)).chain(gone);
    let mut keys: Vec<String> = keys.filter(|key| !without.contains(&key.as_str())).cloned().collect();
    let kind = |written: &Written| KINDS.iter().find(|kind| written.contains_key(**kind)).copied();
    if kind(before) != kind(after) {
        keys.retain(|key| !KINDS.contains(&key.as_str()));
        keys.insert(0, "kind".to_owned());
    }
    keys
}

/// The keys of the runbook itself.
fn top(runbook: &Runbook) -> Written {
    let tree = parse_yaml(runbook.source(), &mut Diagnostics::new());
    tree.map(|tree| entries(&tree, &HashSet::new())).unwrap_or_default()
}

/// Every step by its path, as it is written, in the order of the document.
fn written(graph: &StepGraph) -> IndexMap<String, Written> {
    let spans: HashSet<Span> = graph.nodes().iter().map(|node| node.step.span).collect();
    let tree = parse_yaml(graph.runbook().source(), &mut Diagnostics::new());
    let mut maps: HashMap<Span, &Node> = HashMap::new();
    let mut stack: Vec<&Node> = tree.iter().collect();
    while let Some(node) = stack.pop() {
        match &node.data {
            Data::Map(list) => {
                maps.insert(node.span, node);
                stack.extend(list.iter().map(|entry| &entry.value));
            }
            Data::List(items) => stack.extend(items),
            Data::Scalar(_) => {}
        }
    }
    let step = |id| {
        let node = maps.get(&graph.node(id).step.span);
        (graph.general_path(id), node.map(|node| entries(node, &spans)).unwrap_or_default())
    };
    graph.ids().map(step).collect()
}

/// The entries of a map as text, without the steps (`inner`) inside.
fn entries(node: &Node, inner: &HashSet<Span>) -> Written {
    let list = node.as_map().unwrap_or_default();
    let text = |value: &Node| json(value, inner).map(|json| json.to_string());
    list.iter().filter_map(|entry| Some((entry.key.value.clone(), text(&entry.value)?))).collect()
}

/// A node without its places; nothing for steps, and for what holds nothing but steps.
fn json(node: &Node, inner: &HashSet<Span>) -> Option<serde_json::Value> {
    if inner.contains(&node.span) && matches!(node.data, Data::Map(_)) {
        return None;
    }
    Some(match &node.data {
        Data::Scalar(scalar) => serde_json::json!([scalar.text, scalar.is_quoted()]),
        Data::List(items) => {
            let kept: Vec<_> = items.iter().filter_map(|item| json(item, inner)).collect();
            if kept.is_empty() && !items.is_empty() {
                return None;
            }
            kept.into()
        }
        Data::Map(list) => {
            let entries = list.iter().filter_map(|entry| Some((entry.key.value.clone(), json(&entry.value, inner)?)));
            serde_json::Value::Object(entries.collect())
        }
    })
}
