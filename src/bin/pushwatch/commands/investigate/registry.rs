//! What ECR says of a pushed image.

use aws_sdk_ecr::types::{ImageDetail, ImageIdentifier, ScanType, SubjectIdentifier};
use compact_str::CompactString;
use pushwatch::arn::partition_of;
use pushwatch::aws::AwsError;
use pushwatch::event::Object;
use pushwatch::render::safe;

use super::answer::{ImageFacts, Referrer};
use super::call::Call;
use super::sdk::{timestamp, why};
use crate::deployment::Session;

/// Media types of lists of manifests.
const INDEXES: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
];
/// All that a registry may have stored.
const MANIFESTS: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
];
/// How the tags end that cosign gives to what it stores, and what that is.
const COSIGN: [(&str, &str); 3] = [
    ("sig", "application/vnd.dev.cosign.artifact.sig.v1+json"),
    ("att", "application/vnd.dev.cosign.artifact.att.v1+json"),
    ("sbom", "application/vnd.dev.cosign.artifact.sbom.v1+json"),
];
const DESCRIBE: &str = "ECR DescribeImages";
const GET: &str = "ECR BatchGetImage";
/// Most referrers that are named; more say nothing more.
const REFERRERS: i32 = 50;

/// The repository that a push went to, and what was pushed.
pub struct Registry {
    client: aws_sdk_ecr::Client,
    region: CompactString,
    id: Option<CompactString>,
    repository: CompactString,
    digest: CompactString,
    tag: Option<CompactString>,
    media_type: Option<CompactString>,
}

impl Registry {
    /// Asks nothing yet.
    ///
    /// # Errors
    /// When it can't be asked, and why.
    pub fn of(session: &Session, push: &Call) -> Result<Self, String> {
        if push.source == "ecr-public.amazonaws.com" {
            return Err("ECR Public is not asked: its images run anywhere".to_owned());
        }
        let missing = |what: &str| format!("the record names no {what}, so ECR was not asked");
        let region = push.region.clone().ok_or_else(|| missing("region"))?;
        let image = push.image.clone().unwrap_or_default();
        Ok(Self {
            client: session.ecr(&region),
            id: image.registry_id.or_else(|| push.account.clone()),
            repository: image.repository.ok_or_else(|| missing("repository"))?,
            digest: image.digest.ok_or_else(|| missing("digest"))?,
            tag: image.tag,
            media_type: image.media_type,
            region,
        })
    }

    /// The digests of an index's manifests; none of what is no index.
    ///
    /// # Errors
    /// When they can't be known, and why.
    pub async fn platforms(&self) -> Result<Vec<CompactString>, String> {
        let is_index = |media_type: &CompactString| INDEXES.contains(&media_type.as_str());
        if self.media_type.as_ref().is_some_and(|kind| !is_index(kind)) {
            return Ok(Vec::new());
        }
        let answer = self
            .client
            .batch_get_image()
            .set_registry_id(self.id.as_deref().map(str::to_owned))
            .repository_name(self.repository.as_str())
            .image_ids(self.image())
            .set_accepted_media_types(Some(
                INDEXES
                    .iter()
                    .chain(&MANIFESTS)
                    .map(ToString::to_string)
                    .collect(),
            ))
            .send()
            .await
            .map_err(|error| why(&AwsError::new(GET, self.target(), error)))?;
        let manifest = answer.images().first();
        let manifest = manifest.and_then(|image| image.image_manifest());
        let Some(manifest) = manifest else {
            return Err(format!(
                "ECR BatchGetImage: the repository {} has no image {} any more, so its platforms \
                 are not known",
                safe(&self.repository, 256),
                safe(&self.digest, 80)
            ));
        };
        let unreadable = "ECR BatchGetImage: the manifest can't be read, so its platforms are not \
                          known";
        let manifest = Object::parse(manifest).ok_or(unreadable)?;
        let platforms = manifest.objects("manifests");
        let platforms = platforms.filter_map(|platform| platform.text("digest"));
        Ok(platforms.collect())
    }

    /// Size, type, last pull, tags and referrers. What can't be known is put into `unknown`.
    pub async fn facts(&self, unknown: &mut Vec<String>) -> ImageFacts {
        let mut facts = match self.describe(self.image()).await {
            Ok(Some(image)) => facts_of(&image),
            Ok(None) => {
                unknown.push(format!(
                    "ECR has no image {} in {} any more",
                    safe(&self.digest, 80),
                    safe(&self.repository, 256)
                ));
                return self.with_tag(ImageFacts::default(), unknown).await;
            }
            Err(fault) => {
                unknown.push(why(&fault));
                ImageFacts::default()
            }
        };
        facts.referrers = self.signatures(unknown).await;
        self.with_tag(facts, unknown).await
    }

    /// What refers to the image, by its subject or, as cosign has it, by a tag. None if it is
    /// not known whether anything does.
    async fn signatures(&self, unknown: &mut Vec<String>) -> Option<Vec<Referrer>> {
        let (mut found, mut is_whole) = (Vec::new(), true);
        for asked in [self.referrers().await, self.signatures_by_tag().await] {
            match asked {
                Ok(mut referrers) => found.append(&mut referrers),
                Err(fault) => {
                    is_whole = false;
                    // ListImageReferrers needs this right, and has none of its own.
                    let why = why(&fault).replace("ecr:ListImageReferrers", "ecr:BatchGetImage");
                    let why = format!("whether the image is signed is not wholly known: {why}");
                    if !unknown.contains(&why) {
                        unknown.push(why);
                    }
                }
            }
        }
        (is_whole || !found.is_empty()).then_some(found)
    }

    /// With the digest that the tag has now.
    async fn with_tag(&self, mut facts: ImageFacts, unknown: &mut Vec<String>) -> ImageFacts {
        let Some(tag) = self.tag.as_deref() else {
            return facts;
        };
        match self.describe(tag_of(tag)).await {
            Ok(image) => {
                let digest = image.and_then(|image| image.image_digest);
                facts.current_digest_of_tag = digest.map(CompactString::from);
            }
            Err(fault) => {
                let why = why(&fault);
                if !unknown.contains(&why) {
                    unknown.push(why);
                }
            }
        }
        facts
    }

    /// What the registry knows of an image; none if it has none such.
    async fn describe(&self, image: ImageIdentifier) -> Result<Option<ImageDetail>, AwsError> {
        let asked = self
            .client
            .describe_images()
            .set_registry_id(self.id.as_deref().map(str::to_owned))
            .repository_name(self.repository.as_str())
            .image_ids(image)
            .send()
            .await;
        match asked {
            Ok(answer) => Ok(answer.image_details.unwrap_or_default().into_iter().next()),
            Err(error) => {
                let fault = AwsError::new(DESCRIBE, self.target(), error);
                match fault.code.as_deref() {
                    Some("ImageNotFoundException") => Ok(None),
                    _ => Err(fault),
                }
            }
        }
    }

    async fn referrers(&self) -> Result<Vec<Referrer>, AwsError> {
        let failed = |error| AwsError::new("ECR ListImageReferrers", self.target(), error);
        let subject = SubjectIdentifier::builder().image_digest(self.digest.as_str());
        let asked = self
            .client
            .list_image_referrers()
            .set_registry_id(self.id.as_deref().map(str::to_owned))
            .repository_name(self.repository.as_str())
            .set_subject_id(subject.build().ok())
            .max_results(REFERRERS);
        let answer = asked.send().await.map_err(failed)?;
        let referrers = answer.referrers.unwrap_or_default();
        let referrers = referrers.into_iter().map(|referrer| Referrer {
            digest: referrer.digest.into(),
            artifact_type: referrer.artifact_type.map(CompactString::from),
        });
        Ok(referrers.collect())
    }

    /// What cosign stored about the image under tags made of its digest.
    async fn signatures_by_tag(&self) -> Result<Vec<Referrer>, AwsError> {
        let name = self.digest.replace(':', "-");
        let tags = COSIGN.map(|(ending, kind)| (format!("{name}.{ending}"), kind));
        let images = tags.iter().map(|(tag, _)| tag_of(tag));
        let asked = self
            .client
            .batch_get_image()
            .set_registry_id(self.id.as_deref().map(str::to_owned))
            .repository_name(self.repository.as_str())
            .set_image_ids(Some(images.collect()))
            .send();
        let answer = asked
            .await
            .map_err(|error| AwsError::new(GET, self.target(), error))?;
        let found = answer.images().iter().filter_map(|image| {
            let id = image.image_id()?;
            let (_, kind) = tags.iter().find(|(tag, _)| id.image_tag() == Some(tag))?;
            Some(Referrer {
                digest: id.image_digest()?.into(),
                artifact_type: Some((*kind).into()),
            })
        });
        Ok(found.collect())
    }

    /// Whether Inspector scans what is pushed to the registry of the caller's account.
    ///
    /// # Errors
    /// When ECR does not say.
    pub async fn has_enhanced_scanning(&self) -> Result<bool, AwsError> {
        let asked = self.client.get_registry_scanning_configuration().send();
        let answer = asked.await.map_err(|error| {
            AwsError::new("ECR GetRegistryScanningConfiguration", self.target(), error)
        })?;
        let configuration = answer.scanning_configuration();
        Ok(configuration.is_some_and(|set| set.scan_type() == Some(&ScanType::Enhanced)))
    }

    /// What Inspector calls an image of this repository; none if its account is not known.
    pub fn inspector_id(&self, digest: &str) -> Option<String> {
        let (registry, region) = (self.id.as_deref()?, &self.region);
        let (partition, repository) = (partition_of(region), &self.repository);
        Some(format!(
            "arn:{partition}:ecr:{region}:{registry}:repository/{repository}/{digest}"
        ))
    }

    /// How a container's image of this repository ends its name, before tag or digest.
    pub fn image_path(&self) -> String {
        format!("/{}", self.repository)
    }

    fn image(&self) -> ImageIdentifier {
        let image = ImageIdentifier::builder().image_digest(self.digest.as_str());
        image.build()
    }

    fn target(&self) -> String {
        format!("repository {}", safe(&self.repository, 256))
    }
}

fn tag_of(tag: &str) -> ImageIdentifier {
    ImageIdentifier::builder().image_tag(tag).build()
}

fn facts_of(image: &ImageDetail) -> ImageFacts {
    let tags = image.image_tags().iter().map(CompactString::from);
    ImageFacts {
        size_bytes: image
            .image_size_in_bytes()
            .and_then(|bytes| u64::try_from(bytes).ok()),
        media_type: image.image_manifest_media_type().map(CompactString::from),
        pushed_at: image.image_pushed_at().and_then(timestamp),
        last_pulled: image.last_recorded_pull_time().and_then(timestamp),
        tags: Some(tags.collect()),
        ..ImageFacts::default()
    }
}
