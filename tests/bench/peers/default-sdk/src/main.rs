//! The same job in its simplest form: is the uploader known? If not, remember and tell.

use aws_sdk_dynamodb::types::AttributeValue;
use lambda_runtime::{Error, LambdaEvent, run, service_fn, tracing};
use serde_json::{Value, json};

struct Clients {
    dynamodb: aws_sdk_dynamodb::Client,
    sns: aws_sdk_sns::Client,
    table: String,
    topic: String,
}

async fn handle(clients: &Clients, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let detail = &event.payload["detail"];
    if detail["eventName"] != "PutImage" {
        return Ok(json!({"outcome": "ignored"}));
    }
    let text = |value: &Value| AttributeValue::S(value.as_str().unwrap_or_default().to_owned());
    let identity = &detail["userIdentity"];
    let issuer = &identity["sessionContext"]["sessionIssuer"]["arn"];
    let key = text(if issuer.is_string() { issuer } else { &identity["arn"] });
    let time = text(&detail["eventTime"]);
    let known = clients
        .dynamodb
        .update_item()
        .table_name(&clients.table)
        .key("uploader", key.clone())
        .condition_expression("attribute_exists(uploader)")
        .update_expression("SET lastSeen = :t, lastEventId = :e ADD pushes :one")
        .expression_attribute_values(":t", time.clone())
        .expression_attribute_values(":e", text(&detail["eventID"]))
        .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
        .send()
        .await;
    let outcome = match known.map_err(aws_sdk_dynamodb::error::SdkError::into_service_error) {
        Ok(_) => "known",
        Err(error) if error.is_conditional_check_failed_exception() => {
            let put = clients.dynamodb.put_item().table_name(&clients.table);
            put.item("uploader", key).item("firstSeen", time).send().await?;
            let message = serde_json::to_string_pretty(detail)?;
            let publish = clients.sns.publish().topic_arn(&clients.topic);
            publish.subject("New ECR uploader").message(message).send().await?;
            "finding_published"
        }
        Err(error) => return Err(error.into()),
    };
    tracing::info!(outcome, "handled");
    Ok(json!({"outcome": outcome}))
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let config = aws_config::load_from_env().await;
    let clients = &Clients {
        dynamodb: aws_sdk_dynamodb::Client::new(&config),
        sns: aws_sdk_sns::Client::new(&config),
        table: std::env::var("UPLOADERS_TABLE")?,
        topic: std::env::var("FINDINGS_TOPIC_ARN")?,
    };
    run(service_fn(move |event| handle(clients, event))).await
}
