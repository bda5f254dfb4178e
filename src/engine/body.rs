//! Bodies: the lists of steps that are being performed, each with what happened in it so far.
//!
//! The first body is the runbook itself. A holder's task may have further ones opened (the steps of one item of a loop,
//! a called runbook) and waits for their ends. A body is owned by the dispatcher; its tasks see its [`Scene`].

use super::port::Cancel;
use super::schedule::Schedule;
use crate::event::{Outcome, StepPath, StepVerdict};
use crate::graph::{GraphNode, NodeId, StepGraph};
use crate::plan::{Resolver, Values};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::{Index, IndexMut};
use std::sync::{Arc, Mutex};

/// Names a body among those of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct BodyId(usize);

impl BodyId {
    /// The runbook that was started.
    pub(super) const ROOT: Self = Self(0);
}

/// A step in its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct At {
    pub(super) body: BodyId,
    pub(super) node: NodeId,
}

impl At {
    /// Another step of the same body.
    pub(super) fn beside(self, node: NodeId) -> Self {
        Self { node, ..self }
    }
}

/// What the tasks of a body see of it.
pub(super) struct Scene {
    pub(super) graph: Arc<StepGraph>,
    pub(super) values: Values,
    pub(super) resolver: Resolver,
    /// What stands before an id in a path: nothing, `store[3]/`, `call/`.
    pub(super) prefix: String,
    /// Targets whose identity was proven in this run; a called runbook has targets of its own.
    pub(super) proven: Arc<Mutex<HashSet<String>>>,
}

impl Scene {
    /// The path of a step: `drain`, `store[3]/drain`.
    pub(super) fn path(&self, node: NodeId) -> String {
        format!("{}{}", self.prefix, self.graph.node(node).id)
    }
}

/// What is known of a step that is over.
#[derive(Clone, Debug)]
pub(super) struct Over {
    pub(super) outcome: Outcome,
    pub(super) verdict: Option<StepVerdict>,
    pub(super) failed: bool,
    pub(super) handled: bool,
    /// Whether the runbook itself left it out: a branch not taken, a `when` that does not hold.
    pub(super) not_meant: bool,
    pub(super) turn: u64,
}

/// Why changes are blocked.
#[derive(Clone, Debug)]
pub(super) struct Blocker {
    pub(super) by: NodeId,
    /// Whether only later changes are blocked, or all.
    pub(super) later_only: bool,
    pub(super) reason: String,
}

/// How a runbook is being ended early.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Early {
    /// An option said so.
    Option(crate::runbook::End),
    /// Handed to people.
    Escalated,
    /// By the operator.
    Aborted(String),
    /// A target is another one.
    TargetRefused(String),
}

/// Facts about a runbook as a whole.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) changes: u32,
    pub(super) last_change: u64,
    pub(super) declined: Option<String>,
    pub(super) undecided: Option<String>,
    pub(super) escalation: Option<(Option<String>, String)>,
    /// Changes that stand and that their `undo` would take back, in the order they were made.
    pub(super) standing: Vec<String>,
}

/// One body. What concerns a runbook as a whole (`early`, `in_finally`, `tally`) is kept by the body that owns the
/// runbook, which for the item of a loop is another one.
pub(super) struct Body {
    pub(super) scene: Arc<Scene>,
    /// The step whose task waits for it; nothing for the first.
    pub(super) holder: Option<At>,
    /// The body that owns the runbook it belongs to: itself, or that of the loop whose item it is.
    pub(super) owner: BodyId,
    pub(super) schedule: Schedule,
    pub(super) over: BTreeMap<NodeId, Over>,
    pub(super) blockers: Vec<Blocker>,
    pub(super) repeats: HashMap<NodeId, usize>,
    pub(super) chosen: HashMap<NodeId, Vec<usize>>,
    /// How each change that was gated is taken back, in words.
    pub(super) undo: HashMap<NodeId, String>,
    /// Tasks that have not ended.
    pub(super) live: usize,
    pub(super) cancel: Cancel,
    pub(super) early: Option<Early>,
    pub(super) in_finally: bool,
    pub(super) tally: Tally,
}

impl Body {
    pub(super) fn new(scene: Scene, schedule: Schedule, owner: BodyId, cancel: Cancel) -> Self {
        Self {
            scene: Arc::new(scene),
            holder: None,
            owner,
            schedule,
            over: BTreeMap::new(),
            blockers: Vec::new(),
            repeats: HashMap::new(),
            chosen: HashMap::new(),
            undo: HashMap::new(),
            live: 0,
            cancel,
            early: None,
            in_finally: false,
            tally: Tally::default(),
        }
    }

    pub(super) fn node(&self, id: NodeId) -> &GraphNode {
        self.scene.graph.node(id)
    }

    fn is_inside(&self, node: NodeId, holder: NodeId) -> bool {
        self.scene.graph.holders(node).any(|other| other == holder)
    }

    /// Forgets what steps inside a holder have blocked.
    pub(super) fn lift_blockers_inside(&mut self, holder: NodeId) {
        let scene = self.scene.clone();
        self.blockers.retain(|blocker| !scene.graph.holders(blocker.by).any(|other| other == holder));
    }

    /// The failure of a step was answered, and with it what failed inside.
    pub(super) fn handle_inside(&mut self, node: NodeId) {
        let scene = self.scene.clone();
        for (id, over) in &mut self.over {
            over.handled |= over.failed && (*id == node || scene.graph.holders(*id).any(|other| other == node));
        }
    }

    /// Why the body itself blocks a change at one of its steps (rulings 7 and 8).
    pub(super) fn blocks(&self, node: NodeId) -> Option<&str> {
        self.blockers
            .iter()
            .find(|blocker| !self.is_inside(node, blocker.by) && (!blocker.later_only || blocker.by < node))
            .map(|blocker| blocker.reason.as_str())
    }
}

/// The bodies of a run.
pub(super) struct Bodies {
    slots: Vec<Body>,
}

impl Bodies {
    pub(super) fn new(root: Body) -> Self {
        Self { slots: vec![root] }
    }

    /// All of them, the outer ones before those that they hold.
    pub(super) fn ids(&self) -> impl Iterator<Item = BodyId> + use<> {
        (0..self.slots.len()).map(BodyId)
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

    pub(super) fn path(&self, at: At) -> StepPath {
        StepPath(self[at.body].scene.path(at.node))
    }

    /// Tasks that have not ended, in all bodies.
    pub(super) fn live(&self) -> usize {
        self.slots.iter().map(|body| body.live).sum()
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
