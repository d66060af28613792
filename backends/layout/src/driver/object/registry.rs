//! Many layouts below one prefix of an object store.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use tranship::{
    Capabilities, Descriptor, Digest, Error, ErrorKind, ListOptions, Listing, RepositoryName,
    Result, ResultExt as _, Source,
};

use super::bucket::Bucket;
use super::catalog::{Catalog, CatalogNames, Membership};
use super::driver::Object;
use super::errors::{failed, is_not_offered};
use super::keys::layout_prefix;
use super::maintenance_lease::ObjectContender;
use super::put;
use super::recent_blobs::Timestamp;
use super::walk::Walk;
use crate::driver::{Contender, Driver, RegistryDriver, own};
use crate::options::LayoutOptions;

/// How many names are listed at a time, unless the caller asks for another number.
const PAGE: usize = 256;

/// The most that S3 copies with one request, in bytes.
const MAX_COPY: u64 = 5 * 1024 * 1024 * 1024;

/// The longest key of S3 and Google Cloud Storage, in bytes.
const MAX_KEY: usize = 1024;

/// The layouts below one prefix.
#[derive(Debug)]
pub(crate) struct ObjectRegistry {
    bucket: Arc<Bucket>,
    prefix: Path,
    catalog: Arc<Catalog>,
}

impl ObjectRegistry {
    /// Returns the layouts below `prefix`. This sends no request.
    pub(crate) fn new(store: Arc<dyn ObjectStore>, prefix: Path, options: &LayoutOptions) -> Self {
        let bucket = Arc::new(Bucket::new(store, options));
        Self {
            catalog: Arc::new(Catalog::new(Arc::clone(&bucket), prefix.clone())),
            bucket,
            prefix,
        }
    }

    /// Returns the URL of the prefix.
    pub(crate) fn location(&self) -> String {
        self.bucket.url().of(&self.prefix)
    }

    /// Returns whether there is an object below the prefix.
    ///
    /// # Errors
    /// `NotFound` if the bucket does not exist.
    pub(crate) async fn exists(&self) -> Result<bool> {
        let mut listed = self.bucket.store().list(Some(&self.prefix));
        let first = listed.next().await.transpose();
        let first =
            first.map_err(|error| failed(self.bucket.url(), "listed", &self.prefix, error))?;
        // An empty bucket is a registry without repositories.
        Ok(first.is_some() || self.prefix.is_root())
    }

    fn object(&self, name: &RepositoryName) -> Result<Object> {
        let prefix = layout_prefix(&self.prefix, name);
        let membership = Membership::new(Arc::clone(&self.catalog), name.clone());
        let layout = Object::within(Arc::clone(&self.bucket), prefix, Some(membership));
        let longest = tranship::Algorithm::Sha512.digest(b"");
        if layout.layout.keys.blob(&longest).as_ref().len() > MAX_KEY {
            let why = "the name is too long for the keys of a store";
            return Err(Error::new(ErrorKind::InvalidReference, why).with_subject(name));
        }
        Ok(layout)
    }

    /// Starts a listing of the names after `last`.
    async fn open_names(&self, last: Option<String>) -> Result<Names> {
        if let Some(catalog) = self.catalog.names_after(last.as_deref()).await {
            return Ok(Names::Catalog(catalog));
        }
        let walk = Walk::new(&self.bucket, &self.prefix, last).await?;
        Ok(Names::Walk(walk))
    }

    /// Asks the store to copy a blob; returns `None` if it cannot.
    async fn copy(&self, target: &Descriptor, from: &Object, to: &Object) -> Result<Option<bool>> {
        let digest: &Digest = target.digest();
        let (source, destination) = (from.layout.keys.blob(digest), to.layout.keys.blob(digest));
        match self.bucket.head(&source).await? {
            Some(found) if found.size == target.size() => {}
            _ => return Ok(Some(false)),
        }
        to.layout.prepare().await?;
        let began = Timestamp::now();
        match self.bucket.store().copy(&source, &destination).await {
            Ok(()) => {
                to.layout.blob_stored(digest, began).await?;
                Ok(Some(true))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(Some(false)),
            Err(error) if is_not_offered(&error) || target.size() > MAX_COPY => Ok(None),
            Err(error) => Err(failed(self.bucket.url(), "copied", &source, error)),
        }
    }
}

/// A listing of names, by one object or by a request for each repository.
enum Names {
    Catalog(CatalogNames),
    Walk(Walk),
}

impl Names {
    /// Returns the next names: `count`, or fewer at the end.
    async fn next(&mut self, count: usize) -> Result<Vec<RepositoryName>> {
        match self {
            Self::Catalog(names) => Ok(names.by_ref().take(count).collect()),
            Self::Walk(walk) => walk.next(count).await,
        }
    }
}

#[async_trait]
impl RegistryDriver for ObjectRegistry {
    fn capabilities(&self) -> Capabilities {
        self.bucket.capabilities()
    }

    async fn layout(&self, name: &RepositoryName) -> Result<Arc<dyn Driver>> {
        Ok(Arc::new(self.object(name).during("open", name)?))
    }

    fn names(&self, options: ListOptions) -> Listing<'_, RepositoryName> {
        enum State {
            Start(Option<String>),
            Open(Names),
            End,
        }
        let page = options.page_size.filter(|size| *size > 0).unwrap_or(PAGE);
        let pages = stream::try_unfold(State::Start(options.last), move |state| async move {
            let step = async {
                let mut source = match state {
                    State::Start(last) => self.open_names(last).await?,
                    State::Open(source) => source,
                    State::End => return Ok(None),
                };
                let names = source.next(page).await?;
                let rest = if names.len() == page {
                    State::Open(source)
                } else {
                    State::End
                };
                Ok(Some((stream::iter(names).map(Ok), rest)))
            };
            step.await
                .map_err(|error: Error| error.with_operation("list repositories"))
        });
        Box::pin(pages.try_flatten())
    }

    async fn mount(&self, target: &Descriptor, from: &dyn Driver, to: &dyn Driver) -> Result<bool> {
        let (Some(from), Some(to)) = (own::<Object>(from), own::<Object>(to)) else {
            return Ok(false);
        };
        if let Some(copied) = self.copy(target, from, to).await? {
            return Ok(copied);
        }
        match from.open_blob(target, 0..target.size()).await {
            Ok(body) => put::put(&to.layout, target, Source::once(body))
                .await
                .map(|()| true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn rebuild_catalog(&self) -> Result<()> {
        let rebuilt = self.catalog.rebuild().await;
        rebuilt.map_err(|error| error.with_operation("rebuild the catalog"))
    }

    fn contender(&self) -> Box<dyn Contender> {
        Box::new(ObjectContender::new(Arc::clone(&self.bucket), &self.prefix))
    }
}
