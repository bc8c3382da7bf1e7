//! Lists of uploaders: the uploaders file, which holds what the uploaders table holds as
//! JSON Lines; and the lists that somebody already has, of plain keys or as CSV.

mod columns;
mod csv;
mod error;
mod key;
mod line;
mod save;

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;

use pushwatch::record::Record;
use pushwatch::text::clean;

pub use error::ListError;
pub use key::{Key, former_key, former_key_note, has_root_power, parse as parse_key};
pub use line::{LineNumbers, List, ListLine};
use line::{parse_line, without_comment};
pub use save::Save;

use crate::ui::{SHORT, rest, say};

/// How much of a list is searched for its first line that says something.
const HEAD: usize = 64 * 1024;

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
/// is trusted; `#` begins a comment. A list with a header is CSV. `shown` is what errors call it.
///
/// # Errors
/// When it can't be read, or is in none of these forms.
pub fn open(path: &Path, shown: &str) -> Result<List, ListError> {
    let unreadable = |error| ListError::Unreadable {
        path: shown.to_owned(),
        error,
    };
    let (form, reader) = open_as(path, shown)?;
    if form == Form::Csv {
        return match csv::read(reader).map_err(unreadable)? {
            Ok(list) => Ok(list),
            Err((line, fault)) => Err(ListError::Form {
                path: shown.to_owned(),
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
/// When it is, with what to do; when it can't be read. A missing file is fine.
pub fn check_can_be_rewritten(path: &Path) -> Result<(), ListError> {
    let shown = clean(&path.to_string_lossy());
    let form = match open_as(path, &shown) {
        Err(ListError::Unreadable { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(());
        }
        opened => match opened?.0 {
            Form::Records => return Ok(()),
            Form::Keys => "a list of plain keys",
            Form::Csv => "CSV",
        },
    };
    Err(ListError::OtherForm { path: shown, form })
}

/// Opens a file, and finds out its form from its first line.
fn open_as(path: &Path, shown: &str) -> Result<(Form, BufReader<File>), ListError> {
    let unreadable = |error| ListError::Unreadable {
        path: shown.to_owned(),
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
        Some((line, Err(fault))) => Err(ListError::Form {
            path: shown.to_owned(),
            line,
            fault,
        }),
    }
}

/// The form of a list that begins with this line.
fn form(line: &str) -> Result<Form, String> {
    if line.starts_with('{') {
        Ok(Form::Records)
    } else if csv::is_header(line) {
        Ok(Form::Csv)
    } else {
        columns::check_one_column(without_comment(line))?;
        Ok(Form::Keys)
    }
}

/// Reads all of a list, and says which of its columns are passed over.
///
/// # Errors
/// When it can't be read, or a line of it is bad; names the first bad lines.
pub fn read(path: &Path) -> Result<Vec<Record>, ListError> {
    let shown = clean(&path.to_string_lossy());
    let mut records = Vec::new();
    let (mut faults, mut bad) = (Vec::new(), 0);
    let mut numbers = LineNumbers::default();
    let list = open(path, &shown)?;
    say_passed_over(&shown, &list);
    for (number, line) in list.lines {
        let checked = line.and_then(|line| Ok((numbers.is_first(number, &line)?, line)));
        match checked {
            Ok((true, line)) => records.push(line.record),
            Ok((false, _)) => {}
            Err(fault) => {
                bad += 1;
                if bad <= SHORT {
                    faults.push(format!("{shown}: line {number}: {fault}"));
                }
            }
        }
    }
    if faults.is_empty() {
        return Ok(records);
    }
    faults.extend(rest(bad, "bad line").map(|more| format!("{shown}: {more}")));
    Err(ListError::BadLines(faults.join("\n")))
}

/// Says which columns of a list say nothing here: a misspelt one might.
pub fn say_passed_over(shown: &str, list: &List) {
    if !list.passed_over.is_empty() {
        let columns = list.passed_over.join(", ");
        say(&format!("{shown}: passed over: {columns}"));
    }
}
