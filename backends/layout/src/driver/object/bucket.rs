//! An object store, and what all layouts in it share.

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use object_store::path::Path;
use object_store::{
    GetOptions, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions,
    PutPayload, PutResult,
};
use tokio::sync::OnceCell;
use tranship::{Capabilities, Error, ErrorKind, Result, Support};

use super::conditions::{Conditions, REFUSED};
use super::failure::{failed, is_not_offered, names_missing_bucket, not_written, redact};
use super::memory::Memory;
use crate::options::LayoutOptions;

/// A store. Every error of it leaves here as one of ours.
pub(super) struct Bucket {
    store: Arc<dyn ObjectStore>,
    url: String,
    pub(super) memory: Memory,
    /// Whether the user takes care that there is one writer only.
    pub(super) may_go_without_conditions: bool,
    pub(super) conditions: OnceCell<Conditions>,
}

impl Bucket {
    pub(super) fn new(store: Arc<dyn ObjectStore>, options: &LayoutOptions) -> Self {
        Self {
            url: url_of(&store.to_string()),
            store,
            memory: Memory::new(options.upload_memory),
            may_go_without_conditions: options.unconditional_put,
            conditions: OnceCell::new(),
        }
    }

    pub(super) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// Which store this is, for people.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The object `key`, for people.
    pub(super) fn url_of(&self, key: &Path) -> String {
        format!("{}/{key}", self.url)
    }

    /// What can be done as far as the store has been asked.
    pub(super) fn capabilities(&self) -> Capabilities {
        let write = match self.conditions.get() {
            Some(Conditions::Missing) if !self.may_go_without_conditions => Support::No(REFUSED),
            Some(_) => Support::Yes,
            None => Support::Unknown,
        };
        Capabilities::all()
            .with_push(write)
            .with_mount(write)
            .with_uploads(write)
            .with_untag(write)
            .with_delete_manifests(write)
    }

    /// Gets an object; `None` if there is none.
    pub(super) async fn get(&self, key: &Path, options: GetOptions) -> Result<Option<GetResult>> {
        match self.store.get_opts(key, options).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if self.is_absent(&error) => Ok(None),
            Err(error) => Err(failed(self, "read", key, error)),
        }
    }

    /// Gets an object unless it still is as `e_tag` says.
    pub(super) async fn get_changed(&self, key: &Path, e_tag: Option<String>) -> Result<Changed> {
        let known = e_tag.clone();
        let options = GetOptions::default().with_if_none_match(e_tag);
        match self.store.get_opts(key, options).await {
            // Not every store looks at the condition.
            Ok(found) if known.is_some() && found.meta.e_tag == known => Ok(Changed::No),
            Ok(found) => Ok(Changed::Yes(found)),
            Err(object_store::Error::NotModified { .. }) => Ok(Changed::No),
            Err(error) if self.is_absent(&error) => Ok(Changed::Absent),
            Err(error) => Err(failed(self, "read", key, error)),
        }
    }

    /// What there is to know of an object without reading it; `None` if there is none.
    pub(super) async fn head(&self, key: &Path) -> Result<Option<ObjectMeta>> {
        match self.store.head(key).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if self.is_absent(&error) => Ok(None),
            Err(error) => Err(failed(self, "inspected", key, error)),
        }
    }

    /// Writes an object, whatever there is.
    pub(super) async fn put(&self, key: &Path, payload: PutPayload) -> Result<PutResult> {
        let put = self.store.put(key, payload).await;
        put.map_err(|error| not_written(self, key, error))
    }

    /// Writes an object if the condition of `mode` holds; `None` if it does not.
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
            // A store may hide behind a failed condition that it has no such bucket.
            Err(error) if names_missing_bucket(&error) => Err(not_written(self, key, error)),
            Err(E::Precondition { .. } | E::AlreadyExists { .. } | E::NotModified { .. }) => {
                Ok(None)
            }
            Err(error) => Err(not_written(self, key, error)),
        }
    }

    /// Creates an object; `false` if there is one.
    pub(super) async fn create(&self, key: &Path, payload: PutPayload) -> Result<bool> {
        let result = self
            .store
            .put_opts(key, payload.clone(), PutOptions::from(PutMode::Create))
            .await;
        match result {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) if is_not_offered(&error) && self.may_go_without_conditions => {
                if self.head(key).await?.is_some() {
                    return Ok(false);
                }
                self.put(key, payload).await.map(|_| true)
            }
            Err(error) => Err(not_written(self, key, error)),
        }
    }

    /// Removes an object, if it is there.
    pub(super) async fn delete(&self, key: &Path) -> Result<()> {
        match self.store.delete(key).await {
            Ok(()) => Ok(()),
            Err(error) if self.is_absent(&error) => Ok(()),
            Err(error) => Err(failed(self, "removed", key, error)),
        }
    }

    /// Reads what was found to its end.
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
            let piece = piece.map_err(|error| failed(self, "read", key, error))?;
            check((content.len() + piece.len()) as u64)?;
            content.extend_from_slice(&piece);
        }
        Ok(content.freeze())
    }

    fn is_absent(&self, error: &object_store::Error) -> bool {
        matches!(error, object_store::Error::NotFound { .. }) && !names_missing_bucket(error)
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A store of somebody else may print its credentials.
        f.debug_struct("Bucket")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// Whether an object is another one now.
pub(super) enum Changed {
    No,
    Yes(GetResult),
    Absent,
}

/// How people write the store that prints itself as `name`.
fn url_of(name: &str) -> String {
    let inside = |start: &str, end: &str| name.strip_prefix(start)?.strip_suffix(end);
    let azure = inside("MicrosoftAzure { account: ", " }")
        .and_then(|fields| fields.split_once(", container: "));
    if let Some((account, container)) = azure {
        return format!("abfss://{container}@{account}.dfs.core.windows.net");
    }
    if let Some(bucket) = inside("AmazonS3(", ")") {
        return format!("s3://{bucket}");
    }
    if let Some(bucket) = inside("GoogleCloudStorage(", ")") {
        return format!("gs://{bucket}");
    }
    if name == "InMemory" {
        return "memory://".to_owned();
    }
    redact(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_are_called_what_their_users_call_them() {
        for (name, url) in [
            ("AmazonS3(images)", "s3://images"),
            ("GoogleCloudStorage(images)", "gs://images"),
            (
                "MicrosoftAzure { account: me, container: images }",
                "abfss://images@me.dfs.core.windows.net",
            ),
            (
                "Own(https://me:secret@host/?sig=secret)",
                "Own(https://host/",
            ),
        ] {
            assert_eq!(url_of(name), url, "{name}");
        }
    }
}
