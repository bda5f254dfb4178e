//! Values as the record keeps them.

use super::port::Evidence;
use crate::event::{Event, EvidenceRef, StoredValue};
use crate::expr::{SecretText, UnknownSort, Value, from_record, to_record, unknown, unknown_of};
use sha2::{Digest as _, Sha256};

/// The most of one value that an event holds, in bytes of its JSON; longer values are kept as evidence.
const LIMIT: usize = 64 * 1024;
/// The most of one value that is kept at all, in bytes of its JSON: more no expression sees (ruling 21).
const KEPT_AT_MOST: usize = 16 * 1024 * 1024;
/// How much of a long value stands where it is only shown, in bytes.
const SHOWN: usize = 2 * 1024;
/// The name of the evidence that holds a value.
const STREAM: &str = "value";

/// Reads kept evidence back, all of it; or says why it cannot, as a fragment that fits after a colon.
pub type Kept<'a> = &'a dyn Fn(&EvidenceRef) -> Result<Vec<u8>, String>;

/// A value as it is kept.
#[must_use]
pub fn store(value: &Value) -> StoredValue {
    if let Some(unknown) = unknown_of(value) {
        return match unknown.sort {
            UnknownSort::Unobtained => StoredValue::Unknown(unknown.reason.clone()),
            UnknownSort::NotYet => StoredValue::NotYet(unknown.reason.clone()),
        };
    }
    if let Some(secret) = value.downcast_object_ref::<SecretText>() {
        return StoredValue::Secret(secret.name.to_string());
    }
    StoredValue::Value(to_record(value))
}

/// The same for result fields. What is long and read by no expression (`is_read`) stays in the evidence of its step.
#[must_use]
pub(super) fn store_field(value: &Value, is_read: bool) -> StoredValue {
    let stored = store(value);
    match &stored {
        StoredValue::Value(json) if !is_read && length(json) > LIMIT => {
            StoredValue::Unknown(format!("{} bytes, which no expression reads", length(json)))
        }
        _ => stored,
    }
}

/// The same for what is only shown to people: of what is long, the beginning.
#[must_use]
pub(super) fn store_shown(value: &Value) -> StoredValue {
    let stored = store(value);
    let StoredValue::Value(json) = &stored else { return stored };
    let length = length(json);
    if length <= LIMIT {
        return stored;
    }
    let text = json.as_str().map_or_else(|| json.to_string(), str::to_owned);
    // Whole lines only: a secret that is cut in its middle is known to no masker any more.
    let cut = &text[..text.floor_char_boundary(SHOWN)];
    let lines = cut.rfind('\n').map_or("", |end| &cut[..=end]);
    StoredValue::Value(format!("{lines}… ({length} bytes in all)").into())
}

/// The value again. A secret comes back as unknown: it is read from its source, never from the record.
#[must_use]
pub fn restore(stored: &StoredValue) -> Value {
    restore_kept(stored, &|_| Err("not read here".to_owned()))
}

/// The value again, also one that is kept as evidence. A text that held a secret comes back as unknown, for what stands
/// in the record in place of the secret is not the value.
#[must_use]
pub fn restore_kept(stored: &StoredValue, kept: Kept<'_>) -> Value {
    let unobtained = |reason: String| unknown(UnknownSort::Unobtained, reason);
    match stored {
        StoredValue::Value(json) => from_record(&without_masks(json)),
        StoredValue::Unknown(reason) => unobtained(reason.clone()),
        StoredValue::NotYet(reason) => unknown(UnknownSort::NotYet, reason.clone()),
        StoredValue::Secret(name) => unobtained(format!("the secret `{name}` is not kept")),
        StoredValue::Kept(reference) => {
            let json = kept(reference).and_then(|bytes| {
                serde_json::from_slice(&bytes).map_err(|error| format!("it cannot be read: {error}"))
            });
            match json {
                Ok(json) => from_record(&without_masks(&json)),
                Err(reason) => unobtained(format!("{} bytes, kept as evidence: {reason}", reference.size)),
            }
        }
    }
}

/// Keeps the long values of an event as evidence, on disk before the event is.
pub(super) fn put_aside(event: &mut Event, evidence: &dyn Evidence) {
    let values: Vec<&mut StoredValue> = match event {
        Event::AttemptEnded { fields, .. } => fields.values_mut().collect(),
        Event::StepEnded { captures, .. } | Event::Sampled { captures, .. } => captures.values_mut().collect(),
        Event::ItemsListed { items } => items.iter_mut().collect(),
        Event::Decided { values, .. } | Event::Answered { values, .. } => values.values_mut().collect(),
        Event::Called { inputs, .. } => inputs.values_mut().collect(),
        Event::RunEnded { outputs, .. } => outputs.values_mut().collect(),
        _ => return,
    };
    for value in values {
        let StoredValue::Value(json) = value else { continue };
        *value = match length(json) {
            0..=LIMIT => continue,
            length if length > KEPT_AT_MOST => StoredValue::Unknown(format!("too large: {length} bytes")),
            _ => keep(json, evidence),
        };
    }
}

/// Writes a value into the evidence.
fn keep(json: &serde_json::Value, evidence: &dyn Evidence) -> StoredValue {
    let text = masked(json, evidence).to_string();
    let written = evidence.begin(STREAM).and_then(|mut writer| {
        writer.write(text.as_bytes())?;
        Ok(writer.finish()?.0)
    });
    match written {
        Err(error) => StoredValue::Unknown(format!("{} bytes, which cannot be kept: {error}", text.len())),
        Ok(reference) if reference.cut => {
            StoredValue::Unknown(format!("{} bytes, and there is no room to keep them", text.len()))
        }
        Ok(reference) if reference.sha256 != digest(&text) => {
            StoredValue::Unknown(format!("{} bytes that hold a secret, which is not kept", text.len()))
        }
        Ok(reference) => StoredValue::Kept(reference),
    }
}

/// Masks inside the texts, so that it stays JSON.
fn masked(json: &serde_json::Value, evidence: &dyn Evidence) -> serde_json::Value {
    use serde_json::Value as Json;
    match json {
        Json::String(text) => evidence.mask(text).into(),
        Json::Number(number) => {
            let text = number.to_string();
            let masked = evidence.mask(&text);
            if masked == text { json.clone() } else { masked.into() }
        }
        Json::Array(items) => items.iter().map(|item| masked(item, evidence)).collect(),
        Json::Object(entries) => {
            entries.iter().map(|(key, value)| (evidence.mask(key), masked(value, evidence))).collect()
        }
        Json::Null | Json::Bool(_) => json.clone(),
    }
}

/// What stands in place of a secret is not the value: it is unknown.
fn without_masks(json: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value as Json;
    let lost = || serde_json::json!({ "$unknown": "it held a secret, which is not kept" });
    match json {
        Json::String(text) if holds_mask(text) => lost(),
        Json::Array(items) => items.iter().map(without_masks).collect(),
        Json::Object(entries) if entries.keys().any(|key| holds_mask(key)) => lost(),
        Json::Object(entries) => entries.iter().map(|(key, value)| (key.clone(), without_masks(value))).collect(),
        other => other.clone(),
    }
}

/// Whether a text holds what the record has in place of a secret.
#[must_use]
pub fn holds_mask(text: &str) -> bool {
    text.split_once("‹secret ").is_some_and(|(_, rest)| rest.contains('›'))
}

fn digest(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The length of the JSON text, counted and not written.
fn length(json: &serde_json::Value) -> usize {
    struct Counted(usize);
    impl std::io::Write for Counted {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut counted = Counted(0);
    // Counting cannot fail.
    serde_json::to_writer(&mut counted, json).ok();
    counted.0
}
