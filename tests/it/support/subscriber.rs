//! A queue that is subscribed to the topic of a stack: what people and tools are told.

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;

use super::moto::{Stack, aws, moto, sdk_config};

pub struct Subscriber {
    sqs: aws_sdk_sqs::Client,
    queue: String,
}

impl Subscriber {
    pub async fn of(stack: &Stack) -> Self {
        let sqs = aws_sdk_sqs::Client::new(&sdk_config(moto().port));
        let name = stack.topic_arn.rsplit(':').next().unwrap();
        let created = sqs.create_queue().queue_name(name).send().await.unwrap();
        let queue = created.queue_url.unwrap();
        let arn = QueueAttributeName::QueueArn;
        let attributes = sqs.get_queue_attributes().queue_url(&queue);
        let attributes = attributes.attribute_names(arn.clone()).send().await;
        let attributes = attributes.unwrap().attributes.unwrap();
        let subscribe = aws(moto().port).sns().subscribe();
        subscribe
            .topic_arn(&stack.topic_arn)
            .protocol("sqs")
            .endpoint(&attributes[&arn])
            .attributes("RawMessageDelivery", "true")
            .send()
            .await
            .unwrap();
        Self { sqs, queue }
    }

    /// The findings in the messages that came since it was asked last: those of each
    /// message, which is one finding or a list.
    pub async fn take(&self) -> Vec<Vec<Value>> {
        let mut told = Vec::new();
        loop {
            let receive = self.sqs.receive_message().queue_url(&self.queue);
            let received = receive.max_number_of_messages(10).send().await.unwrap();
            let messages = received.messages.unwrap_or_default();
            if messages.is_empty() {
                return told;
            }
            for message in messages {
                let body: Value = serde_json::from_str(&message.body.unwrap()).unwrap();
                let body = &body["unmapped"]["pushwatch"];
                let findings = body["findings"].as_array().cloned();
                told.push(findings.unwrap_or_else(|| vec![body.clone()]));
                let delete = self.sqs.delete_message().queue_url(&self.queue);
                let delete = delete.receipt_handle(message.receipt_handle.unwrap());
                delete.send().await.unwrap();
            }
        }
    }
}
