//! YAML: edited by byte range. Comments, order, indentation, quotes, anchors and tags elsewhere keep their bytes.

use super::datum::{Datum, json_text, quoted};
use super::edit::{Broken, Syntax};
use super::lines::{Splice, append_lines, line_end, line_start, newline_of, splice, whole_lines};
use super::tree::{Data, Entry, FlowStyle, Node, Spelling, Walk, insert_flow, nested, remove_flow, walk};
use super::yaml_tree::{parse, resolve};
use indexmap::IndexMap;

pub(super) struct Yaml;

const STYLE: FlowStyle = FlowStyle { key: plain_or_quoted, value: inline };

impl Syntax for Yaml {
    fn read(&self, text: &str) -> Result<Datum, Broken> {
        Ok(parse(text)?.map_or(Datum::Null, |node| positionless(&node, text)))
    }

    fn fit(&self, _path: &[String], value: Datum, _old: Option<&Datum>) -> Result<Datum, String> {
        Ok(value)
    }

    fn set(&self, text: &str, path: &[String], value: &Datum) -> Result<String, String> {
        let unit = unit_of(text);
        let Some(root) = parse(text).map_err(|broken| broken.reason)? else {
            return Ok(append_lines(text, &block_lines(&nested(path, value), "", &unit)));
        };
        let at = walk(&root, path);
        refuse_fixed(&root, path, at.depth == path.len())?;
        let splices = match (&at.node.data, path.get(at.depth)) {
            (Data::Map { flow: true, .. }, Some(key)) => {
                insert_flow(text, at.node, key, &nested(&path[at.depth + 1..], value), &STYLE)
            }
            (Data::Map { entries, .. }, Some(_)) => {
                insert_block(text, entries, &nested(&path[at.depth..], value), &unit)
            }
            (_, None) => replace(text, &at, value),
            (_, Some(_)) if at.entry.is_none() => {
                return Ok(append_lines(text, &block_lines(&nested(path, value), "", &unit)));
            }
            (_, Some(_)) => fill(text, &at, &nested(&path[at.depth..], value), &unit),
        };
        splice(text, splices).ok_or_else(|| "the place of the key was not found again".to_owned())
    }

    fn unset(&self, text: &str, path: &[String]) -> Result<String, String> {
        let root = parse(text).map_err(|broken| broken.reason)?.ok_or("the file is empty")?;
        let at = walk(&root, path);
        refuse_fixed(&root, path, false)?;
        let (Some(map), Some(entry)) = (at.parent, at.entry) else { return Ok(text.to_owned()) };
        let Data::Map { entries, flow } = &map.data else { return Ok(text.to_owned()) };
        let splices = match (*flow, entries.len(), path.len()) {
            (true, _, _) => remove_flow(text, map, entry),
            // The only key of a map below the top: an empty map stays.
            (false, 1, 2..) => return self.set(text, &path[..path.len() - 1], &Datum::Map(IndexMap::new())),
            _ => remove_block(text, entries, entry),
        };
        splice(text, splices).ok_or_else(|| "the place of the key was not found again".to_owned())
    }
}

/// The data, with aliases named by the text of the alias instead of its place, which moves.
fn positionless(node: &Node, text: &str) -> Datum {
    match &node.data {
        Data::Scalar(Datum::Other(raw), _) if raw.starts_with('*') => {
            Datum::Other(text.get(node.span.clone()).unwrap_or_default().trim().to_owned())
        }
        Data::Scalar(datum, _) => datum.clone(),
        Data::List { items, .. } => Datum::List(items.iter().map(|item| positionless(item, text)).collect()),
        Data::Map { entries, .. } => {
            Datum::Map(entries.iter().map(|entry| (entry.key.clone(), positionless(&entry.value, text))).collect())
        }
    }
}

/// Refuses a place that stands for other places too: an anchor anywhere on the way, or a tag on what is replaced.
fn refuse_fixed(root: &Node, path: &[String], replaced: bool) -> Result<(), String> {
    for depth in 1..=path.len() {
        let at = walk(root, &path[..depth]);
        if at.depth < depth {
            break;
        }
        let Some(reason) = at.node.fixed else { continue };
        let is_target = depth == path.len();
        if (is_target && replaced) || (!is_target && reason.contains("anchor")) {
            return Err(format!("`{}` cannot be changed because {reason}", path[..depth].join(".")));
        }
    }
    Ok(())
}

/// Replaces a value that is there.
fn replace(text: &str, at: &Walk<'_>, value: &Datum) -> Vec<Splice> {
    let Some(entry) = at.entry else { return Vec::new() };
    let node = at.node;
    let new = match (value, &node.data) {
        (Datum::Text(new), Data::Scalar(_, Spelling::Single)) if one_line(new) => {
            format!("'{}'", new.replace('\'', "''"))
        }
        (Datum::Text(new), Data::Scalar(_, Spelling::Double)) => quoted(new),
        _ => inline(value),
    };
    let colon = after_colon(text, entry);
    match &node.data {
        // The parser's range of a block text begins after its `|` or `>`.
        Data::Scalar(_, Spelling::Block) => {
            let sign = text[colon..].find(['|', '>']).map_or(node.span.start, |at| colon + at);
            vec![(sign..end_of(text, node).max(line_end(text, sign)), new)]
        }
        Data::List { flow: false, .. } | Data::Map { flow: false, .. } => {
            let content = node.span.start..end_of(text, node);
            let first = line_start(text, content.start);
            let mut splices = vec![(colon..colon, format!(" {new}"))];
            if first > colon {
                splices.push((whole_lines(text, &(first..content.end)), String::new()));
            }
            splices
        }
        _ if node.span.is_empty() => vec![(colon..colon, format!(" {new}"))],
        _ => vec![(node.span.clone(), new)],
    }
}

/// Puts a map where a null stands.
fn fill(text: &str, at: &Walk<'_>, map: &Datum, unit: &str) -> Vec<Splice> {
    let Some(entry) = at.entry else { return Vec::new() };
    let in_braces = matches!(at.parent.map(|parent| &parent.data), Some(Data::Map { flow: true, .. }));
    let colon = after_colon(text, entry);
    if in_braces || !at.node.span.is_empty() {
        let range = if at.node.span.is_empty() { colon..colon } else { at.node.span.clone() };
        let space = if range.is_empty() { " " } else { "" };
        return vec![(range, format!("{space}{}", inline(map)))];
    }
    let indent = format!("{}{unit}", column_blanks(text, entry.span.start));
    let stop = line_end(text, colon);
    let newline = newline_of(text);
    vec![(stop..stop, format!("{newline}{}", block_lines(map, &indent, unit).join(newline)))]
}

/// Adds keys after the last one of a map in lines.
fn insert_block(text: &str, entries: &[Entry], map: &Datum, unit: &str) -> Vec<Splice> {
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Vec::new() };
    let indent = column_blanks(text, first.span.start);
    let end = entry_end(text, last);
    let newline = newline_of(text);
    let lines = block_lines(map, &indent, unit).join(newline);
    // After a block text that keeps its last line ends, the end is the start of a line.
    if end > 0 && text.as_bytes().get(end - 1) == Some(&b'\n') {
        return vec![(end..end, format!("{lines}{newline}"))];
    }
    let stop = line_end(text, end);
    vec![(stop..stop, format!("{newline}{lines}"))]
}

fn remove_block(text: &str, entries: &[Entry], entry: &Entry) -> Vec<Splice> {
    let start = entry.span.start;
    let begins_line = text[line_start(text, start)..start].trim().is_empty();
    let next = entries.iter().find(|other| other.span.start > start);
    match next {
        // The first key after `- `: the next one takes its place.
        Some(next) if !begins_line => vec![(start..next.span.start, String::new())],
        _ => {
            let end = entry_end(text, entry);
            let end = if end > start && text.as_bytes().get(end - 1) == Some(&b'\n') { end - 1 } else { end };
            vec![(whole_lines(text, &(start..end)), String::new())]
        }
    }
}

fn entry_end(text: &str, entry: &Entry) -> usize {
    end_of(text, &entry.value).max(after_colon(text, entry))
}

/// The end of what is written for a node, without the blank lines and comments after it.
fn end_of(text: &str, node: &Node) -> usize {
    match &node.data {
        Data::Scalar(Datum::Text(value), Spelling::Block) if value.ends_with("\n\n") => node.span.end,
        Data::Scalar(_, Spelling::Block) => {
            node.span.start + text.get(node.span.clone()).map_or(0, |raw| raw.trim_end().len())
        }
        Data::Scalar(..) if node.span.is_empty() => 0,
        Data::List { items, flow: false } => {
            items.last().map_or(node.span.start, |item| end_of(text, item).max(item.span.start))
        }
        Data::Map { entries, flow: false } => entries.last().map_or(node.span.start, |entry| entry_end(text, entry)),
        _ => node.span.end,
    }
}

fn after_colon(text: &str, entry: &Entry) -> usize {
    let end = entry.span.end;
    text.get(end..).and_then(|rest| rest.find(':')).map_or(end, |colon| end + colon + 1)
}

fn column_blanks(text: &str, at: usize) -> String {
    " ".repeat(text[line_start(text, at)..at].chars().count())
}

/// Maps in lines, everything else on the line of its key.
fn block_lines(datum: &Datum, indent: &str, unit: &str) -> Vec<String> {
    let Datum::Map(map) = datum else { return vec![format!("{indent}{}", inline(datum))] };
    let mut lines = Vec::new();
    for (key, value) in map {
        let name = plain_or_quoted(key);
        if matches!(value, Datum::Map(inner) if !inner.is_empty()) {
            lines.push(format!("{indent}{name}:"));
            lines.extend(block_lines(value, &format!("{indent}{unit}"), unit));
        } else {
            lines.push(format!("{indent}{name}: {}", inline(value)));
        }
    }
    lines
}

/// One level of indentation: that of the first indented key, or two blanks.
fn unit_of(text: &str) -> String {
    let indented = text.lines().find_map(|line| {
        let blanks = line.len() - line.trim_start_matches(' ').len();
        let rest = &line[blanks..];
        (blanks > 0 && !rest.is_empty() && !rest.starts_with(['#', '-']) && rest.contains(':')).then_some(blanks)
    });
    " ".repeat(indented.filter(|&blanks| blanks <= 8).unwrap_or(2))
}

fn inline(datum: &Datum) -> String {
    match datum {
        Datum::Text(text) => plain_or_quoted(text),
        Datum::List(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Datum::Map(map) if !map.is_empty() => {
            let pairs: Vec<_> =
                map.iter().map(|(key, value)| format!("{}: {}", plain_or_quoted(key), inline(value))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        other => json_text(other),
    }
}

fn one_line(text: &str) -> bool {
    !text
        .chars()
        .any(|char| char.is_control() || matches!(char, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'))
}

/// Without quotes only where no reader of YAML takes it for anything but this text.
fn plain_or_quoted(text: &str) -> String {
    let starts = text.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_' || char == '/');
    let safe = |char: char| char.is_ascii_alphanumeric() || "_-./@+= :".contains(char);
    let plain = starts
        && text.chars().all(safe)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !["inf", "nan"].contains(&text.to_ascii_lowercase().as_str())
        && matches!(resolve(text), Datum::Text(_));
    if plain { text.to_owned() } else { quoted(text) }
}
