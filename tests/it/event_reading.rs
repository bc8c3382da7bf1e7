//! What is read from an event, whatever CloudTrail leaves out.

use pushwatch::event::{self, Event, MAX_TEXT, Unreadable};
use serde_json::{Value, json};

use crate::support::events::{ACCOUNT, DIGEST, TEST_USER, envelope, iam_user, now, read, record};

const TIME: &str = "2026-01-02T03:04:05Z";

fn test_record() -> Value {
    record("e1", TIME, &iam_user("test"))
}

#[test]
fn a_bare_record_and_its_envelope_say_the_same() {
    let mut bare = read(&test_record());
    let mut enveloped = read(&envelope(&test_record()));
    assert_eq!(
        bare.0.request_id, None,
        "no details until they are asked for"
    );
    bare.0.read_details();
    enveloped.0.read_details();
    assert_eq!(bare, enveloped);
    let push = serde_json::to_value(&bare.0).unwrap();
    assert_eq!(
        push,
        json!({
            "eventId": "e1", "sharedEventId": null, "eventName": "PutImage",
            "eventSource": "ecr.amazonaws.com", "eventTime": TIME, "account": ACCOUNT,
            "region": "eu-central-1", "registryId": ACCOUNT, "repository": "team/app",
            "tag": "1.4.2", "digest": DIGEST,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "sourceIp": "AWS Internal", "userAgent": "AWS Internal",
            "accessKeyId": "ASIAIOSFODNN7EXAMPLE", "mfa": false, "errorCode": null,
            "parametersOmitted": false,
            "requestId": "805a31e6-0fed-433b-b393-f463c6881334", "errorMessage": null,
            "artifact": "image", "artifactSubject": null
        })
    );
}

#[test]
fn the_details_are_the_same_whether_read_at_once_or_later() {
    let json = envelope(&test_record()).to_string();
    // A control character in a name, which one way to read allows and another refuses.
    let odd = json.replacen("eventVersion", "event\u{1}Version", 1);
    for json in [json, odd] {
        assert_same_details(&json);
    }
}

#[track_caller]
fn assert_same_details(json: &str) {
    let mut later = event::read(json, now()).unwrap();
    let at_once = event::read_whole(json, now()).unwrap();
    assert_ne!(later, at_once);
    if let Event::Push(push, _) = &mut later {
        push.read_details();
    }
    assert_eq!(later, at_once);
}

#[test]
fn every_field_may_be_absent_null_empty_or_of_another_type() {
    let record = test_record();
    let odd = [
        Value::Null,
        json!(""),
        json!(7),
        json!([1]),
        json!({"x": {}}),
        json!("x"),
    ];
    for field in record.as_object().unwrap().keys() {
        if field == "eventName" || field == "eventSource" {
            continue;
        }
        let mut without = record.clone();
        without.as_object_mut().unwrap().remove(field);
        read(&without);
        for value in &odd {
            let mut with = record.clone();
            with[field] = value.clone();
            read(&with);
            read(&envelope(&with));
        }
    }
}

#[test]
fn an_envelope_may_lack_everything_but_the_record() {
    for field in [
        "version",
        "id",
        "detail-type",
        "source",
        "account",
        "time",
        "region",
        "resources",
    ] {
        for value in [Value::Null, json!(""), json!(7)] {
            let mut event = envelope(&test_record());
            event[field] = value;
            assert_eq!(read(&event).1.uploader.key, TEST_USER, "{field}");
        }
    }
}

#[test]
fn omitted_parameters_are_made_up_for_by_the_response_and_the_resource() {
    let omitted = json!({"reason": "requestParameters too large", "omitted": "true", "originalSize": "149893"});
    let mut record = test_record();
    record["requestParameters"] = omitted.clone();
    let push = read(&record).0;
    assert_eq!(push.repository.as_deref(), Some("team/app"));
    assert_eq!(push.tag.as_deref(), Some("1.4.2"));
    assert!(push.parameters_omitted);

    record["responseElements"] = omitted;
    let push = read(&record).0;
    assert_eq!(push.repository.as_deref(), Some("team/app"));
    assert_eq!(push.registry_id.as_deref(), Some(ACCOUNT));
    assert_eq!((push.tag, push.digest), (None, None));
    assert!(push.parameters_omitted);
}

#[test]
fn the_event_id_falls_back_to_the_envelopes_and_then_to_a_hash() {
    let mut record = test_record();
    record.as_object_mut().unwrap().remove("eventID");
    assert_eq!(
        read(&envelope(&record)).0.event_id,
        "6a7e8feb-b491-4cf7-a9f1-bf3703467718"
    );
    let hash = read(&record).0.event_id;
    assert_eq!(hash.len(), 64);
    assert_eq!(hash, read(&record).0.event_id);
    record["awsRegion"] = json!("eu-west-1");
    assert_ne!(hash, read(&record).0.event_id);
}

#[test]
fn the_time_is_the_events_own_and_never_far_ahead_of_the_clock() {
    for (event_time, envelope_time, expected) in [
        (json!(TIME), json!("2026-03-01T00:00:00Z"), TIME),
        (json!("2026-01-02T03:04:05.678Z"), json!(null), TIME),
        (
            json!(null),
            json!("2026-03-01T00:00:00Z"),
            "2026-03-01T00:00:00Z",
        ),
        (
            json!("soon"),
            json!("2026-03-01T00:00:00Z"),
            "2026-03-01T00:00:00Z",
        ),
        (json!(7), json!(null), "2026-11-24T00:00:00Z"),
        // now() and a quarter of an hour, and a second more
        (
            json!("2026-11-24T00:15:00Z"),
            json!(null),
            "2026-11-24T00:15:00Z",
        ),
        (
            json!("2026-11-24T00:15:01Z"),
            json!(null),
            "2026-11-24T00:00:00Z",
        ),
        (
            json!("9999-01-01T00:00:00Z"),
            json!(null),
            "2026-11-24T00:00:00Z",
        ),
    ] {
        let mut record = test_record();
        record["eventTime"] = event_time.clone();
        let mut event = envelope(&record);
        event["time"] = envelope_time;
        assert_eq!(
            read(&event).0.event_time.to_string(),
            expected,
            "{event_time}"
        );
    }
}

#[test]
fn a_text_that_is_too_long_is_cut() {
    let long = "é".repeat(MAX_TEXT);
    let mut record = test_record();
    record["userAgent"] = json!(long);
    record["eventID"] = json!(long);
    record["userIdentity"]["userName"] = json!(long);
    let (push, identified) = read(&record);
    assert_eq!(push.user_agent.unwrap().len(), MAX_TEXT);
    assert_eq!(identified.uploader.name.len(), MAX_TEXT);
    // It must stay unique, so it is hashed.
    assert_eq!(push.event_id.len(), 64);
    // JSON has six bytes for each.
    record["eventID"] = json!("\u{1}".repeat(MAX_TEXT / 6 + 1));
    assert_eq!(read(&record).0.event_id.len(), 64);
    record["eventID"] = json!("\u{1}".repeat(MAX_TEXT / 6));
    assert_eq!(read(&record).0.event_id.len(), MAX_TEXT / 6);
}

#[test]
fn any_error_code_makes_a_push_failed() {
    for code in [
        "AccessDenied",
        "Client.UnauthorizedOperation",
        "SomethingNew",
    ] {
        let mut record = test_record();
        record["errorCode"] = json!(code);
        assert!(read(&record).0.failed(), "{code}");
    }
    for (code, failed) in [
        (json!(7), true),
        (json!(["x"]), true),
        (json!(""), false),
        (json!(null), false),
    ] {
        let mut record = test_record();
        record["errorCode"] = code.clone();
        assert_eq!(read(&record).0.failed(), failed, "{code}");
    }
}

#[test]
fn a_failure_destination_record_is_the_event_inside() {
    let destination = json!({
        "version": "1.0", "timestamp": "2026-01-02T03:10:00.000Z",
        "requestContext": {"requestId": "r", "condition": "RetriesExhausted"},
        "requestPayload": envelope(&test_record()),
        "responsePayload": {"errorType": "RetryableStore"}
    });
    let whole = |event: &Value| {
        let (mut push, identity) = read(event);
        push.read_details();
        (push, identity)
    };
    assert_eq!(whole(&destination), whole(&test_record()));
    // One that was parked, was handed over by hand, and failed again.
    let again = json!({"requestContext": {"condition": "RetriesExhausted"},
        "requestPayload": destination});
    assert_eq!(whole(&again), whole(&test_record()));
    let mut without_id = test_record();
    without_id.as_object_mut().unwrap().remove("eventID");
    let within = |event: &Value| json!({"requestContext": {}, "requestPayload": event});
    let twice = within(&within(&without_id));
    assert_eq!(whole(&twice).0.event_id, whole(&without_id).0.event_id);
}

fn outcome(event: &Value) -> Result<Event, Unreadable> {
    event::read(&event.to_string(), now())
}

#[test]
fn the_schedule_asks_for_a_sweep() {
    let event = json!({"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}});
    assert_eq!(outcome(&event), Ok(Event::Sweep));
}

#[test]
fn what_is_no_push_is_ignored_with_why() {
    let ecr = |detail_type: &str, detail: Value| json!({"detail-type": detail_type, "source": "aws.ecr", "detail": detail});
    let changed = |field: &str, value: &str| {
        let mut record = test_record();
        record[field] = json!(value);
        record
    };
    let mut foreign = envelope(&test_record());
    foreign["source"] = json!("my.app");
    for (event, why) in [
        (
            ecr(
                "ECR Image Action",
                json!({"action-type": "PUSH", "repository-name": "team/app"}),
            ),
            "the event is an `ECR Image Action`, which names no uploader",
        ),
        (
            ecr("ECR Image Action", json!({"eventName": null})),
            "the event is an `ECR Image Action`, which names no uploader",
        ),
        (
            changed("eventName", "BatchGetImage"),
            "the call is `BatchGetImage`, not PutImage",
        ),
        (
            envelope(&changed("eventSource", "s3.amazonaws.com")),
            "the call went to `s3.amazonaws.com`, not to ECR",
        ),
        (foreign, "the event's source is `my.app`, not ECR"),
    ] {
        assert_eq!(outcome(&event), Ok(Event::Ignored(why.to_owned())));
    }
}

#[test]
fn what_can_not_be_told_is_unreadable() {
    let mut no_name = test_record();
    no_name.as_object_mut().unwrap().remove("eventName");
    let mut no_detail = envelope(&test_record());
    no_detail["detail"] = json!("text");
    for (event, error) in [
        (json!([]), Unreadable::NotAnObject),
        (json!("PutImage"), Unreadable::NotAnObject),
        (json!({}), Unreadable::NeitherEventNorRecord),
        (no_name, Unreadable::NoEventName),
        (no_detail, Unreadable::NoDetail),
    ] {
        assert_eq!(outcome(&event), Err(error));
    }
}

mod properties {
    use super::{Event, event, iam_user, now, record};
    use proptest::prelude::*;
    use pushwatch::decide::decide;
    use pushwatch::finding::Finding;
    use pushwatch::identity::{MAX_KEY, identify};
    use pushwatch::policy::Policy;
    use serde_json::Value;

    /// Any JSON, with the words of a record in it now and then.
    fn json() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            any::<String>(),
            Just("AssumedRole".to_owned()),
            Just("IAMUser".to_owned()),
            Just("arn:aws:sts::1:assumed-role/r/s".to_owned()),
            Just("arn:aws:iam::1:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_a_0123456789abcdef".to_owned()),
            Just("true".to_owned()),
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            text.prop_map(Value::from),
        ];
        let field = prop_oneof![
            Just("type".to_owned()),
            Just("arn".to_owned()),
            Just("principalId".to_owned()),
            Just("accountId".to_owned()),
            Just("sessionContext".to_owned()),
            Just("sessionIssuer".to_owned()),
            Just("invokedBy".to_owned()),
            Just("imageId".to_owned()),
            Just("repositoryName".to_owned()),
            any::<String>(),
        ];
        leaf.prop_recursive(4, 32, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(field.clone(), inner, 0..6)
                    .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
            ]
        })
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in any::<String>()) {
            let _ = event::read(&text, now());
        }

        #[test]
        fn arbitrary_json_never_panics(value in json()) {
            let _ = event::read(&value.to_string(), now());
        }

        /// A record with any value in any field still gives a finding that
        /// keeps its contract.
        #[test]
        fn a_push_with_odd_fields_gives_a_sound_finding(
            fields in prop::collection::btree_map(
                prop::sample::select(vec![
                    "userIdentity", "eventTime", "awsRegion", "sourceIPAddress", "userAgent",
                    "requestParameters", "responseElements", "eventID", "resources",
                    "recipientAccountId", "errorCode", "sharedEventID",
                ]),
                json(),
                0..5,
            )
        ) {
            let mut record = record("e1", "2026-01-02T03:04:05Z", &iam_user("test"));
            for (field, value) in fields {
                record[field] = value;
            }
            let Ok(Event::Push(push, identity)) = event::read(&record.to_string(), now()) else {
                panic!("the record is a push");
            };
            let uploader = identify(&identity, push.account.as_deref()).uploader;
            prop_assert!(!uploader.key.is_empty() && uploader.key.len() <= MAX_KEY);
            prop_assert!(!push.event_id.is_empty());
            prop_assert!(push.event_time <= now() + event::AHEAD);

            let decision = decide(None, &push, &uploader, &Policy::default());
            let finding = decision.finding.expect("nobody is known yet");
            let json = serde_json::to_string(&finding).unwrap();
            let mut back: Finding = serde_json::from_str(&json).unwrap();
            back.uploader.counts_as_root = finding.uploader.counts_as_root;
            back.uploader.former_key.clone_from(&finding.uploader.former_key);
            prop_assert_eq!(&back, &finding);
            let risk = finding.risk;
            prop_assert_eq!(u32::from(risk.score), u32::from(risk.impact) * u32::from(risk.confidence) / 100);
            prop_assert!(!finding.message.chars().any(char::is_control));
        }
    }
}
