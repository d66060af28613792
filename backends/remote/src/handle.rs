//! One repository of a registry, as its parts share it: where it is, and what was learned of it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use http::StatusCode;
use tranship::{
    Capabilities, Digest, Error, ErrorKind, RegistryIdentity, RepositoryName, Result, Support,
};
use url::Url;

use crate::auth::{Scope, Scopes};
use crate::options::{ReferrersMode, RemoteOptions};
use crate::referrers::Updates;
use crate::transport::{Answer, Request, Transport, failure};

/// What all repositories of a registry share.
pub(crate) struct Shared {
    pub(crate) transport: Transport,
    pub(crate) identity: RegistryIdentity,
    pub(crate) learned: Learned,
    pub(crate) updates: Updates,
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
    pub(crate) async fn look(&self, request: Request<'_>) -> Result<Answer> {
        let answer = self.transport().send(request).await?;
        if answer.status() != StatusCode::FORBIDDEN {
            return Ok(answer);
        }
        let error = answer.into_error().await;
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

    pub(crate) fn learned(&self) -> &Learned {
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

/// What a registry can do, as far as its answers to ordinary requests have told.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    /// Whether blobs can be looked for by `HEAD`.
    pub(crate) blob_head: Fact,
    pub(crate) range: Fact,
    pub(crate) mount: Fact,
    pub(crate) anonymous_mount: Fact,
    pub(crate) referrers: Fact,
    pub(crate) delete_blobs: Fact,
    pub(crate) delete_manifests: Fact,
    pub(crate) untag: Fact,
    pub(crate) catalog: Fact,
    /// Whether one `PUT` of a manifest sets several tags.
    pub(crate) tag_parameters: Fact,
    /// How large the body of a request may be.
    pub(crate) body_limit: Limit,
}

impl Learned {
    /// Nothing is known yet but what the options say.
    pub(crate) fn new(options: &RemoteOptions) -> Self {
        Self {
            referrers: match options.referrers {
                ReferrersMode::Detect => Fact::default(),
                ReferrersMode::Api => Fact::fixed(true),
                ReferrersMode::TagScheme => Fact::fixed(false),
            },
            ..Self::default()
        }
    }

    pub(crate) fn capabilities(&self) -> Capabilities {
        let refused = |what| move |yes| if yes { Support::Yes } else { Support::No(what) };
        let told = |fact: &Fact, what| fact.get().map_or(Support::Unknown, refused(what));
        Capabilities::unknown()
            .with_push(Support::Yes)
            .with_uploads(Support::Yes)
            // Where the API is missing, the tags that stand in for it are read and maintained.
            .with_referrers(Support::Yes)
            .with_range(told(
                &self.range,
                "the registry answers with the whole blob",
            ))
            .with_mount(told(&self.mount, "the registry does not mount"))
            .with_delete_blobs(told(
                &self.delete_blobs,
                "the registry does not delete blobs",
            ))
            .with_delete_manifests(told(
                &self.delete_manifests,
                "the registry does not delete manifests",
            ))
            .with_untag(told(&self.untag, "the registry does not remove tags"))
            .with_catalog(told(&self.catalog, "the registry has no catalog"))
    }
}

/// The largest body that a request is sent with, once larger ones were refused.
#[derive(Debug)]
pub(crate) struct Limit(AtomicU64);

impl Default for Limit {
    fn default() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }
}

impl Limit {
    /// The limit in bytes; `u64::MAX` for none.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn lower_to(&self, bytes: u64) {
        self.0.fetch_min(bytes, Ordering::AcqRel);
    }
}

/// Yes, no, or not known yet. The first answer stays, so that one that was a slip does not.
#[derive(Debug, Default)]
pub(crate) struct Fact {
    state: AtomicU8,
    is_fixed: bool,
}

impl Fact {
    const UNKNOWN: u8 = 0;
    const NO: u8 = 1;
    const YES: u8 = 2;

    /// What an option says, whatever is learned.
    pub(crate) fn fixed(yes: bool) -> Self {
        Self {
            state: AtomicU8::new(if yes { Self::YES } else { Self::NO }),
            is_fixed: true,
        }
    }

    /// Whether an option has decided it.
    pub(crate) fn is_fixed(&self) -> bool {
        self.is_fixed
    }

    pub(crate) fn get(&self) -> Option<bool> {
        match self.state.load(Ordering::Acquire) {
            Self::UNKNOWN => None,
            known => Some(known == Self::YES),
        }
    }

    /// What worked once works, whatever was thought before; what did not may have had other reasons.
    pub(crate) fn learn(&self, yes: bool) {
        if self.is_fixed {
            return;
        }
        if yes {
            self.state.store(Self::YES, Ordering::Release);
        } else {
            let unknown = Self::UNKNOWN;
            let _ =
                self.state
                    .compare_exchange(unknown, Self::NO, Ordering::AcqRel, Ordering::Acquire);
        }
    }

    pub(crate) fn is_no(&self) -> bool {
        self.get() == Some(false)
    }

    pub(crate) fn is_yes(&self) -> bool {
        self.get() == Some(true)
    }
}
