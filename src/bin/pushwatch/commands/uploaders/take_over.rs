//! The findings of a restored table, taken over: what is owed there is published by the
//! sweep, and what was published is not reported again.

use std::pin::pin;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use pushwatch::store::{DynamoStore, FindingItem, Manage as _};

use crate::error::CommandError;
use crate::known::{AT_ONCE, all_pages};
use crate::ui::{Spinner, counted};

/// What was found in a findings table.
#[derive(Debug, Default)]
pub struct FindingCounts {
    new: usize,
    /// Of the new ones.
    owed: usize,
    known: usize,
}

impl FindingCounts {
    fn count(&mut self, is_new: bool, is_owed: bool) {
        if is_new {
            self.new += 1;
            self.owed += usize::from(is_owed);
        } else {
            self.known += 1;
        }
    }

    /// `3 findings taken over, 1 of them owed; 2 were there already.`
    pub fn in_words(&self, what: &str) -> String {
        format!(
            "{} {what}, {} of them owed: the sweep publishes those; {} there already.",
            counted(self.new, "finding"),
            self.owed,
            self.known
        )
    }
}

/// Counts what would be taken over.
pub async fn look(store: &DynamoStore, from: &DynamoStore) -> Result<FindingCounts, CommandError> {
    each(from, async |item| {
        let found = store.finding(item.id()).await;
        Ok(found.map_err(CommandError::store)?.is_none())
    })
    .await
}

/// Puts each finding that is not there yet.
pub async fn take_over(
    store: &DynamoStore,
    from: &DynamoStore,
) -> Result<FindingCounts, CommandError> {
    each(from, async |item| {
        store.take_over(item).await.map_err(CommandError::store)
    })
    .await
}

/// Goes through all findings, many at once; `is_new` says of each whether it is new.
async fn each(
    from: &DynamoStore,
    is_new: impl AsyncFn(&FindingItem) -> Result<bool, CommandError>,
) -> Result<FindingCounts, CommandError> {
    let _waiting = Spinner::on("going through the findings", false);
    let mut counts = FindingCounts::default();
    let mut pages = pin!(all_pages(|next| from.finding_items(next)));
    while let Some(items) = pages.try_next().await.map_err(CommandError::store)? {
        let mut looked_up = stream::iter(&items)
            .map(|item| async { Ok::<_, CommandError>((is_new(item).await?, item.is_owed())) })
            .buffer_unordered(AT_ONCE);
        while let Some((is_new, is_owed)) = looked_up.try_next().await? {
            counts.count(is_new, is_owed);
        }
    }
    Ok(counts)
}
