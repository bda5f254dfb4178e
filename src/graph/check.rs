//! Checks what the words of a runbook mean together.

mod calls;
mod expressions;
mod gates;
mod kubectl;
mod logs;
mod mechanisms;
mod rules;
mod statements;
mod taint;
mod values;

use super::build::flatten;
use super::node::{NodeId, StepGraph};
use super::order::{lift, order, topological};
use crate::runbook::Runbook;
use crate::source::{Diagnostic, Diagnostics};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a check knows beside the runbook.
#[derive(Clone, Debug, Default)]
pub struct CheckContext {
    /// The ids of the library's runbooks, when there is a library.
    pub runbooks: Option<Vec<String>>,
    /// The names that environments give (`env.NAME`), when there is a library.
    pub environment_values: Option<Vec<String>>,
    /// The inputs that environments give, when there is a library.
    pub environment_inputs: Vec<String>,
    /// The runbooks that this one calls, by name; a name that is not here is no runbook.
    pub callees: BTreeMap<String, Callee>,
    /// The names that could be called, for a near miss.
    pub callable: Vec<String>,
    /// Inputs that count as if they came from an alert's label, because a caller gives them so.
    pub tainted: Vec<String>,
    /// The people who may approve, where that is known: without a library there is nobody.
    pub approvers: Option<crate::library::Approvers>,
    /// The day, for what goes stale.
    pub today: Option<jiff::civil::Date>,
}

/// A runbook that another one calls.
#[derive(Clone, Debug)]
pub enum Callee {
    /// It is in order.
    Checked(Arc<StepGraph>),
    /// It has problems of its own.
    Invalid,
    /// It comes back to the runbook that is checked: the whole ring, from a name to the same name.
    Ring(Vec<String>),
}

/// Checks a runbook. Every problem is reported; a graph comes back only when there is no error.
pub fn check(runbook: Arc<Runbook>, context: &CheckContext, problems: &mut Diagnostics) -> Option<StepGraph> {
    let mut found = Diagnostics::new();
    let mut flat = flatten(&runbook, &mut found);
    order(&mut flat, &runbook, &mut found);
    let reads = expressions::check(&mut flat, &runbook, context, &mut found);
    lift(&mut flat.nodes);
    calls::check(&flat, &runbook, context, &mut found);
    rules::check(&flat, &runbook, context, &mut found);
    gates::check(&flat.nodes, &runbook, context, &mut found);
    statements::check(&flat, &runbook, &mut found);
    let sorted = if found.has_errors() { None } else { Some(topological(&flat.nodes)) };
    if let Some(Err(ring)) = &sorted {
        found.push(ring_problem(&runbook, &flat.nodes, ring));
    }
    let failed = found.has_errors();
    problems.extend(found);
    match sorted {
        Some(Ok(order)) if !failed => {
            let called = context.callees.iter().filter_map(|(name, callee)| match callee {
                Callee::Checked(graph) => Some((name.clone(), graph.clone())),
                _ => None,
            });
            let called = called.collect();
            Some(StepGraph { runbook, nodes: flat.nodes, index: flat.index, order, called, reads })
        }
        _ => None,
    }
}

fn ring_problem(runbook: &Runbook, nodes: &[super::node::GraphNode], ring: &[NodeId]) -> Diagnostic {
    let mut names: Vec<&str> = ring.iter().map(|id| &*nodes[id.0].id).collect();
    names.extend(ring.first().map(|id| &*nodes[id.0].id));
    let at = ring.first().map(|id| nodes[id.0].step.id.span).unwrap_or_default();
    let mut problem = Diagnostic::error(
        runbook.source(),
        "ring",
        at,
        format!("these steps wait for one another: {}", names.join(" -> ")),
    )
    .hint("a step waits for what is written before it, for `needs`, and for every step whose values it uses");
    for id in ring.iter().skip(1).take(4) {
        problem = problem.also(nodes[id.0].step.id.span, "part of the ring");
    }
    problem
}
