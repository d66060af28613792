//! When an artifact was made.

use std::time::{Duration, SystemTime};

use chrono::DateTime;
use tranship::{
    Descriptor, Fetcher, MAX_MANIFEST_SIZE, Manifest, ManifestDocument, Result, fetch_document,
};

use crate::CREATED;
use crate::image::config::{fetch_config, is_image_config};

/// Builds that are to be the same each time set 1970, or 1980 where a file format has no earlier year. Such a time says
/// nothing of the age. This is the first second of 1980, which buildpacks set, after the epoch.
const LATEST_ARTIFICIAL: Duration = Duration::from_secs(315_532_801);

/// So many entries of an index are asked for their time.
const MAX_ENTRIES: usize = 16;

/// Returns when an image or artifact was created: by the annotation
/// `org.opencontainers.image.created`, or by the config of an image. An index without the annotation is as new as the
/// newest of its first 16 manifests.
///
/// Returns `None` if it does not say, or if it says 1970 or the start of 1980, as reproducible builds do.
///
/// Reads the manifest, and the config of an image without the annotation. Dropping the future has no other effect.
///
/// # Errors
/// Any error of reading, except that content is missing or damaged below the manifest itself, which counts as
/// not knowing.
pub async fn created(
    repository: &dyn Fetcher,
    manifest: &Descriptor,
) -> Result<Option<SystemTime>> {
    match fetch_document(repository, manifest, MAX_MANIFEST_SIZE).await? {
        Some(ManifestDocument::Index(index)) => {
            let own = index.annotations.get(CREATED);
            if let Some(time) = own.and_then(|text| parse(text)) {
                return Ok(Some(time));
            }
            let mut newest = None;
            for entry in index.manifests.iter().take(MAX_ENTRIES) {
                let document = fetch_document(repository, entry, MAX_MANIFEST_SIZE).await;
                if let Some(Some(ManifestDocument::Manifest(manifest))) = unless_lost(document)? {
                    newest = newest.max(of_manifest(repository, &manifest).await?);
                }
            }
            Ok(newest)
        }
        Some(ManifestDocument::Manifest(manifest)) => of_manifest(repository, &manifest).await,
        Some(other) => Ok(other
            .annotations()
            .get(CREATED)
            .and_then(|text| parse(text))),
        None => Ok(None),
    }
}

async fn of_manifest(repository: &dyn Fetcher, manifest: &Manifest) -> Result<Option<SystemTime>> {
    if let Some(text) = manifest.annotations.get(CREATED) {
        return Ok(parse(text));
    }
    if !is_image_config(manifest.config.media_type()) {
        return Ok(None);
    }
    let config = fetch_config(repository, &manifest.config, MAX_MANIFEST_SIZE).await;
    Ok(unless_lost(config)?.and_then(|config| parse(&config.created?)))
}

/// Takes what is missing, damaged or too large for unknown.
fn unless_lost<T>(result: Result<T>) -> Result<Option<T>> {
    use tranship::ErrorKind::*;
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error)
            if matches!(
                error.kind(),
                NotFound | DigestMismatch | SizeMismatch | InvalidManifest | SizeExceedsLimit
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Reads a time of RFC 3339 that says something of the age.
fn parse(text: &str) -> Option<SystemTime> {
    let time: SystemTime = DateTime::parse_from_rfc3339(text).ok()?.into();
    let age = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    (age > LATEST_ARTIFICIAL).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_reproducible_builds_say_nothing() {
        for text in [
            "1970-01-01T00:00:00Z",
            "1980-01-01T00:00:01Z",
            "0001-01-01T00:00:00Z",
            "yesterday",
            "",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(1_735_689_600);
        assert_eq!(parse("2025-01-01T00:00:00Z"), Some(expected));
        assert_eq!(parse("2025-01-01T02:00:00+02:00"), Some(expected));
    }
}
