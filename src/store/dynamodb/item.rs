//! An item of a table, and the values in it.

use std::collections::HashMap;
use std::fmt::Display;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use crate::aws::{AwsError, AwsErrorKind};
use crate::text::clean_cut;

/// The calls that errors of several files name.
pub(super) const UPDATE: &str = "DynamoDB UpdateItem";
pub(super) const SCAN: &str = "DynamoDB Scan";
pub(super) const TRANSACT: &str = "DynamoDB TransactWriteItems";

pub(super) type Item = HashMap<String, AttributeValue>;

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

#[allow(clippy::needless_pass_by_value)] // numbers are as cheap as references
pub(super) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn millis(time: Timestamp) -> AttributeValue {
    number(time.as_millisecond())
}

/// What an item stands for; or why it is none.
pub(super) fn read<T: DeserializeOwned>(item: Item) -> Result<T, String> {
    // `serde_dynamo` would panic.
    if let Some((name, _)) = item.iter().find(|(_, value)| has_unknown(value)) {
        return Err(format!(
            "`{name}` has a value of a type that is not known here"
        ));
    }
    serde_dynamo::from_item(item).map_err(|error| error.to_string())
}

/// Whether it is a value, or has one in it, of a type that the SDK does not know.
fn has_unknown(value: &AttributeValue) -> bool {
    match value {
        AttributeValue::L(values) => values.iter().any(has_unknown),
        AttributeValue::M(fields) => fields.values().any(has_unknown),
        value => value.is_unknown(),
    }
}

/// A table as the target of an error.
pub(super) fn target(table: &str) -> String {
    format!("table {table}")
}

/// The error of an item that can't be read or written as it is.
pub(super) fn damaged(table: &str, call: &'static str, key: &str, error: &dyn Display) -> AwsError {
    let fault = format!(
        "item {} is damaged: {}",
        clean_cut(key, 200),
        clean_cut(&error.to_string(), 200)
    );
    AwsError::of_kind(AwsErrorKind::Unreadable, call, target(table), fault)
}
