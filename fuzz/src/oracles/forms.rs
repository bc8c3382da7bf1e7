//! Each form of a finding, and what must hold of it.

use pushwatch::finding::Finding;
use pushwatch::render::{Format, HttpsFormat, Message, RenderContext, render};
use serde_json::Value;

use super::{bodies, characters, commands, links, schemas};
use crate::chosen;
use crate::events::render_context;

/// DynamoDB takes so much in an item; there is more in it than the finding.
const MAX_ITEM: usize = 400 * 1024;
/// Longest line of an e-mail that is neither a command nor a link.
const WIDTH: usize = 71;

/// Holds every form of a finding about a push that was read, and its lengths too.
#[track_caller]
pub fn assert_sound(finding: &Finding) {
    let json = finding.to_json();
    assert!(json.len() < MAX_ITEM * 3 / 4, "{} bytes", json.len());
    let again: Finding = serde_json::from_str(&json).expect("a finding");
    assert_eq!(again.to_json(), json);
    bodies::assert_short(finding, &render_context());
    assert_told(finding);
}

/// Holds every form of a finding, alone and in a list, whoever wrote it: a sweep publishes
/// what is in the table.
#[track_caller]
pub fn assert_told(finding: &Finding) {
    bodies::assert_plainest(finding);
    let list = [finding.clone(), finding.clone()];
    // One of the two lists, since schemas take long.
    let lists = [Message::Rollup(&list), Message::Digest(&list)];
    assert_message(Message::Finding(finding));
    assert_message(*chosen(finding.to_json().as_bytes(), &lists));
}

/// Holds every form of a message, but that one of those for chats is chosen.
#[track_caller]
pub fn assert_message(message: Message<'_>) {
    let context = render_context();
    let chats = [HttpsFormat::AmazonQ, HttpsFormat::PagerDuty];
    let chat = *chosen(&message.to_json().as_bytes()[1..], &chats);
    assert_forms(message, &context);
    for format in [HttpsFormat::Ocsf, chat] {
        bodies::assert_sound(message, format, &context);
    }
}

/// Holds what is printed, and what an e-mail is.
#[track_caller]
fn assert_forms(message: Message<'_>, context: &RenderContext) {
    let form = |format| render(message, format, context);
    assert_text(&form(Format::Text), message, context);
    assert_email(&form(Format::Email), message, context);
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
fn assert_email(email: &str, message: Message<'_>, context: &RenderContext) {
    characters::assert_ascii_lines(email);
    for (number, line) in email.lines().enumerate() {
        links::assert_none(line);
        commands::assert_known(line, message.findings(), context);
        let is_whole = commands::is_command(line) || line.trim_start().starts_with("https://");
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
        commands::assert_known(line, message.findings(), context);
    }
}

#[track_caller]
fn assert_asff(json: &str) {
    characters::assert_line(json);
    assert!(json.len() <= 240 * 1024, "{} bytes", json.len());
    let value = schemas::assert_asff(json);
    characters::assert_values(&value);
    links::assert_none_in(&value);
}
