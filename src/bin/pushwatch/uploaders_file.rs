//! The uploaders file: what the uploaders table holds, as JSON Lines; and lists
//! that somebody already has.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use compact_str::CompactString;
use pushwatch::record::{Record, Standing};
use pushwatch::text::{clean, clean_cut};
use tempfile::NamedTempFile;
use thiserror::Error;

use crate::words::{FEW, rest};
use crate::{say, uploader_key as key, uploaders_csv};

/// How much of a list is searched for its first line that says something.
const HEAD: usize = 64 * 1024;

/// Why an uploaders file can't be used.
#[derive(Debug, Error)]
pub enum UploadersFileError {
    #[error("{path}: {error}")]
    Unreadable { path: String, error: io::Error },
    /// The bad lines, so that they can be mended at once.
    #[error("{0}")]
    BadLines(String),
    #[error("{path}: line {line}: {fault}")]
    Form {
        path: String,
        line: u64,
        fault: String,
    },
    #[error(
        "{path} is {form}, which would be rewritten as JSON Lines; `pushwatch uploaders import \
         {path} --file NEW.jsonl` makes an uploaders file of it, `export` one of a deployment"
    )]
    OtherForm { path: String, form: &'static str },
    #[error("{path} can't be written: {error}")]
    Unwritable { path: String, error: io::Error },
}

/// A line of a list of uploaders.
#[derive(Debug, PartialEq, Eq)]
pub struct Listed {
    pub record: Record,
    /// How the line was read, if it is to be said.
    pub note: Option<String>,
    /// Whether it is a mere key, which may stand there twice.
    is_key: bool,
}

impl Listed {
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
pub type Lines = Box<dyn Iterator<Item = (u64, Result<Listed, String>)>>;

/// A list of uploaders.
pub struct List {
    /// The columns of CSV that say nothing here.
    pub passed_over: Vec<String>,
    pub lines: Lines,
}

/// What a list is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A record as JSON, or a plain key, a line.
    Records,
    Keys,
    /// Below a header.
    Csv,
}

/// Opens a list of uploaders. A line is a record as JSON, or a plain key, which
/// is trusted; `#` begins a comment. A list with a header is CSV.
///
/// # Errors
/// When it can't be read, or is in none of these forms.
pub fn open(path: &Path) -> Result<List, UploadersFileError> {
    let shown = || clean(&path.to_string_lossy());
    let unreadable = |error| UploadersFileError::Unreadable {
        path: shown(),
        error,
    };
    let (form, reader) = open_as(path)?;
    if form == Form::Csv {
        return match uploaders_csv::read(reader).map_err(unreadable)? {
            Ok(list) => Ok(list),
            Err((line, fault)) => Err(UploadersFileError::Form {
                path: shown(),
                line,
                fault,
            }),
        };
    }
    let lines = (1..).zip(reader.split(b'\n'));
    let lines = lines.filter_map(|(number, line)| {
        let line = line.map_err(|error| error.to_string());
        let read = line.and_then(|line| match std::str::from_utf8(&line) {
            Ok(line) => parse_line(line.trim_start_matches('\u{feff}').trim()),
            Err(_) => Err("it is not UTF-8".to_owned()),
        });
        Some((number, read.transpose()?))
    });
    Ok(List {
        passed_over: Vec::new(),
        lines: Box::new(lines),
    })
}

/// Refuses a file that is in another form than the one in which it would be
/// written back.
///
/// # Errors
/// When it is, with what to do; when it can't be read. None need be there.
pub fn check_can_be_rewritten(path: &Path) -> Result<(), UploadersFileError> {
    let form = match open_as(path) {
        Err(UploadersFileError::Unreadable { error, .. })
            if error.kind() == io::ErrorKind::NotFound =>
        {
            return Ok(());
        }
        opened => match opened?.0 {
            Form::Records => return Ok(()),
            Form::Keys => "a list of plain keys",
            Form::Csv => "CSV",
        },
    };
    Err(UploadersFileError::OtherForm {
        path: clean(&path.to_string_lossy()),
        form,
    })
}

/// Opens a file and looks at its first line, to tell its form.
fn open_as(path: &Path) -> Result<(Form, BufReader<File>), UploadersFileError> {
    let shown = || clean(&path.to_string_lossy());
    let unreadable = |error| UploadersFileError::Unreadable {
        path: shown(),
        error,
    };
    let file = File::open(path).map_err(unreadable)?;
    let mut reader = BufReader::with_capacity(HEAD, file);
    let head = reader.fill_buf().map_err(unreadable)?;
    let first = (1..)
        .zip(head.split(|byte| *byte == b'\n'))
        .find_map(|(number, line)| {
            let line = String::from_utf8_lossy(line);
            let line = line.trim_start_matches('\u{feff}').trim();
            let says_something = !line.is_empty() && !line.starts_with('#');
            says_something.then(|| (number, form(line)))
        });
    match first {
        None => Ok((Form::Records, reader)),
        Some((_, Ok(form))) => Ok((form, reader)),
        Some((line, Err(fault))) => Err(UploadersFileError::Form {
            path: shown(),
            line,
            fault,
        }),
    }
}

/// The form of a list that begins with this line.
fn form(line: &str) -> Result<Form, String> {
    if line.starts_with('{') {
        Ok(Form::Records)
    } else if uploaders_csv::is_header(line) {
        Ok(Form::Csv)
    } else {
        uploaders_csv::check_one_column(without_comment(line))?;
        Ok(Form::Keys)
    }
}

fn without_comment(line: &str) -> &str {
    line.split_once(" #").map_or(line, |(key, _)| key)
}

/// Keeps watch that nobody stands in a list twice.
#[derive(Debug, Default)]
pub struct FirstLines(HashMap<CompactString, (u64, bool)>);

impl FirstLines {
    /// Whether this is the uploader's first line. The same plain key again does
    /// no harm; but which of two records would count, or would a key trust
    /// somebody revoked?
    ///
    /// # Errors
    /// When a record stands there twice.
    pub fn is_first(&mut self, number: u64, listed: &Listed) -> Result<bool, String> {
        match self.0.entry(listed.record.uploader.clone()) {
            Entry::Vacant(entry) => {
                entry.insert((number, listed.is_key));
                Ok(true)
            }
            Entry::Occupied(entry) => match entry.get() {
                (first, _) if *first == number => Ok(true),
                (_, true) if listed.is_key => Ok(false),
                (first, _) => Err(format!("the uploader stands on line {first} already")),
            },
        }
    }
}

/// Reads all of a list, and says which of its columns are passed over.
pub fn read(path: &Path) -> Result<Vec<Record>, UploadersFileError> {
    let shown = clean(&path.to_string_lossy());
    let mut records = Vec::new();
    let mut faults = Vec::new();
    let mut first_lines = FirstLines::default();
    let list = open(path)?;
    say_passed_over(&shown, &list);
    for (number, listed) in list.lines {
        let checked =
            listed.and_then(|listed| Ok((first_lines.is_first(number, &listed)?, listed)));
        match checked {
            Ok((true, listed)) => records.push(listed.record),
            Ok((false, _)) => {}
            Err(fault) => faults.push(format!("{shown}: line {number}: {fault}")),
        }
    }
    if faults.is_empty() {
        return Ok(records);
    }
    let more = rest(faults.len(), "bad line").map(|more| format!("{shown}: {more}"));
    faults.truncate(FEW);
    faults.extend(more);
    Err(UploadersFileError::BadLines(faults.join("\n")))
}

/// Says which columns of a list say nothing here: a misspelt one might.
pub fn say_passed_over(shown: &str, list: &List) {
    if !list.passed_over.is_empty() {
        let columns = list.passed_over.join(", ");
        say(&format!("{shown}: passed over: {columns}"));
    }
}

fn parse_line(line: &str) -> Result<Option<Listed>, String> {
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
        check_seen_key(&record.uploader)?;
        let note = key::former_key_note(&record.uploader);
        return Ok(Some(Listed::new(record, note)));
    }
    let typed = without_comment(line);
    uploaders_csv::check_one_column(typed)?;
    let key = key::parse(typed)?;
    let mut record = key.unseen(Standing::Trusted);
    record.trusted_by = Some("import".into());
    Ok(Some(Listed {
        record,
        note: key.note,
        is_key: true,
    }))
}

/// A record's key was a push's, so it is held to no more than its beginning.
fn check_seen_key(key: &str) -> Result<(), String> {
    let schemes = [
        "arn:",
        "federated:",
        "identitycenter:",
        "account:",
        "service:",
        "principal:",
    ];
    if schemes.iter().any(|scheme| key.starts_with(scheme)) {
        Ok(())
    } else {
        Err(format!(
            "`{}` is no uploader key, such as arn:aws:iam::111122223333:user/test",
            clean_cut(key, 80)
        ))
    }
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

    /// Writes these records, and no more.
    pub fn write(mut self, records: &[Record]) -> Result<(), UploadersFileError> {
        self.append(records)?;
        self.finish()
    }

    /// Adds records. Nobody sees them before the end.
    pub fn append(&mut self, records: &[Record]) -> Result<(), UploadersFileError> {
        let write = || {
            let mut writer = BufWriter::new(&self.file);
            for record in records {
                serde_json::to_writer(&mut writer, record)?;
                writer.write_all(b"\n")?;
            }
            writer.flush()
        };
        write().map_err(|error| unwritable(&self.path, error))
    }

    /// Writes this text, and no more.
    pub fn text(mut self, text: &str) -> Result<(), UploadersFileError> {
        self.file
            .write_all(text.as_bytes())
            .map_err(|error| unwritable(&self.path, error))?;
        self.finish()
    }

    /// Puts the file in its place.
    pub fn finish(self) -> Result<(), UploadersFileError> {
        let Self { path, file } = self;
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
    }

    #[test]
    fn a_word_for_a_standing_that_is_not_known_is_kept() {
        let line = "{\"uploader\":\"arn:aws:iam::1:user/a\",\"standing\":\"odd\"}";
        let record = parse_line(line).unwrap().unwrap().record;
        assert_eq!(record.standing, Standing::Unknown("odd".to_owned()));
    }
}
