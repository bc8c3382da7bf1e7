//! The store in DynamoDB: two tables, and the calls on them.
//!
//! - `uploaders`: the calls on a record. `touch` asks
//!   [`is_ordinary`](crate::decide::is_ordinary) in one conditional write.
//! - `findings`: the calls on a finding, the budget and the lease of the sweep.
//! - `transaction`: the one call on both tables.
//! - `manage` and `take_over`: what only the command line asks.
//! - `expressions`: the conditions and updates, in DynamoDB's words.

mod conditional;
mod expressions;
mod findings;
mod item;
#[cfg(feature = "cli")]
mod manage;
#[cfg(feature = "cli")]
mod take_over;
mod transaction;
mod uploaders;

use std::future::Future;

use aws_sdk_dynamodb::Client;
use jiff::Timestamp;

use self::findings::FindingsTable;
pub use self::findings::OWED_INDEX;
use self::item::Item;
#[cfg(feature = "cli")]
pub use self::take_over::FindingItem;
use self::transaction::write_together;
use self::uploaders::UploadersTable;
use super::{Commit, CommitAnswer, Lease, OwedPage, Store, TimesCommit, TouchAnswer};
use crate::aws::AwsError;
use crate::event::Push;
use crate::finding::{Owed, Severity};
use crate::identity::Uploader;
use crate::policy::Policy;
use crate::record::Record;

/// Uploaders and findings in DynamoDB.
#[derive(Debug, Clone)]
pub struct DynamoStore {
    uploaders: UploadersTable,
    findings: FindingsTable,
}

impl DynamoStore {
    /// A store in the two tables of these names.
    #[must_use]
    pub fn new(client: Client, uploaders: String, findings: String) -> Self {
        Self {
            uploaders: UploadersTable {
                client: client.clone(),
                name: uploaders,
            },
            findings: FindingsTable {
                client,
                name: findings,
            },
        }
    }
}

// What one table does alone is handed on as it is, without a future around it.
impl Store for DynamoStore {
    type Error = AwsError;
    /// The key of the last item of the page before.
    type Cursor = Item;

    fn touch(
        &self,
        push: &Push,
        uploader: &Uploader,
        policy: &Policy,
    ) -> impl Future<Output = Result<TouchAnswer, AwsError>> {
        self.uploaders.touch(push, uploader, policy)
    }

    fn touch_late(
        &self,
        push: &Push,
        uploader: &Uploader,
        policy: &Policy,
    ) -> impl Future<Output = Result<TouchAnswer, AwsError>> {
        self.uploaders.touch_late(push, uploader, policy)
    }

    fn find(&self, key: &str) -> impl Future<Output = Result<Option<Record>, AwsError>> {
        self.uploaders.find(key)
    }

    async fn commit(&self, commit: Commit<'_>) -> Result<CommitAnswer, AwsError> {
        let Commit {
            read_revision,
            record,
            finding,
            owed,
            now,
        } = commit;
        let (uploaders, findings) = (&self.uploaders, &self.findings);
        match (finding, record) {
            (Some(finding), record) => {
                let put = |record| uploaders.put_with_finding(record, read_revision);
                let put = record.map(put).transpose()?;
                write_together(uploaders, findings, put, (finding, owed), now).await
            }
            (None, Some(record)) => uploaders.put(record, read_revision).await,
            (None, None) => Ok(CommitAnswer::Applied),
        }
    }

    async fn commit_times(&self, commit: TimesCommit<'_>) -> Result<CommitAnswer, AwsError> {
        let (uploaders, findings) = (&self.uploaders, &self.findings);
        match commit.finding {
            Some(finding) => {
                let update = uploaders.move_times_with_finding(commit)?;
                let finding = (finding, Owed::Finding);
                write_together(uploaders, findings, Some(update), finding, commit.now).await
            }
            None => uploaders.move_times(commit).await,
        }
    }

    fn take_token(
        &self,
        per_minute: u8,
        severity: Severity,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, AwsError>> {
        self.findings.take_token(per_minute, severity, now)
    }

    fn settle(
        &self,
        finding_id: &str,
        message_id: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), AwsError>> {
        self.findings.settle(finding_id, message_id, now)
    }

    fn owed(&self, from: Option<Item>) -> impl Future<Output = Result<OwedPage<Item>, AwsError>> {
        self.findings.owed(from)
    }

    fn lease(
        &self,
        finding_id: &str,
        holder: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Lease>, AwsError>> {
        self.findings.lease(finding_id, holder, now)
    }

    fn lease_sweep(
        &self,
        holder: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, AwsError>> {
        self.findings.lease_sweep(holder, now)
    }

    fn end_sweep(&self, holder: &str) -> impl Future<Output = Result<(), AwsError>> {
        self.findings.end_sweep(holder)
    }
}
