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
use super::data::{
    Cell, FindingCounts, Lane, Mark, Matrix, New, Question, Report, Row, Series, SourceKind,
    VERSION,
};
use super::embed::fingerprint;
use super::gathered::{Answers, Found, Gathered};
use super::seen::SeenPushes;

/// Uploaders that have a lane.
pub const MOST_LANES: usize = 300;
/// Parts of the time axis.
const MOST_COLUMNS: i64 = 120;
/// Parts of the axis of weeks.
const MOST_WEEKS: i64 = 53;
/// Marks of a lane.
const MOST_MARKS: usize = 40;
/// Rows and columns of the matrix.
const MOST_ROWS: usize = 25;
const MOST_PLACES: usize = 20;
/// Kinds of uploaders that are counted each by itself.
const MOST_KINDS: usize = 8;
/// Questions that are asked.
const MOST_QUESTIONS: usize = 100;
/// Who was first seen within these days is new, if `--since` does not say otherwise.
pub const NEW_DAYS: i64 = 30;
/// Longest key that is shown.
const KEY: usize = 300;
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
            key: clean_cut(key, KEY),
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
        !(lane.is_new && !lane.is_reviewed),
        standing,
        Reverse(lane.first_seen),
        key.clone(),
    )
}

/// What a lane has beside what it is sorted by; only of those that are shown.
fn complete(mut lane: Lane, record: Option<&Record>) -> Lane {
    if let Some(record) = record {
        lane.key = clean_cut(&record.uploader, KEY);
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

/// What the pushes are counted by.
struct Axes {
    columns: Buckets,
    weeks: Buckets,
    since: Option<Timestamp>,
    new_since: Timestamp,
    absence_days: u16,
}

/// A repository of a lane, counted.
#[derive(Default)]
struct Pushed {
    pushes: u64,
    first: Option<i64>,
}

/// Counts the pushes of each lane by column and place, and all of them by week and kind.
fn of_pushes(
    lanes: &mut [Lane],
    numbers: &HashMap<CompactString, usize>,
    pushes: &SeenPushes,
    axes: &Axes,
) -> (Matrix, Vec<Series>) {
    let numbers: Vec<Option<usize>> = pushes
        .uploaders
        .iter()
        .map(|uploader| numbers.get(&uploader.key).copied())
        .collect();
    let kinds = pushes.uploaders.iter();
    let kinds: Vec<String> = kinds
        .map(|uploader| clean_cut(&uploader.kind, 30))
        .collect();
    // Few kinds, many uploaders.
    let mut kind_numbers: HashMap<&str, usize> = HashMap::new();
    let kind_of: Vec<usize> = kinds
        .iter()
        .map(|kind| {
            let next = kind_numbers.len();
            *kind_numbers.entry(kind).or_insert(next)
        })
        .collect();
    let places = pushes.places();
    let mut place_numbers: HashMap<&str, usize> = HashMap::new();
    let place_of: Vec<usize> = places
        .iter()
        .map(|place| {
            let next = place_numbers.len();
            *place_numbers.entry(place).or_insert(next)
        })
        .collect();
    let mut by_column = vec![vec![0_u64; axes.columns.count]; lanes.len()];
    let mut by_week = vec![vec![0_u64; axes.weeks.count]; kind_numbers.len()];
    let mut by_place: HashMap<(usize, usize), Pushed> = HashMap::new();
    let mut last: Vec<Option<i64>> = vec![None; lanes.len()];
    for push in pushes.counted() {
        let day = push.time.div_euclid(86_400);
        let is_shown = axes
            .since
            .is_none_or(|since| push.time >= since.as_second());
        if is_shown && let Some(week) = axes.weeks.of(day) {
            by_week[kind_of[push.uploader]][week] += 1;
        }
        let Some(lane) = numbers[push.uploader] else {
            continue;
        };
        if is_shown && let Some(column) = axes.columns.of(day) {
            by_column[lane][column] += 1;
        }
        if let Some(before) = last[lane].replace(day)
            && axes.absence_days > 0
            && day - before > i64::from(axes.absence_days)
            && day >= axes.columns.first_day
        {
            lanes[lane].absences.push((before, day));
        }
        let place = by_place.entry((lane, place_of[push.shape])).or_default();
        place.first.get_or_insert(push.time);
        place.pushes += u64::from(is_shown);
    }
    for (lane, counts) in lanes.iter_mut().zip(by_column) {
        let counts = counts.into_iter().enumerate();
        lane.density = Some(counts.filter(|(_, count)| *count > 0).collect());
        lane.absences.truncate(MOST_MARKS);
    }
    let mut place_names = vec![""; place_numbers.len()];
    for (place, number) in place_numbers {
        place_names[number] = place;
    }
    let cells = by_place
        .into_iter()
        .filter(|(_, pushed)| pushed.pushes > 0)
        .map(|((lane, place), pushed)| {
            let first = pushed.first.unwrap_or_default();
            let cell = Cell {
                pushes: Some(pushed.pushes),
                is_new: first >= axes.new_since.as_second(),
            };
            (lane, place_names[place], cell)
        });
    let matrix = matrix(cells.collect(), &[]);
    let mut series: Vec<_> = kind_numbers
        .into_iter()
        .map(|(kind, number)| Series {
            name: kind.to_owned(),
            values: std::mem::take(&mut by_week[number]),
        })
        .filter(|series| series.values.iter().any(|count| *count > 0))
        .collect();
    series.sort_by_cached_key(|series| {
        (
            Reverse(series.values.iter().sum::<u64>()),
            series.name.clone(),
        )
    });
    if series.len() > MOST_KINDS {
        let rest = series.split_off(MOST_KINDS - 1);
        let mut values = vec![0; axes.weeks.count];
        for other in &rest {
            for (sum, value) in values.iter_mut().zip(&other.values) {
                *sum += value;
            }
        }
        let name = format!("{} other kinds", rest.len());
        series.push(Series { name, values });
    }
    (matrix, series)
}

/// The matrix of what the records remember: places without counts.
fn of_places(
    lanes: &[Lane],
    numbers: &HashMap<CompactString, usize>,
    records: &[Record],
) -> Matrix {
    let mut cells = Vec::new();
    let mut wide = Vec::new();
    for record in records {
        let Some(lane) = numbers.get(&record.uploader).copied() else {
            continue;
        };
        if record.habits.wide {
            wide.push(lane);
        }
        for place in &record.habits.places {
            let cell = Cell {
                pushes: None,
                is_new: lanes[lane].is_new,
            };
            cells.push((lane, place.as_str(), cell));
        }
    }
    matrix(cells, &wide)
}

/// The most worrying uploaders, and the repositories that they push to: the ones with the most
/// that is new, then those with the most uploaders.
fn matrix(mut cells: Vec<(usize, &str, Cell)>, wide: &[usize]) -> Matrix {
    let mut rows: Vec<usize> = cells.iter().map(|(lane, ..)| *lane).collect();
    rows.extend(wide);
    rows.sort_unstable();
    rows.dedup();
    let other_rows = rows.len().saturating_sub(MOST_ROWS) as u64;
    rows.truncate(MOST_ROWS);
    cells.retain(|(lane, ..)| rows.binary_search(lane).is_ok());
    let mut weights: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (_, place, cell) in &cells {
        let weight = weights.entry(place).or_default();
        weight.0 += u64::from(cell.is_new);
        weight.1 += 1;
    }
    let mut places: Vec<_> = weights.into_iter().collect();
    places.sort_by_key(|(place, weight)| (Reverse(*weight), *place));
    let other_places = places.len().saturating_sub(MOST_PLACES) as u64;
    places.truncate(MOST_PLACES);
    let cells: HashMap<(usize, &str), Cell> = cells
        .into_iter()
        .map(|(lane, place, cell)| ((lane, place), cell))
        .collect();
    let rows = rows.into_iter().map(|lane| Row {
        lane,
        is_wide: wide.contains(&lane),
        cells: places
            .iter()
            .map(|(place, _)| cells.get(&(lane, *place)).copied())
            .collect(),
    });
    Matrix {
        rows: rows.collect(),
        places: places
            .iter()
            .map(|(place, _)| clean_cut(place, KEY))
            .collect(),
        other_places,
        other_rows,
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
        uploader: clean_cut(&finding.uploader, KEY),
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
            if !plain(key) || key.len() > KEY || key.starts_with("unidentified:") {
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
