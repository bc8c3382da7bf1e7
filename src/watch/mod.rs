//! The two use cases: a push, and the sweep.
//!
//! A push: ask, decide, commit; then publish and settle for speed. From the
//! commit on, nothing that fails can lose the finding. The sweep publishes what
//! is still owed, and is the guarantee.
//!
//! Store and notifier are called one call at a time.

mod push;
mod sweep;

use std::error::Error;

use jiff::SignedDuration;
use thiserror::Error as ThisError;

use crate::clock::SystemClock;
use crate::decide::DecisionRule;
use crate::finding::Finding;
use crate::notify::Nobody;
use crate::policy::Policy;
use crate::store::MemoryStore;

pub use sweep::SweepReport;

/// Watches pushes: remembers their uploaders and tells findings.
#[derive(Debug)]
pub struct Watch<S, N, C> {
    /// Where uploaders are remembered.
    pub store: S,
    /// How people are told.
    pub notifier: N,
    /// What time it is.
    pub clock: C,
    /// What the owner set.
    pub policy: Policy,
    /// How many findings may be published at once in a minute; the others wait
    /// for the sweep. None: all.
    pub findings_per_minute: Option<u8>,
}

impl Watch<MemoryStore, Nobody, SystemClock> {
    /// A watch without AWS: it remembers in `store`, and publishes nothing.
    #[must_use]
    pub fn in_memory(store: MemoryStore, policy: Policy) -> Self {
        Self {
            store,
            notifier: Nobody,
            clock: SystemClock,
            policy,
            findings_per_minute: None,
        }
    }
}

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// By somebody known.
    Known,
    /// Told.
    FindingPublished,
    /// Owed, and not yet told.
    FindingDeferred,
    /// Not told, as the policy says.
    FindingSuppressed,
    /// Owed to the learning digest.
    Learned,
    /// A trusted glob matches.
    Trusted,
    /// It failed, and that is nothing to tell.
    FailedPush,
    /// The event was decided before.
    Duplicate,
}

/// A push that was handled.
#[derive(Debug)]
pub struct PushOutcome<E> {
    /// What became of it.
    pub outcome: Outcome,
    /// The row of the decision table that fits.
    pub rule: DecisionRule,
    /// What is told or owed.
    pub finding: Option<Finding>,
    /// Why the finding is not told yet.
    pub deferred: Option<DeferReason<E>>,
    /// Why the suppression could not be applied.
    pub suppression_fault: Option<String>,
    /// How long it took to decide.
    pub decide_time: SignedDuration,
    /// How long it took to tell.
    pub publish_time: SignedDuration,
}

/// Why a finding that is owed is not told, or not settled, yet.
#[derive(Debug, ThisError)]
pub enum DeferReason<E> {
    /// Enough was told this minute.
    #[error("the budget of this minute is spent")]
    Budget,
    /// Whether enough was told could not be found out.
    #[error("the budget could not be asked: {0}")]
    Token(String),
    /// The notifier failed.
    #[error("the finding could not be published: {0}")]
    Publish(E),
    /// It was told, but the store could not note it.
    #[error("the finding was published but could not be settled: {0}")]
    Settle(String),
    /// The deadline came first.
    #[error("there was no time left to publish and settle the finding")]
    Deadline,
}

/// A push that could not be decided. Nothing is owed; it can be tried again.
#[derive(Debug, ThisError)]
pub enum WatchError<E: Error> {
    /// The store failed.
    #[error(transparent)]
    Store(E),
    /// Other writes of the same uploader kept coming first.
    #[error("other pushes of the same uploader kept coming first; try again")]
    Contended,
    /// The deadline came first. What the last call did is not known.
    #[error("there was no time left to decide; try again")]
    Deadline,
}
