//! What was dropped, by whom and why, noted in the function's log.

use aws_sdk_cloudwatchlogs::types::InputLogEvent;
use jiff::Timestamp;
use pushwatch::aws::AwsError;
use pushwatch::event;
use pushwatch::text::{clean_cut, clean_json};
use serde_json::json;

use super::parked::ParkedMessage;
use crate::deployment::{Session, Stack};
use crate::error::CommandError;

/// How many are noted at once: of less than 8 KB each, whatever characters are in them, they fit
/// into the 1 MB that CloudWatch Logs takes.
const AT_ONCE: usize = 100;

/// The log stream of one run.
pub struct DropLog {
    client: aws_sdk_cloudwatchlogs::Client,
    group: String,
    stream: String,
    caller: String,
    reason: String,
}

impl DropLog {
    /// Begins a log stream.
    ///
    /// # Errors
    /// When the stack's outputs name no log group, or CloudWatch Logs refuses.
    pub async fn open(
        session: &Session,
        stack: &Stack,
        caller: String,
        reason: String,
    ) -> Result<Self, CommandError> {
        // A name has no colon, and no other run has the same microsecond.
        let stream = format!("pushwatch-redrive/{}", Timestamp::now()).replace(':', "-");
        let log = Self {
            client: session.cloudwatch_logs(),
            group: stack.output("FunctionLogGroup")?.to_owned(),
            stream,
            caller,
            reason,
        };
        log.client
            .create_log_stream()
            .log_group_name(&log.group)
            .log_stream_name(&log.stream)
            .send()
            .await
            .map_err(|error| log.error("Logs CreateLogStream", error))?;
        Ok(log)
    }

    /// Notes that the messages are dropped.
    ///
    /// # Errors
    /// When CloudWatch Logs refuses.
    pub async fn note(&self, messages: &[ParkedMessage]) -> Result<(), CommandError> {
        for messages in messages.chunks(AT_ONCE) {
            self.put(messages).await?;
        }
        Ok(())
    }

    async fn put(&self, messages: &[ParkedMessage]) -> Result<(), CommandError> {
        let now = Timestamp::now();
        let events = messages.iter().filter_map(|message| {
            let note = json!({
                "level": "WARN",
                "timestamp": now,
                "message": "a parked message was dropped",
                "messageId": message.id,
                "sentAt": message.sent_at,
                "failure": clean_cut(&message.failure, 120),
                "eventId": event::id(&message.body),
                "droppedBy": clean_cut(&self.caller, 300),
                "reason": clean_cut(&self.reason, 300),
            });
            InputLogEvent::builder()
                .timestamp(now.as_millisecond())
                .message(clean_json(&note.to_string()))
                .build()
                .ok()
        });
        let answer = self
            .client
            .put_log_events()
            .log_group_name(&self.group)
            .log_stream_name(&self.stream)
            .set_log_events(Some(events.collect()))
            .send()
            .await
            .map_err(|error| self.error("Logs PutLogEvents", error))?;
        match answer.rejected_log_events_info {
            None => Ok(()),
            Some(_) => Err(CommandError::Store(format!(
                "Logs PutLogEvents on log {}: what is to be noted was rejected; nothing was \
                 dropped, check this machine's clock",
                self.group
            ))),
        }
    }

    fn error<E>(
        &self,
        call: &'static str,
        error: aws_sdk_cloudwatchlogs::error::SdkError<E>,
    ) -> CommandError
    where
        E: aws_sdk_cloudwatchlogs::error::ProvideErrorMetadata
            + std::error::Error
            + Send
            + Sync
            + 'static,
    {
        CommandError::store(AwsError::new(call, format!("log {}", self.group), error))
    }
}
