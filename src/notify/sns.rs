//! Findings on an SNS topic: JSON for tools, text for e-mail.

use aws_sdk_sns::Client;
use aws_sdk_sns::error::SdkError;
use aws_sdk_sns::operation::publish::{PublishError, PublishOutput};
use thiserror::Error;

use super::email::word;
use super::{HttpsFormat, Message, Notifier, Place, bodies, subject};
use crate::aws::{Fault, FaultKind};
use crate::finding::Finding;

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
}

impl Notifier for SnsNotifier {
    type Error = SnsError;

    async fn publish(&self, message: Message<'_>) -> Result<String, SnsError> {
        let structured = self
            .send(
                &subject::of(message),
                bodies::of(message, &self.place, self.https_format),
                Some("json".to_owned()),
            )
            .await;
        let result = match (structured, message.findings()) {
            // A list is for the sweep to split.
            (Err(error), [finding]) if refused_for_its_form(&error) => {
                let plain = format!("[{}] PushWatch", word(finding.severity));
                self.send(&plain, bodies::plainest(finding), None).await
            }
            (result, _) => result,
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
        bodies::fit(findings, &self.place, self.https_format)
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
