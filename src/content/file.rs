//! A local file as a stream: read on blocking threads, one chunk ahead of the reader.

use std::fs::File;
use std::io::{self, Read as _};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::stream;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::error::{Error, ErrorKind, Result};

/// Large enough that hops between threads do not matter, small enough that two chunks for each of a
/// few transfers stay within a few megabytes.
const CHUNK: u64 = 256 * 1024;

type Chunk = io::Result<(File, Vec<u8>)>;

enum State {
    Idle(File, u64),
    Reading(JoinHandle<Chunk>, u64),
}

pub(super) fn read(file: File, length: u64) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
    stream::try_unfold(State::Idle(file, length), |state| async move {
        let (handle, left) = match state {
            State::Idle(_, 0) => return Ok(None),
            State::Idle(file, left) => (start(file, left), left),
            State::Reading(handle, left) => (handle, left),
        };
        let chunk = handle.await.map_err(|error| {
            Error::new(ErrorKind::Io, "a read was cut short").with_source(error)
        })?;
        let (file, bytes) = chunk.map_err(|error| Error::io("read file", error))?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let left = left.saturating_sub(bytes.len() as u64);
        let next = if left == 0 {
            State::Idle(file, 0)
        } else {
            State::Reading(start(file, left), left)
        };
        Ok(Some((Bytes::from(bytes), next)))
    })
}

fn start(mut file: File, left: u64) -> JoinHandle<Chunk> {
    let wanted = left.min(CHUNK);
    // Allocated here and not on whichever of many threads reads: allocators keep what was freed by
    // the thread that asked for it.
    let mut bytes = Vec::with_capacity(usize::try_from(wanted).unwrap_or_default());
    spawn_blocking(move || {
        (&mut file).take(wanted).read_to_end(&mut bytes)?;
        Ok((file, bytes))
    })
}
