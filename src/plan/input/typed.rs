//! The rules of one declared input: its type, and what its author added.

use super::text::{Broken, parse_as, split_list};
use crate::expr::{Duration, SecretText, Value, is_secret, secret, unknown_of};
use crate::runbook::{Input, InputType};
use minijinja::value::ValueKind;
use regex::Regex;

/// A value as a source gave it.
#[derive(Clone, Debug)]
pub(super) enum Given {
    /// One text.
    Text(String),
    /// Several texts: `-i` more than once.
    Texts(Vec<String>),
    /// The content of a file: a list has one item a line.
    Content(String),
    /// A typed value, out of YAML or an expression.
    Value(Value),
}

/// The value of an input, by its rules; the error never holds the value of a secret.
pub(super) fn accept(name: &str, input: &Input, given: Given) -> Result<Value, Broken> {
    let pattern = whole_match(input)?;
    let value = match given {
        Given::Value(value) if unknown_of(&value).is_some() || is_secret(&value) => return Ok(value),
        given if input.is_secret() => return secret_value(name, input, pattern.as_ref(), given),
        given if input.kind == InputType::List => list(input, pattern.as_ref(), given)?,
        Given::Value(value) => typed(input.kind, value).and_then(|value| ruled(input, pattern.as_ref(), value))?,
        Given::Text(text) | Given::Content(text) => one(input, input.kind, pattern.as_ref(), &text)?,
        Given::Texts(_) => return Err(Broken::new("is given more than once, and only a list may be")),
    };
    check_bounds(input, &value)?;
    Ok(value)
}

/// The author's pattern, which the whole text must match.
fn whole_match(input: &Input) -> Result<Option<Regex>, Broken> {
    let Some(pattern) = &input.pattern else { return Ok(None) };
    Regex::new(&format!(r"\A(?:{})\z", pattern.value)).map(Some).map_err(|_| {
        Broken::new(format!("cannot be checked: its pattern `{}` is not a regular expression", pattern.value))
    })
}

fn secret_value(name: &str, input: &Input, pattern: Option<&Regex>, given: Given) -> Result<Value, Broken> {
    let text = match given {
        Given::Text(text) => text,
        // What a password manager writes ends with a newline that is not part of the secret.
        Given::Content(text) => text.trim_end_matches(['\n', '\r']).to_owned(),
        Given::Texts(_) => return Err(Broken::new("is given more than once")),
        Given::Value(value) => {
            value.as_str().map(str::to_owned).ok_or_else(|| Broken::new("is a secret, so it must be a text"))?
        }
    };
    if input.kind == InputType::List {
        return Err(Broken::new("is a secret, and a secret is one text, not a list"));
    }
    if text.is_empty() {
        return Err(Broken::new("is empty"));
    }
    let hide = |broken: Broken| Broken { hint: None, ..broken };
    let value = one(input, input.kind, pattern, &text).map_err(hide)?;
    check_bounds(input, &value)?;
    Ok(secret(SecretText::new(name, text)))
}

/// A list, from whatever form its source has.
fn list(input: &Input, pattern: Option<&Regex>, given: Given) -> Result<Value, Broken> {
    let of = input.of.unwrap_or(InputType::String);
    if of == InputType::List {
        return Err(Broken::new("is a list of lists, which cannot be given"));
    }
    let item = |text: &String| one(input, of, pattern, text);
    let items: Vec<Value> = match given {
        Given::Text(text) => split_list(&text).iter().map(item).collect::<Result<_, _>>()?,
        Given::Texts(texts) => {
            texts.iter().flat_map(|text| split_list(text)).map(|text| item(&text)).collect::<Result<_, _>>()?
        }
        Given::Content(text) => lines(&text).iter().map(item).collect::<Result<_, _>>()?,
        Given::Value(value) => typed_items(input, of, pattern, &value)?,
    };
    Ok(Value::from(items))
}

fn typed_items(input: &Input, of: InputType, pattern: Option<&Regex>, value: &Value) -> Result<Vec<Value>, Broken> {
    let (ValueKind::Seq | ValueKind::Iterable, Ok(items)) = (value.kind(), value.try_iter()) else {
        return Err(Broken::new(format!("is {}, not a list", describe(value))));
    };
    items.map(|item| typed(of, item).and_then(|item| ruled(input, pattern, item))).collect()
}

/// The items of a file: one a line, blank lines dropped (`rulings.md` 40).
fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// One text of a type, with the rules that go by its text.
fn one(input: &Input, kind: InputType, pattern: Option<&Regex>, text: &str) -> Result<Value, Broken> {
    check_text(input, kind, pattern, text)?;
    parse_as(kind, text)
}

/// A typed value with the rules that go by its text.
fn ruled(input: &Input, pattern: Option<&Regex>, value: Value) -> Result<Value, Broken> {
    check_text(input, input.kind, pattern, &value.to_string())?;
    Ok(value)
}

fn check_text(input: &Input, kind: InputType, pattern: Option<&Regex>, text: &str) -> Result<(), Broken> {
    if let Some(pattern) = pattern
        && !pattern.is_match(text)
    {
        let written = input.pattern.as_ref().map_or("", |pattern| pattern.value.as_str());
        return Err(Broken::new(format!("does not match the pattern `{written}`")));
    }
    let choices = &input.choices.0;
    let is_bound = kind == InputType::Choice || !choices.is_empty();
    if is_bound && !choices.iter().any(|choice| choice.value == text) {
        let all: Vec<_> = choices.iter().map(|choice| choice.value.as_str()).collect();
        let broken = Broken::new(format!("is not one of {}", all.join(", ")));
        return Err(match nearest(text, &all) {
            Some(name) => broken.hint(format!("did you mean `{name}`?")),
            None => broken,
        });
    }
    Ok(())
}

fn nearest<'a>(wrong: &str, all: &[&'a str]) -> Option<&'a str> {
    all.iter()
        .map(|name| (strsim::jaro_winkler(wrong, name), *name))
        .filter(|(likeness, _)| *likeness > 0.84)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// A value out of YAML is not read again: quoted text is never a number. A whole number may stand where text is wanted,
/// because it has only one spelling.
fn typed(kind: InputType, value: Value) -> Result<Value, Broken> {
    let fits = match kind {
        InputType::Integer => value.is_integer(),
        InputType::Number => value.is_number(),
        InputType::Boolean => value.kind() == ValueKind::Bool,
        InputType::Duration if Duration::of(&value).is_some() => true,
        _ => {
            return match value.as_str() {
                Some(text) => parse_as(kind, text),
                None if value.is_integer() && kind != InputType::Duration => parse_as(kind, &value.to_string()),
                None => Err(Broken::new(format!("is {}, not {}", describe(&value), wanted(kind)))
                    .hint("write it in quotes if it is meant as text")),
            };
        }
    };
    if fits {
        return Ok(value);
    }
    let broken = Broken::new(format!("is {}, not {}", describe(&value), wanted(kind)));
    Err(if value.as_str().is_some() { broken.hint("write it without quotes") } else { broken })
}

fn wanted(kind: InputType) -> &'static str {
    match kind {
        InputType::String | InputType::Choice => "text",
        InputType::Integer => "a whole number",
        InputType::Number => "a number",
        InputType::Boolean => "`true` or `false`",
        InputType::Duration => "a duration",
        InputType::Url => "a URL",
        InputType::Path => "a path",
        InputType::List => "a list",
    }
}

fn describe(value: &Value) -> &'static str {
    match value.kind() {
        ValueKind::None | ValueKind::Undefined => "empty",
        ValueKind::Bool => "`true` or `false`",
        ValueKind::Number if value.is_integer() => "a whole number",
        ValueKind::Number => "a number",
        ValueKind::String => "text",
        ValueKind::Seq | ValueKind::Iterable => "a list",
        ValueKind::Map => "a map",
        _ => "something else",
    }
}

/// `min` and `max`: of a number its value, of a duration its seconds, of texts and lists the length.
fn check_bounds(input: &Input, value: &Value) -> Result<(), Broken> {
    let (measure, what) = match input.kind {
        InputType::Boolean | InputType::Choice => return Ok(()),
        InputType::Integer | InputType::Number => (f64::try_from(value.clone()).unwrap_or(f64::NAN), ""),
        InputType::Duration => (Duration::of(value).map_or(f64::NAN, Duration::seconds), " seconds"),
        InputType::List => (count(value.len()), " items"),
        InputType::String | InputType::Url | InputType::Path => {
            (count(value.as_str().map(|text| text.chars().count())), " characters")
        }
    };
    if let Some(min) = &input.min
        && measure < min.value
    {
        return Err(Broken::new(format!("is below the smallest allowed, {}{what}", min.value)));
    }
    if let Some(max) = &input.max
        && measure > max.value
    {
        return Err(Broken::new(format!("is above the largest allowed, {}{what}", max.value)));
    }
    Ok(())
}

fn count(length: Option<usize>) -> f64 {
    u32::try_from(length.unwrap_or(0)).map_or(f64::INFINITY, f64::from)
}
