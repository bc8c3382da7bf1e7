//! Where uploaders and owed findings are kept: a trait, DynamoDB, and memory.

#[cfg(feature = "sdk")]
mod dynamodb;
#[cfg(feature = "cli")]
mod manage;
mod memory;

use std::error::Error;
use std::fmt;
use std::future::Future;

#[cfg(all(feature = "sdk", feature = "cli"))]
pub use dynamodb::FindingItem;
#[cfg(feature = "sdk")]
pub use dynamodb::{DynamoStore, OWED_INDEX};
use jiff::{SignedDuration, Timestamp};
#[cfg(feature = "cli")]
pub use manage::{
    Answer, AnswerOutcome, FindingPage, ForgetAnswer, Manage, RecordPage, StoredFinding,
};
pub use memory::MemoryStore;

use crate::event::Push;
use crate::finding::{Finding, Owed, Severity};
use crate::identity::Uploader;
use crate::policy::Policy;
use crate::record::Record;

/// How long the holder of a finding may work on it. Longer than the function's
/// timeout of 30 s, so that no holder is still at work when the lease ends.
pub const LEASE: SignedDuration = SignedDuration::from_secs(45);

/// Whether a lease that ends at `until` no longer binds at `now`. One that ends
/// later than any lease of that length can was taken by a clock that is wrong.
fn lease_is_over(until: Timestamp, length: SignedDuration, now: Timestamp) -> bool {
    until <= now || until > now + length * 2
}

/// How long a settled finding is kept.
#[cfg(feature = "sdk")]
pub const KEEP_FINDINGS: SignedDuration = SignedDuration::from_hours(400 * 24);

/// How long one sweep may publish while the others may not. As long as the
/// function's timeout: no sweep is still at work when the lease ends.
pub const SWEEP_LEASE: SignedDuration = SignedDuration::from_secs(30);

/// When the first lease of a finding ends. The push that decides a finding publishes
/// it too, if all goes well, so it holds it from the start. Nobody holds a finding
/// that is owed to the digest.
fn first_lease(owed: Owed, now: Timestamp) -> Timestamp {
    match owed {
        Owed::Finding => now + LEASE,
        Owed::Digest => now,
    }
}

/// The most findings that may be published at once in a minute: SNS suspends an
/// e-mail endpoint above ten messages a second.
pub const MOST_PER_MINUTE: u8 = 5;

/// How many of a minute's tokens are for findings that are not critical. Of five
/// tokens two are kept for critical findings, of two to four one, of a single one none.
fn not_critical(per_minute: u8) -> u8 {
    match per_minute {
        0 | 1 => per_minute,
        2..=4 => per_minute - 1,
        _ => per_minute - 2,
    }
}

/// The time that the budget is for. A token that was taken more than this in the
/// future was taken by a clock that was wrong, and does not count.
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// Remembers uploaders, and findings from the write that decides them until
/// they are settled. Each method is one call of the store.
pub trait Store {
    /// Why a call failed.
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
    ) -> impl Future<Output = Result<TouchAnswer, Self::Error>> + Send;

    /// Remembers a late push by somebody known, in one conditional write: it is
    /// counted, and nothing else changes. The condition is
    /// `decide::is_late`.
    fn touch_late(
        &self,
        push: &Push,
        uploader: &Uploader,
        policy: &Policy,
    ) -> impl Future<Output = Result<TouchAnswer, Self::Error>> + Send;

    /// The record of an uploader, read consistently; none if there is none.
    fn find(&self, key: &str) -> impl Future<Output = Result<Option<Record>, Self::Error>> + Send;

    /// Writes a record and the finding that goes with it, both or neither.
    fn commit(
        &self,
        commit: Commit<'_>,
    ) -> impl Future<Output = Result<CommitAnswer, Self::Error>> + Send;

    /// Moves the times of a record, whatever its revision, and writes the finding that
    /// goes with it, both or neither.
    fn commit_times(
        &self,
        commit: TimesCommit<'_>,
    ) -> impl Future<Output = Result<CommitAnswer, Self::Error>> + Send;

    /// Takes one of the tokens for publishing at once, of which there are
    /// `per_minute` in any minute, some of them for critical findings alone; false if
    /// there is none left.
    fn take_token(
        &self,
        per_minute: u8,
        severity: Severity,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// Notes that a finding was published, and is owed no more. If that was noted
    /// before, it is success too.
    fn settle(
        &self,
        finding_id: &str,
        message_id: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// A page of what is owed: at most `OWED_PAGE` findings.
    fn owed(
        &self,
        from: Option<Self::Cursor>,
    ) -> impl Future<Output = Result<OwedPage<Self::Cursor>, Self::Error>> + Send;

    /// Claims an owed finding for [`LEASE`]; none if it is settled or somebody else
    /// holds it. The same holder may claim again: the first answer may have been lost.
    fn lease(
        &self,
        finding_id: &str,
        holder: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Lease>, Self::Error>> + Send;

    /// Makes this sweep the only one that may publish, for [`SWEEP_LEASE`]; false if
    /// another one is at work.
    fn lease_sweep(
        &self,
        holder: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// Lets other sweeps publish again.
    fn end_sweep(&self, holder: &str) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// The most findings on one page of what is owed.
const OWED_PAGE: usize = 1000;

/// A finding that was claimed.
#[derive(Clone, PartialEq, Eq)]
pub struct Lease {
    /// The finding's JSON.
    pub body: String,
    /// How often it was claimed, this time included.
    pub attempts: u64,
}

/// Without the body, which holds texts of an event.
impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

/// The answer to a [`touch`](Store::touch).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TouchAnswer {
    /// An ordinary push; it is remembered.
    Ordinary,
    /// Anything else, and what is remembered of the uploader.
    Refused(Option<Box<Record>>),
    /// A transaction on the record is under way. Nothing is written.
    Busy,
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
    /// To whom it is owed.
    pub owed: Owed,
    /// When it was decided.
    pub now: Timestamp,
}

/// A push that moves the times of a record and changes nothing else: one by somebody
/// revoked, each of which is reported, or an unusual one that is suppressed. So none
/// needs to know what another one changed.
#[derive(Debug, Clone, Copy)]
pub struct TimesCommit<'a> {
    /// The record that was read. The write is refused if the standing is another one by
    /// now, or if the push would move other times than in this record; of somebody
    /// known also if the push is not by the known one any more.
    pub read: &'a Record,
    /// The push, which is counted and may move the times.
    pub push: &'a Push,
    /// Who pushed.
    pub uploader: &'a Uploader,
    /// The finding that is owed from now on; none if it is suppressed.
    pub finding: Option<&'a Finding>,
    /// When it was decided.
    pub now: Timestamp,
}

/// The answer to a [`commit`](Store::commit).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitAnswer {
    /// All is written.
    Applied,
    /// The finding exists: this event was decided before. Nothing is written.
    AlreadyDecided,
    /// Another write came first, and left this record. Nothing is written.
    Lost(Option<Box<Record>>),
    /// A transaction on the record is under way. Nothing is written.
    Busy,
}

/// A finding that is owed, with what the index has of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwedFinding {
    /// The finding's id.
    pub id: String,
    /// To the subscribers or to the digest.
    pub owed: Owed,
    /// Since when; none if that can't be read.
    pub since: Option<Timestamp>,
    /// Its severity, if the index has it.
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
