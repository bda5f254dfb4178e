//! Builds the tree from what the parser sees, within limits of depth, size and repetition.

use super::super::diagnostic::{Diagnostic, Diagnostics};
use super::super::file::{Source, Sp, Span};
use super::line;
use super::node::{Data, Entry, Node, Style};
use std::collections::{HashMap, HashSet};

/// How deep lists and maps may stand in each other.
pub(super) const DEPTH_LIMIT: usize = 128;
/// How many nodes a document may have.
const NODE_LIMIT: usize = 1_000_000;
/// How many nodes anchors and aliases may repeat.
const REPEATED_NODES: usize = 250_000;
/// How many bytes of text anchors and aliases may repeat.
const REPEATED_BYTES: usize = 8 * 1024 * 1024;
/// After so many problems the rest of them says nothing new.
const PROBLEM_LIMIT: usize = 200;

/// The reading cannot go on.
pub(super) type Stop = Box<Diagnostic>;

/// A list or a map that is being read.
struct Frame {
    start: usize,
    end: usize,
    is_flow: bool,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map(Box<MapContent>),
}

#[derive(Default)]
struct MapContent {
    entries: Vec<Entry>,
    /// Where each key stands among the entries; filled once a linear search would be slow.
    index: HashMap<String, usize>,
    slot: Slot,
    merge: Option<Merge>,
    /// A key that is not a text.
    odd_key: Option<(Span, &'static str)>,
}

/// What the next node of a map is.
#[derive(Default)]
enum Slot {
    #[default]
    Key,
    Value(Sp<String>),
    MergeValue(Span),
    Dropped,
}

struct Merge {
    key: Span,
    /// The number of entries before it.
    at: usize,
    value: Node,
}

/// What repeating a node costs.
#[derive(Clone, Copy, Default)]
struct Cost {
    nodes: usize,
    bytes: usize,
    height: usize,
}

/// The tree so far.
pub(super) struct Tree<'a> {
    source: &'a Source,
    problems: &'a mut Diagnostics,
    frames: Vec<Frame>,
    anchors: HashMap<usize, (Node, Cost)>,
    nodes: usize,
    repeated: Cost,
    root: Option<Node>,
}

impl<'a> Tree<'a> {
    pub(super) fn new(source: &'a Source, problems: &'a mut Diagnostics) -> Self {
        Self {
            source,
            problems,
            frames: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
            repeated: Cost::default(),
            root: None,
        }
    }

    pub(super) fn finish(self) -> Option<Node> {
        self.root
    }

    /// The place where the innermost `[` or `{` that is still open stands.
    pub(super) fn open_bracket(&self) -> Option<usize> {
        self.frames.last().filter(|frame| frame.is_flow).map(|frame| frame.start)
    }

    pub(super) fn report(&mut self, problem: Diagnostic) {
        if self.problems.len() < PROBLEM_LIMIT {
            self.problems.push(problem);
        }
    }

    pub(super) fn open_list(&mut self, start: usize, is_flow: bool, anchor: usize) -> Result<(), Stop> {
        self.open(start, is_flow, anchor, Content::List(Vec::new()))
    }

    pub(super) fn open_map(&mut self, start: usize, is_flow: bool, anchor: usize) -> Result<(), Stop> {
        self.open(start, is_flow, anchor, Content::Map(Box::default()))
    }

    pub(super) fn scalar(&mut self, text: &str, style: Style, span: Span, anchor: usize) -> Result<(), Stop> {
        self.count(span)?;
        self.complete(Node::scalar(text, style, span), span.end, anchor)
    }

    /// Ends the innermost list or map; `end` counts only for those in brackets.
    pub(super) fn close(&mut self, end: usize) -> Result<(), Stop> {
        let Some(frame) = self.frames.pop() else { return Ok(()) };
        let span = Span::new(frame.start, if frame.is_flow { end } else { frame.end });
        let node = match frame.content {
            Content::List(items) => Node { span, data: Data::List(items) },
            Content::Map(content) => self.close_map(*content, span, frame.is_flow),
        };
        self.complete(node, span.end, frame.anchor)
    }

    /// Repeats an anchored node.
    pub(super) fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Stop> {
        let Some(&(_, cost)) = self.anchors.get(&anchor) else {
            let name = self.source.slice(span).to_owned();
            self.report(
                Diagnostic::error(
                    self.source,
                    "yaml-alias",
                    span,
                    format!("`{name}` stands inside the node it repeats"),
                )
                .hint("a node cannot hold itself; write out what is meant"),
            );
            return self.scalar("", Style::Plain, span, 0);
        };
        self.spend(cost, span)?;
        if self.frames.len() + cost.height > DEPTH_LIMIT {
            return Err(self.too_deep(span));
        }
        let node = self.anchors.get(&anchor).map(|(node, _)| node.clone());
        node.map_or(Ok(()), |node| self.complete(node, span.end, 0))
    }

    fn open(&mut self, start: usize, is_flow: bool, anchor: usize, content: Content) -> Result<(), Stop> {
        let span = Span::new(start, start + 1);
        self.count(span)?;
        if self.frames.len() >= DEPTH_LIMIT {
            return Err(self.too_deep(span));
        }
        self.frames.push(Frame { start, end: start, is_flow, anchor, content });
        Ok(())
    }

    pub(super) fn too_deep(&self, span: Span) -> Stop {
        Diagnostic::error(
            self.source,
            "too-deep",
            span,
            format!("lists and maps stand more than {DEPTH_LIMIT} deep in each other here"),
        )
        .hint("is a bracket never closed?")
        .into()
    }

    fn count(&mut self, span: Span) -> Result<(), Stop> {
        self.nodes += 1;
        if self.nodes <= NODE_LIMIT {
            return Ok(());
        }
        let message = format!("this document has more than {NODE_LIMIT} values");
        Err(Diagnostic::error(self.source, "too-many-nodes", span, message).hint("split it into several files").into())
    }

    fn spend(&mut self, cost: Cost, span: Span) -> Result<(), Stop> {
        self.repeated.nodes += cost.nodes;
        self.repeated.bytes += cost.bytes;
        if self.repeated.nodes <= REPEATED_NODES && self.repeated.bytes <= REPEATED_BYTES {
            return Ok(());
        }
        let message = format!(
            "anchors and aliases repeat more than {REPEATED_NODES} values or {} MiB of text",
            REPEATED_BYTES / (1024 * 1024)
        );
        Err(Diagnostic::error(self.source, "alias-expansion", span, message)
            .label("the limit is reached here")
            .hint("write the repeated part once and use a loop (`for_each`) or a called runbook")
            .into())
    }

    /// Puts a finished node where it belongs.
    fn complete(&mut self, node: Node, end: usize, anchor: usize) -> Result<(), Stop> {
        if anchor != 0 {
            let cost = measure(&node);
            self.spend(cost, node.span)?;
            self.anchors.insert(anchor, (node.clone(), cost));
        }
        let Some(mut frame) = self.frames.pop() else {
            self.root = Some(node);
            return Ok(());
        };
        frame.end = frame.end.max(end);
        match &mut frame.content {
            Content::List(items) => items.push(node),
            Content::Map(map) => match std::mem::take(&mut map.slot) {
                Slot::Key => map.slot = self.key(map, node),
                Slot::Value(key) => map.insert(Entry { key, value: node }),
                Slot::MergeValue(key) => map.merge = Some(Merge { key, at: map.entries.len(), value: node }),
                Slot::Dropped => {}
            },
        }
        self.frames.push(frame);
        Ok(())
    }

    fn key(&mut self, map: &mut MapContent, node: Node) -> Slot {
        let span = node.span;
        let what = node.describe();
        let Data::Scalar(scalar) = node.data else {
            map.odd_key.get_or_insert((span, what));
            return Slot::Dropped;
        };
        if scalar.is_empty() {
            map.odd_key.get_or_insert((span, what));
            return Slot::Dropped;
        }
        if scalar.style == Style::Plain && scalar.text == "<<" {
            let Some(first) = &map.merge else { return Slot::MergeValue(span) };
            self.report(
                Diagnostic::error(self.source, "duplicate-key", span, "the key `<<` stands twice in this map")
                    .label("again here")
                    .also(first.key, "first here")
                    .hint("merge several maps with one list: `<<: [*first, *second]`"),
            );
            return Slot::Dropped;
        }
        if let Some(first) = map.position(&scalar.text) {
            let first = map.entries[first].key.span;
            if self.problems.len() < PROBLEM_LIMIT {
                self.report(duplicate(self.source, &scalar.text, span, first));
            }
            return Slot::Dropped;
        }
        Slot::Value(Sp::new(scalar.text, span))
    }

    fn close_map(&mut self, mut map: MapContent, span: Span, is_flow: bool) -> Node {
        let written = self.source.slice(span);
        if is_flow && map.odd_key.is_some() && written.starts_with("{{") && written.ends_with("}}") {
            // What the author meant is clear, so the reading goes on with it and later stages stay quiet.
            let text = written.to_owned();
            let problem = line::unquoted_template(self.source, span);
            self.report(problem);
            return Node::scalar(text, Style::Plain, span);
        }
        if let Some((key, what)) = map.odd_key {
            self.report(odd_key(self.source, key, what));
        }
        if let Some(merge) = map.merge.take() {
            map.entries = self.merged(map.entries, merge);
        }
        Node { span, data: Data::Map(map.entries) }
    }

    /// Puts merged entries where the merge key stood; a key written out wins, then the earlier of two merged maps.
    fn merged(&mut self, entries: Vec<Entry>, merge: Merge) -> Vec<Entry> {
        let mut known: HashSet<String> = entries.iter().map(|entry| entry.key.value.clone()).collect();
        let maps = match merge.value.data {
            Data::List(items) => items,
            _ => vec![merge.value],
        };
        let mut added = Vec::new();
        for map in maps {
            let what = map.describe();
            if let Data::Map(entries) = map.data {
                added.extend(entries.into_iter().filter(|entry| known.insert(entry.key.value.clone())));
            } else {
                self.report(
                    Diagnostic::error(
                        self.source,
                        "merge-value",
                        merge.key,
                        format!("`<<` merges maps, but found {what}"),
                    )
                    .also(map.span, "this is not a map")
                    .hint("write `<<: *name`, or `<<: [*first, *second]`, where each name is an anchored map"),
                );
            }
        }
        let mut all = entries;
        let tail = all.split_off(merge.at.min(all.len()));
        all.extend(added);
        all.extend(tail);
        all
    }
}

impl MapContent {
    const LINEAR: usize = 16;

    fn position(&self, key: &str) -> Option<usize> {
        if self.entries.len() > Self::LINEAR {
            return self.index.get(key).copied();
        }
        self.entries.iter().position(|entry| entry.key.value == key)
    }

    fn insert(&mut self, entry: Entry) {
        self.entries.push(entry);
        if self.entries.len() > Self::LINEAR {
            let from = if self.index.is_empty() { 0 } else { self.entries.len() - 1 };
            for (at, entry) in self.entries.iter().enumerate().skip(from) {
                self.index.insert(entry.key.value.clone(), at);
            }
        }
    }
}

fn duplicate(source: &Source, key: &str, span: Span, first: Span) -> Diagnostic {
    let (line, _) = source.position(first.start);
    let shown = line::shorten(key, 60);
    Diagnostic::error(source, "duplicate-key", span, format!("the key `{shown}` stands twice in this map"))
        .label("again here")
        .also(first, "first here")
        .hint(format!("remove one of them, or rename it; the first is on line {line}"))
}

fn odd_key(source: &Source, span: Span, what: &str) -> Diagnostic {
    if what == "nothing" {
        return Diagnostic::error(source, "key-not-text", span, "a name is missing before this `:`")
            .hint("write `name: value`; a value that starts with `:` or `?` needs quotes");
    }
    Diagnostic::error(source, "key-not-text", span, format!("a key must be text, but this one is {what}"))
        .hint("write `name: value`; text that starts with `{` or `[` needs quotes")
}

/// What repeating a node costs; recursion ends at the depth limit.
fn measure(node: &Node) -> Cost {
    let mut cost = Cost { nodes: 1, bytes: 0, height: 0 };
    let mut add = |inner: Cost| {
        cost.nodes += inner.nodes;
        cost.bytes += inner.bytes;
        cost.height = cost.height.max(inner.height + 1);
    };
    match &node.data {
        Data::Scalar(scalar) => cost.bytes = scalar.text.len(),
        Data::List(items) => items.iter().for_each(|item| add(measure(item))),
        Data::Map(entries) => entries.iter().for_each(|entry| {
            let value = measure(&entry.value);
            add(Cost { bytes: value.bytes + entry.key.value.len(), ..value });
        }),
    }
    if cost.height == 0 && !matches!(node.data, Data::Scalar(_)) {
        cost.height = 1;
    }
    cost
}
