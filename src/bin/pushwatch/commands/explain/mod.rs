//! `pushwatch explain`: why an event is reported, or not.

#[cfg(feature = "aws")]
mod deployed;
mod lines;
mod push;
#[cfg(feature = "aws")]
mod stored;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use pushwatch::store::Store as _;
use pushwatch::watch::Watch;

use crate::args::PolicyArgs;
use crate::deployment::TablesArgs;
use crate::error::{CommandError, exit_code};
use crate::input::{self, Selection};
use crate::runtime::block_on;

/// Explain who the uploader of each push is, and what is decided on it
///
/// The tool for "why was it not reported?": for each event it shows the row of the
/// identity table that gives the uploader's key, and the row of the decision
/// table that applies, or why the event is ignored.
///
/// With --stack or --table it says what this deployment knows and did: its settings, the
/// stored record, and whether there is a finding, owed, published or answered. It takes
/// ids and keys then, beside files: of an event, a finding or an uploader. It only reads.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  # One event, as PushWatch sees it with nothing known
  pushwatch explain events/sso-user.json

  # The same, with the settings and uploaders of a deployment
  pushwatch explain --trusted 'arn:aws:iam::*:role/ci-*' --known known.jsonl event.json

  # Why was this told, or not, by our deployment? By event, finding or uploader
  pushwatch explain --stack pushwatch event.json
  pushwatch explain --stack pushwatch 3607e37b-38de-4320-a029-7ca8ab667ffc
  pushwatch explain --stack pushwatch arn:aws:iam::111122223333:user/test")]
pub struct ExplainArgs {
    /// Files, folders, or - for standard input; with --stack or --table also the id of an event or
    /// a finding, or an uploader's key
    #[arg(required = true, value_name = "PATH")]
    pub subjects: Vec<PathBuf>,

    #[command(flatten)]
    pub policy: PolicyArgs,

    #[command(flatten)]
    pub tables: TablesArgs,
}

/// Runs the command.
///
/// # Errors
/// On a wrong option, before any work; when a call or output fails.
pub fn run(args: &ExplainArgs) -> Result<ExitCode, CommandError> {
    block_on(async {
        if args.tables.name_a_deployment() {
            in_deployment(args).await
        } else {
            in_memory(args).await
        }
    })?
}

#[cfg(feature = "aws")]
async fn in_deployment(args: &ExplainArgs) -> Result<ExitCode, CommandError> {
    Box::pin(deployed::explain(args)).await
}

#[cfg(not(feature = "aws"))]
#[expect(clippy::unused_async, reason = "only AWS is waited for")]
async fn in_deployment(_: &ExplainArgs) -> Result<ExitCode, CommandError> {
    Err(crate::deployment::DeploymentError::NotInThisBuild.into())
}

/// As a deployment would that knows what the options say, and nothing else.
async fn in_memory(args: &ExplainArgs) -> Result<ExitCode, CommandError> {
    let watch = Watch::in_memory(args.policy.store()?, args.policy.policy()?);
    let contents = input::read(
        &args.subjects,
        Selection::Everything,
        Timestamp::now(),
        false,
    );
    let mut output = io::stdout().lock();
    for why in &contents.ignored {
        writeln!(output, "Ignored: {why}").map_err(CommandError::Output)?;
    }
    for pushed in &contents.pushes {
        let uploader = &pushed.identification.uploader;
        let before = watch.store.find(&uploader.key).await;
        let before = before.map_err(CommandError::store)?;
        let outcome = watch.push(&pushed.push, uploader, Timestamp::MAX).await;
        let outcome = outcome.map_err(|error| CommandError::Watch(error.to_string()))?;
        let mut lines = push::heading(&pushed.push);
        push::identity(&mut lines, pushed);
        let case = push::Case {
            pushed,
            before: before.as_ref(),
            policy: &watch.policy,
            suppressed_by: "--suppress",
        };
        case.outcome(&mut lines, &outcome.into(), "");
        output
            .write_all(lines.into_text().as_bytes())
            .map_err(CommandError::Output)?;
    }
    Ok(exit_code(contents.fault_count > 0))
}
