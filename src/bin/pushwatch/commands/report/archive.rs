//! An archive of CloudTrail files, decided as `replay` does it.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use pushwatch::policy::Policy;
use pushwatch::store::MemoryStore;
use pushwatch::text::clean_cut;
use pushwatch::watch::{Outcome, Watch};

use super::buckets::{begin_of, day};
use super::data::{Coverage, Source, SourceKind};
use super::gathered::{Answers, Found, Gathered};
use super::seen::SeenPushes;
use crate::error::CommandError;
use crate::input::{self, Tally};
use crate::when::parse_time;

/// Gaps that are named.
const MOST_GAPS: usize = 20;
/// One push is decided in memory; it never takes that long.
const LONGEST_PUSH: SignedDuration = SignedDuration::from_mins(1);

/// Reads all files, and decides all pushes in the order of their times.
///
/// # Errors
/// When a push can't be decided.
pub async fn gather(
    paths: &[PathBuf],
    known: MemoryStore,
    policy: Policy,
    since: Option<Timestamp>,
    quiet: bool,
) -> Result<Gathered, CommandError> {
    let now = Timestamp::now();
    let pushes = Mutex::new(SeenPushes::new(policy.suppress.is_some()));
    let contents = input::read_each(paths, now, quiet, &|source, pushed| {
        let mut pushes = pushes.lock().unwrap_or_else(PoisonError::into_inner);
        pushes.add(source, pushed);
    });
    let mut pushes = pushes.into_inner().unwrap_or_else(PoisonError::into_inner);
    pushes.sort();
    let mut coverage = coverage(&contents.tally, contents.files, contents.fault_count);
    let mut findings = Vec::new();
    let mut until = None;
    let watch = Watch::in_memory(known, policy);
    for index in 0..pushes.len() {
        let (push, uploader) = pushes.get(index);
        let failed = push.failed();
        until = until.max(Some(push.event_time));
        let outcome = watch
            .push(push, uploader, Timestamp::now() + LONGEST_PUSH)
            .await
            .map_err(|error| CommandError::Watch(error.to_string()))?;
        let is_duplicate = outcome.outcome == Outcome::Duplicate;
        coverage.duplicates += u64::from(is_duplicate);
        coverage.failed += u64::from(failed && !is_duplicate);
        if failed || is_duplicate {
            pushes.discount(index);
        }
        let finding = outcome.finding.as_ref().map(Found::from);
        findings.extend(finding.filter(|finding| since.is_none_or(|since| finding.time >= since)));
    }
    // The last day with a record may be later than the last push.
    let last_day = coverage.days.map(|(_, last)| begin_of(last));
    Ok(Gathered {
        source: Source {
            kind: SourceKind::Archive,
            name: names(paths),
        },
        records: watch.store.records(),
        findings: Some(findings),
        damaged: 0,
        until: until.max(last_day).unwrap_or(now),
        coverage: Some(coverage),
        pushes: Some(pushes),
        answers: Answers::ByTrust,
        has_faults: contents.fault_count > 0,
    })
}

fn names(paths: &[PathBuf]) -> String {
    let name = |path: &PathBuf| match path.to_string_lossy() {
        path if path == "-" => "standard input".to_owned(),
        path => clean_cut(&path, 120),
    };
    let named: Vec<_> = paths.iter().take(3).map(name).collect();
    match paths.len() - named.len() {
        0 => named.join(", "),
        more => format!("{}, and {more} more", named.join(", ")),
    }
}

fn coverage(tally: &Tally, files: usize, faults: usize) -> Coverage {
    let days = tally.days.iter().filter_map(|text| {
        let text = std::str::from_utf8(text).ok()?;
        parse_time(text).map(day)
    });
    let days: Vec<_> = days.collect();
    let mut gaps: Vec<_> = days
        .windows(2)
        .filter_map(|pair| match pair {
            [before, after] if after - before > 1 => Some((before + 1, after - 1)),
            _ => None,
        })
        .collect();
    gaps.sort_by_key(|(first, last)| (first - last, *first));
    let other_gaps = gaps.len().saturating_sub(MOST_GAPS);
    gaps.truncate(MOST_GAPS);
    Coverage {
        files: files as u64,
        others: tally.others,
        pushes: tally.pushes,
        ignored: tally.ignored,
        unreadable: faults as u64,
        duplicates: 0,
        failed: 0,
        days: days.first().copied().zip(days.last().copied()),
        gaps,
        other_gaps: other_gaps as u64,
    }
}
