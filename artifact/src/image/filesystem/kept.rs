//! Layers that are kept in temporary files, so that what is read twice is fetched once.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};

use tranship::{Error, Result};

/// The compressed bytes of a layer that was read to its end and verified, in a file without a name.
#[derive(Debug)]
pub(super) struct KeptLayer(File);

impl KeptLayer {
    /// Returns a reader of the bytes from their start. There must be one at a time.
    pub(super) fn reader(&self) -> Result<impl Read + use<>> {
        let opened = self.0.try_clone().and_then(|mut file| {
            file.seek(SeekFrom::Start(0))?;
            Ok(file)
        });
        opened.map_err(|error| Error::io("a temporary file cannot be read", error))
    }
}

/// Reads from a source, and writes to a temporary file what was read.
pub(super) struct Keeping<R> {
    source: R,
    file: Option<File>,
}

impl<R: Read> Keeping<R> {
    /// Keeps what is read if `keeps` is set. Creates the file on this thread.
    pub(super) fn new(source: R, keeps: bool) -> Result<Self> {
        let file = if keeps {
            Some(tempfile::tempfile().map_err(cannot_keep)?)
        } else {
            None
        };
        Ok(Self { source, file })
    }

    /// Returns what was kept.
    pub(super) fn finish(self) -> Option<KeptLayer> {
        self.file.map(KeptLayer)
    }
}

impl<R: Read> Read for Keeping<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.source.read(buffer)?;
        if let Some(file) = &mut self.file {
            let written = file.write_all(&buffer[..length]);
            written.map_err(|error| io::Error::new(error.kind(), cannot_keep(error)))?;
        }
        Ok(length)
    }
}

fn cannot_keep(error: io::Error) -> Error {
    Error::io("a layer cannot be kept in a temporary file", error)
        .with_hint("set TMPDIR to a directory with room for the compressed image")
}
