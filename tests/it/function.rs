//! The built function, driven through a Runtime API, against moto: what it
//! answers, calls, writes and tells, and that no finding is lost when it is
//! killed.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use crate::support::block_on;
use crate::support::events::{TEST_USER, envelope, iam_user, record};
use crate::support::lambda::{Function, TOLD};
use crate::support::moto::{REGION, Stack};

const T1: &str = "2026-01-01T00:00:00Z";
const T2: &str = "2026-01-02T00:00:00Z";

fn push(id: &str, time: &str, name: &str) -> Value {
    envelope(&record(id, time, &iam_user(name)))
}

fn stack() -> Stack {
    block_on(Stack::create())
}

fn age(stack: &Stack) {
    block_on(stack.age(60));
}

fn findings(stack: &Stack) -> Vec<Value> {
    block_on(stack.findings())
}

fn outcome(answer: &Value) -> &str {
    answer["outcome"].as_str().unwrap()
}

#[test]
#[ignore = "needs moto"]
fn a_new_uploader_is_told_at_once_with_five_calls() {
    let stack = stack();
    let runbook = "https://wiki.example.com/pushwatch#when-a-finding-comes";
    let sender = [("STACK_NAME", "push-stack"), ("RUNBOOK_URL", runbook)];
    let function = Function::start(&stack, &sender);
    for (number, name) in ["a", "b", "c"].into_iter().enumerate() {
        let answer = function
            .invoke(&push(&format!("e{number}"), T1, name))
            .unwrap();
        assert_eq!(outcome(&answer), "finding_published", "{answer}");
        assert_eq!(function.calls(), TOLD);
        assert_eq!(
            answer["uploader"],
            format!("arn:aws:iam::111122223333:user/{name}")
        );
        let body = &function.proxy.bodies()[number];
        assert_eq!(body["id"], answer["findingId"]);
        assert_eq!(
            body["message"],
            format!("Container uploaded from unknown user {name}")
        );
    }
    let (subject, message) = function.proxy.messages().remove(0);
    assert_eq!(
        subject,
        "[HIGH] New ECR uploader a pushed team/app:1.4.2 (111122223333 eu-central-1)"
    );
    let message: Value = serde_json::from_str(&message).unwrap();
    let email = message["email"].as_str().unwrap();
    let command = format!(
        "pushwatch uploaders trust arn:aws:iam::111122223333:user/a --reason 'why' --table {} --region eu-central-1",
        stack.uploaders
    );
    assert!(email.contains(&command), "{email}");
    let account = stack.topic_arn.split(':').nth(4).unwrap();
    let sent =
        format!("\nSent by PushWatch, stack push-stack, account {account}.\nRunbook: {runbook}\n");
    assert!(email.ends_with(&sent), "{email}");

    let finding = findings(&stack).remove(0);
    for settled in [
        "publishedAt",
        "messageId",
        "expiresAt",
        "body",
        "decidedAt",
        "eventId",
    ] {
        assert!(!finding[settled].is_null(), "{settled}");
    }
    for owed in ["owed", "owedSince", "leaseUntil", "attempts"] {
        assert!(finding[owed].is_null(), "{owed}");
    }
    let uploaders = block_on(stack.uploaders());
    assert_eq!(uploaders.len(), 3);
    assert!(uploaders.iter().all(|record| record["standing"] == "new"));
}

#[test]
#[ignore = "needs moto"]
fn a_known_uploader_costs_one_call() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    function.invoke(&push("1", T1, "test")).unwrap();
    let answer = function.invoke(&push("2", T2, "test")).unwrap();
    assert_eq!(outcome(&answer), "known");
    assert_eq!(function.calls(), ["UpdateItem"]);
    let record = block_on(stack.uploaders()).remove(0);
    assert_eq!(record["lastSeen"], T2);
    assert_eq!(record["pushes"], 2);
}

#[test]
#[ignore = "needs moto"]
fn a_duplicate_and_a_late_event_are_not_told() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    function.invoke(&push("2", T2, "test")).unwrap();
    let answer = function.invoke(&push("2", T2, "test")).unwrap();
    assert_eq!(outcome(&answer), "duplicate");
    assert_eq!(function.calls(), ["UpdateItem"]);
    let answer = function.invoke(&push("1", T1, "test")).unwrap();
    assert_eq!(outcome(&answer), "known");
    assert_eq!(function.calls(), ["UpdateItem", "UpdateItem"]);
    // Between first and last it moves nothing, and waits for nobody.
    let answer = function
        .invoke(&push("3", "2026-01-01T12:00:00Z", "test"))
        .unwrap();
    assert_eq!(outcome(&answer), "known");
    assert_eq!(function.calls(), ["UpdateItem", "UpdateItem"]);
    let record = block_on(stack.uploaders()).remove(0);
    assert_eq!(
        (&record["firstSeen"], &record["lastSeen"], &record["pushes"]),
        (&json!(T1), &json!(T2), &json!(3))
    );
    assert_eq!(function.proxy.messages().len(), 1);
}

#[test]
#[ignore = "needs moto"]
fn a_failed_push_is_told_once_and_makes_nobody_known() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    let failed = |id: &str| {
        let mut event = push(id, T1, "test");
        event["detail"]["errorCode"] = json!("AccessDenied");
        event
    };
    let answer = function.invoke(&failed("1")).unwrap();
    assert_eq!(outcome(&answer), "finding_published");
    assert_eq!(function.calls()[0], "GetItem");
    let answer = function.invoke(&failed("2")).unwrap();
    assert_eq!(outcome(&answer), "failed_push");
    assert_eq!(function.calls(), ["GetItem"]);
    let answer = function.invoke(&push("3", T2, "test")).unwrap();
    assert_eq!(outcome(&answer), "finding_published");
    let reasons: Vec<_> = function
        .proxy
        .bodies()
        .iter()
        .map(|body| body["reason"].clone())
        .collect();
    assert_eq!(reasons, ["attempted_upload", "new_uploader"]);
}

#[test]
#[ignore = "needs moto"]
fn an_unidentified_push_is_told_every_time() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    let event = |id: &str| envelope(&record(id, T1, &json!({"invokedBy": "AWS Internal"})));
    for id in ["1", "2"] {
        let answer = function.invoke(&event(id)).unwrap();
        assert_eq!(outcome(&answer), "finding_published");
        let calls = ["TransactWriteItems", "UpdateItem", "Publish", "UpdateItem"];
        assert_eq!(function.calls(), calls);
    }
    assert_eq!(outcome(&function.invoke(&event("2")).unwrap()), "duplicate");
    assert!(block_on(stack.uploaders()).is_empty());
}

#[test]
#[ignore = "needs moto"]
fn what_settings_say_is_done() {
    let stack = stack();
    let settings = [
        (
            "TRUSTED_UPLOADERS",
            "arn:aws:iam::*:user/ci-*\n arn:aws:iam::*:role/x",
        ),
        (
            "SUPPRESS_FINDINGS",
            "push.repository == 'team/app' && uploader.name == 'quiet'",
        ),
        ("ABSENCE_DAYS", "10"),
    ];
    let function = Function::start(&stack, &settings);
    let answer = |event| outcome(&function.invoke(&event).unwrap()).to_owned();
    assert_eq!(answer(push("1", T1, "ci-build")), "trusted");
    assert_eq!(answer(push("2", T2, "ci-build")), "known");
    assert_eq!(answer(push("3", T1, "quiet")), "finding_suppressed");
    assert_eq!(answer(push("4", T1, "test")), "finding_published");
    assert_eq!(
        answer(push("5", "2026-01-12T00:00:00Z", "test")),
        "finding_published"
    );
    assert_eq!(
        function.proxy.bodies()[1]["reason"],
        "returned_after_absence"
    );
}

#[test]
#[ignore = "needs moto"]
fn events_that_are_no_push_are_ignored() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    for sample in ["ignored-image-action", "ignored-other-call"] {
        let path = format!("{}/events/{sample}.json", env!("CARGO_MANIFEST_DIR"));
        let event = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let answer = function.invoke(&event).unwrap();
        assert_eq!(outcome(&answer), "ignored");
        assert!(answer["why"].is_string());
        assert!(function.calls().is_empty());
    }
}

#[test]
#[ignore = "needs moto"]
fn an_event_that_can_not_be_read_is_an_error_without_its_content() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    let mut event = push("1", T1, "test");
    event["detail"] = json!("s3cret");
    for (event, fault) in [
        (event, "event 6a7e8feb-b491-4cf7-a9f1-bf3703467718 ("),
        (json!("s3cret"), "is not a JSON object"),
        (
            json!({"s3cret": 1}),
            "neither an EventBridge event nor a CloudTrail record",
        ),
    ] {
        let error = function.invoke(&event).unwrap_err();
        assert_eq!(error["errorType"], "UnreadableEvent");
        let message = error["errorMessage"].as_str().unwrap();
        assert!(
            message.contains(fault) && message.contains("bytes"),
            "{message}"
        );
        assert!(!message.contains("s3cret"), "{message}");
    }
    let log = function.log();
    assert_eq!(log.len(), 3);
    for line in log {
        assert_eq!(
            (&line["level"], &line["UnreadableEvents"]),
            (&json!("ERROR"), &json!(1))
        );
        assert!(!line.to_string().contains("s3cret"), "{line}");
    }
    // The next event is handled.
    assert_eq!(
        outcome(&function.invoke(&push("1", T1, "test")).unwrap()),
        "finding_published"
    );
}

#[test]
#[ignore = "needs moto"]
fn a_missing_table_is_an_error_that_says_so() {
    let stack = stack();
    let function = Function::start(&stack, &[("UPLOADERS_TABLE", "no-such-table")]);
    let error = function.invoke(&push("1", T1, "test")).unwrap_err();
    assert_eq!(error["errorType"], "ConfigStore");
    let message = error["errorMessage"].as_str().unwrap();
    assert!(
        message.contains("table no-such-table") && message.contains("check"),
        "{message}"
    );

    // A topic that is missing comes after the commit: the finding stays owed.
    let missing = "arn:aws:sns:eu-central-1:123456789012:no-such-topic";
    let function = Function::start(&stack, &[("FINDINGS_TOPIC_ARN", missing)]);
    let answer = function.invoke(&push("1", T1, "test")).unwrap();
    assert_eq!(outcome(&answer), "finding_deferred");
    assert!(
        answer["why"].as_str().unwrap().contains("no-such-topic"),
        "{answer}"
    );
    assert_eq!(findings(&stack)[0]["owed"], "finding");
}

#[test]
#[ignore = "needs moto"]
fn a_missing_setting_stops_the_function_with_one_line() {
    let stack = stack();
    for (variable, value) in [("UPLOADERS_TABLE", ""), ("LEARNING_UNTIL", "tomorrow")] {
        let (code, err) = Function::start(&stack, &[(variable, value)]).exit();
        assert_eq!(code, Some(1));
        assert_eq!(err.lines().count(), 1, "{err}");
        let line: Value = serde_json::from_str(&err).unwrap();
        let message = line["message"].as_str().unwrap();
        assert!(
            message.starts_with(&format!("setting {variable}: ")),
            "{err}"
        );
        assert!(
            line["level"] == "FATAL" && line["timestamp"].is_string(),
            "{err}"
        );
    }
}

#[test]
#[ignore = "needs moto"]
fn an_expression_that_does_not_parse_suppresses_nothing_and_each_line_says_so() {
    let stack = stack();
    let function = Function::start(&stack, &[("SUPPRESS_FINDINGS", "push.tag ==")]);
    let answer = |event: Value| function.invoke(&event);
    assert_eq!(
        outcome(&answer(push("1", T1, "test")).unwrap()),
        "finding_published"
    );
    assert_eq!(outcome(&answer(push("2", T2, "test")).unwrap()), "known");
    assert_eq!(outcome(&function.sweep()), "swept");
    let mut other_call = push("3", T2, "test");
    other_call["detail"]["eventName"] = json!("BatchGetImage");
    assert_eq!(outcome(&answer(other_call).unwrap()), "ignored");
    answer(json!("odd")).unwrap_err();

    let log = function.log();
    assert_eq!(log.len(), 5);
    for line in &log {
        let fault = line["faults"][0].as_str().unwrap();
        assert!(
            fault.starts_with("setting SUPPRESS_FINDINGS: CEL expression, line 1, column 12: "),
            "{line}"
        );
        let level = if line["errorType"].is_null() {
            "WARN"
        } else {
            "ERROR"
        };
        assert_eq!(line["level"], level, "{line}");
        assert_eq!(line["ConfigurationFaults"], 1, "{line}");
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Dimensions"], json!([["FunctionName"]]));
        let metric = json!({"Name": "ConfigurationFaults", "Unit": "Count"});
        assert!(
            directive["Metrics"].as_array().unwrap().contains(&metric),
            "{line}"
        );
    }
}

#[test]
#[ignore = "needs moto"]
fn a_finding_beyond_the_budget_waits_for_the_sweep() {
    let stack = stack();
    let function = Function::start(&stack, &[("FINDINGS_PER_MINUTE", "2")]);
    let outcomes: Vec<_> = (0..4)
        .map(|number| {
            let event = push(&format!("{number}"), T1, &format!("u{number}"));
            outcome(&function.invoke(&event).unwrap()).to_owned()
        })
        .collect();
    // The second of two tokens is kept for a critical finding.
    assert_eq!(outcomes[0], "finding_published");
    assert_eq!(outcomes[1..], ["finding_deferred"; 3]);
    assert_eq!(
        function.calls(),
        ["UpdateItem", "TransactWriteItems", "UpdateItem"]
    );
    let mut root = push("root", T1, "root");
    root["detail"]["userIdentity"] = json!({
        "type": "Root", "arn": "arn:aws:iam::111122223333:root", "accountId": "111122223333"
    });
    let answer = function.invoke(&root).unwrap();
    assert_eq!(outcome(&answer), "finding_published");

    // Too early: a handler may still be at it.
    assert_eq!(function.sweep()["owed"], 3);
    assert_eq!(function.calls(), ["Scan"]);
    age(&stack);
    let swept = function.sweep();
    assert_eq!(
        (&swept["published"], &swept["messages"], &swept["owed"]),
        (&json!(3), &json!(3), &json!(0))
    );
    assert!(swept["oldestOwedSeconds"].as_i64().unwrap() >= 60);
    let mut told: Vec<_> = function
        .proxy
        .bodies()
        .iter()
        .map(|body| body["id"].to_string())
        .collect();
    told.sort();
    told.dedup();
    assert_eq!(told.len(), 5);
    assert!(
        findings(&stack)
            .iter()
            .all(|finding| finding["owed"].is_null())
    );
}

#[test]
#[ignore = "needs moto"]
fn a_finding_that_sns_does_not_take_waits_for_the_sweep() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    function.proxy.sns_is_down.store(true, Ordering::SeqCst);
    let answer = function.invoke(&push("1", T1, "test")).unwrap();
    assert_eq!(outcome(&answer), "finding_deferred");
    age(&stack);
    let swept = function.sweep();
    assert_eq!(
        (&swept["publishFailures"], &swept["owed"]),
        (&json!(1), &json!(1))
    );
    // The uploader is known, and the finding not forgotten.
    assert_eq!(
        outcome(&function.invoke(&push("2", T2, "test")).unwrap()),
        "known"
    );
    function.proxy.sns_is_down.store(false, Ordering::SeqCst);
    age(&stack);
    assert_eq!(function.sweep()["published"], 1);
    assert_eq!(function.proxy.bodies()[0]["id"], answer["findingId"]);
    assert!(findings(&stack)[0]["owed"].is_null());
}

/// What was published is not known of a call that failed.
#[test]
#[ignore = "needs moto"]
fn tries_that_sns_fails_spend_the_budget() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    let push = |name: &str| push(name, T1, name);
    function.proxy.sns_is_down.store(true, Ordering::SeqCst);
    // Two of five are kept for critical ones.
    for name in ["a", "b", "c"] {
        let answer = function.invoke(&push(name)).unwrap();
        assert_eq!(outcome(&answer), "finding_deferred");
    }
    function.proxy.sns_is_down.store(false, Ordering::SeqCst);
    let answer = function.invoke(&push("d")).unwrap();
    assert_eq!(outcome(&answer), "finding_deferred");
    assert!(
        answer["why"].as_str().unwrap().contains("budget"),
        "{answer}"
    );
    age(&stack);
    assert_eq!(function.sweep()["published"], 4);
}

#[test]
#[ignore = "needs moto"]
fn a_new_federated_user_costs_six_calls() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    let user = "arn:aws:iam::111122223333:user/test";
    let issuer = json!({"type": "IAMUser", "arn": user, "principalId": "AIDATEST",
        "accountId": "111122223333", "userName": "test"});
    let identity = json!({
        "type": "FederatedUser", "principalId": "111122223333:mary", "accountId": "111122223333",
        "arn": "arn:aws:sts::111122223333:federated-user/mary",
        "sessionContext": {"sessionIssuer": issuer},
    });
    let answer = function
        .invoke(&envelope(&record("1", T1, &identity)))
        .unwrap();
    assert_eq!(outcome(&answer), "finding_published");
    let mut calls = function.calls();
    // Whether earlier versions knew them by another key.
    assert_eq!(calls.remove(1), "GetItem");
    assert_eq!(calls, TOLD);
}

#[test]
#[ignore = "needs moto"]
fn a_message_that_sns_refuses_for_its_form_is_told_plainly() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    function
        .proxy
        .sns_refuses_structure
        .store(true, Ordering::SeqCst);
    let answer = function.invoke(&push("1", T1, "test")).unwrap();
    assert_eq!(outcome(&answer), "finding_published");
    let (subject, message) = function.proxy.messages().remove(0);
    assert_eq!(subject, "[HIGH] PushWatch");
    let body: Value = serde_json::from_str(&message).unwrap();
    assert_eq!(body["class_uid"], 2004);
    assert_eq!(body["unmapped"]["pushwatch"]["id"], answer["findingId"]);
}

#[test]
#[ignore = "needs moto"]
fn a_sweep_with_nothing_owed_is_one_call() {
    let stack = stack();
    let function = Function::start(&stack, &[("LEARNING_UNTIL", "2027-01-01T00:00:00Z")]);
    let swept = function.sweep();
    assert_eq!(outcome(&swept), "swept");
    assert_eq!(
        (&swept["published"], &swept["owed"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(function.calls(), ["Scan"]);
}

#[test]
#[ignore = "needs moto"]
fn many_owed_findings_go_as_lists() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    function.proxy.sns_is_down.store(true, Ordering::SeqCst);
    for number in 0..7 {
        let mut event = push(&format!("{number}"), T1, &format!("u{number}"));
        if number == 5 {
            event["detail"]["userIdentity"] = json!({
                "type": "Root", "arn": "arn:aws:iam::111122223333:root", "accountId": "111122223333"
            });
        }
        function.invoke(&event).unwrap();
    }
    function.proxy.sns_is_down.store(false, Ordering::SeqCst);
    age(&stack);
    let swept = function.sweep();
    assert_eq!(
        (&swept["published"], &swept["messages"]),
        (&json!(7), &json!(1)),
        "{swept}"
    );
    let list = function.proxy.bodies().remove(0);
    assert_eq!(
        (&list["kind"], &list["severity"]),
        (&json!("rollup"), &json!("critical"))
    );
    assert_eq!(list["findings"].as_array().unwrap().len(), 7);
    assert_eq!(
        list["findings"][0]["uploader"]["kind"], "Root",
        "worst first"
    );
    let (subject, message) = function.proxy.messages().remove(0);
    assert_eq!(
        subject,
        "[CRITICAL] 7 ECR findings: New uploader root pushed team/app:1.4.2"
    );
    assert!(message.contains("New uploader u3 pushed team/app:1.4.2"));
    assert!(
        findings(&stack)
            .iter()
            .all(|finding| finding["owed"].is_null())
    );
}

#[test]
#[ignore = "needs moto"]
fn the_learning_digest_names_everybody() {
    let stack = stack();
    let learning = Function::start(&stack, &[("LEARNING_UNTIL", "2027-01-01T00:00:00Z")]);
    for name in ["a", "b"] {
        let answer = learning.invoke(&push(name, T1, name)).unwrap();
        assert_eq!(outcome(&answer), "learned");
        assert_eq!(learning.calls(), ["UpdateItem", "TransactWriteItems"]);
    }
    age(&stack);
    assert_eq!(learning.sweep()["published"], 0);
    // Nobody waits for more than a day to be named.
    block_on(stack.age(24 * 60 * 60));
    assert_eq!(learning.sweep()["published"], 2);
    let digest = learning.proxy.bodies().remove(0);
    assert_eq!(
        (&digest["kind"], &digest["severity"]),
        (&json!("digest"), &json!("informational"))
    );
    learning.invoke(&push("c", T1, "c")).unwrap();
    drop(learning);

    // Without learning it is due at once.
    let function = Function::start(&stack, &[]);
    assert_eq!(function.sweep()["published"], 1);
    assert_eq!(
        function.proxy.bodies()[0]["findings"][0]["uploader"]["name"],
        "c"
    );
    assert_eq!(function.sweep()["published"], 0);
}

#[test]
#[ignore = "needs moto"]
fn a_redrive_from_the_failure_queue_is_handled() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    let event = json!({
        "version": "1.0",
        "requestContext": {"condition": "RetriesExhausted"},
        "requestPayload": push("1", T1, "test"),
        "responsePayload": {"errorType": "RetryableStore"}
    });
    let answer = function.invoke(&event).unwrap();
    assert_eq!(
        (outcome(&answer), &answer["uploader"]),
        ("finding_published", &json!(TEST_USER))
    );
}

#[test]
#[ignore = "needs moto"]
fn the_log_has_one_line_an_event_with_metrics_and_no_payload() {
    let stack = stack();
    let function = Function::start(&stack, &[("AWS_LAMBDA_LOG_LEVEL", "WARN")]);
    let mut event = push("1", T1, "test");
    event["detail"]["requestParameters"]["imageManifest"] = json!("m4nifest");
    event["detail"]["userAgent"] = json!("\u{1b}[2J\n{\"level\":\"FORGED\"}");
    function.invoke(&event).unwrap();
    function.invoke(&push("2", T2, "test")).unwrap();
    let log = function.log();
    assert_eq!(log.len(), 2);
    let told = &log[0];
    assert_eq!(told["outcome"], "finding_published");
    assert_eq!(
        (&told["eventId"], &told["uploader"]),
        (&json!("1"), &json!(TEST_USER))
    );
    assert_eq!(told["level"], "WARN", "else Lambda would drop the metrics");
    for field in [
        "durationMs",
        "decideMs",
        "publishMs",
        "timestamp",
        "requestId",
    ] {
        assert!(!told[field].is_null(), "{field}");
    }
    assert_eq!(
        (&told["Pushes"], &told["Findings"], &told["Reason"]),
        (&json!(1), &json!(1), &json!("new_uploader"))
    );
    let directives = told["_aws"]["CloudWatchMetrics"].as_array().unwrap();
    assert_eq!(directives[0]["Dimensions"], json!([["FunctionName"]]));
    assert_eq!(
        directives[1]["Dimensions"],
        json!([["FunctionName", "Reason"]])
    );
    assert!(log[1]["Findings"].is_null());
    let text = format!("{log:?}");
    for secret in ["m4nifest", "FORGED", "secret"] {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[test]
#[ignore = "needs moto"]
fn no_message_has_a_manifest_or_a_secret() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    let mut event = push("1", T1, "test");
    event["detail"]["requestParameters"]["imageManifest"] = json!("{\"config\":\"s3cret\"}");
    event["detail"]["responseElements"]["image"]["imageManifest"] = json!("s3cret");
    event["detail"]["responseElements"]["credentials"] =
        json!({"secretAccessKey": "s3cret", "sessionToken": "s3cret"});
    event["detail"]["additionalEventData"] = json!({"authorizationToken": "s3cret"});
    let answer = function.invoke(&event).unwrap();
    assert_eq!(outcome(&answer), "finding_published");
    let messages = format!("{:?}", function.proxy.messages());
    assert!(
        messages.contains("team/app") && !messages.contains("s3cret"),
        "{messages}"
    );
}

/// `make deployed` holds the release build to its promise of 8 MB.
#[test]
#[ignore = "needs moto"]
fn the_function_needs_little_memory() {
    let most = if std::env::var_os("PUSHWATCH_LAMBDA").is_some() {
        8_000
    } else {
        40_000
    };
    let stack = stack();
    let function = Function::start(&stack, &[]);
    for number in 0..20 {
        function
            .invoke(&push(&format!("{number}"), T1, &format!("u{number}")))
            .unwrap();
    }
    let peak = function.peak_memory();
    println!("peak memory of the function: {peak} kB");
    assert!(peak < most, "{peak} kB");
}

/// The function is killed when the answer to each of its calls is on its way.
/// The event is delivered again, as Lambda does, and the sweep runs.
#[test]
#[ignore = "needs moto"]
fn killed_after_any_call_no_finding_is_lost() {
    let mut failed = push("1", T1, "test");
    failed["detail"]["errorCode"] = json!("AccessDenied");
    let unidentified = envelope(&record("1", T1, &json!({"invokedBy": "AWS Internal"})));
    for (what, event, calls) in [
        ("a new uploader", push("1", T1, "test"), 5),
        ("a failed push", failed, 5),
        ("an unidentified push", unidentified, 4),
    ] {
        for call in 0..calls {
            let stack = stack();
            let mut killed = Function::start(&stack, &[]);
            killed.kill_after(call);
            killed.invoke_until_killed(&event);
            let mut bodies = killed.proxy.bodies();

            let function = Function::start(&stack, &[]);
            function.invoke(&event).unwrap();
            age(&stack);
            function.sweep();
            bodies.extend(function.proxy.bodies());
            told_and_settled(&stack, &bodies, &format!("{what}, call {call}"));
            assert_eq!(function.sweep()["owed"], 0);
        }
    }
}

/// The same with the sweep, whose calls are list, the sweep's lease, lease, publish,
/// settle and the end of the sweep's lease; and with the digest's.
#[test]
#[ignore = "needs moto"]
fn a_sweep_that_is_killed_after_any_call_loses_nothing() {
    for learning in [false, true] {
        for call in 0..6 {
            let stack = stack();
            let setting = if learning { "2027-01-01T00:00:00Z" } else { "" };
            let down = Function::start(&stack, &[("LEARNING_UNTIL", setting)]);
            down.proxy.sns_is_down.store(true, Ordering::SeqCst);
            down.invoke(&push("1", T1, "test")).unwrap();
            drop(down);
            age(&stack);

            let mut killed = Function::start(&stack, &[]);
            killed.kill_after(call);
            killed.sweep_until_killed();
            let mut bodies = killed.proxy.bodies();
            age(&stack);
            let function = Function::start(&stack, &[]);
            function.sweep();
            bodies.extend(function.proxy.bodies());
            let bodies: Vec<_> = bodies
                .into_iter()
                .map(|body| body["findings"].get(0).cloned().unwrap_or(body))
                .collect();
            told_and_settled(
                &stack,
                &bodies,
                &format!("learning {learning}, call {call}"),
            );
        }
    }
}

/// One finding arrived, or two with the same id, and nothing is owed.
fn told_and_settled(stack: &Stack, bodies: &[Value], when: &str) {
    assert!(
        (1..=2).contains(&bodies.len()),
        "{when}: {} messages",
        bodies.len()
    );
    assert!(
        bodies.iter().all(|body| body["id"] == bodies[0]["id"]),
        "{when}"
    );
    let findings = findings(stack);
    assert_eq!(findings.len(), 1, "{when}");
    assert!(findings[0]["owed"].is_null(), "{when}: it stays owed");
}

#[test]
#[ignore = "needs moto"]
fn what_fails_after_the_commit_defers() {
    for failing in ["#budget", "publishedAt"] {
        let stack = stack();
        let function = Function::start(&stack, &[]);
        function.proxy.fail_requests_with(Some(failing));
        let answer = function.invoke(&push("1", T1, "test")).unwrap();
        assert_eq!(outcome(&answer), "finding_deferred", "{failing}");
        assert!(
            answer["why"]
                .as_str()
                .unwrap()
                .contains("DynamoDB UpdateItem"),
            "{answer}"
        );
        function.proxy.fail_requests_with(None);
        age(&stack);
        assert_eq!(function.sweep()["published"], 1);
        told_and_settled(&stack, &function.proxy.bodies(), failing);
    }
}

#[test]
#[ignore = "needs moto"]
fn a_sweep_that_can_not_list_does_not_say_that_nothing_is_owed() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    function.proxy.fail_requests_with(Some("owed-index"));
    let swept = function.sweep();
    assert_eq!(outcome(&swept), "swept");
    assert!(
        swept["owed"].is_null() && swept["oldestOwedSeconds"].is_null(),
        "{swept}"
    );
    let log = function.log().remove(0);
    assert!(
        log["FindingsOwed"].is_null() && log["SweepFaults"] == 1,
        "{log}"
    );
}

#[test]
#[ignore = "needs moto"]
fn a_call_that_is_never_answered_ends_in_time() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    function.proxy.hang.store(true, Ordering::SeqCst);
    let began = std::time::Instant::now();
    let error = function.invoke(&push("1", T1, "test")).unwrap_err();
    assert_eq!(error["errorType"], "RetryableStore");
    assert!(
        error["errorMessage"]
            .as_str()
            .unwrap()
            .contains("no answer in time"),
        "{error}"
    );
    // Six for the call, and one for the clock of a busy machine.
    assert!(began.elapsed().as_secs() < 8);
    function.proxy.hang.store(false, Ordering::SeqCst);
    let answer = function.invoke(&push("1", T1, "test")).unwrap();
    assert_eq!(outcome(&answer), "finding_published");
}

fn item(fields: &Value) -> std::collections::HashMap<String, AttributeValue> {
    serde_dynamo::to_item(fields).unwrap()
}

#[test]
#[ignore = "needs moto"]
fn a_damaged_record_is_an_error_that_names_it_and_others_go_on() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    for damage in [
        json!({"uploader": TEST_USER}),
        json!({"uploader": TEST_USER, "standing": 7}),
        json!({"uploader": TEST_USER, "standing": "new", "lastSeen": 7}),
        json!({"uploader": TEST_USER, "standing": "new", "firstSeen": "long ago", "lastSeen": T1}),
        json!({"uploader": TEST_USER, "standing": "trusted", "trustedUntil": ["x"]}),
        json!({"uploader": TEST_USER, "standing": "new", "revision": "x"}),
        json!({"uploader": TEST_USER, "standing": "new", "firstSeen": T1, "lastSeen": T1, "pushes": "x"}),
    ] {
        block_on(stack.put(&stack.uploaders, item(&damage)));
        for attempt in ["1", "2"] {
            let error = function.invoke(&push(attempt, T2, "test")).unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains(TEST_USER) && text.contains(&stack.uploaders),
                "{damage}: {text}"
            );
        }
        let other = function
            .invoke(&push(&damage.to_string(), T2, "other"))
            .unwrap();
        assert!(
            matches!(outcome(&other), "finding_published" | "known"),
            "{other}"
        );
    }
}

#[test]
#[ignore = "needs moto"]
fn a_record_of_an_unknown_standing_is_told() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    let odd = json!({"uploader": TEST_USER, "standing": "odd", "firstSeen": T1, "lastSeen": T1});
    block_on(stack.put(&stack.uploaders, item(&odd)));
    let answer = function.invoke(&push("1", T2, "test")).unwrap();
    assert_eq!(outcome(&answer), "finding_published");
    assert_eq!(function.proxy.bodies()[0]["previouslySeen"], T1);
}

#[test]
#[ignore = "needs moto"]
fn a_damaged_finding_is_named_and_the_sweep_goes_on() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    function.proxy.sns_is_down.store(true, Ordering::SeqCst);
    function.invoke(&push("1", T1, "test")).unwrap();
    function.proxy.sns_is_down.store(false, Ordering::SeqCst);
    let owed = |id: &str, more: Value| {
        let mut fields = json!({"findingId": id, "owed": "finding", "owedSince": T1});
        let more = more.as_object().unwrap().clone();
        fields.as_object_mut().unwrap().extend(more);
        item(&fields)
    };
    for (id, more) in [
        ("no-body", json!({})),
        ("odd-body", json!({"body": "{\"id\":"})),
        ("body-of-another-type", json!({"body": 7})),
        ("odd-attempts", json!({"attempts": "many"})),
    ] {
        block_on(stack.put(&stack.findings, owed(id, more)));
    }
    let body = findings(&stack).iter().find_map(|finding| {
        finding["body"]
            .as_str()
            .filter(|body| body.len() > 99)
            .map(str::to_owned)
    });
    let odd_lease = json!({"body": body.unwrap(), "leaseUntil": "tomorrow"});
    block_on(stack.put(&stack.findings, owed("odd-lease", odd_lease)));
    age(&stack);

    let swept = function.sweep();
    assert_eq!(
        (&swept["published"], &swept["owed"]),
        (&json!(2), &json!(4)),
        "{swept}"
    );
    let line = function.log().pop().unwrap();
    let faults = line["faults"].to_string();
    for id in [
        "no-body",
        "odd-body",
        "body-of-another-type",
        "odd-attempts",
    ] {
        assert!(faults.contains(&format!("finding {id} ")), "{id}: {faults}");
    }
    assert_eq!(line["level"], "WARN");
    assert!(
        line["OldestOwedSeconds"].as_i64().unwrap() > 600,
        "which is alarmed"
    );
}

/// One push of buildx is several events within a second, and Lambda hands each
/// to another instance.
#[test]
#[ignore = "needs moto"]
fn of_several_functions_at_once_one_tells() {
    let stack = stack();
    let functions = [(); 4].map(|()| Function::start(&stack, &[]));
    for round in 0..5 {
        let name = format!("u{round}");
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = functions
                .iter()
                .enumerate()
                .map(|(number, function)| {
                    let event = push(&format!("{round}-{number}"), T1, &name);
                    scope.spawn(move || outcome(&function.invoke(&event).unwrap()).to_owned())
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        let told = outcomes
            .iter()
            .filter(|outcome| outcome.starts_with("finding_"))
            .count();
        let known = outcomes
            .iter()
            .filter(|outcome| *outcome == "known")
            .count();
        assert_eq!((told, known), (1, 3), "{outcomes:?}");
    }
    // What was beyond the budget.
    age(&stack);
    functions[0].sweep();
    // On a busy machine a call may take more than a second, and is made again: what
    // was told or counted is then told or counted again, under the same id.
    let bodies = functions
        .iter()
        .flat_map(|function| function.proxy.bodies());
    let told: HashSet<_> = bodies.map(|body| body["id"].to_string()).collect();
    assert_eq!((told.len(), findings(&stack).len()), (5, 5));
    let uploaders = block_on(stack.uploaders());
    assert_eq!(uploaders.len(), 5);
    for record in uploaders {
        assert!(record["pushes"].as_u64() >= Some(4), "{record}");
    }
}

/// How many functions push at once: few, or as many as `make bench-contention` says.
fn functions_at_once(stack: &Stack) -> Vec<Function> {
    let count = std::env::var("FUNCTIONS_AT_ONCE");
    let count = count.map_or(8, |count| count.parse().unwrap());
    (0..count).map(|_| Function::start(stack, &[])).collect()
}

/// Each function handles its share of the events; gives outcome and calls of each.
fn handle_at_once(functions: &[Function], events: &[Value]) -> Vec<(String, usize)> {
    let began = std::time::Instant::now();
    let share = events.len().div_ceil(functions.len());
    let handled: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = functions
            .iter()
            .zip(events.chunks(share))
            .map(|(function, events)| {
                let handle = |event| {
                    let answer = function.invoke(event).unwrap();
                    (outcome(&answer).to_owned(), function.calls().len())
                };
                scope.spawn(move || events.iter().map(handle).collect::<Vec<_>>())
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    println!(
        "{} events by {} functions: {} calls, {:?}",
        events.len(),
        functions.len(),
        handled.iter().map(|(_, calls)| calls).sum::<usize>(),
        began.elapsed()
    );
    handled
}

/// A batch after an outage comes in any order.
#[test]
#[ignore = "needs moto"]
fn late_pushes_of_one_uploader_at_once_are_two_calls_each() {
    let stack = stack();
    let functions = functions_at_once(&stack);
    functions[0].invoke(&push("first", T1, "test")).unwrap();
    let count = 4 * functions.len();
    let events: Vec<_> = (0..count)
        .map(|number| {
            // 7919 is a prime: each minute once, in no order.
            let minute = 1 + number * 7919 % count;
            let time = format!("2026-01-02T{:02}:{:02}:00Z", minute / 60, minute % 60);
            push(&format!("e{number}"), &time, "test")
        })
        .collect();
    for (outcome, calls) in handle_at_once(&functions, &events) {
        assert_eq!(outcome, "known");
        assert!(calls <= 2, "{calls} calls");
    }
    let record = block_on(stack.uploaders()).remove(0);
    let last = format!("2026-01-02T{:02}:{:02}:00Z", count / 60, count % 60);
    assert_eq!(
        (&record["firstSeen"], &record["lastSeen"]),
        (&json!(T1), &json!(last))
    );
    // A call that is made again may count again.
    assert!(
        record["pushes"].as_u64() >= u64::try_from(count + 1).ok(),
        "{record}"
    );
}

#[test]
#[ignore = "needs moto"]
fn pushes_by_somebody_revoked_at_once_are_all_told() {
    let stack = stack();
    let functions = functions_at_once(&stack);
    let revoked = json!({"uploader": TEST_USER, "standing": "revoked", "revision": 1});
    block_on(stack.put(&stack.uploaders, item(&revoked)));
    let count = functions.len();
    let events: Vec<_> = (0..count)
        .map(|number| {
            let second = number * 7919 % count;
            push(
                &format!("e{number}"),
                &format!("2026-01-02T00:00:{second:02}Z"),
                "test",
            )
        })
        .collect();
    for (outcome, _) in handle_at_once(&functions, &events) {
        assert!(outcome.starts_with("finding_"), "{outcome}");
    }
    assert_eq!(findings(&stack).len(), count);
    let record = block_on(stack.uploaders()).remove(0);
    assert_eq!(
        (&record["firstSeen"], &record["lastSeen"]),
        (
            &json!("2026-01-02T00:00:00Z"),
            &json!(format!("2026-01-02T00:00:{:02}Z", count - 1))
        )
    );
    assert_eq!(record["standing"], "revoked");
}

#[test]
#[ignore = "needs moto"]
fn a_push_ends_two_seconds_before_the_function_whatever_hangs() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    function.give_seconds(4);
    let seconds = |began: std::time::Instant| began.elapsed().as_secs_f32();
    let near = |seconds: f32| (1.5..2.9).contains(&seconds);

    function.proxy.hang.store(true, Ordering::SeqCst);
    let began = std::time::Instant::now();
    let error = function.invoke(&push("1", T1, "test")).unwrap_err();
    assert_eq!(error["errorType"], "RetryableDeadline");
    assert!(near(seconds(began)), "{}", seconds(began));
    function.proxy.hang.store(false, Ordering::SeqCst);

    function.proxy.sns_seconds.store(5, Ordering::SeqCst);
    let began = std::time::Instant::now();
    let answer = function.invoke(&push("1", T1, "test")).unwrap();
    assert_eq!(outcome(&answer), "finding_deferred");
    assert!(near(seconds(began)), "{}", seconds(began));
}

#[test]
#[ignore = "needs moto"]
fn a_slow_sns_is_told_everything_once() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    function.proxy.sns_seconds.store(3, Ordering::SeqCst);
    let answer = function.invoke(&push("1", T1, "a")).unwrap();
    assert_eq!(outcome(&answer), "finding_published");
    // And by the sweep.
    function.proxy.fail_requests_with(Some("#budget"));
    let answer = function.invoke(&push("2", T1, "b")).unwrap();
    assert_eq!(outcome(&answer), "finding_deferred");
    function.proxy.fail_requests_with(None);
    age(&stack);
    assert_eq!(function.sweep()["published"], 1);
    assert_eq!(function.sweep()["owed"], 0);
    std::thread::sleep(std::time::Duration::from_secs(4));
    let asked = function.proxy.asked_to_publish.load(Ordering::SeqCst);
    assert_eq!((asked, function.proxy.bodies().len()), (2, 2));
}

/// After throttling Lambda delivers the schedule's events together.
#[test]
#[ignore = "needs moto"]
fn of_two_sweeps_at_once_one_publishes() {
    let stack = stack();
    let functions = [(); 2].map(|()| Function::start(&stack, &[]));
    functions[0].proxy.sns_is_down.store(true, Ordering::SeqCst);
    for number in 0..7 {
        let event = push(&format!("{number}"), T1, &format!("u{number}"));
        functions[0].invoke(&event).unwrap();
    }
    functions[0]
        .proxy
        .sns_is_down
        .store(false, Ordering::SeqCst);
    age(&stack);
    for function in &functions {
        function.proxy.sns_seconds.store(2, Ordering::SeqCst);
    }
    let swept: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = functions
            .iter()
            .enumerate()
            .map(|(number, function)| {
                scope.spawn(move || {
                    let wait = 300 * u64::try_from(number).unwrap();
                    std::thread::sleep(std::time::Duration::from_millis(wait));
                    function.sweep()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(swept[0]["published"], 7, "{swept:?}");
    assert_eq!(swept[1]["published"], 0, "{swept:?}");
    assert_eq!(outcome(&swept[1]), "swept");
    assert_eq!(swept[1]["why"], "another sweep is at work");
    assert_eq!(swept[1]["owed"], 7, "what it read is counted all the same");
    assert_eq!(functions[0].sweep()["owed"], 0);
}

/// What a deployment has missed is replayed from a laptop.
#[test]
#[ignore = "needs moto"]
fn replay_uses_the_tables_and_the_topic_of_a_deployment() {
    let stack = stack();
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("missed.json");
    let events = json!([push("1", T1, "a"), push("2", T2, "a"), push("3", T1, "b")]);
    std::fs::write(&file, events.to_string()).unwrap();
    let function = Function::start(&stack, &[]);
    let replay = |settings: &[(&str, &str)]| {
        let output = assert_cmd::Command::cargo_bin("pushwatch")
            .unwrap()
            .args([
                "replay",
                "--table",
                &stack.uploaders,
                "--findings-table",
                &stack.findings,
            ])
            .args(["--topic", &stack.topic_arn, "--region", REGION])
            .arg(&file)
            .env_clear()
            .envs([
                ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
                ("AWS_SECRET_ACCESS_KEY", "secret"),
                ("AWS_ENDPOINT_URL", function.proxy.address().as_str()),
            ])
            .envs(settings.iter().copied())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (code, out, err) = replay(&[]);
    assert_eq!(code, Some(0), "{err}");
    assert!(
        out.contains("New uploader a pushed") && err.contains("Findings    2"),
        "{out}{err}"
    );
    assert_eq!(function.proxy.bodies().len(), 2);
    assert_eq!(block_on(stack.uploaders()).len(), 2);
    // The function knows them now.
    assert_eq!(
        outcome(&function.invoke(&push("4", T2, "b")).unwrap()),
        "known"
    );

    let (code, out, err) = replay(&[("AWS_ENDPOINT_URL", "http://127.0.0.1:1")]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(
        err.contains("DynamoDB UpdateItem on table") && err.contains("no connection"),
        "{err}"
    );
    assert_eq!(err.lines().count(), 1, "{err}");
}
