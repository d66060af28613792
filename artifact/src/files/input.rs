//! A file or directory that is about to be pushed: its descriptor, and where its bytes are.

use std::fs::Metadata;
use std::path::PathBuf;

use async_trait::async_trait;
use tempfile::TempPath;
use tranship::blocking::{self, CancelOnDrop};
use tranship::{
    Algorithm, Annotations, Body, CopyEvent, CopyHooks, Descriptor, Error, ErrorKind, MediaType,
    OpenAt, Printable, Result, Source,
};

use super::archive::{self, Hashed};
use super::regular::{changed, has_changed, open_regular};
use super::spec::FileSpec;
use super::title::{SafePath, TAR_DIGEST, TITLE, UNPACK};

/// A file as it is named in the artifact.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) path: PathBuf,
    pub(super) title: String,
    pub(super) media_type: Option<MediaType>,
    pub(super) annotations: Annotations,
}

impl Named {
    /// Names `spec`, with the annotations that an annotation file has for it.
    pub(super) fn new(spec: &FileSpec, more: Option<&Annotations>) -> Result<Self> {
        let mut annotations = spec.annotations().clone();
        annotations.extend(more.cloned().unwrap_or_default());
        let title = match annotations.get(TITLE) {
            Some(title) => title.clone(),
            None => spec.title()?,
        };
        Ok(Self {
            path: spec.path().to_owned(),
            title,
            media_type: spec.media_type().cloned(),
            annotations,
        })
    }

    /// Fails if the file could not be pulled again.
    pub(super) fn check_title(&self) -> Result<()> {
        match SafePath::parse(&self.title) {
            Ok(_) => Ok(()),
            Err(reason) => Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{reason}; it could not be pulled"),
            )
            .with_subject(Printable(&self.title))
            .with_hint(
                "go to the directory of the file and give a relative path, or allow any path",
            )),
        }
    }
}

/// The bytes to push.
#[derive(Debug)]
enum Bytes {
    /// The file itself, with the metadata that it had when it was hashed.
    File(PathBuf, Metadata),
    /// The archive of a directory.
    Archive(TempPath),
}

/// A file that was hashed, or a directory that was packed.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) descriptor: Descriptor,
    shown: String,
    bytes: Bytes,
}

impl Prepared {
    /// Hashes a file; packs a directory. `file_type` is the media type of a file without one.
    pub(super) async fn new(named: Named, file_type: MediaType, any_path: bool) -> Result<Self> {
        let waiting = CancelOnDrop::default();
        let cancelled = waiting.flag();
        let shown = named.path.display().to_string();
        let prepared = blocking::run(move || {
            let metadata = std::fs::metadata(&named.path)
                .map_err(|error| Error::io("cannot be read", error))?;
            let (bytes, media_type, digest, size, generated) = if metadata.is_dir() {
                let packed = archive::pack(&named.path, &named.title, any_path, &cancelled)?;
                let generated = [
                    (UNPACK, "true".to_owned()),
                    (TAR_DIGEST, packed.tar_digest.to_string()),
                ];
                let media_type = named.media_type.unwrap_or(MediaType::IMAGE_LAYER_GZIP);
                let bytes = Bytes::Archive(packed.file.into_temp_path());
                (
                    bytes,
                    media_type,
                    packed.digest,
                    packed.size,
                    generated.to_vec(),
                )
            } else {
                let file = open_regular(&named.path)?;
                let before = file
                    .metadata()
                    .map_err(|error| Error::io("cannot be read", error))?;
                let mut hashed = Hashed::new(file, Algorithm::default(), cancelled);
                std::io::copy(&mut hashed, &mut std::io::sink())
                    .map_err(|error| Error::io("cannot be read", error))?;
                let (file, digest, size) = hashed.finish();
                let after = file
                    .metadata()
                    .map_err(|error| Error::io("cannot be read", error))?;
                if has_changed(&before, &after) {
                    return Err(changed());
                }
                let media_type = named.media_type.unwrap_or(file_type);
                (
                    Bytes::File(named.path, after),
                    media_type,
                    digest,
                    size,
                    Vec::new(),
                )
            };
            let mut annotations: Annotations = generated
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect();
            annotations.insert(TITLE.to_owned(), named.title);
            annotations.extend(named.annotations);
            let descriptor =
                Descriptor::new(media_type, digest, size).with_annotations(annotations);
            Ok((descriptor, bytes))
        });
        let prepared = prepared.await;
        drop(waiting);
        let (descriptor, bytes) = prepared.map_err(|error| error.with_subject(&shown))?;
        Ok(Self {
            descriptor,
            shown,
            bytes,
        })
    }

    /// Returns where the bytes are.
    pub(super) fn path(&self) -> &std::path::Path {
        match &self.bytes {
            Bytes::File(path, _) => path,
            Bytes::Archive(path) => path,
        }
    }

    /// Explains why a push failed: a file that was written has other bytes than those that were hashed.
    pub(super) async fn explain(&self, error: Error) -> Error {
        let Bytes::File(path, before) = &self.bytes else {
            return error;
        };
        let is_mismatch =
            [ErrorKind::DigestMismatch, ErrorKind::SizeMismatch].contains(&error.kind());
        let (path, before) = (path.clone(), before.clone());
        let rewritten = blocking::run(move || {
            let now = std::fs::metadata(path);
            Ok(now.is_ok_and(|now| has_changed(&before, &now)))
        });
        if is_mismatch || rewritten.await.unwrap_or(false) {
            return changed()
                .with_operation("push")
                .with_subject(&self.shown)
                .with_source(error);
        }
        error
    }
}

/// A source that reports each piece that is read to hooks.
pub(super) struct Watched<'a> {
    pub(super) source: Source<'a>,
    pub(super) descriptor: &'a Descriptor,
    pub(super) hooks: std::sync::Arc<dyn CopyHooks>,
}

#[async_trait]
impl OpenAt for Watched<'_> {
    async fn open_at(&self, offset: u64) -> Result<Body> {
        let hooks = std::sync::Arc::clone(&self.hooks);
        let descriptor = self.descriptor.clone();
        let body = self.source.open(offset).await?;
        Ok(body.inspect(move |bytes| hooks.on_event(CopyEvent::Bytes(&descriptor, bytes))))
    }
}
