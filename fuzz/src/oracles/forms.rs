//! Each form of a finding, and what must hold of it.

use pushwatch::finding::Finding;
use pushwatch::render::{Format, HttpsFormat, Message, RenderContext, bodies, render, subject};
use serde_json::Value;

use super::{characters, commands, links, schemas};
use crate::chosen;
use crate::events::render_context;

/// SNS takes so many bytes, all bodies together.
const MAX_MESSAGE: usize = 256 * 1024;
/// DynamoDB takes so much in an item; there is more in it than the finding.
const MAX_ITEM: usize = 400 * 1024;
/// Longest line of an e-mail that is neither a command nor a link.
const WIDTH: usize = 71;

/// Holds every form of the finding, alone and in lists.
#[track_caller]
pub fn assert_sound(finding: &Finding) {
    let context = render_context();
    let json = finding.to_json();
    assert!(json.len() < MAX_ITEM * 3 / 4, "{} bytes", json.len());
    let again: Finding = serde_json::from_str(&json).expect("a finding");
    assert_eq!(again.to_json(), json);

    assert_subject(&subject::plainest(finding));
    let plainest = bodies::plainest(finding);
    assert!(plainest.len() < MAX_MESSAGE, "{} bytes", plainest.len());
    characters::assert_line(&plainest);
    assert_ocsf_has(&plainest, finding);

    let list = [finding.clone(), finding.clone()];
    // One of the two lists, and one of the forms for chats, since schemas take long.
    let input = json.as_bytes();
    let list = *chosen(input, &[Message::Rollup(&list), Message::Digest(&list)]);
    let chat = *chosen(&input[1..], &[HttpsFormat::AmazonQ, HttpsFormat::PagerDuty]);
    for message in [Message::Finding(finding), list] {
        assert_forms(message, &context);
        for format in [HttpsFormat::Ocsf, chat] {
            assert_bodies(message, format, &context);
        }
    }
}

/// Nothing in any form is obeyed, linked or run, however long it is: of a finding that was
/// read from a table, which somebody may have written.
#[track_caller]
pub fn assert_safe(finding: &Finding) {
    let list = [finding.clone(), finding.clone()];
    for message in [
        Message::Finding(finding),
        Message::Rollup(&list),
        Message::Digest(&list),
    ] {
        assert_forms(message, &render_context());
    }
}

#[track_caller]
fn assert_forms(message: Message<'_>, context: &RenderContext) {
    let form = |format| render(message, format, context);
    assert_text(&form(Format::Text), message, context);
    assert_email(&form(Format::Email), message, context);
    assert_subject(&form(Format::Sms));
    let own = form(Format::Json);
    characters::assert_line(&own);
    let own: Value = serde_json::from_str(&own).expect("JSON");
    assert_eq!(
        own,
        serde_json::from_str::<Value>(&message.to_json()).expect("JSON")
    );
    for line in form(Format::Asff).lines() {
        assert_asff(line);
    }
}

#[track_caller]
fn assert_subject(subject: &str) {
    assert!((1..100).contains(&subject.len()), "{subject:?}");
    let is_printable = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    assert!(subject.bytes().all(is_printable), "{subject:?}");
    assert!(subject.starts_with(['[', 'T']), "{subject:?}");
    links::assert_none(subject);
}

#[track_caller]
fn assert_email(email: &str, message: Message<'_>, context: &RenderContext) {
    characters::assert_ascii_lines(email);
    for (number, line) in email.lines().enumerate() {
        links::assert_none(line);
        commands::assert_known(line, message.findings(), context);
        let trimmed = line.trim_start();
        let is_whole = ["https://", "pushwatch ", "aws "]
            .iter()
            .any(|begin| trimmed.starts_with(begin));
        // The subject is not wrapped.
        assert!(number == 0 || is_whole || line.len() <= WIDTH, "{line:?}");
    }
}

#[track_caller]
fn assert_text(text: &str, message: Message<'_>, context: &RenderContext) {
    for line in text.lines() {
        // The only styles are ours, around the severity that begins a finding.
        let line = if line.starts_with('\u{1b}') {
            let (style, rest) = line
                .split_once('[')
                .and_then(|_| line.split_once("\u{1b}[0m"))
                .expect("a style");
            assert!(
                style.ends_with(']') && style.matches('\u{1b}').count() <= 2,
                "{line:?}"
            );
            rest
        } else {
            line
        };
        characters::assert_line(line);
        links::assert_none(line);
        if !line.trim_start().starts_with("pushwatch investigate ") {
            commands::assert_known(line, message.findings(), context);
        }
    }
}

#[track_caller]
fn assert_asff(json: &str) {
    characters::assert_line(json);
    assert!(json.len() <= 240 * 1024, "{} bytes", json.len());
    let value = schemas::assert_asff(json);
    characters::assert_values(&value);
    assert_no_links(&value);
}

#[track_caller]
fn assert_bodies(message: Message<'_>, format: HttpsFormat, context: &RenderContext) {
    let findings = message.findings();
    let fit = bodies::fit(findings, context, format);
    assert!((1..=findings.len()).contains(&fit));
    if fit < findings.len() {
        return;
    }
    let all = bodies::of(message, context, format);
    assert!(all.len() < MAX_MESSAGE, "{} bytes", all.len());
    let all: Value = serde_json::from_str(&all).expect("JSON");
    let body = |protocol: &str| all[protocol].as_str().unwrap_or_default();
    let value = match format {
        HttpsFormat::Ocsf => {
            let ocsf = body("default");
            characters::assert_line(ocsf);
            match message {
                Message::Finding(finding) => assert_ocsf_has(ocsf, finding),
                _ => _ = schemas::assert_ocsf(ocsf),
            }
            return;
        }
        HttpsFormat::AmazonQ => {
            let chat = body("https");
            assert!(!chat.contains(['<', '>']) && !chat.contains("]("), "{chat}");
            schemas::assert_amazon_q(chat)
        }
        HttpsFormat::PagerDuty => {
            assert!(body("https").len() < 512 * 1024);
            schemas::assert_pagerduty(body("https"))
        }
    };
    characters::assert_line(body("https"));
    characters::assert_values(&value);
    assert_no_links(&value);
}

/// Valid, and with the finding whole in it.
#[track_caller]
fn assert_ocsf_has(json: &str, finding: &Finding) {
    let value = schemas::assert_ocsf(json);
    let own = &value["unmapped"]["pushwatch"];
    assert_eq!(
        own,
        &serde_json::from_str::<Value>(&finding.to_json()).expect("JSON")
    );
}

/// Nothing in the texts of a value is linked, but links of ours.
#[track_caller]
fn assert_no_links(value: &Value) {
    match value {
        Value::String(text) => text.lines().for_each(links::assert_none),
        Value::Array(values) => values.iter().for_each(assert_no_links),
        Value::Object(fields) => fields.values().for_each(assert_no_links),
        _ => {}
    }
}
