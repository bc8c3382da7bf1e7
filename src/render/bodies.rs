//! What SNS is given for a message: a body for each protocol, and how long a list
//! may be so that each of them names all its findings.

use serde_json::json;

use super::{HttpsFormat, Message, RenderContext, amazon_q, email, ocsf, pagerduty, sms};
use crate::finding::Finding;
use crate::text::clean_json;

/// How long the Publish request of a list may be, in bytes on the wire. SNS takes
/// messages of 262,144 bytes, all bodies together.
const MAX_LIST: usize = 200_000;
/// What a request holds beside its bodies (the topic's ARN, a subject), and what
/// counts, severity and kinds of findings add to the bodies of a list.
const MARGIN: usize = 2_000;

/// The bodies of a message by protocol, as `MessageStructure=json` takes them.
///
/// `default` is OCSF, for queues, functions and `https`. It is not repeated for each
/// of them, since all bodies count together. Each body but the SMS names every finding
/// of the message.
#[must_use]
pub fn of(message: Message<'_>, context: &RenderContext, https_format: HttpsFormat) -> String {
    let mut bodies = json!({
        "default": clean_json(&ocsf::json(message, context.absence_days)),
        "email": email::body(message, context),
        "sms": sms::of(message),
    });
    match https_format {
        HttpsFormat::Ocsf => {}
        HttpsFormat::AmazonQ => {
            bodies["https"] = json!(clean_json(&amazon_q::json(message, context)));
        }
        HttpsFormat::PagerDuty => {
            bodies["https"] = json!(clean_json(&pagerduty::json(message, context.absence_days)));
        }
    }
    bodies.to_string()
}

/// The one body of a finding whose bodies by protocol were refused: OCSF with no
/// more than it must have, and the finding whole.
#[must_use]
pub fn plainest(finding: &Finding) -> String {
    clean_json(&ocsf::least(finding))
}

/// How many of the findings, from the first one, a list can hold so that each of
/// its bodies names them all.
#[must_use]
pub fn fit(findings: &[Finding], context: &RenderContext, https_format: HttpsFormat) -> usize {
    let Some((first, others)) = findings.split_first() else {
        return 0;
    };
    let list = Message::Rollup(std::slice::from_ref(first));
    let mut request = MARGIN + length_in_form(&of(list, context, https_format));
    let mut description = amazon_q::line(first).len();
    let more = others.iter().take_while(|finding| {
        request += length_on_the_wire(&clean_json(&ocsf::part(finding)))
            + length_on_the_wire(&email::part(finding, context));
        match https_format {
            HttpsFormat::Ocsf => {}
            HttpsFormat::AmazonQ => {
                let line = format!("{}\n", amazon_q::line(finding));
                description += line.len();
                request += length_on_the_wire(&clean_json(&json!(line).to_string()));
            }
            HttpsFormat::PagerDuty => {
                let part = format!("{},", pagerduty::part(finding));
                request += length_on_the_wire(&clean_json(&part));
            }
        }
        request <= MAX_LIST && description <= amazon_q::MAX_DESCRIPTION
    });
    1 + more.count()
}

/// The length of a text inside a JSON string inside a form.
fn length_on_the_wire(text: &str) -> usize {
    let quotes = length_in_form("\"\"");
    length_in_form(&json!(text).to_string()) - quotes
}

/// The length of a text inside a form, where all but a few characters take three
/// bytes.
fn length_in_form(text: &str) -> usize {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => 1,
            _ => 3,
        })
        .sum()
}
