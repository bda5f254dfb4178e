//! Windows: the hours of a week in which a gate can be passed.

use super::decode::{Decode, Decoder};
use super::grammar::Grammar;
use crate::source::{Node, Span};
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use std::fmt;

const DAYS: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
    ("Sun", Weekday::Sunday),
];

/// One window: `Sat 02:00-04:00 Europe/Berlin`. Without days it opens every day; a time that is not later than the first
/// one is of the next day (`Fri 22:00-02:00 UTC`).
///
/// A local time that a change of the clocks leaves out counts as the next one that exists; of one that comes twice the
/// first counts at the beginning, and the second at the end.
#[derive(Clone, Debug)]
pub struct Window {
    /// Where it stands; empty when it was not read from a document.
    pub span: Span,
    text: String,
    days: Vec<Weekday>,
    from: Time,
    /// Nothing for `24:00`.
    to: Option<Time>,
    zone: TimeZone,
}

/// A text that is no window, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct WindowProblem {
    /// What is wrong.
    pub message: String,
    /// How it is written.
    pub hint: String,
}

impl WindowProblem {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

impl Window {
    /// Reads `[DAYS] HH:MM-HH:MM ZONE`, where days are `Sat`, `Mon-Fri` or `Sat,Sun`.
    ///
    /// # Errors
    /// It is not written like that, or the zone is not known.
    pub fn parse(text: &str) -> Result<Self, WindowProblem> {
        const FORM: &str = "write it like `Sat 02:00-04:00 Europe/Berlin` or `Mon-Fri 22:00-02:00 UTC`";
        let words: Vec<&str> = text.split_whitespace().collect();
        let (days, times, zone) = match words.as_slice() {
            [times, zone] if times.contains(':') => (None, *times, *zone),
            [days, times, zone] => (Some(*days), *times, *zone),
            [times] | [_, times] if times.contains(':') => {
                let message = format!("`{text}` names no time zone");
                return Err(WindowProblem::new(message, "say whose clock counts, such as Europe/Berlin or UTC"));
            }
            _ => return Err(WindowProblem::new(format!("`{text}` is not a window"), FORM)),
        };
        let days = match days {
            None => DAYS.iter().map(|(_, day)| *day).collect(),
            Some(days) => days_of(days)?,
        };
        let (from, to) = times
            .split_once('-')
            .ok_or_else(|| WindowProblem::new(format!("`{times}` is not a span of hours"), FORM))?;
        let from = clock(from)?.ok_or_else(|| WindowProblem::new("a window cannot begin at 24:00", "say 00:00"))?;
        let to = clock(to)?;
        if to == Some(from) {
            let message = format!("the window `{times}` begins and ends at the same time");
            return Err(WindowProblem::new(message, "a whole day is 00:00-24:00"));
        }
        let zone = TimeZone::get(zone).map_err(|_| {
            let message = format!("`{zone}` is not a time zone");
            WindowProblem::new(message, "use a name of the IANA list, such as Europe/Berlin or UTC")
        })?;
        let text = words.join(" ");
        Ok(Self { span: Span::default(), text, days, from, to, zone })
    }

    /// When it closes, if it is open at that moment.
    #[must_use]
    pub fn open_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.around(now).filter(|(from, to)| *from <= now && now < *to).map(|(_, to)| to).max()
    }

    /// When it opens next, seen from a moment at which it is closed.
    #[must_use]
    pub fn next_opening(&self, now: Timestamp) -> Option<Timestamp> {
        self.around(now).map(|(from, _)| from).filter(|from| *from > now).min()
    }

    /// That moment on the clock of its zone: `Sat 2026-11-28 02:00`.
    #[must_use]
    pub fn on_its_clock(&self, moment: Timestamp) -> String {
        moment.to_zoned(self.zone.clone()).strftime("%a %Y-%m-%d %H:%M").to_string()
    }

    /// Its openings from the day before to the same day of the next week.
    fn around(&self, now: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp)> + '_ {
        let today = now.to_zoned(self.zone.clone()).date();
        let days = (-1..=8).filter_map(move |offset: i64| today.checked_add(offset.days()).ok());
        days.filter(|day| self.days.contains(&day.weekday())).filter_map(|day| self.on(day))
    }

    /// The opening that begins on a day; nothing where a change of the clocks leaves nothing of it.
    fn on(&self, day: Date) -> Option<(Timestamp, Timestamp)> {
        let last = match self.to {
            Some(to) if to > self.from => day.to_datetime(to),
            Some(to) => day.tomorrow().ok()?.to_datetime(to),
            None => day.tomorrow().ok()?.to_datetime(Time::midnight()),
        };
        let from = self.zone.to_ambiguous_timestamp(day.to_datetime(self.from)).compatible().ok()?;
        let ambiguous = self.zone.to_ambiguous_timestamp(last);
        // The end: the second of two, and where there is none the moment of the jump.
        let to = if ambiguous.is_ambiguous() { ambiguous.later() } else { ambiguous.compatible() };
        to.ok().filter(|to| *to > from).map(|to| (from, to))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Window {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

fn days_of(text: &str) -> Result<Vec<Weekday>, WindowProblem> {
    let place = |name: &str| {
        let found = DAYS.iter().position(|(day, _)| *day == name);
        found.ok_or_else(|| {
            let all = DAYS.map(|(day, _)| day).join(", ");
            WindowProblem::new(format!("`{name}` is not a day of the week"), format!("the days are {all}"))
        })
    };
    let mut days = Vec::new();
    for part in text.split(',') {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (place(first)?, place(last)?),
            None => (place(part)?, place(part)?),
        };
        // `Sat-Mon` goes over the end of the week.
        let count = (last + 7 - first) % 7 + 1;
        days.extend((0..count).map(|offset| DAYS[(first + offset) % 7].1));
    }
    Ok(days)
}

/// `HH:MM`; nothing for 24:00.
fn clock(text: &str) -> Result<Option<Time>, WindowProblem> {
    let problem = || WindowProblem::new(format!("`{text}` is not a time of day"), "write it like 02:00 or 23:30");
    if text == "24:00" {
        return Ok(None);
    }
    let (hour, minute) = text.split_once(':').ok_or_else(problem)?;
    let number = |text: &str| {
        let fits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i8>().ok().filter(|_| fits).ok_or_else(problem)
    };
    Time::new(number(hour)?, number(minute)?, 0, 0).map(Some).map_err(|_| problem())
}

impl Decode for Window {
    fn grammar() -> Grammar {
        Grammar::Text
    }

    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let scalar = decoder.scalar(node, "a window such as `Sat 02:00-04:00 Europe/Berlin`")?;
        match Self::parse(&scalar.text) {
            Ok(window) => Some(Self { span: node.span, ..window }),
            Err(problem) => {
                decoder.error_hint("gate-window", node.span, problem.message, problem.hint);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(text: &str) -> Window {
        Window::parse(text).expect("a window")
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn until(window: &Window, now: &str) -> Option<String> {
        window.open_until(at(now)).map(|to| to.to_string())
    }

    #[test]
    fn it_is_open_in_its_hours_by_its_own_clock() {
        // Saturday 2026-11-28, 02:00 in Berlin is 01:00 UTC.
        let night = window("Sat 02:00-04:00 Europe/Berlin");
        assert_eq!(until(&night, "2026-11-28T00:59:59Z"), None);
        assert_eq!(until(&night, "2026-11-28T01:00:00Z"), Some("2026-11-28T03:00:00Z".into()));
        assert_eq!(until(&night, "2026-11-28T02:59:59Z"), Some("2026-11-28T03:00:00Z".into()));
        assert_eq!(until(&night, "2026-11-28T03:00:00Z"), None);
        let next = night.next_opening(at("2026-11-28T03:00:00Z")).expect("next week");
        assert_eq!(night.on_its_clock(next), "Sat 2026-12-05 02:00");
    }

    #[test]
    fn it_may_go_over_midnight_and_over_the_week() {
        let late = window("Fri-Sun 22:00-02:00 UTC");
        assert!(until(&late, "2026-11-27T23:00:00Z").is_some());
        assert!(until(&late, "2026-11-28T01:59:00Z").is_some());
        assert_eq!(until(&late, "2026-11-27T01:00:00Z"), None);
        assert!(until(&late, "2026-11-30T01:00:00Z").is_some(), "Sunday night ends on Monday");
        let over = window("Sat-Mon 00:00-24:00 UTC");
        assert!(until(&over, "2026-11-30T23:59:59Z").is_some());
        assert_eq!(until(&over, "2026-12-01T00:00:00Z"), None);
        assert!(until(&window("10:00-11:00 UTC"), "2026-12-02T10:30:00Z").is_some());
        assert!(until(&window("Mon,Wed 10:00-11:00 UTC"), "2026-12-02T10:30:00Z").is_some());
        assert_eq!(until(&window("Mon,Thu 10:00-11:00 UTC"), "2026-12-02T10:30:00Z"), None);
    }

    #[test]
    fn hours_that_the_clocks_leave_out_or_repeat() {
        // Berlin 2026-03-29: 02:00 becomes 03:00 (01:00 UTC).
        assert_eq!(until(&window("Sun 02:00-03:00 Europe/Berlin"), "2026-03-29T01:30:00Z"), None, "that hour is not");
        let longer = window("Sun 02:30-04:00 Europe/Berlin");
        assert_eq!(until(&longer, "2026-03-29T01:30:00Z"), Some("2026-03-29T02:00:00Z".into()));
        // Berlin 2026-10-25: 03:00 becomes 02:00 (01:00 UTC); 02:30 comes twice.
        let twice = window("Sun 01:00-02:30 Europe/Berlin");
        assert_eq!(until(&twice, "2026-10-25T00:45:00Z"), Some("2026-10-25T01:30:00Z".into()));
    }

    #[test]
    fn other_texts_are_refused_with_a_way_out() {
        for (text, said) in [
            ("Sat 02:00-04:00", "no time zone"),
            ("02:00-04:00", "no time zone"),
            ("Sat 02:00-04:00 Mars/Base", "not a time zone"),
            ("Caturday 02:00-04:00 UTC", "not a day"),
            ("Sat 2-4 UTC", "not a time of day"),
            ("Sat 02:00 UTC", "not a span of hours"),
            ("Sat 02:00-25:00 UTC", "not a time of day"),
            ("Sat 24:00-01:00 UTC", "cannot begin"),
            ("Sat 02:00-02:00 UTC", "same time"),
            ("", "not a window"),
            ("always", "not a window"),
        ] {
            let problem = Window::parse(text).expect_err(text);
            assert!(problem.message.contains(said), "{text}: {problem}");
            assert!(!problem.hint.is_empty());
        }
    }
}
