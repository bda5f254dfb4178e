//! Which step may start: counts what each still waits for, and follows holders from open to joined.

use crate::graph::{NodeId, Parent, Section, StepGraph};
use crate::runbook::StepBody;
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Waiting,
    Running,
    Open,
    Ended,
}

/// A step on its way.
struct Slot {
    status: Status,
    missing: usize,
    dependents: Vec<NodeId>,
    /// Steps of the open branches of a holder that are not over.
    inner: usize,
    /// Whether those outside have been told that the step is over: that happens once, however often it is repeated.
    told: bool,
}

/// The moving part of a body: of a whole runbook, or of the steps of one item of a loop.
pub(super) struct Schedule {
    graph: Arc<StepGraph>,
    /// The loop whose item this is.
    item_of: Option<NodeId>,
    /// The number of the first step that may belong here.
    first: usize,
    slots: Vec<Slot>,
    ready: BTreeSet<NodeId>,
    body_left: usize,
}

impl Schedule {
    /// The steps of a runbook, or those that one item of a loop performs. What stands in a loop further inside belongs
    /// to the items of that loop.
    pub(super) fn new(graph: Arc<StepGraph>, item_of: Option<NodeId>) -> Self {
        // What a group holds follows it in the order of the document.
        let first = item_of.map_or(0, |holder| holder.0 + 1);
        let is_inside = |id: NodeId| {
            let up = |holder: &NodeId| graph.node(*holder).item_of;
            item_of.is_none() || std::iter::successors(graph.node(id).item_of, up).any(|holder| Some(holder) == item_of)
        };
        let count = (first..graph.nodes().len()).take_while(|&id| is_inside(NodeId(id))).count();
        let slot = |id: usize| {
            let is_own = graph.node(NodeId(id)).item_of == item_of;
            let status = if is_own { Status::Waiting } else { Status::Ended };
            Slot { status, missing: 0, dependents: Vec::new(), inner: 0, told: !is_own }
        };
        let slots = (first..first + count).map(slot).collect();
        let mut schedule = Self { item_of, first, slots, ready: BTreeSet::new(), body_left: 0, graph };
        schedule.count();
        schedule
    }

    /// No step at all.
    pub(super) fn empty(graph: Arc<StepGraph>) -> Self {
        Self { graph, item_of: None, first: 0, slots: Vec::new(), ready: BTreeSet::new(), body_left: 0 }
    }

    fn count(&mut self) {
        for id in self.own() {
            let before = self.before(id);
            for &other in &before {
                self.slot(other).dependents.push(id);
            }
            let waits_for_holder = self.holder(id).is_some() || self.is_finally(id);
            self.slot(id).missing = before.len() + usize::from(waits_for_holder);
            if self.is_top(id) {
                self.body_left += 1;
            }
            if self.slot(id).missing == 0 {
                self.ready.insert(id);
            }
        }
    }

    /// The steps of this body in the order of the document.
    fn own(&self) -> Vec<NodeId> {
        let all = (self.first..self.first + self.slots.len()).map(NodeId);
        all.filter(|&id| self.graph.node(id).item_of == self.item_of).collect()
    }

    fn has(&self, id: NodeId) -> bool {
        (self.first..self.first + self.slots.len()).contains(&id.0)
    }

    fn slot(&mut self, id: NodeId) -> &mut Slot {
        &mut self.slots[id.0 - self.first]
    }

    fn status(&self, id: NodeId) -> Status {
        self.slots[id.0 - self.first].status
    }

    /// The step of this body that holds another one.
    fn holder(&self, id: NodeId) -> Option<Parent> {
        self.graph.node(id).parent.filter(|parent| Some(parent.id()) != self.item_of)
    }

    /// Whether a step belongs to the `finally` that starts after the rest; an item of a loop has none.
    fn is_finally(&self, id: NodeId) -> bool {
        self.item_of.is_none() && self.graph.node(id).section == Section::Finally
    }

    fn is_top(&self, id: NodeId) -> bool {
        self.holder(id).is_none() && !self.is_finally(id)
    }

    /// The steps that must be over before a step starts; its own holders only have to be open, and what stands outside
    /// is over already.
    fn before(&self, id: NodeId) -> Vec<NodeId> {
        let node = self.graph.node(id);
        let mut before: Vec<_> = node.after.iter().chain(&node.uses).copied().collect();
        before.sort_unstable();
        before.dedup();
        before.retain(|&other| self.has(other) && !self.graph.holders(id).any(|holder| holder == other));
        before
    }

    /// The next step that may start, in the order of the document.
    pub(super) fn take_ready(&mut self) -> Option<NodeId> {
        let id = self.ready.pop_first()?;
        self.slot(id).status = Status::Running;
        Some(id)
    }

    pub(super) fn is_body_done(&self) -> bool {
        self.body_left == 0
    }

    fn release(&mut self, id: NodeId) {
        let slot = self.slot(id);
        slot.missing = slot.missing.saturating_sub(1);
        if slot.missing == 0 && slot.status == Status::Waiting {
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
        inside.retain(|&child| self.status(child) != Status::Ended);
        let outside = self.in_branch(holder, |parent| !is_failure(parent) && !taken(parent));
        let slot = self.slot(holder);
        slot.status = Status::Open;
        slot.inner = inside.len();
        for child in inside {
            self.release(child);
        }
        outside.into_iter().flat_map(|child| self.close(child)).collect()
    }

    /// Opens the steps of `on_failure`; the second time they are as new.
    pub(super) fn open_failure(&mut self, holder: NodeId) {
        let children = self.in_branch(holder, |parent| matches!(parent, Parent::Failure(_)));
        let slot = self.slot(holder);
        slot.status = Status::Open;
        slot.inner = children.len();
        self.renew(&children);
        for child in children {
            self.release(child);
        }
    }

    /// Makes steps that are over as new, with everything inside. Those outside have been told already; those inside
    /// wait for one another again.
    fn renew(&mut self, roots: &[NodeId]) {
        let mut renewed = BTreeSet::new();
        let mut stack = roots.to_vec();
        while let Some(id) = stack.pop() {
            if self.graph.node(id).item_of == self.item_of {
                stack.extend(self.graph.node(id).children.iter().copied());
                if self.status(id) == Status::Ended {
                    renewed.insert(id);
                }
            }
        }
        for &id in &renewed {
            let before = self.before(id);
            let missing = before.iter().filter(|&&other| renewed.contains(&other) || !self.is_over(other)).count();
            for other in before.into_iter().filter(|other| renewed.contains(other)) {
                self.slot(other).dependents.push(id);
            }
            let slot = self.slot(id);
            slot.missing = missing + 1;
            slot.told = false;
        }
        for &id in &renewed {
            self.slot(id).status = Status::Waiting;
        }
    }

    fn is_over(&self, id: NodeId) -> bool {
        self.status(id) == Status::Ended
    }

    pub(super) fn inner_left(&self, holder: NodeId) -> usize {
        self.slots[holder.0 - self.first].inner
    }

    /// A step is over, with all it held. Gives its holder when that is now to be joined.
    pub(super) fn end(&mut self, id: NodeId) -> Option<NodeId> {
        self.finish(id);
        let holder = self.holder(id)?.id();
        let slot = self.slot(holder);
        slot.inner = slot.inner.saturating_sub(1);
        (slot.inner == 0 && slot.status == Status::Open).then_some(holder)
    }

    fn finish(&mut self, id: NodeId) {
        if self.status(id) == Status::Ended {
            return;
        }
        self.slot(id).status = Status::Ended;
        self.ready.remove(&id);
        if self.is_top(id) {
            self.body_left = self.body_left.saturating_sub(1);
        }
        if !std::mem::replace(&mut self.slot(id).told, true) {
            for other in std::mem::take(&mut self.slot(id).dependents) {
                self.release(other);
            }
        }
    }

    /// Leaves a step out, with everything inside; gives all of them.
    pub(super) fn close(&mut self, id: NodeId) -> Vec<NodeId> {
        let mut closed = Vec::new();
        let mut stack = vec![id];
        while let Some(id) = stack.pop() {
            if self.status(id) == Status::Ended {
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

    /// Leaves out every step of the body that has not started, but not `finally`.
    pub(super) fn close_body(&mut self) -> Vec<NodeId> {
        let mut waiting = self.own();
        waiting.retain(|&id| !self.is_finally(id) && self.status(id) == Status::Waiting);
        let mut closed = Vec::new();
        for id in waiting {
            if self.status(id) == Status::Waiting {
                self.finish(id);
                if let Some(holder) = self.holder(id) {
                    let slot = self.slot(holder.id());
                    slot.inner = slot.inner.saturating_sub(1);
                }
                closed.push(id);
            }
        }
        closed
    }

    /// Holders that are open with nothing left inside, innermost first.
    pub(super) fn joinable(&self) -> Option<NodeId> {
        let is_open = |slot: &Slot| slot.status == Status::Open && slot.inner == 0;
        let open = self.slots.iter().enumerate().filter(|(_, slot)| is_open(slot));
        open.map(|(place, _)| NodeId(self.first + place)).max_by_key(|&id| self.graph.node(id).depth)
    }

    /// Lets `finally` start.
    pub(super) fn open_finally(&mut self) {
        let mut tops = self.own();
        tops.retain(|&id| self.is_finally(id) && self.graph.node(id).parent.is_none());
        for id in tops {
            self.release(id);
        }
    }

    pub(super) fn is_all_done(&self) -> bool {
        self.slots.iter().all(|slot| slot.status == Status::Ended)
    }

    /// Runs a step once more: `on_failure: {then: again}`.
    pub(super) fn again(&mut self, id: NodeId) {
        self.slot(id).status = Status::Waiting;
        self.ready.insert(id);
        if matches!(self.graph.node(id).step.body, StepBody::Group(_)) {
            let children = self.in_branch(id, |parent| matches!(parent, Parent::Group(_)));
            self.renew(&children);
        }
    }
}
