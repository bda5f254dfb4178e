//! Reading the text format of Prometheus.

use super::{Arguments, Entry, Gives, Refusal, Takes};
use crate::expr::kind::{LONGEST_LIST, text_of};
use crate::expr::operate::{plain_number, unobtained};
use crate::expr::value::Value;

type Outcome = Result<Value, Refusal>;

pub(super) const TABLE: &[Entry] = &[
    Entry::own("metric", "metric(text, name, **labels)", (2, 2), metric)
        .kinds(Takes::Text, Gives::Number)
        .named(&["*"])
        .doc(
            "Gives the value of the one sample of that name that has these labels; unknown when there is none, an error when there are several.",
            "metric(body, 'http_requests_total', code='500')",
        ),
    Entry::own("metrics", "metrics(text, name, **labels)", (2, 2), metrics)
        .kinds(Takes::Text, Gives::List)
        .named(&["*"])
        .doc("Gives all samples of that name that have these labels, as `{labels, value}`.", "metrics(body, 'up') | map(attribute='value') | sum"),
];

/// One line of the format.
#[derive(Debug)]
struct Sample<'t> {
    name: &'t str,
    labels: Vec<(&'t str, String)>,
    value: f64,
}

impl<'t> Sample<'t> {
    /// Reads `name{label="value", ..} number [timestamp]`; nothing for a comment, an empty or a broken line.
    fn read(line: &'t str) -> Option<Self> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let end = line.find(|c: char| c == '{' || c.is_ascii_whitespace())?;
        let (name, rest) = line.split_at_checked(end)?;
        let (labels, rest) = match rest.trim_start().strip_prefix('{') {
            Some(rest) => read_labels(rest)?,
            None => (Vec::new(), rest),
        };
        let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
        Some(Self { name, labels, value })
    }

    fn has(&self, wanted: &[(&str, String)]) -> bool {
        wanted.iter().all(|(name, value)| {
            let found = self.labels.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
            // A label that is not there and one that is empty mean the same to Prometheus.
            found.unwrap_or_default() == value
        })
    }

    fn shown(&self) -> String {
        let labels: Vec<_> = self.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        format!("{{{}}}", labels.join(", "))
    }
}

/// Reads labels up to the closing brace; gives what follows it.
fn read_labels(mut rest: &str) -> Option<(Vec<(&str, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c == ',' || c.is_ascii_whitespace());
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start().strip_prefix('"')?;
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next()? {
                (at, '"') => break at + 1,
                (_, '\\') => match characters.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, other) => value.push(other),
            }
        };
        labels.push((name.trim(), value));
        rest = after.get(end..)?;
    }
}

fn samples<'a>(arguments: &'a Arguments<'_>) -> Result<Vec<Sample<'a>>, Refusal> {
    let (text, name) = (arguments.text(0)?, arguments.text(1)?);
    let mut wanted = Vec::new();
    for (label, value) in arguments.all_named() {
        match text_of(value) {
            Ok(text) => wanted.push((label, text)),
            Err(kind) => {
                return Err(arguments.refuse(format!("the label `{label}` must be a text, not {}", kind.word())));
            }
        }
    }
    // The name is looked for first: only a few lines of a long page need to be taken apart.
    let lines = text.lines().filter(|line| line.trim_start().starts_with(name));
    let found = lines.filter_map(Sample::read).filter(|sample| sample.name == name && sample.has(&wanted));
    Ok(found.take(LONGEST_LIST).collect())
}

/// How the sample that was looked for is named in a reason.
fn sought(arguments: &Arguments<'_>) -> Result<String, Refusal> {
    let name = arguments.text(1)?;
    let labels: Vec<_> = arguments
        .all_named()
        .map(|(label, value)| format!("{label}={:?}", text_of(value).unwrap_or_default()))
        .collect();
    Ok(if labels.is_empty() { format!("`{name}`") } else { format!("`{name}{{{}}}`", labels.join(", ")) })
}

fn value_of(sample: &Sample<'_>, sought: &str) -> Value {
    if sample.value.is_finite() {
        // Most samples count something: whole ones become whole numbers, so that they also read well in a text.
        plain_number(sample.value)
    } else {
        unobtained(format!("the sample of {sought} is {}", sample.value))
    }
}

fn metric(arguments: &mut Arguments<'_>) -> Outcome {
    let sought = sought(arguments)?;
    let samples = samples(arguments)?;
    match samples.as_slice() {
        [] => Err(Refusal::missing(format!("no sample of {sought}"))),
        [sample] => Ok(value_of(sample, &sought)),
        several => {
            let sets: Vec<_> = several.iter().take(5).map(Sample::shown).collect();
            let more = if several.len() > 5 { ", .." } else { "" };
            Err(arguments.refuse(format!(
                "{sought} has {} samples, name labels until one is left: {}{more}",
                several.len(),
                sets.join(", ")
            )))
        }
    }
}

fn metrics(arguments: &mut Arguments<'_>) -> Outcome {
    let sought = sought(arguments)?;
    let list = samples(arguments)?
        .iter()
        .map(|sample| {
            let labels = Value::from_pairs(sample.labels.iter().map(|(name, value)| (*name, value.as_str())));
            Value::from_pairs([("labels", labels), ("value", value_of(sample, &sought))])
        })
        .collect();
    Ok(list)
}
