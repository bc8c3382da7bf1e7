//! What SNS is given for a message: a subject, and a body for each protocol.

use pushwatch::finding::Finding;
use pushwatch::render::{Format, HttpsFormat, Message, RenderContext, bodies, render, subject};
use serde_json::Value;

use super::{characters, links, schemas};

/// SNS takes so many bytes, all bodies together.
pub const MAX_MESSAGE: usize = 256 * 1024;
/// PagerDuty takes so many.
const MAX_PAGERDUTY: usize = 512 * 1024;
/// A finding whose own JSON is not longer fits into a message, whoever wrote it.
const ORDINARY: usize = 16 * 1024;

/// A message about one push can be published as it is, and not in its plainest form alone.
#[track_caller]
pub fn assert_short(finding: &Finding, context: &RenderContext) {
    for format in [
        HttpsFormat::Ocsf,
        HttpsFormat::AmazonQ,
        HttpsFormat::PagerDuty,
    ] {
        let bodies = bodies::of(Message::Finding(finding), context, format);
        assert!(bodies.len() < MAX_MESSAGE, "{} bytes", bodies.len());
    }
    let plainest = bodies::plainest(finding);
    assert!(plainest.len() < MAX_MESSAGE, "{} bytes", plainest.len());
}

/// The form in which a finding is published whose own was refused.
#[track_caller]
pub fn assert_plainest(finding: &Finding) {
    assert_subject(&subject::plainest(finding));
    let plainest = bodies::plainest(finding);
    assert!(
        plainest.len() < MAX_MESSAGE || finding.to_json().len() > ORDINARY,
        "{} bytes",
        plainest.len()
    );
    characters::assert_line(&plainest);
    assert_ocsf(&plainest, Message::Finding(finding));
}

/// Subject and bodies are those that are shown, within the limits of their receivers.
#[track_caller]
pub fn assert_sound(message: Message<'_>, format: HttpsFormat, context: &RenderContext) {
    let findings = message.findings();
    assert_subject(&subject::of(message));
    let fit = bodies::fit(findings, context, format);
    assert!((1..=findings.len()).contains(&fit));
    if fit < findings.len() {
        return;
    }
    let all = bodies::of(message, context, format);
    let is_ordinary = findings.len() > 1 || message.to_json().len() <= ORDINARY;
    assert!(
        all.len() < MAX_MESSAGE || !is_ordinary,
        "{} bytes",
        all.len()
    );
    let all: Value = serde_json::from_str(&all).expect("JSON");
    let body = |protocol: &str| all[protocol].as_str().unwrap_or_default();
    let shown = |format| render(message, format, context);
    let email = format!("Subject: {}\n\n{}", subject::of(message), body("email"));
    assert_eq!(email, shown(Format::Email));
    assert_eq!(body("sms"), shown(Format::Sms));
    assert_subject(body("sms"));
    assert_eq!(body("default"), shown(Format::Ocsf));
    characters::assert_line(body("default"));
    assert_ocsf(body("default"), message);
    match format {
        HttpsFormat::Ocsf => assert_eq!(all.get("https"), None),
        HttpsFormat::AmazonQ => {
            let chat = body("https");
            assert_eq!(chat, shown(Format::AmazonQ));
            assert!(!chat.contains(['<', '>']) && !chat.contains("]("), "{chat}");
            assert_shown(chat, &schemas::assert_amazon_q(chat));
        }
        HttpsFormat::PagerDuty => {
            let page = body("https");
            assert_eq!(page, shown(Format::PagerDuty));
            assert!(page.len() < MAX_PAGERDUTY, "{} bytes", page.len());
            assert_shown(page, &schemas::assert_pagerduty(page));
        }
    }
}

/// What SNS takes as a subject, and what a phone shows.
#[track_caller]
fn assert_subject(subject: &str) {
    assert!((1..100).contains(&subject.len()), "{subject:?}");
    let is_printable = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    assert!(subject.bytes().all(is_printable), "{subject:?}");
    assert!(subject.starts_with(['[', 'T']), "{subject:?}");
    links::assert_none(subject);
}

/// Valid, and with the findings whole in it.
#[track_caller]
fn assert_ocsf(json: &str, message: Message<'_>) {
    let value = schemas::assert_ocsf(json);
    let own: Value = serde_json::from_str(&message.to_json()).expect("JSON");
    assert_eq!(value["unmapped"]["pushwatch"], own);
}

/// JSON whose texts people read.
#[track_caller]
fn assert_shown(json: &str, value: &Value) {
    characters::assert_line(json);
    characters::assert_values(value);
    links::assert_none_in(value);
}
