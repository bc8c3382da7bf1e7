//! Records that other people published, read in place from `../shared/data`.
//! Where that folder is absent `make unit` leaves these tests out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use pushwatch::event::{self, Event};
use pushwatch::identity::IdentityRule;
use serde_json::Value;

use crate::support::events::{now, read, record};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data")
}

/// Every JSON value of every file, JSON Lines included.
fn values() -> Vec<(PathBuf, Value)> {
    let mut values = Vec::new();
    let mut folders = vec![data()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|end| end == "json" || end == "jsonl")
            {
                let text = fs::read_to_string(&path).unwrap();
                for value in serde_json::Deserializer::from_str(&text).into_iter() {
                    values.push((path.clone(), value.unwrap()));
                }
            }
        }
    }
    values.sort_by(|(a, _), (b, _)| a.cmp(b));
    values
}

/// Every `userIdentity`, however deep.
fn identities<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| identities(value, found)),
        Value::Object(fields) => {
            for (name, value) in fields {
                if name == "userIdentity" {
                    found.push(value);
                } else {
                    identities(value, found);
                }
            }
        }
        _ => {}
    }
}

#[test]
#[ignore = "needs ../shared/data"]
fn every_identity_gives_an_uploader() {
    let values = values();
    let mut found = Vec::new();
    for (path, value) in &values {
        if path.ends_with("useridentity_shapes.json") {
            found.extend(value.as_object().unwrap().values());
        } else {
            identities(value, &mut found);
        }
    }
    let mut counts = BTreeMap::new();
    for identity in &found {
        let (_, identified) = read(&record("e1", "2026-01-02T03:04:05Z", identity));
        let uploader = identified.uploader;
        assert!(
            !uploader.key.is_empty() && !uploader.name.is_empty(),
            "{identity}"
        );
        assert!(
            !uploader.key.contains("::assumed-role") || identified.rule == IdentityRule::SsoUser
        );
        *counts
            .entry(format!(
                "{:02} {:?} as {}",
                identified.rule.number(),
                identified.rule,
                uploader.kind
            ))
            .or_insert(0) += 1;
    }
    insta::assert_debug_snapshot!((found.len(), counts));
}

fn file(name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(data().join(name)).unwrap()).unwrap()
}

#[test]
#[ignore = "needs ../shared/data"]
fn splunks_push_is_read_whole() {
    let (push, identified) = read(&file("splunk-security_content/putimage_example_log.json"));
    insta::assert_json_snapshot!("splunks_push", (push, identified.uploader));
}

#[test]
#[ignore = "needs ../shared/data"]
fn the_aws_example_is_read_whole() {
    let name = "awsdocs-amazon-ecr-user-guide/logging-using-cloudtrail.03.PutImage.json";
    let (push, identified) = read(&file(name));
    insta::assert_json_snapshot!("the_aws_example", (push, identified.uploader));
}

#[test]
#[ignore = "needs ../shared/data"]
fn other_events_of_ecr_are_ignored() {
    let mut ignored = 0;
    for (path, value) in values() {
        if value
            .get("detail-type")
            .is_some_and(|detail_type| detail_type != "AWS API Call via CloudTrail")
        {
            let read = event::read(&value.to_string(), now());
            assert!(
                matches!(read, Ok(Event::Ignored(_))),
                "{}: {read:?}",
                path.display()
            );
            ignored += 1;
        }
    }
    assert!(ignored >= 8, "{ignored}");
}
