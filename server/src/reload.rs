//! Files that are read again when they change, so that a certificate can be renewed or a password revoked without a
//! restart.
//!
//! Length and time of the files are compared when their content is used, at most once a second. Notifications of the
//! system would need a crate with a thread and a watch on the directory, and miss changes on network file systems.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tranship::{Error, Result, blocking};

/// The time for which the files are not checked again.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The decoded content of files, from the last time when they were valid.
pub(crate) struct ReloadedFiles<T> {
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
    last_check: Instant,
}

/// A change of this is taken for a change of the file.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
}

impl<T: Send + Sync + 'static> ReloadedFiles<T> {
    /// Reads the files at `paths`, and decodes their contents with `decode`.
    ///
    /// # Errors
    /// The error of reading a file, or that of `decode`.
    pub(crate) async fn open(
        paths: Vec<PathBuf>,
        decode: fn(&[Vec<u8>]) -> Result<T>,
    ) -> Result<Self> {
        let source = Arc::new(Source { paths, decode });
        let reader = Arc::clone(&source);
        let (stamps, value) = blocking::run(move || Ok((reader.stamps(), reader.read()?))).await?;
        Ok(Self {
            source,
            state: Mutex::new(State {
                value: Arc::new(value),
                stamps,
                last_check: Instant::now(),
            }),
        })
    }

    /// Returns the decoded content. If the files have changed and are not valid, it is the content before the change.
    pub(crate) async fn current(&self) -> Arc<T> {
        {
            let mut state = self.lock();
            if state.last_check.elapsed() < CHECK_INTERVAL {
                return Arc::clone(&state.value);
            }
            // Concurrent callers do not check too.
            state.last_check = Instant::now();
        }
        let reader = Arc::clone(&self.source);
        let Ok(stamps) = blocking::run(move || Ok(reader.stamps())).await else {
            return Arc::clone(&self.lock().value);
        };
        if self.lock().stamps != stamps {
            let reader = Arc::clone(&self.source);
            match blocking::run(move || reader.read()).await {
                Ok(value) => {
                    let mut state = self.lock();
                    state.value = Arc::new(value);
                    state.stamps = stamps;
                    tracing::info!(files = ?self.source.paths, "reloaded");
                }
                Err(error) => {
                    tracing::warn!(files = ?self.source.paths, %error, "not reloaded; the last valid content stays in use");
                }
            }
        }
        Arc::clone(&self.lock().value)
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn expire_check(&self) {
        if let Some(past) = Instant::now().checked_sub(CHECK_INTERVAL) {
            self.lock().last_check = past;
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

impl<T> std::fmt::Debug for ReloadedFiles<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ReloadedFiles")
            .field(&self.source.paths)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tranship::ErrorKind;

    fn text(contents: &[Vec<u8>]) -> Result<String> {
        String::from_utf8(contents.concat())
            .map_err(|error| Error::new(ErrorKind::InvalidInput, "not UTF-8").with_source(error))
    }

    #[tokio::test]
    async fn a_valid_change_is_loaded() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        fs::write(&path, "one").expect("written");
        let files = ReloadedFiles::open(vec![path.clone()], text)
            .await
            .expect("read");
        assert_eq!(*files.current().await, "one");
        fs::write(&path, "three").expect("written");
        assert_eq!(*files.current().await, "one");
        files.expire_check();
        assert_eq!(*files.current().await, "three");
        fs::write(&path, b"\xff").expect("written");
        files.expire_check();
        assert_eq!(*files.current().await, "three");
        fs::remove_file(&path).expect("removed");
        files.expire_check();
        assert_eq!(*files.current().await, "three");
    }

    #[tokio::test]
    async fn a_missing_file_is_an_error_at_first() {
        let error = ReloadedFiles::open(vec!["/nonexistent/file".into()], text).await;
        assert!(error.expect_err("missing").is_not_found());
    }
}
