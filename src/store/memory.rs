//! The embedded store: it forgets everything when the process ends.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use compact_str::CompactString;
use jiff::Timestamp;

use super::{
    Commit, Committed, LEASE, MINUTE, MOST_PER_MINUTE, Owed, OwedFinding, OwedPage, Store, Touched,
    first_lease, lease_is_over,
};
use crate::decide::{is_ordinary, remember_ordinary};
use crate::event::Push;
use crate::finding::{Finding, Severity};
use crate::identity::Uploader;
use crate::policy::Policy;
use crate::record::Record;
use crate::time::whole_seconds;

/// Findings in a page of what is owed.
pub(super) const PAGE: usize = 1000;

/// Uploaders and findings in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    tables: Mutex<Tables>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Tables {
    pub(super) uploaders: BTreeMap<CompactString, Box<Record>>,
    /// What is owed; none once the finding is settled.
    findings: BTreeMap<String, Option<OwedItem>>,
    /// When the latest tokens were taken.
    tokens: VecDeque<Timestamp>,
}

#[derive(Debug, Clone)]
struct OwedItem {
    owed: Owed,
    since: Timestamp,
    lease_until: Timestamp,
    lease_holder: Option<String>,
    severity: Severity,
    body: String,
}

impl MemoryStore {
    /// A store that remembers these uploaders. Of two records of one uploader
    /// the later stays.
    #[must_use]
    pub fn with_records(records: impl IntoIterator<Item = Record>) -> Self {
        let uploaders = records
            .into_iter()
            .map(|record| (record.uploader.clone(), Box::new(record)))
            .collect();
        Self {
            tables: Mutex::new(Tables {
                uploaders,
                ..Tables::default()
            }),
        }
    }

    /// All records, in the order of their keys.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let tables = self.lock();
        let records = tables.uploaders.values();
        records.map(|record| (**record).clone()).collect()
    }

    /// The ids of all findings, and to whom those that are owed are owed.
    #[must_use]
    pub fn findings(&self) -> Vec<(String, Option<Owed>)> {
        let tables = self.lock();
        let findings = tables.findings.iter();
        findings
            .map(|(id, item)| (id.clone(), item.as_ref().map(|item| item.owed)))
            .collect()
    }

    /// How many uploaders it remembers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().uploaders.len()
    }

    /// Whether it remembers nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Tables> {
        // No method panics halfway through a change.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for MemoryStore {
    fn clone(&self) -> Self {
        Self {
            tables: Mutex::new(self.lock().clone()),
        }
    }
}

impl Store for MemoryStore {
    type Error = Infallible;
    /// The last id of the page before.
    type Cursor = String;

    async fn touch(
        &self,
        push: &Push,
        uploader: &Uploader,
        policy: &Policy,
    ) -> Result<Touched, Infallible> {
        let mut tables = self.lock();
        Ok(match tables.uploaders.get_mut(&uploader.key) {
            Some(record) if is_ordinary(record, push, uploader, policy) => {
                remember_ordinary(record, push, uploader);
                Touched::Ordinary
            }
            record => Touched::Refused(record.cloned()),
        })
    }

    async fn find(&self, key: &str) -> Result<Option<Record>, Infallible> {
        let tables = self.lock();
        Ok(tables.uploaders.get(key).map(|record| (**record).clone()))
    }

    async fn commit(&self, commit: Commit<'_>) -> Result<Committed, Infallible> {
        let mut tables = self.lock();
        if commit
            .finding
            .is_some_and(|finding| tables.findings.contains_key(&finding.id.to_string()))
        {
            return Ok(Committed::AlreadyDecided);
        }
        if let Some(record) = commit.record {
            let stored = tables.uploaders.get(&record.uploader);
            if stored.map(|stored| stored.revision) != commit.read_revision {
                return Ok(Committed::Lost(stored.cloned()));
            }
            tables
                .uploaders
                .insert(record.uploader.clone(), Box::new(record.clone()));
        }
        if let Some(finding) = commit.finding {
            let item = OwedItem::new(finding, commit.now);
            tables.findings.insert(finding.id.to_string(), Some(item));
        }
        Ok(Committed::Applied)
    }

    async fn take_token(&self, per_minute: u8, now: Timestamp) -> Result<bool, Infallible> {
        let tokens = &mut self.lock().tokens;
        let (minute_ago, horizon) = (now - MINUTE, now + MINUTE);
        // The last `per_minute` are this minute's if the oldest of them is.
        let oldest = tokens.len().checked_sub(usize::from(per_minute));
        if let Some(taken) = oldest.and_then(|index| tokens.get(index))
            && *taken > minute_ago
            && *taken <= horizon
        {
            return Ok(false);
        }
        tokens.push_back(now);
        if tokens.len() > usize::from(MOST_PER_MINUTE) {
            tokens.pop_front();
        }
        Ok(true)
    }

    async fn settle(&self, finding_id: &str, _: &str, _: Timestamp) -> Result<(), Infallible> {
        if let Some(item) = self.lock().findings.get_mut(finding_id) {
            *item = None;
        }
        Ok(())
    }

    async fn owed(&self, from: Option<String>) -> Result<OwedPage<String>, Infallible> {
        let tables = self.lock();
        let after = from.map_or(Bound::Unbounded, Bound::Excluded);
        let mut owed = tables
            .findings
            .range((after, Bound::Unbounded))
            .filter_map(|(id, item)| {
                let item = item.as_ref()?;
                Some(OwedFinding {
                    id: id.clone(),
                    owed: item.owed,
                    since: Some(item.since),
                    severity: Some(item.severity),
                })
            });
        let page: Vec<_> = owed.by_ref().take(PAGE).collect();
        let next = owed.next().and(page.last()).map(|last| last.id.clone());
        Ok(OwedPage { owed: page, next })
    }

    async fn lease(
        &self,
        finding_id: &str,
        holder: &str,
        now: Timestamp,
    ) -> Result<Option<String>, Infallible> {
        let mut tables = self.lock();
        let Some(Some(item)) = tables.findings.get_mut(finding_id) else {
            return Ok(None);
        };
        if !lease_is_over(item.lease_until, now) && item.lease_holder.as_deref() != Some(holder) {
            return Ok(None);
        }
        item.lease_until = now + LEASE;
        item.lease_holder = Some(holder.to_owned());
        Ok(Some(item.body.clone()))
    }
}

impl OwedItem {
    fn new(finding: &Finding, now: Timestamp) -> Self {
        Self {
            owed: finding.reason.into(),
            since: whole_seconds(now),
            lease_until: first_lease(finding.reason.into(), now),
            lease_holder: None,
            severity: finding.severity,
            body: finding.to_json(),
        }
    }
}
