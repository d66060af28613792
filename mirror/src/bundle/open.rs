//! A bundle that is read: its volumes, and where each piece of content is in them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream;
use tokio::sync::OnceCell;
use tranship::{
    Capabilities, Error, ErrorKind, ListOptions, Listing, Registry, RegistryIdentity, Repository,
    RepositoryName, Result, ResultExt as _, blocking,
};

use super::contents::BundleContents;
use super::name::BundleName;
use super::node::RepositoryContents;
use super::opened::{OpenBundle, capabilities};
use super::plain;
use super::repository::BundleRepository;
use super::volume::Volume;

/// How many volumes stay open. With more of them, each is opened when it is read.
const MAX_OPEN: usize = 128;

/// A bundle that is read, from all of its volumes or some of them.
///
/// It is a read-only registry, so that it can be the source of copies, served or inspected. An image archive without a
/// `bundle.json`, as skopeo, podman, crane and other programs write it, is opened as a bundle of one volume, too.
///
/// ```no_run
/// use tranship_mirror::bundle::Bundle;
///
/// # async fn example() -> tranship::Result<()> {
/// let bundle = Bundle::open(["bundle.001.tar", "bundle.002.tar"]).await?;
/// for image in bundle.contents().lock().images() {
///     println!("{}", image.name);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Bundle {
    pub(super) inner: Arc<OpenBundle>,
}

impl Bundle {
    /// Opens the volumes of a bundle, in any order. What a file is tells its content, not its name. A volume that is given
    /// twice is read once.
    ///
    /// All headers are read, and content is not: [`verify`](Self::verify) does that.
    ///
    /// # Errors
    /// - [`Corrupt`](ErrorKind::Corrupt) for a file that is cut off, with what it lacks; one that is not what its
    ///   `bundle.json` says; and one that is dangerous to unpack.
    /// - [`InvalidInput`](ErrorKind::InvalidInput) for volumes of different bundles, and for no file.
    /// - [`Unsupported`](ErrorKind::Unsupported) for a compressed file.
    /// - [`UnsupportedVersion`](ErrorKind::UnsupportedVersion) if a later version has written it.
    pub async fn open<P: Into<PathBuf>>(files: impl IntoIterator<Item = P>) -> Result<Self> {
        let files: Vec<PathBuf> = files.into_iter().map(Into::into).collect();
        let opened = blocking::run(move || open(&files)).await;
        let (contents, volumes) = opened.during("open", "the bundle")?;
        let identity = RegistryIdentity::new(format!("bundle:{}", contents.set));
        Ok(Self {
            inner: Arc::new(OpenBundle {
                contents: Arc::new(contents),
                volumes: Arc::new(volumes),
                saved: BTreeMap::new(),
                identity,
                referrers: OnceCell::new(),
            }),
        })
    }

    /// Returns what the bundle has, all of its volumes together, whether they are open or not.
    #[must_use]
    pub fn contents(&self) -> &BundleContents {
        &self.inner.contents
    }

    /// Returns the numbers of the volumes that are not open.
    #[must_use]
    pub fn missing_volumes(&self) -> Vec<u32> {
        let all = 1..=self.inner.contents.volumes;
        all.filter(|number| !self.inner.volumes.contains_key(number))
            .collect()
    }

    /// Returns whether all of a piece of content is in the volumes that are open.
    #[must_use]
    pub fn has(&self, number: u32) -> bool {
        self.inner.has(number)
    }

    /// Opens the repository `name` of the bundle.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if the bundle does not have it.
    pub fn open_repository(&self, name: &BundleName) -> Result<Arc<dyn Repository>> {
        let repositories = self.inner.contents.lock.repositories();
        let contents = repositories
            .get(name)
            .ok_or_else(|| Error::not_found(name))?;
        Ok(self.view(name.flattened(), contents.clone()))
    }

    fn view(&self, name: RepositoryName, contents: RepositoryContents) -> Arc<dyn Repository> {
        Arc::new(BundleRepository::new(
            Arc::clone(&self.inner),
            name,
            contents,
        ))
    }

    /// Returns the repository that is listed as `name`.
    fn flattened(&self, name: &RepositoryName) -> Result<Option<RepositoryContents>> {
        let repositories = self.inner.contents.lock.repositories();
        let exact = repositories
            .iter()
            .find(|(known, _)| known.as_str() == name.as_str());
        if let Some((_, contents)) = exact {
            return Ok(Some(contents.clone()));
        }
        let mut named = repositories
            .iter()
            .filter(|(known, _)| known.flattened() == *name);
        let first = named.next();
        match (first, named.next()) {
            (Some((one, _)), Some((other, _))) => {
                let message = format!("the name can mean {one} and {other}");
                Err(Error::new(ErrorKind::Conflict, message).with_subject(name))
            }
            (found, _) => Ok(found.map(|(_, contents)| contents.clone())),
        }
    }
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle")
            .field("set", &self.inner.contents.set)
            .field("volumes", &self.inner.volumes.keys())
            .finish_non_exhaustive()
    }
}

/// Repositories have the names of the bundle, with dashes in place of other characters, as in
/// `localhost-5000/app`. [`open_repository`](Bundle::open_repository) opens one by its name in the bundle.
#[async_trait]
impl Registry for Bundle {
    fn identity(&self) -> &RegistryIdentity {
        &self.inner.identity
    }

    fn capabilities(&self) -> Capabilities {
        capabilities()
    }

    async fn repository(&self, name: &RepositoryName) -> Result<Arc<dyn Repository>> {
        let contents = self.flattened(name)?.unwrap_or_default();
        Ok(self.view(name.clone(), contents))
    }

    fn repositories(&self, options: ListOptions) -> Listing<'_, RepositoryName> {
        let names = self.inner.contents.lock.repositories().keys();
        let names: std::collections::BTreeSet<_> = names.map(BundleName::flattened).collect();
        let last = options.last.unwrap_or_default();
        let rest = names
            .into_iter()
            .filter(move |name| name.as_str() > last.as_str());
        Box::pin(stream::iter(rest.map(Ok)))
    }
}

fn open(files: &[PathBuf]) -> Result<(BundleContents, BTreeMap<u32, Volume>)> {
    let mut volumes: BTreeMap<u32, Volume> = BTreeMap::new();
    let mut shared: Option<BundleContents> = None;
    for path in files {
        let mut volume = Volume::open(path)?;
        let contents = match volume.contents()? {
            Some(contents) => {
                volume.check(&contents)?;
                contents
            }
            None => match volume.take_cut_off() {
                Some(error) => return Err(error),
                None => plain::contents(&volume)?,
            },
        };
        if let Some(first) = &shared
            && first.set != contents.set
        {
            let other = volumes
                .values()
                .next()
                .map(|volume| volume.path.display().to_string());
            let message = format!("is not of the same bundle as {}", other.unwrap_or_default());
            return Err(Error::new(ErrorKind::InvalidInput, message)
                .with_subject(path.display())
                .with_hint("give only the volumes of one bundle"));
        }
        if files.len() > MAX_OPEN {
            volume.close();
        }
        volumes.entry(contents.volume).or_insert(volume);
        shared.get_or_insert(contents);
    }
    let contents =
        shared.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "no file was given"))?;
    Ok((contents, volumes))
}
