//! One repository of a registry, as the core's traits see it.

use std::fmt;

use async_trait::async_trait;
use http::Method;
use serde::Deserialize;
use tranship::{
    BlobStore, Capabilities, Descriptor, Error, ErrorKind, ListOptions, Listing, ManifestStore,
    MediaType, PredecessorFinder, ReferrerLister, RegistryIdentity, Repository, RepositoryName,
    Result, ResultExt as _, Tag, TagLister, TagOrDigest, Untagger,
};

use crate::blobs::Blobs;
use crate::handle::Handle;
use crate::manifests::Manifests;
use crate::pages::{Names, nothing_there};
use crate::transport::{Request, RequestKind};
use crate::{deletion, referrers};

/// A repository of a [`RemoteRegistry`](crate::RemoteRegistry). Clones share connections, tokens and
/// bounds with each other, and with the registry.
#[derive(Clone)]
pub struct RemoteRepository {
    handle: Handle,
    blobs: Blobs,
    manifests: Manifests,
}

impl RemoteRepository {
    pub(crate) fn new(handle: Handle) -> Self {
        Self {
            blobs: Blobs::new(handle.clone()),
            manifests: Manifests(handle.clone()),
            handle,
        }
    }
}

impl fmt::Debug for RemoteRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteRepository")
            .field("registry", &self.handle.shared.identity)
            .field("name", &self.handle.name)
            .finish_non_exhaustive()
    }
}

tranship::route_by_media_type!(RemoteRepository);

impl Repository for RemoteRepository {
    fn name(&self) -> &RepositoryName {
        &self.handle.name
    }

    fn registry(&self) -> Option<&RegistryIdentity> {
        Some(&self.handle.shared.identity)
    }

    fn capabilities(&self) -> Capabilities {
        self.handle.learned().capabilities()
    }

    fn blobs(&self) -> &dyn BlobStore {
        &self.blobs
    }

    fn manifests(&self) -> &dyn ManifestStore {
        &self.manifests
    }

    fn expect_pushes(&self) {
        self.handle.expect_pushes();
    }
}

#[async_trait]
impl Untagger for RemoteRepository {
    async fn untag(&self, tag: &Tag) -> Result<()> {
        let handle = &self.handle;
        let url = handle.manifest_url(TagOrDigest::Tag(tag.clone()))?;
        let scopes = handle.delete_scope();
        let request = Request::new(RequestKind::ManifestDelete, Method::DELETE, url, scopes);
        let answer = handle
            .transport()
            .send(request)
            .await
            .during("untag", tag)?;
        let fact = &handle.learned().untag;
        let settled = deletion::settle(answer, fact).await;
        settled
            .map_err(|error| no_tags(error, fact))
            .during("untag", tag)
    }
}

/// Registries that delete manifests by their digest only say so in several ways.
fn no_tags(error: Error, fact: &crate::handle::Fact) -> Error {
    match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::DigestMismatch | ErrorKind::InvalidReference => {
            fact.learn(false);
            Error::unsupported("the registry does not remove tags")
                .with_hint("deleting the manifest by its digest removes all of its tags")
                .with_source(error)
        }
        _ => error,
    }
}

impl TagLister for RemoteRepository {
    fn tags(&self, options: ListOptions) -> Listing<'_, Tag> {
        #[derive(Deserialize)]
        struct Tags {
            tags: Option<Vec<String>>,
        }
        let handle = &self.handle;
        let url = match handle.url("tags/list") {
            Ok(url) => url,
            Err(error) => return Box::pin(futures_util::stream::iter([Err(error)])),
        };
        let (transport, scopes) = (handle.transport(), handle.pull_scope());
        Names::new(transport, RequestKind::Tags, scopes, url, options).list(
            |page| Ok(page.decode::<Tags>()?.tags.unwrap_or_default()),
            |error| nothing_there(error).during("list the tags of", &handle.name),
        )
    }
}

impl ReferrerLister for RemoteRepository {
    fn referrers<'a>(
        &'a self,
        subject: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Listing<'a, Descriptor> {
        referrers::list(&self.handle, *subject.digest(), artifact_type.cloned())
    }
}

#[async_trait]
impl PredecessorFinder for RemoteRepository {
    async fn predecessors(&self, node: &Descriptor) -> Result<Vec<Descriptor>> {
        let mut found = tranship::referrers(self, node, None).await?;
        found.sort_by(|one, other| one.digest().cmp(other.digest()));
        Ok(found)
    }
}
