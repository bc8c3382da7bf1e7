//! Reconciliation over the store in memory: what is lost on the way is found, once, and
//! what was handled is not.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use pushwatch::clock::SystemClock;
use pushwatch::event::Push;
use pushwatch::finding::{Owed, Reason};
use pushwatch::glob::Glob;
use pushwatch::identity::Uploader;
use pushwatch::notify::Notifier;
use pushwatch::policy::Policy;
use pushwatch::record::{Record, Standing};
use pushwatch::render::Message;
use pushwatch::store::{Commit, CommitAnswer, Manage as _, MemoryStore, Store as _};
use pushwatch::suppress::Suppression;
use pushwatch::watch::{Reconciliation, Verdict, Watch};
use serde_json::json;

use crate::support::block_on;
use crate::support::events::{TEST_USER, iam_user, read, record};

/// Publishes nothing, so that all findings stay in the store.
struct Unreachable;

impl Notifier for Unreachable {
    type Error = io::Error;

    async fn publish(&self, _: Message<'_>, _: Duration) -> io::Result<String> {
        Err(io::Error::other("unreachable"))
    }
}

type Deployment = Watch<MemoryStore, Unreachable, SystemClock>;

fn deployment(store: MemoryStore, policy: Policy) -> Deployment {
    Watch {
        store,
        notifier: Unreachable,
        clock: SystemClock,
        policy,
        findings_per_minute: None,
    }
}

fn handle(watch: &Deployment, (push, uploader): &(Push, Uploader)) {
    block_on(watch.push(push, uploader, Timestamp::MAX)).unwrap();
}

/// Reconciles; the ids of the events that were missing, each with its reason.
fn reconcile(watch: &Deployment, history: &[(Push, Uploader)]) -> Vec<(String, Option<Reason>)> {
    let mut history: Vec<_> = history.iter().collect();
    history.sort_by_key(|(push, _)| push.event_time);
    let events = history.iter().map(|(push, uploader)| (push, uploader));
    let mut reconciliation = Reconciliation::of(events, &watch.store, &watch.policy);
    let mut missing = Vec::new();
    for event in history {
        let (push, uploader) = event;
        if let Verdict::Missing(decision) = block_on(reconciliation.judge(push, uploader)).unwrap()
        {
            missing.push((
                push.event_id.to_string(),
                decision.finding.map(|finding| finding.reason),
            ));
            handle(watch, event);
            reconciliation.handled(uploader);
        }
    }
    missing
}

fn pushes(watch: &Deployment) -> u64 {
    watch
        .store
        .records()
        .iter()
        .map(|record| record.pushes)
        .sum()
}

#[derive(Debug, Clone, Copy)]
struct Event {
    who: usize,
    day: i64,
    place: usize,
    failed: bool,
    is_lost: bool,
}

const NAMES: [&str; 3] = ["ada", "bob", "eve"];

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = (
        0..NAMES.len(),
        0..220_i64,
        0..3_usize,
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.3),
    );
    let event = event.prop_map(|(who, day, place, failed, is_lost)| Event {
        who,
        day,
        place,
        failed,
        is_lost,
    });
    prop::collection::vec(event, 1..16)
}

/// An event's push. The names are given away every `lifetime` days: unique ids never come back.
fn push(index: usize, event: Event, lifetime: i64) -> (Push, Uploader) {
    let time = Timestamp::from_second(1_700_000_000 + event.day * 86_400).unwrap();
    let mut identity = iam_user(NAMES[event.who]);
    identity["principalId"] = json!(format!("AIDA{}", event.day / lifetime));
    let mut record = record(&format!("event-{index}"), &time.to_string(), &identity);
    record["requestParameters"]["repositoryName"] = json!(format!("place-{}", event.place));
    if event.failed {
        record["errorCode"] = json!("AccessDenied");
    }
    let (push, identified) = read(&record);
    (push, identified.uploader)
}

/// By the event's time, or as it comes. Out of order, a suppressed push can't be told from
/// a lost one that would become a habit.
fn arrived(
    mut history: Vec<(usize, Event)>,
    in_order: bool,
    (suppresses, _): (bool, bool),
) -> Vec<(usize, Event)> {
    if in_order || suppresses {
        history.sort_by_key(|(_, event)| event.day);
    }
    history
}

fn lifetimes() -> impl Strategy<Value = i64> {
    prop_oneof![Just(1000), Just(90), Just(20)]
}

fn policies() -> impl Strategy<Value = (bool, bool)> {
    any::<(bool, bool)>()
}

/// Names that are given away and suppressed at once are left out.
fn settings() -> impl Strategy<Value = ((bool, bool), i64)> {
    (policies(), lifetimes()).prop_map(|(policy, lifetime)| match policy {
        (true, _) => (policy, 1000),
        _ => (policy, lifetime),
    })
}

fn policy((suppresses, learns): (bool, bool)) -> Policy {
    Policy {
        suppress: suppresses.then(|| Suppression::parse("push.repository == \"place-0\"").unwrap()),
        learning_until: learns
            .then(|| Timestamp::from_second(1_700_000_000 + 30 * 86_400).unwrap()),
        ..Policy::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn of_what_arrived_nothing_is_missing(
        events in events(), in_order in any::<bool>(), (settings, lifetime) in settings()
    ) {
        let watch = deployment(MemoryStore::default(), policy(settings));
        let all = arrived(events.into_iter().enumerate().collect(), in_order, settings);
        let history: Vec<_> = all.iter().map(|(index, event)| push(*index, *event, lifetime)).collect();
        for event in &history {
            handle(&watch, event);
        }
        let before = watch.store.records();
        let missing = reconcile(&watch, &history);
        if settings.0 {
            // A suppressed push may become a habit then, in silence.
            prop_assert!(missing.iter().all(|(_, reason)| reason.is_none()), "{missing:?}");
        } else {
            prop_assert_eq!(missing, []);
            prop_assert_eq!(watch.store.records(), before);
        }
    }

    #[test]
    fn what_was_lost_is_found_once_and_nothing_else_is_touched(
        events in events(), in_order in any::<bool>(), (settings, lifetime) in settings()
    ) {
        let (suppresses, _) = settings;
        let watch = deployment(MemoryStore::default(), policy(settings));
        let all = arrived(events.into_iter().enumerate().collect(), in_order, settings);
        let history: Vec<_> = all.iter().map(|(index, event)| push(*index, *event, lifetime)).collect();
        for (event, (_, of)) in history.iter().zip(&all) {
            if !of.is_lost {
                handle(&watch, event);
            }
        }
        let counted = pushes(&watch);
        let missing = reconcile(&watch, &history);
        let ids: BTreeSet<_> = missing.iter().map(|(id, _)| id.as_str()).collect();
        let handed_over = |(push, _): &&(Push, Uploader)| ids.contains(push.event_id.as_str());

        // Each missing one is counted once, and nothing else.
        let more = history.iter().filter(handed_over).filter(|(push, _)| !push.failed()).count();
        prop_assert_eq!(pushes(&watch), counted + more as u64);
        for (id, reason) in &missing {
            let is_lost = all.iter().any(|(index, event)| {
                event.is_lost && *id == format!("event-{index}")
            });
            // A suppressed push may become a habit then, in silence.
            prop_assert!(is_lost || suppresses && reason.is_none(), "{} was handled", id);
        }
        let again = reconcile(&watch, &history);
        if suppresses {
            // One that came at the very time of a lost one was judged before that one made
            // its uploader known: it becomes a habit now.
            prop_assert!(again.iter().all(|(_, reason)| reason.is_none()), "{again:?}");
            prop_assert_eq!(reconcile(&watch, &history), []);
            return Ok(());
        }
        prop_assert_eq!(again, []);
        // First and last seen are those of the whole history, and everybody was told.
        let mut times = BTreeMap::<_, BTreeSet<_>>::new();
        for (push, uploader) in history.iter().filter(|(push, _)| !push.failed()) {
            times.entry(&uploader.key).or_default().insert(push.event_time);
        }
        for (key, times) in &times {
            let record = block_on(watch.store.find(key)).unwrap().unwrap();
            prop_assert_eq!(record.first_seen, times.first().copied());
            prop_assert_eq!(record.last_seen, times.last().copied());
        }
        let findings = watch.store.findings();
        let mut told = BTreeSet::new();
        for (id, _) in &findings {
            let stored = block_on(watch.store.finding(id)).unwrap().unwrap();
            let finding: serde_json::Value = serde_json::from_str(&stored.body).unwrap();
            told.insert(finding["uploader"]["key"].as_str().unwrap().to_owned());
        }
        for key in times.keys() {
            prop_assert!(told.contains(key.as_str()), "{} was never told", key);
        }
    }
}

fn at(id: &str, time: &str) -> (Push, Uploader) {
    let (push, identified) = read(&record(id, time, &iam_user("test")));
    (push, identified.uploader)
}

const JAN: &str = "2026-01-01T00:00:00Z";
const FEB: &str = "2026-02-01T00:00:00Z";
const MAR: &str = "2026-03-01T00:00:00Z";

type Change = Box<dyn Fn(&mut Record)>;

/// Three pushes that were handled, and what a person did afterwards.
fn after(change: impl Fn(&mut Record), policy: Policy) -> (Deployment, Vec<(Push, Uploader)>) {
    let history = vec![at("1", JAN), at("2", FEB), at("3", MAR)];
    let watch = deployment(MemoryStore::default(), Policy::default());
    for event in &history {
        handle(&watch, event);
    }
    let mut test = block_on(watch.store.find(TEST_USER)).unwrap().unwrap();
    let read_revision = Some(test.revision);
    change(&mut test);
    test.revision += 1;
    let store = watch.store.clone();
    let committed = block_on(store.commit(Commit {
        read_revision,
        record: Some(&test),
        finding: None,
        owed: Owed::Finding,
        now: Timestamp::now(),
    }));
    assert_eq!(committed, Ok(CommitAnswer::Applied));
    (deployment(store, policy), history)
}

#[test]
fn what_a_person_did_since_makes_no_event_of_before_a_missing_one() {
    let now: Timestamp = "2026-03-02T00:00:00Z".parse().unwrap();
    let changes: [(&str, Change); 5] = [
        ("nothing", Box::new(|_| {})),
        (
            "revoked",
            Box::new(move |test| test.revoke("bob", None, now)),
        ),
        (
            "trusted",
            Box::new(move |test| test.trust("bob", None, Some(now), now)),
        ),
        ("habits reset", Box::new(Record::reset_habits)),
        // By a glob that is gone since.
        (
            "pattern",
            Box::new(|test| test.standing = Standing::Pattern),
        ),
    ];
    for (what, change) in changes {
        let (watch, history) = after(&change, Policy::default());
        assert_eq!(reconcile(&watch, &history), [], "{what}");
    }
    let trusted = Policy {
        trusted: vec![Glob::parse(TEST_USER).unwrap()],
        ..Policy::default()
    };
    let (watch, history) = after(|_| {}, trusted);
    assert_eq!(reconcile(&watch, &history), [], "a glob since");
    let suppressing = Policy {
        suppress: Some(Suppression::parse("true").unwrap()),
        ..Policy::default()
    };
    let (watch, history) = after(|_| {}, suppressing);
    assert_eq!(reconcile(&watch, &history), [], "an expression since");
}

#[test]
fn a_push_after_the_revocation_that_never_arrived_is_told() {
    let at_revocation: Timestamp = "2026-02-15T00:00:00Z".parse().unwrap();
    let (watch, mut history) = after(
        |test| {
            test.revoke("bob", None, at_revocation);
            test.last_seen = Some(FEB.parse().unwrap());
            test.last_event_id = Some("2".into());
        },
        Policy::default(),
    );
    history.push(at("4", "2026-02-16T00:00:00Z"));
    let revoked = Some(Reason::RevokedUploader);
    let missing = [("4".to_owned(), revoked), ("3".to_owned(), revoked)];
    assert_eq!(reconcile(&watch, &history), missing);
    assert_eq!(reconcile(&watch, &history), []);
}

#[test]
fn a_name_that_is_given_away_again_and_again_is_no_missing_event() {
    let of = |id: &str, time: &str, principal: &str| {
        let mut identity = iam_user("test");
        identity["principalId"] = json!(principal);
        let (push, identified) = read(&record(id, time, &identity));
        (push, identified.uploader)
    };
    let mut history = vec![
        of("1", "2026-01-01T00:00:00Z", "AIDAONE"),
        of("2", "2026-01-02T00:00:00Z", "AIDAONE"),
        of("3", "2026-01-03T00:00:00Z", "AIDATWO"),
        of("4", "2026-01-04T00:00:00Z", "AIDATWO"),
        of("5", "2026-01-05T00:00:00Z", "AIDATHREE"),
        of("6", "2026-01-06T00:00:00Z", "AIDATHREE"),
    ];
    let watch = deployment(MemoryStore::default(), Policy::default());
    for event in &history {
        handle(&watch, event);
    }
    assert_eq!(reconcile(&watch, &history), []);
    // One of whom nobody was told.
    history.push(of("7", "2026-01-04T12:00:00Z", "AIDATHIEF"));
    history.push(of("8", "2026-01-04T13:00:00Z", "AIDATHIEF"));
    let told = [("7".to_owned(), Some(Reason::RecreatedPrincipal))];
    assert_eq!(reconcile(&watch, &history), told);
    assert_eq!(reconcile(&watch, &history), []);
}

#[test]
fn an_unidentified_push_is_missing_until_it_was_told() {
    let identity = json!({"invokedBy": "AWS Internal"});
    let history: Vec<_> = ["a", "b"]
        .map(|id| {
            let (push, identified) = read(&record(id, JAN, &identity));
            (push, identified.uploader)
        })
        .into();
    let watch = deployment(MemoryStore::default(), Policy::default());
    handle(&watch, &history[0]);
    let missing = [("b".to_owned(), Some(Reason::UnidentifiedUploader))];
    assert_eq!(reconcile(&watch, &history), missing);
    assert_eq!(reconcile(&watch, &history), []);
}

#[test]
fn an_earlier_push_of_somebody_told_since_only_moves_first_seen() {
    let history = vec![at("1", JAN), at("2", FEB), at("3", MAR)];
    let watch = deployment(MemoryStore::default(), Policy::default());
    handle(&watch, &history[1]);
    let missing = [("1".to_owned(), None), ("3".to_owned(), None)];
    assert_eq!(reconcile(&watch, &history), missing);
    let test = block_on(watch.store.find(TEST_USER)).unwrap().unwrap();
    assert_eq!(test.first_seen, Some(JAN.parse().unwrap()));
    assert_eq!(test.last_seen, Some(MAR.parse().unwrap()));
    assert_eq!(test.pushes, 3);
    assert_eq!(watch.store.findings().len(), 1);
}
