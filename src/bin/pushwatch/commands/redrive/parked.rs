//! The queue of what is parked, and the one that it goes back to.

use std::collections::HashMap;

use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, Message, MessageAttributeValue,
    MessageSystemAttributeName,
};
use jiff::Timestamp;
use pushwatch::aws::AwsError;

use super::failure::failure;
use crate::deployment::{DeploymentError, Session, Stack, messages_in};
use crate::error::CommandError;

/// How long a message is held for a person to answer, in seconds. A run that is stopped
/// leaves it unseen for as long.
const HELD_SECONDS: i32 = 15 * 60;
/// What SQS gives at a time.
const BATCH: usize = 10;
/// A long poll asks all of SQS's servers, so that an empty answer means an empty queue.
const POLL_SECONDS: i32 = 1;

/// A message that is held.
pub struct ParkedMessage {
    pub id: String,
    /// When it was first put into a queue.
    pub sent_at: Timestamp,
    /// Why it is parked.
    pub failure: String,
    pub body: String,
    attributes: Option<HashMap<String, MessageAttributeValue>>,
    receipt: String,
}

/// The queue of what is parked.
pub struct ParkedQueue {
    client: aws_sdk_sqs::Client,
    url: String,
    back_to: String,
}

impl ParkedQueue {
    /// The queue that the stack's outputs name.
    ///
    /// # Errors
    /// When they don't, as those of an earlier version.
    pub fn of(session: &Session, stack: &Stack) -> Result<Self, DeploymentError> {
        Ok(Self {
            client: session.sqs(),
            url: stack.output("ParkedQueueUrl")?.to_owned(),
            back_to: stack.output("FailureQueueUrl")?.to_owned(),
        })
    }

    /// About how many messages there are, held or not.
    ///
    /// # Errors
    /// When SQS refuses.
    pub async fn count(&self, session: &Session) -> Result<usize, CommandError> {
        let attributes = session.queue_attributes(&self.url).await;
        Ok(messages_in(&attributes.map_err(CommandError::store)?))
    }

    /// Receives messages until there are `most` or no more, and holds them.
    ///
    /// # Errors
    /// When SQS refuses.
    pub async fn hold(&self, most: usize) -> Result<Vec<ParkedMessage>, CommandError> {
        let now = Timestamp::now();
        let mut held = Vec::new();
        while held.len() < most {
            let answer = self
                .client
                .receive_message()
                .queue_url(&self.url)
                .max_number_of_messages(10)
                .visibility_timeout(HELD_SECONDS)
                .wait_time_seconds(POLL_SECONDS)
                .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
                .message_attribute_names("All")
                .send()
                .await
                .map_err(|error| self.error("SQS ReceiveMessage", error))?;
            let messages = answer.messages.unwrap_or_default();
            if messages.is_empty() {
                break;
            }
            held.extend(messages.into_iter().map(|message| read(message, now)));
        }
        Ok(held)
    }

    /// Lets others see the messages again. What fails is seen again by itself, later.
    pub async fn release(&self, held: &[ParkedMessage]) {
        for batch in held.chunks(BATCH) {
            let entries = batch.iter().enumerate().filter_map(|(number, message)| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(number.to_string())
                    .receipt_handle(&message.receipt)
                    .visibility_timeout(0)
                    .build()
                    .ok()
            });
            let _ = self
                .client
                .change_message_visibility_batch()
                .queue_url(&self.url)
                .set_entries(Some(entries.collect()))
                .send()
                .await;
        }
    }

    /// Sends the event of a message to the queue that the function reads. Until the
    /// message is deleted, it is in both queues: a push is decided once all the same.
    ///
    /// # Errors
    /// When SQS refuses.
    pub async fn hand_back(&self, message: &ParkedMessage) -> Result<(), CommandError> {
        self.client
            .send_message()
            .queue_url(&self.back_to)
            .message_body(&message.body)
            .set_message_attributes(message.attributes.clone())
            .send()
            .await
            .map_err(|error| self.error("SQS SendMessage", error))?;
        Ok(())
    }

    /// Deletes a message.
    ///
    /// # Errors
    /// When SQS refuses.
    pub async fn delete(&self, message: &ParkedMessage) -> Result<(), CommandError> {
        self.client
            .delete_message()
            .queue_url(&self.url)
            .receipt_handle(&message.receipt)
            .send()
            .await
            .map_err(|error| self.error("SQS DeleteMessage", error))?;
        Ok(())
    }

    fn error<E>(&self, call: &'static str, error: aws_sdk_sqs::error::SdkError<E>) -> CommandError
    where
        E: aws_sdk_sqs::error::ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let url = match call {
            "SQS SendMessage" => &self.back_to,
            _ => &self.url,
        };
        let (_, name) = url.rsplit_once('/').unwrap_or(("", url));
        CommandError::store(AwsError::new(call, format!("queue {name}"), error))
    }
}

fn read(message: Message, now: Timestamp) -> ParkedMessage {
    let attribute = |name| message.attributes.as_ref().and_then(|all| all.get(&name));
    let sent_at = attribute(MessageSystemAttributeName::SentTimestamp)
        .and_then(|text| Timestamp::from_millisecond(text.parse().ok()?).ok());
    let error_code = message
        .message_attributes
        .as_ref()
        .and_then(|all| all.get("ERROR_CODE")?.string_value());
    let body = message.body.unwrap_or_default();
    ParkedMessage {
        id: message.message_id.unwrap_or_default(),
        sent_at: sent_at.unwrap_or(now),
        failure: failure(&body, error_code, now),
        body,
        attributes: message.message_attributes,
        receipt: message.receipt_handle.unwrap_or_default(),
    }
}
