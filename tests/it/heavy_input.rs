//! What is large, deep or broken on purpose takes time and memory in proportion to its size:
//! 6 MB of brackets, of one string, of a million keys.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::support::cli::folder;
use crate::support::events::{iam_user, record};

const MEGABYTE: usize = 1024 * 1024;
/// What a command may take for its code, its threads and its first buffers, in megabytes.
const BASE: usize = 400;
/// And for each byte of the input.
const PER_BYTE: usize = 24;

/// Each about `size` bytes long.
fn heavy(size: usize) -> Vec<(&'static str, String)> {
    let push = |field: &str, value: &str| {
        let mut push = record("heavy", "2026-01-12T09:00:00Z", &iam_user("test"));
        push[field] = json!("HERE");
        push.to_string().replace("\"HERE\"", value)
    };
    let keys = |size: usize| {
        let keys: Vec<_> = (0..size / 12).map(|key| format!("\"k{key}\":1")).collect();
        format!("{{{}}}", keys.join(","))
    };
    let deep = |open: &str, close: &str| {
        let depth = size / (open.len() + close.len());
        open.repeat(depth) + "1" + &close.repeat(depth)
    };
    let manifest = |manifest: String| {
        let mut push = record("heavy", "2026-01-12T09:00:00Z", &iam_user("test"));
        push["requestParameters"]["imageManifest"] = Value::String(manifest);
        push.to_string()
    };
    vec![
        ("brackets", "[".repeat(size)),
        ("braces", "{\"a\":".repeat(size / 5)),
        ("brackets in brackets", deep("[", "]")),
        ("objects in objects", deep("{\"detail\":", "}")),
        (
            "lists of records in each other",
            deep("{\"Records\":[", "]}"),
        ),
        ("one string", format!("\"{}\"", "x".repeat(size))),
        (
            "one string of escapes",
            format!("\"{}\"", "\\u0001".repeat(size / 6)),
        ),
        ("a million keys", keys(size)),
        ("one number", "1".repeat(size)),
        ("spaces", " ".repeat(size)),
        (
            "a million records",
            format!("{{\"Records\":[{}{{}}]}}", "{},".repeat(size / 3)),
        ),
        ("lines that never close", "{\"a\":\n".repeat(size / 6)),
        (
            "lines that never close, and a fault",
            "{\"a\":\n".repeat(size / 6) + "?",
        ),
        ("lists that never close", "[{{\n".repeat(size / 4)),
        (
            "broken elements",
            format!("[{}", "{\"a\":}{\"b\":,".repeat(size / 12)),
        ),
        ("broken lines", "{\"a\":?}\n".repeat(size / 8)),
        (
            "an identity of brackets",
            push("userIdentity", &deep("[", "]")),
        ),
        ("an identity of keys", push("userIdentity", &keys(size))),
        (
            "an identity in itself",
            push("userIdentity", &deep("{\"sessionContext\":", "}")),
        ),
        (
            "parameters of one string",
            push("requestParameters", &format!("\"{}\"", "x".repeat(size))),
        ),
        (
            "a response of empty objects",
            push(
                "responseElements",
                &format!("{{{}\"x\":1}}", "\"image\":{},".repeat(size / 11)),
            ),
        ),
        (
            "resources",
            push(
                "resources",
                &format!("[{}{{}}]", "{\"ARN\":\"x\"},".repeat(size / 12)),
            ),
        ),
        (
            "a region of control characters",
            push("awsRegion", &format!("\"{}\"", "\\u001b".repeat(size / 6))),
        ),
        ("a manifest of brackets", manifest(deep("[", "]"))),
        (
            "a manifest of layers",
            manifest(format!(
                "{{\"layers\":[{}{{}}]}}",
                "{\"mediaType\":\"x\"},".repeat(size / 24)
            )),
        ),
        ("a manifest of quotes", manifest("\"".repeat(size / 2))),
        ("two indexes of many platforms", {
            let index = |letter: char| {
                let platforms = (0..size / 40).map(|at| format!("{{\"digest\":\"{letter}{at}\"}}"));
                let platforms: Vec<_> = platforms.collect();
                manifest(format!("{{\"manifests\":[{}]}}", platforms.join(",")))
            };
            format!("{}\n{}", index('a'), index('b').replace("heavy", "other"))
        }),
    ]
}

/// More than a third of a gigabyte, which is a few megabytes zipped. One that held the text would
/// need more than there is.
#[test]
fn a_large_gzip_is_streamed() {
    let other = json!({"eventName": "PutObject", "requestParameters": {"key": "x".repeat(900)}});
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let write =
        |encoder: &mut GzEncoder<_>, text: &str| encoder.write_all(text.as_bytes()).unwrap();
    write(&mut encoder, "{\"Records\":[");
    let others = format!("{other},").repeat(1_000);
    for _ in 0..384 {
        write(&mut encoder, &others);
    }
    let push = record("1", "2026-01-12T09:00:00Z", &iam_user("test"));
    write(&mut encoder, &format!("{push}]}}"));
    let folder = folder(&[("a.json.gz", &encoder.finish().unwrap())]);
    for command in [
        &["replay", "--quiet", "--format", "json", "a.json.gz"][..],
        &["report", "--quiet", "--summary", "a.json.gz"],
        &["investigate", "1", "a.json.gz"],
    ] {
        seconds(folder.path(), command, 320);
        let out = std::fs::read_to_string(folder.path().join("out")).unwrap();
        assert!(out.contains("user/test"), "{command:?}: {out}");
    }
}

/// Runs a command in a shell that holds it to limits; gives the seconds of CPU that it took.
/// A command that meets a limit is killed, or says so.
fn seconds(folder: &Path, args: &[&str], megabytes: usize) -> f64 {
    let limits = format!("ulimit -t 100; ulimit -v {}", megabytes * 1024);
    let script = format!("{limits}; \"$0\" \"$@\" >out 2>err; echo $?; times");
    let output = Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_pushwatch")])
        .args(args)
        .env("RAYON_NUM_THREADS", "1")
        .current_dir(folder)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines();
    let code = lines.next().unwrap_or_default();
    let said = std::fs::read_to_string(folder.join("err")).unwrap_or_default();
    assert!(matches!(code, "0" | "2"), "{args:?}: {code}: {said}");
    assert!(!said.contains("memory allocation"), "{args:?}: {said}");
    // The second line is of the children: `0m0.010s 0m0.000s`.
    let of_children = lines.nth(1).unwrap_or_default();
    let times = of_children.split_whitespace().map(|time| {
        let (minutes, seconds) = time.trim_end_matches('s').split_once('m').unwrap();
        minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
    });
    times.sum()
}

/// Four times the input takes about four times as long; sixteen times, if something is
/// looked at again and again.
fn assert_linear(args: &[&str], name: &str, content: impl Fn(usize) -> Vec<u8>) {
    let run = |size: usize| {
        let content = content(size);
        let folder = folder(&[("a.json", &content)]);
        let megabytes = BASE + PER_BYTE * content.len().max(size) / MEGABYTE;
        seconds(folder.path(), args, megabytes)
    };
    let (less, more) = (run(3 * MEGABYTE / 2), run(6 * MEGABYTE));
    assert!(more < 8.0 * less + 0.5, "{name}: {less} s, then {more} s");
}

fn assert_all_linear(args: &[&str]) {
    for index in 0..heavy(0).len() {
        let name = heavy(0)[index].0;
        assert_linear(args, name, |size| heavy(size)[index].1.clone().into_bytes());
    }
}

#[test]
fn a_replay_takes_time_and_memory_in_proportion() {
    assert_all_linear(&["replay", "--quiet", "--format", "json", "a.json"]);
}

#[test]
fn a_report_takes_time_and_memory_in_proportion() {
    assert_all_linear(&["report", "--quiet", "--output", "page.html", "a.json"]);
}

#[test]
fn an_investigation_takes_time_and_memory_in_proportion() {
    assert_all_linear(&["investigate", "heavy", "a.json"]);
}

#[test]
fn an_uploaders_file_takes_time_and_memory_in_proportion() {
    assert_all_linear(&["uploaders", "list", "--file", "a.json"]);
}

#[test]
fn a_gzip_of_a_thousandth_is_read_in_proportion_to_its_text() {
    for line in ["[", "{}\n", " ", "{\"eventName\":\"PutImage\"}\n"] {
        let zipped = |size: usize| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder
                .write_all(line.repeat(size / line.len()).as_bytes())
                .unwrap();
            encoder.finish().unwrap()
        };
        assert!(zipped(6 * MEGABYTE).len() < 64 * 1024);
        assert_linear(&["replay", "--quiet", "a.json"], line, zipped);
    }
}
