//! The manifests of a repository.

mod fetch;
mod push;

use bytes::Bytes;
use http::header::ACCEPT;
use http::{Method, StatusCode};
use tranship::{
    ByteRange, Content, Descriptor, Digest, Error, ErrorKind, ManifestDocument, MediaType,
    PushOutcome, Result, Source, Tag, TagOrDigest,
};

use crate::repository_client::RepositoryClient;
use crate::transport::{Request, RequestKind, Response};
use fetch::every_type;
pub(crate) use fetch::{Fetched, fetch};
pub(crate) use push::PushedManifest;

#[derive(Debug, Clone)]
pub(crate) struct Manifests(pub(crate) RepositoryClient);

impl Manifests {
    async fn head(&self, reference: &TagOrDigest) -> Result<Response> {
        let client = &self.0;
        let url = client.manifest_url(reference)?;
        let scopes = client.pull_scope();
        let request = Request::new(RequestKind::ManifestHead, Method::HEAD, url, scopes)
            .header(ACCEPT, every_type());
        client.look_up(request).await
    }

    /// Returns the descriptor of a manifest as `HEAD` states it, and `None` if that is incomplete.
    async fn describe(&self, reference: &TagOrDigest) -> Result<Option<Descriptor>> {
        let response = self.head(reference).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => return Ok(None),
            _ => return Err(response.into_error().await),
        }
        if let Some(digest) = reference.digest() {
            response.check_digest(digest)?;
        }
        let digest = match reference.digest() {
            Some(digest) => Some(*digest),
            None => response.digest()?,
        };
        let media_type = response.media_type().ok().flatten();
        let media_type = media_type.filter(MediaType::is_manifest);
        Ok(match (media_type, digest, response.length()?) {
            (Some(media_type), Some(digest), Some(size)) => {
                Some(Descriptor::new(media_type, digest, size))
            }
            _ => None,
        })
    }

    async fn get(&self, target: &Descriptor) -> Result<Fetched> {
        let reference = TagOrDigest::Digest(*target.digest());
        let fetched = fetch(&self.0, &reference, Some(target)).await?;
        if fetched.descriptor.size() != target.size() {
            return Err(Error::new(
                ErrorKind::SizeMismatch,
                format!(
                    "the manifest should have {} bytes, and the registry has {}",
                    target.size(),
                    fetched.descriptor.size()
                ),
            ));
        }
        Ok(fetched)
    }
}

impl Manifests {
    pub(crate) async fn read(&self, target: &Descriptor) -> Result<Content> {
        let fetched = self.get(target).await?;
        Ok(Content::from_bytes(target.clone(), fetched.content))
    }

    pub(crate) async fn read_range(
        &self,
        target: &Descriptor,
        range: ByteRange,
    ) -> Result<Content> {
        let range = range.resolve(target.size())?;
        Ok(self.read(target).await?.into_part(range))
    }

    pub(crate) async fn read_reference(&self, reference: &TagOrDigest) -> Result<Content> {
        let fetched = fetch(&self.0, reference, None).await?;
        Ok(Content::from_bytes(fetched.descriptor, fetched.content))
    }

    pub(crate) async fn stat(&self, reference: &TagOrDigest) -> Result<Descriptor> {
        match self.describe(reference).await? {
            Some(descriptor) => Ok(descriptor),
            None => Ok(fetch(&self.0, reference, None).await?.descriptor),
        }
    }

    pub(crate) async fn has(&self, target: &Descriptor) -> Result<bool> {
        let reference = TagOrDigest::Digest(*target.digest());
        let response = match self.head(&reference).await {
            Ok(response) => response,
            Err(error) if error.is_not_found() => return Ok(false),
            Err(error) => return Err(error),
        };
        match response.status() {
            StatusCode::OK if response.coding().is_none() => {
                response.check_digest(target.digest())?;
                let length = response.length()?;
                Ok(length.is_none_or(|length| length == target.size()))
            }
            StatusCode::NOT_FOUND => Ok(false),
            StatusCode::OK | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
                match fetch(&self.0, &reference, Some(target)).await {
                    Ok(fetched) => Ok(fetched.descriptor.size() == target.size()),
                    Err(error) if error.is_not_found() => Ok(false),
                    Err(error) => Err(error),
                }
            }
            _ => Err(response.into_error().await),
        }
    }

    /// Pushes a manifest and sets its tags. Updating the list of its subject's referrers is up to the caller.
    pub(crate) async fn write(
        &self,
        expected: &Descriptor,
        source: &Source<'_>,
        tags: &[Tag],
    ) -> Result<PushedManifest> {
        if !expected.media_type().is_manifest() {
            return Err(Error::unsupported(format!(
                "{} is not the type of a manifest that is supported, and only manifests have tags",
                expected.media_type()
            )));
        }
        self.0.expect_pushes();
        let (content, outcome) = match self.content_to_push(expected, source, tags).await? {
            ToPush::Nothing => {
                return Ok(PushedManifest {
                    outcome: PushOutcome::Present,
                    unlisted: None,
                });
            }
            ToPush::Again(content) => (content, PushOutcome::Present),
            ToPush::New(content) => (content, PushOutcome::Pushed),
        };
        let unlisted = push::push(&self.0, expected, &content, tags).await?;
        Ok(PushedManifest { outcome, unlisted })
    }

    /// Returns the content to push. Content in memory is pushed without a lookup; other content is not read if the
    /// registry has it.
    async fn content_to_push(
        &self,
        expected: &Descriptor,
        source: &Source<'_>,
        tags: &[Tag],
    ) -> Result<ToPush> {
        let limit = self.0.max_manifest_size();
        if source.is_in_memory() || !self.has(expected).await? {
            return Ok(ToPush::New(source.bytes(expected, limit).await?));
        }
        if tags.is_empty() {
            return Ok(ToPush::Nothing);
        }
        let stored = self.read(expected).await?;
        Ok(ToPush::Again(stored.bytes(limit).await?))
    }

    pub(crate) async fn set_tag(&self, target: &Descriptor, tag: &Tag) -> Result<()> {
        let fetched = self.get(target).await?;
        push::put_tag(&self.0, target, &fetched.content, tag).await
    }

    /// Deletes a manifest. Updating the list of its subject's referrers is up to the caller.
    pub(crate) async fn delete(&self, target: &Descriptor) -> Result<()> {
        let client = &self.0;
        let url = client.manifest_url(target.digest())?;
        let scopes = client.delete_scope();
        let request = Request::new(RequestKind::ManifestDelete, Method::DELETE, url, scopes);
        let response = client.transport().send(request).await?;
        crate::deletion::finish(response, &client.learned().delete_manifests).await
    }

    /// Returns the subject of a stored manifest, and `None` if it does not have one or cannot be decoded, so that it can
    /// be deleted anyway.
    ///
    /// # Errors
    /// `NotFound` and `SizeMismatch` if the registry does not have the manifest, and errors that may pass.
    pub(crate) async fn subject(&self, target: &Descriptor) -> Result<Option<Digest>> {
        let limit = self.0.max_manifest_size();
        let content = match self.read(target).await {
            Ok(content) => content.bytes(limit).await?,
            Err(error) if error.is_retryable() => return Err(error),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::SizeMismatch) => {
                return Err(error);
            }
            Err(_) => return Ok(None),
        };
        let document = ManifestDocument::decode(target.media_type(), &content)
            .ok()
            .flatten();
        Ok(document.and_then(|document| document.subject().map(|subject| *subject.digest())))
    }
}

/// The content to push for a manifest.
enum ToPush {
    /// Nothing, because the registry has the manifest.
    Nothing,
    /// The content that the registry already has, to set the tags.
    Again(Bytes),
    /// Content that the registry does not have, or may have.
    New(Bytes),
}
