//! What events hold: values, inputs, evidence, answers, frozen texts.

use super::card::UsedView;
use super::name::StepPath;
use super::outcome::{ErrorClass, StepVerdict};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// A value as it is kept: JSON, or the reason why it is unknown, or only the name of a secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoredValue {
    /// Known. Time stamps and durations are kept as `{"$time": ..}` and `{"$duration": ..}` inside.
    Value(serde_json::Value),
    /// Not obtained.
    Unknown(String),
    /// Not yet (dry run).
    NotYet(String),
    /// Known, and not kept.
    Secret(String),
    /// Known, and too long for an event: its JSON is kept as evidence.
    Kept(EvidenceRef),
}

/// An input as it was resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputView {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: StoredValue,
    /// Where it came from, in words: `command line`, `environment prod`, `default`, `env STEMEDB_URL`.
    pub source: String,
}

/// A program found before the first step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProgramView {
    /// The name as written.
    pub name: String,
    /// The path that runs.
    pub path: String,
    /// Its version, when the runbook asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Output that was kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvidenceRef {
    /// `stdout`, `stderr`, `body`, `diff`, `before`; of `sql` `rows`, `statements`, `notices`, `error`; or a name given by
    /// a person.
    pub stream: String,
    /// Bytes in all, after masking.
    pub size: u64,
    /// SHA-256 of the kept bytes, in hex.
    pub sha256: String,
    /// The first lines (at most 2 KiB), for people; the whole text when it is that short.
    pub excerpt: String,
    /// Whether the whole content is in `excerpt`, so that there is no file of its own.
    #[serde(default)]
    pub inline: bool,
    /// Whether a bound cut it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// One `expect` as it was evaluated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckView {
    /// The expression as written.
    pub expression: String,
    /// What it says.
    pub verdict: StepVerdict,
    /// The values it used.
    pub used: Vec<UsedView>,
    /// Why it cannot tell, or what clashed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The door through which an answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// The run's own terminal.
    Terminal,
    /// `runwright approve` and its like, by the inbox.
    Inbox,
    /// A flag of the command line (`--yes`), or `--answers`.
    Flag,
    /// The environment's policy.
    Policy,
    /// The gate of the list it belongs to, which showed the very same facts.
    List,
    /// Time ran out.
    Clock,
}

/// The answer to a gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateAnswer {
    /// Which answer.
    pub answer: AnswerKind,
    /// Through which door.
    pub door: Door,
    /// Why, in the person's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl GateAnswer {
    /// The gate went away before anybody answered.
    #[must_use]
    pub fn voided(why: &str) -> Self {
        Self { answer: AnswerKind::Voided, door: Door::Terminal, reason: Some(why.to_owned()) }
    }
}

/// The possible answers to a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerKind {
    /// Go on.
    Approved,
    /// No: the step is declined and its dependents do not run.
    Declined,
    /// Leave this step out, and go on.
    Skipped,
    /// Nobody answered in time.
    Expired,
    /// The facts moved, or the step went away.
    Voided,
}

/// What is known of a step that is over, beside what people read of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepFacts {
    /// The class of its error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorClass>,
    /// Attempts that were made.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts: u32,
    /// Whether a change was really attempted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub changed: bool,
    /// Whether a person would have had to settle it, and nobody did.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undecided: bool,
    /// Items of a loop that were not performed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub undone: u32,
    /// Result fields that no attempt has on record.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub values: IndexMap<String, StoredValue>,
}

impl StepFacts {
    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks in this way")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What a parked run waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// The step.
    pub step: StepPath,
    /// `gate`, `decide`, `ask`, `manual`, `when`.
    pub what: String,
    /// One line for people.
    pub text: String,
    /// For a gate that one yes does not pass: what it takes, what it has, when it can be passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wants: Option<String>,
    /// The digest to approve, for a gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// A runbook as it was when the run began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrozenRunbook {
    /// Its id.
    pub runbook: String,
    /// The name of its file as it is shown.
    pub file: String,
    /// The whole text of that file.
    pub text: String,
    /// SHA-256 of that text, in hex.
    pub digest: String,
}

/// The settings of a library as they were when the run began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrozenSettings {
    /// The name of the file as it is shown.
    pub file: String,
    /// The whole text of that file.
    pub text: String,
    /// SHA-256 of that text, in hex.
    pub digest: String,
}
