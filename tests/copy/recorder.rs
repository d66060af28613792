//! A repository that counts what is asked of it, and misbehaves on demand.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use tranship::*;

/// What a repository was asked to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    Exists(Digest),
    Fetch(Digest),
    Push(Digest),
    PushReference(Digest, Vec<Tag>),
    Tag(Tag),
    Resolve,
    Mount(Digest, RepositoryName),
}

/// How the repository misbehaves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    /// Says that it has these, whether it does or not.
    pub(crate) claims: HashSet<Digest>,
    /// Fails to fetch these.
    pub(crate) unreadable: HashSet<Digest>,
    /// Never finishes to fetch these.
    pub(crate) stalled: HashSet<Digest>,
    /// Breaks off after so many bytes of these.
    pub(crate) breaks_after: HashMap<Digest, usize>,
    /// Refuses to mount, so that the content is pushed.
    pub(crate) refuses_mounts: bool,
    /// Says of this repository that it must not be mounted from.
    pub(crate) denies_mounts_from: Option<RepositoryName>,
    /// Refuses manifests while something that they refer to is missing.
    pub(crate) wants_children: bool,
    /// Says of every manifest that each of these refers to it.
    pub(crate) referrers_of_all: Vec<Descriptor>,
    /// Takes its time over each call, a different one for each number.
    pub(crate) hesitates: Option<u64>,
    /// Does not take anything.
    pub(crate) read_only: bool,
}

pub(crate) struct Recorder {
    inner: Arc<dyn Repository>,
    faults: Faults,
    calls: Mutex<Vec<Call>>,
}

impl Recorder {
    pub(crate) fn new(inner: impl Repository + 'static) -> Self {
        Self::over(Arc::new(inner))
    }

    pub(crate) fn over(inner: Arc<dyn Repository>) -> Self {
        Self {
            inner,
            faults: Faults::default(),
            calls: Mutex::default(),
        }
    }

    pub(crate) fn with_faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().expect("not poisoned").clone()
    }

    pub(crate) fn count(&self, matches: impl Fn(&Call) -> bool) -> usize {
        self.calls().iter().filter(|call| matches(call)).count()
    }

    /// The digests in the order in which they were pushed.
    pub(crate) fn pushes(&self) -> Vec<Digest> {
        self.calls()
            .iter()
            .filter_map(|call| match call {
                Call::Push(digest) | Call::PushReference(digest, _) => Some(*digest),
                _ => None,
            })
            .collect()
    }

    fn note(&self, call: Call) {
        self.calls.lock().expect("not poisoned").push(call);
    }

    /// Lets others go first, more or less often.
    async fn hesitate(&self, over: &Digest) {
        let Some(seed) = self.faults.hesitates else {
            return;
        };
        let mut hasher = DefaultHasher::new();
        (seed, over).hash(&mut hasher);
        for _ in 0..hasher.finish() % 8 {
            tokio::task::yield_now().await;
        }
    }

    async fn check_children(&self, expected: &Descriptor, source: &Source<'_>) -> Result<()> {
        if !self.faults.wants_children || !expected.media_type().is_manifest() {
            return Ok(());
        }
        let content = source.bytes(expected, MAX_MANIFEST_SIZE).await?;
        let document = ManifestDocument::decode(expected.media_type(), &content)?;
        for child in document.map_or_else(Vec::new, |document| document.successors()) {
            if !self.inner.exists(&child).await? {
                return Err(Error::new(
                    ErrorKind::ManifestBlobUnknown,
                    "something below is missing",
                ));
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

#[async_trait]
impl Fetcher for Recorder {
    async fn fetch(&self, target: &Descriptor) -> Result<Content> {
        self.note(Call::Fetch(*target.digest()));
        self.hesitate(target.digest()).await;
        if self.faults.unreadable.contains(target.digest()) {
            return Err(Error::new(ErrorKind::Io, "bad sector").with_subject(target.digest()));
        }
        if self.faults.stalled.contains(target.digest()) {
            return Ok(Content::new(
                target.clone(),
                Body::from_stream(stream::pending()),
            ));
        }
        let content = self.inner.fetch(target).await?;
        let Some(&left) = self.faults.breaks_after.get(target.digest()) else {
            return Ok(content);
        };
        let body = content.into_body().into_stream();
        let cut = body.scan(left, |left, piece| {
            let piece = piece.and_then(|mut piece| {
                if *left == 0 {
                    return Err(Error::new(ErrorKind::Unavailable, "the connection broke"));
                }
                piece.truncate(*left);
                *left -= piece.len();
                Ok(piece)
            });
            std::future::ready(Some(piece))
        });
        Ok(Content::new(target.clone(), Body::from_stream(cut)))
    }
}

#[async_trait]
impl ReadOnlyStorage for Recorder {
    async fn exists(&self, target: &Descriptor) -> Result<bool> {
        self.note(Call::Exists(*target.digest()));
        self.hesitate(target.digest()).await;
        let claimed = self.faults.claims.contains(target.digest());
        Ok(claimed || self.inner.exists(target).await?)
    }
}

#[async_trait]
impl Pusher for Recorder {
    async fn push(&self, expected: &Descriptor, source: Source<'_>) -> Result<()> {
        self.note(Call::Push(*expected.digest()));
        self.hesitate(expected.digest()).await;
        if self.faults.claims.contains(expected.digest()) && !expected.media_type().is_manifest() {
            return Ok(());
        }
        self.check_children(expected, &source).await?;
        self.inner.push(expected, source).await
    }
}

#[async_trait]
impl ReferencePusher for Recorder {
    async fn push_reference(
        &self,
        expected: &Descriptor,
        source: Source<'_>,
        tags: &[Tag],
    ) -> Result<()> {
        self.note(Call::PushReference(*expected.digest(), tags.to_vec()));
        self.check_children(expected, &source).await?;
        self.inner.push_reference(expected, source, tags).await
    }
}

#[async_trait]
impl Deleter for Recorder {
    async fn delete(&self, target: &Descriptor) -> Result<()> {
        self.inner.delete(target).await
    }
}

#[async_trait]
impl Resolver for Recorder {
    async fn resolve(&self, reference: &TagOrDigest) -> Result<Descriptor> {
        self.note(Call::Resolve);
        self.inner.resolve(reference).await
    }
}

#[async_trait]
impl Tagger for Recorder {
    async fn tag(&self, target: &Descriptor, tag: &Tag) -> Result<()> {
        self.note(Call::Tag(tag.clone()));
        self.inner.tag(target, tag).await
    }
}

#[async_trait]
impl Untagger for Recorder {
    async fn untag(&self, tag: &Tag) -> Result<()> {
        self.inner.untag(tag).await
    }
}

#[async_trait]
impl ReferenceFetcher for Recorder {
    async fn fetch_reference(&self, reference: &TagOrDigest) -> Result<Content> {
        let content = self.inner.fetch_reference(reference).await?;
        self.note(Call::Fetch(*content.descriptor().digest()));
        Ok(content)
    }
}

#[async_trait]
impl PredecessorFinder for Recorder {
    async fn predecessors(&self, node: &Descriptor) -> Result<Vec<Descriptor>> {
        self.hesitate(node.digest()).await;
        self.inner.predecessors(node).await
    }
}

impl ReferrerLister for Recorder {
    fn referrers<'a>(
        &'a self,
        subject: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Listing<'a, Descriptor> {
        let lies = self.faults.referrers_of_all.iter().cloned().map(Ok);
        let over = *subject.digest();
        let hesitation = stream::once(async move { self.hesitate(&over).await });
        hesitation
            .filter_map(|()| std::future::ready(None))
            .chain(stream::iter(lies))
            .chain(self.inner.referrers(subject, artifact_type))
            .boxed()
    }
}

impl TagLister for Recorder {
    fn tags(&self, options: ListOptions) -> Listing<'_, Tag> {
        self.inner.tags(options)
    }
}

#[async_trait]
impl Mounter for Recorder {
    async fn mount(
        &self,
        target: &Descriptor,
        from: &RepositoryName,
        fallback: Option<Source<'_>>,
    ) -> Result<MountOutcome> {
        self.note(Call::Mount(*target.digest(), from.clone()));
        if self.faults.denies_mounts_from.as_ref() == Some(from) {
            return Err(Error::new(ErrorKind::Denied, "not that one"));
        }
        if self.faults.refuses_mounts {
            let Some(fallback) = fallback else {
                return Err(Error::not_found(target.digest()));
            };
            let options = PushOptions::default();
            return self
                .inner
                .blobs()
                .push_with(target, fallback, &options)
                .await;
        }
        match self.inner.blobs().mounter() {
            Some(mounter) => mounter.mount(target, from, fallback).await,
            None => Err(Error::unsupported("no mounts")),
        }
    }
}

impl BlobStore for Recorder {
    fn mounter(&self) -> Option<&dyn Mounter> {
        self.inner.blobs().mounter().map(|_| self as &dyn Mounter)
    }
}

impl Repository for Recorder {
    fn name(&self) -> &RepositoryName {
        self.inner.name()
    }

    fn registry(&self) -> Option<&RegistryIdentity> {
        self.inner.registry()
    }

    fn capabilities(&self) -> Capabilities {
        let capabilities = self.inner.capabilities();
        if self.faults.read_only {
            return capabilities.with_push(Support::No("it is read-only"));
        }
        capabilities
    }

    fn blobs(&self) -> &dyn BlobStore {
        self
    }

    fn manifests(&self) -> &dyn ManifestStore {
        self
    }
}
