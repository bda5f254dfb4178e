//! Data with byte ranges, for JSON and YAML, and edits inside braces, which both share.

use super::datum::Datum;
use super::lines::{Splice, indent_of, line_end, line_start, next_line};
use indexmap::IndexMap;
use std::ops::Range;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The bytes of the value, brackets and quotes included; empty where nothing is written.
    pub(super) span: Range<usize>,
    pub(super) data: Data,
    /// Why it cannot be replaced, if so.
    pub(super) fixed: Option<&'static str>,
}

#[derive(Clone, Debug)]
pub(super) enum Data {
    Scalar(Datum, Spelling),
    List { items: Vec<Node>, flow: bool },
    Map { entries: Vec<Entry>, flow: bool },
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    Plain,
    Single,
    Double,
    /// `|` or `>`.
    Block,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    /// The bytes of the key.
    pub(super) span: Range<usize>,
    pub(super) value: Node,
}

impl Node {
    pub(super) fn datum(&self) -> Datum {
        match &self.data {
            Data::Scalar(datum, _) => datum.clone(),
            Data::List { items, .. } => Datum::List(items.iter().map(Node::datum).collect()),
            Data::Map { entries, .. } => {
                Datum::Map(entries.iter().map(|entry| (entry.key.clone(), entry.value.datum())).collect())
            }
        }
    }
}

/// How far a path leads.
pub(super) struct Walk<'a> {
    /// The last node that is there.
    pub(super) node: &'a Node,
    /// The entry it is the value of; none at the root.
    pub(super) entry: Option<&'a Entry>,
    /// The map that holds that entry.
    pub(super) parent: Option<&'a Node>,
    /// How many keys of the path were found.
    pub(super) depth: usize,
}

pub(super) fn walk<'a>(root: &'a Node, path: &[String]) -> Walk<'a> {
    let mut at = Walk { node: root, entry: None, parent: None, depth: 0 };
    for key in path {
        let Data::Map { entries, .. } = &at.node.data else { break };
        let Some(entry) = entries.iter().find(|entry| entry.key == *key) else { break };
        at = Walk { node: &entry.value, entry: Some(entry), parent: Some(at.node), depth: at.depth + 1 };
    }
    at
}

/// A value below keys that are not there yet.
pub(super) fn nested(keys: &[String], value: &Datum) -> Datum {
    keys.iter().rev().fold(value.clone(), |inner, key| Datum::Map(IndexMap::from([(key.clone(), inner)])))
}

/// How keys and values are written inside braces.
pub(super) struct FlowStyle {
    pub(super) key: fn(&str) -> String,
    pub(super) value: fn(&Datum) -> String,
}

impl FlowStyle {
    /// Over several lines when `layout` (the indentation of the line it begins on, and one level) is given.
    fn render(&self, datum: &Datum, layout: Option<(&str, &str)>, newline: &str) -> String {
        let (Datum::Map(map), Some((base, unit))) = (datum, layout) else { return (self.value)(datum) };
        if map.is_empty() {
            return "{}".to_owned();
        }
        let inner = format!("{base}{unit}");
        let lines: Vec<_> = map
            .iter()
            .map(|(key, value)| {
                format!("{inner}{}: {}", (self.key)(key), self.render(value, Some((&inner, unit)), newline))
            })
            .collect();
        format!("{{{newline}{}{newline}{base}}}", lines.join(&format!(",{newline}")))
    }
}

/// Adds a key at the end of a map in braces.
pub(super) fn insert_flow(text: &str, map: &Node, key: &str, value: &Datum, style: &FlowStyle) -> Vec<Splice> {
    let Data::Map { entries, .. } = &map.data else { return Vec::new() };
    let name = (style.key)(key);
    let Some(last) = entries.last() else {
        let inside = map.span.start + 1..map.span.end.saturating_sub(1);
        let blank = text.get(inside.clone()).is_some_and(|inner| inner.trim().is_empty());
        let range = if blank { inside } else { inside.start..inside.start };
        return vec![(range, format!("{name}: {}", (style.value)(value)))];
    };
    let end = last.value.span.end.max(last.span.end);
    let colon = text
        .get(last.span.end..last.value.span.start)
        .filter(|between| between.trim() == ":" && !between.contains('\n'))
        .unwrap_or(": ");
    let begins_line = text[line_start(text, last.span.start)..last.span.start].trim().is_empty();
    let has_comma = text[end..].trim_start().starts_with(',');
    let comma = if has_comma { String::new() } else { ",".to_owned() };
    if !begins_line || line_start(text, map.span.start) == line_start(text, last.span.start) {
        let gap = if colon == ":" { "" } else { " " };
        let at = if has_comma { end + text[end..].find(',').map_or(0, |comma| comma + 1) } else { end };
        return vec![(at..at, format!("{comma}{gap}{name}{colon}{}", (style.value)(value)))];
    }
    let newline = super::lines::newline_of(text);
    let indent = indent_of(text, last.span.start);
    let unit = indent.strip_prefix(indent_of(text, map.span.start)).filter(|unit| !unit.is_empty()).unwrap_or("  ");
    let rendered = style.render(value, Some((indent, unit)), newline);
    let line = format!("{newline}{indent}{name}{colon}{rendered}{}", if has_comma { "," } else { "" });
    let closes_here = map.span.end <= line_end(text, end);
    if closes_here {
        return vec![(end..end, format!("{comma}{line}"))];
    }
    let stop = line_end(text, end);
    if has_comma || stop == end {
        return vec![(stop..stop, format!("{comma}{line}"))];
    }
    vec![(end..end, comma), (stop..stop, line)]
}

/// Takes a key out of a map in braces, with its line when it has one of its own.
pub(super) fn remove_flow(text: &str, map: &Node, entry: &Entry) -> Vec<Splice> {
    let Data::Map { entries, .. } = &map.data else { return Vec::new() };
    let Some(index) = entries.iter().position(|other| other.span == entry.span) else { return Vec::new() };
    let ends = |entry: &Entry| entry.value.span.end.max(entry.span.end);
    let end = ends(entry);
    let comma = text[end..].trim_start().starts_with(',').then(|| end + text[end..].find(',').unwrap_or(0));
    let before = index.checked_sub(1).and_then(|at| entries.get(at));
    let after = entries.get(index + 1);
    if before.is_none() && after.is_none() {
        return vec![(map.span.start + 1..map.span.end.saturating_sub(1), String::new())];
    }
    let past = comma.map_or(end, |comma| comma + 1);
    let own_line = text[line_start(text, entry.span.start)..entry.span.start].trim().is_empty()
        && after.map_or(map.span.end - 1, |next| next.span.start) >= next_line(text, past);
    let mut splices = Vec::new();
    if own_line {
        splices.push((line_start(text, entry.span.start)..next_line(text, past), String::new()));
    } else if let Some(next) = after {
        splices.push((entry.span.start..next.span.start, String::new()));
    } else {
        splices.push((before.map_or(entry.span.start, ends)..past, String::new()));
    }
    // The comma before the last key goes with it, unless this file writes one after the last key too.
    if let (true, None, None, Some(before)) = (own_line, after, comma, before) {
        let at = ends(before);
        if let Some(comma) = text[at..entry.span.start].find(',') {
            splices.push((at + comma..at + comma + 1, String::new()));
        }
    }
    splices
}
