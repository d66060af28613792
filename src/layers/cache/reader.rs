//! Reads content while it is fetched.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, select};
use futures_util::{TryStreamExt as _, stream};
use tokio::sync::watch;

use super::fills::Fill;
use super::spool::{End, Progress, Spool};
use super::stall::stalled;
use crate::*;

/// Returns the content as it arrives, if it is spooled. The last byte is held back until the content is stored and
/// verified, so that altered content never ends as if it were whole.
///
/// If the fetch fails, the rest is read as `rest` says, which gets how the fetch ended and the offset.
pub(super) fn follow<R>(fill: Arc<Fill>, patience: Duration, rest: R) -> Option<Content>
where
    R: Fn(End, u64) -> BoxFuture<'static, Result<Content>> + Send + 'static,
{
    let target = fill.target.clone();
    let spool = Arc::clone(fill.spool.as_ref()?);
    let reader = Reader {
        progress: spool.progress(),
        spool,
        fill,
        offset: 0,
        is_rest: false,
        part: None,
        patience,
        rest,
    };
    let body = stream::try_unfold(reader, |mut reader| async move {
        Ok(reader.next().await?.map(|chunk| (chunk, reader)))
    });
    Some(Content::new(target, Body::from_stream(body)))
}

/// A reader of content that is being fetched.
struct Reader<R> {
    fill: Arc<Fill>,
    spool: Arc<Spool>,
    progress: watch::Receiver<Progress>,
    /// How many bytes have been read.
    offset: u64,
    part: Option<ByteStream>,
    /// Whether `part` is what remains after the fetch has failed.
    is_rest: bool,
    /// How long the upstream may send nothing.
    patience: Duration,
    rest: R,
}

impl<R: Fn(End, u64) -> BoxFuture<'static, Result<Content>>> Reader<R> {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(part) = &mut self.part {
                if let Some(chunk) = part.try_next().await? {
                    self.offset += chunk.len() as u64;
                    return Ok(Some(chunk));
                }
                self.part = None;
            }
            let size = self.fill.target.size();
            if self.is_rest || self.offset == size {
                return Ok(None);
            }
            let Progress { available, end } = *self.progress.borrow_and_update();
            let readable = match end {
                Some(End::Stored) => available,
                _ => available.min(size.saturating_sub(1)),
            };
            if self.offset < readable {
                self.part = Some(self.spool.part(self.offset, readable).into_stream());
                continue;
            }
            match end {
                Some(End::Altered) => return Err(altered(&self.fill.target)),
                Some(End::Stalled) => return Err(stalled(self.patience)),
                Some(end) => {
                    let rest = (self.rest)(end, self.offset).await?;
                    self.part = Some(rest.into_body().into_stream());
                    self.is_rest = true;
                }
                None => {
                    let changed = pin!(self.progress.changed());
                    // Whichever is first: the end is in the progress too.
                    select(pin!(self.fill.stored()), changed).await;
                }
            }
        }
    }
}

pub(super) fn altered(target: &Descriptor) -> Error {
    Error::new(
        ErrorKind::DigestMismatch,
        "the upstream sent bytes that do not match the digest",
    )
    .with_subject(target.digest())
}
