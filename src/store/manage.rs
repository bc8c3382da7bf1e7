//! What people do with the uploaders, beside what the function does: look at
//! them all, forget one, look at a finding. Only the command line does these.

use std::future::Future;
use std::ops::Bound;

use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use jiff::Timestamp;

use super::conditional::ConditionalWrite;
use super::dynamodb::{Item, number, table, text};
use super::expressions::{READ_NO_REVISION, READ_REVISION};
use super::{DynamoStore, MemoryStore, OWED_PAGE, Store};
use crate::aws::AwsError;
use crate::record::Record;
use crate::time;

/// A store whose uploaders people look at and change. To write a record,
/// [`commit`](Store::commit) it without a finding.
pub trait Manage: Store {
    /// A page of all records, in the store's order.
    fn records(
        &self,
        from: Option<Self::Cursor>,
    ) -> impl Future<Output = Result<RecordPage<Self::Cursor>, Self::Error>> + Send;

    /// Deletes the record that was read, if it is still the same.
    fn forget(&self, read: &Record) -> impl Future<Output = Result<Forgotten, Self::Error>> + Send;

    /// A finding as it is kept; none if it is not.
    fn finding(
        &self,
        id: &str,
    ) -> impl Future<Output = Result<Option<KeptFinding>, Self::Error>> + Send;
}

/// A page of records.
#[derive(Debug)]
pub struct RecordPage<C> {
    /// The records.
    pub records: Vec<Record>,
    /// What can't be read as a record, a line each.
    pub damaged: Vec<String>,
    /// Where the next page begins; none after the last one.
    pub next: Option<C>,
}

/// The answer to [`forget`](Manage::forget).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgotten {
    /// It is gone.
    Gone,
    /// Something wrote it in between, or deleted it. Nothing is done.
    Changed,
}

/// A finding as the findings table keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFinding {
    /// The uploader's key.
    pub uploader: String,
    /// The finding's JSON.
    pub body: String,
    /// Whether it is still owed to somebody.
    pub is_owed: bool,
    /// When it was published.
    pub published_at: Option<Timestamp>,
}

impl Manage for DynamoStore {
    async fn records(&self, from: Option<Item>) -> Result<RecordPage<Item>, AwsError> {
        let output = self
            .client
            .scan()
            .table_name(&self.uploaders)
            .set_exclusive_start_key(from)
            .send()
            .await
            .map_err(|error| AwsError::new("DynamoDB Scan", table(&self.uploaders), error))?;
        let mut page = RecordPage {
            records: Vec::new(),
            damaged: Vec::new(),
            next: None,
        };
        for item in output.items.unwrap_or_default() {
            match self.record(Some(item)) {
                Ok(record) => page.records.extend(record.map(|record| *record)),
                Err(error) => page.damaged.push(error.to_string()),
            }
        }
        page.next = output.last_evaluated_key;
        Ok(page)
    }

    async fn forget(&self, read: &Record) -> Result<Forgotten, AwsError> {
        let condition = match read.revision {
            0 => READ_NO_REVISION,
            _ => READ_REVISION,
        };
        let result = self
            .client
            .delete_item()
            .table_name(&self.uploaders)
            .key("uploader", text(read.uploader.as_str()))
            .condition_expression(condition)
            .expression_attribute_values(":revision", number(read.revision))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        Ok(
            match ConditionalWrite::of(result, "DynamoDB DeleteItem", &self.uploaders)? {
                ConditionalWrite::Applied(_) => Forgotten::Gone,
                ConditionalWrite::Refused(_) | ConditionalWrite::Busy => Forgotten::Changed,
            },
        )
    }

    async fn finding(&self, id: &str) -> Result<Option<KeptFinding>, AwsError> {
        let output = self
            .client
            .get_item()
            .table_name(&self.findings)
            .key("findingId", text(id))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| AwsError::new("DynamoDB GetItem", table(&self.findings), error))?;
        let word = |item: &Item, name: &str| {
            let word = item.get(name).and_then(|value| value.as_s().ok());
            word.cloned()
        };
        Ok(output.item.map(|item| KeptFinding {
            uploader: word(&item, "uploader").unwrap_or_default(),
            body: word(&item, "body").unwrap_or_default(),
            is_owed: item.contains_key("owed"),
            published_at: word(&item, "publishedAt").and_then(|text| time::parse(&text)),
        }))
    }
}

impl Manage for MemoryStore {
    async fn records(&self, from: Option<String>) -> Result<RecordPage<String>, Self::Error> {
        let tables = self.lock();
        let after = from.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut records = tables
            .uploaders
            .range::<str, _>((after, Bound::Unbounded))
            .map(|(_, record)| (**record).clone());
        let page: Vec<_> = records.by_ref().take(OWED_PAGE).collect();
        let next = records.next().and(page.last());
        let next = next.map(|last| last.uploader.to_string());
        Ok(RecordPage {
            records: page,
            damaged: Vec::new(),
            next,
        })
    }

    async fn forget(&self, read: &Record) -> Result<Forgotten, Self::Error> {
        let uploaders = &mut self.lock().uploaders;
        let stored = uploaders.get(&read.uploader);
        if stored.map(|stored| stored.revision) != Some(read.revision) {
            return Ok(Forgotten::Changed);
        }
        uploaders.remove(&read.uploader);
        Ok(Forgotten::Gone)
    }

    /// None is kept beyond the process.
    async fn finding(&self, _: &str) -> Result<Option<KeptFinding>, Self::Error> {
        Ok(None)
    }
}
