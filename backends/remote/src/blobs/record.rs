//! Records of uploads on the local disk, with which another process continues them.
//!
//! There is one file for each blob and repository. A push keeps it locked, so that no two pushes write to one upload. The
//! URL in it may be sufficient to write to the upload, so only the user may read the file. If a record cannot be read or
//! written, the push proceeds without it.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tranship::{Descriptor, Digest, Error, blocking};
use url::Url;

use crate::repository_client::RepositoryClient;

/// The largest record that is read, in bytes. Real ones are far smaller.
const LARGEST: u64 = 64 * 1024;

/// Registries forget uploads after a day to a week.
const EXPIRES_AFTER: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The record of one upload, which no other push uses until this is dropped.
#[derive(Debug)]
pub(super) struct UploadRecord {
    file: Arc<File>,
    path: PathBuf,
    subject: Subject,
}

/// The blob that is uploaded, and the repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Subject {
    repository: String,
    digest: Digest,
}

#[derive(Serialize, Deserialize)]
struct StoredRecord {
    #[serde(flatten)]
    subject: Subject,
    url: String,
}

impl Subject {
    fn new(client: &RepositoryClient, target: &Descriptor) -> Self {
        Self {
            repository: format!("{}/{}", client.shared.identity, client.name),
            digest: *target.digest(),
        }
    }

    /// Returns a file name that every file system accepts, whatever the length of the repository and the digest.
    fn file_name(&self) -> String {
        let key = format!("{} {}", self.repository, self.digest);
        format!("{}.json", Digest::of(key.as_bytes()).hex())
    }
}

impl UploadRecord {
    /// Returns the record of an earlier push of `target` and the URL in it, and `None` if there is none or another push uses
    /// it.
    pub(super) async fn find(
        client: &RepositoryClient,
        target: &Descriptor,
    ) -> Option<(Self, Url)> {
        let directory = client.transport().options().upload_records.clone()?;
        let subject = Subject::new(client, target);
        let found = on_thread(move || {
            let mut options = OpenOptions::new();
            let record = Self::open(options.read(true).write(true), &directory, subject)?;
            let url = record.as_ref().and_then(Self::read);
            Ok(record.zip(url))
        });
        found.await
    }

    /// Creates the record of a new upload of `target`. Returns `None` if records are not kept, or another push uses this one.
    pub(super) async fn begin(client: &RepositoryClient, target: &Descriptor) -> Option<Self> {
        let directory = client.transport().options().upload_records.clone()?;
        let subject = Subject::new(client, target);
        let begun = on_thread(move || {
            create_directory(&directory)?;
            sweep(&directory);
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            #[cfg(unix)]
            {
                use std::os::unix::fs::OpenOptionsExt as _;
                options.mode(0o600);
            }
            Self::open(&options, &directory, subject)
        });
        begun.await
    }

    /// Writes the current URL of the upload.
    pub(super) async fn note(&self, url: &Url) {
        let stored = StoredRecord {
            subject: self.subject.clone(),
            url: url.as_str().to_owned(),
        };
        let file = Arc::clone(&self.file);
        let written = on_thread(move || {
            let bytes = serde_json::to_vec(&stored)?;
            let mut file = &*file;
            // A record that is torn by a power cut cannot be decoded, and a new upload is started.
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(&bytes).map(Some)
        });
        written.await;
    }

    /// Removes the record, because the upload has ended.
    pub(super) async fn forget(self) {
        on_thread(move || fs::remove_file(&self.path).map(Some)).await;
    }

    fn open(options: &OpenOptions, directory: &Path, subject: Subject) -> io::Result<Option<Self>> {
        let path = directory.join(subject.file_name());
        let file = match options.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let is_ours = file.try_lock().is_ok() && is_same(&file.metadata()?, &path);
        Ok(is_ours.then(|| Self {
            file: Arc::new(file),
            path,
            subject,
        }))
    }

    fn read(&self) -> Option<Url> {
        let mut bytes = Vec::new();
        (&*self.file).take(LARGEST).read_to_end(&mut bytes).ok()?;
        let stored: StoredRecord = serde_json::from_slice(&bytes).ok()?;
        let url = stored.url.parse().ok()?;
        (stored.subject == self.subject).then_some(url)
    }
}

/// Runs an operation on a record on a blocking thread. Returns `None` if it fails, which is logged.
async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<Option<T>> + Send + 'static,
) -> Option<T> {
    let failed = |error| Error::io("a record of an upload cannot be kept", error);
    match blocking::run(move || work().map_err(failed)).await {
        Ok(outcome) => outcome,
        Err(error) => {
            tracing::debug!(%error);
            None
        }
    }
}

/// Whether the file is still the one at `path`, and was not removed by a push that has ended.
#[cfg(unix)]
fn is_same(file: &Metadata, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let identity = |metadata: &Metadata| (metadata.dev(), metadata.ino());
    fs::symlink_metadata(path).is_ok_and(|found| identity(&found) == identity(file))
}

#[cfg(not(unix))]
fn is_same(_: &Metadata, path: &Path) -> bool {
    path.exists()
}

fn create_directory(directory: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(directory)
}

/// Removes records of uploads that have expired at every registry.
fn sweep(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let age = entry.metadata().and_then(|metadata| metadata.modified());
        let is_old = age.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > EXPIRES_AFTER));
        let is_record = entry.path().extension().is_some_and(|name| name == "json");
        if !is_old || !is_record {
            continue;
        }
        // A push that takes days still has the lock.
        if File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
