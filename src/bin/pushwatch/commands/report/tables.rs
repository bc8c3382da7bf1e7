//! The tables of a deployment, or an uploaders file: who is remembered, without the pushes.

use std::pin::pin;

use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use pushwatch::store::Manage;

use super::data::Source;
use super::gathered::{Answers, Gathered};
use crate::error::CommandError;
use crate::known;
use crate::ui::say;

/// Reads all uploaders.
///
/// # Errors
/// When the store fails.
pub async fn uploaders<S: Manage>(
    store: &S,
    source: Source,
    answers: Answers,
    now: Timestamp,
) -> Result<Gathered, CommandError> {
    let mut records = Vec::new();
    let mut damaged = 0;
    let mut pages = pin!(known::pages(store));
    while let Some(page) = pages.try_next().await? {
        for fault in &page.damaged {
            say(fault);
        }
        damaged += page.damaged.len() as u64;
        records.extend(page.records);
    }
    Ok(Gathered {
        source,
        records,
        findings: None,
        damaged,
        coverage: None,
        pushes: None,
        until: now,
        answers,
        has_faults: damaged > 0,
    })
}

/// Adds the findings.
///
/// # Errors
/// When the store fails.
#[cfg(feature = "aws")]
pub async fn findings<S: Manage>(
    store: &S,
    gathered: &mut Gathered,
    since: Option<Timestamp>,
) -> Result<(), CommandError> {
    use super::gathered::Found;

    let mut findings = Vec::new();
    let mut pages = pin!(known::finding_pages(store));
    while let Some(page) = pages.try_next().await? {
        for fault in &page.damaged {
            say(fault);
        }
        gathered.damaged += page.damaged.len() as u64;
        // An open question is one, however old.
        let is_shown =
            |found: &Found| found.is_open || since.is_none_or(|since| found.time >= since);
        findings.extend(page.readable.iter().map(Found::from).filter(is_shown));
    }
    gathered.has_faults |= gathered.damaged > 0;
    gathered.findings = Some(findings);
    Ok(())
}
