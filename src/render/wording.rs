//! What every form of a finding says in the same words: what happened, and why
//! it is reported.
//!
//! Every text of the event is cleaned and cut before it is shown.

use std::borrow::Cow;

use super::defang::defanged;
use crate::arn::Arn;
use crate::event::{Artifact, Credentials, Push};
use crate::finding::{Finding, Reason, Severity, Verdict};
use crate::habit::{MAX_PLACES, Unusual};
use crate::identity::Uploader;
use crate::text::ascii_cut;

/// A repository whose name neither the parameters nor the resources have.
const UNNAMED: &str = "a repository that CloudTrail does not name";
/// What is odd about a push whose parameters CloudTrail left out.
pub(super) const HIDDEN: &str =
    "its parameters are missing, as if they had been padded to hide what it is";

/// What the words of a test begin with.
const TEST: &str = "This is a TEST of PushWatch: nobody pushed anything, and there is nothing to do. A \
                    real finding would say: ";

/// Why what the root user does is critical.
pub(super) const WHY_ROOT: &str = "because this is the power of the root user";

/// The longest key that is shown whole.
pub(super) const MAX_KEY_SHOWN: usize = 300;

/// The programs that our commands begin with.
const PROGRAMS: [&str; 3] = ["aws", "kubectl", "pushwatch"];

/// A text of an event as people may see it: on one line, in ASCII, not too long,
/// no link and no command.
#[must_use]
pub fn shown(text: &str, most: usize) -> String {
    shown_words(&without_commands(text), most)
}

/// The same of words of ours, which may name a command, with a text of an event in them.
#[must_use]
pub fn shown_words(text: &str, most: usize) -> String {
    if text.trim().is_empty() {
        return "(blank)".to_owned();
    }
    let mut shown = beginning(text, most + 1).to_owned();
    loop {
        // `evil.comfort`, cut behind `com`, is a link that it was not before.
        let again = ascii_cut(&defanged(&shown), most);
        if again == shown {
            return shown;
        }
        shown = again;
    }
}

/// The first `most` characters. What is longer is cut anyway, and takes long to look through for
/// links: a finding that somebody wrote into the table may have texts of 400 KB.
pub(super) fn beginning(text: &str, most: usize) -> &str {
    let end = text.char_indices().nth(most);
    end.map_or(text, |(at, _)| &text[..at])
}

/// Whether a line that begins with the word may pass for a command of ours.
pub(super) fn is_program(word: &str) -> bool {
    PROGRAMS.contains(&word)
}

/// The text so that no line can begin with a command that passes for ours, wherever a mail or
/// a terminal breaks it: `aws[ ]iam`.
fn without_commands(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for program in PROGRAMS {
        let begin = format!("{program} ");
        if text.contains(&begin) {
            text = Cow::Owned(text.replace(&begin, &format!("{program}[ ]")));
        }
    }
    text
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
        (Reason::UnusualPush, _) => format!("{who}, who is known,"),
        (Reason::LearnedUploader, _) => {
            format!("{who}, who was never seen before and is learned now,")
        }
    };
    let did = if push.failed() {
        "tried to push"
    } else {
        "pushed"
    };
    let ecr = if is_public(push) {
        "Amazon ECR Public, where anybody can pull it"
    } else {
        "Amazon ECR"
    };
    let what = artifact_in_words(push.artifact);
    let image = match (&push.repository, is_about_an_image(push.artifact)) {
        (Some(_), false) => {
            let the = what.split_once(' ').map_or(what, |(_, what)| what);
            format!("the {the} {} to {ecr}", image_name(finding))
        }
        (Some(_), true) => format!("{} in {ecr}", artifact_name(finding)),
        (None, _) => format!("{what}{} to {UNNAMED}, in {ecr}", of_subject(push)),
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
    let unusual = match unusual_in_words(finding) {
        Some(unusual) => format!(" {}.", capital(&unusual)),
        None => String::new(),
    };
    let hidden = if push.parameters_omitted {
        format!(" {}.", capital(HIDDEN))
    } else {
        String::new()
    };
    let test = if finding.test { TEST } else { "" };
    format!("{test}{who} {did} {image}{refused}.{unusual}{late}{hidden}")
}

/// What is unusual of the push, if anything is.
fn unusual_in_words(finding: &Finding) -> Option<String> {
    let words = finding.unusual.iter().map(|unusual| match unusual {
        Unusual::Place => "it never pushed to this repository before".to_owned(),
        Unusual::Way => format!(
            "it never pushed {} before",
            way_in_words(&finding.credentials)
        ),
        Unusual::Wide => format!(
            "it has pushed to more than {MAX_PLACES} repositories by now, and counts as one that \
             pushes everywhere"
        ),
    });
    let words: Vec<_> = words.collect();
    (!words.is_empty()).then(|| words.join("; and "))
}

/// By which way the push was authorised.
fn way_in_words(credentials: &Credentials) -> String {
    if let Some(account) = &credentials.delegate_account_id {
        format!("by delegated access of account {}", shown(account, 40))
    } else if let Some(provider) = &credentials.federated_provider {
        format!("through {}", provider_in_words(provider))
    } else if credentials.session_credential_from_console == Some(true) {
        "from the console".to_owned()
    } else if credentials.ec2_role_delivery.is_some() {
        "with the credentials of an EC2 instance".to_owned()
    } else {
        "with plain credentials, neither of a provider nor of the console".to_owned()
    }
}

/// An identity provider by its host, or by its name as SAML has it.
pub(super) fn provider_in_words(provider: &str) -> String {
    let name = match provider.split_once("-provider/") {
        Some((_, name)) if provider.starts_with("arn:") => name,
        _ => provider,
    };
    match name {
        "token.actions.githubusercontent.com" => "GitHub's identity provider".to_owned(),
        name => format!("the identity provider {}", shown(name, 200)),
    }
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

/// Whether it is bad, and what to do, in a few sentences.
pub(super) fn advice(finding: &Finding) -> String {
    let (push, failed) = (&finding.push, finding.push.failed());
    let nothing_to_do = if is_of_root(finding) {
        "No image has to be pushed as the root user. If you expected it, let a role do it from \
         now on."
    } else if finding.reason == Reason::RecreatedPrincipal {
        "If one of you deleted it and made it again, there is nothing to do."
    } else if finding.reason == Reason::LearnedUploader {
        "If you know this uploader, there is nothing to do."
    } else {
        "If you expected it, there is nothing to do."
    };
    let (stored, and_stop) = if failed {
        ("Nothing was stored. ", String::new())
    } else {
        ("", format!(", and {}", stop(push.artifact)))
    };
    let disarm = disarm(finding);
    let advice = match finding.reason {
        Reason::RevokedUploader => {
            format!("Nobody should push as this uploader any more: {disarm}{and_stop}.")
        }
        Reason::UnidentifiedUploader if !failed => format!(
            "Find out who it was. If nobody expected it, treat it as an attack: {}.",
            stop(push.artifact)
        ),
        Reason::LearnedUploader => {
            format!("{nothing_to_do} If not, treat it as an attack.")
        }
        _ if finding.uploader.is_of_aws() => format!(
            "AWS itself {}, for a setting of the account. {nothing_to_do} If not, {disarm}\
             {and_stop}.",
            if failed { "tried it" } else { "did it" }
        ),
        _ if failed => format!(
            "{nothing_to_do} If not, somebody may be trying to get in: find out who it was."
        ),
        _ => format!("{nothing_to_do} If not, treat it as an attack: {disarm}{and_stop}."),
    };
    let way_out = if is_public(push) {
        " A push to ECR Public may be a way out of the account: anybody can pull from there."
    } else {
        ""
    };
    format!("{stored}{advice}{way_out}")
}

/// What takes the power from whoever pushed.
fn disarm(finding: &Finding) -> &'static str {
    if finding.credentials.delegate_account_id.is_some() {
        "end the delegation, disable the credentials"
    } else if finding.uploader.is_of_aws() {
        "undo the setting that makes AWS push"
    } else if finding.uploader.kind == "AWSAccount" {
        "shut that account out"
    } else {
        "disable the credentials"
    }
}

/// What ends the effect of an artifact.
fn stop(artifact: Artifact) -> &'static str {
    match artifact {
        Artifact::Image | Artifact::Index | Artifact::Unknown => "stop what runs the image",
        Artifact::HelmChart => "stop what was installed from the chart",
        Artifact::Attestation | Artifact::Signature | Artifact::Sbom => {
            "trust no image for its sake"
        }
        Artifact::Other => "stop what uses it",
    }
}

/// Whether the push had the root user's power. A finding that was stored no longer says
/// so of its uploader, but the key names whoever minted a session, and it was raised for it.
pub(super) fn is_of_root(finding: &Finding) -> bool {
    let minter = finding.uploader.minter().and_then(Arn::parse);
    let by_root = minter.is_some_and(|minter| minter.resource == "root");
    finding.uploader.is_root() || by_root || finding.is_raised()
}

/// Whether it was pushed to ECR Public.
pub(super) fn is_public(push: &Push) -> bool {
    push.event_source.as_deref() == Some("ecr-public.amazonaws.com")
}

/// How bad it is, and the number that tools get.
pub(super) fn severity_in_words(finding: &Finding) -> String {
    let level = match finding.severity {
        Severity::Critical => "the worst of five levels",
        Severity::High => "the second worst of five levels",
        Severity::Medium => "the middle one of five levels",
        Severity::Low => "the second lowest of five levels",
        Severity::Informational => "the lowest of five levels",
    };
    let because = if is_of_root(finding) {
        format!(", {WHY_ROOT}")
    } else if finding.reason == Reason::UnusualPush && finding.severity == Severity::Low {
        ", because known uploaders push to a new repository now and then".to_owned()
    } else if finding.severity == Severity::Low && finding.uploader.is_of_aws() {
        ", because only AWS itself can be this uploader".to_owned()
    } else {
        String::new()
    };
    let risk = finding.risk;
    format!(
        "{}, {level}{because}. The risk score, for tools that add scores up, is {} of 100 (impact \
         {} x confidence {}%).",
        capital(finding.severity.as_str()),
        risk.score,
        risk.impact,
        risk.confidence,
    )
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
        artifact_name(finding)
    );
    let pushed = if is_public(push) {
        format!("{pushed} in ECR Public")
    } else {
        pushed
    };
    let headline = match finding.reason {
        Reason::NewUploader => format!("New uploader {name} {pushed}"),
        Reason::RecreatedPrincipal => format!("Somebody else under the name {name} {pushed}"),
        Reason::UnidentifiedUploader => format!("Somebody whom nothing identifies {pushed}"),
        Reason::RevokedUploader => format!("Revoked uploader {name} {pushed}"),
        Reason::AttemptedUpload => format!("Unknown uploader {name} {pushed}"),
        Reason::ReturnedAfterAbsence => format!("Uploader {name} is back and {pushed}"),
        Reason::UnusualPush => format!("Uploader {name} {pushed}, {}", unusual_briefly(finding)),
        Reason::LearnedUploader => format!("Learned uploader {name}, who {pushed}"),
    };
    if finding.test {
        format!("TEST: {headline}")
    } else {
        headline
    }
}

fn unusual_briefly(finding: &Finding) -> &'static str {
    match finding.unusual.as_slice() {
        [Unusual::Place] => "a new repository for it",
        [Unusual::Way] => "in a new way for it",
        [Unusual::Wide] => "one more repository than are remembered",
        [Unusual::Way, Unusual::Wide] => {
            "in a new way for it, and one more repository than are remembered"
        }
        _ => "a new repository and a new way for it",
    }
}

/// What was pushed: `team/app:1.4.2`, `Helm chart team/web:1.0`, `a signature of
/// sha256:b7798f35949c to team/app`.
pub(super) fn artifact_name(finding: &Finding) -> String {
    let push = &finding.push;
    let what = artifact_in_words(push.artifact);
    let name = image_name(finding);
    match (push.artifact, &push.repository) {
        (Artifact::Image | Artifact::Unknown, Some(_)) => name,
        (Artifact::Index, Some(_)) => format!("multi-platform image {name}"),
        (Artifact::HelmChart, Some(_)) => format!("Helm chart {name}"),
        (Artifact::Unknown, None) => format!("an image to {name}"),
        _ => format!("{what}{} to {name}", of_subject(push)),
    }
}

/// What an artifact is called, with its article.
pub(super) fn artifact_in_words(artifact: Artifact) -> &'static str {
    match artifact {
        Artifact::Image => "a container image",
        Artifact::Index => "a multi-platform image",
        Artifact::Attestation => "an attestation",
        Artifact::Signature => "a signature",
        Artifact::Sbom => "a bill of materials",
        Artifact::HelmChart => "a Helm chart",
        Artifact::Other => "an artifact",
        Artifact::Unknown => "an image or artifact",
    }
}

/// Whether it is no thing of its own, but says something of an image.
fn is_about_an_image(artifact: Artifact) -> bool {
    matches!(
        artifact,
        Artifact::Attestation | Artifact::Signature | Artifact::Sbom
    )
}

/// ` of sha256:b7798f35949c`, if it says something of an image that is known.
fn of_subject(push: &Push) -> String {
    let subject = push.artifact_subject.as_deref();
    let short = |digest: &str| {
        digest
            .chars()
            .take("sha256:".len() + 12)
            .collect::<String>()
    };
    subject.map_or_else(String::new, |digest| {
        format!(" of {}", shown(&short(digest), 40))
    })
}

/// Repository and tag.
pub(super) fn image_name(finding: &Finding) -> String {
    let repository = match &finding.push.repository {
        Some(repository) => shown(repository, 120),
        None => UNNAMED.to_owned(),
    };
    match &finding.push.tag {
        // `http` and `//host` are a link only together.
        Some(tag) => defanged(&format!("{repository}:{}", shown(tag, 60))),
        None => repository,
    }
}

/// Why it is reported, with the numbers as configured.
pub(super) fn reason_in_words(finding: &Finding, absence_days: u16) -> String {
    let general = general_reason(finding, absence_days);
    match particular_reason(finding) {
        Some(particular) => format!("{general}: {particular}"),
        None => general,
    }
}

/// The part of the reason that findings of a list may share.
pub(super) fn general_reason(finding: &Finding, absence_days: u16) -> String {
    match (finding.reason, finding.previously_seen) {
        (Reason::NewUploader, _) if finding.trust_ended.is_some() => {
            "the trust in this uploader ended before the push"
        }
        (Reason::NewUploader, Some(_)) => {
            "this uploader was seen before, but never told about, since it was suppressed or a \
             trusted glob matched then"
        }
        (Reason::NewUploader, None) => {
            "no successful push by this uploader was seen since the table of uploaders began"
        }
        (Reason::RecreatedPrincipal, _) => {
            "the name is known, but the unique id behind it is another one now; it may have been \
             deleted and made again"
        }
        (Reason::UnidentifiedUploader, _) => "the event has nothing that says who it was",
        (Reason::RevokedUploader, _) => "every push by a revoked uploader is told",
        (Reason::AttemptedUpload, _) => {
            "the push failed, and no successful push by this uploader was seen since the table of \
             uploaders began"
        }
        // Zero, if it was switched off since.
        (Reason::ReturnedAfterAbsence, _) if absence_days == 0 => "it came after a long absence",
        (Reason::ReturnedAfterAbsence, _) => {
            return format!(
                "a push after more than {absence_days} days without one is told (ABSENCE_DAYS)"
            );
        }
        (Reason::UnusualPush, _) => "the uploader is known, but the push is not its habit (HABITS)",
        (Reason::LearnedUploader, _) => {
            "first seen before learning ended (LEARNING_UNTIL); known from now on"
        }
    }
    .to_owned()
}

/// The part that is of this finding alone: who decided what, when, and who was seen.
pub(super) fn particular_reason(finding: &Finding) -> Option<String> {
    let seen = finding
        .previously_seen
        .map(|time| format!("last seen {time}"));
    match finding.reason {
        Reason::NewUploader => {
            let Some(ended) = finding.trust_ended else {
                return seen;
            };
            let trusted = finding.trusted.as_ref().map(verdict).unwrap_or_default();
            Some(if trusted.is_empty() {
                format!("trusted until {ended}; it is not noted by whom, nor why")
            } else {
                format!("trusted until {ended}; the trust was given{trusted}")
            })
        }
        Reason::RecreatedPrincipal => {
            let id = |id: Option<&str>| id.map_or("unknown".to_owned(), |id| shown(id, 60));
            let now = id(finding.uploader.principal_id.as_deref());
            let before = id(finding.previous_principal_id.as_deref());
            let seen = seen.map_or_else(String::new, |seen| format!(", {seen}"));
            Some(format!("{now} now; {before} before{seen}"))
        }
        Reason::RevokedUploader => {
            let revoked = finding.revoked.as_ref().map(verdict).unwrap_or_default();
            Some(if revoked.is_empty() {
                "it is not noted who revoked it, nor why".to_owned()
            } else {
                format!("revoked{revoked}")
            })
        }
        Reason::ReturnedAfterAbsence => seen,
        Reason::UnusualPush => unusual_in_words(finding),
        Reason::UnidentifiedUploader | Reason::AttemptedUpload | Reason::LearnedUploader => None,
    }
}

/// ` 2026-01-02T03:04:05Z by NAME ("why")`, as far as it is noted.
pub(super) fn verdict(verdict: &Verdict) -> String {
    let at = verdict.at.map(|at| format!(" {at}"));
    let by = verdict
        .by
        .as_deref()
        .map(|by| format!(" by {}", shown(by, 200)));
    let reason = verdict.reason.as_deref();
    let reason = reason.map(|reason| format!(" (\"{}\")", shown(reason, 200)));
    [at, by, reason].into_iter().flatten().collect()
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
