//! The sweep, and races, through the real `watch` code over the store in memory,
//! with a clock and a notifier of the test's own.

use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pushwatch::clock::Clock;
use pushwatch::event::Push;
use pushwatch::finding::{Finding, Owed, Reason};
use pushwatch::identity::Uploader;
use pushwatch::notify::Notifier;
use pushwatch::policy::Policy;
use pushwatch::record::{Record, Standing};
use pushwatch::render::Message;
use pushwatch::store::{Commit, CommitAnswer, MemoryStore, Store, TouchAnswer};
use pushwatch::watch::{DeferReason, Outcome, PushOutcome, SweepReport, Watch, WatchError};

use crate::support::events::{iam_user, push_by, read, record, time};
use crate::support::intercept::{Answer, Call, Intercept, Intercepted};

const START: &str = "2026-11-24T00:00:00Z";

/// Moves only when it is told to, or slept on.
struct TestClock(Mutex<Timestamp>);

impl TestClock {
    fn pass(&self, seconds: i64) {
        *self.0.lock().unwrap() += SignedDuration::from_secs(seconds);
    }
}

impl Clock for &TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    async fn sleep(&self, duration: Duration) {
        *self.0.lock().unwrap() += SignedDuration::try_from(duration).unwrap();
    }

    /// A call that is never answered ends the time there is.
    async fn until(&self, time: Timestamp) {
        *self.0.lock().unwrap() = time;
    }
}

/// The store in memory, but each call takes time, and commits may be lost to
/// other writes.
struct Between<'a> {
    store: MemoryStore,
    clock: &'a TestClock,
    milliseconds: AtomicI64,
    /// How long settling takes beside.
    settling_seconds: AtomicI64,
    lost: AtomicUsize,
    /// How many of the next touches meet a transaction.
    busy: AtomicUsize,
    /// How many of the next commits do.
    busy_commits: AtomicUsize,
    /// The call of that name is never answered.
    hangs: Mutex<Option<&'static str>>,
    /// The bodies of findings with an id up to this can't be read.
    damaged_to: Mutex<Option<String>>,
}

/// Takes one of those left, if there is one.
fn take_one(left: &AtomicUsize) -> bool {
    let less = |left: usize| left.checked_sub(1);
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
        .is_ok()
}

impl Intercept for Between<'_> {
    type Error = Infallible;

    async fn call(&self, call: Call<'_>) -> Result<Answer, Infallible> {
        if *self.hangs.lock().unwrap() == Some(call.name()) {
            std::future::pending::<()>().await;
        }
        let delay = SignedDuration::from_millis(self.milliseconds.load(Ordering::SeqCst));
        *self.clock.0.lock().unwrap() += delay;
        match &call {
            Call::Touch(..) if take_one(&self.busy) => {
                return Ok(Answer::Touch(TouchAnswer::Busy));
            }
            Call::Commit(_) if take_one(&self.busy_commits) => {
                return Ok(Answer::Commit(CommitAnswer::Busy));
            }
            Call::Commit(commit) if take_one(&self.lost) => {
                let key = commit.record.unwrap().uploader.as_str();
                let stored = self.store.find(key).await?;
                return Ok(Answer::Commit(CommitAnswer::Lost(stored.map(Box::new))));
            }
            Call::Settle(..) => {
                let seconds = self.settling_seconds.load(Ordering::SeqCst);
                self.clock.pass(seconds);
            }
            _ => {}
        }
        let damaged = match (&call, &*self.damaged_to.lock().unwrap()) {
            (Call::Lease(id, ..), Some(to)) => *id <= to.as_str(),
            _ => false,
        };
        let mut answer = call.make(&self.store);
        if let Answer::Lease(Some(lease)) = &mut answer
            && damaged
        {
            lease.body.truncate(1);
        }
        Ok(answer)
    }
}

/// Notes when it was told how many findings. Lists hold ten at most, and the
/// next so many messages are refused.
struct Inbox<'a> {
    clock: &'a TestClock,
    told: Mutex<Vec<(Timestamp, &'static str, usize)>>,
    refuse: AtomicUsize,
    /// Whoever's finding is in a message makes it refused for its form.
    refused_name: Mutex<Option<&'static str>>,
    /// How long a message takes.
    seconds: AtomicI64,
    /// How long the last message might take.
    within: Mutex<Duration>,
    /// Whose findings were told, in that order.
    names: Mutex<Vec<String>>,
    /// How many had been told before each refusal for the form.
    refusals: Mutex<Vec<usize>>,
}

impl Notifier for &Inbox<'_> {
    type Error = std::io::Error;

    async fn publish(&self, message: Message<'_>, within: Duration) -> std::io::Result<String> {
        *self.within.lock().unwrap() = within;
        self.clock.pass(self.seconds.load(Ordering::SeqCst));
        if take_one(&self.refuse) {
            return Err(std::io::Error::other("refused"));
        }
        let refused_name = *self.refused_name.lock().unwrap();
        let is_refused = |finding: &Finding| Some(finding.uploader.name.as_str()) == refused_name;
        if message.findings().iter().any(is_refused) {
            let told = self.names.lock().unwrap().len();
            self.refusals.lock().unwrap().push(told);
            return Err(std::io::Error::from(std::io::ErrorKind::InvalidInput));
        }
        let kind = match message {
            Message::Finding(_) => "finding",
            Message::Rollup(_) => "rollup",
            Message::Digest(_) => "digest",
        };
        let names = message.findings().iter();
        let names = names.map(|finding| finding.uploader.name.to_string());
        self.names.lock().unwrap().extend(names);
        let told = (self.clock.now(), kind, message.findings().len());
        self.told.lock().unwrap().push(told);
        Ok("m".to_owned())
    }

    fn is_refused(error: &std::io::Error) -> bool {
        error.kind() == std::io::ErrorKind::InvalidInput
    }

    fn fit(&self, findings: &[Finding]) -> usize {
        findings.len().min(10)
    }
}

type TestWatch<'a> = Watch<Intercepted<Between<'a>>, &'a Inbox<'a>, &'a TestClock>;

/// Findings of `count` new uploaders are owed since a minute; then `test` runs.
fn with_owed(count: usize, policy: Policy, seconds: i64, test: impl AsyncFnOnce(&TestWatch<'_>)) {
    let clock = TestClock(Mutex::new(time(START)));
    let inbox = Inbox {
        clock: &clock,
        told: Mutex::default(),
        refuse: AtomicUsize::new(usize::MAX),
        refused_name: Mutex::default(),
        seconds: AtomicI64::new(0),
        within: Mutex::default(),
        names: Mutex::default(),
        refusals: Mutex::default(),
    };
    let watch = Watch {
        store: Intercepted(Between {
            store: MemoryStore::default(),
            clock: &clock,
            milliseconds: AtomicI64::new(0),
            settling_seconds: AtomicI64::new(0),
            lost: AtomicUsize::new(0),
            busy: AtomicUsize::new(0),
            busy_commits: AtomicUsize::new(0),
            hangs: Mutex::default(),
            damaged_to: Mutex::default(),
        }),
        notifier: &inbox,
        clock: &clock,
        policy,
        findings_per_minute: Some(5),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        for number in 0..count {
            let (push, uploader) = push_by(
                &format!("u{number}"),
                &format!("e{number}"),
                "2026-01-01T00:00:00Z",
            );
            push_now(&watch, &push, &uploader).await.unwrap();
        }
        clock.pass(60);
        inbox.refuse.store(0, Ordering::SeqCst);
        inbox.seconds.store(seconds, Ordering::SeqCst);
        test(&watch).await;
    });
}

impl Inbox<'_> {
    fn told(&self) -> Vec<(&'static str, usize)> {
        let told = self.told.lock().unwrap();
        told.iter()
            .map(|(_, kind, count)| (*kind, *count))
            .collect()
    }
}

/// A push with half a minute of time.
async fn push_now(
    watch: &TestWatch<'_>,
    push: &Push,
    uploader: &Uploader,
) -> Result<PushOutcome<std::io::Error>, WatchError<Infallible>> {
    let deadline = watch.clock.now() + SignedDuration::from_secs(30);
    watch.push(push, uploader, deadline).await
}

/// A sweep with half a minute of time.
async fn sweep(watch: &TestWatch<'_>) -> SweepReport {
    let now = watch.clock.now();
    watch
        .sweep(&now.to_string(), now + SignedDuration::from_secs(30))
        .await
}

#[test]
fn nothing_is_swept_where_nothing_is_owed() {
    with_owed(0, Policy::default(), 0, async |watch| {
        assert_eq!(sweep(watch).await, SweepReport::default());
    });
}

#[test]
fn up_to_five_go_one_by_one_a_quarter_of_a_second_apart() {
    with_owed(5, Policy::default(), 0, async |watch| {
        let swept = sweep(watch).await;
        assert_eq!((swept.published, swept.messages, swept.owed), (5, 5, 0));
        assert_eq!(watch.notifier.told(), [("finding", 1); 5]);
        let told = watch.notifier.told.lock().unwrap();
        let gaps = told
            .windows(2)
            .map(|pair| pair[1].0.duration_since(pair[0].0).as_millis());
        assert_eq!(gaps.collect::<Vec<_>>(), [250; 4]);
    });
}

#[test]
fn more_go_as_lists_that_are_filled() {
    with_owed(25, Policy::default(), 0, async |watch| {
        let swept = sweep(watch).await;
        assert_eq!((swept.published, swept.messages, swept.owed), (25, 3, 0));
        assert_eq!(
            watch.notifier.told(),
            [("rollup", 10), ("rollup", 10), ("rollup", 5)]
        );
        assert_eq!(sweep(watch).await.published, 0);
    });
}

#[test]
fn what_a_handler_may_still_have_is_left_to_it() {
    with_owed(2, Policy::default(), 0, async |watch| {
        watch.clock.pass(-16);
        let swept = sweep(watch).await;
        assert_eq!(
            (swept.published, swept.owed, swept.oldest_owed_seconds),
            (0, 2, 44)
        );
        watch.clock.pass(1);
        assert_eq!(sweep(watch).await.published, 2);
    });
}

#[test]
fn a_sweep_stops_ten_seconds_before_its_deadline_and_the_next_goes_on() {
    with_owed(45, Policy::default(), 6, async |watch| {
        // Messages begin at 0, 6.25, 12.5 and 18.75 s; the next would at 25 s.
        let swept = sweep(watch).await;
        assert_eq!((swept.published, swept.owed), (40, 5));
        // What was claimed and not told is claimed again when the lease is over.
        assert_eq!(sweep(watch).await.published, 0);
        watch.clock.pass(45);
        watch.notifier.seconds.store(0, Ordering::SeqCst);
        assert_eq!(sweep(watch).await.published, 5);
        assert_eq!(sweep(watch).await.owed, 0);
    });
}

#[test]
fn a_message_that_is_refused_does_not_block_the_others() {
    with_owed(25, Policy::default(), 0, async |watch| {
        watch.notifier.refuse.store(1, Ordering::SeqCst);
        let swept = sweep(watch).await;
        assert_eq!(
            (swept.published, swept.publish_failures, swept.owed),
            (15, 1, 10)
        );
        assert_eq!(swept.faults, ["refused"]);
        watch.clock.pass(45);
        assert_eq!(sweep(watch).await.owed, 0);
    });
}

#[test]
fn a_finding_that_is_owed_since_the_future_is_due() {
    with_owed(1, Policy::default(), 0, async |watch| {
        watch.clock.pass(-24 * 60 * 60);
        assert_eq!(sweep(watch).await.published, 1);
    });
}

#[test]
fn the_digest_waits_for_the_end_of_learning_and_an_hour_for_stragglers() {
    let learning = |until: &str| Policy {
        learning_until: Some(time(until)),
        ..Policy::default()
    };
    with_owed(12, learning("2026-11-24T06:00:00Z"), 0, async |watch| {
        assert_eq!(sweep(watch).await.published, 0);
        watch.clock.pass(7 * 60 * 60 - 61);
        let swept = sweep(watch).await;
        assert_eq!((swept.published, swept.oldest_owed_seconds), (0, 0));
        watch.clock.pass(1);
        assert_eq!(sweep(watch).await.published, 12);
        assert_eq!(watch.notifier.told(), [("digest", 10), ("digest", 2)]);
    });
}

#[test]
fn while_learning_runs_the_digest_comes_daily() {
    let learning = Policy {
        learning_until: Some(time("2027-01-01T00:00:00Z")),
        ..Policy::default()
    };
    with_owed(2, learning, 0, async |watch| {
        watch.clock.pass(23 * 60 * 60);
        assert_eq!(sweep(watch).await.published, 0);
        // Somebody who was learned just now goes along.
        let (push, uploader) = push_by("late", "late", "2026-01-01T00:00:00Z");
        let handled = push_now(watch, &push, &uploader).await.unwrap();
        assert_eq!(handled.outcome, Outcome::Learned);
        watch.clock.pass(60 * 60);
        assert_eq!(sweep(watch).await.published, 3);
        assert_eq!(watch.notifier.told(), [("digest", 3)]);
    });
}

/// A push of that user to a repository where it never pushed.
fn push_to_a_new_place(name: &str, number: usize) -> (Push, Uploader) {
    let id = format!("new place {number}");
    let mut event = record(&id, "2026-06-01T00:00:00Z", &iam_user(name));
    event["requestParameters"]["repositoryName"] = format!("team/{number}").into();
    let (push, identified) = read(&event);
    (push, identified.uploader)
}

#[test]
fn unusual_pushes_wait_a_day_for_the_digest_which_takes_all_that_is_owed_to_it() {
    let policy = Policy {
        absence_days: 0,
        ..Policy::default()
    };
    with_owed(1, policy, 0, async |watch| {
        assert_eq!(sweep(watch).await.published, 1);
        for number in 0..2 {
            let (push, uploader) = push_to_a_new_place("u0", number);
            let pushed = push_now(watch, &push, &uploader).await.unwrap();
            assert_eq!(pushed.outcome, Outcome::FindingDeferred);
            assert!(matches!(pushed.deferred, Some(DeferReason::Digest)));
            watch.clock.pass(10 * 60 * 60);
            assert_eq!(sweep(watch).await.published, 0);
        }
        // The oldest waits a day, and takes the other one along.
        watch.clock.pass(4 * 60 * 60 - 1);
        assert_eq!(sweep(watch).await.published, 0);
        watch.clock.pass(1);
        let swept = sweep(watch).await;
        assert_eq!((swept.published, swept.messages, swept.owed), (2, 1, 0));
        assert_eq!(swept.oldest_owed_seconds, 0);
        assert_eq!(watch.notifier.told(), [("finding", 1), ("digest", 2)]);
        // None that is empty follows.
        watch.clock.pass(24 * 60 * 60);
        assert_eq!(sweep(watch).await, SweepReport::default());
    });
}

#[test]
fn a_digest_of_who_was_learned_takes_unusual_pushes_along() {
    let policy = Policy {
        absence_days: 0,
        learning_until: Some(time("2026-03-01T00:00:00Z")),
        ..Policy::default()
    };
    with_owed(3, policy, 0, async |watch| {
        let (push, uploader) = push_to_a_new_place("u0", 0);
        push_now(watch, &push, &uploader).await.unwrap();
        // Learning ended long ago.
        let swept = sweep(watch).await;
        assert_eq!((swept.published, swept.owed), (4, 0));
        assert_eq!(watch.notifier.told(), [("digest", 4)]);
    });
}

#[test]
fn a_digest_that_cannot_be_told_grows_old_from_when_it_was_due() {
    for (until, due_after) in [
        ("2026-11-24T06:00:00Z", 7 * 60 * 60),
        ("2027-01-01T00:00:00Z", 24 * 60 * 60),
    ] {
        let learning = Policy {
            learning_until: Some(time(until)),
            ..Policy::default()
        };
        with_owed(1, learning, 0, async |watch| {
            // Due for a quarter of an hour, a minute of which passed before.
            watch.clock.pass(due_after + 15 * 60 - 60);
            watch.notifier.refuse.store(1, Ordering::SeqCst);
            let swept = sweep(watch).await;
            assert_eq!(
                (swept.publish_failures, swept.oldest_owed_seconds),
                (1, 15 * 60),
                "{until}"
            );
        });
    }
}

#[test]
fn learning_may_end_with_time_itself() {
    let learning = Policy {
        learning_until: Some(time("9999-12-30T21:59:59Z")),
        ..Policy::default()
    };
    with_owed(1, learning, 0, async |watch| {
        assert_eq!(sweep(watch).await.published, 0);
    });
}

#[test]
fn slow_calls_do_not_keep_a_sweep_from_telling_what_it_claimed() {
    with_owed(200, Policy::default(), 0, async |watch| {
        watch.store.0.milliseconds.store(400, Ordering::SeqCst);
        let mut sweeps = 0;
        while !watch
            .store
            .0
            .store
            .owed(None)
            .await
            .unwrap()
            .owed
            .is_empty()
        {
            let began = watch.clock.now();
            let swept = sweep(watch).await;
            assert!(swept.published > 0, "{swept:?}");
            let took = watch.clock.now().duration_since(began).as_secs();
            assert!(took < 30, "{took} s");
            watch.clock.pass(60 - took);
            sweeps += 1;
        }
        assert!(sweeps < 20, "{sweeps}");
    });
}

#[test]
fn slow_settling_does_not_keep_a_sweep_beyond_its_deadline() {
    with_owed(12, Policy::default(), 0, async |watch| {
        watch.store.0.settling_seconds.store(6, Ordering::SeqCst);
        let began = watch.clock.now();
        let swept = sweep(watch).await;
        let took = watch.clock.now().duration_since(began).as_secs();
        assert!(took < 30, "{took} s");
        // It says which it told and could not settle.
        assert_eq!((swept.published, swept.faults.len()), (10, 1), "{swept:?}");
        assert!(swept.faults[0].contains("no time to settle"), "{swept:?}");
        watch.clock.pass(60);
        watch.store.0.settling_seconds.store(0, Ordering::SeqCst);
        sweep(watch).await;
        assert_eq!(watch.store.0.store.owed(None).await.unwrap().owed.len(), 0);
    });
}

#[test]
fn one_finding_that_is_refused_for_its_form_does_not_block_its_list() {
    with_owed(12, Policy::default(), 0, async |watch| {
        *watch.notifier.refused_name.lock().unwrap() = Some("u7");
        let swept = sweep(watch).await;
        assert_eq!((swept.published, swept.owed), (11, 1));
        // As a list of at most ten, and then in halves.
        assert!((2..=5).contains(&swept.publish_failures), "{swept:?}");
        assert!(swept.refused.is_empty());
    });
}

#[test]
fn a_finding_that_is_always_refused_is_named_and_goes_after_the_others() {
    with_owed(12, Policy::default(), 0, async |watch| {
        *watch.notifier.refused_name.lock().unwrap() = Some("u7");
        for _ in 1..10 {
            assert!(sweep(watch).await.refused.is_empty());
            watch.clock.pass(60);
        }
        let swept = sweep(watch).await;
        assert_eq!((swept.refused.len(), swept.owed), (1, 1));
        let owed = watch.store.0.store.owed(None).await.unwrap().owed;
        assert_eq!(swept.refused[0], owed[0].id);

        for number in 20..27 {
            let (push, uploader) = push_by(
                &format!("u{number}"),
                &format!("e{number}"),
                "2026-01-01T00:00:00Z",
            );
            watch.notifier.refuse.store(1, Ordering::SeqCst);
            push_now(watch, &push, &uploader).await.unwrap();
            watch.notifier.refuse.store(0, Ordering::SeqCst);
        }
        watch.clock.pass(60);
        watch.notifier.refusals.lock().unwrap().clear();
        let told = watch.notifier.names.lock().unwrap().len();
        let swept = sweep(watch).await;
        assert_eq!(
            (swept.published, swept.messages, swept.refused.len()),
            (7, 1, 1)
        );
        assert_eq!(*watch.notifier.refusals.lock().unwrap(), [told + 7]);
    });
}

/// More than a sweep keeps at once are owed: it goes after those of the next page, too.
#[test]
fn what_is_always_refused_goes_after_all_that_there_is_time_for() {
    with_owed(1_200, Policy::default(), 0, async |watch| {
        watch.notifier.refuse.store(0, Ordering::SeqCst);
        let store = &watch.store.0.store;
        let first = store.owed(None).await.unwrap().owed.remove(0).id;
        // Ten sweeps have tried it.
        for _ in 0..10 {
            let lease = store.lease(&first, "before", watch.clock.now());
            let body = lease.await.unwrap().unwrap().body;
            let finding: Finding = serde_json::from_str(&body).unwrap();
            let name = finding.uploader.name.to_string();
            *watch.notifier.refused_name.lock().unwrap() = Some(name.leak());
            watch.clock.pass(120);
        }
        let deadline = watch.clock.now() + SignedDuration::from_secs(60);
        let swept = watch.sweep("this", deadline).await;
        // Its turn comes after half of the time, and then the others go on.
        let refusals = watch.notifier.refusals.lock().unwrap();
        let [after] = refusals[..] else {
            panic!("{refusals:?}");
        };
        assert!(
            after > 500 && swept.published > after + 100,
            "{after}, {swept:?}"
        );
    });
}

#[test]
fn the_worst_of_all_that_is_owed_goes_first() {
    with_owed(3_500, Policy::default(), 0, async |watch| {
        // In the last page of the index, and the latest.
        let (push, identified) = read(&record("z", "2026-01-01T00:00:00Z", &root()));
        watch.notifier.refuse.store(1, Ordering::SeqCst);
        push_now(watch, &push, &identified.uploader).await.unwrap();
        watch.clock.pass(60);
        let swept = sweep(watch).await;
        assert_eq!(watch.notifier.names.lock().unwrap()[0], "root");
        assert_eq!(swept.published + swept.owed, 3_501);
    });
}

/// Else whoever can write to the table could hold up all findings for ever.
#[test]
fn hundreds_of_damaged_findings_do_not_hold_up_the_others() {
    with_owed(1_600, Policy::default(), 0, async |watch| {
        let all = watch.store.0.store.owed(None).await.unwrap().owed;
        *watch.store.0.damaged_to.lock().unwrap() = Some(all[999].id.clone());
        let mut published = 0;
        for _ in 0..5 {
            let swept = sweep(watch).await;
            published += swept.published;
            assert_eq!(swept.owed, 1_600 - published);
            watch.clock.pass(60);
        }
        assert_eq!(published, 600);
    });
}

#[test]
fn equals_are_told_in_the_order_of_their_times() {
    with_owed(0, Policy::default(), 0, async |watch| {
        watch.notifier.refuse.store(6, Ordering::SeqCst);
        for name in ["u3", "u6", "u1", "u5", "u2", "u4"] {
            let at = format!("2026-01-01T00:00:0{}Z", &name[1..]);
            let (push, uploader) = push_by(name, name, &at);
            push_now(watch, &push, &uploader).await.unwrap();
            watch.clock.pass(60);
        }
        assert_eq!(sweep(watch).await.published, 6);
        let names = watch.notifier.names.lock().unwrap();
        assert_eq!(*names, ["u1", "u2", "u3", "u4", "u5", "u6"]);
    });
}

fn root() -> serde_json::Value {
    serde_json::json!({
        "type": "Root", "arn": "arn:aws:iam::111122223333:root", "accountId": "111122223333"
    })
}

#[test]
fn where_time_ends_the_reading_count_and_age_are_at_least_those_given() {
    with_owed(3_500, Policy::default(), 0, async |watch| {
        // Four pages of four seconds each; a third of the time is under seven.
        watch.store.0.milliseconds.store(4_000, Ordering::SeqCst);
        let swept = sweep(watch).await;
        assert!(!swept.incomplete);
        assert_eq!(swept.owed + swept.published, 2_000);
        assert!(swept.oldest_owed_seconds >= 60, "{swept:?}");
        assert!(swept.faults[0].contains("no time to read all"), "{swept:?}");
    });
}

#[test]
fn one_sweep_publishes_at_a_time() {
    with_owed(25, Policy::default(), 0, async |watch| {
        let now = watch.clock.now();
        assert!(watch.store.lease_sweep("another", now).await.unwrap());
        let swept = sweep(watch).await;
        assert_eq!(swept.why, Some("another sweep is at work"));
        assert_eq!((swept.published, swept.owed), (0, 25));
        assert!(swept.oldest_owed_seconds >= 60);
        // However long the other one has been killed.
        watch.clock.pass(30);
        assert_eq!(sweep(watch).await.published, 25);
        // It gave the lease back.
        let now = watch.clock.now();
        assert!(watch.store.lease_sweep("next", now).await.unwrap());
    });
}

#[test]
fn publishing_has_ten_seconds_in_a_sweep_and_what_is_left_of_five_in_a_push() {
    with_owed(12, Policy::default(), 0, async |watch| {
        let within = || *watch.notifier.within.lock().unwrap();
        sweep(watch).await;
        assert_eq!(within(), Duration::from_secs(10));
        for (deadline, expected) in [(30, 5), (3, 3)] {
            let id = format!("d{deadline}");
            let (push, uploader) = push_by(&id, &id, "2026-01-01T00:00:00Z");
            let deadline = watch.clock.now() + SignedDuration::from_secs(deadline);
            watch.push(&push, &uploader, deadline).await.unwrap();
            assert_eq!(within(), Duration::from_secs(expected));
        }
    });
}

#[test]
fn a_push_ends_at_its_deadline_whatever_hangs() {
    for (hangs, owed) in [
        ("touch", false),
        ("find", false),
        ("commit", false),
        ("token", true),
        ("settle", true),
    ] {
        with_owed(0, Policy::default(), 0, async |watch| {
            *watch.store.0.hangs.lock().unwrap() = Some(hangs);
            let mut event = record("e1", "2026-01-01T00:00:00Z", &iam_user("test"));
            if hangs == "find" {
                event["errorCode"] = "AccessDenied".into();
            }
            let (push, identified) = read(&event);
            let deadline = watch.clock.now() + SignedDuration::from_secs(28);
            let pushed = watch.push(&push, &identified.uploader, deadline).await;
            assert_eq!(watch.clock.now(), deadline, "{hangs}");
            match pushed {
                Ok(handled) => {
                    assert!(owed, "{hangs}");
                    assert_eq!(handled.outcome, Outcome::FindingDeferred);
                    assert!(matches!(handled.deferred, Some(DeferReason::Deadline)));
                }
                Err(error) => {
                    assert!(!owed, "{hangs}");
                    assert!(matches!(error, WatchError::Deadline));
                }
            }
        });
    }
}

#[test]
fn late_pushes_by_somebody_known_are_one_call_more() {
    with_owed(0, Policy::default(), 0, async |watch| {
        let push = async |id: &str, time: &str| {
            let (push, uploader) = push_by("test", id, time);
            push_now(watch, &push, &uploader).await.unwrap().outcome
        };
        push("e1", "2026-01-01T00:00:00Z").await;
        push("e3", "2026-01-03T00:00:00Z").await;
        // A commit would be lost.
        watch.store.0.lost.store(usize::MAX, Ordering::SeqCst);
        assert_eq!(push("e2", "2026-01-02T00:00:00Z").await, Outcome::Known);
        let record = &watch.store.0.store.records()[0];
        assert_eq!((record.pushes, record.revision), (3, 3));
        assert_eq!(record.last_event_id.as_deref(), Some("e3"));
    });
}

#[test]
fn a_commit_that_meets_a_transaction_is_made_again() {
    with_owed(0, Policy::default(), 0, async |watch| {
        let (push, uploader) = push_by("test", "e1", "2026-01-01T00:00:00Z");
        watch.store.0.busy_commits.store(3, Ordering::SeqCst);
        let outcome = push_now(watch, &push, &uploader).await.unwrap();
        assert!(outcome.finding.is_some());
        assert_eq!(watch.notifier.told(), [("finding", 1)]);
        assert!(watch.store.find(&uploader.key).await.unwrap().is_some());
    });
}

#[test]
fn a_question_that_meets_a_transaction_is_asked_again_after_a_wait() {
    with_owed(0, Policy::default(), 0, async |watch| {
        let (push, mut uploader) = push_by("test", "e1", "2026-01-01T00:00:00Z");
        uploader.former_key = Some("former".into());
        let mut former = Record::unseen("former".into(), Standing::Trusted);
        former.revoke("eve", None, watch.clock.now());
        let commit = Commit {
            read_revision: None,
            record: Some(&former),
            finding: None,
            owed: Owed::Finding,
            now: watch.clock.now(),
        };
        assert_eq!(watch.store.commit(commit).await, Ok(CommitAnswer::Applied));
        watch.store.0.busy.store(1, Ordering::SeqCst);
        let began = watch.clock.now();
        let handled = push_now(watch, &push, &uploader).await.unwrap();
        assert_eq!(handled.finding.unwrap().reason, Reason::RevokedUploader);
        assert!(watch.clock.now() > began);
    });
}

#[test]
fn a_revocation_under_the_former_key_counts() {
    with_owed(0, Policy::default(), 0, async |watch| {
        let (push, mut uploader) = push_by("test", "e1", "2026-01-01T00:00:00Z");
        uploader.former_key = Some("former".into());
        let mut former = Record::unseen("former".into(), Standing::Trusted);
        former.revision = 1;
        let write = async |record: &Record, read_revision| {
            let commit = Commit {
                read_revision,
                record: Some(record),
                finding: None,
                owed: Owed::Finding,
                now: watch.clock.now(),
            };
            assert_eq!(watch.store.commit(commit).await, Ok(CommitAnswer::Applied));
        };
        // Trusted is nothing that counts; revoked is.
        write(&former, None).await;
        let handled = push_now(watch, &push, &uploader).await.unwrap();
        assert_eq!(handled.finding.unwrap().reason, Reason::NewUploader);
        let mut other = uploader.clone();
        other.key = "other".into();
        former.revoke("eve", None, watch.clock.now());
        write(&former, Some(1)).await;
        for id in ["e2", "e3"] {
            let (push, _) = push_by("test", id, "2026-01-02T00:00:00Z");
            let handled = push_now(watch, &push, &other).await.unwrap();
            let finding = handled.finding.unwrap();
            assert_eq!(finding.reason, Reason::RevokedUploader);
            assert_eq!(finding.uploader.key, "other");
        }
        let former = watch.store.find("former").await.unwrap().unwrap();
        assert_eq!(former.pushes, 2);
        assert_eq!(watch.store.find("other").await.unwrap(), None);
    });
}

#[test]
fn every_page_of_what_is_owed_is_swept() {
    with_owed(2_500, Policy::default(), 0, async |watch| {
        let mut told = 0;
        for expected in [2_000, 1_500, 1_000, 500, 0] {
            let swept = sweep(watch).await;
            told += swept.published;
            assert_eq!(swept.owed, expected);
            watch.clock.pass(60);
        }
        assert_eq!(told, 2_500);
    });
}

#[test]
fn a_short_deadline_is_used_as_far_as_it_goes() {
    with_owed(1, Policy::default(), 0, async |watch| {
        let soon = watch.clock.now() + SignedDuration::from_secs(6);
        assert_eq!(watch.sweep("sweep", soon).await.published, 1);
    });
}

#[test]
fn a_lost_race_is_decided_again_five_times() {
    with_owed(0, Policy::default(), 0, async |watch| {
        let (push, uploader) = push_by("test", "e1", "2026-01-01T00:00:00Z");
        watch.store.0.lost.store(4, Ordering::SeqCst);
        let began = watch.clock.now();
        let handled = push_now(watch, &push, &uploader).await.unwrap();
        assert_eq!(handled.outcome, Outcome::FindingPublished);
        // Twice as long each time: at most 50, 100, 200 and 400 ms.
        let waited = watch.clock.now().duration_since(began).as_millis();
        assert!((75..=750).contains(&waited), "{waited} ms");

        let (push, uploader) = push_by("other", "e2", "2026-01-01T00:00:00Z");
        watch.store.0.lost.store(5, Ordering::SeqCst);
        let error = push_now(watch, &push, &uploader).await.unwrap_err();
        assert!(matches!(error, WatchError::Contended));
        assert_eq!(watch.store.find(&uploader.key).await.unwrap(), None);
    });
}

/// The store in memory as one behind a network: each call takes a moment.
#[cfg(feature = "cli")]
struct Far(MemoryStore);

#[cfg(feature = "cli")]
impl Intercept for Far {
    type Error = Infallible;

    async fn call(&self, call: Call<'_>) -> Result<Answer, Infallible> {
        tokio::time::sleep(Duration::from_millis(3)).await;
        Ok(call.make(&self.0))
    }
}

/// What was shown before a wait is old after it: asked again, most find their turn.
#[cfg(feature = "cli")]
#[test]
fn pushes_to_many_new_places_at_once_find_their_turn() {
    const PLACES: usize = 20;
    let known = MemoryStore::default();
    let (push, uploader) = push_by("test", "first", "2026-01-01T00:00:00Z");
    let watch = Watch {
        store: Intercepted(Far(known)),
        notifier: pushwatch::notify::NullNotifier,
        clock: pushwatch::clock::SystemClock,
        policy: Policy::default(),
        findings_per_minute: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        watch.push(&push, &uploader, Timestamp::MAX).await.unwrap();
        let pushes: Vec<_> = (0..PLACES)
            .map(|number| push_to_a_new_place("test", number))
            .collect();
        let handled = pushes
            .iter()
            .map(|(push, uploader)| watch.push(push, uploader, Timestamp::MAX));
        let handled = futures_util::future::join_all(handled).await;
        let lost = handled.iter().filter(|handled| handled.is_err()).count();
        // Half of them, if each decided on what it was shown before its wait.
        assert!(lost <= 3, "{lost} of {PLACES} did not find their turn");
    });
}

/// Whoever decided it had a clock that was a day behind, or a day ahead; so has
/// the sweep. The finding is told all the same, and pushes are handled.
#[test]
fn a_clock_that_is_wrong_by_a_day_loses_nothing() {
    for hours in [-24, 24] {
        with_owed(2, Policy::default(), 0, async |watch| {
            watch.clock.pass(hours * 60 * 60);
            let (push, uploader) = push_by("wrong", "wrong", "2026-01-01T00:00:00Z");
            watch.notifier.refuse.store(1, Ordering::SeqCst);
            let handled = push_now(watch, &push, &uploader).await.unwrap();
            assert_eq!(handled.outcome, Outcome::FindingDeferred);
            watch.clock.pass(-hours * 60 * 60);
            let mut told = 0;
            for _ in 0..3 {
                told += sweep(watch).await.published;
                watch.clock.pass(60);
            }
            assert_eq!(told, 3, "{hours}");
        });
    }
}
