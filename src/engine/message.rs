//! What tasks say to the dispatcher.

use super::body::{At, Scene};
use super::past::PastMoment;
use super::port::{Answer, Cancel, LockRefused, PromptKind};
use super::store_value::store;
use super::tally::GateTally;
use super::temporary::{Cleared, TakeBack};
use super::undo::Undoable;
use crate::event::{
    Actor, CardView, CheckView, Door, ErrorClass, Event, GateRequirement, Operator, Outcome, RunResult, StepFacts,
    StepPath, StepVerdict, StoredValue, UsedView,
};
use crate::expr::Value;
use crate::graph::NodeId;
use crate::runbook::{Action, Risk, Step};
use indexmap::IndexMap;
use std::time::Duration;
use tokio::sync::oneshot;

/// Why a task must not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    /// Changes are blocked: the reason.
    Blocked(String),
    /// The run is ending.
    Ending,
}

/// Leave to perform: given back by dropping it.
#[derive(Debug)]
pub(super) struct Permit {
    pub(super) _back: oneshot::Sender<()>,
}

/// What a task says.
pub(super) enum Message {
    /// Something for the record. With `durable`, the answer comes after it is on disk.
    Record {
        at: At,
        path: String,
        attempt: Option<u32>,
        actor: Actor,
        event: Event,
        durable: Option<oneshot::Sender<()>>,
    },
    /// May I perform? Changes wait for the one write slot.
    Permit { at: At, change: bool, reply: oneshot::Sender<Result<Permit, Halt>> },
    /// A gate.
    Gate { at: At, request: Box<GateRequest>, reply: oneshot::Sender<GateOutcome> },
    /// A question to a person.
    /// With `stays`, it ends by itself: the run does not park before.
    Ask { at: At, kind: PromptKind, stays: bool, reply: oneshot::Sender<Settled> },
    /// The time of a question is over.
    Expired { at: At },
    /// The step is over.
    Ended { at: At, end: Box<StepEnd> },
    /// A decision was made.
    Chosen { at: At, choice: Choice },
    /// A process in the background may be relied on: this ends it.
    BackgroundReady { at: At, stop: Cancel, after: Duration },
    /// A process in the background has ended.
    BackgroundOver { at: At, end: Box<StepEnd> },
    /// A temporary change was made: this is how it is taken back.
    Temporary { at: At, back: Box<TakeBack> },
    /// Temporary changes were taken back, as far as that went.
    Cleared { at: At, cleared: Cleared },
    /// A change of another run that may be taken back.
    Undoable(Box<Undoable>),
    /// What lived of an attempt of an earlier process has ended, was ended, or was left alone: which.
    Outlived { path: StepPath, number: u32, left: Vec<String> },
    /// May this run change what stands at a place?
    Lock { what: String, reply: oneshot::Sender<Result<(), LockRefused>> },
    /// A target is not what it should be: the whole run stops.
    Refused { target: String },
    /// A holder wants the steps of an item, or a called runbook, to be performed.
    Open { at: At, opening: Box<Opening>, reply: oneshot::Sender<BodyEnd> },
    /// What became of a change whose end was not seen is settled.
    Known { at: At },
    /// A holder does nothing now but wait for so many bodies that it had opened; with none, for the run to go on.
    Holds { at: At, open: usize },
}

/// A body to be opened.
pub(super) struct Opening {
    pub(super) scene: Scene,
    /// The loop whose item it is; nothing for a called runbook.
    pub(super) item_of: Option<NodeId>,
    /// Whether the record has the end of its holder.
    pub(super) is_sealed: bool,
}

/// What a body came to.
pub(super) struct BodyEnd {
    pub(super) outcome: Outcome,
    /// The class of the first error.
    pub(super) error: Option<ErrorClass>,
    pub(super) reason: Option<String>,
    /// The result, for a called runbook.
    pub(super) result: Option<RunResult>,
    /// Whether a called runbook was handed to people, and with what words.
    pub(super) escalated: Option<(Option<String>, String)>,
    /// The captures of each step, for the item of a loop; the outputs of a called runbook.
    pub(super) values: IndexMap<String, Value>,
}

/// What a gate wants to know.
pub(super) struct GateRequest {
    pub(super) number: u32,
    pub(super) digest: String,
    pub(super) card: CardView,
    /// Nothing: the environment's policy passes it.
    pub(super) requirement: Option<GateRequirement>,
    pub(super) risk: Risk,
    pub(super) may_skip: bool,
    /// Whether the record has it open already, with these very facts.
    pub(super) is_open: bool,
    /// How far it is then.
    pub(super) tally: Option<GateTally>,
    /// Whether these very facts were approved with the list they belong to.
    pub(super) in_list: bool,
}

/// How a gate came out.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum GateOutcome {
    Approved,
    Declined(Option<String>),
    Skipped(String),
    /// It is to be opened anew: why.
    Moved(String),
    /// The run is ending or parked.
    Ended,
}

/// How a question came out.
pub(super) enum Settled {
    /// Somebody answered: who, and through which door.
    By(Answer, Operator, Door),
    /// Nobody is there, and something else is said to happen then (`otherwise`).
    Nobody,
    /// The run is ending or parked.
    Ended,
}

/// What a decide came to.
pub(super) enum Choice {
    /// Options by place; the place after the last is `otherwise`.
    Options(Vec<usize>),
    /// Not decided because nothing is performed here (dry run).
    NotPerformed(String),
    /// Could not be decided: an expression failed, or a person said no.
    Failed(String),
}

/// The end of a step that acts.
#[derive(Clone, Debug)]
pub(super) struct StepEnd {
    pub(super) outcome: Outcome,
    pub(super) verdict: Option<StepVerdict>,
    pub(super) error: Option<ErrorClass>,
    pub(super) reason: Option<String>,
    /// Result fields and captures, as later steps see them.
    pub(super) values: IndexMap<String, Value>,
    /// Only the captures, for the record.
    pub(super) captures: IndexMap<String, Value>,
    pub(super) checks: Vec<CheckView>,
    pub(super) shown: Vec<UsedView>,
    pub(super) attempts: u32,
    /// Whether a change was really attempted.
    pub(super) changed: bool,
    /// Whether the operator left it out.
    pub(super) deviation: bool,
    /// Whether a person would have had to settle it, and nobody did.
    pub(super) undecided: bool,
    /// Whether it goes on beside the steps, and the dispatcher knows already.
    pub(super) beside: bool,
    /// Whether it is a change that was left out because changes are blocked.
    pub(super) blocked: bool,
    /// Items of a loop that were not performed.
    pub(super) undone: usize,
    /// Ends the run as escalated: to whom, and what is said.
    pub(super) escalate: Option<(Option<String>, String)>,
    /// When it ended, for a step that an earlier process performed.
    pub(super) past: Option<PastMoment>,
}

impl StepEnd {
    pub(super) fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            verdict: None,
            error: None,
            reason: None,
            values: IndexMap::new(),
            captures: IndexMap::new(),
            checks: Vec::new(),
            shown: Vec::new(),
            attempts: 0,
            changed: false,
            deviation: false,
            undecided: false,
            beside: false,
            blocked: false,
            undone: 0,
            escalate: None,
            past: None,
        }
    }

    pub(super) fn because(outcome: Outcome, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..Self::new(outcome) }
    }

    /// A change that was left out because of what happened before it.
    pub(super) fn blocked(reason: impl Into<String>) -> Self {
        Self { blocked: true, ..Self::because(Outcome::Skipped, reason) }
    }

    pub(super) fn failed(error: ErrorClass, reason: impl Into<String>) -> Self {
        Self { error: Some(error), ..Self::because(Outcome::Failed, reason) }
    }

    /// The end for the record.
    pub(super) fn event(&self, step: &Step, handled: bool) -> Event {
        if self.outcome == Outcome::Skipped {
            let reason = self.reason.clone().unwrap_or_default();
            return Event::StepSkipped { reason, deviation: self.deviation, blocked: self.blocked, ending: false };
        }
        let stored = |values: &IndexMap<String, Value>| -> IndexMap<String, StoredValue> {
            values.iter().map(|(name, value)| (name.clone(), store(value))).collect()
        };
        let facts = StepFacts {
            error: self.error.clone(),
            attempts: self.attempts,
            changed: self.changed,
            undecided: self.undecided,
            undone: u32::try_from(self.undone).unwrap_or(u32::MAX),
            values: stored(&self.own_values(step)),
        };
        Event::StepEnded {
            outcome: self.outcome,
            verdict: self.verdict,
            captures: stored(&self.captures),
            checks: self.checks.clone(),
            shown: self.shown.clone(),
            reason: self.reason.clone(),
            handled,
            facts: Box::new(facts),
        }
    }

    /// The result fields that stand in no attempt of the record.
    fn own_values(&self, step: &Step) -> IndexMap<String, Value> {
        let by_people = matches!(
            step.action(),
            Some(Action::Ask(_) | Action::Manual(_) | Action::Interactive(_) | Action::Runbook(_))
        );
        let is_own = |name: &str| by_people || step.hold.is_some() && matches!(name, "samples" | "held");
        let own = self.values.iter().filter(|(name, _)| is_own(name));
        own.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Whether `on_failure` answers it: failed, does not hold, cannot tell alike (ruling 30).
    pub(super) fn is_failure(&self) -> bool {
        let ended_badly = matches!(self.outcome, Outcome::Failed | Outcome::TimedOut | Outcome::Unknown);
        ended_badly || matches!(self.verdict, Some(StepVerdict::DoesNotHold | StepVerdict::CannotTell))
    }
}
