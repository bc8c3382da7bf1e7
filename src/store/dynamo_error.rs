//! What can go wrong with the tables, in words that say what to do.

use thiserror::Error;

use crate::aws::{Fault, FaultKind};
use crate::text::clean_cut;

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("DynamoDB {operation} on table {table}: {fault}; {advice}")]
pub struct DynamoError {
    operation: &'static str,
    table: String,
    fault: String,
    advice: &'static str,
    /// What kind of fault it is.
    pub kind: DynamoErrorKind,
}

/// Who can do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DynamoErrorKind {
    /// It may succeed when it is tried again.
    Retryable,
    /// The table or the role must be mended.
    Configuration,
    /// An item is damaged.
    Unreadable,
}

impl DynamoError {
    pub(super) fn failed(operation: &'static str, table: &str, fault: &Fault) -> Self {
        let (kind, advice) = match fault.kind {
            FaultKind::Retryable => (DynamoErrorKind::Retryable, "a retry can help"),
            FaultKind::Configuration => (
                DynamoErrorKind::Configuration,
                "check the table's name, its region and the role's policy",
            ),
        };
        Self {
            operation,
            table: table.to_owned(),
            fault: fault.text.clone(),
            advice,
            kind,
        }
    }

    pub(super) fn damaged(
        operation: &'static str,
        table: &str,
        key: &str,
        error: &dyn std::fmt::Display,
    ) -> Self {
        Self {
            operation,
            table: table.to_owned(),
            fault: format!(
                "item {} is damaged: {}",
                clean_cut(key, 200),
                clean_cut(&error.to_string(), 200)
            ),
            advice: "mend or delete the item",
            kind: DynamoErrorKind::Unreadable,
        }
    }
}
