//! Lists all objects below `blobs/`.

use std::time::{Duration, SystemTime};

use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore as _};
use tranship::Digest;

use super::errors::failed;
use super::layout::ObjectLayout;
use crate::driver::{Pages, Stored, StoredName};

/// The number of objects in a page.
const PAGE: usize = 1000;

/// Lists all objects below `blobs/`, page by page.
pub(super) fn list(layout: &ObjectLayout) -> Pages<'_, Stored> {
    let prefix = layout.keys.blobs();
    let listed = layout.bucket.store().list(Some(&prefix));
    // The local clock is exact enough here. A sweep uses the store's clock before it removes anything.
    let now = SystemTime::now();
    let stored = listed
        .map_err(move |error| failed(layout.bucket.url(), "listed", &layout.keys.blobs(), error));
    let stored = stored.map_ok(move |found| Stored {
        name: name_of(&prefix, &found.location),
        size: found.size,
        age: age(&found, now),
        is_shared: false,
    });
    stored.try_chunks(PAGE).map_err(|error| error.1).boxed()
}

/// Returns the time since an object was written; zero if its date is in the future.
pub(super) fn age(found: &ObjectMeta, now: SystemTime) -> Duration {
    let modified = SystemTime::from(found.last_modified);
    now.duration_since(modified).unwrap_or_default()
}

fn name_of(prefix: &Path, location: &Path) -> StoredName {
    let below = location.as_ref().strip_prefix(prefix.as_ref());
    let below = below.unwrap_or_default().trim_start_matches('/');
    let digest = below
        .split_once('/')
        .and_then(|(algorithm, hex)| format!("{algorithm}:{hex}").parse::<Digest>().ok());
    match digest {
        Some(digest) => StoredName::Blob(digest),
        None => StoredName::Stray(below.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_is_not_a_blob_is_a_stray() {
        let prefix = Path::from("app/blobs");
        let digest = Digest::of(b"x");
        let blob = format!("app/blobs/sha256/{}", digest.hex());
        assert_eq!(
            name_of(&prefix, &Path::from(blob)),
            StoredName::Blob(digest)
        );
        for stray in ["x", "sha256/00", "sha256/00/11", "md5/00"] {
            let location = Path::from(format!("app/blobs/{stray}"));
            assert_eq!(
                name_of(&prefix, &location),
                StoredName::Stray(stray.to_owned())
            );
        }
    }
}
