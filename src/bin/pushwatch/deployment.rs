//! A deployment of PushWatch: its tables and its topic, reached from a laptop
//! with whatever credentials its user has.

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::provider::ProvideCredentials as _;
use clap::Args;
use pushwatch::aws::{Aws, AwsConfig, TlsError, TrustRoots};
use pushwatch::config::{ConfigError, endpoints};
use pushwatch::notify::SnsNotifier;
use pushwatch::store::DynamoStore;
use thiserror::Error;

/// Which deployment.
#[derive(Debug, Args)]
#[command(next_help_heading = "Deployment")]
pub struct DeploymentArgs {
    /// The uploaders table of a deployment, instead of the embedded store
    #[arg(long, value_name = "NAME", requires_all = ["findings_table", "topic"], conflicts_with_all = ["known", "save"])]
    pub table: Option<String>,

    /// Its findings table
    #[arg(long, value_name = "NAME", requires = "table")]
    pub findings_table: Option<String>,

    /// Its topic; findings are published there too
    #[arg(long, value_name = "ARN", requires = "table")]
    pub topic: Option<String>,

    /// Its region, if it is not the one of your AWS profile
    #[arg(long, requires = "table")]
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
    Setting(#[from] ConfigError),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Its store and its notifier.
pub struct Deployment {
    pub store: DynamoStore,
    pub notifier: SnsNotifier,
}

impl DeploymentArgs {
    /// Finds region and credentials; none if no deployment is named.
    ///
    /// # Errors
    /// When one of them is missing. No table is asked yet.
    pub async fn reach(&self, absence_days: u16) -> Result<Option<Deployment>, DeploymentError> {
        let (Some(table), Some(findings), Some(topic)) =
            (&self.table, &self.findings_table, &self.topic)
        else {
            return Ok(None);
        };
        let http = pushwatch::aws::http_client(TrustRoots::System)?;
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(http);
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        let found = loader.load().await;
        let region = found.region().ok_or(DeploymentError::NoRegion)?.to_string();
        let none = || DeploymentError::NoCredentials("there is no provider".to_owned());
        let credentials = found.credentials_provider().ok_or_else(none)?;
        // Asked for here, so that what is missing is said before any work.
        credentials
            .provide_credentials()
            .await
            .map_err(|error| DeploymentError::NoCredentials(error.to_string()))?;
        let aws = Aws::new(AwsConfig {
            region: region.clone(),
            credentials,
            endpoints: endpoints(|name| std::env::var(name).ok())?,
            trust_roots: TrustRoots::System,
        })?;
        Ok(Some(Deployment {
            notifier: SnsNotifier::new(aws.sns(), topic.clone(), absence_days, table, &region),
            store: DynamoStore::new(aws.dynamodb(), table.clone(), findings.clone()),
        }))
    }
}
