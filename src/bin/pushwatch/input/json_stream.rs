//! Splits what people keep CloudTrail events in into single JSON values.
//!
//! Accepted, and mixed freely: single objects, `{"Records":[…]}`, arrays, JSON
//! Lines, pretty-printed or not. Only one value is held at a time, so the size
//! of a file does not matter.

use std::io::{self, Read};

use memchr::{memchr, memchr_iter};
use serde_json::Deserializer;
use serde_json::value::RawValue;

/// How much is read at a time.
const CHUNK: usize = 64 * 1024;
/// The longest value that is read. A record has no more than 256 KB; of a few MB, `gzip` makes
/// values that no memory holds.
const MAX_VALUE: usize = 64 * 1024 * 1024;
const CUT_OFF: &str = "the text ends in the middle of this value";
/// How far a broken element of an array is searched for its end.
const BROKEN_ELEMENT: usize = 16 * 1024 * 1024;
/// How much may be looked at in vain before a text is given up, beside [`IN_VAIN_AGAIN`].
const IN_VAIN: u64 = 16 * 1024 * 1024;
/// How often all that was passed may be looked at in vain: a text whose every value is broken
/// is looked at twice.
const IN_VAIN_AGAIN: u64 = 4;
/// How far `"Records"` and its bracket may be from the brace before them.
const LOOK_AHEAD: usize = 4 * 1024;

/// Where a value begins, in the uncompressed text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// From 1.
    pub line: u64,
    /// From 0.
    pub byte: u64,
}

/// A fault and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where it is.
    pub position: Position,
    /// What is wrong, in one line.
    pub what: String,
}

/// A stream of JSON values.
pub struct JsonStream<R> {
    reader: R,
    /// A window on the text; `at` is where the next value is looked for.
    window: Vec<u8>,
    at: usize,
    /// Where `at` is in the whole text.
    position: Position,
    ended: bool,
    /// Why reading stopped before the end.
    broken: Option<io::Error>,
    /// The arrays around the next value.
    open: Vec<Open>,
    values: u64,
    /// An array was given up: its commas and brackets may still come.
    given_up: bool,
    /// How much was looked at for the ends of broken values, in bytes. Without a limit each line
    /// of a text could be looked at to the text's end.
    in_vain: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    /// `[`
    Array,
    /// `{"Records":[`
    Records,
    /// What follows the bracket that closes `Records`.
    AfterRecords,
}

impl<R: Read> JsonStream<R> {
    /// Splits `head`, which was read already, and what `reader` has after it.
    pub fn new(head: &[u8], reader: R) -> Self {
        Self {
            reader,
            window: head.to_vec(),
            at: 0,
            position: Position { line: 1, byte: 0 },
            ended: false,
            broken: None,
            open: Vec::new(),
            values: 0,
            given_up: false,
            in_vain: 0,
        }
    }

    /// Hands over each value in its order, or what is wrong with it. After a
    /// fault it goes on at the next line that begins with a value.
    pub fn for_each(mut self, mut each: impl FnMut(Position, Result<&str, String>)) {
        // A byte order mark, which some editors write.
        self.available(3);
        if self.window[self.at..].starts_with(b"\xef\xbb\xbf") {
            self.advance(3);
        }
        while let Some(byte) = self.next_byte() {
            match (byte, self.open.last().copied()) {
                (b']', Some(Open::Array)) | (b'}', Some(Open::AfterRecords)) => {
                    self.open.pop();
                    self.advance(1);
                }
                (b']', Some(Open::Records)) => {
                    self.open.pop();
                    self.open.push(Open::AfterRecords);
                    self.advance(1);
                }
                (_, Some(Open::AfterRecords)) => self.skip_field(&mut each),
                (b',' | b']' | b'}', None) if self.given_up => self.advance(1),
                (b'[', None) => {
                    self.open.push(Open::Array);
                    self.advance(1);
                    self.values += 1;
                }
                (b'{', None | Some(Open::Array)) if self.opens_records() => {
                    self.open.push(Open::Records);
                    self.values += 1;
                }
                _ => self.hand_over(&mut each),
            }
        }
        let what = match (&self.broken, self.open.is_empty(), self.values) {
            (Some(error), ..) => error.to_string(),
            (None, false, _) => "the text ends in the middle: an array is not closed".to_owned(),
            (None, true, 0) => "there is nothing in it".to_owned(),
            (None, true, _) => return,
        };
        each(self.position, Err(what));
    }

    fn hand_over(&mut self, each: &mut impl FnMut(Position, Result<&str, String>)) {
        self.values += 1;
        match self.value() {
            Ok(length) => {
                // RawValue has checked that it is UTF-8.
                let value = &self.window[self.at..self.at + length];
                let value = std::str::from_utf8(value).unwrap_or_default();
                each(self.position, Ok(value));
                self.advance(length);
            }
            Err(fault) => self.recover(fault, each),
        }
    }

    /// Passes over one more field of the object around `Records`.
    fn skip_field(&mut self, each: &mut impl FnMut(Position, Result<&str, String>)) {
        let field = self.value().and_then(|length| {
            let is_records = &self.window[self.at..self.at + length] == b"\"Records\"";
            self.advance(length);
            if self.next_byte() == Some(b':') {
                self.advance(1);
            }
            if is_records && self.next_byte() == Some(b'[') {
                self.open.pop();
                self.open.push(Open::Records);
                return Ok(1);
            }
            self.next_byte();
            self.value()
        });
        match field {
            Ok(length) => self.advance(length),
            Err(fault) => self.recover(fault, each),
        }
    }

    /// The length of the value at `at`, which is then whole in the window.
    fn value(&mut self) -> Result<usize, Fault> {
        loop {
            let rest = &self.window[self.at..];
            let mut values = Deserializer::from_slice(rest).into_iter::<&RawValue>();
            match values.next() {
                Some(Ok(_)) => {
                    let length = values.byte_offset();
                    // A number at the window's end may go on behind it.
                    if length <= MAX_VALUE && (length < rest.len() || !self.fill()) {
                        return Ok(length);
                    }
                    if length > MAX_VALUE {
                        return Err(self.too_long(length));
                    }
                }
                Some(Err(error)) if error.is_eof() && rest.len() > MAX_VALUE => {
                    return Err(self.too_long(rest.len()));
                }
                Some(Err(error)) if error.is_eof() => {
                    let length = rest.len();
                    if !self.fill() {
                        self.in_vain += length as u64;
                        let what = match self.broken.take() {
                            Some(error) => error.to_string(),
                            None => CUT_OFF.to_owned(),
                        };
                        let position = self.position;
                        return Err(Fault { position, what });
                    }
                }
                Some(Err(error)) => {
                    let fault = self.fault_at(&error);
                    self.in_vain += fault.position.byte - self.position.byte;
                    return Err(fault);
                }
                None => {
                    let what = "a value is missing".to_owned();
                    let position = self.position;
                    return Err(Fault { position, what });
                }
            }
        }
    }

    fn too_long(&mut self, length: usize) -> Fault {
        self.in_vain += length as u64;
        Fault {
            position: self.position,
            what: format!("a value of more than {} MB", MAX_VALUE >> 20),
        }
    }

    fn fault_at(&self, error: &serde_json::Error) -> Fault {
        let rest = &self.window[self.at..];
        let newlines_before = error.line().saturating_sub(1);
        let line_start = match newlines_before {
            0 => 0,
            n => memchr_iter(b'\n', rest).nth(n - 1).map_or(0, |at| at + 1),
        };
        let message = error.to_string();
        let what = message
            .rsplit_once(" at line ")
            .map_or(message.as_str(), |(what, _)| what);
        Fault {
            position: Position {
                line: self.position.line + newlines_before as u64,
                byte: self.position.byte + (line_start + error.column().saturating_sub(1)) as u64,
            },
            what: format!("not JSON: {what}"),
        }
    }

    /// Goes on behind the broken value, and reports the fault and from where it goes on.
    ///
    /// In an array that is behind its closing brace. Without one, or outside of
    /// arrays, it is the next line that begins with a value: lines of a
    /// pretty-printed value are indented, and so passed over.
    fn recover(&mut self, fault: Fault, each: &mut impl FnMut(Position, Result<&str, String>)) {
        let Fault { position, mut what } = fault;
        let is_element = matches!(self.open.last(), Some(Open::Array | Open::Records));
        let element = is_element.then(|| self.broken_element()).flatten();
        if let Some(length) = element {
            self.advance(length);
        } else if self.in_vain > IN_VAIN + IN_VAIN_AGAIN * self.position.byte {
            each(position, Err(what));
            let what = "too much of it is broken: what follows is not read";
            each(self.position, Err(what.to_owned()));
            self.open.clear();
            self.at = self.window.len();
            self.ended = true;
            return;
        } else {
            self.given_up |= !self.open.is_empty();
            self.open.clear();
            if !self.find_line() {
                if what != CUT_OFF {
                    what.push_str("; what follows it is not read");
                }
                each(position, Err(what));
                return;
            }
        }
        let Position { line, byte } = self.position;
        let what = format!("{what}; it is read on from line {line}, byte {byte}");
        each(position, Err(what));
    }

    /// Passes over everything up to the next line that begins with a value; false if there is
    /// none.
    fn find_line(&mut self) -> bool {
        loop {
            if let Some(newline) = memchr(b'\n', &self.window[self.at..]) {
                self.advance(newline + 1);
                self.available(1);
                if matches!(self.window.get(self.at), Some(b'{' | b'[')) {
                    return true;
                }
            } else {
                self.advance(self.window.len() - self.at);
                if !self.fill() {
                    return false;
                }
            }
        }
    }

    /// The length of the broken object at `at`, by its braces.
    fn broken_element(&mut self) -> Option<usize> {
        let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
        let mut length = 0;
        while length < BROKEN_ELEMENT {
            if self.window.len() - self.at == length && !self.fill() {
                break;
            }
            let byte = self.window[self.at + length];
            length += 1;
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b'{' if !quoted => depth += 1,
                b'}' if !quoted && depth == 1 => return Some(length),
                b'}' if !quoted && depth > 1 => depth -= 1,
                _ if depth == 0 => break,
                _ => {}
            }
        }
        self.in_vain += length as u64;
        None
    }

    /// Passes over `{"Records":[` if that is next.
    fn opens_records(&mut self) -> bool {
        self.available(LOOK_AHEAD);
        let mut rest = &self.window[self.at..];
        for token in [&b"{"[..], b"\"Records\"", b":", b"["] {
            rest = rest.trim_ascii_start();
            match rest.strip_prefix(token) {
                Some(after) => rest = after,
                None => return false,
            }
        }
        let length = self.window.len() - self.at - rest.len();
        self.advance(length);
        true
    }

    /// The first byte after white space, and commas if something is open;
    /// `at` then stands on it.
    fn next_byte(&mut self) -> Option<u8> {
        loop {
            let between =
                |byte: &u8| byte.is_ascii_whitespace() || (*byte == b',' && !self.open.is_empty());
            let rest = &self.window[self.at..];
            if let Some(skip) = rest.iter().position(|byte| !between(byte)) {
                self.advance(skip);
                return Some(self.window[self.at]);
            }
            self.advance(self.window.len() - self.at);
            if !self.fill() {
                return None;
            }
        }
    }

    /// Tries to have `length` bytes in the window.
    fn available(&mut self, length: usize) {
        while self.window.len() - self.at < length && self.fill() {}
    }

    fn advance(&mut self, length: usize) {
        let passed = &self.window[self.at..self.at + length];
        self.position.line += memchr_iter(b'\n', passed).count() as u64;
        self.position.byte += length as u64;
        self.at += length;
    }

    /// Reads more into the window; false at the end.
    fn fill(&mut self) -> bool {
        if self.ended {
            return false;
        }
        self.window.drain(..self.at);
        self.at = 0;
        // Doubling, in full, keeps a long value from being parsed again and again.
        let before = self.window.len();
        let mut filled = before;
        self.window.resize(before + before.max(CHUNK), 0);
        while filled < self.window.len() && !self.ended {
            match read_some(&mut self.reader, &mut self.window[filled..]) {
                Ok(0) => self.ended = true,
                Ok(length) => filled += length,
                Err(error) => {
                    self.broken = Some(error);
                    self.ended = true;
                }
            }
        }
        self.window.truncate(filled);
        filled > before
    }
}

/// Reads once, again if a signal came in between.
pub fn read_some(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{JsonStream, MAX_VALUE};
    use std::io::Read;

    /// Values as they are, faults as `line:byte what`.
    fn split(text: impl AsRef<[u8]>) -> Vec<String> {
        split_by(text.as_ref(), usize::MAX)
    }

    /// The same, from a reader that gives few bytes at a time.
    fn split_by(text: &[u8], step: usize) -> Vec<String> {
        struct Steps<'a>(&'a [u8], usize);
        impl Read for Steps<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                let length = buffer.len().min(self.1).min(self.0.len());
                let (now, later) = self.0.split_at(length);
                buffer[..length].copy_from_slice(now);
                self.0 = later;
                Ok(length)
            }
        }
        let mut seen = Vec::new();
        JsonStream::new(&[], Steps(text, step)).for_each(|position, value| {
            seen.push(match value {
                Ok(value) => value.to_owned(),
                Err(what) => format!("{}:{} {what}", position.line, position.byte),
            });
        });
        seen
    }

    #[test]
    fn every_way_of_keeping_events_gives_the_same_values() {
        let expected = [r#"{"a":1}"#, r#"{"b":[2]}"#];
        for text in [
            r#"{"a":1}{"b":[2]}"#,
            "{\"a\":1}\n{\"b\":[2]}\n",
            "\u{feff}{\"a\":1}\r\n\r\n{\"b\":[2]}",
            r#"[{"a":1},{"b":[2]}]"#,
            r#"{"Records":[{"a":1},{"b":[2]}]}"#,
            "{\n  \"Records\" : [\n    {\"a\":1},\n    {\"b\":[2]}\n  ]\n}\n",
            r#"{"Records":[{"a":1}]}{"Records":[],"x":{"y":[1]},"z":2}[{"b":[2]}]"#,
            r#"[{"Records":[{"a":1}],"more":"x"},{"b":[2]}]"#,
        ] {
            assert_eq!(split(text), expected, "{text}");
            for step in 1..8 {
                assert_eq!(split_by(text.as_bytes(), step), expected, "{step} {text}");
            }
        }
    }

    #[test]
    fn an_object_with_records_further_back_is_one_value() {
        let text = r#"{"x":1,"Records":[{}]}"#;
        assert_eq!(split(text), [text]);
    }

    #[test]
    fn a_fault_is_named_with_its_place_and_the_next_lines_count() {
        assert_eq!(split(""), ["1:0 there is nothing in it"]);
        assert_eq!(split(" \n "), ["2:3 there is nothing in it"]);
        assert_eq!(
            split("hello"),
            ["1:0 not JSON: expected value; what follows it is not read"]
        );
        assert_eq!(
            split("{\"a\":1}\n{\"b\":oops}\n{\"c\":3}\n"),
            [
                r#"{"a":1}"#,
                "2:13 not JSON: expected value; it is read on from line 3, byte 19",
                r#"{"c":3}"#
            ]
        );
        assert_eq!(
            split("{\"a\":1}\n{\"b\":[\n{\"c\":3}\n"),
            [
                r#"{"a":1}"#,
                "2:8 the text ends in the middle of this value; it is read on from line 3, byte 15",
                r#"{"c":3}"#
            ]
        );
    }

    #[test]
    fn a_broken_record_costs_only_itself() {
        for text in [
            r#"{"Records":[{"a":1},{"bad":},{"b":"}"},{"c":3}]}"#,
            r#"[{"a":1},{"bad":"\"}"oops},{"b":"}"},{"c":3}]"#,
            "[\n{\"a\":1},\n{\"bad\":},\n{\"b\":\"}\"},\n{\"c\":3}\n]\n",
            "[\n{\"a\":1},\n{\"bad\":[},\n{\"b\":\"}\"},\n{\"c\":3}\n]\n",
            "[\n  {\n    \"bad\": oops\n  },\n  {\"a\":1},{\"b\":\"}\"},\n  {\"c\":3}\n]\n",
        ] {
            let (faults, values): (Vec<_>, Vec<_>) = split(text)
                .into_iter()
                .partition(|value| value.contains("not JSON"));
            assert_eq!(
                values,
                [r#"{"a":1}"#, r#"{"b":"}"}"#, r#"{"c":3}"#],
                "{text}"
            );
            assert_eq!(faults.len(), 1, "{text} {faults:?}");
        }
    }

    #[test]
    fn what_a_broken_record_costs_beside_itself_is_said() {
        for (text, seen) in [
            // Its braces do not close: up to the next line.
            (
                "[\n{{\"bad\":\n,\n{\"b\":2}\n]\n",
                vec![
                    "2:3 not JSON: key must be a string; it is read on from line 4, byte 13",
                    r#"{"b":2}"#,
                ],
            ),
            // It takes the brace around all.
            (
                r#"{"Records":[{"a":1},{"bad":{"x":1},{"b":2},{"c":3}]}{"d":4}"#,
                vec![
                    r#"{"a":1}"#,
                    "1:35 not JSON: key must be a string; it is read on from line 1, byte 52",
                    r#"{"d":4}"#,
                    "1:59 the text ends in the middle: an array is not closed",
                ],
            ),
            // One brace too many, where all lines are indented.
            (
                "[\n  {{\"bad\":1},\n  {\"b\":2}\n]\n",
                vec!["2:5 not JSON: key must be a string; what follows it is not read"],
            ),
            // Several in a line, in no array.
            (
                "{\"a\":oops}{\"b\":2}\n{\"c\":3}\n",
                vec![
                    "1:5 not JSON: expected value; it is read on from line 2, byte 18",
                    r#"{"c":3}"#,
                ],
            ),
        ] {
            assert_eq!(split(text), seen, "{text}");
        }
    }

    #[test]
    fn a_value_that_is_too_long_ends_the_text_and_that_is_said() {
        let given_up = "2:8 too much of it is broken: what follows is not read";
        // It may be gigabytes, or end right behind the limit.
        for length in [MAX_VALUE - 1, 2 * MAX_VALUE] {
            let long = "x".repeat(length);
            let seen = split(format!("{{\"a\":1}}\n\"{long}\"\n{{\"b\":2}}\n"));
            assert_eq!(
                seen,
                [r#"{"a":1}"#, "2:8 a value of more than 64 MB", given_up]
            );
        }
        let longest = format!("\"{}\"", "x".repeat(MAX_VALUE - 2));
        assert_eq!(split(format!("{longest}\n7")), [&longest, "7"]);
    }

    #[test]
    fn a_second_list_of_records_counts_too() {
        let text = r#"{"Records":[{"a":1}],"x":2,"Records":[{"b":2}]}"#;
        assert_eq!(split(text), [r#"{"a":1}"#, r#"{"b":2}"#]);
    }

    #[test]
    fn a_text_that_is_broken_all_over_is_given_up_and_not_read_again_and_again() {
        for line in ["{\"a\":\n", "[{{\n", "[{\"a\":[\n"] {
            let text = format!("{{\"a\":1}}\n{}", line.repeat(1024 * 1024));
            let seen = split(&text);
            assert_eq!(seen[0], r#"{"a":1}"#);
            let given_up = "too much of it is broken: what follows is not read";
            assert!(seen.last().unwrap().ends_with(given_up), "{line}");
            assert!(seen.len() < 1000, "{line}: {}", seen.len());
        }
    }

    #[test]
    fn a_large_text_of_which_each_line_is_broken_is_read_to_its_end() {
        let line = format!("{{\"a\":\"{}\",\"b\":?}}\n", "x".repeat(10_000));
        let text = line.repeat(3_000) + "{\"c\":3}\n";
        let seen = split(text);
        assert_eq!(
            (seen.len(), seen.last().unwrap().as_str()),
            (3_001, "{\"c\":3}")
        );
    }

    #[test]
    fn what_comes_before_a_cut_counts() {
        assert_eq!(
            split(r#"{"Records":[{"a":1},{"b":"#),
            [
                r#"{"a":1}"#,
                "1:20 the text ends in the middle of this value"
            ]
        );
        assert_eq!(
            split(r#"{"Records":[{"a":1},"#),
            [
                r#"{"a":1}"#,
                "1:20 the text ends in the middle: an array is not closed"
            ]
        );
    }

    #[test]
    fn a_reader_that_breaks_is_a_fault_after_the_values_before() {
        struct Breaks(bool);
        impl Read for Breaks {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                if std::mem::replace(&mut self.0, true) {
                    return Err(std::io::Error::other("corrupt"));
                }
                buffer[..8].copy_from_slice(b"{\"a\":1}{");
                Ok(8)
            }
        }
        let mut seen = Vec::new();
        JsonStream::new(&[], Breaks(false)).for_each(|_, value| {
            seen.push(value.map(str::to_owned));
        });
        assert_eq!(
            seen,
            [
                Ok("{\"a\":1}".to_owned()),
                Err("corrupt; what follows it is not read".to_owned())
            ]
        );
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)
        ) {
            split(bytes);
        }

        #[test]
        fn arbitrary_json_text_never_panics(text in r#"[\[\]{},:"Records0-9 \n]{0,60}"#) {
            split(text);
        }
    }
}
