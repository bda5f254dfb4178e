//! Inputs of a called runbook: what the call gives, and what only the outside can give.

use super::problem::InputProblem;
use super::resolve::{Earlier, ResolvedInput, Search, bad_value, missing, shown};
use super::sources::InputSources;
use super::typed::{Given, accept};
use crate::expr::{UnknownSort, Value, is_secret, unknown, unknown_of};
use crate::runbook::{Call, Runbook};
use indexmap::IndexMap;
use std::collections::{BTreeSet, HashSet};

/// Resolves those inputs of a called runbook, before a run, that its calls leave to the outside: the environment's
/// profile, labels, variables, files, programs, a question. Defaults are not among them, for they may read what a call
/// gives. `given` are the names that every call gives, or hands on.
pub fn resolve_called(
    runbook: &Runbook,
    given: &BTreeSet<String>,
    sources: &mut InputSources<'_>,
    problems: &mut Vec<InputProblem>,
) -> Vec<ResolvedInput> {
    let env = sources.environment.map(crate::library::Environment::env_value);
    let scope = Earlier { env, values: IndexMap::new(), now: sources.now, tainted: HashSet::new() };
    let mut resolved = Vec::new();
    for (name, input) in runbook.inputs.iter().filter(|(name, _)| !given.contains(&name.value)) {
        let mut search = Search { name, input, sources, scope: &scope, tried: Vec::new() };
        match search.outside() {
            Err(problem) => problems.push(*problem),
            Ok(Some(found)) => match accept(&name.value, input, found.given.clone()) {
                Ok(value) => resolved.push(ResolvedInput {
                    name: name.value.clone(),
                    is_secret: input.is_secret() || is_secret(&value),
                    value,
                    source: found.source,
                    tainted: found.tainted,
                }),
                Err(broken) => {
                    let shown = shown(input, &found.given);
                    problems.push(*bad_value(name, &found.source, &shown, broken));
                }
            },
            Ok(None) if input.default.is_some() || input.is_optional() => {}
            Ok(None) => {
                let tried = std::mem::take(&mut search.tried);
                let mut problem = *missing(name, &tried);
                problem.hint = Some("the step that calls this runbook can give it under `inputs:`".to_owned());
                problems.push(problem);
            }
        }
    }
    resolved
}

/// The values that a call writes out must be of the types that the called runbook declares; known before a run.
#[must_use]
pub fn check_call(call: &Call, callee: &Runbook) -> Vec<InputProblem> {
    let nothing =
        Earlier { env: None, values: IndexMap::new(), now: jiff::Timestamp::UNIX_EPOCH, tainted: HashSet::new() };
    let mut problems = Vec::new();
    for (name, data) in &call.inputs {
        let mut templates = Vec::new();
        data.templates(&mut templates);
        let is_plain = templates.iter().all(|template| template.literal().is_some());
        let Some(input) = callee.inputs.get(name.value.as_str()).filter(|_| is_plain) else { continue };
        let Ok(value) = data.value(&nothing) else { continue };
        let given = Given::Value(value);
        let text = shown(input, &given);
        if let Err(broken) = accept(&name.value, input, given) {
            problems.push(*bad_value(name, "this call", &text, broken));
        }
    }
    problems
}

/// The inputs of a called runbook when it is called: what the call gives, else what the outside gave before the run,
/// else the default.
///
/// # Errors
/// One line: the input and the rule that its value breaks.
pub(in crate::plan) fn call_inputs(
    runbook: &Runbook,
    given: &IndexMap<String, Value>,
    outside: &IndexMap<String, Value>,
    env: Value,
    now: jiff::Timestamp,
) -> Result<IndexMap<String, Value>, String> {
    let mut scope = Earlier { env: Some(env), values: IndexMap::new(), now, tainted: HashSet::new() };
    for (name, input) in &runbook.inputs {
        let value = if let Some(value) = given.get(&name.value) {
            if let Some(unknown) = unknown_of(value).filter(|_| !input.is_optional()) {
                return Err(format!("input `{name}` is unknown: {}", unknown.reason));
            }
            // Handing on a secret that nobody gave is giving none.
            if input.is_secret() && !is_secret(value) && unknown_of(value).is_none() {
                return Err(format!("input `{name}` is a secret, and the value given is none"));
            }
            Some((Given::Value(value.clone()), "the call"))
        } else if let Some(value) = outside.get(&name.value) {
            Some((Given::Value(value.clone()), "outside"))
        } else if let Some(default) = &input.default {
            let value = default.value(&scope);
            let value = value.map_err(|error| format!("input `{name}`: its default cannot be computed: {error}"))?;
            (!value.is_none()).then_some((Given::Value(value), "default"))
        } else {
            None
        };
        let value = match value {
            Some((given, source)) => {
                let text = shown(input, &given);
                accept(&name.value, input, given).map_err(|broken| bad_value(name, source, &text, broken).message)?
            }
            None if input.is_optional() || input.default.is_some() => {
                unknown(UnknownSort::Unobtained, format!("input `{name}` was not given"))
            }
            None => return Err(format!("input `{name}` has no value")),
        };
        scope.values.insert(name.value.clone(), value);
    }
    Ok(scope.values)
}
