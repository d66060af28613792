//! Layouts in archives, and archives that are shown as layouts: `oci-archive` and `docker-archive`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tranship::blocking;
use tranship::{Error, ErrorKind, RepositoryName, Result};

use crate::driver::Driver;
use crate::driver::archive::{Archive, DockerArchive, ImageName};
use crate::layout::{Layout, absolute, name_of};
use crate::options::LayoutOptions;
use crate::store::Store;

/// What the names of archives end in, and those of repositories do not.
const ENDINGS: [&str; 7] = [".gz", ".zst", ".zstd", ".tgz", ".tzst", ".tar", ".oci"];

/// # In archives
impl Layout {
    /// Opens the layout in the tar archive at `path`, such as `skopeo` and `podman save` write. It
    /// need not be unpacked: blobs are read where they lie.
    ///
    /// An archive that is compressed as a whole (gzip or zstd, told by its first bytes) is
    /// decompressed once, to a temporary file without a name in the system's temporary directory
    /// (`TMPDIR`), and is only read. Any other archive can be written to, as
    /// [`create_archive`](Self::create_archive) says.
    ///
    /// When the archive is replaced, the next call sees the new one; what is being read is read on
    /// from the old one.
    ///
    /// ```no_run
    /// use tranship::{CopyOptions, Result};
    /// use tranship_layout::{Layout, LayoutOptions};
    ///
    /// # async fn unpack() -> Result<()> {
    /// let archive = Layout::open_archive("app.tar.gz", LayoutOptions::default()).await?;
    /// let layout = Layout::create("app").await?;
    /// let tag = "v1".parse()?;
    /// tranship::copy(&archive, &"v1".parse()?, &layout, &[tag], &CopyOptions::default()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - [`NotFound`](ErrorKind::NotFound) if there is no such file.
    /// - [`InvalidInput`](ErrorKind::InvalidInput) if it is no regular file.
    /// - [`Corrupt`](ErrorKind::Corrupt) if it is no archive of a layout, is cut off or damaged, or
    ///   holds files of the layout that are links, sparse, under a disguised name, or there twice
    ///   with different content. The message names the member.
    /// - [`SizeExceedsLimit`](ErrorKind::SizeExceedsLimit) if it has more than 100,000 blobs, or decompresses to more
    ///   than [`LayoutOptions::max_unpacked_size`] bytes.
    /// - [`UnsupportedVersion`](ErrorKind::UnsupportedVersion) if the layout has another version than
    ///   1.0.0.
    /// - [`StorageFull`](ErrorKind::StorageFull) if there is no room to decompress it.
    pub async fn open_archive(path: impl Into<PathBuf>, options: LayoutOptions) -> Result<Self> {
        let (layout, path) = Self::archive(path.into(), &options).await?;
        if layout.store().is_layout().await? {
            return Ok(layout);
        }
        Err(not_there(&path))
    }

    /// Opens the layout in the tar archive at `path`, which need not exist.
    ///
    /// Nothing is created until something is pushed. In a [batch](tranship::Repository::batch), as
    /// the copy functions use one, the archive is written in one pass to a temporary file beside it,
    /// and gets its name when it is complete. What it held before is taken over first. The same
    /// content gives the same bytes: members have no time and no owner, and come in the order in
    /// which they were pushed, then `index.json` and `oci-layout`.
    ///
    /// A change outside a batch is a batch of its own, which writes the whole archive anew: correct,
    /// and slow for many of them. Several processes may do so at the same time; none loses what
    /// another has added. Uploads that resume are not supported.
    ///
    /// # Errors
    /// As [`open_archive`](Self::open_archive), but for `NotFound`. Pushing to a compressed archive is
    /// [`Unsupported`](ErrorKind::Unsupported).
    pub async fn create_archive(path: impl Into<PathBuf>, options: LayoutOptions) -> Result<Self> {
        let (layout, _) = Self::archive(path.into(), &options).await?;
        layout.store().is_layout().await?;
        Ok(layout)
    }

    /// Opens the archive at `path` that `docker save`, skopeo or crane wrote, as a layout.
    ///
    /// For each image of its `manifest.json` there is a manifest, always the same for the same
    /// image: with the config as it is, and the layers as they are, mostly uncompressed. Where
    /// `name` is given, such as `registry.example/app`, the tags are those of the images with that
    /// name. Otherwise all are, and a tag that several images have means the one that is named like
    /// the file, or none. Layers that are compressed are hashed while the archive is opened.
    ///
    /// Docker 25 and later write an image layout into the same archive. Where it is complete, that is
    /// what is read, and the archive is written to with [`create_archive`](Self::create_archive)
    /// only.
    ///
    /// # Errors
    /// - [`InvalidReference`](ErrorKind::InvalidReference) if `name` is not the name of a repository, perhaps with a
    ///   host in front.
    /// - As [`open_archive`](Self::open_archive).
    pub async fn open_docker_archive(
        path: impl Into<PathBuf>,
        name: Option<&str>,
        options: LayoutOptions,
    ) -> Result<Self> {
        let (layout, path) = Self::docker_archive(path.into(), name, &options).await?;
        if layout.store().is_layout().await? {
            return Ok(layout);
        }
        Err(not_there(&path))
    }

    /// Opens the archive, which need not exist, for `docker load` to read.
    ///
    /// It takes images, one platform each, and only in a [batch](tranship::Repository::batch), as
    /// the copy functions use one. Layers are decompressed as they are written, and so **an image has
    /// another digest in the archive** than where it came from: that of the manifest that
    /// [`open_docker_archive`](Self::open_docker_archive) makes for it. What no image refers to is
    /// not kept. The archive is written beside and in one pass, where there was none before; images
    /// are added to one that exists, and tags are set and removed, by writing it anew. The same
    /// images give the same bytes.
    ///
    /// Images are tagged as `NAME:TAG` with the given name, or else that of the file.
    ///
    /// # Errors
    /// As [`open_docker_archive`](Self::open_docker_archive), but for `NotFound`. Pushing an index of several platforms, or
    /// anything but an image, is [`Unsupported`](ErrorKind::Unsupported).
    pub async fn create_docker_archive(
        path: impl Into<PathBuf>,
        name: Option<&str>,
        options: LayoutOptions,
    ) -> Result<Self> {
        let (layout, _) = Self::docker_archive(path.into(), name, &options).await?;
        layout.store().is_layout().await?;
        Ok(layout)
    }

    async fn archive(path: PathBuf, options: &LayoutOptions) -> Result<(Self, PathBuf)> {
        let path = real(path).await?;
        let driver = Arc::new(Archive::new(path.clone(), options));
        let name = options.name.clone().unwrap_or_else(|| name_of_file(&path));
        Ok((Self::over_archive(name, driver, options), path))
    }

    async fn docker_archive(
        path: PathBuf,
        name: Option<&str>,
        options: &LayoutOptions,
    ) -> Result<(Self, PathBuf)> {
        let path = real(path).await?;
        let of_file = name_of_file(&path);
        let (image, name) = match name {
            Some(image) => (ImageName::Chosen(image.to_owned()), repository_of(image)?),
            None => (ImageName::Fallback(of_file.to_string()), of_file),
        };
        let name = options.name.clone().unwrap_or(name);
        let driver = Arc::new(DockerArchive::new(path.clone(), options, image));
        Ok((Self::over_archive(name, driver, options), path))
    }

    fn over_archive(
        name: RepositoryName,
        driver: Arc<dyn Driver>,
        options: &LayoutOptions,
    ) -> Self {
        Self::new(name, Arc::new(Store::new(driver, options)), None)
    }
}

fn not_there(path: &Path) -> Error {
    Error::new(ErrorKind::NotFound, "there is no archive here")
        .with_operation("open")
        .with_subject(path.display())
}

/// Where the archive lies: behind links, since it is replaced where it is.
async fn real(path: PathBuf) -> Result<PathBuf> {
    let path = absolute(path).await?;
    blocking::run(move || Ok(std::fs::canonicalize(&path).unwrap_or(path))).await
}

/// The name of an image without the host.
fn repository_of(image: &str) -> Result<RepositoryName> {
    let after_host = image.split_once('/').map(|(_, name)| name.parse().ok());
    match (image.parse(), after_host.flatten()) {
        (Ok(name), _) | (Err(_), Some(name)) => Ok(name),
        (Err(error), None) => Err(error),
    }
}

/// What an archive is named after: its file, without what says that it is an archive.
fn name_of_file(path: &Path) -> RepositoryName {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let mut stem = &*file;
    while let Some(shorter) = ENDINGS.iter().find_map(|ending| stem.strip_suffix(ending)) {
        stem = shorter;
    }
    name_of(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_named_after_its_file() {
        for (path, name) in [
            ("/srv/app.tar", "app"),
            ("/srv/app-1.2.oci.tar.gz", "app-1-2"),
            ("/srv/app", "app"),
            ("/srv/.tar", "layout"),
        ] {
            assert_eq!(name_of_file(Path::new(path)).as_str(), name, "{path}");
        }
    }
}
