//! A test that goes the whole way: through the function, the tables and the topic.
//!
//! What it writes is removed afterwards, whatever happens: finding and record have keys
//! that no push can have, and are known before the function is called.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_lambda::primitives::Blob;
use jiff::{SignedDuration, Timestamp};
use pushwatch::arn::Arn;
use pushwatch::aws::{AwsError, AwsErrorKind};
use pushwatch::event::{TEST_SOURCE, TEST_USER};
use pushwatch::finding::{Reason, finding_id};
use pushwatch::store::{DynamoStore, Manage as _};
use pushwatch::text::clean_cut;
use pushwatch::time::whole_seconds;
use serde_json::{Value, json};
use uuid::Uuid;

use super::check::{Check, aws};
use crate::deployment::{Names, Session, Stack};
use crate::error::CommandError;
use crate::ui::{Spinner, say};

/// How often the table is asked.
const POLL: Duration = Duration::from_secs(2);
/// How long after its answer the finding may be late: the lease that the function holds,
/// and what a sweep takes.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long the function may still be at work when its connection is lost: its time-out,
/// and its start.
const AT_WORK: Duration = Duration::from_secs(40);

/// The event of a test, and the keys of what follows from it.
#[derive(Debug)]
struct Test {
    event: Value,
    uploader: String,
    finding: String,
}

impl Test {
    /// A push by an IAM user of this account, by a name that no user can have: IAM takes
    /// no spaces.
    fn new(account: &str, region: &str, partition: &str, now: Timestamp) -> Self {
        let [id, event_id, digest] = ["id", "event", "digest"].map(|part| {
            let random = RandomState::new().hash_one(part);
            let name = format!("{part} {random} {}", now.as_nanosecond());
            Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes())
        });
        let name = format!("{TEST_USER}{id}");
        let uploader = format!("arn:{partition}:iam::{account}:user/{name}");
        let time = whole_seconds(now).to_string();
        let digest = format!("sha256:{0}{0}", digest.simple());
        let image = json!({
            "registryId": account,
            "repositoryName": "pushwatch/test",
            "imageId": {"imageDigest": digest, "imageTag": "test"},
            "imageManifestMediaType": "application/vnd.docker.distribution.manifest.v2+json",
        });
        let event = json!({
            "version": "0",
            "id": id,
            "detail-type": "AWS API Call via CloudTrail",
            "source": TEST_SOURCE,
            "account": account,
            "time": time,
            "region": region,
            "resources": [],
            "detail": {
                "eventVersion": "1.11",
                "userIdentity": {
                    "type": "IAMUser",
                    "arn": uploader,
                    "accountId": account,
                    "userName": name,
                    "invokedBy": "AWS Internal",
                },
                "eventTime": time,
                "eventSource": "ecr.amazonaws.com",
                "eventName": "PutImage",
                "awsRegion": region,
                "sourceIPAddress": "AWS Internal",
                "userAgent": "AWS Internal",
                "requestParameters": {
                    "registryId": account,
                    "repositoryName": "pushwatch/test",
                    "imageTag": "test",
                    "imageManifestMediaType":
                        "application/vnd.docker.distribution.manifest.v2+json",
                },
                "responseElements": {"image": image},
                "eventID": event_id,
                "eventType": "AwsApiCall",
                "recipientAccountId": account,
            },
        });
        let finding = finding_id(&uploader, Reason::NewUploader, &event_id.to_string());
        Self {
            event,
            uploader,
            finding: finding.to_string(),
        }
    }
}

/// Sends a test, follows it, and removes it.
///
/// # Errors
/// On Ctrl-C, after it was removed; when the stack has no function.
pub async fn run(session: &Session, stack: &Stack) -> Result<Vec<Check>, CommandError> {
    let names = stack.names()?;
    let function = stack.output("FunctionName")?.to_owned();
    let topic = stack.output("FindingsTopicArn")?;
    let topic = Arn::parse(topic);
    let (account, partition) = topic.map_or(("000000000000", "aws"), |topic| {
        (topic.account, topic.partition)
    });
    let test = Test::new(account, session.region(), partition, Timestamp::now());
    let began = Timestamp::now();
    // Beside this future, so that it goes on when Ctrl-C ends the waiting.
    let mut call = tokio::spawn(call(session.invoker(), function, test.event.to_string()));
    let mut called = None;
    let followed = tokio::select! {
        check = async {
            let waiting = Spinner::on("calling the function with a test", false);
            let answer = (&mut call).await;
            let answer = called.insert(answer.unwrap_or_else(|_| Err(lost())));
            drop(waiting);
            follow(session, stack, &names, &test, answer, began).await
        } => Some(check),
        _ = tokio::signal::ctrl_c() => None,
    };
    if followed.is_none() {
        say(
            "Stopping. What the test wrote is removed when the function has ended; Ctrl-C leaves it.",
        );
    }
    let removed = tokio::select! {
        removed = async {
            if called.is_none() {
                called = Some(call.await.unwrap_or_else(|_| Err(lost())));
            }
            wait_for_the_end(called.as_ref(), began).await;
            remove(session, &names, &test).await
        } => removed,
        _ = tokio::signal::ctrl_c() => Some(left(session, &names, &test, "it was stopped")),
    };
    match followed {
        None => {
            if let Some(check) = removed {
                let commands = check.mend.join("; ");
                return Err(CommandError::LeftBehind(format!(
                    "what the test wrote is not removed: {commands}"
                )));
            }
            Err(CommandError::Interrupted)
        }
        Some(check) => Ok([Some(check), removed].into_iter().flatten().collect()),
    }
}

/// What the function answered: its error too.
#[derive(Debug)]
struct Called {
    answer: Value,
    is_error: bool,
}

async fn call(
    client: aws_sdk_lambda::Client,
    function: String,
    event: String,
) -> Result<Called, AwsError> {
    let output = client
        .invoke()
        .function_name(&function)
        .payload(Blob::new(event))
        .send()
        .await
        .map_err(|error| {
            AwsError::new(
                "Lambda InvokeFunction",
                format!("function {function}"),
                error,
            )
        })?;
    let payload = output.payload.map(Blob::into_inner).unwrap_or_default();
    Ok(Called {
        answer: serde_json::from_slice(&payload).unwrap_or_default(),
        is_error: output.function_error.is_some(),
    })
}

fn lost() -> AwsError {
    let call = "Lambda InvokeFunction";
    AwsError::of_kind(
        AwsErrorKind::Retryable,
        call,
        "function",
        "the call broke off",
    )
}

/// Follows the test from the function's answer to the topic's.
async fn follow(
    session: &Session,
    stack: &Stack,
    names: &Names,
    test: &Test,
    called: &Result<Called, AwsError>,
    began: Timestamp,
) -> Check {
    let answer = match called {
        Ok(called) if called.is_error => return failed(&called.answer),
        Ok(called) => &called.answer,
        Err(error) => return not_called(error),
    };
    let outcome = answer["outcome"].as_str().unwrap_or_default();
    match outcome {
        "finding_published" | "finding_deferred" => {}
        "ignored" => {
            return Check::ill(
                "The function does not know tests: its code is older than this program",
                "it took the test for an event that is none of its own",
            )
            .mend("Deploy this version: sam build && sam deploy");
        }
        other => {
            return Check::ill(
                format!("The function answered `{}` to a test", clean_cut(other, 60)),
                "it should have published a finding",
            )
            .mend("See the function's log: docs/operations.md#runbook");
        }
    }
    let why = answer["why"].as_str().map(|why| clean_cut(why, 400));
    let store = session.store(names);
    let _waiting = Spinner::on("waiting until the topic takes the test", false);
    let published = tokio::time::timeout(patience(stack), published(&store, &test.finding)).await;
    match published {
        Ok(Ok(message)) => {
            let seconds = Timestamp::now().duration_since(began).as_secs();
            let late = why.map_or_else(String::new, |why| format!(", by the sweep, since {why}"));
            Check::well(format!(
                "A test went all the way: the topic took it after {seconds} s (message {}){late}. \
                 Whoever is subscribed gets a message that says TEST",
                clean_cut(&message, 60)
            ))
        }
        Ok(Err(error)) => Check::unread("What became of the test", &error),
        Err(_) => Check::ill(
            "The topic did not take the test, and the sweep did not publish it",
            why.unwrap_or_else(|| "the function gave no reason".to_owned()),
        )
        .mend("See faults in the function's log: docs/operations.md#findingsowedalarm"),
    }
}

/// The test's message, once SNS has accepted it.
async fn published(store: &DynamoStore, id: &str) -> Result<String, AwsError> {
    loop {
        let finding = store.finding(id).await?;
        if let Some(finding) = finding.filter(|finding| finding.published_at.is_some()) {
            return Ok(finding.message_id.unwrap_or_default());
        }
        tokio::time::sleep(POLL).await;
    }
}

/// How long to wait for a sweep: two of them, as `rate(4 minutes)` may have it.
fn patience(stack: &Stack) -> Duration {
    let schedule = stack
        .parameters
        .get("SweepSchedule")
        .map_or("", String::as_str);
    let minutes = schedule.chars().find_map(|c| c.to_digit(10)).unwrap_or(1);
    PATIENCE + Duration::from_mins(2) * minutes
}

fn failed(error: &Value) -> Check {
    let text = |name: &str| clean_cut(error[name].as_str().unwrap_or_default(), 400);
    let what = match text("errorType") {
        kind if kind.is_empty() => "The function failed on a test".to_owned(),
        kind => format!("The function failed on a test: {kind}"),
    };
    Check::ill(what, text("errorMessage"))
        .mend("What to do about each kind of error: docs/operations.md#errorsalarm")
}

fn not_called(error: &AwsError) -> Check {
    if error.kind == AwsErrorKind::Deployment {
        return Check::unread("The way of a test", error);
    }
    Check::ill(
        "The function could not be called with a test",
        error.to_string(),
    )
}

/// Waits until nothing of the test can be written any more. If the connection was lost,
/// the function may still be at work.
async fn wait_for_the_end(called: Option<&Result<Called, AwsError>>, began: Timestamp) {
    if let Some(Err(error)) = called
        && error.kind == AwsErrorKind::Retryable
        && error.code.is_none()
    {
        let spent = Timestamp::now()
            .duration_since(began)
            .max(SignedDuration::ZERO);
        let spent = Duration::try_from(spent).unwrap_or_default();
        let _waiting = Spinner::on("waiting until the function has surely ended", false);
        tokio::time::sleep(AT_WORK.saturating_sub(spent)).await;
    }
}

/// Removes finding and record; what is left if that fails. The finding first: then no
/// sweep publishes it.
async fn remove(session: &Session, names: &Names, test: &Test) -> Option<Check> {
    let client = session.dynamodb();
    for (table, key, value) in keys(names, test) {
        let deleted = client
            .delete_item()
            .table_name(table)
            .key(key, AttributeValue::S(value.to_owned()))
            .send()
            .await;
        if let Err(error) = deleted {
            let error = AwsError::new("DynamoDB DeleteItem", format!("table {table}"), error);
            return Some(left(session, names, test, &error.to_string()));
        }
    }
    None
}

fn keys<'a>(names: &'a Names, test: &'a Test) -> [(&'a str, &'static str, &'a str); 2] {
    let findings = names.findings.as_deref().unwrap_or_default();
    [
        (findings, "findingId", &test.finding),
        (&names.uploaders, "uploader", &test.uploader),
    ]
}

fn left(session: &Session, names: &Names, test: &Test, why: &str) -> Check {
    let check = Check::warning("What the test wrote is not removed", why);
    keys(names, test)
        .into_iter()
        .fold(check, |check, (table, key, value)| {
            let key = json!({key: {"S": value}}).to_string();
            check.mend(aws(
                session.region(),
                &[
                    "dynamodb",
                    "delete-item",
                    "--table-name",
                    table,
                    "--key",
                    &key,
                ],
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::{Test, failed, patience};
    use crate::commands::doctor::tests::stack;
    use jiff::Timestamp;
    use pushwatch::decide::decide;
    use pushwatch::event::{self, Event};
    use pushwatch::finding::Reason;
    use pushwatch::identity::identify;
    use pushwatch::policy::Policy;
    use serde_json::json;

    #[test]
    fn a_test_is_decided_as_a_new_uploader_under_the_keys_that_are_removed() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let test = Test::new("111122223333", "eu-central-1", "aws", now);
        let Event::Push(push, identity) = event::read(&test.event.to_string(), now).unwrap() else {
            panic!("no push");
        };
        assert!(push.is_test);
        let uploader = identify(&identity, push.account.as_deref()).uploader;
        assert_eq!(uploader.key, test.uploader);
        let decision = decide(None, &push, &uploader, &Policy::default());
        let finding = decision.finding.unwrap();
        assert_eq!((finding.reason, finding.test), (Reason::NewUploader, true));
        assert_eq!(finding.id.to_string(), test.finding);
    }

    #[test]
    fn no_two_tests_are_alike_and_no_user_can_have_the_name() {
        let now = Timestamp::UNIX_EPOCH;
        let [one, other] = [0, 1].map(|_| Test::new("111122223333", "eu-central-1", "aws", now));
        assert_ne!(one.uploader, other.uploader);
        assert_ne!(
            one.event["detail"]["eventID"],
            other.event["detail"]["eventID"]
        );
        assert!(one.uploader.contains(' '), "{}", one.uploader);
    }

    #[test]
    fn the_patience_is_that_of_two_sweeps() {
        let mut stack = stack();
        assert_eq!(patience(&stack).as_secs(), 90 + 120);
        let schedule = "rate(4 minutes)".to_owned();
        stack
            .parameters
            .insert("SweepSchedule".to_owned(), schedule);
        assert_eq!(patience(&stack).as_secs(), 90 + 480);
    }

    #[test]
    fn an_error_of_the_function_is_cut_and_clean() {
        let error = json!({"errorType": "ConfigStore", "errorMessage": "no table\u{1b}[31m"});
        let check = failed(&error);
        assert_eq!(check.what, "The function failed on a test: ConfigStore");
        assert!(!check.why.unwrap().contains('\u{1b}'));
    }
}
