//! Options that several commands have.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use pushwatch::glob::Glob;
use pushwatch::policy::{HabitReports, Policy};
use pushwatch::render::{Format, RenderContext};
use pushwatch::store::MemoryStore;
use pushwatch::suppress::{Suppression, SuppressionError};
use pushwatch::text::clean_cut;

use crate::error::CommandError;
use crate::list::{self, ListError};
use crate::when;

/// What decisions depend on.
#[derive(Debug, Default, Args)]
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
    /// of reporting them
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub learning_until: Option<Timestamp>,

    /// Report uploaders who come back after more than N days; 0 switches it off [default: 90]
    #[arg(long, value_name = "N")]
    pub absence_days: Option<u16>,

    /// Report known uploaders who push to another place or by another way than before
    /// [default: digest]
    #[arg(long, value_enum)]
    pub habits: Option<HabitsArg>,

    /// Learn the habits of each uploader for N days in silence [default: 14]
    #[arg(long, value_name = "N")]
    pub habit_days: Option<u16>,
}

/// How unusual pushes by somebody known are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HabitsArg {
    /// Those of low severity once a day, the others at once
    Digest,
    /// All at once
    Tell,
    /// Not at all, and remember no habits
    Off,
}

impl From<HabitsArg> for HabitReports {
    fn from(habits: HabitsArg) -> Self {
        match habits {
            HabitsArg::Digest => Self::Digest,
            HabitsArg::Tell => Self::Tell,
            HabitsArg::Off => Self::Off,
        }
    }
}

impl PolicyArgs {
    /// Whether an option is given that decisions depend on, and that tells nothing else.
    pub fn decides(&self) -> bool {
        self.known.is_some()
            || !self.trusted.is_empty()
            || self.suppress.is_some()
            || self.learning_until.is_some()
            || self.habits.is_some()
            || self.habit_days.is_some()
    }

    /// The embedded store, with the uploaders of `--known`.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn store(&self) -> Result<MemoryStore, ListError> {
        let known = self.known.as_deref().map(list::read).transpose()?;
        Ok(MemoryStore::with_records(known.unwrap_or_default()))
    }

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
            habits: self.habits.map_or(set.habits, HabitReports::from),
            habit_days: self.habit_days.unwrap_or(set.habit_days),
        })
    }
}

/// What the words of a message depend on; names that are not given are words to
/// be replaced.
pub fn render_context(
    table: Option<&str>,
    findings_table: Option<&str>,
    region: Option<&str>,
    absence_days: u16,
) -> RenderContext {
    RenderContext {
        table: table.unwrap_or("TABLE").to_owned(),
        findings_table: Some(findings_table.unwrap_or("FINDINGS_TABLE").to_owned()),
        region: region.unwrap_or("REGION").to_owned(),
        absence_days,
        stack: None,
        account: None,
        runbook: None,
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

/// The time of an option, by one of the ways in which people type times.
///
/// # Errors
/// When it is no time.
pub fn time_of(
    option: &str,
    typed: &str,
    now: Timestamp,
    parse: impl Fn(&str, Timestamp) -> Option<Timestamp>,
) -> Result<Timestamp, CommandError> {
    parse(typed, now).ok_or_else(|| {
        let shown = clean_cut(typed, 40);
        CommandError::Usage(format!(
            "{option}: `{shown}` is no time; 7d, 12h, 2026-12-31 are"
        ))
    })
}

fn parse_time(text: &str) -> Result<Timestamp, &'static str> {
    when::parse_time(text)
        .ok_or("it takes a date such as 2026-12-31, or an RFC 3339 time, from 1970 on")
}

/// A reason, for the value parser of an option.
///
/// # Errors
/// When it is empty.
pub fn parse_reason(text: &str) -> Result<String, &'static str> {
    match text.trim() {
        "" => Err("say why, in a few words"),
        reason => Ok(reason.to_owned()),
    }
}
