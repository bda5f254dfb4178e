//! Values of the record as people read them: short in tables, whole where they are asked for.

use super::grid::plain_list;
use super::style::Style;
use crate::event::{StoredValue, UsedView};
use serde_json::Value as Json;

/// A value on one line of at most so many columns; cut with a mark. A list is its length and its first values.
pub(crate) fn short(style: &Style, value: &StoredValue, columns: usize) -> String {
    let text = match value {
        StoredValue::Value(json) => style.text(&line(json)),
        other => style.text(&whole(other)),
    };
    style.cut(&text, columns)
}

/// A value on one line.
fn line(json: &Json) -> String {
    match json {
        Json::Array(entries) if entries.is_empty() => "empty list".to_owned(),
        Json::Array(entries) => match (plain_list(entries), entries.as_slice()) {
            (Some(list), _) => list,
            (None, [only]) => format!("1 entry: {}", line(only)),
            (None, [first, ..]) => format!("{} entries, first {}", entries.len(), line(first)),
            (None, []) => "empty list".to_owned(),
        },
        Json::Object(fields) if fields.is_empty() => "empty map".to_owned(),
        Json::Object(fields) if moment(json).is_none() => {
            let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name} {}", cell(value))).collect();
            fields.join(", ")
        }
        other => cell(other),
    }
}

/// A value as one cell of a table: text as it is, numbers for people, what is nested as JSON.
pub(crate) fn cell(json: &Json) -> String {
    match json {
        Json::Number(number) => for_people(number),
        Json::Array(_) | Json::Object(_) if moment(json).is_none() => rounded(json).to_string(),
        other => plain(other),
    }
}

/// The values of a list or a map, rounded for people.
fn rounded(json: &Json) -> Json {
    match json {
        Json::Number(number) => {
            for_people(number).parse::<serde_json::Number>().map_or_else(|_| json.clone(), Json::Number)
        }
        Json::Array(entries) => entries.iter().map(rounded).collect(),
        Json::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), rounded(value))).collect(),
        other => other.clone(),
    }
}

/// A number with at most four decimals, for a small one four significant digits. A rounded number never looks rounder
/// than it is: where little more than a round number would be left, it is given in full.
pub(crate) fn for_people(number: &serde_json::Number) -> String {
    let (true, Some(value)) = (number.is_f64(), number.as_f64()) else { return number.to_string() };
    let size = value.abs();
    if size >= 1e15 || (size > 0.0 && size < 1e-6) {
        return number.to_string();
    }
    let mut decimals = 4;
    let mut bound = 0.1;
    while size > 0.0 && size < bound {
        decimals += 1;
        bound /= 10.0;
    }
    let fixed = format!("{value:.decimals$}");
    let text = fixed.trim_end_matches('0').trim_end_matches('.');
    let text = if text.is_empty() || text == "-0" { "0" } else { text };
    let told: f64 = text.parse().unwrap_or(f64::NAN);
    // The noise of binary fractions (0.1 + 0.2) is no news.
    let is_noise = (told - value).abs() <= size * 1e-9;
    let dropped = fixed.len() - text.len();
    if is_noise || dropped < 2 { text.to_owned() } else { number.to_string() }
}

/// A value in full: text as it is, all else as JSON.
pub(crate) fn whole(value: &StoredValue) -> String {
    match value {
        StoredValue::Value(json) => plain(json),
        StoredValue::Unknown(reason) => format!("unknown: {reason}"),
        StoredValue::NotYet(reason) => format!("not yet: {reason}"),
        StoredValue::Secret(name) => format!("‹secret {name}›"),
        StoredValue::Kept(kept) => {
            format!("{} bytes, kept as evidence {}", kept.size, kept.sha256.get(..8).unwrap_or(&kept.sha256))
        }
    }
}

/// A value in full on several lines, for a person who asked for it: entries and fields under each other.
pub(crate) fn spread(value: &StoredValue) -> String {
    match value {
        StoredValue::Value(json @ (Json::Array(_) | Json::Object(_))) if moment(json).is_none() => format!("{json:#}"),
        other => whole(other),
    }
}

fn plain(json: &Json) -> String {
    match json {
        Json::String(text) if text.is_empty() => "(empty text)".to_owned(),
        Json::String(text) => text.clone(),
        Json::Null => "none".to_owned(),
        other => moment(other).map_or_else(|| other.to_string(), str::to_owned),
    }
}

/// The text of a point or span of time, or of a number that JSON does not have, which the record wraps in an object of one key.
fn moment(json: &Json) -> Option<&str> {
    let fields = json.as_object().filter(|fields| fields.len() == 1)?;
    ["$time", "$duration", "$number"].iter().find_map(|mark| fields.get(*mark))?.as_str()
}

/// A value for a JSON report: itself, or an object that names why it is not there.
pub(crate) fn to_json(value: &StoredValue) -> Json {
    match value {
        StoredValue::Value(json) => moment(json).map_or_else(|| json.clone(), Json::from),
        StoredValue::Unknown(reason) => serde_json::json!({ "unknown": reason }),
        StoredValue::NotYet(reason) => serde_json::json!({ "not_yet": reason }),
        StoredValue::Secret(name) => serde_json::json!({ "secret": name }),
        StoredValue::Kept(kept) => serde_json::json!({ "kept": { "size": kept.size, "sha256": kept.sha256 } }),
    }
}

/// Used values on one line: `queue.pending 512 · queue.top_share 0.95`. Of lists and maps only the size is said: what
/// stands in them is told where the step that kept them ended.
pub(crate) fn used(style: &Style, values: &[UsedView], each: usize) -> String {
    let dot = format!(" {} ", style.glyphs().dot);
    let texts: Vec<String> = values
        .iter()
        .map(|used| {
            let name = style.text(&used.name);
            match &used.value {
                StoredValue::Value(json @ Json::Object(fields)) if moment(json).is_none() => {
                    format!("{name}: {}", counted(fields.len(), "field", "fields"))
                }
                StoredValue::Value(Json::Array(entries)) => {
                    format!("{name}: {}", counted(entries.len(), "entry", "entries"))
                }
                StoredValue::Unknown(reason) if reason.len() > each => format!("{name} unknown"),
                StoredValue::NotYet(reason) if reason.len() > each => format!("{name} not yet known"),
                other => format!("{name} {}", short(style, other, each)),
            }
        })
        .collect();
    texts.join(&dot)
}

fn counted(number: usize, one: &str, many: &str) -> String {
    match number {
        0 => format!("no {many}"),
        1 => format!("1 {one}"),
        _ => format!("{number} {many}"),
    }
}
