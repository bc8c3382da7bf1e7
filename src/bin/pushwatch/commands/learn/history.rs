//! What history shows of uploaders.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use pushwatch::clock::SystemClock;
use pushwatch::event::Push;
use pushwatch::identity::Uploader;
use pushwatch::notify::NullNotifier;
use pushwatch::policy::Policy;
use pushwatch::record::Record;
use pushwatch::store::MemoryStore;
use pushwatch::watch::Watch;
use serde::{Deserialize, Serialize};

/// All pushes of the past, by uploader.
#[derive(Debug)]
pub struct History {
    watch: Watch<MemoryStore, NullNotifier, SystemClock>,
    more: BTreeMap<String, HistoryDetails>,
}

/// Whether it is the root user itself.
pub fn is_root(record: &Record) -> bool {
    record.kind.as_deref() == Some("Root")
}

/// What no record keeps.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HistoryDetails {
    pub repositories: BTreeSet<String>,
    pub failed_pushes: u64,
    pub counts_as_root: bool,
}

impl History {
    /// Goes on from what was seen before.
    pub fn of(records: Vec<Record>, more: BTreeMap<String, HistoryDetails>) -> Self {
        Self {
            // Every uploader is learned, by the rules of the function.
            watch: Watch::in_memory(
                MemoryStore::with_records(records),
                Policy {
                    learning_until: Some(Timestamp::MAX),
                    absence_days: 0,
                    ..Policy::default()
                },
            ),
            more,
        }
    }

    /// Takes a push in.
    pub async fn push(&mut self, push: &Push, uploader: &Uploader) {
        // The store in memory can't fail.
        let _ = self.watch.push(push, uploader, Timestamp::MAX).await;
        if uploader.is_unidentified() {
            return;
        }
        let more = self.more.entry(uploader.key.to_string()).or_default();
        more.counts_as_root |= uploader.counts_as_root;
        if push.failed() {
            more.failed_pushes += 1;
        } else if let Some(repository) = &push.repository {
            more.repositories.insert(repository.to_string());
        }
    }

    /// The records of all uploaders.
    pub fn records(&self) -> Vec<Record> {
        self.watch.store.records()
    }

    /// What no record keeps, by key.
    pub fn more(&self) -> &BTreeMap<String, HistoryDetails> {
        &self.more
    }

    /// Whether somebody can be learned: not without a push that succeeded, and not with
    /// the root user's power.
    pub fn is_learnable(&self, record: &Record) -> bool {
        let more = self.more.get(record.uploader.as_str());
        let counts_as_root = is_root(record) || more.is_some_and(|more| more.counts_as_root);
        !counts_as_root && record.first_seen.is_some()
    }
}
