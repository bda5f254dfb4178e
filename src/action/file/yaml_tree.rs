//! YAML events as a tree with byte ranges.
//!
//! A file that is edited is not one of ours: tags, anchors, aliases and merge keys must stay as they are, and whether a map
//! is in braces decides how it is edited. The reader in `source` resolves or refuses all of these, so this tree is made
//! from the same parser's events. Aliases are never expanded.

use super::datum::{DEPTH, Datum};
use super::edit::Broken;
use super::tree::{Data, Entry, Node, Spelling};
use granit_parser::{Event, Parser, ScalarStyle, StructureStyle};
use std::collections::HashSet;
use std::ops::Range;

/// Reads one document; nothing when it is empty.
pub(super) fn parse(text: &str) -> Result<Option<Node>, Broken> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| Broken {
            line: error.marker().line().max(1),
            reason: error.info().lines().next().unwrap_or("not YAML").to_owned(),
        })?;
        let line = span.start.line().max(1);
        let range = span.byte_range().unwrap_or(0..0);
        builder.take(event, range).map_err(|reason| Broken { line, reason })?;
    }
    Ok(builder.root)
}

enum Open {
    List {
        start: usize,
        items: Vec<Node>,
        flow: bool,
        fixed: Option<&'static str>,
    },
    Map {
        start: usize,
        entries: Vec<Entry>,
        key: Option<(String, Range<usize>)>,
        seen: HashSet<String>,
        flow: bool,
        fixed: Option<&'static str>,
    },
}

#[derive(Default)]
struct Builder {
    root: Option<Node>,
    open: Vec<Open>,
    documents: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Range<usize>) -> Result<(), String> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err("it holds more than one document".to_owned());
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.map(|tag| tag.to_string());
                let fixed = fixed(anchor, tag.is_some());
                let spelling = spelling(style);
                let datum = match (tag, spelling) {
                    (Some(tag), _) => Datum::Other(format!("{tag} {text}")),
                    (None, Spelling::Plain) => resolve(&text),
                    (None, _) => Datum::Text(text.to_string()),
                };
                // A key is its text, whatever its type.
                self.put(Node { span, data: Data::Scalar(datum, spelling), fixed }, Some(text.to_string()))
            }
            Event::Alias(..) => {
                let datum = Datum::Other(format!("*{}", span.start));
                let fixed = Some("it is an alias (`*name`)");
                self.put(Node { span, data: Data::Scalar(datum, Spelling::Plain), fixed }, None)
            }
            Event::SequenceStart(style, anchor, tag) => {
                let (flow, fixed) = (style == StructureStyle::Flow, fixed(anchor, tag.is_some()));
                self.push(Open::List { start: span.start, items: Vec::new(), flow, fixed })
            }
            Event::MappingStart(style, anchor, tag) => {
                let (flow, fixed) = (style == StructureStyle::Flow, fixed(anchor, tag.is_some()));
                let (entries, seen) = (Vec::new(), HashSet::new());
                self.push(Open::Map { start: span.start, entries, key: None, seen, flow, fixed })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span.end),
            _ => Ok(()),
        }
    }

    fn push(&mut self, open: Open) -> Result<(), String> {
        if self.open.len() >= DEPTH {
            return Err(format!("it is nested deeper than {DEPTH} levels"));
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self, end: usize) -> Result<(), String> {
        let node = match self.open.pop() {
            Some(Open::List { start, items, flow, fixed }) => {
                Node { span: start..end.max(start), data: Data::List { items, flow }, fixed }
            }
            Some(Open::Map { start, entries, flow, fixed, .. }) => {
                Node { span: start..end.max(start), data: Data::Map { entries, flow }, fixed }
            }
            None => return Ok(()),
        };
        self.put(node, None)
    }

    fn put(&mut self, node: Node, text: Option<String>) -> Result<(), String> {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, seen, .. }) => {
                if let Some((key, span)) = key.take() {
                    entries.push(Entry { key, span, value: node });
                    return Ok(());
                }
                let text = text.ok_or("a key is not a plain text")?;
                if !seen.insert(text.clone()) {
                    return Err(format!("the key `{text}` is there twice"));
                }
                *key = Some((text, node.span));
            }
        }
        Ok(())
    }
}

fn fixed(anchor: usize, tagged: bool) -> Option<&'static str> {
    if anchor != 0 {
        Some("it has an anchor (`&name`), so other places would change too")
    } else if tagged {
        Some("it has a tag (`!name`)")
    } else {
        None
    }
}

fn spelling(style: ScalarStyle) -> Spelling {
    match style {
        ScalarStyle::Plain => Spelling::Plain,
        ScalarStyle::SingleQuoted => Spelling::Single,
        ScalarStyle::DoubleQuoted => Spelling::Double,
        _ => Spelling::Block,
    }
}

/// What a plain scalar means. Where readers differ (YAML 1.1 and 1.2), it is [`Datum::Other`].
pub(super) fn resolve(text: &str) -> Datum {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Datum::Null,
        "true" | "True" | "TRUE" => return Datum::Bool(true),
        "false" | "False" | "FALSE" => return Datum::Bool(false),
        _ => {}
    }
    let lower = text.to_ascii_lowercase();
    let word = ["y", "n", "yes", "no", "on", "off", "null", "true", "false", "<<", "="].contains(&lower.as_str());
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let numeric = digits.strip_prefix('.').unwrap_or(digits);
    if word || [".inf", ".nan"].contains(&lower.strip_prefix(['-', '+']).unwrap_or(&lower)) {
        return Datum::Other(text.to_owned());
    }
    if !numeric.starts_with(|char: char| char.is_ascii_digit()) {
        return Datum::Text(text.to_owned());
    }
    let whole = digits.bytes().all(|byte| byte.is_ascii_digit());
    let octal = digits.len() > 1 && digits.starts_with('0') && digits.as_bytes().get(1) != Some(&b'.');
    if whole && !octal {
        return text.parse().map_or_else(|_| Datum::Other(text.to_owned()), Datum::Int);
    }
    let plain_float = digits.contains('.')
        && digits.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte))
        && (!lower.contains('e') || lower.contains("e+") || lower.contains("e-"));
    match text.parse::<f64>() {
        Ok(number) if plain_float && !octal && number.is_finite() => Datum::Float(number),
        _ => Datum::Other(text.to_owned()),
    }
}
