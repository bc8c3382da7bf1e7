//! A batch of messages that Lambda took out of a queue.
//!
//! Messages are read level by level, as events are. The `SqsEvent` of
//! `aws_lambda_events` refuses a whole batch because of one odd message, and the other
//! nine would come back with it; tests see that the two agree on any other batch.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::object::Object;

/// The most messages that Lambda takes out of a queue at once. More are something else, and
/// would take many times their size.
const MOST: usize = 10_000;
/// What Lambda writes into each message of a queue.
const SQS: &str = "aws:sqs";

/// A message of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueMessage {
    /// SQS's id, by which the queue is told that the message failed. Empty if there is
    /// none: that is how Lambda is told that the whole batch failed.
    pub id: String,
    /// How often the message was received, this time included.
    pub receive_count: u64,
    /// What was put into the queue; empty if it is no text.
    pub body: String,
}

impl QueueMessage {
    fn read(message: &Object<'_>) -> Self {
        let text = |name| message.text(name).unwrap_or_default().into_string();
        let attributes = message.object("attributes");
        let count = attributes.text("ApproximateReceiveCount");
        Self {
            id: text("messageId"),
            // One that can't be read is the first: rather counted too often than never.
            receive_count: count.and_then(|count| count.parse().ok()).unwrap_or(1),
            body: text("body"),
        }
    }
}

/// The messages of a batch; none if it is something else, such as a CloudTrail file,
/// which has `Records` too.
#[must_use]
pub fn messages(json: &str) -> Option<Vec<QueueMessage>> {
    #[derive(Deserialize)]
    struct Batch<'a> {
        #[serde(borrow, rename = "Records")]
        records: Vec<&'a RawValue>,
    }
    let Batch { records } = serde_json::from_str(json).ok()?;
    if records.len() > MOST {
        return None;
    }
    let messages = records.into_iter();
    let messages: Vec<_> = messages
        .map(|record| Object::parse(record.get()).unwrap_or_default())
        .collect();
    // One is enough: a message must not be lost because another one is odd.
    messages
        .iter()
        .any(|message| message.text("eventSource").as_deref() == Some(SQS))
        .then(|| messages.iter().map(QueueMessage::read).collect())
}

#[cfg(test)]
mod tests {
    use aws_lambda_events::sqs::SqsEvent;
    use serde_json::{Value, json};

    use super::{QueueMessage, messages};

    fn message(id: &str) -> Value {
        json!({
            "messageId": id,
            "receiptHandle": "AQEB",
            "body": "{\"a\":1}",
            "attributes": {"ApproximateReceiveCount": "3", "SentTimestamp": "1767225600000"},
            "messageAttributes": {
                "ERROR_CODE": {
                    "stringValue": "NO_PERMISSIONS", "stringListValues": [],
                    "binaryListValues": [], "dataType": "String"
                }
            },
            "md5OfBody": "",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-central-1:111122223333:failures",
            "awsRegion": "eu-central-1"
        })
    }

    fn read(records: &Value) -> Option<Vec<QueueMessage>> {
        messages(&json!({ "Records": records }).to_string())
    }

    fn one(id: &str, receive_count: u64, body: &str) -> QueueMessage {
        QueueMessage {
            id: id.to_owned(),
            receive_count,
            body: body.to_owned(),
        }
    }

    #[test]
    fn a_message_has_an_id_a_receive_count_and_a_body() {
        let batch = json!([message("1"), message("2")]);
        let expected = vec![one("1", 3, "{\"a\":1}"), one("2", 3, "{\"a\":1}")];
        assert_eq!(read(&batch), Some(expected));
    }

    /// As the crate reads what Lambda sends.
    fn read_by_the_crate(json: &str) -> Vec<QueueMessage> {
        let SqsEvent { records, .. } = serde_json::from_str(json).unwrap();
        let messages = records.into_iter().map(|message| QueueMessage {
            id: message.message_id.unwrap(),
            receive_count: message.attributes["ApproximateReceiveCount"]
                .parse()
                .unwrap(),
            body: message.body.unwrap(),
        });
        messages.collect()
    }

    #[test]
    fn a_batch_as_lambda_sends_it_reads_as_aws_lambda_events_reads_it() {
        let batch = json!({"Records": [message("1"), message("2")]}).to_string();
        for json in [
            batch.as_str(),
            include_str!("../../events/queue/failure-queue.json"),
            include_str!("../../events/queue/dead-letter-queue.json"),
        ] {
            assert_eq!(messages(json), Some(read_by_the_crate(json)));
        }
    }

    #[test]
    fn an_odd_message_costs_none_of_the_others() {
        let odd = |field: &str, value: Value| {
            let mut message = message("odd");
            message[field] = value;
            message
        };
        for (message, expected) in [
            (odd("body", json!(7)), one("odd", 3, "")),
            (odd("body", json!({"a": 1})), one("odd", 3, "")),
            (odd("body", Value::Null), one("odd", 3, "")),
            (odd("attributes", json!([])), one("odd", 1, "{\"a\":1}")),
            (odd("attributes", Value::Null), one("odd", 1, "{\"a\":1}")),
            (
                odd("attributes", json!({"ApproximateReceiveCount": 3})),
                one("odd", 1, "{\"a\":1}"),
            ),
            (
                odd("messageAttributes", json!({"a": {"binaryValue": "?"}})),
                one("odd", 3, "{\"a\":1}"),
            ),
            (odd("messageId", Value::Null), one("", 3, "{\"a\":1}")),
            (odd("messageId", json!(7)), one("", 3, "{\"a\":1}")),
            (Value::Null, one("", 1, "")),
            (json!("text"), one("", 1, "")),
        ] {
            let batch = read(&json!([self::message("good"), message])).unwrap();
            assert_eq!(batch, [one("good", 3, "{\"a\":1}"), expected], "{message}");
        }
    }

    #[test]
    fn what_comes_from_no_queue_is_no_batch() {
        for records in [
            json!([]),
            json!({}),
            Value::Null,
            json!([{"eventSource": "ecr.amazonaws.com", "eventName": "PutImage"}]),
            json!([{"eventSource": "aws:s3"}]),
        ] {
            assert_eq!(read(&records), None, "{records}");
        }
        // More than Lambda ever hands over.
        let many: Value = (0..10_001).map(|id| message(&id.to_string())).collect();
        assert_eq!(read(&many), None);
        for json in ["", "[]", "{}", "{\"Records\":[", "{\"records\":[]}"] {
            assert_eq!(messages(json), None, "{json}");
        }
    }
}
