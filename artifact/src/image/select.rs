//! Which image of an index is meant.

use std::collections::HashSet;

use tranship::{
    Descriptor, Error, ErrorKind, Index, Manifest, ManifestDocument, Platform, Printable,
    Repository, Result, ResultExt as _, TagOrDigest, fetch_document,
};

use super::config::{fetch_config, is_image_config};

/// How deep indexes may contain indexes.
pub(super) const MAX_INDEX_DEPTH: usize = 8;

/// How many manifests the indexes below a reference may list.
pub(super) const MAX_LISTED: usize = 10_000;

/// The operating system and the architecture that an attestation has in an index, as BuildKit writes them.
const UNKNOWN: &str = "unknown";

/// The annotation by which an attestation in an index names the digest of the image that it describes.
pub(super) const ATTESTED_DIGEST: &str = "vnd.docker.reference.digest";

/// Returns whether an entry of an index is an attestation of an image beside it.
pub(super) fn is_attestation(entry: &Descriptor) -> bool {
    entry.annotation("vnd.docker.reference.type") == Some("attestation-manifest")
        || entry
            .platform()
            .is_some_and(|platform| platform.os == UNKNOWN && platform.architecture == UNKNOWN)
}

/// An image manifest that was chosen.
pub(super) struct Selected {
    pub(super) descriptor: Descriptor,
    pub(super) manifest: Manifest,
}

/// Finds the image that `reference` names. Of an index with several images, it is that of `platform`, or of the
/// platform of this machine.
///
/// # Errors
/// - `NotFound` if the reference does not exist, or has no image of the platform. The hint lists the platforms that exist.
/// - `Unsupported` if the reference names something other than an image.
pub(super) async fn select_image(
    repository: &dyn Repository,
    reference: &TagOrDigest,
    platform: Option<&Platform>,
    limit: u64,
) -> Result<Selected> {
    let root = repository
        .resolve(reference)
        .await
        .during("resolve", reference)?;
    let not_an_image = || {
        Error::unsupported("it is not an image").with_hint(
            "only images have a file system; `tranship pull` writes the files of an artifact",
        )
    };
    let document = fetch_document(repository, &root, limit).await;
    let chosen = match document.during("fetch", reference)? {
        Some(ManifestDocument::Manifest(manifest)) => Selected {
            descriptor: root,
            manifest,
        },
        Some(ManifestDocument::Index(index)) => {
            let entries = flatten(repository, index, limit).await?;
            let descriptor = choose(&entries, platform, reference)?;
            let document = fetch_document(repository, &descriptor, limit).await;
            match document.during("fetch", descriptor.digest())? {
                Some(ManifestDocument::Manifest(manifest)) => Selected {
                    descriptor,
                    manifest,
                },
                _ => return Err(not_an_image().with_subject(descriptor.digest())),
            }
        }
        _ => return Err(not_an_image().with_subject(reference)),
    };
    let config = &chosen.manifest.config;
    if !is_image_config(config.media_type()) {
        let kind = chosen.manifest.artifact_type.as_ref();
        let kind = kind.unwrap_or(config.media_type());
        let message = format!("it is not an image, but {}", Printable(kind.as_str()));
        return Err(Error::unsupported(message)
            .with_subject(reference)
            .with_hint(
                "only images have a file system; `tranship pull` writes the files of an artifact",
            ));
    }
    if let Some(platform) = platform {
        let offered = fetch_config(repository, config, limit).await?.platform;
        // The entry of an index may name the platform in more detail than the config does.
        let listed = chosen.descriptor.platform();
        if !offered.satisfies(platform) && !listed.is_some_and(|it| it.satisfies(platform)) {
            return Err(not_found(platform, reference).with_hint(format!("it is for {offered}")));
        }
    }
    Ok(chosen)
}

fn not_found(platform: &Platform, reference: &TagOrDigest) -> Error {
    let message = format!("it does not have an image for the platform {platform}");
    Error::new(ErrorKind::NotFound, message).with_subject(reference)
}

/// Lists the manifests of an index, and those of the indexes in it, in their order. Attestations are left out.
pub(super) async fn flatten(
    repository: &dyn Repository,
    index: Index,
    limit: u64,
) -> Result<Vec<Descriptor>> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut waiting: Vec<(usize, Descriptor)> = entries(index, 1);
    while let Some((depth, entry)) = waiting.pop() {
        if !seen.insert(*entry.digest()) || is_attestation(&entry) {
            continue;
        }
        if !entry.media_type().is_index() {
            found.push(entry);
            continue;
        }
        if depth > MAX_INDEX_DEPTH {
            return Err(too_many(format!(
                "indexes are nested more than {MAX_INDEX_DEPTH} levels deep"
            )));
        }
        match fetch_document(repository, &entry, limit).await {
            Ok(Some(ManifestDocument::Index(index))) => waiting.extend(entries(index, depth + 1)),
            Ok(_) => {}
            // A copy of some platforms leaves out the others.
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.with_operation("fetch").with_subject(entry.digest())),
        }
        if waiting.len() + found.len() > MAX_LISTED {
            return Err(too_many(format!(
                "the index lists more than {MAX_LISTED} manifests"
            )));
        }
    }
    Ok(found)
}

pub(super) fn too_many(message: String) -> Error {
    Error::new(ErrorKind::SizeExceedsLimit, message)
}

/// The entries of an index for a stack: the first one is the last.
fn entries(index: Index, depth: usize) -> Vec<(usize, Descriptor)> {
    let entries = index.manifests.into_iter().rev();
    entries.map(|entry| (depth, entry)).collect()
}

/// Returns the manifest for `platform`, or the only one, or that for this machine.
fn choose(
    entries: &[Descriptor],
    platform: Option<&Platform>,
    reference: &TagOrDigest,
) -> Result<Descriptor> {
    let local = Platform::local();
    let wanted = match (platform, entries) {
        (None, [only]) => return Ok(only.clone()),
        (None, _) => &local,
        (Some(platform), _) => platform,
    };
    let offered = |entry: &&Descriptor| entry.platform().is_some_and(|it| it.satisfies(wanted));
    if let Some(entry) = entries.iter().find(offered) {
        return Ok(entry.clone());
    }
    let offered: Vec<String> = entries
        .iter()
        .filter_map(Descriptor::platform)
        .map(ToString::to_string)
        .collect();
    let error = not_found(wanted, reference);
    Err(match (offered.is_empty(), platform) {
        (true, _) => error.with_hint("name one manifest of the index by its digest"),
        (false, Some(_)) => error.with_hint(format!("it has {}", offered.join(", "))),
        (false, None) => error.with_hint(format!(
            "that is the platform of this machine; choose one of {} with --platform",
            offered.join(", ")
        )),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tranship::MediaType;

    fn entry(name: &str) -> Descriptor {
        let platform = name.parse().expect("a platform");
        Descriptor::of(MediaType::IMAGE_MANIFEST, name.as_bytes()).with_platform(platform)
    }

    fn chosen(entries: &[Descriptor], platform: Option<&str>) -> Result<Descriptor> {
        let platform = platform.map(|text| text.parse().expect("a platform"));
        choose(entries, platform.as_ref(), &"v1".parse().expect("a tag"))
    }

    #[test]
    fn the_only_image_is_taken_whatever_it_is_for() {
        let only = entry("plan9/mips");
        assert_eq!(
            chosen(std::slice::from_ref(&only), None).expect("one"),
            only
        );
    }

    #[test]
    fn of_several_that_of_this_machine_is_taken() {
        let local = entry(&Platform::local().to_string());
        let entries = [entry("plan9/mips"), local.clone()];
        assert_eq!(chosen(&entries, None).expect("local"), local);
        assert_eq!(
            chosen(&entries, Some("plan9/mips")).expect("named"),
            entries[0]
        );
    }

    #[test]
    fn an_error_lists_the_platforms() {
        let entries = [entry("plan9/mips"), entry("plan9/arm")];
        for platform in [None, Some("linux/s390x")] {
            let error = chosen(&entries, platform).expect_err("no such platform");
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert!(
                error
                    .hint()
                    .expect("a hint")
                    .contains("plan9/mips, plan9/arm")
            );
        }
    }
}
