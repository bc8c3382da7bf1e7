//! Tests of `pushwatch investigate` without AWS, on scenarios composed of the shapes of real
//! records.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::cli::{Ran, folder, gzip, pushwatch};
use crate::support::events::{ACCOUNT, DIGEST};

const PUSH: &str = "3607e37b-38de-4320-a029-7ca8ab667ffc";
const REPOSITORY: &str = "team/app";
const ADDRESS: &str = "203.0.113.12";
const CLI: &str = "aws-cli/2.17.1 md/awscrt#0.20.11 ua/2.0 os/linux#6.8 lang/python#3.11.8";

/// A record of CloudTrail.
fn call(id: &str, time: &str, source: &str, name: &str, identity: &Value) -> Value {
    json!({
        "eventVersion": "1.11",
        "userIdentity": identity,
        "eventTime": time,
        "eventSource": format!("{source}.amazonaws.com"),
        "eventName": name,
        "awsRegion": if source == "iam" { "us-east-1" } else { "eu-central-1" },
        "sourceIPAddress": ADDRESS,
        "userAgent": CLI,
        "requestParameters": null,
        "responseElements": null,
        "requestID": "805a31e6-0fed-433b-b393-f463c6881334",
        "eventID": id,
        "readOnly": name.starts_with("Get") || name.starts_with("Describe"),
        "eventType": "AwsApiCall",
        "managementEvent": true,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management"
    })
}

/// The record with other fields.
fn with(mut record: Value, fields: &Value) -> Value {
    for (name, value) in fields.as_object().unwrap() {
        record[name] = value.clone();
    }
    record
}

fn login(id: &str, time: &str, identity: &Value) -> Value {
    call(id, time, "ecr", "GetAuthorizationToken", identity)
}

fn push(id: &str, time: &str, identity: &Value, tag: &str, digest: &str) -> Value {
    let mut identity = identity.clone();
    identity["invokedBy"] = json!("AWS Internal");
    let record = call(id, time, "ecr", "PutImage", &identity);
    let manifest = "{\"schemaVersion\": 2}";
    let media_type = "application/vnd.docker.distribution.manifest.v2+json";
    with(
        record,
        &json!({
            "sourceIPAddress": "AWS Internal",
            "userAgent": "AWS Internal",
            "requestParameters": {
                "registryId": ACCOUNT, "repositoryName": REPOSITORY, "imageTag": tag,
                "imageManifest": manifest, "imageManifestMediaType": media_type
            },
            "responseElements": {"image": {
                "registryId": ACCOUNT, "repositoryName": REPOSITORY,
                "imageId": {"imageDigest": digest, "imageTag": tag},
                "imageManifest": manifest, "imageManifestMediaType": media_type
            }},
            "resources": [{
                "accountId": ACCOUNT,
                "ARN": format!("arn:aws:ecr:eu-central-1:{ACCOUNT}:repository/{REPOSITORY}")
            }]
        }),
    )
}

/// A user with its own key.
fn user(key: &str) -> Value {
    json!({
        "type": "IAMUser", "principalId": "AIDATESTTESTTESTTESTT",
        "arn": format!("arn:aws:iam::{ACCOUNT}:user/test"), "accountId": ACCOUNT,
        "accessKeyId": key, "userName": "test"
    })
}

/// The same in the session of a token.
fn user_session(key: &str, start: &str) -> Value {
    with(
        user(key),
        &json!({"sessionContext": {
            "sessionIssuer": {}, "webIdFederationData": {},
            "attributes": {"creationDate": start, "mfaAuthenticated": "false"}
        }}),
    )
}

/// A role's session; `path` has the role's name at its end.
fn role(path: &str, session: &str, key: &str, start: &str) -> Value {
    let name = path.rsplit('/').next().unwrap();
    json!({
        "type": "AssumedRole",
        "principalId": format!("{}:{session}", role_id(name)),
        "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session}"),
        "accountId": ACCOUNT,
        "accessKeyId": key,
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role", "principalId": role_id(name),
                "arn": format!("arn:aws:iam::{ACCOUNT}:role/{path}"),
                "accountId": ACCOUNT, "userName": name
            },
            "webIdFederationData": {},
            "attributes": {"creationDate": start, "mfaAuthenticated": "false"}
        }
    })
}

fn role_id(name: &str) -> String {
    let letters = name.bytes().filter(u8::is_ascii_alphabetic);
    let letters: String = letters.map(char::from).take(17).collect();
    format!("AROA{:A<17}", letters.to_uppercase())
}

/// A call that gives out a role's session.
fn assume(id: &str, time: &str, name: &str, by: &Value, given: &Value) -> Value {
    let record = call(id, time, "sts", name, by);
    with(
        record,
        &json!({
            "requestParameters": {
                "roleArn": given["sessionContext"]["sessionIssuer"]["arn"],
                "roleSessionName": given["arn"].as_str().unwrap().rsplit('/').next().unwrap()
            },
            "responseElements": {
                "credentials": {
                    "accessKeyId": given["accessKeyId"], "sessionToken": "REDACTED",
                    "expiration": "Jan 1, 2026, 11:00:00 AM"
                },
                "assumedRoleUser": {
                    "assumedRoleId": given["principalId"], "arn": given["arn"]
                }
            },
            "resources": [{
                "ARN": given["sessionContext"]["sessionIssuer"]["arn"], "accountId": ACCOUNT,
                "type": "AWS::IAM::Role"
            }]
        }),
    )
}

/// The calls of somebody else, all day long.
fn noise() -> Vec<Value> {
    let others = role(
        "app",
        "i-0dbc",
        "ASIANOISENOISENOISE1",
        "2025-12-31T18:00:00Z",
    );
    [
        "2025-12-31T20:00:00Z",
        "2026-01-01T09:59:59Z",
        "2026-01-01T12:00:00Z",
    ]
    .iter()
    .enumerate()
    .map(|(index, time)| {
        let id = format!("00000000-0000-4000-8000-00000000000{index}");
        call(&id, time, "ec2", "DescribeInstances", &others)
    })
    .collect()
}

fn archive(records: &[Value]) -> TempDir {
    let records: Vec<_> = noise().into_iter().chain(records.iter().cloned()).collect();
    let text = json!({ "Records": records }).to_string();
    folder(&[("AWSLogs/records.json.gz", &gzip(text.as_bytes()))])
}

fn investigate(records: &[Value], more: &[&str]) -> Ran {
    let folder = archive(records);
    pushwatch(
        folder.path(),
        &[&["investigate", PUSH, "AWSLogs"], more].concat(),
    )
}

#[track_caller]
/// Compares the whole page with what it was.
fn page(name: &str, records: &[Value]) {
    insta::assert_snapshot!(name, investigate(records, &[]).out);
}

fn json_of(records: &[Value]) -> Value {
    let ran = investigate(records, &["--format", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    serde_json::from_str(&ran.out).unwrap()
}

/// Address and certainty of each answer to "from where".
fn from(answer: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let origins = answer["from"].as_array().unwrap().iter();
    origins
        .map(|origin| (text(&origin["sourceIp"]), text(&origin["certainty"])))
        .collect()
}

fn issued_by(answer: &Value) -> Vec<String> {
    let calls = answer["issuedBy"].as_array().unwrap().iter();
    calls
        .map(|call| {
            let text = |name: &str| call[name].as_str().unwrap_or_default().to_owned();
            format!(
                "{} {} {}",
                text("certainty"),
                text("eventName"),
                text("principal")
            )
        })
        .collect()
}

fn pair(address: &str, certainty: &str) -> (String, String) {
    (address.to_owned(), certainty.to_owned())
}

fn digest(letter: char) -> String {
    format!("sha256:{}", letter.to_string().repeat(64))
}

/// `docker login` with a user's own key, after an attacker's first steps.
pub fn docker_login() -> Vec<Value> {
    let own = user("AKIAIOSFODNN7EXAMPLE");
    let secret = call(
        "11111111-0000-4000-8000-000000000003",
        "2026-01-01T09:50:00Z",
        "secretsmanager",
        "GetSecretValue",
        &own,
    );
    let denied = with(
        call(
            "11111111-0000-4000-8000-000000000004",
            "2026-01-01T09:51:00Z",
            "cloudtrail",
            "StopLogging",
            &own,
        ),
        &json!({"errorCode": "AccessDenied"}),
    );
    let key = with(
        call(
            "11111111-0000-4000-8000-000000000005",
            "2026-01-01T09:52:00Z",
            "iam",
            "CreateAccessKey",
            &own,
        ),
        &json!({
            "requestParameters": {"userName": "backup"},
            "responseElements": {"accessKey": {
                "accessKeyId": "AKIABACKUPBACKUPBACK", "userName": "backup", "status": "Active"
            }}
        }),
    );
    let repository = with(
        call(
            "11111111-0000-4000-8000-000000000006",
            "2026-01-01T09:55:00Z",
            "ecr",
            "CreateRepository",
            &own,
        ),
        &json!({"requestParameters": {"repositoryName": REPOSITORY}}),
    );
    let builder = role(
        "ci/build",
        "run-1",
        "ASIABUILDBUILDBUILD1",
        "2025-12-31T20:00:00Z",
    );
    vec![
        push(
            "22222222-0000-4000-8000-000000000001",
            "2025-12-31T20:10:00Z",
            &builder,
            "1.4.2",
            &digest('a'),
        ),
        secret,
        denied,
        key,
        repository,
        login(
            "11111111-0000-4000-8000-000000000001",
            "2026-01-01T10:00:00Z",
            &own,
        ),
        push(
            PUSH,
            "2026-01-01T10:01:51Z",
            &user_session("ASIATOKENTOKENTOKEN1", "2026-01-01T10:00:00Z"),
            "1.4.2",
            DIGEST,
        ),
    ]
}

#[test]
fn a_docker_login_on_one_page() {
    let ran = investigate(&docker_login(), &[]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    insta::assert_snapshot!("investigate_docker_login", ran.out);
}

#[test]
fn a_docker_login_as_markdown_and_json() {
    let ran = investigate(&docker_login(), &["--format", "markdown"]);
    insta::assert_snapshot!("investigate_docker_login_markdown", ran.out);
    insta::assert_json_snapshot!("investigate_docker_login_json", json_of(&docker_login()));
}

/// The name that CloudTrail gives to the file that has this time.
fn named(time: &str, unique: usize) -> String {
    let time: String = time.chars().filter(|c| !"-:Z".contains(*c)).collect();
    format!(
        "AWSLogs/{ACCOUNT}_CloudTrail_eu-central-1_{}Z_file{unique}.json.gz",
        &time[..13]
    )
}

/// Each record in a file of its own, as CloudTrail names it.
fn in_named_files(records: &[Value]) -> TempDir {
    let records = noise().into_iter().chain(records.iter().cloned());
    let files = records.enumerate().map(|(index, record)| {
        let name = named(record["eventTime"].as_str().unwrap(), index);
        let text = json!({ "Records": [record] }).to_string();
        (name, gzip(text.as_bytes()))
    });
    let files: Vec<_> = files.collect();
    let files = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_slice()));
    folder(&files.collect::<Vec<_>>())
}

const OIDC: &str = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com";
const SUBJECT: &str = "repo:org/app:ref:refs/heads/main";

/// A workflow of GitHub.
pub fn github() -> Vec<Value> {
    let session = role(
        "ci/github-deploy",
        "GitHubActions",
        "ASIAGITHUBGITHUBGIT1",
        "2026-01-01T10:00:00Z",
    );
    let workflow = json!({
        "type": "WebIdentityUser",
        "principalId": format!("{OIDC}:sts.amazonaws.com:{SUBJECT}"),
        "userName": SUBJECT,
        "identityProvider": OIDC
    });
    vec![
        assume(
            "33333333-0000-4000-8000-000000000001",
            "2026-01-01T10:00:00Z",
            "AssumeRoleWithWebIdentity",
            &workflow,
            &session,
        ),
        login(
            "33333333-0000-4000-8000-000000000002",
            "2026-01-01T10:00:20Z",
            &session,
        ),
        push(PUSH, "2026-01-01T10:01:00Z", &session, "main", DIGEST),
    ]
}

#[test]
fn a_workflow_is_known_by_the_subject_of_its_web_identity() {
    let answer = json_of(&github());
    assert_eq!(from(&answer), [pair(ADDRESS, "certain")]);
    assert_eq!(
        issued_by(&answer),
        [format!(
            "certain AssumeRoleWithWebIdentity {OIDC}:sts.amazonaws.com:{SUBJECT}"
        )]
    );
    assert_eq!(answer["issuedBy"][0]["provider"], OIDC);
    assert_eq!(answer["issuedBy"][0]["subject"], SUBJECT);
    let ran = investigate(&github(), &[]);
    insta::assert_snapshot!("investigate_github", ran.out);
}

#[test]
fn a_push_with_a_key_of_its_own_is_led_back_by_the_call_that_got_its_token() {
    let start = "2026-01-01T10:00:00Z";
    let of = |key: &str| role("ci/build", "run", key, start);
    let assumed = |id: &str, key: &str| {
        assume(
            id,
            start,
            "AssumeRole",
            &user("AKIAIOSFODNN7EXAMPLE"),
            &of(key),
        )
    };
    let pushed = push(
        PUSH,
        "2026-01-01T10:01:00Z",
        &of("ASIATOKENTOKENTOKEN1"),
        "main",
        DIGEST,
    );
    let first = assumed(
        "13131313-0000-4000-8000-000000000001",
        "ASIAFIRSTFIRSTFIRST1",
    );
    let second = assumed(
        "13131313-0000-4000-8000-000000000002",
        "ASIASECONDSECONDSEC1",
    );
    let got = login(
        "13131313-0000-4000-8000-000000000003",
        "2026-01-01T10:00:30Z",
        &of("ASIAFIRSTFIRSTFIRST1"),
    );
    let by = format!("AssumeRole arn:aws:iam::{ACCOUNT}:user/test");
    for (case, records, expected) in [
        (
            "the token was asked for with the key that was given out",
            vec![first.clone(), second.clone(), got, pushed.clone()],
            vec![format!("certain {by}")],
        ),
        (
            "nothing says which of two it was",
            vec![first.clone(), second, pushed.clone()],
            vec![format!("possible {by}"), format!("possible {by}")],
        ),
        (
            "there is one, which gave out another key",
            vec![first, pushed],
            vec![format!("possible {by}")],
        ),
    ] {
        assert_eq!(issued_by(&json_of(&records)), expected, "{case}");
    }
}

/// An EC2 instance, which had other credentials before.
pub fn instance() -> Vec<Value> {
    let session = role(
        "app",
        "i-0abc",
        "ASIAINSTANCEINSTANC1",
        "2026-01-01T06:00:00Z",
    );
    let other = role(
        "app",
        "i-0abc",
        "ASIAINSTANCEINSTANC0",
        "2026-01-01T00:00:00Z",
    );
    let ec2 = json!({"type": "AWSService", "invokedBy": "ec2.amazonaws.com"});
    let assumed = assume(
        "44444444-0000-4000-8000-000000000001",
        "2026-01-01T06:00:00Z",
        "AssumeRole",
        &ec2,
        &session,
    );
    let assumed = with(assumed, &json!({"sourceIPAddress": "ec2.amazonaws.com"}));
    // Of the credentials that it had before, from the address that it had then.
    let earlier = with(
        login(
            "44444444-0000-4000-8000-000000000002",
            "2026-01-01T05:00:00Z",
            &other,
        ),
        &json!({"sourceIPAddress": "198.51.100.7"}),
    );
    vec![
        assumed,
        earlier,
        login(
            "44444444-0000-4000-8000-000000000003",
            "2026-01-01T10:00:00Z",
            &session,
        ),
        push(PUSH, "2026-01-01T10:01:00Z", &session, "main", DIGEST),
    ]
}

#[test]
fn an_instance_has_its_credentials_from_ec2() {
    let records = instance();
    page("investigate_instance", &records);
    let answer = json_of(&records);
    assert_eq!(from(&answer), [pair(ADDRESS, "certain")]);
    assert_eq!(issued_by(&answer), ["certain AssumeRole ec2.amazonaws.com"]);
}

/// A person of IAM Identity Center.
pub fn identity_center() -> Vec<Value> {
    let session = role(
        "aws-reserved/sso.amazonaws.com/eu-central-1/AWSReservedSSO_Developer_0123456789abcdef",
        "mary@example.com",
        "ASIASSOSSOSSOSSOSSO1",
        "2026-01-01T09:00:00Z",
    );
    let mary = json!({
        "type": "SAMLUser", "principalId": "PbXQe:mary@example.com",
        "userName": "mary@example.com",
        "identityProvider": "PbXQe"
    });
    vec![
        assume(
            "55555555-0000-4000-8000-000000000001",
            "2026-01-01T09:00:00Z",
            "AssumeRoleWithSAML",
            &mary,
            &session,
        ),
        login(
            "55555555-0000-4000-8000-000000000002",
            "2026-01-01T10:00:00Z",
            &session,
        ),
        push(PUSH, "2026-01-01T10:01:00Z", &session, "main", DIGEST),
    ]
}

#[test]
fn a_person_of_identity_center_is_known_by_saml() {
    let records = identity_center();
    page("investigate_sso", &records);
    let answer = json_of(&records);
    assert_eq!(from(&answer), [pair(ADDRESS, "certain")]);
    assert_eq!(
        issued_by(&answer),
        ["certain AssumeRoleWithSAML PbXQe:mary@example.com"]
    );
    // AWS's own role can't be changed.
    let first = answer["actions"][0].clone();
    assert!(
        first["why"].as_str().unwrap().contains("Identity Center"),
        "{first}"
    );
    assert_eq!(first["command"], Value::Null);
}

/// A user becomes one role, and with that another one, an hour apart each.
pub fn chain() -> Vec<Value> {
    let own = user("AKIAIOSFODNN7EXAMPLE");
    let first = role(
        "jump",
        "test",
        "ASIAJUMPJUMPJUMPJUM1",
        "2026-01-01T05:00:00Z",
    );
    let second = role(
        "deploy",
        "test",
        "ASIADEPLOYDEPLOYDEP1",
        "2026-01-01T08:00:00Z",
    );
    let step = assume(
        "66666666-0000-4000-8000-000000000001",
        "2026-01-01T05:00:00Z",
        "AssumeRole",
        &own,
        &first,
    );
    let parameters = json!({
        "roleArn": step["requestParameters"]["roleArn"],
        "roleSessionName": "test", "sourceIdentity": "mary",
        "serialNumber": format!("arn:aws:iam::{ACCOUNT}:mfa/test")
    });
    vec![
        with(step, &json!({ "requestParameters": parameters })),
        assume(
            "66666666-0000-4000-8000-000000000002",
            "2026-01-01T08:00:00Z",
            "AssumeRole",
            &first,
            &second,
        ),
        login(
            "66666666-0000-4000-8000-000000000003",
            "2026-01-01T10:00:00Z",
            &second,
        ),
        push(PUSH, "2026-01-01T10:01:00Z", &second, "main", DIGEST),
    ]
}

#[test]
fn a_chain_of_roles_is_followed_to_the_user_whatever_the_files_are_named() {
    let expected = [
        format!("certain AssumeRole arn:aws:sts::{ACCOUNT}:assumed-role/jump/test"),
        format!("certain AssumeRole arn:aws:iam::{ACCOUNT}:user/test"),
    ];
    page("investigate_chain", &chain());
    let in_one_file = json_of(&chain());
    let folder = in_named_files(&chain());
    let ran = pushwatch(
        folder.path(),
        &["investigate", PUSH, "AWSLogs", "--format", "json"],
    );
    let in_many: Value = serde_json::from_str(&ran.out).unwrap();
    for answer in [in_one_file, in_many] {
        assert_eq!(issued_by(&answer), expected);
        assert_eq!(answer["issuedBy"][1]["sourceIdentity"], "mary");
        assert_eq!(answer["issuedBy"][1]["mfa"], true);
        let commands = answer["actions"].as_array().unwrap().iter();
        let commands: Vec<_> = commands
            .filter_map(|action| action["command"].as_str())
            .collect();
        assert!(
            commands[0].contains("--access-key-id AKIAIOSFODNN7EXAMPLE"),
            "{commands:?}"
        );
        assert!(commands[1].contains("--role-name deploy"), "{commands:?}");
        assert!(commands[2].contains("--role-name jump"), "{commands:?}");
    }
}

/// A session that a broker minted.
pub fn federated() -> Vec<Value> {
    let broker = user("AKIABROKERBROKERBROK");
    let start = "2026-01-01T09:00:00Z";
    let session = json!({
        "type": "FederatedUser", "principalId": format!("{ACCOUNT}:guest"),
        "arn": format!("arn:aws:sts::{ACCOUNT}:federated-user/guest"), "accountId": ACCOUNT,
        "accessKeyId": "ASIAGUESTGUESTGUEST1",
        "sessionContext": {
            "sessionIssuer": {
                "type": "IAMUser", "principalId": "AIDATESTTESTTESTTESTT",
                "arn": format!("arn:aws:iam::{ACCOUNT}:user/test"),
                "accountId": ACCOUNT, "userName": "test"
            },
            "attributes": {"creationDate": start, "mfaAuthenticated": "false"}
        }
    });
    let minted = with(
        call(
            "77777777-0000-4000-8000-000000000001",
            start,
            "sts",
            "GetFederationToken",
            &broker,
        ),
        &json!({
            "requestParameters": {"name": "guest"},
            "responseElements": {
                "credentials": {"accessKeyId": "ASIAGUESTGUESTGUEST1"},
                "federatedUser": {
                    "federatedUserId": format!("{ACCOUNT}:guest"),
                    "arn": format!("arn:aws:sts::{ACCOUNT}:federated-user/guest")
                }
            }
        }),
    );
    vec![
        minted,
        login(
            "77777777-0000-4000-8000-000000000002",
            "2026-01-01T10:00:00Z",
            &session,
        ),
        push(PUSH, "2026-01-01T10:01:00Z", &session, "main", DIGEST),
    ]
}

#[test]
fn a_federated_session_leads_to_the_user_who_minted_it() {
    let records = federated();
    page("investigate_federated", &records);
    let answer = json_of(&records);
    assert_eq!(from(&answer), [pair(ADDRESS, "certain")]);
    assert_eq!(
        issued_by(&answer),
        [format!(
            "certain GetFederationToken arn:aws:iam::{ACCOUNT}:user/test"
        )]
    );
    let command = answer["actions"][0]["command"].as_str().unwrap();
    assert!(
        command.contains("--access-key-id AKIABROKERBROKERBROK"),
        "{command}"
    );
}

#[test]
fn a_push_from_another_account_is_joined_by_the_callers_copy() {
    let session = role(
        "ci",
        "run-7",
        "ASIAOTHEROTHEROTHER1",
        "2026-01-01T10:00:00Z",
    );
    let session = with(session, &json!({"accountId": "444455556666"}));
    let shared = json!({"sharedEventID": "5ba1c2f0-0000-4000-8000-000000000000"});
    let owners = push(
        PUSH,
        "2026-01-01T10:01:00Z",
        &json!({
            "type": "AWSAccount", "accountId": "444455556666",
            "principalId": session["principalId"]
        }),
        "main",
        DIGEST,
    );
    let callers = push(
        "88888888-0000-4000-8000-000000000001",
        "2026-01-01T10:01:00Z",
        &session,
        "main",
        DIGEST,
    );
    let of_caller = json!({"recipientAccountId": "444455556666"});
    let login = login(
        "88888888-0000-4000-8000-000000000002",
        "2026-01-01T10:00:30Z",
        &session,
    );
    let alone = json_of(&[
        with(owners.clone(), &shared),
        with(login.clone(), &of_caller),
    ]);
    // The unique id is one; which of its sessions it was is not known.
    assert_eq!(from(&alone), [pair(ADDRESS, "likely")]);
    let records = [
        with(owners, &shared),
        with(with(callers, &shared), &of_caller),
        with(login, &of_caller),
        assume(
            "88888888-0000-4000-8000-000000000003",
            "2026-01-01T10:00:00Z",
            "AssumeRole",
            &user("AKIAIOSFODNN7EXAMPLE"),
            &session,
        ),
    ];
    page("investigate_cross_account", &records);
    let answer = json_of(&records);
    assert_eq!(from(&answer), [pair(ADDRESS, "certain")]);
    assert_eq!(
        issued_by(&answer),
        [format!(
            "certain AssumeRole arn:aws:iam::{ACCOUNT}:user/test"
        )]
    );
    // The two copies are one push.
    assert_eq!(answer["calls"].as_array().unwrap().len(), 1);
    assert_eq!(answer["image"]["pushes"].as_array().unwrap().len(), 1);
}

/// Two people use one role at the same minute, from two addresses.
#[test]
fn two_people_who_share_a_role_at_the_same_minute_give_no_false_certainty() {
    let (alice_at, bob_at) = ("203.0.113.12", "198.51.100.7");
    let second = "2026-01-01T10:00:05Z";
    let later = "2026-01-01T10:00:40Z";
    // Session, key and start of each, and Bob's address; the key of the push, which is
    // Alice's; what is told.
    for (case, alice, bob, bob_is_at, key, expected) in [
        (
            "their sessions have names of their own",
            ("alice", "ASIAALICEALICEALICE1", second),
            ("bob", "ASIABOBBOBBOBBOBBOB1", second),
            bob_at,
            "ASIAALICEALICEALICE1",
            vec![pair(alice_at, "certain")],
        ),
        (
            "their sessions began at other seconds",
            ("dev", "ASIAALICEALICEALICE1", second),
            ("dev", "ASIABOBBOBBOBBOBBOB1", later),
            bob_at,
            "ASIAALICEALICEALICE1",
            vec![pair(alice_at, "certain")],
        ),
        (
            "only their keys are not the same",
            ("dev", "ASIAALICEALICEALICE1", second),
            ("dev", "ASIABOBBOBBOBBOBBOB1", second),
            bob_at,
            "ASIAALICEALICEALICE1",
            vec![pair(alice_at, "likely"), pair(bob_at, "possible")],
        ),
        (
            "only their keys are not the same, and the push has one of its own",
            ("dev", "ASIAALICEALICEALICE1", second),
            ("dev", "ASIABOBBOBBOBBOBBOB1", second),
            bob_at,
            "ASIATOKENTOKENTOKEN1",
            vec![pair(bob_at, "possible"), pair(alice_at, "possible")],
        ),
        (
            "they share the credentials",
            ("dev", "ASIAALICEALICEALICE1", second),
            ("dev", "ASIAALICEALICEALICE1", second),
            bob_at,
            "ASIAALICEALICEALICE1",
            vec![pair(bob_at, "possible"), pair(alice_at, "possible")],
        ),
        (
            "only their keys are not the same, and they sit behind one address",
            ("dev", "ASIAALICEALICEALICE1", second),
            ("dev", "ASIABOBBOBBOBBOBBOB1", second),
            alice_at,
            "ASIAALICEALICEALICE1",
            vec![pair(alice_at, "likely"), pair(alice_at, "possible")],
        ),
    ] {
        let of = |(name, key, start): (&str, &str, &str)| role("deploy", name, key, start);
        let pushed = role("deploy", alice.0, key, alice.2);
        let at = |id: &str, time: &str, who: &Value, address: &str| {
            with(login(id, time, who), &json!({"sourceIPAddress": address}))
        };
        let answer = json_of(&[
            at(
                "99999999-0000-4000-8000-000000000001",
                "2026-01-01T10:00:50Z",
                &of(alice),
                alice_at,
            ),
            at(
                "99999999-0000-4000-8000-000000000002",
                "2026-01-01T10:00:55Z",
                &of(bob),
                bob_is_at,
            ),
            push(PUSH, "2026-01-01T10:01:30Z", &pushed, "main", DIGEST),
        ]);
        assert_eq!(from(&answer), expected, "{case}");
    }
}

#[test]
fn two_who_share_a_users_key_are_told_apart_by_the_token_only() {
    let own = user("AKIAIOSFODNN7EXAMPLE");
    let other = "198.51.100.7";
    for (case, second_login, start, expected) in [
        (
            "the session began with the first token",
            "2026-01-01T10:00:30Z",
            "2026-01-01T10:00:00Z",
            vec![pair(ADDRESS, "certain")],
        ),
        (
            "both tokens are of the second in which it began",
            "2026-01-01T10:00:01Z",
            "2026-01-01T10:00:00Z",
            vec![pair(other, "possible"), pair(ADDRESS, "possible")],
        ),
        (
            "it began later than both",
            "2026-01-01T10:00:30Z",
            "2026-01-01T10:00:59Z",
            vec![pair(other, "possible"), pair(ADDRESS, "possible")],
        ),
    ] {
        let second = with(
            login("aaaaaaaa-0000-4000-8000-000000000002", second_login, &own),
            &json!({"sourceIPAddress": other}),
        );
        let answer = json_of(&[
            login(
                "aaaaaaaa-0000-4000-8000-000000000001",
                "2026-01-01T10:00:00Z",
                &own,
            ),
            second,
            push(
                PUSH,
                "2026-01-01T10:01:30Z",
                &user_session("ASIATOKENTOKENTOKEN1", start),
                "main",
                DIGEST,
            ),
        ]);
        assert_eq!(from(&answer), expected, "{case}");
    }
}

#[test]
fn an_archive_that_does_not_span_the_session_says_so_and_is_not_certain() {
    let session = role("ci", "run", "ASIACICICICICICICIC1", "2025-12-30T10:00:00Z");
    let answer = json_of(&[
        login(
            "bbbbbbbb-0000-4000-8000-000000000001",
            "2026-01-01T10:00:00Z",
            &session,
        ),
        push(PUSH, "2026-01-01T10:01:00Z", &session, "main", DIGEST),
    ]);
    assert_eq!(from(&answer), [pair(ADDRESS, "likely")]);
    let unknown = answer["unknown"].to_string();
    let why = "the records begin at 2025-12-31T20:00:00Z, and the session began at \
               2025-12-30T10:00:00Z";
    assert!(unknown.contains(why), "{unknown}");
}

#[test]
fn the_platforms_of_an_index_are_looked_for_too() {
    let session = role("ci", "run", "ASIACICICICICICICIC1", "2026-01-01T09:00:00Z");
    let child = digest('c');
    let mut index = push(PUSH, "2026-01-01T10:01:00Z", &session, "main", DIGEST);
    let media_type = "application/vnd.oci.image.index.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": [
        {"digest": child, "platform": {"os": "linux", "architecture": "arm64"}}
    ]});
    index["requestParameters"]["imageManifest"] = json!(manifest.to_string());
    index["requestParameters"]["imageManifestMediaType"] = json!(media_type);
    let mut platform = push(
        "cccccccc-0000-4000-8000-000000000001",
        "2026-01-01T10:00:59Z",
        &session,
        "",
        &child,
    );
    platform["requestParameters"]["imageTag"] = Value::Null;
    let records = [index.clone(), platform.clone()];
    let answer = json_of(&records);
    assert_eq!(answer["image"]["platforms"], json!([child]));
    assert_eq!(answer["image"]["pushes"].as_array().unwrap().len(), 2);
    let pods = answer["actions"].to_string();
    assert!(pods.contains(&format!("-e {DIGEST} -e {child}")), "{pods}");

    // From the platform the index is found.
    let folder = archive(&records);
    let ran = pushwatch(
        folder.path(),
        &[
            "investigate",
            "cccccccc-0000-4000-8000-000000000001",
            "AWSLogs",
            "--format",
            "json",
        ],
    );
    let of_platform: Value = serde_json::from_str(&ran.out).unwrap();
    assert!(
        of_platform["actions"]
            .to_string()
            .contains(&format!("-e {child} -e {DIGEST}"))
    );

    // Without its manifest, what runs can't be known by its platforms.
    index["requestParameters"] = json!({"omitted": "true", "reason": "too large"});
    index["responseElements"]["image"]["imageManifest"] = Value::Null;
    index["responseElements"]["image"]["imageManifestMediaType"] = json!(media_type);
    let answer = json_of(&[index]);
    assert_eq!(answer["image"]["platforms"], Value::Null);
    assert!(
        answer["unknown"]
            .to_string()
            .contains("those are not known")
    );
}

#[test]
fn an_event_in_a_file_is_investigated_as_by_its_id() {
    let records = docker_login();
    let folder = archive(&records);
    let event = json!({"detail-type": "AWS API Call via CloudTrail", "detail": records[6]});
    std::fs::write(folder.path().join("event.json"), event.to_string()).unwrap();
    let by_file = pushwatch(folder.path(), &["investigate", "event.json", "AWSLogs"]);
    assert_eq!(by_file.out, investigate(&records, &[]).out);
}

#[test]
fn another_session_of_the_same_name_is_never_the_answer() {
    let of = |key: &str, start: &str| role("ci/github-deploy", "GitHubActions", key, start);
    let pushed = of("ASIAGITHUBGITHUBGIT1", "2026-01-01T10:00:00Z");
    let other = of("ASIAGITHUBGITHUBGIT2", "2026-01-01T09:58:00Z");
    // In the second in which the session of the push began.
    let answer = json_of(&[
        login(
            "12121212-0000-4000-8000-000000000001",
            "2026-01-01T10:00:01Z",
            &other,
        ),
        push(PUSH, "2026-01-01T10:01:00Z", &pushed, "main", DIGEST),
    ]);
    assert_eq!(from(&answer), []);
    assert_eq!(answer["calls"], json!([]));
    let why = "1 call of the principal has an address, but is of another session";
    assert!(
        answer["unknown"].to_string().contains(why),
        "{}",
        answer["unknown"]
    );
}

#[test]
fn a_repository_is_telling_only_if_it_was_made_for_the_push() {
    let own = user("AKIAIOSFODNN7EXAMPLE");
    for (repository, time, expected) in [
        (REPOSITORY, "2026-01-01T09:30:00Z", json!("T1525")),
        (REPOSITORY, "2026-01-01T08:30:00Z", Value::Null),
        ("team/other", "2026-01-01T09:30:00Z", Value::Null),
    ] {
        let made = call(
            "ffffffff-0000-4000-8000-000000000001",
            time,
            "ecr",
            "CreateRepository",
            &own,
        );
        let answer = json_of(&[
            with(
                made,
                &json!({"requestParameters": {"repositoryName": repository}}),
            ),
            push(PUSH, "2026-01-01T10:01:51Z", &own, "1.4.2", DIGEST),
        ]);
        assert_eq!(answer["calls"][0]["eventName"], "CreateRepository");
        assert_eq!(
            answer["calls"][0]["technique"], expected,
            "{repository} {time}"
        );
    }
}

#[test]
fn an_event_that_the_archive_lacks_is_one_of_the_pushes() {
    let mut records = docker_login();
    let event = records.pop().unwrap();
    let folder = archive(&records);
    std::fs::write(folder.path().join("event.json"), event.to_string()).unwrap();
    let arguments = ["investigate", "event.json", "AWSLogs", "--format", "json"];
    let ran = pushwatch(folder.path(), &arguments);
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(answer["image"]["pushes"][0]["eventId"], PUSH);
    assert_eq!(from(&answer), [pair(ADDRESS, "certain")]);
}

#[test]
fn the_root_users_calls_are_known_by_its_arn() {
    let root = json!({
        "type": "Root", "principalId": ACCOUNT, "accountId": ACCOUNT,
        "arn": format!("arn:aws:iam::{ACCOUNT}:root"), "accessKeyId": "ASIAROOTROOTROOTROO1",
        "sessionContext": {"attributes": {
            "creationDate": "2026-01-01T09:00:00Z", "mfaAuthenticated": "true"
        }}
    });
    let sign_in = with(
        call(
            "eeeeeeee-0000-4000-8000-000000000001",
            "2026-01-01T09:00:00Z",
            "signin",
            "ConsoleLogin",
            &with(
                root.clone(),
                &json!({"accessKeyId": "", "sessionContext": null}),
            ),
        ),
        &json!({
            "responseElements": {"ConsoleLogin": "Success"},
            "additionalEventData": {"MFAUsed": "Yes", "MobileVersion": "No"}
        }),
    );
    let failed = with(
        sign_in.clone(),
        &json!({
            "eventID": "eeeeeeee-0000-4000-8000-000000000002",
            "responseElements": {"ConsoleLogin": "Failure"}
        }),
    );
    let answer = json_of(&[
        failed,
        sign_in,
        login(
            "eeeeeeee-0000-4000-8000-000000000003",
            "2026-01-01T10:00:00Z",
            &root,
        ),
        push(PUSH, "2026-01-01T10:01:00Z", &root, "main", DIGEST),
    ]);
    assert_eq!(from(&answer), [pair(ADDRESS, "certain")]);
    assert_eq!(
        issued_by(&answer),
        [format!("likely ConsoleLogin arn:aws:iam::{ACCOUNT}:root")]
    );
    assert_eq!(answer["issuedBy"][0]["mfa"], true);
}

#[test]
fn what_is_wrong_is_one_line_that_says_what_to_try() {
    let records = docker_login();
    let folder = archive(&records);
    for (name, text) in [
        ("empty/records.json", r#"{"Records":[]}"#.to_owned()),
        ("nothing/readme.txt", "hello".to_owned()),
        ("login.json", records[5].to_string()),
        (
            "many.json",
            json!({"Records": [records[0], records[6]]}).to_string(),
        ),
        ("event.json", records[6].to_string()),
        ("broken.json", "{".to_owned()),
    ] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    for (typed, expected) in [
        (
            &["00000000-0000-4000-8000-0000000000ff", "AWSLogs"][..],
            "no event 00000000-0000-4000-8000-0000000000ff is in the archive",
        ),
        (
            &["11111111-0000-4000-8000-000000000001", "AWSLogs"],
            "is no push, but GetAuthorizationToken; give the id of a PutImage",
        ),
        (
            &["login.json", "AWSLogs"],
            "the call is `GetAuthorizationToken`, not PutImage",
        ),
        (
            &["many.json", "AWSLogs"],
            "there are 2 pushes in it; give the id of one",
        ),
        (&["broken.json", "AWSLogs"], "give the EVENT_ID before it"),
        (&["no such file", "AWSLogs"], "`no such file` is no file"),
        (&[PUSH, "empty"], "no record of CloudTrail is in 1 file"),
        (
            &["event.json", "empty"],
            "no record of CloudTrail is in 1 file",
        ),
        (&[PUSH, "nothing"], "no CloudTrail file is in it"),
        (&[PUSH, "-"], "standard input can't be read twice"),
        (&[PUSH, "missing.json"], "missing.json: "),
    ] {
        let ran = pushwatch(folder.path(), &[&["investigate"], typed].concat());
        assert_eq!(
            (ran.code, ran.out.as_str()),
            (2, ""),
            "{typed:?}: {}",
            ran.err
        );
        assert!(ran.err.contains(expected), "{typed:?}: {}", ran.err);
    }
}

#[test]
fn an_archive_without_the_session_says_what_to_try() {
    let last = docker_login().pop().unwrap();
    let ran = investigate(&[last], &[]);
    assert_eq!(ran.code, 0);
    assert!(
        ran.err
            .contains("give the files of its region and of us-east-1"),
        "{}",
        ran.err
    );
    assert_eq!(ran.err.lines().count(), 1);
    assert!(
        ran.out
            .contains("not known: no call of the session has an address"),
        "{}",
        ran.out
    );
}

#[test]
fn what_can_not_be_read_is_named_and_leaves_its_answers_open() {
    let folder = archive(&docker_login());
    let mut cut = gzip(json!({"Records": docker_login()}).to_string().as_bytes());
    cut.truncate(cut.len() / 2);
    std::fs::write(folder.path().join("AWSLogs/cut.json.gz"), cut).unwrap();
    let ran = pushwatch(folder.path(), &["investigate", PUSH, "AWSLogs"]);
    assert_eq!(ran.code, 2);
    assert_eq!(ran.err.matches("cut off").count(), 1, "{}", ran.err);
    assert!(
        ran.out.contains("of the archive could not be read"),
        "{}",
        ran.out
    );
}

#[test]
fn what_is_said_beside_the_answer_has_no_link() {
    let mut push = docker_login().pop().unwrap();
    push["eventID"] = json!("evil.com");
    let folder = archive(std::slice::from_ref(&push));
    std::fs::write(folder.path().join("push.json"), push.to_string()).unwrap();
    let ran = pushwatch(folder.path(), &["investigate", "push.json", "AWSLogs"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.err.contains("the session of event evil[.]com"),
        "{}",
        ran.err
    );
}

#[test]
fn a_time_at_the_end_of_all_times_is_investigated_like_any() {
    let last = "9999-12-30T21:30:00Z";
    let mut push = docker_login().pop().unwrap();
    push["userIdentity"]["sessionContext"]["attributes"]["creationDate"] = json!(last);
    let mut later = push.clone();
    later["userIdentity"]["sessionContext"] = json!({});
    later["eventTime"] = json!(last);
    for push in [push, later] {
        let ran = investigate(&[push], &[]);
        assert_eq!(ran.code, 0, "{}", ran.err);
    }
}

#[test]
fn no_text_of_a_record_becomes_a_line_a_link_an_escape_or_a_command() {
    let hostile = "x\n  certain 10.0.0.1 \u{1b}[31m http://evil.com `$(id)` </script> ' \u{202e}";
    let mut records = docker_login();
    for record in &mut records {
        record["userAgent"] = json!(hostile);
        if record["eventName"] != "PutImage" {
            record["requestParameters"]["userName"] = json!(hostile);
        }
    }
    let push = records.last_mut().unwrap();
    push["userIdentity"]["userName"] = json!(hostile);
    push["requestParameters"]["imageTag"] = json!(hostile);
    push["requestParameters"]["repositoryName"] = json!(format!("team/{hostile}"));
    push["errorCode"] = json!(hostile);
    let more = with(
        call(
            "dddddddd-0000-4000-8000-000000000001",
            "2026-01-01T10:00:10Z",
            "ecr",
            hostile,
            &user("AKIAIOSFODNN7EXAMPLE"),
        ),
        &json!({"eventSource": hostile, "eventID": hostile}),
    );
    records.push(more);
    for format in ["text", "markdown", "json"] {
        let ran = investigate(&records, &["--format", format]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let is_plain = |c: char| c == '\n' || (' '..='~').contains(&c);
        assert!(ran.out.chars().all(is_plain), "{}", ran.out);
        if format == "json" {
            continue;
        }
        assert!(!ran.out.contains("http://"), "{}", ran.out);
        assert!(!ran.out.contains("evil.com"), "{}", ran.out);
        assert!(
            !ran.out
                .lines()
                .any(|line| line.starts_with("  certain 10.0.0.1"))
        );
        let commands = ran.out.lines().map(str::trim);
        for command in commands.filter(|line| line.starts_with("aws ")) {
            assert!(!command.contains("id)"), "{command}");
            assert!(shlex::split(command).is_some(), "{command}");
        }
    }
}
