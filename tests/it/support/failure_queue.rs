//! The failure queue, and a poller that behaves as Lambda's does: at most ten messages a
//! batch, a time in which a message that was received is not seen, a receive count, and
//! partial failures. The five minutes of the template are longer than any function runs:
//! here a message is not seen while it is handled, and for half a second after it failed.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// After which a message that failed is seen again.
const VISIBILITY: Duration = Duration::from_millis(500);
/// After so many times a message is parked, as in the template.
const MOST_RECEIVES: u32 = 288;

struct Message {
    id: String,
    body: String,
    receives: u32,
    seen_from: Instant,
}

#[derive(Default)]
pub struct FailureQueue {
    messages: Mutex<Vec<Message>>,
    parked: Mutex<Vec<Message>>,
}

impl FailureQueue {
    /// Adds an event as Lambda's failure record.
    pub fn send(&self, id: String, event: &Value) {
        let body = json!({
            "version": "1.0",
            "requestContext": {"requestId": "r", "condition": "RetriesExhausted"},
            "requestPayload": event,
            "responsePayload": {"errorType": "RetryableStore"}
        });
        self.messages.lock().unwrap().push(Message {
            id,
            body: body.to_string(),
            receives: 0,
            seen_from: Instant::now(),
        });
    }

    pub fn is_empty(&self) -> bool {
        self.messages.lock().unwrap().is_empty()
    }

    /// How many messages failed too often.
    pub fn parked(&self) -> usize {
        self.parked.lock().unwrap().len()
    }

    /// At most ten messages, which are not seen while they are handled.
    pub fn receive(&self) -> Vec<Value> {
        let now = Instant::now();
        let mut messages = self.messages.lock().unwrap();
        let is_seen = |message: &Message| message.seen_from <= now;
        let spent = messages.extract_if(.., |message| {
            is_seen(message) && message.receives == MOST_RECEIVES
        });
        self.parked.lock().unwrap().extend(spent);
        let seen = messages.iter_mut().filter(|message| is_seen(message));
        seen.take(10)
            .map(|message| {
                message.receives += 1;
                message.seen_from = now + Duration::from_mins(5);
                json!({
                    "messageId": message.id,
                    "receiptHandle": message.id,
                    "body": message.body,
                    "attributes": {"ApproximateReceiveCount": message.receives.to_string()},
                    "messageAttributes": {},
                    "eventSource": "aws:sqs",
                    "eventSourceARN": "arn:aws:sqs:eu-central-1:111122223333:failures",
                    "awsRegion": "eu-central-1"
                })
            })
            .collect()
    }

    /// Deletes the messages of a batch but for those that the answer names, or for all if
    /// there was none; how many it deletes.
    pub fn delete(&self, batch: &[Value], answer: Option<&Value>) -> usize {
        let ids = |values: &[Value], name: &str| -> Vec<String> {
            let ids = values.iter().map(|value| value[name].as_str().unwrap());
            ids.map(str::to_owned).collect()
        };
        let received = ids(batch, "messageId");
        let failed = match answer {
            Some(answer) => {
                let failures = answer["batchItemFailures"].as_array().unwrap();
                ids(failures, "itemIdentifier")
            }
            None => received.clone(),
        };
        let mut messages = self.messages.lock().unwrap();
        messages.retain(|message| !received.contains(&message.id) || failed.contains(&message.id));
        for message in messages.iter_mut().filter(|one| failed.contains(&one.id)) {
            message.seen_from = Instant::now() + VISIBILITY;
        }
        received.len() - failed.len()
    }
}
