//! `pushwatch uploaders` on a file, without AWS.

use std::fs;

use serde_json::{Value, json};

use crate::support::cli::{Laptop, Ran, on_terminal, pushwatch_on_terminal, succeeded};
use crate::support::events::TEST_USER;

const T1: &str = "2026-01-01T00:00:00Z";
const T2: &str = "2026-01-02T00:00:00Z";

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

#[test]
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

#[test]
fn what_is_listed_and_shown_of_an_uploader_is_no_link() {
    let laptop = Laptop::new();
    let evil = "http://evil.com/login";
    let push = |repository: &str, tag: &str| json!({"repository": repository, "tag": tag, "region": evil, "sourceIp": evil});
    let lines = [
        line(
            "first",
            evil,
            &json!({"name": evil, "kind": "www.evil.com", "accountId": "evil.com",
                "ways": ["provider:evil.com"], "trustedBy": evil,
                "lastPush": push("evil.com/login", evil), "principalId": evil}),
        ),
        // Neither is a link by itself.
        line(
            "second",
            "new",
            &json!({"lastPush": push("tel", "5551234")}),
        ),
        line(
            "third",
            "new",
            &json!({"lastPush": push("http", "//evil.example/x")}),
        ),
    ];
    laptop.write("known.jsonl", &lines.join("\n"));
    for args in [
        &["list"][..],
        &["show", "arn:aws:iam::111122223333:user/first"],
    ] {
        let ran = succeeded(on_file(&laptop, args));
        for link in ["://", "www.", "evil.com", "tel:5"] {
            assert!(!ran.out.contains(link), "{link}: {}", ran.out);
        }
    }
}

#[test]
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

#[test]
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

#[test]
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

#[test]
fn import_refuses_what_would_trust_somebody_else_or_for_ever() {
    let laptop = Laptop::new();
    let mary = "arn:aws:iam::111122223333:user/mary";
    let refuses = |list: &str, options: &[&str], fault: &str| {
        laptop.write("list.csv", list);
        let ran = on_file(&laptop, &[&["import", "list.csv"], options].concat());
        assert_eq!(ran.code, 2, "{list} {}", ran.err);
        assert!(ran.err.contains(fault), "{list} {}", ran.err);
    };
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
        refuses(&list, &["--skip-bad", "--yes"], fault);
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
        refuses(&list, &[], fault);
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
    for ran in [
        on_file(&laptop, &["import", "list.txt"]),
        laptop.run_bare(&["replay", "--known", "list.txt", "list.txt"], &[]),
    ] {
        let more = "\nlist.txt: and 62 more bad lines\n";
        assert!(ran.err.contains(more), "{}", ran.err);
    }
}

#[test]
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
}

/// So that what was shown is what is written, whatever becomes of the file meanwhile.
#[test]
fn import_reads_its_list_once() {
    let laptop = Laptop::new();
    laptop.write("keys.txt", "arn:aws:iam::111122223333:user/ada\n");
    let program = env!("CARGO_BIN_EXE_pushwatch");
    // A pipe gives what is in it to the first who reads.
    let once = format!(
        "mkfifo pipe && {{ cat keys.txt > pipe & }} && \
         timeout 20 {program} uploaders import pipe --file known.jsonl"
    );
    let ran = on_terminal(laptop.folder.path(), &["sh", "-c", &once], &[], "", 80);
    assert!(ran.out.contains("Added 1"), "{}", ran.out);
    assert_eq!(known(&laptop).len(), 1);
}

#[test]
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

#[test]
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
