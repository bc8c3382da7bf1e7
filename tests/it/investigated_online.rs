//! `pushwatch investigate` by CloudTrail's event history and what AWS says of the image. The
//! event history, Inspector and Lambda are stubs; ECR, and where it is said so ECS, are
//! moto's.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::investigate::{chain, docker_login, federated, github, identity_center, instance};
use crate::support::account::{Account, Served, cluster_arn, task_arn};
use crate::support::block_on;
use crate::support::cli::{Laptop, Ran, succeeded};
use crate::support::deployment::{Deployment, outcome};
use crate::support::events::{ACCOUNT, DIGEST, envelope, record, role_session};
use crate::support::lambda::Function;
use crate::support::lookup_events::EventHistory;
use crate::support::moto::{REGION, moto};

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

/// Records of the first of January, as if they were of today: the event history holds 90
/// days.
fn of_today(records: &[Value]) -> Vec<Value> {
    let pushed: Timestamp = "2026-01-01T10:01:00Z".parse().unwrap();
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    let later = now.duration_since(pushed) - SignedDuration::from_hours(2);
    records.iter().map(|record| moved(record, later)).collect()
}

fn moved(value: &Value, by: SignedDuration) -> Value {
    match value {
        Value::String(text) => match text.parse::<Timestamp>() {
            Ok(time) => json!((time + by).to_string()),
            Err(_) => value.clone(),
        },
        Value::Array(values) => values.iter().map(|value| moved(value, by)).collect(),
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields = fields.map(|(name, value)| (name.clone(), moved(value, by)));
            Value::Object(fields.collect())
        }
        other => other.clone(),
    }
}

#[test]
#[ignore = "needs moto"]
fn the_event_history_answers_as_an_archive_with_the_same_records_does() {
    for (name, records) in [
        ("web identity", Story::of("team/same").records()),
        ("docker login", of_today(&docker_login())),
        ("workflow", of_today(&github())),
        ("chain of roles", of_today(&chain())),
        ("instance", of_today(&instance())),
        ("IAM Identity Center", of_today(&identity_center())),
        ("federated", of_today(&federated())),
    ] {
        let mut account = account(records);
        // Each page holds two of them, and one call is throttled.
        account.history.page = 2;
        account.history.throttled = vec![3];
        let investigator = Investigator::of(account);
        let mut online = investigator.investigated(&[]);
        let offline = investigator.laptop.run_bare(
            &["investigate", PUSH, "archive.json", "--format", "json"],
            &[],
        );
        let mut offline: Value = serde_json::from_str(&succeeded(offline).out).unwrap();
        assert_eq!(online["from"][0]["certainty"], "certain", "{name}");
        assert!(!online["calls"].as_array().unwrap().is_empty(), "{name}");
        for page in [&mut online, &mut offline] {
            for part in OF_SOURCES {
                page.as_object_mut().unwrap().remove(part);
            }
        }
        assert_eq!(online, offline, "{name}");

        let online = investigator.run(PUSH, &[]);
        let offline = investigator
            .laptop
            .run_bare(&["investigate", PUSH, "archive.json"], &[]);
        let [online, offline] = [online, offline].map(|ran| of_records(&succeeded(ran).out));
        assert_eq!(online, offline, "{name}");
    }
}

/// What a page says by records alone: all before the image, without what is not known.
fn of_records(page: &str) -> String {
    let (answers, _) = page.split_once("\nTHE IMAGE\n").unwrap();
    let lines = answers
        .lines()
        .filter(|line| !line.starts_with("  not known: "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
#[ignore = "needs moto"]
fn what_answers_most_is_asked_first_at_the_pace_that_cloudtrail_takes() {
    let investigator = Investigator::of(account(Story::of("team/pace").records()));
    let page = investigator.investigated(&[]);
    let lookups = investigator.account.lookups();
    let of = |region: &str| {
        let of_region = lookups.iter().filter(|(of, ..)| of == region);
        let of_region = of_region.map(|(_, key, value)| (key.as_str(), value.as_str()));
        of_region.collect::<Vec<_>>()
    };
    assert_eq!(
        of(REGION),
        [
            ("EventId", PUSH),
            ("Username", "GitHubActions"),
            ("ResourceName", KEY),
            ("AccessKeyId", KEY),
            ("EventName", "PutImage"),
            ("EventName", "PutImage"),
            ("Username", "GitHubActions"),
            ("Username", "GitHubActions"),
        ]
    );
    assert_eq!(
        of("us-east-1"),
        [
            ("ResourceName", KEY),
            ("AccessKeyId", KEY),
            ("Username", "GitHubActions"),
        ]
    );
    for region in [REGION, "us-east-1"] {
        let pause = investigator.account.least_pause(region);
        assert!(pause > Duration::from_millis(400), "{region}: {pause:?}");
        let sources = page["covered"]["sources"].to_string();
        assert!(sources.contains(region), "{sources}");
    }
    says(&page, "calls", "calls in other regions are not seen");
}

#[test]
#[ignore = "needs moto"]
fn an_event_history_that_never_ends_is_left_in_time_and_that_is_said() {
    let mut account = account(Story::of("team/endless").records());
    account.history.endless = vec!["Username"];
    let investigator = Investigator::of(account);
    let began = Instant::now();
    let page = investigator.investigated(&["--lookup-seconds", "8"]);
    // Four of them at most come after CloudTrail: the process, and moto's ECR and ECS.
    assert!(
        began.elapsed() < Duration::from_secs(16),
        "{:?}",
        began.elapsed()
    );
    says(
        &page,
        "from",
        "of CloudTrail's event history in eu-central-1, calls by GitHubActions were read back to ",
    );
    says(
        &page,
        "from",
        "in the 8 s that there are; --thorough reads on",
    );
    // What the access key shows is there, and is not certain: others may fit.
    assert_eq!(page["from"][0]["eventId"], LOGIN);
    assert_ne!(page["from"][0]["certainty"], "certain");
    assert_eq!(page["issuedBy"][0]["eventId"], ISSUED);
    assert_eq!(page["image"]["previousDigestOfTag"], BEFORE);
}

#[test]
#[ignore = "needs moto"]
fn a_missing_right_leaves_its_answer_unknown_and_named_and_the_rest_goes_on() {
    let inspected = |denied: &[&'static str]| Account {
        denied: denied.to_vec(),
        inspector: Some(BTreeMap::new()),
        referrers: Some(json!([])),
        tasks: Some(BTreeMap::from([("one".to_owned(), vec![json!({})])])),
        functions: vec![(
            "app",
            format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/x@{DIGEST}"),
        )],
        ..account(Story::of("team/denied").records())
    };
    let all = ["cloudtrail", "ecr", "ecs", "lambda"];
    let second = [
        "ecr:ListImageReferrers",
        "ecr:BatchGetImage",
        "inspector2:GetClustersForImage",
        "ecs:ListTasks",
        "lambda:GetFunction",
    ];
    for (denied, expected) in [
        (
            &all[..],
            vec![
                ("from", "the right cloudtrail:LookupEvents is missing"),
                ("issuedBy", "the right cloudtrail:LookupEvents is missing"),
                ("calls", "the right cloudtrail:LookupEvents is missing"),
                ("image", "the right cloudtrail:LookupEvents is missing"),
                ("image", "the right ecr:DescribeImages is missing"),
                ("image", "the right ecr:BatchGetImage is missing"),
                (
                    "runsOn",
                    "the right ecr:GetRegistryScanningConfiguration is missing",
                ),
                ("runsOn", "the right ecs:ListClusters is missing"),
                ("runsOn", "the right lambda:ListFunctions is missing"),
            ],
        ),
        (
            &second[..],
            vec![
                (
                    "image",
                    "is signed is not wholly known: the right ecr:BatchGetImage is missing",
                ),
                (
                    "runsOn",
                    "the right inspector2:GetClustersForImage is missing",
                ),
                (
                    "runsOn",
                    "tasks of ECS in 1 cluster: the right ecs:ListTasks is missing",
                ),
                ("runsOn", "the right lambda:GetFunction is missing"),
            ],
        ),
        (
            &["ecs:DescribeTasks"][..],
            vec![(
                "runsOn",
                "tasks of ECS in 1 cluster: the right ecs:DescribeTasks is missing",
            )],
        ),
    ] {
        let investigator = Investigator::of(inspected(denied));
        let event = json!({"detail": Story::of("team/denied").push()}).to_string();
        investigator.laptop.write("event.json", &event);
        let ran = investigator.run("event.json", &["--lambda", "--format", "json"]);
        let ran = succeeded(ran);
        assert_eq!(ran.err, "");
        let page: Value = serde_json::from_str(&ran.out).unwrap();
        for (question, part) in expected {
            says(&page, question, part);
        }
        let is_known = denied != all;
        assert_eq!(!page["from"].as_array().unwrap().is_empty(), is_known);
    }
}

#[test]
#[ignore = "needs moto"]
fn the_registry_says_what_the_image_is_and_which_platforms_an_index_has() {
    let repository = "team/registry";
    ecr(
        "CreateRepository",
        &json!({"repositoryName": repository, "registryId": ACCOUNT}),
    );
    let index = "application/vnd.oci.image.index.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": index, "manifests": [
        {"digest": CHILD, "platform": {"os": "linux", "architecture": "arm64"}}
    ]});
    let put = |manifest: &Value, tag: &str| {
        let put = ecr(
            "PutImage",
            &json!({
                "repositoryName": repository, "registryId": ACCOUNT, "imageTag": tag,
                "imageManifest": manifest.to_string(), "imageManifestMediaType": manifest["mediaType"]
            }),
        );
        put["image"]["imageId"]["imageDigest"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let digest = put(&manifest, "1.4.2");
    let signature = json!({"schemaVersion": 2, "layers": [{"digest": "sha256:5166"}],
        "config": {"size": 7}, "mediaType": "application/vnd.oci.image.manifest.v1+json"});
    let signature = put(&signature, &format!("{}.sig", digest.replace(':', "-")));
    let story = Story::of(repository);
    let mut account = account(story.records_with(story.push_of_an_index(&digest)));
    account.referrers = Some(json!([{"digest": BEFORE, "mediaType": "m", "size": 1,
        "artifactType": "application/vnd.cncf.notary.signature"}]));
    account.tasks = Some(BTreeMap::from([(
        "one".to_owned(),
        vec![json!({"image": "app", "imageDigest": CHILD})],
    )]));
    let page = Investigator::of(account).investigated(&[]);
    let image = &page["image"];
    assert_eq!(image["platforms"], json!([CHILD]));
    assert_eq!(image["mediaType"], index);
    assert_eq!(image["tags"], json!(["1.4.2"]));
    assert_eq!(image["currentDigestOfTag"], digest);
    assert!(image["pushedAt"].is_string(), "{image}");
    assert_eq!(
        image["referrers"],
        json!([
            {"digest": BEFORE, "artifactType": "application/vnd.cncf.notary.signature"},
            {"digest": signature, "artifactType": "application/vnd.dev.cosign.artifact.sig.v1+json"}
        ])
    );
    // What runs is known by the digest of the platform.
    assert_eq!(page["runsOn"][0]["digest"], CHILD);
    assert_eq!(page["runsOn"][0]["name"], task_arn("one", 0));
}

#[test]
#[ignore = "needs moto"]
fn what_is_not_in_the_registry_any_more_is_said_and_its_platforms_are_unknown() {
    ecr(
        "CreateRepository",
        &json!({"repositoryName": "team/gone", "registryId": ACCOUNT}),
    );
    let story = Story::of("team/gone");
    let mut account = account(story.records_with(story.push_of_an_index(DIGEST)));
    account.referrers = Some(json!([]));
    let page = Investigator::of(account).investigated(&[]);
    says(
        &page,
        "image",
        &format!("ECR has no image {DIGEST} in team/gone any more"),
    );
    says(&page, "image", "so its platforms are not known");
    says(&page, "runsOn", "those are not known");
    assert_eq!(page["image"]["platforms"], Value::Null);
}

#[test]
#[ignore = "needs moto"]
fn what_runs_the_image_is_found_in_ecs_by_inspector_and_in_lambda() {
    let repository = "team/runs";
    let image = format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{repository}");
    // More than a page of tasks; one of them runs it, one does not say what it runs.
    let mut busy = vec![json!({"image": "nginx", "imageDigest": BEFORE}); 230];
    busy[220] = json!({"image": format!("{image}:1.4.2"), "imageDigest": DIGEST});
    busy[221] = json!({"image": format!("{image}:1.4.2")});
    let pinned = json!({"image": format!("{image}@{DIGEST}")});
    let eks = json!([{
        "clusterArn": "arn:aws:eks:eu-central-1:111122223333:cluster/prod",
        "clusterDetails": [{
            "lastInUse": 1_790_000_000,
            "runningUnitCount": 3,
            "clusterMetadata": {"awsEksMetadataDetails": {
                "namespace": "web",
                "workloadInfoList": [{"name": "app-7d4b9c", "type": "ReplicaSet"}]
            }}
        }]
    }]);
    let account = Account {
        tasks: Some(BTreeMap::from([
            ("busy".to_owned(), busy),
            ("quiet".to_owned(), vec![pinned]),
        ])),
        inspector: Some(BTreeMap::from([(
            format!(":{ACCOUNT}:repository/{repository}/{DIGEST}"),
            eks,
        )])),
        functions: vec![
            ("resize", format!("{image}@{DIGEST}")),
            ("other", format!("{image}@{BEFORE}")),
        ],
        referrers: Some(json!([])),
        ..account(Story::of(repository).records())
    };
    let investigator = Investigator::of(account);
    let page = investigator.investigated(&["--lambda"]);
    let found = page["runsOn"].as_array().unwrap().iter();
    let found: Vec<_> = found
        .map(|one| (one["kind"].as_str().unwrap(), one["name"].as_str().unwrap()))
        .collect();
    assert_eq!(
        found,
        [
            ("eks-workload", "web/ReplicaSet/app-7d4b9c"),
            ("ecs-task", task_arn("busy", 220).as_str()),
            ("ecs-task", task_arn("quiet", 0).as_str()),
            (
                "lambda-function",
                "arn:aws:lambda:eu-central-1:111122223333:function:resize:$LATEST"
            ),
        ]
    );
    assert_eq!(page["runsOn"][0]["running"], 3);
    assert_eq!(page["runsOn"][1]["cluster"], cluster_arn("busy"));
    says(
        &page,
        "runsOn",
        "1 container of ECS run an image of this repository",
    );
    says(
        &page,
        "runsOn",
        "only eu-central-1 of your account was asked",
    );
    let commands = page["actions"].to_string();
    assert!(commands.contains(&task_arn("busy", 220)), "{commands}");
    // Variables of functions are seen, and never kept.
    assert!(!page.to_string().contains("hunter2"));
}

#[test]
#[ignore = "needs moto"]
fn a_task_in_moto_is_found_by_the_digest_that_its_image_names() {
    let repository = "team/tasks";
    let digest = format!("sha256:{}", "7".repeat(64));
    let image = format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{repository}@{digest}");
    ecs("CreateCluster", &json!({"clusterName": "investigated"}));
    ecs(
        "RegisterTaskDefinition",
        &json!({"family": "investigated", "containerDefinitions": [
            {"name": "app", "image": image, "cpu": 1, "memory": 64}
        ]}),
    );
    let run = ecs(
        "RunTask",
        &json!({"cluster": "investigated", "taskDefinition": "investigated",
            "launchType": "FARGATE", "count": 2}),
    );
    let story = Story::of(repository);
    let push = story.push_of(PUSH, 10, &story.identity(), &digest);
    let mut account = account(story.records_with(push));
    account.referrers = Some(json!([]));
    let page = Investigator::of(account).investigated(&[]);
    let mut found: Vec<_> = page["runsOn"].as_array().unwrap().iter().collect();
    found.retain(|one| one["kind"] == "ecs-task" && one["digest"] == digest.as_str());
    let found: Vec<_> = found.iter().map(|one| &one["name"]).collect();
    for task in run["tasks"].as_array().unwrap() {
        assert!(found.contains(&&task["taskArn"]), "{found:?} {task}");
    }
}

#[test]
#[ignore = "needs moto"]
fn functions_are_asked_for_only_if_that_is_wished_and_an_empty_answer_is_not_nowhere() {
    let account = Account {
        tasks: Some(BTreeMap::new()),
        referrers: Some(json!([])),
        ..account(Story::of("team/nowhere").records())
    };
    let investigator = Investigator::of(account);
    let page = investigator.investigated(&[]);
    assert_eq!(page["runsOn"], json!([]));
    says(
        &page,
        "runsOn",
        "functions of Lambda were not asked: --lambda does",
    );
    says(&page, "runsOn", "EKS was not asked");
    let asked = investigator.account.asked().into_iter();
    assert!(
        asked
            .filter(|asked| asked.right.starts_with("lambda"))
            .count()
            == 0
    );
}

#[test]
#[ignore = "needs moto"]
fn a_finding_of_a_deployment_is_investigated_even_if_its_event_is_not_in_the_history_yet() {
    let deployment = Deployment::new();
    let function = Function::start(&deployment.stack, &[]);
    let story = Story::of("team/found");
    assert_eq!(
        outcome(&function, &envelope(&story.push())),
        "finding_published"
    );
    let finding = block_on(deployment.stack.findings()).remove(0);
    let id = finding["findingId"].as_str().unwrap();
    let options = [
        "--table",
        &deployment.stack.uploaders,
        "--findings-table",
        &deployment.stack.findings,
        "--format",
        "json",
    ];
    let mut without_push = story.records();
    without_push.retain(|record| record["eventID"] != PUSH);
    for (records, is_there) in [(story.records(), true), (without_push, false)] {
        let mut account = account(records);
        account.referrers = Some(json!([]));
        let investigator = Investigator::of(account);
        for typed in [id, &id[..8]] {
            let ran = succeeded(investigator.run(typed, &options));
            let page: Value = serde_json::from_str(&ran.out).unwrap();
            assert_eq!(page["event"]["findingId"], id, "{typed}");
            assert_eq!(page["from"][0]["eventId"], LOGIN, "{typed}");
            assert_eq!(page["issuedBy"][0]["eventId"], ISSUED, "{typed}");
            assert_eq!(
                page["from"][0]["certainty"] == "certain",
                is_there,
                "{typed}"
            );
            let absent = "the push is not in CloudTrail's event history";
            let said = whys(&page, "from").iter().any(|why| why.contains(absent));
            assert_eq!(said, !is_there, "{typed}");
            let commands = page["actions"].to_string();
            assert!(commands.contains("uploaders revoke"), "{commands}");
        }
    }
    // The event's id leads to the finding, where the event history has no such event.
    let investigator = Investigator::of(account(Vec::new()));
    let ran = succeeded(investigator.run(PUSH, &options));
    let page: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(page["event"]["findingId"], id);
}

#[test]
#[ignore = "needs moto"]
fn nothing_is_certain_where_the_event_history_does_not_find_the_push_by_its_principal() {
    let story = Story::of("team/unfound");
    let mut records = story.records();
    records.retain(|record| record["eventID"] != PUSH);
    let mut account = account(records);
    account.referrers = Some(json!([]));
    let investigator = Investigator::of(account);
    let event = json!({"detail": story.push()}).to_string();
    investigator.laptop.write("event.json", &event);
    let ran = succeeded(investigator.run("event.json", &["--format", "json"]));
    let page: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(page["from"][0]["eventId"], LOGIN);
    assert_ne!(page["from"][0]["certainty"], "certain");
    says(
        &page,
        "from",
        "does not find the push among calls by GitHubActions",
    );
}

#[test]
#[ignore = "needs moto"]
fn what_is_wrong_is_one_line_that_says_what_to_do() {
    let investigator = Investigator::of(account(Vec::new()));
    let nobody = Laptop::on(&investigator.account.address());
    let bare = [
        ("AWS_ACCESS_KEY_ID", ""),
        ("AWS_SECRET_ACCESS_KEY", ""),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    let denied = Investigator::of(Account {
        denied: vec!["cloudtrail"],
        ..account(Vec::new())
    });
    for (ran, part) in [
        (
            investigator.run(PUSH, &[]),
            "no finding and no event has the id 3607e37b-38de-4320-a029-7ca8ab667ffc: CloudTrail's \
             event history has 90 days of this account in eu-central-1",
        ),
        (
            investigator.run(PUSH, &["--stack", "none-such"]),
            "check the stack's name, its region",
        ),
        (
            investigator
                .laptop
                .run_bare(&["investigate", PUSH, "--region", "mars"], &[]),
            "`mars` can't be a region",
        ),
        (
            nobody.run_bare(&["investigate", PUSH, "--region", REGION], &bare),
            "no AWS credentials are found",
        ),
        (
            denied.run(PUSH, &[]),
            "the right cloudtrail:LookupEvents is missing",
        ),
        (
            investigator.run("no such file", &[]),
            "can't be the id of an event or a finding",
        ),
    ] {
        assert_eq!(ran.code, 2, "{}", ran.err);
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
        assert_eq!(ran.out, "");
    }
}

/// A call of moto's ECR.
fn ecr(operation: &str, body: &Value) -> Value {
    of_moto(
        "ecr",
        "AmazonEC2ContainerRegistry_V20150921",
        operation,
        body,
    )
}

/// A call of moto's ECS.
fn ecs(operation: &str, body: &Value) -> Value {
    of_moto("ecs", "AmazonEC2ContainerServiceV20141113", operation, body)
}

fn of_moto(service: &str, api: &str, operation: &str, body: &Value) -> Value {
    let scope = format!("Credential=AKIAIOSFODNN7EXAMPLE/20260101/{REGION}/{service}/aws4_request");
    let mut answer = ureq::post(format!("{}/", moto().address()))
        .header("Content-Type", "application/x-amz-json-1.1")
        .header("X-Amz-Target", format!("{api}.{operation}"))
        .header(
            "Authorization",
            format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"),
        )
        .send(body.to_string())
        .unwrap();
    serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
}
