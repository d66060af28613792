//! The S3 server that tests run over: started by `tests/interop/s3.sh`, which says where it is.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;

/// The bucket, with credentials from the environment.
///
/// # Panics
/// Unless it is said where that is: a test that cannot run has failed.
pub(crate) fn bucket() -> Arc<dyn ObjectStore> {
    let setting = |name: &str| {
        std::env::var(name)
            .unwrap_or_else(|_| panic!("{name} is not set: run bash tests/interop/s3.sh"))
    };
    // Its HTTP client wants a TLS provider, also in clear text. Another test may have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let store = AmazonS3Builder::from_env()
        .with_endpoint(setting("TRANSHIP_S3_ENDPOINT"))
        .with_bucket_name(setting("TRANSHIP_S3_BUCKET"))
        .with_allow_http(true)
        .build();
    Arc::new(store.expect("settings of a store"))
}

/// A prefix that nobody else uses.
pub(crate) fn own_prefix(name: &str) -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::{SystemTime, UNIX_EPOCH};

    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = now.map_or(0, |elapsed| elapsed.as_micros());
    format!("{name}/{micros:x}-{:x}-{number}", std::process::id())
}
