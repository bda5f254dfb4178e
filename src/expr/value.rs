//! Values: minijinja's, with three kinds of our own as objects: unknown, secret, and points and spans of time.

use super::time::{Duration, Time};
use minijinja::value::{DynObject, ValueKind};
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::sync::Arc;

/// A value of the language.
///
/// Points in time are [`Time`] objects, spans of time [`Duration`] objects.
pub type Value = minijinja::Value;

/// Why a value is not there (`rulings.md` 11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownSort {
    /// It was looked for and is not there: `default()` replaces it.
    Unobtained,
    /// Its step has not run (dry run): nothing replaces it.
    NotYet,
}

/// A value that was not obtained, with the reason. It travels inside a [`Value`] as an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// Whether it may still come.
    pub sort: UnknownSort,
    /// One fragment that fits after "unknown: ", such as "`agents` is empty".
    pub reason: String,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown: {}", self.reason)
    }
}

impl minijinja::value::Object for Unknown {
    fn repr(self: &Arc<Self>) -> minijinja::value::ObjectRepr {
        minijinja::value::ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A secret with the name it goes by. It has no `Display` of its text and no `Serialize`.
#[derive(Clone)]
pub struct SecretText {
    /// The input or capture it came from.
    pub name: Arc<str>,
    text: SecretString,
}

impl SecretText {
    /// Wraps a secret text.
    pub fn new(name: impl Into<Arc<str>>, text: impl Into<SecretString>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// The text itself. Only the hands (`action`) and the masker may call this.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.text.expose_secret()
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "secret `{}`", self.name)
    }
}

impl minijinja::value::Object for SecretText {
    fn repr(self: &Arc<Self>) -> minijinja::value::ObjectRepr {
        minijinja::value::ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// Makes an unknown value.
pub fn unknown(sort: UnknownSort, reason: impl Into<String>) -> Value {
    Value::from_object(Unknown { sort, reason: reason.into() })
}

/// The unknown inside a value, if the value itself is one.
#[must_use]
pub fn unknown_of(value: &Value) -> Option<&Unknown> {
    value.downcast_object_ref::<Unknown>()
}

/// Makes a secret value.
pub fn secret(text: SecretText) -> Value {
    Value::from_object(text)
}

/// Whether a value is a secret.
#[must_use]
pub fn is_secret(value: &Value) -> bool {
    value.downcast_object_ref::<SecretText>().is_some()
}

/// How deep a value may be before what lies below is left out of a conversion (`rulings.md` 21).
const DEEPEST: usize = 128;

/// A value out of JSON; map order is kept.
#[must_use]
pub fn from_json(json: &serde_json::Value) -> Value {
    Value::from(minijinja::value::Serde(json))
}

/// A value as people and other programs read it. Unknown: `{"unknown": reason}`; secret: `{"secret": name}`; time
/// stamps as RFC 3339 text; durations as text such as `1h 30m`. What lies deeper than 128 levels becomes `null`.
#[must_use]
pub fn to_json(value: &Value) -> serde_json::Value {
    write_json(value, false, 0)
}

/// A value in the form that [`from_record`] reads back as the same value: as [`to_json`], but time stamps are
/// `{"$time": RFC 3339}`, durations `{"$duration": "1h 30m"}`, the unknown `{"$unknown": reason}`, secrets
/// `{"$secret": name}`, and numbers that JSON does not have `{"$number": "NaN"}`. A map that looks like one of these is
/// kept as `{"$map": {..}}`.
#[must_use]
pub fn to_record(value: &Value) -> serde_json::Value {
    write_json(value, true, 0)
}

/// The value that [`to_record`] wrote. A secret is never in the record: it comes back unknown, as does a marked text
/// that cannot be read.
#[must_use]
pub fn from_record(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Array(items) => items.iter().map(from_record).collect(),
        serde_json::Value::Object(entries) => marked(entries).unwrap_or_else(|| {
            Value::from_pairs(entries.iter().map(|(key, value)| (key.as_str(), from_record(value))))
        }),
        plain => from_json(plain),
    }
}

/// Reads the one-key maps that stand for values JSON does not have.
fn marked(entries: &serde_json::Map<String, serde_json::Value>) -> Option<Value> {
    let (mark, content) = only_mark(entries)?;
    if let ("$map", Some(entries)) = (mark, content.as_object()) {
        return Some(Value::from_pairs(entries.iter().map(|(key, value)| (key.as_str(), from_record(value)))));
    }
    let text = content.as_str()?;
    let unobtained = |reason: String| unknown(UnknownSort::Unobtained, reason);
    match mark {
        "$time" => Some(Time::parse(text).map_or_else(|| unobtained(format!("`{text}` is not a time")), Value::from)),
        "$duration" => {
            Some(Duration::parse(text).map_or_else(|| unobtained(format!("`{text}` is not a duration")), Value::from))
        }
        "$number" => Some(number(text).unwrap_or_else(|| unobtained(format!("`{text}` is not a number")))),
        "$unknown" => Some(unobtained(text.to_owned())),
        "$secret" => Some(unobtained(format!("the secret `{text}` is not kept in the record"))),
        _ => None,
    }
}

/// The keys of the one-key maps that stand for values JSON does not have.
const MARKS: [&str; 6] = ["$time", "$duration", "$number", "$unknown", "$secret", "$map"];

/// The one entry of a map, when its name is one of ours.
fn only_mark(entries: &serde_json::Map<String, serde_json::Value>) -> Option<(&str, &serde_json::Value)> {
    let (mark, content) = entries.iter().next().filter(|_| entries.len() == 1)?;
    MARKS.contains(&mark.as_str()).then_some((mark.as_str(), content))
}

/// A number that JSON does not have.
fn number(text: &str) -> Option<Value> {
    match text {
        "NaN" => Some(Value::from(f64::NAN)),
        "inf" => Some(Value::from(f64::INFINITY)),
        "-inf" => Some(Value::from(f64::NEG_INFINITY)),
        whole => whole.parse::<i128>().map(Value::from).or_else(|_| whole.parse::<u128>().map(Value::from)).ok(),
    }
}

/// How a number that JSON does not have is kept: what is no number at all, what has no end, what is too long.
fn beyond_json(value: &Value) -> Option<String> {
    if !value.is_number()
        || value.is_integer() && (i64::try_from(value.clone()).is_ok() || u64::try_from(value.clone()).is_ok())
    {
        return None;
    }
    if value.is_integer() {
        return Some(value.to_string());
    }
    let number = f64::try_from(value.clone()).ok().filter(|number| !number.is_finite())?;
    Some(number.to_string())
}

fn write_json(value: &Value, exact: bool, depth: usize) -> serde_json::Value {
    use serde_json::{Value as Json, json};
    if let Some(unknown) = unknown_of(value) {
        return if exact { json!({ "$unknown": unknown.reason }) } else { json!({ "unknown": unknown.reason }) };
    }
    if let Some(secret) = value.downcast_object_ref::<SecretText>() {
        return if exact { json!({ "$secret": &*secret.name }) } else { json!({ "secret": &*secret.name }) };
    }
    if let Some(time) = Time::of(value) {
        return if exact { json!({ "$time": time.to_string() }) } else { json!(time.to_string()) };
    }
    if let Some(duration) = Duration::of(value) {
        return if exact { json!({ "$duration": duration.to_string() }) } else { json!(duration.to_string()) };
    }
    if depth >= DEEPEST {
        return Json::Null;
    }
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => value
            .try_iter()
            .map_or(Json::Null, |items| Json::Array(items.map(|item| write_json(&item, exact, depth + 1)).collect())),
        ValueKind::Map => {
            let written = entries(value).map(|(key, item)| {
                let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                (key, write_json(&item, exact, depth + 1))
            });
            let written: serde_json::Map<_, _> = written.collect();
            // Whoever sends such a map must not make it something else.
            if exact && only_mark(&written).is_some() { json!({ "$map": written }) } else { Json::Object(written) }
        }
        ValueKind::Number if exact && let Some(text) = beyond_json(value) => json!({ "$number": text }),
        _ => serde_json::to_value(value).unwrap_or(Json::Null),
    }
}

/// The entries of a map, in order; none for any other value.
pub(super) fn entries(value: &Value) -> impl Iterator<Item = (Value, Value)> + use<> {
    value.as_object().and_then(DynObject::try_iter_pairs).into_iter().flatten()
}
