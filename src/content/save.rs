//! Writes content to a file.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use futures_util::StreamExt as _;
use tempfile::NamedTempFile;

use super::VerifiedStream;
use crate::blocking::{self, Sequence};
use crate::error::{Error, Result};

/// Writes what `stream` yields to `path`, which appears when all of it is written and verified.
pub(super) async fn save(mut stream: VerifiedStream, path: &Path) -> Result<()> {
    let failed = |error| Error::io("cannot be written", error);
    let on_path = |error: Error| error.with_subject(path.display());
    let directory = match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory.to_owned(),
        _ => ".".into(),
    };
    let created = blocking::run(move || create_in(&directory).map_err(failed)).await;
    let (file, temporary) = created.map_err(on_path)?.into_parts();
    let mut writing = Sequence::new(file);
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        let write = move |mut file: File| {
            file.write_all(&chunk).map_err(failed)?;
            Ok(file)
        };
        writing.then(write).await.map_err(on_path)?;
    }
    drop(writing.finish().await.map_err(on_path)?);
    let target = path.to_owned();
    let moved = blocking::run(move || {
        temporary
            .persist(target)
            .map_err(|error| failed(error.error))
    });
    moved.await.map_err(on_path)
}

fn create_in(directory: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".tranship-");
    #[cfg(unix)]
    {
        // As for any file that a program creates: the process's mask takes away what others shall not have.
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        builder.permissions(permissions);
    }
    builder.tempfile_in(directory)
}
