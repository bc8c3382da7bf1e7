//! The uploaders table: its records, and what pushes write to them.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    self, AttributeValue, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};

use super::conditional::ConditionalWrite;
use super::expressions::{
    FILL_PRINCIPAL, FORGET_HABITS, HABITUAL, IN_ORDER, IN_ORDER_AND_NOT_ABSENT, KNOWN,
    KNOWN_OR_PATTERN, LATE, LEAVES_FIRST, LEAVES_LAST, MOVE_FIRST, MOVE_LAST, MOVES_FIRST,
    MOVES_LAST, NO_RECORD, NOT_DECIDED, NOTE_EVENT, NOTE_FINDING, READ_NO_REVISION, READ_REVISION,
    SAME_PRINCIPAL, SAME_STANDING, TOUCH, TOUCH_LATE, TRUST_HOLDS,
};
use super::item::{self, Item, TRANSACT, UPDATE, damaged, number, target, text};
use crate::aws::AwsError;
use crate::event::Push;
use crate::identity::Uploader;
use crate::policy::Policy;
use crate::record::{ATTRIBUTES, LastPush, Record, Standing};
use crate::store::{CommitAnswer, TimesCommit, TouchAnswer};

/// The table whose items are the records of uploaders. Methods with the name of one of
/// [`Store`](crate::store::Store) are that one.
#[derive(Debug, Clone)]
pub(super) struct UploadersTable {
    pub(super) client: Client,
    pub(super) name: String,
}

/// The attributes that are string sets; in a record they are lists.
const SETS: [&str; 2] = ["places", "ways"];

/// An update of a record, and the condition on it.
struct Update {
    condition: String,
    expression: String,
    /// Placeholders for names of attributes, some of which are words of DynamoDB's own.
    names: Option<HashMap<String, String>>,
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
        if !policy.watches_habits(uploader) {
            update.push_str(FORGET_HABITS);
        }
        let update = Update {
            condition: condition.join(" AND "),
            expression: update,
            names: None,
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
        let mut update = TOUCH_LATE.to_owned();
        if !policy.watches_habits(uploader) {
            update.push_str(FORGET_HABITS);
        }
        let update = Update {
            condition: condition.join(" AND "),
            expression: update,
            names: None,
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

    /// Writes the record of a decision without a finding: by one conditional put if it is
    /// new, else by an update, which keeps attributes that this version does not know.
    pub(super) async fn put(
        &self,
        record: &Record,
        read_revision: Option<u64>,
    ) -> Result<CommitAnswer, AwsError> {
        let call = "DynamoDB PutItem";
        if let Some(revision) = read_revision {
            let update = self.replacement(record, revision, UPDATE)?;
            return self.commit(&record.uploader, update).await;
        }
        let result = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(self.item(record, call)?))
            .condition_expression(NO_RECORD)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        Ok(match ConditionalWrite::of(result, call, &self.name)? {
            ConditionalWrite::Applied(_) => CommitAnswer::Applied,
            ConditionalWrite::Refused(item) => CommitAnswer::Lost(self.record(item)?),
            ConditionalWrite::Busy => CommitAnswer::Busy,
        })
    }

    /// The same write, for the transaction that writes the finding too.
    pub(super) fn put_with_finding(
        &self,
        record: &Record,
        read_revision: Option<u64>,
    ) -> Result<TransactWriteItem, AwsError> {
        if let Some(revision) = read_revision {
            let update = self.replacement(record, revision, TRANSACT)?;
            return self.in_transaction(&record.uploader, update);
        }
        let put = Put::builder()
            .table_name(&self.name)
            .set_item(Some(self.item(record, TRANSACT)?))
            .condition_expression(NO_RECORD)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|error| damaged(&self.name, TRANSACT, &record.uploader, &error))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// A record as an item.
    fn item(&self, record: &Record, call: &'static str) -> Result<Item, AwsError> {
        let mut item: Item = serde_dynamo::to_item(record)
            .map_err(|error| damaged(&self.name, call, &record.uploader, &error))?;
        for name in SETS {
            if let Some(AttributeValue::L(list)) = item.get(name) {
                let texts = list.iter().filter_map(|text| text.as_s().ok().cloned());
                let set = AttributeValue::Ss(texts.collect());
                item.insert(name.to_owned(), set);
            }
        }
        Ok(item)
    }

    /// Sets all attributes of a record over the one of the revision that was read.
    fn replacement(
        &self,
        record: &Record,
        read_revision: u64,
        call: &'static str,
    ) -> Result<Update, AwsError> {
        let mut item = self.item(record, call)?;
        let (mut names, mut values) = (HashMap::new(), Item::new());
        let (mut set, mut remove) = (Vec::new(), Vec::new());
        for (number, name) in ATTRIBUTES.into_iter().enumerate() {
            let placeholder = format!("#a{number}");
            if let Some(value) = item.remove(name) {
                set.push(format!("{placeholder} = :a{number}"));
                values.insert(format!(":a{number}"), value);
            } else {
                remove.push(placeholder.clone());
            }
            names.insert(placeholder, name.to_owned());
        }
        values.insert(":revision".to_owned(), number(read_revision));
        let condition = match read_revision {
            0 => READ_NO_REVISION,
            _ => READ_REVISION,
        };
        let mut expression = format!("SET {}", set.join(", "));
        if !remove.is_empty() {
            expression.push_str(" REMOVE ");
            expression.push_str(&remove.join(", "));
        }
        Ok(Update {
            condition: condition.to_owned(),
            expression,
            names: Some(names),
            values,
        })
    }

    /// Moves the times of a record, without a finding.
    pub(super) async fn move_times(
        &self,
        commit: TimesCommit<'_>,
    ) -> Result<CommitAnswer, AwsError> {
        let update = self.times_update(commit)?;
        self.commit(&commit.read.uploader, update).await
    }

    /// The same update, for the transaction that writes the finding too.
    pub(super) fn move_times_with_finding(
        &self,
        commit: TimesCommit<'_>,
    ) -> Result<TransactWriteItem, AwsError> {
        let update = self.times_update(commit)?;
        self.in_transaction(&commit.read.uploader, update)
    }

    /// What a push does to the record whose times alone it moves: condition, update and
    /// values.
    fn times_update(&self, commit: TimesCommit<'_>) -> Result<Update, AwsError> {
        let TimesCommit {
            read,
            push,
            uploader,
            finding,
            ..
        } = commit;
        let moves = read.moves(push.event_time);
        let mut condition = vec![SAME_STANDING];
        let mut update = TOUCH_LATE.to_owned();
        let mut values = Item::from([
            (":standing".to_owned(), text(read.standing.as_str())),
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
        if read.standing != Standing::Revoked {
            condition.extend([NOT_DECIDED, TRUST_HOLDS]);
            values.insert(":eid".to_owned(), text(push.event_id.as_str()));
            if moves.last {
                update.push_str(NOTE_EVENT);
            }
            if let Some(principal) = &uploader.principal_id {
                condition.push(SAME_PRINCIPAL);
                values.insert(":pid".to_owned(), text(principal.as_str()));
                if moves.last {
                    update.push_str(FILL_PRINCIPAL);
                }
            }
        }
        if let Some(finding) = finding {
            update.push_str(NOTE_FINDING);
            values.insert(":finding".to_owned(), text(finding.id.to_string()));
        }
        Ok(Update {
            condition: condition.join(" AND "),
            expression: update,
            names: None,
            values,
        })
    }

    fn last_push(&self, push: &Push) -> Result<AttributeValue, AwsError> {
        serde_dynamo::to_attribute_value(LastPush::from(push))
            .map_err(|error| damaged(&self.name, UPDATE, &push.event_id, &error))
    }

    /// An update in a transaction.
    fn in_transaction(&self, key: &str, update: Update) -> Result<TransactWriteItem, AwsError> {
        let update = types::Update::builder()
            .table_name(&self.name)
            .key("uploader", text(key))
            .condition_expression(update.condition)
            .update_expression(update.expression)
            .set_expression_attribute_names(update.names)
            .set_expression_attribute_values(Some(update.values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|error| damaged(&self.name, TRANSACT, key, &error))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// Updates the record of a decision without a finding.
    async fn commit(&self, key: &str, update: Update) -> Result<CommitAnswer, AwsError> {
        Ok(match self.update(key, update).await? {
            TouchAnswer::Ordinary => CommitAnswer::Applied,
            TouchAnswer::Refused(record) => CommitAnswer::Lost(record),
            TouchAnswer::Busy => CommitAnswer::Busy,
        })
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
            .set_expression_attribute_names(update.names)
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
        let is_set = |name: &&str| match item.get(*name) {
            None => true,
            Some(AttributeValue::Ss(texts)) => !texts.is_empty(),
            Some(_) => false,
        };
        if let Some(name) = SETS.iter().find(|name| !is_set(name)) {
            let fault = format!("`{name}` is no string set, or an empty one");
            return Err(damaged(&self.name, "DynamoDB read", &key, &fault));
        }
        item::read(item)
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
    let mut values = Item::with_capacity(16);
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
    if policy.watches_habits(uploader) {
        value(":true", AttributeValue::Bool(true));
        value(":place", text(push.place()));
        value(":way", text(push.way.as_str()));
        condition.push(HABITUAL);
    }
    (condition, values)
}
