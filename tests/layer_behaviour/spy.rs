//! A layer that counts what reaches the repository below it, holds reads up, and fails on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::{TryStreamExt as _, stream};
use tokio::sync::Semaphore;
use tranship::*;

#[derive(Debug, Clone)]
pub(crate) struct Spy<B> {
    inner: B,
    pub(crate) state: Arc<State>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) reads: AtomicUsize,
    pub(crate) stats: AtomicUsize,
    pub(crate) referrer_lists: AtomicUsize,
    pub(crate) is_down: AtomicBool,
    /// Whether it is another host that is down.
    pub(crate) is_other_host: AtomicBool,
    /// Whether a tag is never resolved.
    pub(crate) hangs: AtomicBool,
    /// A read takes a permit and does not give it back.
    pub(crate) permits: Semaphore,
}

impl<B> Spy<B> {
    pub(crate) fn new(inner: B) -> Self {
        let state = Arc::new(State {
            reads: AtomicUsize::new(0),
            stats: AtomicUsize::new(0),
            referrer_lists: AtomicUsize::new(0),
            is_down: AtomicBool::new(false),
            is_other_host: AtomicBool::new(false),
            hangs: AtomicBool::new(false),
            permits: Semaphore::new(1000),
        });
        Self { inner, state }
    }
}

impl State {
    pub(crate) fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    pub(crate) fn stats(&self) -> usize {
        self.stats.load(Ordering::SeqCst)
    }

    pub(crate) fn referrer_lists(&self) -> usize {
        self.referrer_lists.load(Ordering::SeqCst)
    }

    pub(crate) fn goes_down(&self) {
        self.is_down.store(true, Ordering::SeqCst);
    }

    pub(crate) fn comes_back(&self) {
        self.is_down.store(false, Ordering::SeqCst);
    }

    async fn read(&self) -> Result<()> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.check()?;
        self.permits.acquire().await.expect("open").forget();
        Ok(())
    }

    fn check(&self) -> Result<()> {
        if !self.is_down.load(Ordering::SeqCst) {
            return Ok(());
        }
        let error = Error::new(ErrorKind::Unavailable, "it is down");
        Err(match self.is_other_host.load(Ordering::SeqCst) {
            true => error.with_other_host("storage.example"),
            false => error,
        })
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<B: Backend> Backend for Spy<B> {
    async fn read(&self, kind: ContentKind, target: &Descriptor) -> Result<Content> {
        self.state.read().await?;
        self.inner.read(kind, target).await
    }

    async fn read_reference(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<Content> {
        self.state.read().await?;
        self.inner.read_reference(kind, reference).await
    }

    async fn stat(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<Descriptor> {
        self.state.stats.fetch_add(1, Ordering::SeqCst);
        self.state.check()?;
        if self.state.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.inner.stat(kind, reference).await
    }

    async fn find(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        access: Access,
    ) -> Result<Presence> {
        self.state.check()?;
        self.inner.find(kind, target, access).await
    }

    fn list_tags(&self, options: ListOptions) -> Listing<'_, Tag> {
        match self.state.check() {
            Ok(()) => self.inner.list_tags(options),
            Err(error) => Box::pin(futures_util::stream::iter([Err(error)])),
        }
    }

    fn list_referrers<'a>(
        &'a self,
        subject: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Listing<'a, Descriptor> {
        // A listing that is not read does not ask for anything.
        let listing = self.inner.list_referrers(subject, artifact_type);
        let asked = async {
            self.state.referrer_lists.fetch_add(1, Ordering::SeqCst);
            self.state.check().map(|()| listing)
        };
        Box::pin(stream::once(asked).try_flatten())
    }

    tranship::forward_backend!(self, self.inner;
        info write read_range direct_url mount_blob remove set_tag remove_tag
        list_predecessors start_upload resume_upload begin_batch prepare_for_pushes);
}
