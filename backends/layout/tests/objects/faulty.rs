//! A store in memory that can be told to fail, and that keeps count.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt as _, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result, UploadPart,
};
use tokio::sync::Notify;

/// What a store is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Get,
    Head,
    Put,
    Create,
    Update,
    Part,
    Complete,
    Abort,
    Delete,
    List,
    Copy,
}

type Fault = dyn Fn(Op, &str) -> Option<Error> + Send + Sync;

/// The store, and what it was asked.
pub(crate) struct Faulty {
    pub(crate) inner: InMemory,
    before: Mutex<Arc<Fault>>,
    after: Mutex<Arc<Fault>>,
    /// Keys with this in them do not show up in listings.
    pub(crate) unlisted: Mutex<Option<&'static str>>,
    /// What was written before the time looks older by so much.
    aged: Mutex<Option<(SystemTime, Duration)>>,
    /// How long every request takes.
    pub(crate) delay: Mutex<Option<Duration>>,
    log: Arc<Mutex<Vec<(Op, String)>>>,
    /// The bytes that have arrived, in whole objects or parts.
    pub(crate) arrived: Arc<AtomicUsize>,
    /// How many answers were that an object has not changed.
    unchanged: AtomicUsize,
    held: Mutex<Option<Held>>,
    /// Whether a PUT is made whatever its condition is.
    ignores_conditions: bool,
}

impl Faulty {
    pub(crate) fn new() -> Self {
        Self {
            inner: InMemory::new(),
            before: Mutex::new(Arc::new(|_, _| None)),
            after: Mutex::new(Arc::new(|_, _| None)),
            unlisted: Mutex::default(),
            aged: Mutex::default(),
            delay: Mutex::default(),
            log: Arc::default(),
            arrived: Arc::default(),
            unchanged: AtomicUsize::new(0),
            held: Mutex::default(),
            ignores_conditions: false,
        }
    }

    /// A store that makes every PUT, whatever its condition is.
    pub(crate) fn without_regard() -> Self {
        Self {
            ignores_conditions: true,
            ..Self::new()
        }
    }

    /// From now on `fault` decides which requests fail, before anything is done.
    pub(crate) fn fail(&self, fault: impl Fn(Op, &str) -> Option<Error> + Send + Sync + 'static) {
        *self.before.lock().expect("a lock") = Arc::new(fault);
    }

    /// From now on `fault` decides whose answer is replaced, after all was done.
    pub(crate) fn fail_afterwards(
        &self,
        fault: impl Fn(Op, &str) -> Option<Error> + Send + Sync + 'static,
    ) {
        *self.after.lock().expect("a lock") = Arc::new(fault);
    }

    /// From now on everything that is there looks older by `age`.
    pub(crate) fn age(&self, age: Duration) {
        *self.aged.lock().expect("a lock") = Some((SystemTime::now(), age));
    }

    /// Holds the next request `op` of a key that ends with `key`, before anything is done.
    pub(crate) fn hold(&self, op: Op, key: &'static str) -> Held {
        let held = Held {
            op,
            key,
            reached: Arc::default(),
            resumed: Arc::default(),
        };
        *self.held.lock().expect("a lock") = Some(held.clone());
        held
    }

    fn aged(&self) -> impl Fn(ObjectMeta) -> ObjectMeta + Send + Sync + 'static {
        let aged = *self.aged.lock().expect("a lock");
        move |mut found| {
            let written = SystemTime::from(found.last_modified);
            if let Some((until, age)) = aged
                && written <= until
            {
                found.last_modified = (written - age).into();
            }
            found
        }
    }

    /// What was asked so far of keys that have `part` in them.
    pub(crate) fn asked(&self, part: &str) -> Vec<Op> {
        let log = self.log.lock().expect("a lock");
        let asked = log.iter().filter(|(_, key)| key.contains(part));
        asked.map(|(op, _)| *op).collect()
    }

    /// How many requests there were.
    pub(crate) fn requests(&self) -> usize {
        self.log.lock().expect("a lock").len()
    }

    /// The keys that were written, in order.
    pub(crate) fn written(&self) -> Vec<String> {
        let log = self.log.lock().expect("a lock");
        let is_write = |op| matches!(op, Op::Put | Op::Create | Op::Update | Op::Complete);
        let written = log.iter().filter(|(op, _)| is_write(*op));
        written.map(|(_, key)| key.clone()).collect()
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        let listed = self.inner.list(None).try_collect::<Vec<_>>().now_or_never();
        let objects = listed.expect("memory is at hand").expect("a listing");
        let keys = objects.into_iter().map(|object| object.location);
        keys.map(|key| key.to_string()).collect()
    }

    /// How many answers were that an object has not changed.
    pub(crate) fn unchanged(&self) -> usize {
        self.unchanged.load(Ordering::SeqCst)
    }

    pub(crate) async fn read(&self, key: &str) -> Bytes {
        let found = self.inner.get(&Path::from(key)).await.expect("an object");
        found.bytes().await.expect("readable")
    }

    async fn begin(&self, op: Op, key: &Path) -> Result<()> {
        let delay = *self.delay.lock().expect("a lock");
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
        self.log.lock().expect("a lock").push((op, key.to_string()));
        let is_held = |held: &mut Held| held.op == op && key.as_ref().ends_with(held.key);
        let held = self.held.lock().expect("a lock").take_if(is_held);
        if let Some(held) = held {
            held.reached.notify_one();
            held.resumed.notified().await;
        }
        let fault = Arc::clone(&self.before.lock().expect("a lock"));
        fault(op, key.as_ref()).map_or(Ok(()), Err)
    }

    fn end(&self, op: Op, key: &Path) -> Result<()> {
        let fault = Arc::clone(&self.after.lock().expect("a lock"));
        fault(op, key.as_ref()).map_or(Ok(()), Err)
    }

    fn is_hidden(&self, key: &Path) -> bool {
        let unlisted = *self.unlisted.lock().expect("a lock");
        unlisted.is_some_and(|part| key.as_ref().contains(part))
    }
}

/// A request that waits.
#[derive(Clone)]
pub(crate) struct Held {
    op: Op,
    key: &'static str,
    reached: Arc<Notify>,
    resumed: Arc<Notify>,
}

impl Held {
    /// Returns when the request waits.
    pub(crate) async fn reached(&self) {
        self.reached.notified().await;
    }

    /// Returns when the request has come, and resumes it.
    pub(crate) async fn passed(&self) {
        self.reached().await;
        self.resume();
    }

    /// Resumes the request.
    pub(crate) fn resume(&self) {
        self.resumed.notify_one();
    }
}

/// An answer as S3 gives it, with something in it that must not get out.
pub(crate) fn answer(status: &str, code: &str) -> Error {
    Error::Generic {
        store: "S3",
        source: text(status, code).into(),
    }
}

pub(crate) fn text(status: &str, code: &str) -> String {
    format!(
        "Error performing PUT https://user:SECRET@host/bucket/key?X-Amz-Signature=SECRET in 2ms - \
         Server returned non-2xx status code: {status}: <?xml version=\"1.0\"?><Error>\
         <Code>{code}</Code><Message>no</Message><Token-0>SECRET</Token-0></Error>"
    )
}

pub(crate) fn precondition(key: &str) -> Error {
    Error::Precondition {
        path: key.to_owned(),
        source: text("412 Precondition Failed", "PreconditionFailed").into(),
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AmazonS3(bucket)")
    }
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        mut options: PutOptions,
    ) -> Result<PutResult> {
        let op = match options.mode {
            PutMode::Overwrite => Op::Put,
            PutMode::Create => Op::Create,
            PutMode::Update(_) => Op::Update,
        };
        self.begin(op, location).await?;
        if self.ignores_conditions {
            options.mode = PutMode::Overwrite;
        }
        let length = payload.content_length();
        let put = self.inner.put_opts(location, payload, options).await?;
        self.arrived.fetch_add(length, Ordering::SeqCst);
        self.end(op, location)?;
        Ok(put)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.inner.put_multipart_opts(location, options).await?;
        Ok(Box::new(Parts {
            inner,
            key: location.clone(),
            before: Arc::clone(&self.before.lock().expect("a lock")),
            log: Arc::clone(&self.log),
            arrived: Arc::clone(&self.arrived),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let op = if options.head { Op::Head } else { Op::Get };
        self.begin(op, location).await?;
        let found = self.inner.get_opts(location, options).await;
        if let Err(Error::NotModified { .. }) = &found {
            self.unchanged.fetch_add(1, Ordering::SeqCst);
        }
        let mut found = found?;
        found.meta = self.aged()(found.meta);
        Ok(found)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let log = Arc::clone(&self.log);
        let fault = Arc::clone(&self.before.lock().expect("a lock"));
        let locations = locations.map(move |location| {
            let location = location?;
            let key = location.to_string();
            log.lock().expect("a lock").push((Op::Delete, key));
            match fault(Op::Delete, location.as_ref()) {
                Some(error) => Err(error),
                None => Ok(location),
            }
        });
        self.inner.delete_stream(locations.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let key = prefix.cloned().unwrap_or_default();
        let log = (Op::List, key.to_string());
        self.log.lock().expect("a lock").push(log);
        let fault = Arc::clone(&self.before.lock().expect("a lock"));
        if let Some(error) = fault(Op::List, key.as_ref()) {
            return stream::once(async { Err(error) }).boxed();
        }
        let hidden = *self.unlisted.lock().expect("a lock");
        let listed = self.inner.list(prefix).map_ok(self.aged());
        let shown = listed.try_filter(move |found| {
            let is_hidden = hidden.is_some_and(|part| found.location.as_ref().contains(part));
            std::future::ready(!is_hidden)
        });
        shown.boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let key = prefix.cloned().unwrap_or_default();
        self.begin(Op::List, &key).await?;
        let mut found = self.inner.list_with_delimiter(prefix).await?;
        found
            .objects
            .retain(|object| !self.is_hidden(&object.location));
        Ok(found)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.begin(Op::Copy, from).await?;
        self.inner.copy_opts(from, to, options).await
    }
}

struct Parts {
    inner: Box<dyn MultipartUpload>,
    key: Path,
    before: Arc<Fault>,
    log: Arc<Mutex<Vec<(Op, String)>>>,
    arrived: Arc<AtomicUsize>,
}

impl Parts {
    fn begin(&self, op: Op) -> Result<()> {
        let key = self.key.to_string();
        self.log.lock().expect("a lock").push((op, key));
        (self.before)(op, self.key.as_ref()).map_or(Ok(()), Err)
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parts")
    }
}

#[async_trait]
impl MultipartUpload for Parts {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let begun = self.begin(Op::Part);
        let (length, arrived) = (data.content_length(), Arc::clone(&self.arrived));
        let part = self.inner.put_part(data);
        async move {
            begun?;
            // Long enough for the next part to be gathered, if it may be.
            tokio::time::sleep(Duration::from_millis(5)).await;
            part.await?;
            arrived.fetch_add(length, Ordering::SeqCst);
            Ok(())
        }
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.begin(Op::Complete)?;
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.begin(Op::Abort)?;
        self.inner.abort().await
    }
}
