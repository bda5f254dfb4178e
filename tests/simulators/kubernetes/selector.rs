//! Label selectors and field selectors, as text in a query and as objects in a spec.

use super::object::{items, pairs, text};
use super::status::Failure;
use serde_json::Value;

/// One demand on a label.
#[derive(Clone, Debug, PartialEq)]
enum Demand {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

impl Demand {
    fn meets(&self, object: &Value) -> bool {
        let label = |key: &str| object["metadata"]["labels"].get(key).and_then(Value::as_str).map(str::to_owned);
        match self {
            Self::In(key, values) => label(key).is_some_and(|value| values.contains(&value)),
            Self::NotIn(key, values) => label(key).is_none_or(|value| !values.contains(&value)),
            Self::Exists(key) => label(key).is_some(),
            Self::Absent(key) => label(key).is_none(),
        }
    }
}

/// What objects a request is about.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    labels: Vec<Demand>,
    fields: Vec<(String, bool, String)>,
}

impl Selector {
    /// From the two texts of a query.
    pub fn parse(labels: &str, fields: &str) -> Result<Self, Failure> {
        let labels = split(labels).into_iter().map(demand).collect::<Result<_, _>>()?;
        let fields = fields.split(',').filter(|part| !part.is_empty()).map(field).collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
    }

    /// From the `selector` of a spec: `matchLabels` and `matchExpressions`, or (as in a service) a plain map.
    pub fn of(selector: &Value) -> Self {
        let is_plain = selector.get("matchLabels").is_none() && selector.get("matchExpressions").is_none();
        let pairs = pairs(selector, if is_plain { "" } else { "/matchLabels" });
        let mut labels: Vec<Demand> =
            pairs.into_iter().map(|(key, value)| Demand::In(key.to_owned(), vec![value.to_owned()])).collect();
        for expression in items(selector, "/matchExpressions") {
            let key = text(expression, "/key").to_owned();
            let values = items(expression, "/values").iter().filter_map(Value::as_str).map(str::to_owned).collect();
            labels.push(match text(expression, "/operator") {
                "In" => Demand::In(key, values),
                "NotIn" => Demand::NotIn(key, values),
                "Exists" => Demand::Exists(key),
                _ => Demand::Absent(key),
            });
        }
        Self { labels, fields: Vec::new() }
    }

    /// Whether an object is meant.
    pub fn meets(&self, object: &Value) -> bool {
        let field = |path: &str| -> String {
            let pointer = format!("/{}", path.replace('.', "/"));
            match object.pointer(&pointer) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Null) | None => absent(path).to_owned(),
                Some(other) => other.to_string(),
            }
        };
        self.labels.iter().all(|demand| demand.meets(object))
            && self.fields.iter().all(|(path, equal, value)| (field(path) == *value) == *equal)
    }

    /// Whether it selects everything.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }
}

fn absent(path: &str) -> &'static str {
    if path == "spec.unschedulable" { "false" } else { "" }
}

/// Splits at the commas outside brackets.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0);
    for (place, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..place]);
                start = place + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn demand(part: &str) -> Result<Demand, Failure> {
    let owned = |text: &str| text.trim().to_owned();
    if let Some((key, value)) = part.split_once("!=") {
        return Ok(Demand::NotIn(owned(key), vec![owned(value)]));
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Ok(Demand::In(owned(key), vec![owned(value)]));
    }
    if let Some((head, rest)) = part.split_once('(') {
        let values = rest.trim_end().trim_end_matches(')').split(',').map(owned).collect();
        return match head.split_whitespace().collect::<Vec<_>>()[..] {
            [key, "in"] => Ok(Demand::In(owned(key), values)),
            [key, "notin"] => Ok(Demand::NotIn(owned(key), values)),
            _ => Err(Failure::bad(format!("unable to parse requirement: {part:?}"))),
        };
    }
    match part.strip_prefix('!') {
        Some(key) => Ok(Demand::Absent(owned(key))),
        None if part.contains(char::is_whitespace) => {
            Err(Failure::bad(format!("unable to parse requirement: {part:?}")))
        }
        None => Ok(Demand::Exists(owned(part))),
    }
}

fn field(part: &str) -> Result<(String, bool, String), Failure> {
    let (path, equal, value) = if let Some((path, value)) = part.split_once("!=") {
        (path, false, value)
    } else if let Some((path, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        (path, true, value)
    } else {
        return Err(Failure::bad(format!("invalid field selector: {part:?}")));
    };
    Ok((path.trim().to_owned(), equal, value.trim().to_owned()))
}
