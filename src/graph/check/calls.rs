//! Calls: the runbook that a step calls must be there, and the call must fit it.

use super::super::build::Flat;
use super::super::node::{GraphNode, StepGraph};
use super::{Callee, CheckContext};
use crate::expr::Expr;
use crate::runbook::{Action, Call, Data, Input, Kind, Runbook, Undo};
use crate::source::{Diagnostic, Diagnostics, Sp};
use std::collections::HashSet;

pub(super) fn check(flat: &Flat, runbook: &Runbook, context: &CheckContext, problems: &mut Diagnostics) {
    let mut calls = Calls { runbook, context, tainted: super::taint::names(flat, runbook, context), problems };
    for node in &flat.nodes {
        calls.parts(node);
        if let Some(Action::Runbook(call)) = node.step.action() {
            calls.call(node, call);
        }
    }
}

struct Calls<'a> {
    runbook: &'a Runbook,
    context: &'a CheckContext,
    /// The names that can hold what came from a label.
    tainted: HashSet<String>,
    problems: &'a mut Diagnostics,
}

impl Calls<'_> {
    fn error(&mut self, code: &'static str, span: crate::source::Span, message: String, hint: &str) {
        let problem = Diagnostic::error(self.runbook.source(), code, span, message);
        self.problems.push(if hint.is_empty() { problem } else { problem.hint(hint) });
    }

    /// A call is a step: nothing waits for a body in a part of one.
    fn parts(&mut self, node: &GraphNode) {
        let step = &node.step;
        let change = step.change.as_ref();
        let undo = change.and_then(|change| change.undo.as_ref()).into_iter().flat_map(Undo::probes);
        let ready = match step.action() {
            Some(Action::Service(service)) => service.ready.as_ref(),
            _ => None,
        };
        let parts = [
            ("preview", change.and_then(|change| change.preview.as_deref())),
            ("verify", change.and_then(|change| change.verify.as_deref())),
            ("ready", ready.map(|ready| &**ready)),
        ];
        let parts = parts.into_iter().filter_map(|(key, probe)| Some((key, probe?)));
        for (key, probe) in parts.chain(undo.map(|(probe, _)| ("undo", probe))) {
            if let Action::Runbook(call) = &probe.action {
                let message = format!("a runbook cannot be called in `{key}`");
                self.error("call-place", call.span, message, "a call is a step of its own");
            }
        }
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
            ("keep", change.is_some_and(|change| change.keep.is_some())),
            ("idempotent", change.is_some_and(|change| change.idempotent)),
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
            if let Some(input) = inputs.get(given.value.as_str()) {
                self.value(given, input, value);
                let mut templates = Vec::new();
                value.templates(&mut templates);
                let roots = templates.iter().flat_map(|template| template.expressions()).flat_map(Expr::references);
                self.label(given, roots.filter_map(|reference| reference.path.first().cloned()), callee);
                continue;
            }
            let message = format!("`{}` has no input `{}`", name.value, given.value);
            let known = inputs.keys().map(|name| name.value.as_str());
            let problem = Diagnostic::error(self.runbook.source(), "call-input", given.span, message);
            self.problems.push(problem.near(&given.value, known));
        }
        let mut certain = Vec::new();
        for (input, ours, theirs) in call.handed_on(self.runbook, callee.runbook()) {
            self.same(input, ours, theirs, call);
            let place = Sp::new(input.value.clone(), call.name.span);
            self.label(&place, std::iter::once(input.value.clone()), callee);
            certain.extend((!ours.is_optional()).then_some(input.value.as_str()));
        }
        let missing: Vec<_> = inputs
            .iter()
            .filter(|(input, _)| !call.inputs.contains_key(input.value.as_str()))
            .filter(|(input, _)| !certain.contains(&input.value.as_str()))
            .filter(|(input, declared)| self.must_be_given(&input.value, declared))
            .map(|(input, _)| format!("`{}`", input.value))
            .collect();
        if !missing.is_empty() {
            let message = format!("`{}` needs {}, which this call does not give", name.value, missing.join(" and "));
            self.error("call-input", call.span, message, "give it under `inputs:`");
        }
    }

    /// What is handed on by itself is the same thing on both sides.
    fn same(&mut self, name: &Sp<String>, ours: &Input, theirs: &Input, call: &Call) {
        let words = |input: &Input| {
            let secret = if input.is_secret() { "a secret of" } else { "of" };
            format!("{secret} the type {}", input.kind.as_str())
        };
        if words(ours) != words(theirs) {
            let message = format!(
                "`{name}` would be handed on, but here it is {}, and in `{}` it is {}",
                words(ours),
                call.name.value,
                words(theirs)
            );
            self.error("call-input", call.name.span, message, "give it under `inputs:`, or call one of them otherwise");
        }
    }

    /// What may come from an alert's label must not steer where the called runbook acts. `roots` are the names that the
    /// value is made of.
    fn label(&mut self, given: &Sp<String>, mut roots: impl Iterator<Item = String>, callee: &StepGraph) {
        let Some(root) = roots.find(|name| self.tainted.contains(name)) else { return };
        let callees = callee.all_called().into_iter().map(|(name, graph)| (name, Callee::Checked(graph)));
        let context =
            CheckContext { tainted: vec![given.value.clone()], callees: callees.collect(), ..CheckContext::default() };
        let mut found = Diagnostics::new();
        super::check(callee.runbook().clone(), &context, &mut found);
        if found.sorted().iter().any(|problem| problem.code == "tainted-target") {
            let message = format!(
                "`{root}` can come from an alert's label, and `{}` of `{}` steers where that runbook acts",
                given.value,
                callee.runbook().id()
            );
            self.error(
                "tainted-target",
                given.span,
                message,
                "labels are written by whoever can send metrics; take this value from the environment or the command line",
            );
        }
    }

    /// Whether an input has no other source than the call.
    fn must_be_given(&self, name: &str, input: &Input) -> bool {
        let from_environment = self.context.environment_inputs.iter().any(|known| known == name);
        input.default.is_none() && !input.is_optional() && input.from.is_none() && !from_environment
    }

    /// A secret is handed on; it is not written out. Types are checked by the rules of inputs, where they are kept.
    fn value(&mut self, name: &Sp<String>, input: &Input, value: &Data) {
        let mut templates = Vec::new();
        value.templates(&mut templates);
        if input.is_secret() && templates.iter().all(|template| template.literal().is_some()) {
            let message = format!("`{}` is a secret, and a secret is not written into a runbook", name.value);
            self.error("call-input", name.span, message, "hand on a secret input of this runbook");
        }
    }
}
