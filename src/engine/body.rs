//! Bodies: the lists of steps that are being performed, each with what happened in it so far.
//!
//! The first body is the runbook itself. A holder's task may have further ones opened (the steps of one item of a loop,
//! a called runbook) and waits for their ends. A body is owned by the dispatcher; its tasks see its [`Scene`].

use super::limits::Budget;
use super::message::BodyEnd;
use super::port::Cancel;
use super::schedule::Schedule;
use super::temporary::TakeBack;
use crate::event::{ErrorClass, Outcome, StepVerdict};
use crate::expr::Value;
use crate::graph::{GraphNode, NodeId, StepGraph};
use crate::plan::{Resolver, Values};
use crate::runbook::Kind;
use indexmap::IndexMap;
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// Names a body among those of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct BodyId(pub(super) usize);

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
    /// Targets whose identity was proven in this run, with it; a called runbook has targets of its own.
    pub(super) proven: Arc<Mutex<HashMap<String, String>>>,
    /// What the runbook may still change.
    pub(super) budget: Arc<Budget>,
    /// The changes inside that were approved with the list they belong to.
    pub(super) approved: Arc<Approved>,
}

/// Changes that were approved together, before the first item of a loop: the digest of each one's facts by its path.
/// Each approval is used once.
#[derive(Default)]
pub(super) struct Approved(Mutex<HashMap<String, String>>);

impl Approved {
    pub(super) fn new(digests: HashMap<String, String>) -> Self {
        Self(Mutex::new(digests))
    }

    /// Uses up the approval of a change, if its facts are those that were approved.
    pub(super) fn take(&self, path: &str, digest: &str) -> bool {
        let mut digests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        digests.remove(path).is_some_and(|approved| approved == digest)
    }
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
    /// Whether it is a change that was left out because changes are blocked.
    pub(super) blocked: bool,
    pub(super) error: Option<ErrorClass>,
    pub(super) left: Left,
    pub(super) turn: u64,
}

/// What a loop has left undone.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Left {
    /// Items that were not performed.
    pub(super) items: usize,
    /// Whether there are changes among their steps.
    pub(super) changes: bool,
    /// Whether there are validations among them.
    pub(super) validations: bool,
}

impl Over {
    pub(super) fn new(outcome: Outcome, turn: u64) -> Self {
        Self {
            outcome,
            verdict: None,
            failed: false,
            handled: false,
            not_meant: false,
            blocked: false,
            error: None,
            left: Left::default(),
            turn,
        }
    }

    /// Whether it failed and nothing answered that.
    pub(super) fn is_trouble(&self) -> bool {
        self.failed && !self.handled
    }
}

/// A step of a body that is closed, as far as it matters for the result of the runbook.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    /// The step that held the body.
    pub(super) holder: NodeId,
    pub(super) path: String,
    pub(super) kind: Kind,
    pub(super) in_finally: bool,
    /// Whether the item it belongs to failed.
    pub(super) item_failed: bool,
    pub(super) over: Over,
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
    /// Another run has what it would change: who.
    Held(String),
    /// A target is another one.
    TargetRefused(String),
    /// The runbook that called it ends.
    Caller,
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
    pub(super) standing: Vec<Standing>,
    /// Whether the temporary changes were all taken back; nothing when there were none.
    pub(super) cleaned_up: Option<bool>,
}

/// A change that stands when the run ends.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) text: String,
    /// When it ends by itself.
    pub(super) until: Option<Timestamp>,
}

/// One body. What concerns a runbook as a whole (`early`, `in_finally`, `tally`) is kept by the body that owns the
/// runbook, which for the item of a loop is another one.
pub(super) struct Body {
    pub(super) scene: Arc<Scene>,
    /// Whether it is in use; what it holds is of no interest otherwise.
    pub(super) is_open: bool,
    /// Whether the record has the end of what holds it: nothing in it is performed any more.
    pub(super) is_sealed: bool,
    /// The path of the only thing in it: a change being taken back.
    pub(super) stands_for: Option<String>,
    /// When each step was started.
    pub(super) started: HashMap<NodeId, Timestamp>,
    /// The step whose task waits for it, and how that is told; nothing for the first.
    pub(super) holder: Option<At>,
    pub(super) reply: Option<oneshot::Sender<BodyEnd>>,
    /// The body that owns the runbook it belongs to: itself, or that of the loop whose item it is.
    pub(super) owner: BodyId,
    pub(super) schedule: Schedule,
    /// The loop whose item it is.
    pub(super) item_of: Option<NodeId>,
    pub(super) over: BTreeMap<NodeId, Over>,
    /// What the bodies that it held have found.
    pub(super) found: Vec<Finding>,
    /// The captures of its steps, where the results of a loop want them.
    pub(super) captures: IndexMap<String, Value>,
    /// Holders that only wait, and for how many bodies.
    pub(super) holding: HashMap<NodeId, usize>,
    /// Branches of a parallel group that are not gone on with, and why.
    pub(super) halted: Vec<(NodeId, String)>,
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
    /// Changes that are taken back before `finally`, in the order they were made.
    pub(super) temporary: Vec<TakeBack>,
    /// Whether that goes on just now.
    pub(super) clearing: bool,
    pub(super) tally: Tally,
}

impl Body {
    /// The body of a runbook, or of an item of one of its loops.
    pub(super) fn new(scene: Scene, item_of: Option<NodeId>, owner: BodyId, cancel: Cancel) -> Self {
        let schedule = Schedule::new(scene.graph.clone(), item_of);
        Self::with(Arc::new(scene), schedule, item_of, owner, cancel)
    }

    /// A body for one change being taken back: no step of it is performed.
    pub(super) fn for_undo(scene: Arc<Scene>, path: String, cancel: Cancel) -> Self {
        let schedule = Schedule::empty(scene.graph.clone());
        let body = Self::with(scene, schedule, None, BodyId::ROOT, cancel);
        Self { stands_for: Some(path), live: 1, in_finally: true, ..body }
    }

    fn with(scene: Arc<Scene>, schedule: Schedule, item_of: Option<NodeId>, owner: BodyId, cancel: Cancel) -> Self {
        Self {
            is_open: true,
            is_sealed: false,
            stands_for: None,
            started: HashMap::new(),
            holder: None,
            reply: None,
            owner,
            schedule,
            scene,
            item_of,
            over: BTreeMap::new(),
            found: Vec::new(),
            captures: IndexMap::new(),
            holding: HashMap::new(),
            halted: Vec::new(),
            blockers: Vec::new(),
            repeats: HashMap::new(),
            chosen: HashMap::new(),
            undo: HashMap::new(),
            live: 0,
            cancel,
            early: None,
            in_finally: false,
            temporary: Vec::new(),
            clearing: false,
            tally: Tally::default(),
        }
    }

    pub(super) fn node(&self, id: NodeId) -> &GraphNode {
        self.scene.graph.node(id)
    }

    /// What a loop has left undone with so many items.
    pub(super) fn left(&self, holder: NodeId, items: usize) -> Left {
        if items == 0 {
            return Left::default();
        }
        let graph = &self.scene.graph;
        let inside = graph.ids().filter(|&id| self.is_inside(id, holder));
        let kinds: Vec<Kind> = inside.map(|id| graph.node(id).step.kind).collect();
        Left { items, changes: kinds.contains(&Kind::Remediate), validations: kinds.contains(&Kind::Validate) }
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
        let is_within = |id: NodeId| id == node || scene.graph.holders(id).any(|other| other == node);
        for (_, over) in self.over.iter_mut().filter(|(id, _)| is_within(**id)) {
            over.handled |= over.failed;
        }
        for finding in self.found.iter_mut().filter(|finding| is_within(finding.holder)) {
            finding.over.handled |= finding.over.failed;
        }
    }

    /// A step is performed once more: what was found inside it before is of no interest any more.
    pub(super) fn forget_inside(&mut self, node: NodeId) {
        let scene = self.scene.clone();
        self.found.retain(|finding| {
            finding.holder != node && !scene.graph.holders(finding.holder).any(|other| other == node)
        });
    }

    /// A loop succeeded although items failed: that was allowed, and their steps prove and spoil nothing.
    pub(super) fn excuse_items(&mut self, holder: NodeId) {
        for finding in self.found.iter_mut().filter(|finding| finding.holder == holder && finding.item_failed) {
            finding.over.handled = true;
            finding.over.not_meant = true;
        }
    }

    /// Why a branch that a step stands in is not gone on with.
    pub(super) fn halts(&self, node: NodeId) -> Option<&str> {
        let halted = self.halted.iter().find(|(branch, _)| *branch == node || self.is_inside(node, *branch));
        halted.map(|(_, reason)| reason.as_str())
    }

    /// Why the body itself blocks a change at one of its steps (rulings 7 and 8).
    pub(super) fn blocks(&self, node: NodeId) -> Option<&str> {
        self.blockers
            .iter()
            .find(|blocker| !self.is_inside(node, blocker.by) && (!blocker.later_only || blocker.by < node))
            .map(|blocker| blocker.reason.as_str())
    }
}
