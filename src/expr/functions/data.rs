//! Functions that read structured text.

use super::{Arguments, Entry, Gives, Refusal, Takes};
use crate::expr::kind::{LONGEST_TEXT, words};
use crate::expr::operate::{integer, real};
use crate::expr::time::Time;
use crate::expr::value::{Value, from_json, to_json};
use crate::source::{Data, Diagnostics, Node, Scalar, Source, Style, parse_yaml};

type Outcome = Result<Value, Refusal>;

pub(super) const TABLE: &[Entry] = &[
    Entry::own("json", "json(text)", (1, 1), json)
        .kinds(Takes::Text, Gives::Anything)
        .doc("Reads a JSON text; unknown when it cannot be read.", "json(stdout).status"),
    Entry::own("tojson", "tojson(value)", (1, 1), write_json)
        .kinds(Takes::Anything, Gives::Text)
        .doc("Writes a value as JSON text on one line.", "labels | tojson"),
    Entry::own("yaml", "yaml(text)", (1, 1), yaml).kinds(Takes::Text, Gives::Anything).doc(
        "Reads a YAML document with the types of YAML 1.2; unknown when it cannot be read.",
        "yaml(stdout).spec.replicas",
    ),
    Entry::own("toml", "toml(text)", (1, 1), toml)
        .kinds(Takes::Text, Gives::Map)
        .doc("Reads a TOML document; unknown when it cannot be read.", "toml(text).package.version"),
];

fn unreadable(arguments: &Arguments<'_>, form: &str, why: impl std::fmt::Display) -> Refusal {
    let why = words(&why.to_string(), 120);
    Refusal::missing(format!("`{}` is not {form}: {why}", arguments.source(0)))
}

fn json(arguments: &mut Arguments<'_>) -> Outcome {
    let text = arguments.text(0)?;
    let read: serde_json::Value = serde_json::from_str(text).map_err(|error| unreadable(arguments, "JSON", error))?;
    Ok(from_json(&read))
}

fn write_json(arguments: &mut Arguments<'_>) -> Outcome {
    arguments.whole_parts()?;
    let text = arguments.positional().first().map_or_else(String::new, |value| to_json(value).to_string());
    if text.len() > LONGEST_TEXT {
        return Err(arguments.refuse("the text is longer than 16 MiB"));
    }
    Ok(Value::from(text))
}

fn yaml(arguments: &mut Arguments<'_>) -> Outcome {
    let source = Source::new("yaml", arguments.text(0)?);
    let mut problems = Diagnostics::new();
    let read = parse_yaml(&source, &mut problems);
    match (read, problems.sorted().into_iter().find(|problem| problem.severity == crate::source::Severity::Error)) {
        (Some(node), None) => Ok(yaml_value(&node)),
        (_, Some(problem)) => Err(unreadable(arguments, "YAML", &problem.message)),
        (None, None) => Err(unreadable(arguments, "YAML", "nothing in it")),
    }
}

fn yaml_value(node: &Node) -> Value {
    match &node.data {
        Data::Scalar(scalar) => yaml_scalar(scalar),
        Data::List(items) => items.iter().map(yaml_value).collect(),
        Data::Map(entries) => {
            Value::from_pairs(entries.iter().map(|entry| (entry.key.value.as_str(), yaml_value(&entry.value))))
        }
    }
}

/// A scalar by the core schema of YAML 1.2: only a plain one can be anything but text.
fn yaml_scalar(scalar: &Scalar) -> Value {
    let text = scalar.text.as_str();
    if scalar.style != Style::Plain {
        return Value::from(text);
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::from(()),
        "true" | "True" | "TRUE" => return Value::from(true),
        "false" | "False" | "FALSE" => return Value::from(false),
        _ => {}
    }
    let radix =
        |prefix: &str, radix| text.strip_prefix(prefix).and_then(|digits| i128::from_str_radix(digits, radix).ok());
    let decimal = || text.parse::<i128>().ok();
    if let Some(whole) = decimal().or_else(|| radix("0x", 16)).or_else(|| radix("0o", 8)).and_then(integer) {
        return whole;
    }
    if text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte))
        && let Ok(number) = text.parse::<f64>()
    {
        return real(number, text);
    }
    match text.trim_start_matches(['+', '-']) {
        ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN" => real(f64::NAN, text),
        _ => Value::from(text),
    }
}

fn toml(arguments: &mut Arguments<'_>) -> Outcome {
    let text = arguments.text(0)?;
    let document: toml_edit::DocumentMut =
        text.parse().map_err(|error: toml_edit::TomlError| unreadable(arguments, "TOML", error.message()))?;
    Ok(toml_table(document.as_table()))
}

fn toml_table(table: &dyn toml_edit::TableLike) -> Value {
    Value::from_pairs(table.iter().map(|(key, item)| (key, toml_item(item))))
}

fn toml_item(item: &toml_edit::Item) -> Value {
    match item {
        toml_edit::Item::None => Value::from(()),
        toml_edit::Item::Value(value) => toml_value(value),
        toml_edit::Item::Table(table) => toml_table(table),
        toml_edit::Item::ArrayOfTables(tables) => tables.iter().map(|table| toml_table(table)).collect(),
    }
}

fn toml_value(value: &toml_edit::Value) -> Value {
    match value {
        toml_edit::Value::String(text) => Value::from(text.value().as_str()),
        toml_edit::Value::Integer(number) => Value::from(*number.value()),
        toml_edit::Value::Float(number) => real(*number.value(), &number.value().to_string()),
        toml_edit::Value::Boolean(boolean) => Value::from(*boolean.value()),
        toml_edit::Value::Datetime(time) => {
            let text = time.value().to_string();
            Time::parse(&text).map_or_else(|| Value::from(text), Value::from)
        }
        toml_edit::Value::Array(items) => items.iter().map(toml_value).collect(),
        toml_edit::Value::InlineTable(table) => toml_table(table),
    }
}
