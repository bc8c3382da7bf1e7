//! `pushwatch uploaders` on the tables of a deployment, and together with the built
//! function.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::block_on;
use crate::support::cli::{Laptop, Ran, pushwatch_on_terminal, succeeded};
use crate::support::deployment::{Deployment, outcome, push};
use crate::support::events::{CI_ROLE, TEST_USER, envelope, record, role_session};
use crate::support::fault_proxy::{Fault, FaultProxy};
use crate::support::lambda::Function;
use crate::support::moto::{REGION, create_stack};

const T1: &str = "2026-01-01T00:00:00Z";
const T2: &str = "2026-01-02T00:00:00Z";
const NEWBIE: &str = "arn:aws:iam::111122223333:user/newbie";

#[test]
#[ignore = "needs moto"]
fn trust_silences_the_first_push_of_somebody_not_seen_yet() {
    let laptop = Deployment::new();
    let ran = succeeded(laptop.run(&["uploaders", "trust", NEWBIE, "--reason", "ticket 42"]));
    assert!(
        ran.err.contains("no push by it was seen yet"),
        "{}",
        ran.err
    );
    let trusted = laptop.uploader(NEWBIE);
    assert_eq!(trusted["standing"], "trusted");
    assert_eq!(trusted["trustReason"], "ticket 42");
    assert!(
        trusted["trustedBy"]
            .as_str()
            .unwrap()
            .starts_with("arn:aws:")
    );
    assert!(trusted["trustedAt"].as_str().unwrap().ends_with('Z'));
    assert_eq!(trusted["name"], "newbie");
    assert_eq!(trusted["firstSeen"], Value::Null);

    let function = Function::start(&laptop.stack, &[]);
    assert_eq!(outcome(&function, &push("1", T1, "newbie")), "known");
    assert_eq!(outcome(&function, &push("2", T2, "newbie")), "known");
    assert!(function.proxy.messages().is_empty());
    let seen = laptop.uploader(NEWBIE);
    assert_eq!(seen["firstSeen"], T1);
    // What the function writes keeps who trusted, and when.
    assert_eq!(seen["trustedAt"], trusted["trustedAt"]);
}

#[test]
#[ignore = "needs moto"]
fn trust_that_has_ended_is_told() {
    let laptop = Deployment::new();
    let function = Function::start(&laptop.stack, &[]);
    succeeded(laptop.run(&[
        "uploaders",
        "trust",
        NEWBIE,
        "--reason",
        "migration",
        "--until",
        "1d",
    ]));
    let now = jiff::Timestamp::now();
    let before = now.to_string();
    assert_eq!(outcome(&function, &push("1", &before, "newbie")), "known");
    // The function takes times up to 15 minutes ahead; so the trust's end moves.
    let mut item = block_on(laptop.stack.uploader(NEWBIE));
    let ended = pushwatch::time::whole_seconds(now).to_string();
    let ended = aws_sdk_dynamodb::types::AttributeValue::S(ended);
    item.insert("trustedUntil".to_owned(), ended);
    block_on(laptop.stack.put(&laptop.stack.uploaders, item));
    let after = (now + jiff::SignedDuration::from_mins(1)).to_string();
    assert_eq!(
        outcome(&function, &push("2", &after, "newbie")),
        "finding_published"
    );
    assert_eq!(function.proxy.bodies().len(), 1);
}

#[test]
#[ignore = "needs moto"]
fn revoke_makes_the_next_push_critical() {
    let laptop = Deployment::new();
    let function = Function::start(&laptop.stack, &[]);
    assert_eq!(
        outcome(&function, &push("1", T1, "test")),
        "finding_published"
    );
    for key in [TEST_USER, NEWBIE] {
        succeeded(laptop.run(&["uploaders", "revoke", key, "--reason", "left"]));
    }
    let revoked = laptop.uploader(TEST_USER);
    assert_eq!(revoked["standing"], "revoked");
    assert_eq!(revoked["revokeReason"], "left");
    assert_eq!(revoked["firstSeen"], T1);
    for (id, name) in [("2", "test"), ("3", "newbie"), ("4", "test")] {
        assert_eq!(outcome(&function, &push(id, T2, name)), "finding_published");
        let subjects = function.proxy.messages();
        assert!(
            subjects.last().unwrap().0.starts_with("[CRITICAL]"),
            "{subjects:?}"
        );
    }
    assert!(laptop.uploader(TEST_USER)["revokedBy"].is_string());
}

/// The e-mail's command is what its reader types.
#[test]
#[ignore = "needs moto"]
fn a_finding_s_own_command_trusts_its_uploader() {
    let laptop = Deployment::new();
    let function = Function::start(&laptop.stack, &[]);
    let session = record("1", T1, &role_session("ci/build", "i-0abc"));
    assert_eq!(outcome(&function, &envelope(&session)), "finding_published");
    let messages = function.proxy.messages();
    let message: Value = serde_json::from_str(&messages[0].1).unwrap();
    let command = message["email"]
        .as_str()
        .unwrap()
        .lines()
        .find_map(|line| line.find("pushwatch uploaders trust").map(|at| &line[at..]))
        .expect("the message has the command")
        .replace("'why'", "'the build'");
    let words = shlex::split(&command).unwrap();
    let words: Vec<_> = words[1..].iter().map(String::as_str).collect();
    succeeded(laptop.run_bare(&words, &[]));
    let trusted = laptop.uploader(CI_ROLE);
    assert_eq!(trusted["standing"], "trusted");
    assert_eq!(trusted["trustReason"], "the build");
    assert_eq!(trusted["pushes"], 1);
}

#[test]
#[ignore = "needs moto"]
fn who_was_forgotten_is_new_again_and_what_is_owed_is_said() {
    let laptop = Deployment::new();
    let function = Function::start(&laptop.stack, &[]);
    function
        .proxy
        .sns_is_down
        .store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(
        outcome(&function, &push("1", T1, "test")),
        "finding_deferred"
    );
    let owed = block_on(laptop.stack.findings())[0]["findingId"].clone();

    let ran = laptop.run(&["uploaders", "forget", TEST_USER]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains(owed.as_str().unwrap()), "{}", ran.err);
    assert!(ran.err.contains("--yes"), "{}", ran.err);
    assert_eq!(laptop.uploader(TEST_USER)["standing"], "new");

    succeeded(laptop.run(&["uploaders", "forget", TEST_USER, "--yes"]));
    assert_eq!(laptop.uploader(TEST_USER), Value::Null);
    function
        .proxy
        .sns_is_down
        .store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(
        outcome(&function, &push("2", T2, "test")),
        "finding_published"
    );
}

#[test]
#[ignore = "needs moto"]
fn every_change_is_the_same_on_a_file_and_on_a_table() {
    let laptop = Deployment::new();
    let on_both = |command: &[&str]| {
        let table = laptop.run(command);
        let mut args = command.to_vec();
        args.extend(["--file", "known.jsonl"]);
        let file = laptop.run_bare(&args, &[("USER", "alice")]);
        // Who did it before differs, and at which second.
        let alike = |ran: &Ran| {
            let differs = |text: &str| Some((text.find(" by ")?, text.find("Z)")?));
            let mut text = ran.err.clone();
            if let Some((from, to)) = differs(&text) {
                text.replace_range(from..to, "");
            }
            text
        };
        assert_eq!(
            (table.code, alike(&table)),
            (file.code, alike(&file)),
            "{command:?}"
        );
    };
    on_both(&[
        "uploaders",
        "trust",
        NEWBIE,
        "--reason",
        "x",
        "--until",
        "2099-12-31",
    ]);
    on_both(&["uploaders", "revoke", TEST_USER]);
    on_both(&["uploaders", "trust", TEST_USER, "--reason", "yes", "--yes"]);
    on_both(&[
        "uploaders",
        "trust",
        "arn:aws:sts::111122223333:assumed-role/build/i-0",
        "--reason",
        "x",
    ]);
    on_both(&[
        "uploaders",
        "trust",
        "arn:aws:iam::111122223333:group/devs",
        "--reason",
        "x",
    ]);
    on_both(&[
        "uploaders",
        "trust",
        NEWBIE,
        "--reason",
        "x",
        "--until",
        "2020-01-01",
    ]);
    on_both(&[
        "uploaders",
        "trust",
        "arn:aws:iam::*:user/**",
        "--reason",
        "all",
        "--yes",
    ]);
    on_both(&["uploaders", "show", "arn:aws:iam::111122223333:user/nobody"]);

    let known = |ran: Ran| {
        let mut known: Vec<Value> = ran
            .out
            .lines()
            .map(|line| {
                let mut record: Value = serde_json::from_str(line).unwrap();
                let fields = record.as_object_mut().unwrap();
                // Who and when differ.
                assert!(fields.remove("trustedBy").is_some());
                assert!(fields.remove("trustedAt").is_some());
                fields.remove("revokedBy");
                fields.remove("revokedAt");
                record
            })
            .collect();
        known.sort_by_key(|record| record["uploader"].to_string());
        known
    };
    let table = known(laptop.run(&["uploaders", "list", "--json"]));
    let file = known(laptop.run_bare(
        &["uploaders", "list", "--json", "--file", "known.jsonl"],
        &[],
    ));
    assert_eq!(table, file);
    assert_eq!(table.len(), 3);
}

#[test]
#[ignore = "needs moto"]
fn show_tells_everything_with_the_finding() {
    let laptop = Deployment::new();
    let function = Function::start(&laptop.stack, &[]);
    outcome(&function, &push("1", T1, "test"));
    let ran = succeeded(laptop.run(&["uploaders", "show", TEST_USER]));
    for text in [
        "standing       new",
        "first seen     2026-01-01T00:00:00Z",
        "repository     team/app",
        "The last finding, published",
        "[HIGH] IAM user test, who was never seen before, pushed",
        "IF YOU EXPECTED IT",
        &format!(
            "uploaders trust {TEST_USER} --reason 'why' --table {}",
            laptop.stack.uploaders
        ),
    ] {
        assert!(ran.out.contains(text), "{text}\n{}", ran.out);
    }
    let json = succeeded(laptop.run(&["uploaders", "show", TEST_USER, "--json"]));
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["uploader"]["standing"], "new");
    assert_eq!(json["finding"]["reason"], "new_uploader");
    // Without the findings table it says how to see it.
    let table = &laptop.stack.uploaders;
    let bare = [
        "uploaders",
        "show",
        TEST_USER,
        "--table",
        table,
        "--region",
        REGION,
    ];
    let ran = succeeded(laptop.run_bare(&bare, &[]));
    assert!(ran.err.contains("--findings-table"), "{}", ran.err);
    // As a list of findings says to type it.
    let named = [&bare[..], &["--findings-table", &laptop.stack.findings]].concat();
    let ran = succeeded(laptop.run_bare(&named, &[]));
    assert!(ran.out.contains("IF YOU EXPECTED IT"), "{}", ran.out);
}

#[test]
#[ignore = "needs moto"]
fn list_filters_and_sorts() {
    let laptop = Deployment::new();
    let recent = (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1)).to_string();
    laptop.write(
        "list.jsonl",
        &format!(
            "{}\n{}\n{}\n",
            json!({"uploader": "arn:aws:iam::111122223333:user/old", "name": "old", "standing": "new",
                   "accountId": "111122223333", "firstSeen": T1, "lastSeen": T1, "pushes": 9}),
            json!({"uploader": "arn:aws:iam::444455556666:user/other", "name": "other", "standing": "learned",
                   "accountId": "444455556666", "firstSeen": T1, "lastSeen": recent, "pushes": 1}),
            json!({"uploader": "arn:aws:iam::111122223333:user/gone", "name": "gone", "standing": "revoked",
                   "accountId": "111122223333", "firstSeen": T2, "lastSeen": T2, "pushes": 2}),
        ),
    );
    succeeded(laptop.run(&["uploaders", "import", "list.jsonl"]));
    for (options, names) in [
        (&[][..], &["other", "gone", "old"][..]),
        (
            &["--standing", "new", "--standing", "revoked"],
            &["gone", "old"],
        ),
        (&["--since", "7d"], &["other"]),
        (&["--since", "2026-01-02"], &["other", "gone"]),
        (&["--account", "111122223333"], &["gone", "old"]),
        (&["--sort", "name"], &["gone", "old", "other"]),
        (&["--sort", "pushes", "--limit", "2"], &["old", "gone"]),
    ] {
        let mut args = vec!["uploaders", "list"];
        args.extend(options);
        let ran = succeeded(laptop.run(&args));
        let mut lines = ran.out.lines();
        assert!(lines.next().unwrap().starts_with("NAME"), "{}", ran.out);
        let listed: Vec<_> = lines
            .map(|line| line.split_whitespace().next().unwrap())
            .collect();
        assert_eq!(listed, names, "{options:?}");
    }
    let ran = laptop.run(&["uploaders", "list"]);
    assert!(ran.out.contains("1 hour ago"), "{}", ran.out);
    let ran = laptop.run(&["uploaders", "list", "--standing", "suppressed"]);
    assert!(ran.err.contains("no such uploader"), "{}", ran.err);
    for (options, counted) in [
        (&[][..], "3 of 3 uploaders\n"),
        (&["--standing", "new"], "1 of 3 uploaders\n"),
        (&["--limit", "2"], "2 of 3 uploaders\n"),
        (&["--json"], ""),
    ] {
        let ran = laptop.run(&[&["uploaders", "list"], options].concat());
        assert_eq!(ran.err, counted, "{options:?}");
    }
    let ran = laptop.run(&["uploaders", "list", "--limit", "0"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));

    // On a terminal no line is broken but a key's.
    succeeded(laptop.run(&["uploaders", "export", "--output", "known.jsonl"]));
    let on_terminal = |columns: u16| {
        let args = ["uploaders", "list", "--file", "known.jsonl"];
        pushwatch_on_terminal(laptop.folder.path(), &args, &[], "", columns).out
    };
    let wide = on_terminal(200);
    assert_eq!(wide.lines().count(), 5, "{wide}");
    let narrow = on_terminal(80);
    assert_eq!(narrow.lines().count(), 8, "{narrow}");
    assert!(
        narrow.contains("\n  arn:aws:iam::444455556666:user/other\n")
            && narrow.ends_with("3 of 3 uploaders\n"),
        "{narrow}"
    );
}

#[test]
#[ignore = "needs moto"]
fn a_glob_shows_whom_it_matches_and_asks() {
    let laptop = Deployment::new();
    laptop.write("keys.txt", "arn:aws:iam::111122223333:role/ci-a\narn:aws:iam::111122223333:role/ci-b\narn:aws:iam::111122223333:role/web\n");
    succeeded(laptop.run(&["uploaders", "import", "keys.txt"]));
    let glob = "arn:aws:iam::*:role/ci-*";
    let ran = laptop.run(&["uploaders", "revoke", glob]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("role/ci-a (trusted)") && ran.err.contains("role/ci-b (trusted)"));
    assert!(!ran.err.contains("role/web"), "{}", ran.err);
    succeeded(laptop.run(&["uploaders", "revoke", glob, "--yes"]));
    assert_eq!(
        laptop.uploader("arn:aws:iam::111122223333:role/ci-b")["standing"],
        "revoked"
    );
    assert_eq!(
        laptop.uploader("arn:aws:iam::111122223333:role/web")["standing"],
        "trusted"
    );
    let ran = laptop.run(&[
        "uploaders",
        "trust",
        "arn:aws:iam::*:role/x-*",
        "--reason",
        "x",
    ]);
    assert!(ran.err.contains("matches no uploader"), "{}", ran.err);
}

#[test]
#[ignore = "needs moto"]
fn trust_of_somebody_revoked_asks_and_both_histories_are_kept() {
    const FEDERATED: &str = "federated:arn:aws:iam::111122223333:user/broker/mary";
    let laptop = Deployment::new();
    succeeded(laptop.run(&[
        "uploaders",
        "trust",
        NEWBIE,
        "--reason",
        "migration",
        "--until",
        "9d",
    ]));
    succeeded(laptop.run(&["uploaders", "revoke", NEWBIE, "--reason", "left us"]));
    let revoked = laptop.uploader(NEWBIE);
    assert_eq!(revoked["trustReason"], "migration");
    assert_eq!(revoked["trustedUntil"], Value::Null);

    let ran = laptop.run(&["uploaders", "trust", NEWBIE, "--reason", "back"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains(" was revoked by arn:aws:")
            && ran.err.contains(" just now (20")
            && ran.err.contains("): left us\n"),
        "{}",
        ran.err
    );
    assert_eq!(laptop.uploader(NEWBIE), revoked);
    let ran = succeeded(laptop.run(&["uploaders", "trust", NEWBIE, "--reason", "back", "--yes"]));
    assert!(ran.err.contains("left us"), "{}", ran.err);
    let shown = succeeded(laptop.run(&["uploaders", "show", NEWBIE])).out;
    for told in [
        "standing       trusted",
        "trusted by     arn:",
        "trust reason   back",
        "was revoked by arn:",
        "revoke reason  left us",
    ] {
        assert!(shown.contains(told), "{told}\n{shown}");
    }

    // A record of its own would end a revocation under the former key.
    let former = "arn:aws:sts::111122223333:federated-user/mary";
    succeeded(laptop.run(&["uploaders", "revoke", former, "--reason", "left"]));
    let ran = laptop.run(&["uploaders", "trust", FEDERATED, "--reason", "x"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains(&format!("{former} was revoked")),
        "{}",
        ran.err
    );
    laptop.write("keys.txt", FEDERATED);
    let ran = succeeded(laptop.run(&["uploaders", "import", "keys.txt"]));
    assert!(ran.err.contains("1 is revoked and stays so"), "{}", ran.err);
    assert_eq!(laptop.uploader(FEDERATED), Value::Null);
}

#[test]
#[ignore = "needs moto"]
fn import_reads_standard_input() {
    let laptop = Deployment::new();
    let keys: Vec<_> = (0..72)
        .map(|number| format!("arn:aws:iam::111122223333:user/u{number:02}"))
        .collect();
    laptop.write("keys.txt", &keys.join("\n"));
    let program = env!("CARGO_BIN_EXE_pushwatch");
    let input = format!("{program} uploaders import - --yes \"$@\" < keys.txt");
    let ran = Command::new("sh")
        .current_dir(laptop.folder.path())
        .args(["-c", &input, "sh", "--table", &laptop.stack.uploaders])
        .args(["--region", REGION])
        .env_clear()
        .envs([
            ("AWS_ENDPOINT_URL", laptop.endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ])
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    assert_eq!(block_on(laptop.stack.uploaders()).len(), 72);
}

#[test]
#[ignore = "needs moto"]
fn import_takes_every_kind_of_list_and_names_each_bad_line() {
    let laptop = Deployment::new();
    laptop.write(
        "list.csv",
        "Name,ARN,Reason,Standing,Until\n\
         Carol,arn:aws:iam::111122223333:user/carol,\"build, ours\",,2099-01-01\n\
         Devs,arn:aws:iam::111122223333:group/devs,,,\n\
         Dan,arn:aws:iam::111122223333:user/dan,left,revoked,\n\
         Eve,arn:aws:iam::111122223333:user/eve,,odd,\n\
         Build,arn:aws:sts::111122223333:assumed-role/build/i-0,,,\n\
         short,line\n",
    );
    let ran = laptop.run(&["uploaders", "import", "list.csv"]);
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!("bad_lines_of_a_list", ran.err);
    assert!(block_on(laptop.stack.uploaders()).is_empty());

    let ran = succeeded(laptop.run(&["uploaders", "import", "list.csv", "--skip-bad"]));
    assert!(
        ran.err.contains("Added 3, changed 0, unchanged 0."),
        "{}",
        ran.err
    );
    let carol = laptop.uploader("arn:aws:iam::111122223333:user/carol");
    assert_eq!(carol["trustReason"], "build, ours");
    assert_eq!(carol["trustedUntil"], "2099-01-01T00:00:00Z");
    assert_eq!(
        laptop.uploader("arn:aws:iam::111122223333:user/dan")["standing"],
        "revoked"
    );
    assert_eq!(
        laptop.uploader("arn:aws:iam::111122223333:role/build")["standing"],
        "trusted"
    );

    laptop.write(
        "keys.txt",
        "# ours\narn:aws:iam::111122223333:user/fay # the build\nbob\n\n*\n",
    );
    let ran = laptop.run(&["uploaders", "import", "keys.txt"]);
    assert!(
        ran.err
            .contains("keys.txt: line 3: `bob` is no uploader key"),
        "{}",
        ran.err
    );
    assert!(
        ran.err.contains("keys.txt: line 5: `*` is a glob"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("2 bad lines"), "{}", ran.err);
}

#[test]
#[ignore = "needs moto"]
fn import_never_takes_away_what_was_seen_and_can_be_run_again() {
    let laptop = Deployment::new();
    let function = Function::start(&laptop.stack, &[]);
    outcome(&function, &push("1", T1, "test"));
    outcome(&function, &push("2", T2, "test"));
    succeeded(laptop.run(&["uploaders", "revoke", NEWBIE]));
    laptop.write(
        "keys.txt",
        &format!("{TEST_USER}\n{NEWBIE}\n{CI_ROLE}\n{CI_ROLE}\n"),
    );
    let ran = succeeded(laptop.run(&["uploaders", "import", "keys.txt", "--reason", "ours"]));
    assert!(
        ran.err.contains("Added 1, changed 1, unchanged 0."),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("1 is revoked and stays so"), "{}", ran.err);
    let test = laptop.uploader(TEST_USER);
    assert_eq!(test["standing"], "trusted");
    assert_eq!(
        (&test["firstSeen"], &test["lastSeen"]),
        (&json!(T1), &json!(T2))
    );
    assert_eq!(test["pushes"], 2);
    assert_eq!(test["lastPush"]["repository"], "team/app");
    assert_eq!(test["trustReason"], "ours");
    assert_eq!(laptop.uploader(NEWBIE)["standing"], "revoked");

    let before = block_on(laptop.stack.uploaders());
    let ran = succeeded(laptop.run(&["uploaders", "import", "keys.txt"]));
    assert!(
        ran.err.contains("Added 0, changed 0, unchanged 2."),
        "{}",
        ran.err
    );
    assert_eq!(block_on(laptop.stack.uploaders()), before);
}

#[test]
#[ignore = "needs moto"]
fn import_of_many_writes_each_once_and_export_gives_them_back() {
    let laptop = Deployment::new();
    let keys: Vec<_> = (0..1200)
        .map(|number| format!("arn:aws:iam::111122223333:user/u{number:04}"))
        .collect();
    laptop.write("keys.txt", &keys.join("\n"));
    succeeded(laptop.run(&["uploaders", "import", "keys.txt", "--yes"]));
    let ran = succeeded(laptop.run(&["uploaders", "export", "--output", "all.jsonl"]));
    assert_eq!(ran.out, "");
    let exported = fs::read_to_string(laptop.folder.path().join("all.jsonl")).unwrap();
    let mut exported: Vec<_> = exported
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["uploader"].clone())
        .collect();
    exported.sort_by_key(Value::to_string);
    assert_eq!(exported, keys);
    // What was exported, another table imports.
    let other = Deployment::new();
    fs::copy(
        laptop.folder.path().join("all.jsonl"),
        other.folder.path().join("all.jsonl"),
    )
    .unwrap();
    let ran = succeeded(other.run(&["uploaders", "import", "all.jsonl", "--yes"]));
    assert!(ran.err.contains("Added 1200"), "{}", ran.err);
    let trusted_by = |laptop: &Deployment| {
        let shown = succeeded(laptop.run(&["uploaders", "show", &keys[7], "--json"])).out;
        let shown: Value = serde_json::from_str(&shown).unwrap();
        shown["uploader"]["trustedBy"].clone()
    };
    assert!(trusted_by(&laptop).is_string());
    assert_eq!(trusted_by(&laptop), trusted_by(&other));
}

#[test]
#[ignore = "needs moto"]
fn an_import_that_is_stopped_goes_on_by_the_same_command() {
    let deployment = Deployment::new();
    let keys: Vec<_> = (0..300)
        .map(|number| format!("arn:aws:iam::111122223333:user/u{number:03}"))
        .collect();
    deployment.write("keys.txt", &keys.join("\n"));
    let proxy = FaultProxy::start();
    let mut writes = 0;
    proxy.leave_to(Box::new(move |request| {
        writes += usize::from(request.contains("DynamoDB_20120810.PutItem"));
        (writes > 100).then_some(Fault::NoAnswer)
    }));
    let mut importing = Command::new(env!("CARGO_BIN_EXE_pushwatch"))
        .current_dir(deployment.folder.path())
        .env_clear()
        .envs([
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            (
                "AWS_ENDPOINT_URL",
                &format!("http://127.0.0.1:{}", proxy.port),
            ),
        ])
        .args(["uploaders", "import", "keys.txt", "--yes", "--table"])
        .args([&deployment.stack.uploaders, "--region", REGION])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let written = || block_on(deployment.stack.uploaders());
    while written().len() < 100 {
        std::thread::sleep(Duration::from_millis(20));
        assert!(importing.try_wait().unwrap().is_none(), "it ended before");
    }
    importing.kill().unwrap();
    importing.wait().unwrap();
    for record in written() {
        assert_eq!(record["standing"], "trusted", "{record}");
        assert!(record["trustedAt"].is_string(), "{record}");
    }
    let ran = succeeded(deployment.run(&["uploaders", "import", "keys.txt", "--yes"]));
    let counts = "Added 200, changed 0, unchanged 100.";
    assert!(ran.err.contains(counts), "{}", ran.err);
    assert_eq!(written().len(), 300);
}

#[test]
#[ignore = "needs moto"]
fn names_on_the_terminal_are_clean() {
    let laptop = Deployment::new();
    let evil = "evil\u{1b}[2J\u{202e}\nname";
    let key = format!("arn:aws:iam::111122223333:user/{evil}");
    let line = json!({"uploader": key, "name": evil, "standing": "new", "firstSeen": T1, "lastSeen": T1,
                      "lastPush": {"repository": evil, "tag": evil}, "trustReason": evil});
    laptop.write("evil.jsonl", &line.to_string());
    for command in [
        &["uploaders", "import", "evil.jsonl"][..],
        &["uploaders", "list"],
        &["uploaders", "list", "--json"],
        &["uploaders", "show", &key],
        &["uploaders", "show", &key, "--json"],
        &[
            "uploaders",
            "trust",
            "arn:aws:iam::*:user/*",
            "--reason",
            evil,
            "--yes",
        ],
        &["uploaders", "export"],
        &["uploaders", "forget", &key, "--yes"],
    ] {
        let ran = succeeded(laptop.run(command));
        for text in [&ran.out, &ran.err] {
            assert!(
                !text.contains(['\u{1b}', '\u{202e}', '\r']),
                "{command:?} {text:?}"
            );
            assert!(
                !text.lines().any(|line| line.starts_with("name")),
                "{command:?} {text}"
            );
        }
    }
}

#[test]
#[ignore = "needs moto"]
fn a_damaged_record_is_named_and_the_others_are_listed() {
    let laptop = Deployment::new();
    succeeded(laptop.run(&["uploaders", "trust", NEWBIE, "--reason", "x"]));
    let damaged = json!({"uploader": TEST_USER, "standing": "new", "lastSeen": "yesterday"});
    let table = &laptop.stack.uploaders;
    block_on(
        laptop
            .stack
            .put(table, serde_dynamo::to_item(damaged).unwrap()),
    );
    let ran = laptop.run(&["uploaders", "list"]);
    assert_eq!(ran.code, 2);
    assert!(ran.out.contains("newbie"), "{}", ran.out);
    assert!(
        ran.err.contains(TEST_USER) && ran.err.contains("damaged"),
        "{}",
        ran.err
    );
}

#[test]
#[ignore = "needs moto"]
fn a_mistake_is_one_line_that_says_what_to_do() {
    let laptop = Deployment::new();
    let no_connection = "http://127.0.0.1:1";
    let region = ("AWS_REGION", REGION);
    let empty = ("AWS_ACCESS_KEY_ID", "");
    for (args, more, what) in [
        (&["uploaders", "list"][..], &[][..], "--stack NAME"),
        (&["uploaders", "list", "--table", "x"], &[], "give --region"),
        (
            &["uploaders", "list", "--table", "x"],
            &[
                region,
                empty,
                ("AWS_SECRET_ACCESS_KEY", ""),
                ("AWS_EC2_METADATA_DISABLED", "true"),
            ],
            "no AWS credentials",
        ),
        (
            &["uploaders", "list", "--table", "no-such-table"],
            &[region],
            "check the table's name, its region",
        ),
        (
            &["uploaders", "list", "--stack", "no-such-stack"],
            &[region],
            "check the stack's name, its region",
        ),
        (
            &["uploaders", "list", "--file", "none.jsonl"],
            &[],
            "none.jsonl: ",
        ),
        (
            &["uploaders", "import", "none.csv", "--file", "f.jsonl"],
            &[],
            "none.csv: ",
        ),
        (
            &[
                "uploaders",
                "trust",
                "bob",
                "--reason",
                "x",
                "--file",
                "f.jsonl",
            ],
            &[],
            "is no uploader key",
        ),
        (
            &["uploaders", "list", "--file", "f.jsonl", "--since", "soon"],
            &[],
            "--since",
        ),
        (&["learn", "--file", "f.jsonl", "none"], &[], "none"),
        (
            &["learn", "--table", "x"],
            &[region, ("AWS_ENDPOINT_URL_CLOUDTRAIL", no_connection)],
            "connection refused; check your connection, and AWS_ENDPOINT_URL if it is set\n",
        ),
    ] {
        laptop.write("f.jsonl", "");
        let ran = laptop.run_bare(args, more);
        assert_eq!(ran.code, 2, "{args:?} {}", ran.err);
        let last = ran.err.lines().last().unwrap();
        assert!(ran.err.contains(what), "{args:?} {}", ran.err);
        assert!(
            last.len() < 600 && !ran.err.contains("panicked"),
            "{args:?} {}",
            ran.err
        );
    }
}

#[test]
#[ignore = "needs moto"]
fn a_stack_names_its_tables() {
    let laptop = Deployment::new();
    let template = json!({
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {
            "UploadersTable": {"Value": laptop.stack.uploaders},
            "FindingsTable": {"Value": laptop.stack.findings},
            "FindingsTopicArn": {"Value": laptop.stack.topic_arn}
        }
    });
    create_stack(&laptop.stack.uploaders, &template.to_string());
    let stack = ["--stack", &laptop.stack.uploaders, "--region", REGION];
    let mut args = vec!["uploaders", "trust", NEWBIE, "--reason", "x"];
    args.extend(stack);
    succeeded(laptop.run_bare(&args, &[]));
    assert_eq!(laptop.uploader(NEWBIE)["standing"], "trusted");
    // The environment names it as well.
    let variables = [("PUSHWATCH_STACK", stack[1]), ("AWS_REGION", REGION)];
    let ran = succeeded(laptop.run_bare(&["uploaders", "list"], &variables));
    assert!(ran.out.contains("newbie"), "{}", ran.out);
    // replay tells on the stack's topic.
    laptop.write("event.json", &push("1", T1, "test").to_string());
    let mut args = vec!["replay", "event.json"];
    args.extend(stack);
    succeeded(laptop.run_bare(&args, &[]));
    assert_eq!(block_on(laptop.stack.findings()).len(), 1);
    // Another stack is none of PushWatch.
    create_stack("other", r#"{"Resources":{"T":{"Type":"AWS::SNS::Topic"}}}"#);
    let ran = laptop.run_bare(
        &["uploaders", "list", "--stack", "other", "--region", REGION],
        &[],
    );
    assert!(
        ran.err.contains("is it a stack of PushWatch?"),
        "{}",
        ran.err
    );
}

#[test]
#[ignore = "needs moto"]
fn replay_takes_the_settings_of_a_stack() {
    let laptop = Deployment::new();
    let parameter = |value: &str| json!({"Type": "String", "Default": value});
    let mut template = json!({
        "Parameters": {
            "HttpsFormat": parameter("amazon-q"),
            "FindingsPerMinute": {"Type": "Number", "Default": 5},
            "TrustedUploaders": parameter("arn:aws:iam::*:user/ci-*"),
            "SuppressFindings": parameter("uploader.name == 'sandbox'"),
            "LearningUntil": parameter("2026-01-02T00:00:00Z"),
            "EmailAddress": parameter("")
        },
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {
            "UploadersTable": {"Value": laptop.stack.uploaders},
            "FindingsTable": {"Value": laptop.stack.findings},
            "FindingsTopicArn": {"Value": laptop.stack.topic_arn}
        }
    });
    let name = &laptop.stack.uploaders;
    create_stack(name, &template.to_string());
    let pushes = [
        push("1", T1, "learned"),
        push("2", T2, "ci-build"),
        push("3", T2, "sandbox"),
        push("4", T2, "test"),
    ];
    laptop.write("missed.json", &json!(pushes).to_string());
    let function = Function::start(&laptop.stack, &[]);
    let topic = function.proxy.address();
    let replay = |stack: &str, options: &[&str]| {
        let replay = [
            "replay",
            "missed.json",
            "--region",
            REGION,
            "--stack",
            stack,
        ];
        let variables = [("AWS_ENDPOINT_URL_SNS", topic.as_str())];
        laptop.run_bare(&[&replay, options].concat(), &variables)
    };
    let ran = succeeded(replay(name, &[]));
    let lacks = "the default, since it has no such parameter";
    let settings = format!(
        "Settings of stack {name} in {REGION}: HttpsFormat amazon-q; FindingsPerMinute 5; \
         TrustedUploaders arn:aws:iam::*:user/ci-*; SuppressFindings uploader.name == 'sandbox'; \
         LearningUntil 2026-01-02T00:00:00Z; AbsenceDays {lacks}; Habits {lacks}; HabitDays {lacks}"
    );
    assert_eq!(ran.err.lines().next(), Some(settings.as_str()));
    let counts = "Pushes      4: 1 trusted by a glob, 1 learned, 1 suppressed\nFindings    1: 1 new_uploader";
    assert!(ran.err.contains(counts), "{}", ran.err);
    assert!(!ran.err.contains("Warning"), "{}", ran.err);
    let messages = function.proxy.messages();
    let [(_, message)] = messages.as_slice() else {
        panic!("{messages:?}");
    };
    let bodies: Value = serde_json::from_str(message).unwrap();
    let https: Value = serde_json::from_str(bodies["https"].as_str().unwrap()).unwrap();
    assert_eq!(https["source"], "custom", "{https}");

    // What is typed goes before it.
    let others = [push("5", T1, "early"), push("6", T2, "ci-deploy")];
    laptop.write("missed.json", &json!(others).to_string());
    let options = [
        "--trusted",
        "arn:aws:iam::*:user/x",
        "--learning-until",
        "2026-01-01",
    ];
    let ran = succeeded(replay(name, &options));
    assert!(
        ran.err.contains("Findings    2: 2 new_uploader"),
        "{}",
        ran.err
    );
    assert!(
        ran.err.contains("TrustedUploaders from --trusted;")
            && ran.err.contains("LearningUntil from --learning-until;"),
        "{}",
        ran.err
    );
    assert_eq!(succeeded(replay(name, &["--quiet"])).err, "");

    // A parameter of another version is named.
    template["Parameters"]["FindingsPerMinute"]["Default"] = json!(9);
    let other = format!("{name}-other");
    create_stack(&other, &template.to_string());
    let ran = replay(&other, &[]);
    assert_eq!(ran.code, 2);
    assert_eq!(
        ran.err,
        format!(
            "error: stack {other}: parameter FindingsPerMinute: `9` is wrong; it takes a number from 1 to 5\n"
        )
    );
}

#[test]
fn what_a_retry_can_t_help_is_said_at_once() {
    let laptop = Laptop::new();
    // Something that speaks no TLS.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let no_tls = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let _ = connection
                .unwrap()
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    for (endpoint, said) in [
        (
            "http://no-such-host.invalid",
            "there is no such host, or no network; check the region's name and your connection",
        ),
        ("http://127.0.0.1:1", "connection refused; check your"),
        (&no_tls, "no connection: TLS can't be agreed on: "),
    ] {
        for args in [
            &["uploaders", "list", "--table", "x", "--region", REGION][..],
            &["uploaders", "list", "--stack", "x", "--region", REGION],
            &["learn", "--file", "known.jsonl", "--lookup-region", REGION],
        ] {
            let began = std::time::Instant::now();
            let ran = laptop.run_bare(args, &[("AWS_ENDPOINT_URL", endpoint)]);
            assert_eq!(ran.code, 2);
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "{endpoint} {args:?}"
            );
            assert!(ran.err.contains(said), "{}", ran.err);
            assert!(!ran.err.contains("a retry can help"), "{}", ran.err);
            assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
        }
    }
}

#[test]
#[ignore = "needs moto"]
fn the_credentials_of_aws_login_are_understood() {
    use std::fmt::Write as _;

    use sha2::Digest as _;

    let laptop = Deployment::new();
    let session = "arn:aws:iam::111122223333:user/test";
    let mut name = String::new();
    for byte in sha2::Sha256::digest(session) {
        write!(name, "{byte:02x}").unwrap();
    }
    let token = json!({
        "accessToken": {
            "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
            "secretAccessKey": "secret",
            "sessionToken": "token",
            "accountId": "111122223333",
            "expiresAt": "2199-12-25T21:30:00Z"
        },
        "tokenType": "aws_sigv4",
        "refreshToken": "refresh",
        "clientId": "aws:signin:::cli/same-device",
        "dpopKey": "not used before a refresh"
    });
    laptop.write("config", &format!("[default]\nlogin_session = {session}\n"));
    let environment = [
        ("AWS_ACCESS_KEY_ID", ""),
        ("AWS_SECRET_ACCESS_KEY", ""),
        ("AWS_CONFIG_FILE", "config"),
        ("AWS_LOGIN_CACHE_DIRECTORY", "."),
    ];
    let table = laptop.stack.uploaders.clone();
    let list = ["uploaders", "list", "--table", &table, "--region", REGION];
    let ran = laptop.run_bare(&list, &environment);
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains("No such file") && ran.err.contains("; sign in (`aws login`"),
        "{}",
        ran.err
    );
    laptop.write(&format!("{name}.json"), &token.to_string());
    succeeded(laptop.run_bare(&list, &environment));
}
