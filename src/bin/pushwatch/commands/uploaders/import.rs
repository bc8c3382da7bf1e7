//! `pushwatch uploaders import`.
//!
//! Each uploader is one conditional write, many of them at once. A batch write
//! has no conditions: it would put its record over one that the function wrote
//! a moment before.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use pushwatch::record::{Record, Standing};
use pushwatch::store::Manage;
use pushwatch::text::{clean, clean_cut};
use tempfile::NamedTempFile;

use super::records::{self, find};
use super::{CommandOutcome, Context};
use crate::deployment::TargetArgs;
use crate::error::CommandError;
use crate::list::{self, LineNumbers, ListError, ListLine, former_key, has_root_power};
use crate::ui::{AskError, SHORT, ShortList, ask, ask_beside_input, counted, say, still_bar};

/// Calls under way at a time; the most that a batch write would take.
pub const AT_ONCE: usize = 25;

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
    pub target: TargetArgs,

    /// Why plain keys are trusted
    #[arg(long, value_name = "TEXT", value_parser = super::parse_reason, default_value = "imported")]
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
    let list = List::find(&args.list).await?;
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
    path: PathBuf,
    shown: String,
    /// What came from standard input.
    copy: Option<NamedTempFile>,
}

impl List {
    /// The list that is named; `-` is standard input.
    async fn find(path: &Path) -> Result<Self, CommandError> {
        if path.as_os_str() != "-" {
            return Ok(Self {
                path: path.to_owned(),
                shown: clean(&path.to_string_lossy()),
                copy: None,
            });
        }
        let shown = "standard input";
        // On a thread of its own, so that Ctrl-C is heard meanwhile.
        let copy = tokio::task::spawn_blocking(|| {
            let mut copy = NamedTempFile::new()?;
            io::copy(&mut io::stdin().lock(), &mut copy)?;
            Ok(copy)
        });
        let copy = copy
            .await
            .map_err(io::Error::other)
            .and_then(|copy| copy)
            .map_err(|error| ListError::Unreadable {
                path: shown.to_owned(),
                error,
            })?;
        Ok(Self {
            path: copy.path().to_owned(),
            shown: shown.to_owned(),
            copy: Some(copy),
        })
    }

    /// The lines that are an uploader's first, with their numbers; nothing of a plain
    /// key that comes again.
    fn lines(
        &self,
        now: Timestamp,
    ) -> Result<impl Iterator<Item = (u64, Result<Option<ListLine>, String>)>, CommandError> {
        let list = list::open(&self.path)?;
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
        list::say_passed_over(shown, &list::open(&self.path)?);
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
                        let key = clean_cut(key, 200);
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
        match self.copy {
            None => ask(question, false).await,
            Some(_) => ask_beside_input(question, false).await,
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

/// What to do about an uploader who is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Add what is new.
    Merge,
    /// Leave it as it is.
    Leave,
}

/// How many uploaders were what.
#[derive(Debug, Default)]
pub struct Counts {
    pub added: usize,
    pub changed: usize,
    pub unchanged: usize,
    pub stay_revoked: usize,
}

impl Counts {
    fn count(&mut self, merged: &Merge) {
        self.stay_revoked += usize::from(merged.stays_revoked);
        match merged.effect {
            Effect::Added => self.added += 1,
            Effect::Changed => self.changed += 1,
            Effect::Unchanged if merged.stays_revoked => {}
            Effect::Unchanged => self.unchanged += 1,
        }
    }

    fn say_who_stays_revoked(&self) {
        match self.stay_revoked {
            0 => {}
            1 => say("1 is revoked and stays so; `pushwatch uploaders trust KEY` trusts it."),
            many => say(&format!(
                "{many} are revoked and stay so; `pushwatch uploaders trust KEY` trusts one."
            )),
        }
    }
}

/// What a list comes to for an uploader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Added,
    Changed,
    Unchanged,
}

/// A list's record and the stored one, put together.
struct Merge {
    effect: Effect,
    /// What is to be written, if anything is.
    record: Record,
    /// The standing before, if there was a record.
    before: Option<Standing>,
    /// Although the list says otherwise.
    stays_revoked: bool,
    /// That somebody trusted keeps other terms than the list has.
    keeps_terms: Option<String>,
}

impl Merge {
    /// `stored` is the uploader's record or, if there is none, that of its former key.
    fn of(stored: Option<&Record>, listed: &Record) -> Self {
        let is_own = |stored: &Record| stored.uploader == listed.uploader;
        let stays_revoked = |stored: &Record| {
            stored.standing == Standing::Revoked && listed.standing != Standing::Revoked
        };
        let Some(stored) = stored.filter(|stored| is_own(stored) || stays_revoked(stored)) else {
            return Self {
                effect: Effect::Added,
                record: listed.clone(),
                before: None,
                stays_revoked: false,
                keeps_terms: None,
            };
        };
        let mut record = stored.clone();
        let has_changed = is_own(stored) && record.merge(listed);
        Self {
            effect: if has_changed {
                Effect::Changed
            } else {
                Effect::Unchanged
            },
            record,
            stays_revoked: stays_revoked(stored),
            keeps_terms: keeps_terms(stored, listed),
            before: Some(stored.standing.clone()),
        }
    }

    /// What is to be written, for a preview.
    fn in_words(&self) -> Option<String> {
        let record = &self.record;
        let key = clean_cut(&record.uploader, 1024);
        let standing = |standing: &Standing| clean_cut(standing.as_str(), 40);
        let now = standing(&record.standing);
        let until = record.trusted_until;
        let until = until.map_or_else(String::new, |until| format!(" until {until}"));
        match (self.effect, &self.before) {
            (Effect::Added, _) => Some(format!("{key} (not there yet, will be {now}{until})")),
            (Effect::Changed, Some(before)) if *before != record.standing => Some(format!(
                "{key} ({}, will be {now}{until})",
                standing(before)
            )),
            (Effect::Changed, _) => Some(format!("{key} ({now}, stays so; more is known of it)")),
            _ => None,
        }
    }
}

/// That somebody trusted stays trusted until another time than the list says.
fn keeps_terms(stored: &Record, listed: &Record) -> Option<String> {
    let both_trust = [stored, listed]
        .iter()
        .all(|record| record.standing == Standing::Trusted);
    if !both_trust || stored.trusted_until == listed.trusted_until {
        return None;
    }
    let until = |record: &Record| {
        let until = record.trusted_until;
        until.map_or_else(
            || "without end".to_owned(),
            |until| format!("until {until}"),
        )
    };
    Some(format!(
        "{} stays trusted {}; the list says {}. `pushwatch uploaders trust KEY` changes it.",
        clean_cut(&stored.uploader, 1024),
        until(stored),
        until(listed)
    ))
}

/// Writes records, with a progress bar.
///
/// # Errors
/// When a write fails for good; the others before it stay, and are said.
pub async fn write_all<S: Manage>(
    store: &S,
    records: impl Iterator<Item = Record>,
    count: u64,
    existing: Existing,
    now: Timestamp,
) -> Result<Counts, CommandError> {
    let progress = still_bar(count, "{bar:40} {pos} of {len}, {per_sec}, {eta} left");
    let mut counts = Counts::default();
    let mut terms = ShortList::default();
    let mut writes = stream::iter(records)
        .map(|record| write(store, record, existing, now))
        .buffer_unordered(AT_ONCE);
    while let Some(written) = writes.next().await {
        match written {
            Ok(merged) => {
                counts.count(&merged);
                if let Some(kept) = &merged.keeps_terms {
                    progress.suspend(|| terms.say(kept));
                }
            }
            Err(error) => {
                let done = progress.position();
                progress.finish_and_clear();
                say(&format!(
                    "{done} of {count} are done; run it again to go on."
                ));
                return Err(error);
            }
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    terms.end("");
    Ok(counts)
}

/// Adds an uploader, or what is new to the one that is there.
async fn write<S: Manage>(
    store: &S,
    listed: Record,
    existing: Existing,
    now: Timestamp,
) -> Result<Merge, CommandError> {
    let key = &listed.uploader;
    // Most are not there yet, and need no look. But a record of its own would end a
    // revocation under the former key.
    let stored = match former_key(key) {
        Some(_) => find(store, key).await?,
        None => None,
    };
    records::commit(store, key, stored, now, |stored| {
        let mut merge = Merge::of(stored, &listed);
        if existing == Existing::Leave && merge.before.is_some() {
            merge.effect = Effect::Unchanged;
            merge.stays_revoked = false;
            merge.keeps_terms = None;
        }
        let record = (merge.effect != Effect::Unchanged).then(|| merge.record.clone());
        (record, merge)
    })
    .await
}
