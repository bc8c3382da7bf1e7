//! The built function, handed what waits in the queues: a batch of messages, each of
//! which is an event that failed before, or anything that somebody put there.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::block_on;
use crate::support::deployment::push;
use crate::support::events::TEST_USER;
use crate::support::lambda::{Function, TOLD};
use crate::support::moto::Stack;

const T1: &str = "2026-01-01T00:00:00Z";
const T2: &str = "2026-01-02T00:00:00Z";

/// What Lambda puts on the failure queue.
fn failure_record(event: &Value) -> Value {
    json!({
        "version": "1.0",
        "timestamp": "2026-01-01T00:03:30.000Z",
        "requestContext": {
            "requestId": "c0a7dd5b-2a4a-4d04-a2ee-0e5b2cf6a2ab",
            "functionArn": "arn:aws:lambda:eu-central-1:111122223333:function:pushwatch:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3
        },
        "requestPayload": event,
        "responseContext": {
            "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"
        },
        "responsePayload": {"errorType": "RetryableStore", "errorMessage": "no answer in time"}
    })
}

/// A message as Lambda hands it over; one whose body is no text has a body of JSON.
fn message(id: &str, receive_count: u32, body: &Value) -> Value {
    let body = body
        .as_str()
        .map_or_else(|| body.to_string(), str::to_owned);
    json!({
        "messageId": id,
        "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
        "body": body,
        "attributes": {
            "ApproximateReceiveCount": receive_count.to_string(),
            "SentTimestamp": "1767225810000",
            "SenderId": "AROAEXAMPLE:awslambda_123_20260101000330000",
            "ApproximateFirstReceiveTimestamp": "1767225810010"
        },
        "messageAttributes": {},
        "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-central-1:111122223333:pushwatch-FailureQueue",
        "awsRegion": "eu-central-1"
    })
}

fn batch(messages: &[Value]) -> Value {
    json!({ "Records": messages })
}

/// The answer to a batch of which these messages failed.
fn failed(ids: &[&str]) -> Value {
    let failures: Vec<_> = ids.iter().map(|id| json!({"itemIdentifier": id})).collect();
    json!({ "batchItemFailures": failures })
}

/// Ten pushes by ten uploaders.
fn ten() -> Vec<Value> {
    let push = |number| {
        let event = push(&format!("e{number}"), T1, &format!("u{number}"));
        message(&format!("m{number}"), 1, &failure_record(&event))
    };
    (0..10).map(push).collect()
}

const TEN: [&str; 10] = ["m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9"];

fn stack() -> Stack {
    block_on(Stack::create())
}

fn findings(stack: &Stack) -> Vec<Value> {
    block_on(stack.findings())
}

/// What became of each event that was logged.
fn outcomes(log: &[Value]) -> Vec<&str> {
    log.iter()
        .map(|line| {
            let outcome = line["outcome"].as_str();
            outcome.or(line["errorType"].as_str()).unwrap()
        })
        .collect()
}

#[test]
#[ignore = "needs moto"]
fn a_push_in_a_queue_is_handled_as_a_direct_one() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    let event = |name: &str| push(&format!("e-{name}"), T1, name);
    for (name, body) in [
        (
            "record-of-lambda",
            failure_record(&event("record-of-lambda")),
        ),
        // EventBridge's message is the event; why it failed is in the attributes.
        ("dead-letter", event("dead-letter")),
        ("bare-record", event("bare-record")["detail"].clone()),
    ] {
        let answer = function.invoke(&batch(&[message("m", 1, &body)])).unwrap();
        assert_eq!(answer, failed(&[]), "{name}");
        assert_eq!(function.calls(), TOLD, "{name}");
        let told = function.proxy.bodies().pop().unwrap();
        assert_eq!(told["uploader"]["name"], name);
    }
    let known = push("next", T2, "dead-letter");
    let answer = function.invoke(&batch(&[message("m", 7, &known)])).unwrap();
    assert_eq!(answer, failed(&[]));
    assert_eq!(function.calls(), ["UpdateItem"]);

    let log = function.log();
    let told = "finding_published";
    assert_eq!(outcomes(&log), [told, told, told, "known"]);
    assert_eq!(
        (&log[3]["messageId"], &log[3]["receiveCount"]),
        (&json!("m"), &json!(7))
    );
    assert_eq!(
        (&log[3]["eventId"], &log[3]["Pushes"]),
        (&json!("next"), &json!(1))
    );
}

#[test]
#[ignore = "needs moto"]
fn one_poison_message_does_not_hold_up_the_other_nine() {
    for poison in [
        json!("no event"),
        json!(""),
        json!({}),
        json!([]),
        failure_record(&json!("no event")),
        batch(&[message("inner", 1, &push("inner", T1, "inner"))]),
        json!({"source": "aws.ecr", "detail-type": "AWS API Call via CloudTrail", "detail": 7}),
        json!(format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000))),
        json!(format!(
            "{{\"a\":{}1{}}}",
            "[".repeat(100_000),
            "]".repeat(100_000)
        )),
        json!("{\"detail\":{\"eventName\":\"PutImage\""),
    ] {
        let stack = stack();
        let function = Function::start(&stack, &[]);
        let mut messages = ten();
        messages[4] = message("poison", 1, &poison);
        let answer = function.invoke(&batch(&messages)).unwrap();
        assert_eq!(answer, failed(&["poison"]));
        assert_eq!(block_on(stack.uploaders()).len(), 9);
        assert_eq!(findings(&stack).len(), 9);
        // Nor does one that SQS would not send.
        for (field, odd) in [
            ("body", json!(7)),
            ("body", Value::Null),
            ("attributes", json!(7)),
            ("messageAttributes", json!({"a": 7})),
        ] {
            messages[4][field] = odd;
            let answer = function.invoke(&batch(&messages)).unwrap();
            assert_eq!(answer, failed(&["poison"]), "{field}");
        }
    }
}

#[test]
#[ignore = "needs moto"]
fn whatever_is_no_event_comes_back_without_its_content_in_the_log() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    let secret = json!({"s3cret": "s3cret"});
    let answer = function
        .invoke(&batch(&[message("m", 1, &secret)]))
        .unwrap();
    assert_eq!(answer, failed(&["m"]));
    let line = function.log().remove(0);
    assert_eq!(
        (&line["level"], &line["errorType"], &line["messageId"]),
        (&json!("ERROR"), &json!("UnreadableEvent"), &json!("m"))
    );
    assert_eq!(
        line["message"],
        "event m (19 bytes) can't be read: the object is neither an EventBridge event nor a \
         CloudTrail record"
    );
    assert!(!line.to_string().contains("s3cret"), "{line}");
    assert!(function.calls().is_empty());
}

#[test]
#[ignore = "needs moto"]
fn an_unreadable_message_is_counted_when_it_is_received_first() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    for count in [1, 2, 288] {
        let poison = message("m", count, &json!("no event"));
        let answer = function.invoke(&batch(&[poison])).unwrap();
        assert_eq!(answer, failed(&["m"]));
    }
    let log = function.log();
    let counted: Vec<_> = log.iter().map(|line| &line["UnreadableEvents"]).collect();
    assert_eq!(counted, [&json!(1), &Value::Null, &Value::Null]);
    assert_eq!(outcomes(&log), ["UnreadableEvent"; 3]);
}

/// Lambda takes an empty name for "all of them".
#[test]
#[ignore = "needs moto"]
fn a_message_without_an_id_fails_its_batch() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    for odd in [Value::Null, json!(7), json!("")] {
        let mut poison = message("m", 1, &json!("no event"));
        poison["messageId"] = odd;
        let event = push("e", T1, "test");
        let answer = function.invoke(&batch(&[message("good", 1, &event), poison]));
        assert_eq!(answer.unwrap(), failed(&[""]));
    }
    assert_eq!(findings(&stack).len(), 1);
}

#[test]
#[ignore = "needs moto"]
fn a_batch_while_dynamodb_is_down_fails_as_a_whole_and_succeeds_later() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    function.proxy.fail_requests_with(Some("uploaders"));
    let answer = function.invoke(&batch(&ten())).unwrap();
    assert_eq!(answer, failed(&TEN));
    assert_eq!(outcomes(&function.log()), ["RetryableStore"; 10]);
    function.proxy.fail_requests_with(None);
    let answer = function.invoke(&batch(&ten())).unwrap();
    assert_eq!(answer, failed(&[]));
    assert_eq!(findings(&stack).len(), 10);
}

/// As long as the template gives it.
#[test]
#[ignore = "needs moto"]
fn a_batch_while_dynamodb_hangs_is_answered_in_time() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    function.proxy.hang.store(true, Ordering::SeqCst);
    let began = Instant::now();
    let answer = function.invoke(&batch(&ten())).unwrap();
    assert_eq!(answer, failed(&TEN));
    assert!(began.elapsed() < Duration::from_secs(28), "{began:?}");
}

#[test]
#[ignore = "needs moto"]
fn what_the_deadline_leaves_no_time_for_is_answered_as_failed() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    function.give_seconds(9);
    function.proxy.sns_seconds.store(4, Ordering::SeqCst);
    let began = Instant::now();
    let answer = function.invoke(&batch(&ten())).unwrap();
    assert!(began.elapsed() < Duration::from_secs(9), "{began:?}");
    // Two are told in four seconds each, or the second owed; then no other is begun.
    assert_eq!(answer, failed(&TEN[2..]));
    let log = function.log();
    assert_eq!(log.len(), 10);
    for line in &log[2..] {
        assert_eq!(line["errorType"], "RetryableDeadline");
        let message = line["message"].as_str().unwrap();
        assert!(message.contains("was not begun"), "{message}");
    }
    assert_eq!(block_on(stack.uploaders()).len(), 2);

    function.give_seconds(30);
    function.proxy.sns_seconds.store(0, Ordering::SeqCst);
    let answer = function.invoke(&batch(&ten()[2..])).unwrap();
    assert_eq!(answer, failed(&[]));
    assert_eq!(findings(&stack).len(), 10);
}

#[test]
#[ignore = "needs moto"]
fn a_batch_that_comes_twice_is_told_once() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    for _ in 0..2 {
        assert_eq!(function.invoke(&batch(&ten())).unwrap(), failed(&[]));
    }
    assert_eq!(outcomes(&function.log())[10..], ["duplicate"; 10]);
    assert_eq!(findings(&stack).len(), 10);
    assert_eq!(function.proxy.messages().len(), 3);
}

#[test]
#[ignore = "needs moto"]
fn a_batch_whose_function_is_killed_loses_nothing() {
    let messages = &ten()[..2];
    for call in 0..10 {
        let stack = stack();
        let mut killed = Function::start(&stack, &[]);
        killed.kill_after(call);
        killed.invoke_until_killed(&batch(messages));
        let mut bodies = killed.proxy.bodies();
        // The whole batch comes again.
        let function = Function::start(&stack, &[]);
        assert_eq!(function.invoke(&batch(messages)).unwrap(), failed(&[]));
        block_on(stack.age(60));
        function.sweep();
        bodies.extend(function.proxy.bodies());
        let mut told: Vec<_> = bodies.iter().map(|body| body["id"].to_string()).collect();
        told.sort();
        told.dedup();
        assert_eq!(told.len(), 2, "call {call}");
        let owed = findings(&stack);
        assert!(
            owed.iter().all(|item| item["owed"].is_null()),
            "call {call}"
        );
    }
}

#[test]
#[ignore = "needs moto"]
fn a_flood_is_told_at_the_rate_of_the_budget() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    assert_eq!(function.invoke(&batch(&ten())).unwrap(), failed(&[]));
    // Two of the minute's five are kept for critical findings.
    assert_eq!(function.proxy.messages().len(), 3);
    let log = function.log();
    let (told, owed) = ("finding_published", "finding_deferred");
    assert_eq!(
        outcomes(&log),
        [told, told, told, owed, owed, owed, owed, owed, owed, owed]
    );
    block_on(stack.age(60));
    assert_eq!(function.sweep()["published"], 7);
}

#[test]
#[ignore = "needs moto"]
fn the_schedule_in_a_queue_is_acknowledged_and_nothing_is_swept() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    let schedule = json!({"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}});
    let messages = [
        message("record", 1, &failure_record(&schedule)),
        message("bare", 1, &schedule),
    ];
    assert_eq!(function.invoke(&batch(&messages)).unwrap(), failed(&[]));
    assert!(function.calls().is_empty());
    let log = function.log();
    assert_eq!(outcomes(&log), ["ignored", "ignored"]);
    assert!(log[0]["FindingsOwed"].is_null(), "{}", log[0]);
}

#[test]
#[ignore = "needs moto"]
fn an_image_action_is_counted_and_calls_nothing() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/events/ignored-image-action.json"
    );
    let action: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let ignored = json!({
        "outcome": "ignored",
        "why": "the event is an `ECR Image Action`, which names no uploader"
    });
    assert_eq!(function.invoke(&action).unwrap(), ignored);
    assert!(function.calls().is_empty());
    let in_queue = batch(&[message("m", 1, &failure_record(&action))]);
    assert_eq!(function.invoke(&in_queue).unwrap(), failed(&[]));
    assert!(function.calls().is_empty());
    // What stored no image is not counted.
    for (field, value) in [("action-type", "DELETE"), ("result", "FAILURE")] {
        let mut other = action.clone();
        other["detail"][field] = json!(value);
        assert_eq!(function.invoke(&other).unwrap(), ignored);
    }
    let mut other = action.clone();
    other["detail-type"] = json!("ECR Replication Action");
    function.invoke(&other).unwrap();

    let log = function.log();
    let counted: Vec<_> = log.iter().map(|line| &line["ImageActions"]).collect();
    let (one, none) = (&json!(1), &Value::Null);
    assert_eq!(counted, [one, one, none, none, none]);
    let directive = &log[0]["_aws"]["CloudWatchMetrics"];
    let expected = json!([{
        "Namespace": "PushWatch", "Dimensions": [["FunctionName"]],
        "Metrics": [
            {"Name": "ImageActions", "Unit": "Count"}, {"Name": "Pushes", "Unit": "Count"}
        ]
    }]);
    assert_eq!(directive, &expected);
    assert_eq!(log[0]["Pushes"], 0);
}

/// Whichever way it comes.
#[test]
#[ignore = "needs moto"]
fn a_late_finding_names_its_delay() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    let ago = |minutes: i64| {
        let time = Timestamp::now() - SignedDuration::from_mins(minutes);
        time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    };
    let fresh = push("1", &ago(14), "fresh");
    function.invoke(&batch(&[message("m", 1, &fresh)])).unwrap();
    let late = push("2", &ago(192), "late");
    function
        .invoke(&batch(&[message("m", 1, &failure_record(&late))]))
        .unwrap();
    let direct = push("3", &ago(16), "direct");
    function.invoke(&direct).unwrap();

    let bodies = function.proxy.bodies();
    assert!(bodies[0].get("delaySeconds").is_none(), "{}", bodies[0]);
    for (body, minutes) in [(&bodies[1], 192), (&bodies[2], 16)] {
        let delay = body["delaySeconds"].as_i64().unwrap();
        assert!(
            (minutes * 60..minutes * 60 + 60).contains(&delay),
            "{delay}"
        );
    }
    let (_, message) = &function.proxy.messages()[1];
    let message: Value = serde_json::from_str(message).unwrap();
    let email = message["email"].as_str().unwrap().replace('\n', " ");
    let words = "It is reported 3 hours 12 minutes after the push.";
    assert!(email.contains(words), "{email}");
}

#[test]
#[ignore = "needs moto"]
fn the_sample_batches_are_handled() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    let sample = |name: &str| {
        let path = format!("{}/events/queue/{name}.json", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_str::<Value>(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let failures = sample("failure-queue");
    let poison = failures["Records"][1]["messageId"].as_str().unwrap();
    assert_eq!(function.invoke(&failures).unwrap(), failed(&[poison]));
    let dead_letters = sample("dead-letter-queue");
    assert_eq!(function.invoke(&dead_letters).unwrap(), failed(&[]));
    let log = function.log();
    let told = "finding_published";
    assert_eq!(outcomes(&log), [told, "UnreadableEvent", "ignored", told]);
    assert_eq!(log[0]["uploader"], TEST_USER);
}
