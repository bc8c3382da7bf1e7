//! `pushwatch learn`, from files and from a stub of CloudTrail.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::block_on;
use crate::support::cli::{Laptop, Ran, succeeded};
use crate::support::deployment::{Deployment, outcome, push};
use crate::support::events::{TEST_USER, envelope, iam_user, record, role_session};
use crate::support::lambda::Function;
use crate::support::lookup_events::{Answer, CloudTrail};
use crate::support::moto::{REGION, Stack};

const T1: &str = "2026-01-01T00:00:00Z";
const T2: &str = "2026-01-02T00:00:00Z";
const NEWBIE: &str = "arn:aws:iam::111122223333:user/newbie";

#[test]
fn a_file_of_another_form_is_not_rewritten() {
    let laptop = Laptop::new();
    for (text, form) in [
        (
            "Name,ARN\nTest,arn:aws:iam::111122223333:user/test\n",
            "CSV",
        ),
        (
            "# ours\narn:aws:iam::111122223333:user/test\n",
            "a list of plain keys",
        ),
    ] {
        laptop.write("good.csv", text);
        laptop.write("trail.json", &json!({"Records": history()}).to_string());
        for args in [
            &["uploaders", "trust", NEWBIE, "--reason", "x"][..],
            &["uploaders", "revoke", NEWBIE],
            &["uploaders", "forget", TEST_USER, "--yes"],
            &["uploaders", "import", "good.csv"],
            &["learn", "trail.json", "--yes"],
        ] {
            let ran = laptop.run_bare(&[args, &["--file", "good.csv"]].concat(), &[]);
            assert_eq!(ran.code, 2, "{args:?} {}", ran.err);
            assert!(
                ran.err.contains(&format!("good.csv is {form}"))
                    && ran
                        .err
                        .contains("pushwatch uploaders import good.csv --file"),
                "{args:?} {}",
                ran.err
            );
            let after = fs::read_to_string(laptop.folder.path().join("good.csv")).unwrap();
            assert_eq!(after, text, "{args:?}");
        }
        succeeded(laptop.run_bare(&["uploaders", "list", "--file", "good.csv"], &[]));
    }
}

/// Pushes by test (twice), ci/build, root, and one that failed.
fn history() -> Vec<Value> {
    let mut failed = record("f", T1, &iam_user("intern"));
    failed["errorCode"] = json!("AccessDeniedException");
    let root = json!({"type": "Root", "principalId": "111122223333", "accountId": "111122223333",
                      "arn": "arn:aws:iam::111122223333:root"});
    vec![
        record("1", T1, &iam_user("test")),
        record("2", T2, &iam_user("test")),
        record("3", T1, &role_session("ci/build", "i-0abc")),
        record("4", T1, &root),
        failed,
    ]
}

#[test]
#[ignore = "needs moto"]
fn learn_from_files_makes_the_first_day_quiet() {
    let laptop = Deployment::new();
    laptop.write("trail.json", &json!({"Records": history()}).to_string());
    let ran = succeeded(laptop.run(&["learn", "trail.json", "--yes"]));
    insta::with_settings!({filters => vec![(r"\d+ days ago", "N days ago"), (r" {2,}", "  ")]}, {
        insta::assert_snapshot!("whom_history_shows", ran.out);
    });
    assert!(ran.err.contains("Learned 2 uploaders.\n"), "{}", ran.err);
    let test = laptop.uploader(TEST_USER);
    assert_eq!(test["standing"], "learned");
    assert_eq!(
        (&test["firstSeen"], &test["lastSeen"]),
        (&json!(T1), &json!(T2))
    );
    assert_eq!(test["pushes"], 2);
    assert_eq!(test["lastFindingId"], Value::Null);
    assert_eq!(
        laptop.uploader("arn:aws:iam::111122223333:root"),
        Value::Null
    );

    let function = Function::start(&laptop.stack, &[]);
    let day = "2026-01-03T00:00:00Z";
    assert_eq!(outcome(&function, &push("10", day, "test")), "known");
    let session = record("11", day, &role_session("ci/build", "i-0def"));
    assert_eq!(outcome(&function, &envelope(&session)), "known");
    assert_eq!(
        outcome(&function, &push("12", day, "intern")),
        "finding_published"
    );
}

#[test]
#[ignore = "needs moto"]
fn learn_writes_only_after_a_yes_and_changes_nobody_who_is_there() {
    let laptop = Deployment::new();
    laptop.write("trail.json", &json!({"Records": history()}).to_string());
    let ran = laptop.run(&["learn", "trail.json"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("give --yes"), "{}", ran.err);
    assert!(block_on(laptop.stack.uploaders()).is_empty());

    succeeded(laptop.run(&["uploaders", "revoke", TEST_USER]));
    let revoked = laptop.uploader(TEST_USER);
    let ran = succeeded(laptop.run(&["learn", "trail.json", "--yes"]));
    assert!(
        ran.err.contains("Learned 1 uploader; 1 was known already."),
        "{}",
        ran.err
    );
    assert_eq!(laptop.uploader(TEST_USER), revoked);
    let after = block_on(laptop.stack.uploaders());
    // With nobody new, nothing is asked.
    let ran = succeeded(laptop.run(&["learn", "trail.json"]));
    assert_eq!(ran.out, "");
    assert_eq!(
        ran.err,
        "All 2 uploaders whom history shows are known already.\n"
    );
    assert_eq!(block_on(laptop.stack.uploaders()), after);
}

#[test]
fn learn_leaves_out_the_sessions_that_root_minted() {
    let laptop = Laptop::new();
    let minted = |id: &str, issuer: Value| {
        let mut session = iam_user("mary");
        session["type"] = json!("FederatedUser");
        session["principalId"] = json!("111122223333:mary");
        session["arn"] = json!("arn:aws:sts::111122223333:federated-user/mary");
        session["sessionContext"]["sessionIssuer"] = issuer;
        record(id, T1, &session)
    };
    let root = json!({"type": "Root", "principalId": "111122223333",
                      "accountId": "111122223333", "arn": "arn:aws:iam::111122223333:root"});
    let mut by_root_without_arn = root.clone();
    by_root_without_arn.as_object_mut().unwrap().remove("arn");
    let records = [
        minted("1", root),
        minted("2", by_root_without_arn),
        minted("3", iam_user("broker")),
    ];
    laptop.write("trail.json", &json!({"Records": records}).to_string());
    let args = ["learn", "trail.json", "--yes", "--file", "known.jsonl"];
    let ran = succeeded(laptop.run_bare(&args, &[]));
    assert!(ran.err.contains("Learned 1 uploader."), "{}", ran.err);
    let odd = "minted by the root user, not learned";
    assert_eq!(ran.out.matches(odd).count(), 2, "{}", ran.out);
    let known = fs::read_to_string(laptop.folder.path().join("known.jsonl")).unwrap();
    let known: Value = serde_json::from_str(&known).unwrap();
    assert_eq!(
        known["uploader"],
        "federated:arn:aws:iam::111122223333:user/broker/mary"
    );
}

fn learn(laptop: &Deployment, cloudtrail: &CloudTrail, regions: &[&str]) -> Ran {
    let mut args = vec![
        "learn",
        "--yes",
        "--table",
        &laptop.stack.uploaders,
        "--region",
        REGION,
    ];
    for region in regions {
        args.extend(["--lookup-region", region]);
    }
    let address = cloudtrail.address();
    laptop.run_bare(&args, &[("AWS_ENDPOINT_URL_CLOUDTRAIL", &address)])
}

fn kept(folder: &Path) -> bool {
    folder.join("pushwatch-learn.json").exists()
}

#[test]
#[ignore = "needs moto"]
fn learn_asks_cloudtrail_page_by_page_in_each_region() {
    let laptop = Deployment::new();
    let cloudtrail = CloudTrail::start(vec![
        Answer::page(&history()[3..], Some("second")),
        Answer::page(&history()[..3], None),
        Answer::page(&[record("9", T1, &iam_user("far"))], None),
    ]);
    let ran = succeeded(learn(&laptop, &cloudtrail, &["eu-central-1", "us-east-1"]));
    assert!(ran.err.contains("Learned 3 uploaders."), "{}", ran.err);
    assert_eq!(laptop.uploader(TEST_USER)["pushes"], 2);
    let asked = cloudtrail.asked();
    assert_eq!(asked.len(), 3);
    for (body, region, token) in [
        (&asked[0], "eu-central-1", Value::Null),
        (&asked[1], "eu-central-1", json!("second")),
        (&asked[2], "us-east-1", Value::Null),
    ] {
        assert_eq!(body["region"], region);
        assert_eq!(body["NextToken"], token);
        assert_eq!(body["MaxResults"], 50);
        assert_eq!(
            body["LookupAttributes"],
            json!([{"AttributeKey": "EventName", "AttributeValue": "PutImage"}])
        );
        let days =
            (body["EndTime"].as_f64().unwrap() - body["StartTime"].as_f64().unwrap()) / 86400.0;
        assert!((days - 90.0).abs() < 1e-6, "{days}");
    }
    assert!(!kept(laptop.folder.path()));
    // Two requests a second are all that CloudTrail takes.
    assert!(
        cloudtrail.least_pause().as_millis() >= 450,
        "{:?}",
        cloudtrail.least_pause()
    );
}

#[test]
#[ignore = "needs moto"]
fn learn_goes_on_where_it_was_interrupted() {
    let laptop = Deployment::new();
    let broken = CloudTrail::start(vec![
        Answer::page(&[record("2", T2, &iam_user("test"))], Some("second")),
        Answer::Error(400, "AccessDeniedException"),
    ]);
    let ran = learn(&laptop, &broken, &[]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("cloudtrail:LookupEvents"), "{}", ran.err);
    assert!(ran.err.contains("run it again to go on"), "{}", ran.err);
    assert!(kept(laptop.folder.path()));
    assert!(block_on(laptop.stack.uploaders()).is_empty());

    // The event of the same second comes again, and counts once.
    let whole = CloudTrail::start(vec![Answer::page(
        &[
            record("2", T2, &iam_user("test")),
            record("1", T1, &iam_user("test")),
        ],
        None,
    )]);
    let ran = succeeded(learn(&laptop, &whole, &[]));
    assert!(ran.err.contains("Going on from"), "{}", ran.err);
    let end = whole.asked()[0]["EndTime"].as_f64().unwrap();
    // T2 in seconds.
    assert!((end - 1_767_312_000.0).abs() < 1e-6, "{end}");
    let test = laptop.uploader(TEST_USER);
    assert_eq!(test["pushes"], 2);
    assert_eq!(
        (&test["firstSeen"], &test["lastSeen"]),
        (&json!(T1), &json!(T2))
    );
    assert!(!kept(laptop.folder.path()));
}

#[test]
#[ignore = "needs moto"]
fn learn_outlives_expired_tokens_and_throttling() {
    let laptop = Deployment::new();
    let cloudtrail = CloudTrail::start(vec![
        Answer::Error(400, "ThrottlingException"),
        Answer::page(&[record("2", T2, &iam_user("test"))], Some("second")),
        Answer::Error(400, "InvalidNextTokenException"),
        Answer::page(
            &[
                record("2", T2, &iam_user("test")),
                record("1", T1, &iam_user("test")),
            ],
            None,
        ),
    ]);
    let ran = succeeded(learn(&laptop, &cloudtrail, &[]));
    assert!(ran.err.contains("Learned 1 uploader."), "{}", ran.err);
    assert_eq!(laptop.uploader(TEST_USER)["pushes"], 2);
    let asked = cloudtrail.asked();
    assert_eq!(asked[3]["NextToken"], Value::Null);
    assert!(asked[3]["EndTime"].as_f64() < asked[1]["EndTime"].as_f64());
}

#[test]
fn ctrl_c_leaves_nothing_half_written() {
    let laptop = Laptop::new();
    let cloudtrail = CloudTrail::start(vec![
        Answer::page(&[record("2", T2, &iam_user("test"))], Some("second")),
        Answer::Hang,
    ]);
    let learning = Command::new(env!("CARGO_BIN_EXE_pushwatch"))
        .current_dir(laptop.folder.path())
        .env_clear()
        .envs([
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_REGION", REGION),
            ("AWS_ENDPOINT_URL", &cloudtrail.address()),
        ])
        .args(["learn", "--yes", "--file", "known.jsonl"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while cloudtrail.asked().len() < 2 {
        std::thread::sleep(Duration::from_millis(20));
    }
    let process = learning.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &process])
            .status()
            .unwrap()
            .success()
    );
    let output = learning.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.contains("run the same command again"), "{err}");
    let left: Vec<_> = fs::read_dir(laptop.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["pushwatch-learn.json"]);
}

/// Runs `learn` with the answers, as whoever STS says; the last options are more.
fn learn_as(laptop: &Deployment, cloudtrail: &CloudTrail, table: &str, more: &[&str]) -> Ran {
    let mut args = vec!["learn", "--yes", "--table", table, "--region", REGION];
    args.extend(more);
    let address = cloudtrail.address();
    laptop.run_bare(
        &args,
        &[
            ("AWS_ENDPOINT_URL_CLOUDTRAIL", &address),
            ("AWS_ENDPOINT_URL_STS", &address),
        ],
    )
}

/// Reads one page by `test`, and is refused the second.
fn interrupted(laptop: &Deployment) -> String {
    let broken = CloudTrail::start(vec![
        Answer::page(&[record("2", T2, &iam_user("test"))], Some("second")),
        Answer::Error(400, "AccessDeniedException"),
    ]);
    let ran = learn_as(laptop, &broken, &laptop.stack.uploaders, &[]);
    assert_eq!(ran.code, 2);
    fs::read_to_string(laptop.folder.path().join("pushwatch-learn.json")).unwrap()
}

#[test]
#[ignore = "needs moto"]
fn learn_goes_on_only_with_its_own_account_table_regions_and_days() {
    let laptop = Deployment::new();
    let kept = interrupted(&laptop);
    let other = block_on(Stack::create());
    let own = &laptop.stack.uploaders;
    for (account, table, more) in [
        ("444455556666", own, &[][..]),
        ("111122223333", &other.uploaders, &[]),
        ("111122223333", own, &["--lookup-region", "us-east-1"]),
        ("111122223333", own, &["--days", "30"]),
    ] {
        // It fails after a page, and nothing of it is kept.
        let cloudtrail = CloudTrail::start_of(
            account,
            vec![
                Answer::page(&[record("9", T1, &iam_user("far"))], Some("second")),
                Answer::Error(400, "AccessDeniedException"),
            ],
        );
        let ran = learn_as(&laptop, &cloudtrail, table, more);
        assert_eq!(ran.code, 2);
        let lines: Vec<_> = ran.err.lines().collect();
        assert_eq!(lines.len(), 2, "{}", ran.err);
        let belongs = format!(
            "pushwatch-learn.json belongs to account 111122223333, the table {own} in {REGION}"
        );
        assert!(lines[0].starts_with(&belongs), "{}", ran.err);
        assert!(lines[0].contains("90 days of the history of eu-central-1;"));
        assert!(lines[0].contains("--progress"), "{}", ran.err);
        assert!(!lines[1].contains("run it again"), "{}", ran.err);
        let left = fs::read_to_string(laptop.folder.path().join("pushwatch-learn.json"));
        assert_eq!(left.unwrap(), kept);

        // With a file of its own, both go their way.
        let whole = CloudTrail::start_of(
            account,
            vec![Answer::page(&[record("9", T1, &iam_user("far"))], None)],
        );
        let more = [more, &["--progress", "other.json"]].concat();
        let ran = succeeded(learn_as(&laptop, &whole, table, &more));
        assert!(!ran.err.contains("belongs"), "{}", ran.err);
        assert_eq!(whole.asked().len(), 1);
        assert!(!laptop.folder.path().join("other.json").exists());
    }
    assert!(laptop.uploader(TEST_USER).is_null());
    let rest = CloudTrail::start(vec![Answer::page(
        &[record("1", T1, &iam_user("test"))],
        None,
    )]);
    let ran = succeeded(learn_as(&laptop, &rest, own, &[]));
    assert!(ran.err.starts_with("Going on from"), "{}", ran.err);
    assert_eq!(laptop.uploader(TEST_USER)["pushes"], 2);
    assert!(!self::kept(laptop.folder.path()));
}

#[test]
#[ignore = "needs moto"]
fn learn_begins_anew_after_a_day_and_on_a_file_of_an_earlier_version() {
    let laptop = Deployment::new();
    let kept: Value = serde_json::from_str(&interrupted(&laptop)).unwrap();
    let now = jiff::Timestamp::now();
    let of = |hours: i64| {
        let mut kept = kept.clone();
        kept["until"] = json!((now - jiff::SignedDuration::from_hours(hours)).to_string());
        kept
    };
    let mut earlier = kept.clone();
    earlier.as_object_mut().unwrap().remove("boundTo");
    for (file, pushes, said) in [
        (of(23), 2, "Going on from pushwatch-learn.json"),
        (
            of(25),
            1,
            "pushwatch-learn.json is not of the last 24 hours: beginning anew",
        ),
        (
            of(-2),
            1,
            "pushwatch-learn.json is not of the last 24 hours: beginning anew",
        ),
        (
            earlier,
            1,
            "pushwatch-learn.json is of an earlier version, which did not note whose it is: beginning anew",
        ),
    ] {
        laptop.write("pushwatch-learn.json", &file.to_string());
        let cloudtrail = CloudTrail::start(vec![Answer::page(
            &[record("1", T1, &iam_user("test"))],
            None,
        )]);
        let ran = succeeded(learn_as(&laptop, &cloudtrail, &laptop.stack.uploaders, &[]));
        assert!(ran.err.starts_with(said), "{}", ran.err);
        assert_eq!(laptop.uploader(TEST_USER)["pushes"], pushes, "{said}");
        assert!(!self::kept(laptop.folder.path()));
        succeeded(laptop.run(&["uploaders", "forget", TEST_USER, "--yes"]));
    }
    // What is none of ours is not overwritten.
    for text in ["{}", "nonsense", "{\"from\":1}"] {
        laptop.write("pushwatch-learn.json", text);
        let cloudtrail = CloudTrail::start(Vec::new());
        let ran = learn_as(&laptop, &cloudtrail, &laptop.stack.uploaders, &[]);
        assert_eq!(ran.code, 2);
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
        assert!(ran.err.contains("--progress"), "{}", ran.err);
        assert!(cloudtrail.asked().is_empty());
    }
}

#[test]
#[ignore = "needs moto"]
fn learn_ends_its_progress_when_all_is_read_and_there_is_nobody_to_learn() {
    let laptop = Deployment::new();
    let cloudtrail = CloudTrail::start(vec![
        Answer::page(&[], None),
        Answer::page(&[record("1", T1, &iam_user("test"))], None),
        Answer::page(&[record("1", T1, &iam_user("test"))], None),
    ]);
    let table = &laptop.stack.uploaders;
    for said in [
        "There is nobody to learn.\n",
        "Learned 1 uploader.\n",
        "The uploader whom history shows is known already.\n",
    ] {
        let ran = succeeded(learn_as(&laptop, &cloudtrail, table, &[]));
        assert!(ran.err.ends_with(said), "{}", ran.err);
        assert!(!kept(laptop.folder.path()));
    }
    assert_eq!(cloudtrail.asked().len(), 3);
}

#[test]
fn learn_says_learned_only_once_it_is_written() {
    let laptop = Laptop::new();
    laptop.write("trail.json", &json!({"Records": history()}).to_string());
    let args = ["learn", "trail.json", "--yes", "--file", "none/known.jsonl"];
    let ran = laptop.run_bare(&args, &[]);
    assert_eq!(ran.code, 2);
    assert!(!ran.err.contains("Learned"), "{}", ran.err);
}

#[test]
#[ignore = "needs moto"]
fn an_endpoint_that_never_answers_is_given_up_within_half_a_minute() {
    let laptop = Deployment::new();
    let cloudtrail = CloudTrail::start((0..20).map(|_| Answer::Hang).collect());
    let began = std::time::Instant::now();
    let ran = learn_as(&laptop, &cloudtrail, &laptop.stack.uploaders, &[]);
    let waited = began.elapsed();
    assert_eq!(ran.code, 2);
    assert!(waited < Duration::from_secs(35), "{waited:?}");
    assert_eq!(
        ran.err,
        "error: CloudTrail LookupEvents in eu-central-1: no answer in time; \
         check the region and your connection\n"
    );
    assert!(!kept(laptop.folder.path()));
}

#[test]
#[ignore = "needs moto"]
fn what_is_wrong_with_credentials_and_rights_is_said_with_what_to_do() {
    let laptop = Deployment::new();
    for (code, said) in [
        ("ExpiredTokenException", "sign in again (`aws login`"),
        ("UnrecognizedClientException", "check AWS_PROFILE"),
        (
            "AccessDeniedException",
            "the right cloudtrail:LookupEvents is missing",
        ),
    ] {
        let cloudtrail = CloudTrail::start(vec![Answer::Error(400, code)]);
        let ran = learn_as(&laptop, &cloudtrail, &laptop.stack.uploaders, &[]);
        assert_eq!(ran.code, 2);
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
        assert!(
            ran.err.contains(code) && ran.err.contains(said),
            "{}",
            ran.err
        );
        assert!(!ran.err.contains("run it again"), "{}", ran.err);
    }
    let list = ["uploaders", "list", "--table", "x"];
    let none = [
        ("AWS_ACCESS_KEY_ID", ""),
        ("AWS_SECRET_ACCESS_KEY", ""),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    let with = |more: &[(&'static str, &'static str)]| [&none[..], more].concat();
    laptop.write(
        "config",
        "[profile half]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\n",
    );
    let config = ("AWS_CONFIG_FILE", "config");
    let region = ("AWS_REGION", REGION);
    for (args, environment, said) in [
        (
            &list[..],
            with(&[("AWS_PROFILE", "nope\u{1b}[31m")]),
            "AWS_PROFILE names the profile nope\\u{1b}[31m, which does not exist; `aws configure list-profiles`",
        ),
        (
            &list,
            with(&[region, config, ("AWS_PROFILE", "half")]),
            "missing aws_secret_access_key; sign in",
        ),
        (
            &list,
            with(&[region]),
            "Environment: environment variable not set, Profile: ",
        ),
        (
            &list,
            vec![("AWS_REGION", "mars")],
            "`mars` can't be a region; give one such as eu-central-1 with --region or AWS_REGION",
        ),
        (
            &["learn", "--file", "f", "--lookup-region", "mars"],
            vec![],
            "give one such as eu-central-1 with --lookup-region",
        ),
        (
            &["uploaders", "list", "--stack", ""],
            vec![],
            "--stack is empty, maybe since a variable is; give a name",
        ),
        (
            &["replay", "--stack", "", "f"],
            vec![],
            "--stack is empty, maybe since a variable is; give a name",
        ),
        (
            &["uploaders", "list", "--table", "x", "--region", ""],
            vec![],
            "--region or AWS_REGION is empty",
        ),
        (
            &["uploaders", "show", "", "--table", "x"],
            vec![region],
            "the KEY is empty, maybe since a variable is; `pushwatch uploaders list` shows the keys",
        ),
    ] {
        let ran = laptop.run_bare(args, &environment);
        assert_eq!(ran.code, 2);
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
        assert!(ran.err.contains(said), "{args:?} {}", ran.err);
    }
}

#[test]
fn what_is_waited_for_is_named_on_a_terminal_only() {
    let laptop = Laptop::new();
    let script = Path::new("/usr/bin/script");
    for is_terminal in [false, true] {
        if is_terminal && !script.is_file() {
            continue;
        }
        let cloudtrail = CloudTrail::start(vec![
            Answer::Error(400, "ThrottlingException"),
            Answer::page(&[], None),
        ]);
        let address = cloudtrail.address();
        let learn = [
            env!("CARGO_BIN_EXE_pushwatch"),
            "learn",
            "--file",
            "known.jsonl",
        ];
        let (program, args) = if is_terminal {
            let command = shlex::try_join(learn).unwrap();
            (
                script,
                vec!["-qec".to_owned(), command, "/dev/null".to_owned()],
            )
        } else {
            let args = learn[1..].iter().map(ToString::to_string).collect();
            (Path::new(learn[0]), args)
        };
        let output = Command::new(program)
            .current_dir(laptop.folder.path())
            .env_clear()
            .envs([
                ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
                ("AWS_SECRET_ACCESS_KEY", "secret"),
                ("AWS_REGION", REGION),
                ("AWS_ENDPOINT_URL", &address),
                ("TERM", "xterm"),
                ("SHELL", "/bin/sh"),
            ])
            .args(args)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success());
        let shown = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        if is_terminal {
            for what in [
                "waiting for CloudTrail in eu-central-1",
                "CloudTrail allows two calls a second",
            ] {
                assert!(shown.contains(what), "{shown:?}");
            }
        } else {
            assert_eq!(shown, "There is nobody to learn.\n");
        }
    }
}
