//! From text to a value of a type.

use crate::expr::{Duration, Value};
use crate::runbook::InputType;
use url::Url;

/// The rule that a value broke.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Broken {
    /// Fits after the value or "its value": "is not a whole number".
    pub what: String,
    /// How to mend it.
    pub hint: Option<String>,
}

impl Broken {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Reads a text as a value of a type. A choice is a text here, and a list is comma-separated texts: the declaration's own
/// rules (`choices`, `of`, `pattern`, `min`, `max`) come on top.
///
/// # Errors
/// The rule of the type that the text breaks.
pub fn parse_as(kind: InputType, text: &str) -> Result<Value, Broken> {
    if text.contains('\0') {
        return Err(Broken::new("has a NUL byte in it"));
    }
    match kind {
        InputType::Integer => integer(text).map(Value::from),
        InputType::Number => number(text),
        InputType::Boolean => match text {
            "true" => Ok(Value::from(true)),
            "false" => Ok(Value::from(false)),
            _ => Err(Broken::new("is not `true` or `false`")),
        },
        InputType::Duration => duration(text),
        InputType::Url => web_address(text),
        InputType::Path if text.is_empty() => Err(Broken::new("is empty, and a path is not")),
        InputType::String | InputType::Choice | InputType::Path => Ok(Value::from(text)),
        InputType::List => Ok(split_list(text).into_iter().map(Value::from).collect()),
    }
}

/// The items of a comma-separated text; spaces around an item and empty items are dropped.
pub(super) fn split_list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// Decimal digits, perhaps with a minus: `007`, `1_000` and `+5` mean different things to different readers.
fn integer(text: &str) -> Result<i64, Broken> {
    if !is_plain_integer(text) {
        return Err(Broken::new("is not a whole number"));
    }
    text.parse().map_err(|_| Broken::new("does not fit into a whole number of 64 bits"))
}

fn is_plain_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'))
}

/// A number as JSON writes it; a whole one stays whole.
fn number(text: &str) -> Result<Value, Broken> {
    if is_plain_integer(text) {
        return integer(text).map(Value::from);
    }
    let is_json = text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    match serde_json::from_str::<f64>(text) {
        Ok(value) if is_json && value.is_finite() => Ok(Value::from(value)),
        _ => Err(Broken::new("is not a number")),
    }
}

fn duration(text: &str) -> Result<Value, Broken> {
    // The document's own durations and these are the same texts; `Duration` is their value in expressions.
    match (crate::runbook::parse_duration(text), Duration::parse(text)) {
        (Some(_), Some(duration)) => Ok(duration.into()),
        _ if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err(Broken::new("is not a duration").hint(format!("say the unit: {text}s, {text}m or {text}h")))
        }
        _ => Err(Broken::new("is not a duration").hint("write it like 90s, 10m, 1h 30m or 2d")),
    }
}

/// An absolute http or https URL, kept as it was written so that what is shown is what was given.
fn web_address(text: &str) -> Result<Value, Broken> {
    let url = Url::parse(text).map_err(|error| {
        Broken::new("is not an absolute URL").hint(match error {
            url::ParseError::RelativeUrlWithoutBase => format!("write the scheme too: http://{text}"),
            other => other.to_string(),
        })
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Broken::new("is not an http or https URL"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(Broken::new("is a URL without a host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Broken::new("has a user name or password in it, which would be recorded")
            .hint("use `auth` of the target, and an input with `secret: true`"));
    }
    if text.chars().any(|character| character.is_whitespace() || character.is_control()) {
        return Err(Broken::new("has a space or a control character in it"));
    }
    Ok(Value::from(text))
}
