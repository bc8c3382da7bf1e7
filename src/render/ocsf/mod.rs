//! A finding as an OCSF 1.6.0 Detection Finding (class 2004, profiles cloud and
//! datetime): what SIEMs and data lakes read without a parser of their own.
//!
//! Our own finding JSON goes along whole under `unmapped.pushwatch`; texts of the
//! event are cut here, so that all stays within one SNS message.

mod evidence;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::wording::{advice, headline, reason_in_words, sentence};
use super::{Message, remediation, subject};
use crate::arn::partition_of;
use crate::finding::{Finding, Reason, Severity};
use crate::habit::Unusual;
use crate::text::{clean, cut_bytes};

/// The schema's version.
const VERSION: &str = "1.6.0";
/// The version of ATT&CK that the techniques are named after; later ones name
/// the tactics anew.
const ATTACK_VERSION: &str = "17.1";
/// The earliest time that the schema takes, in milliseconds: September 2001, long
/// before CloudTrail. A lower number could be a time in seconds.
const EARLIEST: i64 = 1_000_000_000_000;
/// The latest one: November 2286.
const LATEST: i64 = 9_999_999_999_999;
/// Longest text of an event here, in bytes; the whole one is in our own JSON.
const MAX_TEXT: usize = 512;

/// The JSON of a message.
pub(super) fn json(message: Message<'_>, absence_days: u16) -> String {
    let event = match message {
        Message::Finding(finding) => of_finding(finding, absence_days),
        Message::Rollup(findings) | Message::Digest(findings) => of_list(message, findings),
    };
    with_own(&event, message)
}

/// A finding with no more than it must have, and what is filtered on.
pub(super) fn least(finding: &Finding) -> String {
    let message = Message::Finding(finding);
    let title = headline(finding);
    let mut event = frame(message, finding.push.event_time, &title);
    event.insert("cloud".into(), json!({"provider": "AWS"}));
    event.insert(
        "finding_info".into(),
        json!({
            "uid": finding.id.to_string(),
            "title": text(&title),
            "types": [finding.reason.as_str()],
        }),
    );
    with_own(&Value::Object(event), message)
}

/// What one finding adds to the length of a list: itself and a related event.
pub(super) fn part(finding: &Finding) -> String {
    format!("{},{},", finding.to_json(), related(finding))
}

/// The event as JSON, with our own JSON spliced in as it is, so that it is the same
/// in every form.
fn with_own(event: &Value, message: Message<'_>) -> String {
    let event = event.to_string();
    let open = event.strip_suffix('}').unwrap_or(&event);
    let own = message.to_json();
    format!(r#"{open},"unmapped":{{"pushwatch":{own}}}}}"#)
}

fn of_finding(finding: &Finding, absence_days: u16) -> Value {
    let push = &finding.push;
    let why = reason_in_words(finding, absence_days);
    let title = headline(finding);
    let mut event = frame(Message::Finding(finding), push.event_time, &title);
    // The pushes of one build share it.
    if let Some(shared) = &push.shared_event_id {
        event["metadata"]["correlation_uid"] = text(shared);
    }
    event["metadata"]["original_time"] = json!(push.event_time.to_string());
    let risk = finding.risk;
    let fields = object([
        ("status_detail", Some(text(&finding.message))),
        ("confidence_score", Some(json!(risk.confidence))),
        ("confidence_id", Some(json!(confidence(risk.confidence).0))),
        ("confidence", Some(json!(confidence(risk.confidence).1))),
        ("impact_score", Some(json!(risk.impact))),
        ("impact_id", Some(json!(impact(risk.impact).0))),
        ("impact", Some(json!(impact(risk.impact).1))),
        ("risk_score", Some(json!(risk.score))),
        ("risk_level_id", Some(json!(risk_level(finding.severity).0))),
        ("risk_level", Some(json!(risk_level(finding.severity).1))),
        ("risk_details", Some(text(&why))),
        ("cloud", Some(cloud(finding))),
        ("finding_info", Some(finding_info(finding, &why))),
        ("anomaly_analyses", anomaly(finding)),
        ("evidences", Some(json!([evidence::of(finding)]))),
        ("observables", Some(evidence::observables(finding))),
        ("resources", Some(evidence::resources(finding))),
        (
            "remediation",
            Some(json!({
                "desc": advice(finding),
                "references": [
                    "https://attack.mitre.org/techniques/T1204/003/",
                    "https://attack.mitre.org/techniques/T1525/",
                ],
            })),
        ),
    ]);
    if let Value::Object(fields) = fields {
        event.extend(fields);
    }
    Value::Object(event)
}

/// A list as one OCSF finding, with its parts as related events. They are whole only
/// under `unmapped`: with each as OCSF too, a message could hold few.
fn of_list(message: Message<'_>, findings: &[Finding]) -> Value {
    let times = findings.iter().map(|finding| finding.push.event_time);
    let time = times.max().unwrap_or_default();
    let title = match message {
        Message::Digest(_) => subject::digest(findings),
        _ => format!("{} findings about ECR pushes", findings.len()),
    };
    let mut event = frame(message, time, &title);
    event.insert("cloud".into(), shared_cloud(findings));
    let mut types: Vec<_> = findings
        .iter()
        .map(|finding| finding.reason.as_str())
        .collect();
    types.sort_unstable();
    types.dedup();
    let related: Vec<_> = findings.iter().map(related).collect();
    event.insert(
        "finding_info".into(),
        json!({
            "uid": message.id().to_string(),
            "title": title,
            "types": types,
            "analytic": analytic("ECR uploader", "pushwatch"),
            "attacks": findings.first().map(attacks).unwrap_or_default(),
            "data_sources": DATA_SOURCES,
            "related_events": related,
            "related_events_count": findings.len(),
        }),
    );
    Value::Object(event)
}

/// A finding of a list, as an event related to it.
fn related(finding: &Finding) -> Value {
    let (severity_id, severity) = severity(finding.severity);
    let title = headline(finding);
    json!({
        "uid": finding.id.to_string(),
        "type": finding.reason.as_str(),
        "title": cut_bytes(&title, 300),
        "severity_id": severity_id,
        "severity": severity,
        "created_time": milliseconds(finding.push.event_time),
        "created_time_dt": finding.push.event_time.to_string(),
    })
}

/// What every Detection Finding must have.
fn frame(message: Message<'_>, time: Timestamp, title: &str) -> Map<String, Value> {
    let (severity_id, severity) = severity(message.severity());
    let count = message.findings().len();
    let frame = json!({
        "activity_id": 1,
        "activity_name": "Create",
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "type_uid": 200_401,
        "type_name": "Detection Finding: Create",
        "time": milliseconds(time),
        "time_dt": time.to_string(),
        "timezone_offset": 0,
        "severity_id": severity_id,
        "severity": severity,
        "status_id": 1,
        "status": "New",
        "is_alert": severity_id > 1,
        "count": count,
        "message": clean_text(title),
        "metadata": {
            "version": VERSION,
            "profiles": ["cloud", "datetime"],
            "uid": message.id().to_string(),
            "event_code": "PutImage",
            "log_name": "CloudTrail",
            "log_provider": "AWS",
            "product": {
                "name": "PushWatch",
                "vendor_name": "PushWatch",
                "version": env!("CARGO_PKG_VERSION"),
            },
        },
    });
    match frame {
        Value::Object(frame) => frame,
        _ => Map::new(),
    }
}

fn cloud(finding: &Finding) -> Value {
    let push = &finding.push;
    object([
        ("provider", Some(json!("AWS"))),
        ("region", push.region.as_deref().map(text)),
        (
            "cloud_partition",
            push.region
                .as_deref()
                .map(|region| json!(partition_of(region))),
        ),
        ("account", push.account.as_deref().map(account)),
    ])
}

/// What the findings of a list have in common.
fn shared_cloud(findings: &[Finding]) -> Value {
    let mut clouds = findings.iter().map(cloud);
    let mut shared = clouds.next().unwrap_or_else(|| json!({"provider": "AWS"}));
    for cloud in clouds {
        if let Value::Object(fields) = &mut shared {
            fields.retain(|name, value| cloud.get(name) == Some(value));
        }
    }
    shared
}

fn account(account: &str) -> Value {
    json!({"uid": text(account), "type": "AWS Account", "type_id": 10})
}

const DATA_SOURCES: [&str; 1] = ["AWS CloudTrail"];

fn finding_info(finding: &Finding, why: &str) -> Value {
    let push = &finding.push;
    let at = |time: Option<Timestamp>| {
        let time = time.filter(is_of_ocsf)?;
        Some(json!(milliseconds(time)))
    };
    let at_text = |time: Option<Timestamp>| Some(json!(time.filter(is_of_ocsf)?.to_string()));
    let (name, uid) = match finding.reason {
        Reason::NewUploader if was_seen(finding) => ("ECR uploader not known", "pushwatch/unknown"),
        Reason::RevokedUploader => ("ECR uploader that was revoked", "pushwatch/revoked"),
        Reason::ReturnedAfterAbsence => ("ECR uploader after an absence", "pushwatch/absence"),
        Reason::UnidentifiedUploader => ("ECR uploader without identity", "pushwatch/identity"),
        Reason::UnusualPush => ("ECR push outside habits", "pushwatch/habit"),
        _ => ("ECR uploader not seen before", "pushwatch/unseen"),
    };
    let time = Some(push.event_time);
    object([
        ("uid", Some(json!(finding.id.to_string()))),
        ("title", Some(text(&headline(finding)))),
        (
            "desc",
            Some(text(&format!("{} Why: {why}.", sentence(finding)))),
        ),
        ("types", Some(json!([finding.reason.as_str()]))),
        ("analytic", Some(analytic(name, uid))),
        ("attacks", Some(attacks(finding))),
        (
            "kill_chain",
            Some(json!([{"phase_id": 5, "phase": "Installation"}])),
        ),
        ("data_sources", Some(json!(DATA_SOURCES))),
        ("src_url", remediation::event_link(finding).map(Value::from)),
        ("created_time", at(time)),
        ("created_time_dt", at_text(time)),
        ("modified_time", at(time)),
        ("modified_time_dt", at_text(time)),
        ("first_seen_time", at(finding.first_seen)),
        ("first_seen_time_dt", at_text(finding.first_seen)),
        ("last_seen_time", at(finding.last_seen)),
        ("last_seen_time_dt", at_text(finding.last_seen)),
        (
            "related_analytics",
            Some(json!([{
                "type_id": 1,
                "type": "Rule",
                "name": "AWS ECR Container Upload Unknown User",
                "uid": finding.related.splunk.to_string(),
            }])),
        ),
        (
            "related_events",
            Some(json!([{
                "uid": text(&push.event_id),
                "type": "CloudTrail event",
                "title": "PutImage",
            }])),
        ),
        ("related_events_count", Some(json!(1))),
    ])
}

fn analytic(name: &str, uid: &str) -> Value {
    json!({
        "type_id": 2,
        "type": "Behavioral",
        "name": name,
        "uid": uid,
        "version": env!("CARGO_PKG_VERSION"),
    })
}

fn attacks(finding: &Finding) -> Value {
    let techniques = finding.attack.0.iter();
    let attacks = techniques.map(|technique| {
        let tactic = match technique.tactic.as_str() {
            "Execution" => json!({"name": technique.tactic, "uid": "TA0002"}),
            "Persistence" => json!({"name": technique.tactic, "uid": "TA0003"}),
            _ => json!({"name": technique.tactic}),
        };
        // `T1204.003` is a sub-technique of T1204.
        let kind = if technique.technique.contains('.') {
            "sub_technique"
        } else {
            "technique"
        };
        let mut attack = Map::new();
        attack.insert("version".into(), json!(ATTACK_VERSION));
        attack.insert("tactic".into(), tactic);
        attack.insert(
            kind.into(),
            json!({"uid": technique.technique, "name": technique.name}),
        );
        Value::Object(attack)
    });
    Value::Array(attacks.collect())
}

/// Whether a new uploader was seen before, and is only reported for the first time.
fn was_seen(finding: &Finding) -> bool {
    finding.previously_seen.is_some() || finding.trust_ended.is_some()
}

/// The schema's own words for "never seen before"; none for an uploader of whom that
/// can't be said.
fn anomaly(finding: &Finding) -> Option<Value> {
    let (parameter, value) = match finding.reason {
        Reason::NewUploader if was_seen(finding) => return None,
        Reason::RevokedUploader | Reason::ReturnedAfterAbsence | Reason::UnidentifiedUploader => {
            return None;
        }
        Reason::UnusualPush => {
            let repository = finding.push.repository.as_deref();
            let is_new = finding.unusual.contains(&Unusual::Place);
            ("resources.name", repository.filter(|_| is_new)?)
        }
        Reason::RecreatedPrincipal => (
            "evidences.actor.user.uid_alt",
            finding
                .uploader
                .principal_id
                .as_deref()
                .unwrap_or("unknown"),
        ),
        Reason::NewUploader | Reason::AttemptedUpload | Reason::LearnedUploader => {
            ("evidences.actor.user.uid", finding.uploader.key.as_str())
        }
    };
    let time = milliseconds(finding.push.event_time);
    Some(json!([{
        "analysis_targets": [{
            "name": text(&finding.uploader.key),
            "type": text(&finding.uploader.kind),
        }],
        "anomalies": [{
            "observation_parameter": parameter,
            "observation_type": "Frequency Analysis",
            "observed_pattern": "UNSEEN",
            "observations": [{
                "value": text(value),
                "count": 1,
                "timespan": {"start_time": time, "end_time": time},
            }],
        }],
    }]))
}

fn severity(severity: Severity) -> (u8, &'static str) {
    match severity {
        Severity::Informational => (1, "Informational"),
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    }
}

fn confidence(percent: u8) -> (u8, &'static str) {
    match percent {
        0..=39 => (1, "Low"),
        40..=69 => (2, "Medium"),
        _ => (3, "High"),
    }
}

fn impact(percent: u8) -> (u8, &'static str) {
    match percent {
        0..=39 => (1, "Low"),
        40..=69 => (2, "Medium"),
        70..=89 => (3, "High"),
        _ => (4, "Critical"),
    }
}

fn risk_level(severity: Severity) -> (u8, &'static str) {
    match severity {
        Severity::Informational => (0, "Info"),
        Severity::Low => (1, "Low"),
        Severity::Medium => (2, "Medium"),
        Severity::High => (3, "High"),
        Severity::Critical => (4, "Critical"),
    }
}

fn is_of_ocsf(time: &Timestamp) -> bool {
    (EARLIEST..=LATEST).contains(&time.as_millisecond())
}

fn milliseconds(time: Timestamp) -> i64 {
    time.as_millisecond().clamp(EARLIEST, LATEST)
}

fn text(text: &str) -> Value {
    Value::String(clean_text(text))
}

/// On one line, without what a terminal would obey, and not too long.
fn clean_text(text: &str) -> String {
    let clean = clean(text);
    cut_bytes(&clean, MAX_TEXT).to_owned()
}

/// An object of the fields that have a value.
fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let there = fields.into_iter();
    Value::Object(
        there
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect(),
    )
}
