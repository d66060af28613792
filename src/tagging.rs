//! Naming what is there, and pushing what is in memory.

use bytes::Bytes;

use crate::content::{MAX_MANIFEST_SIZE, Source};
use crate::descriptor::Descriptor;
use crate::error::{Error, ErrorKind, Result, ResultExt as _};
use crate::media_type::MediaType;
use crate::reference::{Tag, TagOrDigest};
use crate::repository::Repository;

/// Points `tag` at what `reference` names, and answers what that is.
///
/// # Errors
/// [`ErrorKind::NotFound`] if `reference` names nothing.
pub async fn tag(
    repository: &dyn Repository,
    reference: &TagOrDigest,
    tag: &Tag,
) -> Result<Descriptor> {
    tag_n(repository, reference, std::slice::from_ref(tag)).await
}

/// Points each of `tags` at what `reference` names, and answers what that is. The manifest is read
/// once, and backends that can set several tags at a time do so.
///
/// # Errors
/// - [`ErrorKind::NotFound`] if `reference` names nothing.
/// - [`ErrorKind::InvalidInput`] if there are no tags.
/// - [`ErrorKind::SizeExceedsLimit`] if the manifest is larger than 4 MiB.
pub async fn tag_n(
    repository: &dyn Repository,
    reference: &TagOrDigest,
    tags: &[Tag],
) -> Result<Descriptor> {
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

/// Pushes `bytes`, as a manifest or as a blob by `media_type`, and points `tags` at them.
///
/// ```
/// # use tranship::{MediaType, Repository, Result, push_bytes};
/// async fn push_config(repository: &dyn Repository) -> Result<()> {
///     let config = push_bytes(repository, MediaType::IMAGE_CONFIG, b"{}"[..].into(), &[]).await?;
///     println!("{config}");
///     Ok(())
/// }
/// ```
///
/// # Errors
/// - [`ErrorKind::Unsupported`] if there are tags and `media_type` is not that of a manifest.
/// - As [`Pusher::push`](crate::Pusher::push).
pub async fn push_bytes(
    repository: &dyn Repository,
    media_type: MediaType,
    bytes: Bytes,
    tags: &[Tag],
) -> Result<Descriptor> {
    let descriptor = Descriptor::of(media_type, &bytes);
    let source = Source::from(bytes);
    let pushed = if tags.is_empty() {
        repository.push(&descriptor, source).await
    } else {
        repository.push_reference(&descriptor, source, tags).await
    };
    pushed.during("push", descriptor.digest())?;
    Ok(descriptor)
}
