//! `pushwatch investigate`: from where, by whom, and where does it run.
//!
//! ```text
//! subject ─► conduct ─┬─► source    what is asked; `offline` answers from CloudTrail files,
//!                     │             `event_history` and `live` from AWS
//!                     ├─► origin, issuance, behaviour, image, actions   the answers, pure
//!                     └─► answer ─► page
//! ```

mod actions;
mod answer;
mod behaviour;
mod call;
mod conduct;
#[cfg(feature = "aws")]
mod deployed;
#[cfg(feature = "aws")]
mod event_history;
mod image;
mod issuance;
#[cfg(feature = "aws")]
mod live;
mod offline;
mod origin;
mod page;
#[cfg(feature = "aws")]
mod registry;
#[cfg(feature = "aws")]
mod sdk;
mod session;
mod source;
mod subject;
#[cfg(feature = "aws")]
mod workloads;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use pushwatch::render::safe;
use pushwatch::text::clean_json;

use self::answer::Investigation;
use self::conduct::{Case, conduct};
use self::offline::{ArchiveRecords, NotAsked};
use self::page::{Form, page};
use self::source::Records as _;
use crate::deployment::TablesArgs;
use crate::error::{CommandError, exit_code};
use crate::runtime::block_on;
use crate::ui::say;

/// Find out from where an image was pushed, by whom, and where it runs
///
/// CloudTrail says of every docker push that it came from `AWS Internal`. Other records of the
/// same session say more: from where the token of `docker login` was asked for, how the
/// credentials came about, and what else was done with them. Each answer comes with the record
/// that proves it; what can't be known is said, and why. It only reads.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  # A finding of a deployment, as its e-mail names it
  pushwatch investigate 8d37456e-2f2f-5793-8adc-98d29ab29843 --stack pushwatch

  # An event of CloudTrail's event history, to its end, and functions too
  pushwatch investigate 3607e37b-38de-4320-a029-7ca8ab667ffc --thorough --lambda

  # Without AWS: an event, and the trail's files
  pushwatch investigate 3607e37b-38de-4320-a029-7ca8ab667ffc AWSLogs/
  pushwatch investigate event.json AWSLogs/

  # For a ticket
  pushwatch investigate event.json AWSLogs/ --format markdown")]
pub struct InvestigateArgs {
    /// The id of an event, a file with one (- is standard input); with --stack or --table also
    /// the id of a finding
    #[arg(value_name = "EVENT")]
    pub subject: PathBuf,

    /// CloudTrail files, or folders of them, that are looked through
    #[arg(value_name = "ARCHIVE")]
    pub archive: Vec<PathBuf>,

    /// The form
    #[arg(long, value_enum, default_value_t = PageFormat::Text)]
    pub format: PageFormat,

    #[command(flatten)]
    pub tables: TablesArgs,

    /// Ask CloudTrail, ECS and Lambda to the end, however long it takes, instead of for a minute
    #[cfg(feature = "aws")]
    #[arg(long, help_heading = "Deployment")]
    pub thorough: bool,

    /// Ask Lambda for functions that run the image, too; its answers have the functions'
    /// environment variables in them, of which nothing is kept
    #[cfg(feature = "aws")]
    #[arg(long, help_heading = "Deployment")]
    pub lambda: bool,

    /// How long CloudTrail's event history is asked at most; for tests
    #[cfg(feature = "aws")]
    #[arg(long, hide = true, default_value_t = 60, value_name = "N")]
    pub lookup_seconds: u64,
}

/// The forms of an investigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PageFormat {
    /// For people
    Text,
    /// For tools
    Json,
    /// For a ticket
    Markdown,
}

/// Runs the command.
///
/// # Errors
/// When the push is not found, or is none; when a source can't be read at all.
pub fn run(args: &InvestigateArgs) -> Result<ExitCode, CommandError> {
    args.tables.check()?;
    block_on(async {
        if args.tables.name_a_deployment() || args.archive.is_empty() {
            with_aws(args).await
        } else {
            without_aws(args).await
        }
    })?
}

/// From files alone.
async fn without_aws(args: &InvestigateArgs) -> Result<ExitCode, CommandError> {
    let mut records = ArchiveRecords::of(&args.archive)?;
    let case = if names_a_file(args) {
        subject::in_file(&args.subject)?
    } else {
        event_of(subject::id(&args.subject)?, &mut records).await?
    };
    let investigation = conduct(&case, &mut records, &mut NotAsked, None).await?;
    finish(args, &case, &investigation)?;
    Ok(exit_code(records.has_faults()))
}

#[cfg(feature = "aws")]
async fn with_aws(args: &InvestigateArgs) -> Result<ExitCode, CommandError> {
    Box::pin(deployed::investigate(args)).await
}

#[cfg(not(feature = "aws"))]
#[expect(clippy::unused_async, reason = "only AWS is waited for")]
async fn with_aws(args: &InvestigateArgs) -> Result<ExitCode, CommandError> {
    if args.archive.is_empty() && !args.tables.name_a_deployment() {
        return Err(CommandError::Usage(
            "no ARCHIVE is given: name CloudTrail files or a folder such as AWSLogs/; CloudTrail's \
             event history is asked by builds with the feature aws only"
                .to_owned(),
        ));
    }
    Err(crate::deployment::DeploymentError::NotInThisBuild.into())
}

fn names_a_file(args: &InvestigateArgs) -> bool {
    args.subject.as_os_str() == "-" || args.subject.is_file()
}

/// The push of an id in an archive.
async fn event_of(id: &str, records: &mut ArchiveRecords) -> Result<Case, CommandError> {
    match records.event(id).await? {
        Some(call) => subject::of_call(call),
        None => Err(CommandError::Usage(format!(
            "no event {} is in the archive; `pushwatch replay --format json` shows the ids of its \
             pushes, and a finding's id needs --stack NAME",
            safe(id, 80)
        ))),
    }
}

/// Prints the answers.
fn finish(
    args: &InvestigateArgs,
    case: &Case,
    investigation: &Investigation,
) -> Result<(), CommandError> {
    if !args.archive.is_empty() && is_bare(investigation) {
        say(&format!(
            "No other record of the session of event {} is in the archive: give the files of its \
             region and of us-east-1, of the hours before the push, of the caller's account.",
            safe(&case.push.event_id, 80)
        ));
    }
    let text = match args.format {
        PageFormat::Text => page(investigation, Form::Text),
        PageFormat::Markdown => page(investigation, Form::Markdown),
        PageFormat::Json => {
            let json = serde_json::to_string(investigation).map_err(CommandError::store)?;
            clean_json(&json) + "\n"
        }
    };
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(CommandError::Output)
}

fn is_bare(investigation: &Investigation) -> bool {
    let known = [
        investigation.from.len(),
        investigation.issued_by.len(),
        investigation.calls.len(),
    ];
    known == [0; 3]
}
