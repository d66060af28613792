//! Changes to an index that exists.

use std::collections::HashSet;

use bytes::Bytes;
use tranship::{
    CopyOptions, Descriptor, Digest, Error, ErrorKind, ManifestDocument, ManifestEditor, Platform,
    Repository, ResolveOptions, Result, ResultExt as _, Tag, TagOrDigest, attested_digest,
    fetch_bytes,
};

use super::sources::{IndexSource, collect};
use crate::change::{ManifestChange, push};

/// How [`add`] adds entries.
#[non_exhaustive]
#[derive(Debug, Clone, Default)]
pub struct AddOptions {
    /// Whether the new entries take the place of those of the same platform, and of the attestations of these. By
    /// default the entries are kept, and a client that looks for the platform takes the first one.
    pub replace: bool,
    /// Further tags of the changed index.
    pub tags: Vec<Tag>,
    /// How manifests are copied from other repositories.
    pub copy: CopyOptions,
}

impl AddOptions {
    /// Sets [`replace`](Self::replace).
    #[must_use]
    pub fn with_replace(mut self, replace: bool) -> Self {
        self.replace = replace;
        self
    }

    /// Adds to [`tags`](Self::tags).
    #[must_use]
    pub fn with_tag(mut self, tag: Tag) -> Self {
        self.tags.push(tag);
        self
    }

    /// Sets [`copy`](Self::copy).
    #[must_use]
    pub fn with_copy(mut self, copy: CopyOptions) -> Self {
        self.copy = copy;
        self
    }
}

/// Which entries [`remove`] removes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntrySelector {
    /// Every entry with this digest.
    Digest(Digest),
    /// Every entry whose platform [satisfies](Platform::satisfies) this one.
    Platform(Platform),
}

impl EntrySelector {
    /// Whether it selects `entry`.
    #[must_use]
    pub fn selects(&self, entry: &Descriptor) -> bool {
        match self {
            Self::Digest(digest) => entry.digest() == digest,
            Self::Platform(wanted) => entry.platform().is_some_and(|it| it.satisfies(wanted)),
        }
    }
}

impl std::fmt::Display for EntrySelector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Digest(digest) => digest.fmt(f),
            Self::Platform(platform) => platform.fmt(f),
        }
    }
}

/// Adds what `sources` name at the end of the index that `reference` names in `target`.
///
/// Manifests of other repositories are copied first. What the index lists with the same digest and platform is not
/// added again. If `reference` is a tag, the tag moves to the changed index, at the end.
///
/// Dropping the future leaves what has been copied; no tag has moved.
///
/// # Errors
/// - [`ErrorKind::Unsupported`] if `reference` does not name an index.
/// - [`ErrorKind::Conflict`] if another writer has moved the tag since the index was read.
/// - As [`create`](super::create).
pub async fn add(
    target: &dyn Repository,
    reference: &TagOrDigest,
    sources: &[IndexSource<'_>],
    options: &AddOptions,
) -> Result<ManifestChange> {
    let index = read(target, reference).await?;
    let mut added = collect(target, sources, &options.copy).await?;
    added.retain(|entry| !index.entries.iter().any(|it| is_same(it, entry)));
    let mut editor = ManifestEditor::new(index.descriptor.media_type(), &index.content)?;
    let mut removed = Vec::new();
    if options.replace {
        let platforms: HashSet<String> = added
            .iter()
            .filter(|entry| attested_digest(entry).is_none())
            .filter_map(|entry| entry.platform().map(ToString::to_string))
            .collect();
        removed = take_out(&mut editor, &index.entries, |entry| {
            attested_digest(entry).is_none()
                && entry
                    .platform()
                    .is_some_and(|it| platforms.contains(&it.to_string()))
        })?;
    }
    if !added.is_empty() {
        editor.append_manifests(&added)?;
    }
    let content = editor.into_bytes();
    let change = push(target, reference, index.descriptor, content, &options.tags).await?;
    Ok(ManifestChange {
        added,
        removed,
        ..change
    })
}

/// Removes entries from the index that `reference` names in `target`, and with a manifest its attestations. The
/// manifests themselves stay in the repository.
///
/// If `reference` is a tag, the tag moves to the changed index. `tags` are set too.
///
/// # Errors
/// - [`ErrorKind::NotFound`] if a selector selects nothing, or if `reference` names nothing.
/// - [`ErrorKind::InvalidInput`] if there is no selector.
/// - [`ErrorKind::Unsupported`] if `reference` does not name an index.
/// - [`ErrorKind::Conflict`] if another writer has moved the tag since the index was read.
/// - As [`push_reference`](tranship::ReferencePusher::push_reference).
pub async fn remove(
    target: &dyn Repository,
    reference: &TagOrDigest,
    selectors: &[EntrySelector],
    tags: &[Tag],
) -> Result<ManifestChange> {
    if selectors.is_empty() {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "neither a digest nor a platform says which entries to remove",
        ));
    }
    let index = read(target, reference).await?;
    for selector in selectors {
        if !index.entries.iter().any(|entry| selector.selects(entry)) {
            return Err(index.without(selector));
        }
    }
    let mut editor = ManifestEditor::new(index.descriptor.media_type(), &index.content)?;
    let removed = take_out(&mut editor, &index.entries, |entry| {
        selectors.iter().any(|selector| selector.selects(entry))
    })?;
    let content = editor.into_bytes();
    let change = push(target, reference, index.descriptor, content, tags).await?;
    Ok(ManifestChange { removed, ..change })
}

/// An index as it is stored.
struct Stored {
    descriptor: Descriptor,
    content: Bytes,
    entries: Vec<Descriptor>,
}

impl Stored {
    /// The error that nothing is selected, which says what could be.
    fn without(&self, selector: &EntrySelector) -> Error {
        const NAMED: usize = 16;
        let name = |entry: &Descriptor| match (selector, entry.platform()) {
            (EntrySelector::Platform(_), Some(platform)) => platform.to_string(),
            _ => entry.digest().to_string(),
        };
        let mut names: Vec<String> = Vec::new();
        for entry in &self.entries {
            let name = name(entry);
            if names.len() < NAMED && !names.contains(&name) {
                names.push(name);
            }
        }
        let error = Error::new(
            ErrorKind::NotFound,
            format!("the index does not have an entry for {selector}"),
        )
        .with_subject(self.descriptor.digest());
        if names.is_empty() {
            return error.with_hint("it does not have any entry");
        }
        error.with_hint(format!("it has {}", names.join(", ")))
    }
}

async fn read(target: &dyn Repository, reference: &TagOrDigest) -> Result<Stored> {
    let (descriptor, content) = fetch_bytes(target, reference, &ResolveOptions::default()).await?;
    let document =
        ManifestDocument::decode(descriptor.media_type(), &content).during("decode", reference)?;
    let Some(ManifestDocument::Index(index)) = document else {
        return Err(Error::unsupported(format!(
            "it is not an index, but of the type {}",
            descriptor.media_type()
        ))
        .with_subject(reference)
        .with_hint("make an index of it first"));
    };
    Ok(Stored {
        descriptor: descriptor.plain(),
        content,
        entries: index.manifests,
    })
}

/// Removes the selected entries and the attestations of what is not listed any more, and returns them.
fn take_out(
    editor: &mut ManifestEditor,
    entries: &[Descriptor],
    selects: impl Fn(&Descriptor) -> bool,
) -> Result<Vec<Descriptor>> {
    let (gone, kept): (Vec<&Descriptor>, Vec<&Descriptor>) =
        entries.iter().partition(|entry| selects(entry));
    let mut gone: HashSet<Digest> = gone.iter().map(|entry| *entry.digest()).collect();
    for entry in kept {
        gone.remove(entry.digest());
    }
    let mut removed = Vec::new();
    editor.retain_manifests(|entry| {
        let is_orphan = attested_digest(entry).is_some_and(|subject| gone.contains(&subject));
        let is_kept = !selects(entry) && !is_orphan;
        if !is_kept {
            removed.push(entry.clone());
        }
        is_kept
    })?;
    Ok(removed)
}

/// Whether two entries list the same manifest for the same platform.
fn is_same(one: &Descriptor, other: &Descriptor) -> bool {
    one.same_content(other) && one.platform() == other.platform()
}
