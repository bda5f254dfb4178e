//! The graph as text, Mermaid and DOT.

use super::node::{GraphNode, NodeId, Parent, StepGraph};
use crate::runbook::StepBody;
use std::fmt::Write;

/// A form of drawing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GraphFormat {
    /// An indented list with what each step waits for.
    #[default]
    Text,
    /// A Mermaid flow chart.
    Mermaid,
    /// Graphviz.
    Dot,
}

/// Draws a graph.
#[must_use]
pub fn draw(graph: &StepGraph, format: GraphFormat) -> String {
    match format {
        GraphFormat::Text => text(graph),
        GraphFormat::Mermaid => mermaid(graph),
        GraphFormat::Dot => dot(graph),
    }
}

/// What a step waits for, without what other entries imply, by id.
fn waits(graph: &StepGraph, node: &GraphNode) -> Vec<String> {
    let mut ids: Vec<NodeId> = node.after.iter().chain(&node.uses).copied().collect();
    ids.sort_unstable();
    ids.dedup();
    // Leaves out a step that another one in the list already waits for directly, or that the holder waited for.
    let implied: Vec<NodeId> = ids
        .iter()
        .flat_map(|&id| graph.node(id).after.iter().chain(&graph.node(id).uses).copied())
        .chain(node.parent.map(Parent::id))
        .collect();
    ids.retain(|id| !implied.contains(id));
    ids.into_iter().map(|id| graph.node(id).id.to_string()).collect()
}

fn option_name(graph: &StepGraph, holder: NodeId, place: usize) -> String {
    match &graph.node(holder).step.body {
        StepBody::Decide(decide) => {
            decide.options.keys().nth(place).map_or_else(|| "otherwise".to_owned(), |name| name.value.clone())
        }
        _ => String::new(),
    }
}

fn text(graph: &StepGraph) -> String {
    let mut out = String::new();
    let mut option: Option<Parent> = None;
    for id in graph.ids() {
        let node = graph.node(id);
        let indent = "  ".repeat(node.depth * 2);
        if node.parent != option {
            option = node.parent;
            match node.parent {
                Some(Parent::Option(holder, place)) => {
                    let back = "  ".repeat(node.depth * 2 - 1);
                    writeln!(out, "{back}[{}]", option_name(graph, holder, place)).ok();
                }
                Some(Parent::Failure(_)) => {
                    writeln!(out, "{}[if it fails]", "  ".repeat(node.depth * 2 - 1)).ok();
                }
                _ => {}
            }
        }
        let waits = waits(graph, node);
        let after = if waits.is_empty() { String::new() } else { format!("   after {}", waits.join(", ")) };
        let kind = node.step.kind.as_str();
        writeln!(out, "{indent}{kind:<9} {}{after}", node.id).ok();
    }
    out
}

/// A text inside a quoted label of Mermaid or DOT.
fn label(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '"' => "'".to_owned(),
            '\\' => "/".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            c if c.is_control() => " ".to_owned(),
            c => c.to_string(),
        })
        .collect()
}

fn edges(graph: &StepGraph) -> Vec<(NodeId, NodeId, String)> {
    let mut edges = Vec::new();
    for id in graph.ids() {
        let node = graph.node(id);
        for name in waits(graph, node) {
            if let Some(before) = graph.find(&name) {
                edges.push((before, id, String::new()));
            }
        }
        match node.parent {
            Some(Parent::Option(holder, place)) if node.after.is_empty() => {
                edges.push((holder, id, option_name(graph, holder, place)));
            }
            Some(Parent::Failure(holder)) if node.after.is_empty() => edges.push((holder, id, "if it fails".into())),
            Some(Parent::Group(holder)) if node.after.is_empty() => edges.push((holder, id, String::new())),
            _ => {}
        }
    }
    edges
}

fn mermaid(graph: &StepGraph) -> String {
    let mut out = String::from("flowchart TD\n");
    for node in graph.nodes() {
        let (open, close) = match node.step.kind {
            crate::runbook::Kind::Decide => ("{{\"", "\"}}"),
            crate::runbook::Kind::Remediate => ("[[\"", "\"]]"),
            crate::runbook::Kind::Validate => ("([\"", "\"])"),
            _ => ("[\"", "\"]"),
        };
        let title = label(node.step.title.source_text());
        writeln!(out, "    s_{}{open}{}: {title}{close}", node.id, node.step.kind.as_str()).ok();
    }
    for (from, to, name) in edges(graph) {
        let (from, to) = (&graph.node(from).id, &graph.node(to).id);
        let arrow = if name.is_empty() { "-->".to_owned() } else { format!("-->|\"{}\"|", label(&name)) };
        writeln!(out, "    s_{from} {arrow} s_{to}").ok();
    }
    out
}

fn dot(graph: &StepGraph) -> String {
    let mut out = format!("digraph \"{}\" {{\n    rankdir=TB;\n    node [shape=box];\n", label(graph.runbook().id()));
    for node in graph.nodes() {
        let shape = match node.step.kind {
            crate::runbook::Kind::Decide => "diamond",
            crate::runbook::Kind::Remediate => "box3d",
            crate::runbook::Kind::Validate => "ellipse",
            _ => "box",
        };
        let title = label(node.step.title.source_text());
        let kind = node.step.kind.as_str();
        writeln!(out, "    \"{}\" [shape={shape}, label=\"{kind}: {title}\"];", node.id).ok();
    }
    for (from, to, name) in edges(graph) {
        let (from, to) = (&graph.node(from).id, &graph.node(to).id);
        let attribute = if name.is_empty() { String::new() } else { format!(" [label=\"{}\"]", label(&name)) };
        writeln!(out, "    \"{from}\" -> \"{to}\"{attribute};").ok();
    }
    out.push_str("}\n");
    out
}
