//! A directory of image layouts as a registry.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use tranship::blocking;
use tranship::{
    Capabilities, Error, ErrorKind, ListOptions, Listing, Registry, RegistryIdentity, Repository,
    RepositoryName, Result,
};

use crate::driver::local::LocalRegistry;
use crate::driver::{Driver, LeftoverKind, OCI_LAYOUT, RegistryDriver};
use crate::layout::Layout;
use crate::options::LayoutOptions;
use crate::recent::RecentStores;
use crate::siblings::Siblings;
use crate::store::Store;

/// A directory of image layouts, as a registry: the repository `team/app` is the layout in the
/// directory `team/app`.
///
/// Every tool that knows layouts can read and write each of them. Some names are written with `_` in
/// front, because they mean something else inside a layout or to an operating system: `blobs`,
/// `index.json`, `oci-layout`, `manifest.json`, `repositories`, `ingest`, `tmp`, `version`, and
/// Windows' device names such as `con`. A directory that no name leads to is left alone, and so is
/// one behind a symbolic link.
///
/// ```
/// use tranship::{Registry, Result};
/// use tranship_layout::LayoutRegistry;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// # let directory = tempfile::tempdir().unwrap();
/// # let root = directory.path().join("registry");
/// let registry = LayoutRegistry::create(root).await?;
/// let app = registry.repository(&"team/app".parse()?).await?;
/// assert!(tranship::tags(&*app).await?.is_empty());
/// assert!(tranship::repositories(&registry).await?.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LayoutRegistry {
    shared: Arc<Shared>,
}

struct Shared {
    identity: RegistryIdentity,
    driver: Arc<dyn RegistryDriver>,
    siblings: Siblings,
    options: LayoutOptions,
    open: Mutex<RecentStores>,
}

impl LayoutRegistry {
    /// Opens the directory `root`, with the default options. Nothing is read.
    ///
    /// # Errors
    /// - [`NotFound`](ErrorKind::NotFound) if there is no directory.
    /// - [`InvalidInput`](ErrorKind::InvalidInput) if it is a file, or an image layout itself.
    pub async fn open(root: impl Into<PathBuf>) -> Result<Self> {
        Self::open_with(root, LayoutOptions::default()).await
    }

    /// Opens the directory `root`. The options hold for every repository, except the name.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with(root: impl Into<PathBuf>, options: LayoutOptions) -> Result<Self> {
        Self::at(root.into(), options, true).await
    }

    /// Opens the directory `root`, which need not exist, with the default options. It is created
    /// when something is pushed.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if it is a file, or an image layout itself.
    pub async fn create(root: impl Into<PathBuf>) -> Result<Self> {
        Self::create_with(root, LayoutOptions::default()).await
    }

    /// Opens the directory `root`, which need not exist.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub async fn create_with(root: impl Into<PathBuf>, options: LayoutOptions) -> Result<Self> {
        Self::at(root.into(), options, false).await
    }

    async fn at(root: PathBuf, options: LayoutOptions, must_exist: bool) -> Result<Self> {
        let root = blocking::run(move || locate(&root, must_exist)).await?;
        let identity = RegistryIdentity::new(format!("layouts:{}", root.display()));
        let driver = LocalRegistry::new(root, options.durability);
        Ok(Self::over(identity, Arc::new(driver), options))
    }

    pub(crate) fn over(
        identity: RegistryIdentity,
        driver: Arc<dyn RegistryDriver>,
        options: LayoutOptions,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                identity,
                siblings: Siblings::new(Arc::clone(&driver)),
                driver,
                options,
                open: Mutex::default(),
            }),
        }
    }

    /// The repository `name` as a layout, for what only layouts do: garbage collection and checks.
    /// It is not looked at, and may be damaged.
    ///
    /// # Errors
    /// [`InvalidReference`](ErrorKind::InvalidReference) if no layout can have the name here.
    pub async fn layout(&self, name: &RepositoryName) -> Result<Layout> {
        let known = self.open_stores().get(name);
        let store = match known {
            Some(store) => store,
            None => {
                let driver = self.shared.driver.layout(name).await?;
                let store = Store::new(driver, &self.shared.options);
                self.open_stores().insert(name, store)
            }
        };
        Ok(Layout::sibling(
            name.clone(),
            store,
            self.shared.identity.clone(),
            self.shared.siblings.clone(),
        ))
    }

    /// Brings the catalog of a registry in an object store up to date: the object `.tranship/catalog.json` with the names
    /// of all repositories, by which they are listed with one request. Call this before garbage is collected from all
    /// repositories. It sends a request or more for each of them, and finds also those that another program has stored.
    /// A directory does not have a catalog, and this does nothing.
    ///
    /// Others may change the registry at the same time. If this is dropped, the old catalog remains in use.
    ///
    /// # Errors
    /// - [`Unsupported`](ErrorKind::Unsupported) if the store has no conditional PUT. With
    ///   [`LayoutOptions::with_unconditional_put`] this does nothing in such a store.
    /// - [`Conflict`](ErrorKind::Conflict) if other writers have prevented it too often.
    /// - Any error of the store.
    pub async fn rebuild_catalog(&self) -> Result<()> {
        self.shared.driver.rebuild_catalog().await
    }

    pub(crate) fn driver(&self) -> &dyn RegistryDriver {
        &*self.shared.driver
    }

    pub(crate) fn open_stores(&self) -> MutexGuard<'_, RecentStores> {
        let open = self.shared.open.lock();
        open.unwrap_or_else(PoisonError::into_inner)
    }
}

/// One path for one directory, through whatever links it was named.
fn locate(root: &Path, must_exist: bool) -> Result<PathBuf> {
    let failed = |error| Error::io("cannot be opened", error).with_subject(root.display());
    let root = std::path::absolute(root).map_err(failed)?;
    match std::fs::metadata(&root) {
        Ok(metadata) if metadata.is_dir() => {
            let root = root.canonicalize().map_err(failed)?;
            return check_is_no_layout(&root).map(|()| root);
        }
        Ok(_) => {
            return Err(
                Error::new(ErrorKind::InvalidInput, "is a file, not a directory")
                    .with_subject(root.display()),
            );
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_exist => {}
        Err(error) => return Err(failed(error)),
    }
    let existing = root.ancestors().find(|path| path.exists());
    let resolved = existing.and_then(|existing| {
        let rest = root.strip_prefix(existing).ok()?;
        Some(existing.canonicalize().ok()?.join(rest))
    });
    Ok(resolved.unwrap_or(root))
}

/// A layout holds no repositories: to open one as a directory of layouts would show nothing.
fn check_is_no_layout(root: &Path) -> Result<()> {
    if !root.join(OCI_LAYOUT).is_file() {
        return Ok(());
    }
    let error = Error::new(
        ErrorKind::InvalidInput,
        "is an image layout itself, not a directory of layouts",
    )
    .with_subject(root.display());
    Err(match root.parent() {
        Some(parent) => error.with_hint(format!(
            "name the directory that it is in, layouts:{}, whose other layouts are found there too; commands for a single layout take oci:{}",
            parent.display(),
            root.display()
        )),
        None => error,
    })
}

impl fmt::Debug for LayoutRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayoutRegistry")
            .field("identity", &self.shared.identity)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Registry for LayoutRegistry {
    fn identity(&self) -> &RegistryIdentity {
        &self.shared.identity
    }

    fn capabilities(&self) -> Capabilities {
        self.shared.driver.capabilities()
    }

    fn repositories(&self, options: ListOptions) -> Listing<'_, RepositoryName> {
        self.shared.driver.names(options)
    }

    async fn repository(&self, name: &RepositoryName) -> Result<Arc<dyn Repository>> {
        let layout = self.layout(name).await?;
        // A layout that cannot be read is told at once.
        layout.check().await?;
        Ok(Arc::new(layout))
    }

    async fn expire_uploads(&self, idle: Duration) -> Result<u64> {
        let driver = &self.shared.driver;
        let (mut expired, mut failure) = (0, None);
        let mut names = driver.with_uploads();
        while let Some(name) = names.try_next().await? {
            // One repository that cannot be read does not keep the uploads of all others.
            match expire(&*driver.layout(&name).await?, idle).await {
                Ok(count) => expired += count,
                Err(error) => failure = failure.or(Some(error.with_subject(&name))),
            }
        }
        match failure {
            Some(error) => Err(error.with_operation("expire uploads")),
            None => Ok(expired),
        }
    }
}

/// Removes the uploads that have not been written to for `idle`, and returns how many.
async fn expire(driver: &dyn Driver, idle: Duration) -> Result<u64> {
    let mut expired = 0;
    let mut pages = driver.leftovers(idle);
    while let Some(page) = pages.try_next().await? {
        for leftover in page {
            if leftover.kind == LeftoverKind::Upload
                && driver.remove_leftover(&leftover, idle).await?
            {
                expired += 1;
            }
        }
    }
    Ok(expired)
}
