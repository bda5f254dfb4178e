//! The tests: `x is name`.

use super::lists::{compared, identical};
use super::{Arguments, Entry, Refusal};
use crate::expr::kind::Kind;
use crate::expr::syntax::Comparison;
use crate::expr::value::Value;

type Outcome = Result<Value, Refusal>;

macro_rules! kind_test {
    ($name:literal, $kind:pat, $about:literal, $example:literal) => {
        Entry::own($name, concat!("value is ", $name), (1, 1), |arguments| {
            is(arguments, |value| matches!(Kind::of(value), $kind))
        })
        .test()
        .with_holes()
        .doc($about, $example)
    };
}

macro_rules! compare_test {
    ($name:literal, $comparison:ident, $about:literal) => {
        Entry::own($name, concat!("value is ", $name, "(other)"), (2, 2), |arguments| {
            compared(arguments, Comparison::$comparison)
        })
        .test()
        .doc($about, concat!("counts | select('", $name, "', 3)"))
    };
}

pub(super) const TABLE: &[Entry] = &[
    Entry::lazy("defined", "value is defined", (1, 1))
        .test()
        .with_holes()
        .doc("Tells whether a value was obtained; cannot tell before its step has run.", "body.error is defined"),
    Entry::lazy("undefined", "value is undefined", (1, 1))
        .test()
        .with_holes()
        .doc("Tells whether a value was tried for and is not there.", "body.error is undefined"),
    Entry::lazy("unknown", "value is unknown", (1, 1))
        .test()
        .with_holes()
        .doc("Is another name for `undefined`.", "queue.pending is unknown"),
    kind_test!("none", Kind::None, "Tells whether a value is none.", "admin is none"),
    kind_test!("boolean", Kind::Boolean, "Tells whether a value is true or false.", "answer is boolean"),
    kind_test!("number", Kind::Number, "Tells whether a value is a number.", "answer is number"),
    kind_test!("text", Kind::Text, "Tells whether a value is a text.", "answer is text"),
    kind_test!("string", Kind::Text, "Is another name for `text`.", "answer is string"),
    kind_test!("list", Kind::List, "Tells whether a value is a list.", "body is list"),
    kind_test!("sequence", Kind::List, "Is another name for `list`.", "body is sequence"),
    kind_test!("map", Kind::Map, "Tells whether a value is a map.", "body is map"),
    kind_test!("mapping", Kind::Map, "Is another name for `map`.", "body is mapping"),
    kind_test!("duration", Kind::Duration, "Tells whether a value is a duration.", "ban is duration"),
    kind_test!("time", Kind::Time, "Tells whether a value is a point in time.", "started is time"),
    Entry::own("integer", "value is integer", (1, 1), |arguments| is(arguments, Value::is_integer))
        .test()
        .doc("Tells whether a value is a whole number.", "answer is integer"),
    Entry::own("float", "value is float", (1, 1), |arguments| {
        is(arguments, |value| value.is_number() && !value.is_integer())
    })
    .test()
    .doc("Tells whether a value is a real number.", "answer is float"),
    Entry::own("empty", "value is empty", (1, 1), empty)
        .test()
        .with_holes()
        .doc("Tells whether a list, map or text has nothing in it.", "rows is empty"),
    Entry::own("odd", "value is odd", (1, 1), |arguments| divisible(arguments, 2, false))
        .test()
        .doc("Tells whether a whole number is odd.", "replicas is odd"),
    Entry::own("even", "value is even", (1, 1), |arguments| divisible(arguments, 2, true))
        .test()
        .doc("Tells whether a whole number is even.", "replicas is even"),
    Entry::own("divisibleby", "value is divisibleby(number)", (2, 2), divisible_by)
        .test()
        .doc("Tells whether a whole number can be divided without remainder.", "replicas is divisibleby(3)"),
    Entry::own("startingwith", "value is startingwith(text)", (2, 2), |arguments| {
        Ok(Value::from(arguments.text(0)?.starts_with(arguments.text(1)?)))
    })
    .test()
    .doc("Tells whether a text begins with another.", "name is startingwith('prod-')"),
    Entry::own("endingwith", "value is endingwith(text)", (2, 2), |arguments| {
        Ok(Value::from(arguments.text(0)?.ends_with(arguments.text(1)?)))
    })
    .test()
    .doc("Tells whether a text ends with another.", "path is endingwith('.dump')"),
    Entry::own("matching", "value is matching(regex)", (2, 2), matching)
        .test()
        .doc("Tells whether a regular expression is found in a text.", "version is matching('^1[0-9]')"),
    Entry::jinja("lower", "value is lower", (1, 1)).test().doc("Tells whether all letters are small.", "name is lower"),
    Entry::jinja("upper", "value is upper", (1, 1))
        .test()
        .doc("Tells whether all letters are capital.", "name is upper"),
    compare_test!("eq", Equal, "Is `==` as a test."),
    compare_test!("ne", NotEqual, "Is `!=` as a test."),
    compare_test!("lt", Less, "Is `<` as a test."),
    compare_test!("le", LessOrEqual, "Is `<=` as a test."),
    compare_test!("gt", Greater, "Is `>` as a test."),
    compare_test!("ge", GreaterOrEqual, "Is `>=` as a test."),
    Entry::own("in", "value is in(list)", (2, 2), |arguments| compared(arguments, Comparison::In))
        .test()
        .doc("Is `in` as a test.", "phases | select('in', ['Failed', 'Unknown'])"),
    Entry::own("sameas", "value is sameas(other)", (2, 2), identical)
        .test()
        .doc("Tells whether two values are of one kind and equal; never an error.", "a is sameas(b)"),
];

#[expect(clippy::unnecessary_wraps, reason = "every function of the table gives an outcome")]
fn is(arguments: &mut Arguments<'_>, holds: impl Fn(&Value) -> bool) -> Outcome {
    Ok(Value::from(arguments.positional().first().is_some_and(holds)))
}

fn empty(arguments: &mut Arguments<'_>) -> Outcome {
    let value = arguments.present(0)?;
    match (Kind::of(value), value.len()) {
        (Kind::List | Kind::Map | Kind::Text, Some(length)) => Ok(Value::from(length == 0)),
        _ => Err(arguments.wrong(0, "list, map or text")),
    }
}

fn integer(arguments: &Arguments<'_>, at: usize) -> Result<i128, Refusal> {
    match arguments.number(at)? {
        crate::expr::kind::Number::Whole(number) => Ok(number),
        crate::expr::kind::Number::Real(_) => Err(arguments.wrong(at, "whole number")),
    }
}

fn divisible(arguments: &mut Arguments<'_>, by: i128, wanted: bool) -> Outcome {
    Ok(Value::from((integer(arguments, 0)? % by == 0) == wanted))
}

fn divisible_by(arguments: &mut Arguments<'_>) -> Outcome {
    match integer(arguments, 1)? {
        0 => Err(arguments.refuse("nothing is divisible by zero")),
        by => divisible(arguments, by, true),
    }
}

fn matching(arguments: &mut Arguments<'_>) -> Outcome {
    let regex = super::texts::regex(arguments.text(1)?).map_err(|message| arguments.refuse(message))?;
    Ok(Value::from(regex.is_match(arguments.text(0)?)))
}
