//! A queue, as SQS describes it.

use std::collections::HashMap;

use aws_sdk_sqs::types::QueueAttributeName;
use pushwatch::aws::AwsError;

use super::Session;

/// The attributes of a queue.
pub type QueueAttributes = HashMap<QueueAttributeName, String>;

impl Session {
    /// All attributes of a queue.
    ///
    /// # Errors
    /// When SQS refuses.
    pub async fn queue_attributes(&self, url: &str) -> Result<QueueAttributes, AwsError> {
        let answer = self
            .sqs()
            .get_queue_attributes()
            .queue_url(url)
            .attribute_names(QueueAttributeName::All)
            .send()
            .await;
        let answer = answer.map_err(|error| {
            let (_, name) = url.rsplit_once('/').unwrap_or(("", url));
            AwsError::new("SQS GetQueueAttributes", format!("queue {name}"), error)
        })?;
        Ok(answer.attributes.unwrap_or_default())
    }
}

/// About how many messages a queue holds, seen or not.
pub fn messages_in(attributes: &QueueAttributes) -> usize {
    let count = |name| attributes.get(name)?.parse::<usize>().ok();
    [
        &QueueAttributeName::ApproximateNumberOfMessages,
        &QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        &QueueAttributeName::ApproximateNumberOfMessagesDelayed,
    ]
    .into_iter()
    .filter_map(count)
    .sum()
}
