//! Values of the record as people read them: short in tables, whole where they are asked for.

use super::style::Style;
use crate::event::{StoredValue, UsedView};
use serde_json::Value as Json;

/// A value on one line of at most so many columns. Numbers are never rounded, only cut with a mark; a list is its
/// length and its first entry.
pub(crate) fn short(style: &Style, value: &StoredValue, columns: usize) -> String {
    let text = match value {
        StoredValue::Value(Json::Array(entries)) => match entries.as_slice() {
            [] => "empty list".to_owned(),
            [only] => format!("1 entry: {}", style.text(&plain(only))),
            [first, ..] => format!("{} entries, first {}", entries.len(), style.text(&plain(first))),
        },
        other => style.text(&whole(other)),
    };
    style.cut(&text, columns)
}

/// A value in full: text as it is, all else as JSON.
pub(crate) fn whole(value: &StoredValue) -> String {
    match value {
        StoredValue::Value(json) => plain(json),
        StoredValue::Unknown(reason) => format!("unknown: {reason}"),
        StoredValue::NotYet(reason) => format!("not yet: {reason}"),
        StoredValue::Secret(name) => format!("‹secret {name}›"),
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

/// The text of a point or span of time, which the record wraps in an object of one key.
fn moment(json: &Json) -> Option<&str> {
    let fields = json.as_object().filter(|fields| fields.len() == 1)?;
    fields.get("$time").or_else(|| fields.get("$duration"))?.as_str()
}

/// A value for a JSON report: itself, or an object that names why it is not there.
pub(crate) fn to_json(value: &StoredValue) -> Json {
    match value {
        StoredValue::Value(json) => moment(json).map_or_else(|| json.clone(), Json::from),
        StoredValue::Unknown(reason) => serde_json::json!({ "unknown": reason }),
        StoredValue::NotYet(reason) => serde_json::json!({ "not_yet": reason }),
        StoredValue::Secret(name) => serde_json::json!({ "secret": name }),
    }
}

/// Used values on one line: `queue.pending 512 · queue.top_share 0.95`.
pub(crate) fn used(style: &Style, values: &[UsedView], each: usize) -> String {
    let dot = format!(" {} ", style.glyphs().dot);
    let texts: Vec<String> =
        values.iter().map(|used| format!("{} {}", style.text(&used.name), short(style, &used.value, each))).collect();
    texts.join(&dot)
}
