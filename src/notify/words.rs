//! What every form of a finding says in the same words: what happened, and why
//! it is told.
//!
//! Every text of the event is cleaned and cut before it is shown.

use crate::finding::{Finding, Reason};
use crate::identity::Uploader;
use crate::text::{ascii_cut, defanged};

/// The longest key that is shown whole.
pub(super) const MAX_KEY_SHOWN: usize = 300;

/// A text of an event as people may see it: on one line, in ASCII, not too long,
/// and no link.
pub(super) fn shown(text: &str, most: usize) -> String {
    ascii_cut(&defanged(text), most)
}

/// What happened, in a sentence that needs no other knowledge.
pub(super) fn sentence(finding: &Finding) -> String {
    let uploader = &finding.uploader;
    let who = match (finding.reason, finding.previously_seen) {
        (Reason::NewUploader, _) if finding.trust_ended.is_some() => {
            "Somebody whose trust has ended"
        }
        (Reason::NewUploader, Some(_)) => "Somebody who was seen, but never told about,",
        (Reason::NewUploader | Reason::AttemptedUpload, _) => "Somebody who never pushed before",
        (Reason::RecreatedPrincipal, _) => {
            "Somebody with the name of a known uploader, but another identity,"
        }
        (Reason::UnidentifiedUploader, _) => "Somebody whom nothing identifies",
        (Reason::RevokedUploader, _) => "Somebody who was revoked",
        (Reason::ReturnedAfterAbsence, _) => "A known uploader who was away for long",
        (Reason::LearnedUploader, _) => "Somebody who never pushed before, and is learned now,",
    };
    let did = if finding.push.failed() {
        "has tried to push a container image to Amazon ECR, and was refused"
    } else {
        "has pushed a container image to Amazon ECR"
    };
    let image = match &finding.push.repository {
        Some(_) => format!("image {}", image_name(finding)),
        None => image_name(finding),
    };
    if uploader.is_unidentified() {
        return format!("{who} {did}: {image}.");
    }
    let name = shown(&uploader.name, 80);
    let kind = kind(uploader);
    // "root user root" says it twice.
    let name = if uploader.is_root() {
        kind
    } else {
        format!("{kind} {name}")
    };
    format!("{who} {did}: {name}, {image}.")
}

/// Who did what, in one line.
pub(super) fn headline(finding: &Finding) -> String {
    let name = shown(&finding.uploader.name, 80);
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
        Some(repository) => shown(repository, 120),
        None => "an image to a repository that CloudTrail does not name".to_owned(),
    };
    match &finding.push.tag {
        // `http` and `//host` are a link only together.
        Some(tag) => defanged(&format!("{repository}:{}", shown(tag, 60))),
        None => repository,
    }
}

/// Why it is told, with the numbers as configured.
pub(super) fn reason_in_words(finding: &Finding, absence_days: u16) -> String {
    let since = |time| format!("last seen {time}");
    match (finding.reason, finding.previously_seen) {
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
                Some(id) => shown(id, 60),
                None => "unknown".to_owned(),
            };
            format!(
                "the name is known, but the unique id behind it is another one now ({id}); \
                 it may have been deleted and made again"
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
    }
}

pub(super) fn kind(uploader: &Uploader) -> String {
    match uploader.kind.as_str() {
        "IAMUser" => "IAM user".to_owned(),
        "SsoUser" | "IdentityCenterUser" => "IAM Identity Center user".to_owned(),
        "Role" => "role".to_owned(),
        "Root" => "root user".to_owned(),
        "FederatedUser" => "federated user".to_owned(),
        "AWSAccount" => "principal".to_owned(),
        "AWSService" => "AWS service".to_owned(),
        "Unidentified" => "unidentified".to_owned(),
        other => shown(other, 60),
    }
}
