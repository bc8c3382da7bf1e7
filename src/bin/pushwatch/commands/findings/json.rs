//! A finding as JSON, as the table has it.

use std::io::{self, Write};

use pushwatch::store::StoredFinding;
use pushwatch::text::clean_json;
use serde::Serialize;
use serde_json::value::RawValue;

/// What the table has of a finding, with its body as JSON; none where that is none.
#[derive(Serialize)]
struct FindingJson<'a> {
    #[serde(flatten)]
    stored: &'a StoredFinding,
    body: Option<&'a RawValue>,
}

/// Writes a finding on a line.
///
/// # Errors
/// When it can't be written.
pub fn write_json(output: &mut impl Write, finding: &StoredFinding) -> io::Result<()> {
    let json = FindingJson {
        stored: finding,
        body: serde_json::from_str(&finding.body).ok(),
    };
    writeln!(output, "{}", clean_json(&serde_json::to_string(&json)?))
}
