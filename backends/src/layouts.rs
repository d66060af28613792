//! Image layouts on a local disk, opened as the options say.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use tranship::{
    Error, ErrorKind, LayoutLocation, LayoutRegistryLocation, ListOptions, Registry, Repository,
    RepositoryName, Result,
};
use tranship_layout::{Layout, LayoutRegistry};

use crate::OpenOptions;

pub(crate) async fn open(
    location: &LayoutLocation,
    options: &OpenOptions,
) -> Result<Arc<dyn Repository>> {
    let path = location.path();
    Ok(Arc::new(if options.must_exist {
        Layout::open(path).await?
    } else {
        Layout::create(path).await?
    }))
}

pub(crate) async fn open_one(
    location: &LayoutRegistryLocation,
    options: &OpenOptions,
) -> Result<Arc<dyn Repository>> {
    let registry = open_all(location.root(), options).await?;
    let name = location.repository();
    if options.must_exist && !is_listed(&*registry, name).await? {
        return Err(Error::new(
            ErrorKind::NotFound,
            "there is no such repository",
        ));
    }
    registry.repository(name).await
}

pub(crate) async fn open_all(
    root: impl AsRef<std::path::Path>,
    options: &OpenOptions,
) -> Result<Arc<dyn Registry>> {
    let root = root.as_ref();
    Ok(Arc::new(if options.must_exist {
        LayoutRegistry::open(root).await?
    } else {
        LayoutRegistry::create(root).await?
    }))
}

async fn is_listed(registry: &dyn Registry, name: &RepositoryName) -> Result<bool> {
    let options = ListOptions::default()
        .with_last(just_before(name))
        .with_page_size(1);
    let next = registry.repositories(options).try_next().await?;
    Ok(next.as_ref() == Some(name))
}

/// Text that is before `name` in ASCII order, with no other name in between.
fn just_before(name: &RepositoryName) -> String {
    let mut text = name.as_str().to_owned();
    // A name ends with a letter or a digit, and holds nothing behind `z`.
    if let Some(end) = text.pop() {
        text.push(char::from_u32(u32::from(end) - 1).unwrap_or_default());
        text.push('\u{7f}');
    }
    text
}
