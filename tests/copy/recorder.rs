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
impl Backend for Recorder {
    fn info(&self) -> RepositoryInfo<'_> {
        let info = self.inner.info();
        if self.faults.read_only {
            let capabilities = info.capabilities;
            return info.with_capabilities(capabilities.with_push(Support::No("it is read-only")));
        }
        info
    }

    async fn read(&self, kind: ContentKind, target: &Descriptor) -> Result<Content> {
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
        let content = self.inner.read(kind, target).await?;
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

    async fn read_reference(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<Content> {
        let content = self.inner.read_reference(kind, reference).await?;
        self.note(Call::Fetch(*content.descriptor().digest()));
        Ok(content)
    }

    async fn stat(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<Descriptor> {
        self.note(Call::Resolve);
        self.inner.stat(kind, reference).await
    }

    async fn find(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        access: Access,
    ) -> Result<Presence> {
        self.note(Call::Exists(*target.digest()));
        self.hesitate(target.digest()).await;
        if self.faults.claims.contains(target.digest()) {
            return Ok(Presence::Whole);
        }
        self.inner.find(kind, target, access).await
    }

    async fn write(
        &self,
        kind: ContentKind,
        expected: &Descriptor,
        source: Source<'_>,
        options: &PushOptions<'_>,
    ) -> Result<PushOutcome> {
        let digest = *expected.digest();
        if options.tags.is_empty() {
            self.note(Call::Push(digest));
            self.hesitate(&digest).await;
        } else {
            self.note(Call::PushReference(digest, options.tags.to_vec()));
        }
        if self.faults.claims.contains(&digest) && kind == ContentKind::Blob {
            return Ok(PushOutcome::Pushed);
        }
        self.check_children(expected, &source).await?;
        self.inner.write(kind, expected, source, options).await
    }

    async fn mount_blob(
        &self,
        target: &Descriptor,
        from: &RepositoryName,
        fallback: Option<Source<'_>>,
    ) -> Result<PushOutcome> {
        self.note(Call::Mount(*target.digest(), from.clone()));
        if self.faults.denies_mounts_from.as_ref() == Some(from) {
            return Err(Error::new(ErrorKind::Denied, "not that one"));
        }
        if self.faults.refuses_mounts {
            let Some(fallback) = fallback else {
                return Err(Error::not_found(target.digest()));
            };
            let options = PushOptions::default();
            let kind = ContentKind::Blob;
            return self.inner.write(kind, target, fallback, &options).await;
        }
        self.inner.mount_blob(target, from, fallback).await
    }

    async fn remove(&self, kind: ContentKind, target: &Descriptor) -> Result<()> {
        self.inner.remove(kind, target).await
    }

    async fn set_tag(&self, target: &Descriptor, tag: &Tag) -> Result<()> {
        self.note(Call::Tag(tag.clone()));
        self.inner.set_tag(target, tag).await
    }

    async fn remove_tag(&self, tag: &Tag) -> Result<()> {
        self.inner.remove_tag(tag).await
    }

    fn list_tags(&self, options: ListOptions) -> Listing<'_, Tag> {
        self.inner.list_tags(options)
    }

    fn list_referrers<'a>(
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
            .chain(self.inner.list_referrers(subject, artifact_type))
            .boxed()
    }

    async fn list_predecessors(&self, node: &Descriptor) -> Result<Vec<Descriptor>> {
        self.hesitate(node.digest()).await;
        self.inner.list_predecessors(node).await
    }
}
