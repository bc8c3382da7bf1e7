//! Globs on uploader keys.
//!
//! A plain glob over the whole key would be a hole: an IAM path may contain
//! colons, so `arn:aws:iam::*:role/ci-*` would match
//! `arn:aws:iam::111122223333:role/x:role/ci-evil`. Pattern and key are split
//! into their ARN parts, and each part is matched alone.

use std::fmt;

use regex_lite::Regex;
use thiserror::Error;

use crate::identity::MAX_KEY;
use crate::text::clean_cut;

/// An ARN's parts; the last one keeps its colons.
const PARTS: usize = 6;
/// The longest glob, in bytes. The matcher takes a gigabyte for one of six megabytes.
const MAX_GLOB: usize = 2 * MAX_KEY;

/// A pattern for uploader keys: `*` matches within a path segment, `**` across
/// segments, `?` one character that is no slash.
#[derive(Clone)]
pub struct Glob {
    text: String,
    /// The crates for globs take `**` inside a segment (`ci-**`) for `*`, so
    /// each part is translated for the regular-expression crate, which matches
    /// in linear time, whatever name an attacker chooses.
    parts: Vec<Regex>,
}

/// A glob that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GlobError {
    /// There is nothing in it.
    #[error("the glob is empty; it takes an uploader key in which `*`, `**` and `?` are wildcards")]
    Empty,
    /// A character that other globs give a meaning.
    #[error(
        "glob `{glob}`, character {column}: `{character}` has no meaning here; \
         the wildcards are `*`, `**` and `?`"
    )]
    Reserved {
        /// The glob, cleaned and cut.
        glob: String,
        /// The first such character.
        character: char,
        /// Its place in the glob, from 1.
        column: usize,
    },
    /// The matcher refused it.
    #[error("glob `{glob}` is too long or too complex: {fault}")]
    TooComplex {
        /// The glob, cleaned and cut.
        glob: String,
        /// The matcher's own words.
        fault: String,
    },
}

impl Glob {
    /// Reads a glob.
    ///
    /// # Errors
    /// When it is empty, or has characters such as `[` or `{` that look like
    /// wildcards but are none.
    pub fn parse(text: &str) -> Result<Self, GlobError> {
        if text.is_empty() {
            return Err(GlobError::Empty);
        }
        let glob = || clean_cut(text, 200);
        if text.len() > MAX_GLOB {
            return Err(GlobError::TooComplex {
                glob: glob(),
                fault: format!("it has more than {MAX_GLOB} bytes, and no key more than {MAX_KEY}"),
            });
        }
        if let Some((index, character)) = text
            .chars()
            .enumerate()
            .find(|(_, c)| matches!(c, '[' | ']' | '{' | '}' | '\\'))
        {
            return Err(GlobError::Reserved {
                glob: glob(),
                character,
                column: index + 1,
            });
        }
        let parts = text
            .splitn(PARTS, ':')
            .map(part)
            .collect::<Result<_, _>>()
            .map_err(|fault| GlobError::TooComplex {
                glob: glob(),
                fault: fault.to_string(),
            })?;
        Ok(Self {
            text: text.to_owned(),
            parts,
        })
    }

    /// Whether the key has as many parts as the glob, and each matches.
    #[must_use]
    pub fn matches(&self, key: &str) -> bool {
        key.splitn(PARTS, ':').count() == self.parts.len()
            && key
                .splitn(PARTS, ':')
                .zip(&self.parts)
                .all(|(part, pattern)| pattern.is_match(part))
    }

    /// Whether it can match more than one key.
    pub(crate) fn has_wildcard(&self) -> bool {
        has_wildcard(&self.text)
    }
}

/// Whether a key, taken as a glob, would match more than itself or be refused.
#[must_use]
pub fn is_plain(key: &str) -> bool {
    !has_wildcard(key) && !key.contains(['[', ']', '{', '}', '\\'])
}

fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// One part of a glob as an anchored regular expression.
fn part(glob: &str) -> Result<Regex, regex_lite::Error> {
    let mut pattern = String::from("(?s)^");
    let mut rest = glob;
    while let Some(c) = rest.chars().next() {
        let (wildcard, length) = match c {
            '*' if rest.starts_with("**") => (".*", 2),
            '*' => ("[^/]*", 1),
            '?' => ("[^/]", 1),
            _ => ("", c.len_utf8()),
        };
        if wildcard.is_empty() {
            pattern.push_str(&regex_lite::escape(&rest[..length]));
        } else {
            pattern.push_str(wildcard);
        }
        rest = &rest[length..];
    }
    pattern.push('$');
    Regex::new(&pattern)
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Glob({:?})", self.text)
    }
}

impl std::str::FromStr for Glob {
    type Err = GlobError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::{Glob, GlobError, is_plain};

    #[test]
    fn each_part_is_matched_alone() {
        for (glob, key, expected) in [
            // glob, key, whether it matches
            (
                "arn:aws:iam::*:role/ci-*",
                "arn:aws:iam::1:role/ci-build",
                true,
            ),
            (
                "arn:aws:iam::*:role/ci-*",
                "arn:aws:iam::1:role/x:role/ci-evil",
                false,
            ),
            (
                "arn:aws:iam::*:role/ci-*",
                "arn:aws:iam::1:role/ci-x:role/evil",
                false,
            ),
            (
                "arn:aws:iam::*:role/ci-*",
                "arn:aws:iam::1:role/path/ci-build",
                false,
            ),
            (
                "arn:aws:iam::*:role/**",
                "arn:aws:iam::1:role/path/ci-build",
                true,
            ),
            (
                "arn:aws:iam::*:role/ci-**",
                "arn:aws:iam::1:role/ci-path/build",
                true,
            ),
            (
                "arn:aws:iam::*:role/**/ci",
                "arn:aws:iam::1:role/a/b/ci",
                true,
            ),
            ("arn:aws:iam::1:role/ci", "arn:aws:iam::1:role/ci", true),
            ("arn:aws:iam::1:role/ci", "arn:aws:iam::1:role/ci2", false),
            ("arn:aws:iam::1:role/ci", "xarn:aws:iam::1:role/ci", false),
            ("arn:*:iam::1:role/c?", "arn:aws-cn:iam::1:role/ci", true),
            ("arn:*:iam::1:role?ci", "arn:aws:iam::1:role/ci", false),
            ("arn:aws:iam::*", "arn:aws:iam::1:role/ci", false),
            ("*", "arn:aws:iam::1:role/ci", false),
            ("**", "arn:aws:iam::1:role/ci", false),
            (
                "service:*:*.amazonaws.com",
                "service:1:x.amazonaws.com",
                true,
            ),
            (
                "arn:aws:iam::1:user/a.b+c",
                "arn:aws:iam::1:user/a.b+c",
                true,
            ),
            ("arn:aws:iam::1:user/a.b", "arn:aws:iam::1:user/axb", false),
            ("arn:aws:iam::1:user/*", "arn:aws:iam::1:user/a\nb", true),
            ("arn:aws:iam::1:user/a", "arn:aws:iam::1:user/a\n", false),
        ] {
            assert_eq!(
                Glob::parse(glob).unwrap().matches(key),
                expected,
                "{glob} {key}"
            );
        }
    }

    #[test]
    fn a_glob_with_foreign_wildcards_is_refused_with_the_place() {
        assert_eq!(Glob::parse("").unwrap_err(), GlobError::Empty);
        let error = Glob::parse("arn:aws:iam::1:role/[ab]").unwrap_err();
        assert!(error.to_string().contains("character 21: `[`"), "{error}");
    }

    #[test]
    fn a_key_is_plain_if_it_is_a_glob_of_itself_alone() {
        assert!(is_plain("arn:aws:iam::1:role/ci"));
        for odd in ["*", "?", "[", "]", "{", "}", "\\"] {
            assert!(!is_plain(&format!("arn:aws:iam::1:role/{odd}")), "{odd}");
        }
    }

    #[test]
    fn a_glob_of_more_than_twice_the_longest_key_is_refused() {
        assert!(Glob::parse(&"x".repeat(2048)).is_ok());
        let error = Glob::parse(&"x".repeat(2049)).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("it has more than 2048 bytes, and no key more than 1024")
        );
    }
}
