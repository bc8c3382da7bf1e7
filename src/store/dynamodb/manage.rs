//! What people do with the uploaders in DynamoDB.

use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;

use super::DynamoStore;
use super::conditional::ConditionalWrite;
use super::expressions::{NO_FINDING, READ_NO_REVISION, READ_REVISION};
use super::item::{Item, number, target, text};
use crate::aws::AwsError;
use crate::record::Record;
use crate::store::{ForgetAnswer, Manage, RecordPage, StoredFinding};
use crate::time;

impl Manage for DynamoStore {
    async fn records(&self, from: Option<Item>) -> Result<RecordPage<Item>, AwsError> {
        let output = self
            .uploaders
            .client
            .scan()
            .table_name(&self.uploaders.name)
            .set_exclusive_start_key(from)
            .send()
            .await
            .map_err(|error| AwsError::new("DynamoDB Scan", target(&self.uploaders.name), error))?;
        let mut page = RecordPage {
            records: Vec::new(),
            damaged: Vec::new(),
            next: None,
        };
        for item in output.items.unwrap_or_default() {
            match self.uploaders.record(Some(item)) {
                Ok(record) => page.records.extend(record.map(|record| *record)),
                Err(error) => page.damaged.push(error.to_string()),
            }
        }
        page.next = output.last_evaluated_key;
        Ok(page)
    }

    async fn forget(&self, read: &Record) -> Result<ForgetAnswer, AwsError> {
        let condition = match read.revision {
            0 => READ_NO_REVISION,
            _ => READ_REVISION,
        };
        let result = self
            .uploaders
            .client
            .delete_item()
            .table_name(&self.uploaders.name)
            .key("uploader", text(read.uploader.as_str()))
            .condition_expression(condition)
            .expression_attribute_values(":revision", number(read.revision))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        Ok(
            match ConditionalWrite::of(result, "DynamoDB DeleteItem", &self.uploaders.name)? {
                ConditionalWrite::Applied(_) => ForgetAnswer::Gone,
                ConditionalWrite::Refused(_) | ConditionalWrite::Busy => ForgetAnswer::Changed,
            },
        )
    }

    async fn finding(&self, id: &str) -> Result<Option<StoredFinding>, AwsError> {
        let output = self
            .findings
            .client
            .get_item()
            .table_name(&self.findings.name)
            .key("findingId", text(id))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| {
                AwsError::new("DynamoDB GetItem", target(&self.findings.name), error)
            })?;
        let word = |item: &Item, name: &str| {
            let word = item.get(name).and_then(|value| value.as_s().ok());
            word.cloned()
        };
        Ok(output.item.map(|item| StoredFinding {
            uploader: word(&item, "uploader").unwrap_or_default(),
            body: word(&item, "body").unwrap_or_default(),
            is_owed: item.contains_key("owed"),
            published_at: word(&item, "publishedAt").and_then(|text| time::parse(&text)),
        }))
    }
}

/// A finding as an item of a findings table, whatever version wrote it.
#[derive(Clone)]
pub struct FindingItem(Item);

/// Without the body, which holds texts of an event.
impl std::fmt::Debug for FindingItem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("FindingItem").field(&self.id()).finish()
    }
}

impl FindingItem {
    /// The finding's id.
    #[must_use]
    pub fn id(&self) -> &str {
        let id = self.0.get("findingId").and_then(|id| id.as_s().ok());
        id.map_or("", String::as_str)
    }

    /// Whether it is still owed to somebody.
    #[must_use]
    pub fn is_owed(&self) -> bool {
        self.0.contains_key("owed")
    }
}

/// What is done with a findings table that was restored.
impl DynamoStore {
    /// A page of all findings, and where the next page begins.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn finding_items(
        &self,
        from: Option<Item>,
    ) -> Result<(Vec<FindingItem>, Option<Item>), AwsError> {
        let table = &self.findings.name;
        let output = self
            .findings
            .client
            .scan()
            .table_name(table)
            .set_exclusive_start_key(from)
            .send()
            .await
            .map_err(|error| AwsError::new("DynamoDB Scan", target(table), error))?;
        let items = output.items.unwrap_or_default().into_iter();
        let items = items.map(FindingItem);
        // The budget and the lease of the sweep are the table's own.
        let items = items.filter(|item| !item.id().is_empty() && !item.id().starts_with('#'));
        Ok((items.collect(), output.last_evaluated_key))
    }

    /// Puts a finding of another table, as it is; false if there is one of that id.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn adopt_finding(&self, finding: &FindingItem) -> Result<bool, AwsError> {
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
        let written = ConditionalWrite::of(result, "DynamoDB PutItem", table)?;
        Ok(written.applied("DynamoDB PutItem", table)?.is_some())
    }
}
