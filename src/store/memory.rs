//! The embedded store: it forgets everything when the process ends.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};

use compact_str::CompactString;
use uuid::Uuid;

use super::{Commit, Committed, Owed, Store, Touched};
use crate::decide::{is_ordinary, remember_ordinary};
use crate::event::Push;
use crate::identity::Uploader;
use crate::policy::Policy;
use crate::record::Record;

/// Uploaders and findings in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    uploaders: HashMap<CompactString, Box<Record>>,
    /// What is still owed; none once the finding is settled.
    findings: HashMap<Uuid, Option<Owed>>,
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
                findings: HashMap::new(),
            }),
        }
    }

    /// All records, in the order of their keys.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let mut records: Vec<Record> = self
            .lock()
            .uploaders
            .values()
            .map(|record| (**record).clone())
            .collect();
        records.sort_by(|a, b| a.uploader.cmp(&b.uploader));
        records
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

    fn lock(&self) -> MutexGuard<'_, Tables> {
        // No method panics halfway through a change.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    type Error = Infallible;

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
        Ok(self
            .lock()
            .uploaders
            .get(key)
            .map(|record| (**record).clone()))
    }

    async fn commit(&self, commit: Commit<'_>) -> Result<Committed, Infallible> {
        let mut tables = self.lock();
        if commit
            .finding
            .is_some_and(|finding| tables.findings.contains_key(&finding.id))
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
            tables
                .findings
                .insert(finding.id, Some(finding.reason.into()));
        }
        Ok(Committed::Applied)
    }

    async fn settle(&self, finding: Uuid) -> Result<(), Infallible> {
        if let Some(owed) = self.lock().findings.get_mut(&finding) {
            *owed = None;
        }
        Ok(())
    }
}
