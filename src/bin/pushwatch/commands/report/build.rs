//! Makes a report of what was gathered: counts, sorts, and cuts to what can be looked at.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use compact_str::CompactString;
use jiff::{SignedDuration, Timestamp};
use pushwatch::finding::Severity;
use pushwatch::record::{Record, Standing};
use pushwatch::text::clean_cut;
use pushwatch::time::whole_seconds;

use super::buckets::{Buckets, day};
use super::count::{Axes, of_pushes};
use super::data::{
    FindingCounts, Lane, MAX_KEY_SHOWN, MOST_MARKS, Mark, New, Question, Report, SourceKind,
    VERSION,
};
use super::embed::fingerprint;
use super::gathered::{Answers, Found, Gathered};
use super::places::of_places;

/// Uploaders that have a lane.
pub const MOST_LANES: usize = 300;
/// Parts of the time axis.
const MOST_COLUMNS: i64 = 120;
/// Parts of the axis of weeks.
const MOST_WEEKS: i64 = 53;
/// Questions that are asked.
const MOST_QUESTIONS: usize = 100;
/// Who was first seen within these days is new, if `--since` does not say otherwise.
pub const NEW_DAYS: i64 = 30;
/// Longest name.
const NAME: usize = 60;

/// The standing of somebody of whom no record is kept.
const UNIDENTIFIED: &str = "unidentified";

/// Makes the report.
pub fn build(
    gathered: Gathered,
    since: Option<Timestamp>,
    absence_days: u16,
    now: Timestamp,
) -> Report {
    let until = whole_seconds(gathered.until);
    let new_since = since.unwrap_or(until - SignedDuration::from_hours(24 * NEW_DAYS));
    let found = gathered.findings.as_deref().unwrap_or_default();
    let mut lanes = lanes(&gathered.records, found, since, new_since);
    let total = gathered.records.len() as u64;
    let shown = lanes
        .iter()
        .filter(|(lane, _)| lane.standing != UNIDENTIFIED);
    let not_seen_since = total - shown.count() as u64;
    lanes.sort_by_cached_key(worry);
    let first_day = first_day(&lanes, found, since, until);
    let columns = Buckets::between(first_day, day(until), 1, MOST_COLUMNS);
    let weeks = Buckets::between(first_day, day(until), 7, MOST_WEEKS);
    let new = new(&lanes, new_since);
    let new_by_week = new_by_week(&lanes, weeks);
    let mut others = BTreeMap::new();
    for (lane, _) in lanes.iter().skip(MOST_LANES) {
        *others.entry(lane.standing.clone()).or_default() += 1;
    }
    lanes.truncate(MOST_LANES);
    let numbers: HashMap<CompactString, usize> = lanes
        .iter()
        .enumerate()
        .map(|(number, (_, key))| (key.clone(), number))
        .collect();
    let records = gathered.records.iter();
    let records: HashMap<&str, &Record> = records
        .filter(|record| numbers.contains_key(&record.uploader))
        .map(|record| (record.uploader.as_str(), record))
        .collect();
    let mut lanes: Vec<Lane> = lanes
        .into_iter()
        .map(|(lane, key)| complete(lane, records.get(key.as_str()).copied()))
        .collect();
    mark(&mut lanes, &numbers, found, columns);
    let (matrix, pushes_by_week) = match &gathered.pushes {
        Some(pushes) => {
            let axes = Axes {
                columns,
                weeks,
                since,
                new_since,
                absence_days,
            };
            let (matrix, weeks) = of_pushes(&mut lanes, &numbers, pushes, &axes);
            (matrix, Some(weeks))
        }
        None => (of_places(&lanes, &numbers, &gathered.records), None),
    };
    still_absent(&mut lanes, day(until), absence_days);
    let (questions, other_questions) = questions(found, &gathered.answers);
    let mut standings = BTreeMap::new();
    for record in &gathered.records {
        *standings.entry(standing(record)).or_default() += 1;
    }
    Report {
        version: VERSION,
        made_at: whole_seconds(now),
        since,
        until,
        new_since,
        uploaders: total,
        not_seen_since,
        standings,
        new,
        findings: gathered.findings.as_deref().map(counts),
        columns,
        lanes,
        others,
        matrix,
        weeks,
        pushes_by_week,
        new_by_week,
        questions,
        other_questions,
        damaged: gathered.damaged,
        fingerprints: gathered.records.iter().map(fingerprint).collect(),
        coverage: gathered.coverage,
        source: gathered.source,
    }
}

fn standing(record: &Record) -> String {
    clean_cut(record.standing.as_str(), 20)
}

/// A lane for each uploader that was seen since, with what its findings say; and its key.
fn lanes(
    records: &[Record],
    found: &[Found],
    since: Option<Timestamp>,
    new_since: Timestamp,
) -> Vec<(Lane, CompactString)> {
    let mut about: HashMap<&str, (u64, u64, Option<Severity>, &Found)> = HashMap::new();
    for finding in found {
        let entry = about
            .entry(&finding.uploader)
            .or_insert((0, 0, None, finding));
        entry.0 += 1;
        if finding.is_open {
            entry.1 += 1;
            entry.2 = entry.2.max(Some(finding.severity));
        }
    }
    let mut lanes = Vec::with_capacity(records.len());
    for record in records {
        let findings = about.remove(record.uploader.as_str());
        let is_seen = since.is_none_or(|since| {
            let times = [record.last_seen, record.trusted_at, record.revoked_at];
            times.into_iter().flatten().any(|time| time >= since)
        });
        if !is_seen && findings.is_none() {
            continue;
        }
        let (all, open, worst, _) = findings.map_or((0, 0, None, None), |(all, open, worst, f)| {
            (all, open, worst, Some(f))
        });
        let is_answered = all > 0 && open == 0;
        let is_new = record.standing != Standing::Learned
            && record.first_seen.is_some_and(|first| first >= new_since);
        let is_reviewed = is_answered
            || matches!(
                record.standing,
                Standing::Trusted | Standing::Revoked | Standing::Pattern
            );
        let lane = Lane {
            standing: standing(record),
            kind: clean_cut(record.kind.as_deref().unwrap_or("-"), 24),
            first_seen: record.first_seen,
            last_seen: record.last_seen,
            pushes: record.pushes,
            is_new,
            is_reviewed,
            open_findings: open,
            worst_open: worst,
            trusted_at: record.trusted_at,
            revoked_at: record.revoked_at,
            ..Lane::default()
        };
        lanes.push((lane, record.uploader.clone()));
    }
    for (key, (_, open, worst, finding)) in about {
        let lane = Lane {
            key: clean_cut(key, MAX_KEY_SHOWN),
            name: clean_cut(&finding.name, NAME),
            kind: clean_cut(&finding.kind, 30),
            standing: UNIDENTIFIED.to_owned(),
            open_findings: open,
            worst_open: worst,
            ..Lane::default()
        };
        lanes.push((lane, key.into()));
    }
    lanes
}

/// The most worrying first, and of those the latest.
fn worry(entry: &(Lane, CompactString)) -> impl Ord + use<> {
    let (lane, key) = entry;
    let standing = match lane.standing.as_str() {
        "revoked" => 0,
        UNIDENTIFIED => 1,
        "attempted" | "suppressed" => 3,
        "new" => 4,
        "learned" => 5,
        "pattern" => 6,
        "trusted" => 7,
        _ => 2,
    };
    (
        Reverse(lane.worst_open),
        !lane.is_new || lane.is_reviewed,
        standing,
        Reverse(lane.first_seen),
        key.clone(),
    )
}

/// What a lane has beside what it is sorted by; only of those that are shown.
fn complete(mut lane: Lane, record: Option<&Record>) -> Lane {
    if let Some(record) = record {
        lane.key = clean_cut(&record.uploader, MAX_KEY_SHOWN);
        let name = record.name.as_deref().unwrap_or(&record.uploader);
        lane.name = clean_cut(name, NAME);
        lane.account = record.account_id.as_deref().map(|id| clean_cut(id, 24));
    }
    lane
}

fn first_day(
    lanes: &[(Lane, CompactString)],
    found: &[Found],
    since: Option<Timestamp>,
    until: Timestamp,
) -> i64 {
    let seen = lanes.iter().filter_map(|(lane, _)| lane.first_seen);
    let found = found.iter().map(|finding| finding.time);
    let first = since.or(seen.chain(found).min()).unwrap_or(until);
    day(first.min(until))
}

fn new(lanes: &[(Lane, CompactString)], new_since: Timestamp) -> New {
    let mut new = New::default();
    for (lane, _) in lanes {
        if lane.is_new {
            new.uploaders += 1;
            new.not_reviewed += u64::from(!lane.is_reviewed);
        } else if lane.first_seen.is_some_and(|first| first >= new_since) {
            new.learned += 1;
        }
    }
    new
}

fn new_by_week(lanes: &[(Lane, CompactString)], weeks: Buckets) -> Vec<u64> {
    let mut new = vec![0; weeks.count];
    for (lane, _) in lanes {
        if let Some(week) = lane.first_seen.and_then(|first| weeks.of(day(first))) {
            new[week] += 1;
        }
    }
    new
}

fn counts(found: &[Found]) -> FindingCounts {
    let mut counts = FindingCounts::default();
    for finding in found {
        counts.all += 1;
        let reason = clean_cut(&finding.reason, 40);
        *counts.by_reason.entry(reason).or_default() += 1;
        if finding.is_open {
            counts.open += 1;
            *counts.open_by_severity.entry(finding.severity).or_default() += 1;
        }
    }
    counts
}

/// Marks the findings on the lanes: one mark a column, of the worst.
fn mark(
    lanes: &mut [Lane],
    numbers: &HashMap<CompactString, usize>,
    found: &[Found],
    columns: Buckets,
) {
    let mut marks: BTreeMap<(usize, usize), Mark> = BTreeMap::new();
    for finding in found {
        let Some(lane) = numbers.get(&finding.uploader) else {
            continue;
        };
        let Some(column) = columns.of(day(finding.time)) else {
            continue;
        };
        let mark = marks.entry((*lane, column)).or_insert_with(|| Mark {
            column,
            severity: finding.severity,
            reason: clean_cut(&finding.reason, 40),
            time: finding.time,
            count: 0,
        });
        mark.count += 1;
        if finding.severity > mark.severity {
            mark.severity = finding.severity;
            mark.reason = clean_cut(&finding.reason, 40);
            mark.time = finding.time;
        }
    }
    for ((lane, _), mark) in marks {
        let lane = &mut lanes[lane];
        if lane.marks.len() < MOST_MARKS {
            lane.marks.push(mark);
        } else {
            lane.other_marks += mark.count;
        }
    }
}

/// Notes who has not pushed for long, up to the end.
fn still_absent(lanes: &mut [Lane], until: i64, absence_days: u16) {
    for lane in lanes {
        if let Some(last) = lane.last_seen.map(day)
            && absence_days > 0
            && until - last > i64::from(absence_days)
        {
            lane.absences.push((last, until));
        }
    }
}

/// The open findings, worst and latest first.
fn questions(found: &[Found], answers: &Answers) -> (Vec<Question>, u64) {
    let mut open: Vec<&Found> = found.iter().filter(|finding| finding.is_open).collect();
    open.sort_by_key(|finding| (Reverse((finding.severity, finding.time)), &finding.id));
    let others = open.len().saturating_sub(MOST_QUESTIONS) as u64;
    open.truncate(MOST_QUESTIONS);
    let questions = open.into_iter().map(|finding| Question {
        severity: finding.severity,
        reason: clean_cut(&finding.reason, 40),
        time: finding.time,
        uploader: clean_cut(&finding.uploader, MAX_KEY_SHOWN),
        image: crate::ui::image(finding.repository.as_deref(), finding.tag.as_deref()),
        command: command(finding, answers),
    });
    (questions.collect(), others)
}

/// What is typed to answer it. A key that a shell or a reader could take for something else
/// is in no command.
fn command(finding: &Found, answers: &Answers) -> Option<String> {
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    match answers {
        Answers::ById(deployment) => {
            let id = Some(finding.id.as_str()).filter(|id| plain(id))?;
            let id = shlex::try_quote(id).ok()?;
            Some(format!(
                "pushwatch findings answer {id} --reason 'WHY'{deployment}"
            ))
        }
        Answers::ByTrust => {
            let key = finding.uploader.as_str();
            if !plain(key) || key.len() > MAX_KEY_SHOWN || key.starts_with("unidentified:") {
                return None;
            }
            let key = shlex::try_quote(key).ok()?;
            Some(format!(
                "pushwatch uploaders trust {key} --reason 'WHY' --file known.jsonl"
            ))
        }
    }
}

/// Whether there is anything to look at.
pub fn is_empty(report: &Report) -> bool {
    let has_pushes = report.coverage.as_ref().is_some_and(|c| c.pushes > 0);
    report.uploaders == 0 && !has_pushes && report.source.kind != SourceKind::Deployment
}
