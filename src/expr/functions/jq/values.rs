//! Values to and from jq's.

use crate::expr::kind::{Kind, Number, text_of};
use crate::expr::operate::{integer, plain_number, unobtained};
use crate::expr::value::{Value, entries};
use jaq_json::{Map, Num, Val};

/// How deep values are carried over.
const DEEPEST: usize = 128;

/// A value for jq; times and durations become texts.
pub(super) fn to_val(value: &Value) -> Val {
    convert(value, 0)
}

fn convert(value: &Value, depth: usize) -> Val {
    if depth > DEEPEST {
        return Val::Null;
    }
    match Kind::of(value) {
        Kind::Boolean => Val::Bool(value.is_true()),
        Kind::Number => match Number::of(value) {
            Some(Number::Whole(whole)) => Val::Num(Num::from_integral(whole)),
            Some(Number::Real(real)) => Val::Num(Num::Float(real)),
            None => Val::Null,
        },
        Kind::Text | Kind::Time | Kind::Duration => Val::from(text_of(value).unwrap_or_default()),
        Kind::List => value.try_iter().into_iter().flatten().map(|item| convert(&item, depth + 1)).collect(),
        Kind::Map => {
            let pairs = entries(value).map(|(key, item)| (Val::from(key.to_string()), convert(&item, depth + 1)));
            Val::obj(pairs.collect::<Map>())
        }
        Kind::None | Kind::Unknown | Kind::Secret | Kind::Other => Val::Null,
    }
}

/// A value out of jq, or nothing when it is larger than the room left or too deep. jq has one kind of number: one
/// without a fraction becomes whole; NaN and the infinities become unknown.
pub(super) fn from_val(value: &Val, room: &mut usize, depth: usize) -> Option<Value> {
    let cost = match value {
        Val::TStr(text) | Val::BStr(text) => text.len() + 8,
        Val::Arr(_) | Val::Obj(_) => 24,
        _ => 8,
    };
    *room = room.checked_sub(cost)?;
    if depth > DEEPEST {
        return None;
    }
    Some(match value {
        Val::Null => Value::from(()),
        Val::Bool(boolean) => Value::from(*boolean),
        Val::Num(number) => number_value(number),
        Val::TStr(text) | Val::BStr(text) => Value::from(String::from_utf8_lossy(text).into_owned()),
        Val::Arr(items) => {
            let items: Option<Vec<_>> = items.iter().map(|item| from_val(item, room, depth + 1)).collect();
            Value::from(items?)
        }
        Val::Obj(entries) => {
            let mut pairs = Vec::with_capacity(entries.len());
            for (key, item) in entries.iter() {
                let key = match key {
                    Val::TStr(text) | Val::BStr(text) => String::from_utf8_lossy(text).into_owned(),
                    other => other.to_string(),
                };
                *room = room.checked_sub(key.len() + 2)?;
                pairs.push((key, from_val(item, room, depth + 1)?));
            }
            Value::from_pairs(pairs)
        }
    })
}

fn number_value(number: &Num) -> Value {
    match number {
        Num::Int(whole) => Value::from(*whole as i64),
        Num::Float(real) if real.is_finite() => plain_number(*real),
        Num::Float(_) => unobtained("jq gave a number that is not finite"),
        other => {
            let text = other.to_string();
            match (text.parse::<i128>().ok().and_then(integer), text.parse::<f64>()) {
                (Some(whole), _) => whole,
                (None, Ok(real)) if real.is_finite() => plain_number(real),
                _ => unobtained("jq gave a number that is too large"),
            }
        }
    }
}

/// Takes the size of a value from the room, as far as there is room; shared parts count each time they appear.
pub(super) fn sized(value: &Val, room: &mut usize) {
    let cost = match value {
        Val::TStr(text) | Val::BStr(text) => text.len() + 2,
        _ => 4,
    };
    *room = room.saturating_sub(cost);
    match value {
        Val::Arr(items) => {
            for item in items.iter() {
                if *room == 0 {
                    return;
                }
                sized(item, room);
            }
        }
        Val::Obj(entries) => {
            for (key, item) in entries.iter() {
                if *room == 0 {
                    return;
                }
                sized(key, room);
                sized(item, room);
            }
        }
        _ => {}
    }
}
