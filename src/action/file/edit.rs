//! Settings into a text: the order of work that every format shares, and the proof that nothing else moved.

use super::datum::{Datum, Found};
use super::env::Env;
use super::ini::Ini;
use super::json::Json;
use super::problem::Problem;
use super::toml::Toml;
use super::yaml::Yaml;
use crate::event::ErrorClass;
use crate::plan::EditFormat;

/// Why a text is not of its format.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Broken {
    /// From 1.
    pub(super) line: usize,
    /// One fragment, without the text of the line.
    pub(super) reason: String,
}

/// One format: how to read it, and how to set and remove one key without touching anything else.
pub(super) trait Syntax {
    /// Reads the whole text.
    fn read(&self, text: &str) -> Result<Datum, Broken>;

    /// The value as this format can hold it, or why it cannot.
    fn fit(&self, path: &[String], value: Datum, old: Option<&Datum>) -> Result<Datum, String>;

    /// Sets one key. The value differs from what is there and is never a map with entries; nothing on the way but a
    /// map, a missing key or (YAML) a null.
    fn set(&self, text: &str, path: &[String], value: &Datum) -> Result<String, String>;

    /// Removes one key that is there.
    fn unset(&self, text: &str, path: &[String]) -> Result<String, String>;
}

/// A setting with plain data in it; no value removes the key.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) path: Vec<String>,
    pub(super) value: Option<Datum>,
}

fn syntax(format: EditFormat) -> &'static dyn Syntax {
    match format {
        EditFormat::Toml => &Toml,
        EditFormat::Yaml => &Yaml,
        EditFormat::Json => &Json,
        EditFormat::Ini => &Ini,
        EditFormat::Env => &Env,
    }
}

/// Reads a text without changing it; `file` is only named in the message.
pub(super) fn read(file: &str, text: &str, format: EditFormat) -> Result<Datum, Problem> {
    let (_, body) = split_mark(text);
    syntax(format).read(body).map_err(|broken| {
        let message = format!("{file}, line {}, is not valid {}: {}", broken.line, name(format), broken.reason);
        Problem::bad_file(message)
    })
}

/// Makes the changes in order. Everything that is not named keeps its bytes, and the result says what it should when it
/// is read again.
pub(super) fn edit(file: &str, text: &str, format: EditFormat, changes: &[Change]) -> Result<String, Problem> {
    let (mark, body) = split_mark(text);
    let mut data = read(file, text, format)?;
    let mut body = body.to_owned();
    let syntax = syntax(format);
    for change in changes {
        let mut steps = Vec::new();
        plan(syntax, &data, &change.path, change.value.as_ref(), &mut steps).map_err(|reason| {
            Problem::bad_value(format!("cannot change `{}` in {file}: {reason}", change.path.join(".")))
        })?;
        for step in steps {
            let refuse = |reason: String| {
                Problem::new(
                    ErrorClass::BadValue,
                    format!("cannot change `{}` in {file}: {reason}", step.path.join(".")),
                )
            };
            let edited = match &step.value {
                Some(value) => syntax.set(&body, &step.path, value),
                None => syntax.unset(&body, &step.path),
            };
            body = edited.map_err(refuse)?;
            let expected = data.with(&step.path, step.value.as_ref());
            let back = syntax.read(&body).map_err(|broken| refuse(unsafe_reason(&broken.reason)))?;
            if !same(&back, &expected) {
                return Err(refuse(unsafe_reason("something else would change with it")));
            }
            data = back;
        }
    }
    Ok(format!("{mark}{body}"))
}

fn unsafe_reason(reason: &str) -> String {
    format!("{reason}; the file was not touched, edit this place by hand")
}

/// The whole file may become empty, which some formats read as null.
fn same(left: &Datum, right: &Datum) -> bool {
    let empty = |data: &Datum| matches!(data, Datum::Null) || matches!(data, Datum::Map(map) if map.is_empty());
    left == right || (empty(left) && empty(right))
}

/// Breaks a setting into single keys: a map is set key by key, so that what stays equal keeps its bytes and comments.
fn plan(
    syntax: &dyn Syntax,
    data: &Datum,
    path: &[String],
    value: Option<&Datum>,
    steps: &mut Vec<Change>,
) -> Result<(), String> {
    if path.is_empty() || path.iter().any(|key| key.contains(['\n', '\r', '\0'])) {
        return Err("the path is empty or holds a line break".to_owned());
    }
    let old = match data.find(path) {
        Found::Here(old) => Some(old),
        // An empty value may become a map.
        Found::Missing | Found::Blocked(_, Datum::Null) => None,
        Found::Blocked(depth, other) => {
            let at = if depth == 0 { "the file".to_owned() } else { format!("`{}`", path[..depth].join(".")) };
            return Err(format!("{at} is {}, not a table of keys", other.what()));
        }
    };
    let step = |path: &[String], value: Option<Datum>| Change { path: path.to_vec(), value };
    match (value, old) {
        (None, None) => {}
        (None, Some(_)) => steps.push(step(path, None)),
        (Some(Datum::Map(new)), old) if !new.is_empty() => {
            match old {
                Some(Datum::Map(old)) => {
                    steps.extend(
                        old.keys().filter(|&key| !new.contains_key(key)).map(|key| step(&below(path, key), None)),
                    );
                }
                Some(_) => steps.push(step(path, None)),
                None => {}
            }
            let kept = if matches!(old, Some(Datum::Map(_)) | None) { data.clone() } else { data.with(path, None) };
            for (key, item) in new {
                plan(syntax, &kept, &below(path, key), Some(item), steps)?;
            }
        }
        (Some(new), old) => {
            let new = syntax.fit(path, new.clone(), old)?;
            if old != Some(&new) {
                steps.push(step(path, Some(new)));
            }
        }
    }
    Ok(())
}

fn below(path: &[String], key: &str) -> Vec<String> {
    path.iter().cloned().chain([key.to_owned()]).collect()
}

/// A byte-order mark stays where it is.
fn split_mark(text: &str) -> (&str, &str) {
    text.strip_prefix('\u{feff}').map_or(("", text), |body| ("\u{feff}", body))
}

fn name(format: EditFormat) -> &'static str {
    match format {
        EditFormat::Toml => "TOML",
        EditFormat::Yaml => "YAML",
        EditFormat::Json => "JSON",
        EditFormat::Ini => "ini",
        EditFormat::Env => "as an env file",
    }
}
