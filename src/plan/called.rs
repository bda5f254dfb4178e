//! Called runbooks: what they need beside their graph, and the values they start with.

use super::input::call_inputs;
use super::resolve::Resolver;
use super::values::{StepScope, Values};
use crate::expr::{Scope, UnknownSort, Value, unknown, unknown_of};
use crate::graph::StepGraph;
use crate::runbook::{Call, Runbook, TargetPlace};
use indexmap::IndexMap;

/// What a called runbook needs beside its graph and what its call gives.
#[derive(Clone)]
pub struct Called {
    /// Resolves its acts.
    pub resolver: Resolver,
    /// The inputs that came from outside, by name: those that its calls do not give.
    pub inputs: IndexMap<String, Value>,
}

impl Called {
    /// The inputs of a call: what it gives, else what its caller has by that name, else what came from outside, else
    /// the default. `scope` is the view of the step that calls.
    ///
    /// # Errors
    /// One line: an input whose value is unknown or breaks a rule of its declaration.
    pub fn inputs(
        &self,
        call: &Call,
        (caller, callee): (&Runbook, &Runbook),
        scope: &StepScope,
    ) -> Result<IndexMap<String, Value>, String> {
        let value = |(name, data): (&crate::source::Sp<String>, &crate::runbook::Data)| {
            let value = data.value(scope).map_err(|error| format!("input `{}`: {error}", name.value))?;
            Ok::<_, String>((name.value.clone(), value))
        };
        let mut given: IndexMap<_, _> = call.inputs.iter().map(value).collect::<Result<_, _>>()?;
        for (name, ours, _) in call.handed_on(caller, callee) {
            let value = scope.lookup(&name.value).filter(|value| !ours.is_optional() || unknown_of(value).is_none());
            given.extend(value.map(|value| (name.value.clone(), value)));
        }
        call_inputs(callee, &given, &self.inputs, root(scope, "env"), scope.now())
    }

    /// The inputs of a call as far as they are known before the run.
    #[must_use]
    pub fn planned_inputs(
        &self,
        call: &Call,
        (caller, callee): (&Runbook, &Runbook),
        scope: &StepScope,
    ) -> IndexMap<String, Value> {
        let known = self.inputs(call, (caller, callee), scope);
        known.unwrap_or_else(|_| {
            let value = |name: &str| {
                let given = call.inputs.get(name).and_then(|data| data.value(scope).ok());
                let given = given.or_else(|| caller.inputs.contains_key(name).then(|| scope.lookup(name)).flatten());
                let not_yet = || unknown(UnknownSort::NotYet, format!("the call gives `{name}`"));
                given.or_else(|| self.inputs.get(name).cloned()).unwrap_or_else(not_yet)
            };
            callee.inputs.keys().map(|name| (name.value.clone(), value(&name.value))).collect()
        })
    }
}

/// The values that a called runbook starts with: its inputs, its targets, the environment and the run; nothing else of
/// its caller.
#[must_use]
pub fn called_values(
    graph: &StepGraph,
    inputs: IndexMap<String, Value>,
    caller: &StepScope,
    absent: UnknownSort,
) -> Values {
    let mut roots = inputs;
    roots.extend(["env", "run"].map(|name| (name.to_owned(), root(caller, name))));
    roots.insert("targets".to_owned(), target_names(graph.runbook()));
    let values = Values::new(roots, graph.nodes().iter().map(|node| node.id.to_string()), absent);
    match caller.earlier() {
        Some(earlier) => values.with_earlier(earlier),
        None => values,
    }
}

fn root(scope: &StepScope, name: &str) -> Value {
    scope.lookup(name).unwrap_or_else(|| unknown(UnknownSort::Unobtained, format!("`{name}` is not there")))
}

/// `targets.NAME`: the names of a list of targets, or the name itself.
#[must_use]
pub fn target_names(runbook: &Runbook) -> Value {
    let names = runbook.targets.iter().map(|(name, target)| {
        let value = match &target.place {
            TargetPlace::Each(names) => {
                Value::from(names.iter().map(|name| Value::from(name.value.clone())).collect::<Vec<_>>())
            }
            _ => Value::from(name.value.clone()),
        };
        (name.value.clone(), value)
    });
    Value::from_pairs(names.collect::<Vec<_>>())
}
