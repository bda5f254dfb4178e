//! Steps: what an author writes about each, typed.

use super::action::{Action, Escalation};
use super::amount::DurationSpec;
use super::decode::Decode;
use super::target::TargetRef;
use super::undo::Undo;
use crate::expr::{Expr, Template};
use crate::source::{Sp, Span};
use indexmap::IndexMap;
use std::sync::Arc;

/// The intent of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Reads.
    Diagnose,
    /// Chooses.
    Decide,
    /// Changes.
    Remediate,
    /// Proves.
    Validate,
    /// Holds steps together.
    Group,
}

impl Kind {
    /// The key that names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Diagnose => "diagnose",
            Self::Decide => "decide",
            Self::Remediate => "remediate",
            Self::Validate => "validate",
            Self::Group => "group",
        }
    }

    /// Whether it only reads.
    #[must_use]
    pub fn is_read(self) -> bool {
        matches!(self, Self::Diagnose | Self::Validate)
    }
}

words! {
    /// How much harm a change could do.
    pub enum Risk = "a risk" {
        /// Little.
        Low = "low",
        /// Some: the default.
        Medium = "medium",
        /// Much.
        High = "high",
    }
}

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Where it stands.
    pub span: Span,
    /// Its id; the place of the title when the id comes from it.
    pub id: Sp<String>,
    /// Whether the author wrote the id.
    pub has_own_id: bool,
    /// Its intent.
    pub kind: Kind,
    /// Its title.
    pub title: Template,
    /// What it holds or does.
    pub body: StepBody,
    /// The target it acts on.
    pub target: Option<TargetRef>,
    /// Whether it is performed.
    pub when: Option<Expr>,
    /// Replaces the implied order.
    pub needs: Option<Vec<Sp<String>>>,
    /// Why it is there, for people.
    pub why: Option<Template>,
    /// More for people.
    pub notes: Option<Template>,
    /// Shown before the step, in the gate and in the docs.
    pub warning: Option<Template>,
    /// Addresses to read.
    pub links: Vec<Sp<String>>,
    /// For one attempt.
    pub timeout: Option<DurationSpec>,
    /// More attempts.
    pub retry: Option<Retry>,
    /// Repeats a read until it holds.
    pub until: Option<Until>,
    /// Samples a read for a stretch of time.
    pub hold: Option<Hold>,
    /// Keeps its process running for the steps after it.
    pub background: Option<Background>,
    /// How the steps of a group run, when not one after the other.
    pub parallel: Option<Parallel>,
    /// Performs it for each item of a list.
    pub each: Option<Each>,
    /// Names to keep.
    pub capture: IndexMap<Sp<String>, CaptureRule>,
    /// What must hold.
    pub expect: Vec<Expr>,
    /// What is put on the screen as evidence.
    pub show: Vec<Expr>,
    /// Error classes that are findings here.
    pub tolerate: Vec<Sp<String>>,
    /// What happens when it fails.
    pub on_failure: Option<OnFailure>,
    /// Whether the operator may not skip it.
    pub required: bool,
    /// What only a change has.
    pub change: Option<Change>,
}

/// What a step holds or does.
#[derive(Clone, Debug)]
pub enum StepBody {
    /// It does something.
    Action(Action),
    /// It chooses.
    Decide(Decide),
    /// It holds steps.
    Group(Vec<Arc<Step>>),
}

impl Step {
    /// Whether the first failure among the steps of a parallel group ends the others.
    #[must_use]
    pub fn cancels_on_failure(&self) -> bool {
        self.parallel.is_some_and(|parallel| parallel.first_failure == FirstFailure::Cancel)
    }

    /// The steps directly inside: of each option in order, or of the group.
    #[must_use]
    pub fn children(&self) -> Vec<&Arc<Step>> {
        match &self.body {
            StepBody::Action(_) => Vec::new(),
            StepBody::Decide(decide) => decide.options.values().flat_map(|option| &option.steps).collect(),
            StepBody::Group(steps) => steps.iter().collect(),
        }
    }

    /// The action, when it has one.
    #[must_use]
    pub fn action(&self) -> Option<&Action> {
        match &self.body {
            StepBody::Action(action) => Some(action),
            _ => None,
        }
    }
}

record! {
    /// More attempts after a failure.
    pub struct Retry = "retry" {
        /// Attempts in all.
        must attempts = "attempts": Sp<i64>,
        /// The pause between two.
        may every = "every": DurationSpec,
        /// The first pause; each later one is twice as long, at most a minute.
        may backoff = "backoff": DurationSpec,
        /// The error classes that are retried; default: all.
        with classes = "for": super::decode::Many<Sp<String>>,
    }
}

record! {
    /// Repeats a read until it holds.
    pub struct Until = "until" {
        /// What must hold, beside the step's own `expect`.
        with expect = "expect": super::decode::Many<Expr>,
        /// The pause between two attempts (default 5s).
        may every = "every": DurationSpec,
        /// How long it is tried.
        must within = "within": DurationSpec,
        /// Ends it early, as failed.
        may give_up = "give_up": Expr,
    }
}

record! {
    /// Samples a read for a stretch of time.
    pub struct Hold = "hold" {
        /// For how long.
        must length = "for": DurationSpec,
        /// The pause between two samples (default 10s).
        may every = "every": DurationSpec,
        /// What every sample must say; the first breach ends it.
        must hold_while = "while": super::decode::Many<Expr>,
    }
}

/// A process that is kept running for the steps after it.
#[derive(Clone, Debug)]
pub struct Background {
    /// When it may be relied on; without it, as soon as it runs.
    pub ready: Option<Box<Probe>>,
}

/// How the steps of a group run side by side.
#[derive(Clone, Copy, Debug)]
pub struct Parallel {
    /// What the first failure does to the others.
    pub first_failure: FirstFailure,
}

words! {
    /// What the first failure of a parallel group does to the others.
    pub enum FirstFailure = "a rule for the first failure" {
        /// They go on to their end: the default.
        Wait = "wait",
        /// Running reads are stopped, and nothing more is started.
        Cancel = "cancel",
    }
}

/// When a temporary change must be over.
#[derive(Clone, Debug)]
pub enum Temporary {
    /// It must not outlive the run: its undo runs when the run ends.
    Run,
    /// It ends by itself after this time, and is listed as open until then.
    Ends(DurationSpec),
}

record! {
    /// A change that ends by itself.
    pub(super) struct EndsRecord = "temporary" {
        /// After how long.
        must ends = "ends": DurationSpec,
    }
}

impl Decode for Temporary {
    fn grammar() -> super::grammar::Grammar {
        super::grammar::Grammar::AnyOf(vec![super::grammar::Grammar::Boolean, EndsRecord::grammar()])
    }

    fn decode(node: &crate::source::Node, decoder: &mut super::decode::Decoder<'_>) -> Option<Self> {
        if node.as_scalar().is_some() {
            let word = Sp::<bool>::decode(node, decoder)?;
            if !word.value {
                decoder.error(
                    "wrong-type",
                    node.span,
                    "`temporary: false` is what a change is without it: leave it out",
                );
                return None;
            }
            return Some(Self::Run);
        }
        Some(Self::Ends(EndsRecord::decode(node, decoder)?.ends))
    }
}

/// `for_each` and its companions.
#[derive(Clone, Debug)]
pub struct Each {
    /// The list.
    pub list: Expr,
    /// The name of the item.
    pub name: Sp<String>,
    /// How many at once.
    pub at_once: usize,
    /// What a failed item does.
    pub on_item_failure: ItemFailure,
    /// The pause between the starts of two items.
    pub pause: Option<DurationSpec>,
    /// Whether an empty list is fine.
    pub allow_empty: bool,
}

/// What a failed item does to the rest of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemFailure {
    /// No further item is started: the default.
    Stop,
    /// The rest goes on; the step fails at its end.
    Continue,
    /// Up to so many may fail; the step then still succeeds.
    AtMost(usize),
}

/// A value to keep.
#[derive(Clone, Debug)]
pub struct CaptureRule {
    /// How it is computed.
    pub value: Expr,
    /// Whether it is a secret.
    pub secret: bool,
}

/// What happens when a step fails.
#[derive(Clone, Debug)]
pub struct OnFailure {
    /// Ends the run as escalated.
    pub escalate: Option<Escalation>,
    /// Steps to perform.
    pub steps: Vec<Arc<Step>>,
    /// What comes after them.
    pub then: Then,
    /// How often `again` may happen.
    pub times: usize,
}

words! {
    /// What comes after the steps of `on_failure`.
    pub enum Then = "a way to go on" {
        /// No further change.
        Stop = "stop",
        /// As if it had succeeded; the step stays failed in the record.
        Continue = "continue",
        /// The step once more.
        Again = "again",
    }
}

/// What only a change has.
#[derive(Clone, Debug)]
pub struct Change {
    /// How much harm it could do.
    pub risk: Risk,
    /// Whether the author wrote the risk.
    pub has_own_risk: bool,
    /// What the runbook asks of its gate.
    pub gate: Option<super::gate::Gate>,
    /// A read that shows what would change.
    pub preview: Option<Box<Probe>>,
    /// A read after the act.
    pub verify: Option<Box<Probe>>,
    /// How to take it back.
    pub undo: Option<Undo>,
    /// Why it cannot be taken back.
    pub irreversible: Option<Template>,
    /// Why what it made stays, and is not to be taken back.
    pub keep: Option<Template>,
    /// Whether it may be made twice: one whose end was not seen, and whose `verify` does not hold, is offered again.
    pub idempotent: bool,
    /// When it must be over.
    pub temporary: Option<Temporary>,
}

/// An action inside a step: `verify`, `preview`, an `undo` that is one act.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Where it stands.
    pub span: Span,
    /// What it does.
    pub action: Action,
    /// Its target.
    pub target: Option<TargetRef>,
    /// Names to keep for its own `expect`.
    pub capture: IndexMap<Sp<String>, CaptureRule>,
    /// What must hold.
    pub expect: Vec<Expr>,
    /// For how long it is asked again.
    pub within: Option<DurationSpec>,
    /// The pause between two attempts (default 2s).
    pub every: Option<DurationSpec>,
    /// For one attempt.
    pub timeout: Option<DurationSpec>,
    /// Error classes that are findings here.
    pub tolerate: Vec<Sp<String>>,
    /// For an undo: the read after it.
    pub verify: Option<Box<Probe>>,
}

/// One option of a decide.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Where it stands.
    pub span: Span,
    /// Its title; the name when there is none.
    pub title: Option<Template>,
    /// When evidence chooses it.
    pub when: Option<Expr>,
    /// How likely it is, in percent.
    pub likelihood: Option<f64>,
    /// What is done then.
    pub steps: Vec<Arc<Step>>,
    /// Values it sets.
    pub set: IndexMap<Sp<String>, Expr>,
    /// Ends the run: `resolved` or `no_action`.
    pub end: Option<End>,
    /// Ends the run as escalated.
    pub escalate: Option<Escalation>,
}

words! {
    /// A result that an option gives the run.
    pub enum End = "an end" {
        /// The goal is met.
        Resolved = "resolved",
        /// Nothing needs doing.
        NoAction = "no_action",
    }
}

words! {
    /// Who decides.
    pub enum DecideBy = "a decider" {
        /// Evidence, and a person where it cannot tell: the default.
        Evidence = "evidence",
        /// Always a person.
        Person = "person",
    }
}

/// A decision.
#[derive(Clone, Debug)]
pub struct Decide {
    /// The options by name, in written order.
    pub options: IndexMap<Sp<String>, Choice>,
    /// What happens when nothing is chosen and nobody is there.
    pub otherwise: Option<Choice>,
    /// Who decides.
    pub by: DecideBy,
    /// Every option whose `when` holds is taken.
    pub all: bool,
    /// The first whose `when` holds is taken.
    pub first: bool,
}

/// The classes of errors that `tolerate` and `retry: {for: ..}` may name; the first three also with a number, such as
/// `exit_3` or `status_404`. For `sql` also every name of [`super::sqlstate_names`].
pub const ERROR_CLASSES: &[&str] = &[
    "exit",
    "status",
    "signal",
    "timeout",
    "refused",
    "dns",
    "tls",
    "connection",
    "not_found",
    "denied",
    "already_exists",
    "conflict",
    "invalid",
    "bad_answer",
    "bad_value",
    "address",
    "system",
];

/// Whether a name is a class of errors.
#[must_use]
pub fn is_error_class(name: &str) -> bool {
    let numbered = |family: &str| {
        let number = name.strip_prefix(family).and_then(|rest| rest.strip_prefix('_'));
        number.is_some_and(|number| number.parse::<u16>().is_ok())
    };
    ERROR_CLASSES.contains(&name)
        || ERROR_CLASSES[..3].iter().any(|family| numbered(family))
        || super::is_sqlstate_class(name)
}
