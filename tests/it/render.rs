//! `pushwatch render`, through the built command line.

use serde_json::{Value, json};

use crate::support::cli::{Ran, events, pushwatch, pushwatch_with_input};

const FORMATS: [&str; 8] = [
    "text",
    "email",
    "ocsf",
    "amazon-q",
    "pagerduty",
    "sms",
    "asff",
    "json",
];

fn render(format: &str, input: &str) -> Ran {
    pushwatch_with_input(&events(), &["render", "--format", format, "-"], input)
}

fn of_event(format: &str) -> String {
    let ran = pushwatch(&events(), &["render", "--format", format, "iam-user.json"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{format}");
    ran.out
}

#[test]
fn an_event_and_all_that_sns_makes_of_its_finding_render_alike() {
    let finding = of_event("json");
    let ocsf = of_event("ocsf");
    let delivered = json!({"Type": "Notification", "Message": ocsf}).to_string();
    let published = json!({"default": ocsf, "email": "…"}).to_string();
    for format in FORMATS {
        let expected = of_event(format);
        for input in [&finding, &ocsf, &delivered, &published] {
            let ran = render(format, input);
            assert_eq!((ran.code, ran.out.as_str()), (0, expected.as_str()));
        }
    }
}

#[test]
fn without_a_format_it_is_the_email() {
    let ran = pushwatch(&events(), &["render", "iam-user.json"]);
    assert_eq!((ran.code, ran.out), (0, of_event("email")));
}

#[test]
fn a_cloudtrail_file_of_one_event_renders_and_one_of_several_is_refused() {
    let event = std::fs::read_to_string(events().join("iam-user.json")).unwrap();
    let event: Value = serde_json::from_str(&event).unwrap();
    let record = &event["detail"];
    for one in [json!({"Records": [record]}), json!([event])] {
        assert_eq!(render("email", &one.to_string()).out, of_event("email"));
    }
    let two = json!({"Records": [record, record]}).to_string();
    let ran = render("email", &two);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("2 events") && ran.err.contains("pushwatch replay --format"));
}

#[test]
fn text_is_what_replay_shows() {
    let replayed = pushwatch(&events(), &["replay", "--quiet", "iam-user.json"]).out;
    assert_eq!(of_event("text").trim_end(), replayed.trim_end());
}

#[test]
fn lists_render_in_every_format() {
    let finding: Value = serde_json::from_str(&of_event("json")).unwrap();
    for kind in ["rollup", "digest"] {
        let list = json!({"kind": kind, "severity": "high", "findings": [finding, finding]});
        let ocsf = render("ocsf", &list.to_string()).out;
        for format in FORMATS {
            let ran = render(format, &ocsf);
            assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{format}");
            assert_eq!(ran.out, render(format, &list.to_string()).out);
        }
    }
}

#[test]
fn names_that_are_not_given_are_words_to_be_replaced() {
    assert!(of_event("email").contains("--table TABLE --region REGION\n"));
    let named = [
        "render",
        "--format",
        "email",
        "--table",
        "uploaders",
        "--region",
        "eu-west-1",
        "iam-user.json",
    ];
    let email = pushwatch(&events(), &named).out;
    assert!(email.contains("--table uploaders --region eu-west-1\n"));
}

#[test]
fn what_holds_no_finding_is_refused_in_one_line() {
    for input in [
        "",
        "{",
        "[]",
        "{}",
        r#"{"findings":[]}"#,
        r#"{"findings":[{}]}"#,
        r#"{"Message":"good morning"}"#,
        r#"{"unmapped":{"pushwatch":null}}"#,
        r#"{"findings":[{"reason":"evil.com"}]}"#,
        r#"{"eventName":"evil.com/login"}"#,
    ] {
        let ran = render("email", input);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{input}");
        assert!(ran.err.starts_with("error: ") && ran.err.trim_end().lines().count() == 1);
        assert!(!ran.err.contains("evil.com"), "{}", ran.err);
    }
    let ran = pushwatch(&events(), &["render", "--format", "sms", "sweep.json"]);
    assert_eq!(ran.code, 2);
}
