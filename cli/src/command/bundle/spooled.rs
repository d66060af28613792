//! Bundles on standard input.

use std::path::PathBuf;

use futures_util::TryStreamExt as _;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tranship::{Error, ErrorKind};

use crate::command_error::Outcome;
use crate::input::standard_input;

/// The files, of which standard input is kept in a temporary one.
pub(super) struct Spooled {
    pub(super) files: Vec<PathBuf>,
    _directory: Option<TempDir>,
}

impl Spooled {
    pub(super) async fn of(files: &[PathBuf]) -> Outcome<Self> {
        let mut spooled = Self {
            files: files.to_vec(),
            _directory: None,
        };
        if !files.iter().any(|file| file.as_os_str() == "-") {
            return Ok(spooled);
        }
        if files.len() > 1 {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "standard input is one volume, and there are others",
            )
            .into());
        }
        let failed = |error| Error::io("the bundle cannot be kept in a temporary file", error);
        let directory = tempfile::tempdir().map_err(failed)?;
        let path = directory.path().join("stdin.tar");
        let mut file = tokio::fs::File::create(&path).await.map_err(failed)?;
        let mut input = standard_input();
        while let Some(piece) = input.try_next().await? {
            file.write_all(&piece).await.map_err(failed)?;
        }
        file.flush().await.map_err(failed)?;
        spooled.files = vec![path];
        spooled._directory = Some(directory);
        Ok(spooled)
    }
}
