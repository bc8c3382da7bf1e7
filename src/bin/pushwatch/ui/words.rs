//! Counts with their nouns, times, and long lists of which the first lines are enough.

use std::fmt::Display;

use jiff::Timestamp;
use pushwatch::render::safe;

use super::say;

/// How many lines of a list are said; the rest are counted.
pub const SHORT: usize = 10;

/// `1 push`, `2 pushes`.
pub fn counted(count: impl Display, noun: &str) -> String {
    let count = count.to_string();
    let ending = match count.as_str() {
        "1" => "",
        _ if noun.ends_with("sh") => "es",
        _ => "s",
    };
    format!("{count} {noun}{ending}")
}

/// A time in words: `3 days ago`.
pub fn ago(time: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second() - time.as_second();
    let (count, unit) = match seconds {
        ..60 => return "just now".to_owned(),
        60..3_600 => (seconds / 60, "minute"),
        3_600..86_400 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{} ago", counted(count, unit))
}

/// An image in a column: `team/app:1.4.2`, or a dash where no repository is known.
pub fn image(repository: Option<&str>, tag: Option<&str>) -> String {
    let Some(repository) = repository else {
        return "-".to_owned();
    };
    let repository = safe(repository, 40);
    match tag {
        // Together they may be what neither is: `tel` and `5551234`.
        Some(tag) => safe(&format!("{repository}:{}", safe(tag, 20)), 80),
        None => repository,
    }
}

/// Says the first lines of a list, and counts the rest.
#[derive(Debug, Default)]
pub struct ShortList(usize);

impl ShortList {
    /// Says a line, if it is one of the first.
    pub fn say(&mut self, line: &str) {
        self.0 += 1;
        if self.0 <= SHORT {
            say(line);
        }
    }

    /// Says how many more there were, behind what each line begins with.
    pub fn end(&self, beginning: &str) {
        if let Some(more) = rest(self.0, "") {
            say(&format!("{beginning}{more}"));
        }
    }

    /// The same, with what they are.
    pub fn end_of(&self, beginning: &str, noun: &str) {
        if let Some(more) = rest(self.0, noun) {
            say(&format!("{beginning}{more}"));
        }
    }
}

/// `and 62 more`, with the noun if there is one; none if all lines are said.
pub fn rest(lines: usize, noun: &str) -> Option<String> {
    let more = lines.checked_sub(SHORT).filter(|more| *more > 0)?;
    Some(match noun {
        "" => format!("and {more} more"),
        noun => format!("and {}", counted(more, &format!("more {noun}"))),
    })
}

#[cfg(test)]
mod tests {
    use super::{ago, counted, rest};
    use jiff::Timestamp;

    #[test]
    fn a_count_agrees_with_its_noun() {
        for (count, noun, words) in [
            (1, "push", "1 push"),
            (0, "push", "0 pushes"),
            (2, "failed push", "2 failed pushes"),
            (1, "bad line", "1 bad line"),
            (12, "uploader", "12 uploaders"),
        ] {
            assert_eq!(counted(count, noun), words);
        }
    }

    #[test]
    fn what_is_not_said_is_counted() {
        assert_eq!(rest(10, ""), None);
        assert_eq!(rest(72, "").as_deref(), Some("and 62 more"));
        assert_eq!(rest(11, "bad line").as_deref(), Some("and 1 more bad line"));
    }

    #[test]
    fn a_time_is_said_in_the_greatest_unit_that_fits() {
        let now: Timestamp = "2026-01-10T12:00:00Z".parse().unwrap();
        for (time, words) in [
            ("2026-01-10T12:00:01Z", "just now"),
            ("2026-01-10T11:59:30Z", "just now"),
            ("2026-01-10T11:58:59Z", "1 minute ago"),
            ("2026-01-10T09:00:00Z", "3 hours ago"),
            ("2026-01-09T12:00:00Z", "1 day ago"),
            ("2025-01-10T12:00:00Z", "365 days ago"),
        ] {
            assert_eq!(ago(time.parse().unwrap(), now), words, "{time}");
        }
    }
}
