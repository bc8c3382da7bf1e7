//! Findings on an SNS topic: JSON for tools, text for e-mail.

use std::sync::LazyLock;
use std::time::Duration;

use aws_sdk_sns::Client;
use aws_sdk_sns::operation::publish::PublishOutput;

use super::Notifier;
use crate::aws::{AwsError, AwsErrorKind};
use crate::finding::Finding;
use crate::render::{HttpsFormat, Message, RenderContext, bodies, subject};

const PUBLISH: &str = "SNS Publish";

/// Publishes to an SNS topic.
#[derive(Debug)]
pub struct SnsNotifier {
    /// Made when something is published, as happens in few starts of the function.
    client: LazyLock<Client, Box<dyn FnOnce() -> Client + Send>>,
    topic_arn: String,
    context: RenderContext,
    https_format: HttpsFormat,
}

impl SnsNotifier {
    /// Publishes to this topic; `https` subscribers get a body of their format.
    #[must_use]
    pub fn new(
        client: impl FnOnce() -> Client + Send + 'static,
        topic_arn: String,
        context: RenderContext,
        https_format: HttpsFormat,
    ) -> Self {
        Self {
            client: LazyLock::new(Box::new(client)),
            topic_arn,
            context,
            https_format,
        }
    }

    /// Sends the message. If it is a single finding and is refused, sends it again in
    /// its plainest form; a list is left to the sweep, which splits it.
    async fn send(&self, message: Message<'_>) -> Result<PublishOutput, AwsError> {
        let request = self.client.publish().topic_arn(&self.topic_arn);
        let structured = request
            .clone()
            .subject(subject::of(message))
            .message(bodies::of(message, &self.context, self.https_format))
            .message_structure("json")
            .send()
            .await
            .map_err(|error| AwsError::new(PUBLISH, self.target(), error));
        match (structured, message.findings()) {
            (Err(error), [finding]) if error.kind == AwsErrorKind::Refused => request
                .subject(subject::plainest(finding))
                .message(bodies::plainest(finding))
                .send()
                .await
                .map_err(|error| AwsError::new(PUBLISH, self.target(), error)),
            (result, _) => result,
        }
    }

    fn target(&self) -> String {
        format!("topic {}", self.topic_arn)
    }
}

impl Notifier for SnsNotifier {
    type Error = AwsError;

    async fn publish(&self, message: Message<'_>, within: Duration) -> Result<String, AwsError> {
        let sent = tokio::time::timeout(within, self.send(message)).await;
        let output = sent.unwrap_or_else(|_| Err(AwsError::timeout(PUBLISH, self.target())))?;
        Ok(output.message_id.unwrap_or_default())
    }

    fn is_refused(error: &AwsError) -> bool {
        match error.kind {
            AwsErrorKind::Refused | AwsErrorKind::Deployment => true,
            AwsErrorKind::Retryable | AwsErrorKind::Unreadable => false,
        }
    }

    fn fit(&self, findings: &[Finding]) -> usize {
        bodies::fit(findings, &self.context, self.https_format)
    }
}
