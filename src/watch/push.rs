//! A push: ask, decide, commit, publish, settle.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use jiff::Timestamp;

use super::{DeferReason, Outcome, PushOutcome, Watch, WatchError};
use crate::clock::{Clock, before};
use crate::decide::{Decision, DecisionRule, decide, is_late};
use crate::event::Push;
use crate::finding::{Finding, Owed, Reason};
use crate::identity::Uploader;
use crate::notify::Notifier;
use crate::record::Record;
use crate::render::Message;
use crate::store::{Commit, CommitAnswer, Store, TimesCommit, TouchAnswer};

/// How often a decision is made anew at most because another write came first.
const DECISIONS: u32 = 5;
/// How often a write that met a transaction is made again at most.
const CONFLICTS: u32 = 10;
/// The first wait after another write came first; each later one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// Longest time for publishing a finding at once. A sweep has more.
const PUBLISH: Duration = Duration::from_secs(5);

/// The result of a step towards a decision.
enum Step {
    /// The push is decided.
    Done(Box<Decision>),
    /// Another write came first, and left this record.
    Lost(Option<Box<Record>>),
    /// A transaction on the same record is under way.
    Busy,
}

impl<S: Store, N: Notifier, C: Clock> Watch<S, N, C> {
    /// Handles a push, until `deadline` at the latest.
    ///
    /// Once a finding is owed, nothing that fails afterwards is an error.
    ///
    /// # Errors
    /// When the push could not be decided.
    pub async fn push(
        &self,
        push: &Push,
        uploader: &Uploader,
        deadline: Timestamp,
    ) -> Result<PushOutcome<N::Error>, WatchError<S::Error>> {
        let began = self.clock.now();
        // Boxed: futures nested this deep are too much for the compiler.
        let deciding = Box::pin(self.decide(push, uploader));
        let decision = before(deadline, &self.clock, deciding)
            .await
            .unwrap_or(Err(WatchError::Deadline))?;
        let decided = self.clock.now();
        let (outcome, deferred) = match &decision.finding {
            None => (outcome_without_finding(&decision), None),
            Some(finding) if finding.reason == Reason::LearnedUploader => (Outcome::Learned, None),
            Some(_) if decision.owed == Owed::Digest => {
                (Outcome::FindingDeferred, Some(DeferReason::Digest))
            }
            Some(finding) => {
                let publishing = Box::pin(self.publish(finding, deadline));
                match before(deadline, &self.clock, publishing).await {
                    Some(Ok(())) => (Outcome::FindingPublished, None),
                    Some(Err(why)) => (Outcome::FindingDeferred, Some(why)),
                    None => (Outcome::FindingDeferred, Some(DeferReason::Deadline)),
                }
            }
        };
        Ok(PushOutcome {
            outcome,
            rule: decision.rule,
            finding: decision.finding,
            deferred,
            suppression_fault: decision.suppression_fault,
            decide_time: decided.duration_since(began),
            publish_time: self.clock.now().duration_since(decided),
        })
    }

    /// Asks, decides and commits, again as long as other writes come first.
    async fn decide(
        &self,
        push: &Push,
        uploader: &Uploader,
    ) -> Result<Decision, WatchError<S::Error>> {
        let (mut decisions, mut conflicts) = (0, 0);
        loop {
            let mut step = self.ask(push, uploader).await?;
            if let Step::Lost(stored) = step {
                let record = stored.filter(|stored| stored.counts_for(uploader));
                // Boxed, so that an ordinary push does not need room for it.
                step = Box::pin(self.step(record.as_deref(), push, uploader)).await?;
            }
            match step {
                Step::Done(decision) => return Ok(*decision),
                Step::Lost(_) => decisions += 1,
                Step::Busy => conflicts += 1,
            }
            if decisions == DECISIONS || conflicts > CONFLICTS {
                return Err(WatchError::Contended);
            }
            // What was shown is old after the wait: it is asked again.
            self.clock.sleep(wait(push, decisions + conflicts)).await;
        }
    }

    /// "Is this an ordinary push by somebody known?" If not, what is remembered.
    async fn ask(&self, push: &Push, uploader: &Uploader) -> Result<Step, WatchError<S::Error>> {
        if uploader.is_unidentified() {
            return Ok(Step::Lost(None));
        }
        let step = if push.failed() {
            Step::Lost(self.find(&uploader.key).await?)
        } else {
            self.touch(push, uploader).await?
        };
        match (step, &uploader.former_key) {
            (Step::Lost(None), Some(former)) => Ok(Step::Lost(self.find(former).await?)),
            (step, _) => Ok(step),
        }
    }

    async fn find(&self, key: &str) -> Result<Option<Box<Record>>, WatchError<S::Error>> {
        let found = self.store.find(key).await;
        found
            .map(|record| record.map(Box::new))
            .map_err(WatchError::Store)
    }

    async fn touch(&self, push: &Push, uploader: &Uploader) -> Result<Step, WatchError<S::Error>> {
        let answer = self.store.touch(push, uploader, &self.policy).await;
        answer.map(Step::from).map_err(WatchError::Store)
    }

    /// What follows from the record that was shown.
    async fn step(
        &self,
        record: Option<&Record>,
        push: &Push,
        uploader: &Uploader,
    ) -> Result<Step, WatchError<S::Error>> {
        if !push.failed()
            && record.is_some_and(|record| is_late(record, push, uploader, &self.policy))
        {
            let answer = self.store.touch_late(push, uploader, &self.policy).await;
            return answer.map(Step::from).map_err(WatchError::Store);
        }
        let decision = decide(record, push, uploader, &self.policy);
        let now = self.clock.now();
        let committed = match (record, &decision.record, &decision.finding) {
            (_, None, None) => Ok(CommitAnswer::Applied),
            (Some(read), Some(_), finding) if decision.moves_only_times() => {
                let commit = TimesCommit {
                    read,
                    push,
                    uploader,
                    finding: finding.as_ref(),
                    now,
                };
                self.store.commit_times(commit).await
            }
            (read, record, finding) => {
                let commit = Commit {
                    read_revision: read.map(|read| read.revision),
                    record: record.as_ref(),
                    finding: finding.as_ref(),
                    owed: decision.owed,
                    now,
                };
                self.store.commit(commit).await
            }
        };
        Ok(match committed.map_err(WatchError::Store)? {
            CommitAnswer::Applied => Step::Done(Box::new(decision)),
            CommitAnswer::AlreadyDecided => {
                Step::Done(Box::new(Decision::nothing(DecisionRule::Duplicate)))
            }
            CommitAnswer::Lost(stored) => Step::Lost(stored),
            CommitAnswer::Busy => Step::Busy,
        })
    }

    /// Publishes a finding, and settles it.
    async fn publish(
        &self,
        finding: &Finding,
        deadline: Timestamp,
    ) -> Result<(), DeferReason<N::Error>> {
        if let Some(per_minute) = self.findings_per_minute {
            let now = self.clock.now();
            let token = self.store.take_token(per_minute, finding.severity, now);
            match token.await {
                Ok(true) => {}
                Ok(false) => return Err(DeferReason::Budget),
                Err(error) => return Err(DeferReason::Token(error.to_string())),
            }
        }
        let left = deadline.duration_since(self.clock.now());
        let within = Duration::try_from(left).unwrap_or_default().min(PUBLISH);
        let message_id = self
            .notifier
            .publish(Message::Finding(finding), within)
            .await
            .map_err(DeferReason::Publish)?;
        self.store
            .settle(&finding.id.to_string(), &message_id, self.clock.now())
            .await
            .map_err(|error| DeferReason::Settle(error.to_string()))
    }
}

impl From<TouchAnswer> for Step {
    fn from(answer: TouchAnswer) -> Self {
        match answer {
            TouchAnswer::Ordinary => Self::Done(Box::new(Decision::nothing(DecisionRule::Known))),
            TouchAnswer::Refused(record) => Self::Lost(record),
            TouchAnswer::Busy => Self::Busy,
        }
    }
}

/// The wait after the given number of collisions. Its maximum doubles each time. The
/// event decides which part of that it is, from a tenth to the whole, so that pushes
/// that collided do not collide again.
fn wait(push: &Push, collisions: u32) -> Duration {
    let most = FIRST_WAIT.saturating_mul(1 << (collisions - 1).min(10));
    let mut hasher = DefaultHasher::new();
    (&push.event_id, collisions).hash(&mut hasher);
    let tenths = 1 + u32::try_from(hasher.finish() % 10).unwrap_or_default();
    most.min(LONGEST_WAIT) / 10 * tenths
}

fn outcome_without_finding(decision: &Decision) -> Outcome {
    match decision.rule {
        _ if decision.suppressed => Outcome::FindingSuppressed,
        DecisionRule::Duplicate => Outcome::Duplicate,
        DecisionRule::FailedPush => Outcome::FailedPush,
        DecisionRule::TrustedByPattern => Outcome::Trusted,
        _ => Outcome::Known,
    }
}
