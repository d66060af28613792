//! One image layout as a repository.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tranship::blocking;
use tranship::{
    Descriptor, Digest, Error, ErrorKind, RegistryIdentity, Repository, RepositoryName, Result,
    ResultExt as _, Tag,
};

use crate::blobs::Blobs;
use crate::driver::Driver;
use crate::driver::linked::Linked;
use crate::driver::local::Local;
use crate::fsck::{FsckOptions, FsckReport};
use crate::gc::{GcOptions, GcReport};
use crate::graph::Node;
use crate::index::{Edit, IndexEntry};
use crate::manifests::Manifests;
use crate::options::LayoutOptions;
use crate::siblings::Siblings;
use crate::store::Store;

/// How many files are looked at, at the same time.
const LOOKS: usize = 16;

/// An image layout in a directory, as a repository.
///
/// Cloning is cheap, and clones share what they know. Any number of layouts, in any number of processes, may work
/// on one directory at the same time.
///
/// ```
/// use bytes::Bytes;
/// use tranship::{Descriptor, Manifest, MediaType, Repository, Resolver, Result, Pusher, ReferencePusher};
/// use tranship_layout::Layout;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("app");
/// let layout = Layout::create(&path).await?;
///
/// let config = Descriptor::of(MediaType::EMPTY_JSON, b"{}");
/// layout.push(&config, Bytes::from_static(b"{}").into()).await?;
/// let manifest = tranship::encode_json(&Manifest::new(config, vec![]))?;
/// let root = Descriptor::of(MediaType::IMAGE_MANIFEST, &manifest);
/// layout.push_reference(&root, manifest.into(), &["v1".parse()?]).await?;
///
/// let again = Layout::open(&path).await?;
/// assert_eq!(again.resolve(&"v1".parse()?).await?, root);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Layout {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) name: RepositoryName,
    pub(crate) registry: Option<RegistryIdentity>,
    pub(crate) store: Arc<Store>,
    pub(crate) blobs: Blobs,
    pub(crate) manifests: Manifests,
}

impl Layout {
    /// Opens the layout in the directory `path`, with the default options.
    ///
    /// Nothing is created, and no more is read than `oci-layout`.
    ///
    /// # Errors
    /// - [`NotFound`](ErrorKind::NotFound) if the layout does not exist.
    /// - [`UnsupportedVersion`](ErrorKind::UnsupportedVersion) if it has another version than 1.0.0.
    /// - [`Corrupt`](ErrorKind::Corrupt) if `oci-layout` does not say a version, or is no regular
    ///   file.
    /// - [`InvalidInput`](ErrorKind::InvalidInput) if `path` is a file.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Self::open_with(path, LayoutOptions::default()).await
    }

    /// Opens the layout in the directory `path`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with(path: impl Into<PathBuf>, options: LayoutOptions) -> Result<Self> {
        let path = absolute(path.into()).await?;
        let layout = Self::at(&path, &options);
        if layout.shared.store.is_layout().await? {
            return Ok(layout);
        }
        Err(layout.shared.store.no_layout().with_operation("open"))
    }

    /// Opens the layout in the directory `path`, which need not exist, with the default options.
    ///
    /// Nothing is created until something is pushed. Then the directory becomes a layout in one
    /// step: `oci-layout` is the last file to appear. Until then the layout is empty.
    ///
    /// # Errors
    /// As [`open`](Self::open), but for `NotFound`.
    pub async fn create(path: impl Into<PathBuf>) -> Result<Self> {
        Self::create_with(path, LayoutOptions::default()).await
    }

    /// Opens the layout in the directory `path`, which need not exist.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub async fn create_with(path: impl Into<PathBuf>, options: LayoutOptions) -> Result<Self> {
        let path = absolute(path.into()).await?;
        let layout = Self::at(&path, &options);
        layout.shared.store.is_layout().await?;
        Ok(layout)
    }

    /// Opens the directory `path` without looking at it, for [`fsck`](Self::fsck): it may be a
    /// layout that is damaged. Everything else that is done with it fails then, as it should.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if `path` is empty.
    pub async fn open_unchecked(path: impl Into<PathBuf>, options: LayoutOptions) -> Result<Self> {
        let path = absolute(path.into()).await?;
        Ok(Self::at(&path, &options))
    }

    fn at(path: &Path, options: &LayoutOptions) -> Self {
        let driver: Arc<dyn Driver> = match &options.follow_links {
            None => Arc::new(Local::new(path.to_owned(), options.durability)),
            Some(root) => Arc::new(Linked::new(path.to_owned(), root.clone())),
        };
        let name = options.name.clone().unwrap_or_else(|| {
            let directory = path.file_name().unwrap_or_default();
            name_of(&directory.to_string_lossy())
        });
        Self::new(name, Arc::new(Store::new(driver, options)), None)
    }

    /// Removes what nothing leads to: blobs and manifests that neither `index.json` lists nor
    /// anything that it lists refers to, and files that processes left behind when they died. See
    /// [`GcOptions`] for what stays all the same.
    ///
    /// Others may read, push and tag meanwhile. Nothing that is in use is removed: blobs are removed
    /// only while nobody can change `index.json`, and a [batch](Repository::batch), as a copy makes
    /// it, goes on a blob only if that is still there when it ends. Who pushes single blobs and a
    /// manifest, or uses another tool, is protected by the grace period, except where a blob was
    /// there before, and of no use: then push it after the collection, or in a batch.
    ///
    /// A manifest is in use if `index.json` lists it, or something that is in use refers to it. A
    /// referrer is no exception: one that is not listed cannot be found by anybody, and is garbage,
    /// as left by a push that died.
    ///
    /// If this is dropped, what is under way is finished, and the rest stays.
    ///
    /// # Errors
    /// - [`NotFound`](ErrorKind::NotFound) if the layout does not exist.
    /// - [`Corrupt`](ErrorKind::Corrupt), [`SizeExceedsLimit`](ErrorKind::SizeExceedsLimit) or
    ///   [`Unsupported`](ErrorKind::Unsupported), before anything is removed, if a manifest that is in
    ///   use cannot be read: what it refers to cannot be told. What is absent is passed over.
    /// - [`Conflict`](ErrorKind::Conflict) if others change `index.json` all the time.
    /// - [`PermissionDenied`](ErrorKind::PermissionDenied) if nothing can be removed.
    pub async fn collect_garbage(&self, options: &GcOptions) -> Result<GcReport> {
        crate::gc::collect(&self.shared.store, options)
            .await
            .during("collect garbage in", &self.shared.name)
    }

    /// Returns the entries of `index.json` in their order, with their annotations: the manifests with a tag, and
    /// those without.
    ///
    /// Entries by a digest of an unknown algorithm are left out.
    ///
    /// # Errors
    /// - [`NotFound`](ErrorKind::NotFound) if the layout does not exist.
    /// - [`Corrupt`](ErrorKind::Corrupt) or [`SizeExceedsLimit`](ErrorKind::SizeExceedsLimit) if `index.json` cannot
    ///   be read.
    pub async fn entries(&self) -> Result<Vec<IndexEntry>> {
        let store = &self.shared.store;
        let found = async {
            if !store.is_layout().await? {
                return Err(store.no_layout());
            }
            Ok(store.index().await?.listed_entries().collect())
        };
        found.await.map_err(|error| error.with_operation("list"))
    }

    /// Checks the layout: hashes everything that it holds, on as many blocking threads as there are
    /// cores, and follows every reference. Nothing is changed.
    ///
    /// Others may change the layout meanwhile. What is found is looked at again, and not told unless
    /// it is found twice.
    ///
    /// # Errors
    /// - [`NotFound`](ErrorKind::NotFound) if the layout does not exist.
    /// - [`UnsupportedVersion`](ErrorKind::UnsupportedVersion) if it has another version than 1.0.0.
    /// - [`PermissionDenied`](ErrorKind::PermissionDenied) and [`Io`](ErrorKind::Io) if it cannot be
    ///   listed. What is wrong with single files is no error of this call, but a [finding](FsckReport).
    pub async fn fsck(&self, options: &FsckOptions) -> Result<FsckReport> {
        crate::fsck::fsck(&self.shared.store, options, None)
            .await
            .during("check", &self.shared.name)
    }

    /// Checks the layout as [`fsck`](Self::fsck) does, and repairs what it can from the repository
    /// `from`: content that is missing, truncated, altered or unreadable is fetched and verified, and
    /// only then replaces the stored file. An `oci-layout` that is missing or was cut short is written
    /// again. Missing content is not fetched where its absence is allowed, as in
    /// a sparse layout: copying with [`Existing::Check`](tranship::Existing::Check) does that. Of
    /// several entries of `index.json` with one tag the last keeps it. Nothing that is sound is touched.
    ///
    /// The report tells what was repaired, what was found that is still there, and why.
    ///
    /// # Errors
    /// As [`fsck`](Self::fsck). What cannot be repaired is a finding.
    pub async fn repair(&self, from: &dyn Repository, options: &FsckOptions) -> Result<FsckReport> {
        crate::fsck::fsck(&self.shared.store, options, Some(from))
            .await
            .during("repair", &self.shared.name)
    }

    /// A repository of a registry.
    pub(crate) fn sibling(
        name: RepositoryName,
        store: Arc<Store>,
        registry: RegistryIdentity,
        siblings: Siblings,
    ) -> Self {
        Self::new(name, store, Some((registry, siblings)))
    }

    pub(crate) fn new(
        name: RepositoryName,
        store: Arc<Store>,
        registry: Option<(RegistryIdentity, Siblings)>,
    ) -> Self {
        let (registry, siblings) = registry.unzip();
        Self::over(name, registry, store, siblings)
    }

    #[cfg(feature = "archive")]
    pub(crate) fn store(&self) -> &Store {
        &self.shared.store
    }

    fn over(
        name: RepositoryName,
        registry: Option<RegistryIdentity>,
        store: Arc<Store>,
        siblings: Option<Siblings>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                blobs: Blobs::new(Arc::clone(&store), siblings),
                manifests: Manifests::new(Arc::clone(&store)),
                name,
                registry,
                store,
            }),
        }
    }

    /// That it is a layout that can be read, or none yet.
    pub(crate) async fn check(&self) -> Result<()> {
        self.shared.store.is_layout().await.map(drop)
    }

    pub(crate) fn for_batch(&self) -> Self {
        let Shared {
            name,
            registry,
            store,
            blobs,
            ..
        } = &*self.shared;
        Self::over(
            name.clone(),
            registry.clone(),
            Arc::new(store.for_batch()),
            blobs.siblings().cloned(),
        )
    }

    /// Those of `nodes` that are still there.
    async fn existing(&self, nodes: Vec<Arc<Node>>) -> Result<Vec<Arc<Node>>> {
        let driver = self.shared.store.driver().await?;
        stream::iter(nodes)
            .map(|node| async move {
                let size = driver.blob_size(node.plain().digest()).await?;
                Ok((size == Some(node.plain().size())).then_some(node))
            })
            .buffered(LOOKS)
            .try_filter_map(|node| async move { Ok(node) })
            .try_collect()
            .await
    }

    pub(crate) async fn find_predecessors(
        &self,
        digest: &Digest,
        wanted: impl Fn(&Node) -> bool,
    ) -> Result<(Vec<Descriptor>, Option<Error>)> {
        let (reachable, failure) = self.shared.store.reachable().await?;
        let mut nodes = self.shared.store.graph().predecessors(digest, &reachable);
        nodes.retain(|node| wanted(node));
        let nodes = self.existing(nodes).await?;
        let found = nodes.iter().map(|node| node.described()).collect();
        Ok((found, failure))
    }

    pub(crate) async fn remove_tag_from_index(&self, tag: &Tag) -> Result<()> {
        self.shared.store.check_removal()?;
        let store = &self.shared.store;
        let snapshot = store.index().await?;
        if snapshot.tagged(tag).is_none() {
            return Err(snapshot.no_such(tag));
        }
        store.load_indexes(&snapshot).await;
        store.commit(Edit::Untag(tag.clone())).await
    }
}

pub(crate) async fn absolute(path: PathBuf) -> Result<PathBuf> {
    blocking::run(move || {
        std::path::absolute(&path).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "is no path")
                .with_subject(path.display())
                .with_source(error)
        })
    })
    .await
}

/// The name of a directory, as a repository's.
pub(crate) fn name_of(directory: &str) -> RepositoryName {
    let words = directory.to_lowercase();
    let words: Vec<&str> = words
        .split(|letter: char| !letter.is_ascii_lowercase() && !letter.is_ascii_digit())
        .filter(|word| !word.is_empty())
        .collect();
    let name = if words.is_empty() {
        "layout".to_owned()
    } else {
        words.join("-")
    };
    name.parse()
        .expect("words with dashes between them are a name")
}

impl fmt::Debug for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layout")
            .field("name", &self.shared.name)
            .field("location", &self.shared.store.location())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_is_named_after_its_directory() {
        for (directory, name) in [
            ("app", "app"),
            ("My App_1.0", "my-app-1-0"),
            ("--x--", "x"),
            ("öl", "l"),
            ("…", "layout"),
            ("", "layout"),
        ] {
            assert_eq!(name_of(directory).as_str(), name, "{directory}");
        }
    }
}
