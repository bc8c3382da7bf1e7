//! No character that a terminal, a log or a mail program obeys instead of showing it.

/// Whether it is a control character, a mark of direction, or nothing is seen of it.
pub fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(
            u32::from(c),
            0xad | 0x34f | 0x61c | 0x115f | 0x1160 | 0x17b4 | 0x17b5
                | 0x180b..=0x180f
                | 0x200b..=0x200f
                | 0x2028..=0x202e
                | 0x2060..=0x206f
                | 0x2800
                | 0x3164 | 0xfe00..=0xfe0f | 0xfeff | 0xffa0
                | 0xfff0..=0xfffb
                | 0x1bca0..=0x1bca3
                | 0x1d173..=0x1d17a
                | 0xe0000..=0xe0fff
        )
}

/// One line of printable text.
#[track_caller]
pub fn assert_line(text: &str) {
    assert!(!text.contains(is_obeyed), "{text:?}");
}

/// Printable text; only ends of lines are between.
#[track_caller]
pub fn assert_lines(text: &str) {
    let obeyed = text.chars().find(|c| *c != '\n' && is_obeyed(*c));
    assert!(obeyed.is_none(), "{obeyed:?} in {text:?}");
}

/// The same in printable ASCII.
#[track_caller]
pub fn assert_ascii_lines(text: &str) {
    let odd = text
        .bytes()
        .find(|byte| !(byte.is_ascii_graphic() || b" \n".contains(byte)));
    assert!(odd.is_none(), "{odd:?} in {text:?}");
}

/// All texts of a JSON value, names of fields too, are printable.
#[track_caller]
pub fn assert_values(value: &serde_json::Value) {
    match value {
        serde_json::Value::String(text) => assert_lines(text),
        serde_json::Value::Array(values) => values.iter().for_each(assert_values),
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                assert_line(name);
                assert_values(value);
            }
        }
        _ => {}
    }
}
