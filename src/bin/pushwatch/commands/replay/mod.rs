//! `pushwatch replay`: CloudTrail files in, findings out.

#[cfg(feature = "aws")]
mod deployed;
mod pushes;
mod summary;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use indicatif::ProgressBar;
use jiff::Timestamp;
use pushwatch::policy::Policy;
use pushwatch::store::MemoryStore;
use pushwatch::watch::Watch;

use crate::args::{FormatArg, PolicyArgs, render_context};
use crate::deployment::TablesArgs;
use crate::error::{CommandError, exit_code};
use crate::input::{self, Contents, Selection};
use crate::list::Save;
use crate::runtime::block_on;
use crate::ui::say;
use summary::Summary;

/// There are findings, and `--fail-on-finding` asks for this code.
const EXIT_FINDING: u8 = 3;

/// Replay CloudTrail events and show what PushWatch would have reported
///
/// Reads files, folders (with all folders in them) and `-` for standard input:
/// EventBridge events, CloudTrail records, arrays of either, CloudTrail's
/// {"Records":[…]} files and JSON Lines, plain or gzipped. Pushes are handled in
/// the order of their event times. Findings go to standard output, all else to
/// standard error.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  # The sample events
  pushwatch replay events/

  # Last month's CloudTrail files, as JSON for other tools
  pushwatch replay --format json AWSLogs/111122223333/CloudTrail/ > findings.jsonl

  # Day by day, remembering who was seen
  pushwatch replay --save known.jsonl 2026/01/01/
  pushwatch replay --known known.jsonl --save known.jsonl 2026/01/02/

  # Learn from January, report what is new in February
  pushwatch replay --learning-until 2026-02-01 2026/01/ 2026/02/

  # Trust the build roles, and leave the sandbox alone
  pushwatch replay --trusted 'arn:aws:iam::*:role/ci-*' \\
    --suppress 'push.repository.startsWith(\"sandbox/\")' 2026/

  # What a deployment has missed: its tables remember, its topic notifies, and its
  # settings count, but for those that an option gives
  pushwatch replay --stack pushwatch missed/

Exit codes:
  0  all was read
  2  something could not be read, or an option is wrong
  3  there are findings, and --fail-on-finding is set; it goes before 2")]
pub struct ReplayArgs {
    /// Files, folders, or - for standard input [default: -, if something is piped in]
    pub paths: Vec<PathBuf>,

    #[command(flatten)]
    pub policy: PolicyArgs,

    #[command(flatten)]
    pub tables: TablesArgs,

    /// The deployment's topic; findings are published there too
    #[arg(
        long,
        value_name = "ARN",
        requires = "table",
        help_heading = "Deployment"
    )]
    pub topic: Option<String>,

    /// How findings are shown
    #[arg(long, value_enum, default_value_t = FormatArg::Text)]
    pub format: FormatArg,

    /// Also show the findings about learned uploaders, not just their count
    #[arg(long)]
    pub show_learned: bool,

    /// Write all uploaders to this file at the end; --known reads it
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,

    /// Exit with 3 when there are findings
    #[arg(long)]
    pub fail_on_finding: bool,

    /// No progress and no summary
    #[arg(long, short)]
    pub quiet: bool,
}

/// Runs the command.
///
/// # Errors
/// On a wrong option, before any work; when output or `--save` fails.
pub fn run(args: &ReplayArgs) -> Result<ExitCode, CommandError> {
    let paths = paths(args)?;
    let policy = args.policy.policy()?;
    let known = args.policy.store()?;
    let save = args.save.as_deref().map(Save::prepare).transpose()?;
    let summary = block_on(async {
        if args.tables.name_a_deployment() {
            in_deployment(args, &paths).await
        } else {
            in_memory(args, &paths, policy, known, save).await
        }
    })??;
    if !args.quiet && !summary.output_closed {
        say(summary.to_string().trim_end());
    }
    Ok(if args.fail_on_finding && summary.reported() > 0 {
        ExitCode::from(EXIT_FINDING)
    } else {
        exit_code(summary.faults > 0 || summary.publish_fault)
    })
}

/// Replays into the tables of a deployment; its topic notifies people.
#[cfg(feature = "aws")]
async fn in_deployment(args: &ReplayArgs, paths: &[PathBuf]) -> Result<Summary, CommandError> {
    let (watch, context) = deployed::watch(args).await?;
    let contents = read(args, paths);
    // A push takes a call or two.
    let bar = if args.quiet {
        ProgressBar::hidden()
    } else {
        crate::ui::bar(
            0,
            "{spinner} {bar:40} {pos} of {len} pushes decided, {eta} left",
        )
    };
    pushes::replay(&watch, context, contents, args, &bar).await
}

#[cfg(not(feature = "aws"))]
#[expect(clippy::unused_async, reason = "only AWS is waited for")]
async fn in_deployment(_: &ReplayArgs, _: &[PathBuf]) -> Result<Summary, CommandError> {
    Err(crate::deployment::DeploymentError::NotInThisBuild.into())
}

/// Replays into the embedded store. The findings that are shown are all there is.
async fn in_memory(
    args: &ReplayArgs,
    paths: &[PathBuf],
    policy: Policy,
    known: MemoryStore,
    save: Option<Save>,
) -> Result<Summary, CommandError> {
    let region = args.tables.region.as_deref();
    let context = render_context(None, None, region, policy.absence_days);
    let watch = Watch::in_memory(known, policy);
    let contents = read(args, paths);
    let mut summary =
        pushes::replay(&watch, context, contents, args, &ProgressBar::hidden()).await?;
    summary.uploaders = Some(watch.store.len());
    if let Some(save) = save {
        save.write(&watch.store.records())?;
    }
    Ok(summary)
}

fn read(args: &ReplayArgs, paths: &[PathBuf]) -> Contents {
    input::read(paths, Selection::Pushes, Timestamp::now(), args.quiet)
}

fn paths(args: &ReplayArgs) -> Result<Vec<PathBuf>, CommandError> {
    if !args.paths.is_empty() {
        return Ok(args.paths.clone());
    }
    if io::stdin().is_terminal() {
        return Err(CommandError::NothingToRead);
    }
    Ok(vec![PathBuf::from("-")])
}
