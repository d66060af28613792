//! Content into a file.

use std::io;
use std::path::Path;

use futures_util::StreamExt as _;
use tempfile::{NamedTempFile, TempPath};
use tokio::io::AsyncWriteExt as _;
use tokio::task::spawn_blocking;

use super::VerifiedStream;
use crate::error::{Error, ErrorKind, Result};

/// Writes what `stream` yields to `path`, which appears when all of it is written and verified.
pub(super) async fn save(mut stream: VerifiedStream, path: &Path) -> Result<()> {
    let failed = |error| Error::io("cannot be written", error).with_subject(path.display());
    let (mut file, temporary) = create_beside(path).await.map_err(failed)?;
    while let Some(chunk) = stream.next().await {
        file.write_all(&chunk?).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    drop(file);
    let target = path.to_owned();
    let moved = spawn_blocking(move || temporary.persist(target)).await;
    let moved = moved.map_err(|error| {
        let error = Error::new(ErrorKind::Io, "writing was interrupted").with_source(error);
        error.with_subject(path.display())
    })?;
    moved.map_err(|error| failed(error.error))
}

async fn create_beside(path: &Path) -> io::Result<(tokio::fs::File, TempPath)> {
    let directory = match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory.to_owned(),
        _ => ".".into(),
    };
    let created = spawn_blocking(move || create_in(&directory)).await;
    let (file, temporary) = created.map_err(io::Error::other)??.into_parts();
    Ok((tokio::fs::File::from_std(file), temporary))
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
