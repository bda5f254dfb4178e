//! Functions over lists and maps.

use super::{Arguments, Entry, Gives, Refusal, Takes, call};
use crate::expr::kind::{Kind, LONGEST_LIST, LONGEST_TEXT, Number, described, text_of};
use crate::expr::operate::{self, Side, all, any, integer, rank, real, same, spread, unobtained};
use crate::expr::syntax::{Comparison, Form, Operator};
use crate::expr::time::Duration;
use crate::expr::value::{Value, unknown_of};
use std::cmp::Ordering;

type Outcome = Result<Value, Refusal>;

pub(super) const TABLE: &[Entry] = &[
    Entry::own("length", "length(list | map | text)", (1, 1), length)
        .kinds(Takes::Several, Gives::Number)
        .doc("Counts the items of a list, the keys of a map, or the characters of a text.", "body.items | length"),
    Entry::own("count", "count(list | map | text)", (1, 1), length)
        .kinds(Takes::Several, Gives::Number)
        .doc("Is another name for `length`.", "rows | count"),
    Entry::own("first", "first(list)", (1, 1), first)
        .kinds(Takes::Several, Gives::Item)
        .with_holes()
        .doc("Gives the first item; unknown when there is none.", "rows | first"),
    Entry::own("last", "last(list) or last(runbook, name)", (1, 2), last)
        .kinds(Takes::Anything, Gives::Anything)
        .with_holes()
        .doc(
            "Gives the last item of a list; with two texts, the value captured by the latest run that performed it.",
            "last('backup', 'dump.size')",
        ),
    Entry::own("min", "min(list, attribute=TEXT)", (1, 1), |arguments| extreme(arguments, Ordering::Less))
        .kinds(Takes::List, Gives::Item)
        .named(&["attribute"])
        .doc("Gives the least item, or the item with the least attribute; unknown when the list is empty.", "[3, 1, 2] | min"),
    Entry::own("max", "max(list, attribute=TEXT)", (1, 1), |arguments| extreme(arguments, Ordering::Greater))
        .kinds(Takes::List, Gives::Item)
        .named(&["attribute"])
        .doc("Gives the greatest item, or the item with the greatest attribute; unknown when the list is empty.", "pods | max(attribute='restarts')"),
    Entry::own("sum", "sum(list, attribute=TEXT)", (1, 1), sum)
        .kinds(Takes::List, Gives::Anything)
        .named(&["attribute"])
        .doc("Adds up numbers or durations; 0 for an empty list.", "volumes | sum(attribute='size')"),
    Entry::own("sort", "sort(list, attribute=TEXT, reverse=BOOLEAN)", (1, 1), sort)
        .kinds(Takes::List, Gives::Same)
        .named(&["attribute", "reverse"])
        .doc("Sorts a list whose items are of one kind.", "pods | sort(attribute='age', reverse=true)"),
    Entry::own("unique", "unique(list, attribute=TEXT)", (1, 1), unique)
        .kinds(Takes::List, Gives::Same)
        .named(&["attribute"])
        .doc("Leaves out items that came before.", "hosts | unique"),
    Entry::own("map", "map(list, attribute=TEXT) or map(list, filter, ..)", (1, 9), map)
        .kinds(Takes::List, Gives::List)
        .named(&["attribute"])
        .with_holes()
        .doc("Gives an attribute of each item, or what a filter makes of it.", "pods | map(attribute='name')"),
    Entry::own("select", "select(list, test, ..)", (1, 3), |arguments| select(arguments, true))
        .kinds(Takes::List, Gives::Same)
        .doc("Keeps the items for which a test holds; without a test, those that are true.", "counts | select('gt', 10)"),
    Entry::own("reject", "reject(list, test, ..)", (1, 3), |arguments| select(arguments, false))
        .kinds(Takes::List, Gives::Same)
        .doc("Drops the items for which a test holds.", "names | reject('startingwith', 'test-')"),
    Entry::own("selectattr", "selectattr(list, attribute, test, ..)", (2, 4), |arguments| select_attribute(arguments, true))
        .kinds(Takes::List, Gives::Same)
        .doc("Keeps the items for whose attribute a test holds.", "pods | selectattr('phase', 'eq', 'Failed')"),
    Entry::own("rejectattr", "rejectattr(list, attribute, test, ..)", (2, 4), |arguments| select_attribute(arguments, false))
        .kinds(Takes::List, Gives::Same)
        .doc("Drops the items for whose attribute a test holds.", "pods | rejectattr('phase', 'eq', 'Running')"),
    Entry::own("groupby", "groupby(list, attribute)", (2, 2), group)
        .kinds(Takes::List, Gives::List)
        .doc("Groups items by an attribute, as a list of `{key, items}` in the order of first appearance.", "pods | groupby('node')"),
    Entry::own("any", "any(list)", (1, 1), |arguments| Ok(any(booleans(arguments)?.into_iter())))
        .kinds(Takes::List, Gives::Boolean)
        .with_holes()
        .doc("Tells whether one of the booleans is true.", "[a > 1, b > 1] | any"),
    Entry::own("all", "all(list)", (1, 1), |arguments| Ok(all(booleans(arguments)?.into_iter())))
        .kinds(Takes::List, Gives::Boolean)
        .with_holes()
        .doc("Tells whether all of the booleans are true.", "[a > 1, b > 1] | all"),
    Entry::own("join", "join(list, separator)", (1, 2), join)
        .kinds(Takes::List, Gives::Text)
        .doc("Joins the items of a list to one text.", "hosts | join(', ')"),
    Entry::own("list", "list(list | map | text)", (1, 1), list)
        .kinds(Takes::Several, Gives::List)
        .doc("Gives the items of a list, the keys of a map, or the characters of a text as a list.", "labels | list"),
    Entry::own("keys", "keys(map)", (1, 1), keys)
        .kinds(Takes::Map, Gives::List)
        .doc("Gives the keys of a map.", "labels | keys"),
    Entry::own("range", "range(stop) or range(start, stop, step)", (1, 3), range)
        .kinds(Takes::Number, Gives::List)
        .doc("Gives the whole numbers from `start` (0) up to but without `stop`.", "range(3)"),
    Entry::own("attr", "attr(map, name)", (2, 2), attribute)
        .doc("Gives the field of that name; unknown when it is not there.", "labels | attr('app.kubernetes.io/name')"),
    Entry::lazy("default", "default(value, other)", (2, 2))
        .with_holes()
        .doc("Gives `other` when the value is unknown because it was not obtained; a value that may still come stays unknown.", "body.count | default(0)"),
    Entry::lazy("d", "d(value, other)", (2, 2))
        .with_holes()
        .doc("Is another name for `default`.", "body.count | d(0)"),
    Entry::jinja("reverse", "reverse(list | text)", (1, 1))
        .kinds(Takes::Several, Gives::Same)
        .doc("Turns a list or a text around.", "rows | reverse"),
    Entry::jinja("items", "items(map)", (1, 1))
        .kinds(Takes::Map, Gives::List)
        .doc("Gives the entries of a map as a list of pairs.", "labels | items"),
    Entry::jinja("dictsort", "dictsort(map)", (1, 1))
        .kinds(Takes::Map, Gives::List)
        .doc("Gives the entries of a map as a list of pairs, sorted by key.", "labels | dictsort"),
    Entry::own("batch", "batch(list, size)", (2, 2), batch)
        .kinds(Takes::List, Gives::List)
        .with_holes()
        .doc("Cuts a list into lists of at most `size` items.", "hosts | batch(10)"),
    Entry::jinja("zip", "zip(list, other)", (2, 2))
        .kinds(Takes::List, Gives::List)
        .doc("Pairs the items of two lists.", "names | zip(ages)"),
];

fn length(arguments: &mut Arguments<'_>) -> Outcome {
    let value = arguments.present(0)?;
    match (Kind::of(value), value.len()) {
        (Kind::List | Kind::Map | Kind::Text, Some(length)) => Ok(Value::from(length)),
        (Kind::List, None) => Ok(Value::from(arguments.list(0)?.len())),
        _ => Err(arguments.wrong(0, "list, map or text")),
    }
}

fn empty(arguments: &Arguments<'_>) -> Refusal {
    Refusal::missing(format!("`{}` is empty", arguments.source(0)))
}

/// The items of a list, the keys of a map, or the characters of a text.
fn several(arguments: &Arguments<'_>) -> Result<Vec<Value>, Refusal> {
    let value = arguments.present(0)?;
    match (Kind::of(value), value.try_iter()) {
        (Kind::List | Kind::Map | Kind::Text, Ok(items)) => Ok(items.collect()),
        _ => Err(arguments.wrong(0, "list, map or text")),
    }
}

fn list(arguments: &mut Arguments<'_>) -> Outcome {
    let items = several(arguments)?;
    if items.len() > LONGEST_LIST {
        return Err(arguments.refuse(format!("the list is longer than {LONGEST_LIST} items")));
    }
    Ok(Value::from(items))
}

fn keys(arguments: &mut Arguments<'_>) -> Outcome {
    match Kind::of(arguments.present(0)?) {
        Kind::Map => several(arguments).map(Value::from),
        _ => Err(arguments.wrong(0, "map")),
    }
}

fn first(arguments: &mut Arguments<'_>) -> Outcome {
    several(arguments)?.into_iter().next().ok_or_else(|| empty(arguments))
}

fn last(arguments: &mut Arguments<'_>) -> Outcome {
    if arguments.count() == 2 {
        let (runbook, name) = (arguments.text(0)?, arguments.text(1)?);
        return Ok(arguments.scope().last(runbook, name));
    }
    several(arguments)?.pop().ok_or_else(|| empty(arguments))
}

/// A dotted attribute of an item; unknown when it is not there.
fn field(item: &Value, path: &str) -> Value {
    let mut value = item.clone();
    for name in path.split('.') {
        let kind = Kind::of(&value);
        let found = match (kind, name.parse::<usize>()) {
            (Kind::Unknown, _) => return value,
            (Kind::Map, _) => value.get_attr(name).ok(),
            (Kind::List, Ok(index)) => value.get_item_by_index(index).ok(),
            _ => None,
        };
        value = match found {
            Some(found) if !found.is_undefined() => found,
            _ => return unobtained(format!("an item has no field `{path}`")),
        };
    }
    value
}

/// What the items are ranked, added or told apart by: themselves or their attribute. An unknown one decides.
fn measures(arguments: &Arguments<'_>, items: &[Value]) -> Result<Vec<Value>, Refusal> {
    let measures: Vec<_> = match arguments.named_text("attribute")? {
        Some(path) => items.iter().map(|item| field(item, path)).collect(),
        None => items.to_vec(),
    };
    let unknown = measures
        .iter()
        .filter(|value| unknown_of(value).is_some())
        .fold(None, |found: Option<Value>, value| spread(found.as_ref().unwrap_or(value), value));
    unknown.map_or(Ok(measures), |unknown| Err(Refusal::Missing(unknown)))
}

fn comparable(arguments: &Arguments<'_>, measures: &[Value]) -> Result<(), Refusal> {
    let Some(first) = measures.first() else { return Ok(()) };
    match measures.iter().find(|other| rank(first, other).is_none()) {
        Some(other) => Err(arguments.refuse(format!("cannot compare {} with {}", described(first), described(other)))),
        None => Ok(()),
    }
}

fn extreme(arguments: &mut Arguments<'_>, wanted: Ordering) -> Outcome {
    let items = arguments.list(0)?;
    let measures = measures(arguments, &items)?;
    comparable(arguments, &measures)?;
    let mut best = 0;
    for (at, measure) in measures.iter().enumerate() {
        if measures.get(best).and_then(|best| rank(measure, best)) == Some(wanted) {
            best = at;
        }
    }
    items.into_iter().nth(best).ok_or_else(|| empty(arguments))
}

fn sort(arguments: &mut Arguments<'_>) -> Outcome {
    let items = arguments.list(0)?;
    let measures = measures(arguments, &items)?;
    comparable(arguments, &measures)?;
    let reverse = arguments.flag("reverse")?;
    let mut pairs: Vec<_> = measures.into_iter().zip(items).collect();
    pairs.sort_by(|(a, _), (b, _)| {
        let order = rank(a, b).unwrap_or(Ordering::Equal);
        if reverse { order.reverse() } else { order }
    });
    Ok(pairs.into_iter().map(|(_, item)| item).collect())
}

fn sum(arguments: &mut Arguments<'_>) -> Outcome {
    let items = arguments.list(0)?;
    let measures = measures(arguments, &items)?;
    let whole = arguments.whole();
    let mut total = match measures.first() {
        None => return Ok(Value::from(0)),
        Some(first) if Number::of(first).is_some() || Duration::of(first).is_some() => first.clone(),
        Some(first) => return Err(arguments.refuse(format!("cannot add up {}", described(first)))),
    };
    for item in measures.iter().skip(1) {
        let left = Side { value: &total, source: "sum", literal: true };
        let right = Side { value: item, source: "item", literal: true };
        total = operate::compute(Operator::Add, left, right, &whole)?;
    }
    Ok(total)
}

/// A form of a value that is equal exactly when the values are; costs as much as the value is long.
fn identity(value: &Value) -> String {
    match (Kind::of(value), Number::of(value)) {
        (_, Some(number)) if number.real().fract() == 0.0 && number.real().abs() < 9e15 => {
            format!("number {:.0}", number.real())
        }
        (kind, _) => format!("{} {}", kind.word(), crate::expr::value::to_json(value)),
    }
}

fn unique(arguments: &mut Arguments<'_>) -> Outcome {
    let items = arguments.list(0)?;
    let measures = measures(arguments, &items)?;
    let mut seen = std::collections::HashSet::new();
    Ok(measures.iter().zip(items).filter(|(measure, _)| seen.insert(identity(measure))).map(|(_, item)| item).collect())
}

fn group(arguments: &mut Arguments<'_>) -> Outcome {
    let items = arguments.list(0)?;
    let path = arguments.text(1)?;
    let mut groups: indexmap::IndexMap<String, (Value, Vec<Value>)> = indexmap::IndexMap::new();
    for item in items {
        let key = field(&item, path);
        if unknown_of(&key).is_some() {
            return Ok(key);
        }
        groups.entry(identity(&key)).or_insert_with(|| (key, Vec::new())).1.push(item);
    }
    Ok(groups
        .into_values()
        .map(|(key, items)| Value::from_pairs([("key", key), ("items", Value::from(items))]))
        .collect())
}

fn map(arguments: &mut Arguments<'_>) -> Outcome {
    let items = arguments.list(0)?;
    if let Some(path) = arguments.named_text("attribute")? {
        return Ok(items.iter().map(|item| field(item, path)).collect());
    }
    let filter = arguments.text(1)?;
    if matches!(filter, "default" | "d" | "map" | "jq" | "jq_all") {
        return Err(arguments.refuse(format!("`{filter}` cannot be used on each item")));
    }
    let others = arguments.positional().get(2..).unwrap_or_default();
    items
        .into_iter()
        .map(|item| {
            let inner = std::iter::once(item).chain(others.iter().cloned()).collect();
            Ok(call(Form::Filter, filter, arguments.inner(inner))?)
        })
        .collect()
}

/// Whether a test holds for a value; without a test the value itself must be a boolean.
fn tested(arguments: &Arguments<'_>, value: Value, test: usize) -> Outcome {
    if arguments.count() <= test {
        return match Kind::of(&value) {
            Kind::Boolean | Kind::Unknown => Ok(value),
            _ => Err(arguments.refuse(format!("{} is not true or false: name a test", described(&value)))),
        };
    }
    let name = arguments.text(test)?;
    match (name, unknown_of(&value)) {
        ("defined", _) => return Ok(Value::from(unknown_of(&value).is_none())),
        ("undefined" | "unknown", _) => return Ok(Value::from(unknown_of(&value).is_some())),
        _ => {}
    }
    let mut inner = vec![value];
    inner.extend(arguments.positional().get(test + 1..).unwrap_or_default().iter().cloned());
    Ok(call(Form::Test, name, arguments.inner(inner))?)
}

/// Keeps the items for which the test gives `wanted`; an unknown answer makes the whole result unknown.
fn kept(arguments: &Arguments<'_>, wanted: bool, test: usize, of: impl Fn(&Value) -> Value) -> Outcome {
    let mut kept = Vec::new();
    for item in arguments.list(0)? {
        let holds = tested(arguments, of(&item), test)?;
        if unknown_of(&holds).is_some() {
            return Ok(holds);
        }
        if holds.is_true() == wanted {
            kept.push(item);
        }
    }
    Ok(Value::from(kept))
}

fn select(arguments: &mut Arguments<'_>, wanted: bool) -> Outcome {
    kept(arguments, wanted, 1, Value::clone)
}

fn select_attribute(arguments: &mut Arguments<'_>, wanted: bool) -> Outcome {
    let path = arguments.text(1)?;
    kept(arguments, wanted, 2, |item| field(item, path))
}

fn booleans(arguments: &Arguments<'_>) -> Result<Vec<Value>, Refusal> {
    let items = arguments.list(0)?;
    match items.iter().find(|item| !matches!(Kind::of(item), Kind::Boolean | Kind::Unknown)) {
        Some(item) => Err(arguments.refuse(format!("{} is not true or false", described(item)))),
        None => Ok(items),
    }
}

fn join(arguments: &mut Arguments<'_>) -> Outcome {
    arguments.whole_parts()?;
    let items = arguments.list(0)?;
    let separator = if arguments.count() > 1 { arguments.text(1)? } else { "" };
    let mut joined = String::new();
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            joined.push_str(separator);
        }
        let text = text_of(item).map_err(|_| arguments.refuse(format!("cannot join {}", described(item))))?;
        joined.push_str(&text);
        if joined.len() > LONGEST_TEXT {
            return Err(arguments.refuse("the text is longer than 16 MiB"));
        }
    }
    Ok(Value::from(joined))
}

fn range(arguments: &mut Arguments<'_>) -> Outcome {
    let mut bounds = Vec::new();
    for at in 0..arguments.count() {
        match arguments.number(at)? {
            Number::Whole(bound) => bounds.push(bound),
            Number::Real(_) => return Err(arguments.wrong(at, "whole number")),
        }
    }
    let (from, upto, stride) = match bounds.as_slice() {
        [stop] => (0, *stop, 1),
        [start, stop] => (*start, *stop, 1),
        [from, upto, stride] => (*from, *upto, *stride),
        _ => return Err(arguments.refuse("write `range(stop)` or `range(start, stop)`")),
    };
    if stride == 0 {
        return Err(arguments.refuse("the step cannot be zero"));
    }
    let mut numbers = Vec::new();
    let mut at = from;
    while if stride > 0 { at < upto } else { at > upto } {
        if numbers.len() >= LONGEST_LIST {
            return Err(arguments.refuse(format!("the list is longer than {LONGEST_LIST} items")));
        }
        numbers.push(integer(at).unwrap_or_else(|| real(f64::NAN, "range")));
        at = at.saturating_add(stride);
    }
    Ok(Value::from(numbers))
}

fn attribute(arguments: &mut Arguments<'_>) -> Outcome {
    let (value, name) = (arguments.present(0)?, arguments.text(1)?);
    match Kind::of(value) {
        Kind::Map => match value.get_attr(name) {
            Ok(found) if !found.is_undefined() => Ok(found),
            _ => Err(Refusal::missing(format!("`{}` has no field `{name}`", arguments.source(0)))),
        },
        _ => Err(arguments.wrong(0, "map")),
    }
}

fn batch(arguments: &mut Arguments<'_>) -> Outcome {
    let (items, size) = (arguments.list(0)?, arguments.size(1)?);
    if size == 0 {
        return Err(arguments.refuse("a batch needs at least one item"));
    }
    Ok(items.chunks(size).map(|items| Value::from(items.to_vec())).collect())
}

/// Compares as the operators do, for the tests `eq`, `gt`, `in` and so on.
pub(super) fn compared(arguments: &mut Arguments<'_>, comparison: Comparison) -> Outcome {
    let sources = [arguments.source(0), arguments.source(1)];
    let [Some(left), Some(right)] = [0, 1].map(|at| arguments.positional().get(at)) else {
        return Err(arguments.refuse("needs a value to compare with"));
    };
    let left = Side { value: left, source: &sources[0], literal: true };
    let right = Side { value: right, source: &sources[1], literal: true };
    Ok(operate::compare(comparison, left, right)?)
}

/// Whether two values are the same without regard to kinds, for the test `sameas`.
pub(super) fn identical(arguments: &mut Arguments<'_>) -> Outcome {
    match arguments.positional() {
        [left, right] => Ok(same(left, right, 0)),
        _ => Err(arguments.refuse("needs a value to compare with")),
    }
}
