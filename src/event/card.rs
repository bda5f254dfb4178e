//! What a person is shown about an act: plain data, with secrets already named instead of printed.

use super::approval::GateTerms;
use super::view::StoredValue;
use serde::{Deserialize, Serialize};

/// What stands before the reason, in the place of the undo, where what a change made is meant to stay (`keep`).
pub const KEPT: &str = "not needed: ";

/// A label and a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Short, lower case: `target`, `undo`.
    pub label: String,
    /// The text; may have several lines.
    pub text: String,
}

/// One act as it will be performed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ActView {
    /// `run`, `shell`, `http`, `edit`, ...
    pub action: String,
    /// The act as text: a command line that can be pasted into a shell and does the same, a request line, a diff.
    /// Secrets stand as `‹secret NAME›`, unknown values as `‹expression›`.
    pub text: String,
    /// More of it: body, headers, environment, working folder, accepted results.
    #[serde(default)]
    pub more: Vec<Line>,
    /// The target's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Values that are not known: expression and reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holes: Vec<Line>,
}

impl ActView {
    /// The act where it has one place among others (an item, a `verify`, an undo): its text, and behind it what two
    /// different acts would read alike without: the values beside a statement, and the machine a program runs on.
    #[must_use]
    pub fn in_short(&self) -> String {
        let is_query = matches!(self.action.as_str(), "sql" | "prometheus" | "alert");
        let beside = self.more.iter().filter_map(|line| match line.label.as_str() {
            "bind" => Some(line.text.clone()),
            "on" if !is_query => Some(format!("on {}", line.text)),
            _ => None,
        });
        let beside: Vec<String> = beside.collect();
        if beside.is_empty() { self.text.clone() } else { format!("{} ({})", self.text, beside.join(", ")) }
    }
}

/// A value that was used, and where it came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsedView {
    /// The reference: `queue.pending`.
    pub name: String,
    /// What it was.
    pub value: StoredValue,
}

/// What the machine thinks of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptionVerdict {
    /// Its `when` holds.
    Holds,
    /// Its `when` does not hold.
    DoesNotHold,
    /// Its `when` is unknown.
    Unknown,
    /// It has no `when`: a person's choice.
    PersonsChoice,
}

/// One option of a decide.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OptionView {
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// How likely the author thinks it is, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likelihood: Option<f64>,
    /// What the machine sees.
    pub verdict: OptionVerdict,
    /// Its `when` as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// The values used.
    #[serde(default)]
    pub used: Vec<UsedView>,
    /// Why it is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What it takes to pass a gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateRequirement {
    /// Say yes.
    Confirm,
    /// Type this text (the target's name, usually).
    Type {
        /// What to type.
        text: String,
        /// What it is: `the target's name`, `the run's id`.
        what: String,
    },
}

/// One item of a list behind a gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemView {
    /// The item.
    pub item: StoredValue,
    /// Its act, one line.
    pub text: String,
}

/// The card of a gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CardView {
    /// The step's title.
    pub title: String,
    /// `low`, `medium`, `high`.
    pub risk: String,
    /// The act (the first item's, for a list).
    pub act: ActView,
    /// The items of a list, all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<ItemView>,
    /// `api = cluster 7f3a (proven 2 s ago)`, or the address when no identity is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The values it rests on.
    #[serde(default)]
    pub because: Vec<UsedView>,
    /// Evidence that is missing: a diagnose that failed, a value that is unknown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// Evidence that is too old to go by: reads that ended long before the run was taken up again, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stale: Vec<String>,
    /// What would change, from `preview` or a diff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<String>,
    /// What will be looked at afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<String>,
    /// The undo, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
    /// Why it cannot be undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub irreversible: Option<String>,
    /// Whether it may be made twice (`idempotent`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub idempotent: bool,
    /// The author's warning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// What has moved since the last opening of this gate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<String>,
    /// Which act of how many allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// What it takes of the one who answers.
    pub requires: GateRequirement,
    /// What it takes beside that.
    #[serde(default, skip_serializing_if = "GateTerms::is_empty")]
    pub terms: GateTerms,
}
