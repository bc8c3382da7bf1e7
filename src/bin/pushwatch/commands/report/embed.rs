//! The data in a page: inert JSON in a `template` element, for a later report to compare with.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use pushwatch::record::Record;
use pushwatch::text::clean_cut;
use sha2::{Digest as _, Sha256};

use super::data::{Report, VERSION};
use crate::error::CommandError;

/// Before the data, up to its hash. No text of an event can be this: `<` would be escaped.
const BEGIN: &str = "<template id=\"pushwatch-report\" data-sha256=\"";
const END: &str = "</template>";
/// A page is far smaller; a larger file is none.
const LARGEST: u64 = 16 * 1024 * 1024;
/// Hexadecimal digits of a key's hash that are kept.
pub const FINGERPRINT: usize = 15;

/// A fingerprint of the key, and a letter for the standing.
pub fn fingerprint(record: &Record) -> String {
    let mut print = hex(&Sha256::digest(record.uploader.as_bytes()));
    print.truncate(FINGERPRINT);
    let standing = record.standing.as_str();
    let letter = standing.bytes().next().filter(u8::is_ascii_lowercase);
    print.push(char::from(letter.unwrap_or(b'?')));
    print
}

/// The same of a key that is shown.
pub fn fingerprint_of(key: &str) -> String {
    let mut print = hex(&Sha256::digest(key.as_bytes()));
    print.truncate(FINGERPRINT);
    print
}

/// The element with the data.
pub fn element(report: &Report) -> String {
    let json = serde_json::to_string(report).unwrap_or_default();
    // Nothing in it begins a tag, an entity or a comment; for JSON it is the same.
    let json = json
        .replace('&', "\\u0026")
        .replace('<', "\\u003c")
        .replace('>', "\\u003e");
    let hash = hex(&Sha256::digest(json.as_bytes()));
    format!("{BEGIN}{hash}\">{json}{END}")
}

/// Reads the data of a page.
///
/// # Errors
/// When the file can't be read, is no page of ours, was altered, or is of a later version.
pub fn read(path: &Path) -> Result<Report, CommandError> {
    let fault = |what: &str| {
        let path = clean_cut(&path.to_string_lossy(), 200);
        CommandError::Usage(format!("--compare {path}: {what}"))
    };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST).read_to_end(&mut bytes))
        .map_err(|error: io::Error| fault(&error.to_string()))?;
    let text =
        String::from_utf8(bytes).map_err(|_| fault("it is no report of `pushwatch report`"))?;
    parse(&text).map_err(fault)
}

/// What every version of the data has.
#[derive(serde::Deserialize)]
struct Versioned {
    version: u32,
}

fn parse(page: &str) -> Result<Report, &'static str> {
    let (_, rest) = page
        .split_once(BEGIN)
        .ok_or("it is no report of `pushwatch report`")?;
    let (hash, rest) = rest
        .split_once("\">")
        .ok_or("it was altered; compare with the report as it was written")?;
    let (json, _) = rest
        .split_once(END)
        .ok_or("it was cut off; compare with the report as it was written")?;
    if hash != hex(&Sha256::digest(json.as_bytes())) {
        return Err("it was altered; compare with the report as it was written");
    }
    let foreign = "its data can't be read; compare with another report";
    let versioned: Versioned = serde_json::from_str(json).map_err(|_| foreign)?;
    if versioned.version > VERSION {
        return Err("a later version of pushwatch wrote it; update this one to compare with it");
    }
    serde_json::from_str(json).map_err(|_| foreign)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
