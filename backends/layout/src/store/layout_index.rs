//! Reads and changes the index of one layout, and the manifests that it leads to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;
use tranship::{Descriptor, Error, ErrorKind, Result, blocking};

use crate::driver::{Driver, IndexChange, IndexRead, IndexState, IndexVersion};
use crate::graph::{Graph, Node, decode};
use crate::index::{Draft, Request, Snapshot, fail};
use crate::options::LayoutOptions;

/// The only version of the format that there has been so far.
const VERSION: &str = "1.0.0";

/// From this size on, in bytes, JSON is read on a blocking thread.
const LARGE: usize = 64 * 1024;

/// How many tasks read the index at the same time: each may hold all of it.
const READERS: usize = 4;

/// The index of one layout, with the manifests that it leads to. A change that has begun keeps this alive.
#[derive(Debug)]
pub(super) struct LayoutIndex {
    pub(super) driver: Arc<dyn Driver>,
    pub(super) max_manifest_size: u64,
    pub(super) max_index_size: u64,
    pub(super) cached: Arc<Mutex<Option<Cached>>>,
    pub(super) readers: Arc<Semaphore>,
    pub(super) graph: Arc<Graph>,
    pub(super) is_checked: AtomicBool,
}

/// The content that a descriptor with the media type of a manifest names.
pub(super) enum Loaded {
    Manifest(Arc<Node>),
    /// Undamaged content that is not a manifest.
    Other,
    Absent,
}

#[derive(Debug, Clone)]
pub(super) struct Cached {
    pub(super) version: IndexVersion,
    pub(super) snapshot: Arc<Snapshot>,
}

impl LayoutIndex {
    pub(super) fn new(driver: Arc<dyn Driver>, options: &LayoutOptions) -> Self {
        Self {
            driver,
            max_manifest_size: options.max_manifest_size,
            max_index_size: options.max_index_size,
            cached: Arc::default(),
            readers: Arc::new(Semaphore::new(READERS)),
            graph: Arc::default(),
            is_checked: AtomicBool::new(false),
        }
    }

    /// Returns the same layout through another driver. The caches are shared.
    pub(super) fn with_driver(&self, driver: Arc<dyn Driver>) -> Self {
        Self {
            driver,
            max_manifest_size: self.max_manifest_size,
            max_index_size: self.max_index_size,
            cached: Arc::clone(&self.cached),
            readers: Arc::clone(&self.readers),
            graph: Arc::clone(&self.graph),
            is_checked: AtomicBool::new(self.is_checked()),
        }
    }

    /// Returns whether there is a layout whose version is known to be one that we understand.
    pub(super) fn is_checked(&self) -> bool {
        self.is_checked.load(Ordering::Relaxed)
    }

    pub(super) async fn check_version(&self) -> Result<()> {
        if self.is_checked.load(Ordering::Relaxed) {
            return Ok(());
        }
        match self.driver.version().await? {
            None => Ok(()),
            Some(version) if version == VERSION => {
                self.is_checked.store(true, Ordering::Relaxed);
                Ok(())
            }
            Some(version) => Err(Error::new(
                ErrorKind::UnsupportedVersion,
                format!("the image layout has version {version:?}, only {VERSION} is known"),
            )
            .with_subject(self.driver.location())
            .with_hint("a newer release may know it; nothing was changed")),
        }
    }

    pub(super) fn in_index(&self, error: Error) -> Error {
        error.with_subject(format_args!("{}/index.json", self.driver.location()))
    }

    pub(super) async fn index(&self) -> Result<Arc<Snapshot>> {
        let (snapshot, _) = self.versioned_index().await?;
        Ok(snapshot)
    }

    /// The index, which is durable then, with all that it leads to.
    pub(super) async fn secured_index(&self) -> Result<Arc<Snapshot>> {
        let (snapshot, version) = self.versioned_index().await?;
        self.secure_index(version.as_ref()).await?;
        Ok(snapshot)
    }

    pub(super) async fn secure_index(&self, version: Option<&IndexVersion>) -> Result<()> {
        match version {
            Some(version) => self.driver.secure_index(version).await,
            None => Ok(()),
        }
    }

    /// `None` as its version says that there is none.
    pub(super) async fn versioned_index(&self) -> Result<(Arc<Snapshot>, Option<IndexVersion>)> {
        let _permit = self.readers.acquire().await.map_err(|error| {
            Error::new(ErrorKind::Io, "the layout was closed").with_source(error)
        })?;
        let known = self.cached();
        let version = known.as_ref().map(|known| known.version.clone());
        match self.driver.read_index(version, self.max_index_size).await? {
            IndexRead::Absent => Ok((Arc::new(Snapshot::empty()), None)),
            IndexRead::Unchanged(version) => {
                let snapshot = known.map_or_else(|| Arc::new(Snapshot::empty()), |k| k.snapshot);
                self.cache(version.clone(), Arc::clone(&snapshot));
                Ok((snapshot, Some(version)))
            }
            IndexRead::Read(content, version) => {
                let snapshot = if content.len() < LARGE {
                    Snapshot::decode(&content)
                } else {
                    blocking::run(move || Snapshot::decode(&content)).await
                };
                let snapshot = Arc::new(snapshot.map_err(|error| self.in_index(error))?);
                self.cache(version.clone(), Arc::clone(&snapshot));
                Ok((snapshot, Some(version)))
            }
        }
    }

    pub(super) fn cached(&self) -> Option<Cached> {
        let cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        cached.clone()
    }

    pub(super) fn cache(&self, version: IndexVersion, snapshot: Arc<Snapshot>) {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        *cached = Some(Cached { version, snapshot });
    }

    pub(super) async fn node(&self, target: &Descriptor) -> Result<Option<Arc<Node>>> {
        Ok(match self.load(target).await? {
            Loaded::Manifest(node) => Some(node),
            Loaded::Other | Loaded::Absent => None,
        })
    }

    pub(super) async fn load(&self, target: &Descriptor) -> Result<Loaded> {
        if let Some(node) = self.graph.node(target.digest()) {
            return Ok(Loaded::Manifest(node));
        }
        let digest = *target.digest();
        let media_type = target.media_type().clone();
        let content = match self.driver.read_blob(&digest, self.max_manifest_size).await {
            Ok(Some(content)) => content,
            Ok(None) => return Ok(Loaded::Absent),
            // A blob that is listed as a manifest.
            Err(error) if error.kind() == ErrorKind::SizeExceedsLimit => return Ok(Loaded::Other),
            Err(error) => return Err(error),
        };
        let decoded = if content.len() < LARGE {
            decode(&digest, &media_type, &content)?
        } else {
            blocking::run(move || decode(&digest, &media_type, &content)).await?
        };
        let Some((plain, document)) = decoded else {
            return Ok(Loaded::Other);
        };
        let (node, leaves) = Node::new(&plain, document);
        let node = Arc::new(node);
        self.graph.insert(&node, &leaves);
        Ok(Loaded::Manifest(node))
    }

    /// Makes the changes of all who still wait.
    pub(super) async fn write(self: Arc<Self>, mut requests: Vec<Request>) {
        requests.retain(|request| !request.answer.is_closed());
        if requests.is_empty() {
            return;
        }
        match self.write_together(&requests).await {
            Ok(outcomes) => {
                for (request, outcome) in requests.into_iter().zip(outcomes) {
                    let _ = request.answer.send(outcome);
                }
            }
            // A blob that one of them relies on is gone, which must not fail the others.
            Err(error) if error.kind() == ErrorKind::Conflict && requests.len() > 1 => {
                for request in requests {
                    let outcome = self.write_together(std::slice::from_ref(&request)).await;
                    let outcome = outcome.and_then(|mut outcomes| outcomes.pop().unwrap_or(Ok(())));
                    let _ = request.answer.send(outcome);
                }
            }
            Err(error) => {
                let answers = requests.into_iter().map(|request| request.answer);
                fail(answers.collect(), error);
            }
        }
    }

    /// Makes changes with one write, and returns the outcome of each request.
    pub(super) async fn write_together(
        self: &Arc<Self>,
        requests: &[Request],
    ) -> Result<Vec<Result<()>>> {
        let edits: Vec<_> = requests
            .iter()
            .map(|request| Arc::clone(&request.edits))
            .collect();
        let required: Vec<_> = requests
            .iter()
            .map(|request| Arc::clone(&request.required))
            .collect();
        // Another state is read again, to be checked before it is changed.
        let known = self
            .cached()
            .filter(|known| known.snapshot.is_unambiguous());
        let version = known.as_ref().map(|known| known.version.clone());
        let written = Arc::new(Mutex::new(None));
        let edit = {
            let (core, written) = (Arc::clone(self), Arc::clone(&written));
            Box::new(move |found: IndexState<'_>| {
                let base = match found {
                    IndexState::Absent => Arc::new(Snapshot::empty()),
                    IndexState::Unchanged => match &known {
                        Some(known) => Arc::clone(&known.snapshot),
                        None => Arc::new(Snapshot::empty()),
                    },
                    IndexState::Changed(content) => Arc::new(
                        Snapshot::decode_for_change(content)
                            .map_err(|error| core.in_index(error))?,
                    ),
                };
                let mut draft = Draft::new(&base, &*core.graph);
                let outcomes: Vec<Result<()>> = edits
                    .iter()
                    .map(|edits| edits.iter().try_for_each(|edit| draft.apply(edit)))
                    .collect();
                let (snapshot, remove) = draft.finish();
                let content = snapshot.as_ref().map(Snapshot::encode).transpose()?;
                let snapshot = snapshot.map_or(base, Arc::new);
                let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
                *written = Some((snapshot, outcomes));
                Ok(IndexChange {
                    content,
                    remove,
                    required: required.clone(),
                })
            })
        };
        let version = self
            .driver
            .update_index(version, self.max_index_size, edit)
            .await?;
        let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((snapshot, outcomes)) = written.take() else {
            return Ok(requests.iter().map(|_| Ok(())).collect());
        };
        if let Some(version) = version {
            self.cache(version, snapshot);
        }
        Ok(outcomes)
    }
}
