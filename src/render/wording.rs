//! What every form of a finding says in the same words: what happened, and why
//! it is reported.
//!
//! Every text of the event is cleaned and cut before it is shown.

use super::defang::defanged;
use crate::finding::{Finding, Reason, Severity};
use crate::identity::Uploader;
use crate::text::ascii_cut;

/// The longest key that is shown whole.
pub(super) const MAX_KEY_SHOWN: usize = 300;

/// A text of an event as people may see it: on one line, in ASCII, not too long,
/// and no link.
pub(super) fn shown(text: &str, most: usize) -> String {
    if text.trim().is_empty() {
        return "(blank)".to_owned();
    }
    let cut = ascii_cut(&defanged(text), most);
    // `evil.comfort`, cut behind `com`, is a link that it was not before.
    ascii_cut(&defanged(&cut), most)
}

/// The severity in the words of a subject.
pub(super) fn severity_word(severity: Severity) -> String {
    severity.as_str().to_uppercase()
}

/// What happened, in a sentence that needs no other knowledge.
pub(super) fn sentence(finding: &Finding) -> String {
    let (uploader, push) = (&finding.uploader, &finding.push);
    let kind = kind(uploader);
    let who = if uploader.is_root() {
        // "Root user root" says it twice.
        format!("The {kind}")
    } else {
        let of = match &uploader.account_id {
            Some(account) if uploader.kind == "AWSAccount" => {
                format!(" of another account ({})", shown(account, 40))
            }
            _ => String::new(),
        };
        capital(&format!("{kind} {}{of}", shown(&uploader.name, 80)))
    };
    let who = match (finding.reason, finding.previously_seen) {
        (Reason::NewUploader, _) if finding.trust_ended.is_some() => {
            format!("{who}, whose trust has ended,")
        }
        (Reason::NewUploader, Some(_)) => format!("{who}, who was seen but never told about,"),
        (Reason::NewUploader | Reason::AttemptedUpload, _) => {
            format!("{who}, who was never seen before,")
        }
        (Reason::RecreatedPrincipal, _) => {
            format!(
                "Somebody else under the known name {}",
                shown(&uploader.name, 80)
            )
        }
        (Reason::UnidentifiedUploader, _) => "Somebody whom nothing identifies".to_owned(),
        (Reason::RevokedUploader, _) => format!("{who}, who was marked as revoked,"),
        (Reason::ReturnedAfterAbsence, _) => format!("{who}, who was away for long,"),
        (Reason::LearnedUploader, _) => {
            format!("{who}, who was never seen before and is learned now,")
        }
    };
    let did = if push.failed() {
        "tried to push"
    } else {
        "pushed"
    };
    let image = match &push.repository {
        Some(_) => {
            let to = match push.event_source.as_deref() {
                Some("ecr-public.amazonaws.com") => "Amazon ECR Public, where anybody can pull it",
                _ => "Amazon ECR",
            };
            format!("the container image {} to {to}", image_name(finding))
        }
        None => {
            "a container image to an Amazon ECR repository that CloudTrail does not name".to_owned()
        }
    };
    let refused = if push.failed() {
        ", and was refused"
    } else {
        ""
    };
    let late = match finding.delay_seconds {
        Some(seconds) => format!(" It is reported {} after the push.", duration(seconds)),
        None => String::new(),
    };
    format!("{who} {did} {image}{refused}.{late}")
}

/// `20 minutes`, `3 hours 12 minutes`, `2 days 3 hours`: its two largest units.
pub(super) fn duration(seconds: i64) -> String {
    let minutes = seconds / 60;
    let (days, hours, minutes) = (minutes / (24 * 60), minutes / 60 % 24, minutes % 60);
    let units = [(days, "day"), (hours, "hour"), (minutes, "minute")];
    let units = units.into_iter().skip_while(|(count, _)| *count == 0);
    let units = units.take(2).filter(|(count, _)| *count > 0);
    let words = units.map(|(count, unit)| {
        let plural = if count == 1 { "" } else { "s" };
        format!("{count} {unit}{plural}")
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Whether it is bad, and what to do, in one or two sentences.
pub(super) fn advice(finding: &Finding) -> &'static str {
    match (finding.reason, finding.push.failed()) {
        (Reason::RevokedUploader, true) => {
            "Nothing was stored, but nobody should push as this uploader any more: disable the \
             credentials."
        }
        (Reason::RevokedUploader, false) => {
            "Nobody should push as this uploader any more: disable the credentials, and stop \
             what runs the image."
        }
        (Reason::AttemptedUpload, _) | (_, true) => {
            "Nothing was stored. If you expected it, there is nothing to do. If not, somebody \
             may be trying to get in: find out who it was."
        }
        (Reason::RecreatedPrincipal, _) => {
            "If one of you deleted it and made it again, there is nothing to do. If not, treat \
             it as an attack: disable the credentials, and stop what runs the image."
        }
        (Reason::UnidentifiedUploader, _) => {
            "Find out who it was. If nobody expected it, treat it as an attack: stop what runs \
             the image."
        }
        (Reason::LearnedUploader, _) => {
            "If you know this uploader, there is nothing to do. If not, treat it as an attack."
        }
        (Reason::NewUploader | Reason::ReturnedAfterAbsence, _) => {
            "If you expected it, there is nothing to do. If not, treat it as an attack: disable \
             the credentials, and stop what runs the image."
        }
    }
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

/// Why it is reported, with the numbers as configured.
pub(super) fn reason_in_words(finding: &Finding, absence_days: u16) -> String {
    let seen = |time| format!("last seen {time}");
    match (finding.reason, finding.previously_seen) {
        (Reason::NewUploader, _) if finding.trust_ended.is_some() => format!(
            "the trust in this uploader ended {}",
            finding.trust_ended.unwrap_or_default()
        ),
        (Reason::NewUploader, Some(before)) => format!(
            "{}, but never told about: it was suppressed, or a trusted glob matched then",
            seen(before)
        ),
        (Reason::NewUploader, None) => {
            "no successful push by this uploader was seen since the table of uploaders began"
                .to_owned()
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
        (Reason::RevokedUploader, _) => "this uploader was marked as revoked, by \
             `pushwatch uploaders revoke` or an imported list; `pushwatch uploaders show` says \
             by whom and why"
            .to_owned(),
        (Reason::AttemptedUpload, _) => "the push failed, and no successful push by this \
             uploader was seen since the table of uploaders began"
            .to_owned(),
        (Reason::ReturnedAfterAbsence, before) => {
            let before = before.map_or_else(|| "not seen for long".to_owned(), seen);
            // Zero, if it was switched off since.
            if absence_days == 0 {
                return before;
            }
            format!(
                "{before}; a push after more than {absence_days} days without one is told \
                 (ABSENCE_DAYS)"
            )
        }
        (Reason::LearnedUploader, _) => {
            "first seen before learning ended (LEARNING_UNTIL); known from now on".to_owned()
        }
    }
}

pub(super) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// What the uploader is, in the words of the console.
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

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn a_duration_is_said_in_its_two_largest_units() {
        for (seconds, words) in [
            (900, "15 minutes"),
            (3_600, "1 hour"),
            (3_660, "1 hour 1 minute"),
            (11_579, "3 hours 12 minutes"),
            (86_400, "1 day"),
            (86_460, "1 day"),
            (90_000, "1 day 1 hour"),
            (183_600, "2 days 3 hours"),
        ] {
            assert_eq!(duration(seconds), words);
        }
    }
}
