//! The decorator around the blobs of a repository.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tranship::prelude::*;
use tranship::{
    BlobStore, Body, ByteRange, Content, Descriptor, Error, ErrorKind, MediaType, Presence,
    PushOutcome, RepositoryName, Result, Source, TagOrDigest,
};

use crate::defect::Defect;
use crate::repository::{Inner, lock};

pub(crate) struct Blobs {
    pub(crate) inner: Arc<Inner>,
}

impl Blobs {
    fn right(&self) -> Box<dyn BlobStore + '_> {
        self.inner.repository.blobs()
    }

    fn unverified(&self, target: &Descriptor) -> Option<Bytes> {
        lock(&self.inner.state.unverified)
            .get(target.digest())
            .cloned()
    }

    /// Takes the lock that is not given back by who is dropped while holding it.
    async fn take_lock(&self) {
        while self.inner.state.locked.swap(true, Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn actual(&self, target: &Descriptor) -> Result<Descriptor> {
        self.right()
            .resolve(&TagOrDigest::Digest(*target.digest()))
            .await
    }
}

/// All bytes of a source, whatever they are.
async fn read_all(source: &Source<'_>) -> Result<Bytes> {
    let pieces = source.open(0).await?.into_stream();
    let bytes: BytesMut = pieces
        .try_fold(BytesMut::new(), |mut bytes, piece| async move {
            bytes.extend_from_slice(&piece);
            Ok(bytes)
        })
        .await?;
    Ok(bytes.freeze())
}

impl Blobs {
    pub(crate) async fn fetch(&self, target: &Descriptor) -> Result<Content> {
        if let Some(bytes) = self.unverified(target) {
            return Ok(Content::from_bytes(target.clone(), bytes));
        }
        match self.inner.defect {
            Defect::LosesLastByte => {
                let bytes = self.right().fetch(target).await?.bytes(u64::MAX).await?;
                let short = bytes.slice(..bytes.len().saturating_sub(1));
                Ok(Content::from_bytes(target.clone(), short))
            }
            Defect::FetchIgnoresSize => {
                let actual = self.actual(target).await?;
                self.right().fetch(&actual).await
            }
            Defect::ForgetsEmptyBlobs if target.size() == 0 => Err(Error::not_found(target)),
            Defect::AnswersAnotherType => {
                let content = self.right().fetch(target).await?;
                let other = target.clone().with_media_type(MediaType::EMPTY_JSON);
                Ok(Content::new(other, content.into_body()))
            }
            _ => self.right().fetch(target).await,
        }
    }

    pub(crate) async fn fetch_range(
        &self,
        target: &Descriptor,
        range: ByteRange,
    ) -> Result<Content> {
        let right = || async { self.right().fetch_range(target, range).await };
        if let Some(bytes) = self.unverified(target) {
            return Ok(Content::from_bytes(target.clone(), bytes));
        }
        let (size, start) = (target.size(), range.start());
        let refused = || Err(Error::new(ErrorKind::RangeInvalid, "no such range"));
        let nothing = || {
            let body = Body::from_bytes(Bytes::new());
            Ok(Content::partial(target.clone(), size..size, body))
        };
        match self.inner.defect {
            Defect::FlipsByteInRange => {
                let part = right().await?;
                let (descriptor, range) = (part.descriptor().clone(), part.range().cloned());
                let mut bytes = part.bytes(u64::MAX).await?.to_vec();
                if let Some(last) = bytes.last_mut() {
                    *last ^= 1;
                }
                let body = Body::from_bytes(bytes.into());
                Ok(Content::partial(descriptor, range.unwrap_or(0..size), body))
            }
            Defect::RangeStartsOneLate if start > 0 => {
                let late = ByteRange::from(start + 1..range.end().unwrap_or(size));
                self.right().fetch_range(target, late).await
            }
            Defect::RangePastTheEndFails if range.end().is_some_and(|end| end > size) => refused(),
            Defect::RangeAtTheEndFails if start == size => refused(),
            Defect::RangeBeyondTheEndIsEmpty if start > size => nothing(),
            Defect::RangeIgnoresSize => {
                let actual = self.actual(target).await?;
                self.right().fetch_range(&actual, range).await
            }
            Defect::ReversedRangesAreEmpty if range.end().is_some_and(|end| end < start) => {
                nothing()
            }
            Defect::AbsentRangesAreEmpty => match right().await {
                Err(error) if error.is_not_found() => nothing(),
                part => part,
            },
            _ => right().await,
        }
    }
}

impl Blobs {
    pub(crate) async fn exists(&self, target: &Descriptor) -> Result<bool> {
        let begun = || lock(&self.inner.state.begun).contains(target.digest());
        match self.inner.defect {
            Defect::ExistsAlways => Ok(true),
            Defect::ExistsIgnoresSize => Ok(self.actual(target).await.is_ok()),
            Defect::VisibleWhenBegun if begun() => Ok(true),
            Defect::ForgetsEmptyBlobs if target.size() == 0 => Ok(false),
            _ if self.unverified(target).is_some() => Ok(true),
            _ => self.right().exists(target).await,
        }
    }
}

impl Blobs {
    pub(crate) async fn push(
        &self,
        expected: &Descriptor,
        source: Source<'_>,
    ) -> Result<PushOutcome> {
        self.inner.allow_push(expected)?;
        match self.inner.defect {
            Defect::StoresUnverified => {
                let bytes = read_all(&source).await?;
                let pushed = self.right().push(expected, bytes.clone().into()).await;
                if pushed.is_err() {
                    lock(&self.inner.state.unverified).insert(*expected.digest(), bytes);
                }
                Ok(PushOutcome::Pushed)
            }
            Defect::CleansUpTooMuch => {
                let pushed = self.right().push(expected, source).await;
                if pushed.is_err() {
                    // What was not there need not be removed.
                    let _ = self.right().delete(expected).await;
                }
                pushed
            }
            Defect::CutsLongContent => {
                let mut left = usize::try_from(expected.size()).unwrap_or(usize::MAX);
                let cut = source
                    .open(0)
                    .await?
                    .into_stream()
                    .map_ok(move |mut piece| {
                        piece.truncate(left);
                        left -= piece.len();
                        piece
                    });
                let cut = cut.take_while(|piece| {
                    std::future::ready(!piece.as_ref().is_ok_and(Bytes::is_empty))
                });
                let cut = Source::once(Body::from_stream(cut));
                self.right().push(expected, cut).await
            }
            Defect::ReadsThePresentSource => {
                drop(source.open(0).await?);
                self.right().push(expected, source).await
            }
            Defect::FindsPresentContentByDigestAlone => match self.actual(expected).await {
                Ok(_) => Ok(PushOutcome::Present),
                Err(_) => self.right().push(expected, source).await,
            },
            Defect::SwallowsTheSourcesError => {
                let body = source.open(0).await?.into_stream();
                let quiet = body.take_while(|piece| std::future::ready(piece.is_ok()));
                let quiet = Source::once(Body::from_stream(quiet));
                self.right().push(expected, quiet).await
            }
            Defect::GathersPushes => {
                let pieces = source.open(0).await?.into_stream();
                let pieces: Vec<Bytes> = pieces.try_collect().await?;
                let pieces = Body::from_stream(stream::iter(pieces.into_iter().map(Ok)));
                self.right().push(expected, Source::once(pieces)).await
            }
            Defect::ListingsHoldALock => {
                self.take_lock().await;
                self.inner.state.locked.store(false, Ordering::SeqCst);
                self.right().push(expected, source).await
            }
            Defect::VisibleWhenBegun => {
                lock(&self.inner.state.begun).insert(*expected.digest());
                self.right().push(expected, source).await
            }
            Defect::KeepsTheLockOfADroppedPush => {
                self.take_lock().await;
                let pushed = self.right().push(expected, source).await;
                self.inner.state.locked.store(false, Ordering::SeqCst);
                pushed
            }
            // Without the panic hook, whose report would look like a failure of this test.
            Defect::PanicsOnEmptyContent if expected.size() == 0 => {
                std::panic::resume_unwind(Box::new("a push of nothing"))
            }
            _ => self.right().push(expected, source).await,
        }
    }
}

impl Blobs {
    pub(crate) async fn delete(&self, target: &Descriptor) -> Result<()> {
        self.inner.allow(|able| able.delete_blobs)?;
        match self.inner.defect {
            Defect::DeletesNothing => match self.right().exists(target).await? {
                true => Ok(()),
                false => Err(Error::not_found(target)),
            },
            Defect::DeletesTheAbsent => match self.right().delete(target).await {
                Err(error) if error.is_not_found() => Ok(()),
                result => result,
            },
            Defect::DeleteIgnoresSize => self.right().delete(&self.actual(target).await?).await,
            _ => self.right().delete(target).await,
        }
    }
}

impl Blobs {
    pub(crate) async fn resolve(&self, reference: &TagOrDigest) -> Result<Descriptor> {
        let right = self.right();
        match (self.inner.defect, reference) {
            (Defect::ResolvesBlobsWithoutSize, TagOrDigest::Digest(digest)) => {
                let found = right.resolve(reference).await?;
                Ok(Descriptor::new(found.media_type().clone(), *digest, 0))
            }
            (Defect::ResolvesTheAbsent, TagOrDigest::Digest(digest)) => {
                let absent = Descriptor::new(MediaType::OCTET_STREAM, *digest, 0);
                Ok(right.resolve(reference).await.unwrap_or(absent))
            }
            (Defect::ResolvesTagsAsBlobs, TagOrDigest::Tag(_)) => {
                self.inner.repository.resolve(reference).await
            }
            _ => right.resolve(reference).await,
        }
    }
}

impl Blobs {
    pub(crate) async fn fetch_reference(&self, reference: &TagOrDigest) -> Result<Content> {
        match self.inner.defect {
            Defect::ResolvesBlobsWithoutSize => {
                self.right().fetch(&self.resolve(reference).await?).await
            }
            _ => self.right().fetch_reference(reference).await,
        }
    }
}

impl Blobs {
    pub(crate) async fn presence(&self, target: &Descriptor) -> Result<Presence> {
        let actual = match self.inner.defect {
            Defect::LooksAtTheDigestAlone => self.actual(target).await.ok(),
            _ => None,
        };
        Ok(
            match self.exists(actual.as_ref().unwrap_or(target)).await? {
                true => Presence::Whole,
                false => Presence::Absent,
            },
        )
    }
}

impl Blobs {
    pub(crate) async fn mount(
        &self,
        target: &Descriptor,
        from: &RepositoryName,
        fallback: Option<Source<'_>>,
    ) -> Result<PushOutcome> {
        if self.inner.is(Defect::OffersNothing) {
            return Err(Error::unsupported("mounts are only claimed"));
        }
        let right = self.right();
        match self.inner.defect {
            Defect::MountsNothing => Ok(PushOutcome::Mounted),
            Defect::MountForgetsTheFallback => right.mount(target, from, None).await,
            Defect::MountReadsTheFallback => {
                if let Some(fallback) = &fallback {
                    read_all(fallback).await?;
                }
                right.mount(target, from, fallback).await
            }
            _ => right.mount(target, from, fallback).await,
        }
    }
}
