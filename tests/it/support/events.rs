//! Events in the shapes of real ones, for tests.

use jiff::Timestamp;
use pushwatch::event::{self, Event, Push};
use pushwatch::habit::Habits;
use pushwatch::identity::{Identification, Uploader, identify};
#[cfg(any(feature = "cli", feature = "sdk"))]
use pushwatch::render::RenderContext;
use serde_json::{Value, json};

pub const ACCOUNT: &str = "111122223333";
pub const TEST_USER: &str = "arn:aws:iam::111122223333:user/test";
pub const CI_ROLE: &str = "arn:aws:iam::111122223333:role/ci/build";

pub fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The habits of somebody who pushed as these events do, learned long ago.
pub fn usual() -> Habits {
    let (push, _) = push_by("test", "usual", "2025-01-01T00:00:00Z");
    let mut habits = Habits::default();
    habits.remember(&push.place(), &push.way, push.event_time);
    habits
}

/// Long after all events of the tests.
pub fn now() -> Timestamp {
    time("2026-11-24T00:00:00Z")
}

/// An IAM user's identity on a docker push: `sessionIssuer` is empty.
pub fn iam_user(name: &str) -> Value {
    json!({
        "type": "IAMUser",
        "principalId": format!("AIDA{:0>17}", name.to_uppercase()),
        "arn": format!("arn:aws:iam::{ACCOUNT}:user/{name}"),
        "accountId": ACCOUNT,
        "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
        "userName": name,
        "sessionContext": {
            "sessionIssuer": {},
            "webIdFederationData": {},
            "attributes": {"creationDate": "2026-01-01T00:00:00Z", "mfaAuthenticated": "false"}
        },
        "invokedBy": "AWS Internal"
    })
}

/// A role's session; `role` is its path and name.
pub fn role_session(role: &str, session: &str) -> Value {
    let name = role.rsplit('/').next().unwrap();
    json!({
        "type": "AssumedRole",
        "principalId": format!("AROAEXAMPLEROLE000001:{session}"),
        "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session}"),
        "accountId": ACCOUNT,
        "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": "AROAEXAMPLEROLE000001",
                "arn": format!("arn:aws:iam::{ACCOUNT}:role/{role}"),
                "accountId": ACCOUNT,
                "userName": name
            },
            "webIdFederationData": {},
            "attributes": {"creationDate": "2026-01-01T00:00:00Z", "mfaAuthenticated": "false"}
        },
        "invokedBy": "AWS Internal"
    })
}

/// A CloudTrail record of a docker push.
pub fn record(id: &str, time: &str, identity: &Value) -> Value {
    json!({
        "eventVersion": "1.11",
        "userIdentity": identity,
        "eventTime": time,
        "eventSource": "ecr.amazonaws.com",
        "eventName": "PutImage",
        "awsRegion": "eu-central-1",
        "sourceIPAddress": "AWS Internal",
        "userAgent": "AWS Internal",
        "requestParameters": {
            "registryId": ACCOUNT,
            "repositoryName": "team/app",
            "imageTag": "1.4.2",
            "imageManifest": "{\n   \"schemaVersion\": 2\n}",
            "imageManifestMediaType": "application/vnd.docker.distribution.manifest.v2+json"
        },
        "responseElements": {
            "image": {
                "registryId": ACCOUNT,
                "repositoryName": "team/app",
                "imageId": {"imageDigest": DIGEST, "imageTag": "1.4.2"},
                "imageManifest": "{\n   \"schemaVersion\": 2\n}",
                "imageManifestMediaType": "application/vnd.docker.distribution.manifest.v2+json"
            }
        },
        "requestID": "805a31e6-0fed-433b-b393-f463c6881334",
        "eventID": id,
        "readOnly": false,
        "resources": [{
            "accountId": ACCOUNT,
            "ARN": format!("arn:aws:ecr:eu-central-1:{ACCOUNT}:repository/team/app")
        }],
        "eventType": "AwsApiCall",
        "managementEvent": true,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management"
    })
}

pub const DIGEST: &str = "sha256:b7798f35949cc1a2d435c9ac59ab69e857fe635a359c96e4f56a8498ce02019c";

/// The record in an EventBridge envelope.
pub fn envelope(record: &Value) -> Value {
    json!({
        "version": "0",
        "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.ecr",
        "account": ACCOUNT,
        "time": record["eventTime"],
        "region": "eu-central-1",
        "resources": [],
        "detail": record
    })
}

/// Reads an event that must be a push.
pub fn read(event: &Value) -> (Push, Identification) {
    match event::read(&event.to_string(), now()).unwrap() {
        Event::Push(push, identity) => {
            let identified = identify(&identity, push.account.as_deref());
            (*push, identified)
        }
        other => panic!("no push: {other:?}"),
    }
}

/// A push by an IAM user.
pub fn push_by(name: &str, id: &str, time: &str) -> (Push, Uploader) {
    let (push, identified) = read(&record(id, time, &iam_user(name)));
    (push, identified.uploader)
}

/// The deployment that messages name.
#[cfg(any(feature = "cli", feature = "sdk"))]
pub fn render_context() -> RenderContext {
    RenderContext {
        table: "uploaders".to_owned(),
        findings_table: Some("findings".to_owned()),
        region: "eu-central-1".to_owned(),
        absence_days: 90,
        stack: Some("pushwatch".to_owned()),
        account: Some("111122223333".to_owned()),
        runbook: None,
    }
}
