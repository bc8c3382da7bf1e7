//! `pushwatch uploaders list` and `export`.

use std::cmp::Reverse;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use jiff::Timestamp;
use pushwatch::record::Record;
use pushwatch::store::Manage;
use pushwatch::text::{clean_cut, clean_json};

use super::Context;
use super::args::{ExportArgs, ListArgs, SortArg, parse_since};
use crate::{CommandError, EXIT_FAULT, say, store_fault};

const COLUMNS: [&str; 8] = [
    "NAME",
    "KIND",
    "STANDING",
    "FIRST SEEN",
    "LAST SEEN",
    "PUSHES",
    "LAST IMAGE",
    "KEY",
];

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
    let mut held = Vec::new();
    let mut next = None;
    let mut is_first_page = true;
    loop {
        let page = store.records(next).await.map_err(store_fault)?;
        for fault in &page.damaged {
            say(fault);
        }
        damaged += page.damaged.len();
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
    if output.shown == 0 && !args.json {
        say("There is no such uploader.");
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
    shown: usize,
}

impl<'a> Output<'a> {
    fn new(args: &'a ListArgs, now: Timestamp) -> Self {
        Self {
            args,
            now,
            shown: 0,
        }
    }

    /// Shows a page; whether that is enough.
    fn show(&mut self, records: &[Record]) -> io::Result<bool> {
        let most = self.args.limit.unwrap_or(usize::MAX);
        let records = &records[..records.len().min(most - self.shown)];
        let mut output = io::stdout().lock();
        if self.args.json {
            for record in records {
                write_json(&mut output, record)?;
            }
        } else if !records.is_empty() {
            let mut table = table();
            if self.shown == 0 {
                table.set_header(COLUMNS);
            }
            for record in records {
                table.add_row(row(record, self.now));
            }
            write_table(&mut output, &table)?;
        }
        output.flush()?;
        self.shown += records.len();
        Ok(self.shown >= most)
    }
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
        let line = line.strip_prefix(' ').unwrap_or(&line).trim_end();
        writeln!(output, "{line}")?;
    }
    Ok(())
}

fn row(record: &Record, now: Timestamp) -> Vec<comfy_table::Cell> {
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
    .into_iter()
    .enumerate()
    .map(|(column, text)| {
        let cell = comfy_table::Cell::new(text);
        match COLUMNS[column] {
            "PUSHES" => cell.set_alignment(CellAlignment::Right),
            _ => cell,
        }
    })
    .collect()
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
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural} ago")
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
    use super::ago;
    use jiff::Timestamp;

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
