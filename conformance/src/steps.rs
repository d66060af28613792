//! What many scenarios do on the way to what they are about.

use std::future::Future;
use std::panic::Location;
use std::pin::pin;
use std::task::Poll;

use futures_util::TryStreamExt as _;
use tranship::{
    Descriptor, ListOptions, MediaType, Pusher, ReferrerLister, Repository, Source, Tag, TagLister,
    TagOrDigest,
};

use crate::content::{Item, Packed};
use crate::failure::{Failure, Verdict};

/// Pushes `item`, which must succeed.
#[track_caller]
pub(crate) fn push<'a>(
    store: &'a dyn Pusher,
    item: &'a Item,
) -> impl Future<Output = Verdict> + Send + 'a {
    let at = Location::caller();
    async move {
        let pushed = store.push(item.descriptor(), item.source()).await;
        pushed.map(drop).map_err(|error| {
            Failure::caused(&format!("pushing {} failed", item.descriptor()), &error).at(at)
        })
    }
}

/// Pushes the blobs, and then the manifest.
#[track_caller]
pub(crate) fn push_image<'a>(
    store: &'a dyn Pusher,
    image: &'a Packed,
) -> impl Future<Output = Verdict> + Send + 'a {
    let at = Location::caller();
    async move {
        for item in image.blobs().iter().chain([image.manifest()]) {
            push(store, item).await.map_err(|failure| failure.at(at))?;
        }
        Ok(())
    }
}

/// Pushes the image and sets a tag on it.
#[track_caller]
pub(crate) fn push_tagged<'a>(
    repository: &'a dyn Repository,
    image: &'a Packed,
    name: &'a str,
) -> impl Future<Output = Verdict> + Send + 'a {
    let at = Location::caller();
    async move {
        push_image(repository, image)
            .await
            .map_err(|failure| failure.at(at))?;
        let tagged = repository.tag(image.descriptor(), &tag(name)?).await;
        tagged.map_err(|error| Failure::caused(&format!("setting {name} failed"), &error).at(at))
    }
}

/// Pushes `item` with any number of tags in one call, which must succeed.
#[track_caller]
pub(crate) fn push_with_tags<'a>(
    repository: &'a dyn Repository,
    item: &'a Item,
    tags: &'a [Tag],
) -> impl Future<Output = Verdict> + Send + 'a {
    let at = Location::caller();
    async move {
        let pushed = repository
            .push_reference(item.descriptor(), item.source(), tags)
            .await;
        pushed.map(drop).map_err(|error| {
            let what = format!("pushing {} with tags failed", item.descriptor());
            Failure::caused(&what, &error).at(at)
        })
    }
}

pub(crate) fn tag(text: &str) -> Verdict<Tag> {
    Ok(text.parse()?)
}

pub(crate) fn tags<'a>(texts: impl IntoIterator<Item = &'a str>) -> Verdict<Vec<Tag>> {
    texts.into_iter().map(tag).collect()
}

/// A tag, as something to resolve.
pub(crate) fn by_tag(text: &str) -> Verdict<TagOrDigest> {
    Ok(TagOrDigest::Tag(tag(text)?))
}

/// A digest, as something to resolve.
pub(crate) fn by_digest(descriptor: &Descriptor) -> TagOrDigest {
    TagOrDigest::Digest(*descriptor.digest())
}

/// Returns the tags of a listing, in its order.
pub(crate) async fn listed_tags(
    repository: &dyn TagLister,
    options: ListOptions,
) -> Verdict<Vec<String>> {
    let tags: Vec<Tag> = repository.tags(options).try_collect().await?;
    Ok(tags.iter().map(ToString::to_string).collect())
}

pub(crate) async fn all_tags(repository: &dyn TagLister) -> Verdict<Vec<String>> {
    listed_tags(repository, ListOptions::default()).await
}

/// Returns the referrers of `subject`, sorted, since their order is not specified.
pub(crate) async fn referrers(
    repository: &dyn ReferrerLister,
    subject: &Descriptor,
) -> Verdict<Vec<Descriptor>> {
    let mut found = tranship::referrers(repository, subject, None).await?;
    found.sort();
    Ok(found)
}

/// The referrers of `subject` that are of one artifact type, sorted.
pub(crate) async fn referrers_of_type(
    repository: &dyn ReferrerLister,
    subject: &Descriptor,
    artifact_type: &'static str,
) -> Verdict<Vec<Descriptor>> {
    let artifact_type = MediaType::from_static(artifact_type);
    let mut found = tranship::referrers(repository, subject, Some(&artifact_type)).await?;
    found.sort();
    Ok(found)
}

/// Returns the digests, sorted.
pub(crate) fn digests<'a>(
    descriptors: impl IntoIterator<Item = &'a Descriptor>,
) -> Vec<tranship::Digest> {
    let mut digests: Vec<_> = descriptors
        .into_iter()
        .map(|descriptor| *descriptor.digest())
        .collect();
    digests.sort();
    digests
}

/// A descriptor of the same content that claims another size.
pub(crate) fn resized(descriptor: &Descriptor, size: u64) -> Descriptor {
    Descriptor::new(descriptor.media_type().clone(), *descriptor.digest(), size)
}

/// Polls `future` at most `polls` times, each time when it asked for it, and then drops it;
/// `None` if it was not done by then.
pub(crate) async fn abandon_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut count = 0;
    std::future::poll_fn(move |context| {
        if count == polls {
            return Poll::Ready(None);
        }
        count += 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

/// Returns a source of the content of `origin`.
pub(crate) fn from(origin: &dyn tranship::OpenAt) -> Source<'_> {
    Source::open_at(origin)
}
