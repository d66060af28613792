//! Uploads that no client has continued. An upload has no lock here, so only its age is known.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::ObjectStore as _;
use object_store::path::Path;
use tranship::{Result, UploadId};

use super::errors::failed;
use super::layout::ObjectLayout;
use super::session::{self, is_id};
use super::stored::age;
use crate::driver::{Leftover, LeftoverKind, Pages};

/// The objects of an upload, together.
struct UploadObjects {
    /// In bytes.
    size: u64,
    /// The time since the last write.
    age: Duration,
}

/// Lists the uploads that have not changed within `min_age`.
pub(super) fn list(layout: &ObjectLayout, min_age: Duration) -> Pages<'_, Leftover> {
    let listing = async move {
        let uploads = uploads_below(layout, &layout.keys.uploads()).await?;
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

/// Removes an upload, unless it has changed within `min_age`.
pub(super) async fn remove(
    layout: &ObjectLayout,
    leftover: &Leftover,
    min_age: Duration,
) -> Result<bool> {
    let id = UploadId::new(leftover.name.as_str());
    let Some(prefix) = session::prefix_of(layout, &id) else {
        return Ok(false);
    };
    let found = uploads_below(layout, &prefix).await?;
    if found.is_empty() || found.values().any(|found| found.age < min_age) {
        return Ok(false);
    }
    session::remove(layout, &prefix).await?;
    Ok(true)
}

/// Returns the uploads that have objects below `prefix`, by their ids.
async fn uploads_below(
    layout: &ObjectLayout,
    prefix: &Path,
) -> Result<BTreeMap<String, UploadObjects>> {
    let now = SystemTime::now();
    let root = layout.keys.uploads();
    let mut uploads: BTreeMap<String, UploadObjects> = BTreeMap::new();
    let mut listed = layout.bucket.store().list(Some(prefix));
    loop {
        let object = listed.try_next().await;
        let object =
            object.map_err(|error| failed(layout.bucket.url(), "listed", prefix, error))?;
        let Some(object) = object else {
            return Ok(uploads);
        };
        let below = object.location.prefix_match(&root);
        let Some(id) = below.and_then(|mut parts| parts.next()) else {
            continue;
        };
        let id = id.as_ref().to_owned();
        // Objects that are not of an upload were written by another program.
        if !is_id(&id) {
            continue;
        }
        let age = age(&object, now);
        let upload = uploads.entry(id).or_insert(UploadObjects { size: 0, age });
        upload.size = upload.size.saturating_add(object.size);
        upload.age = upload.age.min(age);
    }
}
