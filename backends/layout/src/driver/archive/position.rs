//! Parts of an archive, read at their position, since several share the file.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use tokio::task::{JoinHandle, spawn_blocking};
use tranship::{Body, Error, ErrorKind, Result};

use crate::driver::position::read_exact_at;

/// How much is read at a time, in bytes.
const CHUNK: u64 = 256 * 1024;

/// The bytes `range` of a file, all at once.
pub(super) fn read_range(file: &File, range: &Range<u64>) -> io::Result<Vec<u8>> {
    let length = usize::try_from(range.end.saturating_sub(range.start))
        .map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    let mut bytes = vec![0; length];
    read_exact_at(file, &mut bytes, range.start)?;
    Ok(bytes)
}

/// Hands on the bytes `range` of a file, piece by piece.
pub(super) fn read_pieces<E: From<io::Error>>(
    file: &File,
    range: &Range<u64>,
    mut take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut at = range.start;
    while at < range.end {
        let piece = read_range(file, &(at..range.end.min(at + CHUNK)))?;
        take(&piece)?;
        at += piece.len() as u64;
    }
    Ok(())
}

/// The bytes `range` of a file, read on blocking threads, one chunk ahead of the reader.
pub(super) fn body(file: Arc<File>, range: Range<u64>) -> Body {
    let state = Reading {
        file,
        left: range,
        ahead: None,
    };
    Body::from_stream(stream::try_unfold(state, |mut state| async move {
        let handle = match state.ahead.take() {
            Some(handle) => handle,
            None => match state.start() {
                Some(handle) => handle,
                None => return Ok(None),
            },
        };
        let chunk = handle.await.map_err(|error| {
            Error::new(ErrorKind::Io, "a read was cut short").with_source(error)
        })?;
        let chunk = chunk.map_err(|error| Error::io("the archive cannot be read", error))?;
        state.ahead = state.start();
        Ok(Some((Bytes::from(chunk), state)))
    }))
}

struct Reading {
    file: Arc<File>,
    left: Range<u64>,
    ahead: Option<JoinHandle<io::Result<Vec<u8>>>>,
}

impl Reading {
    fn start(&mut self) -> Option<JoinHandle<io::Result<Vec<u8>>>> {
        if self.left.start >= self.left.end {
            return None;
        }
        let end = self.left.end.min(self.left.start.saturating_add(CHUNK));
        let range = self.left.start..end;
        self.left.start = end;
        let file = Arc::clone(&self.file);
        Some(spawn_blocking(move || read_range(&file, &range)))
    }
}
