//! What an alert's label may have put somewhere: inputs, and every value that is made of them.

use super::super::build::Flat;
use super::CheckContext;
use crate::expr::{Expr, Template};
use crate::runbook::{Action, Data, Runbook, Step, StepBody};
use std::collections::HashSet;

/// The names (inputs, steps, loop variables) that can hold what came from a label. What a program or a server answers is
/// not among them: only what the runbook itself makes of it.
pub(super) fn names(flat: &Flat, runbook: &Runbook, context: &CheckContext) -> HashSet<String> {
    let from_label = runbook.inputs.iter().filter(|(_, input)| {
        let from = input.from.as_ref();
        from.is_some_and(|from| from.label.is_some())
    });
    let mut names: HashSet<String> =
        from_label.map(|(name, _)| name.value.clone()).chain(context.tainted.iter().cloned()).collect();
    loop {
        let before = names.len();
        for (name, input) in &runbook.inputs {
            if input.default.as_ref().is_some_and(|default| reads(&in_data(default), &names)) {
                names.insert(name.value.clone());
            }
        }
        for node in &flat.nodes {
            if reads(&made_by(&node.step), &names) {
                names.insert(node.id.to_string());
            }
            if let Some(each) = node.step.each.as_ref().filter(|each| reads(&[&each.list], &names)) {
                names.insert(each.name.value.clone());
            }
        }
        if names.len() == before {
            return names;
        }
    }
}

fn reads(expressions: &[&Expr], names: &HashSet<String>) -> bool {
    let mut references = expressions.iter().flat_map(|expr| expr.references());
    references.any(|reference| reference.path.first().is_some_and(|root| names.contains(root)))
}

fn in_data(data: &Data) -> Vec<&Expr> {
    let mut templates = Vec::new();
    data.templates(&mut templates);
    templates.into_iter().flat_map(Template::expressions).collect()
}

/// The expressions whose values a step keeps.
fn made_by(step: &Step) -> Vec<&Expr> {
    let captures = step.capture.values().map(|rule| &rule.value);
    let own: Vec<&Expr> = match &step.body {
        StepBody::Action(Action::Set(values)) => values.values().collect(),
        StepBody::Action(Action::Runbook(call)) => call.inputs.values().flat_map(in_data).collect(),
        StepBody::Decide(decide) => decide.options.values().flat_map(|option| option.set.values()).collect(),
        _ => Vec::new(),
    };
    captures.chain(own).collect()
}
