//! The server's own files.

use std::fs;
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tranship::layers::CachedContent;
use tranship::{
    Algorithm, ContentKind, Descriptor, Error, ErrorKind, RepositoryName, Result, blocking,
};
use tranship_backends::RegistryLocation;

use super::directory;
use crate::args::Settings;
use crate::save::beside;
use crate::state;

/// The file with the content that mirrors have stored, in the order in which it was read.
const CACHED_CONTENT: &str = "cached-content.jsonl";

/// A directory for the server's own files. Clones share the order of writes.
#[derive(Debug, Clone)]
pub(super) struct StateDirectory {
    path: PathBuf,
    /// Held while a file is replaced, also after the future that began it was dropped.
    writing: Arc<Mutex<()>>,
}

/// A line of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    repository: String,
    is_manifest: bool,
    content: Descriptor,
}

impl StateDirectory {
    /// Returns the directory that the settings name, or that belongs to their root; `None` for a user without a home.
    pub(super) fn of(settings: &Settings) -> Option<Self> {
        Some(Self {
            path: path(settings)?,
            writing: Arc::default(),
        })
    }

    /// Checks that the server can have the directory if the settings name it, or if it does not start without one.
    ///
    /// # Errors
    /// - [`InvalidInput`](tranship::ErrorKind::InvalidInput) if one is needed, and the user has no home directory.
    /// - The error of the file system.
    pub(super) async fn check(settings: &Settings) -> Result<()> {
        let of_mirrors = !settings.mirror.is_empty() && settings.root.is_some();
        let of_webhooks = !settings.webhook.is_empty();
        match Self::of(settings) {
            Some(Self { path, .. }) if settings.state.is_some() || of_mirrors || of_webhooks => {
                let check = move || directory::check(&path).map_err(|error| unusable(&path, error));
                blocking::run(check).await
            }
            None if of_webhooks => Err(missing()),
            _ => Ok(()),
        }
    }

    /// Creates the directory, unless it exists.
    ///
    /// # Errors
    /// The error of the file system.
    pub(super) async fn create(&self) -> Result<()> {
        let path = self.path.clone();
        let create = move || fs::create_dir_all(&path).map_err(|error| unusable(&path, error));
        blocking::run(create).await
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the content that was saved. It only tells what to delete first, so whatever cannot be read is left out.
    pub(super) async fn cached_content(&self) -> Vec<CachedContent> {
        let lines = self.lines(CACHED_CONTENT).await.into_iter();
        // The file begins with the content read longest ago. A cache takes each as older than the ones before.
        lines.filter_map(Line::into_content).rev().collect()
    }

    /// Saves which content is stored.
    ///
    /// # Errors
    /// The error of the file system.
    pub(super) async fn save_cached_content(&self, contents: Vec<CachedContent>) -> Result<()> {
        let lines = contents.into_iter().map(|content| Line {
            repository: content.repository.to_string(),
            is_manifest: content.kind == ContentKind::Manifest,
            content: content.target,
        });
        self.save_lines(CACHED_CONTENT, lines.collect()).await
    }

    /// Returns whether there is a file `name`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.path.join(name).exists()
    }

    /// Returns the lines of the file `name`, without those that cannot be read.
    pub(super) async fn lines<T>(&self, name: &str) -> Vec<T>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let path = self.path.join(name);
        let read = blocking::run(move || {
            let Ok(file) = fs::File::open(path) else {
                return Ok(Vec::new());
            };
            let lines = BufReader::new(file)
                .lines()
                .map_while(std::result::Result::ok);
            let lines = lines.filter_map(|line| serde_json::from_str(&line).ok());
            Ok(lines.collect())
        });
        read.await.unwrap_or_default()
    }

    /// Replaces the file `name` by one with these lines. After a power cut it is the old one or the new one.
    ///
    /// A write that has begun is finished if the future is dropped, and before the next one begins: otherwise the one at the
    /// end of the process could be followed by an earlier one.
    ///
    /// # Errors
    /// The error of the file system.
    pub(super) async fn save_lines<T>(&self, name: &str, lines: Vec<T>) -> Result<()>
    where
        T: Serialize + Send + 'static,
    {
        let path = self.path.join(name);
        let turn = Arc::clone(&self.writing).lock_owned().await;
        let write = move || {
            let _turn = turn;
            let failed = |error| Error::io("cannot be written", error).with_subject(path.display());
            let (file, temporary) = beside(&path).map_err(failed)?.into_parts();
            let mut file = BufWriter::new(file);
            for line in lines {
                serde_json::to_writer(&mut file, &line).map_err(|error| failed(error.into()))?;
                file.write_all(b"\n").map_err(failed)?;
            }
            file.flush().map_err(failed)?;
            file.get_ref().sync_all().map_err(failed)?;
            temporary
                .persist(&path)
                .map_err(|error| failed(error.error))
        };
        blocking::run(write).await
    }
}

impl Line {
    fn into_content(self) -> Option<CachedContent> {
        let kind = match self.is_manifest {
            true => ContentKind::Manifest,
            false => ContentKind::Blob,
        };
        let repository: RepositoryName = self.repository.parse().ok()?;
        Some(CachedContent::new(repository, kind, self.content))
    }
}

/// Returns the error of a server that needs a directory, for a user without a home.
pub(super) fn missing() -> Error {
    let message = "events that wait for their delivery need a directory";
    Error::new(ErrorKind::InvalidInput, message).with_hint("set one with --state DIR")
}

fn unusable(path: &Path, error: io::Error) -> Error {
    Error::io(
        "the directory for the server's own files cannot be used",
        error,
    )
    .with_subject(path.display())
    .with_hint("name another one with --state")
}

fn path(settings: &Settings) -> Option<PathBuf> {
    if let Some(path) = &settings.state {
        return Some(path.clone());
    }
    let name = match settings.root.as_ref().map(|root| &root.0) {
        Some(RegistryLocation::LayoutRegistry(root)) => {
            return Some(root.as_path().join(".tranship"));
        }
        Some(root) => {
            let root = Algorithm::default().digest(root.to_string().as_bytes());
            root.hex()[..16].to_owned()
        }
        None => "memory".to_owned(),
    };
    Some(state::servers()?.join(name))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn a_write_whose_future_was_dropped_does_not_follow_a_later_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let state = StateDirectory {
            path: directory.path().to_owned(),
            writing: Arc::default(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.expect("a runtime");
        runtime.block_on(async {
            let long = state.save_lines("file", vec!["earlier"; 100_000]);
            assert!(long.now_or_never().is_none(), "it has begun");
            let saved = state.save_lines("file", vec!["later"]).await;
            saved.expect("saved");
        });
        // Waits for the writes that have begun.
        drop(runtime);
        let written = fs::read_to_string(directory.path().join("file"));
        assert_eq!(written.expect("read"), "\"later\"\n");
    }
}
