//! Random sequences of operations, on the store in memory and on DynamoDB (played by
//! moto): both answer the same.

use jiff::SignedDuration;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use pushwatch::decide::decide;
use pushwatch::finding::Severity;
use pushwatch::glob::Glob;
use pushwatch::policy::{HabitReports, Policy};
use pushwatch::record::{Record, Standing};
use pushwatch::store::{Commit, MemoryStore, Store, TimesCommit};
use pushwatch::suppress::Suppression;

use crate::store_behaviour::{now, put};
use crate::support::block_on;
use crate::support::events::{iam_user, push_by, read, record, time};
use crate::support::moto::Stack;

const T1: &str = "2026-01-01T00:00:00Z";

/// An operation of a random sequence; numbers choose among few of each.
#[derive(Debug, Clone)]
enum Operation {
    /// Who, when, by which principal, and whether it failed.
    Touch(Pushed),
    Late(Pushed),
    Find(usize),
    /// Somebody is revoked by hand.
    Revoke(usize),
    /// Decides on what is read now, or on what was read a while ago.
    Commit(Pushed, bool),
    Token(u8, bool),
    Sweep(&'static str),
    EndSweep(&'static str),
    Settle(usize),
    Lease(usize, &'static str),
    Owed,
    /// Time passes, in seconds.
    Pass(i64),
}

#[derive(Debug, Clone, Copy)]
struct Pushed {
    who: usize,
    day: i64,
    principal: usize,
    place: usize,
    console: bool,
    failed: bool,
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let pushed = (
        0..2_usize,
        0..200_i64,
        0..3_usize,
        // Most to the first place.
        prop_oneof![3 => Just(0_usize), 2 => 1..30_usize],
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
    )
        .prop_map(|(who, day, principal, place, console, failed)| Pushed {
            who,
            day,
            principal,
            place,
            console,
            failed,
        });
    let operation = prop_oneof![
        4 => pushed.clone().prop_map(Operation::Touch),
        3 => pushed.clone().prop_map(Operation::Late),
        1 => (0..2_usize).prop_map(Operation::Revoke),
        1 => (0..2_usize).prop_map(Operation::Find),
        6 => (pushed, prop::bool::weighted(0.3)).prop_map(|(pushed, stale)| Operation::Commit(pushed, stale)),
        2 => (1..=5_u8, any::<bool>()).prop_map(|(per_minute, critical)| Operation::Token(per_minute, critical)),
        1 => prop::sample::select(vec!["a", "b"]).prop_map(Operation::Sweep),
        1 => prop::sample::select(vec!["a", "b"]).prop_map(Operation::EndSweep),
        2 => (0..4_usize).prop_map(Operation::Settle),
        3 => (0..4_usize, prop::sample::select(vec!["a", "b"])).prop_map(|(finding, holder)| Operation::Lease(finding, holder)),
        2 => Just(Operation::Owed),
        2 => (1..60_i64).prop_map(Operation::Pass),
    ];
    prop::collection::vec(operation, 4..24)
}

/// Does the operations on a store, and tells what it answered to each.
#[allow(clippy::too_many_lines)] // an arm for each operation
async fn answers<S: Store>(store: S, operations: &[Operation], policy: &Policy) -> Vec<String> {
    let mut answers = Vec::new();
    let mut now = now();
    // What was read of each, when it was read for the first time.
    let mut stale: [Option<Option<Record>>; 2] = [None, None];
    let mut committed: Vec<String> = Vec::new();
    for (number, operation) in operations.iter().enumerate() {
        let event = |pushed: Pushed| {
            let Pushed {
                who,
                day,
                principal,
                place,
                console,
                failed,
            } = pushed;
            let time = time(T1) + SignedDuration::from_hours(24 * day);
            let mut identity = iam_user(["ada", "bob"][who]);
            match principal {
                0 => {}
                1 => identity["principalId"] = "AIDAOTHER".into(),
                _ => identity["principalId"] = "".into(),
            }
            let mut event = record(&format!("e{number}"), &time.to_string(), &identity);
            event["requestParameters"]["repositoryName"] = format!("team/{place}").into();
            if console {
                event["sessionCredentialFromConsole"] = "true".into();
            }
            if failed {
                event["errorCode"] = "AccessDenied".into();
            }
            let (push, identified) = read(&event);
            (push, identified.uploader)
        };
        answers.push(match operation {
            Operation::Touch(pushed) => {
                let (push, uploader) = event(*pushed);
                format!("{:?}", store.touch(&push, &uploader, policy).await.unwrap())
            }
            Operation::Find(who) => {
                let (_, uploader) = push_by(["ada", "bob"][*who], "e", T1);
                format!("{:?}", store.find(&uploader.key).await.unwrap())
            }
            Operation::Commit(pushed, of_stale) => {
                let (push, uploader) = event(*pushed);
                let fresh = store.find(&uploader.key).await.unwrap();
                let first = stale[pushed.who]
                    .get_or_insert_with(|| fresh.clone())
                    .clone();
                let read = if *of_stale { first } else { fresh };
                let decision = decide(read.as_ref(), &push, &uploader, policy);
                let commit = Commit {
                    read_revision: read.as_ref().map(|record| record.revision),
                    record: decision.record.as_ref(),
                    finding: decision.finding.as_ref(),
                    owed: decision.owed,
                    now,
                };
                let answer = match &read {
                    Some(read) if decision.moves_only_times() => {
                        let commit = TimesCommit {
                            read,
                            push: &push,
                            uploader: &uploader,
                            finding: decision.finding.as_ref(),
                            now,
                        };
                        store.commit_times(commit).await.unwrap()
                    }
                    _ => store.commit(commit).await.unwrap(),
                };
                committed.extend(decision.finding.map(|finding| finding.id.to_string()));
                format!("{answer:?}")
            }
            Operation::Late(pushed) => {
                let (push, uploader) = event(*pushed);
                let touched = store.touch_late(&push, &uploader, policy).await;
                format!("{:?}", touched.unwrap())
            }
            Operation::Revoke(who) => {
                let (_, uploader) = push_by(["ada", "bob"][*who], "e", T1);
                let stored = store.find(&uploader.key).await.unwrap();
                let mut record = stored
                    .clone()
                    .unwrap_or_else(|| Record::unseen(uploader.key, Standing::Revoked));
                record.revoke("eve", None, now);
                put(&store, &record).await;
                String::new()
            }
            Operation::Token(per_minute, critical) => {
                let severity = [Severity::High, Severity::Critical][usize::from(*critical)];
                let taken = store.take_token(*per_minute, severity, now).await;
                format!("{}", taken.unwrap())
            }
            Operation::Sweep(holder) => {
                format!("{}", store.lease_sweep(holder, now).await.unwrap())
            }
            Operation::EndSweep(holder) => {
                format!("{:?}", store.end_sweep(holder).await.unwrap())
            }
            Operation::Settle(finding) => {
                let id = committed.get(*finding).map_or("unknown", String::as_str);
                format!("{:?}", store.settle(id, "m", now).await.unwrap())
            }
            Operation::Lease(finding, holder) => {
                let id = committed.get(*finding).map_or("unknown", String::as_str);
                let lease = store.lease(id, holder, now).await.unwrap();
                let body = lease.as_ref().map(|lease| lease.body.clone());
                format!("{lease:?} {body:?}")
            }
            Operation::Owed => {
                let mut owed = store.owed(None).await.unwrap().owed;
                owed.sort_by(|a, b| a.id.cmp(&b.id));
                format!("{owed:?}")
            }
            Operation::Pass(seconds) => {
                now += SignedDuration::from_secs(*seconds);
                String::new()
            }
        });
    }
    answers
}

#[test]
#[ignore = "needs moto"]
fn random_operations_give_the_same_on_both() {
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let habits = prop::sample::select(vec![
        HabitReports::Digest,
        HabitReports::Tell,
        HabitReports::Off,
    ]);
    let strategy = (
        operations(),
        prop::bool::ANY,
        prop::bool::ANY,
        habits,
        prop::bool::ANY,
    );
    let result = runner.run(
        &strategy,
        |(operations, trusting, learning, habits, suppressing)| {
            let policy = Policy {
                trusted: trusting
                    .then(|| Glob::parse("arn:aws:iam::*:user/ad?").unwrap())
                    .into_iter()
                    .collect(),
                learning_until: learning.then(|| time("2026-03-01T00:00:00Z")),
                habits,
                suppress: suppressing
                    .then(|| Suppression::parse("reason == 'unusual_push'").unwrap()),
                ..Policy::default()
            };
            let (memory, dynamodb) = block_on(async {
                let stack = Stack::create().await;
                (
                    answers(MemoryStore::default(), &operations, &policy).await,
                    answers(stack.store(), &operations, &policy).await,
                )
            });
            for (number, (memory, dynamodb)) in memory.iter().zip(&dynamodb).enumerate() {
                prop_assert_eq!(memory, dynamodb, "{} {:?}", number, operations[number]);
            }
            Ok(())
        },
    );
    if let Err(error) = result {
        panic!("{error}");
    }
}
