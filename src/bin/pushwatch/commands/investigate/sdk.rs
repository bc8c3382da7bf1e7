//! What the SDK gives, in our words: a fault and a time.

use jiff::Timestamp;
use pushwatch::aws::AwsError;

/// Why a call of AWS has no answer, in one line: the right that is missing, or what is wrong.
pub fn why(fault: &AwsError) -> String {
    let advice = fault.advice("");
    if advice.starts_with("the right ") {
        advice
    } else if advice.is_empty() {
        format!("{}: {}", fault.call, fault.fault())
    } else {
        format!("{}: {}; {advice}", fault.call, fault.fault())
    }
}

/// A time of the SDK's.
pub fn timestamp(time: &aws_smithy_types::DateTime) -> Option<Timestamp> {
    Timestamp::from_second(time.secs()).ok()
}
