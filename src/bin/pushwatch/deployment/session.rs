//! AWS, with the region and the credentials of the caller.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::meta::ProviderChainError;
use aws_config::profile;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_cloudformation::types::Stack as CloudFormationStack;
use aws_sdk_cloudtrail::error::ProvideErrorMetadata as _;
use aws_sdk_cloudtrail::operation::lookup_events::LookupEventsError;
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use pushwatch::aws::{AwsError, RetryConflicts, TrustRoots};
use pushwatch::notify::SnsNotifier;
use pushwatch::render::{HttpsFormat, RenderContext};
use pushwatch::store::DynamoStore;
use pushwatch::text::clean_cut;

use super::error::DeploymentError;
use super::{Names, TablesArgs};
use crate::ui::Spinner;

const REGION_OPTION: &str = "--region or AWS_REGION";
/// Of a connection; a laptop may be far from the region.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
const OPERATION_TIMEOUT: Duration = Duration::from_secs(30);
/// Of whatever gives the credentials: a file, a process, a portal.
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(30);
/// With the SDK's growing waits, about half a minute of throttling.
const ATTEMPTS: u32 = 8;
/// Of what an investigation can do without.
const FEW_ATTEMPTS: u32 = 3;

/// Has `learn` say that it is throttled, instead of the SDK waiting in silence.
#[derive(Debug)]
struct ThrottlingNotRetried;

impl ClassifyRetry for ThrottlingNotRetried {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = match context.output_or_error() {
            Some(Err(error)) => error.as_operation_error(),
            _ => None,
        };
        let error = error.and_then(|error| error.downcast_ref::<LookupEventsError>());
        if error.is_some_and(|error| error.code() == Some("ThrottlingException")) {
            RetryAction::RetryForbidden
        } else {
            RetryAction::NoActionIndicated
        }
    }

    fn name(&self) -> &'static str {
        "throttling"
    }
}

/// A stack of PushWatch.
#[derive(Debug)]
pub struct Stack {
    pub name: String,
    pub outputs: BTreeMap<String, String>,
    pub parameters: BTreeMap<String, String>,
}

impl Stack {
    /// An output.
    ///
    /// # Errors
    /// When there is none, as in a stack of something else.
    pub fn output(&self, output: &'static str) -> Result<&str, DeploymentError> {
        let value = self.outputs.get(output).map(String::as_str);
        value.ok_or_else(|| DeploymentError::NoOutput {
            stack: self.name.clone(),
            output,
        })
    }

    /// Its tables and its topic.
    ///
    /// # Errors
    /// When it has none.
    pub fn names(&self) -> Result<Names, DeploymentError> {
        let output = |output| self.outputs.get(output).cloned();
        Ok(Names {
            uploaders: self.output("UploadersTable")?.to_owned(),
            findings: output("FindingsTable"),
            topic_arn: output("FindingsTopicArn"),
        })
    }
}

/// AWS, with the region and the credentials of the caller.
#[derive(Debug)]
pub struct Session {
    config: SdkConfig,
    region: String,
    quiet: bool,
}

/// Who types the command.
#[derive(Debug)]
pub struct Caller {
    pub account: String,
    pub arn: String,
}

impl Session {
    /// Finds region and credentials. No service is asked yet.
    ///
    /// # Errors
    /// When one of them is missing.
    pub async fn open(region: Option<&str>, quiet: bool) -> Result<Self, DeploymentError> {
        let _waiting = Spinner::on("reading the AWS credentials", quiet);
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
            loader = loader.region(Region::new(check_region(region, REGION_OPTION)?.to_owned()));
        }
        let config = loader.load().await;
        let Some(region) = config.region() else {
            return Err(missing_profile().await.unwrap_or(DeploymentError::NoRegion));
        };
        let region = check_region(region.as_ref(), REGION_OPTION)?.to_owned();
        // Asked for here, so that what is missing is said before any work.
        if let Err(reason) = credentials(&config).await {
            let no_profile = missing_profile().await;
            return Err(no_profile.unwrap_or(DeploymentError::NoCredentials(reason)));
        }
        Ok(Self {
            config,
            region,
            quiet,
        })
    }

    pub fn region(&self) -> &str {
        &self.region
    }

    /// Which table this is, and no other, in words.
    pub fn describe(&self, names: &Names) -> String {
        let endpoint = std::env::var("AWS_ENDPOINT_URL_DYNAMODB").ok();
        let endpoint = endpoint.or_else(|| self.config.endpoint_url().map(str::to_owned));
        let endpoint = endpoint.map_or_else(String::new, |url| format!(" at {url}"));
        format!("the table {} in {}{endpoint}", names.uploaders, self.region)
    }

    /// The tables. Without a findings table no finding can be looked up.
    pub fn store(&self, names: &Names) -> DynamoStore {
        let config = aws_sdk_dynamodb::config::Builder::from(&self.config)
            .retry_classifier(RetryConflicts)
            .build();
        DynamoStore::new(
            aws_sdk_dynamodb::Client::from_conf(config),
            names.uploaders.clone(),
            names.findings.clone().unwrap_or_default(),
        )
    }

    /// The topic.
    pub fn notifier(
        &self,
        topic_arn: String,
        context: RenderContext,
        https_format: HttpsFormat,
    ) -> SnsNotifier {
        let client = aws_sdk_sns::Client::new(&self.config);
        SnsNotifier::new(|| client, topic_arn, context, https_format)
    }

    /// Where commands about the deployment lead.
    pub fn render_context(&self, names: &Names, absence_days: u16) -> RenderContext {
        RenderContext {
            table: names.uploaders.clone(),
            findings_table: names.findings.clone(),
            region: self.region.clone(),
            absence_days,
            stack: None,
            account: None,
            runbook: None,
        }
    }

    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.config)
    }

    pub fn cloudwatch_logs(&self) -> aws_sdk_cloudwatchlogs::Client {
        aws_sdk_cloudwatchlogs::Client::new(&self.config)
    }

    /// CloudTrail in a region.
    pub fn cloudtrail(&self, region: &str) -> aws_sdk_cloudtrail::Client {
        let config = aws_sdk_cloudtrail::config::Builder::from(&self.config)
            .region(Region::new(region.to_owned()))
            .retry_classifier(ThrottlingNotRetried)
            .build();
        aws_sdk_cloudtrail::Client::from_conf(config)
    }

    /// ECR in a region.
    pub fn ecr(&self, region: &str) -> aws_sdk_ecr::Client {
        let config = aws_sdk_ecr::config::Builder::from(&self.config)
            .region(Region::new(region.to_owned()))
            .retry_config(RetryConfig::standard().with_max_attempts(FEW_ATTEMPTS))
            .build();
        aws_sdk_ecr::Client::from_conf(config)
    }

    /// ECS in a region.
    pub fn ecs(&self, region: &str) -> aws_sdk_ecs::Client {
        let config = aws_sdk_ecs::config::Builder::from(&self.config);
        let config = config.region(Region::new(region.to_owned())).build();
        aws_sdk_ecs::Client::from_conf(config)
    }

    /// Inspector in a region.
    pub fn inspector(&self, region: &str) -> aws_sdk_inspector2::Client {
        let config = aws_sdk_inspector2::config::Builder::from(&self.config)
            .region(Region::new(region.to_owned()))
            .retry_config(RetryConfig::standard().with_max_attempts(FEW_ATTEMPTS))
            .build();
        aws_sdk_inspector2::Client::from_conf(config)
    }

    /// Lambda in a region.
    pub fn lambda(&self, region: &str) -> aws_sdk_lambda::Client {
        let config = aws_sdk_lambda::config::Builder::from(&self.config);
        let config = config.region(Region::new(region.to_owned())).build();
        aws_sdk_lambda::Client::from_conf(config)
    }

    /// Who types the command.
    ///
    /// # Errors
    /// When STS does not answer.
    pub async fn caller(&self) -> Result<Caller, DeploymentError> {
        let _waiting = Spinner::on("asking STS who you are", self.quiet);
        let answer = aws_sdk_sts::Client::new(&self.config)
            .get_caller_identity()
            .send()
            .await
            .map_err(|error| {
                let error = AwsError::new("STS GetCallerIdentity", "the caller", error);
                DeploymentError::WhoAmI {
                    advice: error.advice("check your credentials"),
                    fault: error.fault().to_owned(),
                }
            })?;
        match (answer.account, answer.arn) {
            (Some(account), Some(arn)) => Ok(Caller { account, arn }),
            _ => Err(DeploymentError::WhoAmI {
                fault: "its answer names nobody".to_owned(),
                advice: "check AWS_ENDPOINT_URL if it is set".to_owned(),
            }),
        }
    }

    /// The names of the deployment that the options name.
    ///
    /// # Errors
    /// As [`stack`](Self::stack).
    pub async fn names(&self, tables: &TablesArgs) -> Result<Names, DeploymentError> {
        match (&tables.stack, &tables.table) {
            (Some(stack), _) => self.stack(stack).await?.names(),
            (None, Some(table)) => Ok(Names {
                uploaders: table.clone(),
                findings: tables.findings_table.clone(),
                topic_arn: None,
            }),
            (None, None) => Err(DeploymentError::NoTarget),
        }
    }

    /// A stack's names and parameters.
    ///
    /// # Errors
    /// When there is no such stack, or it is none of PushWatch.
    pub async fn stack(&self, stack: &str) -> Result<Stack, DeploymentError> {
        let waiting = Spinner::on("reading the stack", self.quiet);
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
                    advice: error.advice(match error.code.as_deref() {
                        None | Some("Throttling") => "a retry can help",
                        // ValidationError: it knows no stack of this name.
                        Some(_) => "check the stack's name, its region and AWS_PROFILE",
                    }),
                    fault: error.fault().to_owned(),
                }
            })?;
        drop(waiting);
        let outputs = described
            .stacks()
            .iter()
            .flat_map(CloudFormationStack::outputs);
        let outputs: BTreeMap<_, _> = outputs
            .filter_map(|output| {
                let value = output.output_value()?.to_owned();
                Some((output.output_key()?.to_owned(), value))
            })
            .collect();
        let parameters = described
            .stacks()
            .iter()
            .flat_map(CloudFormationStack::parameters);
        let parameters = parameters.filter_map(|parameter| {
            let value = parameter.parameter_value()?.to_owned();
            Some((parameter.parameter_key()?.to_owned(), value))
        });
        let stack = Stack {
            name: clean_cut(stack, 200),
            outputs,
            parameters: parameters.collect(),
        };
        // Each stack of PushWatch has this one.
        stack.output("UploadersTable")?;
        Ok(stack)
    }
}

/// The region, if it can be one: a word for what can't would be looked up in DNS.
///
/// # Errors
/// When it can't be one.
pub fn check_region<'a>(region: &'a str, option: &'static str) -> Result<&'a str, DeploymentError> {
    if region.trim().is_empty() {
        return Err(DeploymentError::Empty(option));
    }
    let mut parts = region.rsplit('-');
    let number = parts.next().unwrap_or_default();
    let words: Vec<_> = parts.collect();
    let is_number = (1..=2).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
    let is_word = |word: &&str| {
        (2..=20).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase())
    };
    if is_number && (2..=4).contains(&words.len()) && words.iter().all(is_word) {
        Ok(region)
    } else {
        Err(DeploymentError::BadRegion(clean_cut(region, 40), option))
    }
}

/// Asks for the credentials; why there are none, in the SDK's words.
async fn credentials(config: &SdkConfig) -> Result<(), String> {
    let provider = config.credentials_provider();
    let provider = provider.ok_or("there is no provider of them")?;
    match tokio::time::timeout(CREDENTIALS_TIMEOUT, provider.provide_credentials()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(clean_cut(&reason(&error), 400)),
        Err(_) => Err(format!(
            "what gives them did not answer within {} seconds",
            CREDENTIALS_TIMEOUT.as_secs()
        )),
    }
}

/// What lies at the bottom of an error, after the SDK's own general words.
fn reason(error: &CredentialsError) -> String {
    let mut reasons: Vec<String> = Vec::new();
    let mut next = std::error::Error::source(error);
    while let Some(error) = next {
        if let Some(chain) = error.downcast_ref::<ProviderChainError<CredentialsError>>() {
            let each = chain.attempts().iter();
            let each =
                each.map(|attempt| format!("{}: {}", attempt.name(), reason(attempt.error())));
            return each.collect::<Vec<_>>().join(", ");
        }
        let is_general = error.is::<CredentialsError>();
        let words = error.to_string();
        if !is_general && !reasons.iter().any(|said| said.contains(&words)) {
            reasons.push(words);
        }
        next = error.source();
    }
    match reasons.as_slice() {
        [] => error.to_string(),
        reasons => reasons.join(": "),
    }
}

/// The profile that `AWS_PROFILE` names, if there is none such.
async fn missing_profile() -> Option<DeploymentError> {
    let name = std::env::var("AWS_PROFILE").ok()?;
    // Their types have no name that the SDK promises to keep.
    let (files, system, variables) = <_>::default();
    let profiles = profile::load(&system, &variables, &files, None).await;
    let exists = profiles.ok()?.get_profile(&name).is_some();
    (!exists).then(|| DeploymentError::NoProfile(clean_cut(&name, 100)))
}

#[cfg(test)]
mod tests {
    use super::check_region;

    #[test]
    fn a_region_has_the_shape_of_aws_s_own() {
        for region in [
            "eu-central-1",
            "us-gov-west-1",
            "ap-southeast-5",
            "cn-north-1",
            "us-isob-east-1",
            "eusc-de-east-1",
        ] {
            assert!(check_region(region, "--region").is_ok(), "{region}");
        }
        for region in [
            "",
            "mars",
            "eu-central",
            "eu central-1",
            "EU-CENTRAL-1",
            "eu-central-1a",
            "eu-central-1.evil.example",
            "-1",
            "eu--1",
        ] {
            let error = check_region(region, "--region").unwrap_err().to_string();
            assert!(error.contains("--region"), "{error}");
        }
    }
}
