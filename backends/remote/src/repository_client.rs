//! The client of one repository, which the modules of blobs, manifests and referrers use.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::StatusCode;
use tranship::{Digest, Error, ErrorKind, RegistryIdentity, RepositoryName, Result};
use url::Url;

use crate::auth::{Scope, Scopes};
use crate::capabilities::LearnedCapabilities;
use crate::referrer_changes::ReferrerQueues;
use crate::transport::{Request, Response, Transport, failure};

/// The state that all repositories of a registry share.
pub(crate) struct Shared {
    pub(crate) transport: Transport,
    pub(crate) identity: RegistryIdentity,
    pub(crate) learned: LearnedCapabilities,
    pub(crate) referrer_queues: ReferrerQueues,
}

/// The message for a 403 that is taken for a 404.
pub(crate) const HIDDEN: &str = "not found, or forbidden to look at";

/// Sends requests about one repository. Clones share everything.
#[derive(Clone)]
pub(crate) struct RepositoryClient {
    pub(crate) shared: Arc<Shared>,
    pub(crate) name: RepositoryName,
    transport: Transport,
    /// Whether requests that need the right to pull also ask for the right to push.
    expects_pushes: Arc<AtomicBool>,
}

impl RepositoryClient {
    pub(crate) fn new(shared: Arc<Shared>, name: RepositoryName) -> Self {
        Self {
            transport: shared.transport.for_repository(),
            shared,
            name,
            expects_pushes: Arc::default(),
        }
    }

    /// Makes later requests that need the right to pull ask for the right to push as well.
    pub(crate) fn expect_pushes(&self) {
        self.expects_pushes.store(true, Ordering::Release);
    }

    /// Sends a request that looks up content.
    ///
    /// # Errors
    /// - `NotFound` for [hidden](Self::hides) content.
    /// - As [`Transport::send`].
    pub(crate) async fn look_up(&self, request: Request<'_>) -> Result<Response> {
        let response = self.transport().send(request).await?;
        if response.status() != StatusCode::FORBIDDEN {
            return Ok(response);
        }
        let error = response.into_error().await;
        if self.hides(&error) {
            return Err(Error::new(ErrorKind::NotFound, HIDDEN).with_source(error));
        }
        Err(error)
    }

    /// Returns whether an error means that the content does not exist.
    ///
    /// Some registries, such as Artifactory, return 403 for content that does not exist. Before a push, a 403 is therefore
    /// taken for a 404, and the push shows whether it is allowed.
    pub(crate) fn hides(&self, error: &Error) -> bool {
        error.http_status() == Some(403) && self.expects_pushes.load(Ordering::Acquire)
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    pub(crate) fn learned(&self) -> &LearnedCapabilities {
        &self.shared.learned
    }

    pub(crate) fn max_manifest_size(&self) -> u64 {
        self.transport().options().policy.max_manifest_size
    }

    pub(crate) fn blob_url(&self, digest: &Digest) -> Result<Url> {
        self.url(&format!("blobs/{digest}"))
    }

    pub(crate) fn manifest_url(&self, reference: impl fmt::Display) -> Result<Url> {
        self.url(&format!("manifests/{reference}"))
    }

    pub(crate) fn url(&self, path: &str) -> Result<Url> {
        let url = self
            .transport()
            .locations()
            .origin()
            .join(&format!("v2/{}/{path}", self.name));
        url.map_err(|_| failure::protocol("the repository has no URL"))
    }

    /// Returns the scopes for reading the repository.
    pub(crate) fn pull_scope(&self) -> Scopes {
        if self.expects_pushes.load(Ordering::Acquire) {
            return self.push_scope();
        }
        Scope::pull(&self.name).into()
    }

    pub(crate) fn push_scope(&self) -> Scopes {
        Scope::push(&self.name).into()
    }

    pub(crate) fn delete_scope(&self) -> Scopes {
        Scope::delete(&self.name).into()
    }
}

impl fmt::Debug for RepositoryClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RepositoryClient")
            .field("registry", &self.shared.identity)
            .field("name", &self.name)
            .finish()
    }
}
