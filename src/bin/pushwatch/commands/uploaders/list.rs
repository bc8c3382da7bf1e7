//! `pushwatch uploaders list`.

use std::cmp::Reverse;
use std::io::{self, Write as _};
use std::pin::pin;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use pushwatch::record::{Record, Standing};
use pushwatch::render::safe;
use pushwatch::store::Manage;
use pushwatch::text::clean_cut;

use super::Context;
use crate::args::time_of;
use crate::deployment::TargetArgs;
use crate::error::{CommandError, exit_code};
use crate::known::{self, write_json};
use crate::ui::{Columns, Listing, ago, counted, image, say};
use crate::when::{parse_since, parse_until};

/// The first one only where the end of trust is asked for.
const HEADS: [&str; 9] = [
    "TRUSTED UNTIL",
    "NAME",
    "KIND",
    "STANDING",
    "FIRST SEEN",
    "LAST SEEN",
    "PUSHES",
    "LAST IMAGE",
    "KEY",
];
const COLUMNS: Columns = Columns {
    heads: HEADS.split_at(1).1,
    left_out: &["FIRST SEEN", "LAST IMAGE", "KIND", "PUSHES"],
    numbers: Some("PUSHES"),
};
const COLUMNS_WITH_END: Columns = Columns {
    heads: &HEADS,
    ..COLUMNS
};

/// List the uploaders
///
/// Those seen last come first, as long as there are no more than one page of the
/// table holds (about 2,000); of more, each page is shown as it comes. --sort
/// reads all of them first.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  # Who was reported in the last week
  pushwatch uploaders list --stack pushwatch --standing new --since 7d

  # Whose trust ends soon
  pushwatch uploaders list --stack pushwatch --until-within 30d

  # All uploaders of an account, as JSON for other tools
  pushwatch uploaders list --stack pushwatch --account 111122223333 --json")]
pub struct ListArgs {
    #[command(flatten)]
    pub target: TargetArgs,

    /// Only these standings (repeatable): new, learned, trusted, pattern, attempted, suppressed, revoked
    #[arg(long, value_name = "STANDING", value_parser = parse_standing)]
    pub standing: Vec<Standing>,

    /// Only those seen since then: a span such as 7d or 12h, a date, or an RFC 3339 time
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,

    /// Only those whose trust ends within this span from now, such as 30d, or before a date;
    /// those whose trust ends first come first
    #[arg(long, value_name = "SPAN")]
    pub until_within: Option<String>,

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
    /// Those whose trust ends first
    Until,
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

/// Lists uploaders.
pub async fn list<S: Manage>(
    store: &S,
    args: &ListArgs,
    context: &Context,
) -> Result<ExitCode, CommandError> {
    let since = args.since.as_deref();
    let since = since.map(|typed| time_of("--since", typed, context.now, parse_since));
    let since = since.transpose()?;
    let ends = args.until_within.as_deref();
    let ends = ends.map(|typed| time_of("--until-within", typed, context.now, parse_until));
    let ends = ends.transpose()?;
    let order = match args.sort {
        None if ends.is_some() => Some(SortArg::Until),
        sort => sort,
    };
    let wanted = |record: &Record| {
        (args.standing.is_empty() || args.standing.contains(&record.standing))
            && since.is_none_or(|since| record.last_seen.is_some_and(|last| last >= since))
            && ends.is_none_or(|end| trust_ends(record, context.now, end))
            && args
                .account
                .as_ref()
                .is_none_or(|account| record.account_id.as_ref() == Some(&account.as_str().into()))
    };
    let mut output = Output::new(args, context.now);
    let mut damaged = 0;
    let mut read = 0;
    let mut held = Vec::new();
    let mut is_first_page = true;
    let mut is_at_end = true;
    let mut pages = pin!(known::pages(store));
    while let Some(page) = pages.try_next().await? {
        for fault in &page.damaged {
            say(fault);
        }
        damaged += page.damaged.len();
        read += page.records.len();
        held.extend(page.records.into_iter().filter(wanted));
        is_at_end = page.is_last;
        // All of them can be sorted if there is one page, or if it is asked for.
        if is_at_end && (is_first_page || order.is_some()) {
            sort(&mut held, order.unwrap_or(SortArg::LastSeen));
        }
        if is_at_end || order.is_none() {
            let enough = output.show(&held).map_err(CommandError::Output)?;
            held.clear();
            if enough {
                break;
            }
        }
        is_first_page = false;
    }
    if !args.json {
        say(&match (output.shown, is_at_end) {
            (0, _) => "There is no such uploader.".to_owned(),
            (shown, true) => format!("{shown} of {}", counted(read, "uploader")),
            (shown, false) => format!("{shown} of {read} uploaders and more"),
        });
    }
    Ok(exit_code(damaged > 0))
}

/// Whether it is trusted for a time that ends after now, and by `end` at the latest.
fn trust_ends(record: &Record, now: Timestamp, end: Timestamp) -> bool {
    record.standing == Standing::Trusted
        && record
            .trusted_until
            .is_some_and(|until| now < until && until <= end)
}

fn sort(records: &mut [Record], by: SortArg) {
    match by {
        SortArg::LastSeen => records.sort_by_key(|record| Reverse(record.last_seen)),
        SortArg::FirstSeen => records.sort_by_key(|record| Reverse(record.first_seen)),
        SortArg::Name => records.sort_by(|a, b| a.name.cmp(&b.name)),
        SortArg::Pushes => records.sort_by_key(|record| Reverse(record.pushes)),
        // Trust without an end comes last.
        SortArg::Until => records.sort_by_key(|record| {
            let until = record.trusted_until;
            (until.is_none(), until)
        }),
    }
}

struct Output<'a> {
    args: &'a ListArgs,
    now: Timestamp,
    listing: Listing,
    shown: usize,
}

impl<'a> Output<'a> {
    fn new(args: &'a ListArgs, now: Timestamp) -> Self {
        let columns = match args.until_within {
            Some(_) => COLUMNS_WITH_END,
            None => COLUMNS,
        };
        Self {
            args,
            now,
            listing: Listing::of(columns),
            shown: 0,
        }
    }

    /// Shows a page; whether that is enough.
    fn show(&mut self, records: &[Record]) -> io::Result<bool> {
        let most = self.args.limit.map_or(usize::MAX, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX)
        });
        let records = &records[..records.len().min(most - self.shown)];
        let mut output = io::stdout().lock();
        if self.args.json {
            for record in records {
                write_json(&mut output, record)?;
            }
        } else {
            let has_end = self.args.until_within.is_some();
            let rows = records.iter().map(|record| row(record, self.now, has_end));
            let rows: Vec<_> = rows.collect();
            output.write_all(self.listing.page(&rows).as_bytes())?;
        }
        output.flush()?;
        self.shown += records.len();
        Ok(self.shown >= most)
    }
}

/// The texts of its columns.
fn row(record: &Record, now: Timestamp, has_end: bool) -> Vec<String> {
    let push = record.last_push.as_ref();
    let image = image(
        push.and_then(|push| push.repository.as_deref()),
        push.and_then(|push| push.tag.as_deref()),
    );
    let ago = |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), |time| ago(time, now));
    let end = has_end.then(|| {
        let until = record.trusted_until;
        until.map_or_else(|| "-".to_owned(), |until| until.to_string())
    });
    let rest = [
        safe(record.name.as_deref().unwrap_or("-"), 30),
        safe(record.kind.as_deref().unwrap_or("-"), 20),
        safe(record.standing.as_str(), 20),
        ago(record.first_seen),
        ago(record.last_seen),
        record.pushes.to_string(),
        image,
        clean_cut(&record.uploader, 1024),
    ];
    end.into_iter().chain(rest).collect()
}
