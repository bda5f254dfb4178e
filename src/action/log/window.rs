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
    stamps: Stamps,
    current: Option<Timestamp>,
    looked: u64,
}

impl Window {
    /// From `since` on; nothing means from the beginning.
    pub(super) fn new(since: Option<Timestamp>, stamps: Stamps) -> Self {
        Self { since, stamps, current: None, looked: 0 }
    }

    /// Whether a line stands in it.
    pub(super) fn lets(&mut self, line: &str) -> bool {
        let Some(since) = self.since else { return true };
        self.looked += 1;
        if let Some(time) = self.stamps.of(line) {
            self.current = Some(time);
        }
        self.current.is_some_and(|time| since <= time)
    }

    /// # Errors
    /// There were lines, and none had a time: it cannot be said which of them are meant.
    pub(super) fn check(&self, what: &str) -> Result<(), Refusal> {
        if self.looked > 0 && self.current.is_none() {
            let message = format!("no line of {what} begins with a time, so `since` cannot be used there; `tail` can");
            return Err(Refusal::new(ErrorClass::BadAnswer, message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    fn window(since: Option<&str>) -> Window {
        let time = |text: &str| text.parse().unwrap();
        let now = time("2026-11-26T12:00:00Z");
        Window::new(since.map(time), Stamps::new(now, TimeZone::UTC))
    }

    #[test]
    fn without_bounds_every_line_is_let_through() {
        let mut window = window(None);
        assert!(window.lets("no time"));
        assert!(window.check("`app.log`").is_ok());
    }

    #[test]
    fn lines_without_a_time_belong_to_the_line_before() {
        let mut window = window(Some("2026-11-26T10:00:00Z"));
        let lines = [
            ("  at a", false),
            ("2026-11-26T09:59:59Z old", false),
            ("  at b", false),
            ("2026-11-26T10:00:00Z first", true),
            ("  at c", true),
            ("2026-11-26T09:59:59Z from another thread, and older", false),
            ("2026-11-26T11:00:00Z last", true),
        ];
        for (line, is_let) in lines {
            assert_eq!(window.lets(line), is_let, "{line}");
        }
        assert!(window.check("`app.log`").is_ok());
    }

    #[test]
    fn a_log_without_any_time_cannot_be_cut_by_time() {
        let mut bounded = window(Some("2026-11-26T10:00:00Z"));
        assert!(bounded.check("`app.log`").is_ok(), "an empty log has no line that could be meant");
        assert!(!bounded.lets("up"));
        let refusal = bounded.check("`app.log`").unwrap_err();
        assert_eq!(refusal.class, ErrorClass::BadAnswer);
        assert!(refusal.message.starts_with("no line of `app.log` begins with a time"), "{}", refusal.message);
    }
}
