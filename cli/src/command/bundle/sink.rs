//! Where a bundle is written to if that is not a file.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tranship::{Error, ErrorKind, Result};
use tranship_backends::layout::ObjectWriter;
use tranship_backends::{ObjectStoreUrl, OpenOptions, create_object};
use tranship_mirror::bundle::{OpenSink, Sink, WriterSink};

/// Standard output, which takes one volume.
pub(super) struct StandardOutput;

#[async_trait]
impl OpenSink for StandardOutput {
    async fn open(&self, _number: u32, volumes: u32, _size: u64) -> Result<Box<dyn Sink>> {
        let refused = |why: &'static str| Err(Error::new(ErrorKind::InvalidInput, why));
        if volumes > 1 {
            return refused("several volumes are not written to standard output");
        }
        if io::stdout().is_terminal() {
            return refused("a bundle is not written to a terminal");
        }
        Ok(Box::new(WriterSink::new(io::stdout())))
    }
}

/// A pipe or a device, which is written to and not replaced.
pub(super) struct Device<'a> {
    path: &'a Path,
}

impl<'a> Device<'a> {
    /// Returns the device at `path`; `None` for a regular file, or if nothing is there.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a directory.
    pub(super) fn of(path: &'a Path) -> Result<Option<Self>> {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => Err(Error::new(
                ErrorKind::InvalidInput,
                "is a directory, and the name of a file is expected",
            )
            .with_subject(path.display())),
            Ok(metadata) if !metadata.is_file() => Ok(Some(Self { path })),
            _ => Ok(None),
        }
    }
}

#[async_trait]
impl OpenSink for Device<'_> {
    async fn open(&self, _number: u32, volumes: u32, _size: u64) -> Result<Box<dyn Sink>> {
        let failed =
            |error| Error::io("cannot be written", error).with_subject(self.path.display());
        if volumes > 1 {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "several volumes are not written to one device",
            )
            .with_subject(self.path.display()));
        }
        let file = std::fs::File::options().write(true).open(self.path);
        Ok(Box::new(WriterSink::new(file.map_err(failed)?)))
    }
}

/// Objects of an object store, one for each volume.
pub(super) struct Objects<'a> {
    url: &'a ObjectStoreUrl,
    options: &'a OpenOptions,
    /// Whether the names have the number of the volume.
    is_split: bool,
    begun: Mutex<BTreeMap<u32, (String, u64)>>,
}

impl<'a> Objects<'a> {
    pub(super) fn new(url: &'a ObjectStoreUrl, options: &'a OpenOptions, is_split: bool) -> Self {
        Self {
            url,
            options,
            is_split,
            begun: Mutex::default(),
        }
    }

    /// Returns the names and the sizes of the objects.
    pub(super) fn into_written(self) -> Vec<(String, u64)> {
        let begun = self.begun.into_inner();
        begun
            .unwrap_or_else(PoisonError::into_inner)
            .into_values()
            .collect()
    }
}

#[async_trait]
impl OpenSink for Objects<'_> {
    async fn open(&self, number: u32, volumes: u32, size: u64) -> Result<Box<dyn Sink>> {
        let url = match self.is_split {
            true => volume_url(self.url, number, volumes)?,
            false => self.url.clone(),
        };
        let writer = create_object(&url, size, self.options).await?;
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.insert(number, (url.to_string(), size));
        Ok(Box::new(ObjectSink(writer)))
    }
}

/// Returns the URL of a volume, with the number before the extension, as for files.
fn volume_url(url: &ObjectStoreUrl, number: u32, volumes: u32) -> Result<ObjectStoreUrl> {
    volume_name(url.as_str(), number, volumes).parse()
}

/// Returns the name of a volume, as the library names files.
pub(super) fn volume_name(text: &str, number: u32, volumes: u32) -> String {
    let width = volumes.to_string().len().max(3);
    let name_at = text.rfind('/').map_or(0, |at| at + 1);
    let (before, extension) = match text[name_at..].rfind('.') {
        Some(at) => text.split_at(name_at + at),
        None => (text, ""),
    };
    format!("{before}.{number:0width$}{extension}")
}

struct ObjectSink(ObjectWriter);

#[async_trait]
impl Sink for ObjectSink {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.0.write(bytes).await
    }

    async fn finish(self: Box<Self>) -> Result<()> {
        self.0.finish().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_volume_is_before_the_extension() {
        for (url, expected) in [
            (
                "s3://bucket/a.b/bundle.tar",
                "s3://bucket/a.b/bundle.002.tar",
            ),
            ("s3://bucket/a.b/bundle", "s3://bucket/a.b/bundle.002"),
        ] {
            let url = url.parse().expect("a URL");
            assert_eq!(volume_url(&url, 2, 12).expect(expected).as_str(), expected);
        }
    }
}
