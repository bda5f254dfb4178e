//! The time at the beginning of a line.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use regex::{Captures, Regex};
use std::sync::LazyLock;

/// How far into a line its time is looked for, in bytes.
const FAR: usize = 512;

/// How far ahead of us a clock may be before a date without a year is taken for last year's.
const AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// `2026-11-26T01:25:28.123Z` and its like at the beginning, in brackets or quotes, behind `time=` or `ts=`, or as
/// the field `time`, `ts`, `timestamp` or `@timestamp` of a JSON line.
static ISO: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(concat!(
        r#"^(?:[\[("']|\{.{0,400}?"(?:time|ts|timestamp|@timestamp)"\s*:\s*"|(?:time|ts|timestamp)="?)?"#,
        r"(?<year>\d{4})[-/](?<month>\d\d)[-/](?<day>\d\d)[T ](?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d)",
        r"(?:[.,](?<fraction>\d{1,9}))?(?: ?(?<zone>Z|UTC|GMT|[+-]\d\d:?\d\d)\b)?",
    ))
});
/// Seconds or milliseconds since 1970 in a JSON line.
static EPOCH: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(concat!(
        r#"^\{.{0,400}?"(?:time|ts|timestamp|@timestamp)"\s*:\s*"#,
        r"(?<epoch>\d{10})(?<milli>\d{3})?(?:\.(?<fraction>\d{1,9})\d*)?\s*[,}]",
    ))
});
/// `Nov 26 01:25:28`, as syslog writes it.
static SYSLOG: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"^(?:<\d{1,3}>)?(?<name>[A-Z][a-z]{2}) {1,2}(?<day>\d{1,2}) (?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d)\b",
    )
});
/// `I1126 01:25:28.123456`, as the components of Kubernetes write it.
static KLOG: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"^[IWEF](?<month>\d\d)(?<day>\d\d) (?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d)(?:\.(?<fraction>\d{1,9}))?",
    )
});
/// `10.0.0.1 - - [26/Nov/2026:01:25:28 +0000]`, as web servers write it.
static ACCESS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(concat!(
        r"^\S+ \S+ \S+ \[(?<day>\d\d)/(?<name>[A-Z][a-z]{2})/(?<year>\d{4}):",
        r"(?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d) (?<zone>[+-]\d{4})\]",
    ))
});

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A pattern of this file. They are constants, and a test sees to it that each is one.
fn pattern(text: &str) -> Option<Regex> {
    Regex::new(text).ok()
}

/// All forms, the commonest first.
fn forms() -> [Option<&'static Regex>; 5] {
    [ISO.as_ref(), SYSLOG.as_ref(), EPOCH.as_ref(), KLOG.as_ref(), ACCESS.as_ref()]
}

/// Reads the times of the lines of one log.
pub(super) struct Stamps {
    now: Timestamp,
    zone: TimeZone,
    /// The form that fitted last: a log has one.
    usual: usize,
}

impl Stamps {
    /// `zone` is that of times without one, `now` tells the year of dates without one.
    pub(super) fn new(now: Timestamp, zone: TimeZone) -> Self {
        Self { now, zone, usual: 0 }
    }

    /// The time a line begins with; nothing when it begins with none.
    pub(super) fn of(&mut self, line: &str) -> Option<Timestamp> {
        let forms = forms();
        let start = line.get(..line.floor_char_boundary(FAR)).unwrap_or(line);
        for turn in 0..forms.len() {
            let place = (self.usual + turn) % forms.len();
            let found = forms
                .get(place)
                .copied()
                .flatten()
                .and_then(|form| form.captures(start))
                .and_then(|found| self.time(&found));
            if found.is_some() {
                self.usual = place;
                return found;
            }
        }
        None
    }

    fn time(&self, found: &Captures<'_>) -> Option<Timestamp> {
        if found.name("epoch").is_some() {
            return epoch(found);
        }
        let number = |name| found.name(name).and_then(|text| text.as_str().parse::<i8>().ok());
        let month = number("month").or_else(|| {
            let name = found.name("name")?.as_str();
            i8::try_from(MONTHS.iter().position(|month| *month == name)? + 1).ok()
        })?;
        // A leap second counts as the last one before it.
        let second = number("second")?.min(59);
        let time = Time::new(number("hour")?, number("minute")?, second, nanoseconds(found)).ok()?;
        let day = number("day")?;
        match found.name("year") {
            Some(year) => {
                let date = Date::new(year.as_str().parse().ok()?, month, day).ok()?;
                self.instant(date.to_datetime(time), found)
            }
            None => self.this_year_or_last(month, day, time),
        }
    }

    fn instant(&self, local: DateTime, found: &Captures<'_>) -> Option<Timestamp> {
        let zone = match found.name("zone").map(|zone| zone.as_str()) {
            None => self.zone.clone(),
            Some("Z" | "UTC" | "GMT") => TimeZone::UTC,
            Some(offset) => TimeZone::fixed(fixed(offset)?),
        };
        Some(local.to_zoned(zone).ok()?.timestamp())
    }

    fn this_year_or_last(&self, month: i8, day: i8, time: Time) -> Option<Timestamp> {
        let year = self.now.to_zoned(self.zone.clone()).year();
        let latest = self.now.checked_add(AHEAD).ok()?;
        (0..=4).find_map(|back| {
            let date = Date::new(year + 1 - back, month, day).ok()?;
            let instant = date.to_datetime(time).to_zoned(self.zone.clone()).ok()?.timestamp();
            (instant <= latest).then_some(instant)
        })
    }
}

fn epoch(found: &Captures<'_>) -> Option<Timestamp> {
    let seconds: i64 = found.name("epoch")?.as_str().parse().ok()?;
    let milli: i32 = found.name("milli").map_or(Some(0), |text| text.as_str().parse().ok())?;
    let nanoseconds = if found.name("milli").is_some() { milli * 1_000_000 } else { nanoseconds(found) };
    Timestamp::new(seconds, nanoseconds).ok()
}

fn nanoseconds(found: &Captures<'_>) -> i32 {
    found.name("fraction").and_then(|text| format!("{:0<9}", text.as_str()).parse().ok()).unwrap_or(0)
}

/// `+01:00` or `+0100`.
fn fixed(text: &str) -> Option<Offset> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let hours: i32 = digits.get(..2)?.parse().ok()?;
    let minutes: i32 = digits.get(2..)?.parse().ok()?;
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamps() -> Stamps {
        Stamps::new("2026-11-26T12:00:00Z".parse().unwrap(), TimeZone::fixed(Offset::constant(1)))
    }

    #[track_caller]
    fn reads(line: &str, time: &str) {
        let found = stamps().of(line).unwrap_or_else(|| panic!("no time in {line}"));
        assert_eq!(found.to_string(), time, "{line}");
    }

    #[test]
    fn the_patterns_are_patterns() {
        assert!(forms().iter().all(Option::is_some));
    }

    #[test]
    fn common_forms_are_read() {
        reads("2026-11-26T01:25:28Z up", "2026-11-26T01:25:28Z");
        reads("2026-11-26T01:25:28.123456+02:00 up", "2026-11-25T23:25:28.123456Z");
        reads("2026-11-26T01:25:28-0530 up", "2026-11-26T06:55:28Z");
        reads("2026-11-26 01:25:28,123 INFO up", "2026-11-26T00:25:28.123Z");
        reads("2026-11-26 01:25:28.120 UTC [17] LOG: up", "2026-11-26T01:25:28.12Z");
        reads("2026-11-26 01:25:28 CET [17] LOG: up", "2026-11-26T00:25:28Z");
        reads("[2026-11-26T01:25:28Z INFO podium] up", "2026-11-26T01:25:28Z");
        reads("2026/11/26 01:25:28 [error] up", "2026-11-26T00:25:28Z");
        reads("time=\"2026-11-26T01:25:28Z\" level=info", "2026-11-26T01:25:28Z");
        reads(r#"{"level":"info","ts":"2026-11-26T01:25:28Z"}"#, "2026-11-26T01:25:28Z");
        reads(r#"{"level":"info","ts":1764120328.5,"msg":"up"}"#, "2025-11-26T01:25:28.5Z");
        reads(r#"{"@timestamp":1764120328123}"#, "2025-11-26T01:25:28.123Z");
        reads(r#"10.0.0.1 - - [26/Nov/2026:01:25:28 +0100] "GET /""#, "2026-11-26T00:25:28Z");
        reads("I1126 01:25:28.123456 7 main.go:1] up", "2026-11-26T00:25:28.123456Z");
        reads("2016-12-31T23:59:60Z leap", "2016-12-31T23:59:59Z");
    }

    #[test]
    fn a_date_without_a_year_is_never_in_the_future() {
        reads("Nov 26 01:25:28 host app: up", "2026-11-26T00:25:28Z");
        reads("Nov  6 01:25:28 host app: up", "2026-11-06T00:25:28Z");
        reads("Dec 31 23:59:59 host app: up", "2025-12-31T22:59:59Z");
        reads("Feb 29 12:00:00 host app: up", "2024-02-29T11:00:00Z");
        let mut new_year = Stamps::new("2027-01-01T00:00:05Z".parse().unwrap(), TimeZone::UTC);
        assert_eq!(new_year.of("Dec 31 23:59:59 x").unwrap().to_string(), "2026-12-31T23:59:59Z");
        let mut before = Stamps::new("2026-12-31T23:59:59Z".parse().unwrap(), TimeZone::UTC);
        assert_eq!(before.of("Jan  1 00:00:05 x").unwrap().to_string(), "2027-01-01T00:00:05Z");
    }

    #[test]
    fn a_line_without_a_time_has_none() {
        for line in
            ["", "up", "   at main.rs:3", "2026-13-26T01:25:28Z", "Foo 26 01:25:28 x", "26-11-2026 01:25:28", "{}"]
        {
            assert_eq!(stamps().of(line), None, "{line}");
        }
    }
}
