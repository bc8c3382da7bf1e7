//! `pushwatch uploaders import`.
//!
//! Each uploader is one conditional write, many of them at once. A batch write
//! has no conditions: it would put its record over one that the function wrote
//! a moment before.

use std::path::Path;

use futures_util::{StreamExt as _, stream};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use pushwatch::record::{Record, Standing};
use pushwatch::store::{Commit, CommitAnswer, Manage};
use pushwatch::text::{clean, clean_cut};

use super::args::ImportArgs;
use super::{Context, Done};
use crate::uploaders_file::{self, FirstLines, Listed};
use crate::{CommandError, bad_lines, say, store_fault};

/// Writes under way at a time; the most that a batch write would take.
pub const AT_ONCE: usize = 25;
const TRIES: usize = 5;
/// Bad lines that are named; the rest are counted.
const MOST_NAMED: usize = 100;

/// Imports a list.
pub async fn import<S: Manage>(
    store: &S,
    args: &ImportArgs,
    context: &Context,
) -> Result<Done, CommandError> {
    let (count, bad) = check(&args.list)?;
    if bad > 0 && !args.skip_bad {
        return Err(CommandError::BadLines(bad));
    }

    let mut first_lines = FirstLines::default();
    let good = uploaders_file::lines(&args.list)?.filter_map(|(number, listed)| {
        let listed = listed.ok()?;
        let is_first = first_lines.is_first(number, &listed).ok()?;
        is_first.then(|| record(listed, args, context))
    });
    let counts = write_all(store, good, count, Existing::Merge, context.now).await?;
    say(&format!(
        "Added {}, changed {}, unchanged {}.",
        counts.added, counts.changed, counts.unchanged
    ));
    if counts.stay_revoked > 0 {
        say(&format!(
            "{} are revoked and stay so; `pushwatch uploaders trust KEY` trusts them.",
            counts.stay_revoked
        ));
    }
    if bad > 0 {
        say(&format!("Passed over {}.", bad_lines(bad)));
    }
    Ok(Done::changed(counts.added + counts.changed > 0))
}

/// Reads the whole list once before anything is written; how many uploaders
/// there are in it, and how many bad lines.
fn check(list: &Path) -> Result<(u64, usize), CommandError> {
    let shown = clean(&list.to_string_lossy());
    let mut first_lines = FirstLines::default();
    let (mut count, mut bad) = (0, 0);
    for (number, listed) in uploaders_file::lines(list)? {
        let checked = listed.and_then(|listed| {
            let is_first = first_lines.is_first(number, &listed)?;
            Ok((is_first, listed.note))
        });
        match checked {
            Ok((is_first, note)) => {
                count += u64::from(is_first);
                if let Some(note) = note {
                    say(&format!("{shown}: line {number}: {note}"));
                }
            }
            Err(fault) => {
                bad += 1;
                if bad <= MOST_NAMED {
                    say(&format!("{shown}: line {number}: {fault}"));
                }
            }
        }
    }
    if bad > MOST_NAMED {
        say(&format!(
            "{shown}: and {} more",
            bad_lines(bad - MOST_NAMED)
        ));
    }
    Ok((count, bad))
}

fn progress(count: u64) -> ProgressBar {
    // Drawn on standard error, and only if that is a terminal.
    ProgressBar::new(count).with_style(
        ProgressStyle::with_template("{bar:40} {pos} of {len}, {per_sec}, {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    )
}

/// What a line asks to be written. A mere key is trusted by whoever imports it.
fn record(listed: Listed, args: &ImportArgs, context: &Context) -> Record {
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
    let progress = progress(count);
    let mut counts = Counts::default();
    let mut writes = stream::iter(records)
        .map(|record| write(store, record, existing, now))
        .buffer_unordered(AT_ONCE);
    while let Some(written) = writes.next().await {
        match written {
            Ok(Written::Added) => counts.added += 1,
            Ok(Written::Changed) => counts.changed += 1,
            Ok(Written::Unchanged) => counts.unchanged += 1,
            Ok(Written::StaysRevoked) => counts.stay_revoked += 1,
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
    Ok(counts)
}

enum Written {
    Added,
    Changed,
    Unchanged,
    StaysRevoked,
}

/// Adds an uploader, or what is new to the one that is there.
async fn write<S: Manage>(
    store: &S,
    listed: Record,
    existing: Existing,
    now: Timestamp,
) -> Result<Written, CommandError> {
    let mut record = listed.clone();
    let mut read_revision = None;
    for _ in 0..TRIES {
        let commit = Commit {
            read_revision,
            record: Some(&record),
            finding: None,
            now,
        };
        match store.commit(commit).await.map_err(store_fault)? {
            CommitAnswer::Applied | CommitAnswer::AlreadyDecided => {
                return Ok(match read_revision {
                    None => Written::Added,
                    Some(_) => Written::Changed,
                });
            }
            CommitAnswer::Busy => {}
            CommitAnswer::Lost(None) => {
                read_revision = None;
                record = listed.clone();
            }
            CommitAnswer::Lost(Some(_)) if existing == Existing::Leave => {
                return Ok(Written::Unchanged);
            }
            CommitAnswer::Lost(Some(stored)) => {
                read_revision = Some(stored.revision);
                record = *stored;
                if !record.merge(&listed) {
                    let stays_revoked = record.standing == Standing::Revoked
                        && listed.standing != Standing::Revoked;
                    return Ok(if stays_revoked {
                        Written::StaysRevoked
                    } else {
                        Written::Unchanged
                    });
                }
            }
        }
    }
    Err(CommandError::Busy(clean_cut(&listed.uploader, 200)))
}
