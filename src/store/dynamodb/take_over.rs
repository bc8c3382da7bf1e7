//! The findings of another table, such as one that was restored, taken over as they are.

use std::fmt;

use super::DynamoStore;
use super::conditional::ConditionalWrite;
use super::expressions::NO_FINDING;
use super::findings::finding_id;
use super::item::Item;
use crate::aws::AwsError;

const PUT: &str = "DynamoDB PutItem";

/// A finding as an item of a findings table, whatever version wrote it.
#[derive(Clone)]
pub struct FindingItem(Item);

/// Without the body, which holds texts of an event.
impl fmt::Debug for FindingItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FindingItem").field(&self.id()).finish()
    }
}

impl FindingItem {
    /// The finding's id.
    #[must_use]
    pub fn id(&self) -> &str {
        finding_id(&self.0)
    }

    /// Whether it is still owed to somebody.
    #[must_use]
    pub fn is_owed(&self) -> bool {
        self.0.contains_key("owed")
    }
}

impl DynamoStore {
    /// A page of all findings, and where the next page begins.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn finding_items(
        &self,
        from: Option<Item>,
    ) -> Result<(Vec<FindingItem>, Option<Item>), AwsError> {
        let (items, next) = self.findings.scan(from).await?;
        Ok((items.into_iter().map(FindingItem).collect(), next))
    }

    /// Puts a finding of another table, as it is; false if there is one of that id.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn take_over(&self, finding: &FindingItem) -> Result<bool, AwsError> {
        let table = &self.findings.name;
        let result = self
            .findings
            .client
            .put_item()
            .table_name(table)
            .set_item(Some(finding.0.clone()))
            .condition_expression(NO_FINDING)
            .send()
            .await;
        let written = ConditionalWrite::of(result, PUT, table)?;
        Ok(written.applied(PUT, table)?.is_some())
    }
}
