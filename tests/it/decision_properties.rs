//! What must hold for any history of pushes, through the real `watch` code
//! over the embedded store.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use pushwatch::clock::SystemClock;
use pushwatch::decide::decide;
use pushwatch::event::Push;
use pushwatch::finding::{Finding, Reason};
use pushwatch::identity::Uploader;
use pushwatch::notify::Notifier;
use pushwatch::policy::Policy;
use pushwatch::record::{Record, Standing};
use pushwatch::render::Message;
use pushwatch::store::MemoryStore;
use pushwatch::suppress::Suppression;
use pushwatch::watch::Watch;

use crate::support::events::{iam_user, push_by, read, record, role_session, usual};

/// Keeps what it is told.
#[derive(Default)]
struct Inbox(Mutex<Vec<Finding>>);

impl Notifier for Inbox {
    type Error = Infallible;

    async fn publish(&self, message: Message<'_>, _: Duration) -> Result<String, Infallible> {
        self.0.lock().unwrap().extend_from_slice(message.findings());
        Ok(String::new())
    }
}

/// Who, and when in steps of twenty days, so that absences of 90 days happen.
type Event = (usize, i64);

const NAMES: [&str; 3] = ["ada", "bob", "eve"];

fn event(index: usize, (who, step): Event) -> (Push, Uploader) {
    let time = Timestamp::from_second(1_700_000_000 + step * 20 * 86_400).unwrap();
    push_by(NAMES[who], &format!("event-{index}"), &time.to_string())
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec((0..NAMES.len(), 0..12_i64), 1..14)
}

/// The pushes of some events with a few repeated, in any order.
fn shuffled() -> impl Strategy<Value = (Vec<Event>, Vec<usize>)> {
    events().prop_flat_map(|events| {
        let all = 0..events.len();
        let again = prop::collection::vec(all.clone(), 0..4);
        again.prop_flat_map(move |again| {
            let order: Vec<_> = all.clone().chain(again).collect();
            (Just(events.clone()), Just(order).prop_shuffle())
        })
    })
}

fn run(
    pushes: impl IntoIterator<Item = (Push, Uploader)>,
    policy: Policy,
) -> (Vec<Record>, Vec<Finding>) {
    let watch = Watch {
        store: MemoryStore::default(),
        notifier: Inbox::default(),
        clock: SystemClock,
        policy,
        findings_per_minute: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for (push, uploader) in pushes {
        let handling = watch.push(&push, &uploader, Timestamp::MAX);
        runtime.block_on(handling).unwrap();
    }
    (
        watch.store.records(),
        watch.notifier.0.into_inner().unwrap(),
    )
}

/// What must not depend on the order of events.
fn times(records: &[Record]) -> BTreeMap<String, (Option<Timestamp>, Option<Timestamp>)> {
    records
        .iter()
        .map(|record| {
            (
                record.uploader.to_string(),
                (record.first_seen, record.last_seen),
            )
        })
        .collect()
}

/// Reasons and keys, as often as they were told.
fn told(findings: &[Finding]) -> Vec<(Reason, String)> {
    let mut told: Vec<_> = findings
        .iter()
        .map(|finding| (finding.reason, finding.uploader.key.to_string()))
        .collect();
    told.sort();
    told
}

/// Any text, and those that mean something to us or to a registry.
fn word() -> impl Strategy<Value = String> {
    const TELLING: [&str; 10] = [
        "AKIAIOSFODNN7EXAMPLE",
        "ASIAIOSFODNN7EXAMPLE",
        "AWS Internal",
        "203.0.113.12",
        "ecr.amazonaws.com",
        "latest",
        "sha256-b7798f35949cc1a2d435c9ac59ab69e857fe635a359c96e4f56a8498ce02019c.sig",
        r#"{"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#,
        r#"{"artifactType":"application/vnd.cncf.notary.signature","layers":[]}"#,
        r#"{"config":{"mediaType":"application/vnd.oci.image.config.v1+json"},"layers":[]}"#,
    ];
    prop_oneof![
        any::<String>(),
        prop::sample::select(&TELLING[..]).prop_map(str::to_owned)
    ]
}

proptest! {
    #[test]
    fn words_of_a_push_change_neither_reason_nor_severity(words in prop::collection::vec(word(), 7)) {
        let by = |words: &[String]| {
            let mut record = record("1", "2026-01-02T00:00:00Z", &role_session("ci/build", &words[0]));
            record["userAgent"] = words[1].as_str().into();
            record["sourceIPAddress"] = words[2].as_str().into();
            record["userIdentity"]["accessKeyId"] = words[3].as_str().into();
            record["vpcEndpointId"] = words[4].as_str().into();
            record["requestParameters"]["imageTag"] = words[5].as_str().into();
            record["requestParameters"]["imageManifest"] = words[6].as_str().into();
            let (push, identified) = read(&record);
            (push, identified.uploader)
        };
        let plain: Vec<_> = ["GitHubActions", "", "", "", "", "1", "{}"].map(str::to_owned).into();
        for before in [None, Some("2025-01-01T00:00:00Z"), Some("2026-01-01T00:00:00Z")] {
            let told = |words: &[String]| {
                let (push, uploader) = by(words);
                let record = before.map(|before| Record {
                    last_seen: Some(before.parse().unwrap()),
                    first_seen: Some(before.parse().unwrap()),
                    principal_id: uploader.principal_id.clone(),
                    habits: usual(),
                    ..Record::unseen(uploader.key.clone(), Standing::New)
                });
                let decision = decide(record.as_ref(), &push, &uploader, &Policy::default());
                (decision.rule, decision.owed, decision.finding.map(|finding| (finding.reason, finding.risk)))
            };
            prop_assert_eq!(told(&words), told(&plain), "{:?}", before);
        }
    }

    #[test]
    fn any_order_and_repetition_gives_the_same_uploaders_and_times((events, order) in shuffled()) {
        let pushes = |indices: &[usize]| {
            indices.iter().map(|index| event(*index, events[*index])).collect::<Vec<_>>()
        };
        let (records, _) = run(pushes(&(0..events.len()).collect::<Vec<_>>()), Policy::default());
        let (again, _) = run(pushes(&order), Policy::default());
        prop_assert_eq!(times(&records), times(&again));
        for record in &records {
            let own: Vec<_> = events
                .iter()
                .enumerate()
                .map(|(index, one)| event(index, *one))
                .filter(|(_, uploader)| uploader.key == record.uploader)
                .map(|(push, _)| push.event_time)
                .collect();
            prop_assert_eq!(record.first_seen, own.iter().min().copied());
            prop_assert_eq!(record.last_seen, own.iter().max().copied());
        }
    }

    #[test]
    fn in_time_order_ties_and_repetitions_do_not_change_what_is_told((events, order) in shuffled()) {
        let in_order = |mut indices: Vec<usize>| {
            // Stable: events of the same time stay in the order given.
            indices.sort_by_key(|index| events[*index].1);
            indices.iter().map(|index| event(*index, events[*index])).collect::<Vec<_>>()
        };
        let (_, once) = run(in_order((0..events.len()).collect()), Policy::default());
        let (_, again) = run(in_order(order), Policy::default());
        prop_assert_eq!(told(&once), told(&again));
    }

    #[test]
    fn nobody_is_new_twice((events, order) in shuffled()) {
        let pushes = order.iter().map(|index| event(*index, events[*index]));
        let (_, findings) = run(pushes, Policy::default());
        let new: Vec<_> = findings
            .iter()
            .filter(|finding| finding.reason == Reason::NewUploader)
            .map(|finding| finding.uploader.key.clone())
            .collect();
        let unique: BTreeSet<_> = new.iter().collect();
        prop_assert_eq!(new.len(), unique.len());
        prop_assert_eq!(unique.len(), events.iter().map(|(who, _)| who).collect::<BTreeSet<_>>().len());
    }

    #[test]
    fn no_failed_or_suppressed_push_makes_anyone_known(
        events in prop::collection::vec((0..NAMES.len(), 0..12_i64, any::<bool>()), 1..14)
    ) {
        let policy = Policy {
            suppress: Some(Suppression::parse("true").unwrap()),
            ..Policy::default()
        };
        let pushes = events.iter().enumerate().map(|(index, (who, step, failed))| {
            let (mut push, uploader) = event(index, (*who, *step));
            push.error_code = failed.then(|| "AccessDenied".into());
            (push, uploader)
        });
        let (records, findings) = run(pushes, policy);
        prop_assert!(findings.is_empty());
        for record in records {
            prop_assert!(matches!(record.standing, Standing::Attempted | Standing::Suppressed));
        }
    }
}

#[test]
fn a_role_is_one_uploader_however_many_sessions_it_has() {
    let pushes = (0..1000).map(|run| {
        let session = format!("run-{run}");
        let identity = crate::support::events::role_session("ci/build", &session);
        let (push, identified) = read(&record(&session, "2026-01-02T03:04:05Z", &identity));
        (push, identified.uploader)
    });
    let (records, findings) = run(pushes, Policy::default());
    assert_eq!((records.len(), findings.len()), (1, 1));
    assert_eq!(records[0].uploader, crate::support::events::CI_ROLE);
    assert_eq!(records[0].pushes, 1000);
}

#[test]
fn an_unidentified_push_is_told_once_an_event() {
    let identity = serde_json::json!({"invokedBy": "AWS Internal"});
    let pushes = ["a", "b", "a"].map(|id| {
        let (push, identified) = read(&record(id, "2026-01-02T03:04:05Z", &identity));
        (push, identified.uploader)
    });
    let (records, findings) = run(pushes, Policy::default());
    assert_eq!((records.len(), findings.len()), (0, 2));
}

#[test]
fn a_recreated_principal_is_told_once_and_its_late_events_are_not() {
    let at = |id: &str, time: &str, principal: &str| {
        let mut identity = iam_user("test");
        identity["principalId"] = principal.into();
        let (push, identified) = read(&record(id, time, &identity));
        (push, identified.uploader)
    };
    let (_, findings) = run(
        [
            at("1", "2026-01-01T00:00:00Z", "AIDAOLD"),
            at("3", "2026-01-03T00:00:00Z", "AIDANEW"),
            at("2", "2026-01-02T00:00:00Z", "AIDAOLD"),
            at("3", "2026-01-03T00:00:00Z", "AIDANEW"),
            at("4", "2026-01-04T00:00:00Z", "AIDANEW"),
        ],
        Policy::default(),
    );
    let reasons: Vec<_> = findings.iter().map(|finding| finding.reason).collect();
    assert_eq!(reasons, [Reason::NewUploader, Reason::RecreatedPrincipal]);
}
