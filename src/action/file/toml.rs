//! TOML: read by `toml_edit`; values are replaced in place, whatever is not named keeps its bytes.

use super::datum::{Datum, float_text, quoted};
use super::edit::{Broken, Syntax};
use super::lines::{append_lines, line_number, newline_of, splice, whole_lines};
use similar::{ChangeTag, TextDiff};
use std::ops::Range;
use toml_edit::{Document, DocumentMut, Item, Key, Table, TableLike, Value};

pub(super) struct Toml;

impl Syntax for Toml {
    fn read(&self, text: &str) -> Result<Datum, Broken> {
        let document = Document::parse(text).map_err(|error| broken(text, &error))?;
        Ok(of_table(document.as_table()))
    }

    fn fit(&self, _path: &[String], value: Datum, _old: Option<&Datum>) -> Result<Datum, String> {
        fits(&value).map(|()| value)
    }

    fn set(&self, text: &str, path: &[String], value: &Datum) -> Result<String, String> {
        let document = Document::parse(text).map_err(|error| error.message().to_owned())?;
        match locate(document.as_table(), path) {
            Place::Value(span) => splice(text, vec![(span, render(value))]).ok_or_else(lost),
            Place::Table => insert(&remove(text, path)?, path, value),
            Place::Nothing { parent: Parent::Section, depth } => Ok(new_section(text, &path[..depth], path, value)),
            // Comments alone would come after the key otherwise.
            Place::Nothing { .. } if document.as_table().is_empty() => {
                Ok(append_lines(text, &[format!("{} = {}", key_text(&path[0]), render(value))]))
            }
            Place::Nothing { parent: Parent::Open, .. } => insert(text, path, value),
        }
    }

    fn unset(&self, text: &str, path: &[String]) -> Result<String, String> {
        let document = Document::parse(text).map_err(|error| error.message().to_owned())?;
        match (locate(document.as_table(), path), in_lines(document.as_table(), path)) {
            // A comment above the key stays: it may be about the neighbours.
            (Place::Value(span), true) => {
                splice(text, vec![(whole_lines(text, &span), String::new())]).ok_or_else(lost)
            }
            (Place::Nothing { .. }, _) => Ok(text.to_owned()),
            _ => remove(text, path),
        }
    }
}

/// What stands at a path, and how it is written.
enum Place {
    /// A value with its bytes.
    Value(Range<usize>),
    /// A table or an array of tables.
    Table,
    /// Nothing.
    Nothing {
        /// What the new key goes into.
        parent: Parent,
        /// How many keys of the path a new header would hold.
        depth: usize,
    },
}

/// What a new key goes into.
enum Parent {
    /// A table that has no header of its own yet.
    Section,
    /// A table with a header, the top level, an inline table or one made by dotted keys.
    Open,
}

fn locate(root: &Table, path: &[String]) -> Place {
    let mut table: &dyn TableLike = root;
    let mut has_header = true;
    let mut takes_headers = true;
    for (depth, key) in path.iter().enumerate() {
        let last = depth + 1 == path.len();
        match table.get(key) {
            None | Some(Item::None) => {
                let section = takes_headers && !(last && has_header);
                let parent = if section { Parent::Section } else { Parent::Open };
                return Place::Nothing { parent, depth: path.len() - 1 };
            }
            Some(item) if last => return item.as_value().and_then(Value::span).map_or(Place::Table, Place::Value),
            Some(Item::Table(next)) => {
                has_header = !next.is_implicit() && !next.is_dotted();
                takes_headers = !next.is_dotted();
                table = next;
            }
            Some(item) => match item.as_table_like() {
                Some(next) => {
                    takes_headers = false;
                    table = next;
                }
                None => return Place::Table,
            },
        }
    }
    Place::Table
}

/// Whether the parent is written in lines, not in braces.
fn in_lines(root: &Table, path: &[String]) -> bool {
    let mut table = root;
    for key in &path[..path.len().saturating_sub(1)] {
        match table.get(key) {
            Some(Item::Table(next)) => table = next,
            _ => return false,
        }
    }
    true
}

fn new_section(text: &str, header: &[String], path: &[String], value: &Datum) -> String {
    let names: Vec<_> = header.iter().map(|key| key_text(key)).collect();
    let leaf = path.last().map(String::as_str).unwrap_or_default();
    let mut lines = vec![format!("[{}]", names.join(".")), format!("{} = {}", key_text(leaf), render(value))];
    if !text.trim().is_empty() && !text.ends_with("\n\n") && !text.ends_with("\n\r\n") {
        lines.insert(0, String::new());
    }
    append_lines(text, &lines)
}

fn insert(text: &str, path: &[String], value: &Datum) -> Result<String, String> {
    let (leaf, parents) = path.split_last().ok_or_else(lost)?;
    let mut value: Value = render(value).parse().map_err(|error: toml_edit::TomlError| error.message().to_owned())?;
    rewritten(text, |document| {
        let mut table: &mut dyn TableLike = document.as_table_mut();
        let mut in_braces = false;
        for key in parents {
            if !table.contains_key(key) {
                table.insert(key, Item::Value(Value::InlineTable(toml_edit::InlineTable::new())));
            }
            let item = table.get_mut(key).ok_or_else(lost)?;
            in_braces |= item.is_value();
            table = item.as_table_like_mut().ok_or_else(lost)?;
        }
        let indent = last_indent(table);
        value.decor_mut().clear();
        if in_braces {
            give_ending(table, &mut value);
        }
        table.insert(leaf, Item::Value(value));
        if let (Some(indent), Some(mut key)) = (indent, table.key_mut(leaf)) {
            key.leaf_decor_mut().set_prefix(indent);
        }
        Ok(())
    })
}

/// Hands the blank before the closing brace from the last value to a new one.
fn give_ending(table: &mut dyn TableLike, new: &mut Value) {
    let Some(last) = table.iter_mut().last().and_then(|(_, item)| item.as_value_mut()) else { return };
    let ending = last.decor().suffix().and_then(|suffix| suffix.as_str()).unwrap_or_default().to_owned();
    last.decor_mut().set_suffix("");
    new.decor_mut().set_prefix(" ");
    new.decor_mut().set_suffix(ending);
}

/// The blanks before the last key of a table, when there are some; inline tables have their own ways.
fn last_indent(table: &dyn TableLike) -> Option<String> {
    let (name, _) = table.iter().filter(|(_, item)| item.is_value()).last()?;
    let prefix = table.key(name).and_then(|key: &Key| key.leaf_decor().prefix()?.as_str())?;
    let blanks = prefix.rsplit('\n').next()?;
    let is_indent = !blanks.is_empty() && blanks.chars().all(|char| char == ' ' || char == '\t');
    (is_indent && table.len() > 1).then(|| blanks.to_owned())
}

fn remove(text: &str, path: &[String]) -> Result<String, String> {
    let (leaf, parents) = path.split_last().ok_or_else(lost)?;
    rewritten(text, |document| {
        let mut table: &mut dyn TableLike = document.as_table_mut();
        for key in parents {
            table = table.get_mut(key).and_then(Item::as_table_like_mut).ok_or_else(lost)?;
        }
        table.remove(leaf);
        Ok(())
    })
}

/// Changes the parsed document and writes it out. `toml_edit` writes `\n` only and always a last one, so the line ends of
/// lines that stay are put back.
fn rewritten(text: &str, change: impl FnOnce(&mut DocumentMut) -> Result<(), String>) -> Result<String, String> {
    let plain = text.replace("\r\n", "\n");
    let mut document: DocumentMut = plain.parse().map_err(|error: toml_edit::TomlError| error.message().to_owned())?;
    if document.to_string().trim_end() != plain.trim_end() {
        return Err("the keys of this file stand in an order that a new key would upset; edit it by hand".to_owned());
    }
    change(&mut document)?;
    Ok(with_line_ends(text, &plain, &document.to_string()))
}

fn with_line_ends(original: &str, plain: &str, edited: &str) -> String {
    let ends: Vec<_> = original.split_inclusive('\n').map(|line| line.ends_with("\r\n")).collect();
    let newline = newline_of(original);
    let mut out = String::with_capacity(edited.len() + ends.len());
    let pad = |text: &str| if text.is_empty() || text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") };
    let (before, after) = (pad(plain), pad(edited));
    for change in TextDiff::from_lines(before.as_str(), after.as_str()).iter_all_changes() {
        let end = match (change.tag(), change.old_index()) {
            (ChangeTag::Delete, _) => continue,
            (ChangeTag::Equal, Some(index)) if ends.get(index) == Some(&true) => "\r\n",
            (ChangeTag::Equal, Some(index)) if index + 1 < ends.len() => "\n",
            _ => newline,
        };
        out.push_str(change.value().trim_end_matches('\n'));
        out.push_str(end);
    }
    if !original.is_empty() && !original.ends_with('\n') {
        out.truncate(out.trim_end_matches(['\r', '\n']).len());
    }
    out
}

fn render(datum: &Datum) -> String {
    match datum {
        Datum::Text(text) => quoted(text),
        Datum::Float(value) => float_text(*value),
        Datum::List(items) => format!("[{}]", items.iter().map(render).collect::<Vec<_>>().join(", ")),
        Datum::Map(map) if map.is_empty() => "{}".to_owned(),
        Datum::Map(map) => {
            let pairs: Vec<_> =
                map.iter().map(|(key, value)| format!("{} = {}", key_text(key), render(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        other => other.scalar_text().unwrap_or_default(),
    }
}

fn key_text(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if bare { key.to_owned() } else { quoted(key) }
}

fn fits(value: &Datum) -> Result<(), String> {
    match value {
        Datum::Null => Err("TOML has no null; `unset` removes a key".to_owned()),
        Datum::Int(number) if i64::try_from(*number).is_err() => Err(format!("{number} is too large for TOML")),
        Datum::List(items) => items.iter().try_for_each(fits),
        Datum::Map(map) => map.values().try_for_each(fits),
        _ => Ok(()),
    }
}

fn of_table(table: &dyn TableLike) -> Datum {
    Datum::Map(
        table.iter().filter(|(_, item)| !item.is_none()).map(|(key, item)| (key.to_owned(), of_item(item))).collect(),
    )
}

fn of_item(item: &Item) -> Datum {
    match item {
        Item::None => Datum::Null,
        Item::Value(value) => of_value(value),
        Item::Table(table) => of_table(table),
        Item::ArrayOfTables(tables) => Datum::List(tables.iter().map(|table| of_table(table)).collect()),
    }
}

fn of_value(value: &Value) -> Datum {
    match value {
        Value::String(text) => Datum::Text(text.value().clone()),
        Value::Integer(number) => Datum::Int(i128::from(*number.value())),
        Value::Float(number) if number.value().is_finite() => Datum::Float(*number.value()),
        Value::Float(number) => Datum::Other(number.value().to_string()),
        Value::Boolean(flag) => Datum::Bool(*flag.value()),
        Value::Datetime(time) => Datum::Other(time.value().to_string()),
        Value::Array(items) => Datum::List(items.iter().map(of_value).collect()),
        Value::InlineTable(table) => of_table(table),
    }
}

fn broken(text: &str, error: &toml_edit::TomlError) -> Broken {
    let line = error.span().map_or(1, |span| line_number(text, span.start));
    Broken { line, reason: error.message().trim().replace('\n', ", ") }
}

fn lost() -> String {
    "the place of the key was not found again".to_owned()
}
