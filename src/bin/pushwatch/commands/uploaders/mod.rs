//! `pushwatch uploaders`: the known uploaders in people's hands.

mod change;
mod export;
mod habits;
mod import;
mod list;
mod show;
#[cfg(feature = "aws")]
mod take_over;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use pushwatch::render::RenderContext;
use pushwatch::store::Manage;

#[cfg(feature = "aws")]
use crate::deployment::Names;
use crate::deployment::{Target, TargetArgs};
use crate::error::CommandError;
use crate::known::{read_file, write_file};
use crate::list::check_can_be_rewritten;
use crate::runtime::block_on;

/// Look at the known uploaders, trust, revoke, import and export them
///
/// The uploaders are those of a deployment (--stack NAME, or --table NAME), or those
/// of an uploaders file (--file FILE), without AWS.
#[derive(Debug, Args)]
#[command(after_help = "\
Without --stack, --table and --file the environment says which deployment:
PUSHWATCH_STACK, or UPLOADERS_TABLE and FINDINGS_TABLE.")]
pub struct UploadersArgs {
    #[command(subcommand)]
    command: UploadersCommand,
}

#[derive(Debug, Subcommand)]
enum UploadersCommand {
    List(list::ListArgs),
    Show(show::ShowArgs),
    Trust(change::TrustArgs),
    Revoke(change::RevokeArgs),
    Forget(change::ForgetArgs),
    Allow(habits::AllowArgs),
    Habits(habits::HabitsArgs),
    Import(import::ImportArgs),
    Export(export::ExportArgs),
}

impl UploadersCommand {
    fn target(&self) -> &TargetArgs {
        match self {
            Self::List(args) => &args.target,
            Self::Show(args) => &args.target,
            Self::Trust(args) => &args.target,
            Self::Revoke(args) => &args.target,
            Self::Forget(args) => &args.target,
            Self::Allow(args) => &args.target,
            Self::Habits(args) => &args.target,
            Self::Import(args) => &args.target,
            Self::Export(args) => &args.target,
        }
    }

    /// The key that is typed, if one is.
    fn key(&self) -> Option<&str> {
        match self {
            Self::Show(args) => Some(&args.key),
            Self::Trust(args) => Some(&args.key),
            Self::Revoke(args) => Some(&args.key),
            Self::Forget(args) => Some(&args.key),
            Self::Allow(args) => Some(&args.key),
            Self::Habits(args) => Some(&args.key),
            Self::List(_) | Self::Import(_) | Self::Export(_) => None,
        }
    }

    /// Whether there may be no uploaders file yet.
    fn may_begin_a_file(&self) -> bool {
        matches!(self, Self::Trust(_) | Self::Revoke(_) | Self::Import(_))
    }
}

/// What a command needs to know beside the store.
pub struct Context {
    /// Who types it.
    pub caller: String,
    /// Where findings can be looked up, if they can.
    pub findings: Option<RenderContext>,
    pub now: Timestamp,
}

/// Runs the command.
///
/// # Errors
/// On a wrong option, before any work; when a call or output fails.
pub fn run(args: &UploadersArgs) -> Result<ExitCode, CommandError> {
    block_on(run_on(&args.command))?
}

async fn run_on(command: &UploadersCommand) -> Result<ExitCode, CommandError> {
    let now = Timestamp::now();
    if command.key().is_some_and(|key| key.trim().is_empty()) {
        return Err(CommandError::Usage(
            "the KEY is empty, maybe since a variable is; `pushwatch uploaders list` shows the keys"
                .to_owned(),
        ));
    }
    match command.target().find().await? {
        Target::File(path) => {
            if matches!(
                command,
                UploadersCommand::Forget(_)
                    | UploadersCommand::Allow(_)
                    | UploadersCommand::Habits(_)
            ) {
                check_can_be_rewritten(&path)?;
            }
            let store = read_file(&path, command.may_begin_a_file())?;
            let context = Context::of_file(now);
            let outcome = Box::pin(dispatch(&store, command, &context)).await?;
            if outcome.has_changed {
                write_file(&store, &path)?;
            }
            Ok(outcome.code)
        }
        #[cfg(feature = "aws")]
        Target::Tables(session, mut names) => {
            // These answer findings, and the command that findings tell people to type
            // names the uploaders table alone.
            if names.findings.is_none()
                && matches!(
                    command,
                    UploadersCommand::Trust(_) | UploadersCommand::Revoke(_)
                )
            {
                names.findings = session.findings_table_beside(&names.uploaders).await;
            }
            let store = session.store(&names);
            let context = Context {
                // Only who changes something is asked for.
                caller: match command {
                    UploadersCommand::Trust(_)
                    | UploadersCommand::Revoke(_)
                    | UploadersCommand::Allow(_)
                    | UploadersCommand::Import(_) => session.caller().await?.arn,
                    _ => String::new(),
                },
                // Which absence the function lets pass is not asked for.
                findings: names
                    .findings
                    .as_ref()
                    .map(|_| session.render_context(&names, 0)),
                now,
            };
            let outcome = match command {
                UploadersCommand::Import(args) if args.from_table.is_some() => {
                    let from = session.store(&source(args, &names)?);
                    Box::pin(import::import_tables(&store, &from, args, &context)).await?
                }
                _ => Box::pin(dispatch(&store, command, &context)).await?,
            };
            Ok(outcome.code)
        }
    }
}

/// The tables that an import takes over.
#[cfg(feature = "aws")]
fn source(args: &import::ImportArgs, target: &Names) -> Result<Names, CommandError> {
    let usage = |fault: &str| Err(CommandError::Usage(fault.to_owned()));
    let uploaders = args.from_table.clone().unwrap_or_default();
    let findings = args.from_findings_table.clone();
    if uploaders.trim().is_empty()
        || findings
            .as_deref()
            .is_some_and(|name| name.trim().is_empty())
    {
        return usage(
            "--from-table or --from-findings-table is empty; give the restored table's name",
        );
    }
    if uploaders == target.uploaders || findings.is_some() && findings == target.findings {
        return usage("that is the deployment's own table; give the name of the restored one");
    }
    if findings.is_some() && target.findings.is_none() {
        return usage("where shall the findings go? Give --stack NAME, or --findings-table NAME");
    }
    Ok(Names {
        uploaders,
        findings,
        topic_arn: None,
    })
}

async fn dispatch<S: Manage>(
    store: &S,
    command: &UploadersCommand,
    context: &Context,
) -> Result<CommandOutcome, CommandError> {
    match command {
        UploadersCommand::List(args) => list::list(store, args, context)
            .await
            .map(CommandOutcome::looked),
        UploadersCommand::Show(args) => show::show(store, args, context)
            .await
            .map(CommandOutcome::looked),
        UploadersCommand::Trust(args) => change::trust(store, args, context).await,
        UploadersCommand::Revoke(args) => change::revoke(store, args, context).await,
        UploadersCommand::Forget(args) => change::forget(store, args, context).await,
        UploadersCommand::Allow(args) => habits::allow(store, args, context).await,
        UploadersCommand::Habits(args) => habits::habits(store, args, context).await,
        UploadersCommand::Import(args) => import::import(store, args, context).await,
        UploadersCommand::Export(args) => export::export(store, args)
            .await
            .map(CommandOutcome::looked),
    }
}

impl Context {
    /// For an uploaders file, which knows no AWS.
    pub fn of_file(now: Timestamp) -> Self {
        Self {
            caller: std::env::var("USER")
                .or_else(|_| std::env::var("USERNAME"))
                .unwrap_or_else(|_| "somebody".to_owned()),
            findings: None,
            now,
        }
    }
}

/// What a command did.
pub struct CommandOutcome {
    pub code: ExitCode,
    /// Whether a record is another one now.
    pub has_changed: bool,
}

impl CommandOutcome {
    fn looked(code: ExitCode) -> Self {
        Self {
            code,
            has_changed: false,
        }
    }

    fn changed(has_changed: bool) -> Self {
        Self {
            code: ExitCode::SUCCESS,
            has_changed,
        }
    }
}
