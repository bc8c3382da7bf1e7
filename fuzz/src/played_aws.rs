//! Clients of AWS whose calls are answered here.

use std::fmt;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use pushwatch::notify::SnsNotifier;
use pushwatch::render::HttpsFormat;
use pushwatch::store::DynamoStore;

use crate::events::render_context;
use crate::oracles::bodies::MAX_MESSAGE;

/// An answer: the status, and the body.
pub type Answer = (u16, String);

/// The answer to a conditional write whose condition does not hold, with the item if there
/// is one.
pub fn refused(item: Option<&str>) -> Answer {
    let item = item.map_or_else(String::new, |item| format!(",\"Item\":{item}"));
    let kind = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
    (
        400,
        format!("{{\"__type\":\"{kind}\",\"message\":\"The conditional request failed\"{item}}}"),
    )
}

/// Answers each request at once.
struct Played<F>(F);

impl<F> fmt::Debug for Played<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Played")
    }
}

impl<F: Fn(&HttpRequest) -> Answer + Send + Sync> HttpConnector for Played<F> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (status, body) = (self.0)(&request);
        let status = status.try_into().expect("a status");
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(body))))
    }
}

fn http(answer: impl Fn(&HttpRequest) -> Answer + Send + Sync + 'static) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(Played(answer));
    http_client_fn(move |_, _| connector.clone())
}

/// A store in DynamoDB, of which `answer` plays each call: the operation, and its request.
pub fn store(answer: impl Fn(&str, &str) -> Answer + Send + Sync + 'static) -> DynamoStore {
    let http = http(move |request| {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default();
        let body = request.body().bytes().unwrap_or_default();
        answer(operation, &String::from_utf8_lossy(body))
    });
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("AKID", "secret", None, None, "played"))
        .retry_config(RetryConfig::disabled())
        .http_client(http)
        .build();
    let client = aws_sdk_dynamodb::Client::from_conf(config);
    DynamoStore::new(client, "uploaders".to_owned(), "findings".to_owned())
}

/// A topic that refuses what is too long, as SNS does. The plainest form of a finding, without
/// bodies by protocol, never is.
pub fn topic() -> SnsNotifier {
    let http = http(|request| {
        let form = request.body().bytes().unwrap_or_default();
        let form = String::from_utf8_lossy(form);
        let message = form
            .split('&')
            .find_map(|field| field.strip_prefix("Message="));
        let message = message.unwrap_or_default();
        // `%0A` is one byte.
        let length = message.len() - 2 * message.matches('%').count();
        if length <= MAX_MESSAGE {
            let id = "<MessageId>5d0b3c5e</MessageId>";
            let result = format!("<PublishResult>{id}</PublishResult>");
            (200, format!("<PublishResponse>{result}</PublishResponse>"))
        } else {
            assert!(form.contains("&MessageStructure=json"), "{length} bytes");
            let error = "<Error><Type>Sender</Type><Code>InvalidParameter</Code></Error>";
            (400, format!("<ErrorResponse>{error}</ErrorResponse>"))
        }
    });
    let config = aws_sdk_sns::Config::builder()
        .behavior_version(aws_sdk_sns::config::BehaviorVersion::v2026_01_12())
        .region(aws_sdk_sns::config::Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("AKID", "secret", None, None, "played"))
        .retry_config(RetryConfig::disabled())
        .http_client(http)
        .build();
    let client = aws_sdk_sns::Client::from_conf(config);
    let arn = "arn:aws:sns:eu-central-1:111122223333:findings".to_owned();
    SnsNotifier::new(|| client, arn, render_context(), HttpsFormat::default())
}
