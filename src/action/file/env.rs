//! `KEY=value` lines that `sh` and systemd read as the same bytes.

use super::datum::Datum;
use super::edit::{Broken, Syntax};
use super::lines::{append_lines, line_end, newline_of, next_line, splice, whole_lines};
use indexmap::IndexMap;
use std::ops::Range;

pub(super) struct Env;

impl Syntax for Env {
    fn read(&self, text: &str) -> Result<Datum, Broken> {
        // The last of several equal keys counts, in a shell and in systemd.
        Ok(Datum::Map(pairs(text)?.into_iter().map(|pair| (pair.key, pair.meaning)).collect::<IndexMap<_, _>>()))
    }

    fn fit(&self, path: &[String], value: Datum, _old: Option<&Datum>) -> Result<Datum, String> {
        let [key] = path else { return Err("an env file has plain keys, so a path has one part".to_owned()) };
        if !is_name(key) {
            return Err("the name of a variable has letters, digits and `_` only".to_owned());
        }
        let text = value.scalar_text().ok_or_else(|| format!("{} cannot stand in an env file", value.what()))?;
        if text.chars().any(|char| char.is_control() && char != '\t') {
            return Err("a value with a line break or control character cannot stand in an env file".to_owned());
        }
        Ok(Datum::Text(text))
    }

    fn set(&self, text: &str, path: &[String], value: &Datum) -> Result<String, String> {
        let (Some(key), Datum::Text(value)) = (path.first(), value) else {
            return Err("it is not a plain value".to_owned());
        };
        let pairs = pairs(text).map_err(|broken| broken.reason)?;
        let lost = || "the place of the key was not found again".to_owned();
        if let Some(pair) = pairs.iter().rfind(|pair| pair.key == *key) {
            if pair.commented {
                return Err("its line ends with a comment, which systemd takes for a part of the value; \
                            move the comment to a line of its own"
                    .to_owned());
            }
            let new = spell(value, text.get(pair.value.clone()).unwrap_or_default());
            return splice(text, vec![(pair.value.clone(), new)]).ok_or_else(lost);
        }
        let export = pairs.last().is_some_and(|pair| pair.export);
        let line = format!("{}{key}={}", if export { "export " } else { "" }, spell(value, ""));
        let Some(at) = commented_default(text, key) else { return Ok(append_lines(text, &[line])) };
        let stop = line_end(text, at);
        splice(text, vec![(stop..stop, format!("{}{line}", newline_of(text)))]).ok_or_else(lost)
    }

    fn unset(&self, text: &str, path: &[String]) -> Result<String, String> {
        let pairs = pairs(text).map_err(|broken| broken.reason)?;
        let gone = pairs.iter().filter(|pair| path.first() == Some(&pair.key));
        let splices = gone.map(|pair| (whole_lines(text, &pair.value), String::new())).collect();
        splice(text, splices).ok_or_else(|| "the place of the key was not found again".to_owned())
    }
}

struct Pair {
    key: String,
    value: Range<usize>,
    /// What both readers make of it, or the raw text where they differ.
    meaning: Datum,
    export: bool,
    commented: bool,
}

fn pairs(text: &str) -> Result<Vec<Pair>, Broken> {
    let mut pairs = Vec::new();
    let mut at = 0;
    let mut number = 0;
    while at < text.len() {
        number += 1;
        let line = &text[at..line_end(text, at)];
        let body = line.trim_start();
        if !body.trim().is_empty() && !body.starts_with(['#', ';']) {
            let start = at + line.len() - body.len();
            pairs.push(pair(body, start).map_err(|reason| Broken { line: number, reason: reason.to_owned() })?);
        }
        at = next_line(text, at);
    }
    Ok(pairs)
}

fn pair(body: &str, start: usize) -> Result<Pair, &'static str> {
    let plain = body.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t'])).map(str::trim_start);
    let rest = plain.unwrap_or(body);
    let (key, raw) = rest.split_once('=').ok_or("it is not `KEY=value`")?;
    if !is_name(key) {
        return Err("the name before `=` is not the name of a variable");
    }
    let from = start + body.len() - raw.len();
    let raw = raw.trim_end();
    let read = read_value(raw)?;
    let value = from..from + read.length;
    Ok(Pair {
        key: key.to_owned(),
        value,
        meaning: read.meaning,
        export: plain.is_some(),
        commented: read.length < raw.len(),
    })
}

struct Read {
    /// Bytes up to a comment.
    length: usize,
    meaning: Datum,
}

fn read_value(raw: &str) -> Result<Read, &'static str> {
    let mut text = String::new();
    // Whether a shell and systemd read different bytes.
    let mut differs = false;
    let mut chars = raw.char_indices().peekable();
    let mut length = raw.len();
    while let Some((at, char)) = chars.next() {
        match char {
            '\'' => loop {
                match chars.next() {
                    Some((_, '\'')) => break,
                    Some((_, inner)) => text.push(inner),
                    None => return Err("a quote is not closed on its line"),
                }
            },
            '"' => loop {
                match chars.next() {
                    Some((_, '"')) => break,
                    Some((_, '\\')) => match chars.next() {
                        Some((_, escaped @ ('"' | '\\' | '`' | '$'))) => text.push(escaped),
                        Some((_, other)) => {
                            differs = true;
                            text.push(other);
                        }
                        None => return Err("a quote is not closed on its line"),
                    },
                    Some((_, inner)) => {
                        differs |= matches!(inner, '$' | '`');
                        text.push(inner);
                    }
                    None => return Err("a quote is not closed on its line"),
                }
            },
            '#' if raw[..at].ends_with([' ', '\t']) => {
                length = raw[..at].trim_end().len();
                differs = true;
                break;
            }
            _ => {
                differs |= !(is_safe(char));
                text.push(char);
            }
        }
    }
    let meaning = if differs { Datum::Other(raw.to_owned()) } else { Datum::Text(text) };
    Ok(Read { length, meaning })
}

fn spell(value: &str, old: &str) -> String {
    let single = old.len() > 1 && old.starts_with('\'') && old.ends_with('\'') && !value.contains(['\'', '\\']);
    let double = old.len() > 1 && old.starts_with('"') && old.ends_with('"');
    if single {
        return format!("'{value}'");
    }
    if !double && value.chars().all(is_safe) {
        return value.to_owned();
    }
    // Within double quotes both readers know exactly these four escapes; single quotes end differently in old systemd.
    let mut out = String::from("\"");
    for char in value.chars() {
        if matches!(char, '"' | '\\' | '`' | '$') {
            out.push('\\');
        }
        out.push(char);
    }
    out.push('"');
    out
}

fn is_safe(char: char) -> bool {
    char.is_ascii_alphanumeric() || "_@%+=:,./-".contains(char)
}

fn is_name(key: &str) -> bool {
    key.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_')
        && key.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
}

/// The first byte of the last `#KEY=` line.
fn commented_default(text: &str, key: &str) -> Option<usize> {
    let mut found = None;
    let mut at = 0;
    while at < text.len() {
        let body = text[at..line_end(text, at)].trim();
        if let Some(rest) = body.strip_prefix(['#', ';']) {
            let rest = rest.trim_start();
            let rest = rest.strip_prefix("export ").unwrap_or(rest);
            if rest.strip_prefix(key).is_some_and(|rest| rest.starts_with('=')) {
                found = Some(at);
            }
        }
        at = next_line(text, at);
    }
    found
}
