//! A bundle that is read: its volumes, and where each piece of content is in them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::OnceCell;
use tranship::{
    Capabilities, Digest, Error, ErrorKind, ListOptions, Listing, LocalFile, MAX_MANIFEST_SIZE,
    Registry, RegistryIdentity, Repository, RepositoryName, Result, ResultExt as _, Support,
    blocking,
};

use super::contents::{BlobPart, BundleContents, ContentLocation};
use super::lock::{ContentNode, RepositoryContents};
use super::members::MemberName;
use super::name::BundleName;
use super::plain;
use super::referrers::Referrers;
use super::repository::BundleRepository;
use super::volume::Volume;

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

pub(super) struct OpenBundle {
    pub(super) contents: Arc<BundleContents>,
    pub(super) volumes: Arc<BTreeMap<u32, Volume>>,
    /// Parts of blobs that were saved from volumes which are not open.
    pub(super) saved: BTreeMap<(Digest, u64), LocalFile>,
    pub(super) identity: RegistryIdentity,
    pub(super) referrers: OnceCell<Referrers>,
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
                let message = format!("the name stands for {one} and for {other}");
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

/// Repositories have the names of the bundle, with dashes in place of what is not allowed in them, as in
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

pub(super) fn capabilities() -> Capabilities {
    const READ_ONLY: Support = Support::No("a bundle is read-only");
    Capabilities::all()
        .with_push(READ_ONLY)
        .with_mount(READ_ONLY)
        .with_uploads(READ_ONLY)
        .with_delete_blobs(READ_ONLY)
        .with_delete_manifests(READ_ONLY)
        .with_untag(READ_ONLY)
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
        volumes.entry(contents.volume).or_insert(volume);
        shared.get_or_insert(contents);
    }
    let contents =
        shared.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "no file was given"))?;
    Ok((contents, volumes))
}

impl OpenBundle {
    /// Returns the parts of the volumes that a piece of content is in, in their order.
    ///
    /// # Errors
    /// `NotFound`, with the reason, if it is not in the volumes that are open.
    pub(super) fn locate(&self, number: u32) -> Result<Vec<LocalFile>> {
        let node = self.contents.node(number)?;
        let missing = |what: &'static str| Error::not_found(node.digest).with_hint(what);
        match self.contents.location(number) {
            None | Some(ContentLocation::Base) => Err(missing(
                "the bundle does not have it, since the destination is expected to: it is of the base of the bundle",
            )),
            Some(ContentLocation::EachVolume) => {
                let name = MemberName::Blob(node.digest);
                let mut found = self
                    .volumes
                    .values()
                    .filter_map(|volume| volume.member(&name));
                found
                    .next()
                    .map(|file| vec![file])
                    .ok_or_else(|| Error::not_found(node.digest))
            }
            Some(ContentLocation::Parts(parts)) => parts
                .iter()
                .map(|part| self.locate_part(node, part))
                .collect(),
        }
    }

    fn locate_part(&self, node: &ContentNode, part: &BlobPart) -> Result<LocalFile> {
        let Some(volume) = self.volumes.get(&part.volume) else {
            let saved = self.saved.get(&(node.digest, part.offset)).cloned();
            return saved.ok_or_else(|| {
                let (number, volumes) = (part.volume, self.contents.volumes);
                let hint = format!("it is in volume {number} of {volumes}, which was not given");
                Error::not_found(node.digest).with_hint(hint)
            });
        };
        let name = match part.length == node.size {
            true => MemberName::Blob(node.digest),
            false => MemberName::Part(node.digest, part.offset),
        };
        volume
            .member(&name)
            .ok_or_else(|| Error::not_found(node.digest))
    }

    /// Returns whether all of a piece of content can be read.
    pub(super) fn has(&self, number: u32) -> bool {
        match self.contents.location(number) {
            None | Some(ContentLocation::Base) => false,
            Some(ContentLocation::EachVolume) => true,
            Some(ContentLocation::Parts(_)) => self.missing_volumes(number).is_empty(),
        }
    }

    /// Returns the volumes that have parts of a blob which cannot be read.
    pub(super) fn missing_volumes(&self, number: u32) -> Vec<u32> {
        let Some(node) = self.contents.lock.get(number) else {
            return Vec::new();
        };
        let parts = self.contents.parts_of(number).iter();
        let missing = parts.filter(|part| {
            let is_saved = self.saved.contains_key(&(node.digest, part.offset));
            !is_saved && !self.volumes.contains_key(&part.volume)
        });
        missing.map(|part| part.volume).collect()
    }

    /// Reads a manifest, and verifies it. Blocks.
    pub(super) fn read_manifest(&self, number: u32) -> Result<Bytes> {
        let node = self.contents.node(number)?;
        let files = self.locate(number)?;
        let Some(file) = files.first().filter(|_| node.size <= MAX_MANIFEST_SIZE) else {
            return Err(Error::not_found(node.digest));
        };
        let content = super::kept::read(file)?;
        if content.len() as u64 != node.size || !node.digest.matches(&content) {
            let message = format!("hashes to {}", Digest::of(&content));
            return Err(Error::new(ErrorKind::DigestMismatch, message)
                .with_subject(self.contents.describe(number))
                .with_hint("the bundle is damaged; get it again"));
        }
        Ok(content)
    }
}
