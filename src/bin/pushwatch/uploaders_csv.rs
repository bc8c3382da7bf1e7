//! Lists of uploaders as CSV with a header.

use std::io::{self, BufRead};

use csv::{ReaderBuilder, StringRecord, Trim};
use jiff::Timestamp;
use pushwatch::record::{Record, Standing};
use pushwatch::text::clean_cut;

use crate::uploader_key as key;
use crate::uploaders::args::parse_until;
use crate::uploaders_file::{Lines, Listed};

/// What the column of the key may be called.
const KEY_COLUMNS: [&str; 3] = ["uploader", "key", "arn"];

/// Whether a list that begins with this line is CSV: one of its columns is the
/// key's.
pub fn is_header(line: &str) -> bool {
    line.split(',')
        .any(|column| is_key_column(column.trim().trim_matches('"')))
}

fn is_key_column(name: &str) -> bool {
    KEY_COLUMNS
        .iter()
        .any(|column| name.eq_ignore_ascii_case(column))
}

/// Reads CSV, a line at a time.
///
/// # Errors
/// When the header can't be read.
pub fn lines(reader: impl BufRead + 'static) -> io::Result<Lines> {
    let mut csv = ReaderBuilder::new()
        .trim(Trim::All)
        .flexible(true)
        .comment(Some(b'#'))
        .from_reader(reader);
    let header = csv.headers()?;
    let place = |wanted: &dyn Fn(&str) -> bool| {
        header
            .iter()
            .position(|name| wanted(name.trim_start_matches('\u{feff}').trim_matches('"')))
    };
    let column = |names: &'static [&str]| {
        place(&|name| names.iter().any(|wanted| name.eq_ignore_ascii_case(wanted)))
    };
    let columns = Columns {
        width: header.len(),
        key: place(&is_key_column).unwrap_or_default(),
        standing: column(&["standing"]),
        reason: column(&["reason", "trustReason"]),
        until: column(&["until", "trustedUntil"]),
    };
    let now = Timestamp::now();
    Ok(Box::new(csv.into_records().map(
        move |record| match record {
            Ok(record) => {
                let number = record.position().map_or(0, csv::Position::line);
                (number, columns.read(&record, now))
            }
            Err(error) => {
                let number = error.position().map_or(0, csv::Position::line);
                (number, Err(clean_cut(&error.to_string(), 200)))
            }
        },
    )))
}

/// Where in a line what stands.
struct Columns {
    width: usize,
    key: usize,
    standing: Option<usize>,
    reason: Option<usize>,
    until: Option<usize>,
}

impl Columns {
    fn read(&self, line: &StringRecord, now: Timestamp) -> Result<Listed, String> {
        if line.len() != self.width {
            return Err(format!(
                "it has {} columns where the header has {}",
                line.len(),
                self.width
            ));
        }
        let field = |column: Option<usize>| {
            let field = column.and_then(|column| line.get(column));
            field.filter(|field| !field.is_empty())
        };
        let key = key::parse(field(Some(self.key)).unwrap_or_default())?;
        let standing = match field(self.standing).map(str::to_lowercase).as_deref() {
            None | Some("trusted") => Standing::Trusted,
            Some("revoked") => Standing::Revoked,
            Some("learned") => Standing::Learned,
            Some(other) => {
                return Err(format!(
                    "the standing `{}` can't be given; it is trusted, learned or revoked",
                    clean_cut(other, 40)
                ));
            }
        };
        let until = field(self.until)
            .map(|text| {
                parse_until(text, now).ok_or_else(|| {
                    format!("`{}` is no time such as 2026-12-31", clean_cut(text, 40))
                })
            })
            .transpose()?;
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
        Ok(Listed::new(record, key.note))
    }
}
