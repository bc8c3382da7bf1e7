//! What people do with the uploaders and the findings in DynamoDB.

use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;

use super::DynamoStore;
use super::conditional::ConditionalWrite;
use super::expressions::{ANSWER, NOT_ANSWERED, READ_NO_REVISION, READ_REVISION};
use super::findings::{FindingsTable, finding_id, is_no_finding};
use super::item::{self, Item, SCAN, UPDATE, damaged, number, target, text};
use crate::aws::AwsError;
use crate::record::Record;
use crate::store::{
    Answer, AnswerOutcome, FindingPage, ForgetAnswer, Manage, RecordPage, StoredFinding,
};

const GET: &str = "DynamoDB GetItem";

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
            .map_err(|error| AwsError::new(SCAN, target(&self.uploaders.name), error))?;
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
        if is_no_finding(id) {
            return Ok(None);
        }
        let output = self
            .findings
            .client
            .get_item()
            .table_name(&self.findings.name)
            .key("findingId", text(id))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| AwsError::new(GET, target(&self.findings.name), error))?;
        let stored = output.item.map(|item| stored(&self.findings, GET, item));
        stored.transpose()
    }

    async fn findings(&self, from: Option<Item>) -> Result<FindingPage<Item>, AwsError> {
        let (items, next) = self.findings.scan(from).await?;
        let mut page = FindingPage {
            findings: Vec::new(),
            damaged: Vec::new(),
            next,
        };
        for item in items {
            match stored(&self.findings, SCAN, item) {
                Ok(finding) => page.findings.push(finding),
                Err(error) => page.damaged.push(error.to_string()),
            }
        }
        Ok(page)
    }

    async fn answer(&self, id: &str, answer: &Answer) -> Result<AnswerOutcome, AwsError> {
        if is_no_finding(id) {
            return Ok(AnswerOutcome::NoSuchFinding);
        }
        let result = self
            .findings
            .client
            .update_item()
            .table_name(&self.findings.name)
            .key("findingId", text(id))
            .update_expression(ANSWER)
            .condition_expression(NOT_ANSWERED)
            .expression_attribute_values(":by", text(answer.by.as_str()))
            .expression_attribute_values(":at", text(answer.at.to_string()))
            .expression_attribute_values(":reason", text(answer.reason.as_str()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let table = &self.findings.name;
        match ConditionalWrite::of(result, UPDATE, table)? {
            ConditionalWrite::Refused(None) => Ok(AnswerOutcome::NoSuchFinding),
            ConditionalWrite::Refused(Some(item)) => {
                let stored = stored(&self.findings, UPDATE, item)?;
                // The answer to the first try was lost.
                let is_ours = stored.answer.as_ref() == Some(answer);
                Ok(if is_ours {
                    AnswerOutcome::Answered
                } else {
                    AnswerOutcome::AnsweredBefore(Box::new(stored))
                })
            }
            write => {
                write.applied(UPDATE, table)?;
                Ok(AnswerOutcome::Answered)
            }
        }
    }
}

fn stored(
    table: &FindingsTable,
    call: &'static str,
    item: Item,
) -> Result<StoredFinding, AwsError> {
    let id = finding_id(&item).to_owned();
    item::read(item).map_err(|error| damaged(&table.name, call, &id, &error))
}
