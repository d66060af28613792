//! A repository's own operations, sent on to its blobs or its manifests.

/// Implements for a [`Repository`](crate::Repository) what goes to its blob or manifest store by the
/// descriptor's media type: [`Fetcher`](crate::Fetcher), [`Pusher`](crate::Pusher),
/// [`ReadOnlyStorage`](crate::ReadOnlyStorage), [`Deleter`](crate::Deleter); and what always goes to
/// the manifest store: [`Resolver`](crate::Resolver), [`Tagger`](crate::Tagger),
/// [`ReferenceFetcher`](crate::ReferenceFetcher), [`ReferencePusher`](crate::ReferencePusher).
///
/// A macro, because a blanket implementation for all repositories would keep every other type from
/// implementing these traits. The backend's crate needs `async-trait`.
///
/// ```ignore
/// tranship::route_by_media_type!(MyRepository);
/// ```
#[macro_export]
macro_rules! route_by_media_type {
    ($repository:ty) => {
        #[::async_trait::async_trait]
        impl $crate::Fetcher for $repository {
            async fn fetch(&self, target: &$crate::Descriptor) -> $crate::Result<$crate::Content> {
                if target.media_type().is_manifest() {
                    $crate::Repository::manifests(self).fetch(target).await
                } else {
                    $crate::Repository::blobs(self).fetch(target).await
                }
            }

            async fn fetch_range(
                &self,
                target: &$crate::Descriptor,
                range: $crate::ByteRange,
            ) -> $crate::Result<$crate::Content> {
                if target.media_type().is_manifest() {
                    $crate::Repository::manifests(self)
                        .fetch_range(target, range)
                        .await
                } else {
                    $crate::Repository::blobs(self)
                        .fetch_range(target, range)
                        .await
                }
            }
        }

        #[::async_trait::async_trait]
        impl $crate::ReadOnlyStorage for $repository {
            async fn exists(&self, target: &$crate::Descriptor) -> $crate::Result<bool> {
                if target.media_type().is_manifest() {
                    $crate::Repository::manifests(self).exists(target).await
                } else {
                    $crate::Repository::blobs(self).exists(target).await
                }
            }
        }

        #[::async_trait::async_trait]
        impl $crate::Pusher for $repository {
            async fn push(
                &self,
                expected: &$crate::Descriptor,
                source: $crate::Source<'_>,
            ) -> $crate::Result<()> {
                if expected.media_type().is_manifest() {
                    $crate::Repository::manifests(self)
                        .push(expected, source)
                        .await
                } else {
                    $crate::Repository::blobs(self).push(expected, source).await
                }
            }
        }

        #[::async_trait::async_trait]
        impl $crate::Deleter for $repository {
            async fn delete(&self, target: &$crate::Descriptor) -> $crate::Result<()> {
                if target.media_type().is_manifest() {
                    $crate::Repository::manifests(self).delete(target).await
                } else {
                    $crate::Repository::blobs(self).delete(target).await
                }
            }
        }

        #[::async_trait::async_trait]
        impl $crate::Resolver for $repository {
            async fn resolve(
                &self,
                reference: &$crate::TagOrDigest,
            ) -> $crate::Result<$crate::Descriptor> {
                $crate::Repository::manifests(self).resolve(reference).await
            }
        }

        #[::async_trait::async_trait]
        impl $crate::Tagger for $repository {
            async fn tag(
                &self,
                target: &$crate::Descriptor,
                tag: &$crate::Tag,
            ) -> $crate::Result<()> {
                $crate::Repository::manifests(self).tag(target, tag).await
            }
        }

        #[::async_trait::async_trait]
        impl $crate::ReferenceFetcher for $repository {
            async fn fetch_reference(
                &self,
                reference: &$crate::TagOrDigest,
            ) -> $crate::Result<$crate::Content> {
                $crate::Repository::manifests(self)
                    .fetch_reference(reference)
                    .await
            }
        }

        #[::async_trait::async_trait]
        impl $crate::ReferencePusher for $repository {
            async fn push_reference(
                &self,
                expected: &$crate::Descriptor,
                source: $crate::Source<'_>,
                tags: &[$crate::Tag],
            ) -> $crate::Result<()> {
                $crate::Repository::manifests(self)
                    .push_reference(expected, source, tags)
                    .await
            }
        }
    };
}
