//! Findings of a test of the deployment: marked by the envelope alone, and said in every
//! form.

use jiff::Timestamp;
use pushwatch::decide::decide;
use pushwatch::event::{self, Event, TEST_SOURCE};
use pushwatch::finding::{Finding, Reason, Sightings};
use pushwatch::glob::Glob;
use pushwatch::policy::Policy;
use pushwatch::render::{Format, Message, render, subject};
use pushwatch::suppress::Suppression;
use serde_json::{Value, json};

use crate::support::events::{envelope, iam_user, now, push_by, read, record, render_context};

const T1: &str = "2026-01-01T00:00:00Z";

fn test_event() -> Value {
    let mut event = envelope(&record("1", T1, &iam_user("PushWatch test 1")));
    event["source"] = json!(TEST_SOURCE);
    event
}

fn test_finding() -> Finding {
    let (push, identification) = read(&test_event());
    Finding::new(
        Reason::NewUploader,
        &push,
        &identification.uploader,
        Sightings::default(),
    )
}

fn is_test(event: &Value) -> Option<bool> {
    match event::read(&event.to_string(), now()) {
        Ok(Event::Push(push, _)) => Some(push.is_test),
        _ => None,
    }
}

#[test]
fn only_the_envelope_s_source_marks_a_test() {
    let real = envelope(&record("1", T1, &iam_user("test")));
    assert_eq!(is_test(&real), Some(false));
    assert_eq!(is_test(&test_event()), Some(true));
    // What whoever pushes may write stands in the record.
    let mut marked = real["detail"].clone();
    for field in ["source", "eventType", "userAgent", "test", "isTest"] {
        marked[field] = json!(TEST_SOURCE);
    }
    assert_eq!(is_test(&marked), Some(false));
    assert_eq!(is_test(&envelope(&marked)), Some(false));
    for source in ["pushwatch.test.evil", "Pushwatch.test", "my.pushwatch.test"] {
        let mut other = real.clone();
        other["source"] = json!(source);
        assert_eq!(is_test(&other), None, "{source}");
    }
}

/// Else whoever may invoke the function could have somebody become known by a finding that
/// says that nobody pushed.
#[test]
fn nobody_who_can_push_becomes_known_by_a_test() {
    let role = json!({
        "type": "AssumedRole",
        "arn": "arn:aws:sts::111122223333:assumed-role/PushWatch test 1/session",
    });
    for identity in [
        iam_user("test"),
        iam_user("x/PushWatch test 1"),
        role,
        json!({"type": "IAMUser", "userName": "PushWatch test 1"}),
        json!({}),
    ] {
        let mut event = test_event();
        event["detail"]["userIdentity"] = identity;
        let read = event::read(&event.to_string(), now()).unwrap();
        let Event::Ignored(why) = read else {
            panic!("{read:?}");
        };
        assert!(why.contains("not one of a test"), "{why}");
    }
}

#[test]
fn no_setting_holds_a_test_back() {
    let policy = Policy {
        trusted: vec![Glob::parse("arn:aws:iam::*:user/*").unwrap()],
        suppress: Some(Suppression::parse("true").unwrap()),
        learning_until: Some(Timestamp::MAX),
        ..Policy::default()
    };
    let (push, identification) = read(&test_event());
    let decision = decide(None, &push, &identification.uploader, &policy);
    assert_eq!(decision.finding.unwrap().reason, Reason::NewUploader);
    let (push, uploader) = push_by("test", "1", T1);
    assert!(decide(None, &push, &uploader, &policy).finding.is_none());
}

#[test]
fn every_form_says_that_it_is_a_test() {
    let finding = test_finding();
    let message = Message::Finding(&finding);
    assert!(subject::of(message).starts_with("TEST [HIGH] New ECR uploader PushWatch test 1"));
    assert!(subject::of(message).len() <= 99);
    assert!(subject::plainest(&finding).starts_with("TEST "));
    for format in [
        Format::Text,
        Format::Json,
        Format::Email,
        Format::Ocsf,
        Format::AmazonQ,
        Format::PagerDuty,
        Format::Sms,
        Format::Asff,
    ] {
        let text = render(message, format, &render_context());
        assert!(text.contains("TEST"), "{format:?}: {text}");
    }
    let email = render(message, Format::Email, &render_context());
    assert!(email.starts_with("Subject: TEST "), "{email}");
    assert!(
        email.contains("\n[HIGH] This is a TEST of PushWatch: nobody pushed anything"),
        "{email}"
    );
    let json: Value = serde_json::from_str(&finding.to_json()).unwrap();
    assert_eq!(json["test"], true);
    // What is stored and published later is a test still.
    let stored: Finding = serde_json::from_str(&finding.to_json()).unwrap();
    assert_eq!(
        stored,
        Finding {
            push: stored.push.clone(),
            ..finding
        }
    );
}

#[test]
fn a_finding_that_is_none_has_no_such_field() {
    let (push, uploader) = push_by("test", "1", T1);
    let finding = Finding::new(Reason::NewUploader, &push, &uploader, Sightings::default());
    assert!(!finding.to_json().contains("\"test\":true"));
    assert!(!finding.message.contains("TEST"));
}

#[test]
fn a_list_with_real_findings_does_not_pass_for_a_test() {
    let (push, uploader) = push_by("ada", "2", T1);
    let real = Finding::new(Reason::NewUploader, &push, &uploader, Sightings::default());
    let subject_of = |findings: &[Finding]| subject::of(Message::Rollup(findings));
    let mixed = [real, test_finding()];
    assert!(subject_of(&mixed).starts_with("[HIGH] 2 ECR findings: New uploader ada"));
    assert!(
        subject_of(&[test_finding(), test_finding()]).starts_with("TEST [HIGH] 2 ECR findings")
    );
    let email = render(Message::Rollup(&mixed), Format::Email, &render_context());
    assert!(
        email.contains("[HIGH] TEST: New uploader PushWatch test 1"),
        "{email}"
    );
}
