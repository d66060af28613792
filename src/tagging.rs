//! Tags on stored manifests, and pushes of what is in memory.

use bytes::Bytes;

use crate::content::{MAX_MANIFEST_SIZE, Source};
use crate::descriptor::Descriptor;
use crate::error::{Error, ErrorKind, Result, ResultExt as _};
use crate::media_type::MediaType;
use crate::reference::{Tag, TagOrDigest};
use crate::storage::{Pusher, ReferenceFetcher, ReferencePusher};

/// Points `tag` at what `reference` names, and returns the descriptor of that.
///
/// # Errors
/// As [`tag_n`].
pub async fn tag<R>(repository: &R, reference: &TagOrDigest, tag: &Tag) -> Result<Descriptor>
where
    R: ReferenceFetcher + ReferencePusher + ?Sized,
{
    tag_n(repository, reference, std::slice::from_ref(tag)).await
}

/// Points each of `tags` at what `reference` names, and returns the descriptor of that. The manifest is read
/// once, and backends that can set several tags at a time do so.
///
/// # Errors
/// - [`ErrorKind::NotFound`] if `reference` names nothing.
/// - [`ErrorKind::InvalidInput`] if there are no tags.
/// - [`ErrorKind::SizeExceedsLimit`] if the manifest is larger than 4 MiB.
pub async fn tag_n<R>(repository: &R, reference: &TagOrDigest, tags: &[Tag]) -> Result<Descriptor>
where
    R: ReferenceFetcher + ReferencePusher + ?Sized,
{
    if tags.is_empty() {
        return Err(Error::new(ErrorKind::InvalidInput, "no tag is given").with_operation("tag"));
    }
    let content = repository
        .fetch_reference(reference)
        .await
        .during("tag", reference)?;
    let target = content.descriptor().plain();
    let bytes = content
        .bytes(MAX_MANIFEST_SIZE)
        .await
        .during("tag", reference)?;
    repository
        .push_reference(&target, bytes.into(), tags)
        .await
        .during("tag", reference)?;
    Ok(target)
}

/// Pushes `bytes` and returns their descriptor. A repository stores them as a manifest or as a blob by `media_type`.
///
/// ```
/// # use tranship::{MediaType, Pusher, Result, push_bytes};
/// async fn push_config(store: &dyn Pusher) -> Result<()> {
///     let config = push_bytes(store, MediaType::IMAGE_CONFIG, "{}").await?;
///     println!("{config}");
///     Ok(())
/// }
/// ```
///
/// # Errors
/// As [`Pusher::push`].
pub async fn push_bytes(
    store: &dyn Pusher,
    media_type: MediaType,
    bytes: impl Into<Bytes>,
) -> Result<Descriptor> {
    let bytes = bytes.into();
    let descriptor = Descriptor::of(media_type, &bytes);
    let pushed = store.push(&descriptor, Source::from(bytes)).await;
    pushed.during("push", descriptor.digest())?;
    Ok(descriptor)
}

/// Pushes `bytes` as a manifest, points `tags` at it, and returns its descriptor.
///
/// # Errors
/// As [`ReferencePusher::push_reference`].
pub async fn tag_bytes(
    store: &dyn ReferencePusher,
    media_type: MediaType,
    bytes: impl Into<Bytes>,
    tags: &[Tag],
) -> Result<Descriptor> {
    let bytes = bytes.into();
    let descriptor = Descriptor::of(media_type, &bytes);
    let pushed = store.push_reference(&descriptor, Source::from(bytes), tags);
    pushed.await.during("push", descriptor.digest())?;
    Ok(descriptor)
}
