//! Answers to questions: the types a person can type, and the rule that is told when an answer does not fit.

use crate::engine::QuestionView;
use jiff::SignedDuration;

/// The shortest secret that can be masked, in bytes.
const SECRET_AT_LEAST: usize = 8;

/// Checks an answer; gives it in the form that is handed on.
///
/// Booleans become `true` or `false`, a choice becomes its name, the blanks around entries of a list are dropped.
///
/// # Errors
/// The rule, as a sentence for the person.
pub(crate) fn check(question: &QuestionView, typed: &str) -> Result<String, String> {
    if question.secret && typed.trim().len() < SECRET_AT_LEAST {
        return Err(format!("a secret of fewer than {SECRET_AT_LEAST} bytes cannot be kept out of sight"));
    }
    if !question.choices.is_empty() && !is_list(&question.kind) {
        return choose(&question.choices, typed).map(str::to_owned);
    }
    if is_list(&question.kind) { list(question, typed) } else { single(&question.kind, typed) }
}

fn is_list(kind: &str) -> bool {
    kind == "list" || kind.starts_with("list ")
}

fn list(question: &QuestionView, typed: &str) -> Result<String, String> {
    let of = question.kind.strip_prefix("list of ").unwrap_or("string");
    let mut entries = Vec::new();
    for entry in typed.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let entry = match question.choices.as_slice() {
            [] => single(of, entry)?,
            choices => choose(choices, entry)?.to_owned(),
        };
        entries.push(entry);
    }
    if entries.is_empty() {
        Err("entries are separated by commas; at least one is needed".to_owned())
    } else {
        Ok(entries.join(","))
    }
}

fn single(kind: &str, answer: &str) -> Result<String, String> {
    let typed = answer.trim();
    match kind {
        "integer" => match typed.parse::<i64>() {
            Ok(number) => Ok(number.to_string()),
            Err(_) => Err("a whole number is needed, such as 12".to_owned()),
        },
        "number" => match typed.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(typed.to_owned()),
            _ => Err("a number is needed, such as 0.5".to_owned()),
        },
        "boolean" => match typed.to_ascii_lowercase().as_str() {
            "y" | "yes" | "true" => Ok("true".to_owned()),
            "n" | "no" | "false" => Ok("false".to_owned()),
            _ => Err("y or n is needed".to_owned()),
        },
        "duration" => match typed.parse::<SignedDuration>() {
            Ok(_) => Ok(typed.to_owned()),
            Err(_) => Err("a span of time is needed, such as 90s, 15m or 1h 30m".to_owned()),
        },
        // Blanks may belong to a text (a secret); who asks knows.
        _ => Ok(answer.to_owned()),
    }
}

/// A choice by name or by number. A name goes first; numbers count only where no choice is itself a number.
///
/// # Errors
/// The rule, as a sentence for the person.
pub(crate) fn choose<'a>(choices: &'a [String], typed: &str) -> Result<&'a str, String> {
    let typed = typed.trim();
    if let Some(name) = choices.iter().find(|choice| *choice == typed) {
        return Ok(name);
    }
    let numeric = choices.iter().any(|choice| choice.parse::<f64>().is_ok());
    let by_number = typed.parse::<usize>().ok().and_then(|number| choices.get(number.checked_sub(1)?));
    match by_number {
        Some(name) if !numeric => Ok(name),
        _ if numeric => Err("one of the choices is needed, written as it stands there".to_owned()),
        _ => Err(format!("a number from 1 to {}, or a name, is needed", choices.len())),
    }
}
