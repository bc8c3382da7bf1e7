//! `pushwatch uploaders import`.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
#[cfg(feature = "aws")]
use std::pin::pin;

use clap::Args;
#[cfg(feature = "aws")]
use futures_util::TryStreamExt as _;
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use pushwatch::record::{Record, Standing};
use pushwatch::render::safe;
#[cfg(feature = "aws")]
use pushwatch::store::DynamoStore;
use pushwatch::store::Manage;
use pushwatch::text::clean;
#[cfg(feature = "aws")]
use pushwatch::text::clean_cut;
use tempfile::NamedTempFile;

#[cfg(feature = "aws")]
use super::take_over;
use super::{CommandOutcome, Context};
use crate::args::parse_reason;
use crate::deployment::TargetArgs;
use crate::error::CommandError;
use crate::known::{AT_ONCE, Counts, Existing, Merge, find, write_all};
#[cfg(feature = "aws")]
use crate::known::{pages, write_json};
use crate::list::{self, LineNumbers, ListError, ListLine, has_root_power};
#[cfg(feature = "aws")]
use crate::ui::Spinner;
use crate::ui::{AskError, SHORT, ShortList, ask, ask_beside_input, counted, say};

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
  list-builders | pushwatch uploaders import - --yes --stack pushwatch

  # Tables that were restored from a backup
  pushwatch uploaders import --from-table restored-uploaders \\
    --from-findings-table restored-findings --stack pushwatch")]
pub struct ImportArgs {
    /// The list, or - for standard input
    #[arg(
        value_name = "LIST",
        required_unless_present = "from_table",
        conflicts_with = "from_table"
    )]
    pub list: Option<PathBuf>,

    /// Take over the uploaders of this table instead, such as one that was restored from a
    /// backup
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    pub from_table: Option<String>,

    /// With it, take over the findings of this table, which are published if they are owed
    #[arg(long, value_name = "NAME", requires = "from_table")]
    pub from_findings_table: Option<String>,

    #[command(flatten)]
    pub target: TargetArgs,

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

/// Imports a list.
pub async fn import<S: Manage>(
    store: &S,
    args: &ImportArgs,
    context: &Context,
) -> Result<CommandOutcome, CommandError> {
    let path = args.list.as_deref().unwrap_or(Path::new("-"));
    let list = List::find(path).await?;
    import_list(store, &list, args, context, async || Ok(())).await
}

/// Takes over the uploaders of another table, and its findings: those first, so that
/// nobody is known of whom nobody was, or will be, told.
#[cfg(feature = "aws")]
pub async fn import_tables(
    store: &DynamoStore,
    from: &DynamoStore,
    args: &ImportArgs,
    context: &Context,
) -> Result<CommandOutcome, CommandError> {
    let (list, damaged) = List::of_table(from, args).await?;
    if damaged > 0 && !args.skip_bad {
        return Err(CommandError::BadLines(damaged));
    }
    let has_findings = args.from_findings_table.is_some();
    if args.dry_run && has_findings {
        let counts = take_over::look(store, from).await?;
        say(&counts.in_words("to take over"));
    }
    import_list(store, &list, args, context, async || {
        if has_findings {
            let counts = take_over::take_over(store, from).await?;
            say(&counts.in_words("taken over"));
        }
        Ok(())
    })
    .await
}

/// Imports a list, after `before_writing`.
async fn import_list<S: Manage>(
    store: &S,
    list: &List,
    args: &ImportArgs,
    context: &Context,
    before_writing: impl AsyncFnOnce() -> Result<(), CommandError>,
) -> Result<CommandOutcome, CommandError> {
    let (count, bad) = list.check(context.now)?;
    if bad > 0 && !args.skip_bad {
        return Err(CommandError::BadLines(bad));
    }
    let records = || {
        let lines = list.lines(context.now)?;
        let listed = lines.filter_map(|(_, listed)| listed.ok().flatten());
        Ok::<_, CommandError>(listed.map(|listed| record(listed, args, context)))
    };
    if args.dry_run || (count > SHORT && !args.yes) {
        let changes = preview(store, records()?).await?;
        if args.dry_run {
            say("Nothing is written: this was a dry run.");
            return Ok(CommandOutcome::changed(false));
        }
        let question = format!("Write these {changes}?");
        let goes_on = changes <= SHORT || list.ask(&question).await?;
        if !goes_on {
            return Ok(CommandOutcome::changed(false));
        }
    }
    before_writing().await?;
    let counts = write_all(
        store,
        records()?,
        count as u64,
        Existing::Merge,
        context.now,
    )
    .await?;
    say(&format!(
        "Added {}, changed {}, unchanged {}.",
        counts.added, counts.changed, counts.unchanged
    ));
    counts.say_who_stays_revoked();
    if bad > 0 {
        say(&format!("Passed over {}.", counted(bad, "bad line")));
    }
    Ok(CommandOutcome::changed(counts.added + counts.changed > 0))
}

/// A list of uploaders, which is read more than once.
struct List {
    /// What came from a file, from standard input or from a table, so that what is shown
    /// and asked about is what is written. It is deleted with the list.
    copy: NamedTempFile,
    shown: String,
    is_stdin: bool,
}

impl List {
    /// The list that is named; `-` is standard input.
    async fn find(path: &Path) -> Result<Self, CommandError> {
        let is_stdin = path.as_os_str() == "-";
        let shown = if is_stdin {
            "standard input".to_owned()
        } else {
            clean(&path.to_string_lossy())
        };
        let path = path.to_owned();
        // On a thread of its own, so that Ctrl-C is heard meanwhile.
        let copy = tokio::task::spawn_blocking(move || {
            let mut copy = NamedTempFile::new()?;
            if is_stdin {
                io::copy(&mut io::stdin().lock(), &mut copy)?;
            } else {
                io::copy(&mut File::open(path)?, &mut copy)?;
            }
            Ok(copy)
        });
        let copy = copy
            .await
            .map_err(io::Error::other)
            .and_then(|copy| copy)
            .map_err(|error| ListError::Unreadable {
                path: shown.clone(),
                error,
            })?;
        Ok(Self {
            copy,
            shown,
            is_stdin,
        })
    }

    /// The uploaders of a table as a list, as `export` writes it, and how many records
    /// can't be read.
    #[cfg(feature = "aws")]
    async fn of_table(
        from: &DynamoStore,
        args: &ImportArgs,
    ) -> Result<(Self, usize), CommandError> {
        let unwritable = |error| CommandError::Usage(format!("a temporary file: {error}"));
        let reading = Spinner::on("reading the table", false);
        let mut copy = NamedTempFile::new().map_err(unwritable)?;
        let mut damaged = 0;
        let mut pages = pin!(pages(from));
        while let Some(page) = pages.try_next().await? {
            page.damaged.iter().for_each(|fault| say(fault));
            damaged += page.damaged.len();
            for record in &page.records {
                write_json(&mut copy, record).map_err(unwritable)?;
            }
        }
        drop(reading);
        let name = args.from_table.as_deref().unwrap_or_default();
        let list = Self {
            copy,
            shown: format!("table {}", clean_cut(name, 200)),
            is_stdin: false,
        };
        Ok((list, damaged))
    }

    /// The lines that are an uploader's first, with their numbers; nothing of a plain
    /// key that comes again.
    fn lines(
        &self,
        now: Timestamp,
    ) -> Result<impl Iterator<Item = (u64, Result<Option<ListLine>, String>)>, CommandError> {
        let list = list::open(self.copy.path(), &self.shown)?;
        let mut numbers = LineNumbers::default();
        Ok(list.lines.map(move |(number, listed)| {
            let checked = listed.and_then(|listed| {
                let is_first = numbers.is_first(number, &listed)?;
                // Of one that was seen it may have ended since.
                match listed.record.trusted_until {
                    Some(until) if until <= now && listed.record.revision == 0 => {
                        Err(format!("the time in `until`, {until}, has passed"))
                    }
                    _ => Ok(is_first.then_some(listed)),
                }
            });
            (number, checked)
        }))
    }

    /// Reads the whole list once before anything is written; how many uploaders
    /// there are in it, and how many bad lines.
    fn check(&self, now: Timestamp) -> Result<(usize, usize), CommandError> {
        let shown = &self.shown;
        list::say_passed_over(shown, &list::open(self.copy.path(), shown)?);
        let (mut notes, mut faults) = (ShortList::default(), ShortList::default());
        let (mut count, mut bad) = (0, 0);
        for (number, listed) in self.lines(now)? {
            match listed {
                Ok(None) => {}
                Ok(Some(listed)) => {
                    count += 1;
                    let key = &listed.record.uploader;
                    let of_root = (listed.record.standing == Standing::Trusted
                        && has_root_power(key))
                    .then(|| {
                        let key = safe(key, 200);
                        format!("{key} has the root user's power, and no push by it will be told")
                    });
                    for note in listed.note.iter().chain(&of_root) {
                        notes.say(&format!("{shown}: line {number}: {note}"));
                    }
                }
                Err(fault) => {
                    bad += 1;
                    faults.say(&format!("{shown}: line {number}: {fault}"));
                }
            }
        }
        notes.end_of(&format!("{shown}: "), "line to note");
        faults.end_of(&format!("{shown}: "), "bad line");
        Ok((count, bad))
    }

    async fn ask(&self, question: &str) -> Result<bool, AskError> {
        if self.is_stdin {
            ask_beside_input(question, false).await
        } else {
            ask(question, false).await
        }
    }
}

/// Says what a list would change; how many uploaders.
async fn preview<S: Manage>(
    store: &S,
    records: impl Iterator<Item = Record>,
) -> Result<usize, CommandError> {
    let mut counts = Counts::default();
    let (mut changes, mut terms) = (ShortList::default(), ShortList::default());
    let mut merged = stream::iter(records)
        .map(|listed| async move {
            let stored = find(store, &listed.uploader).await?;
            Ok::<_, CommandError>(Merge::of(stored.as_ref(), &listed))
        })
        .buffered(AT_ONCE);
    while let Some(merged) = merged.next().await {
        let merged = merged?;
        counts.count(&merged);
        if let Some(change) = merged.in_words() {
            changes.say(&format!("  {change}"));
        }
        if let Some(kept) = &merged.keeps_terms {
            terms.say(kept);
        }
    }
    changes.end("  ");
    terms.end("");
    say(&format!(
        "{} to add, {} to change, {} unchanged.",
        counts.added, counts.changed, counts.unchanged
    ));
    counts.say_who_stays_revoked();
    Ok(counts.added + counts.changed)
}

/// What a line asks to be written. A mere key is trusted by the caller.
fn record(listed: ListLine, args: &ImportArgs, context: &Context) -> Record {
    let mut record = listed.record;
    let seen = record.revision > 0;
    match record.standing {
        Standing::Trusted if !seen => {
            let until = record.trusted_until;
            let reason = record.trust_reason.take();
            let reason = reason.as_deref().unwrap_or(&args.reason);
            record.trust(&context.caller, Some(reason), until, context.now);
        }
        Standing::Revoked if !seen => {
            let reason = record.revoke_reason.take();
            record.revoke(&context.caller, reason.as_deref(), context.now);
        }
        _ => {}
    }
    record.revision = 1;
    record
}
