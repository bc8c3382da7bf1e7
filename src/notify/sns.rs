//! Findings on an SNS topic: JSON for tools, text for e-mail.

use aws_sdk_sns::Client;
use aws_sdk_sns::error::SdkError;
use aws_sdk_sns::operation::publish::{PublishError, PublishOutput};
use serde_json::json;
use thiserror::Error;

use super::words::{details, headline, image_name};
use super::{Message, Notifier};
use crate::aws::{Fault, FaultKind};
use crate::finding::{Finding, Reason, Severity};
use crate::text::clean_json;

/// SNS takes subjects below 100 characters.
const MAX_SUBJECT: usize = 99;
/// How much of a Publish request a list may fill, in bytes on the wire. SNS
/// takes messages of 262,144 bytes, all bodies together.
const MAX_LIST: usize = 200_000;
/// What a list needs beside its findings.
const LIST_FRAME: usize = 4_000;

/// Publishes on a topic.
#[derive(Debug, Clone)]
pub struct SnsNotifier {
    client: Client,
    topic_arn: String,
    /// For the wording.
    absence_days: u16,
    /// What the command that people are told to type ends in.
    deployment: String,
}

/// A message that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("SNS Publish on topic {topic_arn}: {fault}; {advice}")]
pub struct SnsError {
    topic_arn: String,
    fault: String,
    advice: &'static str,
    refused_for_its_form: bool,
}

impl SnsNotifier {
    /// Publishes on this topic. `uploaders_table` and `region` are named in the
    /// command that people are told to type.
    #[must_use]
    pub fn new(
        client: Client,
        topic_arn: String,
        absence_days: u16,
        uploaders_table: &str,
        region: &str,
    ) -> Self {
        Self {
            client,
            topic_arn,
            absence_days,
            deployment: format!("--table {uploaders_table} --region {region}"),
        }
    }

    async fn send(
        &self,
        subject: &str,
        message: String,
        structure: Option<String>,
    ) -> Result<PublishOutput, SdkError<PublishError>> {
        self.client
            .publish()
            .topic_arn(&self.topic_arn)
            .subject(subject)
            .message(message)
            .set_message_structure(structure)
            .send()
            .await
    }

    fn bodies(&self, message: Message<'_>) -> String {
        json!({"default": clean_json(&message.to_json()), "email": self.email(message)}).to_string()
    }

    fn email(&self, message: Message<'_>) -> String {
        let (intro, findings) = match message {
            Message::Finding(finding) => return self.email_of(finding),
            Message::Rollup(findings) => (
                "findings came at once, worst first. Each is told here only:",
                findings,
            ),
            Message::Digest(findings) => (
                "uploaders were learned and are known from now on. \
                 Revoke those whom you do not know:",
                findings,
            ),
        };
        let lines: Vec<_> = findings.iter().map(line_of).collect();
        format!("{} {intro}\n\n{}", findings.len(), lines.join("\n"))
    }

    fn email_of(&self, finding: &Finding) -> String {
        format!(
            "[{}] {}\n\n{}",
            word(finding.severity),
            headline(finding),
            details(finding, self.absence_days, &self.expected(finding)),
        )
    }

    /// What to do if the push is expected.
    fn expected(&self, finding: &Finding) -> String {
        let key = &finding.uploader.key;
        match (finding.reason, shlex::try_quote(key)) {
            (Reason::UnidentifiedUploader, _) => {
                "nothing can be trusted here; see SUPPRESS_FINDINGS".to_owned()
            }
            (Reason::LearnedUploader, _) => "nothing to do".to_owned(),
            (_, Ok(quoted)) if is_printable(key) => format!(
                "pushwatch uploaders trust {quoted} --reason TEXT {}",
                self.deployment
            ),
            _ => "look at the key with care: it has characters that no key should have".to_owned(),
        }
    }
}

impl Notifier for SnsNotifier {
    type Error = SnsError;

    async fn publish(&self, message: Message<'_>) -> Result<String, SnsError> {
        let structured = self
            .send(
                &subject(message),
                self.bodies(message),
                Some("json".to_owned()),
            )
            .await;
        let result = match structured {
            Err(error) if refused_for_its_form(&error) => {
                let plain = format!("[{}] PushWatch", word(message.severity()));
                self.send(&plain, clean_json(&message.to_json()), None)
                    .await
            }
            result => result,
        };
        match result {
            Ok(output) => Ok(output.message_id.unwrap_or_default()),
            Err(error) => {
                let fault = Fault::of(&error);
                Err(SnsError {
                    topic_arn: self.topic_arn.clone(),
                    refused_for_its_form: refused_for_its_form(&error),
                    advice: match fault.kind {
                        FaultKind::Retryable => "a retry can help",
                        FaultKind::Configuration => "check the topic's name and the role's policy",
                    },
                    fault: fault.text,
                })
            }
        }
    }

    fn is_refused_for_its_form(error: &SnsError) -> bool {
        error.refused_for_its_form
    }

    fn fit(&self, findings: &[Finding]) -> usize {
        let mut length = LIST_FRAME;
        findings
            .iter()
            .take_while(|finding| {
                length += length_on_the_wire(&clean_json(&finding.to_json()))
                    + length_on_the_wire(&line_of(finding));
                length <= MAX_LIST
            })
            .count()
            .max(1)
    }
}

fn refused_for_its_form(error: &SdkError<PublishError>) -> bool {
    matches!(
        error.as_service_error(),
        Some(
            PublishError::InvalidParameterException(_)
                | PublishError::InvalidParameterValueException(_)
        )
    )
}

/// A finding's line in a list.
fn line_of(finding: &Finding) -> String {
    format!(
        "[{}] {} at {}\n  {}\n  finding {}\n",
        word(finding.severity),
        headline(finding),
        finding.push.event_time,
        crate::text::clean_cut(&finding.uploader.key, super::words::MAX_KEY_SHOWN),
        finding.id,
    )
}

/// Of a text inside a JSON string inside a form.
fn length_on_the_wire(text: &str) -> usize {
    json!(text)
        .to_string()
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => 1,
            _ => 3,
        })
        .sum()
}

/// At most [`MAX_SUBJECT`] printable ASCII characters, in which severity, name
/// and image survive any length.
fn subject(message: Message<'_>) -> String {
    let severity = word(message.severity());
    let finding = match message {
        Message::Finding(finding) => finding,
        Message::Rollup(findings) => {
            let count = findings.len();
            return format!("[{severity}] {count} ECR findings, worst first");
        }
        Message::Digest(findings) => {
            return format!("[{severity}] {} ECR uploaders learned", findings.len());
        }
    };
    let push = &finding.push;
    let (who, did) = match (finding.reason, push.failed()) {
        (Reason::NewUploader, _) => ("New ECR uploader ", " pushed "),
        (Reason::RecreatedPrincipal, _) => ("Recreated ECR uploader ", " pushed "),
        (Reason::UnidentifiedUploader, false) => ("ECR uploader ", " pushed "),
        (Reason::UnidentifiedUploader, true) => ("ECR uploader ", " tried to push "),
        (Reason::RevokedUploader, false) => ("Revoked ECR uploader ", " pushed "),
        (Reason::RevokedUploader, true) => ("Revoked ECR uploader ", " tried to push "),
        (Reason::AttemptedUpload, _) => ("Unknown ECR uploader ", " tried to push "),
        (Reason::ReturnedAfterAbsence, _) => ("ECR uploader ", " is back, pushed "),
        (Reason::LearnedUploader, _) => ("Learned ECR uploader ", ", who pushed "),
    };
    let name = printable(&finding.uploader.name);
    let image = printable(&match &push.repository {
        Some(_) => image_name(finding),
        None => "an unnamed repository".to_owned(),
    });
    let place = format!(
        " ({} {})",
        printable(push.account.as_deref().unwrap_or("?")),
        printable(push.region.as_deref().unwrap_or("?"))
    );
    let frame = format!("[{severity}] {who}{did}").len();
    let space = MAX_SUBJECT - frame;
    if name.len() + image.len() + place.len() <= space {
        return format!("[{severity}] {who}{name}{did}{image}{place}");
    }
    // Each gets half, and what the other leaves.
    let name = cut(&name, (space / 2).max(space.saturating_sub(image.len())));
    let image = cut(&image, space - name.len());
    format!("[{severity}] {who}{name}{did}{image}")
}

fn word(severity: Severity) -> String {
    severity.as_str().to_uppercase()
}

fn is_printable(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

/// What is not printable ASCII becomes `?`.
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

/// Cuts printable ASCII; a cut ends in two dots.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        text.to_owned()
    } else {
        format!("{}..", &text[..most.saturating_sub(2)])
    }
}
