//! Limits for the series of a metric, one for all or one for each value of a label.

use super::{Arguments, Entry, Gives, Refusal, Takes};
use crate::expr::kind::{Kind, Number, described, order};
use crate::expr::operate::unobtained;
use crate::expr::value::{Value, entries, unknown_of};
use std::cmp::Ordering;

type Outcome = Result<Value, Refusal>;

pub(super) const TABLE: &[Entry] = &[
    Entry::own("above", "above(series, limit | map, by=LABEL, otherwise=NUMBER, attribute=TEXT)", (2, 2), |arguments| {
        beyond(arguments, Ordering::Greater)
    })
    .kinds(Takes::List, Gives::List)
    .named(&["by", "otherwise", "attribute"])
    .doc(
        "Gives the series whose value is greater than their limit, as `{labels, value, limit}`. A map gives a limit for each value of the label `by`, and `otherwise` that of all others. Unknown when it cannot be told of every series: there is none, a value is NaN, a series has no limit, or a limit has no series.",
        "series | above({'/load': 0.5}, by='endpoint', otherwise=0.2) | length == 0",
    ),
    Entry::own("below", "below(series, limit | map, by=LABEL, otherwise=NUMBER, attribute=TEXT)", (2, 2), |arguments| {
        beyond(arguments, Ordering::Less)
    })
    .kinds(Takes::List, Gives::List)
    .named(&["by", "otherwise", "attribute"])
    .doc(
        "Gives the series whose value is less than their limit; otherwise as `above`.",
        "series | below(0.9, attribute='min') | length == 0",
    ),
];

/// The limits of a call.
struct Limits<'a> {
    every: Option<Number>,
    by: Option<&'a str>,
    each: Vec<(String, Number)>,
}

impl<'a> Limits<'a> {
    fn of(arguments: &'a Arguments<'_>) -> Result<Self, Refusal> {
        let given = arguments.present(1)?;
        let by = arguments.named_text("by")?;
        let otherwise = match arguments.named("otherwise") {
            None => None,
            Some(value) => Some(number(arguments, value, "`otherwise`")?),
        };
        if let Some(limit) = Number::of(given) {
            return match (by, otherwise) {
                (None, None) => Ok(Self { every: Some(limit), by, each: Vec::new() }),
                _ => Err(arguments.refuse("one limit is for all series: `by` and `otherwise` go with a map of limits")),
            };
        }
        if Kind::of(given) != Kind::Map {
            return Err(arguments.wrong(1, "number or a map of numbers"));
        }
        if by.is_none() {
            return Err(arguments.refuse("a map of limits needs `by`: the label that chooses among them"));
        }
        let mut each = Vec::new();
        for (name, limit) in entries(given) {
            let name = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
            let limit = number(arguments, &limit, &format!("the limit of {name:?}"))?;
            each.push((name, limit));
        }
        Ok(Self { every: otherwise, by, each })
    }

    /// The value of the label that chooses, and the limit. A label that is not there is an empty one to Prometheus.
    fn for_series(&self, labels: &Value) -> (String, Option<Number>) {
        let Some(by) = self.by else { return (String::new(), self.every) };
        let found = labels.get_attr(by).ok().and_then(|value| value.as_str().map(str::to_owned));
        let label = found.unwrap_or_default();
        let own = self.each.iter().find(|(name, _)| *name == label).map(|(_, limit)| *limit);
        (label, own.or(self.every))
    }
}

fn number(arguments: &Arguments<'_>, value: &Value, what: &str) -> Result<Number, Refusal> {
    if let Some(unknown) = unknown_of(value) {
        return Err(Refusal::missing(format!("{what} is {unknown}")));
    }
    Number::of(value).ok_or_else(|| arguments.refuse(format!("{what} must be a number, not {}", described(value))))
}

fn value_of(number: Number) -> Value {
    match number {
        Number::Whole(whole) => Value::from(whole),
        Number::Real(real) => Value::from(real),
    }
}

/// The series beyond their limits. One that is beyond is a clear no, whatever is not known of the others.
fn beyond(arguments: &mut Arguments<'_>, side: Ordering) -> Outcome {
    let series = arguments.list(0)?;
    let limits = Limits::of(arguments)?;
    let attribute = arguments.named_text("attribute")?.unwrap_or("value");
    if series.is_empty() {
        return Err(Refusal::missing(format!("`{}` is empty: no series is within a limit", arguments.source(0))));
    }
    let mut found = Vec::new();
    let mut missing = None;
    let mut labels_seen = Vec::new();
    for item in &series {
        let labels = item.get_attr("labels").unwrap_or_default();
        let (label, limit) = limits.for_series(&labels);
        let value = item.get_attr(attribute).unwrap_or_default();
        let shown = crate::expr::value::to_json(&labels);
        match (unknown_of(&value), Number::of(&value), limit) {
            (Some(unknown), ..) => note(&mut missing, format!("the value of {shown} is {unknown}")),
            (None, Some(number), Some(limit)) => match order(number, limit) {
                Some(found_side) if found_side == side => {
                    found.push(Value::from_pairs([("labels", labels), ("value", value), ("limit", value_of(limit))]));
                }
                Some(_) => {}
                None => note(&mut missing, format!("the value of {shown} is no number")),
            },
            (None, Some(_), None) => note(&mut missing, format!("no limit is given for {shown}")),
            (None, None, _) if value.is_undefined() => {
                return Err(arguments.refuse(format!("an item has no field `{attribute}`")));
            }
            (None, None, _) => return Err(arguments.refuse(format!("{} is not a number", described(&value)))),
        }
        labels_seen.push(label);
    }
    for (name, _) in &limits.each {
        if !labels_seen.contains(name) {
            note(&mut missing, format!("no series has {}={name:?}", limits.by.unwrap_or_default()));
        }
    }
    match missing {
        Some(reason) if found.is_empty() => Ok(unobtained(reason)),
        _ => Ok(Value::from(found)),
    }
}

/// The first reason is told.
fn note(missing: &mut Option<String>, reason: String) {
    missing.get_or_insert(reason);
}
