//! Keeps tags where they point.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use tokio::sync::MutexGuard;

use crate::*;

/// A repository or registry in which tags that match a pattern can be set once, and not be moved or removed. The
/// manifests that they name cannot be deleted.
///
/// The patterns are [`TagPatterns`], and [`Repository::is_immutable`] tells which tags they match.
///
/// Changes that the rules forbid fail with [`Denied`](ErrorKind::Denied). Setting a tag to the manifest that it names
/// is allowed. Two writers that go through clones of one layer cannot set a tag to different manifests; a writer that
/// goes around the layer, or another process, can do so between the look and the change.
///
/// ```
/// use tranship::layers::ImmutableTags;
/// use tranship::prelude::*;
/// # use tranship::{Index, MediaType, encode_json};
/// # use tranship_memory::MemoryRepository;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tranship::Result<()> {
/// let repository = ImmutableTags::new(MemoryRepository::new(), ["v*", "!v*-rc*"]);
/// # let content = encode_json(&Index::new(vec![]))?;
/// # let index = tranship::push_bytes(&repository, MediaType::IMAGE_INDEX, content).await?;
/// repository.tag(&index, &"v1.0".parse()?).await?;
/// assert!(repository.untag(&"v1.0".parse()?).await.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ImmutableTags<T> {
    inner: T,
    rules: Arc<Rules>,
}

impl<T> ImmutableTags<T> {
    /// Makes the tags of `inner`, a backend or a registry, immutable that match one of `patterns`.
    pub fn new(inner: T, patterns: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let locks = std::array::from_fn(|_| tokio::sync::Mutex::default());
        Self {
            inner,
            rules: Arc::new(Rules {
                immutable: TagPatterns::new(patterns),
                locks,
            }),
        }
    }

    /// Returns the same layer around `inner`, a backend or a registry: with the same patterns, and with the same locks
    /// for writers.
    pub fn around<B>(&self, inner: B) -> ImmutableTags<B> {
        ImmutableTags {
            inner,
            rules: Arc::clone(&self.rules),
        }
    }
}

#[derive(Debug)]
struct Rules {
    immutable: TagPatterns,
    /// Taken between the look at a tag and its change. The hash of repository and tag chooses one.
    locks: [tokio::sync::Mutex<()>; 64],
}

impl Rules {
    fn apply_to(&self, tag: &Tag) -> bool {
        self.immutable.match_tag(tag)
    }

    /// Waits until no other call changes these tags, and checks that each can point at its manifest.
    async fn admit<'t>(
        &self,
        backend: &dyn Backend,
        tags: impl Iterator<Item = (&'t Digest, &'t Tag)>,
    ) -> Result<Vec<MutexGuard<'_, ()>>> {
        let tags: Vec<_> = tags.filter(|(_, tag)| self.apply_to(tag)).collect();
        let mut places: Vec<_> = tags.iter().map(|(_, tag)| place(backend, tag)).collect();
        // In one order, so that two calls do not wait for each other.
        places.sort_unstable();
        places.dedup();
        let mut guards = Vec::with_capacity(places.len());
        for place in places {
            guards.push(self.locks[place].lock().await);
        }
        for (target, tag) in tags {
            match named(backend, tag).await {
                Ok(named) if named.digest() == target => {}
                Ok(named) => return Err(denied(tag, named.digest())),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(guards)
    }
}

async fn named(backend: &dyn Backend, tag: &Tag) -> Result<Descriptor> {
    let reference = tag.clone().into();
    backend.stat(ContentKind::Manifest, &reference).await
}

fn place(backend: &dyn Backend, tag: &Tag) -> usize {
    let mut hasher = DefaultHasher::new();
    (backend.info().name, tag).hash(&mut hasher);
    usize::try_from(hasher.finish() % 64).unwrap_or_default()
}

fn denied(tag: &Tag, named: &Digest) -> Error {
    Error::new(
        ErrorKind::Denied,
        format!("the tag {tag} is immutable and names {named}"),
    )
    .with_hint("choose another tag")
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<B: Backend> Backend for ImmutableTags<B> {
    fn info(&self) -> RepositoryInfo<'_> {
        let info = self.inner.info();
        info.with_immutable_tags(&self.rules.immutable)
    }

    async fn write(
        &self,
        kind: ContentKind,
        expected: &Descriptor,
        source: Source<'_>,
        options: &PushOptions<'_>,
    ) -> Result<PushOutcome> {
        let tags = options.tags.iter().map(|tag| (expected.digest(), tag));
        let _guards = self.rules.admit(&self.inner, tags).await?;
        self.inner.write(kind, expected, source, options).await
    }

    async fn set_tag(&self, target: &Descriptor, tag: &Tag) -> Result<()> {
        let tags = std::iter::once((target.digest(), tag));
        let _guards = self.rules.admit(&self.inner, tags).await?;
        self.inner.set_tag(target, tag).await
    }

    async fn remove_tag(&self, tag: &Tag) -> Result<()> {
        if self.rules.apply_to(tag) {
            let named = named(&self.inner, tag).await?;
            return Err(denied(tag, named.digest()));
        }
        self.inner.remove_tag(tag).await
    }

    /// Looks at every immutable tag before a manifest is deleted.
    async fn remove(&self, kind: ContentKind, target: &Descriptor) -> Result<()> {
        if kind == ContentKind::Manifest {
            let mut tags = self.inner.list_tags(ListOptions::default());
            while let Some(tag) = tags.try_next().await? {
                if !self.rules.apply_to(&tag) {
                    continue;
                }
                match named(&self.inner, &tag).await {
                    Ok(named) if named.digest() != target.digest() => {}
                    Ok(named) => return Err(denied(&tag, named.digest())),
                    Err(error) if error.is_not_found() => {}
                    Err(error) => return Err(error),
                }
            }
        }
        self.inner.remove(kind, target).await
    }

    fn begin_batch(&self) -> Option<Box<dyn Batch + '_>> {
        Some(Box::new(ImmutableTagsBatch {
            outside: &self.inner,
            inside: BatchView {
                inner: self.around(self.inner.begin_batch()?),
                set: Mutex::default(),
            },
        }))
    }

    forward_backend!(self, self.inner;
        read read_range read_reference direct_url stat find mount_blob list_tags list_referrers list_predecessors
        start_upload resume_upload prepare_for_pushes);
}

/// Checks tags when they are set, and again when they become visible: another batch may have set them.
#[derive(Debug)]
struct ImmutableTagsBatch<'a, B> {
    outside: &'a B,
    inside: BatchView<'a>,
}

#[derive(Debug)]
struct BatchView<'a> {
    inner: ImmutableTags<Box<dyn Batch + 'a>>,
    set: Mutex<Vec<(Digest, Tag)>>,
}

impl BatchView<'_> {
    fn note(&self, target: &Descriptor, tags: &[Tag]) {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        set.extend(tags.iter().map(|tag| (*target.digest(), tag.clone())));
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Backend for BatchView<'_> {
    async fn write(
        &self,
        kind: ContentKind,
        expected: &Descriptor,
        source: Source<'_>,
        options: &PushOptions<'_>,
    ) -> Result<PushOutcome> {
        let outcome = self.inner.write(kind, expected, source, options).await?;
        self.note(expected, options.tags);
        Ok(outcome)
    }

    async fn set_tag(&self, target: &Descriptor, tag: &Tag) -> Result<()> {
        self.inner.set_tag(target, tag).await?;
        self.note(target, std::slice::from_ref(tag));
        Ok(())
    }

    forward_backend!(self, self.inner;
        info read read_range read_reference direct_url stat find mount_blob remove remove_tag list_tags list_referrers
        list_predecessors start_upload resume_upload begin_batch prepare_for_pushes);
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<B: Backend> Batch for ImmutableTagsBatch<'_, B> {
    fn backend(&self) -> &dyn Backend {
        &self.inside
    }

    fn concurrency(&self) -> Option<usize> {
        self.inside.inner.inner.concurrency()
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        let set = self.inside.set.into_inner();
        let set = set.unwrap_or_else(PoisonError::into_inner);
        let ImmutableTags { inner, rules } = self.inside.inner;
        let tags = set.iter().map(|(target, tag)| (target, tag));
        let _guards = rules.admit(self.outside, tags).await?;
        inner.commit().await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<R: Registry> Registry for ImmutableTags<R> {
    fn identity(&self) -> &RegistryIdentity {
        self.inner.identity()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn repository(&self, name: &RepositoryName) -> Result<Arc<dyn Repository>> {
        Ok(Arc::new(self.around(self.inner.repository(name).await?)))
    }

    fn repositories(&self, options: ListOptions) -> Listing<'_, RepositoryName> {
        self.inner.repositories(options)
    }

    async fn expire_uploads(&self, idle: Duration) -> Result<u64> {
        self.inner.expire_uploads(idle).await
    }
}
