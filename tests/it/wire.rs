//! The exact requests that go to AWS, and what is made of the answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use aws_smithy_http_client::test_util::{ReplayEvent, StaticReplayClient};
use aws_smithy_types::body::SdkBody;
use jiff::Timestamp;
use pushwatch::aws::{Aws, AwsConfig, AwsErrorKind, Endpoints, RetryConflicts, TrustRoots};
use pushwatch::decide::{Decision, decide};
use pushwatch::event::Push;
use pushwatch::finding::{Finding, Severity};
use pushwatch::glob::Glob;
use pushwatch::identity::Uploader;
use pushwatch::notify::{Notifier, SnsNotifier};
use pushwatch::policy::Policy;
use pushwatch::record::{Record, Standing};
use pushwatch::render::{HttpsFormat, Message, RenderContext};
#[cfg(feature = "cli")]
use pushwatch::store::{Answer, AnswerOutcome, Manage};
use pushwatch::store::{Commit, CommitAnswer, DynamoStore, Lease, Store, TimesCommit, TouchAnswer};
use serde_json::{Value, json};

use crate::support::events::{push_by, render_context, time};

/// A snapshot in which the order of a map does not matter.
macro_rules! assert_requests {
    ($requests:expr) => {
        insta::with_settings!({sort_maps => true}, {
            insta::assert_json_snapshot!($requests);
        })
    };
}

/// How long SNS may take.
const WITHIN: Duration = Duration::from_secs(10);
const T1: &str = "2026-01-01T00:00:00Z";

fn now() -> Timestamp {
    time("2026-11-24T00:00:00.5Z")
}

/// Answers with these, status and body, in turn.
fn answers(answers: &[(u16, Value)]) -> StaticReplayClient {
    let events = answers.iter().map(|(status, body)| {
        let request = http::Request::builder().body(SdkBody::empty()).unwrap();
        let response = http::Response::builder().status(*status);
        let body = match body {
            Value::String(xml) => SdkBody::from(xml.as_str()),
            json => SdkBody::from(json.to_string()),
        };
        ReplayEvent::new(request, response.body(body).unwrap())
    });
    StaticReplayClient::new(events.collect())
}

fn store(http: &StaticReplayClient) -> DynamoStore {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("AKID", "secret", None, None, "test"))
        .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)))
        .retry_classifier(RetryConflicts)
        .http_client(http.clone())
        .build();
    let client = aws_sdk_dynamodb::Client::from_conf(config);
    DynamoStore::new(client, "uploaders".to_owned(), "findings".to_owned())
}

fn sns(http: &StaticReplayClient) -> SnsNotifier {
    sns_for(http, HttpsFormat::default())
}

fn sns_for(http: &StaticReplayClient, https_format: HttpsFormat) -> SnsNotifier {
    let config = aws_sdk_sns::Config::builder()
        .behavior_version(aws_sdk_sns::config::BehaviorVersion::v2026_01_12())
        .region(aws_sdk_sns::config::Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("AKID", "secret", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .http_client(http.clone())
        .build();
    let client = aws_sdk_sns::Client::from_conf(config);
    let topic = "arn:aws:sns:eu-central-1:111122223333:findings";
    SnsNotifier::new(|| client, topic.to_owned(), context(), https_format)
}

fn context() -> RenderContext {
    RenderContext {
        runbook: Some("https://wiki.example.com/pushwatch".to_owned()),
        ..render_context()
    }
}

/// Operation and body of each request.
fn requests(http: &StaticReplayClient) -> Vec<Value> {
    http.actual_requests()
        .map(|request| {
            let target = request.headers().get("x-amz-target").unwrap();
            let body: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
            json!({ target.rsplit('.').next().unwrap(): body })
        })
        .collect()
}

fn form(http: &StaticReplayClient) -> Vec<Vec<(String, String)>> {
    http.actual_requests()
        .map(|request| {
            let body = request.body().bytes().unwrap();
            form_urlencoded::parse(body).into_owned().collect()
        })
        .collect()
}

fn refused(item: &Value) -> (u16, Value) {
    let kind = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
    (400, json!({"__type": kind, "message": "no", "Item": item}))
}

fn new_uploader() -> (Push, Uploader, Decision) {
    let (push, uploader) = push_by("test", "e1", T1);
    let decision = decide(None, &push, &uploader, &Policy::default());
    (push, uploader, decision)
}

fn commit_of(decision: &Decision, read_revision: Option<u64>) -> Commit<'_> {
    Commit {
        read_revision,
        record: decision.record.as_ref(),
        finding: decision.finding.as_ref(),
        owed: decision.owed,
        now: now(),
    }
}

#[tokio::test(flavor = "current_thread")]
async fn touch_is_one_conditional_update() {
    let http = answers(&[(200, json!({})), (200, json!({})), (200, json!({}))]);
    let (push, uploader) = push_by("test", "e1", T1);
    let no_id = Uploader {
        principal_id: None,
        ..uploader.clone()
    };
    let trusting = Policy {
        trusted: vec![Glob::parse("arn:aws:iam::*:user/*").unwrap()],
        absence_days: 0,
        ..Policy::default()
    };
    for (uploader, policy) in [
        (&uploader, Policy::default()),
        (&no_id, Policy::default()),
        (&uploader, trusting),
    ] {
        let touched = store(&http).touch(&push, uploader, &policy).await;
        assert_eq!(touched, Ok(TouchAnswer::Ordinary));
    }
    assert_requests!(requests(&http));
}

#[tokio::test(flavor = "current_thread")]
async fn a_refusal_carries_the_record() {
    let item = json!({
        "uploader": {"S": "arn:aws:iam::111122223333:user/test"},
        "standing": {"S": "trusted"}
    });
    let http = answers(&[refused(&item)]);
    let (push, uploader) = push_by("test", "e1", T1);
    let touched = store(&http)
        .touch(&push, &uploader, &Policy::default())
        .await;
    let record = Record::unseen(uploader.key, Standing::Trusted);
    assert_eq!(touched, Ok(TouchAnswer::Refused(Some(Box::new(record)))));
}

#[tokio::test(flavor = "current_thread")]
async fn a_decision_with_a_finding_is_one_transaction_with_its_id_as_token() {
    let http = answers(&[(200, json!({}))]);
    let (_, _, decision) = new_uploader();
    let committed = store(&http).commit(commit_of(&decision, None)).await;
    assert_eq!(committed, Ok(CommitAnswer::Applied));
    let requests = requests(&http);
    let token = &requests[0]["TransactWriteItems"]["ClientRequestToken"];
    assert_eq!(*token, decision.finding.unwrap().id.to_string());
    assert_requests!(requests);
}

#[tokio::test(flavor = "current_thread")]
async fn a_decision_without_a_finding_is_one_conditional_write() {
    let http = answers(&[(200, json!({})), (200, json!({})), (200, json!({}))]);
    let (_, _, mut decision) = new_uploader();
    decision.finding = None;
    for read_revision in [None, Some(0), Some(7)] {
        let committed = store(&http)
            .commit(commit_of(&decision, read_revision))
            .await;
        assert_eq!(committed, Ok(CommitAnswer::Applied));
    }
    let conditions: Vec<_> = requests(&http)
        .into_iter()
        .map(|mut request| {
            // Over what is stored it is an update, which keeps what it does not name.
            if let Some(put) = request.get_mut("PutItem").and_then(Value::as_object_mut) {
                put.remove("Item");
            }
            request
        })
        .collect();
    assert_requests!(conditions);
}

fn cancelled(record: &Value, finding: &Value) -> (u16, Value) {
    let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    let body = json!({"__type": kind, "Message": "no", "CancellationReasons": [record, finding]});
    (400, body)
}

#[tokio::test(flavor = "current_thread")]
async fn a_cancelled_transaction_says_why() {
    let none = json!({"Code": "None"});
    let refusal = json!({"Code": "ConditionalCheckFailed"});
    let lost = json!({
        "Code": "ConditionalCheckFailed",
        "Item": {"uploader": {"S": "k"}, "standing": {"S": "new"}, "revision": {"N": "4"}}
    });
    let conflict = json!({"Code": "TransactionConflict"});
    let throttled = json!({"Code": "ThrottlingError"});
    let kind = "com.amazonaws.dynamodb.v20120810#TransactionInProgressException";
    let in_progress = (400, json!({"__type": kind, "Message": "no"}));
    let winner = Record {
        revision: 4,
        ..Record::unseen("k".into(), Standing::New)
    };
    for (given, expected, calls) in [
        (
            vec![cancelled(&none, &refusal)],
            CommitAnswer::AlreadyDecided,
            1,
        ),
        (
            vec![cancelled(&refusal, &refusal)],
            CommitAnswer::AlreadyDecided,
            1,
        ),
        (
            vec![cancelled(&lost, &none)],
            CommitAnswer::Lost(Some(Box::new(winner))),
            1,
        ),
        (
            vec![cancelled(&refusal, &none)],
            CommitAnswer::Lost(None),
            1,
        ),
        // A transaction on the same item, or too many of them.
        (vec![cancelled(&conflict, &none)], CommitAnswer::Busy, 1),
        (vec![cancelled(&none, &conflict)], CommitAnswer::Busy, 1),
        (vec![cancelled(&throttled, &none)], CommitAnswer::Busy, 1),
        // The SDK tries that one three times by itself.
        (vec![in_progress; 3], CommitAnswer::Busy, 3),
    ] {
        let http = answers(&given);
        let (_, _, decision) = new_uploader();
        let committed = store(&http).commit(commit_of(&decision, None)).await;
        assert_eq!(committed, Ok(expected));
        assert_eq!(http.actual_requests().count(), calls);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_plain_write_that_always_meets_a_transaction_is_busy() {
    let kind = "com.amazonaws.dynamodb.v20120810#TransactionConflictException";
    let http = answers(&vec![(400, json!({"__type": kind, "message": "no"})); 6]);
    let store = store(&http);
    let (push, uploader, mut decision) = new_uploader();
    let touched = store.touch(&push, &uploader, &Policy::default()).await;
    assert_eq!(touched, Ok(TouchAnswer::Busy));
    decision.finding = None;
    let committed = store.commit(commit_of(&decision, None)).await;
    assert_eq!(committed, Ok(CommitAnswer::Busy));
}

#[tokio::test(flavor = "current_thread")]
async fn a_late_push_is_one_conditional_update() {
    let http = answers(&[(200, json!({}))]);
    let (push, uploader) = push_by("test", "e1", T1);
    let touched = store(&http)
        .touch_late(&push, &uploader, &Policy::default())
        .await;
    assert_eq!(touched, Ok(TouchAnswer::Ordinary));
    assert_requests!(requests(&http));
}

/// Of the record only the times are named, and not its revision.
#[tokio::test(flavor = "current_thread")]
async fn a_push_by_somebody_revoked_is_one_transaction_that_moves_the_times() {
    let http = answers(&[(200, json!({})), (200, json!({})), (200, json!({}))]);
    let (push, uploader) = push_by("test", "e1", T1);
    let never_seen = Record::unseen(uploader.key.clone(), Standing::Revoked);
    let seen = |first: &str, last: &str| Record {
        first_seen: Some(time(first)),
        last_seen: Some(time(last)),
        ..never_seen.clone()
    };
    for read in [
        never_seen.clone(),
        seen("2025-12-01T00:00:00Z", "2026-02-01T00:00:00Z"),
        seen("2026-02-01T00:00:00Z", "2026-02-01T00:00:00Z"),
    ] {
        let decision = decide(Some(&read), &push, &uploader, &Policy::default());
        let revoked = TimesCommit {
            read: &read,
            push: &push,
            uploader: &uploader,
            finding: decision.finding.as_ref(),
            now: now(),
        };
        let committed = store(&http).commit_times(revoked).await;
        assert_eq!(committed, Ok(CommitAnswer::Applied));
    }
    let updates: Vec<_> = requests(&http)
        .into_iter()
        .map(|mut request| {
            let items = request["TransactWriteItems"]["TransactItems"].take();
            assert!(items[1]["Put"].is_object());
            items[0]["Update"].clone()
        })
        .collect();
    assert_requests!(updates);
}

#[tokio::test(flavor = "current_thread")]
async fn a_token_that_was_used_otherwise_is_replaced_so_that_the_conditions_decide() {
    let kind = "com.amazonaws.dynamodb.v20120810#IdempotentParameterMismatchException";
    let http = answers(&[
        (400, json!({"__type": kind, "Message": "no"})),
        (200, json!({})),
    ]);
    let (_, _, decision) = new_uploader();
    let committed = store(&http).commit(commit_of(&decision, None)).await;
    assert_eq!(committed, Ok(CommitAnswer::Applied));
    let requests = requests(&http);
    let token = |index: usize| &requests[index]["TransactWriteItems"]["ClientRequestToken"];
    assert_ne!(token(0), token(1));
}

#[tokio::test(flavor = "current_thread")]
async fn the_other_calls_are_these() {
    let http = answers(&vec![
        (
            200,
            json!({"Items": [], "Attributes": {"body": {"S": "{}"}, "attempts": {"N": "3"}}})
        );
        8
    ]);
    let store = store(&http);
    assert_eq!(store.find("arn:aws:iam::1:user/a").await, Ok(None));
    for severity in [Severity::Critical, Severity::High] {
        assert_eq!(store.take_token(2, severity, now()).await, Ok(true));
    }
    assert_eq!(store.settle("f1", "m1", now()).await, Ok(()));
    assert!(store.owed(None).await.unwrap().owed.is_empty());
    assert_eq!(
        store.lease("f1", "sweep", now()).await,
        Ok(Some(Lease {
            body: "{}".to_owned(),
            attempts: 3
        }))
    );
    assert_eq!(store.lease_sweep("sweep", now()).await, Ok(true));
    assert_eq!(store.end_sweep("sweep").await, Ok(()));
    assert_requests!(requests(&http));
}

#[cfg(feature = "cli")]
fn answer() -> Answer {
    Answer {
        by: "arn:aws:iam::111122223333:user/ada".to_owned(),
        at: time(T1),
        reason: "it was the build".to_owned(),
    }
}

#[cfg(feature = "cli")]
#[tokio::test(flavor = "current_thread")]
async fn findings_are_read_and_answered_by_these_calls() {
    let http = answers(&vec![(200, json!({"Items": []})); 4]);
    let store = store(&http);
    assert_eq!(store.finding("f1").await, Ok(None));
    assert!(store.findings(None).await.unwrap().findings.is_empty());
    let from = serde_dynamo::to_item(json!({"findingId": "f1"})).unwrap();
    assert!(store.findings(Some(from)).await.unwrap().next.is_none());
    assert_eq!(
        store.answer("f1", &answer()).await,
        Ok(AnswerOutcome::Answered)
    );
    assert_requests!(requests(&http));
}

#[cfg(feature = "cli")]
#[tokio::test(flavor = "current_thread")]
async fn an_answer_that_is_refused_says_who_answered_before() {
    let stored = |by: &str| {
        json!({
            "findingId": {"S": "f1"}, "uploader": {"S": "u"}, "reason": {"S": "new_uploader"},
            "severity": {"S": "high"}, "eventId": {"S": "e1"}, "decidedAt": {"S": T1},
            "body": {"S": "{}"}, "answeredBy": {"S": by}, "answeredAt": {"S": T1},
            "answerReason": {"S": "it was the build"}
        })
    };
    // Refused by an answer of our own, after the answer to the first try was lost.
    let ours = refused(&stored(&answer().by));
    let http = answers(&[ours, refused(&stored("bob")), refused(&Value::Null)]);
    let store = store(&http);
    let answered = store.answer("f1", &answer()).await;
    assert_eq!(answered, Ok(AnswerOutcome::Answered));
    match store.answer("f1", &answer()).await.unwrap() {
        AnswerOutcome::AnsweredBefore(stored) => assert_eq!(stored.answer.unwrap().by, "bob"),
        other => panic!("{other:?}"),
    }
    let answered = store.answer("f1", &answer()).await;
    assert_eq!(answered, Ok(AnswerOutcome::NoSuchFinding));
}

#[tokio::test(flavor = "current_thread")]
async fn a_write_that_meets_a_transaction_is_tried_again() {
    let kind = "com.amazonaws.dynamodb.v20120810#TransactionConflictException";
    let conflict = (400, json!({"__type": kind, "message": "no"}));
    let http = answers(&vec![[conflict, (200, json!({}))]; 4].concat());
    let store = store(&http);
    let (push, uploader, mut decision) = new_uploader();
    let touched = store.touch(&push, &uploader, &Policy::default()).await;
    assert_eq!(touched, Ok(TouchAnswer::Ordinary));
    decision.finding = None;
    let committed = store.commit(commit_of(&decision, None)).await;
    assert_eq!(committed, Ok(CommitAnswer::Applied));
    assert_eq!(store.settle("f1", "m1", now()).await, Ok(()));
    assert!(store.lease("f1", "sweep", now()).await.unwrap().is_some());
    assert_eq!(http.actual_requests().count(), 8);
}

#[tokio::test(flavor = "current_thread")]
async fn a_commit_whose_answer_was_lost_is_known_by_its_lease() {
    let (_, _, decision) = new_uploader();
    let refusal =
        |lease: Value| json!({"Code": "ConditionalCheckFailed", "Item": {"leaseUntil": lease}});
    let ours = (now() + pushwatch::store::LEASE)
        .as_millisecond()
        .to_string();
    let none = json!({"Code": "ConditionalCheckFailed"});
    for (lease, expected) in [
        (json!({"N": ours}), CommitAnswer::Applied),
        (json!({"N": "1"}), CommitAnswer::AlreadyDecided),
        (Value::Null, CommitAnswer::AlreadyDecided),
    ] {
        let mut refused = refusal(lease.clone());
        if lease.is_null() {
            refused["Item"] = json!({});
        }
        let http = answers(&[cancelled(&none, &refused)]);
        let committed = store(&http).commit(commit_of(&decision, None)).await;
        assert_eq!(committed, Ok(expected));
    }
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_owed_comes_in_pages() {
    let item =
        |id: &str| json!({"findingId": {"S": id}, "owed": {"S": "digest"}, "owedSince": {"S": T1}});
    let http = answers(&[
        (
            200,
            json!({"Items": [item("a")], "LastEvaluatedKey": item("a")}),
        ),
        (
            200,
            json!({"Items": [item("b"), {"owed": {"S": "finding"}}]}),
        ),
    ]);
    let store = store(&http);
    let first = store.owed(None).await.unwrap();
    let second = store.owed(first.next).await.unwrap();
    assert!(second.next.is_none());
    assert_eq!(
        (first.owed[0].id.as_str(), second.owed[0].id.as_str()),
        ("a", "b")
    );
    assert_eq!(
        second.owed.len(),
        1,
        "an item without an id can't be claimed"
    );
    assert_eq!(requests(&http)[1]["Scan"]["ExclusiveStartKey"], item("a"));
}

#[tokio::test(flavor = "current_thread")]
async fn an_error_says_which_call_and_table_and_whether_a_retry_can_help() {
    let error = |kind: &str| {
        let kind = format!("com.amazonaws.dynamodb.v20120810#{kind}");
        vec![(400, json!({"__type": kind, "message": "no"})); 3]
    };
    for (given, expected) in [
        ("ResourceNotFoundException", AwsErrorKind::Deployment),
        ("AccessDeniedException", AwsErrorKind::Deployment),
        ("ThrottlingException", AwsErrorKind::Retryable),
        (
            "ProvisionedThroughputExceededException",
            AwsErrorKind::Retryable,
        ),
        ("InternalServerError", AwsErrorKind::Retryable),
    ] {
        let http = answers(&error(given));
        let (push, uploader) = push_by("test", "e1", T1);
        let touched = store(&http)
            .touch(&push, &uploader, &Policy::default())
            .await;
        let error = touched.unwrap_err();
        assert_eq!(error.kind, expected, "{error}");
        let text = error.to_string();
        assert!(
            text.starts_with(&format!(
                "DynamoDB UpdateItem on table uploaders: {given}: no; "
            )),
            "{text}"
        );
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_damaged_record_is_named() {
    let item = json!({"uploader": {"S": "k"}, "standing": {"S": "new"}, "firstSeen": {"S": "x"}});
    let http = answers(&[refused(&item)]);
    let (push, uploader) = push_by("test", "e1", T1);
    let touched = store(&http)
        .touch(&push, &uploader, &Policy::default())
        .await;
    let error = touched.unwrap_err();
    assert_eq!(error.kind, AwsErrorKind::Unreadable);
    assert!(
        error
            .to_string()
            .contains("item k is damaged: `x` is no RFC 3339 time"),
        "{error}"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn a_record_with_a_value_of_an_unknown_type_is_damaged() {
    let known = json!({"uploader": {"S": "k"}, "standing": {"S": "new"}});
    for odd in [json!({"X": "1"}), json!({"L": [{"M": {"a": {"X": "1"}}}]})] {
        let mut item = known.clone();
        item["later"] = odd;
        let http = answers(&[refused(&item)]);
        let (push, uploader) = push_by("test", "e1", T1);
        let touched = store(&http)
            .touch(&push, &uploader, &Policy::default())
            .await;
        let error = touched.unwrap_err();
        assert_eq!(error.kind, AwsErrorKind::Unreadable);
        let fault = "item k is damaged: `later` has a value of a type that is not known here";
        assert!(error.to_string().contains(fault), "{error}");
    }
}

fn accepted() -> (u16, Value) {
    let xml = "<PublishResponse><PublishResult><MessageId>m1</MessageId></PublishResult></PublishResponse>";
    (200, json!(xml))
}

#[tokio::test(flavor = "current_thread")]
async fn a_finding_is_published_with_a_body_for_tools_and_one_for_people() {
    let http = answers(&[accepted()]);
    let finding = new_uploader().2.finding.unwrap();
    let published = sns(&http).publish(Message::Finding(&finding), WITHIN).await;
    assert_eq!(published.unwrap(), "m1");
    let form = form(&http).remove(0);
    let field = |name: &str| {
        form.iter()
            .find(|(field, _)| field == name)
            .unwrap()
            .1
            .as_str()
    };
    assert_eq!(field("Action"), "Publish");
    assert_eq!(field("MessageStructure"), "json");
    assert_eq!(
        field("TopicArn"),
        "arn:aws:sns:eu-central-1:111122223333:findings"
    );
    let message: Value = serde_json::from_str(field("Message")).unwrap();
    let body: Value = serde_json::from_str(message["default"].as_str().unwrap()).unwrap();
    assert_eq!(body["class_uid"], 2004);
    let body: Finding = serde_json::from_value(body["unmapped"]["pushwatch"].clone()).unwrap();
    assert_eq!(body.id, finding.id);
    let text = message["email"].as_str().unwrap();
    insta::assert_snapshot!(format!("{}\n\n{text}", field("Subject")));
}

fn refused_by_sns(status: u16, code: &str) -> (u16, Value) {
    let xml = format!("<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>");
    (status, json!(xml))
}

#[tokio::test(flavor = "current_thread")]
async fn what_sns_refuses_is_told_plainly_where_that_can_help() {
    // Refused for good, and how many requests there are.
    for (status, code, is_refused, requests) in [
        (400, "InvalidParameter", true, 2),
        (400, "ParameterValueInvalid", true, 2),
        (413, "RequestEntityTooLarge", true, 2),
        (400, "SomethingNew", true, 2),
        (404, "NotFound", true, 1),
        (403, "AuthorizationError", true, 1),
        (403, "InvalidClientTokenId", true, 1),
        (400, "KMSDisabled", true, 1),
        (400, "KMSThrottling", false, 1),
        (400, "RequestExpired", false, 1),
        (429, "SomethingNew", false, 1),
        (501, "SomethingNew", false, 1),
    ] {
        let http = answers(&vec![refused_by_sns(status, code); 5]);
        let finding = new_uploader().2.finding.unwrap();
        let message = Message::Finding(&finding);
        let error = sns(&http).publish(message, WITHIN).await.unwrap_err();
        assert_eq!(SnsNotifier::is_refused(&error), is_refused, "{error}");
        let forms = form(&http);
        assert_eq!(forms.len(), requests, "{error}");
        let is_plain =
            |form: &[(String, String)]| !form.iter().any(|(field, _)| field == "MessageStructure");
        assert!(requests == 1 || is_plain(&forms[1]), "{error}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_list_that_is_refused_is_left_to_be_split() {
    let finding = new_uploader().2.finding.unwrap();
    let list = [finding.clone(), finding];
    for (message, requests) in [
        (Message::Rollup(&list), 1),
        (Message::Digest(&list), 1),
        (Message::Rollup(&list[..1]), 2),
    ] {
        let http = answers(&vec![refused_by_sns(400, "InvalidParameter"); 5]);
        let error = sns(&http).publish(message, WITHIN).await.unwrap_err();
        assert!(SnsNotifier::is_refused(&error), "{error}");
        assert_eq!(form(&http).len(), requests, "{message:?}");
    }
}

/// Each request takes two seconds: longer than a call of DynamoDB may take.
#[tokio::test(flavor = "current_thread")]
async fn sns_is_waited_for_as_long_as_it_may_take_and_asked_once() {
    let server = tiny_http::Server::http("127.0.0.1:0").unwrap();
    let port = server.server_addr().to_ip().unwrap().port();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        for request in server.incoming_requests() {
            count.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_secs(2));
                let (_, xml) = accepted();
                let answer = tiny_http::Response::from_string(xml.as_str().unwrap());
                // Whoever asked may have gone.
                let _ = request.respond(answer);
            });
        }
    });
    let aws = Aws::new(AwsConfig {
        region: "eu-central-1".to_owned(),
        credentials: Credentials::new("AKID", "secret", None, None, "test"),
        endpoints: Endpoints {
            sns: Some(format!("http://127.0.0.1:{port}")),
            ..Endpoints::default()
        },
        trust_roots: TrustRoots::System,
    })
    .unwrap();
    let topic = "arn:aws:sns:eu-central-1:111122223333:findings";
    let sns = move || aws.sns();
    let notifier = SnsNotifier::new(sns, topic.to_owned(), context(), HttpsFormat::Ocsf);
    let finding = new_uploader().2.finding.unwrap();
    let message = Message::Finding(&finding);

    let told = notifier.publish(message, WITHIN).await;
    assert_eq!(
        (told, asked.load(Ordering::SeqCst)),
        (Ok("m1".to_owned()), 1)
    );

    let late = notifier.publish(message, Duration::from_millis(500)).await;
    let error = late.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("no answer in time; a retry can help"),
        "{error}"
    );
    assert!(!SnsNotifier::is_refused(&error));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

mod any_finding {
    use super::{HttpsFormat, Message, T1, accepted, answers, form, sns, sns_for};
    use crate::support::events::{iam_user, read, record};
    use proptest::prelude::*;
    use pushwatch::decide::decide;
    use pushwatch::finding::{Finding, Reason, Sightings, Verdict};
    use pushwatch::habit::{Habits, MAX_PLACES};
    use pushwatch::notify::Notifier;
    use pushwatch::policy::Policy;
    use serde_json::{Value, json};

    fn finding(name: &str, repository: &str, tag: &str, agent: &str) -> Finding {
        let mut identity = iam_user("test");
        identity["userName"] = json!(name);
        identity["arn"] = json!(format!("arn:aws:iam::111122223333:user/{name}"));
        let mut event = record("e1", "2026-01-01T00:00:00Z", &identity);
        event["userAgent"] = json!(agent);
        event["sourceIPAddress"] = json!(agent);
        event["awsRegion"] = json!(agent);
        event["requestParameters"]["repositoryName"] = json!(repository);
        event["requestParameters"]["imageTag"] = json!(tag);
        let (push, identified) = read(&event);
        decide(None, &push, &identified.uploader, &Policy::default())
            .finding
            .unwrap()
    }

    fn published(message: Message<'_>) -> (String, String, usize) {
        published_for(message, HttpsFormat::default())
    }

    fn published_for(message: Message<'_>, https_format: HttpsFormat) -> (String, String, usize) {
        let http = answers(&[accepted()]);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let sns = sns_for(&http, https_format);
        runtime
            .block_on(sns.publish(message, super::WITHIN))
            .unwrap();
        let length = http
            .actual_requests()
            .next()
            .unwrap()
            .body()
            .bytes()
            .unwrap()
            .len();
        let form = form(&http).remove(0);
        let field = |name: &str| {
            form.iter()
                .find(|(field, _)| field == name)
                .unwrap()
                .1
                .clone()
        };
        (field("Subject"), field("Message"), length)
    }

    /// Longer than anything that CloudTrail sends, and of all that hurts.
    fn hostile() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "[a-z0-9/._-]{1,300}",
            Just("\u{1b}[31m\r\n".repeat(2000)),
            Just("\"\\".repeat(4000)),
            Just("語".repeat(3000)),
            Just("$(reboot) `x` '; http://evil.example.com".to_owned()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn fits_into_sns(name in hostile(), repository in hostile(), tag in hostile(), agent in hostile()) {
            let (subject, message, _) = published(Message::Finding(&finding(&name, &repository, &tag, &agent)));
            prop_assert!((1..=99).contains(&subject.len()), "{}", subject);
            prop_assert!(subject.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{}", subject);
            prop_assert!(message.len() < 262_144, "{}", message.len());
            for https_format in [HttpsFormat::AmazonQ, HttpsFormat::PagerDuty] {
                let finding = finding(&name, &repository, &tag, &agent);
                let (_, message, _) = published_for(Message::Finding(&finding), https_format);
                prop_assert!(message.len() < 262_144, "{}", message.len());
                let bodies: Value = serde_json::from_str(&message).unwrap();
                let https: Value = serde_json::from_str(bodies["https"].as_str().unwrap()).unwrap();
                prop_assert!(https["version"] == "1.0" || https["event_action"] == "trigger");
            }
        }

        #[test]
        fn keeps_name_and_repository_readable(name in "[a-z]{1,64}", repository in "[a-z/]{2,256}") {
            let (subject, ..) = published(Message::Finding(&finding(&name, &repository, "1", "x")));
            let shown = |text: &str, least: usize| subject.contains(&text[..text.len().min(least)]);
            prop_assert!(shown(&name, 25) && shown(&repository, 25), "{}", subject);
        }
    }

    /// An event whose every text is long, of a character that takes the more room the more
    /// often it is put into JSON; by an uploader that has pushed like that before.
    fn longest(character: &str, reason: Reason) -> Finding {
        let text = json!(character.repeat(4_000));
        let session = json!({
            "sourceIdentity": text, "ec2RoleDelivery": text,
            "webIdFederationData": {"federatedProvider": text},
            "sessionIssuer": {"arn": text, "userName": text, "principalId": text},
        });
        let identity = json!({
            "type": text, "arn": text, "accountId": text, "principalId": text,
            "userName": text, "accessKeyId": text, "credentialId": text,
            "invokedByDelegate": {"accountId": text},
            "inScopeOf": {"credentialsIssuedTo": text, "issuerType": text},
            "sessionContext": session,
        });
        let image_id = json!({"imageTag": text, "imageDigest": text});
        let event = json!({
            "eventName": "PutImage", "eventTime": T1, "eventID": text, "sharedEventID": text,
            "userIdentity": identity, "recipientAccountId": text, "awsRegion": text,
            "sourceIPAddress": text, "userAgent": text, "requestID": text, "errorMessage": text,
            "vpcEndpointId": text,
            "requestParameters": {
                "registryId": text, "repositoryName": text, "imageTag": text,
                "imageManifestMediaType": text,
            },
            "responseElements": {"image": {"imageId": image_id}},
        });
        let (push, identified) = read(&event);
        let mut usual = Habits::default();
        for number in 0..MAX_PLACES {
            let place = format!("{number:02}{}", push.place());
            usual.remember(&place, &format!("{number}{}", push.way), push.event_time);
        }
        let verdict = Some(Verdict {
            by: push.user_agent.clone(),
            at: Some(push.event_time),
            reason: push.user_agent.clone(),
        });
        let seen = Sightings {
            trusted: verdict.clone(),
            revoked: verdict,
            previous_principal_id: push.user_agent.clone(),
            usual: Some(usual),
            ..Sightings::default()
        };
        Finding::new(reason, &push, &identified.uploader, seen)
    }

    #[test]
    fn the_longest_finding_fits_into_sns_in_every_format() {
        for character in ["x", "\"", "\\", "\u{1}", "\u{7f}", "\u{202e}", "語"] {
            for reason in Reason::ALL {
                let longest = longest(character, reason);
                for format in [
                    HttpsFormat::Ocsf,
                    HttpsFormat::AmazonQ,
                    HttpsFormat::PagerDuty,
                ] {
                    let (_, message, _) = published_for(Message::Finding(&longest), format);
                    let length = message.len();
                    assert!(
                        length < 262_144,
                        "{character:?} {reason} {format:?} {length}"
                    );
                }
            }
        }
    }

    #[test]
    fn many_fill_lists_of_two_hundred_kilobytes() {
        let long = "\"語\"".repeat(300);
        for findings in [
            vec![finding("a", "team/app", "1", "x"); 500],
            vec![finding(&long, &long, &long, &long); 100],
        ] {
            let http = answers(&[]);
            let fit = sns(&http).fit(&findings);
            assert!(fit < findings.len(), "{fit}");
            let (.., length) = published(Message::Rollup(&findings[..fit]));
            assert!(length <= 200_000, "{length}");
            // And the list is full.
            let one = length / fit;
            assert!(length + 2 * one + 4_000 > 200_000, "{length} {fit}");
            for https_format in [HttpsFormat::AmazonQ, HttpsFormat::PagerDuty] {
                let fit = sns_for(&http, https_format).fit(&findings);
                let (.., length) = published_for(Message::Rollup(&findings[..fit]), https_format);
                assert!(length <= 200_000, "{length}");
            }
        }
    }
}
