//! Which shapes go together, for the checker.

use super::shape::Shape;
use super::syntax::{Comparison, Operator};

/// The shape of `left operator right`, or nothing when they do not go together.
#[expect(clippy::match_same_arms, reason = "one row for each pair of kinds reads as the table that it is")]
pub(super) fn result(operator: Operator, left: &Shape, right: &Shape) -> Option<Shape> {
    use Operator::{Add, Divide, Join, Multiply, Subtract};
    use Shape::{Any, Duration, List, Map, Number, Record, Text, Time};
    Some(match (operator, left, right) {
        (Join, List(_) | Map | Record(_), _) | (Join, _, List(_) | Map | Record(_)) => return None,
        (Join, ..) => Text,
        (_, Number, Number) => Number,
        (Add | Subtract, Duration, Duration) => Duration,
        (Divide, Duration, Duration) => Number,
        (Add | Subtract, Time, Duration) | (Add, Duration, Time) => Time,
        (Subtract, Time, Time) => Duration,
        (Multiply | Divide, Duration, Number) | (Multiply, Number, Duration) => Duration,
        (Add, List(_), List(_)) => left.clone().or(right.clone()),
        (Multiply, Text, Number) => Text,
        (Add, Text, Any) | (Add, Any, Text) => return None,
        (_, Any, _) | (_, _, Any) => Any,
        _ => return None,
    })
}

/// Two sides that can never be compared.
pub(super) struct Clash {
    /// How to mend it.
    pub(super) hint: Option<String>,
}

/// Whether two sides can never be compared.
pub(super) fn clash(comparison: Comparison, left: &Shape, right: &Shape) -> Option<Clash> {
    let (a, b) = (left.word(), right.word());
    if left.is_any() || right.is_any() {
        return None;
    }
    let clashes = match comparison {
        Comparison::In | Comparison::NotIn => match right {
            Shape::List(item) => !item.is_any() && item.word() != a,
            Shape::Map | Shape::Record(_) | Shape::Text => a != "text",
            _ => true,
        },
        Comparison::Equal | Comparison::NotEqual => a != b,
        _ => a != b || matches!(left, Shape::Boolean | Shape::List(_) | Shape::Map | Shape::Record(_)),
    };
    let hint = match (left, right) {
        (Shape::Duration, Shape::Text | Shape::Number) | (Shape::Text | Shape::Number, Shape::Duration) => {
            Some("write the duration as `duration('1h30m')`".to_owned())
        }
        (Shape::Time, Shape::Text) | (Shape::Text, Shape::Time) => {
            Some("write the time as `time('2026-02-11T09:00:00Z')`".to_owned())
        }
        (Shape::Number, Shape::Text) | (Shape::Text, Shape::Number) => {
            Some("read the text as a number with `| int` or `| float`".to_owned())
        }
        _ => None,
    };
    clashes.then_some(Clash { hint })
}
