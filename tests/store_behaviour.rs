//! What every store does, on the store in memory and on DynamoDB (played by
//! moto). The same tests, so that `replay` and the function can't drift apart.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;
#[path = "common/moto.rs"]
mod moto;

use std::process::ExitCode;

use common::{iam_user, push_by, read, record, time};
use jiff::{SignedDuration, Timestamp};
use libtest_mimic::{Arguments, Failed, Trial};
use moto::{Stack, block_on};
use pushwatch::decide::decide;
use pushwatch::event::Push;
use pushwatch::glob::Glob;
use pushwatch::identity::Uploader;
use pushwatch::policy::Policy;
use pushwatch::record::{Record, Standing};
use pushwatch::store::{Commit, Committed, LEASE, MemoryStore, Owed, Store, Touched};

macro_rules! behaviours {
    ($($name:ident),+ $(,)?) => {{
        let mut trials = Vec::new();
        $(
            trials.push(Trial::test(concat!("memory::", stringify!($name)), || {
                run(|| block_on($name(MemoryStore::default())))
            }));
            trials.push(
                Trial::test(concat!("dynamodb::", stringify!($name)), || {
                    run(|| block_on(async { $name(Stack::create().await.store()).await }))
                })
                .with_ignored_flag(!moto::is_installed()),
            );
        )+
        trials
    }};
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = behaviours![
        nobody_is_remembered_at_first,
        a_new_uploader_is_committed_with_the_finding,
        an_ordinary_push_is_remembered_by_touch,
        touch_refuses_what_is_not_ordinary,
        touch_fills_in_a_missing_unique_id,
        a_pattern_holds_as_long_as_a_glob_matches,
        a_record_without_a_revision_can_be_written_over,
        a_finding_is_committed_once,
        a_record_is_written_only_over_the_one_that_was_read,
        a_commit_is_all_or_nothing,
        an_unidentified_uploaders_finding_needs_no_record,
        there_are_so_many_tokens_in_any_minute,
        what_is_settled_is_owed_no_more,
        a_lease_is_one_holders_until_it_is_over,
        a_lease_of_a_clock_that_is_wrong_does_not_bind,
        a_learned_uploader_is_owed_to_the_digest,
    ];
    let conclusion = libtest_mimic::run(&arguments, trials);
    if moto::is_installed() {
        moto::moto().stop();
    }
    conclusion.exit_code()
}

fn run(test: impl FnOnce() + std::panic::UnwindSafe) -> Result<(), Failed> {
    std::panic::catch_unwind(test).map_err(|_| Failed::from("see the panic above"))
}

const T1: &str = "2026-01-01T00:00:00Z";
const T2: &str = "2026-01-02T00:00:00Z";
const T3: &str = "2026-01-03T00:00:00Z";

fn now() -> Timestamp {
    time("2026-11-24T00:00:00Z")
}

/// Commits what is decided on a push, given what the store remembers.
async fn commit<S: Store>(
    store: &S,
    push: &Push,
    uploader: &Uploader,
    policy: &Policy,
) -> Committed {
    let read = store.find(&uploader.key).await.unwrap();
    let decision = decide(read.as_ref(), push, uploader, policy);
    let commit = Commit {
        read_revision: read.map(|record| record.revision),
        record: decision.record.as_ref(),
        finding: decision.finding.as_ref(),
        now: now(),
    };
    store.commit(commit).await.unwrap()
}

/// Writes a record as it is.
async fn put<S: Store>(store: &S, record: &Record) {
    let read = store.find(&record.uploader).await.unwrap();
    let commit = Commit {
        read_revision: read.map(|record| record.revision),
        record: Some(record),
        finding: None,
        now: now(),
    };
    assert_eq!(store.commit(commit).await.unwrap(), Committed::Applied);
}

async fn touch<S: Store>(store: &S, push: &Push, uploader: &Uploader) -> Touched {
    store
        .touch(push, uploader, &Policy::default())
        .await
        .unwrap()
}

async fn owed_ids<S: Store>(store: &S) -> Vec<String> {
    let page = store.owed(None).await.unwrap();
    page.owed.into_iter().map(|owed| owed.id).collect()
}

async fn nobody_is_remembered_at_first<S: Store>(store: S) {
    let (push, uploader) = push_by("test", "1", T1);
    assert_eq!(store.find(&uploader.key).await.unwrap(), None);
    assert_eq!(
        touch(&store, &push, &uploader).await,
        Touched::Refused(None)
    );
    assert_eq!(store.find(&uploader.key).await.unwrap(), None);
    assert!(owed_ids(&store).await.is_empty());
}

async fn a_new_uploader_is_committed_with_the_finding<S: Store>(store: S) {
    let (push, uploader) = push_by("test", "1", T1);
    let expected = decide(None, &push, &uploader, &Policy::default());
    assert_eq!(
        commit(&store, &push, &uploader, &Policy::default()).await,
        Committed::Applied
    );
    assert_eq!(store.find(&uploader.key).await.unwrap(), expected.record);
    assert_eq!(
        owed_ids(&store).await,
        [expected.finding.unwrap().id.to_string()]
    );
}

async fn an_ordinary_push_is_remembered_by_touch<S: Store>(store: S) {
    let (push, uploader) = push_by("test", "1", T1);
    commit(&store, &push, &uploader, &Policy::default()).await;
    let (next, _) = push_by("test", "2", T2);
    assert_eq!(touch(&store, &next, &uploader).await, Touched::Ordinary);
    let record = store.find(&uploader.key).await.unwrap().unwrap();
    assert_eq!(record.first_seen, Some(time(T1)));
    assert_eq!(record.last_seen, Some(time(T2)));
    assert_eq!(record.last_event_id.as_deref(), Some("2"));
    assert_eq!(record.last_push, Some((&next).into()));
    assert_eq!((record.pushes, record.revision), (2, 2));
}

async fn touch_refuses_what_is_not_ordinary<S: Store>(store: S) {
    let (push, uploader) = push_by("test", "1", T2);
    commit(&store, &push, &uploader, &Policy::default()).await;
    let stored = store.find(&uploader.key).await.unwrap().unwrap();
    let refused = Touched::Refused(Some(Box::new(stored.clone())));
    let at = |id: &str, time: &str| push_by("test", id, time).0;

    // Late, a duplicate, and after a long absence.
    for push in [at("2", T1), at("1", T2), at("3", "2026-04-03T00:00:01Z")] {
        assert_eq!(
            touch(&store, &push, &uploader).await,
            refused,
            "{}",
            push.event_id
        );
    }
    // In order to the day, and without a limit.
    let off = Policy {
        absence_days: 0,
        ..Policy::default()
    };
    let far = at("4", "2026-10-01T00:00:00Z");
    let other = Uploader {
        principal_id: Some("AIDAOTHER".into()),
        ..uploader.clone()
    };
    assert_eq!(touch(&store, &at("5", T3), &other).await, refused);
    for (standing, until) in [
        (Standing::Attempted, None),
        (Standing::Suppressed, None),
        (Standing::Revoked, None),
        (Standing::Pattern, None),
        (Standing::Unknown("odd".into()), None),
        (Standing::Trusted, Some(T3)),
    ] {
        let record = Record {
            standing,
            trusted_until: until.map(time),
            revision: store.find(&uploader.key).await.unwrap().unwrap().revision + 1,
            ..stored.clone()
        };
        put(&store, &record).await;
        let refused = Touched::Refused(Some(Box::new(record)));
        assert_eq!(touch(&store, &at("6", T3), &uploader).await, refused);
    }
    let no_times = Record {
        first_seen: None,
        last_seen: None,
        revision: store.find(&uploader.key).await.unwrap().unwrap().revision + 1,
        ..stored.clone()
    };
    put(&store, &no_times).await;
    let refused = Touched::Refused(Some(Box::new(no_times.clone())));
    assert_eq!(touch(&store, &at("7", T3), &uploader).await, refused);

    let ordinary = Record {
        revision: no_times.revision + 1,
        ..stored
    };
    put(&store, &ordinary).await;
    let on_the_last_day = at("8", "2026-04-02T00:00:00Z");
    assert_eq!(
        touch(&store, &on_the_last_day, &uploader).await,
        Touched::Ordinary
    );
    assert_eq!(
        store.touch(&far, &uploader, &off).await.unwrap(),
        Touched::Ordinary
    );
}

async fn touch_fills_in_a_missing_unique_id<S: Store>(store: S) {
    let (push, uploader) = push_by("test", "1", T1);
    let anonymous = Uploader {
        principal_id: None,
        ..uploader.clone()
    };
    commit(&store, &push, &anonymous, &Policy::default()).await;
    let (next, _) = push_by("test", "2", T2);
    assert_eq!(touch(&store, &next, &uploader).await, Touched::Ordinary);
    let record = store.find(&uploader.key).await.unwrap().unwrap();
    assert_eq!(record.principal_id, uploader.principal_id);
    // And one without is nobody else.
    let (next, _) = push_by("test", "3", T3);
    assert_eq!(touch(&store, &next, &anonymous).await, Touched::Ordinary);
}

async fn a_pattern_holds_as_long_as_a_glob_matches<S: Store>(store: S) {
    let trusting = Policy {
        trusted: vec![Glob::parse("arn:aws:iam::*:user/*").unwrap()],
        ..Policy::default()
    };
    let (push, uploader) = push_by("test", "1", T1);
    commit(&store, &push, &uploader, &trusting).await;
    assert!(owed_ids(&store).await.is_empty());
    let (next, _) = push_by("test", "2", T2);
    let touched = store.touch(&next, &uploader, &trusting).await.unwrap();
    assert_eq!(touched, Touched::Ordinary);
    let (next, _) = push_by("test", "3", T3);
    assert!(matches!(
        touch(&store, &next, &uploader).await,
        Touched::Refused(Some(_))
    ));
}

async fn a_record_without_a_revision_can_be_written_over<S: Store>(store: S) {
    let (push, uploader) = push_by("test", "1", T1);
    let by_hand = Record::unseen(uploader.key.clone(), Standing::Trusted);
    put(&store, &by_hand).await;
    assert_eq!(
        commit(&store, &push, &uploader, &Policy::default()).await,
        Committed::Applied
    );
    let record = store.find(&uploader.key).await.unwrap().unwrap();
    assert_eq!((record.standing, record.revision), (Standing::Trusted, 1));
    let (next, _) = push_by("test", "2", T2);
    assert_eq!(touch(&store, &next, &uploader).await, Touched::Ordinary);
}

async fn a_finding_is_committed_once<S: Store>(store: S) {
    let (push, uploader) = push_by("test", "1", T1);
    let decision = decide(None, &push, &uploader, &Policy::default());
    let commit = Commit {
        read_revision: None,
        record: decision.record.as_ref(),
        finding: decision.finding.as_ref(),
        now: now(),
    };
    assert_eq!(store.commit(commit).await.unwrap(), Committed::Applied);
    // Another answer than the race's: the finding is there.
    let later = Commit {
        now: now() + SignedDuration::from_mins(1),
        ..commit
    };
    assert_eq!(
        store.commit(later).await.unwrap(),
        Committed::AlreadyDecided
    );
    store
        .settle(
            &decision.finding.as_ref().unwrap().id.to_string(),
            "m",
            now(),
        )
        .await
        .unwrap();
    assert_eq!(
        store.commit(later).await.unwrap(),
        Committed::AlreadyDecided
    );
    assert!(owed_ids(&store).await.is_empty());
}

async fn a_record_is_written_only_over_the_one_that_was_read<S: Store>(store: S) {
    let (push, uploader) = push_by("test", "1", T1);
    commit(&store, &push, &uploader, &Policy::default()).await;
    let stored = store.find(&uploader.key).await.unwrap().unwrap();
    let next = Record {
        revision: stored.revision + 1,
        ..stored.clone()
    };
    for read_revision in [None, Some(0), Some(stored.revision + 1)] {
        let commit = Commit {
            read_revision,
            record: Some(&next),
            finding: None,
            now: now(),
        };
        let lost = Committed::Lost(Some(Box::new(stored.clone())));
        assert_eq!(
            store.commit(commit).await.unwrap(),
            lost,
            "{read_revision:?}"
        );
    }
    // Over a record that is gone.
    let gone = Record::unseen("arn:aws:iam::1:user/gone".into(), Standing::New);
    for read_revision in [Some(0), Some(3)] {
        let commit = Commit {
            read_revision,
            record: Some(&gone),
            finding: None,
            now: now(),
        };
        assert_eq!(store.commit(commit).await.unwrap(), Committed::Lost(None));
    }
}

async fn a_commit_is_all_or_nothing<S: Store>(store: S) {
    let (push, uploader) = push_by("test", "1", T1);
    commit(&store, &push, &uploader, &Policy::default()).await;
    let owed = owed_ids(&store).await;
    // Decided as if nobody was known: the record is refused, so the finding too.
    let (next, _) = push_by("test", "2", T2);
    let decision = decide(None, &next, &uploader, &Policy::default());
    let commit = Commit {
        read_revision: None,
        record: decision.record.as_ref(),
        finding: decision.finding.as_ref(),
        now: now(),
    };
    assert!(matches!(
        store.commit(commit).await.unwrap(),
        Committed::Lost(Some(_))
    ));
    assert_eq!(owed_ids(&store).await, owed);
    let stored = store.find(&uploader.key).await.unwrap().unwrap();
    assert_eq!(stored.last_event_id.as_deref(), Some("1"));
}

async fn an_unidentified_uploaders_finding_needs_no_record<S: Store>(store: S) {
    let identity = serde_json::json!({"invokedBy": "AWS Internal"});
    let (push, identified) = read(&record("1", T1, &identity));
    let uploader = identified.uploader;
    assert_eq!(
        commit(&store, &push, &uploader, &Policy::default()).await,
        Committed::Applied
    );
    assert_eq!(store.find(&uploader.key).await.unwrap(), None);
    assert_eq!(owed_ids(&store).await.len(), 1);
    let decision = decide(None, &push, &uploader, &Policy::default());
    let again = Commit {
        read_revision: None,
        record: None,
        finding: decision.finding.as_ref(),
        now: now() + SignedDuration::from_millis(1),
    };
    assert_eq!(
        store.commit(again).await.unwrap(),
        Committed::AlreadyDecided
    );
}

async fn there_are_so_many_tokens_in_any_minute<S: Store>(store: S) {
    let at = |seconds: i64| now() + SignedDuration::from_secs(seconds);
    let mut taken = Vec::new();
    for second in [0, 1, 2, 30, 59, 60, 61, 61, 90] {
        taken.push(store.take_token(3, at(second)).await.unwrap());
    }
    // Three of 0 to 2; they are a minute old at 60, 61 and 62.
    assert_eq!(
        taken,
        [true, true, true, false, false, true, true, false, true]
    );
    let mut five = Vec::new();
    for _ in 0..7 {
        five.push(store.take_token(5, at(600)).await.unwrap());
    }
    assert_eq!(five, [true, true, true, true, true, false, false]);
    assert!(!store.take_token(1, at(659)).await.unwrap());
    assert!(store.take_token(1, at(660)).await.unwrap());
}

async fn what_is_settled_is_owed_no_more<S: Store>(store: S) {
    let (push, uploader) = push_by("test", "1", T1);
    commit(&store, &push, &uploader, &Policy::default()).await;
    let id = owed_ids(&store).await.remove(0);
    store.settle(&id, "message", now()).await.unwrap();
    assert!(owed_ids(&store).await.is_empty());
    store.settle(&id, "message", now()).await.unwrap();
    store.settle("unknown", "message", now()).await.unwrap();
    assert!(owed_ids(&store).await.is_empty());
    assert_eq!(store.lease(&id, "a", now() + LEASE).await.unwrap(), None);
    assert_eq!(
        store.lease("unknown", "a", now() + LEASE).await.unwrap(),
        None
    );
}

async fn a_lease_is_one_holders_until_it_is_over<S: Store>(store: S) {
    let (push, uploader) = push_by("test", "1", T1);
    commit(&store, &push, &uploader, &Policy::default()).await;
    let body = decide(None, &push, &uploader, &Policy::default())
        .finding
        .unwrap()
        .to_json();
    let id = owed_ids(&store).await.remove(0);
    let almost = LEASE - SignedDuration::from_millis(1);
    // Whoever decided it holds it first.
    assert_eq!(store.lease(&id, "a", now()).await.unwrap(), None);
    assert_eq!(store.lease(&id, "a", now() + almost).await.unwrap(), None);
    assert_eq!(
        store.lease(&id, "a", now() + LEASE).await.unwrap(),
        Some(body.clone())
    );
    assert_eq!(
        store.lease(&id, "b", now() + LEASE + almost).await.unwrap(),
        None
    );
    assert_eq!(
        store.lease(&id, "a", now() + LEASE * 2).await.unwrap(),
        Some(body)
    );
    // The same holder may ask again: the answer may have been lost.
    assert!(
        store
            .lease(&id, "b", now() + LEASE * 2)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        store
            .lease(&id, "a", now() + LEASE * 2)
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(owed_ids(&store).await, [id]);
}

async fn a_lease_of_a_clock_that_is_wrong_does_not_bind<S: Store>(store: S) {
    let (push, uploader) = push_by("test", "1", T1);
    commit(&store, &push, &uploader, &Policy::default()).await;
    let id = owed_ids(&store).await.remove(0);
    let day = SignedDuration::from_hours(24);
    assert!(store.lease(&id, "a", now() - day).await.unwrap().is_some());
}

async fn a_learned_uploader_is_owed_to_the_digest<S: Store>(store: S) {
    let learning = Policy {
        learning_until: Some(time(T2)),
        ..Policy::default()
    };
    let (push, uploader) = push_by("test", "1", T1);
    commit(&store, &push, &uploader, &learning).await;
    let page = store.owed(None).await.unwrap();
    assert_eq!(page.owed[0].owed, Owed::Digest);
    assert_eq!(page.owed[0].since, Some(now()));
    assert!(page.next.is_none());
    // Nobody has it first.
    assert!(
        store
            .lease(&page.owed[0].id, "a", now())
            .await
            .unwrap()
            .is_some()
    );
    // A failed push is nothing of the kind.
    let mut failed = record("2", T1, &iam_user("other"));
    failed["errorCode"] = "AccessDenied".into();
    let (push, identified) = read(&failed);
    commit(&store, &push, &identified.uploader, &learning).await;
    let page = store.owed(None).await.unwrap();
    assert_eq!(
        page.owed
            .iter()
            .filter(|owed| owed.owed == Owed::Finding)
            .count(),
        1
    );
}
