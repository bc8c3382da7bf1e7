//! What an event says: an EventBridge envelope or a bare CloudTrail record is
//! read into a [`Push`] and the [`UserIdentity`] behind it.
//!
//! The event types of `aws_lambda_events` are not used: its CloudTrail type refuses 22 %
//! of real records, and its envelope an event with one odd time or null.

mod artifact;
mod batch;
mod credentials;
mod envelope;
mod object;
mod push;
mod user_identity;
mod way;

use compact_str::CompactString;
use jiff::Timestamp;
use thiserror::Error;

pub use artifact::Artifact;
pub use batch::{QueueMessage, messages};
pub use credentials::Credentials;
pub use object::Object;
pub use push::{AHEAD, EventName, MAX_TEXT, Push, error_code, repository_resource};
pub use user_identity::UserIdentity;

use self::envelope::{Envelope, failed_event, is_envelope};
use self::push::Details;
use crate::arn::Arn;
use crate::text::clean_cut;

/// `detail-type` of an API call's envelope.
const API_CALL: &str = "AWS API Call via CloudTrail";
/// `detail-type` of the scheduled rule's envelope.
const SCHEDULED: &str = "Scheduled Event";
/// `detail-type` of ECR's own event about an image.
const IMAGE_ACTION: &str = "ECR Image Action";

/// `source` of the envelope of a test. No rule passes it, and no record carries it, so
/// that nobody who pushes can make a push pass for a test.
pub const TEST_SOURCE: &str = "pushwatch.test";

/// How the name of the IAM user of a test begins. IAM takes no spaces, so that nobody becomes
/// known by a test.
pub const TEST_USER: &str = "PushWatch test ";

/// What an event asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody pushed an image, or tried to.
    Push(Box<Push>, Box<UserIdentity>),
    /// The schedule: publish what is still owed.
    Sweep,
    /// Nothing for PushWatch, and why.
    Ignored(String),
}

/// An event that can't be read at all. No message repeats the event's content.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// The event is not a JSON object.
    #[error("the event is not a JSON object")]
    NotAnObject,
    /// An envelope of a CloudTrail record without a record inside.
    #[error("the envelope's `detail` is not an object")]
    NoDetail,
    /// A CloudTrail record that doesn't say which call it records.
    #[error("the CloudTrail record has no `eventName`")]
    NoEventName,
    /// Neither an envelope nor a record.
    #[error("the object is neither an EventBridge event nor a CloudTrail record")]
    NeitherEventNorRecord,
}

/// Reads an event: an EventBridge envelope, a bare CloudTrail record, or the
/// record that Lambda sends to a failure destination, with either inside.
///
/// An event whose time is more than [`AHEAD`] later than `now` counts as happening now. The
/// details of a push are read when a finding asks for them ([`Push::read_details`]).
///
/// # Errors
/// When nothing says what kind of event it is.
pub fn read(json: &str, now: Timestamp) -> Result<Event, Unreadable> {
    read_with(Details::Later, json, now)
}

/// [`read`] with the details of a push at once, for whoever keeps many pushes: the records
/// are far larger.
///
/// # Errors
/// When nothing says what kind of event it is.
pub fn read_whole(json: &str, now: Timestamp) -> Result<Event, Unreadable> {
    read_with(Details::Now, json, now)
}

fn read_with(details: Details, json: &str, now: Timestamp) -> Result<Event, Unreadable> {
    let event = Object::parse(json).ok_or(Unreadable::NotAnObject)?;
    let event = failed_event(&event).ok_or(Unreadable::NotAnObject)?;
    read_event(details, &event, json, now)
}

/// Whether ECR itself says that an image was stored. Such an event needs no trail, and
/// names no uploader.
#[must_use]
pub fn is_image_action(json: &str) -> bool {
    let event = Object::parse(json).unwrap_or_default();
    let Some(event) = failed_event(&event) else {
        return false;
    };
    let detail = event.object("detail");
    let is = |object: &Object<'_>, name, value| object.text(name).is_some_and(|text| text == value);
    is(&event, "detail-type", IMAGE_ACTION)
        && is(&detail, "action-type", "PUSH")
        && is(&detail, "result", "SUCCESS")
}

/// The id of an event, as far as it has one: the record's, or the envelope's.
#[must_use]
pub fn id(json: &str) -> Option<String> {
    let event = Object::parse(json)?;
    let event = failed_event(&event)?;
    let id = event
        .object("detail")
        .text("eventID")
        .or_else(|| event.text("eventID"))
        .or_else(|| event.text("id"))?;
    Some(clean_cut(&id, 100))
}

fn read_event(
    details: Details,
    event: &Object<'_>,
    json: &str,
    now: Timestamp,
) -> Result<Event, Unreadable> {
    if !is_envelope(event) {
        return read_record(details, event, json, &Envelope::default(), now);
    }

    let detail_type = event.text("detail-type");
    if detail_type.as_deref() == Some(SCHEDULED) {
        return Ok(Event::Sweep);
    }
    let ecr_source =
        |source: &CompactString| matches!(source.as_str(), "aws.ecr" | "aws.ecr-public");
    let mut is_test = false;
    if let Some(source) = event.text("source").filter(|source| !ecr_source(source)) {
        is_test = source == TEST_SOURCE;
        if !is_test {
            return Ok(ignored("the event's source is", &source, "not ECR"));
        }
    }
    match (event.nested("detail"), detail_type.as_deref()) {
        // Every other event of ECR lacks an identity: `ECR Image Action`, …
        (Some(detail), Some(other)) if other != API_CALL && detail.text("eventName").is_none() => {
            Ok(ignored("the event is an", other, "which names no uploader"))
        }
        (Some(detail), _) => {
            let envelope = Envelope::read(event, is_test);
            read_record(details, &detail, json, &envelope, now)
        }
        (None, _) => Err(Unreadable::NoDetail),
    }
}

fn read_record(
    details: Details,
    record: &Object<'_>,
    json: &str,
    envelope: &Envelope,
    now: Timestamp,
) -> Result<Event, Unreadable> {
    let Some(name) = record.text("eventName") else {
        return Err(if record.has("userIdentity") {
            Unreadable::NoEventName
        } else {
            Unreadable::NeitherEventNorRecord
        });
    };
    let ecr = |source: &CompactString| {
        matches!(
            source.as_str(),
            "ecr.amazonaws.com" | "ecr-public.amazonaws.com"
        )
    };
    if let Some(source) = record.text("eventSource").filter(|source| !ecr(source)) {
        return Ok(ignored("the call went to", &source, "not to ECR"));
    }
    if name != "PutImage" {
        return Ok(ignored("the call is", &name, "not PutImage"));
    }
    let identity = UserIdentity::read(&record.object("userIdentity"));
    if envelope.is_test && !is_test_user(&identity) {
        return Ok(ignored(
            "the event's source is",
            TEST_SOURCE,
            "and its uploader is not one of a test",
        ));
    }
    let push = Push::read(details, record, json, envelope, now);
    Ok(Event::Push(Box::new(push), Box::new(identity)))
}

/// Whether it is nobody who could push.
fn is_test_user(identity: &UserIdentity) -> bool {
    let arn = identity.arn.as_deref().and_then(Arn::parse);
    identity.kind.as_deref() == Some("IAMUser")
        && arn.is_some_and(|arn| {
            let user = arn.resource.strip_prefix("user/");
            arn.service == "iam" && user.is_some_and(|user| user.starts_with(TEST_USER))
        })
}

fn ignored(what: &str, value: &str, why: &str) -> Event {
    Event::Ignored(format!("{what} `{}`, {why}", clean_cut(value, 60)))
}
