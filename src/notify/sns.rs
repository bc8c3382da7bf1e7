//! Findings on an SNS topic: JSON for tools, text for e-mail.

use aws_sdk_sns::Client;
use aws_sdk_sns::error::SdkError;
use aws_sdk_sns::operation::publish::{PublishError, PublishOutput};
use serde_json::json;
use thiserror::Error;

use super::email::{self, word};
use super::{HttpsFormat, Message, Notifier, Place, amazon_q, ocsf, pagerduty, subject};
use crate::aws::{Fault, FaultKind};
use crate::finding::Finding;
use crate::text::clean_json;

/// How much of a Publish request a list may fill, in bytes on the wire. SNS
/// takes messages of 262,144 bytes, all bodies together.
const MAX_LIST: usize = 200_000;
/// What a list needs beside its findings.
const LIST_FRAME: usize = 4_000;
/// What the body of an `https` format needs, which names a few findings only.
const HTTPS_FRAME: usize = 40_000;

/// Publishes on a topic.
#[derive(Debug, Clone)]
pub struct SnsNotifier {
    client: Client,
    topic_arn: String,
    place: Place,
    https_format: HttpsFormat,
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
    /// Publishes on this topic; `https` subscribers get a body of their format.
    #[must_use]
    pub fn new(client: Client, topic_arn: String, place: Place, https_format: HttpsFormat) -> Self {
        Self {
            client,
            topic_arn,
            place,
            https_format,
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

    /// The body of each protocol. `default` is OCSF, for queues, functions and
    /// `https`; it is there once, since all bodies count together.
    fn bodies(&self, message: Message<'_>) -> String {
        let mut bodies = json!({
            "default": clean_json(&ocsf::json(message, self.place.absence_days)),
            "email": email::body(message, &self.place),
            "sms": subject::of(message),
        });
        match self.https_format {
            HttpsFormat::Ocsf => {}
            HttpsFormat::AmazonQ => {
                bodies["https"] = json!(clean_json(&amazon_q::json(message, &self.place)));
            }
            HttpsFormat::PagerDuty => {
                bodies["https"] = json!(clean_json(&pagerduty::json(message)));
            }
        }
        bodies.to_string()
    }
}

impl Notifier for SnsNotifier {
    type Error = SnsError;

    async fn publish(&self, message: Message<'_>) -> Result<String, SnsError> {
        let structured = self
            .send(
                &subject::of(message),
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
        let mut length = LIST_FRAME
            + match self.https_format {
                HttpsFormat::Ocsf => 0,
                HttpsFormat::AmazonQ | HttpsFormat::PagerDuty => HTTPS_FRAME,
            };
        findings
            .iter()
            .take_while(|finding| {
                length += length_on_the_wire(&clean_json(&finding.to_json()))
                    + length_on_the_wire(&clean_json(&ocsf::related(finding).to_string()))
                    + length_on_the_wire(&email::line_of(finding, &self.place, "show"));
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
