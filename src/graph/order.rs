//! The order rule: reads run together, writes run alone, in the order written (`format.md` 5, ruling 26).

use super::build::Flat;
use super::node::{GraphNode, NodeId, Parent};
use crate::runbook::{Action, Kind, Runbook, Step};
use crate::source::{Diagnostic, Diagnostics};
use petgraph::algo::{kosaraju_scc, toposort};
use petgraph::graph::{DiGraph, NodeIndex};

/// Whether a step is ordered like a read. Pauses, questions and polls of a diagnose are ordered like a decision.
pub(super) fn is_free_read(step: &Step) -> bool {
    let polls = step.kind == Kind::Diagnose && (step.until.is_some() || step.hold.is_some());
    step.kind.is_read() && !polls && step.background.is_none() && !step.action().is_some_and(Action::is_ordered)
}

fn is_ask(step: &Step) -> bool {
    matches!(step.action(), Some(Action::Ask(_)))
}

/// Fills in what each step waits for because of the written order and of `needs`.
pub(super) fn order(flat: &mut Flat, runbook: &Runbook, problems: &mut Diagnostics) {
    let lists = std::mem::take(&mut flat.lists);
    for list in &lists {
        order_list(flat, list, runbook, problems);
    }
    flat.lists = lists;
}

/// Walks one list. `writes` are the earlier non-reads that no later one covers; `reads` are the reads since the last
/// non-read that waits for everything.
fn order_list(flat: &mut Flat, list: &[NodeId], runbook: &Runbook, problems: &mut Diagnostics) {
    let mut writes: Vec<NodeId> = Vec::new();
    let mut reads: Vec<NodeId> = Vec::new();
    let mut form: Option<Vec<NodeId>> = None;
    let holder = list.first().and_then(|first| flat.nodes[first.0].parent);
    let together = matches!(holder, Some(Parent::Group(id)) if flat.nodes[id.0].step.parallel.is_some());
    for &id in list {
        let step = flat.nodes[id.0].step.clone();
        let free_read = is_free_read(&step);
        let ask = is_ask(&step);
        let after = match &step.needs {
            Some(needs) => needed(flat, id, needs, runbook, problems),
            None if together => Vec::new(),
            None if free_read => writes.clone(),
            // Neighbouring questions are one form: each waits for what the first of them waits for.
            None if ask && form.is_some() => form.clone().unwrap_or_default(),
            None => writes.iter().chain(&reads).copied().collect(),
        };
        let covers_all = step.needs.is_none() && !free_read;
        if covers_all && !(ask && form.is_some()) {
            writes.clear();
            reads.clear();
            form = ask.then(|| after.clone());
        } else if !ask {
            form = None;
        }
        if free_read {
            reads.push(id);
        } else {
            writes.push(id);
        }
        flat.nodes[id.0].after = after;
    }
}

fn needed(
    flat: &Flat,
    from: NodeId,
    needs: &[crate::source::Sp<String>],
    runbook: &Runbook,
    problems: &mut Diagnostics,
) -> Vec<NodeId> {
    let mut found = Vec::new();
    let step = &flat.nodes[from.0].step;
    for name in needs {
        if let Some(&id) = flat.index.get(name.value.as_str()) {
            match hidden_by(&flat.nodes, Some(from), id) {
                None => found.push(id),
                Some(holder) => problems.push(inside_loop(runbook, &flat.nodes, id, holder, name.span)),
            }
        } else {
            let message = format!("step `{}` needs `{}`, which is not in this runbook", step.id.value, name.value);
            problems.push(
                Diagnostic::error(runbook.source(), "unknown-step", name.span, message)
                    .label("no step has this id")
                    .near(&name.value, flat.index.keys().map(|key| &**key)),
            );
        }
    }
    found
}

/// The loop in which a step stands that another one cannot see into.
pub(super) fn hidden_by(nodes: &[GraphNode], from: Option<NodeId>, step: NodeId) -> Option<NodeId> {
    let loops = |id: NodeId| std::iter::successors(nodes[id.0].item_of, |holder| nodes[holder.0].item_of);
    let own: Vec<_> = from.into_iter().flat_map(loops).collect();
    loops(step).filter(|holder| !own.contains(holder)).last()
}

/// A step inside a loop is as many steps as there are items: from outside none of them is meant.
pub(super) fn inside_loop(
    runbook: &Runbook,
    nodes: &[GraphNode],
    step: NodeId,
    holder: NodeId,
    span: crate::source::Span,
) -> Diagnostic {
    let (id, holder) = (&nodes[step.0].id, &nodes[holder.0].id);
    let message = format!("`{id}` stands inside the loop `{holder}`, and is another step for each item");
    let hint = format!(
        "from outside, `{holder}.results` has the items: a list of {{item, outcome, error, captures}} with \
         `captures.{id}.NAME`; to come after them, wait for `{holder}`"
    );
    Diagnostic::error(runbook.source(), "inside-loop", span, message).hint(hint)
}

/// Before a loop starts everything must be over that its inside refers to: the items find it there.
pub(super) fn lift(nodes: &mut [GraphNode]) {
    // Loops further inside come later in the document, and are lifted first.
    for place in (0..nodes.len()).rev() {
        let Some(holder) = nodes[place].item_of else { continue };
        let is_outside = |other: &NodeId| *other != holder && !is_inside(nodes, *other, holder);
        let mut lifted: Vec<NodeId> =
            nodes[place].after.iter().chain(&nodes[place].uses).copied().filter(is_outside).collect();
        lifted.retain(|&other| !is_inside(nodes, holder, other) && !nodes[holder.0].uses.contains(&other));
        nodes[holder.0].uses.extend(lifted);
    }
}

/// An order of all steps, or the ring that prevents it.
///
/// A holder has two moments: it opens (what it holds may start) and it is joined (all of that is over). A step that
/// waits for a holder waits for the join, unless it stands inside.
pub(super) fn topological(nodes: &[GraphNode]) -> Result<Vec<NodeId>, Vec<NodeId>> {
    let mut graph: DiGraph<NodeId, ()> = DiGraph::with_capacity(nodes.len() * 2, nodes.len() * 4);
    let opens: Vec<NodeIndex> = (0..nodes.len()).map(|id| graph.add_node(NodeId(id))).collect();
    let joins: Vec<NodeIndex> = (0..nodes.len())
        .map(|id| if nodes[id].children.is_empty() { opens[id] } else { graph.add_node(NodeId(id)) })
        .collect();
    for (place, node) in nodes.iter().enumerate() {
        if joins[place] != opens[place] {
            graph.add_edge(opens[place], joins[place], ());
        }
        if let Some(parent) = node.parent {
            let holder = parent.id().0;
            graph.add_edge(opens[holder], opens[place], ());
            graph.add_edge(joins[place], joins[holder], ());
        }
        for &before in node.after.iter().chain(&node.uses) {
            let inside = is_inside(nodes, NodeId(place), before);
            graph.add_edge(if inside { opens[before.0] } else { joins[before.0] }, opens[place], ());
        }
    }
    if let Ok(sorted) = toposort(&graph, None) {
        let mut seen = vec![false; nodes.len()];
        let order = sorted.into_iter().map(|index| graph[index]);
        return Ok(order.filter(|id| !std::mem::replace(&mut seen[id.0], true)).collect());
    }
    Err(ring(&graph))
}

/// Whether `inner` stands somewhere inside `outer`.
pub(super) fn is_inside(nodes: &[GraphNode], inner: NodeId, outer: NodeId) -> bool {
    std::iter::successors(nodes[inner.0].parent, |parent| nodes[parent.id().0].parent)
        .map(Parent::id)
        .any(|holder| holder == outer)
}

/// One ring of a graph that has one, each step once.
fn ring(graph: &DiGraph<NodeId, ()>) -> Vec<NodeId> {
    // kosaraju is iterative; tarjan recurses and overflows the stack on a chain of ten thousand steps.
    let knot = kosaraju_scc(graph)
        .into_iter()
        .find(|knot| knot.len() > 1 || knot.first().is_some_and(|&only| graph.contains_edge(only, only)));
    let Some(knot) = knot else { return Vec::new() };
    let inside: std::collections::HashSet<_> = knot.iter().copied().collect();
    let Some(&start) = knot.iter().min() else { return Vec::new() };
    let mut came: std::collections::HashMap<NodeIndex, NodeIndex> = std::collections::HashMap::new();
    let mut queue = std::collections::VecDeque::from([start]);
    let mut last = start;
    'search: while let Some(at) = queue.pop_front() {
        for next in graph.neighbors(at).filter(|next| inside.contains(next)) {
            if next == start {
                last = at;
                break 'search;
            }
            if let std::collections::hash_map::Entry::Vacant(e) = came.entry(next) {
                e.insert(at);
                queue.push_back(next);
            }
        }
    }
    let mut path = vec![graph[last]];
    while last != start {
        let Some(&before) = came.get(&last) else { break };
        last = before;
        path.push(graph[last]);
    }
    path.reverse();
    path.dedup();
    path
}
