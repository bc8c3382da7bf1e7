//! What a report knows: plain values, every text of an event cleaned and cut. The page, the
//! summary and the comparison are made of it, and nothing else.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pushwatch::finding::Severity;
use serde::{Deserialize, Serialize};

use super::buckets::Buckets;

/// Of the data in a page. A later one can't be compared by this program.
pub const VERSION: u32 = 1;
/// Marks of a lane.
pub const MOST_MARKS: usize = 40;
/// The longest key that is shown.
pub const MAX_KEY_SHOWN: usize = 300;

/// A report.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub version: u32,
    pub made_at: Timestamp,
    pub source: Source,
    /// `--since`, if it was given.
    pub since: Option<Timestamp>,
    /// What is shown ends here: with the last record, or now.
    pub until: Timestamp,
    /// Whoever was seen first from here on is new.
    pub new_since: Timestamp,
    /// All who are remembered.
    pub uploaders: u64,
    /// Of these, those who were not seen since `since`, and are shown nowhere.
    pub not_seen_since: u64,
    pub standings: BTreeMap<String, u64>,
    pub new: New,
    /// None if findings could not be looked at.
    pub findings: Option<FindingCounts>,
    /// The parts of the time axis.
    pub columns: Buckets,
    /// Most worrying first.
    pub lanes: Vec<Lane>,
    /// Those who have no lane.
    pub others: BTreeMap<String, u64>,
    pub matrix: Matrix,
    pub weeks: Buckets,
    /// Pushes by kind of uploader in each of `weeks`; none without the pushes themselves.
    pub pushes_by_week: Option<Vec<Series>>,
    pub new_by_week: Vec<u64>,
    pub questions: Vec<Question>,
    pub other_questions: u64,
    pub coverage: Option<Coverage>,
    /// Items of the tables that can't be read.
    pub damaged: u64,
    /// Of each uploader a fingerprint of its key and a letter for its standing; for a later
    /// report to compare with.
    pub fingerprints: String,
}

/// What it was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    pub kind: SourceKind,
    /// The stack, the table or the file; the paths of an archive.
    pub name: String,
}

/// Where uploaders and pushes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SourceKind {
    Archive,
    Deployment,
    UploadersFile,
}

/// Who is new. Those who were learned are counted apart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct New {
    pub uploaders: u64,
    /// Of these, whom nobody trusted or revoked, and whose findings nobody answered.
    pub not_reviewed: u64,
    pub learned: u64,
}

/// How many findings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FindingCounts {
    pub all: u64,
    pub open: u64,
    pub open_by_severity: BTreeMap<Severity, u64>,
    pub by_reason: BTreeMap<String, u64>,
}

/// One uploader.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lane {
    pub key: String,
    pub name: String,
    pub kind: String,
    pub account: Option<String>,
    pub standing: String,
    pub first_seen: Option<Timestamp>,
    pub last_seen: Option<Timestamp>,
    /// As remembered: before `since` too, and perhaps a repeat.
    pub pushes: u64,
    pub is_new: bool,
    pub is_reviewed: bool,
    pub open_findings: u64,
    pub worst_open: Option<Severity>,
    /// Columns with pushes, and how many; none without the pushes themselves.
    pub density: Option<Vec<(usize, u64)>>,
    pub marks: Vec<Mark>,
    /// Findings that have no mark.
    pub other_marks: u64,
    pub trusted_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    /// Days between two pushes that lie further apart than absence lets pass.
    pub absences: Vec<(i64, i64)>,
}

/// Findings of a lane in one column.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    pub column: usize,
    /// The worst.
    pub severity: Severity,
    pub reason: String,
    pub time: Timestamp,
    pub count: u64,
}

/// Uploaders and repositories.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Matrix {
    /// `<registry>/<region>/<repository>`
    pub places: Vec<String>,
    pub other_places: u64,
    pub rows: Vec<Row>,
    /// Uploaders with a place that have no row.
    pub other_rows: u64,
}

/// The repositories of an uploader.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The number of its lane.
    pub lane: usize,
    /// It pushes to more places than are remembered.
    pub is_wide: bool,
    pub cells: Vec<Option<Cell>>,
}

/// That an uploader pushes to a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cell {
    /// None where only the place is remembered.
    pub pushes: Option<u64>,
    pub is_new: bool,
}

/// A number for each bucket.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Series {
    pub name: String,
    pub values: Vec<u64>,
}

/// A finding that nobody has answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    pub severity: Severity,
    pub reason: String,
    pub time: Timestamp,
    pub uploader: String,
    pub image: String,
    /// What answers it; none if nothing can be typed safely.
    pub command: Option<String>,
}

/// What was read. `others`, `pushes`, `ignored` and `unreadable` are all there was.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Coverage {
    pub files: u64,
    pub others: u64,
    pub pushes: u64,
    pub ignored: u64,
    pub unreadable: u64,
    /// Of the pushes: delivered twice.
    pub duplicates: u64,
    /// Of the pushes: refused by ECR.
    pub failed: u64,
    /// The first and last day with a record.
    pub days: Option<(i64, i64)>,
    /// Spans of days without any record, the longest first.
    pub gaps: Vec<(i64, i64)>,
    pub other_gaps: u64,
}

impl Coverage {
    /// All that was read.
    pub fn records(&self) -> u64 {
        self.others + self.pushes + self.ignored + self.unreadable
    }
}
