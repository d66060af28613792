//! Hooks of a copy that are closures.

use std::fmt;

use async_trait::async_trait;

use super::hooks::{CopyHooks, PreCopy};
use super::progress::CopyEvent;
use crate::descriptor::Descriptor;
use crate::error::Result;
use crate::reference::RepositoryName;
use crate::repository::Repository;

type OnNode<R> = Option<Box<dyn Fn(&Descriptor) -> R + Send + Sync>>;
type MapRoot = dyn Fn(Descriptor) -> Result<Descriptor> + Send + Sync;
type Successors = dyn Fn(&Descriptor, Vec<Descriptor>) -> Result<Vec<Descriptor>> + Send + Sync;
type OnEvent = dyn Fn(CopyEvent<'_>) + Send + Sync;

/// [`CopyHooks`] of which each is a closure. Those that are not set do what the defaults of the trait do.
///
/// The closures must return at once. Implement [`CopyHooks`] for hooks that wait for something.
///
/// ```
/// use std::sync::Arc;
/// use tranship::{CopyCallbacks, CopyOptions, PreCopy};
///
/// let callbacks = CopyCallbacks::new()
///     .pre_copy(|node| match node.size() > 1 << 30 {
///         true => Ok(PreCopy::Skip),
///         false => Ok(PreCopy::Copy),
///     })
///     .post_copy(|node| {
///         println!("copied {}", node.digest());
///         Ok(())
///     });
/// let options = CopyOptions::default().with_hooks(Arc::new(callbacks));
/// # let _ = options;
/// ```
#[derive(Default)]
pub struct CopyCallbacks {
    map_root: Option<Box<MapRoot>>,
    successors: Option<Box<Successors>>,
    mount_from: OnNode<Vec<RepositoryName>>,
    pre_copy: OnNode<Result<PreCopy>>,
    post_copy: OnNode<Result<()>>,
    on_skipped: OnNode<Result<()>>,
    on_mounted: OnNode<Result<()>>,
    on_event: Option<Box<OnEvent>>,
}

impl CopyCallbacks {
    /// No hooks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the root; see [`CopyHooks::map_root`].
    #[must_use]
    pub fn map_root(
        mut self,
        callback: impl Fn(Descriptor) -> Result<Descriptor> + Send + Sync + 'static,
    ) -> Self {
        self.map_root = Some(Box::new(callback));
        self
    }

    /// Chooses the successors that are copied; see [`CopyHooks::successors`].
    #[must_use]
    pub fn successors(
        mut self,
        callback: impl Fn(&Descriptor, Vec<Descriptor>) -> Result<Vec<Descriptor>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.successors = Some(Box::new(callback));
        self
    }

    /// Names repositories to mount a blob from; see [`CopyHooks::mount_from`].
    #[must_use]
    pub fn mount_from(
        mut self,
        callback: impl Fn(&Descriptor) -> Vec<RepositoryName> + Send + Sync + 'static,
    ) -> Self {
        self.mount_from = Some(Box::new(callback));
        self
    }

    /// Decides whether a node is copied; see [`CopyHooks::pre_copy`].
    #[must_use]
    pub fn pre_copy(
        mut self,
        callback: impl Fn(&Descriptor) -> Result<PreCopy> + Send + Sync + 'static,
    ) -> Self {
        self.pre_copy = Some(Box::new(callback));
        self
    }

    /// Is called when a node has been copied; see [`CopyHooks::post_copy`].
    #[must_use]
    pub fn post_copy(
        mut self,
        callback: impl Fn(&Descriptor) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.post_copy = Some(Box::new(callback));
        self
    }

    /// Is called when the destination has a node; see [`CopyHooks::on_skipped`].
    #[must_use]
    pub fn on_skipped(
        mut self,
        callback: impl Fn(&Descriptor) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.on_skipped = Some(Box::new(callback));
        self
    }

    /// Is called when a blob was mounted; see [`CopyHooks::on_mounted`].
    #[must_use]
    pub fn on_mounted(
        mut self,
        callback: impl Fn(&Descriptor) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.on_mounted = Some(Box::new(callback));
        self
    }

    /// Is called as the copy proceeds; see [`CopyHooks::on_event`].
    #[must_use]
    pub fn on_event(mut self, callback: impl Fn(CopyEvent<'_>) + Send + Sync + 'static) -> Self {
        self.on_event = Some(Box::new(callback));
        self
    }
}

fn call(callback: &OnNode<Result<()>>, node: &Descriptor) -> Result<()> {
    match callback {
        Some(callback) => callback(node),
        None => Ok(()),
    }
}

#[async_trait]
impl CopyHooks for CopyCallbacks {
    async fn map_root(&self, _: &dyn Repository, root: Descriptor) -> Result<Descriptor> {
        match &self.map_root {
            Some(callback) => callback(root),
            None => Ok(root),
        }
    }

    async fn successors(
        &self,
        node: &Descriptor,
        found: Vec<Descriptor>,
    ) -> Result<Vec<Descriptor>> {
        match &self.successors {
            Some(callback) => callback(node, found),
            None => Ok(found),
        }
    }

    async fn mount_from(&self, node: &Descriptor) -> Result<Vec<RepositoryName>> {
        let callback = self.mount_from.as_ref();
        Ok(callback.map_or_else(Vec::new, |callback| callback(node)))
    }

    async fn pre_copy(&self, node: &Descriptor) -> Result<PreCopy> {
        match &self.pre_copy {
            Some(callback) => callback(node),
            None => Ok(PreCopy::Copy),
        }
    }

    async fn post_copy(&self, node: &Descriptor) -> Result<()> {
        call(&self.post_copy, node)
    }

    async fn on_skipped(&self, node: &Descriptor) -> Result<()> {
        call(&self.on_skipped, node)
    }

    async fn on_mounted(&self, node: &Descriptor) -> Result<()> {
        call(&self.on_mounted, node)
    }

    fn on_event(&self, event: CopyEvent<'_>) {
        if let Some(callback) = &self.on_event {
            callback(event);
        }
    }
}

impl fmt::Debug for CopyCallbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyCallbacks").finish_non_exhaustive()
    }
}
