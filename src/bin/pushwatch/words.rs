//! Counts with their nouns, and long lists of which the first lines are enough.

use std::fmt::Display;

use crate::say;

/// Lines of a list that are said; the rest are counted.
pub const FEW: usize = 10;

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

/// Says the first lines of many, and counts the rest.
#[derive(Debug, Default)]
pub struct Few(usize);

impl Few {
    /// Says a line, if it is one of the first.
    pub fn say(&mut self, line: &str) {
        self.0 += 1;
        if self.0 <= FEW {
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
    let more = lines.checked_sub(FEW).filter(|more| *more > 0)?;
    Some(match noun {
        "" => format!("and {more} more"),
        noun => format!("and {}", counted(more, &format!("more {noun}"))),
    })
}

#[cfg(test)]
mod tests {
    use super::{counted, rest};

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
}
