//! `pushwatch status` on a stack in moto.

use serde_json::{Value, json};

use crate::support::block_on;
use crate::support::cli::{pushwatch_on_terminal, succeeded};
use crate::support::deployment::push;
use crate::support::healthy::Healthy;
use crate::support::lambda::Function;
use crate::support::moto::REGION;
use crate::support::overlay::json as answer_json;

const T1: &str = "2026-01-01T00:00:00Z";
const T2: &str = "2026-01-02T00:00:00Z";

/// A stack with two uploaders, one of whom was told about, and one who is owed.
fn busy(name: &str) -> Healthy {
    let healthy = Healthy::new(name);
    let function = Function::start(&healthy.stack, &[]);
    function.invoke(&push("1", T1, "ada")).unwrap();
    function
        .proxy
        .sns_is_down
        .store(true, std::sync::atomic::Ordering::SeqCst);
    function.invoke(&push("2", T2, "bob")).unwrap();
    healthy
}

#[test]
#[ignore = "needs moto"]
fn a_deployment_is_on_one_screen() {
    let healthy = busy("pw-status");
    let ran = succeeded(healthy.run("status", &[]));
    insta::with_settings!({filters => vec![
        (r"20(26|27)-\d\d-\d\dT[\d:.]+Z", "TIME"), (r"just now|\d+ (minute|hour|day)s? ago", "AGO"),
    ]}, {
        insta::assert_snapshot!("a_deployment", ran.out);
    });
    assert_eq!(ran.err, "");
}

#[test]
#[ignore = "needs moto"]
fn the_same_is_there_as_json() {
    let healthy = busy("pw-status-json");
    let ran = succeeded(healthy.run("status", &["--json"]));
    let status: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(status["uploaders"], json!({"new": 2}));
    assert_eq!(status["owed"]["findings"], 1);
    assert_eq!(status["parked"], 0);
    assert_eq!(
        status["lastPush"]["uploader"],
        "arn:aws:iam::111122223333:user/bob"
    );
    assert_eq!(status["lastPush"]["time"], T2);
    assert_eq!(status["lastFinding"]["publishedAt"], Value::Null);
    assert!(status["lastSweep"].is_string(), "{status}");
    assert_eq!(status["faults"], json!([]));
}

#[test]
#[ignore = "needs moto"]
fn no_text_of_a_table_is_obeyed() {
    let healthy = Healthy::new("pw-status-hostile");
    let record = json!({
        "uploader": "arn:aws:iam::111122223333:user/x", "lastSeen": T2, "revision": 1,
        "standing": "\u{1b}]0;owned\u{7}http://evil.com", "lastPush": {"tag": "\u{9b}31m\u{202e}"},
    });
    let item = serde_dynamo::to_item(&record).unwrap();
    block_on(healthy.stack.put(&healthy.stack.uploaders, item));
    for options in [&[][..], &["--json"]] {
        let ran = succeeded(healthy.run("status", options));
        let is_hostile = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!ran.out.contains(is_hostile), "{:?}", ran.out);
        assert!(!ran.out.contains("http://"), "{}", ran.out);
    }
}

#[test]
#[ignore = "needs moto"]
fn a_right_that_is_missing_is_named_in_its_line() {
    let healthy = busy("pw-status-right");
    let error = json!({"__type": "AccessDeniedException", "message": "no"});
    healthy
        .overlay
        .answer("GetQueueAttributes", answer_json(400, &error));
    let ran = succeeded(healthy.run("status", &[]));
    let line = "Parked        not known: the right sqs:GetQueueAttributes is missing\n";
    assert!(ran.out.contains(line), "{}", ran.out);
    healthy.overlay.answer("Scan", answer_json(400, &error));
    let ran = healthy.run("status", &[]);
    assert_eq!(ran.code, 2, "{}", ran.out);
    assert!(
        ran.err.contains("the right dynamodb:Scan is missing"),
        "{}",
        ran.err
    );
}

#[test]
#[ignore = "needs moto"]
fn a_watch_without_a_terminal_shows_one_screen() {
    let healthy = busy("pw-status-pipe");
    let ran = succeeded(healthy.run("status", &["--watch"]));
    assert_eq!(ran.out.matches("Last finding").count(), 1, "{}", ran.out);
    assert!(
        !ran.out.contains('\u{1b}') && !ran.out.contains("Ctrl-C"),
        "{}",
        ran.out
    );
    assert_eq!(ran.err, "");
}

#[test]
#[ignore = "needs moto"]
fn ctrl_c_ends_a_watch_cleanly() {
    let healthy = busy("pw-status-watch");
    let address = healthy.overlay.address();
    let environment = [
        ("AWS_ENDPOINT_URL", address.as_str()),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", REGION),
    ];
    let folder = healthy.laptop.folder.path();
    let args = ["status", "--stack", &healthy.name, "--watch"];
    let ran = pushwatch_on_terminal(folder, &args, &environment, "\u{3}", 120);
    assert_eq!(ran.code, 0, "{}", ran.out);
    assert!(!ran.out.contains("error"), "{}", ran.out);
}
