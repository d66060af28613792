//! The manifests of a repository.

mod fetch;
mod push;

use http::header::ACCEPT;
use http::{HeaderValue, Method, StatusCode};
use tranship::{
    ByteRange, Content, Descriptor, Error, ErrorKind, MediaType, PushOutcome, Result, Source, Tag,
    TagOrDigest,
};

use crate::handle::Handle;
use crate::referrers;
use crate::transport::{Answer, Request, RequestKind};
pub(crate) use fetch::{Fetched, fetch};

#[derive(Debug, Clone)]
pub(crate) struct Manifests(pub(crate) Handle);

/// Every type that is a manifest, as `Accept` has it.
fn every_type() -> HeaderValue {
    let types = MediaType::MANIFESTS.map(|kind| kind.as_str().to_owned());
    // They are ASCII.
    HeaderValue::try_from(types.join(", ")).unwrap_or(HeaderValue::from_static("*/*"))
}

impl Manifests {
    async fn head(&self, reference: &TagOrDigest) -> Result<Answer> {
        let handle = &self.0;
        let url = handle.manifest_url(reference)?;
        let scopes = handle.pull_scope();
        let request = Request::new(RequestKind::ManifestHead, Method::HEAD, url, scopes)
            .header(ACCEPT, every_type());
        handle.look(request).await
    }

    /// What `HEAD` says of a manifest; `None` if that is not enough.
    async fn describe(&self, reference: &TagOrDigest) -> Result<Option<Descriptor>> {
        let answer = self.head(reference).await?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => return Ok(None),
            _ => return Err(answer.into_error().await),
        }
        if let Some(digest) = reference.digest() {
            answer.check_digest(digest)?;
        }
        let digest = match reference.digest() {
            Some(digest) => Some(*digest),
            None => answer.digest()?,
        };
        let media_type = answer.media_type().ok().flatten();
        let media_type = media_type.filter(MediaType::is_manifest);
        Ok(match (media_type, digest, answer.length()?) {
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
        let answer = match self.head(&reference).await {
            Ok(answer) => answer,
            Err(error) if error.is_not_found() => return Ok(false),
            Err(error) => return Err(error),
        };
        match answer.status() {
            StatusCode::OK if answer.coding().is_none() => {
                answer.check_digest(target.digest())?;
                let length = answer.length()?;
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
            _ => Err(answer.into_error().await),
        }
    }

    pub(crate) async fn write(
        &self,
        expected: &Descriptor,
        source: &Source<'_>,
        tags: &[Tag],
    ) -> Result<PushOutcome> {
        push::push(&self.0, expected, source, tags).await
    }

    pub(crate) async fn set_tag(&self, target: &Descriptor, tag: &Tag) -> Result<()> {
        let fetched = self.get(target).await?;
        push::put_tag(&self.0, target, &fetched.content, tag).await
    }

    /// Deletes a manifest, and takes it off the list of its subject where we keep that.
    pub(crate) async fn remove(&self, target: &Descriptor) -> Result<()> {
        let handle = &self.0;
        let subject = match handle.learned().referrers.is_yes() {
            // A registry looks at the digest alone.
            true if !self.has(target).await? => return Err(Error::not_found(target.digest())),
            true => None,
            false => referrers::subject_of(self, target).await?,
        };
        let url = handle.manifest_url(target.digest())?;
        let scopes = handle.delete_scope();
        let request = Request::new(RequestKind::ManifestDelete, Method::DELETE, url, scopes);
        let answer = handle.transport().send(request).await?;
        crate::deletion::settle(answer, &handle.learned().delete_manifests).await?;
        match subject {
            Some(subject) => referrers::remove(handle, &subject, target).await,
            None => Ok(()),
        }
    }
}
