//! The stretch of time whose lines are looked at.

use super::stamp::Stamps;
use crate::action::outcome::Refusal;
use crate::event::ErrorClass;
use jiff::Timestamp;

/// Lets the lines of a stretch of time through.
///
/// A line without a time belongs to the line before it (a stack trace, a statement over several lines); such lines
/// before the first time are left out.
pub(super) struct Window {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    stamps: Stamps,
    current: Option<Timestamp>,
    looked: u64,
}

impl Window {
    /// From `since` to `until`, both included; nothing means no bound.
    pub(super) fn new(since: Option<Timestamp>, until: Option<Timestamp>, stamps: Stamps) -> Self {
        Self { since, until, stamps, current: None, looked: 0 }
    }

    /// Whether a line stands in it.
    pub(super) fn lets(&mut self, line: &str) -> bool {
        if self.since.is_none() && self.until.is_none() {
            return true;
        }
        self.looked += 1;
        if let Some(time) = self.stamps.of(line) {
            self.current = Some(time);
        }
        let Some(time) = self.current else { return false };
        self.since.is_none_or(|since| since <= time) && self.until.is_none_or(|until| time <= until)
    }

    /// # Errors
    /// There were lines, and none had a time: it cannot be said which of them are meant.
    pub(super) fn check(&self, what: &str) -> Result<(), Refusal> {
        if self.looked > 0 && self.current.is_none() {
            let message = format!(
                "no line of {what} begins with a time, so `since` and `until` say nothing there; use `tail`, or the journal"
            );
            return Err(Refusal::new(ErrorClass::BadAnswer, message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    fn window(since: Option<&str>, until: Option<&str>) -> Window {
        let time = |text: &str| text.parse().unwrap();
        let now = time("2026-11-26T12:00:00Z");
        Window::new(since.map(time), until.map(time), Stamps::new(now, TimeZone::UTC))
    }

    #[test]
    fn without_bounds_every_line_is_let_through() {
        let mut window = window(None, None);
        assert!(window.lets("no time"));
        assert!(window.check("`app.log`").is_ok());
    }

    #[test]
    fn lines_without_a_time_belong_to_the_line_before() {
        let mut window = window(Some("2026-11-26T10:00:00Z"), Some("2026-11-26T11:00:00Z"));
        let lines = [
            ("  at a", false),
            ("2026-11-26T09:59:59Z old", false),
            ("  at b", false),
            ("2026-11-26T10:00:00Z first", true),
            ("  at c", true),
            ("2026-11-26T11:00:00Z last", true),
            ("2026-11-26T11:00:01Z late", false),
            ("  at d", false),
        ];
        for (line, is_let) in lines {
            assert_eq!(window.lets(line), is_let, "{line}");
        }
        assert!(window.check("`app.log`").is_ok());
    }

    #[test]
    fn a_log_without_any_time_cannot_be_cut_by_time() {
        let mut bounded = window(Some("2026-11-26T10:00:00Z"), None);
        assert!(bounded.check("`app.log`").is_ok(), "an empty log has no line that could be meant");
        assert!(!bounded.lets("up"));
        let refusal = bounded.check("`app.log`").unwrap_err();
        assert_eq!(refusal.class, ErrorClass::BadAnswer);
        assert!(refusal.message.starts_with("no line of `app.log` begins with a time"), "{}", refusal.message);
    }
}
