//! Which step may start: counts what each still waits for, and follows holders from open to joined.

use crate::graph::{NodeId, Parent, Section, StepGraph};
use crate::runbook::{Kind, StepBody};
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Waiting,
    Running,
    Open,
    Ended,
}

/// The moving part of a graph.
pub(super) struct Schedule {
    graph: Arc<StepGraph>,
    status: Vec<Status>,
    missing: Vec<usize>,
    dependents: Vec<Vec<NodeId>>,
    /// Steps of the open branches of a holder that are not over.
    inner: Vec<usize>,
    /// Whether those outside have been told that the step is over: that happens once, however often it is repeated.
    told: Vec<bool>,
    ready: BTreeSet<NodeId>,
    body_left: usize,
}

impl Schedule {
    pub(super) fn new(graph: Arc<StepGraph>) -> Self {
        let count = graph.nodes().len();
        let mut schedule = Self {
            status: vec![Status::Waiting; count],
            missing: vec![0; count],
            dependents: vec![Vec::new(); count],
            inner: vec![0; count],
            told: vec![false; count],
            ready: BTreeSet::new(),
            body_left: 0,
            graph,
        };
        for id in schedule.graph.ids() {
            let before = schedule.before(id);
            for &other in &before {
                schedule.dependents[other.0].push(id);
            }
            let node = schedule.graph.node(id);
            let held = node.parent.is_some() || node.section == Section::Finally;
            schedule.missing[id.0] = before.len() + usize::from(held);
            if node.parent.is_none() && node.section == Section::Body {
                schedule.body_left += 1;
            }
            if schedule.missing[id.0] == 0 {
                schedule.ready.insert(id);
            }
        }
        schedule
    }

    /// The steps that must be over before a step starts; its own holders only have to be open.
    fn before(&self, id: NodeId) -> Vec<NodeId> {
        let node = self.graph.node(id);
        let mut before: Vec<_> = node.after.iter().chain(&node.uses).copied().collect();
        before.sort_unstable();
        before.dedup();
        before.retain(|&other| !self.graph.holders(id).any(|holder| holder == other));
        before
    }

    /// The next step that may start, in the order of the document.
    pub(super) fn take_ready(&mut self) -> Option<NodeId> {
        let id = self.ready.pop_first()?;
        self.status[id.0] = Status::Running;
        Some(id)
    }

    pub(super) fn is_body_done(&self) -> bool {
        self.body_left == 0
    }

    fn release(&mut self, id: NodeId) {
        let left = &mut self.missing[id.0];
        *left = left.saturating_sub(1);
        if *left == 0 && self.status[id.0] == Status::Waiting {
            self.ready.insert(id);
        }
    }

    fn in_branch(&self, holder: NodeId, branch: impl Fn(Parent) -> bool) -> Vec<NodeId> {
        let children = &self.graph.node(holder).children;
        children.iter().copied().filter(|&child| self.graph.node(child).parent.is_some_and(&branch)).collect()
    }

    /// Opens the branches that fit and closes the other ones (not those of `on_failure`, which come later). Gives the
    /// steps that are left out. The holder is joined when `inner_left` is 0.
    pub(super) fn open(&mut self, holder: NodeId, taken: impl Fn(Parent) -> bool) -> Vec<NodeId> {
        let is_failure = |parent: Parent| matches!(parent, Parent::Failure(_));
        // A run that is ending may have closed steps inside before their holder opened.
        let mut inside = self.in_branch(holder, |parent| !is_failure(parent) && taken(parent));
        inside.retain(|child| self.status[child.0] != Status::Ended);
        let outside = self.in_branch(holder, |parent| !is_failure(parent) && !taken(parent));
        self.status[holder.0] = Status::Open;
        self.inner[holder.0] = inside.len();
        for child in inside {
            self.release(child);
        }
        outside.into_iter().flat_map(|child| self.close(child)).collect()
    }

    /// Opens the steps of `on_failure`; the second time they are as new.
    pub(super) fn open_failure(&mut self, holder: NodeId) {
        let children = self.in_branch(holder, |parent| matches!(parent, Parent::Failure(_)));
        self.status[holder.0] = Status::Open;
        self.inner[holder.0] = children.len();
        for &child in &children {
            self.renew(child);
        }
        for child in children {
            self.release(child);
        }
    }

    fn renew(&mut self, id: NodeId) {
        if self.status[id.0] == Status::Ended {
            self.status[id.0] = Status::Waiting;
            self.missing[id.0] = self.before(id).iter().filter(|other| !self.is_outside_and_over(**other)).count() + 1;
        }
        for child in self.graph.node(id).children.clone() {
            self.renew(child);
        }
    }

    fn is_outside_and_over(&self, id: NodeId) -> bool {
        self.status[id.0] == Status::Ended && self.told[id.0]
    }

    pub(super) fn inner_left(&self, holder: NodeId) -> usize {
        self.inner[holder.0]
    }

    /// A step is over, with all it held. Gives its holder when that is now to be joined.
    pub(super) fn end(&mut self, id: NodeId) -> Option<NodeId> {
        self.finish(id);
        let parent = self.graph.node(id).parent?.id();
        self.inner[parent.0] = self.inner[parent.0].saturating_sub(1);
        (self.inner[parent.0] == 0 && self.status[parent.0] == Status::Open).then_some(parent)
    }

    fn finish(&mut self, id: NodeId) {
        if self.status[id.0] == Status::Ended {
            return;
        }
        self.status[id.0] = Status::Ended;
        self.ready.remove(&id);
        let node = self.graph.node(id);
        if node.parent.is_none() && node.section == Section::Body {
            self.body_left = self.body_left.saturating_sub(1);
        }
        if !std::mem::replace(&mut self.told[id.0], true) {
            for other in std::mem::take(&mut self.dependents[id.0]) {
                self.release(other);
            }
        }
    }

    /// Leaves a step out, with everything inside; gives all of them.
    pub(super) fn close(&mut self, id: NodeId) -> Vec<NodeId> {
        let mut closed = Vec::new();
        let mut stack = vec![id];
        while let Some(id) = stack.pop() {
            if self.status[id.0] == Status::Ended {
                continue;
            }
            stack.extend(self.graph.node(id).children.iter().copied());
            self.finish(id);
            closed.push(id);
        }
        closed
    }

    /// Leaves out everything inside a step that is over by itself (its failure steps, the arms of a failed decide).
    pub(super) fn close_inside(&mut self, id: NodeId) -> Vec<NodeId> {
        let children = self.graph.node(id).children.clone();
        children.into_iter().flat_map(|child| self.close(child)).collect()
    }

    /// Leaves out every step of the body that has not started.
    pub(super) fn close_body(&mut self) -> Vec<NodeId> {
        let waiting: Vec<_> = self
            .graph
            .ids()
            .filter(|&id| self.graph.node(id).section == Section::Body && self.status[id.0] == Status::Waiting)
            .collect();
        let mut closed = Vec::new();
        for id in waiting {
            if self.status[id.0] == Status::Waiting {
                self.finish(id);
                if let Some(parent) = self.graph.node(id).parent {
                    let inner = &mut self.inner[parent.id().0];
                    *inner = inner.saturating_sub(1);
                }
                closed.push(id);
            }
        }
        closed
    }

    /// Holders that are open with nothing left inside, innermost first.
    pub(super) fn joinable(&self) -> Option<NodeId> {
        let open = |&id: &NodeId| self.status[id.0] == Status::Open && self.inner[id.0] == 0;
        self.graph.ids().filter(open).max_by_key(|&id| self.graph.node(id).depth)
    }

    /// Lets `finally` start.
    pub(super) fn open_finally(&mut self) {
        let tops: Vec<_> = self
            .graph
            .ids()
            .filter(|&id| self.graph.node(id).section == Section::Finally && self.graph.node(id).parent.is_none())
            .collect();
        for id in tops {
            self.release(id);
        }
    }

    pub(super) fn is_all_done(&self) -> bool {
        self.status.iter().all(|status| *status == Status::Ended)
    }

    /// Runs a step once more: `on_failure: {then: again}`.
    pub(super) fn again(&mut self, id: NodeId) {
        self.status[id.0] = Status::Waiting;
        self.ready.insert(id);
        let is_group = self.graph.node(id).step.kind == Kind::Group;
        if is_group && matches!(self.graph.node(id).step.body, StepBody::Group(_)) {
            for child in self.in_branch(id, |parent| matches!(parent, Parent::Group(_))) {
                self.renew(child);
            }
        }
    }
}
