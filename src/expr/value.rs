//! Values: minijinja's, with three kinds of our own as objects: unknown, secret, and points and spans of time.

use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::sync::Arc;

/// A value of the language.
///
/// Time stamps are objects over [`jiff::Timestamp`], durations over [`jiff::SignedDuration`], see `functions`.
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

/// A value out of JSON; map order is kept.
#[must_use]
pub fn from_json(json: &serde_json::Value) -> Value {
    Value::from(minijinja::value::Serde(json))
}

/// A value as it goes into the record. Unknown: `{"unknown": reason}`; secret: `{"secret": name}`; time stamps as
/// RFC 3339 text; durations as text such as `1h 30m`.
#[must_use]
pub fn to_json(value: &Value) -> serde_json::Value {
    if let Some(unknown) = unknown_of(value) {
        return serde_json::json!({ "unknown": unknown.reason });
    }
    if let Some(secret) = value.downcast_object_ref::<SecretText>() {
        return serde_json::json!({ "secret": &*secret.name });
    }
    serde_json::to_value(value).unwrap_or(serde_json::Value::Null)
}
