//! The document as a whole.

use super::alert::{Alert, check_alerts};
use super::amount::DurationSpec;
use super::decode::{Decode, Decoder, Many};
use super::grammar::Grammar;
use super::input::Input;
use super::step::Step;
use super::target::Target;
use crate::expr::Expr;
use crate::source::{Diagnostics, Node, Source, Sp, parse_yaml};
use indexmap::IndexMap;
use std::sync::Arc;

record! {
    /// When somebody last read the runbook, and how long that is good for.
    pub struct Reviewed = "reviewed" {
        /// The day.
        must at = "at": Sp<jiff::civil::Date>,
        /// How long it is good for.
        must every = "every": DurationSpec,
    }
}

record! {
    /// A person or a rota.
    pub struct Contact = "contact" {
        /// How to reach them.
        must reach = "reach": Sp<String>,
        /// Who they are.
        may name = "name": Sp<String>,
    }
}

record! {
    /// An address to read.
    pub(super) struct LinkRecord = "link" {
        /// What it is.
        must title = "title": Sp<String>,
        /// Where it is.
        must url = "url": Sp<String>,
    }
}

/// An address to read.
#[derive(Clone, Debug)]
pub struct Link {
    /// What it is.
    pub title: Option<String>,
    /// Where it is.
    pub url: Sp<String>,
}

impl Decode for Link {
    fn grammar() -> Grammar {
        Grammar::AnyOf(vec![Grammar::Text, LinkRecord::grammar()])
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        if node.as_scalar().is_some() {
            return Some(Self { title: None, url: Sp::decode(node, decoder)? });
        }
        let record = LinkRecord::decode(node, decoder)?;
        Some(Self { title: Some(record.title.value), url: record.url })
    }
}

record! {
    /// A program this runbook needs.
    pub(super) struct RequirementRecord = "requires" {
        /// Its name.
        must program = "program": Sp<String>,
        /// The argv that prints its version (default: `--version`).
        may version_from = "version_from": Vec<Sp<String>>,
        /// A regular expression that the printed version must match.
        may version = "version": Sp<String>,
    }
}

/// A program this runbook needs.
#[derive(Clone, Debug)]
pub struct Requirement {
    /// Its name.
    pub program: Sp<String>,
    /// Arguments that make it print its version.
    pub version_from: Vec<Sp<String>>,
    /// A regular expression for what it prints.
    pub version: Option<Sp<String>>,
}

impl Decode for Requirement {
    fn grammar() -> Grammar {
        Grammar::AnyOf(vec![Grammar::Text, RequirementRecord::grammar()])
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        if node.as_scalar().is_some() {
            return Some(Self { program: Sp::decode(node, decoder)?, version_from: Vec::new(), version: None });
        }
        let record = RequirementRecord::decode(node, decoder)?;
        Some(Self {
            program: record.program,
            version_from: record.version_from.unwrap_or_default(),
            version: record.version,
        })
    }
}

record! {
    /// How much one run may change.
    pub struct Limits = "limits" {
        /// The most acts that change something.
        may changes = "changes": Sp<i64>,
        /// The pause between two changes.
        may pause = "pause": DurationSpec,
        /// Each list of changes may be at most this share of all there is.
        may of = "of": Share,
    }
}

record! {
    /// A share of a whole.
    pub struct Share = "share" {
        /// The most, in percent.
        must percent = "percent": Sp<f64>,
        /// The whole: an expression that gives a number or a list.
        must whole = "whole": Expr,
    }
}

record! {
    /// How often a checklist is due.
    pub struct Cadence = "cadence" {
        /// So often.
        may every = "every": DurationSpec,
        /// After these events, such as a release.
        with after = "after": Many<Sp<String>>,
    }
}

record! {
    /// A runbook.
    pub struct RunbookRecord = "runbook" {
        /// The id: lower-case letters, digits and dashes; equal to the file's stem.
        must runbook = "runbook": Sp<String>,
        /// The title.
        must title = "title": Sp<String>,
        /// One sentence: what is wrong when this runbook is the right one.
        may summary = "summary": Sp<String>,
        /// The system it belongs to.
        may system = "system": Sp<String>,
        /// Who keeps it.
        may owner = "owner": Sp<String>,
        /// Words to find it by.
        with tags = "tags": Many<Sp<String>>,
        /// What a person sees. Text of an error stands in backticks or quotes: `lookup` finds it word for word.
        with symptoms = "symptoms": Many<Sp<String>>,
        /// What it means for users.
        may impact = "impact": Sp<String>,
        /// More for people.
        may notes = "notes": Sp<String>,
        /// How to keep it from happening again.
        with prevention = "prevention": Many<Sp<String>>,
        /// Ids of related runbooks.
        with related = "related": Many<Sp<String>>,
        /// Addresses to read.
        with links = "links": Many<Link>,
        /// When it was last reviewed.
        may reviewed = "reviewed": Reviewed,
        /// People and rotas by name.
        with contacts = "contacts": IndexMap<Sp<String>, Contact>,
        /// Alert rules it answers.
        with alerts = "alerts": Many<Alert>,
        /// Programs it needs.
        with requires = "requires": Many<Requirement>,
        /// Values it is given.
        with inputs = "inputs": IndexMap<Sp<String>, Input>,
        /// Places it acts on.
        with targets = "targets": IndexMap<Sp<String>, Target>,
        /// Values it gives to a caller.
        with outputs = "outputs": IndexMap<Sp<String>, Expr>,
        /// How much it may change in one run.
        may limits = "limits": Limits,
        /// The body.
        with steps = "steps": Vec<Arc<Step>>,
        /// Instead of `steps`: this must not be done, and why. It can be found and read, never started.
        may refuse = "refuse": Sp<String>,
        /// How often a checklist is due.
        may cadence = "cadence": Cadence,
        /// Steps that run whatever happened.
        may finally = "finally": Vec<Arc<Step>>,
    }
    later: ["drill"]
}

/// A runbook as written. Reading it well does not mean that it makes sense: that is what `graph` proves.
#[derive(Clone, Debug)]
pub struct Runbook {
    source: Source,
    record: RunbookRecord,
}

impl Runbook {
    /// The text it was read from.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.record.runbook.value
    }

    /// The same runbook with other targets in the place of its own of the same name; names it does not have are left
    /// out, but for the members of a list. The spans of those targets belong to the text they came from.
    #[must_use]
    pub fn with_targets(&self, targets: &IndexMap<String, Target>) -> Self {
        let mut runbook = self.clone();
        let mut members = Vec::new();
        for (name, target) in &mut runbook.record.targets {
            if let Some(other) = targets.get(&name.value) {
                *target = other.clone();
                if let super::target::TargetPlace::Each(names) = &target.place {
                    members.extend(names.clone());
                }
            }
        }
        // A list that the environment gives brings its members along.
        for name in members {
            if let Some(other) = targets.get(&name.value).filter(|_| !runbook.record.targets.contains_key(&name)) {
                runbook.record.targets.insert(name, other.clone());
            }
        }
        runbook
    }

    /// Steps that run whatever happened.
    #[must_use]
    pub fn finally_steps(&self) -> &[Arc<Step>] {
        self.record.finally.as_deref().unwrap_or_default()
    }
}

impl std::ops::Deref for Runbook {
    type Target = RunbookRecord;

    fn deref(&self) -> &RunbookRecord {
        &self.record
    }
}

/// Reads a runbook. Every problem of the text is reported; a runbook comes back only when there is no error.
pub fn parse_runbook(source: &Source, problems: &mut Diagnostics) -> Option<Runbook> {
    let mut found = Diagnostics::new();
    let tree = parse_yaml(source, &mut found);
    let record = tree.and_then(|node| {
        let mut decoder = Decoder::new(source);
        let record = RunbookRecord::decode(&node, &mut decoder);
        if let Some(record) = &record {
            check_names(record, &mut decoder);
            check_alerts(&record.alerts.0, &mut decoder);
        }
        found.extend(decoder.problems);
        record
    });
    let failed = found.has_errors();
    problems.extend(found);
    if failed { None } else { record.map(|record| Runbook { source: source.clone(), record }) }
}

fn check_names(record: &RunbookRecord, decoder: &mut Decoder<'_>) {
    let id = &record.runbook;
    let fits = !id.value.is_empty()
        && id.value.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !fits {
        decoder.error_hint(
            "runbook-id",
            id.span,
            format!("`{}` cannot be a runbook's id", id.value),
            "lower-case letters, digits and dashes only",
        );
    }
    match (&record.refuse, record.steps.is_empty()) {
        (None, true) => decoder.error("no-steps", record.span, "this runbook has no steps"),
        (Some(refuse), false) => {
            decoder.error("stray-key", refuse.span, "`refuse` stands instead of `steps`: a runbook has one of them");
        }
        _ => {}
    }
    for name in record.inputs.keys().chain(record.targets.keys()).chain(record.outputs.keys()) {
        let fits = name.value.starts_with(|first: char| first.is_ascii_lowercase())
            && name.value.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !fits {
            decoder.error_hint(
                "name",
                name.span,
                format!("`{}` cannot be a name here", name.value),
                "a name starts with a lower-case letter and goes on with lower-case letters, digits and `_`",
            );
        }
    }
}
