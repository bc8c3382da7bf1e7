//! What a CloudTrail record is wrapped in: EventBridge's envelope, and Lambda's record of
//! a failure around that.

use std::borrow::Cow;

use compact_str::CompactString;

use super::object::Object;

/// What an EventBridge envelope says about the record inside.
#[derive(Debug, Default)]
pub(super) struct Envelope {
    pub id: Option<CompactString>,
    pub account: Option<CompactString>,
    pub region: Option<CompactString>,
    pub time: Option<CompactString>,
    /// Whether it marks a test of the deployment.
    pub is_test: bool,
}

impl Envelope {
    pub(super) fn read(event: &Object<'_>, is_test: bool) -> Self {
        Self {
            id: event.text("id"),
            account: event.text("account"),
            region: event.text("region"),
            time: event.text("time"),
            is_test,
        }
    }
}

/// Whether it is an envelope, and no bare record.
pub(super) fn is_envelope(event: &Object<'_>) -> bool {
    event.has("detail") || event.has("detail-type")
}

/// The event inside Lambda's record of a failure, `None` if that is no object; an event
/// that is no such record is itself.
pub(super) fn failed_event<'e, 'a>(event: &'e Object<'a>) -> Option<Cow<'e, Object<'a>>> {
    if is_failure(event) {
        event.nested("requestPayload")
    } else {
        Some(Cow::Borrowed(event))
    }
}

fn is_failure(event: &Object<'_>) -> bool {
    event.has("requestPayload") && event.has("requestContext")
}

/// The text of the record in an event.
pub(super) fn record_text(json: &str) -> &str {
    let event_text = match Object::outermost(json) {
        Some(failure) if is_failure(&failure) => failure.raw("requestPayload").unwrap_or(json),
        _ => json,
    };
    match Object::outermost(event_text) {
        Some(event) if is_envelope(&event) => event.raw("detail").unwrap_or(event_text),
        _ => event_text,
    }
}
