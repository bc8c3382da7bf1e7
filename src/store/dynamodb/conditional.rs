//! What became of a conditional write.

use std::error::Error;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;

use super::item::{Item, target};
use crate::aws::{AwsError, AwsErrorKind};

/// The answer to a conditional write.
pub(super) enum ConditionalWrite<T> {
    /// It is written.
    Applied(T),
    /// The condition failed on this item, or because there is none.
    Refused(Option<Item>),
    /// A transaction on the item is under way.
    Busy,
}

impl<T> ConditionalWrite<T> {
    /// Reads the SDK's answer.
    pub(super) fn of<E: ConditionalError>(
        result: Result<T, SdkError<E>>,
        call: &'static str,
        table: &str,
    ) -> Result<Self, AwsError> {
        let error = match result {
            Ok(output) => return Ok(Self::Applied(output)),
            Err(error) => error,
        };
        match error.as_service_error().map(ConditionalError::refusal) {
            Some(Refusal::Condition(item)) => {
                // moto answers a refusal on an absent item with an empty one.
                let item = item.filter(|item| !item.is_empty());
                Ok(Self::Refused(item.cloned()))
            }
            Some(Refusal::Conflict) => Ok(Self::Busy),
            Some(Refusal::Other) | None => Err(AwsError::new(call, target(table), error)),
        }
    }

    /// The output; none if the condition failed.
    pub(super) fn applied(self, call: &'static str, table: &str) -> Result<Option<T>, AwsError> {
        match self {
            Self::Applied(output) => Ok(Some(output)),
            Self::Refused(_) => Ok(None),
            Self::Busy => Err(AwsError::of_kind(
                AwsErrorKind::Retryable,
                call,
                target(table),
                "it met a transaction",
            )),
        }
    }
}

/// Why a write was refused.
pub(super) enum Refusal<'a> {
    Condition(Option<&'a Item>),
    Conflict,
    Other,
}

/// An error of one of the operations that take a condition.
pub(super) trait ConditionalError:
    ProvideErrorMetadata + Error + Send + Sync + 'static
{
    fn refusal(&self) -> Refusal<'_>;
}

/// The SDK has a type for each operation, whose variants have the same names.
macro_rules! conditional_errors {
    ($($error:ident),+) => {
        $(impl ConditionalError for $error {
            fn refusal(&self) -> Refusal<'_> {
                match self {
                    $error::ConditionalCheckFailedException(refused) => {
                        Refusal::Condition(refused.item())
                    }
                    $error::TransactionConflictException(_) => Refusal::Conflict,
                    _ => Refusal::Other,
                }
            }
        })+
    };
}
conditional_errors!(PutItemError, UpdateItemError, DeleteItemError);
