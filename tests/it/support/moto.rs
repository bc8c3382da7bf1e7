//! A moto server, and tables and topics in it. moto plays DynamoDB and SNS on
//! this machine; `make test` installs it into `.venv`.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_credential_types::Credentials;
#[cfg(feature = "aws")]
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement,
    KeyType, Projection, ProjectionType, ScalarAttributeType,
};
use pushwatch::aws::{Aws, AwsConfig, Endpoints, TrustRoots};
use pushwatch::store::{DynamoStore, OWED_INDEX};

pub const REGION: &str = "eu-central-1";

pub type Item = HashMap<String, AttributeValue>;

/// The server of all tests, which is started when the first one needs it.
pub fn moto() -> &'static Moto {
    static MOTO: OnceLock<Moto> = OnceLock::new();
    MOTO.get_or_init(Moto::start)
}

pub struct Moto {
    pub port: u16,
    /// A static is never dropped: the server ends when the system closes the pipe of its
    /// standard input, at the end of this process, whatever ends it.
    _server: Child,
}

impl Moto {
    fn start() -> Self {
        let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python");
        assert!(
            python.is_file(),
            "this test needs moto: `make .venv/installed` installs it"
        );
        let mut server = Command::new(python)
            .args(["-c", include_str!("moto_server.py")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut port = String::new();
        let mut stdout = BufReader::new(server.stdout.take().unwrap());
        stdout.read_line(&mut port).unwrap();
        Self {
            port: port
                .trim()
                .parse()
                .expect("moto starts and prints its port"),
            _server: server,
        }
    }

    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// Clients for an endpoint on this machine.
pub fn aws(port: u16) -> Aws {
    let endpoint = Some(format!("http://127.0.0.1:{port}"));
    let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "test");
    Aws::new(AwsConfig {
        region: REGION.to_owned(),
        credentials,
        endpoints: Endpoints {
            dynamodb: endpoint.clone(),
            sns: endpoint,
        },
        trust_roots: TrustRoots::System,
    })
    .unwrap()
}

/// What other clients of the SDK need for an endpoint on this machine.
#[cfg(feature = "aws")]
pub fn sdk_config(port: u16) -> aws_config::SdkConfig {
    let http = pushwatch::aws::http_client(Duration::from_secs(5)).unwrap();
    let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "test");
    aws_config::SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
        .region(aws_config::Region::new(REGION))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(format!("http://127.0.0.1:{port}"))
        .http_client(http)
        .build()
}

/// A table is created twice when the first answer was too late on a busy machine.
fn is_there(error: Option<CreateTableError>) {
    if let Some(error) = error {
        assert!(error.is_resource_in_use_exception(), "{error:?}");
    }
}

/// Creates a stack, by the plain API.
pub fn create_stack(name: &str, template: &str) {
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("Action", "CreateStack")
        .append_pair("Version", "2010-05-15")
        .append_pair("StackName", name)
        .append_pair("TemplateBody", template)
        .finish();
    let scope =
        format!("Credential=AKIAIOSFODNN7EXAMPLE/20260101/{REGION}/cloudformation/aws4_request");
    ureq::post(format!("http://127.0.0.1:{}/", moto().port))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("Host", format!("cloudformation.{REGION}.amazonaws.com"))
        .header(
            "Authorization",
            format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"),
        )
        .send(body)
        .unwrap();
}

/// Two tables and a topic, of a test's own.
pub struct Stack {
    pub uploaders: String,
    pub findings: String,
    pub topic_arn: String,
    aws: Aws,
    /// Of the tests' own calls, which may take longer than the function's: they read whole
    /// tables on a busy machine.
    dynamodb: aws_sdk_dynamodb::Client,
}

impl Stack {
    pub async fn create() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let aws = aws(moto().port);
        let patient = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(30));
        let config = aws.dynamodb().config().to_builder();
        let dynamodb =
            aws_sdk_dynamodb::Client::from_conf(config.timeout_config(patient.build()).build());
        let stack = Self {
            uploaders: format!("uploaders-{number}"),
            findings: format!("findings-{number}"),
            topic_arn: aws
                .sns()
                .create_topic()
                .name(format!("findings-{number}"))
                .send()
                .await
                .unwrap()
                .topic_arn
                .unwrap(),
            aws,
            dynamodb,
        };
        let text = |name: &str| {
            let text = AttributeDefinition::builder().attribute_name(name);
            text.attribute_type(ScalarAttributeType::S).build().unwrap()
        };
        let key = |name: &str, kind: KeyType| {
            let key = KeySchemaElement::builder().attribute_name(name);
            key.key_type(kind).build().unwrap()
        };
        let create = |name: &str| {
            let create = stack.dynamodb.create_table().table_name(name);
            create.billing_mode(BillingMode::PayPerRequest)
        };
        let created = create(&stack.uploaders)
            .attribute_definitions(text("uploader"))
            .key_schema(key("uploader", KeyType::Hash))
            .send()
            .await;
        is_there(created.err().map(SdkError::into_service_error));
        let index = GlobalSecondaryIndex::builder()
            .index_name(OWED_INDEX)
            .key_schema(key("owed", KeyType::Hash))
            .key_schema(key("owedSince", KeyType::Range))
            .projection(
                Projection::builder()
                    .projection_type(ProjectionType::Include)
                    .non_key_attributes("severity")
                    .build(),
            )
            .build()
            .unwrap();
        let created = create(&stack.findings)
            .attribute_definitions(text("findingId"))
            .attribute_definitions(text("owed"))
            .attribute_definitions(text("owedSince"))
            .key_schema(key("findingId", KeyType::Hash))
            .global_secondary_indexes(index)
            .send()
            .await;
        is_there(created.err().map(SdkError::into_service_error));
        stack
    }

    pub fn store(&self) -> DynamoStore {
        DynamoStore::new(
            self.aws.dynamodb(),
            self.uploaders.clone(),
            self.findings.clone(),
        )
    }

    /// All findings in the findings table, as plain JSON.
    pub async fn findings(&self) -> Vec<serde_json::Value> {
        let items = self.scan(&self.findings).await;
        let findings = items
            .into_iter()
            .filter(|item| !item["findingId"].as_str().unwrap().starts_with('#'));
        findings.collect()
    }

    /// All items of the uploaders table, as plain JSON.
    pub async fn uploaders(&self) -> Vec<serde_json::Value> {
        self.scan(&self.uploaders).await
    }

    /// An item of the uploaders table, as it is stored.
    pub async fn uploader(&self, key: &str) -> Item {
        let get = self.dynamodb.get_item().table_name(&self.uploaders);
        let key = AttributeValue::S(key.to_owned());
        let got = get.key("uploader", key).send().await.unwrap();
        got.item.unwrap()
    }

    async fn scan(&self, table: &str) -> Vec<serde_json::Value> {
        let items = self.items(table).await.into_iter();
        items
            .map(|item| serde_dynamo::from_item(item).unwrap())
            .collect()
    }

    async fn items(&self, table: &str) -> Vec<Item> {
        let pages = self.dynamodb.scan().table_name(table).into_paginator();
        let items = pages.items().send().collect::<Result<_, _>>().await;
        items.unwrap()
    }

    /// Lets time pass for all that is owed, and for the sweep's lease.
    pub async fn age(&self, seconds: i64) {
        let mut items = self.items(&self.findings).await;
        items.retain(|item| item.contains_key("owedSince") || item.contains_key("leaseUntil"));
        for mut item in items {
            if let Some(since) = item.get("owedSince") {
                let since: jiff::Timestamp = since.as_s().unwrap().parse().unwrap();
                let since = since - jiff::SignedDuration::from_secs(seconds);
                item.insert("owedSince".into(), AttributeValue::S(since.to_string()));
            }
            // One that is damaged stays as it is.
            if let Some(Ok(until)) = item.get("leaseUntil").map(|until| until.as_n()) {
                let until = until.parse::<i64>().unwrap() - seconds * 1000;
                item.insert("leaseUntil".into(), AttributeValue::N(until.to_string()));
            }
            self.put(&self.findings, item).await;
        }
    }

    /// Deletes a finding, as somebody who can write to its table.
    pub async fn delete_finding(&self, id: &str) {
        let delete = self.dynamodb.delete_item().table_name(&self.findings);
        let id = AttributeValue::S(id.to_owned());
        delete.key("findingId", id).send().await.unwrap();
    }

    pub async fn put(&self, table: &str, item: Item) {
        let put = self.dynamodb.put_item().table_name(table);
        put.set_item(Some(item)).send().await.unwrap();
    }
}
