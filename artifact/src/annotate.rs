//! Changes the annotations of manifests.

use tranship::{
    Descriptor, Error, ErrorKind, ManifestEditor, MediaType, Repository, ResolveOptions, Result,
    ResultExt as _, Tag, TagOrDigest, fetch_bytes,
};

pub use crate::change::ManifestChange;
use crate::change::push;
use crate::index::EntrySelector;

/// What [`annotate`] annotates.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AnnotationTarget {
    /// The manifest or index itself.
    #[default]
    Manifest,
    /// Descriptors in it: entries of an index, layers, or the config. The content that they describe stays as it is.
    Entry(EntrySelector),
}

/// Sets and removes annotations of what `reference` names, and pushes the changed manifest. All its other bytes stay
/// as they are.
///
/// Each change is a key with its value, or `None` to remove the key, which need not exist. If `reference` is a tag,
/// the tag moves to the changed manifest. `tags` are set too.
///
/// The changed manifest has another digest. Indexes that list the old one still list it, and signatures and other
/// referrers of the old one do not cover the new one.
///
/// ```
/// # use tranship::{Repository, Result};
/// use tranship_artifact::annotate::{AnnotationTarget, annotate};
///
/// async fn release(repository: &dyn Repository) -> Result<()> {
///     let changes = [("org.opencontainers.image.version".to_owned(), Some("1.2".to_owned()))];
///     let target = AnnotationTarget::Manifest;
///     let change = annotate(repository, &"v1.2".parse()?, &target, &changes, &[]).await?;
///     println!("{} is now {}", change.old.digest(), change.new.digest());
///     Ok(())
/// }
/// ```
///
/// # Errors
/// - [`ErrorKind::InvalidInput`] if there is no change, or a key is empty.
/// - [`ErrorKind::NotFound`] if `reference` names nothing, or if there is no such entry.
/// - [`ErrorKind::Unsupported`] if it is a manifest of Docker, which does not have annotations.
/// - [`ErrorKind::Conflict`] if another writer has moved the tag since the manifest was read.
/// - [`ErrorKind::SizeExceedsLimit`] if the manifest becomes too large for the repository.
pub async fn annotate(
    repository: &dyn Repository,
    reference: &TagOrDigest,
    target: &AnnotationTarget,
    changes: &[(String, Option<String>)],
    tags: &[Tag],
) -> Result<ManifestChange> {
    if changes.is_empty() || changes.iter().any(|(key, _)| key.is_empty()) {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "a change needs the key of an annotation",
        ));
    }
    let options = ResolveOptions::default();
    let (old, content) = fetch_bytes(repository, reference, &options).await?;
    let media_type = old.media_type();
    if [MediaType::DOCKER_MANIFEST, MediaType::DOCKER_MANIFEST_LIST].contains(media_type) {
        return Err(Error::unsupported(
            "manifests of Docker do not have annotations; only those of OCI do",
        )
        .with_subject(reference));
    }
    let mut editor = ManifestEditor::new(media_type, &content).during("decode", reference)?;
    for (key, value) in changes {
        match target {
            AnnotationTarget::Manifest => editor.annotate(key, value.as_deref())?,
            AnnotationTarget::Entry(selector) => {
                let selects = |entry: &Descriptor| selector.selects(entry);
                if editor.annotate_entries(selects, key, value.as_deref())? == 0 {
                    return Err(Error::new(
                        ErrorKind::NotFound,
                        format!("the manifest does not list {selector}"),
                    )
                    .with_subject(old.digest()));
                }
            }
        }
    }
    push(
        repository,
        reference,
        old.plain(),
        editor.into_bytes(),
        tags,
    )
    .await
}
