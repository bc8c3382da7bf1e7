//! Making other people's text safe to show.

use std::fmt::Write as _;

/// `text` as one line without control characters.
///
/// Every string of an event may be an attacker's. What a terminal, a log or a
/// mail program would obey instead of show (line breaks, escapes, right-to-left
/// marks, zero-width characters) appears as its code point: `\u{1b}`.
#[must_use]
pub fn clean(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    text.chars().fold(String::new(), |mut clean, c| {
        match c {
            // `escape_debug` would escape these too, for Rust's sake.
            '"' | '\'' | '\\' => clean.push(c),
            _ => clean.extend(c.escape_debug()),
        }
        clean
    })
}

/// [`clean`], cut to at most `most` characters; a cut ends in `…`.
#[must_use]
pub fn clean_cut(text: &str, most: usize) -> String {
    let clean = clean(text);
    if clean.len() <= most || clean.chars().count() <= most {
        return clean;
    }
    let mut cut: String = clean.chars().take(most.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// Whether all of it is printable ASCII, as nearly every text is: nothing in it need be
/// looked at one by one.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// `text` in printable ASCII, cut to at most `most` characters; a cut ends in
/// `[..]`, since `www...` would look like a link. Look-alikes of other scripts
/// give themselves away, and every character is one column wide.
pub(crate) fn ascii_cut(text: &str, most: usize) -> String {
    let mut ascii = String::new();
    for c in text.chars() {
        if c == ' ' || c.is_ascii_graphic() {
            ascii.push(c);
        } else {
            ascii.extend(c.escape_unicode());
        }
    }
    if ascii.len() > most {
        ascii.truncate(most.saturating_sub(4));
        ascii.push_str("[..]");
    }
    ascii
}

/// Cuts `text` to at most `most` bytes, at the end of a character.
pub(crate) fn cut_bytes(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// A JSON text in which even characters that JSON allows, but a terminal may
/// obey, are written as `\u` escapes. The parsed value stays the same.
#[must_use]
pub fn clean_json(json: &str) -> String {
    if is_plain(json) {
        return json.to_owned();
    }
    json.chars().fold(String::new(), |mut clean, c| {
        // In JSON such a character can only stand inside a string.
        if c.is_ascii_graphic() || c == ' ' || c.escape_debug().len() == 1 {
            clean.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // Writing to a String cannot fail.
                let _ = write!(clean, "\\u{unit:04x}");
            }
        }
        clean
    })
}

#[cfg(test)]
mod tests {
    use super::{ascii_cut, clean, clean_cut, clean_json};

    #[test]
    fn what_a_terminal_would_obey_is_shown_as_its_code_point() {
        assert_eq!(clean("a\nb"), "a\\nb");
        assert_eq!(clean("\u{1b}[31mred"), "\\u{1b}[31mred");
        assert_eq!(clean("\u{9b}31m"), "\\u{9b}31m");
        assert_eq!(clean("abc\u{202e}txt"), "abc\\u{202e}txt");
        assert_eq!(clean("zero\u{200b}width"), "zero\\u{200b}width");
    }

    #[test]
    fn ordinary_text_stays_as_it_is() {
        let text = r#"Mary's "repo\x" — Müller 日本"#;
        assert_eq!(clean(text), text);
    }

    #[test]
    fn a_cut_text_has_the_length_asked_for() {
        assert_eq!(clean_cut("abcdef", 6), "abcdef");
        assert_eq!(clean_cut("abcdefg", 6), "abcde…");
        assert_eq!(ascii_cut("abcdef", 6), "abcdef");
        assert_eq!(ascii_cut("abcdefg", 6), "ab[..]");
    }

    #[test]
    fn a_look_alike_gives_itself_away_in_ascii() {
        assert_eq!(
            ascii_cut("\u{430}dmin\u{202e}", 80),
            "\\u{430}dmin\\u{202e}"
        );
    }

    #[test]
    fn clean_json_parses_to_the_same_value() {
        let value = serde_json::json!({"a": "\u{9b}31m \u{202e} é \u{e0001}\u{7f}\n"});
        let clean = clean_json(&value.to_string());
        assert!(!clean.contains(['\u{9b}', '\u{202e}', '\u{7f}', '\u{e0001}']));
        assert!(clean.contains('é'));
        let parsed: serde_json::Value = serde_json::from_str(&clean).unwrap();
        assert_eq!(parsed, value);
    }
}
