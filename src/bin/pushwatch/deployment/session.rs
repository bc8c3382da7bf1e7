//! AWS, with the region and the credentials of the caller.

use std::time::Duration;

use aws_config::meta::ProviderChainError;
use aws_config::profile;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;
use pushwatch::aws::AwsError;
use pushwatch::render::RenderContext;
use pushwatch::text::clean_cut;

use super::Names;
use super::error::DeploymentError;
use crate::ui::Spinner;

const REGION_OPTION: &str = "--region or AWS_REGION";
/// Of a connection; a laptop may be far from the region.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
pub(super) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
const OPERATION_TIMEOUT: Duration = Duration::from_secs(30);
/// Of whatever gives the credentials: a file, a process, a portal.
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(30);
/// With the SDK's growing waits, about half a minute of throttling.
const ATTEMPTS: u32 = 8;

/// AWS, with the region and the credentials of the caller.
#[derive(Debug)]
pub struct Session {
    pub(super) config: SdkConfig,
    pub(super) region: String,
    pub(super) quiet: bool,
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
        let http = pushwatch::aws::http_client(CONNECT_TIMEOUT)?;
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
