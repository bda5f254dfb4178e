//! JSON texts with the secrets in them: bodies of requests, manifests. Only the hands make these.

use super::outcome::Refusal;
use crate::expr::{SecretText, Value, to_json, unknown_of};
use minijinja::value::ValueKind;

/// How deep it may be.
const DEEPEST: usize = 128;

/// A value as JSON with its secrets in; `whole` names it in messages.
///
/// # Errors
/// Something in it is unknown, too deep, or no JSON.
pub(super) fn with_secrets(value: &Value, whole: &str) -> Result<serde_json::Value, Refusal> {
    json(value, whole, "", DEEPEST)
}

/// `place` is where the value stands: `.a[0].b`.
fn json(value: &Value, whole: &str, place: &str, deeper: usize) -> Result<serde_json::Value, Refusal> {
    let refused = |why: &str| {
        let place = if place.is_empty() { whole.to_owned() } else { format!("`{place}` in {whole}") };
        Refusal::value(format!("{place} {why}"))
    };
    if let Some(unknown) = unknown_of(value) {
        return Err(refused(&format!("is {unknown}")));
    }
    if let Some(secret) = value.downcast_object_ref::<SecretText>() {
        return Ok(serde_json::Value::from(secret.reveal()));
    }
    let deeper = deeper.checked_sub(1).ok_or_else(|| refused("is more than 128 levels deep"))?;
    match value.kind() {
        ValueKind::Map => {
            let mut map = serde_json::Map::new();
            for key in value.try_iter().map_err(|error| refused(&format!("cannot be read: {error}")))? {
                let name = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                let inner = value.get_item(&key).map_err(|error| refused(&format!("cannot be read: {error}")))?;
                let inner = json(&inner, whole, &format!("{place}.{name}"), deeper)?;
                map.insert(name, inner);
            }
            Ok(serde_json::Value::Object(map))
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let items = value.try_iter().map_err(|error| refused(&format!("cannot be read: {error}")))?;
            let items = items.enumerate().map(|(index, item)| json(&item, whole, &format!("{place}[{index}]"), deeper));
            items.collect::<Result<Vec<_>, _>>().map(serde_json::Value::Array)
        }
        ValueKind::Undefined | ValueKind::Invalid => Err(refused("has no value")),
        ValueKind::Number if f64::try_from(value.clone()).is_ok_and(|number| !number.is_finite()) => {
            Err(refused("is a number that JSON does not have"))
        }
        _ => Ok(to_json(value)),
    }
}
