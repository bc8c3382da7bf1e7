//! `pushwatch explain` of a deployment: by event, finding and uploader.

use std::collections::HashMap;

use regex_lite::Regex;
use serde_json::{Value, json};

use crate::support::block_on;
use crate::support::cli::{Laptop, Ran, succeeded};
use crate::support::deployment::{Deployment, outcome, push};
use crate::support::events::{TEST_USER, envelope, iam_user, record};
use crate::support::lambda::Function;
use crate::support::lookup_events::{Answer, CloudTrail};
use crate::support::moto::{REGION, create_stack};

const T1: &str = "2026-01-01T00:00:00Z";
const T2: &str = "2026-01-02T00:00:00Z";
const EVENT: &str = "3607e37b-38de-4320-a029-7ca8ab667ffc";
const OTHER: &str = "7b1d2f5e-0000-4320-a029-7ca8ab667ffc";
const NEWBIE: &str = "arn:aws:iam::111122223333:user/newbie";

/// A stack with these parameters, whose function told of one push.
struct Told {
    laptop: Deployment,
    function: Function,
    stack: String,
}

impl Told {
    fn of(parameters: &[(&str, &str)], settings: &[(&str, &str)]) -> Self {
        let laptop = Deployment::new();
        let stack = format!("explained-{}", laptop.stack.findings);
        let parameters = parameters.iter().map(|(name, value)| {
            let parameter = json!({"Type": "String", "Default": value});
            ((*name).to_owned(), parameter)
        });
        let template = json!({
            "Parameters": parameters.collect::<serde_json::Map<_, _>>(),
            "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
            "Outputs": {
                "UploadersTable": {"Value": laptop.stack.uploaders},
                "FindingsTable": {"Value": laptop.stack.findings}
            }
        });
        create_stack(&stack, &template.to_string());
        let function = Function::start(&laptop.stack, settings);
        assert_eq!(
            outcome(&function, &push(EVENT, T1, "test")),
            "finding_published"
        );
        Self {
            laptop,
            function,
            stack,
        }
    }

    /// What is explained; of the tables nothing is another one afterwards.
    fn explain(&self, subjects: &[&str], more: &[(&str, &str)]) -> Ran {
        let before = self.tables();
        let options = ["--stack", &self.stack, "--region", REGION];
        let args = [&["explain"], subjects, &options[..]].concat();
        let ran = self.laptop.run_bare(&args, more);
        assert_eq!(self.tables(), before, "{subjects:?}");
        ran
    }

    fn explained(&self, subjects: &[&str]) -> String {
        succeeded(self.explain(subjects, &[])).out
    }

    fn tables(&self) -> (Vec<Value>, Vec<Value>) {
        let stack = &self.laptop.stack;
        (block_on(stack.uploaders()), block_on(stack.findings()))
    }

    fn finding(&self) -> Value {
        let found = block_on(self.laptop.stack.findings()).into_iter();
        let mut found = found.filter(|finding| finding["eventId"] == EVENT);
        found.next().unwrap()
    }

    fn write(&self, events: &[Value]) {
        self.laptop.write("events.json", &json!(events).to_string());
    }
}

/// Without what differs from run to run.
fn stable(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, words) in [
        (r"decided 20\S+", "decided TIME"),
        (
            r"published 20\S+, message \S+",
            "published TIME, message ID",
        ),
        (
            r"answered  20\S+ \(.*\) by \S+:",
            "answered  TIME (AGO) by CALLER:",
        ),
    ] {
        text = Regex::new(pattern)
            .unwrap()
            .replace_all(&text, words)
            .into_owned();
    }
    text
}

#[test]
#[ignore = "needs moto"]
fn a_finding_is_explained_alike_by_file_event_and_finding() {
    let told = Told::of(&[], &[]);
    told.write(&[push(EVENT, T1, "test")]);
    let finding = told.finding()["findingId"].as_str().unwrap().to_owned();
    let by_finding = told.explained(&[&finding]);
    assert_eq!(told.explained(&[EVENT]), by_finding);
    // The file says who it was, too.
    let by_file = told.explained(&["events.json"]);
    let identity = "  identity  row 1: an IAM user is known by its ARN\n";
    assert_eq!(by_file.replace(identity, ""), by_finding);
    assert_ne!(by_file, by_finding);
    // Somebody else's event of the same id is another one.
    told.write(&[push(EVENT, T1, "newbie")]);
    let other = told.explained(&["events.json"]);
    assert!(
        other.contains("  finding   none is stored of this event"),
        "{other}"
    );

    let answer = ["findings", "answer", &finding, "--reason", "asked Mary"];
    succeeded(told.laptop.run(&answer));
    insta::assert_snapshot!("a_finding", stable(&told.explained(&[EVENT])));
}

#[test]
#[ignore = "needs moto"]
fn a_push_without_a_finding_is_decided_as_if_it_came_now() {
    let told = Told::of(
        &[
            ("TrustedUploaders", "arn:aws:iam::*:user/ci-*"),
            ("SuppressFindings", "uploader.name == 'sandbox'"),
        ],
        &[],
    );
    assert_eq!(outcome(&told.function, &push("2", T2, "test")), "known");
    told.write(&[
        push("2", T2, "test"),
        push("3", T2, "newbie"),
        push("4", T2, "ci-build"),
        push("5", T2, "sandbox"),
        push("6", T2, "newbie"),
    ]);
    let ran = succeeded(told.explain(&["events.json"], &[]));
    insta::assert_snapshot!("pushes", ran.out);
    assert!(ran.err.starts_with("Settings of stack "), "{}", ran.err);
    // An option goes before a setting.
    let options = ["events.json", "--suppress", "uploader.name == 'newbie'"];
    let shown = told.explained(&options);
    assert!(
        shown.contains("if it came now: nothing is told: --suppress matches"),
        "{shown}"
    );
}

#[test]
#[ignore = "needs moto"]
fn it_is_said_who_may_have_filtered_a_finding() {
    for (expression, said) in [
        (
            "",
            "by nobody we know of: SuppressFindings is not set; a subscription",
        ),
        (
            "uploader.name == 'x'",
            "by nobody we know of: SuppressFindings does not match; a sub",
        ),
        (
            "uploader.name == 'test'",
            "SuppressFindings matches it now, but did not when it was",
        ),
        (
            "unusual[0] == 'way'",
            "by nobody we know of: SuppressFindings fails on it, and supp",
        ),
    ] {
        let told = Told::of(&[("SuppressFindings", expression)], &[]);
        let shown = told.explained(&[EVENT]);
        assert!(shown.contains(&format!("  filter    {said}")), "{shown}");
    }
}

#[test]
#[ignore = "needs moto"]
fn an_uploader_is_explained_by_its_record_its_findings_and_its_next_push() {
    let told = Told::of(
        &[
            ("TrustedUploaders", "arn:aws:iam::*:user/ci-*"),
            ("AbsenceDays", "9999"),
        ],
        &[],
    );
    let id = told.finding()["findingId"].as_str().unwrap().to_owned();
    let shown = told.explained(&[TEST_USER]);
    assert!(
        shown.contains("  record    new, first seen 2026-01-01T00:00:00Z, last"),
        "{shown}"
    );
    assert!(
        shown.contains(&format!(
            "  finding   {id}: new_uploader (high), decided 20"
        )),
        "{shown}"
    );
    assert!(
        shown.contains("published 20") && shown.contains("answered by nobody"),
        "{shown}"
    );
    let next = |key: &str, options: &[&str]| {
        let shown = told.explained(&[&[key], options].concat());
        let lines = shown
            .lines()
            .filter(|line| line.starts_with("  decision") || line.starts_with("  outcome"));
        lines.collect::<Vec<_>>().join("\n")
    };
    let is = |key: &str, options: &[&str], row: u8, outcome: &str| {
        let said = next(key, options);
        assert!(said.contains(&format!("row {row}: ")), "{key}: {said}");
        assert!(
            said.contains(&format!("of its next push {outcome}")),
            "{key}: {said}"
        );
    };
    is(TEST_USER, &[], 14, "nothing is told, unless");
    is(
        TEST_USER,
        &["--absence-days", "90"],
        12,
        "its return after a long absence is told",
    );
    is(NEWBIE, &[], 8, "it is told that somebody new pushed");
    is(
        NEWBIE,
        &["--learning-until", "2099-01-01"],
        7,
        "the learning digest tells",
    );
    is(
        "arn:aws:iam::111122223333:user/ci-1",
        &[],
        6,
        "nothing is told: the trusted glob",
    );
    is("unidentified:111122223333", &[], 2, "each is told");
    succeeded(
        told.laptop
            .run(&["uploaders", "trust", TEST_USER, "--reason", "ticket 42"]),
    );
    is(
        TEST_USER,
        &["--absence-days", "90"],
        14,
        "nothing is told, unless",
    );
    let shown = told.explained(&[TEST_USER]);
    assert!(shown.contains(": ticket 42\n"), "{shown}");
    assert!(
        shown.contains(": the uploader was trusted: ticket 42\n"),
        "{shown}"
    );
    succeeded(told.laptop.run(&["uploaders", "revoke", TEST_USER]));
    is(TEST_USER, &[], 3, "each is told, failed ones too");
}

#[test]
#[ignore = "needs moto"]
fn an_event_is_looked_up_in_cloudtrail_if_no_finding_is_stored_of_it() {
    let told = Told::of(&[], &[]);
    let event = record(OTHER, T2, &iam_user("test"));
    let throttled = Answer::Error(400, "ThrottlingException");
    let cloudtrail = CloudTrail::start(vec![throttled, Answer::page(&[event], None)]);
    let endpoint = cloudtrail.address();
    let variables = [("AWS_ENDPOINT_URL_CLOUDTRAIL", endpoint.as_str())];
    let shown = succeeded(told.explain(&[OTHER], &variables)).out;
    assert!(
        shown.starts_with(&format!("{T2} team/app 1.4.2, event {OTHER}\n")),
        "{shown}"
    );
    // The manifest is read too.
    assert!(!shown.contains("does not show the manifest"), "{shown}");
    assert!(
        shown.contains("  finding   none is stored of this event\n"),
        "{shown}"
    );
    assert!(
        shown.contains("  outcome   if it came now: nothing is told\n"),
        "{shown}"
    );
    let asked = cloudtrail.asked();
    let attribute = json!([{"AttributeKey": "EventId", "AttributeValue": OTHER}]);
    assert_eq!(asked[1]["LookupAttributes"], attribute);
    assert_eq!(asked[1]["region"], REGION);

    for (answer, words) in [
        (
            Answer::page(&[], None),
            "no finding and no event has the id",
        ),
        (
            Answer::Error(400, "AccessDeniedException"),
            "cloudtrail:LookupEvents",
        ),
    ] {
        let cloudtrail = CloudTrail::start(vec![answer]);
        let endpoint = cloudtrail.address();
        let variables = [("AWS_ENDPOINT_URL_CLOUDTRAIL", endpoint.as_str())];
        let ran = told.explain(&[OTHER], &variables);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""));
        assert!(ran.err.contains(words), "{}", ran.err);
    }
}

#[test]
#[ignore = "needs moto"]
fn a_table_alone_has_no_settings_and_maybe_no_findings() {
    let told = Told::of(&[], &[]);
    told.write(&[push(EVENT, T1, "test")]);
    let table = ["--table", &told.laptop.stack.uploaders, "--region", REGION];
    let args = [&["explain", "events.json"], &table[..]].concat();
    let ran = succeeded(told.laptop.run_bare(&args, &[]));
    assert!(ran.err.contains("Tables have no settings"), "{}", ran.err);
    assert!(
        ran.out
            .contains("  finding   not looked for: name the table of"),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("row 1: this event was decided before"),
        "{}",
        ran.out
    );
    let ran = succeeded(told.laptop.run(&["explain", "events.json"]));
    assert!(ran.out.contains("  state     published 20"), "{}", ran.out);
}

#[test]
#[ignore = "needs moto"]
fn what_can_not_be_explained_is_one_line_that_says_what_to_do() {
    let told = Told::of(&[], &[]);
    create_stack(
        "explained-other",
        r#"{"Resources":{"T":{"Type":"AWS::SNS::Topic"}}}"#,
    );
    let explain = |args: &[&str]| {
        let args = [&["explain"], args].concat();
        told.laptop.run_bare(&args, &[("AWS_REGION", REGION)])
    };
    for (ran, words) in [
        (
            told.explain(&["evnt.json"], &[]),
            "`evnt.json` is no file, and can't be the id",
        ),
        (
            explain(&[EVENT, "--stack", "explained-gone"]),
            "check the stack's name, its region",
        ),
        (
            explain(&[EVENT, "--stack", "explained-other"]),
            "is it a stack of PushWatch?",
        ),
        (explain(&[EVENT, "--stack", ""]), "--stack is empty"),
        (
            Laptop::new().run_bare(
                &["explain", EVENT, "--stack", "x"],
                &[("AWS_REGION", REGION), ("AWS_ACCESS_KEY_ID", "")],
            ),
            "no AWS credentials are found",
        ),
    ] {
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
        let error = ran.err.lines().last().unwrap();
        assert!(
            error.starts_with("error: ") && error.contains(words),
            "{}",
            ran.err
        );
    }
    // Of a key that nobody has, that is said.
    let ran = succeeded(told.explain(&[NEWBIE], &[]));
    assert!(ran.err.contains("Nothing is known of arn:"), "{}", ran.err);
    // Without a deployment an id is no file, as ever.
    assert_eq!(told.laptop.run_bare(&["explain", EVENT], &[]).code, 2);
}

#[test]
#[ignore = "needs moto"]
fn what_is_explained_of_a_deployment_is_clean() {
    let told = Told::of(&[], &[]);
    let mut hostile = told.finding();
    hostile["findingId"] = json!(OTHER);
    hostile["reason"] = json!("new\u{1b}]0;x\u{7}");
    hostile["answeredBy"] = json!("eve\u{202e}\n");
    hostile["answeredAt"] = json!(T1);
    hostile["answerReason"] = json!("\u{1b}[2Jall is well");
    hostile["messageId"] = json!("m\n1");
    let item: HashMap<_, _> = serde_dynamo::to_item(&hostile).unwrap();
    let stack = &told.laptop.stack;
    block_on(stack.put(&stack.findings, item));
    let mut event = record("9\u{1b}[31m", T2, &iam_user("test"));
    event["requestParameters"]["repositoryName"] = json!("team\u{202e}\n  outcome   nothing");
    told.write(&[envelope(&event)]);
    for subject in [OTHER, TEST_USER, "events.json"] {
        let shown = told.explained(&[subject]);
        let is_hostile = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!shown.contains(is_hostile), "{shown:?}");
        let outcomes = shown.lines().filter(|line| line.starts_with("  outcome"));
        assert_eq!(outcomes.count(), 1, "{shown}");
    }
}
