//! Content on its way in: read, kept and hashed, the one while the other.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use tranship::{Descriptor, Result, Source, Verifier};

use crate::offload::Job;
use crate::store::{Blob, Store};

/// How much is hashed in one go. A push that is dropped leaves no more than that behind, and another
/// as much is gathered meanwhile.
const BATCH: usize = 1024 * 1024;

/// Reads `source` and keeps it in `store`, if it is what `expected` says.
///
/// Content that another repository holds is checked all the same, since to have it here somebody
/// has to have it; but it takes no more room.
pub(crate) async fn receive(
    store: &Arc<Store>,
    expected: &Descriptor,
    source: &Source<'_>,
) -> Result<Arc<Blob>> {
    let known = store.get(expected.digest());
    if known.is_none() {
        store.quota().check(expected.size())?;
    }
    let mut body = source.open(0).await?.into_stream();
    // Hashing lags behind what is kept; the length must not.
    let mut length = Verifier::for_length(expected, expected.size());
    let mut hashing = Hashing::new(Verifier::new(expected));
    let mut buffer = store.buffer();
    while let Some(chunk) = body.next().await.transpose()? {
        length.update(&chunk)?;
        if known.is_none() {
            buffer.push(chunk.clone())?;
        }
        hashing = hashing.update(chunk).await?;
    }
    hashing.finish().await?;
    Ok(known.unwrap_or_else(|| store.insert(*expected.digest(), buffer.finish())))
}

/// Checks chunks on a blocking thread, a batch at a time, while the next batch comes together.
#[derive(Debug)]
pub(crate) struct Hashing {
    job: Job<Result<Verifier>>,
    batch: Vec<Bytes>,
    gathered: usize,
}

impl Hashing {
    pub(crate) fn new(verifier: Verifier) -> Self {
        Self {
            job: Job::Done(Ok(verifier)),
            batch: Vec::new(),
            gathered: 0,
        }
    }

    /// Takes the next chunk, and waits where hashing is slower than what comes.
    pub(crate) async fn update(mut self, mut chunk: Bytes) -> Result<Self> {
        while self.gathered + chunk.len() >= BATCH {
            let part = chunk.split_to(BATCH - self.gathered);
            self.gather(part);
            self = self.hand_over().await?;
        }
        self.gather(chunk);
        Ok(self)
    }

    /// Says that there are no more chunks, and checks.
    pub(crate) async fn finish(self) -> Result<()> {
        self.hand_over().await?.job.finish().await??.finish()
    }

    fn gather(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            self.gathered += chunk.len();
            self.batch.push(chunk);
        }
    }

    async fn hand_over(self) -> Result<Self> {
        let mut verifier = self.job.finish().await??;
        let batch = self.batch;
        let job = Job::start(self.gathered, move || {
            for chunk in &batch {
                verifier.update(chunk)?;
            }
            Ok(verifier)
        });
        Ok(Self {
            job,
            batch: Vec::new(),
            gathered: 0,
        })
    }
}
