//! Lists of uploaders as CSV with a header.

use std::io::{self, BufRead};

use csv::{ReaderBuilder, StringRecord, Trim};
use jiff::Timestamp;
use pushwatch::record::{Record, Standing};
use pushwatch::render::{safe, safe_words};

use super::columns::check_one_column;
use super::key;
use super::line::{List, ListLine};
use crate::ui::counted;
use crate::when::parse_until;

/// What the column of the key may be called.
const KEY_COLUMNS: [&str; 3] = ["uploader", "key", "arn"];
const STANDING_COLUMNS: [&str; 1] = ["standing"];
const REASON_COLUMNS: [&str; 2] = ["reason", "trustReason"];
const UNTIL_COLUMNS: [&str; 2] = ["until", "trustedUntil"];
/// Whether a list that begins with this line is CSV: one of its columns is the
/// key's.
pub fn is_header(line: &str) -> bool {
    has_key_column(line, ',')
}

fn has_key_column(line: &str, separator: char) -> bool {
    let mut columns = line.split(separator);
    columns.any(|column| is_one_of(&KEY_COLUMNS, column.trim().trim_matches('"')))
}

fn is_one_of(names: &[&str], name: &str) -> bool {
    names.iter().any(|wanted| name.eq_ignore_ascii_case(wanted))
}

/// Reads CSV, a line at a time; or says which line of it is no header, and why.
///
/// # Errors
/// When the header can't be read.
pub fn read(reader: impl BufRead + 'static) -> io::Result<Result<List, (u64, String)>> {
    let mut csv = ReaderBuilder::new()
        .trim(Trim::All)
        .flexible(true)
        .comment(Some(b'#'))
        .from_reader(reader);
    let header = csv.headers()?;
    let (columns, passed_over) = match Columns::of(header) {
        Ok(columns) => columns,
        Err(fault) => {
            let line = header.position().map_or(1, csv::Position::line);
            return Ok(Err((line, fault)));
        }
    };
    let now = Timestamp::now();
    let lines = csv.into_records().map(move |record| match record {
        Ok(record) => {
            let number = record.position().map_or(0, csv::Position::line);
            (number, columns.read(&record, now))
        }
        Err(error) => {
            let number = error.position().map_or(0, csv::Position::line);
            (number, Err(safe_words(&error.to_string(), 200)))
        }
    });
    Ok(Ok(List {
        passed_over,
        lines: Box::new(lines),
    }))
}

/// The column that a name seems to mean, and misspells. A column that is passed over
/// by mistake would trust for ever.
fn misspelt(name: &str) -> Option<&'static str> {
    let letters = |name: &str| -> String {
        let letters = name.chars().filter(|c| c.is_alphanumeric());
        letters.flat_map(char::to_lowercase).collect()
    };
    let name = letters(name);
    let means = |column: &str| {
        let column = letters(column);
        name.contains(&column)
            || (name.len() > 2 && column.starts_with(&name))
            || strsim::osa_distance(&name, &column) < 2
    };
    let columns = [
        &STANDING_COLUMNS[..],
        &REASON_COLUMNS[..],
        &UNTIL_COLUMNS[..],
    ];
    columns.concat().into_iter().find(|column| means(column))
}

/// The numbers of the columns that say something.
#[derive(Default)]
struct Columns {
    width: usize,
    key: Option<usize>,
    standing: Option<usize>,
    reason: Option<usize>,
    until: Option<usize>,
}

impl Columns {
    /// The places of the columns, and the names of those that say nothing here.
    fn of(header: &StringRecord) -> Result<(Self, Vec<String>), String> {
        let mut columns = Self {
            width: header.len(),
            ..Self::default()
        };
        let mut passed_over = Vec::new();
        for (number, name) in header.iter().enumerate() {
            let name = name.trim_start_matches('\u{feff}').trim_matches('"');
            let shown = match name {
                "" => format!("column {}", number + 1),
                name => format!("`{}`", safe(name, 40)),
            };
            let column = if is_one_of(&KEY_COLUMNS, name) {
                &mut columns.key
            } else if is_one_of(&STANDING_COLUMNS, name) {
                &mut columns.standing
            } else if is_one_of(&REASON_COLUMNS, name) {
                &mut columns.reason
            } else if is_one_of(&UNTIL_COLUMNS, name) {
                &mut columns.until
            } else if let Some(meant) = misspelt(name) {
                return Err(format!(
                    "{shown} is none of the columns; if it is to be `{meant}`, call it so, or \
                     else something quite different"
                ));
            } else {
                passed_over.push(shown);
                continue;
            };
            if column.replace(number).is_some() {
                return Err(format!("{shown} is the second column of that meaning"));
            }
        }
        Ok((columns, passed_over))
    }

    fn read(&self, line: &StringRecord, now: Timestamp) -> Result<ListLine, String> {
        if line.len() != self.width {
            return Err(format!(
                "it has {} where the header has {}",
                counted(line.len(), "column"),
                self.width
            ));
        }
        let field = |column: Option<usize>| {
            let field = column.and_then(|column| line.get(column));
            field.filter(|field| !field.is_empty())
        };
        let key = field(self.key).unwrap_or_default();
        if key.contains([';', '\t']) {
            check_one_column(key)?;
        }
        let key = key::parse(key)?;
        let standing = match field(self.standing).map(str::to_lowercase).as_deref() {
            None | Some("trusted") => Standing::Trusted,
            Some("revoked") => Standing::Revoked,
            Some("learned") => Standing::Learned,
            Some(other) => {
                return Err(format!(
                    "the standing `{}` can't be given; it is trusted, learned or revoked",
                    safe(other, 40)
                ));
            }
        };
        let until = field(self.until)
            .map(|text| {
                parse_until(text, now)
                    .ok_or_else(|| format!("`{}` is no time such as 2026-12-31", safe(text, 40)))
            })
            .transpose()?;
        if until.is_some() && standing != Standing::Trusted {
            return Err("`until` is for those who are trusted".to_owned());
        }
        let reason = field(self.reason);
        let mut record: Record = key.unseen(standing.clone());
        match standing {
            Standing::Trusted => {
                record.trust_reason = reason.map(Into::into);
                record.trusted_until = until;
            }
            Standing::Revoked => record.revoke_reason = reason.map(Into::into),
            _ => {}
        }
        Ok(ListLine::new(record, key.note))
    }
}

#[cfg(test)]
mod tests {
    use super::misspelt;

    #[test]
    fn a_column_that_seems_to_mean_one_of_ours_is_known() {
        for (name, meant) in [
            ("unti", Some("until")),
            ("Untill", Some("until")),
            ("utnil", Some("until")),
            ("until date", Some("until")),
            ("trusted_until", Some("until")),
            ("resaon", Some("reason")),
            ("Reasons", Some("reason")),
            ("stand", Some("standing")),
            ("stading", Some("standing")),
            ("Name", None),
            ("Unit", None),
            ("Region", None),
            ("team", None),
            ("ticket", None),
            ("", None),
        ] {
            assert_eq!(misspelt(name), meant, "{name}");
        }
    }
}
