//! Flattens the steps of a runbook and gives each its number, id and holder.

use super::node::{GraphNode, NodeId, Parent, Section, is_loop};
use crate::runbook::{Runbook, Step, StepBody, is_reserved_name};
use crate::source::{Diagnostic, Diagnostics};
use std::collections::HashMap;
use std::sync::Arc;

/// The steps of a runbook in the order of the document, and the lists they stand in.
pub(super) struct Flat {
    pub(super) nodes: Vec<GraphNode>,
    pub(super) index: HashMap<Arc<str>, NodeId>,
    /// Every list of neighbouring steps.
    pub(super) lists: Vec<Vec<NodeId>>,
}

pub(super) fn flatten(runbook: &Runbook, problems: &mut Diagnostics) -> Flat {
    let mut flat = Flat { nodes: Vec::new(), index: HashMap::new(), lists: Vec::new() };
    flat.list(&runbook.steps, Section::Body, None, 0);
    flat.list(runbook.finally_steps(), Section::Finally, None, 0);
    flat.name(runbook, problems);
    flat
}

impl Flat {
    fn list(&mut self, steps: &[Arc<Step>], section: Section, parent: Option<Parent>, depth: usize) -> Vec<NodeId> {
        let ids: Vec<_> = steps.iter().map(|step| self.step(step, section, parent, depth)).collect();
        if !ids.is_empty() {
            self.lists.push(ids.clone());
        }
        ids
    }

    fn step(&mut self, step: &Arc<Step>, section: Section, parent: Option<Parent>, depth: usize) -> NodeId {
        let id = NodeId(self.nodes.len());
        self.nodes.push(GraphNode {
            step: step.clone(),
            id: Arc::from(step.id.value.as_str()),
            section,
            parent,
            depth,
            item_of: self.item_of(parent),
            after: Vec::new(),
            children: Vec::new(),
            uses: Vec::new(),
        });
        let mut children = Vec::new();
        match &step.body {
            StepBody::Action(_) => {}
            StepBody::Group(steps) => children.extend(self.list(steps, section, Some(Parent::Group(id)), depth + 1)),
            StepBody::Decide(decide) => {
                for (place, option) in decide.options.values().chain(decide.otherwise.as_ref()).enumerate() {
                    let parent = Some(Parent::Option(id, place));
                    children.extend(self.list(&option.steps, section, parent, depth + 1));
                }
            }
        }
        if let Some(on_failure) = &step.on_failure {
            children.extend(self.list(&on_failure.steps, section, Some(Parent::Failure(id)), depth + 1));
        }
        self.nodes[id.0].children = children;
        id
    }

    /// The loop whose items perform the steps under a holder. The steps of a loop's `on_failure` stand outside it.
    fn item_of(&self, parent: Option<Parent>) -> Option<NodeId> {
        match parent? {
            Parent::Group(holder) if is_loop(&self.nodes[holder.0].step) => Some(holder),
            other => self.nodes[other.id().0].item_of,
        }
    }

    /// Gives every step a distinct id. Ids that the author wrote must be distinct already.
    fn name(&mut self, runbook: &Runbook, problems: &mut Diagnostics) {
        let mut own: HashMap<Arc<str>, NodeId> = HashMap::new();
        for (place, node) in self.nodes.iter().enumerate().filter(|(_, node)| node.step.has_own_id) {
            let id = &node.step.id;
            if let Some(first) = own.get(&node.id) {
                let first = self.nodes[first.0].step.id.span;
                problems.push(
                    Diagnostic::error(
                        runbook.source(),
                        "duplicate-id",
                        id.span,
                        format!("another step has the id `{}`", id.value),
                    )
                    .also(first, "the first one"),
                );
                continue;
            }
            own.insert(node.id.clone(), NodeId(place));
            let what = if is_reserved_name(id) {
                Some("a name of the language")
            } else if runbook.inputs.contains_key(id.value.as_str()) {
                Some("an input")
            } else {
                None
            };
            if let Some(what) = what {
                let message = format!("a step cannot have the id `{}`: it is {what}", id.value);
                problems.push(Diagnostic::error(runbook.source(), "taken-name", id.span, message));
            }
        }
        for place in 0..self.nodes.len() {
            if self.nodes[place].step.has_own_id {
                continue;
            }
            let base = self.nodes[place].id.clone();
            let taken =
                |name: &str| own.contains_key(name) || is_reserved_name(name) || runbook.inputs.contains_key(name);
            let mut name = base.clone();
            let mut count = 2;
            while taken(&name) {
                name = Arc::from(format!("{base}_{count}"));
                count += 1;
            }
            own.insert(name.clone(), NodeId(place));
            self.nodes[place].id = name;
        }
        self.index = own;
    }
}
