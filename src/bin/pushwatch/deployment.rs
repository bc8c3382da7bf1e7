//! A deployment of PushWatch: its tables and its topic, reached from a laptop
//! with whatever credentials its user has.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials as _;
use clap::Args;
use pushwatch::aws::{AwsError, RetryConflicts, TlsError, TrustRoots};
use pushwatch::notify::SnsNotifier;
use pushwatch::render::{HttpsFormat, RenderContext};
use pushwatch::store::DynamoStore;
use pushwatch::text::clean_cut;
use thiserror::Error;

/// Of a connection; a laptop may be far from the region.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
const OPERATION_TIMEOUT: Duration = Duration::from_mins(1);
/// With the SDK's growing waits, about half a minute of throttling.
const ATTEMPTS: u32 = 8;

/// Which tables.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Deployment")]
pub struct TablesArgs {
    /// The deployment's stack; its outputs name tables and topic
    #[arg(long, value_name = "NAME", conflicts_with = "table")]
    pub stack: Option<String>,

    /// The deployment's uploaders table
    #[arg(long, value_name = "NAME")]
    pub table: Option<String>,

    /// Its findings table
    #[arg(long, value_name = "NAME", requires = "table")]
    pub findings_table: Option<String>,

    /// Its region, if it is not the one of your AWS profile
    #[arg(long)]
    pub region: Option<String>,
}

/// Why a deployment can't be reached.
#[derive(Debug, Error)]
pub enum DeploymentError {
    #[error("no region is set; give --region, or set AWS_REGION")]
    NoRegion,
    #[error("no AWS credentials are found: {0}; set AWS_PROFILE, or sign in")]
    NoCredentials(String),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("stack {stack} in {region}: {fault}; {advice}")]
    Stack {
        stack: String,
        region: String,
        fault: String,
        advice: &'static str,
    },
    #[error("stack {stack} has no output {output}: is it a stack of PushWatch?")]
    NoOutput { stack: String, output: &'static str },
    #[error("STS can't say who you are: {0}; check your credentials")]
    WhoAmI(String),
}

/// A deployment's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    pub uploaders: String,
    pub findings: Option<String>,
    pub topic_arn: Option<String>,
}

/// AWS, with the region and the credentials of whoever types the command.
#[derive(Debug)]
pub struct Session {
    config: SdkConfig,
    region: String,
}

impl Session {
    /// Finds region and credentials. No service is asked yet.
    ///
    /// # Errors
    /// When one of them is missing.
    pub async fn open(region: Option<&str>) -> Result<Self, DeploymentError> {
        let http = pushwatch::aws::http_client(TrustRoots::System, CONNECT_TIMEOUT)?;
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(http)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .timeout_config(
                TimeoutConfig::builder()
                    .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                    .operation_timeout(OPERATION_TIMEOUT)
                    .build(),
            );
        if let Some(region) = region {
            loader = loader.region(Region::new(region.to_owned()));
        }
        let config = loader.load().await;
        let region = config
            .region()
            .ok_or(DeploymentError::NoRegion)?
            .to_string();
        let none = || DeploymentError::NoCredentials("there is no provider".to_owned());
        // Asked for here, so that what is missing is said before any work.
        config
            .credentials_provider()
            .ok_or_else(none)?
            .provide_credentials()
            .await
            .map_err(|error| DeploymentError::NoCredentials(error.to_string()))?;
        Ok(Self { config, region })
    }

    pub fn region(&self) -> &str {
        &self.region
    }

    /// The tables. Without a findings table no finding can be looked up.
    pub fn store(&self, uploaders: &str, findings: Option<&str>) -> DynamoStore {
        let config = aws_sdk_dynamodb::config::Builder::from(&self.config)
            .retry_classifier(RetryConflicts)
            .build();
        DynamoStore::new(
            aws_sdk_dynamodb::Client::from_conf(config),
            uploaders.to_owned(),
            findings.unwrap_or_default().to_owned(),
        )
    }

    /// The topic.
    pub fn notifier(&self, topic_arn: String, place: RenderContext) -> SnsNotifier {
        let client = aws_sdk_sns::Client::new(&self.config);
        SnsNotifier::new(client, topic_arn, place, HttpsFormat::default())
    }

    /// Where commands about the deployment lead.
    pub fn place(&self, names: &Names, absence_days: u16) -> RenderContext {
        RenderContext {
            table: names.uploaders.clone(),
            findings_table: names.findings.clone(),
            region: self.region.clone(),
            absence_days,
        }
    }

    /// CloudTrail in a region.
    pub fn cloudtrail(&self, region: &str) -> aws_sdk_cloudtrail::Client {
        let config = aws_sdk_cloudtrail::config::Builder::from(&self.config)
            .region(Region::new(region.to_owned()))
            .build();
        aws_sdk_cloudtrail::Client::from_conf(config)
    }

    /// The ARN of whoever types the command.
    ///
    /// # Errors
    /// When STS does not answer.
    pub async fn caller(&self) -> Result<String, DeploymentError> {
        aws_sdk_sts::Client::new(&self.config)
            .get_caller_identity()
            .send()
            .await
            .map_err(|error| AwsError::new("STS GetCallerIdentity", "the caller", error))
            .map_err(|error| DeploymentError::WhoAmI(error.fault().to_owned()))?
            .arn
            .ok_or_else(|| DeploymentError::WhoAmI("its answer names nobody".to_owned()))
    }

    /// The names in a stack's outputs.
    ///
    /// # Errors
    /// When there is no such stack, or it is none of PushWatch.
    pub async fn names(&self, stack: &str) -> Result<Names, DeploymentError> {
        let described = aws_sdk_cloudformation::Client::new(&self.config)
            .describe_stacks()
            .stack_name(stack)
            .send()
            .await
            .map_err(|error| {
                let error = AwsError::new("CloudFormation DescribeStacks", stack, error);
                DeploymentError::Stack {
                    stack: clean_cut(stack, 200),
                    region: self.region.clone(),
                    // ValidationError is its answer to a name that it does not know.
                    advice: match error.code.as_deref() {
                        None | Some("Throttling") => "a retry can help",
                        Some(_) => "check the stack's name, its region and your rights",
                    },
                    fault: error.fault().to_owned(),
                }
            })?;
        let outputs = described
            .stacks()
            .first()
            .map_or(&[][..], |stack| stack.outputs());
        let output = |name: &str| {
            let output = outputs
                .iter()
                .find(|output| output.output_key() == Some(name));
            output
                .and_then(|output| output.output_value())
                .map(str::to_owned)
        };
        Ok(Names {
            uploaders: output("UploadersTable").ok_or_else(|| DeploymentError::NoOutput {
                stack: clean_cut(stack, 200),
                output: "UploadersTable",
            })?,
            findings: output("FindingsTable"),
            topic_arn: output("FindingsTopicArn"),
        })
    }
}

impl TablesArgs {
    /// The deployment that the options name; none if they name none.
    ///
    /// # Errors
    /// As [`Session::names`].
    pub async fn names(&self, session: &Session) -> Result<Option<Names>, DeploymentError> {
        Ok(match (&self.stack, &self.table) {
            (Some(stack), _) => Some(session.names(stack).await?),
            (None, Some(table)) => Some(Names {
                uploaders: table.clone(),
                findings: self.findings_table.clone(),
                topic_arn: None,
            }),
            (None, None) => None,
        })
    }
}
