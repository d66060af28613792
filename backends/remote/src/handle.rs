//! One repository of a registry, as its parts share it: where it is, and what was learned of it.

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

/// What all repositories of a registry share.
pub(crate) struct Shared {
    pub(crate) transport: Transport,
    pub(crate) identity: RegistryIdentity,
    pub(crate) learned: LearnedCapabilities,
    pub(crate) referrer_queues: ReferrerQueues,
}

/// The message for a 403 that counts as missing.
pub(crate) const HIDDEN: &str = "not found, or forbidden to look at";

#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) shared: Arc<Shared>,
    pub(crate) name: RepositoryName,
    /// Whether the right to push is asked for with the right to pull.
    expects_pushes: Arc<AtomicBool>,
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>, name: RepositoryName) -> Self {
        Self {
            shared,
            name,
            expects_pushes: Arc::default(),
        }
    }

    /// Asks for the right to push from now on, where the right to pull would do.
    pub(crate) fn expect_pushes(&self) {
        self.expects_pushes.store(true, Ordering::Release);
    }

    /// Sends a request that looks for something.
    ///
    /// # Errors
    /// - `NotFound` for what is [hidden](Self::hides).
    /// - As [`Transport::send`].
    pub(crate) async fn look(&self, request: Request<'_>) -> Result<Response> {
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

    /// Whether an error says that what was looked for is missing.
    ///
    /// Some registries, such as Artifactory, forbid to look at what does not exist. In a repository that is
    /// about to be pushed to, what is forbidden counts as missing: the push finds out whether it is allowed.
    pub(crate) fn hides(&self, error: &Error) -> bool {
        error.http_status() == Some(403) && self.expects_pushes.load(Ordering::Acquire)
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.shared.transport
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

    /// What a look at the repository needs.
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

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("registry", &self.shared.identity)
            .field("name", &self.name)
            .finish()
    }
}
