//! The kinds of value that the language tells apart, and values as words in a message.

use super::time::{Duration, Time};
use super::value::{SecretText, Value, entries, to_json, unknown_of};
use minijinja::value::ValueKind;

/// What a value is, as far as operators care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Unknown,
    Secret,
    None,
    Boolean,
    Number,
    Text,
    Duration,
    Time,
    List,
    Map,
    Other,
}

impl Kind {
    pub(super) fn of(value: &Value) -> Self {
        match value.kind() {
            ValueKind::None => Self::None,
            ValueKind::Bool => Self::Boolean,
            ValueKind::Number => Self::Number,
            ValueKind::String => Self::Text,
            ValueKind::Seq | ValueKind::Iterable => Self::List,
            ValueKind::Map => Self::Map,
            ValueKind::Undefined => Self::Unknown,
            _ if unknown_of(value).is_some() => Self::Unknown,
            _ if value.downcast_object_ref::<SecretText>().is_some() => Self::Secret,
            _ if Time::of(value).is_some() => Self::Time,
            _ if Duration::of(value).is_some() => Self::Duration,
            _ => Self::Other,
        }
    }

    /// The word for it in messages.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Secret => "secret",
            Self::None => "none",
            Self::Boolean => "boolean",
            Self::Number => "number",
            Self::Text => "text",
            Self::Duration => "duration",
            Self::Time => "time",
            Self::List => "list",
            Self::Map => "map",
            Self::Other => "value",
        }
    }
}

/// A number without its spelling: operators need to know only whether it is whole.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Whole(i128),
    Real(f64),
}

impl Number {
    pub(super) fn of(value: &Value) -> Option<Self> {
        if value.is_integer() {
            i128::try_from(value.clone()).ok().map(Self::Whole)
        } else if value.is_number() {
            f64::try_from(value.clone()).ok().map(Self::Real)
        } else {
            None
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "arithmetic with a real number is in floating point")]
    pub(super) fn real(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Real(real) => real,
        }
    }
}

/// The order of two numbers, exact also where a whole number does not fit into floating point.
#[expect(clippy::cast_possible_truncation, reason = "the bounds are checked first")]
pub(super) fn order(left: Number, right: Number) -> Option<std::cmp::Ordering> {
    match (left, right) {
        (Number::Whole(left), Number::Whole(right)) => Some(left.cmp(&right)),
        (Number::Real(left), Number::Real(right)) => left.partial_cmp(&right),
        (Number::Real(_), Number::Whole(_)) => order(right, left).map(std::cmp::Ordering::reverse),
        (Number::Whole(left), Number::Real(right)) => {
            if right.is_nan() {
                None
            } else if right.abs() < 1e30 {
                let floor = right.floor();
                let by_whole = left.cmp(&(floor as i128));
                Some(if by_whole.is_eq() && right > floor { std::cmp::Ordering::Less } else { by_whole })
            } else if right > 0.0 {
                Some(std::cmp::Ordering::Less)
            } else {
                Some(std::cmp::Ordering::Greater)
            }
        }
    }
}

/// The longest text an expression or a template may build.
pub(super) const LONGEST_TEXT: usize = 16 << 20;

/// The longest list an expression may build.
pub(super) const LONGEST_LIST: usize = 1_000_000;

/// A value as it stands in a text, or the kind that cannot stand there.
///
/// Lists and maps become their JSON text. The caller has dealt with the unknown and with secrets.
pub(super) fn text_of(value: &Value) -> Result<String, Kind> {
    match Kind::of(value) {
        Kind::Text => Ok(value.as_str().unwrap_or_default().to_owned()),
        Kind::Boolean => Ok(if value.is_true() { "true" } else { "false" }.to_owned()),
        Kind::Number => Ok(number_text(value)),
        Kind::Time | Kind::Duration => Ok(value.to_string()),
        Kind::List | Kind::Map => Ok(to_json(value).to_string()),
        kind => Err(kind),
    }
}

/// The text of a value that is one text or one number; nothing for any other.
#[must_use]
pub fn scalar_text(value: &Value) -> Option<String> {
    if matches!(Kind::of(value), Kind::Text | Kind::Number) { text_of(value).ok() } else { None }
}

/// A number as people and other programs write it.
fn number_text(value: &Value) -> String {
    match Number::of(value) {
        Some(Number::Real(real)) if real.fract() == 0.0 && real.abs() < 1e15 => format!("{real:.1}"),
        Some(Number::Real(real)) => real.to_string(),
        _ => value.to_string(),
    }
}

/// A value in a message: its kind and a short form of itself, `text "9"`.
pub(super) fn described(value: &Value) -> String {
    match Kind::of(value) {
        Kind::Unknown => unknown_of(value).map_or_else(|| "unknown".to_owned(), ToString::to_string),
        Kind::None => "none".to_owned(),
        Kind::Secret => "a secret".to_owned(),
        Kind::Other => "a value of no kind".to_owned(),
        Kind::List => format!("a list of {}", value.len().unwrap_or(0)),
        Kind::Map => {
            let keys: Vec<_> = entries(value).take(4).map(|(key, _)| key.to_string()).collect();
            format!("a map with {}", if keys.is_empty() { "no keys".to_owned() } else { keys.join(", ") })
        }
        Kind::Text => quoted("text ", value.as_str().unwrap_or_default(), 60),
        kind => format!("{} {}", kind.word(), text_of(value).unwrap_or_default()),
    }
}

/// A value in quotes, whole, or only its length when it is longer than `most` characters: half of a secret is one too,
/// and no writer would know it again.
pub(super) fn quoted(before: &str, text: &str, most: usize) -> String {
    match text.chars().count() {
        long if long > most => format!("a text of {long} characters"),
        _ => format!("{before}{:?}", short(text, most)),
    }
}

/// What another reader says of a value, which it may quote: whole, or only its length, for the same reason.
pub(super) fn words(said: &str, most: usize) -> String {
    match said.chars().count() {
        long if long > most => format!("what is wrong with it takes {long} characters to say"),
        _ => short(said, most),
    }
}

/// At most `most` characters of a text of the runbook (never of a value), with an ellipsis when it is longer; line breaks become spaces.
pub(super) fn short(text: &str, most: usize) -> String {
    let flat = |part: &str| part.replace(['\n', '\r', '\t'], " ");
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", flat(text.get(..end).unwrap_or_default())),
        None => flat(text),
    }
}

/// The first part of this kind that a value is or has inside, however deep.
pub(super) fn part_of(value: &Value, kind: Kind) -> Option<Value> {
    fn search(value: &Value, kind: Kind, depth: usize) -> Option<Value> {
        match Kind::of(value) {
            found if found == kind => Some(value.clone()),
            _ if depth > 128 => None,
            Kind::List => value.try_iter().ok()?.find_map(|item| search(&item, kind, depth + 1)),
            Kind::Map => entries(value).find_map(|(_, item)| search(&item, kind, depth + 1)),
            _ => None,
        }
    }
    search(value, kind, 0)
}
