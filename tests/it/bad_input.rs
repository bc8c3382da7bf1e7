//! What can't be read is named, and all else still counts.

use std::io::Read as _;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::support::cli::{Ran, folder, gzip, pushwatch};
use crate::support::events::{iam_user, record};

fn push(id: &str, name: &str) -> String {
    record(id, "2026-01-01T00:00:00Z", &iam_user(name)).to_string()
}

/// Replays `content` under the name beside a good file; the good file's
/// finding must come, the exit code be 2, and one line say what is wrong.
#[track_caller]
fn named(name: &str, content: &[u8], fault: &str) -> Ran {
    let good = push("good", "good");
    let folder = folder(&[(name, content), ("z-good.json", good.as_bytes())]);
    let ran = pushwatch(
        folder.path(),
        &["replay", "--quiet", "--format", "json", "."],
    );
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(
        ran.findings()
            .iter()
            .any(|(_, key)| key.ends_with("user/good")),
        "{}",
        ran.out
    );
    assert_eq!(ran.err, format!("./{name}: {fault}\n"));
    ran
}

#[test]
fn a_file_that_is_not_json() {
    named(
        "a.json",
        b"hello",
        "line 1, byte 0: not JSON: expected value; what follows it is not read",
    );
}

#[test]
fn an_empty_file() {
    named("a.json", b"", "line 1, byte 0: there is nothing in it");
    named(
        "a.json.gz",
        &gzip(b""),
        "line 1, byte 0: there is nothing in it",
    );
}

#[test]
fn a_file_that_is_cut_off_in_the_middle() {
    let whole = format!(
        "{{\"Records\":[{},{}]}}",
        push("1", "first"),
        push("2", "second")
    );
    let cut = &whole.as_bytes()[..whole.len() - 100];
    let at = "{\"Records\":[,".len() + push("1", "first").len();
    let ran = named(
        "a.json",
        cut,
        &format!("line 1, byte {at}: the text ends in the middle of this value"),
    );
    assert_eq!(ran.findings().len(), 2, "what came before the cut counts");
}

#[test]
fn a_line_that_is_broken_and_the_lines_after_it() {
    let lines = format!(
        "{}\n{{\"broken\":}}\n{}\n",
        push("1", "first"),
        push("2", "second")
    );
    let byte = push("1", "first").len() + 1 + 10;
    let ran = named(
        "a.jsonl",
        lines.as_bytes(),
        &format!(
            "line 2, byte {byte}: not JSON: expected value; it is read on from line 3, byte {}",
            byte + 2
        ),
    );
    assert_eq!(ran.findings().len(), 3);
}

#[test]
fn a_record_that_is_no_object() {
    for odd in ["7", "\"PutImage\"", "null", "[]"] {
        let records = format!(
            "{{\"Records\":[{},{odd},{}]}}",
            push("1", "a"),
            push("2", "b")
        );
        let byte = "{\"Records\":[,".len() + push("1", "a").len();
        let ran = named(
            "a.json",
            records.as_bytes(),
            &format!("line 1, byte {byte}: a record must be a JSON object"),
        );
        assert_eq!(ran.findings().len(), 3, "{odd}");
    }
}

#[test]
fn a_push_that_can_not_be_read() {
    let odd = json!({"detail-type": "AWS API Call via CloudTrail", "source": "aws.ecr", "detail": "PutImage"});
    named(
        "a.json",
        odd.to_string().as_bytes(),
        "line 1, byte 0: the envelope's `detail` is not an object",
    );
}

#[test]
fn a_gzip_that_breaks() {
    let text = format!("{}\n{}\n", push("1", "first"), push("2", "second"));
    let packed = gzip(text.as_bytes());
    let cut = &packed[..packed.len() - 12];
    let folder = folder(&[("cut.json.gz", cut)]);
    let ran = pushwatch(folder.path(), &["replay", "--quiet", "."]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains("the gzip is cut off after byte"),
        "{}",
        ran.err
    );
    assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);

    // A wrong checksum: all of the text came, and counts.
    let mut wrong = packed.clone();
    let checksum = wrong.len() - 6;
    wrong[checksum] ^= 1;
    let byte = text.len();
    let ran = named(
        "a.json.gz",
        &wrong,
        &format!(
            "line 3, byte {byte}: the gzip is broken after byte {byte} of its text: corrupt gzip stream does not have a matching checksum"
        ),
    );
    assert_eq!(ran.findings().len(), 3);
}

#[test]
fn a_gzip_that_breaks_in_a_large_file_without_a_push() {
    let mut packed = gzip("[1,2,3]   ".repeat(400_000).as_bytes());
    let checksum = packed.len() - 6;
    packed[checksum] ^= 1;
    named(
        "a.json.gz",
        &packed,
        "the gzip is broken after byte 4000000 of its text: corrupt gzip stream does not have a matching checksum",
    );
}

#[test]
fn a_file_that_is_not_there() {
    let folder = folder(&[("good.json", push("good", "good").as_bytes())]);
    let ran = pushwatch(
        folder.path(),
        &[
            "replay",
            "--quiet",
            "--format",
            "json",
            "gone.json",
            "good.json",
        ],
    );
    assert_eq!((ran.code, ran.findings().len()), (2, 1));
    assert_eq!(
        ran.err,
        "gone.json: No such file or directory (os error 2)\n"
    );
}

#[test]
fn many_faults_in_one_file_are_counted() {
    let lines = "oops\n{]\n".repeat(30);
    let folder = folder(&[("a.jsonl", lines.as_bytes())]);
    let ran = pushwatch(folder.path(), &["replay", "--quiet", "."]);
    assert_eq!(ran.err.lines().count(), 11, "{}", ran.err);
    assert!(
        ran.err.ends_with("./a.jsonl: and 21 more faults\n"),
        "{}",
        ran.err
    );
}

#[test]
fn a_wrong_option_stops_before_any_work() {
    let folder = folder(&[
        ("good.json", push("good", "good").as_bytes()),
        (
            "twice.txt",
            b"arn:aws:iam::111122223333:user/a\n{\"uploader\":\"arn:aws:iam::111122223333:user/b\",\"standing\":\"revoked\"}\n\
              arn:aws:iam::111122223333:user/b\narn:aws:iam::111122223333:user/a\n",
        ),
        (
            "bad.txt",
            b"arn:aws:iam::111122223333:user/a\nmary\n{\"uploader\":1}\n",
        ),
    ]);
    for (args, fault) in [
        (
            &["--suppress", "push.tag =="][..],
            "error: --suppress: CEL expression, line 1, column 12: ",
        ),
        (
            &["--trusted", "arn:aws:iam::1:role/[a]"],
            "character 21: `[` has no meaning here",
        ),
        (&["--trusted", ""], "the glob is empty"),
        (
            &["--learning-until", "tomorrow"],
            "it takes a date such as 2026-12-31",
        ),
        (&["--absence-days", "many"], "invalid digit found in string"),
        (&["--absence-days", "-1"], "unexpected argument '-1'"),
        (&["--format", "xml"], "possible values: text, json"),
        (
            &["--known", "gone.txt"],
            "error: gone.txt: No such file or directory",
        ),
        (
            &["--known", "bad.txt"],
            "bad.txt: line 2: `mary` is no uploader key",
        ),
        (
            &["--known", "bad.txt"],
            "bad.txt: line 3: column 13: invalid type",
        ),
        (
            &["--save", "no/such/folder/file"],
            "no/such/folder/file can't be written",
        ),
        (
            &["--save", "."],
            ". can't be written: it is no regular file",
        ),
        (
            &["--save", "/dev/null"],
            "/dev/null can't be written: it is no regular file",
        ),
        (
            &["--known", "twice.txt"],
            "twice.txt: line 3: the uploader stands on line 2 already",
        ),
    ] {
        let ran = pushwatch(folder.path(), &[&["replay"], args, &["good.json"]].concat());
        assert_eq!(
            (ran.code, ran.out.as_str()),
            (2, ""),
            "{args:?} {}",
            ran.err
        );
        assert!(ran.err.contains(fault), "{args:?}: {}", ran.err);
    }
}

#[test]
fn a_pipe_that_is_named_as_a_file_is_read_to_its_end() {
    // A push that comes late must not need a second reading.
    let filler = json!({"eventName": "GetObject", "filler": "x".repeat(2 * 1024 * 1024)});
    let input = format!("{{\"Records\":[{filler},{}]}}", push("1", "late"));
    let folder = folder(&[]);
    let args = ["replay", "--format", "json", "/dev/stdin"];
    let ran = crate::support::cli::pushwatch_with_input(folder.path(), &args, &input);
    assert_eq!((ran.code, ran.findings().len()), (0, 1), "{}", ran.err);
}

#[test]
fn lists_nested_without_end_are_a_fault() {
    let nested = format!(
        "{}{}{}",
        "{\"x\":1,\"Records\":[".repeat(2000),
        push("1", "deep"),
        "]}".repeat(2000)
    );
    named(
        "a.json",
        nested.as_bytes(),
        "line 1, byte 0: the object is neither an EventBridge event nor a CloudTrail record",
    );
}

#[test]
fn a_broken_pipe_ends_quietly() {
    let many: String = (0..5000)
        .map(|index| push(&format!("{index}"), &format!("u{index}")) + "\n")
        .collect();
    let folder = folder(&[("many.jsonl", many.as_bytes())]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_pushwatch"))
        .args(["replay", "--save", "known.jsonl", "many.jsonl"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 10];
    let mut output = child.stdout.take().unwrap();
    output.read_exact(&mut first).unwrap();
    drop(output);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    let known = std::fs::read_to_string(folder.path().join("known.jsonl")).unwrap();
    assert_eq!(known.lines().count(), 5000, "the work is done all the same");
}
