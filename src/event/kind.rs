//! Events and the envelope they are kept in.

use super::approval::GateApproval;
use super::card::{ActView, CardView, OptionView, UsedView};
use super::name::{Actor, Operator, RunId, StepPath};
use super::outcome::{ErrorClass, Mode, Outcome, RunResult, StepVerdict};
use super::resumption::{Mark, Resumption, Settlement};
use super::view::{
    CheckView, Door, EvidenceRef, FrozenRunbook, FrozenSettings, GateAnswer, InputView, ProgramView, StepFacts,
    StoredValue, Waiting,
};
use indexmap::IndexMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One line of a transcript.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Counted from 1.
    pub seq: u64,
    /// When, by the wall clock.
    pub time: Timestamp,
    /// Milliseconds since the run started, by the boot-time clock.
    pub elapsed_ms: u64,
    /// Who.
    pub actor: Actor,
    /// The step, for events of a step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepPath>,
    /// The attempt, counted from 1, for events of an attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// What happened.
    pub event: Event,
    /// SHA-256, in hex, of the previous line's bytes without its newline; 64 zeros on the first.
    pub prev: String,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// A run began. Holds a frozen copy of the runbook.
    RunStarted {
        /// The run.
        run: RunId,
        /// [`super::SEMANTICS`].
        semantics: u32,
        /// The version of the program.
        version: String,
        /// Plan, probe or run.
        mode: Mode,
        /// The runbook's id.
        runbook: String,
        /// The runbook's title.
        title: String,
        /// The name of its file as it was given.
        file: String,
        /// The whole text of that file.
        text: String,
        /// SHA-256 of that text, in hex.
        digest: String,
        /// The library's root, when there is one.
        library: Option<String>,
        /// The name of the environment, when there is one.
        environment: Option<String>,
        /// Whether it counts as production.
        production: bool,
        /// Who started it.
        operator: Operator,
        /// On which host.
        host: String,
        /// The id of that host's current boot.
        boot: String,
        /// The process.
        pid: u32,
        /// The id of the store, so that a copied run can be told.
        store: String,
        /// Inputs and where each came from.
        inputs: Vec<InputView>,
        /// Programs found.
        programs: Vec<ProgramView>,
        /// Things worth saying before the first step.
        warnings: Vec<String>,
        /// The runbooks that are called, by this one or by one of them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        called: Vec<FrozenRunbook>,
        /// The library's `runwright.yaml`: environments, targets, gates, groups and their keys.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        settings: Option<Box<FrozenSettings>>,
        /// The working folder: relative names of files and programs start there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        folder: Option<String>,
        /// What expressions read as `run.started`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        began: Option<Timestamp>,
        /// The run whose changes this one takes back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        undo_of: Option<RunId>,
    },
    /// Another process took the run up.
    RunResumed(Box<Resumption>),
    /// A target's identity was proven.
    TargetProven {
        /// The target's name.
        target: String,
        /// Its address.
        address: String,
        /// What it says it is, when the target declares an identity.
        identity: Option<String>,
    },
    /// A target is not what it should be: the run stops.
    TargetRefused {
        /// The target's name.
        target: String,
        /// Its address.
        address: String,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
    /// What one run at a time may change was locked for this run, until its process lets it go.
    Locked {
        /// What: the runbook and the place, as other runs see it.
        what: String,
    },
    /// A step began whose title has values in it.
    StepStarted {
        /// Its title, values in.
        title: String,
    },
    /// A step was left out.
    StepSkipped {
        /// Why, in words.
        reason: String,
        /// Whether the operator did it, against the runbook.
        #[serde(default)]
        deviation: bool,
        /// Whether it is a change that was left out because changes are blocked.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        blocked: bool,
        /// Whether the end of the run, or of its branch, left it out.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        ending: bool,
    },
    /// A `when` or a `decide` was settled.
    Decided {
        /// The options taken; for `when`: `yes` or `no`.
        chosen: Vec<String>,
        /// `evidence`, `person`, `otherwise`, `flag`.
        by: String,
        /// Each option with what the machine saw.
        options: Vec<OptionView>,
        /// The evidence table (`show`).
        #[serde(default)]
        shown: Vec<UsedView>,
        /// The person's reason, or why the machine could not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// What the option sets (`set:`).
        #[serde(default)]
        values: IndexMap<String, StoredValue>,
    },
    /// The items of a loop are known.
    ItemsListed {
        /// The items.
        items: Vec<StoredValue>,
    },
    /// A gate was opened.
    GateOpened {
        /// How often this step's gate was opened, from 1.
        number: u32,
        /// The digest that an approval is bound to.
        digest: String,
        /// When an approval goes stale.
        expires: Timestamp,
        /// What is shown.
        card: Box<CardView>,
    },
    /// A gate was answered.
    GateAnswered {
        /// Which opening.
        number: u32,
        /// The digest it was opened with.
        digest: String,
        /// The answer.
        answer: GateAnswer,
    },
    /// A person approved a gate that this alone does not pass: it counts until the gate is answered.
    GateApproved {
        /// Which opening.
        number: u32,
        /// The digest it was opened with.
        digest: String,
        /// The approval.
        approval: Box<GateApproval>,
    },
    /// A list was approved: the digest of the facts of each change inside, by its path. Each is used once.
    ListApproved {
        /// The digests.
        digests: IndexMap<String, String>,
    },
    /// A called runbook begins.
    Called {
        /// Its id.
        runbook: String,
        /// Its title.
        title: String,
        /// Its inputs.
        inputs: IndexMap<String, StoredValue>,
    },
    /// A question was put to a person.
    Asked {
        /// What is asked, one line each.
        questions: Vec<String>,
    },
    /// A person answered.
    Answered {
        /// The values.
        values: IndexMap<String, StoredValue>,
        /// Through which door.
        door: Door,
    },
    /// An attempt is about to happen. On disk before the first effect.
    AttemptStarted {
        /// The act, resolved.
        act: Box<ActView>,
        /// Whether it changes something.
        change: bool,
    },
    /// A program runs.
    ProcessStarted {
        /// Its process.
        pid: u32,
        /// When that was started, in clock ticks since the machine was: tells it from a later one with the same id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        started: Option<u64>,
    },
    /// An attempt ended.
    AttemptEnded {
        /// How.
        outcome: Outcome,
        /// The class of the error.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<ErrorClass>,
        /// One line about the error.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// The result fields, bounded.
        #[serde(default)]
        fields: IndexMap<String, StoredValue>,
        /// Output that was kept.
        #[serde(default)]
        evidence: Vec<EvidenceRef>,
        /// How long it took.
        took_ms: u64,
        /// Processes that were still there and had to be ended, or could not be.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left: Vec<String>,
    },
    /// A process in the background may be relied on: for the steps after it, its step is over.
    BackgroundReady {
        /// How many milliseconds after its start.
        after_ms: u64,
    },
    /// A step waits before it goes on.
    Paused {
        /// For how many milliseconds.
        for_ms: u64,
        /// Why.
        reason: String,
    },
    /// A sample of a step that is watched for a stretch of time (`hold`) was judged.
    Sampled {
        /// What it says.
        verdict: StepVerdict,
        /// The values it captured.
        #[serde(default)]
        captures: IndexMap<String, StoredValue>,
        /// Milliseconds until the stretch is over.
        left_ms: u64,
    },
    /// A step is over.
    StepEnded {
        /// How.
        outcome: Outcome,
        /// What it says, for reads and for verified changes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        verdict: Option<StepVerdict>,
        /// The values it captured.
        #[serde(default)]
        captures: IndexMap<String, StoredValue>,
        /// Its checks.
        #[serde(default)]
        checks: Vec<CheckView>,
        /// What it shows as evidence.
        #[serde(default)]
        shown: Vec<UsedView>,
        /// Why it is not a success, in words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Whether a failure was answered by `on_failure`.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        handled: bool,
        /// What a resume needs besides.
        #[serde(default, skip_serializing_if = "StepFacts::is_empty")]
        facts: Box<StepFacts>,
    },
    /// A person said what became of a change whose end was not seen.
    Settled {
        /// What they said.
        settlement: Settlement,
        /// Why.
        reason: String,
        /// Through which door.
        door: Door,
    },
    /// A change stands from here on, as far as is known.
    ChangeMade {
        /// How it is taken back, in words; nothing when that cannot be done.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        undo: Option<String>,
        /// When it ends by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
        /// Whether it is taken back by itself when the run ends.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        temporary: bool,
    },
    /// A moment of the incident was named.
    Marked {
        /// Which.
        mark: Mark,
        /// When it was; not always when it was written down.
        at: Timestamp,
        /// Something about it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// The operator ends the run: what runs is stopped, temporary changes are taken back, `finally` runs.
    Aborted {
        /// Why.
        reason: String,
    },
    /// Something for the report.
    Noted {
        /// The text.
        text: String,
    },
    /// Something went otherwise than the runbook says (skipped, answered late, store trouble).
    Deviated {
        /// What.
        text: String,
    },
    /// The wall clock jumped.
    ClockMoved {
        /// By how many milliseconds.
        by_ms: i64,
    },
    /// The run ends as escalated.
    Escalated {
        /// To whom.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<String>,
        /// What is said.
        text: String,
    },
    /// The run waits in the store for people; it has not ended.
    RunParked {
        /// For what.
        waiting: Vec<Waiting>,
    },
    /// The run is being suspended, and waits for changes that run.
    Suspending {
        /// Why.
        reason: String,
        /// The changes.
        waits_for: Vec<StepPath>,
    },
    /// The run was suspended by the operator; it has not ended.
    RunSuspended {
        /// Why.
        reason: String,
    },
    /// The closing event.
    RunEnded {
        /// The result.
        result: RunResult,
        /// Did it run to its end?
        ran_to_end: bool,
        /// Why not, or why the goal is not met; one line each.
        reasons: Vec<String>,
        /// Validations that hold.
        holds: u32,
        /// Validations in all.
        validations: u32,
        /// Changes made.
        changes: u32,
        /// Changes that stand and that their `undo` would take back, in words.
        open_changes: Vec<String>,
        /// Milliseconds waited for people.
        waited_ms: u64,
        /// Whether the temporary changes were all taken back; left out when there were none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cleaned_up: Option<bool>,
        /// The `outputs` of the runbook.
        #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
        outputs: IndexMap<String, StoredValue>,
    },
}
