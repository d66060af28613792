//! Uploads that nobody goes on with. Nobody holds one here: only its age tells.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::ObjectStore as _;
use object_store::path::Path;
use tranship::{Result, UploadId};

use super::errors::failed;
use super::place::Place;
use super::stored::age;
use super::upload;
use crate::driver::{Leftover, LeftoverKind, Pages};

/// What is known of an upload.
struct Found {
    size: u64,
    /// How long ago it was written to last.
    age: Duration,
}

/// The uploads that nobody has touched within `min_age`.
pub(super) fn list(place: &Place, min_age: Duration) -> Pages<'_, Leftover> {
    let listing = async move {
        let uploads = look(place, &place.uploads()).await?;
        let old = uploads
            .into_iter()
            .filter(|(_, found)| found.age >= min_age);
        let leftovers = old.map(|(name, found)| Leftover {
            kind: LeftoverKind::Upload,
            name,
            size: found.size,
            is_shared: false,
        });
        Ok(leftovers.collect())
    };
    stream::once(listing).boxed()
}

/// Removes an upload, unless somebody has written to it again.
pub(super) async fn remove(place: &Place, leftover: &Leftover, min_age: Duration) -> Result<bool> {
    let id = UploadId::new(leftover.name.as_str());
    let Some(prefix) = upload::prefix_of(place, &id) else {
        return Ok(false);
    };
    let found = look(place, &prefix).await?;
    if found.is_empty() || found.values().any(|found| found.age < min_age) {
        return Ok(false);
    }
    upload::remove(place, &prefix).await?;
    Ok(true)
}

/// The uploads that have objects below `prefix`, by their ids.
async fn look(place: &Place, prefix: &Path) -> Result<BTreeMap<String, Found>> {
    let now = SystemTime::now();
    let root = place.uploads();
    let mut uploads: BTreeMap<String, Found> = BTreeMap::new();
    let mut listed = place.bucket.store().list(Some(prefix));
    loop {
        let object = listed.try_next().await;
        let object = object.map_err(|error| failed(place.bucket.url(), "listed", prefix, error))?;
        let Some(object) = object else {
            return Ok(uploads);
        };
        let below = object.location.prefix_match(&root);
        let Some(id) = below.and_then(|mut parts| parts.next()) else {
            continue;
        };
        let id = id.as_ref().to_owned();
        // What is no upload is not ours to remove.
        if !upload::is_id(&id) {
            continue;
        }
        let age = age(&object, now);
        let upload = uploads.entry(id).or_insert(Found { size: 0, age });
        upload.size = upload.size.saturating_add(object.size);
        upload.age = upload.age.min(age);
    }
}
