//! What an investigation answers. Serialised, it is the JSON of `--format json`, whose names
//! are a contract.

use compact_str::CompactString;
use jiff::Timestamp;
use serde::Serialize;

/// All answers. The best comes first in each list.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Investigation {
    pub event: Subject,
    pub from: Vec<Origin>,
    pub issued_by: Vec<Issuance>,
    pub calls: Vec<CallGroup>,
    pub image: Image,
    pub runs_on: Vec<Workload>,
    pub actions: Vec<Action>,
    pub unknown: Vec<Unknown>,
    pub covered: Covered,
}

/// The push that is investigated.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    pub event_id: CompactString,
    pub time: Option<Timestamp>,
    /// The key of the uploader.
    pub uploader: CompactString,
    pub principal_id: Option<CompactString>,
    pub access_key_id: Option<CompactString>,
    pub session_start: Option<Timestamp>,
    pub account: Option<CompactString>,
    pub region: Option<CompactString>,
    pub registry_id: Option<CompactString>,
    pub repository: Option<CompactString>,
    pub tag: Option<CompactString>,
    pub digest: Option<CompactString>,
    pub error_code: Option<CompactString>,
    /// The finding, if one was named.
    pub finding_id: Option<String>,
}

/// How sure an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Certainty {
    /// It may be so, as others may.
    Possible,
    /// What is known speaks for it, and does not exclude others.
    Likely,
    /// No other session fits.
    Certain,
}

impl Certainty {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Possible => "possible",
            Self::Likely => "likely",
            Self::Certain => "certain",
        }
    }
}

/// From where it may have been pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    pub source_ip: CompactString,
    pub user_agent: Option<CompactString>,
    pub event_name: CompactString,
    pub event_id: CompactString,
    pub time: Timestamp,
    pub certainty: Certainty,
    pub why: String,
}

/// A call that gave out credentials, and how sure it is that it gave out these. The first is
/// that of the push's session; each next one is a step further back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Issuance {
    pub event_name: CompactString,
    pub event_id: CompactString,
    pub time: Timestamp,
    pub source_ip: Option<CompactString>,
    /// Who asked for them.
    pub principal: CompactString,
    /// The identity provider of a web identity or SAML session.
    pub provider: Option<CompactString>,
    /// Whom the provider vouched for: `repo:org/app:ref:refs/heads/main`.
    pub subject: Option<CompactString>,
    pub source_identity: Option<CompactString>,
    /// Whether multi-factor authentication was used, if the record says so.
    pub mfa: Option<bool>,
    pub certainty: Certainty,
    pub why: String,
}

/// Calls of the session, by service and name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallGroup {
    pub event_source: CompactString,
    pub event_name: CompactString,
    pub count: usize,
    pub errors: usize,
    pub first: Timestamp,
    pub last: Timestamp,
    /// The ATT&CK technique of a call that attackers need first.
    pub technique: Option<&'static str>,
    /// What it may be to an attacker.
    pub meaning: Option<&'static str>,
    /// The first of them, as proof.
    pub event_id: CompactString,
}

/// What is known of the image.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    pub digest: Option<CompactString>,
    /// The digests that an index stands for: what runs may be known by one of them. None if
    /// they are not known.
    pub platforms: Option<Vec<CompactString>>,
    /// Of the digest, of its platforms and of the tag; newest first.
    pub pushes: Vec<ImagePush>,
    /// The digest that the tag had before.
    pub previous_digest_of_tag: Option<CompactString>,
    /// The last digest that somebody else, or an earlier session, gave the tag.
    pub last_good_digest: Option<CompactString>,
    #[serde(flatten)]
    pub facts: ImageFacts,
}

/// A push of the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImagePush {
    pub time: Timestamp,
    pub event_id: CompactString,
    /// The key of the uploader.
    pub uploader: CompactString,
    pub tag: Option<CompactString>,
    pub digest: Option<CompactString>,
    pub error_code: Option<CompactString>,
}

/// What the registry says of the image. What it was not asked, or did not say, is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageFacts {
    pub size_bytes: Option<u64>,
    pub media_type: Option<CompactString>,
    pub pushed_at: Option<Timestamp>,
    pub last_pulled: Option<Timestamp>,
    /// The tags that it has now.
    pub tags: Option<Vec<CompactString>>,
    /// The digest that the pushed tag stands for now.
    pub current_digest_of_tag: Option<CompactString>,
    /// What refers to it: signatures, attestations. Empty if the registry knows of none.
    pub referrers: Option<Vec<Referrer>>,
}

/// What refers to an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Referrer {
    pub digest: CompactString,
    pub artifact_type: Option<CompactString>,
}

/// Where the image runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Workload {
    pub kind: WorkloadKind,
    /// The ARN or name of what runs it: a task, a task definition, a function.
    pub name: CompactString,
    /// The cluster's ARN.
    pub cluster: Option<CompactString>,
    pub region: Option<CompactString>,
    /// The digest that it runs: that of the image, or of one of its platforms.
    pub digest: Option<CompactString>,
    /// How many of them run, where a list is told by its count.
    pub running: Option<u64>,
    pub last_in_use: Option<Timestamp>,
    /// Which answer of AWS says so: `Inspector GetClustersForImage`.
    pub proof: &'static str,
}

/// What runs images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkloadKind {
    EcsTask,
    EcsTaskDefinition,
    EksWorkload,
    LambdaFunction,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Action {
    pub why: String,
    /// None where only the console can do it.
    pub command: Option<String>,
}

/// What could not be known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unknown {
    pub question: Question,
    pub why: String,
}

/// The questions of an investigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Question {
    From,
    IssuedBy,
    Calls,
    Image,
    RunsOn,
    Actions,
}

/// Which records were looked through.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Covered {
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub records: u64,
    /// What was asked, in words: an archive, or the regions of the event history.
    pub sources: Vec<String>,
}
