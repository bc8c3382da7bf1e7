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

/// How many records of a failure may be around an event: one that is parked, and handed over by
/// hand, may fail again.
const MOST_FAILURES: usize = 5;

/// The event inside Lambda's record of a failure, `None` if that is no object; an event
/// that is no such record is itself.
pub(super) fn failed_event<'e, 'a>(event: &'e Object<'a>) -> Option<Cow<'e, Object<'a>>> {
    let mut inner = Cow::Borrowed(event);
    for _ in 0..MOST_FAILURES {
        if !is_failure(&inner) {
            break;
        }
        inner = Cow::Owned(inner.nested("requestPayload")?.into_owned());
    }
    Some(inner)
}

fn is_failure(event: &Object<'_>) -> bool {
    event.has("requestPayload") && event.has("requestContext")
}

/// The text of the record in an event.
pub(super) fn record_text(json: &str) -> &str {
    let mut event_text = json;
    for _ in 0..MOST_FAILURES {
        let inner = Object::outermost(event_text).filter(is_failure);
        match inner.and_then(|failure| failure.raw("requestPayload")) {
            Some(inner) => event_text = inner,
            None => break,
        }
    }
    match Object::outermost(event_text) {
        Some(event) if is_envelope(&event) => event.raw("detail").unwrap_or(event_text),
        _ => event_text,
    }
}
