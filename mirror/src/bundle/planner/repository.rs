//! A repository of a bundle that is planned.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream;
use tranship::{
    Access, Backend, Content, ContentKind, Descriptor, Digest, Error, ErrorKind, ListOptions,
    Listing, MAX_MANIFEST_SIZE, ManifestDocument, MediaType, Presence, PushOptions, PushOutcome,
    Repository, RepositoryInfo, RepositoryName, Result, Source, Tag, TagOrDigest,
};

use super::super::graph::key_of;
use super::super::name::BundleName;
use super::state::{PlannedBlob, PlannedManifest, Shared, capabilities};

/// A repository of a planned bundle.
pub(super) struct PlannerRepository {
    pub(super) shared: Arc<Shared>,
    pub(super) name: BundleName,
    pub(super) flattened: RepositoryName,
    pub(super) source: Option<Arc<dyn Repository>>,
}

impl fmt::Debug for PlannerRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlannerRepository")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl PlannerRepository {
    /// Records that the repository needs a manifest, if the base has it here; returns whether it has.
    fn record_from_base(&self, target: &Descriptor) -> bool {
        let base = self.shared.base.as_ref();
        let is_in_base = base.is_some_and(|base| base.has_manifest(&self.name, target));
        if is_in_base {
            let mut state = self.shared.lock();
            let repository = state.repositories.entry(self.name.clone()).or_default();
            repository.in_base.insert(*target.digest());
        }
        is_in_base
    }

    fn set_tags(&self, digest: Digest, tags: &[Tag]) {
        let mut state = self.shared.lock();
        let repository = state.repositories.entry(self.name.clone()).or_default();
        repository
            .tags
            .extend(tags.iter().map(|tag| (tag.clone(), digest)));
    }

    async fn write_manifest(
        &self,
        expected: &Descriptor,
        source: Source<'_>,
        tags: &[Tag],
    ) -> Result<PushOutcome> {
        if self.record_from_base(expected) {
            self.set_tags(*expected.digest(), tags);
            return Ok(PushOutcome::Present);
        }
        let content = source.bytes(expected, MAX_MANIFEST_SIZE).await?;
        let document = ManifestDocument::decode(expected.media_type(), &content)?;
        let document = document.ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidManifest,
                "the type is not that of a manifest",
            )
        })?;
        let digest = *expected.digest();
        self.shared.kept.put(digest, content).await?;
        let successors = document.iter_successors();
        let planned = PlannedManifest {
            descriptor: expected.plain(),
            successors: successors
                .map(|child| (key_of(child), child.size()))
                .collect(),
            subject: document.subject().map(|subject| *subject.digest()),
            artifact_type: document.artifact_type().cloned(),
        };
        let mut state = self.shared.lock();
        if let Some(known) = state.manifests.get(&digest) {
            if known.descriptor != planned.descriptor {
                let message = format!(
                    "the manifest is known as {} and as {}",
                    known.descriptor.media_type(),
                    expected.media_type()
                );
                return Err(Error::new(ErrorKind::InvalidManifest, message));
            }
        } else {
            state.manifests.insert(digest, planned);
        }
        let repository = state.repositories.entry(self.name.clone()).or_default();
        repository.manifests.insert(digest);
        repository
            .tags
            .extend(tags.iter().map(|tag| (tag.clone(), digest)));
        Ok(PushOutcome::Pushed)
    }

    fn record_blob(&self, expected: &Descriptor) -> Result<PushOutcome> {
        let Some(source) = &self.source else {
            return Err(Error::unsupported(
                "a blob of a planned bundle is read again later, and its source is not known",
            ));
        };
        let digest = *expected.digest();
        let mut state = self.shared.lock();
        let blob = state.blobs.entry(digest).or_insert_with(|| PlannedBlob {
            size: expected.size(),
            origins: BTreeMap::new(),
        });
        if blob.size != expected.size() {
            let message = format!(
                "one manifest says that the blob has {} bytes, another one {}",
                blob.size,
                expected.size()
            );
            return Err(Error::new(ErrorKind::SizeMismatch, message));
        }
        blob.origins
            .entry(self.name.clone())
            .or_insert_with(|| Arc::clone(source));
        let repository = state.repositories.entry(self.name.clone()).or_default();
        let is_new = repository.blobs.insert(digest);
        Ok(if is_new {
            PushOutcome::Pushed
        } else {
            PushOutcome::Present
        })
    }

    /// Returns what the repository has, the base aside.
    fn planned(&self, kind: ContentKind, digest: &Digest) -> Option<Descriptor> {
        let state = self.shared.lock();
        let repository = state.repositories.get(&self.name)?;
        match kind {
            ContentKind::Manifest if repository.manifests.contains(digest) => {
                Some(state.manifests.get(digest)?.descriptor.clone())
            }
            ContentKind::Blob if repository.blobs.contains(digest) => {
                let size = state.blobs.get(digest)?.size;
                Some(Descriptor::new(MediaType::OCTET_STREAM, *digest, size))
            }
            _ => None,
        }
    }

    fn base_manifest(&self, digest: &Digest) -> Option<Descriptor> {
        let base = self.shared.base.as_ref()?;
        let number = base.number(ContentKind::Manifest, digest)?;
        let descriptor = base.get(number)?.descriptor();
        base.has_manifest(&self.name, &descriptor)
            .then_some(descriptor)
    }

    fn has_base_blob(&self, target: &Descriptor) -> bool {
        let Some(base) = &self.shared.base else {
            return false;
        };
        let Some(number) = base.number(ContentKind::Blob, target.digest()) else {
            return false;
        };
        // Whatever repository has it: it is left out of the bundle, and recorded for this repository if a manifest
        // refers to it.
        base.get(number)
            .is_some_and(|node| node.size == target.size())
    }
}

#[async_trait]
impl Backend for PlannerRepository {
    fn info(&self) -> RepositoryInfo<'_> {
        RepositoryInfo::new(&self.flattened, capabilities()).with_registry(&self.shared.identity)
    }

    async fn read(&self, kind: ContentKind, target: &Descriptor) -> Result<Content> {
        let digest = target.digest();
        let planned = self
            .planned(kind, digest)
            .filter(|_| kind == ContentKind::Manifest);
        let planned = planned.ok_or_else(|| Error::not_found(digest))?;
        if planned.size() != target.size() {
            return Err(Error::not_found(digest));
        }
        let content = self.shared.kept.get(digest).await?;
        let content = content.ok_or_else(|| Error::not_found(digest))?;
        Ok(Content::from_bytes(target.clone(), content))
    }

    async fn stat(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<Descriptor> {
        let digest = match (kind, reference) {
            (_, TagOrDigest::Digest(digest)) => *digest,
            (ContentKind::Blob, TagOrDigest::Tag(tag)) => {
                let message = "a blob is named by its digest, not by a tag";
                return Err(Error::new(ErrorKind::InvalidReference, message).with_subject(tag));
            }
            // Tags of the base are not found, so that a copy that sets them again records them.
            (ContentKind::Manifest, TagOrDigest::Tag(tag)) => {
                let state = self.shared.lock();
                let repository = state.repositories.get(&self.name);
                let tagged = repository.and_then(|repository| repository.tags.get(tag));
                *tagged.ok_or_else(|| Error::not_found(tag))?
            }
        };
        let found = self.planned(kind, &digest);
        let found = found.or_else(|| match kind {
            ContentKind::Manifest => self.base_manifest(&digest),
            ContentKind::Blob => None,
        });
        found.ok_or_else(|| Error::not_found(digest))
    }

    async fn write(
        &self,
        kind: ContentKind,
        expected: &Descriptor,
        source: Source<'_>,
        options: &PushOptions<'_>,
    ) -> Result<PushOutcome> {
        match kind {
            ContentKind::Manifest => self.write_manifest(expected, source, options.tags).await,
            ContentKind::Blob => self.record_blob(expected),
        }
    }

    async fn find(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        access: Access,
    ) -> Result<Presence> {
        let _ = access;
        let planned = self.planned(kind, target.digest());
        if let Some(planned) = planned {
            return Ok(match planned.size() == target.size() {
                true => Presence::Whole,
                false => Presence::OtherSize,
            });
        }
        let is_in_base = match kind {
            ContentKind::Manifest => self.record_from_base(target),
            ContentKind::Blob => self.has_base_blob(target),
        };
        Ok(match is_in_base {
            true => Presence::Whole,
            false => Presence::Absent,
        })
    }

    async fn set_tag(&self, target: &Descriptor, tag: &Tag) -> Result<()> {
        let is_planned = self
            .planned(ContentKind::Manifest, target.digest())
            .is_some();
        if !is_planned && !self.record_from_base(target) {
            return Err(Error::not_found(target.digest()));
        }
        self.set_tags(*target.digest(), std::slice::from_ref(tag));
        Ok(())
    }

    fn list_tags(&self, options: ListOptions) -> Listing<'_, Tag> {
        let state = self.shared.lock();
        let repository = state.repositories.get(&self.name);
        let tags = repository
            .into_iter()
            .flat_map(|repository| repository.tags.keys());
        let last = options.last.unwrap_or_default();
        let rest: Vec<_> = tags
            .filter(|tag| tag.as_str() > last.as_str())
            .cloned()
            .map(Ok)
            .collect();
        Box::pin(stream::iter(rest))
    }
}
