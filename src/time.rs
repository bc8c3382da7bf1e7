//! Times as they are compared and stored: whole seconds in UTC, so that the order of
//! texts such as `2026-01-02T03:04:05Z` is the order of the times.

use jiff::Timestamp;

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
    text.map(|text| {
        parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format_args!(
                "`{}` is no RFC 3339 time such as 2026-01-02T03:04:05Z",
                crate::text::clean_cut(&text, 40)
            ))
        })
    })
    .transpose()
}

#[cfg(test)]
mod tests {
    use super::parse;

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
    fn what_is_no_time_is_none() {
        for text in ["", "yesterday", "2026-01-02", "1969-12-31T23:59:59Z"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
