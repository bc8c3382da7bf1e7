//! The way to AWS: the HTTP client of the function and that of the command line, and what
//! errors mean.

mod connector;
mod error;
#[cfg(feature = "aws")]
mod fail_fast;
mod fixed;
mod headers;
mod signer;
mod unreachable;

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::http::HttpRequest;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region, StalledStreamProtectionConfig};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_smithy_runtime_api::client::http::{
    HttpConnector as _, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use thiserror::Error;

use connector::Connector;
pub use error::{AwsError, AwsErrorKind};
#[cfg(feature = "aws")]
pub use fail_fast::http_client;
use fixed::{FixedEndpoint, FixedIdentity, address};
use headers::OwnHeaders;
use signer::Signer;
pub use unreachable::Unreachable;

/// For one try. Without it a connection that died while the function was frozen
/// hangs for ever (measured).
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);
/// For a call with all its tries.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(6);
/// For a connection. The connector is shared, so this can't come from a client's
/// configuration.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// For opening a connection while the function starts.
const WARM_UP_TIMEOUT: Duration = Duration::from_secs(1);
/// `BehaviorVersion` would wait a second before the second try.
const FIRST_BACKOFF: Duration = Duration::from_millis(25);
const ATTEMPTS: u32 = 4;

/// Which certificate authorities are trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustRoots {
    /// Amazon's, pinned.
    Amazon,
    /// The system's, or those of `SSL_CERT_FILE`.
    System,
}

/// Addresses of the services, where they are not AWS's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// The address of DynamoDB.
    pub dynamodb: Option<String>,
    /// The address of SNS.
    pub sns: Option<String>,
}

/// What is needed to call AWS.
#[derive(Debug, Clone)]
pub struct AwsConfig {
    /// The region of all calls, such as `eu-central-1`.
    pub region: String,
    /// Whose rights the calls have. They must outlive the process.
    pub credentials: Credentials,
    /// Addresses that are not AWS's.
    pub endpoints: Endpoints,
    /// Which certificate authorities are trusted.
    pub trust_roots: TrustRoots,
}

/// TLS could not be set up.
#[derive(Debug, Error)]
#[error("TLS can't be set up: {0}")]
pub struct TlsError(String);

/// Makes clients that share one HTTP client, and so its connections.
#[derive(Debug, Clone)]
pub struct Aws {
    config: AwsConfig,
    connector: SharedHttpConnector,
}

impl Aws {
    /// Sets up the HTTP client. No connection is opened.
    ///
    /// # Errors
    /// When TLS can't be set up.
    pub fn new(config: AwsConfig) -> Result<Self, TlsError> {
        let connector = Connector::new(config.trust_roots, CONNECT_TIMEOUT)?;
        let connector = SharedHttpConnector::new(connector);
        Ok(Self { config, connector })
    }

    /// A client of DynamoDB.
    #[must_use]
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        let mut config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(self.http_client())
            .interceptor(OwnHeaders)
            .region(Region::new(self.config.region.clone()))
            .credentials_provider(self.config.credentials.clone())
            .identity_cache(FixedIdentity::new(self.config.credentials.clone()))
            .timeout_config(timeouts())
            .retry_config(retries())
            .retry_classifier(RetryConflicts)
            // It has stopped calls falsely in Lambda; ours are small.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if let Some(address) = self.dynamodb_address() {
            let signer = Signer::of(&address, &self.config.region, "dynamodb");
            if let Some(signer) = signer {
                config = config.push_auth_scheme(signer);
            }
            config.set_endpoint_resolver(Some(FixedEndpoint::shared(address)));
        }
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    /// A client of SNS. It waits for an answer as long as its caller does: what was
    /// published is published again by a second try.
    #[must_use]
    pub fn sns(&self) -> aws_sdk_sns::Client {
        let mut config = aws_sdk_sns::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(self.http_client())
            .interceptor(OwnHeaders)
            .region(Region::new(self.config.region.clone()))
            .credentials_provider(self.config.credentials.clone())
            .identity_cache(FixedIdentity::new(self.config.credentials.clone()))
            .timeout_config(TimeoutConfig::disabled())
            .retry_config(retries())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        let endpoint = self.config.endpoints.sns.clone();
        let address = endpoint.or_else(|| address("sns", &self.config.region));
        if let Some(address) = address {
            let signer = Signer::of(&address, &self.config.region, "sns");
            if let Some(signer) = signer {
                config = config.push_auth_scheme(signer);
            }
            config.set_endpoint_resolver(Some(FixedEndpoint::shared(address)));
        }
        aws_sdk_sns::Client::from_conf(config.build())
    }

    /// Opens the connection to DynamoDB by an unsigned request, so that the
    /// first push does not wait for it. It needs no right, leaves no trace in
    /// CloudTrail, and whether it succeeds does not matter.
    pub async fn warm_up(&self) {
        let Some(address) = self.dynamodb_address() else {
            return;
        };
        if let Ok(request) = HttpRequest::get(format!("{}/ping", address.trim_end_matches('/'))) {
            let _ = tokio::time::timeout(WARM_UP_TIMEOUT, self.connector.call(request)).await;
        }
    }

    /// None where only the SDK's rules know it.
    fn dynamodb_address(&self) -> Option<String> {
        let endpoint = self.config.endpoints.dynamodb.clone();
        endpoint.or_else(|| address("dynamodb", &self.config.region))
    }

    fn http_client(&self) -> SharedHttpClient {
        let connector = self.connector.clone();
        http_client_fn(move |_, _| connector.clone())
    }
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build()
}

fn retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(ATTEMPTS)
        .with_initial_backoff(FIRST_BACKOFF)
}

/// Lets the SDK retry a plain write that met a running transaction, since one push
/// of buildx is several within a second. The SDK's own lists do not have this error.
#[derive(Debug, Default)]
pub struct RetryConflicts;

impl ClassifyRetry for RetryConflicts {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = match context.output_or_error() {
            Some(Err(error)) => error.as_operation_error(),
            _ => None,
        };
        let conflicts = error.is_some_and(|error| {
            let update = error.downcast_ref::<UpdateItemError>();
            let put = error.downcast_ref::<PutItemError>();
            update.is_some_and(UpdateItemError::is_transaction_conflict_exception)
                || put.is_some_and(PutItemError::is_transaction_conflict_exception)
        });
        if conflicts {
            RetryAction::transient_error()
        } else {
            RetryAction::NoActionIndicated
        }
    }

    fn name(&self) -> &'static str {
        "transaction conflicts"
    }
}
