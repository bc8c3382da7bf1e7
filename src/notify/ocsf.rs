//! A finding as an OCSF 1.6.0 Detection Finding (class 2004, profiles cloud and
//! datetime): what SIEMs and data lakes read without a parser of their own.
//!
//! Our own finding JSON goes along whole under `unmapped.pushwatch`; texts of the
//! event are cut here, so that all stays within one SNS message.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::Message;
use super::words::{headline, reason_in_words};
use crate::finding::{Finding, Severity};
use crate::text::{clean, cut_bytes};

/// The schema's version.
const VERSION: &str = "1.6.0";
/// The version of ATT&CK that the techniques are named after; later ones name
/// the tactics anew.
const ATTACK_VERSION: &str = "17.1";
/// Earliest time that is one in milliseconds, and no time in seconds: September
/// 2001, long before CloudTrail. The schema takes none before it.
const EARLIEST: i64 = 1_000_000_000_000;
/// Longest text of an event here, in bytes; the whole one is in our own JSON.
const MAX_TEXT: usize = 512;

/// The JSON of a message.
pub(super) fn json(message: Message<'_>, absence_days: u16) -> String {
    let event = match message {
        Message::Finding(finding) => of_finding(finding, absence_days),
        Message::Rollup(findings) | Message::Digest(findings) => of_list(message, findings),
    };
    // The finding is spliced in as it is, so that it is the same JSON everywhere.
    let event = event.to_string();
    let open = event.strip_suffix('}').unwrap_or(&event);
    let own = message.to_json();
    format!(r#"{open},"unmapped":{{"pushwatch":{own}}}}}"#)
}

fn of_finding(finding: &Finding, absence_days: u16) -> Value {
    let push = &finding.push;
    let time = push.event_time;
    let mut event = frame(finding.severity, time, &headline(finding));
    event.insert("count".into(), json!(1));
    event.insert("cloud".into(), cloud(finding));
    event.insert("confidence_score".into(), json!(finding.risk.confidence));
    event.insert(
        "confidence_id".into(),
        json!(level(finding.risk.confidence)),
    );
    event.insert("impact_score".into(), json!(finding.risk.impact));
    event.insert("impact_id".into(), json!(impact_level(finding.risk.impact)));
    event.insert("risk_score".into(), json!(finding.risk.score));
    event.insert("risk_level_id".into(), json!(risk_level(finding.severity)));
    event.insert(
        "risk_details".into(),
        json!(reason_in_words(finding, absence_days)),
    );
    event.insert("finding_info".into(), finding_info(finding, absence_days));
    event.insert("anomaly_analyses".into(), anomaly(finding));
    event.insert("evidences".into(), json!([evidence(finding)]));
    event.insert("observables".into(), observables(finding));
    event.insert("resources".into(), json!([image(finding)]));
    event.insert(
        "remediation".into(),
        json!({
            "desc": "If the push is expected, trust the uploader with `pushwatch uploaders trust`. \
                     If not, revoke its credentials, stop what runs the image, and delete the image.",
            "references": ["https://attack.mitre.org/techniques/T1525/"],
        }),
    );
    Value::Object(event)
}

/// Of a list only the frame; the findings are under `unmapped`.
fn of_list(message: Message<'_>, findings: &[Finding]) -> Value {
    let times = findings.iter().map(|finding| finding.push.event_time);
    let time = times.max().unwrap_or_default();
    let title = match message {
        Message::Digest(_) => format!("{} ECR uploaders were learned", findings.len()),
        _ => format!("{} findings about ECR pushes", findings.len()),
    };
    let ids: Vec<_> = findings
        .iter()
        .map(|finding| finding.id.to_string())
        .collect();
    let uid = Uuid::new_v5(&Uuid::NAMESPACE_OID, ids.join(",").as_bytes());
    let mut event = frame(message.severity(), time, &title);
    let first = findings.first();
    event.insert(
        "cloud".into(),
        first.map_or_else(|| json!({"provider": "AWS"}), cloud),
    );
    event.insert("count".into(), json!(findings.len()));
    event.insert(
        "finding_info".into(),
        json!({"uid": uid.to_string(), "title": title, "analytic": analytic()}),
    );
    Value::Object(event)
}

/// What every Detection Finding must have.
fn frame(severity: Severity, time: Timestamp, message: &str) -> Map<String, Value> {
    let (severity_id, severity) = match severity {
        Severity::Informational => (1, "Informational"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    };
    let frame = json!({
        "activity_id": 1,
        "activity_name": "Create",
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "type_uid": 200_401,
        "type_name": "Detection Finding: Create",
        "time": time.as_millisecond().max(EARLIEST),
        "time_dt": time.to_string(),
        "severity_id": severity_id,
        "severity": severity,
        "status_id": 1,
        "status": "New",
        "is_alert": severity_id > 1,
        "message": clean_text(message),
        "metadata": {
            "version": VERSION,
            "profiles": ["cloud", "datetime"],
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
            "account",
            push.account
                .as_deref()
                .map(|account| json!({"uid": text(account), "type": "AWS Account", "type_id": 10})),
        ),
    ])
}

fn finding_info(finding: &Finding, absence_days: u16) -> Value {
    let time = finding.push.event_time;
    let milliseconds = |time: Option<Timestamp>| {
        let time = time?.as_millisecond();
        (time >= EARLIEST).then(|| json!(time))
    };
    let text_of = |time: Option<Timestamp>| time.map(|time| json!(time.to_string()));
    let attacks: Vec<_> = finding
        .attack
        .0
        .iter()
        .map(|technique| {
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
        })
        .collect();
    object([
        ("uid", Some(json!(finding.id.to_string()))),
        ("title", Some(text(&headline(finding)))),
        ("desc", Some(json!(reason_in_words(finding, absence_days)))),
        ("types", Some(json!([finding.reason.as_str()]))),
        ("analytic", Some(analytic())),
        ("attacks", Some(Value::Array(attacks))),
        (
            "kill_chain",
            Some(json!([{"phase_id": 5, "phase": "Installation"}])),
        ),
        ("data_sources", Some(json!(["AWS CloudTrail"]))),
        ("created_time", milliseconds(Some(time))),
        ("created_time_dt", text_of(Some(time))),
        ("modified_time", milliseconds(Some(time))),
        ("modified_time_dt", text_of(Some(time))),
        ("first_seen_time", milliseconds(finding.first_seen)),
        ("first_seen_time_dt", text_of(finding.first_seen)),
        ("last_seen_time", milliseconds(finding.last_seen)),
        ("last_seen_time_dt", text_of(finding.last_seen)),
        (
            "related_analytics",
            Some(json!([{
                "type_id": 1,
                "name": "AWS ECR Container Upload Unknown User",
                "uid": finding.related.splunk.to_string(),
            }])),
        ),
    ])
}

fn analytic() -> Value {
    json!({"type_id": 2, "type": "Behavioral", "name": "ECR uploader not seen before", "uid": "pushwatch"})
}

/// The schema's own words for "never seen before".
fn anomaly(finding: &Finding) -> Value {
    json!([{
        "analysis_targets": [{"name": text(&finding.uploader.key), "type": text(&finding.uploader.kind)}],
        "anomalies": [{
            "observation_parameter": "ecr:PutImage by uploader",
            "observation_type": "Frequency Analysis",
            "observed_pattern": "UNSEEN",
            "observations": [{"value": text(&finding.uploader.key), "count": 1}],
        }],
    }])
}

fn evidence(finding: &Finding) -> Value {
    let push = &finding.push;
    object([
        ("actor", Some(actor(finding))),
        ("api", Some(api(finding))),
        ("resources", Some(json!([image(finding)]))),
        ("src_endpoint", push.source_ip.as_deref().map(source)),
        (
            "http_request",
            push.user_agent
                .as_deref()
                .map(|agent| json!({"user_agent": text(agent)})),
        ),
        ("uid", Some(text(&push.event_id))),
    ])
}

fn actor(finding: &Finding) -> Value {
    let uploader = &finding.uploader;
    let push = &finding.push;
    let account_type = match uploader.kind.as_str() {
        "IAMUser" => json!({"type_id": 3, "type": "AWS IAM User"}),
        "Role" => json!({"type_id": 4, "type": "AWS IAM Role"}),
        _ => json!({"type_id": 10, "type": "AWS Account"}),
    };
    let account = uploader.account_id.as_deref().map(|account| {
        let mut value = account_type;
        value["uid"] = text(account);
        value
    });
    let user = object([
        ("name", Some(text(&uploader.name))),
        ("uid", Some(text(&uploader.key))),
        ("uid_alt", uploader.principal_id.as_deref().map(text)),
        ("type", Some(text(&uploader.kind))),
        ("credential_uid", push.access_key_id.as_deref().map(text)),
        ("has_mfa", push.mfa.map(Value::from)),
        ("account", account),
    ]);
    let session = uploader.session.as_deref().map(|session| {
        object([
            ("uid", Some(text(session))),
            ("issuer", Some(text(&uploader.key))),
            ("is_mfa", push.mfa.map(Value::from)),
        ])
    });
    object([("user", Some(user)), ("session", session)])
}

fn api(finding: &Finding) -> Value {
    let push = &finding.push;
    object([
        ("operation", Some(json!("PutImage"))),
        ("request", Some(json!({"uid": text(&push.event_id)}))),
        (
            "service",
            push.event_source
                .as_deref()
                .map(|service| json!({"name": text(service)})),
        ),
        (
            "response",
            push.error_code
                .as_deref()
                .map(|code| json!({"error": text(code)})),
        ),
    ])
}

/// `AWS Internal` is no address, nor is a service's name.
fn source(source: &str) -> Value {
    match source.parse::<std::net::IpAddr>() {
        Ok(address) => json!({"ip": address.to_string()}),
        Err(_) => json!({"svc_name": text(source)}),
    }
}

/// The image that was pushed.
fn image(finding: &Finding) -> Value {
    let push = &finding.push;
    let repository = push.repository.as_deref().unwrap_or("unknown repository");
    let name = match &push.tag {
        Some(tag) => format!("{repository}:{tag}"),
        None => repository.to_owned(),
    };
    object([
        ("name", Some(text(&name))),
        ("uid", push.digest.as_deref().map(text)),
        ("type", Some(json!("AwsEcrContainerImage"))),
        ("version", push.tag.as_deref().map(text)),
        ("region", push.region.as_deref().map(text)),
    ])
}

fn observables(finding: &Finding) -> Value {
    let push = &finding.push;
    let address = push
        .source_ip
        .as_deref()
        .filter(|source| source.parse::<std::net::IpAddr>().is_ok());
    let found = [
        (2, "IP Address", "evidences[].src_endpoint.ip", address),
        (
            4,
            "User Name",
            "evidences[].actor.user.name",
            Some(finding.uploader.name.as_str()),
        ),
        (
            31,
            "User Unique ID",
            "evidences[].actor.user.uid",
            Some(finding.uploader.key.as_str()),
        ),
        (
            19,
            "User Credential ID",
            "evidences[].actor.user.credential_uid",
            push.access_key_id.as_deref(),
        ),
        (
            16,
            "HTTP User-Agent",
            "evidences[].http_request.user_agent",
            push.user_agent.as_deref(),
        ),
        (
            35,
            "Account UID",
            "cloud.account.uid",
            push.account.as_deref(),
        ),
        (
            38,
            "Resource Name",
            "resources[].name",
            push.repository.as_deref(),
        ),
        (8, "Hash", "resources[].uid", push.digest.as_deref()),
    ];
    let observables = found
        .into_iter()
        .filter_map(|(type_id, kind, name, value)| {
            Some(json!({"type_id": type_id, "type": kind, "name": name, "value": text(value?)}))
        });
    Value::Array(observables.collect())
}

/// Confidence: low, medium, high.
fn level(percent: u8) -> u8 {
    match percent {
        0..=39 => 1,
        40..=69 => 2,
        _ => 3,
    }
}

/// Impact: low, medium, high, critical.
fn impact_level(percent: u8) -> u8 {
    match percent {
        0..=39 => 1,
        40..=69 => 2,
        70..=89 => 3,
        _ => 4,
    }
}

fn risk_level(severity: Severity) -> u8 {
    match severity {
        Severity::Informational => 0,
        Severity::Medium => 2,
        Severity::High => 3,
        Severity::Critical => 4,
    }
}

fn text(text: &str) -> Value {
    Value::String(clean_text(text))
}

/// On one line, without what a terminal would obey, and not too long.
fn clean_text(text: &str) -> String {
    let clean = clean(text);
    cut_bytes(&clean, MAX_TEXT).to_owned()
}

/// An object of those fields that there are.
fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let there = fields.into_iter();
    Value::Object(
        there
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect(),
    )
}
