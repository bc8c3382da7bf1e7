//! What a manifest describes: an image, or one of the other things that registries
//! store in the same way.

use std::borrow::Cow;

use compact_str::{CompactString, format_compact};
use serde::{Deserialize, Serialize};

use super::object::Object;

/// Media types of the configuration of something that runs.
const IMAGE_CONFIGS: [&str; 2] = [
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.oci.image.config.v1+json",
];
/// The configuration of what has none: always the same two bytes.
const EMPTY_CONFIG: &str =
    "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
/// What the media types of file systems begin with.
const FILE_SYSTEMS: [&str; 2] = [
    "application/vnd.docker.image.rootfs.",
    "application/vnd.oci.image.layer.",
];
const INDEXES: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
];
/// What docker wrote before configurations had a media type, and what it writes still.
const DOCKER: &str = "application/vnd.docker.distribution.manifest.";
/// What docker takes for a layer, whatever follows.
const DOCKER_LAYERS: &str = "application/vnd.docker.";
const SIGNATURES: [&str; 4] = [
    // notation, and the managed signing of ECR
    "application/vnd.cncf.notary.signature",
    "application/vnd.cncf.notary.v2.signature",
    // cosign: the layer, and the type of a referrer
    "application/vnd.dev.cosign.simplesigning.v1+json",
    "application/vnd.dev.cosign.artifact.sig.v1+json",
];
const ATTESTATIONS: [&str; 4] = [
    // buildx: the layers, and the type of a referrer
    "application/vnd.in-toto+json",
    "application/vnd.docker.attestation.manifest.v1+json",
    // cosign, the same
    "application/vnd.dsse.envelope.v1+json",
    "application/vnd.dev.cosign.artifact.att.v1+json",
];
const HELM_CHARTS: [&str; 2] = [
    "application/vnd.cncf.helm.config.v1+json",
    "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
];
/// What the media types of a sigstore bundle begin with. Its annotations say whether it
/// is a signature.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
const SIGNATURE_PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";

/// What was pushed. Serialised, it is `push.artifact` of a finding's JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Artifact {
    /// A container image for one platform.
    Image,
    /// A list of manifests: an image for several platforms.
    Index,
    /// A statement about an image, such as how it was built.
    Attestation,
    /// A signature of an image.
    Signature,
    /// A bill of materials.
    Sbom,
    /// A Helm chart.
    HelmChart,
    /// Something else; its media types are known to no rule.
    Other,
    /// CloudTrail does not show the manifest, or it can't be read, or two programs may read it
    /// in two ways.
    #[default]
    Unknown,
}

impl Artifact {
    /// The word in the finding's JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Index => "index",
            Self::Attestation => "attestation",
            Self::Signature => "signature",
            Self::Sbom => "sbom",
            Self::HelmChart => "helm_chart",
            Self::Other => "other",
            Self::Unknown => "unknown",
        }
    }
}

/// What a record says of the artifact, and the digest of the image that it is about.
pub(super) fn read(record: &Object<'_>, tag: Option<&str>) -> (Artifact, Option<CompactString>) {
    let request = record.object("requestParameters");
    // The response repeats what is asked for, and is looked at only if that is missing.
    let of_response = || manifest_of(&record.object("responseElements").object("image"));
    let Some((manifest, media_type)) = manifest_of(&request).or_else(of_response) else {
        return (Artifact::Unknown, None);
    };
    let manifest = Object::parse(&manifest);
    let manifest = manifest.and_then(|manifest| Manifest::read(&manifest, media_type.as_deref()));
    let Some(manifest) = manifest else {
        return (Artifact::Unknown, None);
    };
    let artifact = manifest.artifact();
    // What runs is about nothing else, whatever its tag says.
    let is_about = !matches!(artifact, Artifact::Image | Artifact::Index);
    let subject = manifest.subject.or_else(|| tag.and_then(subject_of_tag));
    (artifact, subject.filter(|_| is_about))
}

/// A manifest, and the media type that is named beside it.
fn manifest_of<'a>(object: &Object<'a>) -> Option<(Cow<'a, str>, Option<CompactString>)> {
    let manifest = object.unescaped("imageManifest");
    let manifest = manifest.filter(|manifest| !manifest.is_empty())?;
    Some((manifest, object.text("imageManifestMediaType")))
}

/// The parts of a manifest that say what it describes. Media types are in lower case
/// and without parameters.
struct Manifest {
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<String>,
    has_config: bool,
    /// Empty where a layer has none.
    layers: Vec<String>,
    has_manifests: bool,
    is_signature_bundle: bool,
    subject: Option<CompactString>,
}

impl Manifest {
    /// None if what runs it may find something else in it.
    fn read(manifest: &Object<'_>, media_type: Option<&str>) -> Option<Self> {
        let own = |object: &Object<'_>, name| object.text(name).map(|text| essence(&text));
        let annotations = manifest.object("annotations");
        let is = |name, value| annotations.text(name).is_some_and(|text| text == value);
        let layers: Vec<_> = manifest.objects("layers").collect();
        let config = manifest.object("config");
        let ambiguous = |object: &Object<'_>, names: &[&str]| {
            let mut names = names.iter();
            names.any(|name| object.is_ambiguous(name))
        };
        if ambiguous(manifest, &["mediaType", "config", "layers", "manifests"])
            || ambiguous(&config, &["mediaType", "digest"])
            || layers.iter().any(|layer| ambiguous(layer, &["mediaType"]))
        {
            return None;
        }
        Some(Self {
            media_type: own(manifest, "mediaType").or_else(|| media_type.map(essence)),
            artifact_type: own(manifest, "artifactType"),
            config: own(&config, "mediaType"),
            has_config: config
                .text("digest")
                .is_some_and(|digest| digest != EMPTY_CONFIG),
            layers: layers
                .iter()
                .map(|layer| own(layer, "mediaType").unwrap_or_default())
                .collect(),
            has_manifests: manifest.has("manifests"),
            is_signature_bundle: is("dev.sigstore.bundle.predicateType", SIGNATURE_PREDICATE)
                || is("dev.sigstore.bundle.content", "message-signature"),
            subject: manifest
                .object("subject")
                .text("digest")
                .filter(|digest| is_digest(digest)),
        })
    }

    /// What can run is an image or an index, whatever else it says of itself:
    /// otherwise one field would make an image pass for its signature. containerd runs a
    /// file system with a configuration, of whatever media type that is; older versions of
    /// docker run layers of any media type with the configuration of an image.
    fn artifact(&self) -> Artifact {
        let media_type = self.media_type.as_deref().unwrap_or_default();
        if INDEXES.contains(&media_type) || self.has_manifests {
            return Artifact::Index;
        }
        let config = self.config.as_deref();
        let is_image_config = config.is_some_and(|config| IMAGE_CONFIGS.contains(&config));
        let is_file_system = |layer: &String| {
            let mut beginnings = FILE_SYSTEMS.iter();
            beginnings.any(|begin| layer.starts_with(begin))
        };
        let may_run = |layer: &String| {
            let is_none = !layer.starts_with(DOCKER_LAYERS) && self.named(layer).is_some();
            is_file_system(layer) || is_image_config && !is_none
        };
        let can_run = is_image_config || self.has_config;
        if can_run && self.layers.iter().any(may_run) {
            return Artifact::Image;
        }
        let types = self.artifact_type.iter().chain(&self.config);
        let known = types.chain(&self.layers).find_map(|name| self.named(name));
        let is_docker = config.is_none() && media_type.starts_with(DOCKER);
        match (known, &self.artifact_type, config) {
            (Some(known), _, _) => known,
            (None, None, _) if is_image_config || is_docker => Artifact::Image,
            (None, None, None) if self.layers.iter().all(String::is_empty) => Artifact::Unknown,
            _ => Artifact::Other,
        }
    }

    /// What a media type is known to stand for.
    fn named(&self, media_type: &str) -> Option<Artifact> {
        Some(if SIGNATURES.contains(&media_type) {
            Artifact::Signature
        } else if ATTESTATIONS.contains(&media_type)
            || media_type.starts_with("application/vnd.in-toto.")
        {
            Artifact::Attestation
        } else if media_type.starts_with(BUNDLE) {
            if self.is_signature_bundle {
                Artifact::Signature
            } else {
                Artifact::Attestation
            }
        } else if HELM_CHARTS.contains(&media_type) {
            Artifact::HelmChart
        } else if ["spdx", "cyclonedx", "syft", "sbom"]
            .iter()
            .any(|word| media_type.contains(word))
        {
            Artifact::Sbom
        } else {
            return None;
        })
    }
}

/// A media type without its parameters, in lower case.
fn essence(media_type: &str) -> String {
    let name = media_type.split(';').next().unwrap_or_default();
    name.trim().to_ascii_lowercase()
}

/// The image that a tag of cosign's names: `sha256-….sig`, `.att`, `.sbom`.
fn subject_of_tag(tag: &str) -> Option<CompactString> {
    let (name, ending) = tag.rsplit_once('.')?;
    let hex = name.strip_prefix("sha256-")?;
    let digest = format_compact!("sha256:{hex}");
    (matches!(ending, "sig" | "att" | "sbom") && is_digest(&digest)).then_some(digest)
}

fn is_digest(digest: &str) -> bool {
    let hex = |hex: &str| hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    match digest.split_once(':') {
        Some(("sha256", rest)) => rest.len() == 64 && hex(rest),
        Some(("sha512", rest)) => rest.len() == 128 && hex(rest),
        _ => false,
    }
}
