//! The decorator around uploads.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tranship::prelude::*;
use tranship::{BlobStore, Descriptor, Error, Result, Upload, UploadId};

use crate::defect::Defect;
use crate::repository::Inner;

pub(crate) struct Uploads(pub(crate) Arc<Inner>);

impl Uploads {
    fn right(&self) -> Result<Box<dyn BlobStore + '_>> {
        match self.0.defect {
            Defect::OffersNothing => Err(Error::unsupported("uploads are only claimed")),
            _ => Ok(self.0.repository.blobs()),
        }
    }

    fn wrap(&self, upload: Box<dyn Upload>) -> Box<dyn Upload> {
        Box::new(FaultyUpload {
            upload,
            inner: Arc::clone(&self.0),
            written: Vec::new(),
        })
    }
}

impl Uploads {
    pub(crate) async fn start(&self) -> Result<Box<dyn Upload>> {
        self.0.allow(|able| able.uploads)?;
        Ok(self.wrap(self.right()?.start().await?))
    }

    pub(crate) async fn resume(&self, id: &UploadId) -> Result<Box<dyn Upload>> {
        let resumed = self.right()?.resume(id).await;
        match self.0.defect {
            Defect::ResumesFromTheStart => {
                resumed?;
                self.start().await
            }
            Defect::ResumesTheUnknown => match resumed {
                Err(error) if error.is_not_found() => self.start().await,
                resumed => Ok(self.wrap(resumed?)),
            },
            _ => Ok(self.wrap(resumed?)),
        }
    }
}

struct FaultyUpload {
    upload: Box<dyn Upload>,
    inner: Arc<Inner>,
    /// All that was written through this handle, for a commit that takes anything.
    written: Vec<u8>,
}

#[async_trait]
impl Upload for FaultyUpload {
    fn id(&self) -> &UploadId {
        self.upload.id()
    }

    fn offset(&self) -> u64 {
        self.upload.offset()
    }

    async fn write(&mut self, offset: u64, chunk: Bytes) -> Result<()> {
        self.written.extend_from_slice(&chunk);
        let offset = match self.inner.defect {
            Defect::WritesAtAnyOffset => self.upload.offset(),
            _ => offset,
        };
        self.upload.write(offset, chunk).await
    }

    async fn pause(&mut self) -> Result<()> {
        if self.inner.is(Defect::PauseLosesTheUpload) {
            self.upload = self.inner.repository.blobs().start().await?;
        }
        self.upload.pause().await
    }

    async fn commit(self: Box<Self>, expected: &Descriptor) -> Result<()> {
        match self.inner.defect {
            Defect::CommitsUnverified => {
                let actual = Descriptor::of(expected.media_type().clone(), &self.written);
                self.upload.commit(&actual).await
            }
            Defect::FailedCommitKeepsTheUpload => {
                let algorithm = expected.digest().algorithm();
                let actual =
                    Descriptor::of_with(algorithm, expected.media_type().clone(), &self.written);
                if actual.same_content(expected) || self.written.is_empty() {
                    return self.upload.commit(expected).await;
                }
                let kind = match actual.size() == expected.size() {
                    true => tranship::ErrorKind::DigestMismatch,
                    false => tranship::ErrorKind::SizeMismatch,
                };
                Err(Error::new(kind, "try again"))
            }
            _ => self.upload.commit(expected).await,
        }
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        match self.inner.defect {
            Defect::CancelKeepsTheUpload => Ok(()),
            _ => self.upload.cancel().await,
        }
    }
}
