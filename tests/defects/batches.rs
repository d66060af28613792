//! The decorator around a batch: right, but for one defect.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use tranship::{Backend, Batch, Repository, Result};

use crate::defect::Defect;

pub(crate) struct FaultyBatch<'a> {
    batch: Box<dyn Batch + 'a>,
    /// For a view that does not know what the first was told.
    another: Box<dyn Batch + 'a>,
    repository: &'a dyn Repository,
    defect: Defect,
    asked: AtomicUsize,
    /// How many batches of the repository are open.
    open: &'a AtomicUsize,
}

impl<'a> FaultyBatch<'a> {
    pub(crate) fn begin(
        repository: &'a dyn Repository,
        defect: Defect,
        open: &'a AtomicUsize,
    ) -> Option<Self> {
        let batch = repository.batch()?;
        let another = repository.batch()?;
        open.fetch_add(1, Ordering::SeqCst);
        Some(Self {
            batch,
            another,
            repository,
            defect,
            asked: AtomicUsize::new(0),
            open,
        })
    }
}

impl fmt::Debug for FaultyBatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FaultyBatch").field(&self.defect).finish()
    }
}

#[async_trait]
impl Batch for FaultyBatch<'_> {
    fn backend(&self) -> &dyn Backend {
        match self.defect {
            Defect::BatchWritesThrough => self.repository,
            Defect::BatchForgetsBetweenViews
                if self.asked.fetch_add(1, Ordering::SeqCst) % 2 == 1 =>
            {
                self.another.backend()
            }
            _ => self.batch.backend(),
        }
    }

    fn concurrency(&self) -> Option<usize> {
        match self.defect {
            Defect::BatchHasNoUseForPushes => Some(0),
            _ => self.batch.concurrency(),
        }
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        let open = self.open.fetch_sub(1, Ordering::SeqCst);
        match self.defect {
            Defect::CommitsNothing => Ok(()),
            Defect::LosesOneOfTwoBatches if open > 1 => Ok(()),
            _ => self.batch.commit().await,
        }
    }
}
