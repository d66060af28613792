//! Descriptors of files.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use crate::blocking;
use crate::descriptor::Descriptor;
use crate::digest::{Algorithm, Digest, Digester};
use crate::error::{Error, Result};
use crate::media_type::MediaType;

/// How much of a file is read at a time, in bytes.
const CHUNK: usize = 256 * 1024;

impl Descriptor {
    /// Returns the descriptor of the content of the file `path`, by sha256. The file is read once, on a blocking
    /// thread and in constant memory; push it with [`Source::file`](crate::Source::file).
    ///
    /// If the future is dropped, the file is read to its end all the same.
    ///
    /// ```
    /// # use tranship::{Descriptor, MediaType, Pusher, Result, Source};
    /// async fn push_file(store: &dyn Pusher) -> Result<()> {
    ///     let layer = Descriptor::of_file(MediaType::IMAGE_LAYER, "layer.tar").await?;
    ///     store.push(&layer, Source::file("layer.tar")).await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) if the file does not exist, and what else the file system fails with.
    pub async fn of_file(media_type: MediaType, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let shown = path.display().to_string();
        let hashed =
            blocking::run(move || hash(&path).map_err(|error| Error::io("cannot be read", error)));
        let (digest, size) = hashed.await.map_err(|error| error.with_subject(shown))?;
        Ok(Self::new(media_type, digest, size))
    }
}

fn hash(path: &Path) -> io::Result<(Digest, u64)> {
    let mut file = File::open(path)?;
    let mut digester = Digester::new(Algorithm::default());
    let mut buffer = vec![0; CHUNK];
    let mut size = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((digester.finish(), size)),
            Ok(read) => {
                digester.update(&buffer[..read]);
                size += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
