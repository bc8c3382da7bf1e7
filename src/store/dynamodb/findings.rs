//! The findings table: what is owed, who works on it, and how much may be published
//! at once.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    Put, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use jiff::Timestamp;

use super::conditional::ConditionalWrite;
use super::expressions::{
    HOLDS_SWEEP, IS_OWED, LEASE_CONDITION, LEASE_UPDATE, NO_FINDING, SETTLE, SWEEP_CONDITION,
    SWEEP_END, SWEEP_UPDATE, TAKE_LESSER_TOKEN, TAKE_TOKEN,
};
use super::item::{Item, SCAN, TRANSACT, UPDATE, damaged, millis, number, target, text};
use crate::aws::AwsError;
use crate::finding::{Finding, Owed, Severity};
use crate::store::{
    KEEP_FINDINGS, LEASE, Lease, MINUTE, MOST_PER_MINUTE, OWED_PAGE, OwedFinding, OwedPage,
    SWEEP_LEASE, first_lease, not_critical,
};
use crate::time;

/// The index that holds only what is owed.
pub const OWED_INDEX: &str = "owed-index";
/// The item that counts what is published at once.
const BUDGET_ID: &str = "#budget";
/// The item that says which sweep publishes.
const SWEEP_ID: &str = "#sweep";

/// The table whose items are findings, the budget and the lease of the sweep. Methods
/// with the name of one of [`Store`](crate::store::Store) are that one.
#[derive(Debug, Clone)]
pub(super) struct FindingsTable {
    pub(super) client: Client,
    pub(super) name: String,
}

impl FindingsTable {
    /// Puts a finding that is owed from now on; for the transaction that writes the
    /// record too.
    pub(super) fn put(
        &self,
        finding: &Finding,
        owed: Owed,
        now: Timestamp,
    ) -> Result<TransactWriteItem, AwsError> {
        let decided = time::whole_seconds(now).to_string();
        let item = Item::from([
            ("findingId".to_owned(), text(finding.id.to_string())),
            ("uploader".to_owned(), text(finding.uploader.key.as_str())),
            ("reason".to_owned(), text(finding.reason.as_str())),
            ("severity".to_owned(), text(finding.severity.as_str())),
            ("eventId".to_owned(), text(finding.push.event_id.as_str())),
            ("body".to_owned(), text(finding.to_json())),
            ("decidedAt".to_owned(), text(decided.as_str())),
            ("owed".to_owned(), text(owed_word(owed))),
            ("owedSince".to_owned(), text(decided)),
            ("leaseUntil".to_owned(), millis(first_lease(owed, now))),
            ("attempts".to_owned(), number(0)),
        ]);
        let put = Put::builder()
            .table_name(&self.name)
            .set_item(Some(item))
            .condition_expression(NO_FINDING)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|error| damaged(&self.name, TRANSACT, "a finding", &error))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    pub(super) async fn take_token(
        &self,
        per_minute: u8,
        severity: Severity,
        now: Timestamp,
    ) -> Result<bool, AwsError> {
        // What is no number is compared with nothing, and would bind for ever.
        let is_left = |oldest: &str| {
            format!(
                "(NOT attribute_type({oldest}, :number) OR {oldest} <= :minuteAgo OR {oldest} > :horizon)"
            )
        };
        // Of the five times that are kept, the last `per_minute` count.
        let mut condition = is_left(&format!("t{}", MOST_PER_MINUTE + 1 - per_minute));
        let mut update = TAKE_TOKEN.to_owned();
        if severity != Severity::Critical {
            let most = not_critical(MOST_PER_MINUTE);
            let oldest = format!("n{}", most + 1 - not_critical(per_minute));
            condition = format!("{condition} AND {}", is_left(&oldest));
            update.push_str(TAKE_LESSER_TOKEN);
        }
        let result = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("findingId", text(BUDGET_ID))
            .update_expression(update)
            .condition_expression(condition)
            .expression_attribute_values(":never", number(0))
            .expression_attribute_values(":number", text("N"))
            .expression_attribute_values(":now", millis(now))
            .expression_attribute_values(":minuteAgo", millis(now - MINUTE))
            .expression_attribute_values(":horizon", millis(now + MINUTE))
            .send()
            .await;
        Ok(self.applied(result)?.is_some())
    }

    pub(super) async fn settle(
        &self,
        finding_id: &str,
        message_id: &str,
        now: Timestamp,
    ) -> Result<(), AwsError> {
        let result = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("findingId", text(finding_id))
            .update_expression(SETTLE)
            .condition_expression(IS_OWED)
            .expression_attribute_values(":now", text(time::whole_seconds(now).to_string()))
            .expression_attribute_values(":message", text(message_id))
            .expression_attribute_values(":expires", number((now + KEEP_FINDINGS).as_second()))
            .send()
            .await;
        // If the condition failed, the finding is settled already.
        self.applied(result).map(|_| ())
    }

    pub(super) async fn owed(&self, from: Option<Item>) -> Result<OwedPage<Item>, AwsError> {
        // A scan of the index is one call for findings and digest together, and
        // reads only what is owed; a query would be one call for each.
        let output = self
            .client
            .scan()
            .table_name(&self.name)
            .index_name(OWED_INDEX)
            .limit(i32::try_from(OWED_PAGE).unwrap_or(i32::MAX))
            .set_exclusive_start_key(from)
            .send()
            .await
            .map_err(|error| AwsError::new(SCAN, target(&self.name), error))?;
        let owed = output.items().iter().filter_map(owed_finding).collect();
        Ok(OwedPage {
            owed,
            next: output.last_evaluated_key,
        })
    }

    pub(super) async fn lease(
        &self,
        finding_id: &str,
        holder: &str,
        now: Timestamp,
    ) -> Result<Option<Lease>, AwsError> {
        let result = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("findingId", text(finding_id))
            .update_expression(LEASE_UPDATE)
            .condition_expression(LEASE_CONDITION)
            .expression_attribute_values(":now", millis(now))
            .expression_attribute_values(":number", text("N"))
            .expression_attribute_values(":holder", text(holder))
            .expression_attribute_values(":until", millis(now + LEASE))
            .expression_attribute_values(":horizon", millis(now + LEASE * 2))
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":one", number(1))
            .return_values(ReturnValue::AllNew)
            .send()
            .await;
        Ok(self.applied(result)?.map(|output| {
            let value = |name: &str| output.attributes().and_then(|item| item.get(name));
            let body = value("body").and_then(|body| body.as_s().ok());
            let attempts = value("attempts").and_then(|attempts| attempts.as_n().ok());
            Lease {
                body: body.cloned().unwrap_or_default(),
                attempts: attempts.and_then(|text| text.parse().ok()).unwrap_or(1),
            }
        }))
    }

    pub(super) async fn lease_sweep(&self, holder: &str, now: Timestamp) -> Result<bool, AwsError> {
        let result = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("findingId", text(SWEEP_ID))
            .update_expression(SWEEP_UPDATE)
            .condition_expression(SWEEP_CONDITION)
            .expression_attribute_values(":now", millis(now))
            .expression_attribute_values(":number", text("N"))
            .expression_attribute_values(":holder", text(holder))
            .expression_attribute_values(":until", millis(now + SWEEP_LEASE))
            .expression_attribute_values(":horizon", millis(now + SWEEP_LEASE * 2))
            .send()
            .await;
        Ok(self.applied(result)?.is_some())
    }

    pub(super) async fn end_sweep(&self, holder: &str) -> Result<(), AwsError> {
        let result = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("findingId", text(SWEEP_ID))
            .update_expression(SWEEP_END)
            .condition_expression(HOLDS_SWEEP)
            .expression_attribute_values(":holder", text(holder))
            .send()
            .await;
        // If the condition failed, the lease has ended, and another sweep holds it.
        self.applied(result).map(|_| ())
    }

    /// A page of the findings' items, and where the next page begins.
    #[cfg(feature = "cli")]
    pub(super) async fn scan(
        &self,
        from: Option<Item>,
    ) -> Result<(Vec<Item>, Option<Item>), AwsError> {
        let output = self
            .client
            .scan()
            .table_name(&self.name)
            .set_exclusive_start_key(from)
            .send()
            .await
            .map_err(|error| AwsError::new(SCAN, target(&self.name), error))?;
        let items = output.items.unwrap_or_default().into_iter();
        let findings = items.filter(|item| !is_no_finding(finding_id(item)));
        Ok((findings.collect(), output.last_evaluated_key))
    }

    /// The output of a conditional update; none if the condition failed.
    fn applied<T>(
        &self,
        result: Result<T, SdkError<UpdateItemError>>,
    ) -> Result<Option<T>, AwsError> {
        ConditionalWrite::of(result, UPDATE, &self.name)?.applied(UPDATE, &self.name)
    }
}

/// The id of an item; empty if it has none.
#[cfg(feature = "cli")]
pub(super) fn finding_id(item: &Item) -> &str {
    let id = item.get("findingId").and_then(|id| id.as_s().ok());
    id.map_or("", String::as_str)
}

/// Whether it is the id of no finding, but of the budget or the lease of the sweep.
#[cfg(feature = "cli")]
pub(super) fn is_no_finding(id: &str) -> bool {
    id.starts_with('#')
}

/// An item of the index. Only its id must be readable.
fn owed_finding(item: &Item) -> Option<OwedFinding> {
    let word = |name: &str| item.get(name).and_then(|value| value.as_s().ok());
    let owed = match word("owed").map(String::as_str) {
        Some("digest") => Owed::Digest,
        _ => Owed::Finding,
    };
    let severity = word("severity")
        .and_then(|word| serde_json::from_value(serde_json::Value::from(word.as_str())).ok());
    Some(OwedFinding {
        id: word("findingId")?.clone(),
        owed,
        since: word("owedSince").and_then(|text| time::parse(text)),
        severity,
    })
}

fn owed_word(owed: Owed) -> &'static str {
    match owed {
        Owed::Finding => "finding",
        Owed::Digest => "digest",
    }
}
