//! The upstream, as the source of a push.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::{TryStreamExt as _, stream};

use super::spool::Spool;
use super::stall::Stall;
use crate::*;

/// Content of the upstream, as the source of a push. Its bytes are also appended to the spool.
pub(super) struct Origin {
    pub(super) upstream: Arc<dyn Backend>,
    pub(super) kind: ContentKind,
    pub(super) target: Descriptor,
    /// The content that is already open, if it is.
    pub(super) opened: Mutex<Option<Content>>,
    pub(super) spool: Option<Arc<Spool>>,
    pub(super) stall: Arc<Stall>,
}

#[async_trait]
impl OpenAt for Origin {
    async fn open_at(&self, offset: u64) -> Result<Body> {
        let opened = self
            .opened
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .filter(|_| offset == 0);
        let content = match opened {
            Some(content) => content,
            None if offset == 0 => {
                let content = self.upstream.read(self.kind, &self.target);
                self.stall.bound(content).await?
            }
            None => {
                let range = ByteRange::from(offset..);
                let content = self.upstream.read_range(self.kind, &self.target, range);
                self.stall.bound(content).await?
            }
        };
        let body = Arc::clone(&self.stall).bound_body(content.into_body());
        let Some(spool) = self.spool.clone() else {
            return Ok(body);
        };
        let chunks = body.into_stream();
        let spooled = stream::try_unfold(
            (chunks, spool, offset),
            |(mut chunks, spool, offset)| async move {
                let Some(chunk) = chunks.try_next().await? else {
                    return Ok(None);
                };
                spool.append(offset, &chunk).await;
                let next = offset + chunk.len() as u64;
                Ok(Some((chunk, (chunks, spool, next))))
            },
        );
        Ok(Body::from_stream(spooled))
    }
}
