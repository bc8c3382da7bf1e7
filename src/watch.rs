//! The two use cases: a push, and the sweep.
//!
//! A push: ask, decide, commit; then publish and settle for speed. From the
//! commit on, nothing that fails can lose the finding. The sweep publishes what
//! is still owed, and is the guarantee.
//!
//! Store and notifier are called one call at a time.

use std::error::Error;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use thiserror::Error as ThisError;

use crate::clock::Clock;
use crate::decide::{Decision, Row, decide};
use crate::event::Push;
use crate::finding::{Finding, Reason};
use crate::identity::Uploader;
use crate::notify::{Message, Notifier};
use crate::policy::Policy;
use crate::record::Record;
use crate::store::{Commit, Committed, LEASE, Owed, OwedFinding, Store, Touched};
use crate::text::clean_cut;

/// How often a decision is made anew because another write came first.
const DECISIONS: usize = 5;
/// Up to so many owed findings go one by one; more go as lists.
const ONE_BY_ONE: usize = 5;
/// So many findings are claimed at a time, so that a sweep that runs out of
/// time has published most of what it claimed.
const CLAIMED_AT_ONCE: usize = 100;
/// How long SNS may take to accept a message.
const PUBLISH: Duration = Duration::from_secs(10);
/// Between two messages of a sweep.
const PAUSE: Duration = Duration::from_millis(250);
/// A sweep stops so long before its deadline, if it has three times as much.
const RESERVE: SignedDuration = SignedDuration::from_secs(10);
/// Left of the time when the settling of a list stops.
const SETTLE_MARGIN: SignedDuration = SignedDuration::from_secs(1);
/// The digest waits so long after learning for events that come late.
const STRAGGLERS: SignedDuration = SignedDuration::from_hours(1);
/// While learning runs, nobody waits longer than this to be named.
const DIGEST_EVERY: SignedDuration = SignedDuration::from_hours(24);

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
    /// How long it took to decide.
    pub decided: SignedDuration,
    /// How long it took to tell.
    pub told: SignedDuration,
}

/// Why a finding that is owed is not told, or not settled, yet.
#[derive(Debug, ThisError)]
pub enum Deferred<E> {
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

/// What a sweep did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Findings that were told.
    pub published: usize,
    /// In so many messages.
    pub messages: usize,
    /// Findings that are still owed, the digest's included.
    pub owed: usize,
    /// Messages that were not accepted.
    pub publish_failures: usize,
    /// Since how long the oldest finding that was owed had waited, in seconds;
    /// those of the digest since it was due.
    pub oldest_owed_seconds: i64,
    /// Whether not all that is owed could be listed.
    pub incomplete: bool,
    /// What went wrong, a line each.
    pub faults: Vec<String>,
}

impl<S: Store, N: Notifier, C: Clock> Watch<S, N, C> {
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
        let began = self.clock.now();
        let mut handled = self.decide_and_tell(push, uploader).await?;
        handled.decided = self.clock.now().duration_since(began) - handled.told;
        Ok(handled)
    }

    async fn decide_and_tell(
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
                now: self.clock.now(),
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
        let began = self.clock.now();
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
            decided: SignedDuration::ZERO,
            told: self.clock.now().duration_since(began),
        }
    }

    async fn publish(&self, finding: &Finding) -> Result<(), Deferred<N::Error>> {
        if let Some(per_minute) = self.findings_per_minute {
            match self.store.take_token(per_minute, self.clock.now()).await {
                Ok(true) => {}
                Ok(false) => return Err(Deferred::Budget),
                Err(error) => return Err(Deferred::Token(error.to_string())),
            }
        }
        let message_id = self
            .notifier
            .publish(Message::Finding(finding), PUBLISH)
            .await
            .map_err(Deferred::Publish)?;
        self.store
            .settle(&finding.id.to_string(), &message_id, self.clock.now())
            .await
            .map_err(|error| Deferred::Settle(error.to_string()))
    }

    /// Publishes what is owed, page by page, until it is done or the deadline
    /// is near. It never fails: what went wrong stands in the answer, and what
    /// was not told stays owed. `holder` is this sweep's own name.
    pub async fn sweep(&self, holder: &str, deadline: Timestamp) -> Swept {
        let time_left = deadline.duration_since(self.clock.now());
        let mut sweep = Sweep {
            swept: Swept::default(),
            stop_at: deadline - RESERVE.min(time_left / 3),
            deadline,
            holder,
        };
        let mut next = None;
        loop {
            let page = match self.store.owed(next.take()).await {
                Ok(page) => page,
                Err(error) => {
                    sweep.swept.faults.push(error.to_string());
                    sweep.swept.incomplete = true;
                    break;
                }
            };
            sweep.swept.owed += page.owed.len();
            let (findings, digest) = self.due(page.owed, &mut sweep.swept);
            if findings.len() <= ONE_BY_ONE {
                self.publish_owed(&findings, 1, &mut sweep).await;
            } else {
                self.publish_owed(&findings, CLAIMED_AT_ONCE, &mut sweep)
                    .await;
            }
            self.publish_owed(&digest, CLAIMED_AT_ONCE, &mut sweep)
                .await;
            next = page.next;
            if next.is_none() || self.clock.now() >= sweep.stop_at {
                break;
            }
        }
        sweep.swept.owed -= sweep.swept.published;
        sweep.swept
    }

    /// What is due of a page, worst and then oldest first: findings that no
    /// handler still has, and the digest when its time has come.
    fn due(
        &self,
        page: Vec<OwedFinding>,
        swept: &mut Swept,
    ) -> (Vec<OwedFinding>, Vec<OwedFinding>) {
        let now = self.clock.now();
        // What is owed since the future was decided by a clock that was wrong.
        let waited = |owed: &OwedFinding| match owed.since {
            Some(since) if since <= now + LEASE => now.duration_since(since),
            _ => SignedDuration::MAX,
        };
        let (mut findings, mut digest): (Vec<_>, Vec<_>) = page
            .into_iter()
            .partition(|owed| owed.owed == Owed::Finding);
        let mut oldest = |due_since: Timestamp| {
            let seconds = now.duration_since(due_since).as_secs();
            swept.oldest_owed_seconds = swept.oldest_owed_seconds.max(seconds);
        };
        for since in findings.iter().filter_map(|owed| owed.since) {
            oldest(since);
        }
        findings.retain(|owed| waited(owed) >= LEASE);
        findings.sort_by_key(|owed| (std::cmp::Reverse(owed.severity), owed.since));
        digest.sort_by_key(|owed| owed.since);
        // When the digest became due, if whoever waits longest waits since then.
        let due_since = |first: Timestamp| match self.policy.learning_until {
            None => first,
            Some(until) => {
                let over = until.checked_add(STRAGGLERS).unwrap_or(Timestamp::MAX);
                over.max(first).min(first + DIGEST_EVERY)
            }
        };
        match digest.iter().filter_map(|owed| owed.since).min() {
            Some(first) if first <= now + LEASE => {
                let due_since = due_since(first);
                if due_since > now {
                    digest.clear();
                } else {
                    oldest(due_since);
                }
            }
            // Owed since the future, or nobody knows since when: due.
            _ => {}
        }
        (findings, digest)
    }

    /// Claims owed findings, a batch at a time, publishes and settles them. A
    /// batch of one is a message of its own, a larger one a list or several.
    async fn publish_owed(&self, mut owed: &[OwedFinding], batch: usize, sweep: &mut Sweep<'_>) {
        while !owed.is_empty() && self.clock.now() < sweep.stop_at {
            // A third of the time for claiming, which leaves as much for settling.
            let now = self.clock.now();
            let claim_until = now + sweep.stop_at.duration_since(now) / 3;
            let mut claimed = Vec::new();
            while let [first, later @ ..] = owed {
                owed = later;
                claimed.extend(self.claim(first, sweep).await);
                if claimed.len() == batch || self.clock.now() >= claim_until {
                    break;
                }
            }
            claimed.sort_by_key(|(_, finding)| std::cmp::Reverse(finding.severity));
            let (claimed, findings): (Vec<_>, Vec<_>) = claimed.into_iter().unzip();
            self.publish_claimed(&claimed, &findings, batch == 1, sweep)
                .await;
        }
    }

    async fn claim<'o>(
        &self,
        owed: &'o OwedFinding,
        sweep: &mut Sweep<'_>,
    ) -> Option<(&'o OwedFinding, Finding)> {
        let leased = self.store.lease(&owed.id, sweep.holder, self.clock.now());
        let fault = match leased.await {
            Ok(None) => return None,
            Ok(Some(body)) => match serde_json::from_str(&body) {
                Ok(finding) => return Some((owed, finding)),
                // Where, and not what: the body is an event's.
                Err(error) => format!(
                    "the body of finding {} can't be read at its line {}, column {}; \
                     mend or delete the item",
                    clean_cut(&owed.id, 80),
                    error.line(),
                    error.column(),
                ),
            },
            Err(error) => format!(
                "finding {} can't be claimed: {error}",
                clean_cut(&owed.id, 80)
            ),
        };
        sweep.swept.faults.push(fault);
        None
    }

    async fn publish_claimed(
        &self,
        owed: &[&OwedFinding],
        findings: &[Finding],
        alone: bool,
        sweep: &mut Sweep<'_>,
    ) {
        // Ranges that are to be told, the first one last.
        let mut ranges = vec![(0..findings.len(), alone)];
        while let Some((range, alone)) = ranges.pop() {
            if range.is_empty() {
                continue;
            }
            if self.clock.now() >= sweep.stop_at {
                return;
            }
            let fit = self.notifier.fit(&findings[range.clone()]);
            let these = range.start..range.start + fit;
            ranges.push((these.end..range.end, alone));
            let message = match owed[these.start].owed {
                Owed::Digest => Message::Digest(&findings[these.clone()]),
                Owed::Finding if alone => Message::Finding(&findings[these.start]),
                Owed::Finding => Message::Rollup(&findings[these.clone()]),
            };
            if sweep.swept.messages + sweep.swept.publish_failures > 0 {
                self.clock.sleep(PAUSE).await;
            }
            match self.notifier.publish(message, PUBLISH).await {
                Ok(message_id) => {
                    sweep.swept.messages += 1;
                    self.settle(&owed[these], &message_id, sweep).await;
                }
                Err(error) => {
                    sweep.swept.publish_failures += 1;
                    sweep.swept.faults.push(error.to_string());
                    // One of them may be what is refused: the others must not wait.
                    if these.len() > 1 && N::is_refused(&error) {
                        ranges.extend(these.rev().map(|one| (one..one + 1, true)));
                    }
                }
            }
        }
    }

    async fn settle(&self, owed: &[&OwedFinding], message_id: &str, sweep: &mut Sweep<'_>) {
        sweep.swept.published += owed.len();
        let mut slowest = SignedDuration::ZERO;
        for (index, one) in owed.iter().enumerate() {
            let began = self.clock.now();
            // Whoever is killed says nothing of what he found.
            if index > 0 && sweep.deadline.duration_since(began) < slowest + SETTLE_MARGIN {
                sweep.swept.faults.push(format!(
                    "there was no time to settle {} findings that were published: they are \
                     published again",
                    owed.len() - index
                ));
                return;
            }
            let settled = self.store.settle(&one.id, message_id, began);
            if let Err(error) = settled.await {
                sweep.swept.faults.push(error.to_string());
            }
            slowest = slowest.max(self.clock.now().duration_since(began));
        }
    }
}

/// A sweep under way.
struct Sweep<'a> {
    swept: Swept,
    stop_at: Timestamp,
    deadline: Timestamp,
    holder: &'a str,
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
        decided: SignedDuration::ZERO,
        told: SignedDuration::ZERO,
    }
}
