//! What is remembered of an uploader: one item of the uploaders table, one
//! line of the uploaders file.

use compact_str::CompactString;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::Push;
use crate::identity::Uploader;

/// An uploader's record, with the attribute names of the uploaders table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The uploader's key.
    pub uploader: CompactString,
    /// As in [`Uploader`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<CompactString>,
    /// As in [`Uploader`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<CompactString>,
    /// As in [`Uploader`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<CompactString>,
    /// The unique id behind the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal_id: Option<CompactString>,
    /// The unique id that was behind the key before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_principal_id: Option<CompactString>,
    /// How far the uploader is known.
    pub standing: Standing,
    /// Least event time of the pushes.
    #[serde(
        default,
        deserialize_with = "crate::time::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub first_seen: Option<Timestamp>,
    /// Greatest event time of the pushes.
    #[serde(
        default,
        deserialize_with = "crate::time::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_seen: Option<Timestamp>,
    /// The event that was decided last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_event_id: Option<CompactString>,
    /// How many pushes; a repeated delivery may be counted again.
    #[serde(default)]
    pub pushes: u64,
    /// The latest push.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_push: Option<LastPush>,
    /// The latest finding about the uploader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_finding_id: Option<CompactString>,
    /// Who trusted the uploader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_by: Option<CompactString>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_reason: Option<CompactString>,
    /// Until when; from this time on the trust has ended.
    #[serde(
        default,
        deserialize_with = "crate::time::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub trusted_until: Option<Timestamp>,
    /// Grows by one with every write; a record written by hand may lack it.
    #[serde(default)]
    pub revision: u64,
}

/// The latest push of an uploader, as far as it is remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)] // as in `Push`
pub struct LastPush {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<CompactString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<CompactString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<CompactString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<CompactString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<CompactString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_ip: Option<CompactString>,
}

impl From<&Push> for LastPush {
    fn from(push: &Push) -> Self {
        Self {
            repository: push.repository.clone(),
            tag: push.tag.clone(),
            digest: push.digest.clone(),
            account: push.account.clone(),
            region: push.region.clone(),
            source_ip: push.source_ip.clone(),
        }
    }
}

/// How far an uploader is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Standing {
    /// Told about; known from then on.
    New,
    /// Seen while PushWatch was learning.
    Learned,
    /// Trusted by somebody.
    Trusted,
    /// Trusted only as long as a trusted glob matches.
    Pattern,
    /// Has only failed to push. Not known.
    Attempted,
    /// The finding was suppressed. Not known.
    Suppressed,
    /// Every push is told.
    Revoked,
    /// A word that this version does not know. Not known.
    Unknown(String),
}

impl Standing {
    /// The word that is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::New => "new",
            Self::Learned => "learned",
            Self::Trusted => "trusted",
            Self::Pattern => "pattern",
            Self::Attempted => "attempted",
            Self::Suppressed => "suppressed",
            Self::Revoked => "revoked",
            Self::Unknown(word) => word,
        }
    }
}

impl From<String> for Standing {
    fn from(word: String) -> Self {
        match word.as_str() {
            "new" => Self::New,
            "learned" => Self::Learned,
            "trusted" => Self::Trusted,
            "pattern" => Self::Pattern,
            "attempted" => Self::Attempted,
            "suppressed" => Self::Suppressed,
            "revoked" => Self::Revoked,
            _ => Self::Unknown(word),
        }
    }
}

impl From<Standing> for String {
    fn from(standing: Standing) -> Self {
        standing.as_str().to_owned()
    }
}

impl Record {
    /// A record of somebody who was never seen.
    #[must_use]
    pub fn unseen(key: CompactString, standing: Standing) -> Self {
        Self {
            uploader: key,
            kind: None,
            name: None,
            account_id: None,
            principal_id: None,
            previous_principal_id: None,
            standing,
            first_seen: None,
            last_seen: None,
            last_event_id: None,
            pushes: 0,
            last_push: None,
            last_finding_id: None,
            trusted_by: None,
            trust_reason: None,
            trusted_until: None,
            revision: 0,
        }
    }

    /// Remembers who the uploader is and that `push` was decided. Times stay.
    pub(crate) fn decided(&mut self, push: &Push, uploader: &Uploader) {
        self.kind = Some(uploader.kind.clone());
        self.name = Some(uploader.name.clone());
        if uploader.account_id.is_some() {
            self.account_id.clone_from(&uploader.account_id);
        }
        if self.principal_id.is_none() {
            self.principal_id.clone_from(&uploader.principal_id);
        }
        self.last_event_id = Some(push.event_id.clone());
    }

    /// Takes trust away, and what was noted with it.
    pub(crate) fn withdraw_trust(&mut self) {
        self.trusted_by = None;
        self.trust_reason = None;
        self.trusted_until = None;
    }

    /// Moves the times: first seen is the least and last seen the greatest
    /// event time, in whatever order the events come.
    pub(crate) fn seen(&mut self, push: &Push) {
        let time = push.event_time;
        if self.last_seen.is_none_or(|last| last <= time) {
            self.last_seen = Some(time);
            self.last_push = Some(push.into());
        }
        self.first_seen = Some(self.first_seen.map_or(time, |first| first.min(time)));
        self.pushes = self.pushes.saturating_add(1);
    }
}
