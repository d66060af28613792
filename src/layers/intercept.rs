//! One implementation of everything that a layer wraps, for layers that treat all calls alike.
//!
//! [`Intercepted`] is a layer around a backend or a registry. It tells an [`Interceptor`] of every call: also of those
//! of the uploads, batches, listings and repositories that it returns.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use super::{Operation, OperationName};
use crate::*;

/// What a layer does with calls. Calls that return at once, such as [`Backend::info`], are not intercepted, nor is
/// [`Registry::repository`], which only returns a handle.
pub(super) trait Interceptor: Send + Sync + fmt::Debug + 'static {
    type Call: InterceptedCall;

    /// Prepares a call. If this fails, the call fails with the same error, and the inner backend is not called. Of
    /// a listing it is called when the first item is asked for.
    fn begin(&self, operation: Operation) -> impl Future<Output = Result<Self::Call>> + Send;
}

/// A call in progress. It is dropped without one of the methods that consume it if the caller drops the future or
/// the listing.
pub(super) trait InterceptedCall: Send + 'static {
    /// Waits for `inner`: the call, or the next item of a listing.
    fn run<F: Future<Output: Send> + Send>(
        &mut self,
        inner: F,
    ) -> impl Future<Output = F::Output> + Send {
        inner
    }

    /// Is told that a listing has returned an item, and may never be asked for the next one.
    fn pause(&mut self) {}

    /// Ends a call that has opened `body`, which has `length` bytes.
    fn open(self, body: Body, length: u64) -> Body;

    /// Ends a call that has succeeded and has stored `written` bytes.
    fn succeed(self, written: u64);

    /// Ends a call that has failed with `error`, and returns the error for the caller.
    fn fail(self, error: Error) -> Error;
}

/// A layer that tells an interceptor of each call.
#[derive(Debug)]
pub(super) struct Intercepted<T, I> {
    inner: T,
    interceptor: Arc<I>,
}

impl<T: Clone, I> Clone for Intercepted<T, I> {
    fn clone(&self) -> Self {
        Self::shared(self.inner.clone(), &self.interceptor)
    }
}

impl<T, I> Intercepted<T, I> {
    pub(super) fn new(inner: T, interceptor: I) -> Self {
        Self::shared(inner, &Arc::new(interceptor))
    }

    fn shared(inner: T, interceptor: &Arc<I>) -> Self {
        let interceptor = Arc::clone(interceptor);
        Self { inner, interceptor }
    }
}

impl<B: Backend, I: Interceptor> Intercepted<B, I> {
    fn operation(&self, name: OperationName) -> Operation {
        Operation {
            repository: Some(self.inner.info().name.clone()),
            ..Operation::new(name)
        }
    }

    fn on(&self, name: OperationName, kind: ContentKind, target: &Descriptor) -> Operation {
        Operation {
            kind: Some(kind),
            digest: Some(*target.digest()),
            ..self.operation(name)
        }
    }

    fn named(&self, name: OperationName, kind: ContentKind, reference: &TagOrDigest) -> Operation {
        let mut operation = Operation {
            kind: Some(kind),
            ..self.operation(name)
        };
        match reference {
            TagOrDigest::Tag(tag) => operation.tag = Some(tag.clone()),
            TagOrDigest::Digest(digest) => operation.digest = Some(*digest),
        }
        operation
    }

    async fn call<V: Send>(
        &self,
        operation: Operation,
        inner: impl Future<Output = Result<V>> + Send,
    ) -> Result<V> {
        call(&*self.interceptor, operation, 0, inner).await
    }

    async fn open(
        &self,
        operation: Operation,
        inner: impl Future<Output = Result<Content>> + Send,
    ) -> Result<Content> {
        let (call, content) = begin(&*self.interceptor, operation, inner).await?;
        let length = content.len();
        Ok(content.map_body(|body| call.open(body, length)))
    }

    async fn push(
        &self,
        operation: Operation,
        target: &Descriptor,
        inner: impl Future<Output = Result<PushOutcome>> + Send,
    ) -> Result<PushOutcome> {
        let (call, outcome) = begin(&*self.interceptor, operation, inner).await?;
        call.succeed(match outcome {
            PushOutcome::Pushed => target.size(),
            PushOutcome::Mounted | PushOutcome::Present => 0,
        });
        Ok(outcome)
    }

    async fn upload(
        &self,
        operation: Operation,
        inner: impl Future<Output = Result<Box<dyn Upload>>> + Send,
    ) -> Result<Box<dyn Upload>> {
        let repository = operation.repository.clone();
        let inner = self.call(operation, inner).await?;
        Ok(Box::new(InterceptedUpload {
            inner,
            interceptor: Arc::clone(&self.interceptor),
            repository,
        }))
    }
}

async fn begin<I: Interceptor, V: Send>(
    interceptor: &I,
    operation: Operation,
    inner: impl Future<Output = Result<V>> + Send,
) -> Result<(I::Call, V)> {
    let mut call = interceptor.begin(operation).await?;
    match call.run(inner).await {
        Ok(value) => Ok((call, value)),
        Err(error) => Err(call.fail(error)),
    }
}

async fn call<I: Interceptor, V: Send>(
    interceptor: &I,
    operation: Operation,
    written: u64,
    inner: impl Future<Output = Result<V>> + Send,
) -> Result<V> {
    let (call, value) = begin(interceptor, operation, inner).await?;
    call.succeed(written);
    Ok(value)
}

/// Where a listing is.
enum Page<'a, V, C> {
    Before(Operation, Listing<'a, V>),
    In(C, Listing<'a, V>),
    After,
}

fn list<'a, V: Send + 'a, I: Interceptor>(
    interceptor: &'a I,
    operation: Operation,
    listing: Listing<'a, V>,
) -> Listing<'a, V> {
    let first = Page::Before(operation, listing);
    let items = stream::unfold(first, async move |page| {
        let (mut call, mut listing) = match page {
            Page::Before(operation, listing) => match interceptor.begin(operation).await {
                Ok(call) => (call, listing),
                Err(error) => return Some((Err(error), Page::After)),
            },
            Page::In(call, listing) => (call, listing),
            Page::After => return None,
        };
        match call.run(listing.next()).await {
            Some(Ok(item)) => {
                call.pause();
                Some((Ok(item), Page::In(call, listing)))
            }
            Some(Err(error)) => Some((Err(call.fail(error)), Page::After)),
            None => {
                call.succeed(0);
                None
            }
        }
    });
    Box::pin(items.fuse())
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<B: Backend, I: Interceptor> Backend for Intercepted<B, I> {
    async fn read(&self, kind: ContentKind, target: &Descriptor) -> Result<Content> {
        let operation = self.on(OperationName::Read, kind, target);
        self.open(operation, self.inner.read(kind, target)).await
    }

    async fn read_range(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        range: ByteRange,
    ) -> Result<Content> {
        let operation = self.on(OperationName::ReadRange, kind, target);
        let content = self.inner.read_range(kind, target, range);
        self.open(operation, content).await
    }

    async fn read_reference(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<Content> {
        let operation = self.named(OperationName::ReadReference, kind, reference);
        let content = self.inner.read_reference(kind, reference);
        self.open(operation, content).await
    }

    async fn stat(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<Descriptor> {
        let operation = self.named(OperationName::Stat, kind, reference);
        self.call(operation, self.inner.stat(kind, reference)).await
    }

    async fn direct_url(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        valid_for: Duration,
    ) -> Result<Option<DirectUrl>> {
        let operation = self.on(OperationName::DirectUrl, kind, target);
        let url = self.inner.direct_url(kind, target, valid_for);
        self.call(operation, url).await
    }

    async fn find(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        access: Access,
    ) -> Result<Presence> {
        let operation = self.on(OperationName::Find, kind, target);
        let found = self.inner.find(kind, target, access);
        self.call(operation, found).await
    }

    async fn write(
        &self,
        kind: ContentKind,
        expected: &Descriptor,
        source: Source<'_>,
        options: &PushOptions<'_>,
    ) -> Result<PushOutcome> {
        let operation = Operation {
            tag: options.tags.first().cloned(),
            ..self.on(OperationName::Write, kind, expected)
        };
        let written = self.inner.write(kind, expected, source, options);
        self.push(operation, expected, written).await
    }

    async fn mount_blob(
        &self,
        target: &Descriptor,
        from: &RepositoryName,
        fallback: Option<Source<'_>>,
    ) -> Result<PushOutcome> {
        let operation = self.on(OperationName::MountBlob, ContentKind::Blob, target);
        let mounted = self.inner.mount_blob(target, from, fallback);
        self.push(operation, target, mounted).await
    }

    async fn remove(&self, kind: ContentKind, target: &Descriptor) -> Result<()> {
        let operation = self.on(OperationName::Remove, kind, target);
        self.call(operation, self.inner.remove(kind, target)).await
    }

    async fn set_tag(&self, target: &Descriptor, tag: &Tag) -> Result<()> {
        let operation = Operation {
            tag: Some(tag.clone()),
            ..self.on(OperationName::SetTag, ContentKind::Manifest, target)
        };
        self.call(operation, self.inner.set_tag(target, tag)).await
    }

    async fn remove_tag(&self, tag: &Tag) -> Result<()> {
        let operation = Operation {
            kind: Some(ContentKind::Manifest),
            tag: Some(tag.clone()),
            ..self.operation(OperationName::RemoveTag)
        };
        self.call(operation, self.inner.remove_tag(tag)).await
    }

    fn list_tags(&self, options: ListOptions) -> Listing<'_, Tag> {
        let operation = self.operation(OperationName::ListTags);
        list(&*self.interceptor, operation, self.inner.list_tags(options))
    }

    fn list_referrers<'a>(
        &'a self,
        subject: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Listing<'a, Descriptor> {
        let name = OperationName::ListReferrers;
        let operation = self.on(name, ContentKind::Manifest, subject);
        let referrers = self.inner.list_referrers(subject, artifact_type);
        list(&*self.interceptor, operation, referrers)
    }

    async fn list_predecessors(&self, node: &Descriptor) -> Result<Vec<Descriptor>> {
        let operation = Operation {
            digest: Some(*node.digest()),
            ..self.operation(OperationName::ListPredecessors)
        };
        self.call(operation, self.inner.list_predecessors(node))
            .await
    }

    async fn start_upload(&self) -> Result<Box<dyn Upload>> {
        let operation = self.operation(OperationName::StartUpload);
        self.upload(operation, self.inner.start_upload()).await
    }

    async fn resume_upload(&self, id: &UploadId) -> Result<Box<dyn Upload>> {
        let operation = self.operation(OperationName::ResumeUpload);
        self.upload(operation, self.inner.resume_upload(id)).await
    }

    fn begin_batch(&self) -> Option<Box<dyn Batch + '_>> {
        let inner = self.inner.begin_batch()?;
        let batch = Intercepted::shared(inner, &self.interceptor);
        Some(Box::new(InterceptedBatch(batch)))
    }

    forward_backend!(self, self.inner; info prepare_for_pushes);
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<R: Registry, I: Interceptor> Registry for Intercepted<R, I> {
    fn identity(&self) -> &RegistryIdentity {
        self.inner.identity()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn repository(&self, name: &RepositoryName) -> Result<Arc<dyn Repository>> {
        let inner = self.inner.repository(name).await?;
        Ok(Arc::new(Intercepted::shared(inner, &self.interceptor)))
    }

    fn repositories(&self, options: ListOptions) -> Listing<'_, RepositoryName> {
        let operation = Operation::new(OperationName::ListRepositories);
        let names = self.inner.repositories(options);
        list(&*self.interceptor, operation, names)
    }

    async fn expire_uploads(&self, idle: Duration) -> Result<u64> {
        let operation = Operation::new(OperationName::ExpireUploads);
        let expired = self.inner.expire_uploads(idle);
        call(&*self.interceptor, operation, 0, expired).await
    }
}

#[derive(Debug)]
struct InterceptedBatch<'a, I>(Intercepted<Box<dyn Batch + 'a>, I>);

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<I: Interceptor> Batch for InterceptedBatch<'_, I> {
    fn backend(&self) -> &dyn Backend {
        &self.0
    }

    fn concurrency(&self) -> Option<usize> {
        self.0.inner.concurrency()
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        let operation = self.0.operation(OperationName::CommitBatch);
        let Intercepted { inner, interceptor } = self.0;
        call(&*interceptor, operation, 0, inner.commit()).await
    }
}

struct InterceptedUpload<I> {
    inner: Box<dyn Upload>,
    interceptor: Arc<I>,
    repository: Option<RepositoryName>,
}

impl<I: Interceptor> InterceptedUpload<I> {
    fn operation(&self, name: OperationName) -> Operation {
        Operation {
            repository: self.repository.clone(),
            kind: Some(ContentKind::Blob),
            ..Operation::new(name)
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<I: Interceptor> Upload for InterceptedUpload<I> {
    fn id(&self) -> &UploadId {
        self.inner.id()
    }

    fn offset(&self) -> u64 {
        self.inner.offset()
    }

    fn reserve(&mut self, bytes: u64) -> Result<()> {
        self.inner.reserve(bytes)
    }

    async fn write(&mut self, offset: u64, chunk: Bytes) -> Result<()> {
        let operation = self.operation(OperationName::WriteUpload);
        let length = chunk.len() as u64;
        let written = self.inner.write(offset, chunk);
        call(&*self.interceptor, operation, length, written).await
    }

    async fn pause(&mut self) -> Result<()> {
        let operation = self.operation(OperationName::PauseUpload);
        call(&*self.interceptor, operation, 0, self.inner.pause()).await
    }

    async fn commit(self: Box<Self>, expected: &Descriptor) -> Result<()> {
        let operation = Operation {
            digest: Some(*expected.digest()),
            ..self.operation(OperationName::CommitUpload)
        };
        let committed = self.inner.commit(expected);
        call(&*self.interceptor, operation, 0, committed).await
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        let operation = self.operation(OperationName::CancelUpload);
        call(&*self.interceptor, operation, 0, self.inner.cancel()).await
    }
}

/// Makes `$layer(Intercepted<T, …>)` a backend and a registry.
macro_rules! forward_to_intercepted {
    ($layer:ident) => {
        #[deny(clippy::missing_trait_methods)]
        impl<B: $crate::Backend> $crate::Backend for $layer<B> {
            $crate::forward_backend!(self, self.0;
                info read stat write read_range read_reference direct_url find mount_blob remove set_tag remove_tag list_tags
                list_referrers list_predecessors start_upload resume_upload begin_batch prepare_for_pushes);
        }

        #[deny(clippy::missing_trait_methods)]
        #[::async_trait::async_trait]
        impl<R: $crate::Registry> $crate::Registry for $layer<R> {
            fn identity(&self) -> &$crate::RegistryIdentity {
                self.0.identity()
            }

            fn capabilities(&self) -> $crate::Capabilities {
                self.0.capabilities()
            }

            async fn repository(
                &self,
                name: &$crate::RepositoryName,
            ) -> $crate::Result<::std::sync::Arc<dyn $crate::Repository>> {
                self.0.repository(name).await
            }

            fn repositories(
                &self,
                options: $crate::ListOptions,
            ) -> $crate::Listing<'_, $crate::RepositoryName> {
                self.0.repositories(options)
            }

            async fn expire_uploads(&self, idle: ::std::time::Duration) -> $crate::Result<u64> {
                self.0.expire_uploads(idle).await
            }
        }
    };
}

pub(super) use forward_to_intercepted;
