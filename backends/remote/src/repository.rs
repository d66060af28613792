//! The backend for one repository of a registry.

use std::fmt;

use async_trait::async_trait;
use http::Method;
use serde::Deserialize;
use tranship::{
    Access, Backend, ByteRange, Content, ContentKind, Descriptor, Error, ErrorKind, ListOptions,
    Listing, MediaType, Presence, PushOptions, PushOutcome, RepositoryInfo, RepositoryName, Result,
    ResultExt as _, Source, Tag, TagOrDigest, Upload, UploadId,
};

use crate::blobs::Blobs;
use crate::manifests::Manifests;
use crate::pages::{Names, ignore_missing};
use crate::repository_client::RepositoryClient;
use crate::transport::{Request, RequestKind};
use crate::{blobs, deletion, manifest_changes, referrers};

/// A repository of a [`RemoteRegistry`](crate::RemoteRegistry). Clones share connections, tokens and
/// bounds with each other, and with the registry.
#[derive(Clone)]
pub struct RemoteRepository {
    client: RepositoryClient,
    blobs: Blobs,
    manifests: Manifests,
}

impl RemoteRepository {
    pub(crate) fn new(client: RepositoryClient) -> Self {
        Self {
            blobs: Blobs(client.clone()),
            manifests: Manifests(client.clone()),
            client,
        }
    }
}

impl fmt::Debug for RemoteRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteRepository")
            .field("registry", &self.client.shared.identity)
            .field("name", &self.client.name)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Backend for RemoteRepository {
    fn info(&self) -> RepositoryInfo<'_> {
        RepositoryInfo::new(&self.client.name, self.client.learned().capabilities())
            .with_registry(&self.client.shared.identity)
    }

    async fn read(&self, kind: ContentKind, target: &Descriptor) -> Result<Content> {
        match kind {
            ContentKind::Blob => self.blobs.read(target).await,
            ContentKind::Manifest => self.manifests.read(target).await,
        }
    }

    async fn read_range(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        range: ByteRange,
    ) -> Result<Content> {
        match kind {
            ContentKind::Blob => self.blobs.read_range(target, range).await,
            ContentKind::Manifest => self.manifests.read_range(target, range).await,
        }
    }

    async fn read_reference(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<Content> {
        match kind {
            ContentKind::Blob => self.blobs.read_reference(reference).await,
            ContentKind::Manifest => self.manifests.read_reference(reference).await,
        }
    }

    async fn stat(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<Descriptor> {
        match kind {
            ContentKind::Blob => self.blobs.stat(reference).await,
            ContentKind::Manifest => self.manifests.stat(reference).await,
        }
    }

    async fn find(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        access: Access,
    ) -> Result<Presence> {
        match kind {
            ContentKind::Blob => self.blobs.find(target, access).await,
            ContentKind::Manifest => Ok(if self.manifests.has(target).await? {
                Presence::Whole
            } else {
                Presence::Absent
            }),
        }
    }

    async fn write(
        &self,
        kind: ContentKind,
        expected: &Descriptor,
        source: Source<'_>,
        options: &PushOptions<'_>,
    ) -> Result<PushOutcome> {
        match kind {
            ContentKind::Blob => self.blobs.write(expected, &source, options).await,
            ContentKind::Manifest => {
                manifest_changes::push(&self.manifests, expected, &source, options.tags).await
            }
        }
    }

    async fn mount_blob(
        &self,
        target: &Descriptor,
        from: &RepositoryName,
        fallback: Option<Source<'_>>,
    ) -> Result<PushOutcome> {
        self.blobs.mount(target, from, fallback.as_ref()).await
    }

    async fn remove(&self, kind: ContentKind, target: &Descriptor) -> Result<()> {
        match kind {
            ContentKind::Blob => self.blobs.remove(target).await,
            ContentKind::Manifest => manifest_changes::delete(&self.manifests, target).await,
        }
    }

    async fn set_tag(&self, target: &Descriptor, tag: &Tag) -> Result<()> {
        self.manifests.set_tag(target, tag).await
    }

    async fn remove_tag(&self, tag: &Tag) -> Result<()> {
        let client = &self.client;
        let url = client.manifest_url(TagOrDigest::Tag(tag.clone()))?;
        let scopes = client.delete_scope();
        let request = Request::new(RequestKind::ManifestDelete, Method::DELETE, url, scopes);
        let response = client.transport().send(request).await?;
        let capability = &client.learned().untag;
        let settled = deletion::finish(response, capability).await;
        settled.map_err(|error| no_tags(error, capability))
    }

    fn list_tags(&self, options: ListOptions) -> Listing<'_, Tag> {
        #[derive(Deserialize)]
        struct Tags {
            tags: Option<Vec<String>>,
        }
        let client = &self.client;
        let url = match client.url("tags/list") {
            Ok(url) => url,
            Err(error) => return Box::pin(futures_util::stream::iter([Err(error)])),
        };
        let (transport, scopes) = (client.transport(), client.pull_scope());
        Names::new(transport, RequestKind::Tags, scopes, url, options).list(
            |page| Ok(page.decode::<Tags>()?.tags.unwrap_or_default()),
            |error| ignore_missing(error).during("list the tags of", &client.name),
        )
    }

    fn list_referrers<'a>(
        &'a self,
        subject: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Listing<'a, Descriptor> {
        referrers::list(&self.client, *subject.digest(), artifact_type.cloned())
    }

    async fn start_upload(&self) -> Result<Box<dyn Upload>> {
        blobs::start(&self.client).await
    }

    async fn resume_upload(&self, id: &UploadId) -> Result<Box<dyn Upload>> {
        blobs::resume(&self.client, id).await
    }

    fn prepare_for_pushes(&self) {
        self.client.expect_pushes();
    }
}

/// Replaces the various errors of registries that delete manifests by their digest only.
fn no_tags(error: Error, capability: &crate::capabilities::LearnedCapability) -> Error {
    match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::DigestMismatch | ErrorKind::InvalidReference => {
            capability.learn(false);
            Error::unsupported("the registry does not remove tags")
                .with_hint("deleting the manifest by its digest removes all of its tags")
                .with_source(error)
        }
        _ => error,
    }
}
