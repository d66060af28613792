//! Pushes that become durable and visible together.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tranship::Result;

use super::Driver;

/// A batch of pushes to one layout. Dropping it discards blobs that are not published.
#[async_trait]
pub(crate) trait Transaction: fmt::Debug + Send + Sync {
    /// Returns the layout as the transaction sees it. Blobs that are put through this driver are part of the
    /// transaction: other drivers need not see them before [`publish`](Self::publish), nor are they durable
    /// before.
    fn driver(&self) -> Arc<dyn Driver>;

    /// Returns whether pushes have to come one at a time. Such a transaction also publishes everything with its
    /// change of the index, which no other writer can make for it.
    fn is_exclusive(&self) -> bool {
        false
    }

    /// Publishes all blobs that have been put, and makes them durable as far as the layout promises that. A
    /// blob is published only when it is durable.
    async fn publish(&self) -> Result<()> {
        Ok(())
    }

    /// Publishes what no change of the index has published.
    async fn commit(&self) -> Result<()> {
        Ok(())
    }
}

/// A transaction for a storage in which each stored blob is durable and visible at once.
#[derive(Debug)]
pub(crate) struct Immediate(pub(crate) Arc<dyn Driver>);

impl Transaction for Immediate {
    fn driver(&self) -> Arc<dyn Driver> {
        Arc::clone(&self.0)
    }
}
