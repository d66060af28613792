//! The blobs of a repository.

mod download;
mod lookup;
mod parallel;
mod push;
mod record;
mod session;
mod start;
mod transfer;
mod upload;
mod upload_headers;

use http::Method;
use tranship::{
    Access, ByteRange, Content, Descriptor, Digest, Error, ErrorKind, Presence, PushOptions,
    PushOutcome, RepositoryName, Result, Source, TagOrDigest,
};

use crate::repository_client::HIDDEN;
use crate::repository_client::RepositoryClient;
use crate::transport::{Request, RequestKind};
pub(crate) use download::Download;
use lookup::{StoredBlob, describe, look_up, presence};
pub(crate) use upload::{resume, start};

#[derive(Debug, Clone)]
pub(crate) struct Blobs(pub(crate) RepositoryClient);

impl Blobs {
    /// Looks up a blob, and fails with `NotFound` if the registry does not have it.
    async fn found(&self, digest: &Digest) -> Result<StoredBlob> {
        let client = &self.0;
        match look_up(client, digest, client.pull_scope()).await {
            Ok(found) => found.ok_or_else(|| Error::not_found(digest)),
            Err(error) if client.hides(&error) => {
                Err(Error::new(ErrorKind::NotFound, HIDDEN).with_source(error))
            }
            Err(error) => Err(error),
        }
    }
}

impl Blobs {
    pub(crate) async fn read(&self, target: &Descriptor) -> Result<Content> {
        let body = parallel::whole(&self.0, target).await;
        let body = body.map_err(|error| unsupported_manifest(error, target))?;
        Ok(Content::new(target.clone(), body))
    }

    pub(crate) async fn read_range(
        &self,
        target: &Descriptor,
        range: ByteRange,
    ) -> Result<Content> {
        let range = range.resolve(target.size())?;
        let part = Download::part(&self.0, target, range.clone()).await?;
        Ok(Content::partial(target.clone(), range, part.into_body()))
    }

    pub(crate) async fn read_reference(&self, reference: &TagOrDigest) -> Result<Content> {
        let digest = digest_of(reference)?;
        let (descriptor, download) = Download::unsized_whole(&self.0, digest).await?;
        Ok(Content::new(descriptor, download.into_body()))
    }

    pub(crate) async fn stat(&self, reference: &TagOrDigest) -> Result<Descriptor> {
        let digest = digest_of(reference)?;
        let found = self.found(&digest).await?;
        describe(found.size, digest)
    }

    pub(crate) async fn find(&self, target: &Descriptor, access: Access) -> Result<Presence> {
        match access {
            Access::Read => match self.found(target.digest()).await {
                Ok(found) if found.may_have(target.size()) => Ok(Presence::Whole),
                Ok(_) => Ok(Presence::OtherSize),
                Err(error) if error.is_not_found() => Ok(Presence::Absent),
                Err(error) => Err(error),
            },
            Access::Push => presence(&self.0, target).await,
        }
    }

    pub(crate) async fn write(
        &self,
        expected: &Descriptor,
        source: &Source<'_>,
        options: &PushOptions<'_>,
    ) -> Result<PushOutcome> {
        push::push(&self.0, expected, source, options).await
    }

    pub(crate) async fn mount(
        &self,
        target: &Descriptor,
        from: &RepositoryName,
        fallback: Option<&Source<'_>>,
    ) -> Result<PushOutcome> {
        push::mount(&self.0, target, from, fallback).await
    }

    pub(crate) async fn remove(&self, target: &Descriptor) -> Result<()> {
        let client = &self.0;
        // The registry compares the digest and not the size.
        if self.find(target, Access::Read).await? != Presence::Whole {
            return Err(Error::not_found(target.digest()));
        }
        let url = client.blob_url(target.digest())?;
        let scopes = client.delete_scope();
        let request = Request::new(RequestKind::BlobDelete, Method::DELETE, url, scopes);
        let response = client.transport().send(request).await?;
        crate::deletion::finish(response, &client.learned().delete_blobs).await
    }
}

/// Replaces the error for a manifest of an unsupported type, which was looked up as a blob.
fn unsupported_manifest(error: Error, target: &Descriptor) -> Error {
    let media_type = target.media_type();
    let is_of_docker = media_type.is_schema_1();
    let is_unknown =
        media_type.as_str().contains(".manifest.") || media_type.as_str().contains(".index.");
    if !error.is_not_found() || !(is_of_docker || is_unknown) {
        return error;
    }
    let name = if is_of_docker {
        "a manifest of Docker's schema 1"
    } else {
        "a manifest"
    };
    Error::unsupported(format!("{name} of the type {media_type} is not supported"))
        .with_source(error)
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
