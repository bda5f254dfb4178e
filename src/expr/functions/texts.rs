//! Functions over texts.

use super::{Arguments, Entry, Gives, Refusal, Takes};
use crate::expr::kind::{LONGEST_LIST, LONGEST_TEXT, described, text_of};
use crate::expr::value::Value;
use regex::{Regex, RegexBuilder};
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

type Outcome = Result<Value, Refusal>;

pub(super) const TABLE: &[Entry] = &[
    Entry::jinja("lower", "lower(text)", (1, 1))
        .kinds(Takes::Text, Gives::Text)
        .doc("Makes all letters small.", "name | lower"),
    Entry::jinja("upper", "upper(text)", (1, 1))
        .kinds(Takes::Text, Gives::Text)
        .doc("Makes all letters capital.", "name | upper"),
    Entry::jinja("title", "title(text)", (1, 1))
        .kinds(Takes::Text, Gives::Text)
        .doc("Capitalises each word.", "name | title"),
    Entry::jinja("capitalize", "capitalize(text)", (1, 1))
        .kinds(Takes::Text, Gives::Text)
        .doc("Capitalises the first letter and makes the others small.", "name | capitalize"),
    Entry::own("trim", "trim(text, characters)", (1, 2), trim)
        .kinds(Takes::Text, Gives::Text)
        .doc("Drops blanks, or the given characters, at both ends.", "stdout | trim"),
    Entry::own("replace", "replace(text, old, new)", (3, 3), replace)
        .kinds(Takes::Text, Gives::Text)
        .doc("Replaces every occurrence of a text.", "name | replace('_', '-')"),
    Entry::own("split", "split(text, separator)", (1, 2), split)
        .kinds(Takes::Text, Gives::List)
        .doc("Cuts a text at each separator; without one, at blanks.", "'a,b' | split(',')"),
    Entry::own("indent", "indent(text, width, first=BOOLEAN)", (1, 2), indent)
        .kinds(Takes::Text, Gives::Text)
        .named(&["first"])
        .doc("Puts blanks before each line but the first (4 without a width); empty lines stay empty.", "manifest | indent(2)"),
    Entry::own("string", "string(value)", (1, 1), string)
        .kinds(Takes::Anything, Gives::Text)
        .doc("Gives a value as text; lists and maps as JSON.", "port | string"),
    Entry::own("lines", "lines(text)", (1, 1), lines)
        .kinds(Takes::Text, Gives::List)
        .doc("Cuts a text into its lines; a newline at the end begins no further line.", "stdout | lines | length"),
    Entry::own("matches", "matches(text, regex)", (2, 2), matches)
        .kinds(Takes::Text, Gives::Map)
        .doc(
            "Searches a text: `{found, text, groups, named}`, where `groups[0]` is the whole match and `named` holds the named groups; a group that took no part is none.",
            "matches(stdout, 'version (?<major>[0-9]+)').named.major",
        ),
    Entry::own("ident", "ident(text)", (1, 1), identifier)
        .kinds(Takes::Text, Gives::Text)
        .doc("Quotes a name for SQL; for use in `sql: {query}` only.", "table | ident"),
];

fn bounded(text: String, arguments: &Arguments<'_>) -> Outcome {
    if text.len() > LONGEST_TEXT {
        return Err(arguments.refuse("the text is longer than 16 MiB"));
    }
    Ok(Value::from(text))
}

fn trim(arguments: &mut Arguments<'_>) -> Outcome {
    let text = arguments.text(0)?;
    if arguments.count() == 1 {
        return Ok(Value::from(text.trim()));
    }
    let characters: Vec<char> = arguments.text(1)?.chars().collect();
    Ok(Value::from(text.trim_matches(characters.as_slice())))
}

fn replace(arguments: &mut Arguments<'_>) -> Outcome {
    let (text, old, new) = (arguments.text(0)?, arguments.text(1)?, arguments.text(2)?);
    if old.is_empty() {
        return Err(arguments.refuse("the text to replace is empty"));
    }
    let count = if new.len() > old.len() { text.matches(old).count() } else { 0 };
    if text.len().saturating_add(count.saturating_mul(new.len())) > LONGEST_TEXT {
        return Err(arguments.refuse("the text is longer than 16 MiB"));
    }
    Ok(Value::from(text.replace(old, new)))
}

fn listed<'t>(parts: impl Iterator<Item = &'t str>, arguments: &Arguments<'_>) -> Outcome {
    let parts: Vec<Value> = parts.take(LONGEST_LIST + 1).map(Value::from).collect();
    if parts.len() > LONGEST_LIST {
        return Err(arguments.refuse(format!("the list is longer than {LONGEST_LIST} items")));
    }
    Ok(Value::from(parts))
}

fn split(arguments: &mut Arguments<'_>) -> Outcome {
    let text = arguments.text(0)?;
    if arguments.count() == 1 {
        return listed(text.split_whitespace(), arguments);
    }
    match arguments.text(1)? {
        "" => Err(arguments.refuse("the separator is empty")),
        separator => listed(text.split(separator), arguments),
    }
}

fn indent(arguments: &mut Arguments<'_>) -> Outcome {
    let text = arguments.text(0)?;
    let width = if arguments.count() > 1 { arguments.size(1)? } else { 4 };
    let first = arguments.flag("first")?;
    let lines = text.split('\n').count();
    if lines.saturating_mul(width).saturating_add(text.len()) > LONGEST_TEXT {
        return Err(arguments.refuse("the text is longer than 16 MiB"));
    }
    let blanks = " ".repeat(width);
    let mut indented = String::with_capacity(text.len() + lines * width);
    for (at, line) in text.split('\n').enumerate() {
        if at > 0 {
            indented.push('\n');
        }
        if (at > 0 || first) && !line.trim().is_empty() {
            indented.push_str(&blanks);
        }
        indented.push_str(line);
    }
    Ok(Value::from(indented))
}

fn string(arguments: &mut Arguments<'_>) -> Outcome {
    arguments.whole_parts()?;
    let value = arguments.present(0)?;
    match text_of(value) {
        Ok(text) => bounded(text, arguments),
        Err(_) => Err(arguments.refuse(format!("{} has no text", described(value)))),
    }
}

fn lines(arguments: &mut Arguments<'_>) -> Outcome {
    listed(arguments.text(0)?.lines(), arguments)
}

/// How many regular expressions are kept compiled.
const KEPT: usize = 256;

static COMPILED: LazyLock<Mutex<HashMap<String, Regex>>> = LazyLock::new(Mutex::default);

/// Compiles a regular expression, within bounds of size; a test on each item of a list compiles only once.
pub(in crate::expr) fn regex(pattern: &str) -> Result<Regex, String> {
    let cache = || COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(regex) = cache().get(pattern) {
        return Ok(regex.clone());
    }
    let regex = compile(pattern)?;
    let mut cache = cache();
    if cache.len() >= KEPT {
        cache.clear();
    }
    cache.insert(pattern.to_owned(), regex.clone());
    Ok(regex)
}

fn compile(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern).size_limit(1 << 20).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "the regular expression is too large".to_owned(),
        error => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            format!("the regular expression is not right: {last}")
        }
    })
}

fn matches(arguments: &mut Arguments<'_>) -> Outcome {
    let text = arguments.text(0)?;
    let regex = regex(arguments.text(1)?).map_err(|message| arguments.refuse(message))?;
    let found = regex.captures(text);
    let group =
        |part: Option<regex::Match<'_>>| part.map_or_else(|| Value::from(()), |part| Value::from(part.as_str()));
    let groups: Vec<Value> = found.iter().flat_map(|found| found.iter().map(group)).collect();
    let named =
        regex.capture_names().flatten().filter_map(|name| found.as_ref().map(|found| (name, group(found.name(name)))));
    Ok(Value::from_pairs([
        ("found", Value::from(found.is_some())),
        ("text", groups.first().cloned().unwrap_or_else(|| Value::from(()))),
        ("named", Value::from_pairs(named)),
        ("groups", Value::from(groups)),
    ]))
}

fn identifier(arguments: &mut Arguments<'_>) -> Outcome {
    let name = arguments.text(0)?;
    if name.is_empty() || name.contains('\0') {
        return Err(arguments.refuse("a name in SQL cannot be empty or hold NUL"));
    }
    Ok(Value::from(format!("\"{}\"", name.replace('"', "\"\""))))
}
