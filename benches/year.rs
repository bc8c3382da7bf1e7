//! A year of an organization, by the function's own code over the store in memory: how
//! many calls it makes, and what they cost by the prices of docs/deployment.md.
//! `cargo bench --bench year`.

#![allow(clippy::unwrap_used)]
#![allow(clippy::cast_precision_loss)] // of sums of money

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pushwatch::clock::Clock;
use pushwatch::event::{self, Event, Push};
use pushwatch::finding::{Finding, Severity};
use pushwatch::identity::{Uploader, identify};
use pushwatch::notify::Notifier;
use pushwatch::policy::Policy;
use pushwatch::record::Record;
use pushwatch::render::Message;
use pushwatch::store::{
    Commit, CommitAnswer, Lease, MemoryStore, OwedPage, Store, TimesCommit, TouchAnswer,
};
use pushwatch::watch::{Outcome, Watch};

const MINUTES: u64 = 365 * 24 * 60;
const PUSHES: u64 = 10_000_000;
/// Who pushes at the beginning of the year: all of them are known.
const UPLOADERS: u64 = 20_000;
const NEW_A_MONTH: u64 = 300;
/// So many new uploaders within an hour, as when an account is taken into the
/// organization: the minutes when that begins.
const FLOOD: u64 = 2_000;
const FLOODS: [u64; 2] = [100 * 24 * 60, 250 * 24 * 60];

// Prices of docs/deployment.md, in USD.
const REQUEST: f64 = 0.20e-6;
const GB_SECOND: f64 = 0.000_013_3;
const WRITE_UNIT: f64 = 0.625e-6;
const READ_UNIT: f64 = 0.125e-6;
const LOG_GB: f64 = 0.50;
/// 128 MB, and 20 ms a push or sweep and 2 ms an image action, as assumed there.
const GB: f64 = 0.125;
const PUSH_SECONDS: f64 = 0.020;
const IMAGE_ACTION_SECONDS: f64 = 0.002;
/// Bytes of log of a push, an image action, a sweep, as counted there.
const LOG: [f64; 3] = [484.0, 470.0, 501.0];
/// Metrics, alarms and polling, a month, without the dashboard.
const FIXED_A_MONTH: f64 = 5.10 + 1.80 + 0.52;

/// What is called, and the units that it takes. A transaction counts twice, and so does a
/// finding while it is in the index; a record is of 0.5 KB, a finding of less than 4.
#[derive(Default)]
struct Counts {
    calls: AtomicU64,
    writes: AtomicU64,
    /// Halves, since the sweep's scan is not consistent.
    half_reads: AtomicU64,
    messages: AtomicU64,
}

impl Counts {
    fn write(&self, units: u64) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.writes.fetch_add(units, Ordering::Relaxed);
    }
}

/// The store in memory, counted.
struct Counted<'a>(MemoryStore, &'a Counts);

impl Store for Counted<'_> {
    type Error = Infallible;
    type Cursor = String;

    async fn touch(
        &self,
        push: &Push,
        uploader: &Uploader,
        policy: &Policy,
    ) -> Result<TouchAnswer, Infallible> {
        self.1.write(1);
        self.0.touch(push, uploader, policy).await
    }

    async fn touch_late(
        &self,
        push: &Push,
        uploader: &Uploader,
        policy: &Policy,
    ) -> Result<TouchAnswer, Infallible> {
        self.1.write(1);
        self.0.touch_late(push, uploader, policy).await
    }

    async fn find(&self, key: &str) -> Result<Option<Record>, Infallible> {
        self.1.calls.fetch_add(1, Ordering::Relaxed);
        self.1.half_reads.fetch_add(2, Ordering::Relaxed);
        self.0.find(key).await
    }

    async fn commit(&self, commit: Commit<'_>) -> Result<CommitAnswer, Infallible> {
        self.1.write(match commit.finding {
            // Record 2, finding 2 for each of 4 KB, its item of the index 1.
            Some(_) => 2 + 8 + 1,
            None => 1,
        });
        self.0.commit(commit).await
    }

    async fn commit_times(&self, revoked: TimesCommit<'_>) -> Result<CommitAnswer, Infallible> {
        self.1.write(2 + 8 + 1);
        self.0.commit_times(revoked).await
    }

    async fn take_token(
        &self,
        per_minute: u8,
        severity: Severity,
        now: Timestamp,
    ) -> Result<bool, Infallible> {
        self.1.write(1);
        self.0.take_token(per_minute, severity, now).await
    }

    async fn settle(&self, id: &str, message_id: &str, now: Timestamp) -> Result<(), Infallible> {
        self.1.write(4 + 1);
        self.0.settle(id, message_id, now).await
    }

    async fn owed(&self, from: Option<String>) -> Result<OwedPage<String>, Infallible> {
        let page = self.0.owed(from).await?;
        self.1.calls.fetch_add(1, Ordering::Relaxed);
        // Items of some 200 bytes; half a unit for each 4 KB, and for nothing too.
        let halves = (page.owed.len() as u64 * 200).div_ceil(4096).max(1);
        self.1.half_reads.fetch_add(halves, Ordering::Relaxed);
        Ok(page)
    }

    async fn lease(
        &self,
        id: &str,
        holder: &str,
        now: Timestamp,
    ) -> Result<Option<Lease>, Infallible> {
        self.1.write(4 + 1);
        self.0.lease(id, holder, now).await
    }

    async fn lease_sweep(&self, holder: &str, now: Timestamp) -> Result<bool, Infallible> {
        self.1.write(1);
        self.0.lease_sweep(holder, now).await
    }

    async fn end_sweep(&self, holder: &str) -> Result<(), Infallible> {
        self.1.write(1);
        self.0.end_sweep(holder).await
    }
}

/// Takes every message; a list as long as SNS's limit lets it be, some eighty findings.
struct Topic<'a>(&'a Counts);

impl Notifier for Topic<'_> {
    type Error = Infallible;

    async fn publish(&self, _: Message<'_>, _: Duration) -> Result<String, Infallible> {
        self.0.messages.fetch_add(1, Ordering::Relaxed);
        Ok("message".to_owned())
    }

    fn fit(&self, findings: &[Finding]) -> usize {
        findings.len().min(80)
    }
}

/// The time of the simulation, in seconds.
struct Simulated<'a>(&'a AtomicI64);

impl Clock for Simulated<'_> {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::Relaxed)).unwrap()
    }

    async fn sleep(&self, _: Duration) {}

    async fn until(&self, _: Timestamp) {
        std::future::pending::<()>().await;
    }
}

/// Runs what never waits.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("nothing waits here"),
    }
}

/// A push of the role of this number.
fn push(role: u64, number: u64, now: Timestamp) -> (Push, Uploader) {
    let json = format!(
        r#"{{"eventVersion":"1.11","userIdentity":{{"type":"AssumedRole","principalId":"AROA{role:017}:build","arn":"arn:aws:sts::111122223333:assumed-role/build-{role}/build","accountId":"111122223333","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"AROA{role:017}","arn":"arn:aws:iam::111122223333:role/build-{role}","accountId":"111122223333","userName":"build-{role}"}}}}}},"eventTime":"{now}","eventSource":"ecr.amazonaws.com","eventName":"PutImage","awsRegion":"eu-central-1","requestParameters":{{"repositoryName":"team/app","imageTag":"{number}"}},"eventID":"{number:036}","recipientAccountId":"111122223333"}}"#
    );
    let Ok(Event::Push(push, identity)) = event::read(&json, now) else {
        panic!("not a push: {json}");
    };
    let uploader = identify(&identity, push.account.as_deref()).uploader;
    (*push, uploader)
}

fn main() {
    // `cargo test --benches` runs it too: then a thousandth is enough.
    let divisor = if std::env::args().any(|one| one == "--bench") {
        1
    } else {
        1000
    };
    let pushes = PUSHES / divisor;
    let began: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let (clock, counts) = (AtomicI64::new(began.as_second()), Counts::default());
    let mut watch = Watch {
        store: Counted(MemoryStore::default(), &counts),
        notifier: Topic(&counts),
        clock: Simulated(&clock),
        policy: Policy {
            learning_until: Some(began + SignedDuration::from_secs(1)),
            ..Policy::default()
        },
        findings_per_minute: Some(5),
    };
    let (mut number, mut reported, mut most_owed, mut longest_owed) = (0, 0, 0, 0);
    let mut handle = |watch: &Watch<_, _, _>, role, now: Timestamp| {
        number += 1;
        let (push, uploader) = push(role, number, now);
        let outcome =
            ready(watch.push(&push, &uploader, now + SignedDuration::from_secs(28))).unwrap();
        reported += u64::from(matches!(
            outcome.outcome,
            Outcome::FindingPublished | Outcome::FindingDeferred
        ));
    };
    for role in 0..UPLOADERS / divisor {
        handle(&watch, role, began);
    }
    // They are known from here on, and their digest is not of this year.
    watch.policy = Policy::default();
    let known = watch.store.0.records();
    watch.store = Counted(MemoryStore::with_records(known), &counts);
    for counter in [
        &counts.calls,
        &counts.writes,
        &counts.half_reads,
        &counts.messages,
    ] {
        counter.store(0, Ordering::Relaxed);
    }

    let (mut handled, mut newest, mut flooded) = (0, UPLOADERS / divisor, 0);
    for minute in 0..MINUTES {
        clock.store(
            began.as_second() + (minute.cast_signed() + 1) * 60,
            Ordering::Relaxed,
        );
        let now = Timestamp::from_second(clock.load(Ordering::Relaxed)).unwrap();
        let due = pushes * (minute + 1) / MINUTES;
        let known = newest;
        while handled < due {
            // Each comes again within days, so that nobody is absent for long.
            handle(&watch, handled % known, now);
            handled += 1;
        }
        let in_time = NEW_A_MONTH * 12 / divisor * (minute + 1) / MINUTES;
        while newest - flooded < UPLOADERS / divisor + in_time {
            handle(&watch, newest, now);
            newest += 1;
        }
        if FLOODS
            .iter()
            .any(|flood| (*flood..flood + 60).contains(&minute))
        {
            for _ in 0..(FLOOD / divisor).div_ceil(60) {
                handle(&watch, newest, now);
                (newest, flooded) = (newest + 1, flooded + 1);
            }
        }
        // Half a minute later.
        clock.fetch_add(30, Ordering::Relaxed);
        let deadline = now + SignedDuration::from_secs(59);
        let swept = ready(watch.sweep("sweep", deadline));
        most_owed = most_owed.max(swept.owed + swept.published);
        longest_owed = longest_owed.max(swept.oldest_owed_seconds);
    }

    println!(
        "{} uploaders, {reported} findings in {} messages; at most {most_owed} owed at once, \
         the oldest for {longest_owed} s",
        watch.store.0.len(),
        counts.messages.load(Ordering::Relaxed),
    );
    price(number - UPLOADERS / divisor, &counts);
}

/// Says what it costs.
fn price(pushes: u64, counts: &Counts) {
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (events, sweeps) = (pushes as f64, MINUTES as f64);
    let rows = [
        ("requests", (2.0 * events + sweeps) * REQUEST),
        (
            "duration",
            ((events + sweeps) * PUSH_SECONDS + events * IMAGE_ACTION_SECONDS) * GB * GB_SECOND,
        ),
        ("write units", count(&counts.writes) as f64 * WRITE_UNIT),
        (
            "read units",
            count(&counts.half_reads) as f64 / 2.0 * READ_UNIT,
        ),
        (
            "log",
            (events * (LOG[0] + LOG[1]) + sweeps * LOG[2]) / 1e9 * LOG_GB,
        ),
        ("metrics, alarms, polling", FIXED_A_MONTH * 12.0),
    ];
    println!(
        "{pushes} pushes, {MINUTES} sweeps: {} calls of DynamoDB, {} write units, {} read units",
        count(&counts.calls),
        count(&counts.writes),
        count(&counts.half_reads) / 2,
    );
    for (name, price) in rows {
        println!("  {name:26} {price:9.2} USD");
    }
    println!(
        "  {:26} {:9.2} USD a year",
        "together",
        rows.iter().map(|(_, price)| price).sum::<f64>()
    );
}
