//! The result of a replay, for the end of standard error.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use pushwatch::finding::Reason;
use pushwatch::identity::Uploader;
use pushwatch::policy::Policy;
use pushwatch::text::clean_cut;
use pushwatch::watch::{DeferReason, Outcome, PushOutcome};

use crate::ui::counted;

/// Counts of a replay.
#[derive(Debug, Default)]
pub struct Summary {
    pub files: usize,
    pub faults: usize,
    pub ignored: usize,
    /// A finding could not be published, and not for the budget's sake.
    pub publish_fault: bool,
    /// Nobody reads the findings any more.
    pub output_closed: bool,
    /// Uploaders in the embedded store at the end.
    pub uploaders: Option<usize>,
    pub pushes: usize,
    pub outcomes: BTreeMap<Outcome, usize>,
    pub findings: BTreeMap<Reason, usize>,
    /// Unusual pushes that wait for the digest.
    pub digest_lines: usize,
    /// The name of the option or parameter that suppresses.
    pub suppressed_by: &'static str,
    pub suppression_faults: usize,
    pub first_suppression_fault: Option<String>,
    /// Trusted globs that matched no uploader: a typing error?
    pub idle_globs: BTreeSet<String>,
}

impl Summary {
    /// Counts a push.
    pub fn count<E>(&mut self, outcome: &PushOutcome<E>) {
        self.pushes += 1;
        *self.outcomes.entry(outcome.outcome).or_default() += 1;
        if let Some(finding) = &outcome.finding {
            *self.findings.entry(finding.reason).or_default() += 1;
        }
        if matches!(outcome.deferred, Some(DeferReason::Digest)) {
            self.digest_lines += 1;
        }
        if let Some(fault) = &outcome.suppression_fault {
            self.suppression_faults += 1;
            self.first_suppression_fault
                .get_or_insert_with(|| clean_cut(fault, 200));
        }
    }

    /// How many findings were reported.
    pub fn reported(&self) -> usize {
        self.findings
            .iter()
            .filter(|(reason, _)| **reason != Reason::LearnedUploader)
            .map(|(_, count)| count)
            .sum()
    }

    /// Takes a glob off the idle ones when it matches.
    pub fn note_globs(&mut self, policy: &Policy, uploader: &Uploader) {
        if !self.idle_globs.is_empty() {
            for glob in policy.trusting(uploader) {
                self.idle_globs.remove(&glob.to_string());
            }
        }
    }

    fn outcome(&self, outcome: Outcome) -> usize {
        self.outcomes.get(&outcome).copied().unwrap_or_default()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcomes = [
            (Outcome::Known, "by somebody known"),
            (Outcome::Trusted, "trusted by a glob"),
            (Outcome::Learned, "learned"),
            (Outcome::FindingSuppressed, "suppressed"),
            (Outcome::FailedPush, "failed and not told"),
            (Outcome::Duplicate, "duplicate"),
        ]
        .map(|(outcome, words)| (self.outcome(outcome), words));
        let reasons: Vec<_> = self
            .findings
            .iter()
            .filter(|(reason, _)| **reason != Reason::LearnedUploader)
            .map(|(reason, count)| (*count, reason.as_str()))
            .collect();
        writeln!(f, "Files       {}", self.files)?;
        writeln!(f, "Pushes      {}{}", self.pushes, parts(&outcomes))?;
        if let Some(uploaders) = self.uploaders {
            writeln!(f, "Uploaders   {uploaders}")?;
        }
        writeln!(f, "Findings    {}{}", self.reported(), parts(&reasons))?;
        if self.digest_lines > 0 {
            let lines = counted(self.digest_lines, "unusual push");
            writeln!(f, "Digest      {lines}, told once a day by the function")?;
        }
        let deferred = self.outcome(Outcome::FindingDeferred) - self.digest_lines;
        if deferred > 0 {
            writeln!(
                f,
                "Deferred    {deferred}, to be told by the next sweep of the function"
            )?;
        }
        if self.ignored > 0 {
            let events = counted(self.ignored, "event");
            writeln!(f, "Ignored     {events} of another kind")?;
        }
        if self.faults > 0 {
            writeln!(f, "Not read    {}, named above", self.faults)?;
        }
        if let Some(fault) = &self.first_suppression_fault {
            writeln!(
                f,
                "Warning     {} failed on {}, told all the same: {fault}",
                self.suppressed_by,
                counted(self.suppression_faults, "finding")
            )?;
        }
        for glob in &self.idle_globs {
            writeln!(
                f,
                "Warning     --trusted {} matched no uploader",
                clean_cut(glob, 200)
            )?;
        }
        Ok(())
    }
}

/// `: 2 of this, 1 of that`, without what there is none of.
fn parts(counts: &[(usize, &str)]) -> String {
    let parts: Vec<_> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, words)| format!("{count} {words}"))
        .collect();
    match parts.as_slice() {
        [] => String::new(),
        parts => format!(": {}", parts.join(", ")),
    }
}
