//! The embedded store: it forgets everything when the process ends.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use compact_str::{CompactString, format_compact};
use jiff::Timestamp;

use super::{
    Commit, CommitAnswer, LEASE, Lease, MINUTE, MOST_PER_MINUTE, OWED_PAGE, OwedFinding, OwedPage,
    SWEEP_LEASE, Store, TimesCommit, TouchAnswer, first_lease, lease_is_over, not_critical,
};
use crate::decide::{
    is_late, is_ordinary, may_move_times, move_times, remember_late, remember_ordinary,
};
use crate::event::Push;
use crate::finding::{Finding, Owed, Severity};
use crate::identity::Uploader;
use crate::policy::Policy;
use crate::record::Record;
use crate::time::whole_seconds;

/// Uploaders and findings in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    tables: Mutex<Tables>,
}

#[derive(Debug, Clone, Default, Hash)]
pub(super) struct Tables {
    pub(super) uploaders: BTreeMap<CompactString, Box<Record>>,
    /// What is owed; none once the finding is settled.
    findings: BTreeMap<String, Option<OwedItem>>,
    tokens: Tokens,
    /// The lease of the sweep that publishes: its end, and its holder.
    sweep: Option<(Timestamp, String)>,
}

/// When the latest tokens were taken.
#[derive(Debug, Clone, Default, Hash)]
struct Tokens {
    all: VecDeque<Timestamp>,
    /// Those for findings that are not critical.
    not_critical: VecDeque<Timestamp>,
}

#[derive(Clone, Hash)]
struct OwedItem {
    owed: Owed,
    since: Timestamp,
    lease_until: Timestamp,
    lease_holder: Option<String>,
    attempts: u64,
    severity: Severity,
    body: String,
}

/// Without the body, which holds texts of an event, and follows from the id.
impl fmt::Debug for OwedItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwedItem")
            .field("owed", &self.owed)
            .field("since", &self.since)
            .field("lease_until", &self.lease_until)
            .field("lease_holder", &self.lease_holder)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
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

    /// All findings: the id, and to whom the finding is owed, if it is.
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

/// Of all that it remembers; the model tells states apart by it.
impl Hash for MemoryStore {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.lock().hash(hasher);
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
    ) -> Result<TouchAnswer, Infallible> {
        let mut tables = self.lock();
        Ok(match tables.uploaders.get_mut(&uploader.key) {
            Some(record) if is_ordinary(record, push, uploader, policy) => {
                remember_ordinary(record, push, uploader, policy);
                TouchAnswer::Ordinary
            }
            record => TouchAnswer::Refused(record.cloned()),
        })
    }

    async fn touch_late(
        &self,
        push: &Push,
        uploader: &Uploader,
        policy: &Policy,
    ) -> Result<TouchAnswer, Infallible> {
        let mut tables = self.lock();
        Ok(match tables.uploaders.get_mut(&uploader.key) {
            Some(record) if is_late(record, push, uploader, policy) => {
                remember_late(record, uploader, policy);
                TouchAnswer::Ordinary
            }
            record => TouchAnswer::Refused(record.cloned()),
        })
    }

    async fn find(&self, key: &str) -> Result<Option<Record>, Infallible> {
        let tables = self.lock();
        Ok(tables.uploaders.get(key).map(|record| (**record).clone()))
    }

    async fn commit(&self, commit: Commit<'_>) -> Result<CommitAnswer, Infallible> {
        let mut tables = self.lock();
        if commit
            .finding
            .is_some_and(|finding| tables.findings.contains_key(&finding.id.to_string()))
        {
            return Ok(CommitAnswer::AlreadyDecided);
        }
        if let Some(record) = commit.record {
            let stored = tables.uploaders.get(&record.uploader);
            if stored.map(|stored| stored.revision) != commit.read_revision {
                return Ok(CommitAnswer::Lost(stored.cloned()));
            }
            tables
                .uploaders
                .insert(record.uploader.clone(), Box::new(record.clone()));
        }
        if let Some(finding) = commit.finding {
            let item = OwedItem::new(finding, commit.owed, commit.now);
            tables.findings.insert(finding.id.to_string(), Some(item));
        }
        Ok(CommitAnswer::Applied)
    }

    async fn commit_times(&self, commit: TimesCommit<'_>) -> Result<CommitAnswer, Infallible> {
        let TimesCommit {
            read,
            push,
            uploader,
            finding,
            now,
        } = commit;
        let mut tables = self.lock();
        if finding.is_some_and(|finding| tables.findings.contains_key(&finding.id.to_string())) {
            return Ok(CommitAnswer::AlreadyDecided);
        }
        let Some(record) = tables.uploaders.get_mut(&read.uploader) else {
            return Ok(CommitAnswer::Lost(None));
        };
        if !may_move_times(record, read, push, uploader) {
            return Ok(CommitAnswer::Lost(Some(record.clone())));
        }
        move_times(record, push, uploader);
        if let Some(finding) = finding {
            record.last_finding_id = Some(format_compact!("{}", finding.id));
            let item = OwedItem::new(finding, Owed::Finding, now);
            tables.findings.insert(finding.id.to_string(), Some(item));
        }
        Ok(CommitAnswer::Applied)
    }

    async fn take_token(
        &self,
        per_minute: u8,
        severity: Severity,
        now: Timestamp,
    ) -> Result<bool, Infallible> {
        let tokens = &mut self.lock().tokens;
        let is_critical = severity == Severity::Critical;
        let most_not_critical = not_critical(per_minute);
        if !has_token(&tokens.all, per_minute, now)
            || !(is_critical || has_token(&tokens.not_critical, most_not_critical, now))
        {
            return Ok(false);
        }
        take_token(&mut tokens.all, now);
        if !is_critical {
            take_token(&mut tokens.not_critical, now);
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
        let page: Vec<_> = owed.by_ref().take(OWED_PAGE).collect();
        let next = owed.next().and(page.last()).map(|last| last.id.clone());
        Ok(OwedPage { owed: page, next })
    }

    async fn lease(
        &self,
        finding_id: &str,
        holder: &str,
        now: Timestamp,
    ) -> Result<Option<Lease>, Infallible> {
        let mut tables = self.lock();
        let Some(Some(item)) = tables.findings.get_mut(finding_id) else {
            return Ok(None);
        };
        let is_own = item.lease_holder.as_deref() == Some(holder);
        if !lease_is_over(item.lease_until, LEASE, now) && !is_own {
            return Ok(None);
        }
        item.lease_until = now + LEASE;
        item.lease_holder = Some(holder.to_owned());
        item.attempts += 1;
        Ok(Some(Lease {
            body: item.body.clone(),
            attempts: item.attempts,
        }))
    }

    async fn lease_sweep(&self, holder: &str, now: Timestamp) -> Result<bool, Infallible> {
        let sweep = &mut self.lock().sweep;
        if let Some((until, other)) = sweep
            && other != holder
            && !lease_is_over(*until, SWEEP_LEASE, now)
        {
            return Ok(false);
        }
        *sweep = Some((now + SWEEP_LEASE, holder.to_owned()));
        Ok(true)
    }

    async fn end_sweep(&self, holder: &str) -> Result<(), Infallible> {
        let sweep = &mut self.lock().sweep;
        sweep.take_if(|(_, other)| other == holder);
        Ok(())
    }
}

/// Whether one of `most` tokens in any minute is left, by when the latest were taken.
fn has_token(taken: &VecDeque<Timestamp>, most: u8, now: Timestamp) -> bool {
    let oldest = taken.len().checked_sub(usize::from(most));
    oldest
        .and_then(|index| taken.get(index))
        .is_none_or(|taken| *taken <= now - MINUTE || *taken > now + MINUTE)
}

fn take_token(taken: &mut VecDeque<Timestamp>, now: Timestamp) {
    taken.push_back(now);
    if taken.len() > usize::from(MOST_PER_MINUTE) {
        taken.pop_front();
    }
}

impl OwedItem {
    fn new(finding: &Finding, owed: Owed, now: Timestamp) -> Self {
        Self {
            owed,
            since: whole_seconds(now),
            lease_until: first_lease(owed, now),
            lease_holder: None,
            attempts: 0,
            severity: finding.severity,
            body: finding.to_json(),
        }
    }
}

#[cfg(feature = "cli")]
impl super::Manage for MemoryStore {
    async fn records(
        &self,
        from: Option<String>,
    ) -> Result<super::RecordPage<String>, Self::Error> {
        let tables = self.lock();
        let after = from.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut records = tables
            .uploaders
            .range::<str, _>((after, Bound::Unbounded))
            .map(|(_, record)| (**record).clone());
        let page: Vec<_> = records.by_ref().take(OWED_PAGE).collect();
        let next = records.next().and(page.last());
        let next = next.map(|last| last.uploader.to_string());
        Ok(super::RecordPage {
            records: page,
            damaged: Vec::new(),
            next,
        })
    }

    async fn forget(&self, read: &Record) -> Result<super::ForgetAnswer, Self::Error> {
        let uploaders = &mut self.lock().uploaders;
        let stored = uploaders.get(&read.uploader);
        if stored.map(|stored| stored.revision) != Some(read.revision) {
            return Ok(super::ForgetAnswer::Changed);
        }
        uploaders.remove(&read.uploader);
        Ok(super::ForgetAnswer::Gone)
    }

    /// Of a finding only what keeps it owed is kept, and of one that is settled only the id.
    /// All else is empty.
    async fn finding(&self, id: &str) -> Result<Option<super::StoredFinding>, Self::Error> {
        let tables = self.lock();
        Ok(tables.findings.get(id).map(|item| {
            let item = item.as_ref();
            super::StoredFinding {
                id: id.to_owned(),
                uploader: String::new(),
                reason: String::new(),
                severity: item.map_or(Severity::Informational, |item| item.severity),
                event_id: String::new(),
                decided_at: item.map_or(Timestamp::UNIX_EPOCH, |item| item.since),
                owed: item.map(|item| item.owed),
                owed_since: item.map(|item| item.since),
                attempts: item.map(|item| item.attempts),
                published_at: None,
                message_id: None,
                answer: None,
                body: item.map_or_else(String::new, |item| item.body.clone()),
            }
        }))
    }

    /// None: nobody lists those of a process.
    async fn findings(&self, _: Option<String>) -> Result<super::FindingPage<String>, Self::Error> {
        Ok(super::FindingPage {
            findings: Vec::new(),
            damaged: Vec::new(),
            next: None,
        })
    }

    async fn answer(
        &self,
        _: &str,
        _: &super::Answer,
    ) -> Result<super::AnswerOutcome, Self::Error> {
        Ok(super::AnswerOutcome::NoSuchFinding)
    }
}
