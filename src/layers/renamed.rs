//! A repository under another name.

use async_trait::async_trait;

use crate::*;

/// How the names that a layer shows relate to those of the registry that it wraps.
#[derive(Debug, Clone)]
pub(super) enum Names {
    /// The registry has `PREFIX/NAME`, and the layer shows `NAME`.
    Below(RepositoryName),
    /// The registry has `NAME`, and the layer shows `PREFIX/NAME`.
    Above(RepositoryName),
}

impl Names {
    /// Returns the name that the registry has for what is shown as `name`; `None` if that is not in the registry.
    ///
    /// # Errors
    /// [`InvalidReference`](ErrorKind::InvalidReference) if the other name is not one of a repository.
    pub(super) fn inner(&self, name: &RepositoryName) -> Result<Option<RepositoryName>> {
        match self {
            Self::Below(prefix) => format!("{prefix}/{name}").parse().map(Some),
            Self::Above(prefix) => {
                let rest = name.as_str().strip_prefix(prefix.as_str());
                let rest = rest.and_then(|rest| rest.strip_prefix('/'));
                rest.map(str::parse).transpose()
            }
        }
    }
}

/// A repository that a layer shows under another name.
#[derive(Debug)]
pub(super) struct Renamed<B> {
    inner: B,
    name: RepositoryName,
    names: Names,
    registry: Option<RegistryIdentity>,
}

impl<B> Renamed<B> {
    pub(super) fn new(inner: B, name: RepositoryName, names: Names) -> Self {
        let registry = None;
        Self {
            inner,
            name,
            names,
            registry,
        }
    }

    /// Says that the repository belongs to `registry`, and not to that of the wrapped repository.
    pub(super) fn of(mut self, registry: RegistryIdentity) -> Self {
        self.registry = Some(registry);
        self
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<B: Backend> Backend for Renamed<B> {
    fn info(&self) -> RepositoryInfo<'_> {
        let inner = self.inner.info();
        RepositoryInfo {
            name: &self.name,
            registry: self.registry.as_ref().or(inner.registry),
            capabilities: inner.capabilities,
            immutable_tags: inner.immutable_tags,
        }
    }

    async fn mount_blob(
        &self,
        target: &Descriptor,
        from: &RepositoryName,
        fallback: Option<Source<'_>>,
    ) -> Result<PushOutcome> {
        match (self.names.inner(from)?, fallback) {
            (Some(from), fallback) => self.inner.mount_blob(target, &from, fallback).await,
            (None, Some(source)) => {
                let options = PushOptions::default();
                let kind = ContentKind::Blob;
                self.inner.write(kind, target, source, &options).await
            }
            (None, None) => Err(Error::new(
                ErrorKind::NotFound,
                format!("{from} belongs to another registry"),
            )),
        }
    }

    fn begin_batch(&self) -> Option<Box<dyn Batch + '_>> {
        Some(Box::new(RenamedBatch(Renamed {
            inner: self.inner.begin_batch()?,
            name: self.name.clone(),
            names: self.names.clone(),
            registry: self.registry.clone(),
        })))
    }

    forward_backend!(self, self.inner;
        read read_range read_reference direct_url stat find write remove set_tag remove_tag list_tags list_referrers
        list_predecessors start_upload resume_upload prepare_for_pushes);
}

#[derive(Debug)]
struct RenamedBatch<'a>(Renamed<Box<dyn Batch + 'a>>);

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Batch for RenamedBatch<'_> {
    fn backend(&self) -> &dyn Backend {
        &self.0
    }

    fn concurrency(&self) -> Option<usize> {
        self.0.inner.concurrency()
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        self.0.inner.commit().await
    }
}
