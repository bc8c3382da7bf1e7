//! `pushwatch report`: the data behind the page, what it does with bad input, and that no text
//! of an event leaves its place.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use scraper::{Html, Selector};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::cli::{Ran, folder, gzip, pushwatch, pushwatch_with_input};
use crate::support::events::{iam_user, record, role_session};

const PAGE: &str = "report.html";

fn push(id: &str, time: &str, name: &str, repository: &str) -> Value {
    let mut push = record(id, time, &iam_user(name));
    push["requestParameters"]["repositoryName"] = json!(repository);
    push
}

fn id(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

fn other(time: &str) -> Value {
    json!({"eventVersion": "1.11", "eventTime": time, "eventSource": "sts.amazonaws.com",
        "eventName": "AssumeRole", "userIdentity": {"type": "AWSService"}})
}

fn lines(events: &[Value]) -> String {
    let lines: Vec<_> = events.iter().map(Value::to_string).collect();
    lines.join("\n") + "\n"
}

/// Makes a report of events given on standard input.
fn report(here: &Path, args: &[&str], events: &[Value]) -> Ran {
    let args = [&["report", "--quiet", "--output", PAGE], args, &["-"]].concat();
    pushwatch_with_input(here, &args, &lines(events))
}

fn page(here: &Path) -> String {
    fs::read_to_string(here.join(PAGE)).unwrap()
}

/// The data in a page.
fn data_of(page: &str) -> Value {
    let html = Html::parse_document(page);
    let template = Selector::parse("template#pushwatch-report").unwrap();
    let template = html.select(&template).next().unwrap();
    // What is in a template is beside the tree.
    let text: String = template
        .descendants()
        .filter_map(|node| node.value().as_text().map(|text| text.to_string()))
        .collect();
    serde_json::from_str(&text).unwrap()
}

fn data(here: &Path) -> Value {
    data_of(&page(here))
}

/// A build role, somebody new, somebody absent, a failed push and somebody unidentified.
fn events() -> Vec<Value> {
    let mut events = vec![other("2026-01-01T00:00:00Z")];
    for day in 1..=28 {
        let time = format!("2026-01-{day:02}T08:00:00Z");
        events.push(record(&id(day), &time, &role_session("ci/build", "i-0abc")));
    }
    events.extend([
        push(&id(40), "2026-01-02T09:00:00Z", "mary", "team/app"),
        push(&id(41), "2026-05-12T09:00:00Z", "mary", "team/app"),
        push(&id(41), "2026-05-12T09:00:00Z", "mary", "team/app"),
        push(&id(42), "2026-05-10T09:00:00Z", "eve", "team/pay"),
        push(&id(43), "2026-05-11T09:00:00Z", "eve", "team/app"),
        record(&id(44), "2026-05-11T10:00:00Z", &json!({"type": "Unknown"})),
    ]);
    let mut failed = push(&id(45), "2026-03-01T09:00:00Z", "mallory", "team/app");
    failed["errorCode"] = json!("AccessDenied");
    events.push(failed);
    events
}

#[test]
fn the_data_behind_a_page() {
    let here = folder(&[]);
    assert_eq!(report(here.path(), &[], &events()).code, 0);
    let mut data = data(here.path());
    data["madeAt"] = json!("TIME");
    insta::assert_json_snapshot!("report_data", data);
}

#[test]
fn the_summary_is_one_screen() {
    let here = folder(&[]);
    let ran = report(here.path(), &["--summary"], &events());
    assert!(ran.out.lines().count() <= 30, "{}", ran.out);
    insta::assert_snapshot!("report_summary", ran.out);
}

#[test]
fn a_report_finds_what_a_replay_finds() {
    let here = folder(&[("a.jsonl", lines(&events()).as_bytes())]);
    pushwatch(here.path(), &["report", "--quiet", "-o", PAGE, "a.jsonl"]);
    let replayed = pushwatch(here.path(), &["replay", "--format", "json", "a.jsonl"]);
    let findings = replayed.findings();
    let data = data(here.path());
    assert_eq!(data["findings"]["all"], findings.len());
    for (reason, uploader) in findings {
        let question = json!([reason, uploader]);
        let questions = data["questions"].as_array().unwrap();
        assert!(
            questions
                .iter()
                .any(|q| json!([q["reason"], q["uploader"]]) == question),
            "{question}"
        );
    }
}

#[test]
fn the_sentence_counts_who_is_new_and_was_not_reviewed() {
    let sentence = |args: &[&str], events: &[Value]| {
        let here = folder(&[(
            "known.jsonl",
            br#"{"uploader":"arn:aws:iam::111122223333:user/eve","standing":"trusted"}
"# as &[u8],
        )]);
        let ran = report(here.path(), &[&["--summary"], args].concat(), events);
        ran.out.lines().next().unwrap().to_owned()
    };
    let eve = [push("1", "2026-05-10T09:00:00Z", "eve", "a")];
    for (args, events, expected) in [
        (
            &[][..],
            events(),
            "1 new uploader in the 30 days to 12 May 2026, 1 not reviewed; 6 findings need an answer.",
        ),
        (
            &["--since", "2026-05-11"],
            events(),
            "No new uploader since 11 May 2026; 2 findings since then need an answer.",
        ),
        (
            &["--known", "known.jsonl"],
            eve.to_vec(),
            "1 new uploader in the 30 days to 10 May 2026, reviewed; no finding needs an answer.",
        ),
        (
            &["--learning-until", "2026-12-31"],
            eve.to_vec(),
            "No new uploader in the 30 days to 10 May 2026 (1 more learned); no finding needs an answer.",
        ),
    ] {
        assert_eq!(sentence(args, &events), expected, "{args:?}");
    }
}

#[test]
fn what_was_read_adds_up_in_small_and_large_files() {
    let time = |day: usize| format!("2026-01-{day:02}T00:00:00Z");
    let many = |with_push: bool| {
        let mut records: Vec<_> = (0..9_000).map(|n| other(&time(1 + n % 9))).collect();
        if with_push {
            records.push(push("1", &time(12), "ada", "team/app"));
        }
        json!({"Records": records}).to_string()
    };
    let here = folder(&[
        ("large.json", many(false).as_bytes()),
        ("large-with-push.json.gz", &gzip(many(true).as_bytes())),
        (
            "small.json",
            lines(&[other(&time(20)), json!({"x": "PutImage"}), json!(7)]).as_bytes(),
        ),
        (
            "ignored.json",
            json!({"source": "aws.s3", "detail-type": "PutImage", "detail": {}})
                .to_string()
                .as_bytes(),
        ),
    ]);
    let ran = pushwatch(here.path(), &["report", "-q", "-o", "../r.html", "."]);
    assert_eq!(ran.code, 2, "{}", ran.err);
    let page = fs::read_to_string(here.path().join("../r.html")).unwrap();
    let coverage = &data_of(&page)["coverage"];
    assert_eq!(coverage["files"], 4);
    assert_eq!(coverage["others"], 18_001, "{coverage}");
    assert_eq!(coverage["pushes"], 1);
    let rest = ["ignored", "unreadable"].map(|key| coverage[key].as_u64().unwrap());
    assert_eq!(rest.iter().sum::<u64>(), 3, "{coverage}");
    // 2026-01-10, 11, 13 to 19.
    assert_eq!(
        coverage["gaps"],
        json!([[20_466, 20_472], [20_463, 20_464]])
    );
    let records = 18_001 + 1 + 3;
    assert!(page.contains(&format!("<strong>{records}</strong>")));
}

#[test]
fn an_empty_archive_gives_a_page_that_says_so() {
    let here = folder(&[("a/none.json", b"{\"Records\":[]}")]);
    let ran = pushwatch(here.path(), &["report", "-q", "--summary", "-o", PAGE, "a"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(
        ran.out.starts_with("There is no push in what was read.\n"),
        "{}",
        ran.out
    );
    assert!(page(here.path()).contains("No record was read."));
    let ran = report(here.path(), &[], &[other("2026-01-01T00:00:00Z")]);
    assert_eq!(ran.code, 0);
    assert!(page(here.path()).contains("No push to Amazon ECR"));
}

#[test]
fn a_comparison_names_who_is_new_gone_and_of_another_standing() {
    let here = folder(&[]);
    let user = |name: &str| format!("arn:aws:iam::111122223333:user/{name}");
    let line = |name: &str, standing: &str| {
        json!({"uploader": user(name), "standing": standing, "firstSeen": "2026-01-01T00:00:00Z",
            "lastSeen": "2026-01-01T00:00:00Z", "pushes": 1})
    };
    let write = |name: &str, lines: &[Value]| {
        fs::write(here.path().join(name), self::lines(lines)).unwrap();
    };
    write(
        "a.jsonl",
        &[line("ada", "new"), line("bob", "new"), line("carl", "new")],
    );
    write(
        "b.jsonl",
        &[
            line("ada", "new"),
            line("bob", "trusted"),
            line("dora", "new"),
        ],
    );
    let make = |args: &[&str]| {
        let ran = pushwatch(here.path(), &[&["report", "-q"], args].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.out
    };
    make(&["--file", "a.jsonl", "-o", "last.html"]);
    let text = make(&[
        "--file",
        "b.jsonl",
        "--compare",
        "last.html",
        "-o",
        PAGE,
        "--summary",
    ]);
    for line in [
        format!("  new            {} (new)", user("dora")),
        format!("  gone           {} (was new)", user("carl")),
        format!("  changed        {} (was new, is trusted)", user("bob")),
    ] {
        assert!(text.lines().any(|said| said == line), "{line}\n{text}");
    }
    let page = page(here.path());
    for words in [
        "New: 1",
        "Gone: 1",
        "Of another standing: 1",
        "something else: a.jsonl",
    ] {
        assert!(page.contains(words), "{words}");
    }
    // A report against itself has no changes.
    let same = make(&["--file", "b.jsonl", "--compare", PAGE, "--summary"]);
    assert!(
        same.contains("0 new, 0 gone, 0 of another standing"),
        "{same}"
    );
}

fn sha256(text: &str) -> String {
    let hash: Vec<_> = Sha256::digest(text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    hash.concat()
}

/// The page with other data, and the hash of these.
fn forged(page: &str, forge: impl FnOnce(&mut Value)) -> String {
    let (begin, rest) = page.split_once("data-sha256=\"").unwrap();
    let (_, rest) = rest.split_once("\">").unwrap();
    let (json, end) = rest.split_once("</template>").unwrap();
    let mut data = serde_json::from_str(json).unwrap();
    forge(&mut data);
    let json = data.to_string().replace('<', "\\u003c");
    let hash = sha256(&json);
    format!("{begin}data-sha256=\"{hash}\">{json}</template>{end}")
}

#[test]
fn what_an_earlier_page_names_is_cleaned_whoever_wrote_it() {
    let here = folder(&[]);
    report(here.path(), &[], &events());
    let evil = "arn:aws:iam::111122223333:user/\u{1b}[2J\u{202e}\n<b>http://evil.example.com";
    let last = forged(&page(here.path()), |data| {
        data["lanes"][0]["key"] = json!(evil);
        data["source"]["name"] = json!(evil);
        data["fingerprints"] = json!(format!("{}n", &sha256(evil)[..15]));
    });
    fs::write(here.path().join("last.html"), last).unwrap();
    let ran = report(
        here.path(),
        &["--compare", "last.html", "--summary"],
        &events(),
    );
    assert_eq!(ran.code, 0, "{}", ran.err);
    let gone = ran.out.lines().find(|line| line.starts_with("  gone "));
    assert!(gone.unwrap().contains("user/"), "{}", ran.out);
    assert!(!ran.out.contains("http://"), "{}", ran.out);
    let page = page(here.path());
    assert!(page.contains("Gone: 1") && page.contains("something else: "));
    let (elements, _) = names(&page);
    assert!(elements.is_subset(&known(ELEMENTS)), "{elements:?}");
    for shown in [ran.out, page] {
        assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown}");
    }
}

#[test]
fn a_file_that_can_not_be_compared_with_is_one_line() {
    let here = folder(&[]);
    report(here.path(), &[], &events());
    let page = page(here.path());
    let newer = forged(&page, |data| data["version"] = json!(2));
    let altered = page.replacen("\"standing\":\"new\"", "\"standing\":\"trusted\"", 1);
    assert_ne!(altered, page);
    for (text, words) in [
        (altered, "it was altered"),
        (newer, "a later version of pushwatch wrote it"),
        (page[..page.len() - 60].to_owned(), "it was cut off"),
        ("<html>something else</html>".to_owned(), "it is no report"),
        (String::new(), "it is no report"),
    ] {
        fs::write(here.path().join("last.html"), text).unwrap();
        let ran = report(here.path(), &["--compare", "last.html"], &events());
        assert_eq!((ran.code, ran.err.lines().count()), (2, 1), "{}", ran.err);
        assert!(
            ran.err.starts_with("error: --compare last.html: "),
            "{}",
            ran.err
        );
        assert!(ran.err.contains(words), "{}", ran.err);
    }
    let ran = report(here.path(), &["--compare", "missing.html"], &events());
    assert_eq!((ran.code, ran.err.lines().count()), (2, 1), "{}", ran.err);
}

#[test]
fn wrong_options_are_one_line() {
    let here = folder(&[("known.jsonl", b"")]);
    for args in [
        &["--file", "known.jsonl", "--trusted", "x", "-o", PAGE][..],
        &["--since", "soon", "-o", PAGE, "known.jsonl"],
        &["-o", "missing/r.html", "known.jsonl"],
    ] {
        let ran = pushwatch(here.path(), &[&["report"], args].concat());
        assert_eq!((ran.code, ran.err.lines().count()), (2, 1), "{}", ran.err);
    }
}

/// Twenty thousand uploaders with the longest names there are.
#[test]
fn very_many_uploaders_stay_within_three_megabytes_and_the_rest_is_counted() {
    let name = "<&\u{1f600}".repeat(100);
    let records: Vec<_> = (0..20_000)
        .map(|n| {
            let key = format!("arn:aws:iam::111122223333:user/{n}/{name}");
            format!("{{\"uploader\":{},\"standing\":\"new\",\"name\":{},\"firstSeen\":\"2026-01-01T00:00:00Z\",\
                \"lastSeen\":\"2026-01-01T00:00:00Z\",\"places\":[{}]}}\n", json!(key), json!(name), json!(format!("1/r/{n}{name}")))
        })
        .collect();
    let here = folder(&[("many.jsonl", records.concat().as_bytes())]);
    let ran = pushwatch(
        here.path(),
        &["report", "-q", "--file", "many.jsonl", "-o", PAGE],
    );
    assert_eq!(ran.code, 0, "{}", ran.err);
    let page = page(here.path());
    assert!(page.len() < 3_000_000, "{}", page.len());
    assert!(page.contains("And 19700 others: 19700 new."));
}

/// Elements and attributes that a page has, whatever the texts.
fn names(page: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let html = Html::parse_document(page);
    let (mut elements, mut attributes) = (BTreeSet::new(), BTreeSet::new());
    for node in html.tree.values() {
        if let Some(element) = node.as_element() {
            elements.insert(element.name().to_owned());
            attributes.extend(element.attrs().map(|(name, _)| name.to_owned()));
        }
        assert!(node.as_comment().is_none(), "{node:?}");
    }
    (elements, attributes)
}

const ELEMENTS: &str = "a body caption code dd details div dl dt footer g h1 h2 h3 head header html li line main meta nav ol p path rect section span strong style summary svg table tbody td template text th thead title tr ul";
const ATTRIBUTES: &str = "aria-hidden aria-label aria-labelledby charset class content d data-sha256 height href http-equiv id lang name preserveAspectRatio role scope tabindex text-anchor title viewBox width x x1 x2 y y1 y2";

fn known(words: &str) -> BTreeSet<String> {
    words.split(' ').map(str::to_owned).collect()
}

fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "<",
        ">",
        "\"",
        "'",
        "&",
        "</",
        "/>",
        "<!--",
        "-->",
        "]]>",
        "</template>",
        "</title>",
        "</style>",
        "</svg>",
        "<script>",
        "onload=",
        "&lt;",
        "&#60;",
        "\u{0}",
        "\u{202e}",
        "\n",
        "`",
        "$(id)",
        "javascript:",
        "=",
        " ",
        "\\u003c",
        "style=",
        "<img src=x>",
        "\u{fffd}",
    ]);
    prop::collection::vec(
        prop_oneof![pieces.prop_map(str::to_owned), any::<String>()],
        1..8,
    )
    .prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_of_an_event_leaves_its_element_or_attribute(texts in prop::collection::vec(hostile(), 6)) {
        let here = folder(&[]);
        let mut identity = iam_user("x");
        identity["userName"] = json!(texts[0]);
        identity["arn"] = json!(format!("arn:aws:iam::111122223333:user/{}", texts[1]));
        let mut odd = push("2", "2026-01-02T00:00:00Z", "y", &texts[2]);
        odd["userIdentity"]["type"] = json!(texts[3]);
        odd["requestParameters"]["imageTag"] = json!(texts[4]);
        odd["eventID"] = json!(texts[5]);
        odd["awsRegion"] = json!(texts[5]);
        odd["recipientAccountId"] = json!(texts[4]);
        let events = [record("1", "2026-01-01T00:00:00Z", &identity), odd];
        let ran = report(here.path(), &[], &events);
        prop_assert_eq!(ran.code, 0, "{}", ran.err);
        let page = page(here.path());
        let (elements, attributes) = names(&page);
        prop_assert!(elements.is_subset(&known(ELEMENTS)), "{:?}", elements);
        prop_assert!(attributes.is_subset(&known(ATTRIBUTES)), "{:?}", attributes);
        data_of(&page);
        // Nothing that a reader can't see.
        let hidden = page.chars().find(|c| *c != '\n' && c.is_control() || *c == '\u{202e}');
        prop_assert_eq!(hidden, None);
    }
}
