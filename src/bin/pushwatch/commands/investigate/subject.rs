//! Which push is meant: the one in a file, or the one of an id.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use compact_str::CompactString;
use jiff::Timestamp;
use pushwatch::event::{self, Event, UserIdentity};
use pushwatch::finding::{Finding, Reason, Sightings};
use pushwatch::identity::identify;
use pushwatch::render::{safe, safe_words};
use pushwatch::text::clean;
use serde_json::Value;

use super::call::{Call, PushedImage, Session};
use super::conduct::Case;
use crate::error::CommandError;

/// The longest file that is taken for an event. Read whole, it takes some forty times as much.
const MAX_EVENT: u64 = 16 * 1024 * 1024;

/// The push in a file: an event, a CloudTrail file with one push, or a finding.
///
/// # Errors
/// When there is none, or several.
pub fn in_file(path: &Path) -> Result<Case, CommandError> {
    let shown = clean(&path.to_string_lossy());
    let usage = |fault: &str| CommandError::Usage(format!("{shown}: {fault}"));
    let text = read(path).map_err(|error| usage(&error.to_string()))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| {
        usage(&format!(
            "{}; to look through an archive, give the EVENT_ID before it",
            safe_words(&error.to_string(), 200)
        ))
    })?;
    if let Some(finding) = finding_in(&value) {
        return Ok(of_finding(finding));
    }
    let events = events(value);
    let mut pushes = events.iter().filter(|event| is_push(event));
    match (pushes.next(), pushes.count()) {
        (Some(push), 0) => of_record(&push.to_string()).map_err(|fault| usage(&fault)),
        (Some(_), others) => Err(usage(&format!(
            "there are {} pushes in it; give the id of one, and the file as ARCHIVE",
            others + 1
        ))),
        (None, _) => {
            let what = match events.as_slice() {
                [event] => match event::read(&event.to_string(), Timestamp::MAX) {
                    Ok(Event::Ignored(why)) => safe_words(&why, 200),
                    Ok(_) => "it is no push".to_owned(),
                    Err(error) => error.to_string(),
                },
                _ => "no push is in it".to_owned(),
            };
            Err(usage(&format!(
                "{what}; give an event of PutImage, or the id of one and an ARCHIVE"
            )))
        }
    }
}

fn read(path: &Path) -> io::Result<String> {
    let bytes = if path.as_os_str() == "-" {
        read_event(io::stdin())?
    } else {
        read_event(fs::File::open(path)?)?
    };
    let text = if bytes.starts_with(&[0x1f, 0x8b]) {
        read_event(flate2::read::MultiGzDecoder::new(bytes.as_slice()))?
    } else {
        bytes
    };
    String::from_utf8(text).map_err(|_| io::Error::other("it is no text of UTF-8"))
}

fn read_event(reader: impl io::Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if reader.take(MAX_EVENT + 1).read_to_end(&mut bytes)? as u64 > MAX_EVENT {
        return Err(io::Error::other(format!(
            "it has more than {} MB; to look through an archive, give the EVENT_ID before it",
            MAX_EVENT >> 20
        )));
    }
    Ok(bytes)
}

/// The events of an array, of a CloudTrail file, or the one.
fn events(value: Value) -> Vec<Value> {
    match value {
        Value::Array(events) => events,
        Value::Object(mut fields) => match fields.remove("Records") {
            Some(Value::Array(events)) => events,
            _ => vec![Value::Object(fields)],
        },
        other => vec![other],
    }
}

fn is_push(event: &Value) -> bool {
    let record = event.get("detail").unwrap_or(event);
    record.get("eventName").and_then(Value::as_str) == Some("PutImage")
}

/// Our own JSON of a finding, or that in its OCSF.
fn finding_in(value: &Value) -> Option<Finding> {
    let own = value.pointer("/unmapped/pushwatch").unwrap_or(value);
    let is_finding = own.get("reason").is_some() && own.get("uploader").is_some();
    is_finding.then(|| serde_json::from_value(own.clone()).ok())?
}

/// The push of a record.
///
/// # Errors
/// When it is none.
pub fn of_record(json: &str) -> Result<Case, String> {
    // What is ahead of the clock is told as it is.
    match event::read_whole(json, Timestamp::MAX) {
        Ok(Event::Push(push, identity)) => {
            let uploader = identify(&identity, push.account.as_deref()).uploader;
            let call = Call::read(json)
                .ok_or("the record has no eventID or no eventTime, so nothing can be joined")?;
            Ok(Case {
                finding: Finding::new(Reason::NewUploader, &push, &uploader, Sightings::default()),
                push: call,
                finding_id: None,
            })
        }
        Ok(Event::Ignored(why)) => Err(format!(
            "{}; give an event of PutImage (`pushwatch replay` shows those of an archive)",
            safe_words(&why, 200)
        )),
        Ok(Event::Sweep) => Err("it is no push, but a sweep".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The push of a record that was found.
///
/// # Errors
/// When it is no push: in one line that says what to try.
pub fn of_call(call: Call) -> Result<Case, CommandError> {
    let shown = safe(&call.event_id, 80);
    let Some(record) = call.record else {
        return Err(CommandError::Usage(format!(
            "event {shown} is no push, but {}; give the id of a PutImage (`pushwatch replay \
             --format json` shows those of an archive)",
            safe(&call.name, 60)
        )));
    };
    of_record(&record).map_err(|fault| CommandError::Usage(format!("event {shown}: {fault}")))
}

/// The push of a finding, as far as the finding says it.
pub fn of_finding(finding: Finding) -> Case {
    let (push, uploader) = (&finding.push, &finding.uploader);
    let credentials = &finding.credentials;
    let session = uploader.session.as_deref();
    let is_user = matches!(uploader.kind.as_str(), "IAMUser" | "Root");
    let principal = uploader.principal_id.as_deref();
    let principal = principal.map(|id| match session {
        Some(session) if !is_user => format!("{id}:{session}").into(),
        _ => CompactString::from(id),
    });
    let is_role = uploader.kind == "Role";
    let call = Call {
        event_id: push.event_id.clone(),
        shared_event_id: push.shared_event_id.clone(),
        time: push.event_time,
        source: push.event_source.clone().unwrap_or_default(),
        name: "PutImage".into(),
        region: push.region.clone(),
        account: push.account.clone(),
        source_ip: push.source_ip.clone(),
        user_agent: push.user_agent.clone(),
        error_code: push.error_code.clone(),
        read_only: Some(false),
        identity: UserIdentity {
            kind: Some(match uploader.kind.as_str() {
                "Role" | "SsoUser" => "AssumedRole".into(),
                other => other.into(),
            }),
            principal_id: principal,
            arn: is_user.then(|| uploader.key.clone()),
            account_id: uploader.account_id.clone(),
            user_name: is_user.then(|| uploader.name.clone()),
            issuer_kind: is_role.then(|| "Role".into()),
            issuer_arn: is_role.then(|| uploader.key.clone()),
            ..UserIdentity::default()
        },
        session: Session {
            access_key: push.access_key_id.clone(),
            start: credentials.session_start,
            mfa: push.mfa,
            source_identity: credentials.source_identity.clone(),
            provider: credentials.federated_provider.clone(),
            from_console: credentials.session_credential_from_console == Some(true),
            of_instance: credentials.ec2_role_delivery.is_some(),
            issued_to: credentials.credentials_issued_to.clone(),
        },
        image: Some(PushedImage {
            registry_id: push.registry_id.clone(),
            repository: push.repository.clone(),
            tag: push.tag.clone(),
            digest: push.digest.clone(),
            media_type: push.media_type.clone(),
            platforms: None,
            about: push.artifact_subject.clone(),
        }),
        ..Call::default()
    };
    Case {
        push: call,
        finding_id: Some(finding.id.to_string()),
        finding,
    }
}

/// What a word stands for that is no file, if it can be an id.
///
/// # Errors
/// When it can't be one.
pub fn id(typed: &Path) -> Result<&str, CommandError> {
    let shown = safe(&typed.to_string_lossy(), 200);
    let is_id = |id: &&str| {
        (1..=100).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    typed.to_str().filter(is_id).ok_or_else(|| {
        CommandError::Usage(format!(
            "`{shown}` is no file, and can't be the id of an event or a finding; `pushwatch \
             findings list` shows findings, `pushwatch replay --format json` pushes"
        ))
    })
}

/// Whether the JSON has a record of this id, for a case that a finding began.
pub fn with_record(case: Case, call: Option<Call>) -> Case {
    let Some(call) = call.filter(Call::is_push) else {
        return case;
    };
    Case { push: call, ..case }
}
