//! Operators over known values: typed, checked, never coercing.

use super::kind::{Kind, LONGEST_LIST, LONGEST_TEXT, Number, described, order, text_of};
use super::syntax::{Comparison, Operator};
use super::time::{Duration, Time};
use super::value::{UnknownSort, Value, entries, unknown, unknown_of};
use jiff::SignedDuration;
use std::cmp::Ordering;

/// One side of an operator: its value, and how it was written.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) value: &'a Value,
    pub(super) source: &'a str,
    /// A literal needs no name beside its value.
    pub(super) literal: bool,
}

impl Side<'_> {
    /// The side in a message: `text "9" (`a`)`.
    fn named(&self) -> String {
        if self.literal { described(self.value) } else { format!("{} (`{}`)", described(self.value), self.source) }
    }

    fn kind(&self) -> Kind {
        Kind::of(self.value)
    }
}

/// The outcome of an operator: a value, perhaps unknown, or a message about types.
pub(super) type Outcome = Result<Value, String>;

/// A value that was tried for and is not there.
pub(super) fn unobtained(reason: impl Into<String>) -> Value {
    unknown(UnknownSort::Unobtained, reason)
}

/// Of two values of which at least one is unknown, the unknown that goes on: what may still come outlasts what was
/// tried for and is not there.
pub(super) fn spread(left: &Value, right: &Value) -> Option<Value> {
    match (unknown_of(left), unknown_of(right)) {
        (Some(known), Some(other)) if known.sort != other.sort && other.sort == UnknownSort::NotYet => {
            Some(right.clone())
        }
        (Some(_), _) => Some(left.clone()),
        (None, Some(_)) => Some(right.clone()),
        (None, None) => None,
    }
}

/// Computes `left operator right`; `whole` is the text of all of it, for reasons.
pub(super) fn compute(operator: Operator, left: Side<'_>, right: Side<'_>, whole: &str) -> Outcome {
    if let Some(unknown) = spread(left.value, right.value) {
        return Ok(unknown);
    }
    if operator == Operator::Join {
        return join(left, right);
    }
    for side in [left, right] {
        if side.kind() == Kind::None {
            return Ok(unobtained(format!("`{}` is none", side.source)));
        }
    }
    match (left.kind(), right.kind()) {
        (Kind::Number, Kind::Number) => numbers(operator, left.value, right.value, whole),
        (Kind::Text, Kind::Text) if operator == Operator::Add => {
            Err(format!("cannot add {} and {}: to join texts, write `~`", left.named(), right.named()))
        }
        (Kind::List, Kind::List) if operator == Operator::Add => lists(left.value, right.value),
        (Kind::Text, Kind::Number) if operator == Operator::Multiply => repeat(left, right),
        _ => times(operator, left, right, whole)
            .unwrap_or_else(|| Err(format!("cannot compute {} {} {}", left.named(), operator.sign(), right.named()))),
    }
}

fn join(left: Side<'_>, right: Side<'_>) -> Outcome {
    let mut joined = String::new();
    for side in [left, right] {
        let text = match side.kind() {
            Kind::List | Kind::Map => Err(side.kind()),
            _ => text_of(side.value),
        };
        match text {
            Ok(text) => joined.push_str(&text),
            Err(kind) => {
                let hint = if kind == Kind::List { "; write `x | join(', ')` first" } else { "" };
                return Err(format!("cannot join {} to a text{hint}", side.named()));
            }
        }
    }
    if joined.len() > LONGEST_TEXT { Err("the text is longer than 16 MiB".to_owned()) } else { Ok(Value::from(joined)) }
}

fn lists(left: &Value, right: &Value) -> Outcome {
    let length = left.len().unwrap_or(0).saturating_add(right.len().unwrap_or(0));
    if length > LONGEST_LIST {
        return Err(format!("the list is longer than {LONGEST_LIST} items"));
    }
    let items = [left, right].into_iter().filter_map(|list| list.try_iter().ok()).flatten();
    Ok(items.collect())
}

fn repeat(left: Side<'_>, right: Side<'_>) -> Outcome {
    let text = left.value.as_str().unwrap_or_default();
    let count = right.value.as_usize().ok_or_else(|| format!("cannot repeat a text {} times", right.named()))?;
    match text.len().checked_mul(count) {
        Some(length) if length <= LONGEST_TEXT => Ok(Value::from(text.repeat(count))),
        _ => Err("the text is longer than 16 MiB".to_owned()),
    }
}

fn numbers(operator: Operator, left: &Value, right: &Value, whole: &str) -> Outcome {
    let (Some(left), Some(right)) = (Number::of(left), Number::of(right)) else {
        return Err(format!("`{whole}` is not about numbers"));
    };
    let divides = matches!(operator, Operator::Divide | Operator::DivideWhole | Operator::Remainder);
    if divides && right.real() == 0.0 {
        return Ok(unobtained(format!("division by zero in `{whole}`")));
    }
    match (left, right) {
        (Number::Whole(left), Number::Whole(right)) if operator != Operator::Divide => {
            wholes(operator, left, right, whole)
        }
        _ => Ok(real(reals(operator, left.real(), right.real()), whole)),
    }
}

fn wholes(operator: Operator, left: i128, right: i128, whole: &str) -> Outcome {
    let result = match operator {
        Operator::Add => left.checked_add(right),
        Operator::Subtract => left.checked_sub(right),
        Operator::Multiply => left.checked_mul(right),
        // Rounds down, and the remainder has the sign of the divisor: `-7 // 2` is -4 and `-7 % 2` is 1.
        Operator::DivideWhole => left.checked_div_euclid(right).map(|quotient| {
            let remainder = left - quotient * right;
            if remainder != 0 && right < 0 { quotient - 1 } else { quotient }
        }),
        Operator::Remainder => left
            .checked_rem_euclid(right)
            .map(|remainder| if remainder != 0 && right < 0 { remainder + right } else { remainder }),
        Operator::Power => match u32::try_from(right) {
            Ok(power) => left.checked_pow(power),
            Err(_) => {
                return Ok(real(Number::Whole(left).real().powf(Number::Whole(right).real()), whole));
            }
        },
        Operator::Divide | Operator::Join => None,
    };
    result.and_then(integer).ok_or_else(|| format!("the result of `{whole}` is too large for a whole number"))
}

/// A whole number as a value, if JSON can carry it.
pub(super) fn integer(whole: i128) -> Option<Value> {
    match i64::try_from(whole) {
        Ok(small) => Some(Value::from(small)),
        Err(_) => u64::try_from(whole).ok().map(Value::from),
    }
}

fn reals(operator: Operator, left: f64, right: f64) -> f64 {
    match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
        Operator::DivideWhole => (left / right).floor(),
        Operator::Remainder => {
            let remainder = left % right;
            if remainder != 0.0 && (remainder < 0.0) != (right < 0.0) { remainder + right } else { remainder }
        }
        Operator::Power => left.powf(right),
        Operator::Join => f64::NAN,
    }
}

/// A real number as a value; NaN and the infinities are unknown.
pub(super) fn real(number: f64, whole: &str) -> Value {
    if number.is_finite() { Value::from(number) } else { unobtained(format!("`{whole}` is not a finite number")) }
}

/// A finite number out of a format that has only one kind of number: whole when it has no fraction.
#[expect(clippy::cast_possible_truncation, reason = "the bounds are checked")]
pub(super) fn plain_number(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9e15 { Value::from(number as i64) } else { real(number, "number") }
}

/// Arithmetic with times and durations; nothing when the kinds do not go together.
fn times(operator: Operator, left: Side<'_>, right: Side<'_>, whole: &str) -> Option<Outcome> {
    use Operator::{Add, Divide, Multiply, Subtract};
    let too_large = || format!("the result of `{whole}` is out of range");
    let length = |result: Option<SignedDuration>| result.map(|length| Duration(length).into()).ok_or_else(too_large);
    let (lasting, other) = (Duration::of(left.value), Duration::of(right.value));
    let (time, until) = (Time::of(left.value), Time::of(right.value));
    let (count, factor) = (Number::of(left.value), Number::of(right.value));
    Some(match (operator, lasting, other) {
        (Add, Some(a), Some(b)) => length(a.0.checked_add(b.0)),
        (Subtract, Some(a), Some(b)) => length(a.0.checked_sub(b.0)),
        (Divide, Some(_), Some(b)) if b.0.is_zero() => Ok(unobtained(format!("division by zero in `{whole}`"))),
        (Divide, Some(a), Some(b)) => Ok(real(a.seconds() / b.seconds(), whole)),
        (Multiply, Some(a), None) => length(scaled(a, factor?.real())),
        (Multiply, None, Some(b)) => length(scaled(b, count?.real())),
        (Divide, Some(_), None) if factor?.real() == 0.0 => Ok(unobtained(format!("division by zero in `{whole}`"))),
        (Divide, Some(a), None) => length(scaled(a, 1.0 / factor?.real())),
        (Add, None, Some(b)) => moved(time?, Some(b.0)).ok_or_else(too_large),
        (Add, Some(a), None) => moved(until?, Some(a.0)).ok_or_else(too_large),
        (Subtract, None, Some(b)) => moved(time?, b.0.checked_neg()).ok_or_else(too_large),
        (Subtract, None, None) => Ok(Duration(time?.0.duration_since(until?.0)).into()),
        _ => return None,
    })
}

fn scaled(duration: Duration, factor: f64) -> Option<SignedDuration> {
    // Whole factors stay exact; the rest is in floating point.
    #[expect(clippy::cast_possible_truncation, reason = "checked to be a whole number in range")]
    if factor.fract() == 0.0 && factor.abs() < 2e9 {
        return duration.0.checked_mul(factor as i32);
    }
    SignedDuration::try_from_secs_f64(duration.seconds() * factor).ok()
}

fn moved(time: Time, by: Option<SignedDuration>) -> Option<Value> {
    time.0.checked_add(by?).ok().map(|time| Time(time).into())
}

/// The negative of a value.
pub(super) fn negative(operand: Side<'_>, whole: &str) -> Outcome {
    if unknown_of(operand.value).is_some() {
        return Ok(operand.value.clone());
    }
    match (Number::of(operand.value), Duration::of(operand.value)) {
        (Some(Number::Whole(number)), _) => number
            .checked_neg()
            .and_then(integer)
            .ok_or_else(|| format!("the result of `{whole}` is too large for a whole number")),
        (Some(Number::Real(number)), _) => Ok(real(-number, whole)),
        (None, Some(duration)) => duration
            .0
            .checked_neg()
            .map(|length| Duration(length).into())
            .ok_or_else(|| format!("the result of `{whole}` is out of range")),
        (None, None) if operand.kind() == Kind::None => Ok(unobtained(format!("`{}` is none", operand.source))),
        (None, None) => Err(format!("cannot negate {}", operand.named())),
    }
}

/// Compares two sides: `true`, `false` or unknown.
pub(super) fn compare(comparison: Comparison, left: Side<'_>, right: Side<'_>) -> Outcome {
    match comparison {
        Comparison::In => contains(left, right),
        Comparison::NotIn => contains(left, right).map(|found| not(&found)),
        _ => {
            if let Some(unknown) = spread(left.value, right.value) {
                return Ok(unknown);
            }
            if matches!(comparison, Comparison::Equal | Comparison::NotEqual) {
                let same = equal(left, right)?;
                Ok(if comparison == Comparison::Equal { same } else { not(&same) })
            } else {
                ranked(comparison, left, right)
            }
        }
    }
}

fn not(value: &Value) -> Value {
    if unknown_of(value).is_some() { value.clone() } else { Value::from(!value.is_true()) }
}

fn equal(left: Side<'_>, right: Side<'_>) -> Outcome {
    let (a, b) = (left.kind(), right.kind());
    let secret = a == Kind::Secret || b == Kind::Secret;
    if a == Kind::None || b == Kind::None {
        Ok(Value::from(a == b))
    } else if a != b || secret || a == Kind::Other {
        Err(clash(left, right))
    } else {
        Ok(same(left.value, right.value, 0))
    }
}

fn clash(left: Side<'_>, right: Side<'_>) -> String {
    format!("cannot compare {} with {}", left.named(), right.named())
}

/// How deep two values are compared before they count as different.
const DEEPEST: usize = 128;

/// Whether two values are the same, all the way down: `true`, `false`, or unknown when an unknown part decides.
pub(super) fn same(left: &Value, right: &Value, depth: usize) -> Value {
    if let Some(unknown) = spread(left, right) {
        return unknown;
    }
    let kind = Kind::of(left);
    if kind != Kind::of(right) || depth > DEEPEST {
        return Value::from(false);
    }
    match kind {
        Kind::None => Value::from(true),
        Kind::Number => {
            let orders = Number::of(left).zip(Number::of(right)).and_then(|(left, right)| order(left, right));
            Value::from(orders == Some(Ordering::Equal))
        }
        Kind::Text => Value::from(left.as_str() == right.as_str()),
        Kind::Boolean => Value::from(left.is_true() == right.is_true()),
        Kind::Time => Value::from(Time::of(left) == Time::of(right)),
        Kind::Duration => Value::from(Duration::of(left) == Duration::of(right)),
        Kind::List => {
            let (Ok(a), Ok(b)) = (left.try_iter(), right.try_iter()) else { return Value::from(false) };
            let pairs = a.zip(b).map(|(a, b)| same(&a, &b, depth + 1));
            if left.len() == right.len() { all(pairs) } else { Value::from(false) }
        }
        Kind::Map if left.len() == right.len() => all(entries(left).map(|(key, value)| match right.get_item(&key) {
            Ok(other) if !other.is_undefined() => same(&value, &other, depth + 1),
            _ => Value::from(false),
        })),
        _ => Value::from(false),
    }
}

/// Kleene's "and" over many.
pub(super) fn all(values: impl Iterator<Item = Value>) -> Value {
    let mut result = Value::from(true);
    for value in values {
        if unknown_of(&value).is_some() {
            result = spread(&result, &value).unwrap_or(value);
        } else if !value.is_true() {
            return value;
        }
    }
    result
}

/// Kleene's "or" over many.
pub(super) fn any(values: impl Iterator<Item = Value>) -> Value {
    let mut result = Value::from(false);
    for value in values {
        if unknown_of(&value).is_some() {
            result = spread(&result, &value).unwrap_or(value);
        } else if value.is_true() {
            return value;
        }
    }
    result
}

fn ranked(comparison: Comparison, left: Side<'_>, right: Side<'_>) -> Outcome {
    for side in [left, right] {
        if side.kind() == Kind::None {
            return Ok(unobtained(format!("`{}` is none", side.source)));
        }
    }
    let ordering = rank(left.value, right.value).ok_or_else(|| clash(left, right))?;
    Ok(Value::from(match comparison {
        Comparison::Less => ordering.is_lt(),
        Comparison::LessOrEqual => ordering.is_le(),
        Comparison::Greater => ordering.is_gt(),
        _ => ordering.is_ge(),
    }))
}

/// The order of two known values, if they are of one kind that has an order.
pub(super) fn rank(left: &Value, right: &Value) -> Option<Ordering> {
    match (Kind::of(left), Kind::of(right)) {
        (Kind::Number, Kind::Number) => order(Number::of(left)?, Number::of(right)?),
        (Kind::Text, Kind::Text) => Some(left.as_str()?.cmp(right.as_str()?)),
        (Kind::Time, Kind::Time) => Some(Time::of(left)?.cmp(&Time::of(right)?)),
        (Kind::Duration, Kind::Duration) => Some(Duration::of(left)?.cmp(&Duration::of(right)?)),
        _ => None,
    }
}

fn contains(left: Side<'_>, right: Side<'_>) -> Outcome {
    if let Some(unknown) = spread(left.value, right.value) {
        return Ok(unknown);
    }
    if left.kind() == Kind::Secret {
        return Err(format!("cannot look for {}", left.named()));
    }
    match right.kind() {
        Kind::List => in_list(left, right),
        Kind::Map => match left.kind() {
            Kind::Text => {
                let found = right.value.get_item(left.value).is_ok_and(|item| !item.is_undefined());
                Ok(Value::from(found))
            }
            _ => Err(format!("cannot look for {} among the keys of {}", left.named(), right.named())),
        },
        Kind::Text => match (left.value.as_str(), right.value.as_str()) {
            (Some(part), Some(whole)) => Ok(Value::from(whole.contains(part))),
            _ => Err(format!("cannot look for {} in {}", left.named(), right.named())),
        },
        _ => Err(format!("`in` needs a list, a map or a text on its right, not {}", right.named())),
    }
}

fn in_list(left: Side<'_>, right: Side<'_>) -> Outcome {
    let kind = left.kind();
    let mut found = Value::from(false);
    let items = right.value.try_iter().map_err(|error| error.to_string())?;
    for item in items {
        let other = Kind::of(&item);
        if other != kind && !matches!(other, Kind::None | Kind::Unknown) && kind != Kind::None {
            return Err(format!(
                "cannot look for {} in {}: it holds {}",
                left.named(),
                right.named(),
                described(&item)
            ));
        }
        let here = same(left.value, &item, 0);
        if unknown_of(&here).is_some() {
            found = spread(&found, &here).unwrap_or(here);
        } else if here.is_true() {
            return Ok(here);
        }
    }
    Ok(found)
}
