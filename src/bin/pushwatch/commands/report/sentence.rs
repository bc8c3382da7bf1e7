//! The sentence that a report begins with.

use super::buckets::{date_of, in_prose};
use super::build::{NEW_DAYS, is_empty};
use super::data::{Report, SourceKind};
use crate::ui::counted;

/// `3 new uploaders in 30 days, 1 not reviewed; 2 findings need an answer.`
pub fn sentence(report: &Report) -> String {
    if is_empty(report) {
        return "There is no push in what was read.".to_owned();
    }
    let new = &report.new;
    let span = match report.since {
        Some(since) => format!("since {}", in_prose(since)),
        None if date_of(report.until) == date_of(report.made_at) => format!("in {NEW_DAYS} days"),
        None => format!("in the {NEW_DAYS} days to {}", in_prose(report.until)),
    };
    let uploaders = match new.uploaders {
        0 => format!("No new uploader {span}"),
        count => format!(
            "{} {span}, {}",
            counted(count, "new uploader"),
            reviewed(new.uploaders, new.not_reviewed)
        ),
    };
    let learned = match new.learned {
        0 => String::new(),
        count => format!(" ({count} more learned)"),
    };
    // Of an archive the findings before are not shown; of a deployment open ones are.
    let then = match report.since {
        Some(_) if report.source.kind == SourceKind::Archive => " since then",
        _ => "",
    };
    let findings = match report.findings.as_ref().map(|findings| findings.open) {
        None => "findings were not looked at".to_owned(),
        Some(0) => format!("no finding{then} needs an answer"),
        Some(1) => format!("1 finding{then} needs an answer"),
        Some(count) => format!("{count} findings{then} need an answer"),
    };
    format!("{uploaders}{learned}; {findings}.")
}

fn reviewed(all: u64, not_reviewed: u64) -> String {
    match not_reviewed {
        0 if all == 1 => "reviewed".to_owned(),
        0 => "all reviewed".to_owned(),
        count => format!("{count} not reviewed"),
    }
}
