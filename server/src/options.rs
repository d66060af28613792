//! What whoever runs a server chooses.

use std::time::Duration;

use tranship::MAX_MANIFEST_SIZE;

use crate::access::Access;

/// How a registry is served.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Who may do what: everybody everything unless set.
    pub access: Option<Access>,
    /// What every answer warns of, such as that the registry is to be switched off.
    pub warning: Option<String>,
    /// Whether manifests are refused that refer to blobs or manifests which the repository does not have: yes
    /// unless set, as in distribution. A subject may always be absent. Sparse indexes, which list platforms
    /// that were not copied, are only taken if this is off.
    pub complete_manifests: bool,
    /// Whether other servers serve the same place, so that a client may come to another one with its
    /// next chunk: no unless set. Uploads are then left to the backend between requests, which hashes
    /// again what it has.
    pub shared: bool,
    /// The largest manifest that is taken, in bytes: [`MAX_MANIFEST_SIZE`] unless set.
    pub max_manifest_size: u64,
    /// The largest blob that is taken, in bytes; none unless set.
    pub max_blob_size: Option<u64>,
    /// The fewest bytes that clients are asked to send in a chunk (`OCI-Chunk-Min-Length`). A hint:
    /// smaller chunks are taken all the same. None unless set.
    pub min_chunk_size: Option<u64>,
    /// How many items a page of tags or repositories has at the most: 1000 unless set.
    pub max_page_size: usize,
    /// In how many repositories a blob is looked for that is to be mounted from wherever it is, the
    /// first ones of the catalog: 100 unless set. With none such mounts become uploads.
    pub anonymous_mount_search: usize,
    /// How many uploads may be open at a time: 10,000 unless set.
    pub max_uploads: usize,
    /// How many uploads may be open at a time for one user, or for one address where the caller is not a user:
    /// 256 unless set.
    pub max_uploads_per_user: usize,
    /// How long an upload may lie idle before it may be cancelled: a day unless set.
    pub upload_expiry: Duration,
    /// How long a client may send nothing in the middle of a body: one minute unless set.
    pub body_timeout: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            access: None,
            warning: None,
            complete_manifests: true,
            shared: false,
            max_manifest_size: MAX_MANIFEST_SIZE,
            max_blob_size: None,
            min_chunk_size: None,
            max_page_size: 1000,
            anonymous_mount_search: 100,
            max_uploads: 10_000,
            max_uploads_per_user: 256,
            upload_expiry: Duration::from_secs(24 * 60 * 60),
            body_timeout: Duration::from_secs(60),
        }
    }
}

impl ServerOptions {
    /// Lets in who `access` lets in. Passwords travel in clear text, so use TLS.
    #[must_use]
    pub fn with_access(mut self, access: Access) -> Self {
        self.access = Some(access);
        self
    }

    /// Warns of `text` in every answer. Only printable ASCII is sent.
    #[must_use]
    pub fn with_warning(mut self, text: impl Into<String>) -> Self {
        self.warning = Some(text.into());
        self
    }

    /// Refuses manifests that refer to blobs or manifests which the repository does not have if `complete`.
    #[must_use]
    pub fn with_complete_manifests(mut self, complete: bool) -> Self {
        self.complete_manifests = complete;
        self
    }

    /// Leaves uploads to the backend between requests if `shared`.
    #[must_use]
    pub fn with_shared(mut self, shared: bool) -> Self {
        self.shared = shared;
        self
    }

    /// Takes manifests of up to `size` bytes.
    #[must_use]
    pub fn with_max_manifest_size(mut self, size: u64) -> Self {
        self.max_manifest_size = size;
        self
    }

    /// Takes blobs of up to `size` bytes.
    #[must_use]
    pub fn with_max_blob_size(mut self, size: u64) -> Self {
        self.max_blob_size = Some(size);
        self
    }

    /// Asks clients for chunks of at least `size` bytes.
    #[must_use]
    pub fn with_min_chunk_size(mut self, size: u64) -> Self {
        self.min_chunk_size = Some(size);
        self
    }

    /// Lists up to `size` tags or repositories a page.
    #[must_use]
    pub fn with_max_page_size(mut self, size: usize) -> Self {
        self.max_page_size = size.max(1);
        self
    }

    /// Looks for a blob to mount in up to `count` repositories.
    #[must_use]
    pub fn with_anonymous_mount_search(mut self, count: usize) -> Self {
        self.anonymous_mount_search = count;
        self
    }

    /// Lets up to `count` uploads be open at a time.
    #[must_use]
    pub fn with_max_uploads(mut self, count: usize) -> Self {
        self.max_uploads = count;
        self
    }

    /// Lets up to `count` uploads be open at a time for each user.
    #[must_use]
    pub fn with_max_uploads_per_user(mut self, count: usize) -> Self {
        self.max_uploads_per_user = count;
        self
    }

    /// Lets uploads be idle for `time`.
    #[must_use]
    pub fn with_upload_expiry(mut self, time: Duration) -> Self {
        self.upload_expiry = time;
        self
    }

    /// Waits for `time` for the next bytes of a request's body.
    #[must_use]
    pub fn with_body_timeout(mut self, time: Duration) -> Self {
        self.body_timeout = time;
        self
    }
}
