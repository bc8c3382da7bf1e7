//! What every store does, on the store in memory and on DynamoDB (played by
//! moto). The same tests, so that `replay` and the function can't drift apart.

use jiff::{SignedDuration, Timestamp};
use pushwatch::decide::{Decision, decide};
use pushwatch::event::Push;
use pushwatch::finding::{Owed, Severity};
use pushwatch::glob::Glob;
use pushwatch::habit::Habits;
use pushwatch::identity::Uploader;
use pushwatch::policy::{HabitReports, Policy};
use pushwatch::record::{Record, Standing};
use pushwatch::store::{
    Commit, CommitAnswer, LEASE, Lease, MemoryStore, SWEEP_LEASE, Store, TimesCommit, TouchAnswer,
};
use pushwatch::suppress::Suppression;

use crate::support::events::{iam_user, push_by, read, record, time, usual};

/// A test of each behaviour on each store.
macro_rules! behaviours {
    ($($name:ident),+ $(,)?) => {
        mod memory {
            $(#[test]
            fn $name() {
                $crate::support::block_on(super::$name(super::MemoryStore::default()));
            })+
        }

        #[cfg(feature = "sdk")]
        mod dynamodb {
            $(#[test]
            #[ignore = "needs moto"]
            fn $name() {
                $crate::support::block_on(async {
                    let stack = $crate::support::moto::Stack::create().await;
                    super::$name(stack.store()).await;
                });
            })+
        }
    };
}

behaviours![
    nobody_is_remembered_at_first,
    a_new_uploader_is_committed_with_the_finding,
    an_ordinary_push_is_remembered_by_touch,
    touch_refuses_what_is_not_ordinary,
    a_late_push_by_somebody_known_is_counted_and_moves_nothing,
    touch_fills_in_a_missing_unique_id,
    pushes_by_somebody_revoked_do_not_wait_for_each_other,
    a_push_by_somebody_who_is_revoked_no_more_is_lost,
    touch_refuses_what_is_outside_habits,
    without_habits_touch_asks_for_none_and_removes_them,
    under_a_trusted_glob_habits_are_forgotten,
    a_suppressed_unusual_push_moves_the_times_alone,
    a_pattern_holds_as_long_as_a_glob_matches,
    a_record_without_a_revision_can_be_written_over,
    a_finding_is_committed_once,
    a_record_is_written_only_over_the_one_that_was_read,
    a_commit_is_all_or_nothing,
    an_unidentified_uploaders_finding_needs_no_record,
    there_are_so_many_tokens_in_any_minute,
    some_tokens_are_kept_for_critical_findings,
    what_is_settled_is_owed_no_more,
    a_lease_is_one_holders_until_it_is_over,
    a_lease_of_a_clock_that_is_wrong_does_not_bind,
    a_learned_uploader_is_owed_to_the_digest,
    one_sweep_publishes_at_a_time,
];

const T1: &str = "2026-01-01T00:00:00Z";
const T2: &str = "2026-01-02T00:00:00Z";
const T3: &str = "2026-01-03T00:00:00Z";

pub fn now() -> Timestamp {
    time("2026-11-24T00:00:00Z")
}

/// Commits what is decided on a push, given what the store remembers.
async fn commit<S: Store>(
    store: &S,
    push: &Push,
    uploader: &Uploader,
    policy: &Policy,
) -> CommitAnswer {
    let read = store.find(&uploader.key).await.unwrap();
    let decision = decide(read.as_ref(), push, uploader, policy);
    let commit = Commit {
        read_revision: read.map(|record| record.revision),
        record: decision.record.as_ref(),
        finding: decision.finding.as_ref(),
        owed: decision.owed,
        now: now(),
    };
    store.commit(commit).await.unwrap()
}

/// Writes a record as it is.
pub async fn put<S: Store>(store: &S, record: &Record) {
    let read = store.find(&record.uploader).await.unwrap();
    let commit = Commit {
        read_revision: read.map(|record| record.revision),
        record: Some(record),
        finding: None,
        owed: Owed::Finding,
        now: now(),
    };
    match store.commit(commit).await.unwrap() {
        // moto on a busy machine answers late, and the SDK asks again what was applied.
        CommitAnswer::Lost(Some(stored)) => assert_eq!(*stored, *record),
        answer => assert_eq!(answer, CommitAnswer::Applied),
    }
}

async fn touch<S: Store>(store: &S, push: &Push, uploader: &Uploader) -> TouchAnswer {
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
        TouchAnswer::Refused(None)
    );
    assert_eq!(store.find(&uploader.key).await.unwrap(), None);
    assert!(owed_ids(&store).await.is_empty());
}

async fn a_new_uploader_is_committed_with_the_finding<S: Store>(store: S) {
    let (push, uploader) = push_by("test", "1", T1);
    let expected = decide(None, &push, &uploader, &Policy::default());
    assert_eq!(
        commit(&store, &push, &uploader, &Policy::default()).await,
        CommitAnswer::Applied
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
    assert_eq!(touch(&store, &next, &uploader).await, TouchAnswer::Ordinary);
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
    let refused = TouchAnswer::Refused(Some(Box::new(stored.clone())));
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
        let refused = TouchAnswer::Refused(Some(Box::new(record)));
        assert_eq!(touch(&store, &at("6", T3), &uploader).await, refused);
    }
    for (first_seen, last_seen) in [
        (None, None),
        (None, Some(time(T2))),
        (Some(time(T2)), None),
        // First seen after this push, which only a damaged record can say.
        (Some(time("2026-02-01T00:00:00Z")), Some(time(T2))),
    ] {
        let odd_times = Record {
            first_seen,
            last_seen,
            revision: store.find(&uploader.key).await.unwrap().unwrap().revision + 1,
            ..stored.clone()
        };
        put(&store, &odd_times).await;
        let refused = TouchAnswer::Refused(Some(Box::new(odd_times)));
        assert_eq!(touch(&store, &at("7", T3), &uploader).await, refused);
    }

    let ordinary = Record {
        revision: store.find(&uploader.key).await.unwrap().unwrap().revision + 1,
        ..stored
    };
    put(&store, &ordinary).await;
    let on_the_last_day = at("8", "2026-04-02T00:00:00Z");
    assert_eq!(
        touch(&store, &on_the_last_day, &uploader).await,
        TouchAnswer::Ordinary
    );
    assert_eq!(
        store.touch(&far, &uploader, &off).await.unwrap(),
        TouchAnswer::Ordinary
    );
}

async fn a_late_push_by_somebody_known_is_counted_and_moves_nothing<S: Store>(store: S) {
    let policy = Policy::default();
    let (first, uploader) = push_by("test", "1", T1);
    commit(&store, &first, &uploader, &policy).await;
    touch(&store, &push_by("test", "3", T3).0, &uploader).await;
    let before = store.find(&uploader.key).await.unwrap().unwrap();
    let late = async |id: &str, time: &str, uploader: &Uploader| {
        let push = push_by("test", id, time).0;
        store.touch_late(&push, uploader, &policy).await.unwrap()
    };
    assert_eq!(late("2", T2, &uploader).await, TouchAnswer::Ordinary);
    assert_eq!(late("4", T1, &uploader).await, TouchAnswer::Ordinary);
    let counted = Record {
        pushes: before.pushes + 2,
        revision: before.revision + 2,
        ..before
    };
    assert_eq!(
        store.find(&uploader.key).await.unwrap(),
        Some(counted.clone())
    );

    // Before the first one, after the last one, a duplicate, somebody else.
    let refused = TouchAnswer::Refused(Some(Box::new(counted.clone())));
    let other = Uploader {
        principal_id: Some("AIDAOTHER".into()),
        ..uploader.clone()
    };
    for (id, time, uploader) in [
        ("5", "2025-12-31T00:00:00Z", &uploader),
        ("6", "2026-01-04T00:00:00Z", &uploader),
        ("3", T3, &uploader),
        ("7", T2, &other),
    ] {
        assert_eq!(late(id, time, uploader).await, refused, "{id}");
    }
    // Nobody, or nobody known.
    let nobody = push_by("nobody", "8", T2).1;
    assert_eq!(late("8", T2, &nobody).await, TouchAnswer::Refused(None));
    for (standing, until) in [
        (Standing::Revoked, None),
        (Standing::Attempted, None),
        (Standing::Pattern, None),
        (Standing::Trusted, Some(T2)),
    ] {
        let record = Record {
            standing,
            trusted_until: until.map(time),
            revision: store.find(&uploader.key).await.unwrap().unwrap().revision + 1,
            ..counted.clone()
        };
        put(&store, &record).await;
        let refused = TouchAnswer::Refused(Some(Box::new(record)));
        assert_eq!(late("9", T2, &uploader).await, refused);
    }
    // However long ago it was.
    let trusted = Record {
        standing: Standing::Trusted,
        first_seen: Some(time("2020-01-01T00:00:00Z")),
        revision: store.find(&uploader.key).await.unwrap().unwrap().revision + 1,
        ..counted
    };
    put(&store, &trusted).await;
    assert_eq!(
        late("10", "2020-01-02T00:00:00Z", &uploader).await,
        TouchAnswer::Ordinary
    );
}

/// What a push by somebody revoked is decided to, on this record.
fn revoked<'a>(
    read: &'a Record,
    (push, uploader): (&'a Push, &'a Uploader),
    decision: &'a Decision,
) -> TimesCommit<'a> {
    TimesCommit {
        read,
        push,
        uploader,
        finding: decision.finding.as_ref(),
        now: now(),
    }
}

async fn pushes_by_somebody_revoked_do_not_wait_for_each_other<S: Store>(store: S) {
    let (_, uploader) = push_by("test", "0", T1);
    let mut read = Record::unseen(uploader.key.clone(), Standing::Revoked);
    read.revision = 1;
    put(&store, &read).await;
    let policy = Policy::default();
    // The first seen, a later one, one before it, and one between.
    for (id, time, first_seen, last_seen) in [
        ("2", T2, T2, T2),
        ("3", T3, T2, T3),
        ("1", T1, T1, T3),
        ("4", T2, T1, T3),
    ] {
        let (push, _) = push_by("test", id, time);
        let decision = decide(Some(&read), &push, &uploader, &policy);
        let committed = store
            .commit_times(revoked(&read, (&push, &uploader), &decision))
            .await;
        assert_eq!(committed.unwrap(), CommitAnswer::Applied, "{id}");
        let again = store
            .commit_times(revoked(&read, (&push, &uploader), &decision))
            .await;
        assert!(
            matches!(
                again.unwrap(),
                CommitAnswer::Applied | CommitAnswer::AlreadyDecided
            ),
            "{id}"
        );
        let stored = store.find(&uploader.key).await.unwrap().unwrap();
        assert_eq!(
            (stored.first_seen, stored.last_seen),
            (
                Some(crate::support::events::time(first_seen)),
                Some(crate::support::events::time(last_seen))
            ),
            "{id}"
        );
        let finding = decision.finding.unwrap().id.to_string();
        assert_eq!(stored.last_finding_id.as_deref(), Some(finding.as_str()));
        assert_eq!(stored.standing, Standing::Revoked);
        if id == "1" || id == "4" {
            assert_eq!(
                stored.last_push.unwrap(),
                (&push_by("test", "3", T3).0).into()
            );
        }
        // What others write meanwhile does not matter, if it moves no other time.
        let stored = store.find(&uploader.key).await.unwrap().unwrap();
        let touched = Record {
            revision: stored.revision + 1,
            ..stored.clone()
        };
        put(&store, &touched).await;
        read = stored;
    }
    assert_eq!(owed_ids(&store).await.len(), 4);
    assert_eq!(read.pushes, 4);
}

async fn a_push_by_somebody_who_is_revoked_no_more_is_lost<S: Store>(store: S) {
    let (push, uploader) = push_by("test", "1", T2);
    let policy = Policy::default();
    let mut read = Record::unseen(uploader.key.clone(), Standing::Revoked);
    read.revision = 1;
    let decision = decide(Some(&read), &push, &uploader, &policy);
    // ForgetAnswer, trusted, and seen since then.
    let committed = store
        .commit_times(revoked(&read, (&push, &uploader), &decision))
        .await;
    assert_eq!(committed.unwrap(), CommitAnswer::Lost(None));
    let mut trusted = read.clone();
    trusted.standing = Standing::Trusted;
    put(&store, &trusted).await;
    let committed = store
        .commit_times(revoked(&read, (&push, &uploader), &decision))
        .await;
    assert_eq!(
        committed.unwrap(),
        CommitAnswer::Lost(Some(Box::new(trusted)))
    );
    let mut seen = read.clone();
    seen.first_seen = Some(time(T1));
    seen.last_seen = Some(time(T3));
    seen.revision = 2;
    put(&store, &seen).await;
    let committed = store
        .commit_times(revoked(&read, (&push, &uploader), &decision))
        .await;
    assert_eq!(committed.unwrap(), CommitAnswer::Lost(Some(Box::new(seen))));
    assert!(owed_ids(&store).await.is_empty());
    // Suppressed: the times move all the same.
    let read = store.find(&uploader.key).await.unwrap().unwrap();
    let silent = TimesCommit {
        finding: None,
        ..revoked(&read, (&push, &uploader), &decision)
    };
    assert_eq!(
        store.commit_times(silent).await.unwrap(),
        CommitAnswer::Applied
    );
    let stored = store.find(&uploader.key).await.unwrap().unwrap();
    assert_eq!((stored.pushes, stored.last_finding_id), (1, None));
    assert!(owed_ids(&store).await.is_empty());
}

/// A push of the same user to another repository, or from the console.
fn pushed_to(id: &str, time: &str, repository: &str, console: bool) -> Push {
    let mut event = record(id, time, &iam_user("test"));
    event["requestParameters"]["repositoryName"] = repository.into();
    if console {
        event["sessionCredentialFromConsole"] = "true".into();
    }
    read(&event).0
}

async fn touch_refuses_what_is_outside_habits<S: Store>(store: S) {
    let (push, uploader) = push_by("test", "1", T1);
    commit(&store, &push, &uploader, &Policy::default()).await;
    let known = store.find(&uploader.key).await.unwrap().unwrap();
    assert_eq!(known.habits.places, ["111122223333/eu-central-1/team/app"]);
    assert_eq!(known.habits.ways, ["plain"]);
    let policy = Policy::default();
    for (repository, console) in [("team/web", false), ("team/app", true)] {
        let refused = TouchAnswer::Refused(Some(Box::new(known.clone())));
        let later = pushed_to("2", T2, repository, console);
        assert_eq!(touch(&store, &later, &uploader).await, refused);
        // A part of a place is another place.
        let late = pushed_to("0", T1, repository, console);
        let answer = store.touch_late(&late, &uploader, &policy).await.unwrap();
        assert_eq!(answer, refused);
    }
    let part = pushed_to("2", T2, "team/ap", false);
    assert!(matches!(
        touch(&store, &part, &uploader).await,
        TouchAnswer::Refused(_)
    ));
    // To somebody wide every place is usual, and a way is not.
    let mut wide = known.clone();
    wide.habits.widen();
    wide.revision += 1;
    put(&store, &wide).await;
    let web = pushed_to("2", T2, "team/web", false);
    assert_eq!(touch(&store, &web, &uploader).await, TouchAnswer::Ordinary);
    let from_console = pushed_to("3", T3, "team/web", true);
    assert!(matches!(
        touch(&store, &from_console, &uploader).await,
        TouchAnswer::Refused(_)
    ));
    // A record that an earlier version wrote has none, and is decided.
    let earlier = Record {
        habits: Habits::default(),
        revision: wide.revision + 2,
        ..known
    };
    put(&store, &earlier).await;
    let app = pushed_to("4", T3, "team/app", false);
    let refused = TouchAnswer::Refused(Some(Box::new(earlier)));
    assert_eq!(touch(&store, &app, &uploader).await, refused);
}

async fn without_habits_touch_asks_for_none_and_removes_them<S: Store>(store: S) {
    let (push, uploader) = push_by("test", "1", T2);
    let off = Policy {
        habits: HabitReports::Off,
        ..Policy::default()
    };
    for late in [false, true] {
        let read = store.find(&uploader.key).await.unwrap();
        if let Some(read) = &read {
            let known = Record {
                habits: usual(),
                revision: read.revision + 1,
                ..read.clone()
            };
            put(&store, &known).await;
        } else {
            commit(&store, &push, &uploader, &Policy::default()).await;
        }
        let answer = if late {
            let web = pushed_to("late", T2, "team/web", true);
            store.touch_late(&web, &uploader, &off).await
        } else {
            let web = pushed_to("next", T3, "team/web", true);
            store.touch(&web, &uploader, &off).await
        };
        assert_eq!(answer.unwrap(), TouchAnswer::Ordinary);
        let after = store.find(&uploader.key).await.unwrap().unwrap();
        assert_eq!(after.habits, Habits::default());
    }
}

/// They would be old when the glob is gone.
async fn under_a_trusted_glob_habits_are_forgotten<S: Store>(store: S) {
    let (push, uploader) = push_by("test", "1", T1);
    commit(&store, &push, &uploader, &Policy::default()).await;
    let trusting = Policy {
        trusted: vec![Glob::parse("arn:aws:iam::*:user/*").unwrap()],
        ..Policy::default()
    };
    let web = pushed_to("2", T2, "team/web", true);
    let touched = store.touch(&web, &uploader, &trusting).await.unwrap();
    assert_eq!(touched, TouchAnswer::Ordinary);
    let after = store.find(&uploader.key).await.unwrap().unwrap();
    assert_eq!(after.habits, Habits::default());
}

async fn a_suppressed_unusual_push_moves_the_times_alone<S: Store>(store: S) {
    let (first, uploader) = push_by("test", "1", T1);
    commit(&store, &first, &uploader, &Policy::default()).await;
    let mut known = store.find(&uploader.key).await.unwrap().unwrap();
    known.habits.habits_since = Some(time("2025-01-01T00:00:00Z"));
    known.revision += 1;
    put(&store, &known).await;
    let policy = Policy {
        suppress: Some(Suppression::parse("reason == 'unusual_push'").unwrap()),
        ..Policy::default()
    };
    let web = pushed_to("2", T3, "team/web", false);
    let decision = decide(Some(&known), &web, &uploader, &policy);
    assert!(decision.suppressed);
    let times = |read| TimesCommit {
        read,
        push: &web,
        uploader: &uploader,
        finding: None,
        now: now(),
    };
    // What others changed meanwhile makes no difference, as long as the uploader is the
    // same, known as before, and not seen later.
    let same = Record {
        revision: known.revision + 1,
        ..known.clone()
    };
    for (other, applies) in [
        (
            Record {
                standing: Standing::Revoked,
                ..same.clone()
            },
            false,
        ),
        (
            Record {
                principal_id: Some("AIDAOTHER".into()),
                ..same.clone()
            },
            false,
        ),
        (
            Record {
                last_event_id: Some("2".into()),
                ..same.clone()
            },
            false,
        ),
        (
            Record {
                trusted_until: Some(time(T2)),
                ..same.clone()
            },
            false,
        ),
        (
            Record {
                last_seen: Some(time("2026-01-04T00:00:00Z")),
                ..same.clone()
            },
            false,
        ),
        (
            Record {
                last_seen: Some(time(T2)),
                ..same.clone()
            },
            true,
        ),
    ] {
        let stored = store.find(&uploader.key).await.unwrap().unwrap();
        let other = Record {
            revision: stored.revision + 1,
            ..other
        };
        put(&store, &other).await;
        let answer = store.commit_times(times(&known)).await.unwrap();
        if !applies {
            assert_eq!(answer, CommitAnswer::Lost(Some(Box::new(other))));
            continue;
        }
        assert_eq!(answer, CommitAnswer::Applied);
        let after = store.find(&uploader.key).await.unwrap().unwrap();
        let expected = Record {
            last_seen: Some(time(T3)),
            last_event_id: Some("2".into()),
            last_push: Some((&web).into()),
            pushes: known.pushes + 1,
            revision: other.revision + 1,
            ..other
        };
        assert_eq!(after, expected);
    }
}

async fn touch_fills_in_a_missing_unique_id<S: Store>(store: S) {
    let (push, uploader) = push_by("test", "1", T1);
    let anonymous = Uploader {
        principal_id: None,
        ..uploader.clone()
    };
    commit(&store, &push, &anonymous, &Policy::default()).await;
    let (next, _) = push_by("test", "2", T2);
    assert_eq!(touch(&store, &next, &uploader).await, TouchAnswer::Ordinary);
    let record = store.find(&uploader.key).await.unwrap().unwrap();
    assert_eq!(record.principal_id, uploader.principal_id);
    // And one without is nobody else.
    let (next, _) = push_by("test", "3", T3);
    assert_eq!(
        touch(&store, &next, &anonymous).await,
        TouchAnswer::Ordinary
    );
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
    assert_eq!(touched, TouchAnswer::Ordinary);
    let (next, _) = push_by("test", "3", T3);
    assert!(matches!(
        touch(&store, &next, &uploader).await,
        TouchAnswer::Refused(Some(_))
    ));
}

async fn a_record_without_a_revision_can_be_written_over<S: Store>(store: S) {
    let (push, uploader) = push_by("test", "1", T1);
    let by_hand = Record::unseen(uploader.key.clone(), Standing::Trusted);
    put(&store, &by_hand).await;
    assert_eq!(
        commit(&store, &push, &uploader, &Policy::default()).await,
        CommitAnswer::Applied
    );
    let record = store.find(&uploader.key).await.unwrap().unwrap();
    assert_eq!((record.standing, record.revision), (Standing::Trusted, 1));
    let (next, _) = push_by("test", "2", T2);
    assert_eq!(touch(&store, &next, &uploader).await, TouchAnswer::Ordinary);
}

async fn a_finding_is_committed_once<S: Store>(store: S) {
    let (push, uploader) = push_by("test", "1", T1);
    let decision = decide(None, &push, &uploader, &Policy::default());
    let commit = Commit {
        read_revision: None,
        record: decision.record.as_ref(),
        finding: decision.finding.as_ref(),
        owed: decision.owed,
        now: now(),
    };
    assert_eq!(store.commit(commit).await.unwrap(), CommitAnswer::Applied);
    // Another answer than the race's: the finding is there.
    let later = Commit {
        now: now() + SignedDuration::from_mins(1),
        ..commit
    };
    assert_eq!(
        store.commit(later).await.unwrap(),
        CommitAnswer::AlreadyDecided
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
        CommitAnswer::AlreadyDecided
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
            owed: Owed::Finding,
            now: now(),
        };
        let lost = CommitAnswer::Lost(Some(Box::new(stored.clone())));
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
            owed: Owed::Finding,
            now: now(),
        };
        assert_eq!(
            store.commit(commit).await.unwrap(),
            CommitAnswer::Lost(None)
        );
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
        owed: decision.owed,
        now: now(),
    };
    assert!(matches!(
        store.commit(commit).await.unwrap(),
        CommitAnswer::Lost(Some(_))
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
        CommitAnswer::Applied
    );
    assert_eq!(store.find(&uploader.key).await.unwrap(), None);
    assert_eq!(owed_ids(&store).await.len(), 1);
    let decision = decide(None, &push, &uploader, &Policy::default());
    let again = Commit {
        read_revision: None,
        record: None,
        finding: decision.finding.as_ref(),
        owed: decision.owed,
        now: now() + SignedDuration::from_millis(1),
    };
    assert_eq!(
        store.commit(again).await.unwrap(),
        CommitAnswer::AlreadyDecided
    );
}

async fn there_are_so_many_tokens_in_any_minute<S: Store>(store: S) {
    let at = |seconds: i64| now() + SignedDuration::from_secs(seconds);
    let mut taken = Vec::new();
    for second in [0, 1, 2, 30, 59, 60, 61, 61, 90] {
        taken.push(
            store
                .take_token(3, Severity::Critical, at(second))
                .await
                .unwrap(),
        );
    }
    // Three of 0 to 2; they are a minute old at 60, 61 and 62.
    assert_eq!(
        taken,
        [true, true, true, false, false, true, true, false, true]
    );
    let mut five = Vec::new();
    for _ in 0..7 {
        five.push(
            store
                .take_token(5, Severity::Critical, at(600))
                .await
                .unwrap(),
        );
    }
    assert_eq!(five, [true, true, true, true, true, false, false]);
    assert!(
        !store
            .take_token(1, Severity::Critical, at(659))
            .await
            .unwrap()
    );
    assert!(
        store
            .take_token(1, Severity::Critical, at(660))
            .await
            .unwrap()
    );
    // One that was taken by a clock that is a year ahead binds nobody.
    let in_a_year = at(365 * 24 * 60 * 60);
    assert!(
        store
            .take_token(1, Severity::Critical, in_a_year)
            .await
            .unwrap()
    );
    assert!(
        store
            .take_token(1, Severity::Critical, at(720))
            .await
            .unwrap()
    );
    assert!(
        !store
            .take_token(1, Severity::Critical, at(721))
            .await
            .unwrap()
    );
    // Nor does one that was taken more than a minute from now; one of less may be right.
    let mut taken = Vec::new();
    for second in [1_000, 939, 1_000, 940] {
        let one = store.take_token(1, Severity::Critical, at(second));
        taken.push(one.await.unwrap());
    }
    assert_eq!(taken, [true, true, true, false]);
}

async fn some_tokens_are_kept_for_critical_findings<S: Store>(store: S) {
    let mut minute = 0;
    for (per_minute, not_critical) in [(5, 3), (4, 3), (3, 2), (2, 1), (1, 1)] {
        // Whichever come first.
        for critical_first in [false, true] {
            minute += 2;
            let now = now() + SignedDuration::from_mins(minute);
            let severities = [Severity::High, Severity::Critical];
            let mut counts = [0, 0];
            for which in [usize::from(critical_first), usize::from(!critical_first)] {
                let most = if critical_first && which == 1 {
                    per_minute - not_critical
                } else {
                    7
                };
                for _ in 0..most {
                    let token = store.take_token(per_minute, severities[which], now).await;
                    counts[which] += u8::from(token.unwrap());
                }
            }
            assert_eq!(
                counts,
                [not_critical, per_minute - not_critical],
                "{per_minute}, critical first: {critical_first}"
            );
        }
    }
}

async fn one_sweep_publishes_at_a_time<S: Store>(store: S) {
    let almost = SWEEP_LEASE - SignedDuration::from_millis(1);
    let lease = async |holder, after| store.lease_sweep(holder, now() + after).await.unwrap();
    assert!(lease("a", SignedDuration::ZERO).await);
    assert!(!lease("b", almost).await);
    // The same one may ask again: the answer may have been lost.
    assert!(lease("a", almost).await);
    assert!(lease("b", almost + SWEEP_LEASE).await);
    // One that is late gives back nothing that is another's.
    store.end_sweep("a").await.unwrap();
    assert!(!lease("c", almost + SWEEP_LEASE).await);
    store.end_sweep("b").await.unwrap();
    assert!(lease("c", almost + SWEEP_LEASE).await);
    store.end_sweep("c").await.unwrap();
    // One that ends more than twice its length ahead is of a clock that is wrong, and does not
    // bind; any other may be right.
    assert!(lease("d", SignedDuration::from_hours(24) + SWEEP_LEASE).await);
    assert!(!lease("e", SignedDuration::from_hours(24)).await);
    assert!(
        lease(
            "e",
            SignedDuration::from_hours(24) - SignedDuration::from_millis(1)
        )
        .await
    );
    // Nor is it owed.
    assert!(owed_ids(&store).await.is_empty());
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
        Some(Lease {
            body: body.clone(),
            attempts: 1
        })
    );
    assert_eq!(
        store.lease(&id, "b", now() + LEASE + almost).await.unwrap(),
        None
    );
    assert_eq!(
        store.lease(&id, "a", now() + LEASE * 2).await.unwrap(),
        Some(Lease { body, attempts: 2 })
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
    // It binds as far ahead as two leases, and no further.
    let behind = now() - day - LEASE - SignedDuration::from_millis(1);
    assert!(store.lease(&id, "b", behind).await.unwrap().is_some());
    assert!(
        store
            .lease(&id, "c", behind - LEASE)
            .await
            .unwrap()
            .is_none()
    );
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

/// What people do with findings.
#[cfg(feature = "cli")]
mod answers {
    use pushwatch::store::{Answer, AnswerOutcome, Manage, MemoryStore};

    use super::{T1, time};

    fn answer(by: &str) -> Answer {
        Answer {
            by: by.to_owned(),
            at: time(T1),
            reason: "it was the build".to_owned(),
        }
    }

    /// No finding is kept beyond the process.
    #[test]
    fn the_store_in_memory_has_no_finding_to_answer() {
        crate::support::block_on(async {
            let store = MemoryStore::default();
            let page = Manage::findings(&store, None).await.unwrap();
            assert!(page.findings.is_empty() && page.next.is_none());
            let outcome = store.answer("f1", &answer("ada")).await.unwrap();
            assert_eq!(outcome, AnswerOutcome::NoSuchFinding);
        });
    }

    #[cfg(feature = "aws")]
    mod dynamodb {
        use std::collections::HashMap;

        use aws_sdk_dynamodb::types::AttributeValue;
        use pushwatch::finding::{Owed, Severity};
        use pushwatch::policy::Policy;
        use pushwatch::store::{AnswerOutcome, Manage as _, Store as _};

        use super::super::{T1, commit, now, push_by, time};
        use super::answer;
        use crate::support::block_on;
        use crate::support::moto::Stack;

        #[test]
        #[ignore = "needs moto"]
        fn a_finding_is_read_as_it_is_stored_and_answered_once() {
            block_on(async {
                let store = Stack::create().await.store();
                let (push, uploader) = push_by("test", "1", T1);
                commit(&store, &push, &uploader, &Policy::default()).await;
                // Neither of these is a finding.
                store.take_token(5, Severity::High, now()).await.unwrap();
                store.lease_sweep("sweep", now()).await.unwrap();

                let page = store.findings(None).await.unwrap();
                assert!(page.damaged.is_empty() && page.next.is_none());
                let [finding] = page.findings.as_slice() else {
                    panic!("{page:?}");
                };
                assert_eq!(finding.uploader, uploader.key);
                assert_eq!(
                    (finding.reason.as_str(), finding.event_id.as_str()),
                    ("new_uploader", "1")
                );
                assert_eq!(finding.severity, Severity::High);
                assert_eq!(finding.owed, Some(Owed::Finding));
                assert_eq!(
                    (finding.owed_since, finding.attempts),
                    (Some(now()), Some(0))
                );
                assert_eq!(finding.decided_at, now());
                assert_eq!(finding.answer, None);
                assert!(finding.body.starts_with('{'));

                // What is owed stays owed, and what is settled stays answered.
                let id = &finding.id;
                let answered = store.answer(id, &answer("ada")).await.unwrap();
                assert_eq!(answered, AnswerOutcome::Answered);
                let owed = store.finding(id).await.unwrap().unwrap();
                assert_eq!(owed.owed, Some(Owed::Finding));
                store.settle(id, "m1", time(T1)).await.unwrap();
                let settled = store.finding(id).await.unwrap().unwrap();
                assert_eq!((settled.owed, settled.attempts), (None, None));
                assert_eq!(settled.message_id.as_deref(), Some("m1"));
                assert_eq!(settled.published_at, Some(time(T1)));
                assert_eq!(settled.answer, Some(answer("ada")));

                let again = store.answer(id, &answer("bob")).await.unwrap();
                assert_eq!(again, AnswerOutcome::AnsweredBefore(Box::new(settled)));
            });
        }

        #[test]
        #[ignore = "needs moto"]
        fn what_is_no_finding_can_not_be_answered() {
            block_on(async {
                let store = Stack::create().await.store();
                store.lease_sweep("sweep", now()).await.unwrap();
                for id in ["f1", "#sweep"] {
                    let answered = store.answer(id, &answer("ada")).await.unwrap();
                    assert_eq!(answered, AnswerOutcome::NoSuchFinding, "{id}");
                    assert_eq!(store.finding(id).await, Ok(None), "{id}");
                }
            });
        }

        #[test]
        #[ignore = "needs moto"]
        fn a_damaged_finding_is_named() {
            block_on(async {
                let stack = Stack::create().await;
                let id = AttributeValue::S("f\u{1b}1".to_owned());
                let item = HashMap::from([("findingId".to_owned(), id)]);
                stack.put(&stack.findings, item).await;
                let page = stack.store().findings(None).await.unwrap();
                let [damaged] = page.damaged.as_slice() else {
                    panic!("{page:?}");
                };
                assert!(damaged.contains("damaged: missing field"), "{damaged}");
                assert!(!damaged.contains('\u{1b}'), "{damaged}");
            });
        }
    }
}
