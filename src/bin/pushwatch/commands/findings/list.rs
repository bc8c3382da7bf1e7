//! `pushwatch findings list`.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use pushwatch::finding::{Finding, Severity};
use pushwatch::render::safe;
use pushwatch::store::StoredFinding;
use pushwatch::text::clean_cut;

use super::Deployment;
use super::json::write_json;
use crate::args::time_of;
use crate::deployment::TablesArgs;
use crate::error::{CommandError, exit_code};
use crate::known::{Findings, state};
use crate::ui::{Columns, Listing, Spinner, ago, counted, image, say};
use crate::when::parse_since;

const COLUMNS: Columns = Columns {
    heads: &[
        "DECIDED", "SEVERITY", "REASON", "UPLOADER", "IMAGE", "STATE", "ID",
    ],
    left_out: &["IMAGE", "STATE", "REASON"],
    numbers: None,
};

/// List the findings, newest first
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  # What still waits for somebody to look at it
  pushwatch findings list --stack pushwatch --open

  # The worst of the last week, as JSON for other tools
  pushwatch findings list --stack pushwatch --since 7d --severity high --json")]
pub struct ListArgs {
    #[command(flatten)]
    pub tables: TablesArgs,

    /// Only those that nobody has answered; of informational ones, as about learned uploaders, none
    #[arg(long)]
    open: bool,

    /// Only those decided since then: a span such as 7d or 12h, a date, or an RFC 3339 time
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,

    /// Only those of at least this severity
    #[arg(long, value_enum)]
    severity: Option<SeverityArg>,

    /// A finding a line, as the table has it
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SeverityArg {
    Informational,
    Low,
    Medium,
    High,
    Critical,
}

impl From<SeverityArg> for Severity {
    fn from(severity: SeverityArg) -> Self {
        match severity {
            SeverityArg::Informational => Self::Informational,
            SeverityArg::Low => Self::Low,
            SeverityArg::Medium => Self::Medium,
            SeverityArg::High => Self::High,
            SeverityArg::Critical => Self::Critical,
        }
    }
}

/// Lists findings.
pub async fn list(deployment: &Deployment, args: &ListArgs) -> Result<ExitCode, CommandError> {
    let since = args.since.as_deref();
    let since = since.map(|typed| time_of("--since", typed, deployment.now, parse_since));
    let since = since.transpose()?;
    let least = args.severity.map(Severity::from);
    let reading = Spinner::on("reading the findings", false);
    let findings = Findings::of(&deployment.store).await?;
    drop(reading);
    for fault in &findings.damaged {
        say(fault);
    }
    let wanted = |finding: &&StoredFinding| {
        (!args.open || finding.is_open())
            && since.is_none_or(|since| finding.decided_at >= since)
            && least.is_none_or(|least| finding.severity >= least)
    };
    let shown: Vec<_> = findings.readable.iter().filter(wanted).collect();
    let mut output = io::stdout().lock();
    if args.json {
        for finding in &shown {
            write_json(&mut output, finding).map_err(CommandError::Output)?;
        }
    } else {
        let rows = shown.iter().map(|finding| row(finding, deployment.now));
        let rows: Vec<_> = rows.collect();
        let lines = Listing::of(COLUMNS).page(&rows);
        output
            .write_all(lines.as_bytes())
            .map_err(CommandError::Output)?;
        say(&match shown.len() {
            0 => "There is no such finding.".to_owned(),
            shown => format!("{shown} of {}", counted(findings.readable.len(), "finding")),
        });
    }
    output.flush().map_err(CommandError::Output)?;
    Ok(exit_code(!findings.damaged.is_empty()))
}

/// The texts of its columns.
fn row(finding: &StoredFinding, now: Timestamp) -> Vec<String> {
    let body = serde_json::from_str::<Finding>(&finding.body).ok();
    let name = body
        .as_ref()
        .map_or(finding.uploader.as_str(), |body| &body.uploader.name);
    let push = body.as_ref().map(|body| &body.push);
    let image = image(
        push.and_then(|push| push.repository.as_deref()),
        push.and_then(|push| push.tag.as_deref()),
    );
    vec![
        ago(finding.decided_at, now),
        finding.severity.to_string(),
        safe(&finding.reason, 30),
        safe(name, 30),
        image,
        state(finding),
        clean_cut(&finding.id, 80),
    ]
}
