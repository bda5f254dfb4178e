//! All bodies of a run that are open, and how they stand inside one another.

use super::body::{At, Body, BodyId};
use super::message::{BodyEnd, Opening};
use crate::event::StepPath;
use crate::graph::GraphNode;
use std::ops::{Index, IndexMut};
use tokio::sync::oneshot;

/// The bodies of a run.
pub(super) struct Bodies {
    /// The place of a body that is closed is used again.
    slots: Vec<Body>,
}

impl Bodies {
    pub(super) fn new(root: Body) -> Self {
        Self { slots: vec![root] }
    }

    /// All that are open.
    pub(super) fn ids(&self) -> Vec<BodyId> {
        (0..self.slots.len()).map(BodyId).filter(|&id| self[id].is_open).collect()
    }

    /// Opens one that stands in no other, and owns itself.
    pub(super) fn add(&mut self, body: Body) -> BodyId {
        let id = BodyId(self.slots.len());
        self.slots.push(Body { owner: id, ..body });
        id
    }

    /// Opens one inside another, for a step of that.
    pub(super) fn open(&mut self, holder: At, opening: Opening, reply: oneshot::Sender<BodyEnd>) -> BodyId {
        let outer = &self[holder.body];
        let id = BodyId(self.slots.iter().position(|body| !body.is_open).unwrap_or(self.slots.len()));
        let owner = if opening.item_of.is_some() { outer.owner } else { id };
        let mut body = Body::new(opening.scene, opening.item_of, owner, outer.cancel.child_token());
        body.holder = Some(holder);
        body.reply = Some(reply);
        body.is_sealed = opening.is_sealed;
        match self.slots.get_mut(id.0) {
            Some(slot) => *slot = body,
            None => self.slots.push(body),
        }
        id
    }

    /// The steps that a step stands in, itself first, then those that hold the bodies around it.
    pub(super) fn chain(&self, at: At) -> impl Iterator<Item = At> + '_ {
        std::iter::successors(Some(at), |at| self[at.body].holder)
    }

    /// Whether a body is the one given or stands somewhere inside it.
    pub(super) fn is_within(&self, id: BodyId, outer: BodyId) -> bool {
        std::iter::successors(Some(id), |id| self[*id].holder.map(|at| at.body)).any(|id| id == outer)
    }

    /// Holders that do nothing but wait for their bodies.
    pub(super) fn holding(&self) -> usize {
        let count = |at: At| self.slots.iter().filter(|body| body.is_open && body.holder == Some(at)).count();
        let of = |id: BodyId| {
            let holding = self[id].holding.iter();
            holding.filter(|&(node, open)| count(At { body: id, node: *node }) == *open).count()
        };
        self.ids().into_iter().map(of).sum()
    }

    /// The run goes on: nobody waits for that any more.
    pub(super) fn forget_barriers(&mut self) {
        for body in &mut self.slots {
            body.holding.retain(|_, open| *open > 0);
        }
    }

    /// The body that owns the runbook a body belongs to.
    pub(super) fn owner(&self, id: BodyId) -> &Body {
        &self[self[id].owner]
    }

    pub(super) fn owner_mut(&mut self, id: BodyId) -> &mut Body {
        let owner = self[id].owner;
        &mut self[owner]
    }

    pub(super) fn node(&self, at: At) -> &GraphNode {
        self[at.body].node(at.node)
    }

    /// The step that stands at a path.
    pub(super) fn find(&self, path: &str) -> Option<At> {
        let in_body = |body: BodyId| {
            let scene = &self[body].scene;
            let id = path.strip_prefix(scene.prefix.as_str())?;
            let node = scene.graph.ids().find(|node| *scene.graph.node(*node).id == *id)?;
            Some(At { body, node })
        };
        self.ids().into_iter().find_map(in_body)
    }

    pub(super) fn path(&self, at: At) -> StepPath {
        let body = &self[at.body];
        StepPath(body.stands_for.clone().unwrap_or_else(|| body.scene.path(at.node)))
    }

    /// Tasks that have not ended, in all bodies.
    pub(super) fn live(&self) -> usize {
        self.slots.iter().filter(|body| body.is_open).map(|body| body.live).sum()
    }

    /// Stops everything that runs.
    pub(super) fn cancel_all(&self) {
        self.slots.iter().for_each(|body| body.cancel.cancel());
    }
}

impl Index<BodyId> for Bodies {
    type Output = Body;

    fn index(&self, id: BodyId) -> &Body {
        &self.slots[id.0]
    }
}

impl IndexMut<BodyId> for Bodies {
    fn index_mut(&mut self, id: BodyId) -> &mut Body {
        &mut self.slots[id.0]
    }
}
