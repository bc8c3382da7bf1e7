//! The use case of a push: ask, decide, commit, publish, settle.

use std::error::Error;

use thiserror::Error as ThisError;

use crate::decide::{Decision, Row, decide};
use crate::event::Push;
use crate::finding::{Finding, Reason};
use crate::identity::Uploader;
use crate::notify::Notifier;
use crate::policy::Policy;
use crate::record::Record;
use crate::store::{Commit, Committed, Store, Touched};

/// How often a decision is made anew because another write came first.
const DECISIONS: usize = 5;

/// Watches pushes: remembers their uploaders and tells findings.
#[derive(Debug)]
pub struct Watch<S, N> {
    /// Where uploaders are remembered.
    pub store: S,
    /// How people are told.
    pub notifier: N,
    /// What the owner set.
    pub policy: Policy,
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
pub struct Handled<E> {
    /// What became of it.
    pub outcome: Outcome,
    /// The row of the decision table that fits.
    pub row: Row,
    /// What is told or owed.
    pub finding: Option<Finding>,
    /// Why the finding is not told yet.
    pub deferred: Option<Deferred<E>>,
    /// Why the suppression could not be applied.
    pub suppression_fault: Option<String>,
}

/// Why a finding that is owed is not told, or not settled, yet.
#[derive(Debug, ThisError)]
pub enum Deferred<E> {
    /// The notifier failed.
    #[error("the finding could not be published: {0}")]
    Publish(E),
    /// It was told, but the store could not note it.
    #[error("the finding was published but could not be settled: {0}")]
    Settle(String),
}

/// A push that could not be decided. Nothing is owed; it can be tried again.
#[derive(Debug, ThisError)]
pub enum WatchError<E: Error> {
    /// The store failed.
    #[error(transparent)]
    Store(E),
    /// Other writes of the same uploader kept coming first.
    #[error("other pushes of the same uploader came first {DECISIONS} times; try again")]
    Contended,
}

impl<S: Store, N: Notifier> Watch<S, N> {
    /// Handles a push.
    ///
    /// Once a finding is owed, nothing that fails afterwards is an error.
    ///
    /// # Errors
    /// When the push could not be decided.
    pub async fn push(
        &self,
        push: &Push,
        uploader: &Uploader,
    ) -> Result<Handled<N::Error>, WatchError<S::Error>> {
        let Some(mut record) = self.ask(push, uploader).await.map_err(WatchError::Store)? else {
            return Ok(handled(Outcome::Known, Row::Known));
        };
        for _ in 0..DECISIONS {
            let decision = decide(record.as_deref(), push, uploader, &self.policy);
            let commit = Commit {
                read_revision: record.as_ref().map(|record| record.revision),
                record: decision.record.as_ref(),
                finding: decision.finding.as_ref(),
            };
            let committed = if commit.record.is_none() && commit.finding.is_none() {
                Committed::Applied
            } else {
                self.store.commit(commit).await.map_err(WatchError::Store)?
            };
            match committed {
                Committed::Applied => return Ok(self.tell(decision).await),
                Committed::AlreadyDecided => {
                    return Ok(handled(Outcome::Duplicate, Row::Duplicate));
                }
                Committed::Lost(stored) => record = stored,
            }
        }
        Err(WatchError::Contended)
    }

    /// What is remembered of the uploader (perhaps nothing), or none if this
    /// is an ordinary push by somebody known, which is then remembered.
    #[allow(clippy::option_option)] // the two mean what the doc says
    async fn ask(
        &self,
        push: &Push,
        uploader: &Uploader,
    ) -> Result<Option<Option<Box<Record>>>, S::Error> {
        if uploader.is_unidentified() {
            return Ok(Some(None));
        }
        if push.failed() {
            let record = self.store.find(&uploader.key).await?;
            return Ok(Some(record.map(Box::new)));
        }
        match self.store.touch(push, uploader, &self.policy).await? {
            Touched::Ordinary => Ok(None),
            Touched::Refused(record) => Ok(Some(record)),
        }
    }

    /// Publishes and settles what a decision owes.
    async fn tell(&self, decision: Decision) -> Handled<N::Error> {
        let row = decision.row;
        let (outcome, deferred) = match &decision.finding {
            None if decision.suppressed => (Outcome::FindingSuppressed, None),
            None => (outcome_without_finding(row), None),
            Some(finding) if finding.reason == Reason::LearnedUploader => (Outcome::Learned, None),
            Some(finding) => match self.publish(finding).await {
                Ok(()) => (Outcome::FindingPublished, None),
                Err(why) => (Outcome::FindingDeferred, Some(why)),
            },
        };
        Handled {
            outcome,
            row,
            finding: decision.finding,
            deferred,
            suppression_fault: decision.suppression_fault,
        }
    }

    async fn publish(&self, finding: &Finding) -> Result<(), Deferred<N::Error>> {
        self.notifier
            .publish(finding)
            .await
            .map_err(Deferred::Publish)?;
        self.store
            .settle(finding.id)
            .await
            .map_err(|error| Deferred::Settle(error.to_string()))
    }
}

fn outcome_without_finding(row: Row) -> Outcome {
    match row {
        Row::Duplicate => Outcome::Duplicate,
        Row::FailedPush => Outcome::FailedPush,
        Row::TrustedByPattern => Outcome::Trusted,
        _ => Outcome::Known,
    }
}

fn handled<E>(outcome: Outcome, row: Row) -> Handled<E> {
    Handled {
        outcome,
        row,
        finding: None,
        deferred: None,
        suppression_fault: None,
    }
}
