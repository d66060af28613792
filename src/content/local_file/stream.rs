//! A local file as a stream: what the system has in memory is read where it is asked for, and what it
//! has not on blocking threads, one chunk ahead of the reader.

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::stream;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::error::{Error, ErrorKind, Result};

#[cfg_attr(not(target_os = "linux"), path = "no_page_cache.rs")]
mod page_cache;

use page_cache::PageCache;

/// How much a blocking thread reads at a time, in bytes. Large enough that hops between threads do not
/// matter, small enough that two chunks for each of a few transfers stay within a few megabytes.
const CHUNK: u64 = 256 * 1024;

type Chunk = io::Result<(Arc<File>, Vec<u8>)>;

enum State {
    InMemory(Arc<File>, PageCache),
    /// Once the disk had to be waited for, it is expected to be again.
    OnDisk(Arc<File>),
    Reading(JoinHandle<Chunk>),
}

/// The bytes of `file` from its cursor on, `length` at the most.
pub(super) fn read(
    file: Arc<File>,
    length: u64,
) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
    pieces(State::InMemory(file, PageCache::default()), length)
}

fn pieces(state: State, length: u64) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
    stream::try_unfold((state, length), |(state, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let (bytes, state) = state.read(left).await?;
        let left = left.saturating_sub(bytes.len() as u64);
        Ok((!bytes.is_empty()).then_some((bytes, (state, left))))
    })
}

impl State {
    /// The next bytes, of which there are `left` at the most. None at the end.
    async fn read(self, left: u64) -> Result<(Bytes, Self)> {
        let handle = match self {
            Self::InMemory(file, mut cache) => match cache.read(&file, left).await {
                Some(bytes) => return Ok((bytes, Self::InMemory(file, cache))),
                None => start(file, left),
            },
            Self::OnDisk(file) => start(file, left),
            Self::Reading(handle) => handle,
        };
        let chunk = handle.await.map_err(|error| {
            Error::new(ErrorKind::Io, "a read was cut short").with_source(error)
        })?;
        let (file, bytes) = chunk.map_err(|error| Error::io("read file", error))?;
        let state = match left.saturating_sub(bytes.len() as u64) {
            0 => Self::OnDisk(file),
            left => Self::Reading(start(file, left)),
        };
        Ok((bytes.into(), state))
    }
}

fn start(file: Arc<File>, left: u64) -> JoinHandle<Chunk> {
    let wanted = left.min(CHUNK);
    // Allocated here and not on whichever of many threads reads: allocators keep what was freed by
    // the thread that asked for it.
    let mut bytes = Vec::with_capacity(usize::try_from(wanted).unwrap_or_default());
    spawn_blocking(move || {
        (&*file).take(wanted).read_to_end(&mut bytes)?;
        Ok((file, bytes))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{StreamExt as _, TryStreamExt as _};
    use std::io::{Seek as _, SeekFrom, Write as _};

    fn content() -> Vec<u8> {
        (0..3 * CHUNK + 7).map(|at| (at / 100) as u8).collect()
    }

    fn file(content: &[u8], start: u64) -> Arc<File> {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(content).expect("written");
        file.seek(SeekFrom::Start(start)).expect("in the file");
        Arc::new(file)
    }

    async fn all(stream: impl Stream<Item = Result<Bytes>>) -> Vec<u8> {
        let pieces: Vec<Bytes> = stream.try_collect().await.expect("read");
        assert!(pieces.iter().all(|piece| !piece.is_empty()));
        pieces.concat()
    }

    #[tokio::test]
    async fn a_file_is_read_from_its_cursor_to_the_length_asked_for_or_its_end() {
        let content = content();
        let length = content.len() as u64;
        for (start, most) in [
            (0, u64::MAX),
            (5, u64::MAX),
            (CHUNK, CHUNK + 1),
            (3, 0),
            (length, 9),
        ] {
            let end = length.min(start.saturating_add(most)) as usize;
            let expected = &content[start as usize..end];
            let opened = || file(&content, start);
            assert!(
                all(read(opened(), most)).await == expected,
                "{start} {most}"
            );
            let on_disk = pieces(State::OnDisk(opened()), most);
            assert!(all(on_disk).await == expected, "{start} {most} on disk");
        }
    }

    #[tokio::test]
    async fn a_piece_that_somebody_keeps_is_not_written_to() {
        let content = content();
        let mut stream = Box::pin(read(file(&content, 0), u64::MAX));
        let first = stream.next().await.expect("a piece").expect("read");
        let rest = all(stream).await;
        assert!([&first[..], &rest].concat() == content);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_pipe_is_read_as_it_is_written_to() {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        let writing = std::thread::spawn(move || {
            for piece in content().chunks(10_000) {
                writer.write_all(piece).expect("written");
            }
        });
        let file = File::from(std::os::fd::OwnedFd::from(reader));
        assert!(all(read(Arc::new(file), u64::MAX)).await == content());
        writing.join().expect("written");
    }
}
