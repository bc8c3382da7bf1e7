//! A finding in words: what happened, who, what, when, why, and what to do.
//!
//! Every text of the event is cleaned and cut before it is shown.

use std::fmt::Write as _;

use crate::finding::{Finding, Reason};
use crate::identity::Uploader;
use crate::text::clean_cut;

/// The longest key that is shown whole.
pub(super) const MAX_KEY_SHOWN: usize = 300;

/// Everything about a finding but its headline, a line each. `expected` says
/// what to do if the push is expected.
pub(super) fn details(finding: &Finding, absence_days: u16, expected: &str) -> String {
    let mut text = String::new();
    for (label, lines) in [
        ("why", why(finding, absence_days)),
        ("who", who(finding)),
        ("image", image(finding)),
        ("when", vec![finding.push.event_time.to_string()]),
        ("from", from(finding)),
        ("severity", severity(finding)),
        ("if expected", vec![expected.to_owned()]),
        ("if not", not_expected(finding)),
        (
            "finding",
            vec![format!("{} {}", finding.reason, finding.id)],
        ),
    ] {
        for (index, line) in lines.iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {label:<11} {line}");
        }
    }
    text
}

/// Who did what, in one line.
pub(super) fn headline(finding: &Finding) -> String {
    let name = clean_cut(&finding.uploader.name, 80);
    let push = &finding.push;
    let pushed = format!(
        "{} {}",
        if push.failed() {
            "tried to push"
        } else {
            "pushed"
        },
        image_name(finding)
    );
    match finding.reason {
        Reason::NewUploader => format!("New uploader {name} {pushed}"),
        Reason::RecreatedPrincipal => format!("Somebody else under the name {name} {pushed}"),
        Reason::UnidentifiedUploader => format!("Somebody whom nothing identifies {pushed}"),
        Reason::RevokedUploader => format!("Revoked uploader {name} {pushed}"),
        Reason::AttemptedUpload => format!("Unknown uploader {name} {pushed}"),
        Reason::ReturnedAfterAbsence => format!("Uploader {name} is back and {pushed}"),
        Reason::LearnedUploader => format!("Learned uploader {name}, who {pushed}"),
    }
}

/// Repository and tag.
pub(super) fn image_name(finding: &Finding) -> String {
    let repository = match &finding.push.repository {
        Some(repository) => clean_cut(repository, 120),
        None => "an image to a repository that CloudTrail does not name".to_owned(),
    };
    match &finding.push.tag {
        Some(tag) => format!("{repository}:{}", clean_cut(tag, 60)),
        None => repository,
    }
}

fn why(finding: &Finding, absence_days: u16) -> Vec<String> {
    let since = |time| format!("last seen {time}");
    vec![match (finding.reason, finding.previously_seen) {
        (Reason::NewUploader, _) if finding.trust_ended.is_some() => format!(
            "the trust in this uploader ended {}",
            finding.trust_ended.unwrap_or_default()
        ),
        (Reason::NewUploader, Some(before)) => format!(
            "{}, but never told about: it was suppressed, or a trusted glob matched then",
            since(before)
        ),
        (Reason::NewUploader, None) => {
            "no successful push by this uploader was ever seen before".to_owned()
        }
        (Reason::RecreatedPrincipal, _) => {
            let id = match &finding.uploader.principal_id {
                Some(id) => clean_cut(id, 60),
                None => "unknown".to_owned(),
            };
            format!(
                "the name is known, but the unique id behind it is another one now ({id}): \
                 deleted and made again?"
            )
        }
        (Reason::UnidentifiedUploader, _) => {
            "the event has nothing that says who it was".to_owned()
        }
        (Reason::RevokedUploader, _) => "somebody revoked this uploader".to_owned(),
        (Reason::AttemptedUpload, _) => {
            "the push failed, and no successful push by this uploader was ever seen before"
                .to_owned()
        }
        (Reason::ReturnedAfterAbsence, before) => format!(
            "{}; more than {absence_days} days without a push are told",
            before.map_or_else(|| "not seen for long".to_owned(), since)
        ),
        (Reason::LearnedUploader, _) => "first seen while learning; known from now on".to_owned(),
    }]
}

fn who(finding: &Finding) -> Vec<String> {
    let uploader = &finding.uploader;
    let mut lines = vec![
        clean_cut(&uploader.key, MAX_KEY_SHOWN),
        match &uploader.account_id {
            Some(account) => format!("{} of account {}", kind(uploader), clean_cut(account, 40)),
            None => kind(uploader),
        },
    ];
    // An SSO user's session has the person's name.
    if let Some(session) = &uploader.session
        && *session != uploader.name
    {
        lines.push(format!(
            "session {} (chosen by whoever assumed the role)",
            clean_cut(session, 80)
        ));
    }
    if let Some(key) = &finding.push.access_key_id {
        lines.push(format!("access key {}", clean_cut(key, 60)));
    }
    match finding.push.mfa {
        Some(true) => lines.push("signed in with MFA".to_owned()),
        Some(false) => lines.push("without MFA".to_owned()),
        None => {}
    }
    lines
}

fn kind(uploader: &Uploader) -> String {
    match uploader.kind.as_str() {
        "IAMUser" => "IAM user".to_owned(),
        "SsoUser" | "IdentityCenterUser" => "IAM Identity Center user".to_owned(),
        "Role" => "role".to_owned(),
        "Root" => "root user".to_owned(),
        "FederatedUser" => "federated user".to_owned(),
        "AWSAccount" => "principal".to_owned(),
        "AWSService" => "AWS service".to_owned(),
        "Unidentified" => "unidentified".to_owned(),
        other => clean_cut(other, 60),
    }
}

fn image(finding: &Finding) -> Vec<String> {
    let push = &finding.push;
    let mut lines = vec![image_name(finding)];
    if push.tag.is_none() {
        lines.push("untagged, as most parts of a multi-platform image are".to_owned());
    }
    if let Some(digest) = &push.digest {
        lines.push(clean_cut(digest, 80));
    }
    let registry = push
        .registry_id
        .as_ref()
        .map(|registry| format!("registry {}", clean_cut(registry, 60)));
    let region = push.region.as_ref().map(|region| clean_cut(region, 40));
    let place: Vec<_> = registry.into_iter().chain(region).collect();
    if !place.is_empty() {
        lines.push(place.join(", "));
    }
    if let Some(code) = &push.error_code {
        lines.push(format!("ECR refused it: {}", clean_cut(code, 80)));
    }
    if push.parameters_omitted {
        lines.push(
            "CloudTrail left out the parameters, which were over 100 KB: odd for an image"
                .to_owned(),
        );
    }
    lines
}

fn from(finding: &Finding) -> Vec<String> {
    let push = &finding.push;
    match (push.source_ip.as_deref(), push.user_agent.as_deref()) {
        (Some("AWS Internal"), _) => {
            vec!["no address: CloudTrail writes AWS Internal for every docker push".to_owned()]
        }
        (None, None) => vec!["no address in the event".to_owned()],
        (address, agent) => address
            .map(|address| clean_cut(address, 60))
            .into_iter()
            .chain(agent.map(|agent| format!("user agent {}", clean_cut(agent, 120))))
            .collect(),
    }
}

fn severity(finding: &Finding) -> Vec<String> {
    let risk = finding.risk;
    let mut lines = vec![format!(
        "{}: risk {} of 100 (impact {}, confidence {})",
        finding.severity, risk.score, risk.impact, risk.confidence
    )];
    if finding.is_raised() {
        lines.push("raised, because this is the root user's power".to_owned());
    }
    let techniques: Vec<_> = finding
        .attack
        .0
        .iter()
        .map(|technique| format!("{} {}", technique.technique, technique.name))
        .collect();
    lines.push(format!("MITRE ATT&CK {}", techniques.join(", ")));
    lines
}

fn not_expected(finding: &Finding) -> Vec<String> {
    let stop_key = match (finding.uploader.kind.as_str(), &finding.push.access_key_id) {
        ("IAMUser", Some(_)) => "disable the access key, ",
        ("SsoUser", _) => "revoke the user's sessions, ",
        ("Role" | "AssumedRole", _) => "revoke the role's sessions, ",
        _ => "",
    };
    if finding.push.failed() {
        return vec![format!("{stop_key}and ask what was tried")];
    }
    vec![format!(
        "{stop_key}stop what runs the image, ask the uploader's owner"
    )]
}
