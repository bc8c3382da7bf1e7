//! The bytes of an event: read, identified, decided, and its finding in every form.

use std::convert::Infallible;

use jiff::Timestamp;
use pushwatch::event::{self, Event, Push};
use pushwatch::finding::{Finding, Reason, Sightings, Verdict};
use pushwatch::glob::Glob;
use pushwatch::habit::{Habits, Unusual};
use pushwatch::identity::{Uploader, identify};
use pushwatch::policy::{HabitReports, Policy};
use pushwatch::record::Record;
use pushwatch::store::MemoryStore;
use pushwatch::watch::Watch;

use crate::events::{now, time};
use crate::failure::failure;
use crate::oracles::{characters, forms, key};
use crate::{block_on, chosen};

pub fn check(input: &[u8]) {
    let Ok(json) = std::str::from_utf8(input) else {
        return;
    };
    if let Some(id) = event::id(json) {
        characters::assert_line(&id);
    }
    // As a message that was parked.
    _ = failure(json, None, now());
    let is_image_action = event::is_image_action(json);
    let (push, identity) = match (event::read(json, now()), event::read_whole(json, now())) {
        (Ok(Event::Push(mut push, identity)), Ok(Event::Push(whole, same))) => {
            push.read_details();
            assert_eq!((&push, &identity), (&whole, &same));
            (push, identity)
        }
        (read, whole) => {
            assert_eq!(read, whole);
            assert!(!is_image_action || matches!(read, Ok(Event::Ignored(_))));
            if let Ok(Event::Ignored(why)) = read {
                characters::assert_line(&why);
            }
            return;
        }
    };
    let uploader = identify(&identity, push.account.as_deref()).uploader;
    key::assert_depends_on_identity_alone(json, &uploader);
    characters::assert_line(&push.place());
    characters::assert_line(&push.way);
    for policy in policies(&uploader) {
        decide(&push, &uploader, policy);
    }
    forms::assert_sound(&finding(input, &push, &uploader));
}

/// A finding for one of the reasons, with whatever may be known beside it. Its texts are
/// the event's.
fn finding(input: &[u8], push: &Push, uploader: &Uploader) -> Finding {
    let reason = *chosen(input, &Reason::ALL);
    let said = push.user_agent.clone().or_else(|| push.tag.clone());
    let verdict = Some(Verdict {
        by: said.clone(),
        at: Some(push.event_time),
        reason: said.clone(),
    });
    let mut habits = Habits::default();
    habits.remember(&push.place(), &push.way, push.event_time);
    let unusual = *chosen(
        &input[input.len() / 2..],
        &[
            &[] as &[Unusual],
            &[Unusual::Place],
            &[Unusual::Way],
            &[Unusual::Wide],
            &[Unusual::Place, Unusual::Way],
        ],
    );
    let seen = Sightings {
        first_seen: Some(push.event_time),
        last_seen: Some(push.event_time),
        previously_seen: matches!(reason, Reason::ReturnedAfterAbsence | Reason::NewUploader)
            .then(|| time("2025-06-01T00:00:00Z")),
        trusted: verdict.clone(),
        trust_ended: (reason == Reason::NewUploader).then_some(push.event_time),
        revoked: verdict,
        previous_principal_id: said,
        unusual: unusual.to_vec(),
        usual: Some(habits),
    };
    let mut push = push.clone();
    push.note_delay(now());
    Finding::new(reason, &push, uploader, seen)
}

fn policies(uploader: &Uploader) -> [Policy; 3] {
    [
        Policy::default(),
        Policy {
            learning_until: Some(Timestamp::MAX),
            habits: HabitReports::Tell,
            ..Policy::default()
        },
        Policy {
            trusted: Glob::parse(&uploader.key).into_iter().collect(),
            habits: HabitReports::Off,
            ..Policy::default()
        },
    ]
}

/// Handles the push twice: what is told of it is told once.
fn decide(push: &Push, uploader: &Uploader, policy: Policy) {
    let watch = Watch::in_memory(MemoryStore::default(), policy);
    let handle = || {
        let handled: Result<_, pushwatch::watch::WatchError<Infallible>> =
            block_on(watch.push(push, uploader, Timestamp::MAX));
        handled.expect("a store that never fails")
    };
    let first = handle();
    if let Some(finding) = &first.finding {
        let own: Finding = serde_json::from_str(&finding.to_json()).expect("a finding");
        assert_eq!(own.id, finding.id);
    }
    let again = handle();
    assert!(again.finding.is_none(), "{again:?}");
    for record in watch.store.records() {
        let json = serde_json::to_string(&record).expect("JSON");
        assert!(json.len() < 64 * 1024, "{} bytes", json.len());
        let same: Record = serde_json::from_str(&json).expect("a record");
        assert_eq!(same, record);
    }
}
