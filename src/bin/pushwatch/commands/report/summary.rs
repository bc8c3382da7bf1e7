//! One screen of text, for a chat, in which no text of an event becomes a link.

use pushwatch::render::safe;

use super::buckets::date_of;
use super::compare::{Changed, Changes};
use super::data::{MAX_KEY_SHOWN, Report};
use super::figures::{figures, severity_counts};
use super::sentence::sentence;

/// Uploaders and findings that are named.
const MOST: usize = 5;

/// The text.
pub fn summary(report: &Report, changes: Option<&Changes>) -> String {
    let mut lines = vec![sentence(report), String::new()];
    for (label, value) in figures(report) {
        lines.push(format!("{label:<16} {value}"));
    }
    if let Some(severities) = severity_counts(report) {
        lines.push(format!("{:<16} {severities}", "Of these"));
    }
    if let Some(changes) = changes {
        lines.push(format!(
            "{:<16} {} new, {} gone, {} of another standing",
            format!("Since {}", date_of(changes.since)),
            changes.new.count(),
            changes.gone.count(),
            changes.standing.count()
        ));
        lines.extend(named("new", &changes.new));
        lines.extend(named("gone", &changes.gone));
        lines.extend(named("changed", &changes.standing));
    }
    let unreviewed = report
        .lanes
        .iter()
        .filter(|lane| lane.is_new && !lane.is_reviewed);
    let unreviewed: Vec<_> = unreviewed.take(MOST).collect();
    if !unreviewed.is_empty() {
        lines.extend([String::new(), "New and not reviewed".to_owned()]);
        for lane in &unreviewed {
            let first = lane.first_seen.map(date_of).unwrap_or_default();
            lines.push(format!("  {first}  {}", safe(&lane.key, MAX_KEY_SHOWN)));
        }
        lines.extend(more(report.new.not_reviewed, unreviewed.len()));
    }
    if !report.questions.is_empty() {
        lines.extend([String::new(), "Findings to answer".to_owned()]);
        for question in report.questions.iter().take(MOST) {
            lines.push(format!(
                "  {}  {:<8} {} {}: {}",
                date_of(question.time),
                question.severity.as_str(),
                safe(&question.reason, 40),
                safe(&question.image, MAX_KEY_SHOWN),
                safe(&question.uploader, MAX_KEY_SHOWN)
            ));
        }
        let all = report.questions.len() as u64 + report.other_questions;
        lines.extend(more(all, MOST.min(report.questions.len())));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn named<'a>(what: &'a str, changed: &'a Changed) -> impl Iterator<Item = String> + use<'a> {
    let named = changed.named.iter().take(3);
    named.map(move |(key, how)| format!("  {what:<14} {} ({how})", safe(key, MAX_KEY_SHOWN)))
}

fn more(all: u64, shown: usize) -> Option<String> {
    let more = all.saturating_sub(shown as u64);
    (more > 0).then(|| format!("  and {more} more"))
}
