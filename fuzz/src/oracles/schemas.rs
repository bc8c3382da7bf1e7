//! The schemas of the forms that others define.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

static AMAZON_Q: LazyLock<Validator> = LazyLock::new(|| of_ours("amazon-q.json"));
static ASFF: LazyLock<Validator> = LazyLock::new(|| of_ours("asff.json"));
static PAGERDUTY: LazyLock<Validator> = LazyLock::new(|| of_ours("pagerduty.json"));
/// That of other people is read in place, and may be missing.
static OCSF: LazyLock<Option<Validator>> = LazyLock::new(|| {
    let path = root().join("../shared/ocsf/detection_finding-1.6.0.schema.json");
    if !path.is_file() {
        eprintln!("Not checked, since ../shared lacks its schema: OCSF");
        return None;
    }
    Some(validator(&path))
});

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn of_ours(name: &str) -> Validator {
    validator(&root().join("tests/schemas").join(name))
}

fn validator(path: &Path) -> Validator {
    let text = fs::read_to_string(path).expect("a schema");
    let schema: Value = serde_json::from_str(&text).expect("JSON");
    jsonschema::validator_for(&schema).expect("a schema")
}

#[track_caller]
fn assert_valid(schema: &Validator, json: &str) -> Value {
    let value: Value = serde_json::from_str(json).expect("JSON");
    let faults: Vec<_> = schema
        .iter_errors(&value)
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}\n{json}");
    value
}

#[track_caller]
pub fn assert_amazon_q(json: &str) -> Value {
    assert_valid(&AMAZON_Q, json)
}

#[track_caller]
pub fn assert_asff(json: &str) -> Value {
    assert_valid(&ASFF, json)
}

#[track_caller]
pub fn assert_pagerduty(json: &str) -> Value {
    assert_valid(&PAGERDUTY, json)
}

#[track_caller]
pub fn assert_ocsf(json: &str) -> Value {
    match &*OCSF {
        Some(schema) => assert_valid(schema, json),
        None => serde_json::from_str(json).expect("JSON"),
    }
}
