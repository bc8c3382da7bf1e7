//! Why a deployment can't be reached.

#[cfg(feature = "aws")]
use pushwatch::aws::TlsError;
use thiserror::Error;

/// Why a deployment can't be reached.
#[derive(Debug, Error)]
pub enum DeploymentError {
    #[error("no region is set; give --region, or set AWS_REGION")]
    NoRegion,
    #[error("`{0}` can't be a region; give one such as eu-central-1 with {1}")]
    BadRegion(String, &'static str),
    #[error("{0} is empty, maybe since a variable is; give a name")]
    Empty(&'static str),
    #[error(
        "AWS_PROFILE names the profile {0}, which does not exist; `aws configure list-profiles` shows those that do"
    )]
    NoProfile(String),
    #[error(
        "no AWS credentials are found: {0}; sign in (`aws login` or `aws sso login`), or set AWS_PROFILE"
    )]
    NoCredentials(String),
    #[cfg(feature = "aws")]
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("stack {stack} in {region}: {fault}; {advice}")]
    Stack {
        stack: String,
        region: String,
        fault: String,
        advice: String,
    },
    #[error("stack {stack} has no output {output}: is it a stack of PushWatch?")]
    NoOutput { stack: String, output: &'static str },
    #[error("STS can't say who you are: {fault}; {advice}")]
    WhoAmI { fault: String, advice: String },
    #[cfg(feature = "aws")]
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    #[error(
        "--known and --save are for the embedded store; the tables of a deployment remember by themselves"
    )]
    TwoStores,
    #[error("--table needs --findings-table and --topic too; --stack NAME finds all three")]
    Incomplete,
    #[error(
        "whose uploaders? Give --stack NAME, --table NAME or --file FILE, or set PUSHWATCH_STACK or UPLOADERS_TABLE"
    )]
    NoTarget,
    #[error(
        "whose findings? Give --stack NAME, or --table NAME and --findings-table NAME, or set PUSHWATCH_STACK, or UPLOADERS_TABLE and FINDINGS_TABLE"
    )]
    NoFindings,
    #[error("which deployment? Give --stack NAME, or set PUSHWATCH_STACK")]
    NoStack,
    #[cfg(not(feature = "aws"))]
    #[error(
        "this build can't talk to AWS: `cargo install --path . --profile cli --features aws` installs one that can"
    )]
    NotInThisBuild,
}

/// A parameter whose value can't be a setting's.
#[cfg(feature = "aws")]
#[derive(Debug, Error)]
#[error("stack {stack}: parameter {parameter}: {fault}")]
pub struct ParameterError {
    pub stack: String,
    pub parameter: &'static str,
    pub fault: String,
}
