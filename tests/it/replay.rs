//! `pushwatch replay` as it is used: what goes in, what comes out.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::cli::{Ran, events, folder, gzip, pushwatch, pushwatch_with_input};
use crate::support::events::{CI_ROLE, TEST_USER, envelope, iam_user, record, role_session};

fn push(id: &str, time: &str, name: &str) -> Value {
    record(id, time, &iam_user(name))
}

fn user(name: &str) -> String {
    format!("arn:aws:iam::111122223333:user/{name}")
}

fn new(names: &[&str]) -> Vec<(String, String)> {
    let new = |name: &&str| ("new_uploader".to_owned(), user(name));
    names.iter().map(new).collect()
}

/// Replays events given on standard input.
fn replay(args: &[&str], events: &[Value]) -> Ran {
    let input: Vec<_> = events.iter().map(Value::to_string).collect();
    let here = folder(&[]);
    let args = [&["replay", "--format", "json"], args, &["-"]].concat();
    pushwatch_with_input(here.path(), &args, &input.join("\n"))
}

fn reasons(ran: &Ran) -> Vec<String> {
    ran.findings()
        .into_iter()
        .map(|(reason, _)| reason)
        .collect()
}

#[test]
fn every_way_of_keeping_events_is_read_and_mixed_freely() {
    let time = "2026-01-02T03:04:05Z";
    let bare = push("1", time, "bare");
    let enveloped = envelope(&push("2", time, "enveloped"));
    let array = json!([
        push("3", time, "in-array"),
        envelope(&push("4", time, "also"))
    ]);
    let trail = json!({"Records": [push("5", time, "trail")]});
    let pretty = serde_json::to_string_pretty(&json!({"Records": [push("6", time, "pretty")]}));
    let lines = format!(
        "{}\n\n{}\n",
        push("7", time, "line"),
        envelope(&push("8", time, "other-line"))
    );
    let late_records = json!({"x": 1, "Records": [push("9", time, "further-back")]});
    let folder = folder(&[
        ("a/bare.json", bare.to_string().as_bytes()),
        ("a/enveloped.json", enveloped.to_string().as_bytes()),
        ("b/array.json.gz", &gzip(array.to_string().as_bytes())),
        ("b/c/trail.JSON", trail.to_string().as_bytes()),
        ("b/c/pretty.json", pretty.unwrap().as_bytes()),
        ("lines.jsonl", lines.as_bytes()),
        (
            "lines.ndjson.gz",
            &gzip(push("10", time, "ndjson").to_string().as_bytes()),
        ),
        ("odd.json", late_records.to_string().as_bytes()),
        // Not read in folders:
        ("notes.txt", push("11", time, "text").to_string().as_bytes()),
        ("old.json.bak", b"garbage"),
        // but read when named:
        (
            "named.log",
            push("12", time, "named").to_string().as_bytes(),
        ),
    ]);
    let args = ["replay", "--format", "json", ".", "named.log"];
    let ran = pushwatch(folder.path(), &args);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let mut found = ran.findings();
    found.sort();
    let mut expected = new(&[
        "bare",
        "enveloped",
        "in-array",
        "also",
        "trail",
        "pretty",
        "line",
        "other-line",
        "ndjson",
        "further-back",
        "named",
    ]);
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn pushes_are_handled_in_event_time_order_whatever_the_file_order() {
    let folder = folder(&[
        (
            "1.json",
            push("late", "2026-01-03T00:00:00Z", "b")
                .to_string()
                .as_bytes(),
        ),
        (
            "2.json",
            push("early", "2026-01-01T00:00:00Z", "a")
                .to_string()
                .as_bytes(),
        ),
        (
            "3.json",
            push("between", "2026-01-02T00:00:00Z", "c")
                .to_string()
                .as_bytes(),
        ),
    ]);
    let ran = pushwatch(folder.path(), &["replay", "--format", "json", "."]);
    assert_eq!(ran.findings(), new(&["a", "c", "b"]));
}

#[test]
fn large_files_are_streamed_and_still_found_in() {
    let filler = "x".repeat(3 * 1024 * 1024);
    let other =
        json!({"eventName": "GetObject", "eventSource": "s3.amazonaws.com", "filler": filler});
    let records = json!({"Records": [
        other,
        push("1", "2026-01-01T00:00:00Z", "a"),
        other,
        push("2", "2026-01-02T00:00:00Z", "b"),
    ]});
    let text = records.to_string();
    let folder = folder(&[
        ("plain.json", text.as_bytes()),
        (
            "packed.json.gz",
            &gzip(text.replace("\"1\"", "\"3\"").as_bytes()),
        ),
        (
            "none.json",
            json!({"Records": [other, other]}).to_string().as_bytes(),
        ),
    ]);
    let ran = pushwatch(folder.path(), &["replay", "--format", "json", "."]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ran.findings(), new(&["a", "b"]));
}

#[test]
fn a_pushs_word_across_a_read_boundary_is_found() {
    // The word ends up at each place around the ends of what is read at once.
    for gap in [1024 * 1024, 1024 * 1024 + 128 * 1024] {
        for shift in 0..12 {
            let record = push("1", "2026-01-01T00:00:00Z", "a").to_string();
            let word = record.find("\"PutImage\"").unwrap();
            let text = format!("{}{record}", " ".repeat(gap - word - shift));
            let folder = folder(&[("a.json", text.as_bytes())]);
            let ran = pushwatch(folder.path(), &["replay", "--format", "json", "a.json"]);
            assert_eq!(ran.findings(), new(&["a"]), "{gap} {shift}");
        }
    }
}

#[test]
fn standard_input_is_read_when_no_path_is_given() {
    let here = folder(&[]);
    let input = push("1", "2026-01-01T00:00:00Z", "a").to_string();
    let ran = pushwatch_with_input(here.path(), &["replay", "--format", "json"], &input);
    assert_eq!(ran.findings(), new(&["a"]));
}

#[test]
fn a_trusted_glob_silences_and_one_that_matches_nobody_is_mentioned() {
    let events = [
        push("1", "2026-01-01T00:00:00Z", "a"),
        record(
            "2",
            "2026-01-01T00:00:00Z",
            &role_session("ci/build", "run-1"),
        ),
    ];
    let trusted = [
        "--trusted",
        "arn:aws:iam::*:role/**",
        "--trusted",
        "arn:aws:iam::*:role/b*",
    ];
    let ran = replay(&trusted, &events);
    assert_eq!(ran.findings(), new(&["a"]));
    assert!(
        ran.err
            .contains("--trusted arn:aws:iam::*:role/b* matched no uploader"),
        "{}",
        ran.err
    );
    assert!(!ran.err.contains("role/** matched"), "{}", ran.err);
}

#[test]
fn suppressed_findings_are_counted_and_a_failing_expression_is_mentioned() {
    let events = [
        push("1", "2026-01-01T00:00:00Z", "a"),
        push("2", "2026-01-02T00:00:00Z", "a"),
    ];
    let ran = replay(
        &["--suppress", "push.repository.startsWith(\"team/\")"],
        &events,
    );
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    assert!(
        ran.err.contains("Pushes      2: 2 suppressed"),
        "{}",
        ran.err
    );

    let ran = replay(&["--suppress", "push.nosuch == 1"], &events);
    assert_eq!(ran.findings(), new(&["a"]));
    assert!(
        ran.err
            .contains("--suppress failed on 1 finding, told all the same"),
        "{}",
        ran.err
    );
}

#[test]
fn learned_uploaders_are_counted_and_shown_on_request() {
    let events = [
        push("1", "2026-01-01T00:00:00Z", "a"),
        push("2", "2026-02-01T00:00:00Z", "b"),
    ];
    let until = ["--learning-until", "2026-02-01"];
    let ran = replay(&until, &events);
    assert_eq!(ran.findings(), new(&["b"]));
    assert!(ran.err.contains("1 learned"), "{}", ran.err);
    let ran = replay(&[&until[..], &["--show-learned"]].concat(), &events);
    assert_eq!(reasons(&ran), ["learned_uploader", "new_uploader"]);
    let ran = replay(&[&until[..], &["--fail-on-finding"]].concat(), &events[..1]);
    assert_eq!(ran.code, 0, "learned uploaders are no findings");
}

#[test]
fn the_absence_is_as_set() {
    let events = [
        push("1", "2026-01-01T00:00:00Z", "a"),
        push("2", "2026-01-03T00:00:00Z", "a"),
    ];
    assert_eq!(reasons(&replay(&[], &events)), ["new_uploader"]);
    let ran = replay(&["--absence-days", "1"], &events);
    assert_eq!(reasons(&ran), ["new_uploader", "returned_after_absence"]);
    assert_eq!(
        reasons(&replay(&["--absence-days", "0"], &events)),
        ["new_uploader"]
    );
}

#[test]
fn day_by_day_with_the_uploaders_file_is_as_all_at_once() {
    let days = [
        [
            push("1", "2026-01-01T10:00:00Z", "a"),
            push("2", "2026-01-01T11:00:00Z", "b"),
        ],
        [
            push("3", "2026-01-02T10:00:00Z", "a"),
            push("4", "2026-01-02T11:00:00Z", "c"),
        ],
        [
            push("4", "2026-01-02T11:00:00Z", "c"),
            push("5", "2026-07-03T11:00:00Z", "b"),
        ],
    ];
    let here = folder(&[("known.jsonl", b"")]);
    let mut told = Vec::new();
    for day in &days {
        let args = [
            "replay",
            "--format",
            "json",
            "--known",
            "known.jsonl",
            "--save",
            "known.jsonl",
            "-",
        ];
        let ran = pushwatch_with_input(here.path(), &args, &json!(day).to_string());
        assert_eq!(ran.code, 0, "{}", ran.err);
        told.extend(ran.findings());
    }
    let args = ["replay", "--format", "json", "--save", "at-once.jsonl", "-"];
    let all = pushwatch_with_input(here.path(), &args, &json!(days.concat()).to_string());
    assert_eq!(told, all.findings());
    let read = |name| std::fs::read_to_string(here.path().join(name)).unwrap();
    assert_eq!(read("known.jsonl"), read("at-once.jsonl"));
    insta::assert_snapshot!("uploaders_file", read("known.jsonl"));

    // Read and written again, nothing changes.
    let args = [
        "replay",
        "--known",
        "known.jsonl",
        "--save",
        "again.jsonl",
        "-",
    ];
    assert_eq!(pushwatch_with_input(here.path(), &args, "[]").code, 0);
    assert_eq!(read("known.jsonl"), read("again.jsonl"));
}

#[test]
fn a_saved_file_keeps_its_mode_and_the_link_to_it() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let here = folder(&[("known.jsonl", b"")]);
    let file = here.path().join("known.jsonl");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    symlink("known.jsonl", here.path().join("link")).unwrap();
    let input = push("1", "2026-01-01T00:00:00Z", "a").to_string();
    let args = ["replay", "--save", "link", "-"];
    assert_eq!(pushwatch_with_input(here.path(), &args, &input).code, 0);
    assert!(here.path().join("link").is_symlink());
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(std::fs::read_to_string(&file).unwrap().contains("user/a"));
}

#[test]
fn a_key_with_white_space_survives_saving_and_reading() {
    let here = folder(&[]);
    let identity = json!({"type": "Unknown", "arn": "arn:aws:iam::111122223333:user/a b"});
    let input = record("1", "2026-01-01T00:00:00Z", &identity).to_string();
    let args = ["replay", "--save", "known.jsonl", "-"];
    assert_eq!(pushwatch_with_input(here.path(), &args, &input).code, 0);
    let args = ["replay", "--known", "known.jsonl", "-"];
    let ran = pushwatch_with_input(here.path(), &args, "[]");
    assert_eq!(ran.code, 0, "{}", ran.err);
}

#[test]
fn a_plain_list_of_keys_is_trusted() {
    let list = format!("# our list\n{TEST_USER}\n\n{CI_ROLE} # the build role\n");
    let here = folder(&[("list.txt", list.as_bytes())]);
    let events = json!([
        push("1", "2026-01-01T00:00:00Z", "test"),
        record(
            "2",
            "2026-01-01T00:00:00Z",
            &role_session("ci/build", "run-1")
        ),
        push("3", "2026-01-01T00:00:00Z", "other"),
    ]);
    let args = ["replay", "--format", "json", "--known", "list.txt", "-"];
    let ran = pushwatch_with_input(here.path(), &args, &events.to_string());
    assert_eq!(ran.findings(), new(&["other"]));
}

#[test]
fn a_finding_can_fail_a_pipeline() {
    let events = [push("1", "2026-01-01T00:00:00Z", "a")];
    assert_eq!(replay(&[], &events).code, 0);
    assert_eq!(replay(&["--fail-on-finding"], &events).code, 3);
    assert_eq!(
        replay(&["--fail-on-finding"], &[]).code,
        2,
        "nothing could be read"
    );
}

#[test]
fn quiet_means_no_summary() {
    let events = [push("1", "2026-01-01T00:00:00Z", "a")];
    assert_eq!(replay(&["--quiet"], &events).err, "");
}

#[test]
fn no_control_character_of_an_event_reaches_the_terminal() {
    let evil = "x\u{1b}[2J\u{9b}31m\u{202e}\r\n[CRITICAL] forged\u{7}\u{200b}";
    let mut identity = iam_user("test");
    for field in ["userName", "principalId", "accessKeyId", "accountId", "arn"] {
        identity[field] = json!(format!("arn:aws:iam::1:user/{evil}"));
    }
    let mut event = record("1", "2026-01-01T00:00:00Z", &identity);
    for field in [
        "awsRegion",
        "sourceIPAddress",
        "userAgent",
        "errorCode",
        "eventID",
        "recipientAccountId",
    ] {
        event[field] = json!(evil);
    }
    let request =
        json!({"registryId": evil, "repositoryName": evil, "imageTag": evil, "imageDigest": evil});
    event["requestParameters"] = request;
    event["responseElements"] = json!(null);
    let mut other = event.clone();
    other["eventName"] = json!(evil);
    let here = folder(&[
        ("event.json", json!([event]).to_string().as_bytes()),
        ("both.json", json!([event, other]).to_string().as_bytes()),
    ]);
    for (args, file) in [
        (&["replay"][..], "event.json"),
        (&["replay", "--format", "json"], "event.json"),
        (&["explain"], "both.json"),
    ] {
        let ran = pushwatch(here.path(), &[args, &[file]].concat());
        assert!(!ran.out.is_empty());
        for text in [&ran.out, &ran.err] {
            let bad =
                |c: &char| (c.is_control() && *c != '\n') || matches!(c, '\u{202e}' | '\u{200b}');
            assert_eq!(text.chars().find(bad), None, "{text}");
            assert!(
                !text
                    .lines()
                    .any(|line| line.starts_with("[CRITICAL] forged")),
                "{text}"
            );
        }
    }
}

#[test]
fn a_key_that_is_also_a_glob_is_not_suggested_as_one() {
    let mut identity = role_session("ci/build", "run-1");
    identity["sessionContext"]["sessionIssuer"]["arn"] =
        json!("arn:aws:iam::111122223333:role/**/ci");
    let event = record("1", "2026-01-01T00:00:00Z", &identity);
    let here = folder(&[("event.json", event.to_string().as_bytes())]);
    let ran = pushwatch(here.path(), &["replay", "event.json"]);
    assert!(!ran.out.contains("--trusted"), "{}", ran.out);
    assert!(ran.out.contains("--known FILE"), "{}", ran.out);
}

#[test]
fn a_suggested_key_is_quoted_for_the_shell() {
    let mut identity = iam_user("test");
    identity["arn"] = json!("arn:aws:iam::1:user/$(reboot);'x'");
    let event = record("1", "2026-01-01T00:00:00Z", &identity);
    let here = folder(&[("event.json", event.to_string().as_bytes())]);
    let ran = pushwatch(here.path(), &["replay", "event.json"]);
    let line = ran
        .out
        .lines()
        .find(|line| line.contains("--trusted"))
        .unwrap();
    let words = shlex::split(line.split_once("--trusted").unwrap().1).unwrap();
    assert_eq!(words, ["arn:aws:iam::1:user/$(reboot);'x'"]);
}

#[test]
fn colour_is_only_for_terminals_and_never_with_no_color() {
    let coloured = |variables: &[(&str, &str)]| {
        let output = assert_cmd::Command::cargo_bin("pushwatch")
            .unwrap()
            .env_remove("NO_COLOR")
            .envs(variables.iter().copied())
            .args(["replay", "iam-user.json"])
            .current_dir(events())
            .output()
            .unwrap();
        output.stdout.contains(&0x1b)
    };
    assert!(!coloured(&[]), "a pipe is no terminal");
    assert!(coloured(&[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&[("NO_COLOR", "1")]));
}

#[test]
fn help_version_and_completions_are_there() {
    let here = folder(&[]);
    let run = |args: &[&str]| {
        let ran = pushwatch(here.path(), args);
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.out
    };
    assert_eq!(
        run(&["--version"]),
        format!("pushwatch {}\n", env!("CARGO_PKG_VERSION"))
    );
    assert!(run(&["replay", "--help"]).contains("Examples:"));
    assert!(run(&["explain", "--help"]).contains("Examples:"));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(run(&["completions", shell]).contains("replay"), "{shell}");
    }
}

#[test]
fn the_samples_can_be_explained() {
    let ran = pushwatch(
        &events(),
        &["explain", "sso-user.json", "ignored-image-action.json"],
    );
    insta::assert_snapshot!(ran.out);
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    let document = fs::read_to_string(document).unwrap();
    let (_, of_push) = ran.out.split_once('\n').unwrap();
    assert!(document.contains(of_push), "docs/cli.md shows it as it was");
}

fn explained(args: &[&str], events: &[Value]) -> String {
    let here = folder(&[("events.json", json!(events).to_string().as_bytes())]);
    let ran = pushwatch(here.path(), &[&["explain", "events.json"], args].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran.out
}

#[test]
fn what_is_ignored_is_explained_with_its_place() {
    let mut other = push("1", "2026-01-01T00:00:00Z", "a");
    other["eventName"] = json!("GetAuthorizationToken");
    let place = push("2", "2026-01-01T00:00:00Z", "a").to_string().len() + 2;
    let shown = explained(&[], &[push("2", "2026-01-01T00:00:00Z", "a"), other]);
    let ignored = format!(
        "Ignored: events.json: line 1, byte {place}: the call is `GetAuthorizationToken`, not PutImage\n"
    );
    assert!(shown.starts_with(&ignored), "{ignored}{shown}");
}

#[test]
fn it_is_explained_why_neither_learning_nor_a_glob_kept_a_finding_back() {
    let root = json!({"type": "Root", "principalId": "111122223333", "accountId": "111122223333",
                      "arn": "arn:aws:iam::111122223333:root"});
    let time = "2026-01-02T00:00:00Z";
    let by_user = [push("1", time, "a")];
    let by_root = [record("1", time, &root)];
    let everybody = "arn:aws:iam::*:**";
    let early = ["--learning-until", "2026-01-01"];
    let late = ["--learning-until", "2026-02-01"];
    let role = ["--trusted", "arn:aws:iam::*:role/*"];
    let all = ["--trusted", everybody];
    for (args, events, why) in [
        (
            &early,
            &by_user,
            "  learning  it ended 2026-01-01T00:00:00Z, before this push\n",
        ),
        (
            &late,
            &by_root,
            "  learning  the root user is never learned, nor a session that it minted\n",
        ),
        (&role, &by_user, "  trusted   no trusted glob matches\n"),
        (
            &all,
            &by_root,
            "  trusted   arn:aws:iam::*:** matches, but the root user needs one without a wildcard\n",
        ),
    ] {
        let shown = explained(args, events);
        assert!(shown.contains(why), "{why}{shown}");
    }
    for args in [&late[..], &all, &[]] {
        let shown = explained(args, &by_user);
        assert!(
            !shown.contains("  learning  ") && !shown.contains("  trusted   "),
            "{shown}"
        );
    }
    let known = json!({"uploader": user("a"), "standing": "revoked"}).to_string();
    let here = folder(&[
        ("events.json", json!(by_user).to_string().as_bytes()),
        ("known.jsonl", known.as_bytes()),
    ]);
    let args = [
        "explain",
        "events.json",
        "--known",
        "known.jsonl",
        all[0],
        all[1],
    ];
    let shown = pushwatch(here.path(), &args).out;
    assert!(
        shown.contains("matches, but a revocation goes before it"),
        "{shown}"
    );
}

#[test]
fn counts_agree_with_their_nouns() {
    let mut other = push("2", "2026-01-01T00:00:00Z", "a");
    other["eventSource"] = json!("s3.amazonaws.com");
    let ran = replay(&[], &[push("1", "2026-01-01T00:00:00Z", "a"), other]);
    assert!(
        ran.err.contains("Ignored     1 event of another kind"),
        "{}",
        ran.err
    );
}
