//! Whether a store has conditional PUT, without which writers could lose each other's changes.

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, UpdateVersion};
use tokio::sync::OnceCell;
use tranship::{Error, Result, Support};

use super::errors::{failed, is_not_offered, names_missing_bucket, not_written};
use super::store_url::StoreUrl;

/// Whether a store has conditional PUT, which is asked once.
#[derive(Debug)]
pub(super) struct ConditionalPut {
    /// Whether the caller makes sure that there is only one writer.
    is_optional: bool,
    is_supported: OnceCell<bool>,
}

impl ConditionalPut {
    pub(super) fn new(is_optional: bool) -> Self {
        Self {
            is_optional,
            is_supported: OnceCell::new(),
        }
    }

    /// Returns whether an object may be written without a condition if the store has none.
    pub(super) fn is_optional(&self) -> bool {
        self.is_optional
    }

    /// Returns whether the store is known to have conditional PUT.
    pub(super) fn is_supported(&self) -> bool {
        self.is_supported.get() == Some(&true)
    }

    /// Returns whether the store can be written to, as far as that is known.
    pub(super) fn write_support(&self) -> Support {
        match self.is_supported.get() {
            Some(false) if !self.is_optional => Support::No("the store has no conditional PUT"),
            Some(_) => Support::Yes,
            None => Support::Unknown,
        }
    }

    /// Returns whether writes must have conditions. The first call asks the store to replace an object, `key`, that does
    /// not exist. A store that does so ignores the condition.
    ///
    /// # Errors
    /// `Unsupported` if the store has no conditional PUT and needs it.
    pub(super) async fn is_required(
        &self,
        store: &dyn ObjectStore,
        url: &StoreUrl,
        key: &Path,
    ) -> Result<bool> {
        let is_supported = self.is_supported.get_or_try_init(|| probe(store, url, key));
        if *is_supported.await? {
            return Ok(true);
        }
        if self.is_optional {
            return Ok(false);
        }
        Err(Error::unsupported(
            "the store has no conditional PUT, so writers could undo each other's changes",
        )
        .with_subject(url)
        .with_hint(
            "if no other process writes to it, allow that with LayoutOptions::with_unconditional_put",
        ))
    }
}

async fn probe(store: &dyn ObjectStore, url: &StoreUrl, key: &Path) -> Result<bool> {
    use object_store::Error as E;

    let version = UpdateVersion {
        e_tag: Some("\"00000000000000000000000000000000\"".to_owned()),
        version: Some("1".to_owned()),
    };
    let mode = PutOptions::from(PutMode::Update(version));
    match store.put_opts(key, "".into(), mode).await {
        Ok(_) => match store.delete(key).await {
            Ok(()) | Err(E::NotFound { .. }) => Ok(false),
            Err(error) => Err(failed(url, "removed", key, error)),
        },
        Err(error) if is_not_offered(&error) => Ok(false),
        Err(error) if names_missing_bucket(&error) => Err(not_written(url, key, error)),
        Err(
            E::Precondition { .. }
            | E::AlreadyExists { .. }
            | E::NotModified { .. }
            | E::NotFound { .. },
        ) => Ok(true),
        Err(error) => Err(not_written(url, key, error)),
    }
}
