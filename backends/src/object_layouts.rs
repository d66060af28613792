//! Opens image layouts in object stores.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;
use tranship::{Error, ErrorKind, Repository, Result, ResultExt as _};
use tranship_layout::{Layout, LayoutRegistry, ObjectWriter};

use crate::existing_repository::repository;
use crate::location::{ObjectLayoutLocation, ObjectLayoutRegistryLocation, ObjectStoreUrl};
use crate::object_stores;
use crate::options::OpenOptions;

pub(crate) async fn open(
    location: &ObjectLayoutLocation,
    options: &OpenOptions,
) -> Result<Arc<dyn Repository>> {
    Ok(Arc::new(open_layout(location, options).await?))
}

pub(crate) async fn open_layout(
    location: &ObjectLayoutLocation,
    options: &OpenOptions,
) -> Result<Layout> {
    let (store, prefix) = open_store(location.url(), options)?;
    if options.must_exist {
        Layout::open_in(store, prefix, options.layout()).await
    } else {
        Layout::create_in(store, prefix, options.layout()).await
    }
}

pub(crate) async fn open_one(
    location: &ObjectLayoutRegistryLocation,
    options: &OpenOptions,
) -> Result<Arc<dyn Repository>> {
    let registry = open_registry(location.root(), options).await?;
    repository(&registry, location.repository(), options).await
}

pub(crate) async fn open_registry(
    root: &ObjectStoreUrl,
    options: &OpenOptions,
) -> Result<LayoutRegistry> {
    let (store, prefix) = open_store(root, options)?;
    if options.must_exist {
        LayoutRegistry::open_in(store, prefix, options.layout()).await
    } else {
        LayoutRegistry::create_in(store, prefix, options.layout()).await
    }
}

/// Begins one object of an object store, such as an archive, which will have `size` bytes.
///
/// # Errors
/// - [`InvalidInput`](tranship::ErrorKind::InvalidInput) if the URL names no object, or a setting is not valid.
/// - [`Unsupported`](tranship::ErrorKind::Unsupported) if the feature of the store is not enabled.
/// - As [`ObjectWriter::create`].
pub async fn create_object(
    url: &ObjectStoreUrl,
    size: u64,
    options: &OpenOptions,
) -> Result<ObjectWriter> {
    let (store, key) = open_store(url, options).during("open", url)?;
    if key.as_ref().is_empty() {
        return Err(
            Error::new(ErrorKind::InvalidInput, "the name of the object is missing")
                .with_subject(url)
                .with_hint("write for example s3://bucket/bundle.tar"),
        );
    }
    ObjectWriter::create(store, key, size).await
}

fn open_store(url: &ObjectStoreUrl, options: &OpenOptions) -> Result<(Arc<dyn ObjectStore>, Path)> {
    object_stores::open(url.as_str(), &options.store_options)
}
