//! Values as the record keeps them.

use crate::event::{EvidenceRef, StoredValue};
use crate::expr::{SecretText, UnknownSort, Value, from_record, to_record, unknown, unknown_of};

/// The most of one value that an event holds, in bytes of its JSON; longer values are in the evidence.
const LIMIT: usize = 64 * 1024;

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

/// The same for result fields: what is long stays in the evidence.
#[must_use]
pub(super) fn store_field(value: &Value) -> StoredValue {
    let stored = store(value);
    match &stored {
        StoredValue::Value(json) if json.to_string().len() > LIMIT => {
            StoredValue::Unknown(format!("{} bytes, kept as evidence", json.to_string().len()))
        }
        _ => stored,
    }
}

/// Gives the JSON of a value that was too long for an event; nothing when the evidence that holds it is gone or damaged.
pub type Kept<'a> = dyn Fn(&EvidenceRef) -> Option<serde_json::Value> + 'a;

/// The value again, with those that were too long for an event.
pub(super) fn restore_with(stored: &StoredValue, kept: &Kept<'_>) -> Value {
    match stored {
        StoredValue::Kept(evidence) => match kept(evidence) {
            Some(json) => from_record(&json),
            None => unknown(UnknownSort::Unobtained, "it was kept as evidence, and that is gone or damaged"),
        },
        stored => restore(stored),
    }
}

/// The value again. A secret comes back as unknown: it is read from its source, never from the record.
#[must_use]
pub fn restore(stored: &StoredValue) -> Value {
    match stored {
        StoredValue::Value(json) => from_record(json),
        StoredValue::Unknown(reason) => unknown(UnknownSort::Unobtained, reason.clone()),
        StoredValue::NotYet(reason) => unknown(UnknownSort::NotYet, reason.clone()),
        StoredValue::Secret(name) => unknown(UnknownSort::Unobtained, format!("the secret `{name}` is not kept")),
        StoredValue::Kept(kept) => {
            unknown(UnknownSort::Unobtained, format!("{} bytes, kept as evidence and not read here", kept.size))
        }
    }
}
