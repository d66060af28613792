//! The decorator around the manifests of a repository.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tranship::prelude::*;
use tranship::{
    ByteRange, Content, Descriptor, Error, ErrorKind, ListOptions, MAX_MANIFEST_SIZE,
    ManifestDocument, ManifestStore, MediaType, PushOutcome, Result, Source, Tag, TagOrDigest,
};

use crate::defect::Defect;
use crate::repository::{Inner, lock};

pub(crate) struct Manifests(pub(crate) Arc<Inner>);

impl Manifests {
    fn right(&self) -> Box<dyn ManifestStore + '_> {
        self.0.repository.manifests()
    }

    fn cased(&self, tag: &Tag) -> Result<Tag> {
        match self.0.defect {
            Defect::TagsIgnoreCase => tag.as_str().to_lowercase().parse(),
            Defect::CutsLongTags => tag.as_str().chars().take(100).collect::<String>().parse(),
            _ => Ok(tag.clone()),
        }
    }

    async fn actual(&self, target: &Descriptor) -> Result<Descriptor> {
        self.right()
            .resolve(&TagOrDigest::Digest(*target.digest()))
            .await
    }

    /// What every push does, after the manifest or the refusal.
    async fn pushed(
        &self,
        expected: &Descriptor,
        result: Result<PushOutcome>,
    ) -> Result<PushOutcome> {
        match self.0.defect {
            Defect::TakesInvalidManifests => match result {
                Err(error) if error.kind() == ErrorKind::InvalidManifest => Ok(PushOutcome::Pushed),
                result => result,
            },
            Defect::TakesManifestsOfAnySize => match result {
                Err(error) if error.kind() == ErrorKind::SizeExceedsLimit => {
                    Ok(PushOutcome::Pushed)
                }
                result => result,
            },
            Defect::ParentsAreReferrers => {
                let outcome = result?;
                let repository = &*self.0.repository;
                let children =
                    tranship::successors(repository, expected, MAX_MANIFEST_SIZE).await?;
                if expected.media_type().is_index() {
                    lock(&self.0.state.parents).push((expected.clone(), children));
                }
                Ok(outcome)
            }
            _ => result,
        }
    }

    async fn check_layers(&self, source: &Source<'_>, expected: &Descriptor) -> Result<()> {
        if !self.0.is(Defect::WantsLayersFirst) {
            return Ok(());
        }
        let bytes = source.bytes(expected, MAX_MANIFEST_SIZE).await?;
        let document = ManifestDocument::decode(expected.media_type(), &bytes)?;
        for child in document.iter().flat_map(ManifestDocument::successors) {
            if !self.0.repository.exists(&child).await? {
                let missing = ErrorKind::ManifestBlobUnknown;
                return Err(Error::new(missing, "push the layers first").with_subject(child));
            }
        }
        Ok(())
    }

    async fn tags_of(&self, target: &Descriptor) -> Result<Vec<Tag>> {
        let repository = &*self.0.repository;
        let mut own = Vec::new();
        for tag in tranship::tags(repository).await? {
            let named = repository.resolve(&tag.clone().into()).await?;
            if named.same_content(target) {
                own.push(tag);
            }
        }
        Ok(own)
    }
}

impl Manifests {
    pub(crate) async fn fetch(&self, target: &Descriptor) -> Result<Content> {
        let content = self.right().fetch(target).await?;
        if !self.0.is(Defect::WritesManifestsAnew) {
            return Ok(content);
        }
        let bytes = content.bytes(u64::MAX).await?;
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        Ok(Content::from_bytes(
            target.clone(),
            value.to_string().into(),
        ))
    }

    pub(crate) async fn fetch_range(
        &self,
        target: &Descriptor,
        range: ByteRange,
    ) -> Result<Content> {
        let range = match self.0.defect {
            Defect::RangesOfManifestsStartAtZero => ByteRange::from(0..range.end().unwrap_or(0)),
            _ => range,
        };
        self.right().fetch_range(target, range).await
    }
}

impl Manifests {
    pub(crate) async fn exists(&self, target: &Descriptor) -> Result<bool> {
        match self.0.defect {
            Defect::ExistsAlways => Ok(true),
            Defect::ExistsIgnoresSize => Ok(self.actual(target).await.is_ok()),
            _ => self.right().exists(target).await,
        }
    }
}

impl Manifests {
    pub(crate) async fn push(
        &self,
        expected: &Descriptor,
        source: Source<'_>,
    ) -> Result<PushOutcome> {
        self.0.allow_push(expected)?;
        self.check_layers(&source, expected).await?;
        if self.0.is(Defect::ReadsThePresentSource) {
            drop(source.open(0).await?);
        }
        let result = self.right().push(expected, source).await;
        self.pushed(expected, result).await
    }
}

impl Manifests {
    pub(crate) async fn push_reference(
        &self,
        expected: &Descriptor,
        source: Source<'_>,
        tags: &[Tag],
    ) -> Result<PushOutcome> {
        self.0.allow_push(expected)?;
        let right = self.right();
        match self.0.defect {
            Defect::SetsTheFirstTagOnly => {
                let first = &tags[..tags.len().min(1)];
                right.push_reference(expected, source, first).await
            }
            Defect::SkipsTagsOfPresentManifests if right.exists(expected).await? => {
                Ok(PushOutcome::Present)
            }
            Defect::DropsTagsOfRefusedManifests => {
                let result = right.push_reference(expected, source, tags).await;
                if result.is_err() {
                    for tag in tags {
                        // What was not set need not be removed.
                        let _ = self.0.repository.untag(tag).await;
                    }
                }
                result
            }
            Defect::TagsIgnoreCase | Defect::CutsLongTags => {
                let tags: Vec<Tag> = tags
                    .iter()
                    .map(|tag| self.cased(tag))
                    .collect::<Result<_>>()?;
                right.push_reference(expected, source, &tags).await
            }
            Defect::RefusesRepeatedTags if tags.len() > 1 && tags[0] == tags[1] => {
                Err(Error::new(ErrorKind::Conflict, "the tag is there"))
            }
            Defect::PushesBlobsWithTags if !expected.media_type().is_manifest() => {
                self.0.repository.push(expected, source).await
            }
            Defect::PushesInTwoSteps => {
                let outcome = right.push(expected, source).await?;
                tokio::time::sleep(Duration::from_millis(5)).await;
                for tag in tags {
                    right.tag(expected, tag).await?;
                }
                Ok(outcome)
            }
            _ => {
                self.check_layers(&source, expected).await?;
                let result = right.push_reference(expected, source, tags).await;
                self.pushed(expected, result).await
            }
        }
    }
}

impl Manifests {
    pub(crate) async fn delete(&self, target: &Descriptor) -> Result<()> {
        self.0.allow(|able| able.delete_manifests)?;
        match self.0.defect {
            Defect::DeletesTheAbsent => match self.right().delete(target).await {
                Err(error) if error.is_not_found() => Ok(()),
                result => result,
            },
            Defect::DeleteIgnoresSize => self.right().delete(&self.actual(target).await?).await,
            Defect::DeleteKeepsTags => {
                for tag in self.tags_of(target).await? {
                    lock(&self.0.state.ghosts).insert(tag, target.clone());
                }
                self.right().delete(target).await
            }
            Defect::DeleteTakesLayers => {
                let repository = &*self.0.repository;
                let children = tranship::successors(repository, target, MAX_MANIFEST_SIZE).await?;
                self.right().delete(target).await?;
                for child in children {
                    // A child may be absent, or shared and gone already.
                    let _ = repository.delete(&child).await;
                }
                Ok(())
            }
            _ => self.right().delete(target).await,
        }
    }
}

impl Manifests {
    pub(crate) async fn resolve(&self, reference: &TagOrDigest) -> Result<Descriptor> {
        let right = self.right();
        match (self.0.defect, reference) {
            (Defect::ResolvesTheAbsent, reference) => {
                let absent = Descriptor::empty_json();
                Ok(right.resolve(reference).await.unwrap_or(absent))
            }
            (Defect::CachesTags, TagOrDigest::Tag(tag)) => {
                let known = lock(&self.0.state.ghosts).get(tag).cloned();
                if let Some(known) = known {
                    return Ok(known);
                }
                let found = right.resolve(reference).await?;
                lock(&self.0.state.ghosts).insert(tag.clone(), found.clone());
                Ok(found)
            }
            (Defect::TagsResolveToAnotherType, TagOrDigest::Tag(_)) => {
                let found = right.resolve(reference).await?;
                Ok(found.with_media_type(MediaType::IMAGE_INDEX))
            }
            (Defect::TagsOfIndexesNameAChild, TagOrDigest::Tag(_)) => {
                let found = right.resolve(reference).await?;
                let repository = &*self.0.repository;
                let children = tranship::successors(repository, &found, MAX_MANIFEST_SIZE).await?;
                let child = children
                    .into_iter()
                    .find(|child| child.media_type().is_manifest());
                Ok(child.unwrap_or(found))
            }
            (Defect::TagsIgnoreCase | Defect::CutsLongTags, TagOrDigest::Tag(tag)) => {
                right.resolve(&self.cased(tag)?.into()).await
            }
            (Defect::DeleteKeepsTags, TagOrDigest::Tag(tag)) => {
                let ghost = lock(&self.0.state.ghosts).get(tag).cloned();
                match right.resolve(reference).await {
                    Err(error) => ghost.ok_or(error),
                    found => found,
                }
            }
            (Defect::ForgetsMediaTypes, TagOrDigest::Digest(_)) => {
                let found = right.resolve(reference).await?;
                Ok(found.with_media_type(MediaType::IMAGE_MANIFEST))
            }
            (Defect::ResolvesBlobs, TagOrDigest::Digest(_)) => match right.resolve(reference).await
            {
                Err(error) if error.is_not_found() => {
                    self.0.repository.blobs().resolve(reference).await
                }
                found => found,
            },
            _ => right.resolve(reference).await,
        }
    }
}

impl Manifests {
    pub(crate) async fn tag(&self, target: &Descriptor, tag: &Tag) -> Result<()> {
        self.0.allow(|able| able.push)?;
        let right = self.right();
        match self.0.defect {
            Defect::MoveDeletesTheOldManifest => {
                let old = right.resolve(&tag.clone().into()).await.ok();
                right.tag(target, tag).await?;
                match old.filter(|old| !old.same_content(target)) {
                    Some(old) => right.delete(&old).await,
                    None => Ok(()),
                }
            }
            Defect::TagsWhatIsAbsent | Defect::WritesAlthoughReadOnly => {
                match right.tag(target, tag).await {
                    Err(error) if error.is_not_found() => Ok(()),
                    result => result,
                }
            }
            Defect::TagIgnoresSize => right.tag(&self.actual(target).await?, tag).await,
            Defect::TagsIgnoreCase | Defect::CutsLongTags => {
                right.tag(target, &self.cased(tag)?).await
            }
            Defect::RefusesToMoveTags if right.resolve(&tag.clone().into()).await.is_ok() => {
                Err(Error::new(ErrorKind::Conflict, "tags do not move here"))
            }
            Defect::KeepsTheLockOfADroppedTag => {
                while self.0.state.locked.swap(true, Ordering::SeqCst) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                tokio::task::yield_now().await;
                let set = right.tag(target, tag).await;
                self.0.state.locked.store(false, Ordering::SeqCst);
                set
            }
            Defect::LosesTagsSetTogether => {
                // A list that is read, changed and written back without a lock.
                let read = self.0.state.tagging.fetch_add(1, Ordering::SeqCst);
                let before = tranship::tags(&*self.0.repository).await?;
                tokio::time::sleep(Duration::from_millis(5)).await;
                right.tag(target, tag).await?;
                let now = self.0.state.tagging.load(Ordering::SeqCst);
                if now != read + 1 {
                    let all = self.0.repository.tags(ListOptions::default());
                    let all: Vec<Tag> = futures_util::TryStreamExt::try_collect(all).await?;
                    let others = all.iter().filter(|other| *other != tag);
                    for lost in others.filter(|other| !before.contains(other)) {
                        // Another task may have lost it already.
                        let _ = self.0.repository.untag(lost).await;
                    }
                }
                Ok(())
            }
            _ => right.tag(target, tag).await,
        }
    }
}

impl Manifests {
    pub(crate) async fn fetch_reference(&self, reference: &TagOrDigest) -> Result<Content> {
        self.fetch(&self.resolve(reference).await?).await
    }
}
