//! Findings on an SNS topic: JSON for tools, text for e-mail.

use std::time::Duration;

use aws_sdk_sns::Client;
use aws_sdk_sns::error::SdkError;
use aws_sdk_sns::operation::publish::{PublishError, PublishOutput};
use thiserror::Error;

use super::Notifier;
use crate::aws::{Fault, Refusal};
use crate::finding::Finding;
use crate::render::{HttpsFormat, Message, RenderContext, bodies, subject};

/// Publishes on a topic.
#[derive(Debug, Clone)]
pub struct SnsNotifier {
    client: Client,
    topic_arn: String,
    context: RenderContext,
    https_format: HttpsFormat,
}

/// A message that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("SNS Publish on topic {topic_arn}: {fault}; {}", advice(*.refusal))]
pub struct SnsError {
    topic_arn: String,
    fault: String,
    refusal: Option<Refusal>,
}

fn advice(refusal: Option<Refusal>) -> &'static str {
    match refusal {
        None => "a retry can help",
        Some(Refusal::Request) => "a retry can't help: check the topic's name and the finding",
        Some(Refusal::Deployment) => "check the topic's name and the role's policy",
    }
}

impl SnsNotifier {
    /// Publishes on this topic; `https` subscribers get a body of their format.
    #[must_use]
    pub fn new(
        client: Client,
        topic_arn: String,
        context: RenderContext,
        https_format: HttpsFormat,
    ) -> Self {
        Self {
            client,
            topic_arn,
            context,
            https_format,
        }
    }

    /// Sends the message; a single finding that is refused, in its plainest form too.
    /// A list is for the sweep to split.
    async fn send(&self, message: Message<'_>) -> Result<PublishOutput, SdkError<PublishError>> {
        let request = self.client.publish().topic_arn(&self.topic_arn);
        let structured = request
            .clone()
            .subject(subject::of(message))
            .message(bodies::of(message, &self.context, self.https_format))
            .message_structure("json")
            .send()
            .await;
        match (structured, message.findings()) {
            (Err(error), [finding]) if Refusal::of(&error) == Some(Refusal::Request) => {
                request
                    .subject(subject::plainest(finding))
                    .message(bodies::plainest(finding))
                    .send()
                    .await
            }
            (result, _) => result,
        }
    }
}

impl Notifier for SnsNotifier {
    type Error = SnsError;

    async fn publish(&self, message: Message<'_>, within: Duration) -> Result<String, SnsError> {
        let (fault, refusal) = match tokio::time::timeout(within, self.send(message)).await {
            Ok(Ok(output)) => return Ok(output.message_id.unwrap_or_default()),
            Ok(Err(error)) => (Fault::of(&error).text, Refusal::of(&error)),
            Err(_) => ("no answer in time".to_owned(), None),
        };
        Err(SnsError {
            topic_arn: self.topic_arn.clone(),
            fault,
            refusal,
        })
    }

    fn is_refused(error: &SnsError) -> bool {
        error.refusal.is_some()
    }

    fn fit(&self, findings: &[Finding]) -> usize {
        bodies::fit(findings, &self.context, self.https_format)
    }
}
