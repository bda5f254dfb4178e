//! All steps that a runbook can perform, those of called runbooks under the step that calls them.

use super::node::{GraphNode, NodeId, StepGraph};
use crate::runbook::{Action, Call};

/// A step in its place: `cause`, `store/mint` inside a loop, `call/inner` inside a called runbook.
#[derive(Clone, Debug)]
pub struct Place<'g> {
    /// The path of the step, without the items of loops.
    pub path: String,
    /// How deep it stands, 0 at the top.
    pub depth: usize,
    /// The graph it belongs to.
    pub graph: &'g StepGraph,
    /// The step in that graph.
    pub id: NodeId,
}

impl<'g> Place<'g> {
    /// The step.
    #[must_use]
    pub fn node(&self) -> &'g GraphNode {
        self.graph.node(self.id)
    }
}

impl StepGraph {
    /// Every step in the order of the document, the steps of a called runbook right after the step that calls it.
    #[must_use]
    pub fn outline(&self) -> Vec<Place<'_>> {
        let mut places = Vec::new();
        self.outline_into("", 0, &mut places);
        places
    }

    fn outline_into<'g>(&'g self, prefix: &str, depth: usize, places: &mut Vec<Place<'g>>) {
        for id in self.ids() {
            let path = format!("{prefix}{}", self.general_path(id));
            let depth = depth + self.node(id).depth;
            let inner = self.callee(id).map(|(_, callee)| (format!("{path}/"), callee));
            places.push(Place { path, depth, graph: self, id });
            if let Some((prefix, callee)) = inner {
                callee.outline_into(&prefix, depth + 1, places);
            }
        }
    }

    /// The call that a step makes, and the runbook it calls.
    #[must_use]
    pub fn callee(&self, id: NodeId) -> Option<(&Call, &StepGraph)> {
        let Some(Action::Runbook(call)) = self.node(id).step.action() else { return None };
        self.called(&call.name.value).map(|callee| (&**call, &**callee))
    }

    /// The step at a path of a record: `store[3]/mint`, `call/inner`.
    #[must_use]
    pub fn at_path(&self, path: &str) -> Option<&GraphNode> {
        let mut graph = self;
        let mut parts = path.split('/').peekable();
        let mut around = None;
        while let Some(part) = parts.next() {
            let id = graph.find(part.split('[').next().unwrap_or_default())?;
            let node = graph.node(id);
            if node.item_of != around {
                return None;
            }
            if parts.peek().is_none() {
                return Some(node);
            }
            match graph.callee(id) {
                Some((_, callee)) => (graph, around) = (callee, None),
                None => around = Some(id),
            }
        }
        None
    }
}
