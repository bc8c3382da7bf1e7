//! Where uploaders and owed findings are kept: a trait, DynamoDB, and memory.

mod dynamo_error;
mod dynamodb;
mod expressions;
#[cfg(feature = "cli")]
mod manage;
mod memory;

use std::error::Error;
use std::future::Future;

pub use dynamo_error::{DynamoError, DynamoErrorKind};
pub use dynamodb::{BUDGET_ID, DynamoStore, OWED_INDEX};
use jiff::{SignedDuration, Timestamp};
#[cfg(feature = "cli")]
pub use manage::{Forgotten, KeptFinding, Manage, RecordPage};
pub use memory::MemoryStore;
use serde::{Deserialize, Serialize};

use crate::event::Push;
use crate::finding::{Finding, Reason, Severity};
use crate::identity::Uploader;
use crate::policy::Policy;
use crate::record::Record;

/// How long whoever holds a finding may work on it. Longer than the function's
/// timeout of 30 s, so that no holder is still at work when it ends.
pub const LEASE: SignedDuration = SignedDuration::from_secs(45);

/// Whether a lease that ends at `until` no longer binds at `now`. One that ends
/// later than any lease can was taken by a clock that is wrong.
#[must_use]
pub fn lease_is_over(until: Timestamp, now: Timestamp) -> bool {
    until <= now || until > now + LEASE * 2
}

/// When the lease ends that comes with deciding a finding: whoever decides it
/// publishes it, if all goes well. The digest is nobody's.
fn first_lease(owed: Owed, now: Timestamp) -> Timestamp {
    match owed {
        Owed::Finding => now + LEASE,
        Owed::Digest => now,
    }
}

/// Most findings that may be published at once in a minute: SNS suspends an
/// e-mail endpoint above ten messages a second.
pub const MOST_PER_MINUTE: u8 = 5;

/// What the budget is counted by. A token of later than this ahead was taken by a
/// clock that was wrong, and does not count.
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// Remembers uploaders, and findings from the write that decides them until
/// they are settled. Each method is one call of the store.
pub trait Store {
    /// What can go wrong.
    type Error: Error;
    /// Where the next page of owed findings begins.
    type Cursor: Send;

    /// Asks "is this an ordinary push by somebody known?" and remembers it if
    /// it is, in one conditional write. The condition is
    /// [`is_ordinary`](crate::decide::is_ordinary).
    fn touch(
        &self,
        push: &Push,
        uploader: &Uploader,
        policy: &Policy,
    ) -> impl Future<Output = Result<Touched, Self::Error>> + Send;

    /// The record of an uploader.
    fn find(&self, key: &str) -> impl Future<Output = Result<Option<Record>, Self::Error>> + Send;

    /// Writes a record and the finding that goes with it, both or neither.
    fn commit(
        &self,
        commit: Commit<'_>,
    ) -> impl Future<Output = Result<Committed, Self::Error>> + Send;

    /// Takes one of the tokens for publishing at once, of which there are
    /// `per_minute` in any minute; false if there is none left.
    fn take_token(
        &self,
        per_minute: u8,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// Notes that a finding was published, and is owed no more. That it was
    /// noted before is success.
    fn settle(
        &self,
        finding_id: &str,
        message_id: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// A page of what is owed.
    fn owed(
        &self,
        from: Option<Self::Cursor>,
    ) -> impl Future<Output = Result<OwedPage<Self::Cursor>, Self::Error>> + Send;

    /// Claims an owed finding for [`LEASE`], and gives its body (the finding's
    /// JSON); none if it is settled or somebody else holds it. The same holder
    /// may claim again: the first answer may have been lost.
    fn lease(
        &self,
        finding_id: &str,
        holder: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<String>, Self::Error>> + Send;
}

/// The answer to a [`touch`](Store::touch).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Touched {
    /// An ordinary push; it is remembered.
    Ordinary,
    /// Anything else, and what is remembered of the uploader.
    Refused(Option<Box<Record>>),
}

/// What a decision writes.
#[derive(Debug, Clone, Copy)]
pub struct Commit<'a> {
    /// The revision that was read; none if there was no record. The write is
    /// refused if another one came in between.
    pub read_revision: Option<u64>,
    /// The record to write, if it changes.
    pub record: Option<&'a Record>,
    /// The finding that is owed from now on, if there is one. The write is
    /// refused if the finding exists.
    pub finding: Option<&'a Finding>,
    /// When it was decided.
    pub now: Timestamp,
}

/// The answer to a [`commit`](Store::commit).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// All is written.
    Applied,
    /// The finding exists: this event was decided before. Nothing is written.
    AlreadyDecided,
    /// Another write came first, and left this record. Nothing is written.
    Lost(Option<Box<Record>>),
}

/// To whom a finding is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owed {
    /// To the subscribers, at once.
    Finding,
    /// To the learning digest.
    Digest,
}

impl From<Reason> for Owed {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::LearnedUploader => Self::Digest,
            _ => Self::Finding,
        }
    }
}

/// A finding that is owed, as far as the index knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwedFinding {
    /// The finding's id.
    pub id: String,
    /// To whom.
    pub owed: Owed,
    /// Since when; none if that can't be read.
    pub since: Option<Timestamp>,
    /// How bad it is, if the index knows.
    pub severity: Option<Severity>,
}

/// A page of what is owed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwedPage<C> {
    /// In no order.
    pub owed: Vec<OwedFinding>,
    /// Where the next page begins; none after the last one.
    pub next: Option<C>,
}
