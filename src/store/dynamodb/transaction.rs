//! The transaction that writes a record and the finding that goes with it, both or
//! neither.

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, CancellationReason, TransactWriteItem};
use jiff::Timestamp;
use uuid::Uuid;

use super::findings::FindingsTable;
use super::item::{TRANSACT, millis, target};
use super::uploaders::UploadersTable;
use crate::aws::{AwsError, AwsErrorKind};
use crate::finding::{Finding, Owed};
use crate::store::{CommitAnswer, first_lease};

/// Writes what becomes of a record, if it changes, and a finding, together.
pub(super) async fn write_together(
    uploaders: &UploadersTable,
    findings: &FindingsTable,
    record: Option<TransactWriteItem>,
    (finding, owed): (&Finding, Owed),
    now: Timestamp,
) -> Result<CommitAnswer, AwsError> {
    let put = findings.put(finding, owed, now)?;
    let items: Vec<_> = record.into_iter().chain([put]).collect();

    // The finding may have been committed before, with another record or at
    // another time. Then DynamoDB refuses the first token; the second is of this
    // call alone, so that the conditions decide.
    let second = Uuid::new_v5(&finding.id, now.as_nanosecond().to_string().as_bytes());
    for token in [finding.id, second] {
        let result = findings
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
                let lease = millis(first_lease(owed, now));
                let reasons = cancelled.cancellation_reasons();
                why_cancelled(uploaders, findings, reasons, &lease)
            }
            Some(TransactWriteItemsError::IdempotentParameterMismatchException(_)) => continue,
            Some(TransactWriteItemsError::TransactionInProgressException(_)) => {
                Ok(CommitAnswer::Busy)
            }
            _ => Err(AwsError::new(TRANSACT, target(&findings.name), error)),
        };
    }
    Ok(CommitAnswer::Busy)
}

/// What a cancelled transaction means. `lease` is the end of the lease that it put on
/// the finding.
fn why_cancelled(
    uploaders: &UploadersTable,
    findings: &FindingsTable,
    reasons: &[CancellationReason],
    lease: &AttributeValue,
) -> Result<CommitAnswer, AwsError> {
    let refused = |reason: &CancellationReason| reason.code() == Some("ConditionalCheckFailed");
    let Some((finding, record)) = reasons.split_last() else {
        return Ok(CommitAnswer::Busy);
    };
    if refused(finding) {
        // With our own lease on it, the stored finding is what this call wrote: its
        // first answer was lost.
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
            Ok(CommitAnswer::Lost(uploaders.record(item.cloned())?))
        }
        _ if reasons
            .iter()
            .any(|reason| reason.code() == Some("ValidationError")) =>
        {
            Err(AwsError::of_kind(
                AwsErrorKind::Refused,
                TRANSACT,
                target(&findings.name),
                "the item is not valid",
            ))
        }
        // It met another transaction, or was throttled.
        _ => Ok(CommitAnswer::Busy),
    }
}
