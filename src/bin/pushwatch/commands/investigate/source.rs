//! The seam: what a source of records, and one of facts about images, must answer. Archives
//! and CloudTrail's event history are the one; the registry and what runs images the other.

use std::collections::HashSet;

use compact_str::CompactString;

use super::answer::{Covered, ImageFacts, Unknown, Workload};
use super::call::Call;
use crate::error::CommandError;

/// What a source is asked to look for beside the push: by these its session, and the
/// history of its image, are known.
#[derive(Debug, Clone)]
pub struct Traces {
    /// The push, which is its own first trace.
    pub push: Call,
    /// The digests of the image: its own and those of its platforms.
    pub digests: HashSet<CompactString>,
}

/// Records of CloudTrail.
///
/// A source gives more rather than fewer: what does not belong is left out by whoever asks.
/// What it could not look at is no error, but said by [`unknown`](Records::unknown).
pub trait Records {
    /// The record of this id.
    ///
    /// # Errors
    /// When the source can't be read at all.
    async fn event(&mut self, id: &str) -> Result<Option<Call>, CommandError>;

    /// Calls by the principal and the access key of the push, from the start of its session
    /// on, or from half a day before it; those that gave its credentials out; the other
    /// copy of a push from another account; and pushes to its repository.
    ///
    /// # Errors
    /// When the source can't be read at all.
    async fn related(&mut self, traces: &Traces) -> Result<Vec<Call>, CommandError>;

    /// Calls that may have given out the credentials of `call`: by its access key in their
    /// response or among their resources, or by its principal.
    ///
    /// # Errors
    /// When the source can't be read at all.
    async fn issuing(&mut self, call: &Call) -> Result<Vec<Call>, CommandError>;

    /// Which records were looked through until now.
    fn covered(&self) -> Covered;

    /// What could not be looked at, and why.
    fn unknown(&self) -> Vec<Unknown>;
}

/// What AWS says of an image now.
pub trait Images {
    /// The manifests of the pushed index; none if they can't be known. What is no index has
    /// no manifests. It is asked only where the record does not show the manifest.
    async fn platforms(&mut self, push: &Call) -> Option<Vec<CompactString>>;

    /// Size, type, last pull, tags and referrers of what was pushed.
    async fn facts(&mut self, push: &Call) -> ImageFacts;

    /// What runs one of these digests.
    async fn workloads(&mut self, push: &Call, digests: &[CompactString]) -> Vec<Workload>;

    /// What could not be known, and why.
    fn unknown(&self) -> Vec<Unknown>;
}
