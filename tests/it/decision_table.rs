//! Each row of the decision table: record and push in, finding and record out.

use jiff::SignedDuration;
use pushwatch::decide::{Decision, DecisionRule, decide, is_ordinary};
use pushwatch::event::Push;
use pushwatch::finding::{Finding, Reason, Severity, Sightings, Verdict, finding_id};
use pushwatch::glob::Glob;
use pushwatch::habit::Unusual;
use pushwatch::identity::Uploader;
use pushwatch::policy::Policy;
use pushwatch::record::{Record, Standing};
use pushwatch::suppress::Suppression;
use serde_json::{Value, json};

use crate::support::events::{ACCOUNT, iam_user, push_by, read, record, role_session, time, usual};

const FIRST: &str = "2026-01-01T00:00:00Z";
const LAST: &str = "2026-02-01T00:00:00Z";
const NEXT: &str = "2026-02-02T00:00:00Z";
const BEFORE: &str = "2025-12-01T00:00:00Z";

fn push() -> (Push, Uploader) {
    push_by("test", "next", NEXT)
}

fn late_push() -> (Push, Uploader) {
    push_by("test", "late", BEFORE)
}

fn failed_push() -> (Push, Uploader) {
    let mut record = record("failed", NEXT, &iam_user("test"));
    record["errorCode"] = json!("AccessDenied");
    record["responseElements"] = json!(null);
    let (push, identified) = read(&record);
    (push, identified.uploader)
}

fn root_push() -> (Push, Uploader) {
    let identity = json!({
        "type": "Root", "principalId": ACCOUNT, "accountId": ACCOUNT,
        "arn": "arn:aws:iam::111122223333:root"
    });
    let (push, identified) = read(&record("next", NEXT, &identity));
    (push, identified.uploader)
}

/// A session that the root user minted with `GetFederationToken`.
fn push_minted_by_root() -> (Push, Uploader) {
    minted_push(
        &json!({
            "type": "Root", "principalId": ACCOUNT, "accountId": ACCOUNT,
            "arn": "arn:aws:iam::111122223333:root"
        }),
        "next",
    )
}

fn minted_push(issuer: &Value, id: &str) -> (Push, Uploader) {
    let identity = json!({
        "type": "FederatedUser", "principalId": "111122223333:mary", "accountId": ACCOUNT,
        "arn": FORMER_KEY, "sessionContext": {"sessionIssuer": issuer}
    });
    let (push, identified) = read(&record(id, NEXT, &identity));
    (push, identified.uploader)
}

/// Of the sessions called mary, whoever minted them.
const FORMER_KEY: &str = "arn:aws:sts::111122223333:federated-user/mary";

/// A session called mary that a user minted.
fn federated_push() -> (Push, Uploader) {
    minted_push(
        &json!({
            "type": "IAMUser", "principalId": "AIDABROKER", "accountId": ACCOUNT,
            "arn": "arn:aws:iam::111122223333:user/broker", "userName": "broker"
        }),
        "next",
    )
}

/// By the same name, with another unique id.
fn by_other_principal((push, mut uploader): (Push, Uploader)) -> (Push, Uploader) {
    uploader.principal_id = Some("AIDAOTHER".into());
    (push, uploader)
}

/// The record of `test` after pushes from FIRST to LAST.
fn seen(standing: Standing) -> Record {
    let (push, uploader) = push();
    Record {
        kind: Some("IAMUser".into()),
        name: Some("test".into()),
        account_id: Some(ACCOUNT.into()),
        principal_id: uploader.principal_id,
        first_seen: Some(time(FIRST)),
        last_seen: Some(time(LAST)),
        last_event_id: Some("last".into()),
        pushes: 3,
        last_push: Some((&push).into()),
        revision: 3,
        habits: usual(),
        ..Record::unseen(uploader.key, standing)
    }
}

fn decided(
    record: Option<&Record>,
    (push, uploader): &(Push, Uploader),
    policy: &Policy,
) -> Decision {
    let decision = decide(record, push, uploader, policy);
    let ordinary = record.is_some_and(|record| is_ordinary(record, push, uploader, policy));
    assert!(
        !ordinary || decision.finding.is_none(),
        "an ordinary push must not be told"
    );
    decision
}

/// Standing, first seen and last seen.
type After = (Standing, Option<String>, Option<String>);

/// Rule, reason told, and the record afterwards (none: unchanged).
type Outcome = (DecisionRule, Option<Reason>, Option<After>);

fn outcome(decision: &Decision) -> Outcome {
    let text = |time: Option<jiff::Timestamp>| time.map(|time| time.to_string());
    (
        decision.rule,
        decision.finding.as_ref().map(|finding| finding.reason),
        decision.record.as_ref().map(|record| {
            (
                record.standing.clone(),
                text(record.first_seen),
                text(record.last_seen),
            )
        }),
    )
}

#[allow(clippy::unnecessary_wraps)] // reads like the other column
fn record_with(standing: Standing, first: &str, last: &str) -> Option<After> {
    Some((standing, Some(first.to_owned()), Some(last.to_owned())))
}

fn trusting(glob: &str) -> Policy {
    Policy {
        trusted: vec![Glob::parse(glob).unwrap()],
        ..Policy::default()
    }
}

fn learning() -> Policy {
    Policy {
        learning_until: Some(time("2026-03-01T00:00:00Z")),
        ..Policy::default()
    }
}

fn suppressing(expression: &str) -> Policy {
    Policy {
        suppress: Some(Suppression::parse(expression).unwrap()),
        ..Policy::default()
    }
}

#[test]
fn row_1_an_event_that_was_decided_last_is_a_duplicate() {
    for standing in [Standing::New, Standing::Revoked, Standing::Suppressed] {
        let mut record = seen(standing);
        record.last_event_id = Some("next".into());
        let decision = decided(Some(&record), &push(), &Policy::default());
        assert_eq!(outcome(&decision), (DecisionRule::Duplicate, None, None));
    }
}

#[test]
fn row_2_an_unidentified_push_is_told_every_time_and_not_remembered() {
    for failed in [false, true] {
        let mut record = record("next", NEXT, &json!({"invokedBy": "AWS Internal"}));
        if failed {
            record["errorCode"] = json!("AccessDenied");
        }
        let (push, identified) = read(&record);
        let decision = decided(None, &(push, identified.uploader), &learning());
        let told = Some(Reason::UnidentifiedUploader);
        assert_eq!(outcome(&decision), (DecisionRule::Unidentified, told, None));
    }
}

#[test]
fn row_3_a_revoked_uploader_is_told_every_time() {
    let record = seen(Standing::Revoked);
    for push in [push(), failed_push(), by_other_principal(push())] {
        let decision = decided(Some(&record), &push, &trusting("arn:aws:iam::*:user/test"));
        let told = Some(Reason::RevokedUploader);
        let after = record_with(Standing::Revoked, FIRST, NEXT);
        assert_eq!(outcome(&decision), (DecisionRule::Revoked, told, after));
        assert_eq!(decision.finding.unwrap().severity, Severity::Critical);
    }
}

#[test]
fn row_3_a_revocation_under_the_former_key_counts() {
    let mut failed = federated_push();
    failed.0.error_code = Some("AccessDenied".into());
    for (push, uploader) in [federated_push(), failed] {
        let record = Record {
            uploader: FORMER_KEY.into(),
            ..seen(Standing::Revoked)
        };
        let decision = decided(
            Some(&record),
            &(push.clone(), uploader.clone()),
            &Policy::default(),
        );
        let told = Some(Reason::RevokedUploader);
        let after = record_with(Standing::Revoked, FIRST, NEXT);
        assert_eq!(outcome(&decision), (DecisionRule::Revoked, told, after));
        let moved = decision.record.as_ref().unwrap();
        assert_eq!(moved.uploader, FORMER_KEY);
        assert_eq!(moved.revision, record.revision + 1);
        let finding = decision.finding.as_ref().unwrap();
        assert_eq!(
            finding.uploader.key,
            "federated:arn:aws:iam::111122223333:user/broker/mary"
        );
        assert_eq!(finding.previously_seen, Some(time(LAST)));

        let again = decided(Some(moved), &(push, uploader), &Policy::default());
        assert_eq!(outcome(&again), (DecisionRule::Duplicate, None, None));
    }
}

const NOT_REVOKED: [&str; 7] = [
    "new",
    "learned",
    "trusted",
    "pattern",
    "attempted",
    "suppressed",
    "odd",
];

#[test]
fn row_3_under_the_former_key_nothing_but_a_revocation_counts() {
    for standing in NOT_REVOKED {
        let record = Record {
            uploader: FORMER_KEY.into(),
            ..seen(Standing::from(standing.to_owned()))
        };
        let push = federated_push();
        let decision = decide(Some(&record), &push.0, &push.1, &Policy::default());
        assert_eq!(
            decision,
            decide(None, &push.0, &push.1, &Policy::default()),
            "{standing}"
        );
        assert_eq!(decision.rule, DecisionRule::New);
        assert_eq!(decision.record.unwrap().uploader, push.1.key);
    }
}

#[test]
fn row_4_a_failed_push_by_nobody_known_is_told_once_and_makes_nobody_known() {
    let decision = decided(None, &failed_push(), &learning());
    let told = Some(Reason::AttemptedUpload);
    let after = Some((Standing::Attempted, None, None));
    assert_eq!(
        outcome(&decision),
        (DecisionRule::AttemptedUpload, told, after)
    );
    let finding = decision.finding.as_ref().unwrap();
    assert_eq!((finding.first_seen, finding.last_seen), (None, None));

    let mut again = failed_push();
    again.0.event_id = "failed-again".into();
    let decision = decided(decision.record.as_ref(), &again, &Policy::default());
    assert_eq!(outcome(&decision), (DecisionRule::FailedPush, None, None));
}

#[test]
fn row_5_any_other_failed_push_changes_nothing() {
    for standing in NOT_REVOKED {
        let record = seen(Standing::from(standing.to_owned()));
        let decision = decided(Some(&record), &failed_push(), &Policy::default());
        assert_eq!(
            outcome(&decision),
            (DecisionRule::FailedPush, None, None),
            "{standing}"
        );
    }
    let decision = decided(None, &failed_push(), &trusting("arn:aws:iam::*:user/*"));
    assert_eq!(outcome(&decision), (DecisionRule::FailedPush, None, None));
}

#[test]
fn row_6_a_trusted_glob_makes_the_standing_pattern() {
    let policy = trusting("arn:aws:iam::*:user/*");
    let decision = decided(None, &push(), &policy);
    let after = record_with(Standing::Pattern, NEXT, NEXT);
    assert_eq!(
        outcome(&decision),
        (DecisionRule::TrustedByPattern, None, after)
    );

    let record = seen(Standing::Pattern);
    assert!(is_ordinary(&record, &push().0, &push().1, &policy));
    let decision = decided(Some(&record), &by_other_principal(push()), &policy);
    let after = record_with(Standing::Pattern, FIRST, NEXT);
    assert_eq!(
        outcome(&decision),
        (DecisionRule::TrustedByPattern, None, after)
    );
    assert_eq!(
        decision.record.unwrap().principal_id.as_deref(),
        Some("AIDAOTHER")
    );
}

#[test]
fn row_6_only_another_principal_in_order_becomes_the_known_one() {
    let policy = trusting("arn:aws:iam::*:user/*");
    let own = seen(Standing::New).principal_id;
    let other = Some("AIDAOTHER".into());
    for (push, known, previous) in [
        (push(), own.clone(), None),
        (late_push(), own.clone(), None),
        (by_other_principal(push()), other, own.clone()),
        (by_other_principal(late_push()), own.clone(), None),
    ] {
        let decision = decided(Some(&seen(Standing::New)), &push, &policy);
        assert_eq!(decision.rule, DecisionRule::TrustedByPattern);
        let after = decision.record.unwrap();
        let ids = (after.principal_id, after.previous_principal_id);
        assert_eq!(ids, (known, previous));
    }
}

#[test]
fn row_6_root_is_trusted_only_without_a_wildcard() {
    for (glob, row) in [
        (
            "arn:aws:iam::111122223333:root",
            DecisionRule::TrustedByPattern,
        ),
        ("arn:aws:iam::*:root", DecisionRule::New),
        ("arn:aws:iam::111122223333:roo?", DecisionRule::New),
        ("arn:aws:iam::111122223333:**", DecisionRule::New),
    ] {
        assert_eq!(
            decided(None, &root_push(), &trusting(glob)).rule,
            row,
            "{glob}"
        );
    }
}

#[test]
fn row_6_a_session_that_root_minted_is_trusted_only_without_a_wildcard() {
    for (glob, row) in [
        (
            "federated:arn:aws:iam::111122223333:root/mary",
            DecisionRule::TrustedByPattern,
        ),
        (
            "federated:arn:aws:iam::111122223333:root/*",
            DecisionRule::New,
        ),
        (
            "federated:arn:aws:iam::111122223333:root/mar?",
            DecisionRule::New,
        ),
        ("federated:arn:aws:iam::*:**", DecisionRule::New),
        ("**:**:**:**:**:**", DecisionRule::New),
        ("arn:aws:iam::111122223333:root", DecisionRule::New),
    ] {
        let decision = decided(None, &push_minted_by_root(), &trusting(glob));
        assert_eq!(decision.rule, row, "{glob}");
    }
    let told = decided(None, &push_minted_by_root(), &Policy::default());
    assert_eq!(told.finding.unwrap().severity, Severity::Critical);

    let of_a_user = trusting("federated:arn:aws:iam::111122223333:user/broker/*");
    let decision = decided(None, &federated_push(), &of_a_user);
    assert_eq!(decision.rule, DecisionRule::TrustedByPattern);
    // Its standing holds no longer than a glob matches.
    let record = Record {
        uploader: push_minted_by_root().1.key,
        principal_id: Some(ACCOUNT.into()),
        ..seen(Standing::Pattern)
    };
    let (push, uploader) = push_minted_by_root();
    let wildcard = trusting("federated:arn:aws:iam::*:root/*");
    assert!(!is_ordinary(&record, &push, &uploader, &wildcard));
}

#[test]
fn rows_7_and_8_nobody_is_known_by_these() {
    let ended = Record {
        trusted_until: Some(time(NEXT)),
        trusted_by: Some("mary".into()),
        ..seen(Standing::Trusted)
    };
    let unseen_trust_ended = Record {
        trusted_until: Some(time(NEXT)),
        ..Record::unseen(push().1.key, Standing::Trusted)
    };
    for (record, first) in [
        (None, NEXT),
        (
            Some(Record::unseen(push().1.key, Standing::Attempted)),
            NEXT,
        ),
        (Some(seen(Standing::Suppressed)), FIRST),
        (Some(seen(Standing::Pattern)), FIRST),
        (Some(seen(Standing::Unknown("odd".into()))), FIRST),
        (Some(ended), FIRST),
        (Some(unseen_trust_ended), NEXT),
    ] {
        let record = record.as_ref();
        if let Some(record) = record {
            assert!(!is_ordinary(
                record,
                &push().0,
                &push().1,
                &Policy::default()
            ));
        }
        let decision = decided(record, &push(), &Policy::default());
        let after = record_with(Standing::New, first, NEXT);
        assert_eq!(
            outcome(&decision),
            (DecisionRule::New, Some(Reason::NewUploader), after)
        );
        assert_eq!(decision.record.unwrap().trusted_until, None);

        let decision = decided(record, &push(), &learning());
        let after = record_with(Standing::Learned, first, NEXT);
        assert_eq!(
            outcome(&decision),
            (DecisionRule::Learned, Some(Reason::LearnedUploader), after)
        );
    }
}

#[test]
fn a_finding_says_who_decided_on_the_uploader_before_and_who_had_the_name() {
    let by_mary = Verdict {
        by: Some("mary".into()),
        at: Some(time(FIRST)),
        reason: Some("left".into()),
    };
    let mut revoked = seen(Standing::New);
    revoked.revoke("mary", Some("left"), time(FIRST));
    let mut ended = seen(Standing::New);
    ended.trust("mary", Some("left"), Some(time(LAST)), time(FIRST));
    let said = |record: &Record, push: &(Push, Uploader)| {
        let decision = decided(Some(record), push, &Policy::default());
        let finding = decision.finding.unwrap();
        (
            finding.revoked,
            finding.trusted,
            finding.previous_principal_id,
        )
    };
    assert_eq!(said(&revoked, &push()), (Some(by_mary.clone()), None, None));
    assert_eq!(said(&ended, &push()), (None, Some(by_mary), None));
    let known = seen(Standing::New).principal_id;
    let other = by_other_principal(push());
    assert_eq!(said(&seen(Standing::New), &other), (None, None, known));
}

#[test]
fn row_8_says_when_it_is_because_trust_ended() {
    let record = Record {
        trusted_until: Some(time(LAST)),
        ..seen(Standing::Trusted)
    };
    let finding = decided(Some(&record), &push(), &Policy::default())
        .finding
        .unwrap();
    assert_eq!(finding.trust_ended, Some(time(LAST)));
    assert_eq!(finding.previously_seen, Some(time(LAST)));
    let finding = decided(None, &push(), &Policy::default()).finding.unwrap();
    assert_eq!(finding.trust_ended, None);
    assert!(
        !serde_json::to_string(&finding)
            .unwrap()
            .contains("trustEnded")
    );
}

#[test]
fn row_7_learning_ends_at_its_time_and_never_covers_root() {
    let at = |until: &str| Policy {
        learning_until: Some(time(until)),
        ..Policy::default()
    };
    assert_eq!(
        decided(None, &push(), &at("2026-02-02T00:00:01Z")).rule,
        DecisionRule::Learned
    );
    assert_eq!(decided(None, &push(), &at(NEXT)).rule, DecisionRule::New);
    assert_eq!(
        decided(None, &root_push(), &learning()).rule,
        DecisionRule::New
    );
    assert_eq!(
        decided(None, &push_minted_by_root(), &learning()).rule,
        DecisionRule::New
    );
    assert_eq!(
        decided(None, &federated_push(), &learning()).rule,
        DecisionRule::Learned
    );
}

#[test]
fn row_9_another_unique_id_later_is_a_recreated_principal() {
    for standing in [Standing::New, Standing::Learned, Standing::Trusted] {
        let record = Record {
            trusted_by: Some("mary".into()),
            ..seen(standing)
        };
        let decision = decided(Some(&record), &by_other_principal(push()), &learning());
        let told = Some(Reason::RecreatedPrincipal);
        let after = record_with(Standing::New, FIRST, NEXT);
        assert_eq!(outcome(&decision), (DecisionRule::Recreated, told, after));
        let after = decision.record.unwrap();
        assert_eq!(after.principal_id.as_deref(), Some("AIDAOTHER"));
        assert_eq!(after.previous_principal_id, record.principal_id);
        assert_eq!(after.trusted_by, None);
    }
}

#[test]
fn row_9_an_event_or_a_record_without_a_unique_id_is_not_another_one() {
    let (no_id_push, mut no_id) = push();
    no_id.principal_id = None;
    let decision = decided(
        Some(&seen(Standing::New)),
        &(no_id_push, no_id),
        &Policy::default(),
    );
    assert_eq!(decision.rule, DecisionRule::Known);
    let record = Record {
        principal_id: None,
        ..seen(Standing::New)
    };
    let decision = decided(Some(&record), &push(), &Policy::default());
    assert_eq!(decision.rule, DecisionRule::Known);
    assert_eq!(decision.record.unwrap().principal_id, push().1.principal_id);
}

#[test]
fn row_10_a_late_event_of_the_previous_principal_is_not_told() {
    let record = Record {
        previous_principal_id: Some("AIDAOTHER".into()),
        ..seen(Standing::New)
    };
    let decision = decided(
        Some(&record),
        &by_other_principal(late_push()),
        &Policy::default(),
    );
    let after = record_with(Standing::New, BEFORE, LAST);
    assert_eq!(
        outcome(&decision),
        (DecisionRule::LateEventOfPreviousPrincipal, None, after)
    );
    assert_eq!(decision.record.unwrap().principal_id, record.principal_id);
}

#[test]
fn row_11_a_late_event_of_an_unknown_principal_is_told_and_becomes_the_previous_one() {
    let record = seen(Standing::Learned);
    let decision = decided(
        Some(&record),
        &by_other_principal(late_push()),
        &Policy::default(),
    );
    let told = Some(Reason::RecreatedPrincipal);
    let after = record_with(Standing::Learned, BEFORE, LAST);
    assert_eq!(
        outcome(&decision),
        (DecisionRule::LateEventOfUnknownPrincipal, told, after)
    );
    let after = decision.record.unwrap();
    assert_eq!(after.principal_id, record.principal_id);
    assert_eq!(after.previous_principal_id.as_deref(), Some("AIDAOTHER"));
}

#[test]
fn row_11_the_same_second_is_not_later() {
    let mut same_time = by_other_principal(push());
    same_time.0.event_time = time(LAST);
    let decision = decided(Some(&seen(Standing::New)), &same_time, &Policy::default());
    assert_eq!(decision.rule, DecisionRule::LateEventOfUnknownPrincipal);
}

#[test]
fn only_trust_that_stood_until_now_has_ended() {
    for (standing, ended) in [
        (Standing::Trusted, true),
        (Standing::Suppressed, false),
        (Standing::Attempted, false),
    ] {
        let mut record = seen(standing);
        record.trusted_until = Some(time(BEFORE));
        let finding = decided(Some(&record), &push(), &Policy::default()).finding;
        let finding = finding.unwrap();
        assert_eq!(finding.reason, Reason::NewUploader);
        assert_eq!(
            finding.trust_ended.is_some(),
            ended,
            "{:?}",
            record.standing
        );
    }
}

/// One former id is remembered, and times are in whole seconds.
#[test]
fn row_11_a_name_of_three_ids_or_of_one_second_may_be_reported_again() {
    let told = |record: Record, push: (Push, Uploader)| {
        let decision = decided(Some(&record), &push, &Policy::default());
        let reason = decision.finding.map(|finding| finding.reason);
        (reason, decision.record.unwrap_or(record))
    };
    let by = |id: &str, mut push: (Push, Uploader), at: &str| {
        push.0.event_id = format!("{id} {at}").into();
        push.0.event_time = time(at);
        push.1.principal_id = Some(id.into());
        push
    };
    let again = Some(Reason::RecreatedPrincipal);
    let mut record = seen(Standing::New);
    for (id, at) in [
        ("AIDAFIRST", "2025-06-01T00:00:00Z"),
        ("AIDASECOND", "2025-06-02T00:00:00Z"),
        ("AIDAFIRST", "2025-06-03T00:00:00Z"),
    ] {
        let (reason, after) = told(record, by(id, push(), at));
        assert_eq!(reason, again, "{id} {at}");
        record = after;
    }
    let (reason, record) = told(seen(Standing::New), by("AIDAOTHER", push(), LAST));
    assert_eq!(reason, again);
    let second_later = "2026-02-01T00:00:01Z";
    assert!(time(second_later) > time(LAST));
    let (reason, _) = told(record, by("AIDAOTHER", push(), second_later));
    assert_eq!(reason, again);
}

#[test]
fn row_12_an_absence_over_the_limit_is_told() {
    let after_days = |days: i64, seconds: i64| {
        let mut push = push();
        push.0.event_time =
            jiff::Timestamp::from_second(time(LAST).as_second() + days * 86_400 + seconds).unwrap();
        push
    };
    let told = |record: &Record, push: &(Push, Uploader), days| {
        let policy = Policy {
            absence_days: days,
            ..Policy::default()
        };
        decided(Some(record), push, &policy)
            .finding
            .map(|finding| finding.reason)
    };
    let new = seen(Standing::New);
    let absence = Some(Reason::ReturnedAfterAbsence);
    assert_eq!(told(&new, &after_days(90, 1), 90), absence);
    assert_eq!(told(&new, &after_days(90, 0), 90), None);
    assert_eq!(told(&new, &after_days(1, 1), 1), absence);
    assert_eq!(
        told(&seen(Standing::Learned), &after_days(91, 0), 90),
        absence
    );
    assert_eq!(
        told(&new, &after_days(9000, 0), 0),
        None,
        "0 switches it off"
    );
    assert_eq!(told(&seen(Standing::Trusted), &after_days(91, 0), 90), None);
    let no_times = Record {
        last_seen: None,
        first_seen: None,
        ..new
    };
    assert_eq!(told(&no_times, &after_days(91, 0), 90), None);
}

#[test]
fn row_13_a_known_uploaders_times_are_the_least_and_the_greatest() {
    let record = seen(Standing::New);
    let decision = decided(Some(&record), &late_push(), &Policy::default());
    let after = record_with(Standing::New, BEFORE, LAST);
    assert_eq!(outcome(&decision), (DecisionRule::Known, None, after));
    assert_eq!(decision.record.unwrap().revision, 4);

    let decision = decided(Some(&record), &push(), &Policy::default());
    assert_eq!(
        outcome(&decision),
        (
            DecisionRule::Known,
            None,
            record_with(Standing::New, FIRST, NEXT)
        )
    );
}

#[test]
fn row_13_a_trusted_key_without_times_gets_them() {
    let record = Record::unseen(push().1.key, Standing::Trusted);
    assert!(!is_ordinary(
        &record,
        &push().0,
        &push().1,
        &Policy::default()
    ));
    let decision = decided(Some(&record), &push(), &Policy::default());
    let after = record_with(Standing::Trusted, NEXT, NEXT);
    assert_eq!(outcome(&decision), (DecisionRule::Known, None, after));
}

/// Nobody knows the id of somebody who never pushed.
#[test]
fn whoever_pushes_first_as_somebody_trusted_before_gives_the_unique_id() {
    let trusted = Record::unseen(push().1.key, Standing::Trusted);
    let first = decided(Some(&trusted), &push(), &Policy::default());
    let record = first.record.unwrap();
    assert_eq!(
        (first.rule, &record.principal_id),
        (DecisionRule::Known, &push().1.principal_id)
    );
    let mut other = by_other_principal(push());
    other.0.event_id = "later".into();
    other.0.event_time += SignedDuration::from_secs(1);
    let told = decided(Some(&record), &other, &Policy::default()).finding;
    assert_eq!(told.unwrap().reason, Reason::RecreatedPrincipal);
}

#[test]
fn a_suppressed_return_ends_the_absence() {
    let push_after = |days: i64, id: &str| {
        let mut push = push();
        push.0.event_id = id.into();
        push.0.event_time = time(LAST) + SignedDuration::from_hours(24 * days);
        push
    };
    let policy = |suppress: &str| Policy {
        absence_days: 90,
        suppress: Some(Suppression::parse(suppress).unwrap()),
        ..Policy::default()
    };
    let record = seen(Standing::New);
    let all = policy("true");
    let back = decided(Some(&record), &push_after(200, "back"), &all);
    assert_eq!(
        (back.rule, back.suppressed),
        (DecisionRule::ReturnedAfterAbsence, true)
    );
    let next = decided(back.record.as_ref(), &push_after(201, "next"), &all);
    assert_eq!(next.rule, DecisionRule::Known);
    // What SECURITY.md advises.
    let advised = policy(r#"reason != "returned_after_absence""#);
    let told = decided(Some(&record), &push_after(200, "back"), &advised).finding;
    assert_eq!(told.unwrap().reason, Reason::ReturnedAfterAbsence);
}

#[test]
fn a_suppressed_finding_is_not_told_and_makes_nobody_known() {
    let policy = suppressing("push.repository.startsWith('team/')");
    for (record, push, standing) in [
        (None, push(), Some(Standing::Suppressed)),
        (
            Some(seen(Standing::New)),
            by_other_principal(push()),
            Some(Standing::Suppressed),
        ),
        (None, failed_push(), Some(Standing::Attempted)),
        (
            Some(seen(Standing::Revoked)),
            push(),
            Some(Standing::Revoked),
        ),
        (
            Some(seen(Standing::New)),
            by_other_principal(late_push()),
            Some(Standing::New),
        ),
    ] {
        let decision = decided(record.as_ref(), &push, &policy);
        assert!(decision.suppressed, "{:?}", decision.rule);
        assert_eq!(decision.finding, None);
        let after = decision.record;
        assert_eq!(
            after.as_ref().map(|record| record.standing.clone()),
            standing
        );
        let after = after.unwrap();
        assert_eq!(after.last_finding_id, None);
        // Of row 11: an id that nobody was told of is no previous one.
        if standing == Some(Standing::New) {
            assert_eq!(after.previous_principal_id, None);
        }
    }
    let next = decided(
        Some(&seen(Standing::Suppressed)),
        &push(),
        &Policy::default(),
    );
    assert_eq!(next.rule, DecisionRule::New);
}

#[test]
fn an_expression_that_fails_on_a_finding_suppresses_nothing() {
    for expression in [
        "push.nosuch == 'x'",
        "nosuch",
        "push.errorCode.startsWith('x')",
        "push.repository",
    ] {
        let decision = decided(None, &push(), &suppressing(expression));
        assert_eq!(
            decision.finding.map(|finding| finding.reason),
            Some(Reason::NewUploader)
        );
        assert!(decision.suppression_fault.is_some(), "{expression}");
    }
}

#[test]
fn the_fault_of_an_expression_names_types_and_no_value_of_the_event() {
    for (expression, fault) in [
        ("2 + push", "Unsupported binary operator 'add': int, map"),
        (
            "push.repository < 1",
            "found no matching overload for '_<_' applied to '(string, int)'",
        ),
        ("{'a': true}[push.repository]", "No such key"),
        ("push.nosuch == 'x'", "No such key: nosuch"),
    ] {
        let decision = decided(None, &push(), &suppressing(expression));
        assert_eq!(
            decision.suppression_fault.as_deref(),
            Some(fault),
            "{expression}"
        );
    }
}

#[test]
fn an_expression_sees_every_field_of_the_finding() {
    for expression in [
        "reason == 'new_uploader' && severity == 'high'",
        "risk.score > 48 && risk.score * 2 == 98 && risk.impact - 1 == 69",
        "trustEnded == null && trusted == null && revoked == null",
        "previousPrincipalId == null && push.artifact == 'image'",
        "!has(credentials.vpcEndpointId) && has(credentials.sessionStart)",
        "uploader.kind in ['IAMUser', 'Root']",
        "push.errorCode == null && !push.mfa",
        "attack.exists(a, a.technique == 'T1525')",
        "has(push.tag) && push.tag.endsWith('2')",
        "previouslySeen == null && firstSeen == '2026-02-02T00:00:00Z'",
        "frameworks.nist[0] == 'DE.AE' && phase == 'release'",
    ] {
        let decision = decided(None, &push(), &suppressing(expression));
        assert_eq!(decision.suppression_fault, None, "{expression}");
        assert!(decision.suppressed, "{expression}");
    }
}

#[test]
fn an_expression_that_does_not_parse_is_refused_with_the_place() {
    for (expression, line, column) in [
        ("push.tag ==", 1, 12),
        ("true &&\n && false", 2, 2),
        ("", 1, 1),
    ] {
        let error = Suppression::parse(expression).unwrap_err();
        assert_eq!(
            (error.line, error.column),
            (line, column),
            "{expression}: {error}"
        );
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}

#[test]
fn an_expression_that_would_overflow_the_stack_is_refused() {
    for expression in [
        "[".repeat(300),
        format!("{}true{}", "(".repeat(2000), ")".repeat(2000)),
        format!("{}1 == 1", "1 + ".repeat(2000)),
        format!("true{}", " && true".repeat(2000)),
        // Behind what only seems to open a text, and in one that has no end.
        format!(r"'\'' == uploader.key || {}", "1 + ".repeat(200)),
        format!("// don't\n{}", "(".repeat(200)),
        format!("r'\\' == {}", "!".repeat(200)),
        format!("'''a'b''' == {}", "1 + ".repeat(200)),
        format!("'{}", "(".repeat(200)),
        "a ? b : ".repeat(200),
    ] {
        let error = Suppression::parse(&expression).unwrap_err();
        assert!(error.fault.starts_with("it is too complex"), "{error}");
    }
    // The most that is allowed runs, on a stack such as the main thread's.
    let run = || {
        let key = "'arn:aws:iam::111122223333:user/(a)', ";
        for expression in [
            format!("{}1 == 119", "1 + ".repeat(118)),
            format!("{}true{}", "(".repeat(20), ")".repeat(20)),
            format!("{}true", "!".repeat(120)),
            format!("uploader.key in [{}]", key.repeat(90)),
            format!("uploader.key in ['{}']", "a/b:".repeat(500)),
            r#"uploader.key != 'it\'s (' && 'a' == "a" // don't"#.to_owned(),
        ] {
            let decision = decided(None, &push(), &suppressing(&expression));
            assert_eq!(decision.suppression_fault, None, "{expression}");
        }
    };
    let thread = std::thread::Builder::new().stack_size(8 * 1024 * 1024);
    thread.spawn(run).unwrap().join().unwrap();
}

/// Each goes through all fields of the push for each that the one around it goes through.
#[test]
fn an_expression_that_would_run_for_ever_is_refused() {
    let nested =
        |count: usize| format!("{}true{}", "push.all(a, ".repeat(count), ")".repeat(count));
    let within = "[{'a': [1].map(a, -a)[0] == 1 ? [2].exists(b, b == 2) : has(push.tag)}]\
                  .filter(c, c.a).map(d, d).size() == 1";
    let long = format!("'{}' == ''", "x".repeat(64 * 1024));
    let error = Suppression::parse(&long).unwrap_err();
    assert_eq!(error.fault, "it has more than 64 KB");
    let of_lists = |macros: usize, length: usize| {
        let list = format!("[{}1]", "1,".repeat(length - 1));
        format!(
            "{}true{}",
            format!("{list}.all(a, ").repeat(macros),
            ")".repeat(macros)
        )
    };
    for expression in [
        nested(4),
        within.to_owned(),
        of_lists(3, 34),
        of_lists(2, 51),
    ] {
        let error = Suppression::parse(&expression).unwrap_err();
        assert!(error.fault.contains("more than 3 times"), "{error}");
    }
    // As long as it is gone through once, a list may be long.
    for expression in [of_lists(3, 33), of_lists(1, 1_000)] {
        assert!(Suppression::parse(&expression).is_ok());
    }
    let decision = decided(None, &push(), &suppressing(&nested(3)));
    assert_eq!(decision.suppression_fault, None);
    assert!(decision.suppressed);
}

#[test]
fn a_new_uploader_that_only_aws_can_be_is_low() {
    let service = json!({"type": "AWSService", "invokedBy": "codebuild.amazonaws.com"});
    let linked = role_session(
        "aws-service-role/pullthroughcache.ecr.amazonaws.com/AWSServiceRoleForECRPullThroughCache",
        "session",
    );
    let alike = role_session("x/aws-service-role/evil.amazonaws.com/evil", "session");
    let named = role_session("aws-service-role", "session");
    let rated = |identity: &Value, reason| {
        let (push, identification) = read(&record("e1", NEXT, identity));
        let finding = Finding::new(
            reason,
            &push,
            &identification.uploader,
            Sightings::default(),
        );
        (finding.severity, finding.risk.score)
    };
    for identity in [&service, &linked] {
        assert_eq!(rated(identity, Reason::NewUploader), (Severity::Low, 16));
        assert_eq!(
            rated(identity, Reason::RevokedUploader),
            (Severity::Critical, 90)
        );
        assert_eq!(
            rated(identity, Reason::RecreatedPrincipal),
            (Severity::High, 56)
        );
        assert_eq!(
            rated(identity, Reason::AttemptedUpload),
            (Severity::Medium, 35)
        );
    }
    for identity in [&alike, &named] {
        assert_eq!(rated(identity, Reason::NewUploader), (Severity::High, 49));
    }
}

#[test]
fn whatever_root_does_is_critical_for_each_reason() {
    for (push, uploader) in [root_push(), push_minted_by_root()] {
        for reason in Reason::ALL {
            for unusual in [
                vec![],
                vec![Unusual::Place],
                vec![Unusual::Way],
                vec![Unusual::Wide],
            ] {
                let seen = Sightings {
                    unusual,
                    ..Sightings::default()
                };
                let finding = Finding::new(reason, &push, &uploader, seen);
                assert_eq!(finding.severity, Severity::Critical, "{reason}");
            }
        }
    }
}

#[test]
fn each_reason_has_its_severity_and_risk_and_root_raises_them() {
    let standing = |standing| Some(seen(standing));
    for (record, push, policy, severity, risk) in [
        (
            None,
            push(),
            Policy::default(),
            Severity::High,
            (49, 70, 70),
        ),
        (
            standing(Standing::New),
            by_other_principal(push()),
            Policy::default(),
            Severity::High,
            (56, 70, 80),
        ),
        (
            standing(Standing::Revoked),
            push(),
            Policy::default(),
            Severity::Critical,
            (90, 90, 100),
        ),
        (
            None,
            failed_push(),
            Policy::default(),
            Severity::Medium,
            (35, 50, 70),
        ),
        (
            None,
            push(),
            learning(),
            Severity::Informational,
            (5, 10, 50),
        ),
        (
            None,
            root_push(),
            Policy::default(),
            Severity::Critical,
            (63, 90, 70),
        ),
    ] {
        let finding = decided(record.as_ref(), &push, &policy).finding.unwrap();
        let got = (
            finding.risk.score,
            finding.risk.impact,
            finding.risk.confidence,
        );
        assert_eq!(
            (finding.severity, got),
            (severity, risk),
            "{}",
            finding.reason
        );
    }
    let mut returned = push();
    returned.0.event_time = time("2026-11-01T00:00:00Z");
    let finding = decided(Some(&seen(Standing::New)), &returned, &Policy::default())
        .finding
        .unwrap();
    let got = (
        finding.risk.score,
        finding.risk.impact,
        finding.risk.confidence,
    );
    assert_eq!((finding.severity, got), (Severity::Medium, (30, 50, 60)));
}

#[test]
fn the_findings_id_depends_on_key_reason_and_event_alone() {
    let id = finding_id("a", Reason::NewUploader, "e");
    assert_eq!(id, finding_id("a", Reason::NewUploader, "e"));
    assert_eq!(id.get_version_num(), 5);
    for other in [
        finding_id("b", Reason::NewUploader, "e"),
        finding_id("a", Reason::AttemptedUpload, "e"),
        finding_id("a", Reason::NewUploader, "f"),
    ] {
        assert_ne!(id, other);
    }
}

#[test]
fn a_findings_json_is_the_contract() {
    let finding = decided(None, &push(), &Policy::default()).finding.unwrap();
    insta::assert_json_snapshot!(finding);
}
