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
            _ if is_blank_letter(c) => clean.extend(c.escape_unicode()),
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

/// Whether it is a letter or a sign by Unicode's categories that nothing is seen of: the
/// fillers of Hangul, and the blank of Braille.
fn is_blank_letter(c: char) -> bool {
    matches!(
        c,
        '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}'
    )
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

/// Cuts `text` to what takes at most `most` bytes of JSON, quotes around it not counted: a
/// character that [`clean_json`] escapes takes six or more of them.
pub(crate) fn cut_json(text: &str, most: usize) -> &str {
    if text.len() <= most / 6 {
        return text;
    }
    let mut length = 0;
    for (at, c) in text.char_indices() {
        length += match c {
            '"' | '\\' => 2,
            _ if is_shown(c) => c.len_utf8(),
            _ => 6 * c.len_utf16(),
        };
        if length > most {
            return &text[..at];
        }
    }
    text
}

/// Whether a terminal shows the character, and neither obeys it nor leaves it out.
fn is_shown(c: char) -> bool {
    let is_of_ascii = c.is_ascii_graphic() || c == ' ';
    is_of_ascii || (c.escape_debug().len() == 1 && !is_blank_letter(c))
}

/// A JSON text on one line, in which even characters that JSON allows, but a terminal may
/// obey, are written as `\u` escapes. The parsed value stays the same.
#[must_use]
pub fn clean_json(json: &str) -> String {
    if is_plain(json) {
        return json.to_owned();
    }
    json.chars().fold(String::new(), |mut clean, c| {
        if is_shown(c) {
            clean.push(c);
        } else if matches!(c, '\n' | '\r' | '\t') {
            // Between two tokens: within a string they are escaped.
            clean.push(' ');
        } else {
            // In JSON such a character can only stand inside a string.
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
    use super::{ascii_cut, clean, clean_cut, clean_json, cut_json};

    #[test]
    fn what_a_terminal_would_obey_is_shown_as_its_code_point() {
        assert_eq!(clean("a\nb"), "a\\nb");
        assert_eq!(clean("\u{1b}[31mred"), "\\u{1b}[31mred");
        assert_eq!(clean("\u{9b}31m"), "\\u{9b}31m");
        assert_eq!(clean("abc\u{202e}txt"), "abc\\u{202e}txt");
        assert_eq!(clean("zero\u{200b}width"), "zero\\u{200b}width");
        let blank = "\u{115f}\u{1160}\u{2800}\u{3164}\u{ffa0}";
        assert_eq!(clean(blank), blank.escape_unicode().to_string());
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
    fn a_text_is_cut_by_what_it_takes_of_json() {
        for c in [
            "a",
            "é",
            "日",
            "\"",
            "\\",
            "\u{7f}",
            "\u{202e}",
            "\u{e0001}",
        ] {
            let text = c.repeat(600);
            let cut = cut_json(&text, 600);
            let json = clean_json(&serde_json::json!(cut).to_string());
            let more = clean_json(&serde_json::json!(format!("{cut}{c}")).to_string());
            assert!(
                json.len() <= 602 && (more.len() > 602 || cut == text),
                "{json}"
            );
        }
    }

    #[test]
    fn a_look_alike_gives_itself_away_in_ascii() {
        assert_eq!(
            ascii_cut("\u{430}dmin\u{202e}", 80),
            "\\u{430}dmin\\u{202e}"
        );
    }

    #[test]
    fn clean_json_is_one_line_and_parses_to_the_same_value() {
        let value = serde_json::json!({"a": "\u{9b}31m \u{202e} é \u{e0001}\u{7f}\u{3164}\n"});
        let clean = clean_json(&value.to_string());
        assert!(!clean.contains(['\u{9b}', '\u{202e}', '\u{7f}', '\u{e0001}', '\u{3164}']));
        assert!(clean.contains('é'));
        let parsed: serde_json::Value = serde_json::from_str(&clean).unwrap();
        assert_eq!(parsed, value);
    }
}
