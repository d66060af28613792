//! The decorator around a repository: right, but for one defect.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tranship::prelude::*;
use tranship::{
    Access, Algorithm, Backend, Batch, ByteRange, Capabilities, Content, ContentKind, Descriptor,
    Digest, Error, ListOptions, Listing, MediaType, Presence, PushOptions, PushOutcome, Repository,
    RepositoryInfo, RepositoryName, Result, Source, Support, Tag, TagOrDigest, Upload, UploadId,
};

use crate::batches::FaultyBatch;
use crate::blobs::Blobs;
use crate::defect::Defect;
use crate::manifests::Manifests;
use crate::uploads::Uploads;

/// What the decorators of one repository share.
pub(crate) struct Inner {
    pub(crate) repository: Arc<dyn Repository>,
    pub(crate) defect: Defect,
    pub(crate) claimed: Capabilities,
    pub(crate) able: Capabilities,
    pub(crate) state: Arc<State>,
}

impl Inner {
    /// Refuses what the repository is not able to do, whatever it claims.
    pub(crate) fn allow(&self, ability: impl Fn(&Capabilities) -> Support) -> Result<()> {
        match ability(&self.able) {
            Support::No(reason) => Err(Error::unsupported(reason)),
            _ => Ok(()),
        }
    }

    /// Refuses digests that the repository is not able to take.
    pub(crate) fn allow_push(&self, expected: &Descriptor) -> Result<()> {
        self.allow(|able| able.push)?;
        match expected.digest().algorithm() {
            Algorithm::Sha512 => self.allow(|able| able.sha512),
            Algorithm::Sha384 => self.allow(|able| able.sha384),
            _ => Ok(()),
        }
    }

    pub(crate) fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }
}

/// What defects remember of a registry.
#[derive(Default)]
pub(crate) struct State {
    /// Content that was stored although it is not what its digest says.
    pub(crate) unverified: Mutex<HashMap<Digest, Bytes>>,
    /// Digests of which a push has begun.
    pub(crate) begun: Mutex<HashSet<Digest>>,
    /// Tags that stayed when their manifest was deleted.
    pub(crate) ghosts: Mutex<BTreeMap<Tag, Descriptor>>,
    /// Referrers, as they were when they were first listed.
    pub(crate) listed: Mutex<HashMap<Digest, Vec<Descriptor>>>,
    /// Indexes that were pushed, and what they list.
    pub(crate) parents: Mutex<Vec<(Descriptor, Vec<Descriptor>)>>,
    /// How many tags are being set at the moment.
    pub(crate) tagging: AtomicUsize,
    /// How many batches are open.
    pub(crate) batches: AtomicUsize,
    /// Whether a push is under way.
    pub(crate) locked: AtomicBool,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The whole of `listing`, changed by `change`, as a listing.
pub(crate) fn changed<'a, T: Send + 'a>(
    listing: Listing<'a, T>,
    change: impl FnOnce(Vec<T>) -> Vec<T> + Send + 'a,
) -> Listing<'a, T> {
    let items = async move {
        let items: Result<Vec<T>> = listing.try_collect().await;
        match items {
            Ok(items) => change(items).into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        }
    };
    stream::once(items).flat_map(stream::iter).boxed()
}

pub(crate) struct Faulty {
    inner: Arc<Inner>,
    blobs: Blobs,
    manifests: Manifests,
    uploads: Uploads,
}

impl Faulty {
    pub(crate) fn new(inner: Inner) -> Self {
        let inner = Arc::new(inner);
        Self {
            blobs: Blobs {
                inner: Arc::clone(&inner),
            },
            uploads: Uploads(Arc::clone(&inner)),
            manifests: Manifests(Arc::clone(&inner)),
            inner,
        }
    }
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Faulty").field(&self.inner.defect).finish()
    }
}

impl Faulty {
    fn plain_referrers<'a>(
        &'a self,
        subject: &Descriptor,
        change: impl Fn(Descriptor) -> Descriptor + Send + 'a,
        artifact_type: Option<&MediaType>,
    ) -> Listing<'a, Descriptor> {
        let listing = self.inner.repository.referrers(subject, artifact_type);
        changed(listing, move |found| {
            found.into_iter().map(change).collect()
        })
    }
}

#[async_trait]
impl Backend for Faulty {
    fn info(&self) -> RepositoryInfo<'_> {
        let info = self.inner.repository.info();
        let claimed = match self.inner.defect {
            Defect::RepositoriesClaimLess => Capabilities::unknown(),
            _ => self.inner.claimed,
        };
        match self.inner.defect {
            Defect::StandsAlone => RepositoryInfo::new(info.name, claimed),
            _ => info.with_capabilities(claimed),
        }
    }

    async fn read(&self, kind: ContentKind, target: &Descriptor) -> Result<Content> {
        match kind {
            ContentKind::Blob => self.blobs.fetch(target).await,
            ContentKind::Manifest => self.manifests.fetch(target).await,
        }
    }

    async fn read_range(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        range: ByteRange,
    ) -> Result<Content> {
        match kind {
            ContentKind::Blob => self.blobs.fetch_range(target, range).await,
            ContentKind::Manifest => self.manifests.fetch_range(target, range).await,
        }
    }

    async fn read_reference(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<Content> {
        match kind {
            ContentKind::Blob => self.blobs.fetch_reference(reference).await,
            ContentKind::Manifest => self.manifests.fetch_reference(reference).await,
        }
    }

    async fn stat(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<Descriptor> {
        match kind {
            ContentKind::Blob => self.blobs.resolve(reference).await,
            ContentKind::Manifest => self.manifests.resolve(reference).await,
        }
    }

    async fn find(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        access: Access,
    ) -> Result<Presence> {
        let exists = match (kind, access) {
            (ContentKind::Blob, Access::Push) => return self.blobs.presence(target).await,
            (ContentKind::Blob, Access::Read) => self.blobs.exists(target).await?,
            (ContentKind::Manifest, _) => self.manifests.exists(target).await?,
        };
        Ok(match exists {
            true => Presence::Whole,
            false => Presence::Absent,
        })
    }

    async fn write(
        &self,
        kind: ContentKind,
        expected: &Descriptor,
        source: Source<'_>,
        options: &PushOptions<'_>,
    ) -> Result<PushOutcome> {
        match (kind, options.tags) {
            (ContentKind::Blob, _) if options.found == Some(Presence::Whole) => {
                Ok(PushOutcome::Present)
            }
            (ContentKind::Blob, _) => self.blobs.push(expected, source).await,
            (ContentKind::Manifest, []) => self.manifests.push(expected, source).await,
            (ContentKind::Manifest, tags) => {
                self.manifests.push_reference(expected, source, tags).await
            }
        }
    }

    async fn mount_blob(
        &self,
        target: &Descriptor,
        from: &RepositoryName,
        fallback: Option<Source<'_>>,
    ) -> Result<PushOutcome> {
        self.blobs.mount(target, from, fallback).await
    }

    async fn remove(&self, kind: ContentKind, target: &Descriptor) -> Result<()> {
        match kind {
            ContentKind::Blob => self.blobs.delete(target).await,
            ContentKind::Manifest => self.manifests.delete(target).await,
        }
    }

    async fn set_tag(&self, target: &Descriptor, tag: &Tag) -> Result<()> {
        self.manifests.tag(target, tag).await
    }

    async fn remove_tag(&self, tag: &Tag) -> Result<()> {
        self.inner.allow(|able| able.untag)?;
        let repository = &self.inner.repository;
        match self.inner.defect {
            Defect::UntagDeletesTheManifest => {
                let target = repository.resolve(&TagOrDigest::Tag(tag.clone())).await?;
                repository.delete(&target).await
            }
            Defect::UntagsTheAbsent => match repository.untag(tag).await {
                Err(error) if error.is_not_found() => Ok(()),
                result => result,
            },
            _ => repository.untag(tag).await,
        }
    }

    fn list_tags(&self, options: ListOptions) -> Listing<'_, Tag> {
        let repository = &self.inner.repository;
        let all = || repository.tags(options.clone());
        match self.inner.defect {
            Defect::TagsReversed => changed(all(), |mut tags| {
                tags.reverse();
                tags
            }),
            Defect::TagsSortedWithoutCase => changed(all(), |mut tags| {
                tags.sort_by_key(|tag| tag.as_str().to_lowercase());
                tags
            }),
            Defect::LastIsIncluded => {
                let whole = repository.tags(ListOptions::default());
                changed(whole, move |mut tags| {
                    let last = options.last.unwrap_or_default();
                    tags.retain(|tag| tag.as_str() >= last.as_str());
                    tags
                })
            }
            Defect::LastMustExist => {
                let whole = repository.tags(ListOptions::default());
                changed(whole, move |tags| match options.last {
                    Some(last) => {
                        let behind = tags.into_iter().skip_while(|tag| tag.as_str() != last);
                        behind.skip(1).collect()
                    }
                    None => tags,
                })
            }
            Defect::OnePageOfTags => changed(all(), move |mut tags| {
                tags.truncate(options.page_size.unwrap_or(100));
                tags
            }),
            Defect::RepeatsTheEdgeOfPages => changed(all(), move |mut tags| {
                if let Some(edge) = options.page_size.filter(|size| *size < tags.len()) {
                    tags.insert(edge, tags[edge - 1].clone());
                }
                tags
            }),
            Defect::DeleteKeepsTags => {
                let ghosts: Vec<Tag> = lock(&self.inner.state.ghosts).keys().cloned().collect();
                changed(all(), |mut tags| {
                    tags.extend(ghosts);
                    tags.sort();
                    tags.dedup();
                    tags
                })
            }
            Defect::ListsTagsThatAreNone => changed(all(), |mut tags| {
                tags.extend("zzz".parse::<Tag>());
                tags
            }),
            Defect::EmptyListingsFail => {
                let listing = all().try_collect::<Vec<Tag>>();
                let found = async move {
                    match listing.await {
                        Ok(tags) if tags.is_empty() => vec![Err(Error::not_found("tags"))],
                        Ok(tags) => tags.into_iter().map(Ok).collect(),
                        Err(error) => vec![Err(error)],
                    }
                };
                stream::once(found).flat_map(stream::iter).boxed()
            }
            Defect::ListingsHoldALock => {
                self.inner.state.locked.store(true, Ordering::SeqCst);
                let unlock = stream::once(async {
                    self.inner.state.locked.store(false, Ordering::SeqCst);
                });
                let unlock = unlock.filter_map(|()| std::future::ready(None));
                all().chain(unlock).boxed()
            }
            _ => all(),
        }
    }

    fn list_referrers<'a>(
        &'a self,
        subject: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Listing<'a, Descriptor> {
        let repository = &self.inner.repository;
        let right = || repository.referrers(subject, artifact_type);
        match self.inner.defect {
            Defect::FilterIsIgnored => repository.referrers(subject, None),
            Defect::AnnotationsAreMissing => {
                let bare = |found: Descriptor| found.with_annotations(Default::default());
                self.plain_referrers(subject, bare, artifact_type)
            }
            Defect::ArtifactTypesAreMissing => {
                let bare = |found: Descriptor| found.with_artifact_type(None);
                self.plain_referrers(subject, bare, artifact_type)
            }
            Defect::ConfigTypesAreMissing => {
                let without = |found: &Descriptor| {
                    let kind = found.artifact_type().map(MediaType::as_str);
                    kind.is_some_and(|kind| kind.ends_with(".signature"))
                };
                changed(right(), move |mut found| {
                    found.retain(|found| !without(found));
                    found
                })
            }
            Defect::ReferrersNeedTheirSubject => {
                let subject = subject.clone();
                let listing = right();
                let checked = async move {
                    match repository.exists(&subject).await {
                        Ok(true) => listing,
                        Ok(false) => stream::empty().boxed(),
                        Err(error) => stream::iter([Err(error)]).boxed(),
                    }
                };
                stream::once(checked).flatten().boxed()
            }
            Defect::ReferrersComeTwice => changed(right(), |found| {
                found.iter().chain(&found).cloned().collect()
            }),
            Defect::ReferrersAreCached => {
                let digest = *subject.digest();
                changed(right(), move |found| {
                    let mut listed = lock(&self.inner.state.listed);
                    let known = listed.entry(digest).or_default();
                    known.extend(found);
                    known.sort();
                    known.dedup();
                    known.clone()
                })
            }
            Defect::ParentsAreReferrers => {
                let parents = lock(&self.inner.state.parents);
                let parents: Vec<Descriptor> = parents
                    .iter()
                    .filter(|(_, children)| children.iter().any(|c| c.same_content(subject)))
                    .map(|(parent, _)| parent.clone())
                    .collect();
                changed(right(), |mut found| {
                    found.extend(parents);
                    found.sort();
                    found.dedup_by_key(|found| *found.digest());
                    found
                })
            }
            Defect::DockerManifestsDoNotRefer => changed(right(), |mut found| {
                let docker = [MediaType::DOCKER_MANIFEST, MediaType::DOCKER_MANIFEST_LIST];
                found.retain(|referrer| !docker.contains(referrer.media_type()));
                found
            }),
            Defect::ManifestsReferToThemselves => {
                let subject = subject.clone();
                changed(right(), |mut found| {
                    found.push(subject);
                    found
                })
            }
            _ => right(),
        }
    }

    async fn list_predecessors(&self, node: &Descriptor) -> Result<Vec<Descriptor>> {
        let mut found = self.inner.repository.predecessors(node).await?;
        if self.inner.is(Defect::PredecessorsUnsorted) {
            found.reverse();
        }
        if self.inner.is(Defect::ManifestsPrecedeThemselves) {
            found.push(node.clone());
        }
        Ok(found)
    }

    async fn start_upload(&self) -> Result<Box<dyn Upload>> {
        self.uploads.start().await
    }

    async fn resume_upload(&self, id: &UploadId) -> Result<Box<dyn Upload>> {
        self.uploads.resume(id).await
    }

    fn begin_batch(&self) -> Option<Box<dyn Batch + '_>> {
        let Inner {
            repository,
            defect,
            state,
            ..
        } = &*self.inner;
        let batch = FaultyBatch::begin(&**repository, *defect, &state.batches)?;
        Some(Box::new(batch))
    }
}
