//! The blobs of a repository, as the core's traits see them.

mod download;
mod look;
mod parallel;
mod push;
mod record;
mod session;
mod upload;

use async_trait::async_trait;
use http::Method;
use tranship::{
    BlobStore, ByteRange, Content, Deleter, Descriptor, Digest, Error, ErrorKind, Fetcher,
    MediaType, MountOutcome, Mounter, Presence, PushOptions, Pusher, ReadOnlyStorage,
    ReferenceFetcher, RepositoryName, Resolver, Result, ResultExt as _, Source, TagOrDigest,
    Uploader,
};

use crate::handle::HIDDEN;
use crate::handle::Handle;
use crate::transport::{Request, RequestKind, failure};
pub(crate) use download::Download;
use look::{Found, look};
use upload::Uploads;

#[derive(Debug, Clone)]
pub(crate) struct Blobs {
    handle: Handle,
    uploads: Uploads,
}

impl Blobs {
    pub(crate) fn new(handle: Handle) -> Self {
        Self {
            uploads: Uploads(handle.clone()),
            handle,
        }
    }

    /// Looks for a blob that is there.
    async fn found(&self, digest: &Digest) -> Result<Found> {
        let handle = &self.handle;
        match look(handle, digest, handle.pull_scope()).await {
            Ok(found) => found.ok_or_else(|| Error::not_found(digest)),
            Err(error) if handle.hides(&error) => {
                Err(Error::new(ErrorKind::NotFound, HIDDEN).with_source(error))
            }
            Err(error) => Err(error),
        }
    }
}

/// Looks for a blob with the rights that pushing it needs.
async fn presence(handle: &Handle, target: &Descriptor) -> Result<Presence> {
    match look(handle, target.digest(), handle.push_scope()).await {
        Ok(Some(found)) if found.may_have(target.size()) => Ok(Presence::Whole),
        Ok(Some(_)) => Ok(Presence::OtherSize),
        Ok(None) => Ok(Presence::Absent),
        // Some registries forbid to look at what does not exist. The push finds out whether it is allowed.
        Err(error) if error.http_status() == Some(403) => Ok(Presence::Absent),
        Err(error) => Err(error),
    }
}

#[async_trait]
impl Fetcher for Blobs {
    async fn fetch(&self, target: &Descriptor) -> Result<Content> {
        let body = parallel::whole(&self.handle, target).await;
        let body = body
            .map_err(|error| unsupported_manifest(error, target))
            .during("fetch", target.digest())?;
        Ok(Content::new(target.clone(), body))
    }

    async fn fetch_range(&self, target: &Descriptor, range: ByteRange) -> Result<Content> {
        let range = range
            .resolve(target.size())
            .during("fetch", target.digest())?;
        let part = Download::part(&self.handle, target, range.clone()).await;
        let part = part.during("fetch", target.digest())?;
        Ok(Content::partial(target.clone(), range, part.into_body()))
    }
}

#[async_trait]
impl ReadOnlyStorage for Blobs {
    async fn exists(&self, target: &Descriptor) -> Result<bool> {
        match self.found(target.digest()).await {
            Ok(found) => Ok(found.may_have(target.size())),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error
                .with_operation("look for")
                .with_subject(target.digest())),
        }
    }
}

#[async_trait]
impl Pusher for Blobs {
    async fn push(&self, expected: &Descriptor, source: Source<'_>) -> Result<()> {
        self.push_with(expected, source, &PushOptions::default())
            .await
            .map(|_| ())
    }
}

#[async_trait]
impl Deleter for Blobs {
    async fn delete(&self, target: &Descriptor) -> Result<()> {
        let handle = &self.handle;
        // A registry looks at the digest alone.
        if !self.exists(target).await? {
            return Err(Error::not_found(target.digest()).with_operation("delete"));
        }
        let url = handle.blob_url(target.digest())?;
        let scopes = handle.delete_scope();
        let request = Request::new(RequestKind::BlobDelete, Method::DELETE, url, scopes);
        let answer = handle.transport().send(request).await;
        let answer = answer.during("delete", target.digest())?;
        crate::deletion::settle(answer, &handle.learned().delete_blobs)
            .await
            .during("delete", target.digest())
    }
}

#[async_trait]
impl Resolver for Blobs {
    async fn resolve(&self, reference: &TagOrDigest) -> Result<Descriptor> {
        let digest = digest_of(reference)?;
        let found = self.found(&digest).await.during("resolve", reference)?;
        describe(found.size, digest).during("resolve", reference)
    }
}

#[async_trait]
impl ReferenceFetcher for Blobs {
    async fn fetch_reference(&self, reference: &TagOrDigest) -> Result<Content> {
        let digest = digest_of(reference)?;
        let (descriptor, download) = Download::unsized_whole(&self.handle, digest)
            .await
            .during("fetch", reference)?;
        Ok(Content::new(descriptor, download.into_body()))
    }
}

#[async_trait]
impl Mounter for Blobs {
    async fn mount(
        &self,
        target: &Descriptor,
        from: &RepositoryName,
        fallback: Option<Source<'_>>,
    ) -> Result<MountOutcome> {
        push::mount(&self.handle, target, from, fallback.as_ref())
            .await
            .during("mount", target.digest())
    }
}

#[async_trait]
impl BlobStore for Blobs {
    fn mounter(&self) -> Option<&dyn Mounter> {
        Some(self)
    }

    fn uploader(&self) -> Option<&dyn Uploader> {
        Some(&self.uploads)
    }

    async fn presence(&self, target: &Descriptor) -> Result<Presence> {
        presence(&self.handle, target)
            .await
            .during("look for", target.digest())
    }

    async fn push_with(
        &self,
        expected: &Descriptor,
        source: Source<'_>,
        options: &PushOptions,
    ) -> Result<MountOutcome> {
        push::push(&self.handle, expected, &source, options)
            .await
            .during("push", expected.digest())
    }
}

/// Says of a manifest that is not supported, and so was looked for among the blobs, what it is.
fn unsupported_manifest(error: Error, target: &Descriptor) -> Error {
    let media_type = target.media_type();
    let is_of_docker = media_type.is_schema_1();
    let is_unknown =
        media_type.as_str().contains(".manifest.") || media_type.as_str().contains(".index.");
    if !error.is_not_found() || !(is_of_docker || is_unknown) {
        return error;
    }
    let name = match is_of_docker {
        true => "a manifest of Docker's schema 1",
        false => "a manifest",
    };
    Error::unsupported(format!("{name} of the type {media_type} is not supported"))
        .with_source(error)
}

/// The descriptor of a blob whose `size` in bytes the registry has said, or not.
fn describe(size: Option<u64>, digest: Digest) -> Result<Descriptor> {
    let size =
        size.ok_or_else(|| failure::protocol("the registry does not say how large the blob is"))?;
    Ok(Descriptor::new(MediaType::OCTET_STREAM, digest, size))
}

fn digest_of(reference: &TagOrDigest) -> Result<Digest> {
    reference.digest().copied().ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidReference,
            "blobs have no tags, only digests",
        )
        .with_subject(reference)
    })
}
