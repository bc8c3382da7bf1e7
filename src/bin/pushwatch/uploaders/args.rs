//! The options of `pushwatch uploaders`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use pushwatch::record::Standing;

use crate::deployment::TablesArgs;

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
    pub command: UploadersCommand,
}

#[derive(Debug, Subcommand)]
pub enum UploadersCommand {
    List(ListArgs),
    Show(ShowArgs),
    Trust(TrustArgs),
    Revoke(RevokeArgs),
    Forget(ForgetArgs),
    Import(ImportArgs),
    Export(ExportArgs),
}

impl UploadersCommand {
    pub fn place(&self) -> &PlaceArgs {
        match self {
            Self::List(args) => &args.place,
            Self::Show(args) => &args.place,
            Self::Trust(args) => &args.place,
            Self::Revoke(args) => &args.place,
            Self::Forget(args) => &args.place,
            Self::Import(args) => &args.place,
            Self::Export(args) => &args.place,
        }
    }

    /// The key that is typed, if one is.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Show(args) => Some(&args.key),
            Self::Trust(args) => Some(&args.key),
            Self::Revoke(args) => Some(&args.key),
            Self::Forget(args) => Some(&args.key),
            Self::List(_) | Self::Import(_) | Self::Export(_) => None,
        }
    }

    /// Whether there may be no uploaders file yet.
    pub fn may_begin_a_file(&self) -> bool {
        matches!(self, Self::Trust(_) | Self::Revoke(_) | Self::Import(_))
    }
}

/// Whose uploaders.
#[derive(Debug, Clone, Default, Args)]
pub struct PlaceArgs {
    /// An uploaders file, instead of a deployment
    #[arg(long, conflicts_with_all = ["stack", "table", "region"], help_heading = "Deployment")]
    pub file: Option<PathBuf>,

    #[command(flatten)]
    pub tables: TablesArgs,
}

/// List the uploaders
///
/// Those seen last come first, as long as there are no more than one page of the
/// table holds (about 2,000); of more, each page is shown as it comes. --sort
/// reads all of them first.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  # Who was told about in the last week
  pushwatch uploaders list --stack pushwatch --standing new --since 7d

  # All uploaders of an account, as JSON for other tools
  pushwatch uploaders list --stack pushwatch --account 111122223333 --json")]
pub struct ListArgs {
    #[command(flatten)]
    pub place: PlaceArgs,

    /// Only these standings (repeatable): new, learned, trusted, pattern, attempted, suppressed, revoked
    #[arg(long, value_name = "STANDING", value_parser = parse_standing)]
    pub standing: Vec<Standing>,

    /// Only those seen since then: a span such as 7d or 12h, a date, or an RFC 3339 time
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,

    /// Only those of this account
    #[arg(long, value_name = "ID")]
    pub account: Option<String>,

    /// Sort by this
    #[arg(long, value_enum)]
    pub sort: Option<SortArg>,

    /// Show no more than N
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,

    /// A record a line, as in the uploaders file
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SortArg {
    /// Those seen last first
    LastSeen,
    /// Those seen first last
    FirstSeen,
    /// By name
    Name,
    /// Those who pushed most first
    Pushes,
}

/// Show all that is known of an uploader, and the finding that was sent
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The uploader's key, as `list` and findings show it; its name or how the key ends,
    /// if that is one uploader's only
    pub key: String,

    #[command(flatten)]
    pub place: PlaceArgs,

    /// As JSON: {"uploader":…,"finding":…}
    #[arg(long)]
    pub json: bool,
}

/// Trust an uploader: its pushes are not told, seen before or not
///
/// Who typed the command and when is recorded beside the reason. When the trust
/// has ended, the next push is told. A glob trusts those whom it matches now,
/// after a question, but for those who are revoked or trusted already, and the root
/// user; to trust whoever will match, see the setting `TRUSTED_UPLOADERS`. Of one who
/// is revoked it is asked first.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pushwatch uploaders trust arn:aws:iam::111122223333:role/ci/build \\
    --reason 'the build, ticket 42' --table uploaders --region eu-central-1

  # For the time of a migration
  pushwatch uploaders trust arn:aws:iam::111122223333:user/mary \\
    --reason migration --until 30d --stack pushwatch")]
pub struct TrustArgs {
    /// The uploader's key, or a glob on keys
    pub key: String,

    /// Why
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    pub reason: String,

    /// Until when: a date (its beginning in UTC), a span from now such as 90d, or an RFC 3339 time
    #[arg(long, value_name = "DATE")]
    pub until: Option<String>,

    #[command(flatten)]
    pub place: PlaceArgs,

    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

/// Revoke an uploader: every later push is a critical finding
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// The uploader's key, or a glob on keys
    pub key: String,

    /// Why
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    pub reason: Option<String>,

    #[command(flatten)]
    pub place: PlaceArgs,

    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

/// Forget an uploader: the next push is told as that of somebody new
#[derive(Debug, Args)]
pub struct ForgetArgs {
    /// The uploader's key
    pub key: String,

    #[command(flatten)]
    pub place: PlaceArgs,

    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

/// Import uploaders from a list: an uploaders file, plain keys, or CSV
///
/// A plain key is trusted. CSV has a header; the column `uploader` (or `key`, or
/// `arn`) is the key, and `standing`, `reason` and `until` may be there too. What
/// was seen is never lost, somebody revoked stays revoked, and a second run
/// changes nothing. Nothing is written while a line is bad, and more than ten
/// uploaders only after a preview and a yes.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  # What would come of a list
  pushwatch uploaders import builders.csv --dry-run --stack pushwatch

  # A list that another program makes
  list-builders | pushwatch uploaders import - --yes --stack pushwatch")]
pub struct ImportArgs {
    /// The list, or - for standard input
    #[arg(value_name = "LIST")]
    pub list: PathBuf,

    #[command(flatten)]
    pub place: PlaceArgs,

    /// Why plain keys are trusted
    #[arg(long, value_name = "TEXT", value_parser = parse_reason, default_value = "imported")]
    pub reason: String,

    /// Pass over bad lines
    #[arg(long)]
    pub skip_bad: bool,

    /// Show what would happen, and write nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

/// Export all uploaders as an uploaders file, a record a line
#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    pub place: PlaceArgs,

    /// Write to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

fn parse_standing(word: &str) -> Result<Standing, String> {
    match Standing::from(word.to_owned()) {
        Standing::Unknown(_) => Err(
            "the standings are new, learned, trusted, pattern, attempted, suppressed and revoked"
                .to_owned(),
        ),
        standing => Ok(standing),
    }
}

fn parse_reason(text: &str) -> Result<String, &'static str> {
    match text.trim() {
        "" => Err("say why, in a few words"),
        reason => Ok(reason.to_owned()),
    }
}
