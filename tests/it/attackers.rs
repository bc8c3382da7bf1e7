//! What attackers of SECURITY.md's threat model can do, and what they can't: those who can
//! write to one of the two tables, or hand the function events of their own.

use std::sync::atomic::Ordering;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::block_on;
use crate::support::deployment::{Deployment, outcome, push};
use crate::support::events::{TEST_USER, envelope, record, role_session};
use crate::support::lambda::Function;
use crate::support::moto::Stack;

const T1: &str = "2026-01-01T00:00:00Z";
const T2: &str = "2026-01-02T00:00:00Z";

fn stack() -> Stack {
    block_on(Stack::create())
}

fn put(stack: &Stack, table: &str, item: &Value) {
    block_on(stack.put(table, serde_dynamo::to_item(item).unwrap()));
}

/// The findings that were published, by the ids in the machines' bodies.
fn published(function: &Function) -> Vec<String> {
    let bodies = function.proxy.bodies();
    let findings = bodies.iter().flat_map(|body| match &body["findings"] {
        Value::Array(list) => list.clone(),
        _ => vec![body.clone()],
    });
    findings
        .map(|finding| finding["id"].as_str().unwrap().to_owned())
        .collect()
}

/// A finding that SNS did not take yet.
fn owed_finding(stack: &Stack, function: &Function, event: &Value) -> Value {
    function.proxy.sns_is_down.store(true, Ordering::SeqCst);
    assert_eq!(outcome(function, event), "finding_deferred");
    function.proxy.sns_is_down.store(false, Ordering::SeqCst);
    block_on(stack.findings()).remove(0)
}

#[test]
#[ignore = "needs moto"]
fn who_writes_uploaders_alone_takes_no_finding_back() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    let owed = owed_finding(&stack, &function, &push("1", T1, "test"));
    let trusted = json!({
        "uploader": TEST_USER, "standing": "trusted", "trustReason": "all is well", "revision": 9
    });
    put(&stack, &stack.uploaders, &trusted);
    block_on(stack.age(60));
    assert_eq!(function.sweep()["published"], 1);
    assert_eq!(published(&function), [owed["findingId"].as_str().unwrap()]);
}

/// It is what their right means: the table is what is known.
#[test]
#[ignore = "needs moto"]
fn who_writes_uploaders_makes_somebody_known_and_each_change_is_in_the_record() {
    let laptop = Deployment::new();
    let function = Function::start(&laptop.stack, &[]);
    let forged =
        json!({"uploader": TEST_USER, "standing": "trusted", "trustedBy": "nobody\u{1b}[2J"});
    put(&laptop.stack, &laptop.stack.uploaders, &forged);
    assert_eq!(outcome(&function, &push("1", T1, "test")), "known");
    let ran = laptop.run(&["uploaders", "list"]);
    assert!(ran.out.contains("trusted"), "{}", ran.out);
    let ran = laptop.run(&["uploaders", "show", TEST_USER]);
    assert!(ran.out.contains("nobody\\u{1b}[2J"), "{}", ran.out);
}

/// The id of an event is CloudTrail's, so nobody knows it before the push. Even so:
#[test]
#[ignore = "needs moto"]
fn who_writes_findings_alone_makes_nobody_known() {
    let (stack, other) = (stack(), stack());
    // What the finding's id would be, from a stack of the attacker's own.
    let function = Function::start(&other, &[]);
    function.invoke(&push("1", T1, "test")).unwrap();
    let mut settled = block_on(other.findings()).remove(0);
    settled["body"] = json!("{}");
    put(&stack, &stack.findings, &settled);

    let function = Function::start(&stack, &[]);
    assert_eq!(outcome(&function, &push("1", T1, "test")), "duplicate");
    assert!(block_on(stack.uploaders()).is_empty());
    assert_eq!(
        outcome(&function, &push("2", T2, "test")),
        "finding_published"
    );
}

#[test]
#[ignore = "needs moto"]
fn a_finding_that_somebody_deleted_is_missed() {
    let laptop = Deployment::new();
    let function = Function::start(&laptop.stack, &[]);
    let owed = owed_finding(&laptop.stack, &function, &push("1", T1, "test"));
    block_on(
        laptop
            .stack
            .delete_finding(owed["findingId"].as_str().unwrap()),
    );
    assert_eq!(function.sweep()["published"], 0);
    let ran = laptop.run(&["uploaders", "show", TEST_USER]);
    assert!(
        ran.out.contains("standing       new") && ran.err.contains("else somebody deleted it"),
        "{}{}",
        ran.out,
        ran.err
    );
}

/// The budget is spent and a sweep seems to be at work, as far as the table says.
#[test]
#[ignore = "needs moto"]
fn who_writes_findings_delays_others_for_a_lease_at_most() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    let now = Timestamp::now().as_millisecond();
    let year = now + 365 * 24 * 60 * 60 * 1000;
    let write_budget = |budget: &Value| {
        let mut written = json!({"findingId": "#budget"});
        for token in ["t1", "t2", "t3", "t4", "t5", "n1", "n2", "n3"] {
            written[token] = budget.clone();
        }
        put(&stack, &stack.findings, &written);
    };
    for (name, lease) in [("a", year), ("b", now + 29_000)] {
        write_budget(&json!(now));
        let held = json!({"findingId": "#sweep", "leaseUntil": lease, "leaseHolder": "nobody"});
        put(&stack, &stack.findings, &held);
        let answer = function.invoke(&push(name, T1, name)).unwrap();
        assert_eq!(answer["outcome"], "finding_deferred", "{answer}");
        // Both are over, be it that time passed, or that no lease is so long.
        block_on(stack.age(60));
        assert_eq!(function.sweep()["published"], 1, "{lease}");
        let told = published(&function);
        assert!(told.contains(&answer["findingId"].as_str().unwrap().to_owned()));
    }
    // What is no time binds nobody: it costs no push its message.
    for (name, budget) in [("d", json!("spent")), ("e", json!([now]))] {
        write_budget(&budget);
        let answer = function.invoke(&push(name, T1, name)).unwrap();
        assert_eq!(answer["outcome"], "finding_published", "{answer}");
    }
}

/// They can have a message published, and it is still no more than a finding's.
#[test]
#[ignore = "needs moto"]
fn a_forged_finding_is_as_clean_as_any() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    let mut owed = owed_finding(&stack, &function, &push("1", T1, "test"));
    let mut body: Value = serde_json::from_str(owed["body"].as_str().unwrap()).unwrap();
    let hostile = "x\r\nSubject: forged\u{1b}[2J \u{202e}http://evil.example/x `id` $(id)";
    body["message"] = json!(hostile);
    body["attack"] = json!([{"technique": hostile, "name": hostile, "tactic": hostile}]);
    for (object, fields) in [
        ("uploader", &["key", "name", "accountId", "principalId"][..]),
        (
            "push",
            &[
                "repository",
                "tag",
                "digest",
                "userAgent",
                "sourceIp",
                "region",
                "account",
            ],
        ),
        (
            "credentials",
            &["federatedProvider", "vpcEndpointId", "sourceIdentity"],
        ),
    ] {
        for field in fields {
            body[object][field] = json!(hostile);
        }
    }
    owed["body"] = json!(body.to_string());
    put(&stack, &stack.findings, &owed);
    block_on(stack.age(60));
    assert_eq!(function.sweep()["published"], 1, "{:?}", function.log());

    let (subject, message) = function.proxy.messages().remove(0);
    let bodies: Value = serde_json::from_str(&message).unwrap();
    assert!(
        subject.starts_with("[HIGH] ") && subject.len() < 100,
        "{subject}"
    );
    // Those of machines are JSON, in which texts stay as they are, and whole.
    for (protocol, body) in bodies.as_object().unwrap() {
        let body = body.as_str().unwrap();
        let is_shown = |c: char| !c.is_control() || (c == '\n' && protocol == "email");
        assert!(
            body.chars().all(is_shown) && !body.contains('\u{202e}'),
            "{protocol}: {body}"
        );
    }
    for people in ["email", "sms"] {
        let body = bodies[people].as_str().unwrap();
        assert!(
            !body.contains("http://") && !body.contains("\nSubject: forged"),
            "{body}"
        );
    }
    let email = bodies["email"].as_str().unwrap();
    for line in email.lines().map(str::trim) {
        let is_command = line.starts_with("pushwatch ") || line.starts_with("aws ");
        assert!(!is_command || !line.contains("$("), "{line}");
    }
}

/// Whoever may invoke the function or write to its queues can make up pushes, but nobody
/// becomes known by one without a finding that names them.
#[test]
#[ignore = "needs moto"]
fn a_forged_event_makes_nobody_known_in_silence() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    let forged = push("1", T1, "accomplice");
    let batch = json!({"Records": [{
        "messageId": "m", "body": forged.to_string(), "attributes": {"ApproximateReceiveCount": "1"},
        "eventSource": "aws:sqs"
    }]});
    let answer = function.invoke(&batch).unwrap();
    assert_eq!(answer, json!({"batchItemFailures": []}));
    let records = block_on(stack.uploaders());
    let findings = block_on(stack.findings());
    assert_eq!((records.len(), findings.len()), (1, 1));
    assert_eq!(
        published(&function),
        [findings[0]["findingId"].as_str().unwrap()]
    );
}

#[test]
#[ignore = "needs moto"]
fn several_sessions_and_keys_are_one_uploader_and_several_users_are_several() {
    let stack = stack();
    let function = Function::start(&stack, &[]);
    let by = |id: &str, session: &str, key: &str| {
        let mut identity = role_session("ci/build", session);
        identity["accessKeyId"] = json!(key);
        outcome(&function, &envelope(&record(id, T1, &identity)))
    };
    assert_eq!(by("1", "ada", "ASIAIOSFODNN7EXAMPLE"), "finding_published");
    assert_eq!(by("2", "admin\u{202e}", "ASIAIOSFODNN7EXAMPL2"), "known");
    for name in ["a", "b"] {
        let answer = outcome(&function, &push(name, T1, name));
        assert_eq!(answer, "finding_published", "{name}");
    }
}
