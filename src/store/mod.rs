//! Where uploaders and owed findings are kept: a trait, and a store in memory.

mod memory;

use std::error::Error;
use std::future::Future;

pub use memory::MemoryStore;
use uuid::Uuid;

use crate::event::Push;
use crate::finding::{Finding, Reason};
use crate::identity::Uploader;
use crate::policy::Policy;
use crate::record::Record;

/// Remembers uploaders, and findings from the write that decides them until
/// they are settled.
pub trait Store {
    /// What can go wrong.
    type Error: Error;

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

    /// Notes that a finding was published, and is owed no more.
    fn settle(&self, finding: Uuid) -> impl Future<Output = Result<(), Self::Error>> + Send;
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
