//! Image layouts in object stores, opened as the options say.

use std::sync::Arc;

use crate::location::{ObjectLayoutLocation, ObjectLayoutRegistryLocation, ObjectStoreUrl};
use tranship::{Repository, Result};
use tranship_layout::{Layout, LayoutRegistry};

use crate::OpenOptions;
use crate::layouts::{of_layout, repository};
use crate::objects::{self, Place};

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
    let (store, prefix) = place(location.url(), options)?;
    if options.must_exist {
        Layout::open_in(store, prefix, of_layout(options)).await
    } else {
        Layout::create_in(store, prefix, of_layout(options)).await
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
    let (store, prefix) = place(root, options)?;
    if options.must_exist {
        LayoutRegistry::open_in(store, prefix, of_layout(options)).await
    } else {
        LayoutRegistry::create_in(store, prefix, of_layout(options)).await
    }
}

fn place(url: &ObjectStoreUrl, options: &OpenOptions) -> Result<Place> {
    objects::open(url.as_str(), &options.store_options)
}
