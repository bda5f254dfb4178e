//! The step graph.

use crate::runbook::{Runbook, Step, StepBody};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// A step's number: its place in the document, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub usize);

/// Which part of a runbook a step belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// `steps`, with everything inside.
    Body,
    /// `finally`.
    Finally,
}

/// The step that holds another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parent {
    /// A group.
    Group(NodeId),
    /// An option of a decide, by its place; `otherwise` comes after the last option.
    Option(NodeId, usize),
    /// The `on_failure` of a step.
    Failure(NodeId),
}

impl Parent {
    /// The holder.
    #[must_use]
    pub fn id(self) -> NodeId {
        match self {
            Self::Group(id) | Self::Option(id, _) | Self::Failure(id) => id,
        }
    }
}

/// One step in its place.
#[derive(Clone, Debug)]
pub struct GraphNode {
    /// What the author wrote.
    pub step: Arc<Step>,
    /// Its id; made distinct when it comes from the title.
    pub id: Arc<str>,
    /// Its part.
    pub section: Section,
    /// Who holds it.
    pub parent: Option<Parent>,
    /// How deep it stands, 0 at the top.
    pub depth: usize,
    /// The loop it is performed in once for each item, the innermost one: a group with `for_each`.
    pub item_of: Option<NodeId>,
    /// Steps that must be over (joined, for a holder) before it starts.
    pub after: Vec<NodeId>,
    /// The steps it holds, in written order.
    pub children: Vec<NodeId>,
    /// Steps whose values it uses.
    pub uses: Vec<NodeId>,
}

/// A checked runbook: its steps and what each waits for.
#[derive(Clone, Debug)]
pub struct StepGraph {
    pub(super) runbook: Arc<Runbook>,
    pub(super) nodes: Vec<GraphNode>,
    pub(super) index: HashMap<Arc<str>, NodeId>,
    pub(super) order: Vec<NodeId>,
    pub(super) called: BTreeMap<String, Arc<StepGraph>>,
    pub(super) reads: Reads,
}

/// What the expressions of a runbook read.
#[derive(Clone, Debug, Default)]
pub(super) struct Reads {
    /// Every name and every attribute of it.
    names: HashSet<String>,
    /// Names that are used without an attribute: all of them may be read.
    whole: HashSet<String>,
}

impl Reads {
    /// Takes note of a reference: a name with attributes after it.
    pub(super) fn add(&mut self, path: &[String]) {
        if let [name] = path {
            self.whole.insert(name.clone());
        }
        self.names.extend(path.iter().cloned());
    }
}

impl StepGraph {
    /// The runbook.
    #[must_use]
    pub fn runbook(&self) -> &Arc<Runbook> {
        &self.runbook
    }

    /// All steps in the order of the document.
    #[must_use]
    pub fn nodes(&self) -> &[GraphNode] {
        &self.nodes
    }

    /// One step.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &GraphNode {
        &self.nodes[id.0]
    }

    /// The ids in document order.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len()).map(NodeId)
    }

    /// A step by its id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<NodeId> {
        self.index.get(id).copied()
    }

    /// An order in which every step comes after those it waits for; holders come before what they hold.
    #[must_use]
    pub fn topological(&self) -> &[NodeId] {
        &self.order
    }

    /// Whether a change stands anywhere in it, or in a runbook that it calls.
    #[must_use]
    pub fn has_change(&self) -> bool {
        self.nodes.iter().any(|node| node.step.change.is_some())
    }

    /// A runbook that one of its steps calls.
    #[must_use]
    pub fn called(&self, name: &str) -> Option<&Arc<StepGraph>> {
        self.called.get(name)
    }

    /// All runbooks that are called, also by those that it calls; each once, by name.
    #[must_use]
    pub fn all_called(&self) -> BTreeMap<String, Arc<StepGraph>> {
        let mut all = BTreeMap::new();
        let mut stack: Vec<_> = self.called.iter().collect();
        while let Some((name, graph)) = stack.pop() {
            if all.insert(name.clone(), graph.clone()).is_none() {
                stack.extend(graph.called.iter());
            }
        }
        all
    }

    /// Whether some expression may read a field of a step's result. It may say so where none does, never the other way
    /// round.
    #[must_use]
    pub fn reads(&self, step: &str, field: &str) -> bool {
        self.reads.names.contains(field) || self.reads.whole.contains(step)
    }

    /// Whether a step is a group that is performed for each item of a list.
    #[must_use]
    pub fn is_loop(&self, id: NodeId) -> bool {
        is_loop(&self.node(id).step)
    }

    /// The path of a step without the items of the loops it stands in: `store/mint`.
    #[must_use]
    pub fn general_path(&self, id: NodeId) -> String {
        let node = self.node(id);
        match node.item_of {
            Some(holder) => format!("{}/{}", self.general_path(holder), node.id),
            None => node.id.to_string(),
        }
    }

    /// The holders of a step, innermost first.
    pub fn holders(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        std::iter::successors(self.node(id).parent, |parent| self.node(parent.id()).parent).map(Parent::id)
    }
}

/// Whether a step is a group that is performed for each item of a list.
pub(super) fn is_loop(step: &Step) -> bool {
    step.each.is_some() && matches!(step.body, StepBody::Group(_))
}
