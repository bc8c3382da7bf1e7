//! The uploaders table: its records, and what pushes write to them.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    self, AttributeValue, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};

use super::conditional::ConditionalWrite;
use super::expressions::{
    FILL_PRINCIPAL, IN_ORDER, IN_ORDER_AND_NOT_ABSENT, KNOWN, KNOWN_OR_PATTERN, LATE, LEAVES_FIRST,
    LEAVES_LAST, MOVE_FIRST, MOVE_LAST, MOVES_FIRST, MOVES_LAST, NO_RECORD, NOT_DECIDED,
    NOTE_FINDING, READ_NO_REVISION, READ_REVISION, SAME_PRINCIPAL, STILL_REVOKED, TOUCH,
    TOUCH_LATE, TRUST_HOLDS,
};
use super::item::{Item, TRANSACT, UPDATE, damaged, number, target, text};
use crate::aws::AwsError;
use crate::event::Push;
use crate::identity::Uploader;
use crate::policy::Policy;
use crate::record::{LastPush, Record};
use crate::store::{CommitAnswer, RevokedPush, TouchAnswer};

/// The table whose items are the records of uploaders. Methods with the name of one of
/// [`Store`](crate::store::Store) are that one.
#[derive(Debug, Clone)]
pub(super) struct UploadersTable {
    pub(super) client: Client,
    pub(super) name: String,
}

/// A record to put, and the condition on the stored one.
struct PutRecord {
    item: Item,
    condition: &'static str,
    values: Option<Item>,
}

/// An update of a record, and the condition on it.
struct Update {
    condition: String,
    expression: String,
    values: Item,
}

impl UploadersTable {
    pub(super) async fn touch(
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
        self.update(&uploader.key, update).await
    }

    pub(super) async fn touch_late(
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
        self.update(&uploader.key, update).await
    }

    pub(super) async fn find(&self, key: &str) -> Result<Option<Record>, AwsError> {
        let output = self
            .client
            .get_item()
            .table_name(&self.name)
            .key("uploader", text(key))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| AwsError::new("DynamoDB GetItem", target(&self.name), error))?;
        Ok(self.record(output.item)?.map(|record| *record))
    }

    /// Writes the record of a decision without a finding, by one conditional put.
    pub(super) async fn put(
        &self,
        record: &Record,
        read_revision: Option<u64>,
    ) -> Result<CommitAnswer, AwsError> {
        let put = self.put_record(record, read_revision)?;
        let result = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(put.item))
            .condition_expression(put.condition)
            .set_expression_attribute_values(put.values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        Ok(
            match ConditionalWrite::of(result, "DynamoDB PutItem", &self.name)? {
                ConditionalWrite::Applied(_) => CommitAnswer::Applied,
                ConditionalWrite::Refused(item) => CommitAnswer::Lost(self.record(item)?),
                ConditionalWrite::Busy => CommitAnswer::Busy,
            },
        )
    }

    /// The same put, for the transaction that writes the finding too.
    pub(super) fn put_with_finding(
        &self,
        record: &Record,
        read_revision: Option<u64>,
    ) -> Result<TransactWriteItem, AwsError> {
        let put = self.put_record(record, read_revision)?;
        let put = Put::builder()
            .table_name(&self.name)
            .set_item(Some(put.item))
            .condition_expression(put.condition)
            .set_expression_attribute_values(put.values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|error| damaged(&self.name, TRANSACT, &record.uploader, &error))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    fn put_record(
        &self,
        record: &Record,
        read_revision: Option<u64>,
    ) -> Result<PutRecord, AwsError> {
        let item = serde_dynamo::to_item(record)
            .map_err(|error| damaged(&self.name, "DynamoDB PutItem", &record.uploader, &error))?;
        let (condition, values) = match read_revision {
            None => (NO_RECORD, None),
            Some(0) => (READ_NO_REVISION, Some(0)),
            Some(revision) => (READ_REVISION, Some(revision)),
        };
        Ok(PutRecord {
            item,
            condition,
            values: values.map(|revision| Item::from([(":revision".to_owned(), number(revision))])),
        })
    }

    /// Updates the record of somebody revoked whose finding is suppressed.
    pub(super) async fn update_revoked(
        &self,
        revoked: RevokedPush<'_>,
    ) -> Result<CommitAnswer, AwsError> {
        let update = self.revoked_push(revoked)?;
        Ok(match self.update(&revoked.read.uploader, update).await? {
            TouchAnswer::Ordinary => CommitAnswer::Applied,
            TouchAnswer::Refused(record) => CommitAnswer::Lost(record),
            TouchAnswer::Busy => CommitAnswer::Busy,
        })
    }

    /// The same update, for the transaction that writes the finding too.
    pub(super) fn update_revoked_with_finding(
        &self,
        revoked: RevokedPush<'_>,
    ) -> Result<TransactWriteItem, AwsError> {
        let key = &revoked.read.uploader;
        let update = self.revoked_push(revoked)?;
        let update = types::Update::builder()
            .table_name(&self.name)
            .key("uploader", text(key.as_str()))
            .condition_expression(update.condition)
            .update_expression(update.expression)
            .set_expression_attribute_values(Some(update.values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|error| damaged(&self.name, TRANSACT, key, &error))?;
        Ok(TransactWriteItem::builder().update(update).build())
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
            .map_err(|error| damaged(&self.name, UPDATE, &push.event_id, &error))
    }

    /// Updates a record, if the condition holds.
    async fn update(&self, key: &str, update: Update) -> Result<TouchAnswer, AwsError> {
        let result = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("uploader", text(key))
            .condition_expression(update.condition)
            .update_expression(update.expression)
            .set_expression_attribute_values(Some(update.values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        Ok(match ConditionalWrite::of(result, UPDATE, &self.name)? {
            ConditionalWrite::Applied(_) => TouchAnswer::Ordinary,
            ConditionalWrite::Refused(item) => TouchAnswer::Refused(self.record(item)?),
            ConditionalWrite::Busy => TouchAnswer::Busy,
        })
    }

    /// The record that an item is; none if there is none.
    pub(super) fn record(&self, item: Option<Item>) -> Result<Option<Box<Record>>, AwsError> {
        let Some(item) = item else { return Ok(None) };
        let key = item.get("uploader").and_then(|key| key.as_s().ok());
        let key = key.cloned().unwrap_or_else(|| "(no key)".to_owned());
        serde_dynamo::from_item(item)
            .map(Some)
            .map_err(|error| damaged(&self.name, "DynamoDB read", &key, &error))
    }
}

/// The condition of a push by somebody known, and its values. `order` is its part
/// about the times.
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
