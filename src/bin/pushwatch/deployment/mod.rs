//! Which uploaders a command is about: those of a deployment (its tables, its topic), or
//! those of an uploaders file.

#[cfg(feature = "aws")]
mod activity;
#[cfg(feature = "aws")]
mod clients;
mod error;
#[cfg(feature = "aws")]
mod queue;
#[cfg(feature = "aws")]
mod session;
#[cfg(feature = "aws")]
mod stack;
#[cfg(feature = "aws")]
mod stack_settings;

use std::path::PathBuf;

use clap::Args;

#[cfg(feature = "aws")]
pub use activity::{Activity, Series};
pub use error::DeploymentError;
#[cfg(feature = "aws")]
pub use queue::{QueueAttributes, messages_in};
#[cfg(feature = "aws")]
pub use session::{Session, check_region};
#[cfg(feature = "aws")]
pub use stack::Stack;
#[cfg(feature = "aws")]
pub use stack_settings::StackSettings;

#[cfg(feature = "aws")]
/// The stack that a command is about: that of its option, or of the environment.
///
/// # Errors
/// When neither names one.
pub fn stack_name(option: Option<&str>) -> Result<String, DeploymentError> {
    let variable = || std::env::var("PUSHWATCH_STACK").ok();
    let name = option.map(str::to_owned).or_else(variable);
    name.filter(|name| !name.trim().is_empty())
        .ok_or(DeploymentError::NoStack)
}

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

impl TablesArgs {
    /// Whether they name a deployment.
    pub fn name_a_deployment(&self) -> bool {
        self.stack.is_some() || self.table.is_some()
    }

    /// These, or what the environment names where they name none.
    pub fn or_environment(mut self) -> Self {
        if !self.name_a_deployment() {
            let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
            self.stack = variable("PUSHWATCH_STACK");
            if self.stack.is_none() {
                self.table = variable("UPLOADERS_TABLE");
                self.findings_table = variable("FINDINGS_TABLE");
            }
        }
        self
    }

    /// Looks at the options before anything is asked for.
    ///
    /// # Errors
    /// When one of them is empty, as where a variable of the shell is.
    pub fn check(&self) -> Result<(), DeploymentError> {
        for (option, value) in [
            ("--stack", &self.stack),
            ("--table", &self.table),
            ("--findings-table", &self.findings_table),
        ] {
            if value
                .as_deref()
                .is_some_and(|value| value.trim().is_empty())
            {
                return Err(DeploymentError::Empty(option));
            }
        }
        Ok(())
    }
}

/// The options that say whose uploaders.
#[derive(Debug, Clone, Default, Args)]
pub struct TargetArgs {
    /// An uploaders file, instead of a deployment
    #[arg(long, conflicts_with_all = ["stack", "table", "region"], help_heading = "Deployment")]
    pub file: Option<PathBuf>,

    #[command(flatten)]
    pub tables: TablesArgs,
}

/// Whose uploaders.
#[derive(Debug)]
pub enum Target {
    File(PathBuf),
    #[cfg(feature = "aws")]
    Tables(Box<Session>, Names),
}

impl TargetArgs {
    /// What the options name, or else the environment.
    ///
    /// # Errors
    /// When neither names anything; when it can't be reached.
    #[cfg_attr(
        not(feature = "aws"),
        expect(clippy::unused_async, reason = "only AWS is waited for")
    )]
    pub async fn find(&self) -> Result<Target, DeploymentError> {
        if let Some(path) = &self.file {
            return Ok(Target::File(path.clone()));
        }
        let tables = self.tables.clone().or_environment();
        if !tables.name_a_deployment() {
            return Err(DeploymentError::NoTarget);
        }
        tables.check()?;
        #[cfg(feature = "aws")]
        {
            let session = Session::open(tables.region.as_deref(), false).await?;
            let names = session.names(&tables).await?;
            Ok(Target::Tables(Box::new(session), names))
        }
        #[cfg(not(feature = "aws"))]
        Err(DeploymentError::NotInThisBuild)
    }
}

#[cfg(feature = "aws")]
/// A deployment's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    pub uploaders: String,
    pub findings: Option<String>,
    pub topic_arn: Option<String>,
}
