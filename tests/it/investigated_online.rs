//! `pushwatch investigate` by CloudTrail's event history and what AWS says of the image. The
//! event history, Inspector and Lambda are stubs; ECR, and where it is said so ECS, are
//! moto's.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::account::{Account, Served, cluster_arn, task_arn};
use crate::support::cli::{Laptop, Ran, succeeded};
use crate::support::events::{ACCOUNT, DIGEST, record, role_session};
use crate::support::lookup_events::EventHistory;
use crate::support::moto::REGION;

const PUSH: &str = "3607e37b-38de-4320-a029-7ca8ab667ffc";
const LOGIN: &str = "11111111-38de-4320-a029-7ca8ab667ffc";
const ISSUED: &str = "22222222-38de-4320-a029-7ca8ab667ffc";
const MADE_KEY: &str = "33333333-38de-4320-a029-7ca8ab667ffc";
const EARLIER: &str = "44444444-38de-4320-a029-7ca8ab667ffc";
const KEY: &str = "ASIAIOSFODNN7EXAMPLE";
const CHILD: &str = "sha256:c0ffee0000000000000000000000000000000000000000000000000000000000";
const BEFORE: &str = "sha256:beef000000000000000000000000000000000000000000000000000000000000";
/// Of a page and of the JSON, what differs between sources by nature.
const OF_SOURCES: [&str; 2] = ["unknown", "covered"];

/// A session of GitHub's OIDC, two hours ago, that pushed over a tag and made itself a key.
struct Story {
    start: Timestamp,
    repository: &'static str,
}

impl Story {
    fn of(repository: &'static str) -> Self {
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
        Self {
            start: now - SignedDuration::from_hours(2),
            repository,
        }
    }

    fn at(&self, minutes: i64) -> String {
        (self.start + SignedDuration::from_mins(minutes)).to_string()
    }

    fn identity(&self) -> Value {
        let mut identity = role_session("ci/build", "GitHubActions");
        identity["sessionContext"]["attributes"]["creationDate"] = json!(self.at(0));
        identity
    }

    fn push_of(&self, id: &str, minutes: i64, identity: &Value, digest: &str) -> Value {
        let mut push = record(id, &self.at(minutes), identity);
        for image in ["/requestParameters", "/responseElements/image"] {
            push.pointer_mut(image).unwrap()["repositoryName"] = json!(self.repository);
        }
        push["responseElements"]["image"]["imageId"]["imageDigest"] = json!(digest);
        push["resources"][0]["ARN"] = json!(format!(
            "arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{}",
            self.repository
        ));
        push
    }

    fn push(&self) -> Value {
        self.push_of(PUSH, 10, &self.identity(), DIGEST)
    }

    /// The push of an index, whose manifest CloudTrail left out.
    fn push_of_an_index(&self, digest: &str) -> Value {
        let mut push = self.push_of(PUSH, 10, &self.identity(), digest);
        push["requestParameters"] = json!({"reason": "requestParameters too large",
            "omitted": "true", "originalSize": "149893"});
        let image = &mut push["responseElements"]["image"];
        image.as_object_mut().unwrap().remove("imageManifest");
        image["imageManifestMediaType"] = json!("application/vnd.oci.image.index.v1+json");
        push
    }

    fn call(&self, id: &str, minutes: i64, source: &str, name: &str, region: &str) -> Value {
        let mut identity = self.identity();
        identity.as_object_mut().unwrap().remove("invokedBy");
        json!({
            "eventVersion": "1.11",
            "userIdentity": identity,
            "eventTime": self.at(minutes),
            "eventSource": source,
            "eventName": name,
            "awsRegion": region,
            "sourceIPAddress": "203.0.113.7",
            "userAgent": "aws-cli/2.31.0",
            "requestParameters": null,
            "responseElements": null,
            "eventID": id,
            "readOnly": name.starts_with("Get"),
            "eventType": "AwsApiCall",
            "managementEvent": true,
            "recipientAccountId": ACCOUNT,
            "eventCategory": "Management"
        })
    }

    fn records(&self) -> Vec<Value> {
        self.records_with(self.push())
    }

    fn records_with(&self, push: Value) -> Vec<Value> {
        let login = self.call(
            LOGIN,
            5,
            "ecr.amazonaws.com",
            "GetAuthorizationToken",
            REGION,
        );
        let mut issued = self.call(
            ISSUED,
            0,
            "sts.amazonaws.com",
            "AssumeRoleWithWebIdentity",
            "us-east-1",
        );
        issued["userIdentity"] = json!({
            "type": "WebIdentityUser",
            "principalId": "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com:sts.amazonaws.com:repo:team/app:ref:refs/heads/main",
            "userName": "repo:team/app:ref:refs/heads/main",
            "identityProvider": "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
        });
        issued["sourceIPAddress"] = json!("203.0.113.9");
        issued["requestParameters"] = json!({
            "roleArn": "arn:aws:iam::111122223333:role/ci/build",
            "roleSessionName": "GitHubActions"
        });
        issued["responseElements"] = json!({
            "credentials": {"accessKeyId": KEY, "expiration": "Nov 26, 2026, 3:00:00 PM"},
            "assumedRoleUser": {
                "assumedRoleId": "AROAEXAMPLEROLE000001:GitHubActions",
                "arn": "arn:aws:sts::111122223333:assumed-role/build/GitHubActions"
            }
        });
        let mut made = self.call(
            MADE_KEY,
            20,
            "iam.amazonaws.com",
            "CreateAccessKey",
            "us-east-1",
        );
        made["requestParameters"] = json!({"userName": "backdoor"});
        made["responseElements"] = json!({"accessKey": {"userName": "backdoor",
            "accessKeyId": "AKIAIOSFODNN7BACKDOO", "status": "Active"}});
        let mut earlier_identity = role_session("ci/build", "i-0dbc");
        earlier_identity["accessKeyId"] = json!("ASIAIOSFODNN7EARLIER");
        let earlier = self.push_of(EARLIER, -1000, &earlier_identity, BEFORE);
        vec![earlier, issued, login, push, made]
    }
}

/// Somebody with an account, and the records in a file.
struct Investigator {
    laptop: Laptop,
    account: Served,
}

impl Investigator {
    fn of(account: Account) -> Self {
        let records = json!({"Records": account.history.records});
        let account = account.serve();
        let laptop = Laptop::on(&account.address());
        laptop.write("archive.json", &records.to_string());
        Self { laptop, account }
    }

    fn run(&self, subject: &str, more: &[&str]) -> Ran {
        let args = [&["investigate", subject, "--region", REGION], more].concat();
        self.laptop.run_bare(&args, &[])
    }

    fn investigated(&self, more: &[&str]) -> Value {
        let more = [more, &["--format", "json"]].concat();
        serde_json::from_str(&succeeded(self.run(PUSH, &more)).out).unwrap()
    }
}

fn account(records: Vec<Value>) -> Account {
    Account {
        history: EventHistory::of(records),
        ..Account::default()
    }
}

fn whys(investigation: &Value, question: &str) -> Vec<String> {
    let unknown = investigation["unknown"].as_array().unwrap().iter();
    let of_it = unknown.filter(|unknown| unknown["question"] == question);
    of_it
        .map(|unknown| unknown["why"].as_str().unwrap().to_owned())
        .collect()
}

#[track_caller]
fn says(investigation: &Value, question: &str, part: &str) {
    let whys = whys(investigation, question);
    assert!(
        whys.iter().any(|why| why.contains(part)),
        "{part}: {whys:#?}"
    );
}

#[test]
#[ignore = "needs moto"]
fn the_event_history_answers_as_an_archive_with_the_same_records_does() {
    let story = Story::of("team/same");
    let mut account = account(story.records());
    // Each page holds two of them, and one call is throttled.
    account.history.page = 2;
    account.history.throttled = vec![3];
    let laptop = Investigator::of(account);
    let mut online = laptop.investigated(&[]);
    let offline = laptop.laptop.run_bare(
        &["investigate", PUSH, "archive.json", "--format", "json"],
        &[],
    );
    let mut offline: Value = serde_json::from_str(&succeeded(offline).out).unwrap();
    for asked in laptop.account.asked() {
        println!(
            "{:?} {} {} {}",
            asked.at, asked.right, asked.region, asked.body
        );
    }
    assert_eq!(online["from"][0]["eventId"], LOGIN);
    assert_eq!(online["from"][0]["certainty"], "certain");
    assert_eq!(online["issuedBy"][0]["eventId"], ISSUED);
    assert_eq!(online["image"]["previousDigestOfTag"], BEFORE);
    let made = online["calls"].as_array().unwrap().iter();
    assert!(
        made.clone()
            .any(|call| call["eventName"] == "CreateAccessKey")
    );
    for page in [&mut online, &mut offline] {
        for name in OF_SOURCES {
            page.as_object_mut().unwrap().remove(name);
        }
    }
    assert_eq!(online, offline);
}
