//! `pushwatch uploaders list`.

use std::cmp::Reverse;
use std::io::{self, Write as _};
use std::pin::pin;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use comfy_table::{Cell, CellAlignment, Table};
use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use pushwatch::record::{Record, Standing};
use pushwatch::store::Manage;
use pushwatch::text::clean_cut;

use super::Context;
use crate::deployment::TargetArgs;
use crate::error::{CommandError, exit_code};
use crate::known::{self, write_json};
use crate::ui::{ago, counted, say, table, trimmed};
use crate::when::parse_since;

const KEY: &str = "KEY";
const COLUMNS: [&str; 8] = [
    "NAME",
    "KIND",
    "STANDING",
    "FIRST SEEN",
    "LAST SEEN",
    "PUSHES",
    "LAST IMAGE",
    KEY,
];
/// What a narrow terminal does without, in this order. The key stands below then.
const LEFT_OUT: [&str; 4] = ["FIRST SEEN", "LAST IMAGE", "KIND", "PUSHES"];
/// Between two columns.
const GAP: usize = 2;

/// An uploader's texts, column by column.
type Row = [String; COLUMNS.len()];

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
    let since = match &args.since {
        Some(text) => Some(parse_since(text, context.now).ok_or_else(|| {
            CommandError::Usage(format!(
                "--since: `{}` is no time; 7d, 12h, 2026-12-31 are",
                clean_cut(text, 40)
            ))
        })?),
        None => None,
    };
    let wanted = |record: &Record| {
        (args.standing.is_empty() || args.standing.contains(&record.standing))
            && since.is_none_or(|since| record.last_seen.is_some_and(|last| last >= since))
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
        if is_at_end && (is_first_page || args.sort.is_some()) {
            sort(&mut held, args.sort.unwrap_or(SortArg::LastSeen));
        }
        if is_at_end || args.sort.is_none() {
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

fn sort(records: &mut [Record], by: SortArg) {
    match by {
        SortArg::LastSeen => records.sort_by_key(|record| Reverse(record.last_seen)),
        SortArg::FirstSeen => records.sort_by_key(|record| Reverse(record.first_seen)),
        SortArg::Name => records.sort_by(|a, b| a.name.cmp(&b.name)),
        SortArg::Pushes => records.sort_by_key(|record| Reverse(record.pushes)),
    }
}

struct Output<'a> {
    args: &'a ListArgs,
    now: Timestamp,
    /// Of the terminal; none if it is another output.
    width: Option<usize>,
    columns: Vec<&'static str>,
    shown: usize,
}

impl<'a> Output<'a> {
    fn new(args: &'a ListArgs, now: Timestamp) -> Self {
        // A terminal that does not know its width says 0.
        let size = terminal_size::terminal_size_of(io::stdout()).filter(|(width, _)| width.0 > 0);
        Self {
            args,
            now,
            width: size.map(|(width, _)| usize::from(width.0)),
            columns: Vec::new(),
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
        } else if !records.is_empty() {
            let rows: Vec<_> = records.iter().map(|record| row(record, self.now)).collect();
            let columns = fitting(&rows, self.width);
            let has_header = columns != self.columns;
            output.write_all(lines(&rows, &columns, has_header).as_bytes())?;
            self.columns = columns;
        }
        output.flush()?;
        self.shown += records.len();
        Ok(self.shown >= most)
    }
}

/// The columns that fit beside each other; all of them where nobody looks.
fn fitting(rows: &[Row], width: Option<usize>) -> Vec<&'static str> {
    let mut columns = COLUMNS.to_vec();
    let Some(width) = width else {
        return columns;
    };
    for left_out in [&[KEY][..], &LEFT_OUT].concat() {
        let widths = table_of(rows, &columns, true).column_max_content_widths();
        let widths = widths.into_iter().map(usize::from);
        if widths.map(|width| width + GAP).sum::<usize>() <= width + GAP {
            break;
        }
        columns.retain(|column| *column != left_out);
    }
    columns
}

/// The table, with the key below each line if it has no column.
fn lines(rows: &[Row], columns: &[&'static str], has_header: bool) -> String {
    let table = table_of(rows, columns, has_header);
    let keys = (!columns.contains(&KEY)).then(|| {
        let header = has_header.then_some(None);
        let keys = rows.iter().map(|row| row.last());
        header.into_iter().chain(keys)
    });
    let mut keys = keys.into_iter().flatten();
    let mut text = String::new();
    for line in table.lines() {
        text += trimmed(&line);
        text.push('\n');
        if let Some(Some(key)) = keys.next() {
            text.extend(["  ", key, "\n"]);
        }
    }
    text
}

fn table_of(rows: &[Row], columns: &[&'static str], has_header: bool) -> Table {
    let mut table = table();
    if has_header {
        table.set_header(columns);
    }
    for row in rows {
        let cells = COLUMNS.iter().zip(row);
        table.add_row(cells.filter(|(column, _)| columns.contains(column)).map(
            |(column, text)| match *column {
                "PUSHES" => Cell::new(text).set_alignment(CellAlignment::Right),
                _ => Cell::new(text),
            },
        ));
    }
    table
}

fn row(record: &Record, now: Timestamp) -> Row {
    let text = |text: Option<&str>, most| clean_cut(text.unwrap_or("-"), most);
    let image = record.last_push.as_ref().and_then(|push| {
        let repository = clean_cut(push.repository.as_deref()?, 40);
        Some(match &push.tag {
            Some(tag) => format!("{repository}:{}", clean_cut(tag, 20)),
            None => repository,
        })
    });
    let ago = |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), |time| ago(time, now));
    [
        text(record.name.as_deref(), 30),
        text(record.kind.as_deref(), 20),
        text(Some(record.standing.as_str()), 20),
        ago(record.first_seen),
        ago(record.last_seen),
        record.pushes.to_string(),
        image.unwrap_or_else(|| "-".to_owned()),
        text(Some(&record.uploader), 1024),
    ]
}

#[cfg(test)]
mod tests {
    use super::{fitting, lines};

    #[test]
    fn a_narrow_terminal_gets_the_key_below_and_fewer_columns() {
        let row = |name: &str, image: &str, key: &str| {
            [
                name,
                "IAMUser",
                "learned",
                "320 days ago",
                "2 hours ago",
                "1200",
                image,
                key,
            ]
            .map(str::to_owned)
        };
        let rows = [
            row(
                "test",
                "team/app:1.4.2",
                "arn:aws:iam::111122223333:user/test",
            ),
            row(
                "a-build-user-with-a-long-name",
                "team/base-images/debian:12.4-slim",
                "arn:aws:iam::111122223333:user/ci/build/a-build-user-with-a-long-name",
            ),
        ];
        let shown = |width: Option<usize>| lines(&rows, &fitting(&rows, width), true);
        for width in [200, 160, 120, 100, 80, 60, 40] {
            let shown = shown(Some(width));
            for row in &rows {
                let key = row.last().unwrap();
                assert!(shown.lines().any(|line| line.ends_with(key)), "{shown}");
            }
            let too_wide = shown.lines().find(|line| {
                !line.trim_start().starts_with("arn:") && line.chars().count() > width.max(62)
            });
            assert_eq!(too_wide, None, "{width}\n{shown}");
        }
        assert_eq!(shown(Some(200)), shown(None));
        assert_eq!(
            shown(Some(80)),
            "NAME                           KIND     STANDING  LAST SEEN    PUSHES\n\
             test                           IAMUser  learned   2 hours ago    1200\n  \
             arn:aws:iam::111122223333:user/test\n\
             a-build-user-with-a-long-name  IAMUser  learned   2 hours ago    1200\n  \
             arn:aws:iam::111122223333:user/ci/build/a-build-user-with-a-long-name\n"
        );
    }
}
