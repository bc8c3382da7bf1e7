//! A glob in the first line, and the key that it may match in what follows.

use pushwatch::glob::{Glob, is_plain};

use crate::oracles::characters;

/// An ARN's parts.
const PARTS: usize = 6;
/// How many steps the second matcher may take, which looks at each character of the key for
/// each of the glob.
const MOST_STEPS: usize = 64 * 1024 * 1024;

pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let (pattern, key) = text.split_once('\n').unwrap_or((text, text));
    match Glob::parse(pattern) {
        Ok(glob) => {
            assert_eq!(glob.to_string(), pattern);
            if pattern.len().saturating_mul(key.len()) > MOST_STEPS {
                _ = glob.matches(key);
                return;
            }
            let expected = matches(pattern, key);
            assert_eq!(glob.matches(key), expected, "{pattern:?} {key:?}");
            if is_plain(pattern) {
                assert_eq!(pattern == key, expected, "{pattern:?} {key:?}");
            }
        }
        Err(error) => characters::assert_line(&error.to_string()),
    }
}

/// The same, character by character.
fn matches(pattern: &str, key: &str) -> bool {
    let patterns: Vec<_> = pattern.splitn(PARTS, ':').collect();
    let parts: Vec<_> = key.splitn(PARTS, ':').collect();
    patterns.len() == parts.len()
        && patterns
            .iter()
            .zip(parts)
            .all(|(pattern, part)| matches_part(pattern, part))
}

fn matches_part(pattern: &str, part: &str) -> bool {
    let part: Vec<_> = part.chars().collect();
    // Whether the pattern so far matches the first characters of the part.
    let mut reached = vec![false; part.len() + 1];
    reached[0] = true;
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let is_deep = rest.starts_with("**");
        rest = &rest[if is_deep { 2 } else { c.len_utf8() }..];
        let mut next = vec![false; part.len() + 1];
        for at in 0..=part.len() {
            let before = at.checked_sub(1).map(|before| (before, part[before]));
            next[at] = match c {
                '*' => {
                    reached[at]
                        || before.is_some_and(|(before, c)| next[before] && (is_deep || c != '/'))
                }
                '?' => before.is_some_and(|(before, c)| reached[before] && c != '/'),
                _ => before.is_some_and(|(before, same)| reached[before] && c == same),
            };
        }
        reached = next;
    }
    reached[part.len()]
}
