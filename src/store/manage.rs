//! What only the command line does with a store: read all uploaders, forget one, read
//! findings, and answer them.

use std::fmt;
use std::future::Future;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Store;
use crate::finding::{Owed, Severity};
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

    /// A page of all findings, in the store's order.
    fn findings(
        &self,
        from: Option<Self::Cursor>,
    ) -> impl Future<Output = Result<FindingPage<Self::Cursor>, Self::Error>> + Send;

    /// Notes that a finding is answered, unless somebody has answered it before. Nothing
    /// else of it changes: what is owed stays owed.
    fn answer(
        &self,
        id: &str,
        answer: &Answer,
    ) -> impl Future<Output = Result<AnswerOutcome, Self::Error>> + Send;
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

/// A finding as the findings table keeps it. Serialised, it is without its body, which is
/// JSON of its own.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredFinding {
    /// The finding's id.
    #[serde(rename = "findingId")]
    pub id: String,
    /// The uploader's key.
    pub uploader: String,
    /// The word for the reason. A later version may have more of them.
    pub reason: String,
    /// How bad it is.
    pub severity: Severity,
    /// The event that it was decided on.
    pub event_id: String,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// To whom it is still owed, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owed: Option<Owed>,
    /// Since when it is owed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owed_since: Option<Timestamp>,
    /// How often the sweep tried to publish it, while it is owed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u64>,
    /// When it was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_at: Option<Timestamp>,
    /// The message that it was published in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// Who answered it, when and why.
    #[serde(default, flatten)]
    pub answer: Option<Answer>,
    /// The finding's JSON.
    #[serde(skip_serializing)]
    pub body: String,
}

impl StoredFinding {
    /// Whether it waits for somebody to look at it: nobody has answered it, and it is more
    /// than information, as the one about a learned uploader is.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.answer.is_none() && self.severity > Severity::Informational
    }
}

/// Without the body, which holds texts of an event.
impl fmt::Debug for StoredFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredFinding")
            .field("id", &self.id)
            .field("owed", &self.owed)
            .field("published_at", &self.published_at)
            .finish_non_exhaustive()
    }
}

/// That somebody has looked at a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Who.
    #[serde(rename = "answeredBy")]
    pub by: String,
    /// When.
    #[serde(rename = "answeredAt")]
    pub at: Timestamp,
    /// Why it needs no more attention.
    #[serde(rename = "answerReason")]
    pub reason: String,
}

/// A page of findings.
#[derive(Debug)]
pub struct FindingPage<C> {
    /// All items of the page that are findings.
    pub findings: Vec<StoredFinding>,
    /// What can't be read as a finding, a line each.
    pub damaged: Vec<String>,
    /// Where the next page begins; none after the last one.
    pub next: Option<C>,
}

/// What became of an [`answer`](Manage::answer).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerOutcome {
    /// It is noted.
    Answered,
    /// Somebody answered before; that stays.
    AnsweredBefore(Box<StoredFinding>),
    /// The store keeps no such finding.
    NoSuchFinding,
}
