//! `pushwatch report`: who pushes, since when, and what is new, in one file to look at.
//!
//! ```text
//! archive ─► seen   ┐
//! tables            ┴─► gathered ─► build ─► data ─► page, summary, compare
//! ```

mod archive;
mod bars;
mod buckets;
mod build;
mod compare;
mod count;
mod coverage;
mod data;
mod embed;
mod figures;
mod gathered;
mod matrix;
mod page;
mod places;
mod questions;
mod seen;
mod sentence;
mod summary;
mod tables;
mod timeline;

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use pushwatch::text::clean_cut;

use crate::args::{PolicyArgs, time_of};
use crate::deployment::{Target, TargetArgs};
use crate::error::{CommandError, exit_code};
use crate::known::read_file;
use crate::list::Save;
use crate::runtime::block_on;
use crate::ui::say;
use crate::when::parse_since;
use data::{Source, SourceKind};
use gathered::{Answers, Gathered};

/// Show who pushes, since when, and what is new, as one HTML file
///
/// Reads CloudTrail files as `replay` does, or the tables of a deployment (--stack NAME), or an
/// uploaders file (--file FILE). The page needs no network and no script: send it, print it,
/// read it on a phone.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  # What the trail of last year says
  pushwatch report --output report.html AWSLogs/

  # A deployment, compared with the report of the last quarter
  pushwatch report --stack pushwatch --compare q1.html --output q2.html

  # One screen of text for a chat
  pushwatch report --stack pushwatch --since 30d --summary

Exit codes:
  0  done
  2  something could not be read, or an option is wrong")]
pub struct ReportArgs {
    /// Files, folders, or - for standard input
    #[arg(value_name = "ARCHIVE", conflicts_with_all = ["stack", "table", "file"])]
    pub paths: Vec<PathBuf>,

    #[command(flatten)]
    pub target: TargetArgs,

    #[command(flatten)]
    pub policy: PolicyArgs,

    /// Show what happened since then: 90d, a date, or an RFC 3339 time
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,

    /// Show what has changed since this report
    #[arg(long, value_name = "LAST.html")]
    pub compare: Option<PathBuf>,

    /// Write the page to this file
    #[arg(
        long,
        short,
        value_name = "REPORT.html",
        required_unless_present = "summary"
    )]
    pub output: Option<PathBuf>,

    /// Print one screen of text
    #[arg(long)]
    pub summary: bool,

    /// No progress
    #[arg(long, short)]
    pub quiet: bool,
}

/// Runs the command.
///
/// # Errors
/// On a wrong option, before any work; when a call or output fails.
pub fn run(args: &ReportArgs) -> Result<ExitCode, CommandError> {
    let now = Timestamp::now();
    let since = args.since.as_deref();
    let since = since.map(|typed| time_of("--since", typed, now, parse_since));
    let since = since.transpose()?;
    let last = args.compare.as_deref().map(embed::read).transpose()?;
    let output = args.output.as_deref().map(Save::prepare).transpose()?;
    let gathered = block_on(gather(args, since, now))??;
    let has_faults = gathered.has_faults;
    let report = build::build(gathered, since, args.policy.absence_days.unwrap_or(90), now);
    let changes = last.as_ref().map(|last| compare::compare(last, &report));
    if args.summary {
        let text = summary::summary(&report, changes.as_ref());
        let mut stdout = io::stdout().lock();
        stdout
            .write_all(text.as_bytes())
            .map_err(CommandError::Output)?;
    }
    if let Some(output) = output {
        output.text(&page::page(&report, changes.as_ref()))?;
        if !args.quiet && !args.summary {
            say(&sentence::sentence(&report));
        }
    }
    Ok(exit_code(has_faults))
}

async fn gather(
    args: &ReportArgs,
    since: Option<Timestamp>,
    now: Timestamp,
) -> Result<Gathered, CommandError> {
    if let Some(paths) = paths(args) {
        let known = args.policy.store()?;
        let policy = args.policy.policy()?;
        return archive::gather(&paths, known, policy, since, args.quiet).await;
    }
    if args.policy.decides() {
        return Err(CommandError::Usage(
            "the options of the policy decide pushes, and there are pushes in an ARCHIVE only; a \
             deployment and an uploaders file were decided before"
                .to_owned(),
        ));
    }
    match args.target.find().await? {
        Target::File(path) => {
            let store = read_file(&path, false)?;
            let name = clean_cut(&path.to_string_lossy(), 200);
            let source = source(SourceKind::UploadersFile, name);
            tables::uploaders(&store, source, Answers::ByTrust, now).await
        }
        #[cfg(feature = "aws")]
        Target::Tables(session, names) => {
            let tables = args.target.tables.clone().or_environment();
            let store = session.store(&names);
            let name = tables.stack.as_deref().unwrap_or(&names.uploaders);
            let source = source(SourceKind::Deployment, clean_cut(name, 200));
            let answers = Answers::ById(options(&tables));
            let mut gathered = tables::uploaders(&store, source, answers, now).await?;
            if names.findings.is_some() {
                tables::findings(&store, &mut gathered, since).await?;
            }
            Ok(gathered)
        }
    }
}

/// The archive, if nothing else is named.
fn paths(args: &ReportArgs) -> Option<Vec<PathBuf>> {
    if !args.paths.is_empty() {
        return Some(args.paths.clone());
    }
    let tables = args.target.tables.clone().or_environment();
    let is_named = args.target.file.is_some() || tables.name_a_deployment();
    (!is_named && !io::stdin().is_terminal()).then(|| vec![PathBuf::from("-")])
}

fn source(kind: SourceKind, name: String) -> Source {
    Source { kind, name }
}

/// The options that name a deployment, to be typed again.
#[cfg(feature = "aws")]
fn options(tables: &crate::deployment::TablesArgs) -> String {
    let options = [
        ("--stack", &tables.stack),
        ("--table", &tables.table),
        ("--findings-table", &tables.findings_table),
        ("--region", &tables.region),
    ];
    options
        .into_iter()
        .filter_map(|(option, value)| {
            let value = shlex::try_quote(value.as_deref()?).ok()?;
            Some(format!(" {option} {value}"))
        })
        .collect()
}
