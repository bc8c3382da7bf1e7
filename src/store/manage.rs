//! What only the command line does with a store: read all uploaders, forget one, and
//! read a finding.

use std::future::Future;

use jiff::Timestamp;

use super::Store;
use crate::record::Record;

/// A store whose uploaders people look at and change. To write a record,
/// [`commit`](Store::commit) it without a finding.
pub trait Manage: Store {
    /// A page of all records, in the store's order.
    fn records(
        &self,
        from: Option<Self::Cursor>,
    ) -> impl Future<Output = Result<RecordPage<Self::Cursor>, Self::Error>> + Send;

    /// Deletes the record that was read, if its revision is still the same.
    fn forget(
        &self,
        read: &Record,
    ) -> impl Future<Output = Result<ForgetAnswer, Self::Error>> + Send;

    /// A finding as the store keeps it; none if it keeps none of that id.
    fn finding(
        &self,
        id: &str,
    ) -> impl Future<Output = Result<Option<StoredFinding>, Self::Error>> + Send;
}

/// A page of records.
#[derive(Debug)]
pub struct RecordPage<C> {
    /// All items of the page that are records.
    pub records: Vec<Record>,
    /// What can't be read as a record, a line each.
    pub damaged: Vec<String>,
    /// Where the next page begins; none after the last one.
    pub next: Option<C>,
}

/// The answer to [`forget`](Manage::forget).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForgetAnswer {
    /// The record is deleted.
    Gone,
    /// Another write changed or deleted it in the meantime. Nothing is done.
    Changed,
}

/// A finding as the findings table keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFinding {
    /// The uploader's key.
    pub uploader: String,
    /// The finding's JSON.
    pub body: String,
    /// Whether it is still owed to somebody.
    pub is_owed: bool,
    /// When it was published.
    pub published_at: Option<Timestamp>,
}
