//! The subject of a message, which serves as SMS and as title too.

use super::Message;
use super::defang::defanged;
use super::wording::{
    artifact_in_words, artifact_name, beginning, headline, is_public, severity_word, shown,
};
use crate::finding::{Finding, Reason};

/// SNS takes subjects below 100 characters.
const MAX_SUBJECT: usize = 99;

/// At most `MAX_SUBJECT` printable ASCII characters, in which severity, name
/// and image survive any length.
#[must_use]
pub fn of(message: Message<'_>) -> String {
    let severity = severity_word(message.severity());
    let test = test_word(message.is_test());
    let finding = match message {
        Message::Finding(finding) => finding,
        Message::Rollup(findings) => {
            let begin = format!("{test}[{severity}] {} ECR findings", findings.len());
            let Some(worst) = findings.first() else {
                return begin;
            };
            let space = MAX_SUBJECT.saturating_sub(begin.len() + 2);
            return format!("{begin}: {}", shown(&headline(worst), space));
        }
        Message::Digest(findings) => {
            return format!("{test}[{severity}] {}", digest(findings));
        }
    };
    let push = &finding.push;
    let (who, did) = match finding.reason {
        Reason::NewUploader => ("New ", " pushed "),
        Reason::RecreatedPrincipal => ("Recreated ", " pushed "),
        Reason::UnidentifiedUploader => ("Unidentified ", " pushed "),
        Reason::RevokedUploader => ("Revoked ", " pushed "),
        Reason::AttemptedUpload => ("Unknown ", " pushed "),
        Reason::ReturnedAfterAbsence if finding.unusual.is_empty() => ("", " is back, pushed "),
        Reason::ReturnedAfterAbsence => ("", " is back, unusually pushed "),
        Reason::UnusualPush => ("", " unusually pushed "),
        Reason::LearnedUploader => ("Learned ", ", who pushed "),
    };
    let did = if push.failed() {
        did.replace("pushed", "tried to push")
    } else {
        did.to_owned()
    };
    let ecr = if is_public(push) { "ECR Public" } else { "ECR" };
    let (gap, name) = if finding.uploader.is_unidentified() {
        ("", String::new())
    } else {
        let name = beginning(&finding.uploader.name, 2 * MAX_SUBJECT);
        (" ", defanged(&printable(name)))
    };
    let begin = format!("{test}[{severity}] {who}{ecr} uploader{gap}");
    let image = defanged(&printable(&match &push.repository {
        Some(_) => artifact_name(finding),
        None => format!(
            "{} to an unnamed repository",
            artifact_in_words(push.artifact)
        ),
    }));
    let location = format!(
        " ({} {})",
        shown(push.account.as_deref().unwrap_or("unknown account"), 40),
        shown(push.region.as_deref().unwrap_or("unknown region"), 40)
    );
    let space = MAX_SUBJECT - begin.len() - did.len();
    if name.len() + image.len() + location.len() <= space {
        return format!("{begin}{name}{did}{image}{location}");
    }
    // Name and image get half of the space each, and what the other one leaves.
    let name = match name.len() {
        0 => name,
        _ => shown(&name, (space / 2).max(space.saturating_sub(image.len()))),
    };
    let image = shown(&image, space - name.len());
    format!("{begin}{name}{did}{image}")
}

/// How many of what there are in a digest.
pub(super) fn digest(findings: &[Finding]) -> String {
    let learned = findings.iter();
    let learned = learned.filter(|finding| finding.reason == Reason::LearnedUploader);
    let learned = learned.count();
    let plural = |count| if count == 1 { "" } else { "s" };
    let unusual = findings.len() - learned;
    let pushes = if unusual == 1 { "push" } else { "pushes" };
    match (learned, unusual) {
        (learned, 0) => format!("{learned} ECR uploader{} learned", plural(learned)),
        (0, unusual) => format!("{unusual} unusual ECR {pushes}"),
        (learned, unusual) => format!(
            "{unusual} unusual ECR {pushes}, {learned} uploader{} learned",
            plural(learned)
        ),
    }
}

/// The subject of a finding whose own was refused.
#[must_use]
pub fn plainest(finding: &Finding) -> String {
    format!(
        "{}[{}] PushWatch",
        test_word(finding.test),
        severity_word(finding.severity)
    )
}

/// What the subject of a test begins with.
fn test_word(is_test: bool) -> &'static str {
    if is_test { "TEST " } else { "" }
}

/// `text` with `?` for each character that is not printable ASCII.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c == ' ' || c.is_ascii_graphic() {
                c
            } else {
                '?'
            }
        })
        .collect()
}
