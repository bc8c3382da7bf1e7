//! What a report is made of, wherever it comes from.

use compact_str::CompactString;
use jiff::Timestamp;
use pushwatch::finding::{Finding, Severity};
use pushwatch::record::Record;
use pushwatch::store::StoredFinding;

use super::data::{Coverage, Source};
use super::seen::SeenPushes;

/// All that was found.
#[derive(Debug)]
pub struct Gathered {
    pub source: Source,
    pub records: Vec<Record>,
    /// None if findings can't be looked at.
    pub findings: Option<Vec<Found>>,
    /// Items that can't be read.
    pub damaged: u64,
    pub coverage: Option<Coverage>,
    /// Only of an archive.
    pub pushes: Option<SeenPushes>,
    /// What is known ends here.
    pub until: Timestamp,
    pub answers: Answers,
    /// Something could not be read, and was said.
    pub has_faults: bool,
}

/// How findings are answered.
#[derive(Debug, Clone)]
#[cfg_attr(not(feature = "aws"), allow(dead_code))] // only deployments have ids
pub enum Answers {
    /// By their ids; the options that name the deployment.
    ById(String),
    /// By trusting the uploader in an uploaders file.
    ByTrust,
}

/// A finding.
#[derive(Debug, Clone)]
pub struct Found {
    pub id: String,
    pub uploader: CompactString,
    pub name: CompactString,
    pub kind: CompactString,
    pub reason: CompactString,
    pub severity: Severity,
    /// Of the push.
    pub time: Timestamp,
    pub repository: Option<CompactString>,
    pub tag: Option<CompactString>,
    /// Nobody has answered it, and it is more than information.
    pub is_open: bool,
}

impl From<&Finding> for Found {
    fn from(finding: &Finding) -> Self {
        Self {
            id: finding.id.to_string(),
            uploader: finding.uploader.key.clone(),
            name: finding.uploader.name.clone(),
            kind: finding.uploader.kind.clone(),
            reason: finding.reason.as_str().into(),
            severity: finding.severity,
            time: finding.push.event_time,
            repository: finding.push.repository.clone(),
            tag: finding.push.tag.clone(),
            is_open: finding.severity > Severity::Informational,
        }
    }
}

impl From<&StoredFinding> for Found {
    /// The columns of the table go before the body, which may be damaged.
    fn from(stored: &StoredFinding) -> Self {
        let body = serde_json::from_str::<Finding>(&stored.body).ok();
        let mut found = body.as_ref().map_or_else(
            || Self {
                id: String::new(),
                uploader: CompactString::default(),
                name: stored.uploader.as_str().into(),
                kind: CompactString::default(),
                reason: CompactString::default(),
                severity: stored.severity,
                time: stored.decided_at,
                repository: None,
                tag: None,
                is_open: false,
            },
            Self::from,
        );
        found.id.clone_from(&stored.id);
        found.uploader = stored.uploader.as_str().into();
        found.reason = stored.reason.as_str().into();
        found.severity = stored.severity;
        found.is_open = stored.is_open();
        found
    }
}
