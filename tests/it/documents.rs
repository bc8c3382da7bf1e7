//! The tables of docs/ that repeat what the code says, compared with the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use pushwatch::decide::{Decision, decide};
use pushwatch::event::{self, Event, Push};
use pushwatch::finding::{Finding, Reason, Sightings};
use pushwatch::glob::Glob;
use pushwatch::identity::{Uploader, identify};
use pushwatch::policy::{HabitReports, Policy};
use pushwatch::record::{Record, Standing};
use regex_lite::Regex;
use serde_json::{Value, json};

use crate::support::events::{TEST_USER, iam_user, now, push_by, read, record, time, usual};

const LAST: &str = "2026-02-01T00:00:00Z";
const NEXT: &str = "2026-02-02T00:00:00Z";
const BEFORE: &str = "2026-01-15T00:00:00Z";

fn file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The rows of the table whose head begins so, without the head: a row's cells.
fn table(document: &str, head: &str) -> Vec<Vec<String>> {
    let rows: Vec<_> = file(document)
        .lines()
        .skip_while(|line| !line.starts_with(head))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect();
    assert!(!rows.is_empty(), "{document} has no table {head}");
    rows
}

/// What stands between backticks.
fn words(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// How many variants an enum has, as its source says.
fn variants(source: &str, name: &str) -> usize {
    let source = file(source);
    let (_, body) = source.split_once(&format!("pub enum {name} {{")).unwrap();
    let body = body.split('}').next().unwrap();
    let variant = Regex::new(r"(?m)^    [A-Z]\w*( = \d+)?,").unwrap();
    variant.find_iter(body).count()
}

fn assert_numbered(rows: &[Vec<String>], count: usize) {
    let numbers: Vec<_> = rows.iter().map(|row| row[0].as_str()).collect();
    let expected: Vec<_> = (1..=count).map(|number| number.to_string()).collect();
    assert_eq!(numbers, expected);
}

#[test]
fn the_settings_are_the_variables_that_the_function_reads() {
    let of_lambda = [
        "AWS_ACCESS_KEY_ID",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_LOG_LEVEL",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
    ];
    let source = file("src/config.rs");
    let code = source.split("#[cfg(test)]").next().unwrap();
    let variable = Regex::new(r#""(HABITS|[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)""#).unwrap();
    let read: BTreeSet<_> = variable
        .captures_iter(code)
        .map(|found| found.get(1).unwrap().as_str())
        .filter(|name| !of_lambda.contains(name))
        .collect();
    let rows = table("docs/operations.md", "| variable | meaning |");
    let documented: Vec<_> = rows.iter().flat_map(|row| words(&row[0])).collect();
    assert_eq!(documented.len(), read.len(), "{documented:?}");
    assert_eq!(documented.into_iter().collect::<BTreeSet<_>>(), read);
    let defaults: BTreeMap<_, _> = rows.iter().map(|row| (row[0].as_str(), &row[2])).collect();
    let absence_days = Policy::default().absence_days.to_string();
    assert_eq!(defaults["`ABSENCE_DAYS`"], &absence_days);
    let habit_days = Policy::default().habit_days.to_string();
    assert_eq!(defaults["`HABIT_DAYS`"], &habit_days);
    let reports = words(defaults["`HABITS`"])[0];
    assert_eq!(HabitReports::parse(reports), Some(Policy::default().habits));
}

fn known() -> Record {
    Record {
        principal_id: Some("AIDA0000000000000TEST".into()),
        first_seen: Some(time("2026-01-01T00:00:00Z")),
        last_seen: Some(time(LAST)),
        last_event_id: Some("last".into()),
        habits: usual(),
        ..Record::unseen(TEST_USER.into(), Standing::New)
    }
}

fn push_at(time: &str) -> (Push, Uploader) {
    push_by("test", "next", time)
}

fn failed() -> (Push, Uploader) {
    let mut record = record("next", NEXT, &iam_user("test"));
    record["errorCode"] = json!("AccessDenied");
    record["responseElements"] = Value::Null;
    let (push, identification) = read(&record);
    (push, identification.uploader)
}

fn unidentified() -> (Push, Uploader) {
    let (push, identification) = read(&record("next", NEXT, &json!({})));
    (push, identification.uploader)
}

fn service() -> Uploader {
    let identity = json!({"type": "AWSService", "invokedBy": "codebuild.amazonaws.com"});
    let (_, identification) = read(&record("next", NEXT, &identity));
    identification.uploader
}

type Situation = (Option<Record>, (Push, Uploader), Policy);

/// One for each row of the decision table, in its order.
fn situations() -> Vec<Situation> {
    let policy = Policy::default;
    let other = |previous: Option<&str>| Record {
        principal_id: Some("AIDAOTHER".into()),
        previous_principal_id: previous.map(Into::into),
        ..known()
    };
    let decided_before = Record {
        last_event_id: Some("next".into()),
        ..known()
    };
    let revoked = Record {
        standing: Standing::Revoked,
        ..known()
    };
    let trusting = Policy {
        trusted: vec![Glob::parse(TEST_USER).unwrap()],
        ..policy()
    };
    let learning = Policy {
        learning_until: Some(time("2026-03-01T00:00:00Z")),
        ..policy()
    };
    let mut known_elsewhere = known();
    known_elsewhere.habits.places = vec!["111122223333/eu-central-1/team/web".into()];
    let previous = Some("AIDA0000000000000TEST");
    vec![
        (Some(decided_before), push_at(NEXT), policy()),
        (None, unidentified(), policy()),
        (Some(revoked), failed(), policy()),
        (None, failed(), policy()),
        (Some(known()), failed(), policy()),
        (None, push_at(NEXT), trusting),
        (None, push_at(NEXT), learning),
        (None, push_at(NEXT), policy()),
        (Some(other(None)), push_at(NEXT), policy()),
        (Some(other(previous)), push_at(BEFORE), policy()),
        (Some(other(None)), push_at(BEFORE), policy()),
        (Some(known()), push_at("2026-08-01T00:00:00Z"), policy()),
        (Some(known_elsewhere), push_at(NEXT), policy()),
        (Some(known()), push_at(NEXT), policy()),
    ]
}

#[test]
fn each_row_of_the_decision_table_is_what_the_code_decides() {
    let rows = table("docs/decision-tables.md", "| row | situation |");
    let situations = situations();
    assert_numbered(&rows, variants("src/decide/mod.rs", "DecisionRule"));
    assert_eq!(rows.len(), situations.len());
    for (row, (before, (push, uploader), policy)) in rows.iter().zip(situations) {
        let [number, _, finding, afterwards] = row.as_slice() else {
            panic!("{row:?}");
        };
        let Decision {
            rule,
            finding: decided,
            record: after,
            ..
        } = decide(before.as_ref(), &push, &uploader, &policy);
        assert_eq!(&rule.number().to_string(), number, "{rule:?}");
        let reason = decided.map(|finding| finding.reason.as_str());
        assert_eq!(words(finding).first().copied(), reason, "row {number}");
        assert_eq!(finding == "–", reason.is_none(), "row {number}");
        let standing = after.as_ref().map(|record| record.standing.as_str());
        match afterwards.as_str() {
            "unchanged" | "none is kept" => assert_eq!(standing, None, "row {number}"),
            afterwards if afterwards.starts_with('`') => {
                assert_eq!(standing, Some(words(afterwards)[0]), "row {number}");
            }
            // Times or ids move, and how far it is known stays.
            _ => {
                let before = before.as_ref().map(|record| record.standing.as_str());
                assert_eq!(standing, before, "row {number}");
            }
        }
    }
}

#[test]
fn the_severities_are_those_of_findings() {
    let rows = table("docs/decision-tables.md", "| finding | severity |");
    let (push, user) = push_at(NEXT);
    let mut reasons = BTreeSet::new();
    for row in &rows {
        let words = words(&row[0]);
        let uploader = if row[0].ends_with("AWS service") {
            &service()
        } else {
            &user
        };
        let reason: Reason = serde_json::from_value(json!(words[0])).unwrap();
        // Each of those behind `or` is as bad.
        let unusual = words[1..].iter().take(2);
        let unusual = unusual.map(|word| serde_json::from_value(json!(word)).unwrap());
        let seen = Sightings {
            unusual: unusual.collect(),
            ..Sightings::default()
        };
        let finding = Finding::new(reason, &push, uploader, seen);
        assert_eq!(row[1], finding.severity.as_str(), "{words:?}");
        let risk = finding.risk;
        let product = format!("{} × {} = {}", risk.impact, risk.confidence, risk.score);
        assert_eq!(row[2], product, "{words:?}");
        reasons.insert(reason);
    }
    let of_services = 1;
    let unusual = variants("src/habit.rs", "Unusual") + 1;
    assert_eq!(rows.len(), reasons.len() - 1 + unusual + of_services);
    assert_eq!(reasons.len(), variants("src/finding.rs", "Reason"));
}

/// Pushes of the samples, and one that no sample has.
fn pushes() -> Vec<Event> {
    let events = Path::new(env!("CARGO_MANIFEST_DIR")).join("events");
    let mut texts: Vec<_> = fs::read_dir(events)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let without_issuer = json!({
        "type": "FederatedUser",
        "arn": "arn:aws:sts::111122223333:federated-user/mary"
    });
    texts.push(record("1", NEXT, &without_issuer).to_string());
    let events = texts.iter().map(|text| event::read(text, now()).unwrap());
    events.collect()
}

#[test]
fn each_row_of_the_identity_table_names_kind_and_unique_id() {
    let rows = table("docs/decision-tables.md", "| row | userIdentity |");
    assert_numbered(&rows, variants("src/identity.rs", "IdentityRule"));
    let mut seen = BTreeSet::new();
    for event in pushes() {
        let Event::Push(push, identity) = event else {
            continue;
        };
        let identification = identify(&identity, push.account.as_deref());
        let Uploader {
            kind, principal_id, ..
        } = identification.uploader;
        let number = usize::from(identification.rule.number());
        let row = &rows[number - 1];
        let is_type = row[3].starts_with("the type");
        assert!(is_type || row[3] == format!("`{kind}`"), "{row:?}: {kind}");
        assert!(row[5] != "–" || principal_id.is_none(), "{row:?}");
        seen.insert((number, principal_id.is_some()));
    }
    for (row, number) in rows.iter().zip(1..) {
        // A row without a unique id never gives one, any other does.
        assert!(seen.contains(&(number, row[5] != "–")), "{row:?}");
    }
}

/// Where the stage `budgets` fails, rounded up.
#[test]
fn the_size_and_speed_that_are_promised_are_those_of_the_budgets() {
    let budgets = file("tests/budgets.toml");
    let limit = |name: &str, unit: f64| {
        let line = Regex::new(&format!(r"(?m)^{name} = ([0-9_]+)$")).unwrap();
        let number = line.captures(&budgets).unwrap()[1].replace('_', "");
        number.parse::<f64>().unwrap() * 1.03 / unit
    };
    let hundredths = |figure: f64| format!("{:.2}", (figure * 100.0).ceil() / 100.0);
    let memory = (limit("peak_memory_kb", 1e3) * 10.0).ceil() / 10.0;
    let promise = format!(
        "On x86_64 its zip has at most {} MB, its memory {memory:.1} MB. It starts within {} million \
         instructions; the first push of a process takes at most {} million, each later one by \
         somebody known {} million.",
        hundredths(limit("zip_bytes", 1e6)),
        hundredths(limit("start", 1e6)),
        hundredths(limit("first_push", 1e6)),
        hundredths(limit("warm_push", 1e6)),
    );
    let specification = file("SPECIFICATION.md");
    let words: Vec<_> = specification.split_whitespace().collect();
    assert!(words.join(" ").contains(&promise), "{promise}");
}
