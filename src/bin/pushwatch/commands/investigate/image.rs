//! The image: who pushed it, when, and what its tag stood for before.

use std::collections::{BTreeSet, HashSet};

use compact_str::CompactString;
use pushwatch::identity::identify;

use super::answer::{Image, ImagePush, Referrer};
use super::call::{Call, PushedImage};
use super::session::same_principal;

/// Media types of what stands for images of several platforms.
const INDEXES: [&str; 2] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// The key of who made a call.
pub fn uploader(call: &Call) -> CompactString {
    identify(&call.identity, call.account.as_deref())
        .uploader
        .key
}

/// The manifests of the pushed index, as far as the record shows them. What is no index has
/// none.
pub fn platforms(push: &Call) -> Option<Vec<CompactString>> {
    let image = push.image.as_ref()?;
    let known = image.platforms.clone();
    let media_type = image.media_type.as_deref();
    known.or_else(|| {
        let is_single = media_type.is_some_and(|name| !INDEXES.contains(&name));
        is_single.then(Vec::new)
    })
}

/// All digests by which what runs may be known: the image's own, those of its platforms, and
/// those of the indexes among `calls` that it is a platform of.
pub fn digests(
    push: &Call,
    platforms: Option<&[CompactString]>,
    calls: &[Call],
) -> Vec<CompactString> {
    let own = push.image.as_ref().and_then(|image| image.digest.clone());
    let mut digests: Vec<_> = own.iter().cloned().collect();
    digests.extend(platforms.unwrap_or_default().iter().cloned());
    let own = own.as_ref();
    let indexes = calls.iter().filter_map(|call| {
        let image = call.image.as_ref().filter(|_| !call.failed())?;
        let platforms = image.platforms.as_ref()?;
        own.is_some_and(|own| platforms.contains(own))
            .then(|| image.digest.clone())?
    });
    let mut seen: HashSet<_> = digests.iter().cloned().collect();
    digests.extend(indexes.filter(|digest| seen.insert(digest.clone())));
    digests
}

/// Whether two pushes went to one repository.
fn same_repository(one: &Call, other: &Call) -> bool {
    let place = |call: &Call| {
        let image = call.image.as_ref()?;
        let registry = image.registry_id.clone().or_else(|| call.account.clone());
        Some((
            call.source.clone(),
            call.region.clone(),
            registry,
            image.repository.clone()?,
        ))
    };
    place(one).is_some() && place(one) == place(other)
}

/// What `calls` say of the image.
pub fn image(
    push: &Call,
    platforms: Option<Vec<CompactString>>,
    digests: &[CompactString],
    calls: &[Call],
) -> Image {
    let stored = push.image.clone().unwrap_or_default();
    let digests: HashSet<_> = digests.iter().collect();
    let is_one_of = |image: &PushedImage| {
        let digest = image.digest.as_ref();
        digest.is_some_and(|digest| digests.contains(digest))
    };
    let of_tag = |call: &Call| {
        let image = call.image.as_ref();
        stored.tag.is_some()
            && image.is_some_and(|image| image.tag == stored.tag)
            && same_repository(push, call)
    };
    let pushes = calls.iter().filter(|call| call.is_push());
    let mut pushes: Vec<&Call> = pushes
        .filter(|call| of_tag(call) || call.image.as_ref().is_some_and(is_one_of))
        .collect();
    pushes.sort_by_key(|call| (std::cmp::Reverse(call.time), call.event_id.clone()));
    // The caller's and the owner's copy are of one push.
    let mut seen = BTreeSet::new();
    pushes.retain(|call| {
        let shared = call.shared_event_id.as_ref();
        shared.is_none_or(|shared| seen.insert(shared))
    });

    let earlier = |call: &&&Call| {
        let image = call.image.as_ref();
        let digest = image.and_then(|image| image.digest.as_ref());
        of_tag(call)
            && !call.failed()
            && call.time < push.time
            && digest.is_some()
            && digest != stored.digest.as_ref()
    };
    let digest_of = |call: &&Call| call.image.as_ref()?.digest.clone();
    let previous = pushes.iter().find(earlier).and_then(digest_of);
    let good = pushes
        .iter()
        .filter(earlier)
        .find(|call| !is_suspect(push, call));
    Image {
        digest: stored.digest.clone(),
        platforms,
        previous_digest_of_tag: previous,
        last_good_digest: good.and_then(digest_of),
        facts: super::answer::ImageFacts {
            media_type: stored.media_type.clone(),
            referrers: referrers(&stored, calls),
            ..super::answer::ImageFacts::default()
        },
        pushes: pushes.into_iter().map(answer).collect(),
    }
}

/// Whether a push may be of the same hands: by the same user, or in the same session.
fn is_suspect(push: &Call, other: &Call) -> bool {
    let (ours, theirs) = (&push.session, &other.session);
    let is_session = push.identity.issuer_arn.is_some();
    let same_key = ours.access_key.is_some() && ours.access_key == theirs.access_key;
    let same_start = ours.start.is_none() || ours.start == theirs.start;
    same_key || (same_principal(push, other) && (!is_session || same_start))
}

/// What was pushed about the image; none if nothing was, since the registry may know more.
fn referrers(stored: &PushedImage, calls: &[Call]) -> Option<Vec<Referrer>> {
    let digest = stored.digest.as_ref()?;
    let tag = digest.replacen(':', "-", 1);
    let about = |image: &PushedImage| {
        let by_tag = image.tag.as_deref().and_then(|tag| tag.rsplit_once('.'));
        image.about.as_ref() == Some(digest) || by_tag.is_some_and(|(name, _)| name == tag)
    };
    let calls = calls.iter().filter(|call| call.is_push() && !call.failed());
    let images = calls.filter_map(|call| call.image.as_ref());
    let referrers: Vec<_> = images
        .filter(|image| about(image))
        .filter_map(|image| {
            Some(Referrer {
                digest: image.digest.clone()?,
                artifact_type: image.media_type.clone(),
            })
        })
        .collect();
    (!referrers.is_empty()).then_some(referrers)
}

fn answer(call: &Call) -> ImagePush {
    let image = call.image.clone().unwrap_or_default();
    ImagePush {
        time: call.time,
        event_id: call.event_id.clone(),
        uploader: uploader(call),
        tag: image.tag,
        digest: image.digest,
        error_code: call.error_code.clone(),
    }
}
