//! Finds the list of packages that is attached to an image.

use futures_util::{StreamExt as _, TryStreamExt as _};
use tranship::{Descriptor, ManifestDocument, MediaType, Repository, fetch_document};
use tranship_artifact::image::{Inspection, Kind, ManifestSummary};

use super::view;
use crate::context::Context;
use crate::documents::{Document, PackageList};
use crate::failure::Failure;

/// How many referrers are looked at.
const MAX_REFERRERS: usize = 100;

/// How many attached manifests are read.
const MAX_READ: usize = 6;

/// The largest manifest of an artifact that is read, in bytes.
const MAX_MANIFEST: u64 = 256 * 1024;

/// Types of artifacts that may contain a list of packages.
const TYPES: [&str; 6] = ["spdx", "cyclonedx", "sbom", "in-toto", "dsse", "sigstore"];

/// Finds the list of packages of `image`: attached to it, or beside it in the index of `whole`.
pub(super) async fn find(
    context: &Context<'_>,
    repository: &dyn Repository,
    whole: &Inspection,
    image: &ManifestSummary,
) -> Result<Option<PackageList>, Failure> {
    let digest = image.descriptor.digest();
    let beside = whole.manifests.iter();
    let beside =
        beside.filter(|it| it.kind == Kind::Attestation && it.describes.as_ref() == Some(digest));
    let mut candidates: Vec<Descriptor> = beside.map(|it| it.descriptor.plain()).collect();
    for subject in [&image.descriptor, &whole.descriptor] {
        let referrers = repository.referrers(subject, None).take(MAX_REFERRERS);
        match referrers.try_collect::<Vec<_>>().await {
            Ok(referrers) => candidates.extend(referrers.into_iter().filter(may_have_packages)),
            Err(error) if error.is_unsupported() => {}
            Err(error) => return Err(error.into()),
        }
    }
    for candidate in candidates.iter().take(MAX_READ) {
        let document = fetch_document(repository, candidate, MAX_MANIFEST).await;
        let Ok(Some(ManifestDocument::Manifest(manifest))) = document else {
            continue;
        };
        for file in manifest.layers.iter().take(MAX_READ) {
            if file.size() > context.state.options.max_document_size {
                continue;
            }
            if let Ok(document) = view::read(context, repository, file).await
                && let Some(list) = packages_in(document)
            {
                return Ok(Some(list));
            }
        }
    }
    Ok(None)
}

fn may_have_packages(referrer: &Descriptor) -> bool {
    let kind = referrer.artifact_type().map(MediaType::as_str);
    kind.is_some_and(|kind| TYPES.iter().any(|part| kind.contains(part)))
}

/// Returns the list of packages in a document, or in what it contains.
fn packages_in(document: Document) -> Option<PackageList> {
    match document {
        Document::Packages(list) => Some(list),
        Document::Statement(statement) => packages_in(statement.predicate),
        Document::Envelope(envelope) => packages_in(envelope.payload),
        _ => None,
    }
}
