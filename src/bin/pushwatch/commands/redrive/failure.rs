//! Why a message is parked, in a few words, and without what is in it.

use jiff::Timestamp;
use pushwatch::event::{self, Object};

/// Why a message is parked: what Lambda or EventBridge noted beside the event, or that it
/// is no event. `error_code` is EventBridge's attribute of that name.
pub fn failure(body: &str, error_code: Option<&str>, now: Timestamp) -> String {
    if let Err(error) = event::read(body, now) {
        return format!("unreadable: {error}");
    }
    let object = Object::parse(body).unwrap_or_default();
    let of_function = object
        .object("responsePayload")
        .text("errorType")
        .or_else(|| object.object("requestContext").text("condition"));
    match (of_function, error_code) {
        (Some(error), _) => format!("the function failed: {error}"),
        (None, Some(code)) => format!("EventBridge could not hand it over: {code}"),
        (None, None) => "an event without a note of what failed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::failure;
    use jiff::Timestamp;
    use serde_json::json;

    #[test]
    fn a_failure_is_named_by_whoever_noted_it() {
        let event = json!({
            "source": "aws.ecr",
            "detail-type": "AWS API Call via CloudTrail",
            "detail": {"eventSource": "ecr.amazonaws.com", "eventName": "PutImage"},
        });
        let record = |response: serde_json::Value| {
            json!({
                "version": "1.0",
                "requestContext": {"requestId": "r", "condition": "RetriesExhausted"},
                "requestPayload": event,
                "responsePayload": response,
            })
            .to_string()
        };
        for (body, code, words) in [
            (
                record(json!({"errorType": "StoreError", "errorMessage": "secret"})),
                None,
                "the function failed: StoreError",
            ),
            (
                record(json!(null)),
                None,
                "the function failed: RetriesExhausted",
            ),
            (
                event.to_string(),
                Some("NO_PERMISSIONS"),
                "EventBridge could not hand it over: NO_PERMISSIONS",
            ),
            (
                event.to_string(),
                None,
                "an event without a note of what failed",
            ),
            (
                "hello".to_owned(),
                None,
                "unreadable: the event is not a JSON object",
            ),
        ] {
            assert_eq!(failure(&body, code, Timestamp::UNIX_EPOCH), words, "{body}");
        }
    }
}
