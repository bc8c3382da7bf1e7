//! The bytes of a file that `pushwatch render` reads: a finding as a table has it, a list, what
//! SNS delivers of them, or an event. In every form, and read again as the same.

use std::path::Path;

use anstream::adapter::strip_str;
use pushwatch::finding::Finding;
use pushwatch::render::{Format, Message, RenderContext, render};
use serde_json::Value;

use crate::chosen;
use crate::command_line::{Ran, run};
use crate::events::render_context;
use crate::oracles::{forms, printed};
use crate::scratch::Scratch;

/// Each with the word for it.
const FORMATS: [(&str, Format); 8] = [
    ("text", Format::Text),
    ("json", Format::Json),
    ("email", Format::Email),
    ("ocsf", Format::Ocsf),
    ("amazon-q", Format::AmazonQ),
    ("pagerduty", Format::PagerDuty),
    ("sms", Format::Sms),
    ("asff", Format::Asff),
];
/// How many findings of a list are looked at alone.
const MOST: usize = 3;

pub fn check(input: &[u8]) {
    let scratch = Scratch::new();
    let ran = rendered(&scratch.file("finding.json", input), "json");
    if !ran.is_done {
        return;
    }
    let own: Value = serde_json::from_str(&ran.out).expect("JSON");
    let findings = findings(&own);
    let message = match own["kind"].as_str() {
        Some("rollup") => Message::Rollup(&findings),
        Some("digest") => Message::Digest(&findings),
        _ => Message::Finding(&findings[0]),
    };
    forms::assert_message(message);
    for finding in findings.iter().take(MOST) {
        forms::assert_told(finding);
    }

    // What was printed is read again, and printed as the library renders it.
    let (word, format) = *chosen(input, &FORMATS);
    let again = rendered(&scratch.file("own.json", ran.out.as_bytes()), word);
    let context = RenderContext {
        stack: None,
        account: None,
        ..render_context()
    };
    let expected = render(message, format, &context);
    // No styles, where no terminal is.
    let expected = strip_str(expected.trim_end()).to_string();
    assert_eq!(again.out.trim_end(), expected);
}

/// Those of a list, or the one.
fn findings(own: &Value) -> Vec<Finding> {
    let list = own.get("findings").and_then(Value::as_array);
    let list = list.map_or(std::slice::from_ref(own), Vec::as_slice);
    let findings = list.iter().cloned().map(serde_json::from_value);
    findings.collect::<Result<_, _>>().expect("findings")
}

/// What is printed of a file; the deployment is that of the other tests.
fn rendered(file: &Path, format: &str) -> Ran {
    let context = render_context();
    let table = context.findings_table.unwrap_or_default();
    let ran = run(&[
        "render".as_ref(),
        "--format".as_ref(),
        format.as_ref(),
        "--table".as_ref(),
        Path::new(&context.table),
        "--findings-table".as_ref(),
        Path::new(&table),
        "--region".as_ref(),
        Path::new(&context.region),
        file,
    ]);
    printed::assert_said(&ran);
    ran
}
