//! Opens image layouts on a local disk.

use std::path::Path;
use std::sync::Arc;

use tranship::{Registry, Repository, Result};
use tranship_layout::{Layout, LayoutRegistry};

use crate::existing_repository::repository;
use crate::location::{LayoutLocation, LayoutRegistryLocation};
use crate::options::OpenOptions;

pub(crate) async fn open(
    location: &LayoutLocation,
    options: &OpenOptions,
) -> Result<Arc<dyn Repository>> {
    let path = location.path();
    Ok(Arc::new(if options.must_exist {
        Layout::open_with(path, options.layout()).await?
    } else {
        Layout::create_with(path, options.layout()).await?
    }))
}

pub(crate) async fn open_one(
    location: &LayoutRegistryLocation,
    options: &OpenOptions,
) -> Result<Arc<dyn Repository>> {
    let registry = open_all(location.root(), options).await?;
    repository(&*registry, location.repository(), options).await
}

pub(crate) async fn open_all(
    root: impl AsRef<Path>,
    options: &OpenOptions,
) -> Result<Arc<dyn Registry>> {
    let root = root.as_ref();
    Ok(Arc::new(if options.must_exist {
        LayoutRegistry::open_with(root, options.layout()).await?
    } else {
        LayoutRegistry::create_with(root, options.layout()).await?
    }))
}
