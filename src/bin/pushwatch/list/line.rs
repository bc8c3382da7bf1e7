//! A line of a list of uploaders: a record as JSON, or a plain key, which is trusted.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use compact_str::CompactString;
use pushwatch::record::{Record, Standing};
use pushwatch::render::{safe, safe_words};

use super::columns::check_one_column;
use super::key;

/// A line of a list of uploaders.
#[derive(Debug, PartialEq, Eq)]
pub struct ListLine {
    pub record: Record,
    /// How the line was read, if it is to be said.
    pub note: Option<String>,
    /// Whether it is a mere key, which may stand there twice.
    is_key: bool,
}

impl ListLine {
    /// What a line with more than a key says.
    pub fn new(record: Record, note: Option<String>) -> Self {
        Self {
            record,
            note,
            is_key: false,
        }
    }
}

/// The lines of a list that say something, with their numbers from 1.
pub type Lines = Box<dyn Iterator<Item = (u64, Result<ListLine, String>)>>;

/// A list of uploaders.
pub struct List {
    /// The columns of CSV that say nothing here.
    pub passed_over: Vec<String>,
    pub lines: Lines,
}

/// On which line each uploader of a list stands, to find those who stand there twice.
#[derive(Debug, Default)]
pub struct LineNumbers(HashMap<CompactString, (u64, bool)>);

impl LineNumbers {
    /// Whether this is the uploader's first line. The same plain key again does
    /// no harm; but which of two records would count, or would a key trust
    /// somebody revoked?
    ///
    /// # Errors
    /// When a record stands there twice.
    pub fn is_first(&mut self, number: u64, line: &ListLine) -> Result<bool, String> {
        match self.0.entry(line.record.uploader.clone()) {
            Entry::Vacant(entry) => {
                entry.insert((number, line.is_key));
                Ok(true)
            }
            Entry::Occupied(entry) => match entry.get() {
                (first, _) if *first == number => Ok(true),
                (_, true) if line.is_key => Ok(false),
                (first, _) => Err(format!("the uploader stands on line {first} already")),
            },
        }
    }
}

/// A plain key without the comment behind it.
pub fn without_comment(line: &str) -> &str {
    line.split_once(" #").map_or(line, |(key, _)| key)
}

/// Reads a line; none if it says nothing.
///
/// # Errors
/// When it is neither a record nor a key, with why.
pub fn parse_line(line: &str) -> Result<Option<ListLine>, String> {
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    if line.starts_with('{') {
        let mut record: Record = serde_json::from_str(line).map_err(|error| {
            // The column; the line is named already.
            let message = error.to_string();
            let (what, _) = message.rsplit_once(" at line ").unwrap_or((&message, ""));
            format!("column {}: {}", error.column(), safe_words(what, 200))
        })?;
        check_seen_key(&record.uploader)?;
        record.hold_to_limits();
        let note = key::former_key_note(&record.uploader);
        return Ok(Some(ListLine::new(record, note)));
    }
    let typed = without_comment(line);
    check_one_column(typed)?;
    let key = key::parse(typed)?;
    let mut record = key.unseen(Standing::Trusted);
    record.trusted_by = Some("import".into());
    Ok(Some(ListLine {
        record,
        note: key.note,
        is_key: true,
    }))
}

/// A record's key was a push's, so it is held to no more than its beginning and its length.
fn check_seen_key(key: &str) -> Result<(), String> {
    let schemes = [
        "arn:",
        "federated:",
        "identitycenter:",
        "account:",
        "service:",
        "principal:",
    ];
    key::check_length(key)?;
    if schemes.iter().any(|scheme| key.starts_with(scheme)) {
        Ok(())
    } else {
        Err(format!(
            "`{}` is no uploader key, such as arn:aws:iam::111122223333:user/test",
            safe(key, 80)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::parse_line;
    use pushwatch::record::Standing;

    #[test]
    fn a_plain_key_is_trusted_and_comments_are_passed_over() {
        for line in ["", "# a comment"] {
            assert_eq!(parse_line(line), Ok(None), "{line}");
        }
        for line in [
            "arn:aws:iam::111122223333:user/test",
            "arn:aws:iam::111122223333:user/test # the build user",
        ] {
            let record = parse_line(line).unwrap().unwrap().record;
            assert_eq!(record.uploader, "arn:aws:iam::111122223333:user/test");
            assert_eq!(record.standing, Standing::Trusted);
            assert_eq!(record.first_seen, None);
        }
    }

    #[test]
    fn a_bad_line_says_what_is_wrong_with_it() {
        for (line, fault) in [
            ("test", "`test` is no uploader key"),
            ("{\"uploader\":7}", "column 13: invalid type"),
            (
                "{\"uploader\":\"arn:aws:iam::1:user/a\"}",
                "missing field `standing`",
            ),
            (
                "{\"uploader\":\"arn:aws:iam::1:user/a\",\"standing\":\"new\",\"lastSeen\":\"now\"}",
                "`now` is no RFC 3339 time",
            ),
        ] {
            let error = parse_line(line).unwrap_err();
            assert!(error.contains(fault), "{line}: {error}");
        }
        let key = format!("arn:aws:iam::111122223333:user/{}", "x".repeat(1_000));
        let line = serde_json::json!({"uploader": key, "standing": "new"});
        let error = parse_line(&line.to_string()).unwrap_err();
        assert!(
            error.contains("is longer than any key (1024 bytes)"),
            "{error}"
        );
    }

    #[test]
    fn what_somebody_wrote_is_held_to_the_limits_of_an_event() {
        let long = "\"".repeat(2_000);
        let line = serde_json::json!({
            "uploader": "arn:aws:iam::111122223333:user/test", "standing": &long, "name": &long,
            "trustReason": &long, "revokedBy": &long, "lastPush": {"tag": &long},
            "pushes": u64::MAX, "revision": u64::MAX,
        });
        let record = parse_line(&line.to_string()).unwrap().unwrap().record;
        let cut = &long[..512];
        assert_eq!(record.standing.as_str(), cut);
        assert_eq!(record.name.as_deref(), Some(cut));
        assert_eq!(record.trust_reason.as_deref(), Some(cut));
        assert_eq!(record.revoked_by.as_deref(), Some(cut));
        assert_eq!(record.last_push.unwrap().tag.as_deref(), Some(cut));
        assert_eq!((record.pushes, record.revision), (1 << 53, 1 << 53));
    }

    #[test]
    fn a_word_for_a_standing_that_is_not_known_is_kept() {
        let line = "{\"uploader\":\"arn:aws:iam::1:user/a\",\"standing\":\"odd\"}";
        let record = parse_line(line).unwrap().unwrap().record;
        assert_eq!(record.standing, Standing::Unknown("odd".to_owned()));
    }
}
