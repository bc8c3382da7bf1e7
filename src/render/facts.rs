//! What is known of a push, labelled, as people read it in a mail or on a
//! terminal.

use super::wording::{MAX_KEY_SHOWN, duration, image_name, kind, shown};
use crate::finding::Finding;

/// A label, and its lines.
pub(super) type Fact = (&'static str, Vec<String>);

/// Who, what, where, when, from where, and with which credentials. What the event
/// does not say is left out, or said to be unknown.
pub(super) fn of(finding: &Finding) -> Vec<Fact> {
    let facts = [
        ("Who", who(finding)),
        ("What", what(finding)),
        ("Where", vec![registry(finding)]),
        ("When", when(finding)),
        ("From", from(finding)),
        ("With", credentials(finding)),
        ("Session", session(finding)),
    ];
    facts
        .into_iter()
        .filter(|(_, lines)| !lines.is_empty())
        .collect()
}

fn who(finding: &Finding) -> Vec<String> {
    let uploader = &finding.uploader;
    if uploader.is_unidentified() {
        return vec!["nobody whom the event names".to_owned()];
    }
    let account = match &uploader.account_id {
        Some(account) => format!(" of account {}", shown(account, 40)),
        None => String::new(),
    };
    vec![
        format!("{}, {}{account}", shown(&uploader.name, 80), kind(uploader)),
        shown(&uploader.key, MAX_KEY_SHOWN),
    ]
}

fn what(finding: &Finding) -> Vec<String> {
    let push = &finding.push;
    let mut lines = vec![image_name(finding)];
    lines.extend(push.digest.as_ref().map(|digest| shown(digest, 71)));
    // If CloudTrail left the parameters out, nobody knows whether there was a tag.
    if push.tag.is_none() && push.repository.is_some() && !push.parameters_omitted {
        lines.push("untagged, as most parts of a multi-platform image are".to_owned());
    }
    if let Some(code) = &push.error_code {
        lines.push(format!("ECR refused it: {}", shown(code, 80)));
    }
    if push.parameters_omitted {
        lines.push(
            "CloudTrail left out the parameters, which were over 100 KB: odd for an image"
                .to_owned(),
        );
    }
    lines
}

fn registry(finding: &Finding) -> String {
    let push = &finding.push;
    let or_unknown = |text: Option<&str>, most| {
        text.map_or_else(|| "unknown".to_owned(), |text| shown(text, most))
    };
    let registry = push.registry_id.as_deref().or(push.account.as_deref());
    format!(
        "registry {}, region {}",
        or_unknown(registry, 60),
        or_unknown(push.region.as_deref(), 40)
    )
}

fn when(finding: &Finding) -> Vec<String> {
    let delay = finding.delay_seconds;
    let reported = delay.map(|seconds| format!("reported {} later", duration(seconds)));
    let time = finding.push.event_time.to_string();
    std::iter::once(time).chain(reported).collect()
}

fn from(finding: &Finding) -> Vec<String> {
    let push = &finding.push;
    let mut lines = vec![match push.source_ip.as_deref() {
        Some("AWS Internal") => "unknown: CloudTrail writes \"AWS Internal\" instead of an \
             address for every docker push"
            .to_owned(),
        Some(address) => shown(address, 60),
        None => "unknown: the event names no address".to_owned(),
    }];
    let agent = push.user_agent.as_deref();
    let agent = agent.filter(|agent| *agent != "AWS Internal");
    lines.extend(agent.map(|agent| format!("with {}", shown(agent, 120))));
    lines
}

fn credentials(finding: &Finding) -> Vec<String> {
    let push = &finding.push;
    let key = push.access_key_id.as_ref();
    let key = key.map(|key| format!("access key {}", shown(key, 60)));
    let mfa = push.mfa.map(|mfa| {
        let words = if mfa {
            "signed in with MFA"
        } else {
            "without MFA"
        };
        words.to_owned()
    });
    let both: Vec<_> = key.into_iter().chain(mfa).collect();
    if both.is_empty() {
        return both;
    }
    vec![both.join(", ")]
}

fn session(finding: &Finding) -> Vec<String> {
    let uploader = &finding.uploader;
    // A person's session has the person's name.
    let session = uploader.session.as_ref();
    session
        .filter(|session| **session != uploader.name)
        .map(|session| {
            format!(
                "{} (chosen by whoever assumed the role)",
                shown(session, 80)
            )
        })
        .into_iter()
        .collect()
}
