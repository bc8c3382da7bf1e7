//! The two tables in DynamoDB, and the calls on them.
//!
//! The expressions stand in a file of their own: `touch` asks
//! [`is_ordinary`](crate::decide::is_ordinary) in one conditional write, and
//! `commit` writes record and finding together or not at all.

mod conditional;
mod expressions;
#[cfg(feature = "cli")]
mod manage;

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    self, AttributeValue, CancellationReason, Put, ReturnValue,
    ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use self::conditional::ConditionalWrite;
use self::expressions::{
    FILL_PRINCIPAL, HOLDS_SWEEP, IN_ORDER, IN_ORDER_AND_NOT_ABSENT, IS_OWED, KNOWN,
    KNOWN_OR_PATTERN, LATE, LEASE_CONDITION, LEASE_UPDATE, LEAVES_FIRST, LEAVES_LAST, MOVE_FIRST,
    MOVE_LAST, MOVES_FIRST, MOVES_LAST, NO_FINDING, NO_RECORD, NOT_DECIDED, NOTE_FINDING,
    READ_NO_REVISION, READ_REVISION, SAME_PRINCIPAL, SETTLE, STILL_REVOKED, SWEEP_CONDITION,
    SWEEP_END, SWEEP_UPDATE, TAKE_LESSER_TOKEN, TAKE_TOKEN, TOUCH, TOUCH_LATE, TRUST_HOLDS,
};
use super::{
    Commit, CommitAnswer, LEASE, Lease, MINUTE, OWED_PAGE, Owed, OwedFinding, OwedPage,
    RevokedPush, SWEEP_LEASE, Store, TouchAnswer, first_lease, not_critical,
};
use crate::aws::{AwsError, AwsErrorKind};
use crate::event::Push;
use crate::finding::{Finding, Severity};
use crate::identity::Uploader;
use crate::policy::Policy;
use crate::record::{LastPush, Record};
use crate::text::clean_cut;
use crate::time;

type Item = HashMap<String, AttributeValue>;

/// The index that holds only what is owed.
pub const OWED_INDEX: &str = "owed-index";
/// The item of the findings table that counts what is published at once.
pub const BUDGET_ID: &str = "#budget";
/// The item of the findings table that says which sweep publishes.
pub const SWEEP_ID: &str = "#sweep";

const UPDATE: &str = "DynamoDB UpdateItem";
const TRANSACT: &str = "DynamoDB TransactWriteItems";

/// How long a settled finding is kept.
const KEEP: SignedDuration = SignedDuration::from_hours(400 * 24);
/// Uploaders and findings in DynamoDB.
#[derive(Debug, Clone)]
pub struct DynamoStore {
    client: Client,
    uploaders: String,
    findings: String,
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
    ) -> Result<PutRecord, AwsError> {
        let item = serde_dynamo::to_item(record)
            .map_err(|error| self.damaged("DynamoDB PutItem", &record.uploader, &error))?;
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

    fn put_finding(&self, finding: &Finding, now: Timestamp) -> Result<Put, AwsError> {
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
            .map_err(|error| self.damaged(TRANSACT, "a finding", &error))
    }

    /// A decision without a finding: one conditional put.
    async fn commit_record(
        &self,
        record: &Record,
        read_revision: Option<u64>,
    ) -> Result<CommitAnswer, AwsError> {
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
        Ok(
            match ConditionalWrite::of(result, "DynamoDB PutItem", &self.uploaders)? {
                ConditionalWrite::Applied(_) => CommitAnswer::Applied,
                ConditionalWrite::Refused(item) => CommitAnswer::Lost(self.record(item)?),
                ConditionalWrite::Busy => CommitAnswer::Busy,
            },
        )
    }

    /// A decision with a finding: both in one transaction.
    async fn commit_finding(
        &self,
        commit: Commit<'_>,
        finding: &Finding,
    ) -> Result<CommitAnswer, AwsError> {
        let put = |record: &Record| {
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
                .map_err(|error| self.damaged(TRANSACT, &record.uploader, &error))?;
            Ok(TransactWriteItem::builder().put(put).build())
        };
        let record = commit.record.map(put).transpose()?;
        self.transact(record, finding, commit.now).await
    }

    /// Writes what is to become of a record, and a finding, together.
    async fn transact(
        &self,
        record: Option<TransactWriteItem>,
        finding: &Finding,
        now: Timestamp,
    ) -> Result<CommitAnswer, AwsError> {
        let put = self.put_finding(finding, now)?;
        let put = TransactWriteItem::builder().put(put).build();
        let items: Vec<_> = record.into_iter().chain([put]).collect();

        // The finding may have been committed before, with another record or at
        // another time; then the first token is refused, and with a token of its own
        // the conditions decide.
        let second = Uuid::new_v5(&finding.id, now.as_nanosecond().to_string().as_bytes());
        for token in [finding.id, second] {
            let result = self
                .client
                .transact_write_items()
                .set_transact_items(Some(items.clone()))
                .client_request_token(token.to_string())
                .send()
                .await;
            let Err(error) = result else {
                return Ok(CommitAnswer::Applied);
            };
            return match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    let lease = millis(first_lease(finding.reason.into(), now));
                    self.why_cancelled(cancelled.cancellation_reasons(), &lease)
                }
                Some(TransactWriteItemsError::IdempotentParameterMismatchException(_)) => continue,
                Some(TransactWriteItemsError::TransactionInProgressException(_)) => {
                    Ok(CommitAnswer::Busy)
                }
                _ => Err(AwsError::new(TRANSACT, table(&self.findings), error)),
            };
        }
        Ok(CommitAnswer::Busy)
    }

    /// What a push by somebody revoked does to the record: condition, update and
    /// values.
    fn revoked_push(&self, revoked: RevokedPush<'_>) -> Result<Update, AwsError> {
        let RevokedPush {
            read,
            push,
            finding,
            ..
        } = revoked;
        let moves = read.moves(push.event_time);
        let mut condition = vec![STILL_REVOKED];
        let mut update = TOUCH_LATE.to_owned();
        let mut values = Item::from([
            (":revoked".to_owned(), text("revoked")),
            (":t".to_owned(), text(push.event_time.to_string())),
            (":zero".to_owned(), number(0)),
            (":one".to_owned(), number(1)),
        ]);
        if moves.first {
            condition.push(MOVES_FIRST);
            update.push_str(MOVE_FIRST);
        } else {
            condition.push(LEAVES_FIRST);
        }
        if moves.last {
            condition.push(MOVES_LAST);
            update.push_str(MOVE_LAST);
            values.insert(":push".to_owned(), self.last_push(push)?);
        } else {
            condition.push(LEAVES_LAST);
        }
        if let Some(finding) = finding {
            update.push_str(NOTE_FINDING);
            values.insert(":finding".to_owned(), text(finding.id.to_string()));
        }
        Ok(Update {
            condition: condition.join(" AND "),
            expression: update,
            values,
        })
    }

    fn last_push(&self, push: &Push) -> Result<AttributeValue, AwsError> {
        serde_dynamo::to_attribute_value(LastPush::from(push))
            .map_err(|error| self.damaged(UPDATE, &push.event_id, &error))
    }

    /// Updates a record, if it is as the update expects.
    async fn update_record(&self, key: &str, update: Update) -> Result<TouchAnswer, AwsError> {
        let result = self
            .client
            .update_item()
            .table_name(&self.uploaders)
            .key("uploader", text(key))
            .condition_expression(update.condition)
            .update_expression(update.expression)
            .set_expression_attribute_values(Some(update.values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        Ok(
            match ConditionalWrite::of(result, UPDATE, &self.uploaders)? {
                ConditionalWrite::Applied(_) => TouchAnswer::Ordinary,
                ConditionalWrite::Refused(item) => TouchAnswer::Refused(self.record(item)?),
                ConditionalWrite::Busy => TouchAnswer::Busy,
            },
        )
    }

    /// What a cancelled transaction means.
    fn why_cancelled(
        &self,
        reasons: &[CancellationReason],
        lease: &AttributeValue,
    ) -> Result<CommitAnswer, AwsError> {
        let refused = |reason: &CancellationReason| reason.code() == Some("ConditionalCheckFailed");
        let Some((finding, record)) = reasons.split_last() else {
            return Ok(CommitAnswer::Busy);
        };
        if refused(finding) {
            // With our own lease on it, it is what this call wrote, whose first
            // answer was lost.
            let stored = finding.item().and_then(|item| item.get("leaseUntil"));
            return Ok(if stored == Some(lease) {
                CommitAnswer::Applied
            } else {
                CommitAnswer::AlreadyDecided
            });
        }
        match record.first() {
            Some(record) if refused(record) => {
                let item = record.item().filter(|item| !item.is_empty());
                Ok(CommitAnswer::Lost(self.record(item.cloned())?))
            }
            _ if reasons
                .iter()
                .any(|reason| reason.code() == Some("ValidationError")) =>
            {
                let fault = "the item is not valid";
                let findings = table(&self.findings);
                Err(AwsError::of_kind(
                    AwsErrorKind::Refused,
                    TRANSACT,
                    findings,
                    fault,
                ))
            }
            // It met another transaction, or was throttled.
            _ => Ok(CommitAnswer::Busy),
        }
    }

    /// The output of a conditional update of the findings table; none if the condition
    /// failed.
    fn finding_write<T>(
        &self,
        result: Result<T, SdkError<UpdateItemError>>,
    ) -> Result<Option<T>, AwsError> {
        ConditionalWrite::of(result, UPDATE, &self.findings)?.applied(UPDATE, &self.findings)
    }

    /// The record that an item is; none if there is none.
    fn record(&self, item: Option<Item>) -> Result<Option<Box<Record>>, AwsError> {
        let Some(item) = item else { return Ok(None) };
        let key = item.get("uploader").and_then(|key| key.as_s().ok());
        let key = key.cloned().unwrap_or_else(|| "(no key)".to_owned());
        serde_dynamo::from_item(item)
            .map(Some)
            .map_err(|error| self.damaged("DynamoDB read", &key, &error))
    }

    fn damaged(&self, call: &'static str, key: &str, error: &dyn std::fmt::Display) -> AwsError {
        let fault = format!(
            "item {} is damaged: {}",
            clean_cut(key, 200),
            clean_cut(&error.to_string(), 200)
        );
        AwsError::of_kind(
            AwsErrorKind::Unreadable,
            call,
            table(&self.uploaders),
            fault,
        )
    }
}

struct PutRecord {
    item: Item,
    condition: &'static str,
    values: Option<Item>,
}

/// An update of a record, and what the record must be like for it.
struct Update {
    condition: String,
    expression: String,
    values: Item,
}

/// The condition of a push by somebody known, and its values; `order` is what it says
/// of the times.
fn by_the_known(
    order: &'static str,
    push: &Push,
    uploader: &Uploader,
    policy: &Policy,
) -> (Vec<&'static str>, Item) {
    let mut values = Item::with_capacity(12);
    let mut value = |name: &str, value| values.insert(name.to_owned(), value);
    value(":new", text("new"));
    value(":learned", text("learned"));
    value(":trusted", text("trusted"));
    value(":t", text(push.event_time.to_string()));
    value(":eid", text(push.event_id.as_str()));
    value(":zero", number(0));
    value(":one", number(1));
    let known = if policy.trusts(uploader) {
        value(":pattern", text("pattern"));
        KNOWN_OR_PATTERN
    } else {
        KNOWN
    };
    let mut condition = vec![known, order, NOT_DECIDED];
    if let Some(principal) = &uploader.principal_id {
        value(":pid", text(principal.as_str()));
        condition.push(SAME_PRINCIPAL);
    }
    condition.push(TRUST_HOLDS);
    (condition, values)
}

impl Store for DynamoStore {
    type Error = AwsError;
    type Cursor = Item;

    async fn touch(
        &self,
        push: &Push,
        uploader: &Uploader,
        policy: &Policy,
    ) -> Result<TouchAnswer, AwsError> {
        let cutoff = policy.absence_cutoff(push.event_time);
        let order = match cutoff {
            Some(_) => IN_ORDER_AND_NOT_ABSENT,
            None => IN_ORDER,
        };
        let (condition, mut values) = by_the_known(order, push, uploader, policy);
        values.insert(":push".to_owned(), self.last_push(push)?);
        if let Some(cutoff) = cutoff {
            values.insert(":cutoff".to_owned(), text(cutoff.to_string()));
        }
        let mut update = TOUCH.to_owned();
        if uploader.principal_id.is_some() {
            update.push_str(FILL_PRINCIPAL);
        }
        let update = Update {
            condition: condition.join(" AND "),
            expression: update,
            values,
        };
        self.update_record(&uploader.key, update).await
    }

    async fn touch_late(
        &self,
        push: &Push,
        uploader: &Uploader,
        policy: &Policy,
    ) -> Result<TouchAnswer, AwsError> {
        let (condition, values) = by_the_known(LATE, push, uploader, policy);
        let update = Update {
            condition: condition.join(" AND "),
            expression: TOUCH_LATE.to_owned(),
            values,
        };
        self.update_record(&uploader.key, update).await
    }

    async fn find(&self, key: &str) -> Result<Option<Record>, AwsError> {
        let output = self
            .client
            .get_item()
            .table_name(&self.uploaders)
            .key("uploader", text(key))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| AwsError::new("DynamoDB GetItem", table(&self.uploaders), error))?;
        Ok(self.record(output.item)?.map(|record| *record))
    }

    async fn commit(&self, commit: Commit<'_>) -> Result<CommitAnswer, AwsError> {
        match (commit.finding, commit.record) {
            (Some(finding), _) => self.commit_finding(commit, finding).await,
            (None, Some(record)) => self.commit_record(record, commit.read_revision).await,
            (None, None) => Ok(CommitAnswer::Applied),
        }
    }

    async fn commit_revoked(&self, revoked: RevokedPush<'_>) -> Result<CommitAnswer, AwsError> {
        let key = &revoked.read.uploader;
        let update = self.revoked_push(revoked)?;
        let Some(finding) = revoked.finding else {
            return Ok(match self.update_record(key, update).await? {
                TouchAnswer::Ordinary => CommitAnswer::Applied,
                TouchAnswer::Refused(record) => CommitAnswer::Lost(record),
                TouchAnswer::Busy => CommitAnswer::Busy,
            });
        };
        let update = types::Update::builder()
            .table_name(&self.uploaders)
            .key("uploader", text(key.as_str()))
            .condition_expression(update.condition)
            .update_expression(update.expression)
            .set_expression_attribute_values(Some(update.values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|error| self.damaged(TRANSACT, key, &error))?;
        let update = TransactWriteItem::builder().update(update).build();
        self.transact(Some(update), finding, revoked.now).await
    }

    async fn take_token(
        &self,
        per_minute: u8,
        severity: Severity,
        now: Timestamp,
    ) -> Result<bool, AwsError> {
        let is_left = |oldest: &str| {
            format!(
                "(attribute_not_exists({oldest}) OR {oldest} <= :minuteAgo OR {oldest} > :horizon)"
            )
        };
        // Of five places the last `per_minute` are this minute's.
        let mut condition = is_left(&format!("t{}", super::MOST_PER_MINUTE + 1 - per_minute));
        let mut update = TAKE_TOKEN.to_owned();
        if severity != Severity::Critical {
            let most = not_critical(super::MOST_PER_MINUTE);
            let oldest = format!("n{}", most + 1 - not_critical(per_minute));
            condition = format!("{condition} AND {}", is_left(&oldest));
            update.push_str(TAKE_LESSER_TOKEN);
        }
        let result = self
            .client
            .update_item()
            .table_name(&self.findings)
            .key("findingId", text(BUDGET_ID))
            .update_expression(update)
            .condition_expression(condition)
            .expression_attribute_values(":never", number(0))
            .expression_attribute_values(":now", millis(now))
            .expression_attribute_values(":minuteAgo", millis(now - MINUTE))
            .expression_attribute_values(":horizon", millis(now + MINUTE))
            .send()
            .await;
        Ok(self.finding_write(result)?.is_some())
    }

    async fn settle(
        &self,
        finding_id: &str,
        message_id: &str,
        now: Timestamp,
    ) -> Result<(), AwsError> {
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
        // If not, it is settled already.
        self.finding_write(result).map(|_| ())
    }

    async fn owed(&self, from: Option<Item>) -> Result<OwedPage<Item>, AwsError> {
        // A scan of the index is one call for findings and digest together, and
        // reads only what is owed; a query would be one call for each.
        let output = self
            .client
            .scan()
            .table_name(&self.findings)
            .index_name(OWED_INDEX)
            .limit(i32::try_from(OWED_PAGE).unwrap_or(i32::MAX))
            .set_exclusive_start_key(from)
            .send()
            .await
            .map_err(|error| AwsError::new("DynamoDB Scan", table(&self.findings), error))?;
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
    ) -> Result<Option<Lease>, AwsError> {
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
        Ok(self.finding_write(result)?.map(|output| {
            let value = |name: &str| output.attributes().and_then(|item| item.get(name));
            let body = value("body").and_then(|body| body.as_s().ok());
            let attempts = value("attempts").and_then(|attempts| attempts.as_n().ok());
            Lease {
                body: body.cloned().unwrap_or_default(),
                attempts: attempts.and_then(|text| text.parse().ok()).unwrap_or(1),
            }
        }))
    }

    async fn lease_sweep(&self, holder: &str, now: Timestamp) -> Result<bool, AwsError> {
        let result = self
            .client
            .update_item()
            .table_name(&self.findings)
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
        Ok(self.finding_write(result)?.is_some())
    }

    async fn end_sweep(&self, holder: &str) -> Result<(), AwsError> {
        let result = self
            .client
            .update_item()
            .table_name(&self.findings)
            .key("findingId", text(SWEEP_ID))
            .update_expression(SWEEP_END)
            .condition_expression(HOLDS_SWEEP)
            .expression_attribute_values(":holder", text(holder))
            .send()
            .await;
        // If not, its time was over, and another one has it.
        self.finding_write(result).map(|_| ())
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

fn table(name: &str) -> String {
    format!("table {name}")
}

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

#[allow(clippy::needless_pass_by_value)] // numbers are as cheap as references
fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn millis(time: Timestamp) -> AttributeValue {
    number(time.as_millisecond())
}
