//! Image layouts on a local disk, opened as the options say.

use std::sync::Arc;

use crate::location::{LayoutLocation, LayoutRegistryLocation, Location, RegistryLocation};
use futures_util::TryStreamExt as _;
use tranship::{Error, ErrorKind, ListOptions, Registry, Repository, RepositoryName, Result};
use tranship_layout::{Layout, LayoutOptions, LayoutRegistry};

use crate::OpenOptions;
#[cfg(feature = "archive")]
use crate::archives;
#[cfg(feature = "objects")]
use crate::object_layouts;

pub(crate) async fn open(
    location: &LayoutLocation,
    options: &OpenOptions,
) -> Result<Arc<dyn Repository>> {
    let path = location.path();
    Ok(Arc::new(if options.must_exist {
        Layout::open_with(path, of_layout(options)).await?
    } else {
        Layout::create_with(path, of_layout(options)).await?
    }))
}

pub(crate) async fn open_unchecked(location: &Location, options: &OpenOptions) -> Result<Layout> {
    match location {
        Location::Layout(layout) => Layout::open_unchecked(layout.path(), of_layout(options)).await,
        Location::LayoutRegistry(layout) => {
            let registry = LayoutRegistry::open_with(layout.root(), of_layout(options)).await?;
            registry.layout(layout.repository()).await
        }
        #[cfg(feature = "archive")]
        Location::OciArchive(archive) => archives::open_oci(archive, options).await,
        #[cfg(feature = "archive")]
        Location::DockerArchive(archive) => archives::open_docker(archive, options).await,
        #[cfg(feature = "objects")]
        Location::ObjectLayout(layout) => object_layouts::open_layout(layout, options).await,
        #[cfg(feature = "objects")]
        Location::ObjectLayoutRegistry(layout) => {
            let registry = object_layouts::open_registry(layout.root(), options).await?;
            registry.layout(layout.repository()).await
        }
        _ => Err(not_a_layout()),
    }
}

pub(crate) async fn open_registry(
    location: &RegistryLocation,
    options: &OpenOptions,
) -> Result<LayoutRegistry> {
    match location {
        RegistryLocation::LayoutRegistry(root) => {
            LayoutRegistry::open_with(root.as_path(), of_layout(options)).await
        }
        #[cfg(feature = "objects")]
        RegistryLocation::ObjectLayoutRegistry(root) => {
            let existing = options.clone().with_must_exist(true);
            object_layouts::open_registry(root, &existing).await
        }
        _ => Err(not_a_layout()),
    }
}

fn not_a_layout() -> Error {
    Error::unsupported("is no image layout")
        .with_hint("a registry looks after its own storage; name a layout by oci:PATH")
}

pub(crate) async fn open_one(
    location: &LayoutRegistryLocation,
    options: &OpenOptions,
) -> Result<Arc<dyn Repository>> {
    let registry = open_all(location.root(), options).await?;
    repository(&*registry, location.repository(), options).await
}

/// One of the repositories of a registry, which exists if that is asked for.
pub(crate) async fn repository(
    registry: &dyn Registry,
    name: &RepositoryName,
    options: &OpenOptions,
) -> Result<Arc<dyn Repository>> {
    if options.must_exist && !is_listed(registry, name).await? {
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
        LayoutRegistry::open_with(root, of_layout(options)).await?
    } else {
        LayoutRegistry::create_with(root, of_layout(options)).await?
    }))
}

pub(crate) fn of_layout(options: &OpenOptions) -> LayoutOptions {
    let mut layout = LayoutOptions::default()
        .with_durability(options.durability)
        .with_unconditional_put(options.unconditional_put);
    layout.follow_links.clone_from(&options.follow_links);
    if let Some(bytes) = options.max_unpacked_size {
        layout = layout.with_max_unpacked_size(bytes);
    }
    layout
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
