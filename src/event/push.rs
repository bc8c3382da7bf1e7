//! A push: one ECR `PutImage` call as CloudTrail recorded it.

use compact_str::{CompactString, format_compact};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::artifact::{self, Artifact};
use super::credentials::Credentials;
use super::envelope::{Envelope, failed_event, is_envelope, record_text};
use super::object::Object;
use super::way;
use crate::arn::Arn;
use crate::hash::sha256_hex;
use crate::text::{clean_cut, cut_json};
use crate::time;

/// One `PutImage` call: what was pushed, where, when and from where.
///
/// Serialised, it is the `push` of a finding's JSON: every field is there,
/// `null` where CloudTrail said nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Push {
    /// CloudTrail's `eventID`, else the envelope's `id`, else the SHA-256 of
    /// the record. A record delivered twice has the same one.
    pub event_id: CompactString,
    /// The same in the caller's and the owner's copy of a cross-account push.
    pub shared_event_id: Option<CompactString>,
    /// The API call, as CloudTrail names it.
    pub event_name: EventName,
    /// `ecr.amazonaws.com` or `ecr-public.amazonaws.com`
    pub event_source: Option<CompactString>,
    /// When the push happened, in whole seconds. Never more than
    /// [`AHEAD`] later than the clock.
    #[serde(deserialize_with = "time::deserialize_required")]
    pub event_time: Timestamp,
    /// The account that got the event (`recipientAccountId`).
    pub account: Option<CompactString>,
    /// `awsRegion`
    pub region: Option<CompactString>,
    /// The account or alias of the registry.
    pub registry_id: Option<CompactString>,
    /// The repository's name, slashes included.
    pub repository: Option<CompactString>,
    /// Most pushes of a multi-platform image have none.
    pub tag: Option<CompactString>,
    /// `sha256:…`, from the response.
    pub digest: Option<CompactString>,
    /// The manifest's media type.
    pub media_type: Option<CompactString>,
    /// `AWS Internal` on every docker push: CloudTrail knows no address.
    pub source_ip: Option<CompactString>,
    /// The caller's own words.
    pub user_agent: Option<CompactString>,
    /// The access key that signed the call.
    pub access_key_id: Option<CompactString>,
    /// Whether the session was made with multi-factor authentication.
    pub mfa: Option<bool>,
    /// Present when the push failed. Codes are not enumerated: each AWS service
    /// spells its own.
    pub error_code: Option<CompactString>,
    /// CloudTrail replaced parameters of more than 100 KB by a note. An
    /// ordinary image needs some 450 layers for that, so it is odd by itself.
    pub parameters_omitted: bool,
    /// How late the push was decided, in seconds, if it is late: see
    /// [`note_delay`](Push::note_delay).
    #[serde(skip)]
    pub delay_seconds: Option<i64>,
    /// `requestID`, of which AWS Support can tell more.
    pub request_id: Option<CompactString>,
    /// Why the push failed, in the words of ECR.
    pub error_message: Option<CompactString>,
    /// What was pushed, as its manifest says.
    #[serde(default)]
    pub artifact: Artifact,
    /// The digest of the image that a signature or the like is about.
    pub artifact_subject: Option<CompactString>,
    /// By which way it was authorised, in a word: `delegate:<account>`, `provider:<name>`,
    /// `console`, `instance` or `plain`.
    #[serde(skip)]
    pub way: CompactString,
    /// How the push was authorised; part of a finding beside its push.
    #[serde(skip)]
    pub credentials: Credentials,
    /// Whether it is a test of the deployment, in which nobody pushed anything.
    #[serde(skip)]
    pub is_test: bool,
    /// The event's text as long as its details are unread: most pushes are by somebody
    /// known, and nobody asks for them.
    #[serde(skip)]
    unread: Option<Box<str>>,
}

/// The one API call that stores an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventName {
    /// `ecr:PutImage`, `ecr-public:PutImage`
    PutImage,
}

/// Longest text of an event that is kept, in bytes of JSON. ECR's longest are a tag of
/// 300 and a repository of 256.
pub const MAX_TEXT: usize = 1024;

/// Longest part of a place, in characters; a repository has at most 256.
const MAX_PART: usize = 256;

/// How far ahead of the clock an event may be before it counts as now.
pub const AHEAD: SignedDuration = SignedDuration::from_mins(15);

/// A push that is decided so long after it happened is late. CloudTrail takes five
/// minutes on average.
pub const LATE: SignedDuration = SignedDuration::from_mins(15);

/// When the details of a push are read, which only a finding tells.
#[derive(Debug, Clone, Copy)]
pub(super) enum Details {
    Now,
    /// By [`Push::read_details`].
    Later,
}

impl Push {
    /// Reads a `PutImage` record. `json` is the text of the event that it is in.
    pub(super) fn read(
        details: Details,
        record: &Object<'_>,
        json: &str,
        envelope: &Envelope,
        now: Timestamp,
    ) -> Self {
        let request = record.object("requestParameters");
        let response = record.object("responseElements");
        let image = response.object("image");
        let image_id = image.object("imageId");
        let identity = record.object("userIdentity");
        let session = identity.object("sessionContext");
        let resource = repository_resource(record);
        let omitted = |parameters: &Object<'_>| parameters.flag("omitted") == Some(true);

        let mut push = Self {
            event_id: record
                .text("eventID")
                .or_else(|| envelope.id.clone())
                .filter(|id| cut_json(id, MAX_TEXT).len() == id.len())
                .unwrap_or_else(|| sha256_hex(record_text(json)).into()),
            shared_event_id: record.text("sharedEventID"),
            event_name: EventName::PutImage,
            event_source: record.text("eventSource"),
            event_time: event_time(record, envelope, now),
            account: record
                .text("recipientAccountId")
                .or_else(|| envelope.account.clone()),
            region: record.text("awsRegion").or_else(|| envelope.region.clone()),
            registry_id: request
                .text("registryId")
                .or_else(|| image.text("registryId"))
                .or_else(|| resource.as_ref().map(|(account, _)| account.clone())),
            repository: request
                .text("repositoryName")
                .or_else(|| image.text("repositoryName"))
                .or_else(|| resource.map(|(_, repository)| repository)),
            tag: request
                .text("imageTag")
                .or_else(|| image_id.text("imageTag")),
            digest: image_id
                .text("imageDigest")
                .or_else(|| request.text("imageDigest")),
            media_type: request
                .text("imageManifestMediaType")
                .or_else(|| image.text("imageManifestMediaType")),
            source_ip: record.text("sourceIPAddress"),
            user_agent: record.text("userAgent"),
            access_key_id: identity.text("accessKeyId"),
            mfa: session.object("attributes").flag("mfaAuthenticated"),
            error_code: error_code(record),
            parameters_omitted: omitted(&request) || omitted(&response),
            delay_seconds: None,
            request_id: None,
            error_message: None,
            artifact: Artifact::Unknown,
            artifact_subject: None,
            way: way::read(record, &identity, &session),
            credentials: Credentials::default(),
            is_test: envelope.is_test,
            unread: None,
        };
        push.cut_texts();
        match details {
            Details::Now => push.note_details(record),
            Details::Later => push.unread = Some(json.into()),
        }
        push
    }

    /// Reads what only a finding says of the push, and lets go of the record.
    pub fn read_details(&mut self) {
        if let Some(json) = self.unread.take() {
            // In the way in which the event was read: what is odd to one way may not be to
            // another.
            let event = Object::parse(&json).unwrap_or_default();
            let event = failed_event(&event).unwrap_or_default();
            if is_envelope(&event) {
                self.note_details(&event.object("detail"));
            } else {
                self.note_details(&event);
            }
        }
    }

    fn note_details(&mut self, record: &Object<'_>) {
        let text = |name| {
            let text = record.text(name)?;
            Some(cut_json(&text, MAX_TEXT).into())
        };
        self.request_id = text("requestID");
        self.error_message = text("errorMessage");
        (self.artifact, self.artifact_subject) = artifact::read(record, self.tag.as_deref());
        self.credentials = Credentials::read(record);
    }

    /// Cuts every text to [`MAX_TEXT`] bytes of JSON, so that record and finding fit
    /// into any store and message.
    fn cut_texts(&mut self) {
        for text in [
            &mut self.shared_event_id,
            &mut self.event_source,
            &mut self.account,
            &mut self.region,
            &mut self.registry_id,
            &mut self.repository,
            &mut self.tag,
            &mut self.digest,
            &mut self.media_type,
            &mut self.source_ip,
            &mut self.user_agent,
            &mut self.access_key_id,
            &mut self.error_code,
        ]
        .into_iter()
        .flatten()
        {
            text.truncate(cut_json(text, MAX_TEXT).len());
        }
    }

    /// Notes how late the push is, if it is decided at `now`. A replay of old events
    /// does not: there the delay says nothing.
    pub fn note_delay(&mut self, now: Timestamp) {
        let delay = now.duration_since(self.event_time);
        self.delay_seconds = (delay >= LATE).then(|| delay.as_secs());
    }

    /// Where it was pushed to: `<registry>/<region>/<repository>`, `-` for what is not
    /// known. The texts are the uploader's in part, and cleaned.
    #[must_use]
    pub fn place(&self) -> CompactString {
        let registry = self.registry_id.as_ref().or(self.account.as_ref());
        let [registry, region, repository] =
            [registry, self.region.as_ref(), self.repository.as_ref()]
                .map(|part| part.map_or_else(|| "-".to_owned(), |part| clean_cut(part, MAX_PART)));
        format_compact!("{registry}/{region}/{repository}")
    }

    /// Whether ECR refused the push.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.error_code.is_some()
    }
}

fn event_time(record: &Object<'_>, envelope: &Envelope, now: Timestamp) -> Timestamp {
    let now = time::whole_seconds(now);
    record
        .text("eventTime")
        .and_then(|text| time::parse(&text))
        .or_else(|| envelope.time.as_deref().and_then(time::parse))
        .filter(|time| time.duration_since(now) <= AHEAD)
        .unwrap_or(now)
}

/// Why a call failed. Any value means that it did, even one of an odd type.
#[must_use]
pub fn error_code(record: &Object<'_>) -> Option<CompactString> {
    match record.raw("errorCode")? {
        "null" | "\"\"" => None,
        odd => Some(record.text("errorCode").unwrap_or_else(|| odd.into())),
    }
}

/// Registry account and repository of the first repository in `resources`.
/// It survives when CloudTrail omits the parameters.
#[must_use]
pub fn repository_resource(record: &Object<'_>) -> Option<(CompactString, CompactString)> {
    record.objects("resources").find_map(|resource| {
        let text = resource.text("ARN").or_else(|| resource.text("arn"))?;
        let arn = Arn::parse(&text)?;
        let repository = arn.resource.strip_prefix("repository/")?;
        Some((arn.account.into(), repository.into()))
    })
}
