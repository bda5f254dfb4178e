//! Calls: the runbook that a step calls must be there, and the call must fit it.

use super::super::build::Flat;
use super::super::names::{input_shape, type_shape};
use super::super::node::{GraphNode, StepGraph};
use super::{Callee, CheckContext};
use crate::expr::Shape;
use crate::runbook::{Action, Call, Data, Input, Kind, Runbook};
use crate::source::{Diagnostic, Diagnostics, Sp};

pub(super) fn check(flat: &Flat, runbook: &Runbook, context: &CheckContext, problems: &mut Diagnostics) {
    let mut calls = Calls { runbook, context, problems };
    for node in &flat.nodes {
        if let Some(Action::Runbook(call)) = node.step.action() {
            calls.call(node, call);
        }
    }
}

struct Calls<'a> {
    runbook: &'a Runbook,
    context: &'a CheckContext,
    problems: &'a mut Diagnostics,
}

impl Calls<'_> {
    fn error(&mut self, code: &'static str, span: crate::source::Span, message: String, hint: &str) {
        let problem = Diagnostic::error(self.runbook.source(), code, span, message);
        self.problems.push(if hint.is_empty() { problem } else { problem.hint(hint) });
    }

    fn call(&mut self, node: &GraphNode, call: &Call) {
        self.stray(node, call);
        let name = &call.name;
        match self.context.callees.get(&name.value) {
            None => {
                let message = format!("there is no runbook `{}` to call", name.value);
                let known = self.context.callable.iter().map(String::as_str);
                let problem = Diagnostic::error(self.runbook.source(), "unknown-runbook", name.span, message);
                self.problems.push(problem.near(&name.value, known));
            }
            Some(Callee::Ring(ring)) => {
                let message = format!("these runbooks call one another: {}", ring.join(" -> "));
                self.error(
                    "call-ring",
                    name.span,
                    message,
                    "a call must come to an end; move what both need into a third runbook",
                );
            }
            Some(Callee::Invalid) => {
                let message = format!("`{}` has problems of its own and cannot be called", name.value);
                let hint = format!("`runwright check {}` shows them", name.value);
                self.error("invalid-callee", name.span, message, &hint);
            }
            Some(Callee::Checked(graph)) => self.fits(node, call, &graph.clone()),
        }
    }

    /// Keys that say something about one act: the steps of the called runbook say it of theirs.
    fn stray(&mut self, node: &GraphNode, call: &Call) {
        let step = &node.step;
        let change = step.change.as_ref();
        let given = [
            ("risk", change.is_some_and(|change| change.has_own_risk)),
            ("gate", change.is_some_and(|change| change.gate.is_some())),
            ("preview", change.is_some_and(|change| change.preview.is_some())),
            ("verify", change.is_some_and(|change| change.verify.is_some())),
            ("undo", change.is_some_and(|change| change.undo.is_some())),
            ("irreversible", change.is_some_and(|change| change.irreversible.is_some())),
            ("temporary", change.is_some_and(|change| change.temporary.is_some())),
            ("retry", step.retry.is_some()),
            ("until", step.until.is_some()),
            ("hold", step.hold.is_some()),
            ("timeout", step.timeout.is_some()),
            ("tolerate", !step.tolerate.is_empty()),
        ];
        for (key, _) in given.into_iter().filter(|(_, given)| *given) {
            let message =
                format!("`{key}` has no meaning on a call: the steps of `{}` have their own", call.name.value);
            self.error("stray-key", call.span, message, "");
        }
        if step.each.is_some() {
            let message = "a call has no `for_each` of its own".to_owned();
            self.error("stray-key", call.span, message, "put it into a `group` with `for_each`");
        }
    }

    fn fits(&mut self, node: &GraphNode, call: &Call, callee: &StepGraph) {
        let name = &call.name;
        if let Some(reason) = &callee.runbook().refuse {
            let message = format!("`{}` is never performed: {}", name.value, reason.value);
            self.error("refused-callee", name.span, message, "");
        }
        if callee.has_change() && node.step.kind != Kind::Remediate {
            let message =
                format!("`{}` changes something, and a {} step only reads", name.value, node.step.kind.as_str());
            self.error("call-changes", name.span, message, "use `remediate`; its steps keep their own gates");
        }
        let inputs = &callee.runbook().inputs;
        for (given, value) in &call.inputs {
            match inputs.get(given.value.as_str()) {
                Some(input) => self.value(given, input, value),
                None => {
                    let message = format!("`{}` has no input `{}`", name.value, given.value);
                    let known = inputs.keys().map(|name| name.value.as_str());
                    let problem = Diagnostic::error(self.runbook.source(), "call-input", given.span, message);
                    self.problems.push(problem.near(&given.value, known));
                }
            }
        }
        let missing: Vec<_> = inputs
            .iter()
            .filter(|(input, _)| !call.inputs.contains_key(input.value.as_str()))
            .filter(|(input, declared)| self.must_be_given(&input.value, declared))
            .map(|(input, _)| format!("`{}`", input.value))
            .collect();
        if !missing.is_empty() {
            let message = format!("`{}` needs {}, which this call does not give", name.value, missing.join(" and "));
            self.error("call-input", call.span, message, "give it under `inputs:`");
        }
    }

    /// Whether an input has no other source than the call.
    fn must_be_given(&self, name: &str, input: &Input) -> bool {
        let from_environment = self.context.environment_inputs.iter().any(|known| known == name);
        input.default.is_none() && !input.is_optional() && input.from.is_none() && !from_environment
    }

    /// A value whose type can be seen already must be of the input's type.
    fn value(&mut self, name: &Sp<String>, input: &Input, value: &Data) {
        let wanted = type_shape(input.kind, input.of);
        let is = match value {
            Data::Boolean(_) => Shape::Boolean,
            Data::Integer(_) | Data::Number(_) => Shape::Number,
            Data::List(_) => Shape::List(Box::new(Shape::Any)),
            Data::Map(_) => Shape::Map,
            // A text is read by the rules of its type, and a template keeps the type of its value.
            Data::Text(_) | Data::Null => return,
        };
        let fits = match (&wanted, &is) {
            (Shape::List(_), Shape::List(_)) | (Shape::Number, Shape::Number) | (Shape::Boolean, Shape::Boolean) => {
                true
            }
            _ => false,
        };
        if input_shape(input) == Shape::Secret {
            let message = format!("`{}` is a secret, and a secret is not written into a runbook", name.value);
            self.error("call-input", name.span, message, "hand on a secret input: \"{{ name }}\"");
        } else if !fits {
            let message =
                format!("`{}` is {}, and this is {}", name.value, input.kind.as_str(), super::shape_word(&is));
            self.error("call-input", name.span, message, "");
        }
    }
}
