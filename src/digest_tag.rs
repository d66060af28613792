//! Tags that attach a manifest to another one by its digest, from before registries had referrers:
//! `sha256-HEX.sig`, `.att` and `.sbom`, as cosign writes them.

use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::Result;
use crate::reference::{Tag, TagOrDigest};
use crate::storage::Resolver;

/// What cosign attaches: signatures, attestations and SBOMs.
const SUFFIXES: [&str; 3] = ["sig", "att", "sbom"];

/// Returns the tags that would attach something to the manifest `subject`, whether they exist or not. Those
/// that are too long for a tag, as with a sha512 digest, are left out.
pub fn digest_tags(subject: &Digest) -> impl Iterator<Item = Tag> + use<> {
    let name = format!("{}-{}", subject.algorithm(), subject.hex());
    SUFFIXES
        .into_iter()
        .filter_map(move |suffix| format!("{name}.{suffix}").parse().ok())
}

/// Finds the manifests that [`digest_tags`] attach to `subject`, each with its tag.
///
/// Makes one request for each tag: a list of all tags can have very many pages.
///
/// # Errors
/// Any error of the repository, except that a tag does not exist.
pub async fn digest_tagged(
    repository: &dyn Resolver,
    subject: &Digest,
) -> Result<Vec<(Tag, Descriptor)>> {
    let mut found = Vec::new();
    for tag in digest_tags(subject) {
        match repository.resolve(&TagOrDigest::Tag(tag.clone())).await {
            // Some registries resolve every tag that begins with a digest to what has the digest.
            Ok(attached) if attached.digest() == subject => {}
            Ok(attached) => found.push((tag, attached)),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.with_operation("resolve").with_subject(tag)),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Algorithm;

    #[test]
    fn the_tags_are_made_of_the_digest_if_they_fit() {
        let digest = Digest::of(b"hello");
        let tags: Vec<String> = digest_tags(&digest).map(|tag| tag.to_string()).collect();
        let hex = digest.hex();
        let expected = ["sig", "att", "sbom"].map(|suffix| format!("sha256-{hex}.{suffix}"));
        assert_eq!(tags, expected);
        let long = Algorithm::Sha512.digest(b"hello");
        assert_eq!(digest_tags(&long).count(), 0);
    }
}
