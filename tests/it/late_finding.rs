//! A finding that is decided long after its push says so in every form for people.

use jiff::SignedDuration;
use pushwatch::finding::{Finding, Reason, Sightings};
use pushwatch::render::{Format, Message, RenderContext, render};
use pushwatch::suppress::Suppression;
use serde_json::Value;

use crate::support::events::{iam_user, read, record, time};

const PUSHED: &str = "2026-01-01T00:00:00Z";

fn decided_after(seconds: i64) -> Finding {
    let (mut push, identified) = read(&record("1", PUSHED, &iam_user("test")));
    push.note_delay(time(PUSHED) + SignedDuration::from_secs(seconds));
    let seen = Sightings {
        first_seen: Some(time(PUSHED)),
        last_seen: Some(time(PUSHED)),
        ..Sightings::default()
    };
    Finding::new(Reason::NewUploader, &push, &identified.uploader, seen)
}

fn rendered(finding: &Finding, format: Format) -> String {
    let context = RenderContext {
        table: "uploaders".to_owned(),
        findings_table: Some("findings".to_owned()),
        region: "eu-central-1".to_owned(),
        absence_days: 90,
        stack: None,
        account: None,
        runbook: None,
    };
    render(Message::Finding(finding), format, &context)
}

#[test]
fn the_delay_is_named_from_a_quarter_of_an_hour_on() {
    for (seconds, delay) in [
        (-900, None),
        (0, None),
        (899, None),
        (900, Some(900)),
        (11_520, Some(11_520)),
    ] {
        let json: Value = serde_json::from_str(&decided_after(seconds).to_json()).unwrap();
        assert_eq!(json.get("delaySeconds").and_then(Value::as_i64), delay);
        assert_eq!(json.get("delaySeconds").is_some(), delay.is_some());
        assert!(json["push"].get("delaySeconds").is_none());
        let again: Finding = serde_json::from_value(json).unwrap();
        assert_eq!(again.delay_seconds, delay, "the sweep reads it");
    }
}

#[test]
fn people_read_it_in_words() {
    let finding = decided_after(3 * 3600 + 12 * 60 + 59);
    insta::assert_snapshot!("email", rendered(&finding, Format::Email));
    insta::assert_snapshot!("text", rendered(&finding, Format::Text));
    for format in [Format::AmazonQ, Format::PagerDuty] {
        let text = rendered(&finding, format);
        let words = "It is reported 3 hours 12 minutes after the push.";
        assert!(text.contains(words), "{text}");
    }
    for format in [
        Format::Email,
        Format::AmazonQ,
        Format::PagerDuty,
        Format::Text,
    ] {
        let text = rendered(&decided_after(60), format);
        assert!(!text.contains("reported"), "{text}");
    }
}

#[test]
fn tools_get_the_seconds() {
    let finding = decided_after(900);
    let ocsf: Value = serde_json::from_str(&rendered(&finding, Format::Ocsf)).unwrap();
    assert_eq!(ocsf["unmapped"]["pushwatch"]["delaySeconds"], 900);
}

#[test]
fn an_expression_may_ask_for_it_whether_it_is_there_or_not() {
    let late = Suppression::parse("delaySeconds != null && delaySeconds > 600").unwrap();
    assert_eq!(late.matches(&decided_after(900)), Ok(true));
    assert_eq!(late.matches(&decided_after(60)), Ok(false));
}
