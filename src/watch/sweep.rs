//! The sweep: publishes what is still owed, worst first.
//!
//! It reads the index of what is owed, keeps the worst, and only then claims and
//! publishes. One sweep publishes at a time.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Watch;
use crate::clock::Clock;
use crate::finding::{Finding, Owed, Severity};
use crate::notify::Notifier;
use crate::policy::Policy;
use crate::render::Message;
use crate::store::{LEASE, OwedFinding, SWEEP_LEASE, Store};
use crate::text::clean_cut;

/// At most this many owed findings go one by one; more go as lists.
const ONE_BY_ONE: usize = 5;
/// How many findings a sweep keeps of all that is owed, and as many for the digest: the
/// worst, and of those the oldest. If it can't publish all of these, the next ones follow.
const MOST_KEPT: usize = 500;
/// How many findings are claimed at a time, so that a sweep that runs out of
/// time has published most of what it claimed.
const CLAIMED_AT_ONCE: usize = 100;
/// A finding that was claimed more often than this waits behind the others, and
/// is named in an alarm if it is refused again.
const ATTEMPTS: u64 = 10;
/// Longest time for one message.
const PUBLISH: Duration = Duration::from_secs(10);
/// Between two messages of a sweep.
const PAUSE: Duration = Duration::from_millis(250);
/// How long before its deadline a sweep stops, if it has three times as much.
const RESERVE: SignedDuration = SignedDuration::from_secs(10);
/// How long before its deadline a sweep has ended publishing and settling.
const MARGIN: SignedDuration = SignedDuration::from_secs(1);
/// How long the digest waits after learning for events that come late.
const STRAGGLERS: SignedDuration = SignedDuration::from_hours(1);
/// A line of the digest waits for this time at most.
const DIGEST_EVERY: SignedDuration = SignedDuration::from_hours(24);

/// What a sweep did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Findings that were published.
    pub published: usize,
    /// How many messages that took.
    pub messages: usize,
    /// Findings that are still owed, the digest's included.
    pub owed: usize,
    /// Messages that were not accepted.
    pub publish_failures: usize,
    /// The ids of findings that were refused once more after many attempts.
    pub refused: Vec<String>,
    /// How long the oldest finding that was owed had waited, in seconds. Findings of
    /// the digest wait from when it was due.
    pub oldest_owed_seconds: i64,
    /// Whether the store failed to list what is owed, so that `owed` and the age say
    /// nothing.
    pub incomplete: bool,
    /// Why nothing was published, if another sweep is at work.
    pub why: Option<&'static str>,
    /// What went wrong, a line each.
    pub faults: Vec<String>,
}

impl<S: Store, N: Notifier, C: Clock> Watch<S, N, C> {
    /// Publishes what is owed, until it is done or the deadline is near. It never
    /// fails: the answer says what went wrong, and what was not published stays
    /// owed. `holder` is this sweep's own name.
    pub async fn sweep(&self, holder: &str, deadline: Timestamp) -> SweepReport {
        let time_left = deadline.duration_since(self.clock.now());
        let stop_at = deadline - RESERVE.min(time_left / 3);
        let mut sweep = Sweep {
            watch: self,
            holder,
            deadline,
            stop_at,
            others_until: stop_at,
            tried: HashSet::new(),
            postponed: Vec::new(),
            report: SweepReport::default(),
        };
        let due = sweep.read().await;
        if !due.is_empty() && sweep.take_lease().await {
            sweep.publish_all(due).await;
            sweep.release_lease().await;
        }
        // What was published after a listing that failed is not in it.
        sweep.report.owed = sweep.report.owed.saturating_sub(sweep.report.published);
        sweep.report
    }
}

/// What is due, worst and then oldest first.
struct Due {
    findings: Vec<OwedFinding>,
    digest: Vec<OwedFinding>,
}

impl Due {
    fn is_empty(&self) -> bool {
        self.findings.is_empty() && self.digest.is_empty()
    }

    fn len(&self) -> usize {
        self.findings.len() + self.digest.len()
    }

    /// Whether there may be more than was kept.
    fn is_full(&self) -> bool {
        [&self.findings, &self.digest]
            .into_iter()
            .any(|kept| kept.len() == MOST_KEPT)
    }
}

/// A finding that this sweep has claimed.
struct Claim {
    id: String,
    owed: Owed,
    /// How often it was claimed, this time included.
    attempts: u64,
    finding: Finding,
}

/// A sweep under way.
struct Sweep<'a, S, N, C> {
    watch: &'a Watch<S, N, C>,
    holder: &'a str,
    deadline: Timestamp,
    stop_at: Timestamp,
    /// When what is postponed has its turn, if something is.
    others_until: Timestamp,
    /// The ids of what was kept before.
    tried: HashSet<String>,
    /// Claimed too often: they go after all others.
    postponed: Vec<Claim>,
    report: SweepReport,
}

impl<S: Store, N: Notifier, C: Clock> Sweep<'_, S, N, C> {
    fn now(&self) -> Timestamp {
        self.watch.clock.now()
    }

    fn has_time(&self) -> bool {
        self.now() < self.stop_at
    }

    /// Whether there is time for what is not postponed.
    fn has_time_for_others(&self) -> bool {
        self.has_time() && (self.postponed.is_empty() || self.now() < self.others_until)
    }

    /// Reads what is owed to its end, or for a third of the time.
    async fn read(&mut self) -> Due {
        let began = self.now();
        let read_until = began + self.stop_at.duration_since(began) / 3;
        let mut due = Due {
            findings: Vec::new(),
            digest: Vec::new(),
        };
        let mut digest_due: Option<Timestamp> = None;
        let mut next = None;
        // What was published is owed no more.
        self.report.owed = self.report.published;
        loop {
            let page = match self.watch.store.owed(next.take()).await {
                Ok(page) => page,
                Err(error) => {
                    self.report.faults.push(error.to_string());
                    self.report.incomplete = true;
                    break;
                }
            };
            self.report.owed += page.owed.len();
            let now = self.now();
            for owed in page.owed {
                match owed.owed {
                    Owed::Finding => {
                        if let Some(since) = owed.since {
                            self.note_age(since, now);
                        }
                        if waited(&owed, now) >= LEASE && !self.tried.contains(&owed.id) {
                            due.findings.push(owed);
                        }
                    }
                    Owed::Digest => {
                        let line_due = is_due(&owed, now, &self.watch.policy);
                        digest_due = Some(digest_due.map_or(line_due, |due| due.min(line_due)));
                        if !self.tried.contains(&owed.id) {
                            due.digest.push(owed);
                        }
                    }
                }
            }
            for kept in [&mut due.findings, &mut due.digest] {
                keep_the_worst(kept);
            }
            next = page.next;
            if next.is_none() {
                break;
            }
            if now >= read_until {
                self.report.faults.push(
                    "there was no time to read all that is owed: its count and age are at \
                     least the ones given"
                        .to_owned(),
                );
                break;
            }
        }
        // A digest takes all that is owed to it.
        match digest_due {
            Some(due_since) if due_since > self.now() => due.digest.clear(),
            Some(due_since) => self.note_age(due_since, self.now()),
            None => {}
        }
        due
    }

    fn note_age(&mut self, since: Timestamp, now: Timestamp) {
        let seconds = now.duration_since(since).as_secs();
        self.report.oldest_owed_seconds = self.report.oldest_owed_seconds.max(seconds);
    }

    /// Takes the lease of the one sweep that publishes; false if another one has it.
    async fn take_lease(&mut self) -> bool {
        let now = self.now();
        match self.watch.store.lease_sweep(self.holder, now).await {
            Ok(true) => {
                self.stop_at = self.stop_at.min(now + SWEEP_LEASE);
                true
            }
            Ok(false) => {
                self.report.why = Some("another sweep is at work");
                false
            }
            Err(error) => {
                self.report.faults.push(error.to_string());
                false
            }
        }
    }

    async fn release_lease(&mut self) {
        if let Err(error) = self.watch.store.end_sweep(self.holder).await {
            self.report.faults.push(error.to_string());
        }
    }

    /// Publishes what was kept. If that was not all, and some of it could not be published,
    /// be it damaged or refused, what comes after it has its turn: else hundreds of damaged
    /// findings would hold up all others for ever. What is postponed comes after all others, but
    /// not later than after half of the time.
    async fn publish_all(&mut self, mut due: Due) {
        let now = self.now();
        self.others_until = now + self.stop_at.duration_since(now) / 2;
        loop {
            let published = self.report.published;
            self.publish_due(&due).await;
            let is_stuck = self.report.published - published < due.len();
            let goes_on = due.is_full() && is_stuck;
            if !(goes_on && self.has_time_for_others()) {
                self.publish_postponed().await;
                self.others_until = self.stop_at;
            }
            if !(goes_on && self.has_time()) {
                return;
            }
            let kept = due.findings.into_iter().chain(due.digest);
            self.tried.extend(kept.map(|owed| owed.id));
            due = self.read().await;
        }
    }

    async fn publish_postponed(&mut self) {
        let postponed = std::mem::take(&mut self.postponed);
        let (findings, digest) = postponed
            .into_iter()
            .partition(|claimed| claimed.owed == Owed::Finding);
        self.publish(findings).await;
        self.publish(digest).await;
    }

    async fn publish_due(&mut self, due: &Due) {
        let at_once = if due.findings.len() <= ONE_BY_ONE {
            1
        } else {
            CLAIMED_AT_ONCE
        };
        for (owed, at_once) in [(&due.findings, at_once), (&due.digest, CLAIMED_AT_ONCE)] {
            let mut left = owed.as_slice();
            while !left.is_empty() && self.has_time_for_others() {
                let claimed = self.claim(&mut left, at_once).await;
                self.publish(claimed).await;
            }
        }
    }

    /// Claims the next findings, at most `at_once` of them. Those that were claimed too
    /// often are postponed.
    async fn claim(&mut self, left: &mut &[OwedFinding], at_once: usize) -> Vec<Claim> {
        // A third of the time for claiming, which leaves as much for settling.
        let now = self.now();
        let claim_until = now + self.stop_at.duration_since(now) / 3;
        let mut claimed = Vec::new();
        while let [first, later @ ..] = *left {
            *left = later;
            if let Some(one) = self.claim_one(first).await {
                if one.attempts > ATTEMPTS {
                    self.postponed.push(one);
                } else {
                    claimed.push(one);
                }
            }
            if claimed.len() == at_once || self.now() >= claim_until {
                break;
            }
        }
        claimed
    }

    async fn claim_one(&mut self, owed: &OwedFinding) -> Option<Claim> {
        let leased = self.watch.store.lease(&owed.id, self.holder, self.now());
        let fault = match leased.await {
            Ok(None) => return None,
            Ok(Some(leased)) => match serde_json::from_str(&leased.body) {
                Ok(finding) => {
                    return Some(Claim {
                        id: owed.id.clone(),
                        owed: owed.owed,
                        attempts: leased.attempts,
                        finding,
                    });
                }
                // The error says where, not what: the body holds texts of an event.
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
        self.report.faults.push(fault);
        None
    }

    /// Publishes and settles what was claimed: one finding as it is, more as lists
    /// that are as long as can be. A list that is refused is published in halves.
    async fn publish(&mut self, mut claimed: Vec<Claim>) {
        claimed.sort_by_key(|claimed| claimed.finding.rank());
        let owed = claimed.first().map_or(Owed::Finding, |first| first.owed);
        let (claims, findings): (Vec<_>, Vec<_>) = claimed
            .into_iter()
            .map(|claimed| ((claimed.id, claimed.attempts), claimed.finding))
            .unzip();
        // The ranges that are still to be published, the first one last.
        let mut ranges = Vec::new();
        ranges.push(0..findings.len());
        while let Some(range) = ranges.pop() {
            if range.is_empty() {
                continue;
            }
            if self.report.messages + self.report.publish_failures > 0 {
                self.watch.clock.sleep(PAUSE).await;
            }
            if !self.has_time() {
                return;
            }
            let fit = self.watch.notifier.fit(&findings[range.clone()]);
            let these = range.start..range.start + fit;
            ranges.push(these.end..range.end);
            let message = match (owed, &findings[these.clone()]) {
                (Owed::Digest, findings) => Message::Digest(findings),
                (Owed::Finding, [finding]) => Message::Finding(finding),
                (Owed::Finding, findings) => Message::Rollup(findings),
            };
            match self.publish_one(message).await {
                Ok(message_id) => {
                    self.report.messages += 1;
                    self.settle(&claims[these], &message_id).await;
                }
                Err(error) => {
                    self.report.publish_failures += 1;
                    self.report.faults.push(error.to_string());
                    if N::is_refused(&error) {
                        // One of them may be what is refused: the others must not wait.
                        let middle = these.start + fit / 2;
                        if fit > 1 {
                            ranges.extend([middle..these.end, these.start..middle]);
                        } else {
                            self.note_refusal(&claims[these.start]);
                        }
                    }
                }
            }
        }
    }

    async fn publish_one(&self, message: Message<'_>) -> Result<String, N::Error> {
        let left = self.deadline.duration_since(self.now()) - MARGIN;
        let within = Duration::try_from(left).unwrap_or_default().min(PUBLISH);
        self.watch.notifier.publish(message, within).await
    }

    fn note_refusal(&mut self, (id, attempts): &(String, u64)) {
        if *attempts >= ATTEMPTS {
            self.report.refused.push(clean_cut(id, 80));
        }
    }

    async fn settle(&mut self, claims: &[(String, u64)], message_id: &str) {
        self.report.published += claims.len();
        let mut slowest = SignedDuration::ZERO;
        for (index, (id, _)) in claims.iter().enumerate() {
            let began = self.now();
            // If Lambda kills the sweep, nobody learns what it found.
            if index > 0 && self.deadline.duration_since(began) < slowest + MARGIN {
                self.report.faults.push(format!(
                    "there was no time to settle {} findings that were published: they are \
                     published again",
                    claims.len() - index
                ));
                return;
            }
            let settled = self.watch.store.settle(id, message_id, began);
            if let Err(error) = settled.await {
                self.report.faults.push(error.to_string());
            }
            slowest = slowest.max(self.now().duration_since(began));
        }
    }
}

/// How long a finding has been owed. If it is owed since a time in the future, a
/// clock was wrong, and it counts as owed for ever.
fn waited(owed: &OwedFinding, now: Timestamp) -> SignedDuration {
    match owed.since {
        Some(since) if since <= now + LEASE => now.duration_since(since),
        _ => SignedDuration::MAX,
    }
}

/// When a line of the digest is due: somebody who was learned as `LEARNING_UNTIL` has
/// it, an unusual push a day after it was decided. One that is owed since a time in the
/// future, or since no known time, is due now.
fn is_due(owed: &OwedFinding, now: Timestamp, policy: &Policy) -> Timestamp {
    let Some(since) = owed.since.filter(|since| *since <= now + LEASE) else {
        return now;
    };
    // No other finding than that of somebody learned is informational.
    let is_unusual = owed
        .severity
        .is_some_and(|severity| severity > Severity::Informational);
    match policy.learning_until {
        _ if is_unusual => since + DIGEST_EVERY,
        None => since,
        Some(until) => {
            let over = until.checked_add(STRAGGLERS).unwrap_or(Timestamp::MAX);
            over.max(since).min(since + DIGEST_EVERY)
        }
    }
}

/// Sorts by severity, then age, and keeps the first of them. A finding without a
/// severity in the index may be of any, so it counts as critical.
fn keep_the_worst(owed: &mut Vec<OwedFinding>) {
    let severity = |owed: &OwedFinding| owed.severity.unwrap_or(Severity::Critical);
    owed.sort_by_key(|owed| (Reverse(severity(owed)), owed.since));
    owed.truncate(MOST_KEPT);
}
