//! Points and spans of time as values of the language.

use super::value::Value;
use jiff::{SignedDuration, SpanRelativeTo, Timestamp};
use minijinja::value::{DynObject, Object, ObjectRepr};
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// A point in time; shown as RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Timestamp);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Object for Time {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        other.downcast_ref::<Self>().map(|other| self.0.cmp(&other.0))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

impl Time {
    /// The time inside a value, if it is one.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        value.downcast_object_ref::<Self>().copied()
    }

    /// Reads an RFC 3339 text; a zone or offset must be written.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.trim().parse::<Timestamp>().ok().map(Self)
    }
}

impl From<Time> for Value {
    fn from(time: Time) -> Self {
        Self::from_object(time)
    }
}

/// A span of time; shown as `1d 2h 3m 4s`, where a day is 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(pub SignedDuration);

/// The units a duration is shown in, with their length in nanoseconds.
const UNITS: [(&str, i128); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0.as_nanos();
        if whole == 0 {
            return f.write_str("0s");
        }
        let mut rest = whole.unsigned_abs().cast_signed();
        let mut gap = if whole < 0 { "-" } else { "" };
        for (unit, length) in UNITS {
            let count = rest / length;
            if count > 0 {
                write!(f, "{gap}{count}{unit}")?;
                rest %= length;
                gap = " ";
            }
        }
        Ok(())
    }
}

impl Object for Duration {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        other.downcast_ref::<Self>().map(|other| self.0.cmp(&other.0))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

impl Duration {
    /// The duration inside a value, if it is one.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        value.downcast_object_ref::<Self>().copied()
    }

    /// Reads `1h30m`, `90 d`, `1.5h` or `PT1H`. A day is 24 hours, a week 7 days; months and years have no length.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let span: jiff::Span = text.trim().parse().ok()?;
        if span.get_months() != 0 || span.get_years() != 0 {
            return None;
        }
        span.to_duration(SpanRelativeTo::days_are_24_hours()).ok().map(Self)
    }

    /// A duration of so many seconds; nothing when it is out of range or not a number.
    #[must_use]
    pub fn from_seconds(seconds: f64) -> Option<Self> {
        SignedDuration::try_from_secs_f64(seconds).ok().map(Self)
    }

    /// Its length in seconds.
    #[must_use]
    pub fn seconds(self) -> f64 {
        self.0.as_secs_f64()
    }
}

impl From<Duration> for Value {
    fn from(duration: Duration) -> Self {
        Self::from_object(duration)
    }
}
