//! Layouts on object stores: how they are opened.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;
use tranship::{Error, ErrorKind, RegistryIdentity, Result};

use crate::driver::Driver;
use crate::driver::object::{Object, ObjectRegistry};
use crate::layout::{Layout, name_of};
use crate::options::LayoutOptions;
use crate::registry::LayoutRegistry;
use crate::store::Store;

/// # On object stores
///
/// With the feature `object-store` of this crate. A layout on a store is the objects
/// `<prefix>/oci-layout`, `<prefix>/index.json` and `<prefix>/blobs/…`, and any tool may read it that
/// reads from such a store. A tokio runtime with its timers enabled is needed.
///
/// Any number of processes on any number of machines may write at the same time: `index.json` is
/// replaced on the condition that nobody was faster. Blobs go straight to their keys, large ones in
/// parts, and appear when they are complete and verified. A program that dies on the way leaves parts
/// in the store that nobody sees; let a rule of the bucket remove incomplete uploads after some days.
///
/// Where credentials come from, how often a request is repeated, and timeouts are matters of the store
/// that is handed in.
impl Layout {
    /// Opens the layout below `prefix` of a store.
    ///
    /// Nothing is written, and no more is read than `oci-layout`.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use object_store::memory::InMemory;
    /// use tranship::{Repository, Result};
    /// use tranship_layout::{Layout, LayoutOptions};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<()> {
    /// let store = Arc::new(InMemory::new());
    /// let layout = Layout::create_in(store.clone(), "team/app", LayoutOptions::default()).await?;
    /// assert_eq!(layout.name().as_str(), "app");
    /// // There is no layout before something is pushed.
    /// let opened = Layout::open_in(store, "team/app", LayoutOptions::default()).await;
    /// assert!(opened.is_err_and(|error| error.is_not_found()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - [`NotFound`](ErrorKind::NotFound) if there is no layout, or not even the bucket.
    /// - [`UnsupportedVersion`](ErrorKind::UnsupportedVersion) if it has another version than 1.0.0.
    /// - [`Corrupt`](ErrorKind::Corrupt) if `oci-layout` does not say a version.
    /// - [`Unauthorized`](ErrorKind::Unauthorized), [`PermissionDenied`](ErrorKind::PermissionDenied),
    ///   [`Unavailable`](ErrorKind::Unavailable) and what else the store answers.
    pub async fn open_in(
        store: Arc<dyn ObjectStore>,
        prefix: impl Into<Path>,
        options: LayoutOptions,
    ) -> Result<Self> {
        let (layout, location, exists) = layout_in(store, prefix.into(), &options).await?;
        if exists {
            return Ok(layout);
        }
        Err(
            Error::new(ErrorKind::NotFound, "there is no image layout here")
                .with_operation("open")
                .with_subject(location)
                .with_hint("a layout has an object named oci-layout"),
        )
    }

    /// Opens the layout below `prefix` of a store, which need not exist: it comes to be when something
    /// is pushed. The bucket must exist.
    ///
    /// # Errors
    /// As [`open_in`](Self::open_in), but for a layout that does not exist. That the store has no
    /// conditional PUT ([`Unsupported`](ErrorKind::Unsupported), see
    /// [`LayoutOptions::unconditional_put`]) is found out with the first write.
    pub async fn create_in(
        store: Arc<dyn ObjectStore>,
        prefix: impl Into<Path>,
        options: LayoutOptions,
    ) -> Result<Self> {
        let (layout, _, _) = layout_in(store, prefix.into(), &options).await?;
        Ok(layout)
    }
}

async fn layout_in(
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    options: &LayoutOptions,
) -> Result<(Layout, String, bool)> {
    let name = options
        .name
        .clone()
        .unwrap_or_else(|| name_of(prefix.filename().unwrap_or_default()));
    let driver: Arc<dyn Driver> = Arc::new(Object::new(store, prefix, options));
    let location = driver.location();
    let store = Arc::new(Store::new(driver, options));
    let exists = store
        .is_layout()
        .await
        .map_err(|error| error.with_operation("open"))?;
    Ok((Layout::new(name, store, None), location, exists))
}

/// # On object stores
///
/// As single layouts are, with the feature `object-store`. The repository `team/app` is the layout
/// below `<prefix>/team/app`, with the names that mean something else changed as in a directory. A
/// mount is a copy that the store makes by itself.
impl LayoutRegistry {
    /// Opens what is below `prefix` of a store. The options hold for every repository, except the
    /// name.
    ///
    /// # Errors
    /// - [`NotFound`](ErrorKind::NotFound) if there is nothing below the prefix, or no such bucket.
    /// - What else the store answers, as for [`Layout::open_in`].
    pub async fn open_in(
        store: Arc<dyn ObjectStore>,
        prefix: impl Into<Path>,
        options: LayoutOptions,
    ) -> Result<Self> {
        let (registry, location, exists) = registry_in(store, prefix.into(), options).await?;
        if exists {
            return Ok(registry);
        }
        Err(
            Error::new(ErrorKind::NotFound, "there is nothing below this prefix")
                .with_operation("open")
                .with_subject(location),
        )
    }

    /// Opens what is below `prefix` of a store, and need not be anything. The bucket must exist.
    ///
    /// # Errors
    /// As [`open_in`](Self::open_in), but for a prefix that nothing is below.
    pub async fn create_in(
        store: Arc<dyn ObjectStore>,
        prefix: impl Into<Path>,
        options: LayoutOptions,
    ) -> Result<Self> {
        let (registry, _, _) = registry_in(store, prefix.into(), options).await?;
        Ok(registry)
    }
}

async fn registry_in(
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    options: LayoutOptions,
) -> Result<(LayoutRegistry, String, bool)> {
    // Two stores in memory have the same name, and nothing else in common.
    let is_nameless = store.to_string() == "InMemory";
    let address = is_nameless.then(|| format!("@{:p}", Arc::as_ptr(&store)));
    let driver = ObjectRegistry::new(store, prefix, &options);
    let location = driver.location();
    let identity = format!("layouts:{location}{}", address.unwrap_or_default());
    let exists = driver
        .exists()
        .await
        .map_err(|error| error.with_operation("open"))?;
    let registry = LayoutRegistry::over(RegistryIdentity::new(identity), Arc::new(driver), options);
    Ok((registry, location, exists))
}
