//! The uploaders file: what the uploaders table holds, as JSON Lines.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use pushwatch::record::{Record, Standing};
use pushwatch::text::{clean, clean_cut};
use tempfile::NamedTempFile;
use thiserror::Error;

/// What a key can begin with; `unidentified:` is nobody's.
const SCHEMES: [&str; 5] = [
    "arn:",
    "identitycenter:",
    "account:",
    "service:",
    "principal:",
];

/// Why an uploaders file can't be used.
#[derive(Debug, Error)]
pub enum UploadersFileError {
    #[error("{path}: {error}")]
    Unreadable { path: String, error: io::Error },
    /// All bad lines, so that they can be mended at once.
    #[error("{0}")]
    BadLines(String),
    #[error("{path} can't be written: {error}")]
    Unwritable { path: String, error: io::Error },
}

/// Reads an uploaders file. A line is a record as JSON, or a plain key from a
/// list that somebody already has, which is trusted. `#` begins a comment.
pub fn read(path: &Path) -> Result<Vec<Record>, UploadersFileError> {
    let shown = clean(&path.to_string_lossy());
    let text = fs::read_to_string(path).map_err(|error| UploadersFileError::Unreadable {
        path: shown.clone(),
        error,
    })?;
    let mut records: Vec<Record> = Vec::new();
    let mut faults = Vec::new();
    let mut first_lines = HashMap::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        let record = match parse_line(line) {
            Ok(Some(record)) => record,
            Ok(None) => continue,
            Err(fault) => {
                faults.push(format!("{shown}: line {number}: {fault}"));
                continue;
            }
        };
        match first_lines.entry(record.uploader.clone()) {
            Entry::Vacant(entry) => {
                entry.insert((number, records.len()));
                records.push(record);
            }
            // The same key twice in a plain list does no harm; but which of two
            // records would count, or would a key trust somebody revoked?
            Entry::Occupied(entry) => {
                let (first, index) = *entry.get();
                let both_plain = !line.starts_with('{') && records[index] == record;
                if !both_plain {
                    faults.push(format!(
                        "{shown}: line {number}: the uploader stands on line {first} already"
                    ));
                }
            }
        }
    }
    if faults.is_empty() {
        Ok(records)
    } else {
        Err(UploadersFileError::BadLines(faults.join("\n")))
    }
}

fn parse_line(line: &str) -> Result<Option<Record>, String> {
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    if line.starts_with('{') {
        let record: Record = serde_json::from_str(line).map_err(|error| {
            // The place within the line; the line itself is named already.
            let message = error.to_string();
            let (what, _) = message.rsplit_once(" at line ").unwrap_or((&message, ""));
            format!("column {}: {}", error.column(), clean_cut(what, 200))
        })?;
        check_key(&record.uploader)?;
        return Ok(Some(record));
    }
    let key = line.split_once(" #").map_or(line, |(key, _)| key).trim();
    if key.contains(char::is_whitespace) {
        return Err(no_key(key));
    }
    check_key(key)?;
    let mut record = Record::unseen(key.into(), Standing::Trusted);
    record.trusted_by = Some("import".into());
    Ok(Some(record))
}

fn check_key(key: &str) -> Result<(), String> {
    if SCHEMES.iter().any(|scheme| key.starts_with(scheme)) {
        Ok(())
    } else {
        Err(no_key(key))
    }
}

fn no_key(key: &str) -> String {
    format!(
        "`{}` is no uploader key, such as arn:aws:iam::111122223333:user/test",
        clean_cut(key, 80)
    )
}

/// A file to be written as a whole, or not at all.
#[derive(Debug)]
pub struct Save {
    path: PathBuf,
    file: NamedTempFile,
}

impl Save {
    /// Makes sure that the file can be written, before any work is done.
    pub fn prepare(path: &Path) -> Result<Self, UploadersFileError> {
        Self::beside(path).map_err(|error| unwritable(path, error))
    }

    fn beside(path: &Path) -> io::Result<Self> {
        // What a link points to is replaced, not the link.
        let (path, existing) = match path.canonicalize() {
            Ok(real) => (real.clone(), Some(real.metadata()?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (path.to_owned(), None),
            Err(error) => return Err(error),
        };
        if existing
            .as_ref()
            .is_some_and(|existing| !existing.is_file())
        {
            return Err(io::Error::other("it is no regular file"));
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // As any other new file: the umask applies.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let file = builder.tempfile_in(folder)?;
        if let Some(existing) = existing {
            file.as_file().set_permissions(existing.permissions())?;
        }
        Ok(Self { path, file })
    }

    /// Writes the records.
    pub fn write(self, records: &[Record]) -> Result<(), UploadersFileError> {
        let Self { path, file } = self;
        let write = || {
            let mut writer = BufWriter::new(&file);
            for record in records {
                serde_json::to_writer(&mut writer, record)?;
                writer.write_all(b"\n")?;
            }
            writer.flush()
        };
        write().map_err(|error| unwritable(&path, error))?;
        file.persist(&path)
            .map_err(|error| unwritable(&path, error.error))?;
        Ok(())
    }
}

fn unwritable(path: &Path, error: io::Error) -> UploadersFileError {
    UploadersFileError::Unwritable {
        path: clean(&path.to_string_lossy()),
        error,
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
            let record = parse_line(line).unwrap().unwrap();
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
    }

    #[test]
    fn a_word_for_a_standing_that_is_not_known_is_kept() {
        let line = "{\"uploader\":\"arn:aws:iam::1:user/a\",\"standing\":\"odd\"}";
        let record = parse_line(line).unwrap().unwrap();
        assert_eq!(record.standing, Standing::Unknown("odd".to_owned()));
    }
}
