//! Tables that were restored from a backup, and tables that version 0.1.0 wrote.

use serde_json::{Value, json};

use crate::support::block_on;
use crate::support::cli::{Ran, succeeded};
use crate::support::deployment::{Deployment, outcome, push};
use crate::support::events::TEST_USER;
use crate::support::lambda::Function;
use crate::support::moto::{Item, Stack, aws, moto};

const T1: &str = "2026-01-01T00:00:00Z";
const T2: &str = "2026-01-02T00:00:00Z";
const T3: &str = "2026-01-03T00:00:00Z";
const EVE: &str = "arn:aws:iam::111122223333:user/eve";

/// Restores a table under another name, as point-in-time recovery does.
fn restored(table: &str) -> String {
    let dynamodb = aws(moto().port).dynamodb();
    let name = format!("{table}-restored");
    block_on(async {
        let restore = dynamodb.restore_table_to_point_in_time();
        let restore = restore.source_table_name(table).target_table_name(&name);
        restore
            .use_latest_restorable_time(true)
            .send()
            .await
            .unwrap();
    });
    name
}

fn take_over(laptop: &Deployment, old: &[String; 2], options: &[&str]) -> Ran {
    let [uploaders, findings] = old;
    let command = [
        "uploaders",
        "import",
        "--from-table",
        uploaders,
        "--from-findings-table",
        findings,
    ];
    laptop.run(&[&command, options].concat())
}

#[test]
#[ignore = "needs moto"]
fn restored_tables_are_taken_over_and_what_is_owed_in_them_is_published() {
    let lost = Deployment::new();
    let function = Function::start(&lost.stack, &[]);
    assert_eq!(
        outcome(&function, &push("1", T1, "test")),
        "finding_published"
    );
    // Of eve the finding is still owed.
    function.proxy.fail_requests_with(Some("Publish"));
    assert_eq!(
        outcome(&function, &push("2", T1, "eve")),
        "finding_deferred"
    );
    drop(function);
    for command in [
        &["uploaders", "trust", TEST_USER, "--reason", "the build"][..],
        &["uploaders", "revoke", EVE, "--reason", "left"],
    ] {
        succeeded(lost.run(command));
    }
    let before = [lost.uploader(TEST_USER), lost.uploader(EVE)];
    let old = [
        restored(&lost.stack.uploaders),
        restored(&lost.stack.findings),
    ];

    // The new deployment has seen test since, and told so.
    let new = Deployment::new();
    let function = Function::start(&new.stack, &[]);
    assert_eq!(
        outcome(&function, &push("3", T2, "test")),
        "finding_published"
    );
    let dry = succeeded(take_over(&new, &old, &["--dry-run"]));
    assert!(
        dry.err.contains("2 findings to take over, 1 of them owed"),
        "{}",
        dry.err
    );
    assert_eq!(new.uploader(EVE), Value::Null);
    assert_eq!(block_on(new.stack.findings()).len(), 1);

    let ran = succeeded(take_over(&new, &old, &[]));
    assert_eq!(
        ran.err,
        "2 findings taken over, 1 of them owed: the sweep publishes those; 0 there already.\n\
         Added 1, changed 1, unchanged 0.\n"
    );
    let test = new.uploader(TEST_USER);
    assert_eq!(test["standing"], "trusted");
    assert_eq!(test["trustReason"], "the build");
    assert_eq!(
        (&test["firstSeen"], &test["lastSeen"]),
        (&json!(T1), &json!(T2))
    );
    let eve = new.uploader(EVE);
    for name in [
        "standing",
        "revokedBy",
        "revokeReason",
        "places",
        "ways",
        "habitsSince",
    ] {
        assert_eq!(eve[name], before[1][name], "{name}");
        assert_ne!(eve[name], Value::Null, "{name}");
    }

    block_on(new.stack.age(60));
    let swept = function.sweep();
    assert_eq!(swept["published"], 1, "{swept}");
    let told = function.proxy.bodies();
    assert_eq!(told.last().unwrap()["uploader"]["key"], EVE);
    // What was reported before is not reported again, and a second run changes nothing.
    assert_eq!(outcome(&function, &push("2", T1, "eve")), "duplicate");
    let after = (
        block_on(new.stack.uploaders()),
        block_on(new.stack.findings()),
    );
    let again = succeeded(take_over(&new, &old, &[]));
    assert!(
        again.err.contains("0 findings taken over, 0 of them owed"),
        "{}",
        again.err
    );
    assert!(
        again.err.contains("Added 0, changed 0, unchanged 2."),
        "{}",
        again.err
    );
    assert_eq!(
        (
            block_on(new.stack.uploaders()),
            block_on(new.stack.findings())
        ),
        after
    );
}

#[test]
#[ignore = "needs moto"]
fn a_table_can_be_exported_and_imported_as_a_file_too() {
    let lost = Deployment::new();
    let function = Function::start(&lost.stack, &[]);
    outcome(&function, &push("1", T1, "test"));
    let old = restored(&lost.stack.uploaders);
    let new = Deployment::new();
    let region = ["--region", crate::support::moto::REGION];
    let export = [
        "uploaders",
        "export",
        "--table",
        &old,
        "--output",
        "all.jsonl",
    ];
    succeeded(new.run_bare(&[&export[..], &region].concat(), &[]));
    let text = std::fs::read_to_string(new.folder.path().join("all.jsonl")).unwrap();
    lost.write("all.jsonl", &text);
    new.write("all.jsonl", &text);
    succeeded(new.run(&["uploaders", "import", "all.jsonl"]));
    let mut expected = lost.uploader(TEST_USER);
    expected["revision"] = json!(1);
    assert_eq!(new.uploader(TEST_USER), expected);
}

#[test]
#[ignore = "needs moto"]
fn a_take_over_that_can_t_be_meant_is_refused() {
    let own = Deployment::new();
    let (uploaders, findings) = (&own.stack.uploaders, &own.stack.findings);
    for (options, said) in [
        (
            &["--from-table", uploaders.as_str()][..],
            "the deployment's own table",
        ),
        (
            &["--from-table", "old", "--from-findings-table", findings],
            "own table",
        ),
        (
            &["--from-table", ""],
            "--from-table or --from-findings-table is empty",
        ),
        (&["--from-table", "old", "list.csv"], "cannot be used with"),
        (&["--from-findings-table", "old"], "--from-table"),
        (&["--from-table", "nobody-s"], "check the table's name"),
    ] {
        let ran = own.run(&[&["uploaders", "import"], options].concat());
        assert_eq!(ran.code, 2, "{options:?}");
        assert!(ran.err.contains(said), "{options:?} {}", ran.err);
    }
}

fn item(json: &Value) -> Item {
    serde_dynamo::to_item(json).unwrap()
}

/// A finding as the first version of the function wrote it, and owed it.
fn finding_of_0_1_0(id: &str, reason: &str, owed: &str) -> Value {
    let body = json!({
        "id": id, "reason": reason, "severity": "high",
        "risk": {"score": 49, "impact": 70, "confidence": 70},
        "message": "Container uploaded from unknown user test",
        "uploader": {
            "key": TEST_USER, "kind": "IAMUser", "name": "test", "accountId": "111122223333",
            "principalId": "AIDA0000000000000TEST", "session": null
        },
        "push": {
            "eventId": "1", "sharedEventId": null, "eventName": "PutImage",
            "eventSource": "ecr.amazonaws.com", "eventTime": T1, "account": "111122223333",
            "region": "eu-central-1", "registryId": "111122223333", "repository": "team/app",
            "tag": "1.4.2", "digest": "sha256:b7798f35949cc1a2d435c9ac59ab69e857fe635a359c96e4f56a8498ce02019c",
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "sourceIp": "AWS Internal", "userAgent": "AWS Internal",
            "accessKeyId": "ASIAIOSFODNN7EXAMPLE", "mfa": false, "errorCode": null,
            "parametersOmitted": false
        },
        "firstSeen": T1, "lastSeen": T1, "previouslySeen": null, "phase": "release",
        "attack": [
            {"technique": "T1204.003", "name": "Malicious Image", "tactic": "Execution"},
            {"technique": "T1525", "name": "Implant Internal Image", "tactic": "Persistence"}
        ],
        "frameworks": {"killChain": ["Installation"], "nist": ["DE.AE"], "cis20": ["CIS 13"]},
        "related": {"splunk": "300688e4-365c-4486-a065-7c884462b31d"}
    });
    json!({
        "findingId": id, "uploader": TEST_USER, "reason": reason, "severity": "high",
        "eventId": "1", "body": body.to_string(), "decidedAt": T1, "owed": owed,
        "owedSince": T1, "leaseUntil": 1_767_225_645_000_i64, "attempts": 0
    })
}

#[test]
#[ignore = "needs moto"]
fn what_version_0_1_0_owed_is_published_and_whom_it_knew_is_known() {
    let stack = block_on(Stack::create());
    let record = json!({
        "uploader": TEST_USER, "kind": "IAMUser", "name": "test", "accountId": "111122223333",
        "principalId": "AIDA0000000000000TEST", "standing": "new", "firstSeen": T1,
        "lastSeen": T1, "lastEventId": "1", "pushes": 1,
        "lastPush": {"repository": "team/app", "tag": "1.4.2", "account": "111122223333",
                     "region": "eu-central-1", "sourceIp": "AWS Internal"},
        "lastFindingId": "59191ccf-b3ce-5393-9029-834c1735378e", "revision": 1
    });
    let owed = [
        finding_of_0_1_0(
            "59191ccf-b3ce-5393-9029-834c1735378e",
            "new_uploader",
            "finding",
        ),
        finding_of_0_1_0(
            "0b1f5f0c-3f5c-5d0e-8f57-6d2b9c1c2a11",
            "learned_uploader",
            "digest",
        ),
    ];
    let budget = json!({"findingId": "#budget", "t1": 0, "t2": 0, "t3": 0, "t4": 0,
                        "t5": 1_767_225_600_000_i64});
    block_on(async {
        stack.put(&stack.uploaders, item(&record)).await;
        for finding in owed.iter().chain([&budget]) {
            stack.put(&stack.findings, item(finding)).await;
        }
    });

    let function = Function::start(&stack, &[]);
    let swept = function.sweep();
    assert_eq!(swept["published"], 2, "{swept}");
    let findings = block_on(stack.findings());
    for finding in &findings {
        assert_eq!(finding["owed"], Value::Null, "{finding}");
        assert_ne!(finding["publishedAt"], Value::Null, "{finding}");
    }
    let bodies = function.proxy.bodies();
    assert_eq!(bodies.len(), 2);
    assert!(
        bodies.iter().any(|body| body["id"] == owed[0]["findingId"]),
        "{bodies:?}"
    );
    // Its first push since is not reported: from it on habits are learned.
    assert_eq!(outcome(&function, &push("2", T3, "test")), "known");
    let test = &block_on(stack.uploaders())[0];
    assert_eq!(
        test["places"],
        json!(["111122223333/eu-central-1/team/app"])
    );
    assert_eq!(test["pushes"], 2);
}
