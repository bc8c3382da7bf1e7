//! `pushwatch findings`: the findings of a deployment in people's hands.

mod answer;
mod json;
mod list;
mod show;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use pushwatch::render::RenderContext;
use pushwatch::store::{DynamoStore, StoredFinding};
use pushwatch::text::clean_cut;

use crate::deployment::{DeploymentError, Session, TablesArgs};
use crate::error::CommandError;
use crate::known::find_finding;
use crate::runtime::block_on;

/// Look at the findings of a deployment, and answer them
///
/// A finding stays in the table for 400 days after it was published, answered or not.
/// Trusting or revoking an uploader answers the open findings about it too.
#[derive(Debug, Args)]
#[command(after_help = "\
Without --stack and --table the environment says which deployment:
PUSHWATCH_STACK, or UPLOADERS_TABLE and FINDINGS_TABLE.")]
pub struct FindingsArgs {
    #[command(subcommand)]
    command: FindingsCommand,
}

#[derive(Debug, Subcommand)]
enum FindingsCommand {
    List(list::ListArgs),
    Show(show::ShowArgs),
    Answer(answer::AnswerArgs),
}

impl FindingsCommand {
    fn tables(&self) -> &TablesArgs {
        match self {
            Self::List(args) => &args.tables,
            Self::Show(args) => &args.tables,
            Self::Answer(args) => &args.tables,
        }
    }
}

/// The deployment whose findings they are.
struct Deployment {
    session: Session,
    store: DynamoStore,
    render: RenderContext,
    now: Timestamp,
}

impl Deployment {
    async fn find(tables: &TablesArgs) -> Result<Self, DeploymentError> {
        let tables = tables.clone().or_environment();
        tables.check()?;
        if !tables.name_a_deployment() {
            return Err(DeploymentError::NoFindings);
        }
        let session = Session::open(tables.region.as_deref(), false).await?;
        let names = session.names(&tables).await?;
        if names.findings.is_none() {
            return Err(DeploymentError::NoFindings);
        }
        Ok(Self {
            store: session.store(&names),
            // Which absence the function lets pass is not asked for.
            render: session.render_context(&names, 0),
            session,
            now: Timestamp::now(),
        })
    }

    /// The finding whose id is typed, or the one whose id begins so.
    ///
    /// # Errors
    /// When there is none, or several; when the store fails.
    async fn finding(&self, typed: &str) -> Result<StoredFinding, CommandError> {
        if typed.trim().is_empty() {
            return Err(CommandError::Usage(
                "the ID is empty, maybe since a variable is; `pushwatch findings list` shows the ids"
                    .to_owned(),
            ));
        }
        let found = find_finding(&self.store, typed).await?;
        found.ok_or_else(|| CommandError::NoSuchFinding(clean_cut(typed, 80)))
    }
}

/// Runs the command.
///
/// # Errors
/// On a wrong option, before any work; when a call or output fails.
pub fn run(args: &FindingsArgs) -> Result<ExitCode, CommandError> {
    block_on(async {
        let deployment = Deployment::find(args.command.tables()).await?;
        match &args.command {
            FindingsCommand::List(args) => list::list(&deployment, args).await,
            FindingsCommand::Show(args) => show::show(&deployment, args).await,
            FindingsCommand::Answer(args) => answer::answer(&deployment, args).await,
        }
    })?
}
