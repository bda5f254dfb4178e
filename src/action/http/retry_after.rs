//! How long a server wants to be left alone: the header `Retry-After` (RFC 9110, 10.2.3).

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use std::time::Duration;

/// The pause that the headers ask for; nothing when they ask for none, or say it in no form of the standard. A point
/// in time is taken from the server's own clock where it shows it, because ours may be another.
pub(super) fn wished(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let here = date(headers, &DATE).unwrap_or(now);
    let pause = date(headers, &RETRY_AFTER)?.duration_since(here);
    Some(Duration::try_from(pause).unwrap_or(Duration::ZERO))
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<Timestamp> {
    let text = headers.get(name)?.to_str().ok()?;
    rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        wished(&headers, "2026-01-02T03:04:05Z".parse().unwrap())
    }

    #[test]
    fn both_forms_are_read_and_others_are_no_wish() {
        let here = "Wed, 21 Oct 2015 07:27:00 GMT";
        let then = "Wed, 21 Oct 2015 07:28:00 GMT";
        assert_eq!(of(&[("retry-after", "7")]), Some(Duration::from_secs(7)));
        assert_eq!(of(&[("retry-after", then), ("date", here)]), Some(Duration::from_mins(1)));
        assert_eq!(of(&[("retry-after", "Fri, 02 Jan 2026 03:04:15 GMT")]), Some(Duration::from_secs(10)));
        assert_eq!(of(&[("retry-after", here), ("date", then)]), Some(Duration::ZERO));
        for text in ["", "-1", "soon", "1.5", "99999999999999999999999", "Wed, 99 Oct 2015 07:28:00 GMT"] {
            assert_eq!(of(&[("retry-after", text)]), None, "{text}");
        }
        assert_eq!(of(&[]), None);
    }
}
