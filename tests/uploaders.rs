//! `pushwatch uploaders` and `pushwatch learn` as they are used: on a file, on
//! the tables of a deployment, and together with the built function.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]
#![cfg(feature = "cli")]

mod common;
#[path = "common/lambda.rs"]
mod lambda;
#[path = "common/lookup_events.rs"]
mod lookup_events;
#[path = "common/moto.rs"]
mod moto;
#[path = "common/trials.rs"]
mod trials;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use common::cli::{Ran, folder, on_terminal, pushwatch_in, pushwatch_on_terminal};
use common::{CI_ROLE, TEST_USER, envelope, iam_user, record, role_session};
use lambda::Function;
use libtest_mimic::Arguments;
use lookup_events::{Answer, CloudTrail};
use moto::{REGION, Stack, block_on};
use serde_json::{Value, json};
use tempfile::TempDir;
use trials::trials;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = trials![
        !moto::is_installed();
        trust_silences_the_first_push_of_somebody_not_seen_yet,
        trust_that_has_ended_is_told,
        revoke_makes_the_next_push_critical,
        a_finding_s_own_command_trusts_its_uploader,
        who_was_forgotten_is_new_again_and_what_is_owed_is_said,
        every_change_is_the_same_on_a_file_and_on_a_table,
        show_tells_everything_with_the_finding,
        list_filters_and_sorts,
        a_glob_shows_whom_it_matches_and_asks,
        a_glob_undoes_no_revocation_and_changes_no_terms_of_trust,
        trust_of_somebody_revoked_asks_and_both_histories_are_kept,
        trust_of_the_root_user_warns,
        a_question_is_answered_by_a_whole_line,
        show_finds_by_name_or_suggests,
        import_takes_every_kind_of_list_and_names_each_bad_line,
        import_refuses_what_would_trust_somebody_else_or_for_ever,
        import_shows_and_asks_before_it_writes_many,
        import_names_terms_that_stay_and_writes_nothing_on_a_dry_run,
        a_file_of_another_form_is_not_rewritten,
        what_the_arn_of_a_federated_user_means_is_said,
        import_never_takes_away_what_was_seen_and_can_be_run_again,
        import_of_many_writes_each_once_and_export_gives_them_back,
        names_on_the_terminal_are_clean,
        a_damaged_record_is_named_and_the_others_are_listed,
        a_mistake_is_one_line_that_says_what_to_do,
        a_stack_names_its_tables,
        replay_takes_the_settings_of_a_stack,
        learn_from_files_makes_the_first_day_quiet,
        learn_writes_only_after_a_yes_and_changes_nobody_who_is_there,
        learn_leaves_out_the_sessions_that_root_minted,
        learn_asks_cloudtrail_page_by_page_in_each_region,
        learn_goes_on_where_it_was_interrupted,
        learn_outlives_expired_tokens_and_throttling,
        learn_goes_on_only_with_its_own_account_table_regions_and_days,
        learn_begins_anew_after_a_day_and_on_a_file_of_an_earlier_version,
        learn_ends_its_progress_when_all_is_read_and_there_is_nobody_to_learn,
        learn_says_learned_only_once_it_is_written,
        what_a_retry_can_t_help_is_said_at_once,
        an_endpoint_that_never_answers_is_given_up_within_half_a_minute,
        what_is_wrong_with_credentials_and_rights_is_said_with_what_to_do,
        the_credentials_of_aws_login_are_understood,
        what_is_waited_for_is_named_on_a_terminal_only,
        ctrl_c_leaves_nothing_half_written,
    ];
    let conclusion = libtest_mimic::run(&arguments, trials);
    if moto::is_installed() {
        moto::moto().stop();
    }
    conclusion.exit_code()
}

const T1: &str = "2026-01-01T00:00:00Z";
const T2: &str = "2026-01-02T00:00:00Z";
const NEWBIE: &str = "arn:aws:iam::111122223333:user/newbie";

fn push(id: &str, time: &str, name: &str) -> Value {
    envelope(&record(id, time, &iam_user(name)))
}

/// Runs the command line on a deployment in moto.
struct Laptop {
    stack: Stack,
    folder: TempDir,
    endpoint: String,
}

impl Laptop {
    fn new() -> Self {
        Self {
            stack: block_on(Stack::create()),
            folder: folder(&[]),
            endpoint: format!("http://127.0.0.1:{}", moto::moto().port),
        }
    }

    /// Runs the words of `command`, then `--table` and its like.
    fn run(&self, command: &[&str]) -> Ran {
        let mut args = command.to_vec();
        args.extend([
            "--table",
            &self.stack.uploaders,
            "--findings-table",
            &self.stack.findings,
            "--region",
            REGION,
        ]);
        self.run_bare(&args, &[])
    }

    fn run_bare(&self, args: &[&str], more: &[(&str, &str)]) -> Ran {
        let mut environment = vec![
            ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ];
        environment.extend(more);
        pushwatch_in(self.folder.path(), args, &environment)
    }

    fn uploader(&self, key: &str) -> Value {
        let all = block_on(self.stack.uploaders());
        let found = all.into_iter().find(|item| item["uploader"] == key);
        found.unwrap_or_default()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }
}

fn succeeded(ran: Ran) -> Ran {
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran
}

fn outcome(function: &Function, event: &Value) -> String {
    let answer = function.invoke(event).unwrap();
    answer["outcome"].as_str().unwrap().to_owned()
}

fn trust_silences_the_first_push_of_somebody_not_seen_yet() {
    let laptop = Laptop::new();
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

fn trust_that_has_ended_is_told() {
    let laptop = Laptop::new();
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
    let mut item = laptop.uploader(NEWBIE);
    item["trustedUntil"] = json!(pushwatch::time::whole_seconds(now).to_string());
    let table = &laptop.stack.uploaders;
    block_on(
        laptop
            .stack
            .put(table, serde_dynamo::to_item(item).unwrap()),
    );
    let after = (now + jiff::SignedDuration::from_mins(1)).to_string();
    assert_eq!(
        outcome(&function, &push("2", &after, "newbie")),
        "finding_published"
    );
    assert_eq!(function.proxy.bodies().len(), 1);
}

fn revoke_makes_the_next_push_critical() {
    let laptop = Laptop::new();
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
fn a_finding_s_own_command_trusts_its_uploader() {
    let laptop = Laptop::new();
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
        .replace("TEXT", "'the build'");
    let words = shlex::split(&command).unwrap();
    let words: Vec<_> = words[1..].iter().map(String::as_str).collect();
    succeeded(laptop.run_bare(&words, &[]));
    let trusted = laptop.uploader(CI_ROLE);
    assert_eq!(trusted["standing"], "trusted");
    assert_eq!(trusted["trustReason"], "the build");
    assert_eq!(trusted["pushes"], 1);
}

fn who_was_forgotten_is_new_again_and_what_is_owed_is_said() {
    let laptop = Laptop::new();
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

fn every_change_is_the_same_on_a_file_and_on_a_table() {
    let laptop = Laptop::new();
    let on_both = |command: &[&str]| {
        let table = laptop.run(command);
        let mut args = command.to_vec();
        args.extend(["--file", "known.jsonl"]);
        let file = laptop.run_bare(&args, &[("USER", "alice")]);
        // Who did it before differs.
        let by_whom = |ran: &Ran| {
            let by = |text: &str| Some((text.find(" by ")?, text.find(" just now")?));
            let mut text = ran.err.clone();
            if let Some((from, to)) = by(&text) {
                text.replace_range(from..to, "");
            }
            text
        };
        assert_eq!(
            (table.code, by_whom(&table)),
            (file.code, by_whom(&file)),
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

fn show_tells_everything_with_the_finding() {
    let laptop = Laptop::new();
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
            "uploaders trust {TEST_USER} --reason TEXT --table {}",
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

fn list_filters_and_sorts() {
    let laptop = Laptop::new();
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

fn a_glob_shows_whom_it_matches_and_asks() {
    let laptop = Laptop::new();
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

/// An uploaders file's line.
fn line(name: &str, standing: &str, more: &Value) -> String {
    let mut line = json!({"uploader": format!("arn:aws:iam::111122223333:user/{name}"), "name": name,
                          "kind": "IAMUser", "accountId": "111122223333", "standing": standing, "firstSeen": T1, "lastSeen": T2, "pushes": 2, "revision": 3});
    let fields = line.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    line.to_string()
}

fn known(laptop: &Laptop) -> Vec<Value> {
    let text = fs::read_to_string(laptop.folder.path().join("known.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn on_file(laptop: &Laptop, args: &[&str]) -> Ran {
    let args = [&["uploaders"], args, &["--file", "known.jsonl"]].concat();
    laptop.run_bare(&args, &[("USER", "ada")])
}

fn a_glob_undoes_no_revocation_and_changes_no_terms_of_trust() {
    let laptop = Laptop::new();
    let lines = [
        line(
            "root",
            "new",
            &json!({"uploader": "arn:aws:iam::111122223333:root", "kind": "Root"}),
        ),
        line("gone", "revoked", &json!({"revokedBy": "ada"})),
        line("kept", "trusted", &json!({"trustedBy": "ada"})),
        line("seen", "new", &json!({})),
        line(
            "timed",
            "trusted",
            &json!({"trustedUntil": "2099-01-01T00:00:00Z"}),
        ),
    ];
    laptop.write("known.jsonl", &lines.join("\n"));
    let before = known(&laptop);
    let all = "arn:aws:iam::*:**";
    let ran = succeeded(on_file(&laptop, &["trust", all, "--reason", "x", "--yes"]));
    assert_eq!(
        ran.err,
        "  arn:aws:iam::111122223333:user/seen (new)\n\
         Passed over 1 revoked, 1 trusted already, 1 trusted until a time already, \
         1 with the root user's power; give the key to change one of them.\n\
         Trusted arn:aws:iam::111122223333:user/seen.\n"
    );
    let after = known(&laptop);
    for (before, after) in before.iter().zip(&after) {
        let is_changed = before["name"] == "seen";
        assert_eq!(after["standing"] == "trusted" && is_changed, is_changed);
        assert_eq!(before == after, !is_changed, "{after}");
    }

    let ran = succeeded(on_file(&laptop, &["revoke", all, "--yes"]));
    assert!(
        ran.err.contains("Passed over 1 revoked already;"),
        "{}",
        ran.err
    );
    let ran = succeeded(on_file(&laptop, &["revoke", all, "--yes"]));
    assert_eq!(
        ran.err,
        "Passed over 5 revoked already; give the key to change one of them.\n"
    );
    assert_eq!(known(&laptop)[1], before[1]);

    // Of many the first are shown.
    let many = (0..72).map(|number| line(&format!("u{number}"), "new", &json!({})));
    laptop.write("known.jsonl", &many.collect::<Vec<_>>().join("\n"));
    let ran = on_file(&laptop, &["trust", all, "--reason", "x"]);
    assert!(ran.err.contains("\n  and 62 more\n"), "{}", ran.err);
    assert_eq!((ran.code, ran.err.lines().count()), (2, 12), "{}", ran.err);
}

fn trust_of_somebody_revoked_asks_and_both_histories_are_kept() {
    const FEDERATED: &str = "federated:arn:aws:iam::111122223333:user/broker/mary";
    let laptop = Laptop::new();
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

fn trust_of_the_root_user_warns() {
    let laptop = Laptop::new();
    for key in [
        "arn:aws:iam::111122223333:root",
        "federated:arn:aws:iam::111122223333:root/mary",
    ] {
        let ran = succeeded(on_file(&laptop, &["trust", key, "--reason", "x"]));
        assert!(ran.err.starts_with("Warning: "), "{}", ran.err);
        laptop.write("keys.txt", key);
        let ran = succeeded(on_file(&laptop, &["import", "keys.txt"]));
        assert!(
            ran.err.contains("line 1: ") && ran.err.contains("has the root user's power"),
            "{}",
            ran.err
        );
    }
}

fn a_question_is_answered_by_a_whole_line() {
    let laptop = Laptop::new();
    let answer = |typed: &str| {
        laptop.write("known.jsonl", &line("test", "new", &json!({})));
        let args = ["uploaders", "forget", TEST_USER, "--file", "known.jsonl"];
        let ran = pushwatch_on_terminal(laptop.folder.path(), &args, &[], typed, 80);
        assert_eq!(ran.code, 0, "{}", ran.out);
        assert!(ran.out.contains("with 2 pushes.") && ran.out.contains("[y/N]"));
        (known(&laptop).is_empty(), ran.out)
    };
    for typed in ["y\n", "YES\n"] {
        let (is_gone, shown) = answer(typed);
        assert!(is_gone && shown.contains("Forgot"), "{typed} {shown}");
    }
    for typed in ["maybe\n", "\n", "n\n", "yep\n", "\u{4}"] {
        let (is_gone, shown) = answer(typed);
        assert!(
            !is_gone && shown.contains("Nothing is done."),
            "{typed} {shown}"
        );
    }
    // Ctrl-C is heard while the question stands.
    let args = ["uploaders", "forget", TEST_USER, "--file", "known.jsonl"];
    let ran = pushwatch_on_terminal(laptop.folder.path(), &args, &[], "\u{3}", 80);
    assert_eq!(ran.code, 130, "{}", ran.out);
    assert_eq!(known(&laptop).len(), 1);
}

fn show_finds_by_name_or_suggests() {
    let laptop = Laptop::new();
    let role = "arn:aws:iam::111122223333:role/ci/test";
    let lines = [
        line("test", "new", &json!({})),
        line("mary", "new", &json!({})),
        line("x", "new", &json!({"uploader": role, "name": "test"})),
    ];
    laptop.write("known.jsonl", &lines.join("\n"));
    for typed in ["mary", "er/mary", "111122223333:user/mary"] {
        let ran = succeeded(on_file(&laptop, &["show", typed]));
        assert!(ran.out.starts_with("arn:aws:iam::111122223333:user/mary\n"));
    }
    let ran = succeeded(on_file(&laptop, &["show", "ci/test"]));
    assert!(ran.out.starts_with(role), "{}", ran.out);
    let ran = on_file(&laptop, &["show", "test"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(
        ran.err.contains(role) && ran.err.contains(TEST_USER),
        "{}",
        ran.err
    );
    assert!(
        ran.err.contains("test stands for 2 uploaders"),
        "{}",
        ran.err
    );
    let ran = on_file(&laptop, &["show", "nobody"]);
    assert!(ran.err.contains("no uploader has the key"), "{}", ran.err);
    let ran = on_file(&laptop, &["forget", "arn:aws:iam::*:user/*", "--yes"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains("globs are for `trust` and `revoke`"),
        "{}",
        ran.err
    );
}

fn import_refuses_what_would_trust_somebody_else_or_for_ever() {
    let laptop = Laptop::new();
    let mary = "arn:aws:iam::111122223333:user/mary";
    for (list, fault) in [
        (
            format!("{mary}2,migration,2099-12-31\n"),
            "list.csv: line 1: `arn:aws:iam::111122223333:user/mary2,migration,2099-12-31` has \
             several columns",
        ),
        (
            format!("# ours\n\nname,reason\n{mary},x\n"),
            "list.csv: line 3: `name,reason` has several columns, and none says which is the key",
        ),
        (
            format!("uploader,unti\n{mary},2099-12-31\n"),
            "list.csv: line 1: `unti` is none of the columns; if it is to be `until`",
        ),
        (
            format!("uploader,until,Trusteduntil\n{mary},2099-12-31,\n"),
            "`Trusteduntil` is the second column of that meaning",
        ),
        (
            format!("uploader;reason;until\n{mary};x;2099-12-31\n"),
            "list.csv: line 1: `uploader;reason;until` has `;` in it: columns are separated by commas",
        ),
        (
            format!("uploader\treason\n{mary}\tx\n"),
            "has a tab in it: columns are separated by commas",
        ),
        (format!("{mary};x\n"), "has `;` in it"),
    ] {
        laptop.write("list.csv", &list);
        let ran = on_file(&laptop, &["import", "list.csv", "--skip-bad", "--yes"]);
        assert_eq!(ran.code, 2, "{list} {}", ran.err);
        assert!(ran.err.contains(fault), "{list} {}", ran.err);
        assert!(!laptop.folder.path().join("known.jsonl").exists(), "{list}");
    }
    // Of these only the lines are bad.
    for (list, fault) in [
        (format!("{mary}\n{mary}2,x\n"), "line 2: `arn:"),
        (
            format!("uploader\n{mary};x\n"),
            "line 2: `arn:aws:iam::111122223333:user/mary;x` has `;` in it",
        ),
        (
            format!("uploader,until\n{mary},2020-01-01\n"),
            "line 2: the time in `until`, 2020-01-01T00:00:00Z, has passed",
        ),
        (
            format!("uploader,standing,until\n{mary},revoked,2099-01-01\n"),
            "line 2: `until` is for those who are trusted",
        ),
    ] {
        laptop.write("list.csv", &list);
        let ran = on_file(&laptop, &["import", "list.csv"]);
        assert_eq!(ran.code, 2, "{list} {}", ran.err);
        assert!(ran.err.contains(fault), "{list} {}", ran.err);
    }
    // A name with a comma is one that IAM takes.
    laptop.write("list.csv", &format!("Name,ARN\nMary,\"{mary},jr\"\n"));
    let ran = succeeded(on_file(&laptop, &["import", "list.csv"]));
    assert!(
        ran.err.contains("list.csv: passed over: `Name`\n"),
        "{}",
        ran.err
    );
    assert_eq!(known(&laptop)[0]["uploader"], format!("{mary},jr"));

    laptop.write("list.txt", &"bad\n".repeat(72));
    let ran = on_file(&laptop, &["import", "list.txt"]);
    assert!(
        ran.err.contains("\nlist.txt: and 62 more bad lines\n"),
        "{}",
        ran.err
    );
    let ran = laptop.run_bare(&["replay", "--known", "list.txt", "list.txt"], &[]);
    assert!(
        ran.err.contains("\nlist.txt: and 62 more bad lines\n"),
        "{}",
        ran.err
    );
}

fn import_shows_and_asks_before_it_writes_many() {
    let laptop = Laptop::new();
    let keys: Vec<_> = (0..72)
        .map(|number| format!("arn:aws:iam::111122223333:user/u{number:02}"))
        .collect();
    laptop.write("keys.txt", &keys.join("\n"));
    let ran = on_file(&laptop, &["import", "keys.txt"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains(
            "  arn:aws:iam::111122223333:user/u09 (not there yet, will be trusted)\n  and 62 more\n\
                          72 to add, 0 to change, 0 unchanged.\n"
        ) && ran.err.contains("give --yes"),
        "{}",
        ran.err
    );
    assert!(!laptop.folder.path().join("known.jsonl").exists());

    let program = env!("CARGO_BIN_EXE_pushwatch");
    let from_input = format!("{program} uploaders import - --file known.jsonl < keys.txt");
    let import = |typed: &str| {
        on_terminal(
            laptop.folder.path(),
            &["sh", "-c", &from_input],
            &[],
            typed,
            80,
        )
    };
    let ran = import("n\n");
    assert!(ran.out.contains("Write these 72? [y/N]"), "{}", ran.out);
    assert!(!laptop.folder.path().join("known.jsonl").exists());
    let ran = import("y\n");
    assert!(ran.out.contains("Added 72,"), "{}", ran.out);
    assert_eq!(known(&laptop).len(), 72);
    // A second time there is nothing to ask.
    let ran = succeeded(on_file(&laptop, &["import", "keys.txt"]));
    assert!(ran.err.contains("unchanged 72"), "{}", ran.err);
    // On a table, from standard input.
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

fn import_names_terms_that_stay_and_writes_nothing_on_a_dry_run() {
    let laptop = Laptop::new();
    let lines = [
        line(
            "timed",
            "trusted",
            &json!({"trustedUntil": "2099-01-01T00:00:00Z"}),
        ),
        line("seen", "new", &json!({})),
        line("gone", "revoked", &json!({})),
    ];
    laptop.write("known.jsonl", &lines.join("\n"));
    laptop.write(
        "list.csv",
        "uploader,until\n\
         arn:aws:iam::111122223333:user/timed,2098-01-01\n\
         arn:aws:iam::111122223333:user/seen,2098-01-01\n\
         arn:aws:iam::111122223333:user/newbie,\n\
         arn:aws:iam::111122223333:user/gone,\n",
    );
    let before = known(&laptop);
    let dry = succeeded(on_file(&laptop, &["import", "list.csv", "--dry-run"]));
    insta::assert_snapshot!("a_dry_run", dry.err);
    assert_eq!(known(&laptop), before);
    let ran = succeeded(on_file(&laptop, &["import", "list.csv"]));
    let stays = "arn:aws:iam::111122223333:user/timed stays trusted until 2099-01-01T00:00:00Z; \
                 the list says until 2098-01-01T00:00:00Z.";
    assert!(ran.err.contains(stays), "{}", ran.err);
    assert!(
        ran.err.contains("Added 1, changed 1, unchanged 1."),
        "{}",
        ran.err
    );
}

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

fn import_takes_every_kind_of_list_and_names_each_bad_line() {
    let laptop = Laptop::new();
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

fn what_the_arn_of_a_federated_user_means_is_said() {
    const FORMER: &str = "arn:aws:sts::111122223333:federated-user/mary";
    const KEY: &str = "federated:arn:aws:iam::111122223333:user/broker/mary";
    let laptop = Laptop::new();
    laptop.write("keys.txt", &format!("{KEY}\n{FORMER}\n"));
    let on_file = |args: &[&str]| {
        let args = [&["uploaders"], args, &["--file", "known.jsonl"]].concat();
        laptop.run_bare(&args, &[("USER", "ada")])
    };
    let said = |ran: Ran| {
        assert!(
            ran.err.contains(
                "known as federated:arn:aws:iam::111122223333:user/ISSUER/mary: trust that key, \
                 for trust in this one does not cover it. A revocation of this one does"
            ),
            "{}",
            ran.err
        );
        ran
    };
    let ran = said(succeeded(on_file(&["import", "keys.txt"])));
    assert!(
        ran.err.contains(
            "keys.txt: line 2: the key of federated sessions whose events name no issuer"
        ),
        "{}",
        ran.err
    );
    assert_eq!(ran.err.matches("line ").count(), 1, "{}", ran.err);
    said(succeeded(on_file(&["trust", FORMER, "--reason", "x"])));
    let ran = said(succeeded(on_file(&["revoke", FORMER])));
    assert!(
        ran.err.contains(&format!("Revoked {FORMER}")),
        "{}",
        ran.err
    );
    said(succeeded(on_file(&["show", FORMER])));
    assert!(!succeeded(on_file(&["show", KEY])).err.contains("issuer"));

    // A finding names the key of today, under which there may be no record.
    succeeded(on_file(&["forget", KEY, "--yes"]));
    let ran = said(succeeded(on_file(&["show", KEY])));
    assert!(
        ran.out.starts_with(FORMER) && ran.out.contains("revoked by"),
        "{}",
        ran.out
    );
    let export = succeeded(on_file(&["export"])).out;
    laptop.write("export.jsonl", &export);
    said(succeeded(on_file(&["import", "export.jsonl"])));
}

fn import_never_takes_away_what_was_seen_and_can_be_run_again() {
    let laptop = Laptop::new();
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

fn import_of_many_writes_each_once_and_export_gives_them_back() {
    let laptop = Laptop::new();
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
    let other = Laptop::new();
    fs::copy(
        laptop.folder.path().join("all.jsonl"),
        other.folder.path().join("all.jsonl"),
    )
    .unwrap();
    let ran = succeeded(other.run(&["uploaders", "import", "all.jsonl", "--yes"]));
    assert!(ran.err.contains("Added 1200"), "{}", ran.err);
    let trusted_by = |laptop: &Laptop| {
        let shown = succeeded(laptop.run(&["uploaders", "show", &keys[7], "--json"])).out;
        let shown: Value = serde_json::from_str(&shown).unwrap();
        shown["uploader"]["trustedBy"].clone()
    };
    assert!(trusted_by(&laptop).is_string());
    assert_eq!(trusted_by(&laptop), trusted_by(&other));
}

fn names_on_the_terminal_are_clean() {
    let laptop = Laptop::new();
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

fn a_damaged_record_is_named_and_the_others_are_listed() {
    let laptop = Laptop::new();
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

fn a_mistake_is_one_line_that_says_what_to_do() {
    let laptop = Laptop::new();
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

fn a_stack_names_its_tables() {
    let laptop = Laptop::new();
    let template = json!({
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {
            "UploadersTable": {"Value": laptop.stack.uploaders},
            "FindingsTable": {"Value": laptop.stack.findings},
            "FindingsTopicArn": {"Value": laptop.stack.topic_arn}
        }
    });
    moto::create_stack(&laptop.stack.uploaders, &template.to_string());
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
    moto::create_stack("other", r#"{"Resources":{"T":{"Type":"AWS::SNS::Topic"}}}"#);
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

fn replay_takes_the_settings_of_a_stack() {
    let laptop = Laptop::new();
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
    moto::create_stack(name, &template.to_string());
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
    let settings = format!(
        "Settings of stack {name} in {REGION}: HttpsFormat amazon-q; FindingsPerMinute 5; \
         TrustedUploaders arn:aws:iam::*:user/ci-*; SuppressFindings uploader.name == 'sandbox'; \
         LearningUntil 2026-01-02T00:00:00Z; AbsenceDays the default, since it has no such parameter"
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
    moto::create_stack(&other, &template.to_string());
    let ran = replay(&other, &[]);
    assert_eq!(ran.code, 2);
    assert_eq!(
        ran.err,
        format!(
            "error: stack {other}: parameter FindingsPerMinute: `9` is wrong; it takes a number from 1 to 5\n"
        )
    );
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

fn learn_from_files_makes_the_first_day_quiet() {
    let laptop = Laptop::new();
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

fn learn_writes_only_after_a_yes_and_changes_nobody_who_is_there() {
    let laptop = Laptop::new();
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

fn learn(laptop: &Laptop, cloudtrail: &CloudTrail, regions: &[&str]) -> Ran {
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

fn learn_asks_cloudtrail_page_by_page_in_each_region() {
    let laptop = Laptop::new();
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

fn learn_goes_on_where_it_was_interrupted() {
    let laptop = Laptop::new();
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

fn learn_outlives_expired_tokens_and_throttling() {
    let laptop = Laptop::new();
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
fn learn_as(laptop: &Laptop, cloudtrail: &CloudTrail, table: &str, more: &[&str]) -> Ran {
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
fn interrupted(laptop: &Laptop) -> String {
    let broken = CloudTrail::start(vec![
        Answer::page(&[record("2", T2, &iam_user("test"))], Some("second")),
        Answer::Error(400, "AccessDeniedException"),
    ]);
    let ran = learn_as(laptop, &broken, &laptop.stack.uploaders, &[]);
    assert_eq!(ran.code, 2);
    fs::read_to_string(laptop.folder.path().join("pushwatch-learn.json")).unwrap()
}

fn learn_goes_on_only_with_its_own_account_table_regions_and_days() {
    let laptop = Laptop::new();
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

fn learn_begins_anew_after_a_day_and_on_a_file_of_an_earlier_version() {
    let laptop = Laptop::new();
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

fn learn_ends_its_progress_when_all_is_read_and_there_is_nobody_to_learn() {
    let laptop = Laptop::new();
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

fn learn_says_learned_only_once_it_is_written() {
    let laptop = Laptop::new();
    laptop.write("trail.json", &json!({"Records": history()}).to_string());
    let args = ["learn", "trail.json", "--yes", "--file", "none/known.jsonl"];
    let ran = laptop.run_bare(&args, &[]);
    assert_eq!(ran.code, 2);
    assert!(!ran.err.contains("Learned"), "{}", ran.err);
}

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

fn an_endpoint_that_never_answers_is_given_up_within_half_a_minute() {
    let laptop = Laptop::new();
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

fn what_is_wrong_with_credentials_and_rights_is_said_with_what_to_do() {
    let laptop = Laptop::new();
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

fn the_credentials_of_aws_login_are_understood() {
    use std::fmt::Write as _;

    use sha2::Digest as _;

    let laptop = Laptop::new();
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
