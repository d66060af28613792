//! Lists what lies under `blobs/`.

use std::time::{Duration, SystemTime};

use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore as _};
use tranship::Digest;

use super::errors::failed;
use super::place::Place;
use crate::driver::{Pages, Stored, StoredName};

/// How many objects a page has.
const PAGE: usize = 1000;

/// Everything under `blobs/`, page by page.
pub(super) fn list(place: &Place) -> Pages<'_, Stored> {
    let prefix = place.blobs();
    let listed = place.bucket.store().list(Some(&prefix));
    // By our own clock: before anything is removed, the store's clock is asked.
    let now = SystemTime::now();
    let stored =
        listed.map_err(move |error| failed(place.bucket.url(), "listed", &place.blobs(), error));
    let stored = stored.map_ok(move |found| Stored {
        name: name_of(&prefix, &found.location),
        size: found.size,
        age: age(&found, now),
        is_shared: false,
    });
    stored.try_chunks(PAGE).map_err(|error| error.1).boxed()
}

/// How long ago an object was written; zero if that is said to be in the future.
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
    fn what_is_no_blob_is_a_stray() {
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
