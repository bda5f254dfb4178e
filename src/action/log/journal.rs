//! Entries of the systemd journal, as `journalctl -o json` writes them: one JSON object a line.

use super::split::{LONGEST, cut};
use jiff::Timestamp;
use serde_json::Value;

/// The longest line of JSON that is taken: a message that is no text comes as a list of numbers, four bytes for one.
pub(super) const LONGEST_ENTRY: usize = 8 * LONGEST;

/// One entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// When the journal took it.
    pub(super) time: Timestamp,
    /// What was said; may be of several lines.
    pub(super) message: String,
}

impl Entry {
    /// Reads an entry; nothing when this is none.
    pub(super) fn read(line: &str) -> Option<Self> {
        let fields: serde_json::Map<String, Value> = serde_json::from_str(line).ok()?;
        let time: i64 = fields.get("__REALTIME_TIMESTAMP")?.as_str()?.parse().ok()?;
        let message = fields.get("MESSAGE").map(text).unwrap_or_default();
        Some(Self { time: Timestamp::from_microsecond(time).ok()?, message })
    }

    /// The time as it stands before each line.
    pub(super) fn stamp(&self) -> String {
        format!("{:.6} ", self.time)
    }

    /// The lines of the message, at least one.
    pub(super) fn lines(&self) -> impl Iterator<Item = std::borrow::Cow<'_, str>> {
        let whole = self.message.strip_suffix('\n').unwrap_or(&self.message);
        whole.split('\n').map(|line| cut(line.strip_suffix('\r').unwrap_or(line), LONGEST))
    }
}

/// A field: text, bytes that are no text, or several values under one name.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let byte = |item: &Value| item.as_u64().and_then(|byte| u8::try_from(byte).ok());
            match items.iter().map(byte).collect::<Option<Vec<u8>>>() {
                Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                None => items.iter().map(text).collect::<Vec<_>>().join("\n"),
            }
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(entry: &Entry) -> Vec<String> {
        entry.lines().map(|line| format!("{}{line}", entry.stamp())).collect()
    }

    #[test]
    fn an_entry_is_its_time_and_its_message() {
        let entry =
            Entry::read(r#"{"MESSAGE":"up\nand running\n","__REALTIME_TIMESTAMP":"1764120328123456"}"#).unwrap();
        let found = lines(&entry);
        assert_eq!(found, ["2025-11-26T01:25:28.123456Z up", "2025-11-26T01:25:28.123456Z and running"]);
    }

    #[test]
    fn a_message_that_is_no_text_is_read_as_far_as_it_goes() {
        let entry = |message: &str| {
            Entry::read(&format!(r#"{{"MESSAGE":{message},"__REALTIME_TIMESTAMP":"1764120328000000"}}"#)).unwrap()
        };
        assert_eq!(entry("[97,255,98]").message, "a\u{fffd}b");
        assert_eq!(entry(r#"["one","two"]"#).message, "one\ntwo");
        assert_eq!(entry("null").message, "");
        assert_eq!(lines(&entry(r#""""#)), ["2025-11-26T01:25:28.000000Z "]);
    }

    #[test]
    fn what_is_no_entry_is_nothing() {
        for line in ["", "-- No entries --", "[]", r#"{"MESSAGE":"up"}"#, r#"{"__REALTIME_TIMESTAMP":"soon"}"#] {
            assert_eq!(Entry::read(line), None, "{line}");
        }
    }
}
