//! Plain typed data: what a setting says, and what a file says when it is read back.

use super::problem::Problem;
use crate::expr::{SecretText, Value, unknown_of};
use indexmap::IndexMap;
use minijinja::value::ValueKind;

/// Deeper data is refused.
pub(super) const DEPTH: usize = 128;

/// A value without secrets, holes or objects. Maps compare without regard to order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Datum {
    /// `null`; TOML, ini and env have none.
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    List(Vec<Datum>),
    Map(IndexMap<String, Datum>),
    /// Something a setting cannot say (a TOML date, a YAML alias or tag), as it is written: never equal to a setting.
    Other(String),
}

/// What stands at a path.
pub(super) enum Found<'a> {
    /// A value.
    Here(&'a Datum),
    /// Nothing; so many leading keys of the path are maps that exist.
    Missing,
    /// This many leading keys lead to something that is not a map.
    Blocked(usize, &'a Datum),
}

impl Datum {
    /// Converts a value of the language. With `masked`, a secret becomes `‹secret NAME›` instead of its text.
    pub(super) fn of(value: &Value, masked: bool) -> Result<Self, Problem> {
        Self::of_depth(value, masked, 0)
    }

    fn of_depth(value: &Value, masked: bool, depth: usize) -> Result<Self, Problem> {
        if depth > DEPTH {
            return Err(Problem::bad_value(format!("the value is nested deeper than {DEPTH} levels")));
        }
        if let Some(unknown) = unknown_of(value) {
            return Err(Problem::bad_value(format!("the value is unknown: {}", unknown.reason)));
        }
        if let Some(secret) = value.downcast_object_ref::<SecretText>() {
            return Ok(Self::Text(if masked { mask_of(secret) } else { secret.reveal().to_owned() }));
        }
        match value.kind() {
            ValueKind::None => Ok(Self::Null),
            ValueKind::Bool => Ok(Self::Bool(value.is_true())),
            ValueKind::Number => number(value),
            ValueKind::String | ValueKind::Plain => Ok(Self::Text(value.to_string())),
            ValueKind::Seq | ValueKind::Iterable => {
                let items = value.try_iter().map_err(|error| Problem::bad_value(error.to_string()))?;
                items.map(|item| Self::of_depth(&item, masked, depth + 1)).collect::<Result<_, _>>().map(Self::List)
            }
            ValueKind::Map => {
                let keys = value.try_iter().map_err(|error| Problem::bad_value(error.to_string()))?;
                let mut map = IndexMap::new();
                for key in keys {
                    let item = value.get_item(&key).map_err(|error| Problem::bad_value(error.to_string()))?;
                    map.insert(key.to_string(), Self::of_depth(&item, masked, depth + 1)?);
                }
                Ok(Self::Map(map))
            }
            other => Err(Problem::bad_value(format!("a value of kind {other} cannot be written to a file"))),
        }
    }

    /// What it is, with its article, for messages.
    pub(super) fn what(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Other(_) => "neither a map nor a plain value",
        }
    }

    /// Looks along a path.
    pub(super) fn find(&self, path: &[String]) -> Found<'_> {
        let mut at = self;
        for (depth, key) in path.iter().enumerate() {
            let Self::Map(map) = at else { return Found::Blocked(depth, at) };
            let Some(next) = map.get(key) else { return Found::Missing };
            at = next;
        }
        Found::Here(at)
    }

    /// The same data with a value set or removed at a path. Nulls and missing keys on the way become maps.
    pub(super) fn with(&self, path: &[String], value: Option<&Datum>) -> Self {
        let Some((key, rest)) = path.split_first() else { return value.cloned().unwrap_or(Self::Null) };
        let mut map = match self {
            Self::Map(map) => map.clone(),
            _ => IndexMap::new(),
        };
        if rest.is_empty() && value.is_none() {
            map.shift_remove(key);
        } else {
            let child = map.get(key).unwrap_or(&Self::Null).with(rest, value);
            map.insert(key.clone(), child);
        }
        Self::Map(map)
    }

    /// A number or boolean as text, or the text itself; nothing for the rest.
    pub(super) fn scalar_text(&self) -> Option<String> {
        match self {
            Self::Bool(value) => Some(value.to_string()),
            Self::Int(value) => Some(value.to_string()),
            Self::Float(value) => Some(float_text(*value)),
            Self::Text(value) => Some(value.clone()),
            _ => None,
        }
    }
}

/// How a secret is shown.
pub(super) fn mask_of(secret: &SecretText) -> String {
    format!("‹secret {}›", secret.name)
}

fn number(value: &Value) -> Result<Datum, Problem> {
    if value.is_integer() {
        return i128::try_from(value.clone())
            .map(Datum::Int)
            .map_err(|_| Problem::bad_value("the number does not fit in 128 bits"));
    }
    match f64::try_from(value.clone()) {
        Ok(float) if float.is_finite() => Ok(Datum::Float(float)),
        _ => Err(Problem::bad_value("a number that is not finite cannot be written to a file")),
    }
}

/// A float that every format reads as the same float: a point is always there, and a sign in the exponent.
pub(super) fn float_text(value: f64) -> String {
    let text = format!("{value:?}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let point = if digits.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with('-') { "" } else { "+" };
    format!("{digits}{point}e{sign}{exponent}")
}

/// A double-quoted text that JSON, YAML and TOML all read as the same text, on one line.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Line breaks of YAML 1.1, byte-order marks and control characters are unsafe in one reader or another.
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                out.push_str("\\u");
                let code = u32::from(char);
                out.extend([12, 8, 4, 0].map(|shift| char::from_digit((code >> shift) & 0xf, 16).unwrap_or('0')));
            }
            _ => out.push(char),
        }
    }
    out.push('"');
    out
}

/// JSON text on one line; it is YAML too.
pub(super) fn json_text(datum: &Datum) -> String {
    match datum {
        Datum::Null => "null".to_owned(),
        Datum::Text(text) => quoted(text),
        Datum::List(items) => format!("[{}]", items.iter().map(json_text).collect::<Vec<_>>().join(", ")),
        Datum::Map(map) => {
            let pairs: Vec<_> =
                map.iter().map(|(key, value)| format!("{}: {}", quoted(key), json_text(value))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        Datum::Other(raw) => raw.clone(),
        scalar => scalar.scalar_text().unwrap_or_default(),
    }
}
