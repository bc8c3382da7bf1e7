//! A finding: what is reported of a push, how bad it is, and which techniques of
//! ATT&CK and other frameworks it belongs to.

use std::cmp::Reverse;
use std::fmt;

use compact_str::CompactString;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::{Credentials, Push};
use crate::habit::{Habits, Unusual};
use crate::identity::Uploader;
use crate::text::clean_cut;

/// Namespace of the finding ids; a random one, fixed for ever.
const NAMESPACE: Uuid = Uuid::from_u128(0x9f0c_5a1e_7d3b_4c68_8a27_41e6_b05d_93fa);

/// Why a push is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A revoked uploader pushed or tried to.
    RevokedUploader,
    /// Another principal has the name of a known one.
    RecreatedPrincipal,
    /// Somebody pushed who was never seen, or is not known any more.
    NewUploader,
    /// Nothing in the event says who pushed.
    UnidentifiedUploader,
    /// Somebody unknown failed to push.
    AttemptedUpload,
    /// A known uploader came back after a long absence.
    ReturnedAfterAbsence,
    /// A known uploader pushed outside its habits.
    UnusualPush,
    /// A new uploader during learning.
    LearnedUploader,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::NewUploader,
        Self::LearnedUploader,
        Self::UnusualPush,
        Self::RecreatedPrincipal,
        Self::ReturnedAfterAbsence,
        Self::RevokedUploader,
        Self::UnidentifiedUploader,
        Self::AttemptedUpload,
    ];

    /// The word in the finding's JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RevokedUploader => "revoked_uploader",
            Self::RecreatedPrincipal => "recreated_principal",
            Self::NewUploader => "new_uploader",
            Self::UnidentifiedUploader => "unidentified_uploader",
            Self::AttemptedUpload => "attempted_upload",
            Self::ReturnedAfterAbsence => "returned_after_absence",
            Self::UnusualPush => "unusual_push",
            Self::LearnedUploader => "learned_uploader",
        }
    }

    /// Severity, impact and confidence, whoever the uploader is.
    fn weight(self, unusual: &[Unusual]) -> (Severity, u8, u8) {
        match self {
            Self::RevokedUploader => (Severity::Critical, 90, 100),
            Self::RecreatedPrincipal => (Severity::High, 70, 80),
            Self::NewUploader | Self::UnidentifiedUploader => (Severity::High, 70, 70),
            Self::AttemptedUpload => (Severity::Medium, 50, 70),
            Self::ReturnedAfterAbsence => {
                worse((Severity::Medium, 50, 60), unusual_weight(unusual))
            }
            Self::UnusualPush => unusual_weight(unusual),
            Self::LearnedUploader => (Severity::Informational, 10, 50),
        }
    }
}

/// Severity, impact and confidence of what is unusual: two things at once are worse than
/// one.
fn unusual_weight(unusual: &[Unusual]) -> (Severity, u8, u8) {
    match unusual {
        [] => (Severity::Informational, 0, 0),
        [Unusual::Place] => (Severity::Low, 40, 40),
        [Unusual::Way] => (Severity::Medium, 60, 60),
        [Unusual::Wide] => (Severity::Medium, 60, 50),
        _ => (Severity::High, 80, 60),
    }
}

/// The worse of two weights; the first one if they are alike.
fn worse(one: (Severity, u8, u8), other: (Severity, u8, u8)) -> (Severity, u8, u8) {
    let rank = |(severity, impact, confidence)| (severity, score(impact, confidence));
    if rank(other) > rank(one) { other } else { one }
}

/// Impact times confidence, in percent.
fn score(impact: u8, confidence: u8) -> u8 {
    // At most 90 x 100 / 100.
    u8::try_from(u16::from(impact) * u16::from(confidence) / 100).unwrap_or(u8::MAX)
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How bad it is, in OCSF's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Severity {
    Informational,
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    /// The word in the finding's JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Risk as Splunk counts it: impact times confidence, each in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Risk {
    pub score: u8,
    pub impact: u8,
    pub confidence: u8,
}

/// What is reported. Serialised, it is the JSON that tools rely on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The same for the same uploader, reason and event, however often decided.
    pub id: Uuid,
    /// Whether it is a test of the deployment, in which nobody pushed anything.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
    /// Why it is reported.
    pub reason: Reason,
    /// How bad it is; the root user's power raises it.
    pub severity: Severity,
    /// How bad it is in numbers.
    pub risk: Risk,
    /// What happened, in one sentence.
    pub message: String,
    /// Who pushed.
    pub uploader: Uploader,
    /// What was pushed.
    pub push: Push,
    /// How it was authorised.
    #[serde(default)]
    pub credentials: Credentials,
    /// After this push; none when no record is kept.
    pub first_seen: Option<Timestamp>,
    /// After this push; none when no record is kept.
    pub last_seen: Option<Timestamp>,
    /// Last seen before this push.
    pub previously_seen: Option<Timestamp>,
    /// When the trust in the uploader ended, if that is why it is reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_ended: Option<Timestamp>,
    /// How long after the push it was decided, in seconds, from a quarter of an hour on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_seconds: Option<i64>,
    /// Who had trusted the uploader, if that trust ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted: Option<Verdict>,
    /// Who revoked the uploader, if that is why it is reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Verdict>,
    /// The unique id that is known under the name, if another one is reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_principal_id: Option<CompactString>,
    /// What is unusual of the push, if anything is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unusual: Vec<Unusual>,
    /// What was usual until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usual: Option<Habits>,
    /// The phase of the pipeline, as in the Splunk search.
    pub phase: Phase,
    /// ATT&CK techniques.
    #[serde(skip_deserializing)]
    pub attack: Attack,
    /// Other frameworks' words for it, as in the Splunk search.
    pub frameworks: Frameworks,
    /// The Splunk search that this answers.
    pub related: Related,
}

/// What a person decided on an uploader. A field that the record lacks is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Verdict {
    /// Who: an ARN, or a name on that person's machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<CompactString>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Why, in that person's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<CompactString>,
}

/// What was known of the uploader: the fields of the same names in [`Finding`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)] // as in `Finding`
pub struct Sightings {
    pub first_seen: Option<Timestamp>,
    pub last_seen: Option<Timestamp>,
    pub previously_seen: Option<Timestamp>,
    pub trust_ended: Option<Timestamp>,
    pub trusted: Option<Verdict>,
    pub revoked: Option<Verdict>,
    pub previous_principal_id: Option<CompactString>,
    pub unusual: Vec<Unusual>,
    pub usual: Option<Habits>,
}

/// To whom a finding is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owed {
    /// To the subscribers, at once.
    Finding,
    /// To the digest.
    Digest,
}

impl Finding {
    /// The finding, with its id, severity, risk and message.
    #[must_use]
    pub fn new(reason: Reason, push: &Push, uploader: &Uploader, seen: Sightings) -> Self {
        let (severity, impact, confidence) = weight(reason, uploader, &seen.unusual);
        let mut message = message(reason, push, uploader, &seen);
        if push.is_test {
            message.insert_str(0, "TEST: ");
        }
        let mut push = push.clone();
        push.read_details();
        let credentials = std::mem::take(&mut push.credentials);
        // It is in the credentials, and no part of the JSON.
        push.way = CompactString::default();
        let delay_seconds = push.delay_seconds;
        Self {
            id: finding_id(&uploader.key, reason, &push.event_id),
            test: push.is_test,
            reason,
            severity,
            risk: Risk {
                score: score(impact, confidence),
                impact,
                confidence,
            },
            message,
            uploader: uploader.clone(),
            push,
            credentials,
            first_seen: seen.first_seen,
            last_seen: seen.last_seen,
            previously_seen: seen.previously_seen,
            trust_ended: seen.trust_ended,
            delay_seconds,
            trusted: seen.trusted,
            revoked: seen.revoked,
            previous_principal_id: seen.previous_principal_id,
            unusual: seen.unusual,
            usual: seen.usual,
            phase: Phase::Release,
            attack: Attack::default(),
            frameworks: Frameworks::default(),
            related: Related::default(),
        }
    }

    /// The JSON that tools rely on, on one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, numbers and string keys: there is nothing that could fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The place in a list: worst first, then by reason, time and id. New uploaders who
    /// were trusted or seen before have reasons of their own. A test comes last: the first
    /// one is named in the subject.
    pub(crate) fn rank(&self) -> impl Ord + use<> {
        let before = (self.reason == Reason::NewUploader)
            .then_some((self.trust_ended.is_some(), self.previously_seen.is_some()));
        (
            self.test,
            Reverse(self.severity),
            self.reason,
            before,
            self.push.event_time,
            self.id,
        )
    }

    /// Whether it is worse than its reason, because of the root user's power.
    pub(crate) fn is_raised(&self) -> bool {
        self.risk.impact > self.reason.weight(&self.unusual).1
    }
}

/// Severity, impact and confidence. The root user's power raises them; they are low for
/// a new uploader that only AWS can be.
fn weight(reason: Reason, uploader: &Uploader, unusual: &[Unusual]) -> (Severity, u8, u8) {
    let (severity, impact, confidence) = reason.weight(unusual);
    if uploader.counts_as_root {
        (Severity::Critical, 90, confidence)
    } else if reason == Reason::NewUploader && uploader.is_of_aws() {
        (Severity::Low, 40, 40)
    } else {
        (severity, impact, confidence)
    }
}

/// UUID v5 of uploader key, reason and event id.
#[must_use]
pub fn finding_id(key: &str, reason: Reason, event_id: &str) -> Uuid {
    // As a JSON array, so that no two triples give the same text.
    let name = serde_json::json!([key, reason.as_str(), event_id]).to_string();
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

fn message(reason: Reason, push: &Push, uploader: &Uploader, seen: &Sightings) -> String {
    let name = clean_cut(&uploader.name, 200);
    let did = if push.failed() {
        "Container upload attempted"
    } else {
        "Container uploaded"
    };
    match reason {
        Reason::NewUploader => format!("Container uploaded from unknown user {name}"),
        Reason::RecreatedPrincipal => {
            format!("{did} from user {name}, who is not the one known by that name")
        }
        Reason::UnidentifiedUploader => format!("{did} from a user whom nothing identifies"),
        Reason::RevokedUploader => format!("{did} from revoked user {name}"),
        Reason::AttemptedUpload => format!("{did} from unknown user {name}"),
        Reason::ReturnedAfterAbsence => {
            let days = seen.previously_seen.map_or(0, |before| {
                (push.event_time.as_second() - before.as_second()) / (24 * 60 * 60)
            });
            let unusual = match seen.unusual.as_slice() {
                [] => String::new(),
                _ => format!(", {}", unusual(seen)),
            };
            format!("{did} from user {name} after {days} days of absence{unusual}")
        }
        Reason::UnusualPush => format!("{did} from known user {name}, {}", unusual(seen)),
        Reason::LearnedUploader => format!("{did} from user {name}, learned as known"),
    }
}

fn unusual(seen: &Sightings) -> &'static str {
    match seen.unusual.as_slice() {
        [Unusual::Place] => "to a new place",
        [Unusual::Way] => "by a new way",
        [Unusual::Wide] => "to one place more than are remembered",
        [Unusual::Way, Unusual::Wide] => "by a new way, to one place more than are remembered",
        _ => "to a new place, by a new way",
    }
}

/// The one phase that the Splunk search names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Phase {
    Release,
}

/// The ATT&CK techniques of every finding, ATT&CK 17.1. What a stored finding says of them is
/// not read: they are ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Attack(pub Vec<Technique>);

/// An ATT&CK technique under one of its tactics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Technique {
    pub technique: String,
    pub name: String,
    pub tactic: String,
}

impl Default for Attack {
    fn default() -> Self {
        let technique = |technique: &str, name: &str, tactic: &str| Technique {
            technique: technique.to_owned(),
            name: name.to_owned(),
            tactic: tactic.to_owned(),
        };
        Self(vec![
            technique("T1204.003", "Malicious Image", "Execution"),
            technique("T1525", "Implant Internal Image", "Persistence"),
        ])
    }
}

/// Kill chain, NIST and CIS, as the Splunk search is annotated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Frameworks {
    pub kill_chain: Vec<String>,
    pub nist: Vec<String>,
    pub cis20: Vec<String>,
}

impl Default for Frameworks {
    fn default() -> Self {
        Self {
            kill_chain: vec!["Installation".to_owned()],
            nist: vec!["DE.AE".to_owned()],
            cis20: vec!["CIS 13".to_owned()],
        }
    }
}

/// Detections elsewhere that look for the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Related {
    /// Id of "AWS ECR Container Upload Unknown User".
    pub splunk: Uuid,
}

impl Default for Related {
    fn default() -> Self {
        Self {
            splunk: Uuid::from_u128(0x3006_88e4_365c_4486_a065_7c88_4462_b31d),
        }
    }
}
