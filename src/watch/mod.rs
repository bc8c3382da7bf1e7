//! The two use cases: a push, and the sweep.
//!
//! A push: ask, decide, commit; then publish and settle for speed. From the
//! commit on, nothing that fails can lose the finding. The sweep publishes what
//! is still owed, and is the guarantee.
//!
//! Store and notifier are called one call at a time.

mod push;
#[cfg(feature = "cli")]
mod reconcile;
mod sweep;

use std::error::Error;

use jiff::SignedDuration;
use thiserror::Error as ThisError;

use crate::clock::SystemClock;
use crate::decide::DecisionRule;
use crate::finding::Finding;
use crate::notify::NullNotifier;
use crate::policy::Policy;
use crate::store::MemoryStore;

#[cfg(feature = "cli")]
pub use reconcile::{Reconciliation, Verdict};
pub use sweep::SweepReport;

/// Watches pushes: remembers their uploaders, and publishes findings.
#[derive(Debug)]
pub struct Watch<S, N, C> {
    /// Where uploaders are remembered.
    pub store: S,
    /// Where findings are published.
    pub notifier: N,
    /// The source of the time.
    pub clock: C,
    /// What the owner of the deployment set.
    pub policy: Policy,
    /// How many findings may be published at once in a minute; the others wait
    /// for the sweep. None: all.
    pub findings_per_minute: Option<u8>,
}

impl Watch<MemoryStore, NullNotifier, SystemClock> {
    /// A watch without AWS: it remembers in `store`, and publishes nothing.
    #[must_use]
    pub fn in_memory(store: MemoryStore, policy: Policy) -> Self {
        Self {
            store,
            notifier: NullNotifier,
            clock: SystemClock,
            policy,
            findings_per_minute: None,
        }
    }
}

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// By somebody known: there is nothing to report.
    Known,
    /// The finding is published.
    FindingPublished,
    /// The finding is owed, and not published yet.
    FindingDeferred,
    /// The policy suppresses the finding.
    FindingSuppressed,
    /// The finding is owed to the digest.
    Learned,
    /// A trusted glob matches.
    Trusted,
    /// The push failed, and that is nothing to report.
    FailedPush,
    /// The event was decided before.
    Duplicate,
}

/// What became of a push, and how.
#[derive(Debug)]
pub struct PushOutcome<E> {
    /// The outcome in one word.
    pub outcome: Outcome,
    /// The row of the decision table that fits.
    pub rule: DecisionRule,
    /// What is published or owed.
    pub finding: Option<Finding>,
    /// Why the finding is not published yet, or not settled.
    pub deferred: Option<DeferReason<E>>,
    /// Why the suppression could not be applied.
    pub suppression_fault: Option<String>,
    /// How long it took to decide.
    pub decide_time: SignedDuration,
    /// How long it took to publish and settle.
    pub publish_time: SignedDuration,
}

/// Why a finding that is owed is not published, or not settled, yet.
#[derive(Debug, ThisError)]
pub enum DeferReason<E> {
    /// It can wait for the digest.
    #[error("it is a line of the next daily digest")]
    Digest,
    /// No more may be published at once this minute.
    #[error("the budget of this minute is spent")]
    Budget,
    /// The store failed when it was asked for the budget.
    #[error("the budget could not be asked: {0}")]
    Token(String),
    /// The notifier failed.
    #[error("the finding could not be published: {0}")]
    Publish(E),
    /// The finding is published, but the store could not note that.
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
