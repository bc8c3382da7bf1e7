//! `pushwatch reconcile` on a stack in moto, with stubs of CloudTrail and Lambda and the
//! built function behind the latter.

use std::process::{Command, Stdio};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use pushwatch::time::whole_seconds;
use serde_json::{Value, json};

use crate::support::block_on;
use crate::support::cli::{Laptop, Ran, succeeded};
use crate::support::events::{envelope, iam_user, record};
use crate::support::lambda::{Function, Proxy};
use crate::support::lambda_api::{Invocation, LambdaApi};
use crate::support::lookup_events::{Answer, CloudTrail};
use crate::support::moto::{REGION, Stack, create_stack, moto};

/// A stack, its function behind a stub of Lambda, and somebody's laptop.
struct Reconciled {
    name: &'static str,
    stack: Stack,
    laptop: Laptop,
    lambda: LambdaApi,
    /// Between the command and DynamoDB.
    proxy: Arc<Proxy>,
}

impl Reconciled {
    /// With these events delivered.
    fn new(name: &'static str, delivered: &[&Value]) -> Self {
        Self::with(name, delivered, |_| Invocation::Handled)
    }

    fn with(
        name: &'static str,
        delivered: &[&Value],
        how: impl Fn(&str) -> Invocation + Send + 'static,
    ) -> Self {
        let stack = block_on(Stack::create());
        let output = |value: &str| json!({"Value": value});
        let template = json!({
            "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
            "Outputs": {
                "UploadersTable": output(&stack.uploaders),
                "FindingsTable": output(&stack.findings),
                "FindingsTopicArn": output(&stack.topic_arn),
                "FunctionName": output("the-function"),
            }
        });
        create_stack(name, &template.to_string());
        let function = Function::start(&stack, &[]);
        for record in delivered {
            function.invoke(&envelope(record)).unwrap();
        }
        Self {
            name,
            stack,
            laptop: Laptop::on(&moto().address()),
            lambda: LambdaApi::before(function, how),
            proxy: Proxy::start(),
        }
    }

    fn args<'a>(&'a self, options: &[&'a str]) -> Vec<&'a str> {
        let command = [
            "reconcile",
            "--stack",
            self.name,
            "--region",
            REGION,
            "--account",
            "111122223333",
        ];
        [&command, options].concat()
    }

    fn run(&self, options: &[&str], cloudtrail: Option<&CloudTrail>) -> Ran {
        let address =
            cloudtrail.map_or_else(|| "http://127.0.0.1:1".to_owned(), CloudTrail::address);
        self.proxy.calls.lock().unwrap().clear();
        self.laptop.run_bare(
            &self.args(options),
            &[
                ("AWS_ENDPOINT_URL_CLOUDTRAIL", &address),
                ("AWS_ENDPOINT_URL_LAMBDA", &self.lambda.address()),
                ("AWS_ENDPOINT_URL_DYNAMODB", &self.proxy.address()),
            ],
        )
    }

    /// Of all uploaders: name, pushes, first and last seen.
    fn uploaders(&self) -> Vec<(String, u64, String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let all = block_on(self.stack.uploaders());
        let mut all: Vec<_> = all
            .iter()
            .map(|item| {
                (
                    text(&item["name"]),
                    item["pushes"].as_u64().unwrap(),
                    text(&item["firstSeen"]),
                    text(&item["lastSeen"]),
                )
            })
            .collect();
        all.sort();
        all
    }
}

fn hours_ago(hours: i64) -> String {
    whole_seconds(Timestamp::now() - SignedDuration::from_hours(hours)).to_string()
}

fn by(id: &str, name: &str, hours: i64) -> Value {
    record(id, &hours_ago(hours), &iam_user(name))
}

fn counts(ran: &Ran) -> Value {
    let mut json: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}", ran.err));
    let object = json.as_object_mut().unwrap();
    for name in ["since", "until", "events", "dryRun"] {
        object.remove(name).unwrap();
    }
    object.retain(|_, count| *count != 0);
    json
}

#[test]
#[ignore = "needs moto"]
fn losses_duplicates_and_late_events_are_told_apart_and_a_second_run_finds_nothing() {
    let (t1, t2, t3) = (
        by("1", "test", 50),
        by("2", "test", 40),
        by("3", "test", 30),
    );
    let (e1, e2) = (by("4", "eve", 45), by("5", "eve", 44));
    let (late, last) = (by("6", "bob", 20), by("7", "bob", 22));
    let young = record(
        "8",
        &whole_seconds(Timestamp::now()).to_string(),
        &iam_user("mary"),
    );
    // Lost: an earlier push by test, its last one, and all of eve's. Bob's came late.
    let own = Reconciled::new("rc-history", &[&t2, &late, &last]);
    let answers = || {
        let first = [&young, &late, &last, &t3].map(Clone::clone);
        // A page that overlaps, as when a token had expired.
        let second = [&late, &t2, &e2, &e1, &t1].map(Clone::clone);
        CloudTrail::start(vec![
            Answer::page(&first, Some("more")),
            Answer::page(&second, None),
        ])
    };

    let dry = succeeded(own.run(&["--dry-run"], Some(&answers())));
    assert!(own.lambda.take().is_empty());
    assert!(dry.out.contains("event 4: not handed over"), "{}", dry.out);
    assert_eq!(dry.out.lines().count(), 1, "{}", dry.out);

    let cloudtrail = answers();
    let ran = succeeded(own.run(&[], Some(&cloudtrail)));
    let asked = &cloudtrail.asked()[0];
    let span = asked["EndTime"].as_f64().unwrap() - asked["StartTime"].as_f64().unwrap();
    assert!((span - 7.0 * 86_400.0).abs() < 2.0, "{asked}");
    assert_eq!(own.lambda.take(), ["1", "4", "5", "3"]);
    let line = format!(
        "{} high new_uploader arn:aws:iam::111122223333:user/eve pushed team/app:1.4.2, event 4: \
         published\n",
        e1["eventTime"].as_str().unwrap()
    );
    assert_eq!(ran.out, line);
    for line in [
        "Looked at   9 pushes since ",
        "Seen        3\n",
        "Missing     4: 1 finding above, 3 with nothing to report, remembered now\n",
        "Suppressed  0\n",
        "Too young   1, ",
        "Unreadable  0\n",
        "Copies      1 ",
    ] {
        assert!(ran.err.contains(line), "{line}: {}", ran.err);
    }
    let of = |event: &Value| event["eventTime"].as_str().unwrap().to_owned();
    let expected = [
        ("bob".to_owned(), 2, of(&last), of(&late)),
        ("eve".to_owned(), 2, of(&e1), of(&e2)),
        ("test".to_owned(), 3, of(&t1), of(&t3)),
    ];
    assert_eq!(own.uploaders(), expected);
    let findings = block_on(own.stack.findings());
    let eve = findings.iter().find(|item| item["eventId"] == "4").unwrap();
    let body: Value = serde_json::from_str(eve["body"].as_str().unwrap()).unwrap();
    assert!(
        body["delaySeconds"].as_i64().unwrap() >= 45 * 3600,
        "{body}"
    );

    let again = succeeded(own.run(&["--json"], Some(&answers())));
    assert_eq!(
        counts(&again),
        json!({"lookedAt": 9, "seen": 7, "tooYoung": 1, "copies": 1})
    );
    assert!(own.lambda.take().is_empty());
    assert_eq!(own.uploaders(), expected, "a second run writes nothing");
    // What was seen costs reads alone, one of each uploader.
    assert_eq!(*own.proxy.calls.lock().unwrap(), ["GetItem"; 3]);
}

#[test]
#[ignore = "needs moto"]
fn files_are_compared_as_they_lie_in_the_bucket() {
    let seen = by("1", "test", 30);
    let own = Reconciled::new("rc-files", &[&seen]);
    let mut caller_s_copy = by("2", "test", 29);
    caller_s_copy["recipientAccountId"] = json!("999999999999");
    caller_s_copy["sharedEventID"] = json!("shared");
    let mut owner_s_copy = by("3", "x", 29);
    owner_s_copy["userIdentity"] =
        json!({"type": "AWSAccount", "principalId": "AIDAOTHER", "accountId": "999999999999"});
    owner_s_copy["sharedEventID"] = json!("shared");
    let mut elsewhere = by("4", "far", 29);
    elsewhere["awsRegion"] = json!("us-east-1");
    let mut failed = by("5", "intern", 28);
    failed["errorCode"] = json!("AccessDenied");
    let unidentified = record("6", &hours_ago(27), &json!({"invokedBy": "AWS Internal"}));
    let records = json!({"Records": [
        unidentified, failed, elsewhere, owner_s_copy, caller_s_copy, by("7", "old", 24 * 8), seen,
    ]});
    own.laptop.write("trail.json", &records.to_string());
    // As EventBridge delivers it, once more; and what can't be read.
    let lines = format!(
        "{}\n{}\n{{\"userIdentity\":{{\"a\":\"PutImage\"}}}}\n",
        envelope(&seen),
        envelope(&by("8", "eve", 26))
    );
    own.laptop.write("more.jsonl", &lines);
    let all = [".", "--json"];
    let ran = own.run(&all, None);
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("more.jsonl: line 3"), "{}", ran.err);
    assert_eq!(
        counts(&ran),
        json!({"lookedAt": 10, "seen": 1, "missing": 4, "unreadable": 1, "copies": 1, "older": 1,
               "elsewhere": 2})
    );
    assert_eq!(own.lambda.take(), ["3", "5", "6", "8"]);
    let events: Value = serde_json::from_str(&ran.out).unwrap();
    let reasons: Vec<_> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["reason"].as_str().unwrap())
        .collect();
    assert_eq!(
        reasons,
        [
            "new_uploader",
            "attempted_upload",
            "unidentified_uploader",
            "new_uploader"
        ]
    );
    let again = own.run(&all, None);
    assert_eq!(counts(&again)["missing"], Value::Null);
    assert!(own.lambda.take().is_empty());
}

#[test]
#[ignore = "needs moto"]
fn without_options_it_looks_at_the_account_and_region_of_the_deployment() {
    let own = Reconciled::new("rc-scope", &[]);
    let account = own.stack.topic_arn.split(':').nth(4).unwrap();
    let of = |id: &str, account: &str, region: &str| {
        let mut record = by(id, id, 2);
        record["recipientAccountId"] = json!(account);
        record["awsRegion"] = json!(region);
        record
    };
    let records = json!({"Records": [
        of("own", account, REGION), of("far", account, "us-east-1"),
        of("other", "999999999999", REGION),
    ]});
    own.laptop.write("trail.json", &records.to_string());
    let handed_over = |options: &[&str]| {
        let command = [
            "reconcile",
            "--stack",
            own.name,
            "--region",
            REGION,
            "trail.json",
        ];
        let environment = [
            ("AWS_ENDPOINT_URL_CLOUDTRAIL", "http://127.0.0.1:1"),
            ("AWS_ENDPOINT_URL_LAMBDA", &own.lambda.address()),
        ];
        succeeded(
            own.laptop
                .run_bare(&[&command, options].concat(), &environment),
        );
        own.lambda.take()
    };
    assert_eq!(handed_over(&[]), ["own"]);
    assert_eq!(handed_over(&["--lookup-region", "us-east-1"]), ["far"]);
    assert_eq!(handed_over(&["--account", "999999999999"]), ["other"]);
}

#[test]
#[ignore = "needs moto"]
fn an_event_that_the_function_fails_on_is_named_and_found_again() {
    let (one, two) = (by("1", "eve", 30), by("2", "bob", 29));
    let own = Reconciled::with("rc-fails", &[], |id| match id {
        "1" => Invocation::Fails,
        _ => Invocation::Handled,
    });
    let history = || CloudTrail::start(vec![Answer::page(&[two.clone(), one.clone()], None)]);
    let ran = own.run(&[], Some(&history()));
    assert_eq!(ran.code, 2);
    assert!(
        ran.err
            .contains("event 1: the function failed with RetryableStore: down; see its log"),
        "{}",
        ran.err
    );
    assert!(
        ran.err.contains("Failed      1, named above"),
        "{}",
        ran.err
    );
    assert_eq!(own.lambda.take(), ["1", "2"]);
    own.run(&[], Some(&history()));
    assert_eq!(own.lambda.take(), ["1"]);
}

#[test]
#[ignore = "needs moto"]
fn whoever_may_not_invoke_the_function_reads_which_right_is_missing() {
    let own = Reconciled::with("rc-denied", &[], |_| Invocation::Denied);
    let history = CloudTrail::start(vec![Answer::page(&[by("1", "eve", 30)], None)]);
    let ran = own.run(&[], Some(&history));
    assert_eq!(ran.code, 2);
    assert!(
        ran.err
            .contains("the right lambda:InvokeFunction is missing\n"),
        "{}",
        ran.err
    );
    assert!(
        ran.err.contains("Compared 0 of 1 push, 0 handed over"),
        "{}",
        ran.err
    );
}

#[test]
#[ignore = "needs moto"]
fn bad_input_is_one_line_that_says_what_to_do() {
    let own = Reconciled::new("rc-bad", &[]);
    own.laptop.write("empty.json", r#"{"Records":[]}"#);
    std::fs::create_dir(own.laptop.folder.path().join("nothing")).unwrap();
    for (options, said) in [
        (
            &["--since", "soon"][..],
            "`soon` is no time; 7d, 12h, 2026-12-31 are",
        ),
        (&["--since", "10m"], "go further back"),
        (&["--since", "91d"], "give the trail's files"),
        (&["--since", "401d", "."], "findings are kept for 400 days"),
        (
            &["--lookup-region", "mars"],
            "give one such as eu-central-1 with --lookup-region",
        ),
        (
            &["nothing"],
            "there is no file of CloudTrail in what was given",
        ),
    ] {
        let ran = own.run(options, None);
        assert_eq!(ran.code, 2, "{options:?} {}", ran.err);
        assert!(ran.err.contains(said), "{options:?} {}", ran.err);
        assert_eq!(ran.err.lines().count(), 1, "{options:?} {}", ran.err);
    }
    let ran = succeeded(own.run(&["empty.json"], None));
    assert!(
        ran.err.contains("holds no push of that time"),
        "{}",
        ran.err
    );

    let denied = CloudTrail::start(vec![Answer::Error(400, "AccessDeniedException")]);
    let ran = own.run(&[], Some(&denied));
    assert_eq!(ran.code, 2);
    assert!(
        ran.err
            .contains("the right cloudtrail:LookupEvents is missing"),
        "{}",
        ran.err
    );

    let bare = |args: &[&str]| own.laptop.run_bare(args, &[]);
    let ran = bare(&["reconcile", "--region", REGION]);
    assert!(
        ran.err
            .contains("Give --stack NAME, or set PUSHWATCH_STACK"),
        "{}",
        ran.err
    );
    let ran = bare(&["reconcile", "--stack", "nobody", "--region", REGION]);
    assert!(
        ran.err.contains("check the stack's name, its region"),
        "{}",
        ran.err
    );
    let other = json!({"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}});
    create_stack("rc-other", &other.to_string());
    let ran = bare(&["reconcile", "--stack", "rc-other", "--region", REGION]);
    assert!(
        ran.err.contains("is it a stack of PushWatch?"),
        "{}",
        ran.err
    );
}

#[test]
#[ignore = "needs moto"]
fn ctrl_c_says_how_far_it_got_and_the_same_command_goes_on() {
    let records = [by("2", "bob", 29), by("1", "eve", 30)];
    let own = Reconciled::with("rc-stopped", &[], |id| match id {
        "2" => Invocation::Hangs,
        _ => Invocation::Handled,
    });
    let history = CloudTrail::start(vec![Answer::page(&records, None)]);
    let running = Command::new(env!("CARGO_BIN_EXE_pushwatch"))
        .args(own.args(&[]))
        .current_dir(own.laptop.folder.path())
        .env_clear()
        .envs([
            ("AWS_ENDPOINT_URL", own.laptop.endpoint.as_str()),
            ("AWS_ENDPOINT_URL_CLOUDTRAIL", &history.address()),
            ("AWS_ENDPOINT_URL_LAMBDA", &own.lambda.address()),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while own.lambda.invoked.lock().unwrap().len() < 2 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let stopped = Command::new("kill")
        .args(["-INT", &running.id().to_string()])
        .status();
    assert!(stopped.unwrap().success());
    let output = running.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(
        err.contains("Compared 1 of 2 pushes, 1 handed over"),
        "{err}"
    );
    assert!(err.contains("run the same command again"), "{err}");
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("event 1: published")
    );
}
