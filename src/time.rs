//! Times as they are compared and stored: whole seconds in UTC, so that the order of
//! texts such as `2026-01-02T03:04:05Z` is the order of the times.

use jiff::{SignedDuration, Timestamp};

/// Cuts a time to whole seconds.
#[must_use]
pub fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// Reads an RFC 3339 time. Times before 1970 are refused: no event is that
/// old, and their text would not sort.
#[must_use]
pub fn parse(text: &str) -> Option<Timestamp> {
    let time: Timestamp = text.parse().ok()?;
    (time >= Timestamp::UNIX_EPOCH).then(|| whole_seconds(time))
}

/// Reads an optional time of a stored record, by the rules of [`parse`].
///
/// # Errors
/// When the text is no such time.
pub(crate) fn deserialize<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    let text: Option<String> = serde::Deserialize::deserialize(deserializer)?;
    text.as_deref().map(parsed).transpose()
}

/// Reads a time of a stored finding that must be there, by the rules of [`parse`].
///
/// # Errors
/// When it is not there, or no such time.
pub(crate) fn deserialize_required<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Timestamp, D::Error> {
    let text: String = serde::Deserialize::deserialize(deserializer)?;
    parsed(&text)
}

fn parsed<E: serde::de::Error>(text: &str) -> Result<Timestamp, E> {
    parse(text).ok_or_else(|| {
        E::custom(format_args!(
            "`{}` is no RFC 3339 time such as 2026-01-02T03:04:05Z",
            crate::text::clean_cut(text, 40)
        ))
    })
}

/// The time that is `by` later, or earlier if that is negative; the last or the first time that
/// there is, where that would be beyond it.
#[must_use]
pub fn moved(time: Timestamp, by: SignedDuration) -> Timestamp {
    let end = if by.is_negative() {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    time.checked_add(by).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::{moved, parse};

    #[test]
    fn times_are_read_to_whole_seconds_in_utc() {
        let read = |text| parse(text).map(|time| time.to_string());
        assert_eq!(
            read("2026-01-02T03:04:05Z").unwrap(),
            "2026-01-02T03:04:05Z"
        );
        assert_eq!(
            read("2026-01-02T03:04:05.999Z").unwrap(),
            "2026-01-02T03:04:05Z"
        );
        assert_eq!(
            read("2026-01-02T03:04:05+01:00").unwrap(),
            "2026-01-02T02:04:05Z"
        );
    }

    #[test]
    fn a_time_is_moved_no_further_than_there_are_times() {
        let day = SignedDuration::from_hours(24);
        let noon = parse("2026-01-02T12:00:00Z").unwrap();
        assert_eq!(moved(noon, day), parse("2026-01-03T12:00:00Z").unwrap());
        assert_eq!(moved(noon, -day), parse("2026-01-01T12:00:00Z").unwrap());
        let last = parse("9999-12-30T21:30:00Z").unwrap();
        assert_eq!(moved(last, day), Timestamp::MAX);
        assert_eq!(moved(Timestamp::MIN, -day), Timestamp::MIN);
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "yesterday", "2026-01-02", "1969-12-31T23:59:59Z"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
