//! The uploaders file: what the uploaders table holds, as JSON Lines.

use std::fmt::Write as _;
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
    let mut records = Vec::new();
    let mut faults = String::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    for (index, line) in text.lines().enumerate() {
        match parse_line(line.trim()) {
            Ok(record) => records.extend(record),
            Err(fault) => {
                let gap = if faults.is_empty() { "" } else { "\n" };
                // Writing to a String cannot fail.
                let _ = write!(faults, "{gap}{shown}: line {}: {fault}", index + 1);
            }
        }
    }
    if faults.is_empty() {
        Ok(records)
    } else {
        Err(UploadersFileError::BadLines(faults))
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
    check_key(key)?;
    let mut record = Record::unseen(key.into(), Standing::Trusted);
    record.trusted_by = Some("import".into());
    Ok(Some(record))
}

fn check_key(key: &str) -> Result<(), String> {
    if SCHEMES.iter().any(|scheme| key.starts_with(scheme)) && !key.contains(char::is_whitespace) {
        return Ok(());
    }
    Err(format!(
        "`{}` is no uploader key, such as arn:aws:iam::111122223333:user/test",
        clean_cut(key, 80)
    ))
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
        let file = if path.is_dir() {
            Err(io::Error::from(io::ErrorKind::IsADirectory))
        } else {
            builder.tempfile_in(folder)
        };
        Ok(Self {
            path: path.to_owned(),
            file: file.map_err(|error| unwritable(path, error))?,
        })
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
