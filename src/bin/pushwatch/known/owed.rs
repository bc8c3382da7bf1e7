//! What a store owes.

use futures_util::TryStreamExt as _;
#[cfg(feature = "aws")]
use jiff::Timestamp;
#[cfg(feature = "aws")]
use pushwatch::finding::Owed;
use pushwatch::store::{Manage, OwedFinding};

use super::paging::all_pages;

/// All that is owed.
///
/// # Errors
/// When the store fails.
pub async fn all_owed<S: Manage>(store: &S) -> Result<Vec<OwedFinding>, S::Error> {
    let pages = all_pages(move |from| async move {
        let page = store.owed(from).await?;
        Ok((page.owed, page.next))
    });
    pages.try_concat().await
}

/// How much is owed.
#[cfg(feature = "aws")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OwedCounts {
    /// To the subscribers.
    pub findings: usize,
    /// Since when the oldest of these.
    pub oldest: Option<Timestamp>,
    /// To the digest.
    pub digest: usize,
}

#[cfg(feature = "aws")]
impl OwedCounts {
    pub fn of(owed: &[OwedFinding]) -> Self {
        let findings = owed.iter().filter(|one| one.owed == Owed::Finding);
        let count = findings.clone().count();
        Self {
            findings: count,
            oldest: findings.filter_map(|one| one.since).min(),
            digest: owed.len() - count,
        }
    }
}
