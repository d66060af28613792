//! Every scenario of the conformance kit over a real S3 server.

mod s3_server;

use std::process::ExitCode;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use object_store::ObjectStore;
use object_store::path::Path;
use tranship_backends::layout::{Layout, LayoutOptions, LayoutRegistry};
use tranship_conformance::{Fixture, Suite};

use s3_server::{bucket, own_prefix};

fn main() -> ExitCode {
    // Said at once, and not by each of hundreds of trials.
    drop(bucket());
    tranship_conformance::main([layout(), layouts()])
}

/// A single layout, opened twice.
fn layout() -> Suite {
    Suite::new("s3-layout", || async {
        let prefix = own_prefix("layout");
        let open = || Layout::create_in(bucket(), prefix.as_str(), LayoutOptions::default());
        let (one, other) = (open().await?, open().await?);
        Ok(Fixture::repository(Arc::new(one))
            .with_peer_repository(Arc::new(other))
            .with_inspection(move || nothing_is_left(&prefix)))
    })
}

/// Many layouts, opened twice.
fn layouts() -> Suite {
    Suite::new("s3-layouts", || async {
        let prefix = own_prefix("layouts");
        let open =
            || LayoutRegistry::create_in(bucket(), prefix.as_str(), LayoutOptions::default());
        let (one, other) = (open().await?, open().await?);
        Ok(Fixture::registry(Arc::new(one))
            .with_peer_registry(Arc::new(other))
            .with_inspection(move || nothing_is_left(&prefix)))
    })
}

/// Whether all objects are those of layouts, or the catalog of a registry.
fn nothing_is_left(prefix: &str) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let prefix = Path::from(prefix);
    let listed = runtime.block_on(bucket().list(Some(&prefix)).try_collect::<Vec<_>>());
    let listed = listed.map_err(|error| error.to_string())?;
    let mut keys: Vec<_> = listed.into_iter().map(|found| found.location).collect();
    keys.retain(|key| !belongs_to_a_layout(key));
    if keys.is_empty() {
        return Ok(());
    }
    Err(format!("{keys:?}"))
}

fn belongs_to_a_layout(key: &Path) -> bool {
    let parts: Vec<_> = key.as_ref().rsplit('/').collect();
    matches!(
        parts[..],
        ["index.json" | "oci-layout", ..]
            | ["catalog.json", ".tranship", ..]
            | [_, "sha256" | "sha384" | "sha512", "blobs", ..]
    )
}
