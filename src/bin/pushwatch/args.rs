//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use pushwatch::glob::Glob;
use pushwatch::policy::Policy;
use pushwatch::render::Format;
use pushwatch::suppress::{Suppression, SuppressionError};

use crate::deployment::TablesArgs;
use crate::learn::LearnArgs;
use crate::render::RenderArgs;
use crate::uploaders::args::UploadersArgs;
use crate::when;

/// Tells you, once, when somebody new pushes a container image to Amazon ECR.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Replay(ReplayArgs),
    Explain(ExplainArgs),
    Render(RenderArgs),
    Uploaders(UploadersArgs),
    Learn(LearnArgs),
    /// Print a completion script for a shell
    ///
    /// For bash: pushwatch completions bash > ~/.local/share/bash-completion/completions/pushwatch
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Replay CloudTrail events and show what PushWatch would have told
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

  # Learn from January, tell what is new in February
  pushwatch replay --learning-until 2026-02-01 2026/01/ 2026/02/

  # Trust the build roles, and leave the sandbox alone
  pushwatch replay --trusted 'arn:aws:iam::*:role/ci-*' \\
    --suppress 'push.repository.startsWith(\"sandbox/\")' 2026/

  # What a deployment has missed: its tables remember, its topic tells, and its
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

/// Explain who the uploader of each push is, and what is decided on it
///
/// The tool for "why was I not told?": for each event it shows the row of the
/// identity table that gives the uploader's key, and the row of the decision
/// table that applies, or why the event is ignored.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  # One event, as PushWatch sees it with nothing known
  pushwatch explain events/sso-user.json

  # The same, with the settings and uploaders of a deployment
  pushwatch explain --trusted 'arn:aws:iam::*:role/ci-*' --known known.jsonl event.json")]
pub struct ExplainArgs {
    /// Files, folders, or - for standard input
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,

    #[command(flatten)]
    pub policy: PolicyArgs,
}

/// What decisions depend on.
#[derive(Debug, Args)]
#[command(next_help_heading = "Policy")]
pub struct PolicyArgs {
    /// Uploaders to start with: a file of --save, or a plain list of keys to trust
    #[arg(long, value_name = "FILE")]
    pub known: Option<PathBuf>,

    /// Trust uploaders whose key matches; * stays within a path segment, ** does not (repeatable)
    #[arg(long, value_name = "GLOB", value_parser = Glob::parse)]
    pub trusted: Vec<Glob>,

    /// Suppress findings for which this CEL expression over the finding's JSON is true
    #[arg(long, value_name = "CEL")]
    pub suppress: Option<String>,

    /// Learn uploaders first seen before this date (its beginning in UTC) or RFC 3339 time instead
    /// of telling them
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub learning_until: Option<Timestamp>,

    /// Tell uploaders who come back after more than N days; 0 switches it off [default: 90]
    #[arg(long, value_name = "N")]
    pub absence_days: Option<u16>,
}

impl PolicyArgs {
    /// The policy.
    ///
    /// # Errors
    /// When the CEL expression does not parse.
    pub fn policy(&self) -> Result<Policy, SuppressionError> {
        self.before(Policy::default())
    }

    /// The policy, where the options go before what is set otherwise.
    ///
    /// # Errors
    /// When the CEL expression does not parse.
    pub fn before(&self, set: Policy) -> Result<Policy, SuppressionError> {
        Ok(Policy {
            trusted: match self.trusted.as_slice() {
                [] => set.trusted,
                trusted => trusted.to_vec(),
            },
            suppress: match &self.suppress {
                None => set.suppress,
                Some(expression) => Some(Suppression::parse(expression)?),
            },
            learning_until: self.learning_until.or(set.learning_until),
            absence_days: self.absence_days.unwrap_or(set.absence_days),
        })
    }
}

/// The forms of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// For people
    Text,
    /// Our own JSON, a finding a line
    Json,
    /// The e-mail, subject first
    Email,
    /// OCSF 1.6.0 Detection Finding
    Ocsf,
    /// Amazon Q Developer in chat applications
    AmazonQ,
    /// PagerDuty Events API v2
    Pagerduty,
    /// The text message
    Sms,
    /// AWS Security Finding Format, for Security Hub
    Asff,
}

impl From<FormatArg> for Format {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Text => Self::Text,
            FormatArg::Json => Self::Json,
            FormatArg::Email => Self::Email,
            FormatArg::Ocsf => Self::Ocsf,
            FormatArg::AmazonQ => Self::AmazonQ,
            FormatArg::Pagerduty => Self::PagerDuty,
            FormatArg::Sms => Self::Sms,
            FormatArg::Asff => Self::Asff,
        }
    }
}

fn parse_time(text: &str) -> Result<Timestamp, &'static str> {
    when::parse_time(text)
        .ok_or("it takes a date such as 2026-12-31, or an RFC 3339 time, from 1970 on")
}
