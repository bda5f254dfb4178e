//! Functions over numbers.

use super::{Arguments, Entry, Gives, Refusal, Takes};
use crate::expr::kind::{Kind, Number, described, order, quoted};
use crate::expr::operate::{integer, real};
use crate::expr::time::Duration;
use crate::expr::value::Value;

type Outcome = Result<Value, Refusal>;

pub(super) const TABLE: &[Entry] = &[
    Entry::own("round", "round(number, digits)", (1, 2), round)
        .kinds(Takes::Number, Gives::Number)
        .doc("Rounds half away from zero; without digits to a whole number.", "share | round(2)"),
    Entry::own("floor", "floor(number)", (1, 1), |arguments| whole(arguments, f64::floor))
        .kinds(Takes::Number, Gives::Number)
        .doc("Rounds down to a whole number.", "load | floor"),
    Entry::own("ceil", "ceil(number)", (1, 1), |arguments| whole(arguments, f64::ceil))
        .kinds(Takes::Number, Gives::Number)
        .doc("Rounds up to a whole number.", "load | ceil"),
    Entry::own("abs", "abs(number | duration)", (1, 1), absolute)
        .kinds(Takes::Anything, Gives::Same)
        .doc("Drops the sign.", "drift | abs"),
    Entry::own("int", "int(number | text)", (1, 1), int)
        .kinds(Takes::Anything, Gives::Number)
        .doc("Gives a whole number: a real number is cut, a text is read; unknown when it cannot be read.", "stdout | trim | int"),
    Entry::own("float", "float(number | text)", (1, 1), float)
        .kinds(Takes::Anything, Gives::Number)
        .doc("Gives a real number; unknown when a text cannot be read.", "stdout | trim | float"),
    Entry::own("percentile", "percentile(list, p)", (2, 2), percentile)
        .kinds(Takes::List, Gives::Number)
        .doc("Gives the `p`-th percentile (0 to 100) of a list of numbers, interpolated between neighbours; unknown when the list is empty.", "latencies | percentile(99)"),
    Entry::own("bytes", "bytes(text | number)", (1, 1), bytes)
        .kinds(Takes::Anything, Gives::Number)
        .doc("Reads a size such as `2GiB`, `500 MB` or `1.5k` as a number of bytes.", "bytes('2GiB')"),
    Entry::own("filesize", "filesize(number)", (1, 1), filesize)
        .kinds(Takes::Number, Gives::Text)
        .doc("Writes a number of bytes as people read it.", "2147483648 | filesize"),
];

#[expect(clippy::cast_possible_truncation, reason = "the bounds are checked")]
fn whole_value(number: f64, arguments: &Arguments<'_>) -> Value {
    let fits = number.abs() < 9e18;
    let whole = if fits { integer(number as i128) } else { None };
    whole.unwrap_or_else(|| real(number, &arguments.whole()))
}

fn whole(arguments: &mut Arguments<'_>, by: fn(f64) -> f64) -> Outcome {
    match arguments.number(0)? {
        Number::Whole(_) => Ok(arguments.present(0)?.clone()),
        Number::Real(number) => Ok(whole_value(by(number), arguments)),
    }
}

fn round(arguments: &mut Arguments<'_>) -> Outcome {
    if arguments.count() == 1 {
        return whole(arguments, f64::round);
    }
    let digits = arguments.size(1)?.min(15);
    match arguments.number(0)? {
        Number::Whole(_) => Ok(arguments.present(0)?.clone()),
        Number::Real(number) => {
            let text = format!("{number:.digits$}");
            // Through text, because a power of ten times the number would not be exact.
            Ok(real(text.parse().unwrap_or(number), &arguments.whole()))
        }
    }
}

fn absolute(arguments: &mut Arguments<'_>) -> Outcome {
    if let Some(duration) = Duration::of(arguments.present(0)?) {
        return Ok(Duration(duration.0.abs()).into());
    }
    match arguments.number(0)? {
        Number::Whole(number) => number
            .checked_abs()
            .and_then(integer)
            .ok_or_else(|| arguments.refuse("the result is too large for a whole number")),
        Number::Real(number) => Ok(real(number.abs(), &arguments.whole())),
    }
}

fn unreadable(arguments: &Arguments<'_>, text: &str, wanted: &str) -> Refusal {
    Refusal::missing(format!("`{}` is not a {wanted}: {}", arguments.source(0), quoted("", text, 40)))
}

fn int(arguments: &mut Arguments<'_>) -> Outcome {
    let value = arguments.present(0)?;
    match (Kind::of(value), Number::of(value)) {
        (_, Some(Number::Whole(_))) => Ok(value.clone()),
        (_, Some(Number::Real(number))) => Ok(whole_value(number.trunc(), arguments)),
        (Kind::Text, None) => {
            let text = arguments.text(0)?;
            let read = text.trim().parse::<i128>().ok().and_then(integer);
            read.ok_or_else(|| unreadable(arguments, text, "whole number"))
        }
        _ => Err(arguments.wrong(0, "number or text")),
    }
}

fn float(arguments: &mut Arguments<'_>) -> Outcome {
    let value = arguments.present(0)?;
    match (Kind::of(value), Number::of(value)) {
        (_, Some(number)) => Ok(real(number.real(), &arguments.whole())),
        (Kind::Text, None) => {
            let text = arguments.text(0)?;
            let read = text.trim().parse::<f64>().map_err(|_| unreadable(arguments, text, "number"))?;
            Ok(real(read, &arguments.whole()))
        }
        _ => Err(arguments.wrong(0, "number or text")),
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a list has at most some millions of items"
)]
fn percentile(arguments: &mut Arguments<'_>) -> Outcome {
    let wanted = arguments.number(1)?.real();
    if !(0.0..=100.0).contains(&wanted) {
        return Err(arguments.refuse("the percentile must be from 0 to 100"));
    }
    let items = arguments.list(0)?;
    let mut numbers = Vec::with_capacity(items.len());
    for item in &items {
        match Number::of(item) {
            Some(number) => numbers.push(number),
            None if item.is_none() => {
                return Err(Refusal::missing(format!("an item of `{}` is none", arguments.source(0))));
            }
            None => return Err(arguments.refuse(format!("needs numbers, not {}", described(item)))),
        }
    }
    numbers.sort_by(|a, b| order(*a, *b).unwrap_or(std::cmp::Ordering::Equal));
    let rank = wanted / 100.0 * numbers.len().saturating_sub(1) as f64;
    let (below, above) = (rank.floor() as usize, rank.ceil() as usize);
    match (numbers.get(below), numbers.get(above)) {
        (Some(Number::Whole(low)), _) if below == above => Ok(integer(*low).unwrap_or_else(|| Value::from(0))),
        (Some(low), Some(high)) => {
            let share = rank - rank.floor();
            Ok(real(low.real() + (high.real() - low.real()) * share, &arguments.whole()))
        }
        _ => Err(Refusal::missing(format!("`{}` is empty", arguments.source(0)))),
    }
}

/// The factors of the units of size; `K`, `M` and so on without `i` count in thousands, as disks and clouds do.
const SIZES: [(&str, f64); 10] = [
    ("k", 1e3),
    ("m", 1e6),
    ("g", 1e9),
    ("t", 1e12),
    ("p", 1e15),
    ("ki", 1024.0),
    ("mi", 1_048_576.0),
    ("gi", 1_073_741_824.0),
    ("ti", 1_099_511_627_776.0),
    ("pi", 1_125_899_906_842_624.0),
];

fn bytes(arguments: &mut Arguments<'_>) -> Outcome {
    let value = arguments.present(0)?;
    if Number::of(value).is_some() {
        return whole(arguments, f64::round);
    }
    let text = arguments.text(0)?;
    let lower = text.trim().to_ascii_lowercase();
    let split = lower.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(lower.len());
    let (number, unit) = lower.split_at(split);
    let unit = unit.strip_suffix("bytes").or_else(|| unit.strip_suffix('b')).unwrap_or(unit);
    let factor =
        if unit.is_empty() { Some(1.0) } else { SIZES.iter().find(|(name, _)| *name == unit).map(|(_, f)| *f) };
    let read = number.trim().parse::<f64>().ok().filter(|number| *number >= 0.0).zip(factor);
    let (number, factor) = read.ok_or_else(|| unreadable(arguments, text, "size such as `2GiB`"))?;
    Ok(whole_value((number * factor).round(), arguments))
}

fn filesize(arguments: &mut Arguments<'_>) -> Outcome {
    let number = arguments.number(0)?.real();
    let mut unit = ("B", 1.0);
    for (name, factor) in
        [("KiB", 1024.0), ("MiB", 1_048_576.0), ("GiB", 1_073_741_824.0), ("TiB", 1_099_511_627_776.0)]
    {
        if number.abs() >= factor {
            unit = (name, factor);
        }
    }
    let scaled = number / unit.1;
    let text =
        if scaled.fract() == 0.0 { format!("{scaled:.0} {}", unit.0) } else { format!("{scaled:.1} {}", unit.0) };
    Ok(Value::from(text))
}
