//! Environments: named sets of values, targets and gate policy.

use crate::expr::{Scope, Value};
use crate::runbook::{Data, Decoder, DurationSpec, Target, record, words};
use crate::source::Sp;
use indexmap::IndexMap;

words! {
    /// What an environment asks before a change of one risk.
    pub enum GateRule = "a gate rule" {
        /// Nothing.
        Pass = "pass",
        /// A yes.
        Confirm = "confirm",
        /// The target's name, typed.
        Type = "type",
    }
}

record! {
    /// What is asked before a change, by risk. What is left out follows the built-in policy.
    pub struct GateRules = "gates" {
        /// Before a change of low risk.
        may low = "low": GateRule,
        /// Before a change of medium risk.
        may medium = "medium": GateRule,
        /// Before a change of high risk.
        may high = "high": GateRule,
        /// Before a change that cannot be undone.
        may irreversible = "irreversible": GateRule,
    }
}

record! {
    /// A named set of values, inputs, targets and gate policy.
    pub(super) struct EnvironmentRecord = "environment" {
        /// One line about it.
        may description = "description": Sp<String>,
        /// Whether it is production (default: true).
        may production = "production": Sp<bool>,
        /// What is asked before a change, by risk.
        may gates = "gates": GateRules,
        /// How old evidence may be when a run is taken up again (default: 15m); older is marked, and no flag answers.
        may stale_after = "stale_after": DurationSpec,
        /// Values that expressions read as `env.NAME`.
        with values = "values": IndexMap<Sp<String>, Data>,
        /// Values of inputs by name; they outrank labels, variables, files and defaults.
        with inputs = "inputs": IndexMap<Sp<String>, Data>,
        /// Targets by name; they take the place of a runbook's target of the same name.
        with targets = "targets": IndexMap<Sp<String>, Target>,
    }
    later: ["proxy", "notify"]
}

/// A named set of values, inputs, targets and gate policy.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Its name.
    pub name: String,
    /// One line about it.
    pub description: Option<String>,
    /// Whether it is production; it is unless the file says otherwise.
    pub production: bool,
    /// What is asked before a change, by risk.
    pub gates: GateRules,
    /// How old evidence may be when a run is taken up again, when the file says so.
    pub stale_after: Option<std::time::Duration>,
    /// What expressions read as `env.NAME`.
    pub values: IndexMap<String, Value>,
    /// Values of inputs by name.
    pub inputs: IndexMap<String, Value>,
    /// Targets by name.
    pub targets: IndexMap<String, Target>,
}

impl Environment {
    /// The map that expressions see as `env`.
    #[must_use]
    pub fn env_value(&self) -> Value {
        Value::from_pairs(self.values.iter().map(|(name, value)| (name.clone(), value.clone())))
    }

    /// Makes sense of a record; problems go to the decoder.
    pub(super) fn of(name: &Sp<String>, record: &EnvironmentRecord, decoder: &mut Decoder<'_>) -> Self {
        check_name(name, decoder);
        let production = record.production.as_ref().is_none_or(|production| production.value);
        let none = GateRules { span: record.span, low: None, medium: None, high: None, irreversible: None };
        let gates = record.gates.clone().unwrap_or(none);
        if production {
            check_gates(&name.value, &gates, decoder);
        }
        Self {
            name: name.value.clone(),
            description: record.description.as_ref().map(|text| text.value.clone()),
            production,
            gates,
            stale_after: record.stale_after.as_ref().and_then(|spec| fixed(spec, decoder)),
            values: written_out(&record.values, decoder),
            inputs: written_out(&record.inputs, decoder),
            targets: record.targets.iter().map(|(name, target)| (name.value.clone(), target.clone())).collect(),
        }
    }
}

/// A duration that is written out.
fn fixed(spec: &DurationSpec, decoder: &mut Decoder<'_>) -> Option<std::time::Duration> {
    if let Some(expression) = spec.expression() {
        decoder.error_hint(
            "environment-template",
            expression.span(),
            "`stale_after` holds an expression; the values of an environment are written out",
            "write it like 15m",
        );
    }
    spec.fixed()
}

fn check_name(name: &Sp<String>, decoder: &mut Decoder<'_>) {
    let fits = !name.value.is_empty()
        && name.value.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !fits {
        decoder.error_hint(
            "environment-name",
            name.span,
            format!("`{}` cannot be the name of an environment", name.value),
            "lower-case letters, digits and dashes only",
        );
    }
}

/// A production environment may let only changes of low risk pass unasked.
fn check_gates(environment: &str, gates: &GateRules, decoder: &mut Decoder<'_>) {
    let rows = [("medium", gates.medium), ("high", gates.high), ("irreversible", gates.irreversible)];
    for (risk, policy) in rows {
        if policy == Some(GateRule::Pass) {
            decoder.error_hint(
                "production-gate",
                gates.span,
                format!("`{environment}` is production: `{risk}: pass` would let changes happen without anybody asked"),
                "write `confirm` or `type`, or `production: false` if it really is not",
            );
        }
    }
}

/// Values of an environment stand for themselves: nothing is there yet that an expression in them could read.
fn written_out(data: &IndexMap<Sp<String>, Data>, decoder: &mut Decoder<'_>) -> IndexMap<String, Value> {
    let mut values = IndexMap::new();
    for (name, data) in data {
        let mut templates = Vec::new();
        data.templates(&mut templates);
        if let Some(template) = templates.iter().find(|template| template.literal().is_none()) {
            decoder.error_hint(
                "environment-template",
                template.span(),
                format!("`{}` holds an expression; the values of an environment are written out", name.value),
                "compute it in the runbook, or write the value itself",
            );
            continue;
        }
        match data.value(&Nothing) {
            Ok(value) => {
                values.insert(name.value.clone(), value);
            }
            Err(problem) => decoder.error("environment-value", problem.span, problem.message),
        }
    }
    values
}

/// A scope without names.
struct Nothing;

impl Scope for Nothing {
    fn lookup(&self, _name: &str) -> Option<Value> {
        None
    }

    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }
}
