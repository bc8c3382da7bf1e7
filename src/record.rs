//! What is remembered of an uploader: one item of the uploaders table, one
//! line of the uploaders file.

use compact_str::CompactString;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The highest count that is taken from a list: every reader of JSON has it exactly, and a
/// table has room above it.
const MAX_COUNT: u64 = 1 << 53;

use crate::event::{MAX_TEXT, Push};
use crate::habit::Habits;
use crate::identity::Uploader;
use crate::text::cut_json;
use crate::time::whole_seconds;

/// An uploader's record, with the attribute names of the uploaders table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The uploader's key: the partition key of the table.
    pub uploader: CompactString,
    /// [`Uploader::kind`] at the last decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<CompactString>,
    /// [`Uploader::name`] at the last decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<CompactString>,
    /// The account that the uploader belongs to.
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
    /// Who trusted the uploader last: an ARN, or a name on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_by: Option<CompactString>,
    /// Why, in the words of that person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_reason: Option<CompactString>,
    /// Until when; from this time on the trust has ended.
    #[serde(
        default,
        deserialize_with = "crate::time::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub trusted_until: Option<Timestamp>,
    /// When the uploader was trusted.
    #[serde(
        default,
        deserialize_with = "crate::time::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub trusted_at: Option<Timestamp>,
    /// Who revoked the uploader last: an ARN, or a name on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_by: Option<CompactString>,
    /// Why, in the words of that person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoke_reason: Option<CompactString>,
    /// When the uploader was revoked.
    #[serde(
        default,
        deserialize_with = "crate::time::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub revoked_at: Option<Timestamp>,
    /// What is usual of the uploader.
    #[serde(flatten)]
    pub habits: Habits,
    /// Who added to the habits by hand last: an ARN, or a name on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_by: Option<CompactString>,
    /// Why, in the words of that person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_reason: Option<CompactString>,
    /// When that was.
    #[serde(
        default,
        deserialize_with = "crate::time::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub allowed_at: Option<Timestamp>,
    /// Grows by one with every write; a record written by hand may lack it.
    #[serde(default)]
    pub revision: u64,
}

/// The attributes of a record in the uploaders table, but for its key.
#[cfg(feature = "sdk")]
pub(crate) const ATTRIBUTES: [&str; 27] = [
    "kind",
    "name",
    "accountId",
    "principalId",
    "previousPrincipalId",
    "standing",
    "firstSeen",
    "lastSeen",
    "lastEventId",
    "pushes",
    "lastPush",
    "lastFindingId",
    "trustedBy",
    "trustReason",
    "trustedUntil",
    "trustedAt",
    "revokedBy",
    "revokeReason",
    "revokedAt",
    "places",
    "wide",
    "ways",
    "habitsSince",
    "allowedBy",
    "allowReason",
    "allowedAt",
    "revision",
];

/// The latest push of an uploader, as far as it is remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

/// Which of an uploader's times a push moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moves {
    pub(crate) first: bool,
    pub(crate) last: bool,
}

/// How far an uploader is known.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Standing {
    /// Reported; known from then on.
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
    /// Every push is reported.
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

    /// Whether habits are kept of an uploader of this standing: of those who are known,
    /// be it as long as no trust has ended.
    #[must_use]
    pub fn has_habits(&self) -> bool {
        matches!(self, Self::New | Self::Learned | Self::Trusted)
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
            trusted_at: None,
            revoked_by: None,
            revoke_reason: None,
            revoked_at: None,
            habits: Habits::default(),
            allowed_by: None,
            allow_reason: None,
            allowed_at: None,
            revision: 0,
        }
    }

    /// Remembers who the uploader is, and that `push` was decided. Times stay.
    pub(crate) fn note_decision(&mut self, push: &Push, uploader: &Uploader) {
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
        self.trusted_at = None;
    }

    /// Trusts the uploader. Who revoked it before stays noted.
    pub fn trust(
        &mut self,
        by: &str,
        reason: Option<&str>,
        until: Option<Timestamp>,
        now: Timestamp,
    ) {
        self.standing = Standing::Trusted;
        self.trusted_by = Some(cut(by));
        self.trust_reason = reason.map(cut);
        self.trusted_until = until;
        self.trusted_at = Some(whole_seconds(now));
        self.count_write();
    }

    /// Revokes the uploader: every later push is reported. Who trusted it before
    /// stays noted, but not until when.
    pub fn revoke(&mut self, by: &str, reason: Option<&str>, now: Timestamp) {
        self.trusted_until = None;
        self.standing = Standing::Revoked;
        self.revoked_by = Some(cut(by));
        self.revoke_reason = reason.map(cut);
        self.revoked_at = Some(whole_seconds(now));
        self.count_write();
    }

    /// Notes who added to the habits by hand, and why. The first habits begin now.
    pub fn note_allowance(&mut self, by: &str, reason: &str, now: Timestamp) {
        let now = whole_seconds(now);
        self.allowed_by = Some(cut(by));
        self.allow_reason = Some(cut(reason));
        self.allowed_at = Some(now);
        self.habits.habits_since.get_or_insert(now);
        self.count_write();
    }

    /// Forgets the habits, which are learned anew from the next push on.
    pub fn reset_habits(&mut self) {
        self.forget_habits();
        self.count_write();
    }

    /// Counts a write, as each does.
    pub fn count_write(&mut self) {
        self.revision = self.revision.saturating_add(1);
    }

    /// Cuts what somebody wrote in a list to the limits of what is read of an event: a finding
    /// that says who trusted or revoked, and why, fits into a table then.
    pub fn hold_to_limits(&mut self) {
        let mut push = self.last_push.as_mut();
        let of_push = push.iter_mut().flat_map(|push| {
            [
                &mut push.repository,
                &mut push.tag,
                &mut push.digest,
                &mut push.account,
                &mut push.region,
                &mut push.source_ip,
            ]
        });
        let own = [
            &mut self.kind,
            &mut self.name,
            &mut self.account_id,
            &mut self.principal_id,
            &mut self.previous_principal_id,
            &mut self.last_event_id,
            &mut self.last_finding_id,
            &mut self.trusted_by,
            &mut self.trust_reason,
            &mut self.revoked_by,
            &mut self.revoke_reason,
            &mut self.allowed_by,
            &mut self.allow_reason,
        ];
        for text in own.into_iter().chain(of_push).flatten() {
            text.truncate(cut_json(text, MAX_TEXT).len());
        }
        if let Standing::Unknown(word) = &mut self.standing {
            word.truncate(cut_json(word, MAX_TEXT).len());
        }
        self.pushes = self.pushes.min(MAX_COUNT);
        self.revision = self.revision.min(MAX_COUNT);
    }

    /// Takes the habits away, and what was noted with them.
    pub(crate) fn forget_habits(&mut self) {
        self.habits = Habits::default();
        self.allowed_by = None;
        self.allow_reason = None;
        self.allowed_at = None;
    }

    /// Adds what a list says of the uploader, and says whether anything changed. What
    /// was seen is never lost: first seen is the earlier, last seen the later of
    /// both. Somebody revoked stays revoked.
    pub fn merge(&mut self, listed: &Self) -> bool {
        let before = self.clone();
        match (&self.standing, &listed.standing) {
            (Standing::Revoked, _) | (Standing::Trusted, Standing::Trusted) => {}
            // What is not known becomes known; what is known stays as it is.
            (_, Standing::Trusted | Standing::Revoked)
            | (
                Standing::Attempted | Standing::Suppressed | Standing::Unknown(_),
                Standing::New | Standing::Learned,
            ) => self.take_standing(listed),
            _ => {}
        }
        for (ours, theirs) in [
            (&mut self.kind, &listed.kind),
            (&mut self.name, &listed.name),
            (&mut self.account_id, &listed.account_id),
            (&mut self.principal_id, &listed.principal_id),
            (
                &mut self.previous_principal_id,
                &listed.previous_principal_id,
            ),
        ] {
            if ours.is_none() {
                ours.clone_from(theirs);
            }
        }
        self.first_seen = match (self.first_seen, listed.first_seen) {
            (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
            (ours, theirs) => ours.or(theirs),
        };
        // None is less than any time.
        if listed.last_seen > self.last_seen {
            self.last_seen = listed.last_seen;
            self.last_push.clone_from(&listed.last_push);
            self.last_event_id.clone_from(&listed.last_event_id);
        }
        self.pushes = self.pushes.max(listed.pushes);
        if self.standing != Standing::Pattern {
            self.habits.merge(&listed.habits);
            if self.allowed_by.is_none() {
                self.allowed_by.clone_from(&listed.allowed_by);
                self.allow_reason.clone_from(&listed.allow_reason);
                self.allowed_at = listed.allowed_at;
            }
        }
        if *self == before {
            return false;
        }
        self.count_write();
        true
    }

    /// Takes the standing of another record, and who gave it. Who gave the former
    /// standing stays noted, unless the other record says that too.
    fn take_standing(&mut self, other: &Self) {
        self.standing = other.standing.clone();
        self.trusted_until = other.trusted_until;
        if other.trusted_by.is_some() || other.standing == Standing::Trusted {
            self.trusted_by.clone_from(&other.trusted_by);
            self.trust_reason.clone_from(&other.trust_reason);
            self.trusted_at = other.trusted_at;
        }
        if other.revoked_by.is_some() || other.standing == Standing::Revoked {
            self.revoked_by.clone_from(&other.revoked_by);
            self.revoke_reason.clone_from(&other.revoke_reason);
            self.revoked_at = other.revoked_at;
        }
    }

    /// Whether the record counts for the uploader: its own one does, and one under the
    /// former key as long as it is revoked.
    pub(crate) fn counts_for(&self, uploader: &Uploader) -> bool {
        self.uploader == uploader.key || self.standing == Standing::Revoked
    }

    /// Which of first and last seen a push at `time` moves.
    pub(crate) fn moves(&self, time: Timestamp) -> Moves {
        Moves {
            first: self.first_seen.is_none_or(|first| first > time),
            last: self.last_seen.is_none_or(|last| last <= time),
        }
    }

    /// Whether a time lies between first and last seen.
    #[cfg(feature = "cli")]
    pub(crate) fn has_seen_before_and_after(&self, time: Timestamp) -> bool {
        self.first_seen.is_some_and(|first| first <= time)
            && self.last_seen.is_some_and(|last| time <= last)
    }

    /// Counts the push, and moves the times: first seen is the earliest and last seen
    /// the latest event time, in any order of the events.
    pub(crate) fn note_push(&mut self, push: &Push) {
        let time = push.event_time;
        let moves = self.moves(time);
        if moves.last {
            self.last_seen = Some(time);
            self.last_push = Some(push.into());
        }
        if moves.first {
            self.first_seen = Some(time);
        }
        self.pushes = self.pushes.saturating_add(1);
    }
}

/// Cuts a text to the length of all texts that are kept.
fn cut(text: &str) -> CompactString {
    cut_json(text, MAX_TEXT).into()
}

#[cfg(test)]
mod tests {
    use super::{Record, Standing};
    use jiff::Timestamp;

    const KEY: &str = "arn:aws:iam::111122223333:user/test";

    fn seen(standing: Standing, first: &str, last: &str) -> Record {
        let mut record = Record::unseen(KEY.into(), standing);
        record.first_seen = Some(first.parse().unwrap());
        record.last_seen = Some(last.parse().unwrap());
        record.pushes = 3;
        record.revision = 7;
        record
    }

    const JAN: &str = "2026-01-01T00:00:00Z";
    const FEB: &str = "2026-02-01T00:00:00Z";
    const MAR: &str = "2026-03-01T00:00:00Z";

    #[cfg(feature = "sdk")]
    #[test]
    fn the_attributes_are_all_that_a_record_has() {
        let now: Timestamp = MAR.parse().unwrap();
        let mut record = seen(Standing::New, JAN, FEB);
        record.trust("alice", Some("build user"), Some(now), now);
        record.revoke("bob", Some("left"), now);
        record.note_allowance("carol", "a new service", now);
        record.habits.remember("1/eu-central-1/app", "plain", now);
        record.trusted_until = Some(now);
        let text = Some("x".into());
        let record = Record {
            kind: text.clone(),
            name: text.clone(),
            account_id: text.clone(),
            principal_id: text.clone(),
            previous_principal_id: text.clone(),
            last_event_id: text.clone(),
            last_push: Some(super::LastPush::default()),
            last_finding_id: text,
            ..record
        };
        let json = serde_json::to_value(&record).unwrap();
        let mut wide = json.as_object().unwrap().clone();
        wide.insert("wide".to_owned(), true.into());
        let mut attributes: Vec<_> = wide.keys().map(String::as_str).collect();
        attributes.retain(|name| *name != "uploader");
        let mut expected = super::ATTRIBUTES;
        expected.sort_unstable();
        attributes.sort_unstable();
        assert_eq!(attributes, expected);
    }

    #[test]
    fn a_list_never_takes_away_what_was_seen() {
        let mut stored = seen(Standing::New, FEB, MAR);
        let mut listed = Record::unseen(KEY.into(), Standing::Trusted);
        listed.trusted_by = Some("import".into());
        assert!(stored.merge(&listed));
        assert_eq!(stored.standing, Standing::Trusted);
        assert_eq!(stored.trusted_by.as_deref(), Some("import"));
        assert_eq!(stored.first_seen.unwrap().to_string(), FEB);
        assert_eq!((stored.pushes, stored.revision), (3, 8));
        // A second time there is nothing to do.
        assert!(!stored.merge(&listed));
        assert_eq!(stored.revision, 8);
    }

    #[test]
    fn of_two_times_the_least_is_first_and_the_greatest_last() {
        let mut stored = seen(Standing::Learned, FEB, FEB);
        assert!(stored.merge(&seen(Standing::New, JAN, MAR)));
        assert_eq!(stored.first_seen.unwrap().to_string(), JAN);
        assert_eq!(stored.last_seen.unwrap().to_string(), MAR);
        assert_eq!(stored.standing, Standing::Learned);
    }

    #[test]
    fn which_standing_stays_when_a_list_is_added() {
        use Standing::{Attempted, Learned, New, Pattern, Revoked, Suppressed, Trusted};
        for (stored, listed, after) in [
            (Revoked, Trusted, Revoked),
            (Revoked, New, Revoked),
            (Trusted, Revoked, Revoked),
            (New, Trusted, Trusted),
            (Attempted, Trusted, Trusted),
            (Attempted, Learned, Learned),
            (Suppressed, New, New),
            (New, Attempted, New),
            (Trusted, New, Trusted),
            (Pattern, Learned, Pattern),
        ] {
            let mut record = Record::unseen(KEY.into(), stored.clone());
            record.merge(&Record::unseen(KEY.into(), listed.clone()));
            assert_eq!(record.standing, after, "{stored:?} {listed:?}");
        }
    }

    #[test]
    fn of_trust_and_revocation_the_last_entry_of_each_is_kept() {
        let now: Timestamp = MAR.parse().unwrap();
        let mut record = seen(Standing::New, JAN, FEB);
        record.trust("alice", Some("build user"), Some(now), now);
        assert_eq!(record.trusted_at, Some(now));
        record.revoke("bob", Some("left"), now);
        assert_eq!(record.standing, Standing::Revoked);
        assert_eq!(record.trusted_by.as_deref(), Some("alice"));
        assert_eq!(record.trust_reason.as_deref(), Some("build user"));
        assert_eq!(record.trusted_until, None);
        record.trust("carol", None, None, now);
        assert_eq!(record.standing, Standing::Trusted);
        assert_eq!(record.trusted_by.as_deref(), Some("carol"));
        assert_eq!(record.trust_reason, None);
        assert_eq!(record.revoked_by.as_deref(), Some("bob"));
        assert_eq!(record.revoke_reason.as_deref(), Some("left"));
        assert_eq!(record.revoked_at, Some(now));
        assert_eq!(record.revision, 10);
        assert_eq!(record.first_seen.unwrap().to_string(), JAN);
    }

    #[test]
    fn a_list_that_revokes_leaves_who_trusted() {
        let now: Timestamp = MAR.parse().unwrap();
        let mut stored = seen(Standing::New, JAN, FEB);
        stored.trust("alice", Some("build user"), Some(now), now);
        let mut listed = Record::unseen(KEY.into(), Standing::New);
        listed.revoke("bob", Some("left"), now);
        assert!(stored.merge(&listed));
        assert_eq!(stored.standing, Standing::Revoked);
        assert_eq!(stored.trusted_by.as_deref(), Some("alice"));
        assert_eq!(stored.trusted_until, None);
        assert_eq!(stored.revoked_by.as_deref(), Some("bob"));
    }
}
