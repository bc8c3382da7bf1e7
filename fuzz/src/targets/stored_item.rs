//! An item of one of the tables, as DynamoDB's JSON has it: read as a record and as a
//! finding, used in a decision, and written back.

use std::sync::{Arc, LazyLock, Mutex};

use jiff::Timestamp;
use pushwatch::clock::SystemClock;
use pushwatch::finding::{Finding, Owed};
use pushwatch::notify::NullNotifier;
use pushwatch::policy::Policy;
use pushwatch::record::Record;
use pushwatch::store::{Commit, CommitAnswer, DynamoStore, Manage as _, Store as _};
use pushwatch::watch::Watch;
use serde_json::Value;

use crate::events::{now, push_by};
use crate::oracles::{characters, forms};
use crate::{block_on, played_aws};

/// The one item of the tables, as JSON.
static ITEM: LazyLock<Arc<Mutex<String>>> = LazyLock::new(Arc::default);

fn set(item: &str) {
    item.clone_into(&mut ITEM.lock().expect("no panic before"));
}

/// A store with that item in both tables.
fn store() -> DynamoStore {
    played_aws::store(|operation, request| {
        let mut item = ITEM.lock().expect("no panic before");
        match operation {
            "GetItem" => (200, format!("{{\"Item\":{item}}}")),
            "Scan" => (200, format!("{{\"Items\":[{item}],\"Count\":1}}")),
            "UpdateItem" => played_aws::refused(Some(&item)),
            "PutItem" => {
                let request: Value = serde_json::from_str(request).expect("JSON");
                *item = request["Item"].to_string();
                (200, "{}".to_owned())
            }
            _ => (200, "{}".to_owned()),
        }
    })
}

pub fn check(input: &[u8]) {
    let Ok(item) = std::str::from_utf8(input) else {
        return;
    };
    set(item);
    let store = store();
    block_on(async {
        findings(&store).await;
        let Some(record) = record(&store).await else {
            return;
        };
        decision(&record).await;
        written_back(&store, &record).await;
    });
}

/// The item as a record, if it is one; else a line says what is wrong.
async fn record(store: &DynamoStore) -> Option<Record> {
    let scanned = match store.records(None).await {
        Ok(page) => {
            page.damaged
                .iter()
                .for_each(|line| characters::assert_line(line));
            assert!(page.records.len() + page.damaged.len() <= 1);
            page.records.into_iter().next()
        }
        Err(error) => {
            characters::assert_line(&error.to_string());
            None
        }
    };
    match store.find("key").await {
        Ok(found) => {
            assert_eq!(found, scanned);
            found
        }
        Err(error) => {
            characters::assert_line(&error.to_string());
            assert_eq!(scanned, None);
            None
        }
    }
}

/// The item as a finding.
async fn findings(store: &DynamoStore) {
    if let Err(error) = store.owed(None).await {
        characters::assert_line(&error.to_string());
    }
    let page = store.findings(None).await;
    for line in page.iter().flat_map(|page| &page.damaged) {
        characters::assert_line(line);
    }
    match store.finding("id").await {
        Ok(Some(finding)) => {
            if let Ok(finding) = serde_json::from_str::<Finding>(&finding.body) {
                forms::assert_told(&finding);
            }
        }
        Ok(None) => {}
        Err(error) => characters::assert_line(&error.to_string()),
    }
}

/// A push of whom the item is the record.
async fn decision(record: &Record) {
    let watch = Watch {
        store: store(),
        notifier: NullNotifier,
        clock: SystemClock,
        policy: Policy::default(),
        findings_per_minute: None,
    };
    let (push, mut uploader) = push_by("test", "1", "2026-01-12T09:00:00Z");
    uploader.key = record.uploader.clone();
    match watch.push(&push, &uploader, Timestamp::MAX).await {
        Ok(handled) => {
            if let Some(finding) = handled.finding {
                forms::assert_told(&finding);
            }
        }
        Err(error) => characters::assert_line(&error.to_string()),
    }
}

/// What was read is written, and read as the same again.
async fn written_back(store: &DynamoStore, record: &Record) {
    let commit = Commit {
        read_revision: None,
        record: Some(record),
        finding: None,
        owed: Owed::Finding,
        now: now(),
    };
    match store.commit(commit).await {
        Ok(CommitAnswer::Applied) => {}
        other => panic!("not written: {other:?}"),
    }
    let again = store.find("key").await.expect("what was written");
    assert_eq!(again.as_ref(), Some(record));
}
