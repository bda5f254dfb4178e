//! What a runbook asks of its gates: that it makes sense together, and that there are people who can answer.

use super::super::node::GraphNode;
use super::CheckContext;
use crate::runbook::{Gate, Runbook};
use crate::source::{Diagnostic, Diagnostics, Span};
use std::collections::BTreeSet;
use std::time::Duration;

/// More people than that are a list nobody reads.
const MOST: i64 = 16;

pub(super) fn check(nodes: &[GraphNode], runbook: &Runbook, context: &CheckContext, problems: &mut Diagnostics) {
    let mut gates = Gates { runbook, context, problems };
    let asked = nodes.iter().filter_map(|node| node.step.change.as_ref()?.gate.as_ref());
    asked.for_each(|gate| gates.gate(gate));
}

struct Gates<'a> {
    runbook: &'a Runbook,
    context: &'a CheckContext,
    problems: &'a mut Diagnostics,
}

impl Gates<'_> {
    fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(Diagnostic::error(self.runbook.source(), code, span, message).hint(hint));
    }

    fn gate(&mut self, gate: &Gate) {
        if let Some(confirm) = gate.confirm.as_ref().filter(|confirm| !confirm.value) {
            let hint = "leave it out; an environment says what it lets pass (`gates:` in runwright.yaml)";
            self.error("gate-terms", confirm.span, "`confirm: false` asks for nothing: a gate is a floor", hint);
        }
        if let Some(expires) = gate.expires.as_ref().filter(|expires| expires.fixed() == Some(Duration::ZERO)) {
            let span = match expires {
                crate::runbook::DurationSpec::Fixed(_, span) => *span,
                crate::runbook::DurationSpec::Computed(expr) => expr.span(),
            };
            self.error("gate-terms", span, "this gate expires before anybody can answer", "say how long, such as 30m");
        }
        match &gate.approvals {
            None => self.no_approvals(gate),
            Some(approvals) if !(1..=MOST).contains(&approvals.value) => {
                let message = format!("a gate cannot want {} approvals", approvals.value);
                self.error("gate-terms", approvals.span, message, format!("say a number from 1 to {MOST}"));
            }
            Some(approvals) => self.approvals(gate, approvals.value, approvals.span),
        }
    }

    /// Words about approvals say nothing where none is wanted.
    fn no_approvals(&mut self, gate: &Gate) {
        let from = gate.from.0.first().map(|group| ("from", group.span));
        let not = gate.not_operator.as_ref().map(|not| ("not_operator", not.span));
        for (key, span) in from.into_iter().chain(not) {
            let message = format!("`{key}` says whose approvals count, and this gate wants none");
            self.error("gate-terms", span, message, "say how many: `approvals: 1`");
        }
    }

    fn approvals(&mut self, gate: &Gate, wanted: i64, span: Span) {
        let mut seen = BTreeSet::new();
        for group in gate.from.0.iter().filter(|group| !seen.insert(group.value.clone())) {
            self.error("gate-terms", group.span, format!("`{}` stands here twice", group.value), "name a group once");
        }
        // A record says nothing of people it did not need.
        let Some(approvers) = self.context.approvers.as_ref() else { return };
        let mut is_known = true;
        for group in gate.from.0.iter().filter(|group| !approvers.groups().any(|name| name == group.value)) {
            is_known = false;
            let message = format!("`{}` is not a group of runwright.yaml", group.value);
            let problem = Diagnostic::error(self.runbook.source(), "unknown-group", group.span, message);
            let near = problem.near(&group.value, approvers.groups());
            let hint = "write it under `groups:`, with its people and their keys under `approvers:`";
            self.problems.push(if near.hint.is_some() { near } else { near.hint(hint) });
        }
        let groups: Vec<String> = gate.from.0.iter().map(|group| group.value.clone()).collect();
        let people = approvers.members(&groups).len();
        if is_known && i64::try_from(people).is_ok_and(|people| people < wanted) {
            let of = if groups.is_empty() { "`approvers`".to_owned() } else { groups.join(", ") };
            let approvals = if wanted == 1 { "an approval".to_owned() } else { format!("{wanted} approvals") };
            let people = match people {
                0 => "nobody".to_owned(),
                1 => "one person".to_owned(),
                many => format!("{many} people"),
            };
            let message = format!("this gate wants {approvals}, and {of} has {people}: it can never be passed");
            let hint = "write more people under `approvers:` in runwright.yaml, or ask for fewer";
            self.error("too-few-approvers", span, message, hint);
        }
    }
}
