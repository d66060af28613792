//! An object store, and what all layouts in it share.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    GetOptions, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions,
    PutPayload, PutResult, UpdateVersion,
};
use tranship::{Body, Capabilities, DirectUrl, Error, ErrorKind, Result};

use super::conditional_put::ConditionalPut;
use super::errors::{failed, is_not_offered, names_missing_bucket, not_written};
use super::memory_budget::MemoryBudget;
use super::store_url::StoreUrl;
use crate::options::LayoutOptions;
use crate::url_signer::UrlSigner;

/// A store. Its methods return the errors of this crate.
pub(super) struct Bucket {
    store: Arc<dyn ObjectStore>,
    url: StoreUrl,
    pub(super) memory: MemoryBudget,
    conditional_put: ConditionalPut,
    signer: Option<UrlSigner>,
}

impl Bucket {
    pub(super) fn new(store: Arc<dyn ObjectStore>, options: &LayoutOptions) -> Self {
        Self {
            url: StoreUrl::new(&*store),
            store,
            memory: MemoryBudget::new(options.upload_memory),
            conditional_put: ConditionalPut::new(options.unconditional_put),
            signer: options.signer.clone(),
        }
    }

    pub(super) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    pub(super) fn url(&self) -> &StoreUrl {
        &self.url
    }

    /// Returns what the store can do, as far as that is known.
    pub(super) fn capabilities(&self) -> Capabilities {
        let write = self.conditional_put.write_support();
        Capabilities::all()
            .with_push(write)
            .with_mount(write)
            .with_uploads(write)
            .with_untag(write)
            .with_delete_manifests(write)
    }

    /// Returns whether writes of the index must have conditions. `probe` is the key of an object that does not exist.
    ///
    /// # Errors
    /// `Unsupported` if the store has no conditional PUT and needs it.
    pub(super) async fn requires_conditions(&self, probe: &Path) -> Result<bool> {
        let required = self
            .conditional_put
            .is_required(&*self.store, &self.url, probe);
        required.await
    }

    /// Returns whether conditions are known to have been part of all writes that need them. This sends no request.
    pub(super) fn has_only_conditional_writers(&self) -> bool {
        !self.conditional_put.is_optional() || self.conditional_put.is_supported()
    }

    /// Gets an object; returns `None` if it does not exist.
    pub(super) async fn get(&self, key: &Path, options: GetOptions) -> Result<Option<GetResult>> {
        match self.store.get_opts(key, options).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if self.is_absent(&error) => Ok(None),
            Err(error) => Err(failed(&self.url, "read", key, error)),
        }
    }

    /// Gets an object, unless it still has the ETag `e_tag`.
    pub(super) async fn get_if_changed(
        &self,
        key: &Path,
        e_tag: Option<String>,
    ) -> Result<ConditionalGet> {
        let known = e_tag.clone();
        let options = GetOptions::default().with_if_none_match(e_tag);
        match self.store.get_opts(key, options).await {
            // Not every store supports the condition.
            Ok(found) if known.is_some() && found.meta.e_tag == known => {
                Ok(ConditionalGet::NotModified)
            }
            Ok(found) => Ok(ConditionalGet::Found(found)),
            Err(object_store::Error::NotModified { .. }) => Ok(ConditionalGet::NotModified),
            Err(error) if self.is_absent(&error) => Ok(ConditionalGet::Absent),
            Err(error) => Err(failed(&self.url, "read", key, error)),
        }
    }

    /// Returns the metadata of an object; `None` if it does not exist.
    pub(super) async fn head(&self, key: &Path) -> Result<Option<ObjectMeta>> {
        match self.store.head(key).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if self.is_absent(&error) => Ok(None),
            Err(error) => Err(failed(&self.url, "inspected", key, error)),
        }
    }

    /// Returns a URL for a GET of an object; `None` without a signer.
    pub(super) async fn direct_url(
        &self,
        key: &Path,
        valid_for: Duration,
    ) -> Result<Option<DirectUrl>> {
        let Some(signer) = &self.signer else {
            return Ok(None);
        };
        match signer.sign(key, valid_for).await {
            Ok(url) => Ok(Some(DirectUrl::new(url))),
            Err(error) => Err(failed(&self.url, "given a signed URL", key, error)),
        }
    }

    /// Writes an object, over an existing one.
    pub(super) async fn put(&self, key: &Path, payload: PutPayload) -> Result<PutResult> {
        let put = self.store.put(key, payload).await;
        put.map_err(|error| not_written(&self.url, key, error))
    }

    /// Writes an object if the condition of `mode` holds; returns `None` if it does not.
    pub(super) async fn put_if(
        &self,
        key: &Path,
        payload: PutPayload,
        mode: PutMode,
    ) -> Result<Option<PutResult>> {
        use object_store::Error as E;

        match self
            .store
            .put_opts(key, payload, PutOptions::from(mode))
            .await
        {
            Ok(put) => Ok(Some(put)),
            // A store may report a missing bucket as a condition that does not hold.
            Err(error) if names_missing_bucket(&error) => Err(not_written(&self.url, key, error)),
            Err(E::Precondition { .. } | E::AlreadyExists { .. } | E::NotModified { .. }) => {
                Ok(None)
            }
            Err(error) => Err(not_written(&self.url, key, error)),
        }
    }

    /// Writes a small object if the condition of `mode` holds, and returns its version; `None` if the condition does not
    /// hold. Writers must not write the same content.
    pub(super) async fn replace(
        &self,
        key: &Path,
        content: &Bytes,
        mode: PutMode,
    ) -> Result<Option<UpdateVersion>> {
        let is_conditional = mode != PutMode::Overwrite;
        let put = self.put_if(key, content.clone().into(), mode).await?;
        if let Some(PutResult { e_tag, version, .. }) = put {
            return Ok(Some(UpdateVersion { e_tag, version }));
        }
        if !is_conditional {
            return Ok(None);
        }
        // The client repeats a request whose response was lost. The repeated one fails because the first one succeeded.
        let Some(found) = self.get(key, GetOptions::default()).await? else {
            return Ok(None);
        };
        let at = version_of(&found.meta);
        if found.meta.size != content.len() as u64 {
            return Ok(None);
        }
        let is_ours = self.content(key, found, content.len() as u64).await? == *content;
        Ok(is_ours.then_some(at))
    }

    /// Creates an object; returns `false` if it exists.
    pub(super) async fn create(&self, key: &Path, payload: PutPayload) -> Result<bool> {
        let result = self
            .store
            .put_opts(key, payload.clone(), PutOptions::from(PutMode::Create))
            .await;
        match result {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) if is_not_offered(&error) && self.conditional_put.is_optional() => {
                if self.head(key).await?.is_some() {
                    return Ok(false);
                }
                self.put(key, payload).await.map(|_| true)
            }
            Err(error) => Err(not_written(&self.url, key, error)),
        }
    }

    /// Deletes an object, if it exists.
    pub(super) async fn delete(&self, key: &Path) -> Result<()> {
        match self.store.delete(key).await {
            Ok(()) => Ok(()),
            Err(error) if self.is_absent(&error) => Ok(()),
            Err(error) => Err(failed(&self.url, "removed", key, error)),
        }
    }

    /// Reads the object `found` to its end.
    ///
    /// # Errors
    /// `SizeExceedsLimit` before anything is read if it has more than `limit` bytes.
    pub(super) async fn content(&self, key: &Path, found: GetResult, limit: u64) -> Result<Bytes> {
        let check = |size: u64| {
            if size <= limit {
                return Ok(());
            }
            Err(Error::new(
                ErrorKind::SizeExceedsLimit,
                format!("is {size} bytes, more than the limit of {limit}"),
            ))
        };
        check(found.meta.size)?;
        let mut stream = found.into_stream();
        let mut content = BytesMut::new();
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|error| failed(&self.url, "read", key, error))?;
            check((content.len() + piece.len()) as u64)?;
            content.extend_from_slice(&piece);
        }
        Ok(content.freeze())
    }

    /// Returns the content of an object as a body.
    pub(super) fn body(&self, key: Path, found: GetResult) -> Body {
        let url = self.url.clone();
        let pieces = found
            .into_stream()
            .map_err(move |error| failed(&url, "read", &key, error));
        Body::from_stream(pieces.boxed())
    }

    fn is_absent(&self, error: &object_store::Error) -> bool {
        matches!(error, object_store::Error::NotFound { .. }) && !names_missing_bucket(error)
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The `Debug` text of a store may have its credentials.
        f.debug_struct("Bucket")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

pub(super) fn version_of(found: &ObjectMeta) -> UpdateVersion {
    UpdateVersion {
        e_tag: found.e_tag.clone(),
        version: found.version.clone(),
    }
}

/// The result of a GET with a condition.
pub(super) enum ConditionalGet {
    NotModified,
    Found(GetResult),
    Absent,
}
