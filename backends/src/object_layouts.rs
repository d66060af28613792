//! Opens image layouts in object stores.

use std::sync::Arc;

use object_store::path::Path;
use tranship::{Error, ErrorKind, Repository, Result, ResultExt as _};
use tranship_layout::{Layout, LayoutOptions, LayoutRegistry, ObjectWriter, UrlSigner};

use crate::existing_repository::repository;
use crate::location::{ObjectLayoutLocation, ObjectLayoutRegistryLocation, ObjectStoreUrl};
use crate::object_stores::{self, BuiltStore};
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
    let (built, prefix) = open_store(location.url(), options)?;
    let layout = layout_options(&built, options);
    if options.must_exist {
        Layout::open_in(built.store, prefix, layout).await
    } else {
        Layout::create_in(built.store, prefix, layout).await
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
    let (built, prefix) = open_store(root, options)?;
    let layout = layout_options(&built, options);
    if options.must_exist {
        LayoutRegistry::open_in(built.store, prefix, layout).await
    } else {
        LayoutRegistry::create_in(built.store, prefix, layout).await
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
    let (built, key) = open_store(url, options).during("open", url)?;
    if key.as_ref().is_empty() {
        return Err(
            Error::new(ErrorKind::InvalidInput, "the name of the object is missing")
                .with_subject(url)
                .with_hint("write for example s3://bucket/bundle.tar"),
        );
    }
    ObjectWriter::create(built.store, key, size).await
}

/// Returns the options of a layout in the store.
fn layout_options(built: &BuiltStore, options: &OpenOptions) -> LayoutOptions {
    let layout = options.layout();
    match &built.signer {
        Some(signer) => layout.with_signer(UrlSigner::new(Arc::clone(signer))),
        None => layout,
    }
}

fn open_store(url: &ObjectStoreUrl, options: &OpenOptions) -> Result<(BuiltStore, Path)> {
    let endpoint = options.direct_endpoint.as_deref();
    object_stores::open(url.as_str(), &options.store_options, endpoint)
}
