//! The two tables in DynamoDB, and the calls on them.
//!
//! The expressions stand in a file of their own: `touch` asks
//! [`is_ordinary`](crate::decide::is_ordinary) in one conditional write, and
//! `commit` writes record and finding together or not at all.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, Put, ReturnValue, ReturnValuesOnConditionCheckFailure,
    TransactWriteItem,
};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::dynamo_error::DynamoError;
use super::expressions::{
    FILL_PRINCIPAL, IN_ORDER, IN_ORDER_AND_NOT_ABSENT, IS_OWED, KNOWN, KNOWN_OR_PATTERN,
    LEASE_CONDITION, LEASE_UPDATE, NO_FINDING, NO_RECORD, NOT_DECIDED, READ_NO_REVISION,
    READ_REVISION, SAME_PRINCIPAL, SETTLE, TAKE_TOKEN, TOUCH, TRUST_HOLDS,
};
use super::{
    Commit, Committed, LEASE, MINUTE, Owed, OwedFinding, OwedPage, Store, Touched, first_lease,
};
use crate::aws::{Fault, FaultKind};
use crate::event::Push;
use crate::finding::Finding;
use crate::identity::Uploader;
use crate::policy::Policy;
use crate::record::{LastPush, Record};
use crate::time;

pub(super) type Item = HashMap<String, AttributeValue>;

/// The index that holds only what is owed.
pub const OWED_INDEX: &str = "owed-index";
/// The item of the findings table that counts what is published at once.
pub const BUDGET_ID: &str = "#budget";

/// How long a settled finding is kept.
const KEEP: SignedDuration = SignedDuration::from_hours(400 * 24);
/// Waits between tries of a transaction that conflicts with another one. The
/// SDK does not retry these.
const CONFLICT_BACKOFF: [Duration; 4] = [
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(120),
    Duration::from_millis(300),
];

/// Uploaders and findings in DynamoDB.
#[derive(Debug, Clone)]
pub struct DynamoStore {
    pub(super) client: Client,
    pub(super) uploaders: String,
    pub(super) findings: String,
}

impl DynamoStore {
    /// Uses these two tables.
    #[must_use]
    pub fn new(client: Client, uploaders: String, findings: String) -> Self {
        Self {
            client,
            uploaders,
            findings,
        }
    }

    fn put_record(
        &self,
        record: &Record,
        read_revision: Option<u64>,
    ) -> Result<PutRecord, DynamoError> {
        let item = serde_dynamo::to_item(record)
            .map_err(|error| self.damaged("PutItem", &record.uploader, &error))?;
        let (condition, values) = match read_revision {
            None => (NO_RECORD, None),
            Some(0) => (READ_NO_REVISION, Some(0)),
            Some(revision) => (READ_REVISION, Some(revision)),
        };
        Ok(PutRecord {
            item,
            condition,
            values: values
                .map(|revision| HashMap::from([(":revision".to_owned(), number(revision))])),
        })
    }

    fn put_finding(&self, finding: &Finding, now: Timestamp) -> Result<Put, DynamoError> {
        let owed = Owed::from(finding.reason);
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
        Put::builder()
            .table_name(&self.findings)
            .set_item(Some(item))
            .condition_expression(NO_FINDING)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|error| self.damaged("TransactWriteItems", "a finding", &error))
    }

    /// A decision without a finding: one conditional put.
    async fn commit_record(
        &self,
        record: &Record,
        read_revision: Option<u64>,
    ) -> Result<Committed, DynamoError> {
        let put = self.put_record(record, read_revision)?;
        let result = self
            .client
            .put_item()
            .table_name(&self.uploaders)
            .set_item(Some(put.item))
            .condition_expression(put.condition)
            .set_expression_attribute_values(put.values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match result {
            Ok(_) => Ok(Committed::Applied),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(refused)) => {
                    Ok(Committed::Lost(self.record(refused.item())?))
                }
                _ => Err(DynamoError::failed(
                    "PutItem",
                    &self.uploaders,
                    &Fault::of(&error),
                )),
            },
        }
    }

    /// A decision with a finding: both in one transaction.
    async fn commit_finding(
        &self,
        commit: Commit<'_>,
        finding: &Finding,
    ) -> Result<Committed, DynamoError> {
        let mut items = Vec::with_capacity(2);
        if let Some(record) = commit.record {
            let put = self.put_record(record, commit.read_revision)?;
            let put = Put::builder()
                .table_name(&self.uploaders)
                .set_item(Some(put.item))
                .condition_expression(put.condition)
                .set_expression_attribute_values(put.values)
                .return_values_on_condition_check_failure(
                    ReturnValuesOnConditionCheckFailure::AllOld,
                )
                .build()
                .map_err(|error| self.damaged("TransactWriteItems", &record.uploader, &error))?;
            items.push(TransactWriteItem::builder().put(put).build());
        }
        let put = self.put_finding(finding, commit.now)?;
        items.push(TransactWriteItem::builder().put(put).build());

        let mut token = finding.id;
        let mut waits = CONFLICT_BACKOFF.iter();
        loop {
            let result = self
                .client
                .transact_write_items()
                .set_transact_items(Some(items.clone()))
                .client_request_token(token.to_string())
                .send()
                .await;
            let Err(error) = result else {
                return Ok(Committed::Applied);
            };
            let fault = match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    let lease = millis(first_lease(finding.reason.into(), commit.now));
                    match self.why_cancelled(cancelled.cancellation_reasons(), &lease)? {
                        Some(committed) => return Ok(committed),
                        None => Fault::of(&error),
                    }
                }
                // The finding was committed before, with another record or at
                // another time: with a token of its own the conditions decide.
                Some(TransactWriteItemsError::IdempotentParameterMismatchException(_)) => {
                    let name = commit.now.as_nanosecond().to_string();
                    token = Uuid::new_v5(&finding.id, name.as_bytes());
                    Fault::of(&error)
                }
                Some(TransactWriteItemsError::TransactionInProgressException(_)) => {
                    Fault::of(&error)
                }
                _ => {
                    return Err(DynamoError::failed(
                        "TransactWriteItems",
                        &self.findings,
                        &Fault::of(&error),
                    ));
                }
            };
            match waits.next() {
                Some(wait) => tokio::time::sleep(*wait).await,
                None => {
                    return Err(DynamoError::failed(
                        "TransactWriteItems",
                        &self.findings,
                        &Fault {
                            kind: FaultKind::Retryable,
                            ..fault
                        },
                    ));
                }
            }
        }
    }

    /// What a cancelled transaction means; none if it is to be tried again.
    fn why_cancelled(
        &self,
        reasons: &[CancellationReason],
        lease: &AttributeValue,
    ) -> Result<Option<Committed>, DynamoError> {
        let refused = |reason: &CancellationReason| reason.code() == Some("ConditionalCheckFailed");
        let Some((finding, record)) = reasons.split_last() else {
            return Ok(None);
        };
        if refused(finding) {
            // With our own lease on it, it is what this call wrote, whose first
            // answer was lost.
            let stored = finding.item().and_then(|item| item.get("leaseUntil"));
            return Ok(Some(if stored == Some(lease) {
                Committed::Applied
            } else {
                Committed::AlreadyDecided
            }));
        }
        match record.first() {
            Some(record) if refused(record) => {
                Ok(Some(Committed::Lost(self.record(record.item())?)))
            }
            _ if reasons
                .iter()
                .any(|reason| reason.code() == Some("ValidationError")) =>
            {
                let fault = Fault {
                    code: None,
                    text: "the item is not valid".to_owned(),
                    kind: FaultKind::Configuration,
                };
                Err(DynamoError::failed(
                    "TransactWriteItems",
                    &self.findings,
                    &fault,
                ))
            }
            _ => Ok(None),
        }
    }

    pub(super) fn record(&self, item: Option<&Item>) -> Result<Option<Box<Record>>, DynamoError> {
        // moto answers a refusal on an absent item with an empty one.
        let Some(item) = item.filter(|item| !item.is_empty()) else {
            return Ok(None);
        };
        let key = item.get("uploader").and_then(|key| key.as_s().ok());
        let key = key.map_or("(no key)", String::as_str);
        serde_dynamo::from_item(item.clone())
            .map(Some)
            .map_err(|error| self.damaged("read", key, &error))
    }

    fn damaged(
        &self,
        operation: &'static str,
        key: &str,
        error: &dyn std::fmt::Display,
    ) -> DynamoError {
        DynamoError::damaged(operation, &self.uploaders, key, error)
    }
}

struct PutRecord {
    item: Item,
    condition: &'static str,
    values: Option<Item>,
}

impl Store for DynamoStore {
    type Error = DynamoError;
    type Cursor = Item;

    async fn touch(
        &self,
        push: &Push,
        uploader: &Uploader,
        policy: &Policy,
    ) -> Result<Touched, DynamoError> {
        let last_push = serde_dynamo::to_attribute_value(LastPush::from(push))
            .map_err(|error| self.damaged("UpdateItem", &uploader.key, &error))?;
        let mut condition = vec![if policy.trusts(uploader) {
            KNOWN_OR_PATTERN
        } else {
            KNOWN
        }];
        let mut request = self
            .client
            .update_item()
            .table_name(&self.uploaders)
            .key("uploader", text(uploader.key.as_str()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .expression_attribute_values(":new", text("new"))
            .expression_attribute_values(":learned", text("learned"))
            .expression_attribute_values(":trusted", text("trusted"))
            .expression_attribute_values(":t", text(push.event_time.to_string()))
            .expression_attribute_values(":eid", text(push.event_id.as_str()))
            .expression_attribute_values(":push", last_push)
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":one", number(1));
        if condition == [KNOWN_OR_PATTERN] {
            request = request.expression_attribute_values(":pattern", text("pattern"));
        }
        condition.push(match policy.absence_cutoff(push.event_time) {
            Some(cutoff) => {
                request = request.expression_attribute_values(":cutoff", text(cutoff.to_string()));
                IN_ORDER_AND_NOT_ABSENT
            }
            None => IN_ORDER,
        });
        condition.push(NOT_DECIDED);
        let mut update = TOUCH.to_owned();
        if let Some(principal) = &uploader.principal_id {
            request = request.expression_attribute_values(":pid", text(principal.as_str()));
            condition.push(SAME_PRINCIPAL);
            update.push_str(FILL_PRINCIPAL);
        }
        condition.push(TRUST_HOLDS);
        let result = request
            .condition_expression(condition.join(" AND "))
            .update_expression(update)
            .send()
            .await;
        match result {
            Ok(_) => Ok(Touched::Ordinary),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                    Ok(Touched::Refused(self.record(refused.item())?))
                }
                _ => Err(DynamoError::failed(
                    "UpdateItem",
                    &self.uploaders,
                    &Fault::of(&error),
                )),
            },
        }
    }

    async fn find(&self, key: &str) -> Result<Option<Record>, DynamoError> {
        let output = self
            .client
            .get_item()
            .table_name(&self.uploaders)
            .key("uploader", text(key))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| DynamoError::failed("GetItem", &self.uploaders, &Fault::of(&error)))?;
        Ok(self.record(output.item())?.map(|record| *record))
    }

    async fn commit(&self, commit: Commit<'_>) -> Result<Committed, DynamoError> {
        match (commit.finding, commit.record) {
            (Some(finding), _) => self.commit_finding(commit, finding).await,
            (None, Some(record)) => self.commit_record(record, commit.read_revision).await,
            (None, None) => Ok(Committed::Applied),
        }
    }

    async fn take_token(&self, per_minute: u8, now: Timestamp) -> Result<bool, DynamoError> {
        // Of five places the last `per_minute` are this minute's.
        let oldest = format!("t{}", super::MOST_PER_MINUTE + 1 - per_minute);
        let result = self
            .client
            .update_item()
            .table_name(&self.findings)
            .key("findingId", text(BUDGET_ID))
            .update_expression(TAKE_TOKEN)
            .condition_expression(format!(
                "attribute_not_exists({oldest}) OR {oldest} <= :minuteAgo OR {oldest} > :horizon"
            ))
            .expression_attribute_values(":never", number(0))
            .expression_attribute_values(":now", millis(now))
            .expression_attribute_values(":minuteAgo", millis(now - MINUTE))
            .expression_attribute_values(":horizon", millis(now + MINUTE))
            .send()
            .await;
        match result {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(false),
                _ => Err(DynamoError::failed(
                    "UpdateItem",
                    &self.findings,
                    &Fault::of(&error),
                )),
            },
        }
    }

    async fn settle(
        &self,
        finding_id: &str,
        message_id: &str,
        now: Timestamp,
    ) -> Result<(), DynamoError> {
        let result = self
            .client
            .update_item()
            .table_name(&self.findings)
            .key("findingId", text(finding_id))
            .update_expression(SETTLE)
            .condition_expression(IS_OWED)
            .expression_attribute_values(":now", text(time::whole_seconds(now).to_string()))
            .expression_attribute_values(":message", text(message_id))
            .expression_attribute_values(":expires", number((now + KEEP).as_second()))
            .send()
            .await;
        match result {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                // Settled already.
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(()),
                _ => Err(DynamoError::failed(
                    "UpdateItem",
                    &self.findings,
                    &Fault::of(&error),
                )),
            },
        }
    }

    async fn owed(&self, from: Option<Item>) -> Result<OwedPage<Item>, DynamoError> {
        // A scan of the index is one call for findings and digest together, and
        // reads only what is owed; a query would be one call for each.
        let output = self
            .client
            .scan()
            .table_name(&self.findings)
            .index_name(OWED_INDEX)
            .set_exclusive_start_key(from)
            .send()
            .await
            .map_err(|error| DynamoError::failed("Scan", &self.findings, &Fault::of(&error)))?;
        let owed = output.items().iter().filter_map(owed_finding).collect();
        Ok(OwedPage {
            owed,
            next: output.last_evaluated_key,
        })
    }

    async fn lease(
        &self,
        finding_id: &str,
        holder: &str,
        now: Timestamp,
    ) -> Result<Option<String>, DynamoError> {
        let result = self
            .client
            .update_item()
            .table_name(&self.findings)
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
        match result {
            Ok(output) => {
                let body = output.attributes().and_then(|item| item.get("body"));
                let body = body.and_then(|body| body.as_s().ok());
                Ok(Some(body.cloned().unwrap_or_default()))
            }
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(None),
                _ => Err(DynamoError::failed(
                    "UpdateItem",
                    &self.findings,
                    &Fault::of(&error),
                )),
            },
        }
    }
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

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

#[allow(clippy::needless_pass_by_value)] // numbers are as cheap as references
pub(super) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn millis(time: Timestamp) -> AttributeValue {
    number(time.as_millisecond())
}
