//! What stands on record in plain text: it can be no secret any more.

use super::{MASK_AT_LEAST, Masker};
use crate::event::{Event, Record, StoredValue};
use indexmap::IndexMap;

/// Longer values are not remembered: nobody would take them for a secret.
const AT_MOST: usize = 512;

/// Makes a masker know the values that a record holds as they are: a secret with the same text is refused from now on.
pub(in crate::store) fn know_recorded(masker: &Masker, record: &Record) {
    let (what, values) = match &record.event {
        Event::AttemptEnded { fields, .. } => ("result", fields),
        Event::StepEnded { captures, .. } => ("capture", captures),
        Event::Answered { values, .. } => ("answer", values),
        Event::RunStarted { inputs, .. } => {
            for input in inputs {
                know(masker, &input.value, || format!("input `{}`", input.name));
            }
            return;
        }
        _ => return,
    };
    know_all(masker, what, record, values);
}

fn know_all(masker: &Masker, what: &str, record: &Record, values: &IndexMap<String, StoredValue>) {
    let step = record.step.as_ref().map(ToString::to_string).unwrap_or_default();
    for (name, value) in values {
        know(masker, value, || format!("the {what} `{name}` of `{step}`"));
    }
}

fn know(masker: &Masker, value: &StoredValue, what: impl FnOnce() -> String) {
    let StoredValue::Value(serde_json::Value::String(text)) = value else { return };
    if (MASK_AT_LEAST..=AT_MOST).contains(&text.len()) {
        masker.know_plain(what(), text.as_str());
    }
}
