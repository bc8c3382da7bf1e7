//! A finding for PagerDuty: an event of its Events API v2 in the fields of
//! PD-CEF. Its `routing_key`, which says which service, is left to the receiver.

use serde_json::{Value, json};

use super::wording::{
    MAX_KEY_SHOWN, advice, artifact_name, headline, reason_in_words, sentence, severity_in_words,
    shown,
};
use super::{Message, facts, subject};
use crate::finding::{Finding, Severity};
use crate::text::cut_bytes;

/// Longest summary, in bytes.
const MAX_SUMMARY: usize = 1_000;

/// The JSON of a message.
pub(super) fn json(message: Message<'_>, absence_days: u16) -> String {
    let findings = message.findings();
    let first = findings.first();
    let details: Value = match message {
        Message::Finding(finding) => details(finding, absence_days),
        Message::Rollup(_) | Message::Digest(_) => json!({
            "count": findings.len(),
            "findings": findings.iter().map(part).collect::<Vec<_>>(),
        }),
    };
    let account = first.and_then(|finding| finding.push.account.as_deref());
    let source = first.and_then(|finding| finding.push.repository.as_deref());
    let time = findings.iter().map(|finding| finding.push.event_time).max();
    json!({
        "event_action": "trigger",
        "dedup_key": message.id().to_string(),
        "payload": {
            "summary": cut_bytes(&subject::of(message), MAX_SUMMARY),
            "source": source.map_or_else(|| "ECR".to_owned(), |source| shown(source, 256)),
            "severity": match message.severity() {
                Severity::Critical => "critical",
                Severity::High => "error",
                Severity::Medium => "warning",
                Severity::Low | Severity::Informational => "info",
            },
            "timestamp": time.unwrap_or_default().to_string(),
            "component": "Amazon ECR",
            "group": account.map(|account| shown(account, 40)),
            "class": first.map(|finding| finding.reason.as_str()),
            "custom_details": details,
        },
    })
    .to_string()
}

/// A finding's part of a list.
pub(super) fn part(finding: &Finding) -> Value {
    json!({"id": finding.id, "summary": headline(finding)})
}

/// What the alert shows. The whole finding is in the `default` body already, and
/// twice it would not fit into one SNS message.
fn details(finding: &Finding, absence_days: u16) -> Value {
    let push = &finding.push;
    let text = |text: Option<&str>| text.map(|text| shown(text, 120));
    json!({
        "what happened": sentence(finding),
        "why you are told": reason_in_words(finding, absence_days),
        "how bad it is": severity_in_words(finding),
        "what to do": advice(finding),
        "uploader": shown(&finding.uploader.key, MAX_KEY_SHOWN),
        "image": artifact_name(finding),
        "digest": text(push.digest.as_deref()),
        "account": text(push.account.as_deref()),
        "region": text(push.region.as_deref()),
        "through": facts::through(&finding.credentials),
        "access key": text(push.access_key_id.as_deref()),
        "event": shown(&push.event_id, 120),
        "unusual": finding.unusual,
        "risk": finding.risk.score,
    })
}
