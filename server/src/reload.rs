//! Files that are read again when they change, so that a certificate is renewed or a password taken
//! back without a restart.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tranship::{Error, ErrorKind, Result};

/// How long what was read last is taken for current.
const PATIENCE: Duration = Duration::from_secs(1);

/// What files say, as it was when they could last be read.
pub(crate) struct Watched<T> {
    source: Arc<Source<T>>,
    state: Mutex<State<T>>,
}

struct Source<T> {
    paths: Vec<PathBuf>,
    decode: fn(&[Vec<u8>]) -> Result<T>,
}

struct State<T> {
    value: Arc<T>,
    stamps: Vec<Stamp>,
    looked: Instant,
}

/// What tells one state of a file from another.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
}

impl<T: Send + Sync + 'static> Watched<T> {
    /// Reads the files at `paths`, and makes of their contents what `decode` does.
    ///
    /// # Errors
    /// What a file cannot be read with, and as `decode`.
    pub(crate) async fn open(
        paths: Vec<PathBuf>,
        decode: fn(&[Vec<u8>]) -> Result<T>,
    ) -> Result<Self> {
        let source = Arc::new(Source { paths, decode });
        let reader = Arc::clone(&source);
        let (stamps, value) = blocking(move || Ok((reader.stamps(), reader.read()?))).await?;
        Ok(Self {
            source,
            state: Mutex::new(State {
                value: Arc::new(value),
                stamps,
                looked: Instant::now(),
            }),
        })
    }

    /// What the files say. If they have changed and cannot be read, it is what they said before.
    pub(crate) async fn current(&self) -> Arc<T> {
        {
            let mut state = self.lock();
            if state.looked.elapsed() < PATIENCE {
                return Arc::clone(&state.value);
            }
            // Whoever comes meanwhile need not look too.
            state.looked = Instant::now();
        }
        let reader = Arc::clone(&self.source);
        let Ok(stamps) = blocking(move || Ok(reader.stamps())).await else {
            return Arc::clone(&self.lock().value);
        };
        if self.lock().stamps != stamps {
            let reader = Arc::clone(&self.source);
            match blocking(move || reader.read()).await {
                Ok(value) => {
                    let mut state = self.lock();
                    state.value = Arc::new(value);
                    state.stamps = stamps;
                    tracing::info!(files = ?self.source.paths, "read again");
                }
                Err(error) => {
                    tracing::warn!(files = ?self.source.paths, %error, "what was read before stays");
                }
            }
        }
        Arc::clone(&self.lock().value)
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn look_again(&self) {
        if let Some(past) = Instant::now().checked_sub(PATIENCE) {
            self.lock().looked = past;
        }
    }
}

impl<T> Source<T> {
    fn stamps(&self) -> Vec<Stamp> {
        let stamp = |path: &PathBuf| match fs::metadata(path) {
            Ok(metadata) => Stamp {
                length: metadata.len(),
                modified: metadata.modified().ok(),
            },
            Err(_) => Stamp {
                length: 0,
                modified: None,
            },
        };
        self.paths.iter().map(stamp).collect()
    }

    fn read(&self) -> Result<T> {
        let mut contents = Vec::with_capacity(self.paths.len());
        for path in &self.paths {
            let content = fs::read(path).map_err(|error| {
                Error::io("the file cannot be read", error).with_subject(path.display())
            })?;
            contents.push(content);
        }
        (self.decode)(&contents).map_err(|error| match self.paths.first() {
            Some(path) => error.with_subject(path.display()),
            None => error,
        })
    }
}

impl<T> std::fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Watched").field(&self.source.paths).finish()
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        Error::new(ErrorKind::Io, "a file was not read to its end").with_source(error)
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(contents: &[Vec<u8>]) -> Result<String> {
        String::from_utf8(contents.concat())
            .map_err(|error| Error::new(ErrorKind::InvalidInput, "not UTF-8").with_source(error))
    }

    #[tokio::test]
    async fn a_change_is_seen_and_damage_is_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        fs::write(&path, "one").expect("written");
        let watched = Watched::open(vec![path.clone()], text).await.expect("read");
        assert_eq!(*watched.current().await, "one");
        fs::write(&path, "three").expect("written");
        assert_eq!(*watched.current().await, "one");
        watched.look_again();
        assert_eq!(*watched.current().await, "three");
        fs::write(&path, b"\xff").expect("written");
        watched.look_again();
        assert_eq!(*watched.current().await, "three");
        fs::remove_file(&path).expect("removed");
        watched.look_again();
        assert_eq!(*watched.current().await, "three");
    }

    #[tokio::test]
    async fn what_is_not_there_at_first_is_an_error() {
        let error = Watched::open(vec!["/nonexistent/file".into()], text).await;
        assert!(error.expect_err("missing").is_not_found());
    }
}
