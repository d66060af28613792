//! Opens the file system of an image, and reads its layers.

use std::fmt;
use std::io::Read;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use tranship::{
    Content, Descriptor, Digest, Error, ErrorKind, MediaType, Printable, Repository, Result,
    ResultExt as _, TagOrDigest, blocking,
};

use super::content::FileContent;
use super::kept::{Keeping, KeptLayer};
use super::layer::{Allowance, LayerEntries, LayerEntry, LayerEntryKind, read_layer};
use super::options::FilesystemOptions;
use super::tree::Tree;
use crate::image::config::fetch_config;
use crate::image::select::select_image;

/// The file system of an image in a repository. Nothing is unpacked: layers are read when they are needed, and only
/// their headers are kept.
///
/// Every layer that is read is read to its end, so that its digest and the digest of what it decompresses to are
/// verified before anything that was found in it is returned. Whiteouts, opaque directories, and links across layers are
/// applied as the image specification says. Paths begin at the root of the image, with or without a slash; symbolic
/// links are followed inside the image.
///
/// The futures need a tokio runtime, as layers are decompressed on its blocking threads. A future that is dropped stops
/// reading.
///
/// ```
/// use tranship::{Repository, Result};
/// use tranship_artifact::image::{Filesystem, FilesystemOptions};
///
/// async fn release(repository: &dyn Repository) -> Result<u64> {
///     let options = FilesystemOptions::default();
///     let mut files = Filesystem::open(repository, &"v1".parse()?, options).await?;
///     let (entry, content) = files.read("/etc/os-release").await?;
///     println!("{} has the mode {:o}", entry.path_text(), entry.mode);
///     Ok(content.size())
/// }
/// ```
pub struct Filesystem<'a> {
    repository: &'a dyn Repository,
    manifest: Descriptor,
    pub(super) layers: Vec<ImageLayer>,
    entries: Vec<Option<Arc<LayerEntries>>>,
    /// How much the layers whose entries are not known yet may have.
    allowance: Allowance,
    limits: Allowance,
    tree: Option<Arc<Tree>>,
    /// Whether layers that are read now are kept, as they will be read again.
    keeps_layers: bool,
    kept: Vec<Option<KeptLayer>>,
    progress: Option<Arc<Progress>>,
}

type Progress = dyn Fn(u64) + Send + Sync;

/// A layer of an image.
#[derive(Debug, Clone)]
pub(super) struct ImageLayer {
    pub(super) descriptor: Descriptor,
    /// The digest of what it decompresses to.
    diff_id: Option<Digest>,
}

/// What reading a layer has brought.
struct LayerRead<T> {
    state: T,
    /// The rest of the allowance.
    allowance: Allowance,
    kept: Option<KeptLayer>,
}

impl<'a> Filesystem<'a> {
    /// Opens the file system of the image that `reference` names. Reads its manifest and its config, and no layers.
    ///
    /// # Errors
    /// - [`NotFound`](ErrorKind::NotFound) if there is no such image, or none for the platform; the hint lists the
    ///   platforms that exist.
    /// - [`Unsupported`](ErrorKind::Unsupported) if the reference names something other than an image, or the image has
    ///   layers of an unknown type.
    /// - [`InvalidManifest`](ErrorKind::InvalidManifest) if a manifest or the config cannot be decoded, or if the
    ///   config is about another number of layers.
    /// - [`SizeExceedsLimit`](ErrorKind::SizeExceedsLimit) if one of them is over the limit.
    /// - What the repository fails with.
    pub async fn open(
        repository: &'a dyn Repository,
        reference: &TagOrDigest,
        options: FilesystemOptions,
    ) -> Result<Self> {
        let limit = options.max_manifest_size;
        let platform = options.platform.as_ref();
        let selected = select_image(repository, reference, platform, limit).await?;
        let manifest = selected.manifest;
        let config = fetch_config(repository, &manifest.config, limit).await?;
        for layer in &manifest.layers {
            expect_layer(layer)?;
        }
        let diff_ids = config.rootfs.diff_ids;
        // A config without digests at all is older than they are.
        if !diff_ids.is_empty() && diff_ids.len() != manifest.layers.len() {
            let message = format!(
                "the manifest has {} layers, and the config of the image has digests of {}",
                manifest.layers.len(),
                diff_ids.len()
            );
            let error = Error::new(ErrorKind::InvalidManifest, message);
            return Err(error.with_subject(selected.descriptor.digest()));
        }
        let diff_ids = diff_ids.into_iter().map(Some);
        let layers = manifest.layers.into_iter();
        let layers: Vec<ImageLayer> = layers
            .zip(diff_ids.chain(std::iter::repeat(None)))
            .map(|(descriptor, diff_id)| ImageLayer {
                descriptor,
                diff_id,
            })
            .collect();
        let limits = Allowance {
            entries: options.max_entries,
            metadata: options.max_metadata_size,
            unpacked: options.max_unpacked_size,
            time: options.max_work_time,
        };
        Ok(Self {
            repository,
            manifest: selected.descriptor,
            entries: vec![None; layers.len()],
            keeps_layers: false,
            kept: layers.iter().map(|_| None).collect(),
            layers,
            allowance: limits,
            limits,
            tree: None,
            progress: None,
        })
    }

    /// Calls `progress` with the number of compressed bytes of each piece of a layer that is read.
    #[must_use]
    pub fn with_progress(mut self, progress: impl Fn(u64) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }

    /// Returns the manifest of the image.
    #[must_use]
    pub fn manifest(&self) -> &Descriptor {
        &self.manifest
    }

    /// Returns the layers of the image, the lowest first.
    pub fn layers(&self) -> impl Iterator<Item = &Descriptor> {
        self.layers.iter().map(|layer| &layer.descriptor)
    }

    /// Keeps the layers that are read from now on in temporary files, as they will be read again. Those that are local
    /// files are not.
    pub(super) fn keep_layers(&mut self) {
        self.keeps_layers = true;
    }

    /// Reads the layer `number` and calls `visit` with each entry.
    async fn read_layer<T: Send + 'static>(
        &self,
        number: usize,
        mut allowance: Allowance,
        mut state: T,
        mut visit: impl FnMut(&mut T, usize, LayerEntry, &mut dyn Read) -> Result<()> + Send + 'static,
    ) -> Result<LayerRead<T>> {
        let Some(layer) = self.layers.get(number) else {
            return Ok(LayerRead {
                state,
                allowance,
                kept: None,
            });
        };
        let digest = *layer.descriptor.digest();
        let diff_id = layer.diff_id;
        let read = move |reader: &mut dyn Read| -> Result<(T, Allowance)> {
            read_layer(reader, diff_id, &mut allowance, |place, entry, content| {
                visit(&mut state, place, entry, content)
            })?;
            Ok((state, allowance))
        };
        if let Some(kept) = self.kept.get(number).and_then(Option::as_ref) {
            let mut reader = kept.reader().during("read", digest)?;
            let read = blocking::run(move || read(&mut reader)).await;
            let (state, allowance) = read.during("read", digest)?;
            return Ok(LayerRead {
                state,
                allowance,
                kept: None,
            });
        }
        let content = self.repository.fetch(&layer.descriptor).await;
        let body = content.during("fetch", digest)?.into_body();
        let keeps = self.keeps_layers && body.local_file().is_none();
        let content = Content::new(layer.descriptor.clone(), body);
        let progress = self.progress.clone();
        let stream = content.into_stream().inspect_ok(move |piece| {
            if let Some(progress) = &progress {
                progress(piece.len() as u64);
            }
        });
        let read = blocking::read_stream(stream, move |reader| {
            let mut reader = Keeping::new(reader, keeps)?;
            let (state, allowance) = read(&mut reader)?;
            Ok(LayerRead {
                state,
                allowance,
                kept: reader.finish(),
            })
        });
        read.await.during("read", digest)
    }

    /// Returns the entries of the layer `number`.
    pub(super) async fn entries(&mut self, number: usize) -> Result<Arc<LayerEntries>> {
        self.entries_and(number, None)
            .await
            .map(|(entries, _)| entries)
    }

    /// Returns the entries of the layer `number`. If it is read for that, also the content of its last file with the
    /// path `captured`, and its place.
    pub(super) async fn entries_and(
        &mut self,
        number: usize,
        captured: Option<Vec<u8>>,
    ) -> Result<(Arc<LayerEntries>, Option<(usize, FileContent)>)> {
        if let Some(Some(entries)) = self.entries.get(number) {
            return Ok((Arc::clone(entries), None));
        }
        let state = (Vec::new(), None);
        let visit = move |state: &mut (Vec<LayerEntry>, Option<(usize, FileContent)>),
                          place,
                          entry: LayerEntry,
                          content: &mut dyn Read| {
            if let LayerEntryKind::File { size } = entry.kind
                && captured.as_deref() == Some(&*entry.path)
            {
                state.1 = Some((place, FileContent::read(content, size)?));
            }
            state.0.push(entry);
            Ok(())
        };
        let read = self
            .read_layer(number, self.allowance, state, visit)
            .await?;
        let (all, content) = read.state;
        self.allowance = read.allowance;
        if let Some(slot) = self.kept.get_mut(number) {
            *slot = read.kept;
        }
        let entries = Arc::new(LayerEntries::new(all));
        if let Some(slot) = self.entries.get_mut(number) {
            *slot = Some(Arc::clone(&entries));
        }
        Ok((entries, content))
    }

    /// Applies all layers.
    pub(super) async fn tree(&mut self) -> Result<Arc<Tree>> {
        if let Some(tree) = &self.tree {
            return Ok(Arc::clone(tree));
        }
        let mut layers = Vec::with_capacity(self.layers.len());
        for number in 0..self.layers.len() {
            layers.push(self.entries(number).await?);
        }
        let tree = Arc::new(blocking::run(move || Tree::of(layers)).await?);
        self.tree = Some(Arc::clone(&tree));
        Ok(tree)
    }

    /// Reads the layer `number` again and calls `visit` with the place and the content of each file.
    pub(super) async fn contents<T: Send + 'static>(
        &self,
        number: usize,
        state: T,
        mut visit: impl FnMut(&mut T, usize, &mut dyn Read) -> Result<()> + Send + 'static,
    ) -> Result<T> {
        let visit =
            move |state: &mut T, place, entry: LayerEntry, content: &mut dyn Read| match entry.kind
            {
                LayerEntryKind::File { .. } => visit(state, place, content),
                _ => Ok(()),
            };
        let read = self.read_layer(number, self.limits, state, visit).await?;
        Ok(read.state)
    }

    /// Returns the entries of the layer `number`, if it has been read.
    pub(super) fn known_entries(&self, number: usize) -> Option<&LayerEntries> {
        self.entries.get(number)?.as_deref()
    }

    pub(super) fn layer_digest(&self, number: usize) -> Option<Digest> {
        let layer = self.layers.get(number)?;
        Some(*layer.descriptor.digest())
    }
}

impl fmt::Debug for Filesystem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filesystem")
            .field("manifest", &self.manifest)
            .field("layers", &self.layers)
            .finish_non_exhaustive()
    }
}

/// Checks that a layer is an archive by its type. How it is compressed is told by its content.
fn expect_layer(layer: &Descriptor) -> Result<()> {
    const KNOWN: [&str; 10] = [
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.oci.image.layer.v1.tar+zstd",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "application/vnd.docker.image.rootfs.diff.tar.zstd",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ];
    let media_type: &MediaType = layer.media_type();
    if KNOWN.contains(&media_type.as_str()) {
        return Ok(());
    }
    let shown = Printable(media_type.as_str());
    Err(Error::unsupported(format!(
        "it is of the type {shown}, which is not a layer of files"
    ))
    .with_subject(layer.digest()))
}
