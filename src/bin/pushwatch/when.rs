//! Times as people type them.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use pushwatch::time;

/// A time in the past: a span before now, a date, or an RFC 3339 time.
pub fn parse_since(text: &str, now: Timestamp) -> Option<Timestamp> {
    parse_when(text, now, -1)
}

/// A time to come.
pub fn parse_until(text: &str, now: Timestamp) -> Option<Timestamp> {
    parse_when(text, now, 1)
}

/// An RFC 3339 time, or a date, which is its beginning in UTC.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    if let Some(time) = time::parse(text) {
        return Some(time);
    }
    // `parse` would take a time without a zone too, and leave the time out.
    let date = Date::strptime("%Y-%m-%d", text).ok()?;
    let midnight = date.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp();
    (midnight >= Timestamp::UNIX_EPOCH).then_some(midnight)
}

fn parse_when(text: &str, now: Timestamp, direction: i32) -> Option<Timestamp> {
    if let Some(time) = parse_time(text) {
        return Some(time);
    }
    let span: Span = text.parse().ok()?;
    let duration: SignedDuration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    let time = now.checked_add(duration.checked_mul(direction)?).ok()?;
    (duration.is_positive() && time >= Timestamp::UNIX_EPOCH).then(|| time::whole_seconds(time))
}

#[cfg(test)]
mod tests {
    use super::{parse_since, parse_until};
    use jiff::Timestamp;

    #[test]
    fn a_time_is_a_span_a_date_or_rfc_3339() {
        let now: Timestamp = "2026-01-10T12:00:00Z".parse().unwrap();
        for (text, since, until) in [
            (
                "7d",
                Some("2026-01-03T12:00:00Z"),
                Some("2026-01-17T12:00:00Z"),
            ),
            (
                "12h",
                Some("2026-01-10T00:00:00Z"),
                Some("2026-01-11T00:00:00Z"),
            ),
            (
                "2w",
                Some("2025-12-27T12:00:00Z"),
                Some("2026-01-24T12:00:00Z"),
            ),
            (
                "2026-01-02",
                Some("2026-01-02T00:00:00Z"),
                Some("2026-01-02T00:00:00Z"),
            ),
            (
                "2026-01-02T03:04:05+01:00",
                Some("2026-01-02T02:04:05Z"),
                Some("2026-01-02T02:04:05Z"),
            ),
            ("2026-01-02T03:04", None, None),
            ("-7d", None, None),
            ("7", None, None),
            ("tomorrow", None, None),
            ("1960-01-01", None, None),
        ] {
            let words = |time: Option<Timestamp>| time.map(|time| time.to_string());
            assert_eq!(words(parse_since(text, now)).as_deref(), since, "{text}");
            assert_eq!(words(parse_until(text, now)).as_deref(), until, "{text}");
        }
    }
}
