//! The blobs of a repository, as the core's traits see them.

mod download;
mod parallel;
mod push;
mod session;
mod upload;

use async_trait::async_trait;
use http::{Method, StatusCode};
use tranship::{
    BlobStore, ByteRange, Content, Deleter, Descriptor, Digest, Error, ErrorKind, Fetcher,
    MediaType, MountOutcome, Mounter, Pusher, ReadOnlyStorage, ReferenceFetcher, RepositoryName,
    Resolver, Result, ResultExt as _, Source, TagOrDigest, Uploader,
};

use crate::handle::Handle;
use crate::transport::{Answer, Request, RequestKind, failure};
pub(crate) use download::Download;
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

    async fn head(&self, digest: &Digest) -> Result<Answer> {
        let url = self.handle.blob_url(digest)?;
        let scopes = self.handle.pull_scope();
        let request = Request::new(RequestKind::BlobHead, Method::HEAD, url, scopes);
        let answer = self.handle.look(request).await?;
        let answer = answer.expect(StatusCode::OK).await?;
        answer.check_digest(digest)?;
        Ok(answer)
    }
}

/// What a registry has under the digest of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Whole,
    /// Something of another size.
    Other,
    Absent,
}

/// Asks what is there, for who goes on to push.
async fn presence(handle: &Handle, target: &Descriptor) -> Result<Presence> {
    let url = handle.blob_url(target.digest())?;
    let request = Request::new(
        RequestKind::BlobHead,
        Method::HEAD,
        url,
        handle.push_scope(),
    );
    let answer = handle.transport().send(request).await?;
    match answer.status() {
        StatusCode::OK => {
            answer.check_digest(target.digest())?;
            Ok(match answer.may_have(target.size())? {
                true => Presence::Whole,
                false => Presence::Other,
            })
        }
        // Some registries forbid to look at what is not there. The push tells what is really so.
        StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Ok(Presence::Absent),
        _ => Err(answer.into_error().await),
    }
}

#[async_trait]
impl Fetcher for Blobs {
    async fn fetch(&self, target: &Descriptor) -> Result<Content> {
        let body = parallel::whole(&self.handle, target).await;
        let body = body.during("fetch", target.digest())?;
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
        match self.head(target.digest()).await {
            Ok(answer) => answer.may_have(target.size()),
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
        push::push(&self.handle, expected, &source)
            .await
            .during("push", expected.digest())
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
        let answer = self.head(&digest).await.during("resolve", reference)?;
        describe(&answer, digest).during("resolve", reference)
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

impl BlobStore for Blobs {
    fn mounter(&self) -> Option<&dyn Mounter> {
        Some(self)
    }

    fn uploader(&self) -> Option<&dyn Uploader> {
        Some(&self.uploads)
    }
}

/// What is known of a blob from the head of an answer.
fn describe(answer: &Answer, digest: Digest) -> Result<Descriptor> {
    let size = answer
        .content_length()?
        .ok_or_else(|| failure::protocol("the registry does not say how large the blob is"))?;
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
