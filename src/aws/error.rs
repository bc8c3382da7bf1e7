//! What went wrong with a call of AWS, in words that say what to do.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use super::unreachable::Unreachable;
use crate::text::clean_cut;

/// A call that failed.
#[derive(Clone)]
pub struct AwsError {
    /// Service and operation: `DynamoDB UpdateItem`.
    pub call: &'static str,
    /// What it was about: `table uploaders`.
    pub target: Box<str>,
    /// Who can do something about it.
    pub kind: AwsErrorKind,
    /// AWS's error code; none if there was no answer, or no code in it.
    pub code: Option<Box<str>>,
    /// What is wrong, in one line.
    fault: Box<str>,
    /// What to do about it, where the fault alone says it.
    remedy: Option<Box<str>>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// Who can do something about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AwsErrorKind {
    /// The same call may succeed later.
    Retryable,
    /// What was asked is refused: another request may be accepted.
    Refused,
    /// Something is missing or not allowed: until the deployment is mended, every
    /// other request is refused too.
    Deployment,
    /// An item is damaged.
    Unreadable,
}

impl AwsError {
    /// Reads the SDK's error.
    pub fn new<E>(call: &'static str, target: impl Into<Box<str>>, error: SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let code = match &error {
            SdkError::ServiceError(service) => service.err().code().map(Box::from),
            _ => None,
        };
        Self {
            call,
            target: target.into(),
            kind: kind(&error, code.as_deref()),
            fault: fault(&error, code.as_deref()).into(),
            remedy: remedy_of(&error, code.as_deref()).map(Into::into),
            code,
            source: Some(Arc::new(error)),
        }
    }

    /// No answer came in the time that there was.
    #[must_use]
    pub fn timeout(call: &'static str, target: impl Into<Box<str>>) -> Self {
        Self::of_kind(AwsErrorKind::Retryable, call, target, "no answer in time")
    }

    /// An error that does not come from the SDK.
    #[must_use]
    pub fn of_kind(
        kind: AwsErrorKind,
        call: &'static str,
        target: impl Into<Box<str>>,
        fault: impl Into<Box<str>>,
    ) -> Self {
        Self {
            call,
            target: target.into(),
            kind,
            code: None,
            fault: fault.into(),
            remedy: None,
            source: None,
        }
    }

    /// What is wrong, in one line, without what to do.
    #[must_use]
    pub fn fault(&self) -> &str {
        &self.fault
    }

    /// What to do about it; `otherwise` where the fault alone does not say it.
    #[must_use]
    pub fn advice(&self, otherwise: &str) -> String {
        match (&self.remedy, self.code.as_deref()) {
            (Some(remedy), _) => remedy.to_string(),
            (None, Some(code)) if is_denied(code) => {
                format!("the right {} is missing", self.right())
            }
            (None, _) => otherwise.to_owned(),
        }
    }

    /// The right that the call needs: `dynamodb:UpdateItem`.
    fn right(&self) -> String {
        match self.call.split_once(' ') {
            // A transaction has no right of its own.
            Some((_, "TransactWriteItems")) => "dynamodb:PutItem".to_owned(),
            Some((service, operation)) => format!("{}:{operation}", service.to_lowercase()),
            None => self.call.to_owned(),
        }
    }
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            call,
            target,
            fault,
            ..
        } = self;
        // `table uploaders`
        let noun = target.split(' ').next().unwrap_or_default();
        let advice = match self.kind {
            AwsErrorKind::Retryable => "a retry can help",
            AwsErrorKind::Refused => "a retry can't help",
            AwsErrorKind::Deployment => {
                &format!("check the {noun}'s name, its region and the role's policy")
            }
            AwsErrorKind::Unreadable => "mend or delete the item",
        };
        write!(f, "{call} on {target}: {fault}; {}", self.advice(advice))
    }
}

/// The same as `Display`: what the SDK's error holds beside it may be an item or an event.
impl fmt::Debug for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AwsError({self})")
    }
}

impl Error for AwsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source = self.source.as_deref()?;
        Some(source)
    }
}

/// Errors are equal if they are displayed alike and are of one kind.
impl PartialEq for AwsError {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.to_string() == other.to_string()
    }
}

fn remedy_of<E: ProvideErrorMetadata>(error: &SdkError<E>, code: Option<&str>) -> Option<String> {
    match (error, code) {
        (SdkError::ServiceError(service), Some(code)) => {
            remedy(code, service.err().message().unwrap_or_default())
        }
        (SdkError::DispatchFailure(failure), _) => failure
            .as_connector_error()
            .and_then(|error| innermost(error).downcast_ref::<Unreachable>())
            .map(|unreachable| unreachable.remedy().to_owned()),
        _ => None,
    }
}

fn is_denied(code: &str) -> bool {
    matches!(
        code,
        "AccessDenied"
            | "AccessDeniedException"
            | "AuthorizationError"
            | "AuthorizationErrorException"
    )
}

/// What to do about credentials and rights.
fn remedy(code: &str, message: &str) -> Option<String> {
    let remedy = match code {
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => {
            "your credentials have expired: sign in again (`aws login` or `aws sso login`)"
        }
        "UnrecognizedClientException" | "InvalidClientTokenId" => {
            "AWS does not know the access key: check AWS_PROFILE, or sign in again"
        }
        "InvalidSignatureException" | "SignatureDoesNotMatch" => {
            "check the secret access key, and this machine's clock"
        }
        code if is_denied(code) => {
            return missing_right(message).map(|right| format!("the right {right} is missing"));
        }
        _ => return None,
    };
    Some(remedy.to_owned())
}

/// The right that AWS names: `User: … is not authorized to perform: dynamodb:Scan …`
fn missing_right(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("not authorized to perform: ")?;
    let is_other = |c: char| !(c.is_ascii_alphanumeric() || c == ':' || c == '-');
    let right = &rest[..rest.find(is_other).unwrap_or(rest.len())];
    (right.contains(':') && right.len() <= 100).then_some(right)
}

fn fault<E: ProvideErrorMetadata>(error: &SdkError<E>, code: Option<&str>) -> String {
    match (error, code) {
        (SdkError::ServiceError(service), Some(code)) => {
            let message = service.err().message().unwrap_or("no message");
            format!("{code}: {}", clean_cut(message, 300))
        }
        (SdkError::ServiceError(_), None) => "an answer without an error code".to_owned(),
        (SdkError::TimeoutError(_), _) => "no answer in time".to_owned(),
        (SdkError::DispatchFailure(failure), _) if failure.is_timeout() => {
            "no answer in time".to_owned()
        }
        (SdkError::DispatchFailure(failure), _) => {
            let why = failure
                .as_connector_error()
                .map(|error| innermost(error).to_string());
            format!(
                "no connection: {}",
                clean_cut(&why.unwrap_or_default(), 200)
            )
        }
        (SdkError::ResponseError(_), _) => "an answer that can't be read".to_owned(),
        _ => "the request can't be made".to_owned(),
    }
}

/// Who can do something about it. Without an answer nothing is refused.
fn kind<E>(error: &SdkError<E>, code: Option<&str>) -> AwsErrorKind {
    let SdkError::ServiceError(service) = error else {
        return AwsErrorKind::Retryable;
    };
    let code = code.unwrap_or_default();
    match service.raw().status().as_u16() {
        408 | 429 => AwsErrorKind::Retryable,
        400..500 if passes(code) => AwsErrorKind::Retryable,
        400..500 if is_of_the_deployment(code) => AwsErrorKind::Deployment,
        400..500 => AwsErrorKind::Refused,
        _ => AwsErrorKind::Retryable,
    }
}

/// Too many calls, a transaction under way, or a clock or a connection that is slow.
fn passes(code: &str) -> bool {
    code.contains("Throttl")
        || matches!(
            code,
            "BandwidthLimitExceeded"
                | "InternalServerError"
                | "LimitExceededException"
                | "PriorRequestNotComplete"
                | "ProvisionedThroughputExceededException"
                | "RequestExpired"
                | "RequestInTheFuture"
                | "RequestLimitExceeded"
                | "RequestTimeTooSkewed"
                | "RequestTimeout"
                | "RequestTimeoutException"
                | "SlowDown"
                | "TooManyRequestsException"
                | "TransactionConflictException"
                | "TransactionInProgressException"
        )
}

/// A resource that is missing, a right, a key or credentials.
fn is_of_the_deployment(code: &str) -> bool {
    code.starts_with("KMS")
        || matches!(
            code,
            "ResourceNotFoundException"
                | "NotFound"
                | "NotFoundException"
                | "AccessDeniedException"
                | "AccessDenied"
                | "AuthorizationError"
                | "AuthorizationErrorException"
                | "UnrecognizedClientException"
                | "InvalidClientTokenId"
                | "InvalidSignatureException"
                | "SignatureDoesNotMatch"
                | "ExpiredTokenException"
                | "ExpiredToken"
                | "InvalidSecurity"
                | "MissingAuthenticationToken"
                | "MissingAuthenticationTokenException"
                | "IncompleteSignature"
                | "OptInRequired"
        )
}

/// The last of an error's sources, from which all others come.
pub(super) fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    error.source().map_or(error, innermost)
}

#[cfg(test)]
mod tests {
    use super::{missing_right, remedy};

    #[test]
    fn the_missing_right_is_the_one_that_aws_names() {
        let message = "User: arn:aws:iam::111122223333:user/test is not authorized to perform: \
                       dynamodb:Scan on resource: x because no policy allows it";
        assert_eq!(missing_right(message), Some("dynamodb:Scan"));
        assert_eq!(
            remedy("AccessDeniedException", message).as_deref(),
            Some("the right dynamodb:Scan is missing")
        );
        for message in ["", "no", "not authorized to perform: \u{1b}[31m"] {
            assert_eq!(missing_right(message), None);
        }
    }
}
