//! Functions over time.

use super::{Arguments, Entry, Gives, Refusal, Takes};
use crate::expr::kind::Number;
use crate::expr::operate::real;
use crate::expr::time::{Duration, Time};
use crate::expr::value::Value;

type Outcome = Result<Value, Refusal>;

pub(super) const TABLE: &[Entry] = &[
    Entry::own("duration", "duration(text | seconds)", (1, 1), duration)
        .kinds(Takes::Anything, Gives::Duration)
        .doc("Reads `1h30m`, `90d` or a number of seconds as a duration; a day is 24 hours.", "duration('1h30m')"),
    Entry::own("seconds", "seconds(duration | text)", (1, 1), seconds)
        .kinds(Takes::Anything, Gives::Number)
        .doc("Gives the length of a duration in seconds; a whole number when it is one.", "ban | seconds"),
    Entry::own("time", "time(text | seconds)", (1, 1), time)
        .kinds(Takes::Anything, Gives::Time)
        .doc("Reads an RFC 3339 text, or seconds since 1970, as a point in time.", "time('2026-02-11T09:00:00Z')"),
    Entry::own("age", "age(time | text)", (1, 1), age)
        .kinds(Takes::Anything, Gives::Duration)
        .doc("Gives the time passed since then, up to `now`.", "age(backup.finished) < duration('1h')"),
];

fn duration(arguments: &mut Arguments<'_>) -> Outcome {
    let value = arguments.present(0)?;
    match Number::of(value) {
        Some(number) => Duration::from_seconds(number.real())
            .map(Value::from)
            .ok_or_else(|| Refusal::missing(format!("`{}` is out of range", arguments.source(0)))),
        None => Ok(arguments.duration(0)?.into()),
    }
}

fn seconds(arguments: &mut Arguments<'_>) -> Outcome {
    if Number::of(arguments.present(0)?).is_some() {
        return Err(arguments.wrong(0, "duration or a text such as `1h30m`"));
    }
    let duration = arguments.duration(0)?;
    if duration.0.subsec_nanos() == 0 {
        return Ok(Value::from(duration.0.as_secs()));
    }
    Ok(real(duration.seconds(), &arguments.whole()))
}

fn time(arguments: &mut Arguments<'_>) -> Outcome {
    let out_of_range = || Refusal::missing(format!("`{}` is out of range", arguments.source(0)));
    match Number::of(arguments.present(0)?) {
        Some(number) => {
            let since = Duration::from_seconds(number.real()).ok_or_else(out_of_range)?;
            let time = jiff::Timestamp::UNIX_EPOCH.checked_add(since.0).map_err(|_| out_of_range())?;
            Ok(Time(time).into())
        }
        None => Ok(arguments.time(0)?.into()),
    }
}

fn age(arguments: &mut Arguments<'_>) -> Outcome {
    let then = arguments.time(0)?;
    Ok(Duration(arguments.scope().now().duration_since(then.0)).into())
}
