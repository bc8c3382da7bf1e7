//! `pushwatch uploaders list` and `export`.

use std::cmp::Reverse;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use jiff::Timestamp;
use pushwatch::record::Record;
use pushwatch::store::Manage;
use pushwatch::text::{clean_cut, clean_json};

use super::Context;
use super::args::{ExportArgs, ListArgs, SortArg};
use crate::when::parse_since;
use crate::words::counted;
use crate::{CommandError, EXIT_FAULT, say, store_fault};

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
    let mut next = None;
    let mut is_first_page = true;
    loop {
        let page = store.records(next).await.map_err(store_fault)?;
        for fault in &page.damaged {
            say(fault);
        }
        damaged += page.damaged.len();
        read += page.records.len();
        held.extend(page.records.into_iter().filter(wanted));
        next = page.next;
        // All of them can be sorted if there is one page, or if it is asked for.
        if next.is_none() && (is_first_page || args.sort.is_some()) {
            sort(&mut held, args.sort.unwrap_or(SortArg::LastSeen));
        }
        if next.is_none() || args.sort.is_none() {
            let enough = output.show(&held).map_err(CommandError::Output)?;
            held.clear();
            if enough {
                break;
            }
        }
        is_first_page = false;
        if next.is_none() {
            break;
        }
    }
    if !args.json {
        say(&match (output.shown, next.is_some()) {
            (0, _) => "There is no such uploader.".to_owned(),
            (shown, false) => format!("{shown} of {}", counted(read, "uploader")),
            (shown, true) => format!("{shown} of {read} uploaders and more"),
        });
    }
    Ok(if damaged > 0 {
        ExitCode::from(EXIT_FAULT)
    } else {
        ExitCode::SUCCESS
    })
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

/// A table as people's eyes and `awk` like it: nothing but columns.
pub fn table() -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// Writes a table without the space around it.
pub fn write_table(output: &mut impl Write, table: &Table) -> io::Result<()> {
    for line in table.lines() {
        writeln!(output, "{}", trimmed(&line))?;
    }
    Ok(())
}

fn trimmed(line: &str) -> &str {
    line.strip_prefix(' ').unwrap_or(line).trim_end()
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

/// A time in words: `3 days ago`.
pub fn ago(time: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second() - time.as_second();
    let (count, unit) = match seconds {
        ..60 => return "just now".to_owned(),
        60..3_600 => (seconds / 60, "minute"),
        3_600..86_400 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{} ago", counted(count, unit))
}

fn write_json(output: &mut impl Write, record: &Record) -> io::Result<()> {
    writeln!(output, "{}", clean_json(&serde_json::to_string(record)?))
}

/// Exports all uploaders.
pub async fn export<S: Manage>(store: &S, args: &ExportArgs) -> Result<ExitCode, CommandError> {
    // A file is written as a whole or not at all.
    let mut file = match &args.output {
        Some(path) => Some(crate::uploaders_file::Save::prepare(path)?),
        None => None,
    };
    let mut damaged = 0;
    let mut next = None;
    loop {
        let page = store.records(next).await.map_err(store_fault)?;
        for fault in &page.damaged {
            say(fault);
        }
        damaged += page.damaged.len();
        if let Some(save) = &mut file {
            save.append(&page.records)?;
        } else {
            let mut output = BufWriter::new(io::stdout().lock());
            for record in &page.records {
                write_json(&mut output, record).map_err(CommandError::Output)?;
            }
            output.flush().map_err(CommandError::Output)?;
        }
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    if let Some(save) = file {
        save.finish()?;
    }
    Ok(if damaged > 0 {
        ExitCode::from(EXIT_FAULT)
    } else {
        ExitCode::SUCCESS
    })
}

#[cfg(test)]
mod tests {
    use super::{ago, fitting, lines};
    use jiff::Timestamp;

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

    #[test]
    fn a_time_is_told_in_the_greatest_unit_that_fits() {
        let now: Timestamp = "2026-01-10T12:00:00Z".parse().unwrap();
        for (time, words) in [
            ("2026-01-10T12:00:01Z", "just now"),
            ("2026-01-10T11:59:30Z", "just now"),
            ("2026-01-10T11:58:59Z", "1 minute ago"),
            ("2026-01-10T09:00:00Z", "3 hours ago"),
            ("2026-01-09T12:00:00Z", "1 day ago"),
            ("2025-01-10T12:00:00Z", "365 days ago"),
        ] {
            assert_eq!(ago(time.parse().unwrap(), now), words, "{time}");
        }
    }
}
