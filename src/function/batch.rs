//! A batch of messages of the queues: events that failed before, and come again.
//!
//! They are handled one after another, each as if it had come alone. The answer names
//! those that failed: they stay in their queue and come again; the others are gone.

use aws_lambda_events::sqs::SqsBatchResponse;
use jiff::{SignedDuration, Timestamp};

use super::log_line::LogLine;
use super::{Answer, Function, FunctionError, PUSH_RESERVE, Received};
use crate::clock::Clock as _;
use crate::event::{self, Event, QueueMessage};
use crate::text::clean_cut;

/// No message is begun in this last part of the time, if there is three times as much:
/// one that is begun should end by itself, and not by the deadline.
const RESERVE: SignedDuration = SignedDuration::from_secs(10);

impl Function {
    /// Handles the messages that there is time for; answers which failed.
    pub(super) async fn batch(
        &self,
        messages: &[QueueMessage],
        request_id: &str,
        deadline: Timestamp,
    ) -> SqsBatchResponse {
        let time_left = deadline.duration_since(self.watch.clock.now());
        let stop_at = deadline - RESERVE.min(time_left / 3).max(PUSH_RESERVE);
        let mut response = SqsBatchResponse::default();
        for message in messages {
            let began = self.watch.clock.now();
            let mut line = self.line(request_id);
            line.field("messageId", clean_cut(&message.id, 100));
            line.field("receiveCount", message.receive_count);
            let result = if began < stop_at {
                self.message(message, began, deadline, &mut line).await
            } else {
                let id = clean_cut(&message.id, 100);
                Err(FunctionError::NotBegun { id })
            };
            self.write(line, began, &result);
            if result.is_err() {
                response.add_failure(message.id.clone());
            }
        }
        response
    }

    async fn message(
        &self,
        message: &QueueMessage,
        began: Timestamp,
        deadline: Timestamp,
        line: &mut LogLine<'_>,
    ) -> Result<Answer, FunctionError> {
        let read = event::read(&message.body, began);
        if read == Ok(Event::Sweep) {
            let why = "a scheduled event of the past: the next sweep does the same";
            return Ok(Answer::ignored(why.to_owned()));
        }
        let received = Received {
            json: &message.body,
            read,
            id: &message.id,
            began,
            deadline,
            is_first: message.receive_count == 1,
        };
        self.event(received, line).await
    }
}
