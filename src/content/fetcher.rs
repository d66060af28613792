//! Reading content by its descriptor.

use async_trait::async_trait;

use super::{ByteRange, Content};
use crate::descriptor::Descriptor;
use crate::error::Result;

/// Reads content by its descriptor.
///
/// ```
/// # use tranship::{Content, Descriptor, Fetcher, Result};
/// async fn read_manifest(store: &dyn Fetcher, manifest: &Descriptor) -> Result<bytes::Bytes> {
///     store.fetch(manifest).await?.bytes(tranship::MAX_MANIFEST_SIZE).await
/// }
/// ```
#[async_trait]
pub trait Fetcher: Send + Sync {
    /// Opens the whole content of `target`.
    ///
    /// The answer checks itself as it is read; see [`Content`]. Only the digest and the size of
    /// `target` decide, and for repositories the media type decides between blobs and manifests.
    ///
    /// # Errors
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such content.
    /// - [`SizeMismatch`](crate::ErrorKind::SizeMismatch), here or while reading, if the content has
    ///   another size than `target`.
    async fn fetch(&self, target: &Descriptor) -> Result<Content>;

    /// Opens a part of the content of `target`. A part is checked for its length, not its digest.
    ///
    /// Unless a backend does better, the whole content is opened and the bytes before the range are
    /// read and dropped, in constant memory.
    ///
    /// # Errors
    /// - As [`fetch`](Self::fetch).
    /// - [`RangeInvalid`](crate::ErrorKind::RangeInvalid) as [`ByteRange::resolve`] says.
    async fn fetch_range(&self, target: &Descriptor, range: ByteRange) -> Result<Content> {
        let range = range.resolve(target.size())?;
        Ok(self.fetch(target).await?.into_part(range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Body;
    use crate::media_type::MediaType;
    use bytes::Bytes;
    use futures_util::stream;

    struct InPieces(&'static [&'static str]);

    #[async_trait]
    impl Fetcher for InPieces {
        async fn fetch(&self, target: &Descriptor) -> Result<Content> {
            let pieces: Vec<_> = self
                .0
                .iter()
                .map(|piece| Ok(Bytes::from_static(piece.as_bytes())))
                .collect();
            Ok(Content::new(
                target.clone(),
                Body::from_stream(stream::iter(pieces)),
            ))
        }
    }

    #[tokio::test]
    async fn the_default_range_cuts_the_whole_content() {
        let store = InPieces(&["hel", "", "lo wo", "rld"]);
        let descriptor = Descriptor::of(MediaType::OCTET_STREAM, b"hello world");
        for (start, end) in [(0, 11), (0, 0), (3, 3), (2, 4), (4, 11), (8, 99), (11, 11)] {
            let range = ByteRange::from(start..end);
            let part = store
                .fetch_range(&descriptor, range)
                .await
                .expect("in range")
                .bytes(100)
                .await
                .expect("complete");
            let end = (end as usize).min(11);
            assert_eq!(part, &b"hello world"[start as usize..end], "{range:?}");
        }
    }
}
