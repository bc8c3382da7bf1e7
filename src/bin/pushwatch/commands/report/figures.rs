//! The numbers that people ask for first.

use super::data::{Report, SourceKind};
use crate::ui::counted;

/// Label and value of each.
pub fn figures(report: &Report) -> Vec<(&'static str, String)> {
    let mut figures = vec![
        ("Uploaders", report.uploaders.to_string()),
        ("New", report.new.uploaders.to_string()),
        ("Not reviewed", report.new.not_reviewed.to_string()),
    ];
    if let Some(findings) = &report.findings {
        figures.push(("Findings", findings.all.to_string()));
        figures.push(("Need an answer", findings.open.to_string()));
    }
    if let Some(coverage) = &report.coverage {
        figures.push(("Pushes", coverage.pushes.to_string()));
    }
    let revoked = report.standings.get("revoked").copied().unwrap_or_default();
    if revoked > 0 {
        figures.push(("Revoked", revoked.to_string()));
    }
    figures
}

/// `1 critical, 2 high`
pub fn severity_counts(report: &Report) -> Option<String> {
    let open = &report.findings.as_ref()?.open_by_severity;
    let counts: Vec<_> = open
        .iter()
        .rev()
        .map(|(severity, count)| format!("{count} {}", severity.as_str()))
        .collect();
    (!counts.is_empty()).then(|| counts.join(", "))
}

/// What was looked at, in words.
pub fn source(report: &Report) -> String {
    let name = &report.source.name;
    match report.source.kind {
        SourceKind::Deployment => format!("the deployment {name}"),
        SourceKind::UploadersFile => format!("the uploaders file {name}"),
        SourceKind::Archive => {
            let files = report
                .coverage
                .as_ref()
                .map_or(0, |coverage| coverage.files);
            format!("{name} ({})", counted(files, "file"))
        }
    }
}

/// How many of each, in words: `2 new, 1 trusted`.
pub fn in_words<'a>(counts: impl IntoIterator<Item = (&'a String, &'a u64)>) -> String {
    let counts = counts.into_iter().filter(|(_, count)| **count > 0);
    let words: Vec<_> = counts
        .map(|(what, count)| format!("{count} {what}"))
        .collect();
    words.join(", ")
}
