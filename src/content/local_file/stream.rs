//! A local file as a stream: bytes that the system has in memory are read in place, others on blocking
//! threads, one chunk ahead of the reader.

use bytes::Bytes;
use futures_core::Stream;
use futures_util::stream;

use super::LocalFile;
use super::page_cache::PageCache;
use crate::blocking::{self, Task};
use crate::error::{Error, Result};

/// How much a blocking thread reads at a time, in bytes. Large enough that changes of threads do not
/// matter, small enough that two chunks for each of a few transfers stay within a few megabytes.
const CHUNK: u64 = 256 * 1024;

/// Returns the bytes of `file`.
pub(super) fn read(file: LocalFile) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
    pieces(Reader::new(file, State::InMemory(PageCache::default())))
}

fn pieces(reader: Reader) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
    stream::try_unfold(reader, |mut reader| async move {
        let bytes = reader.next().await?;
        reader.file.observe(bytes.len() as u64);
        Ok((!bytes.is_empty()).then_some((bytes, reader)))
    })
}

struct Reader {
    file: LocalFile,
    /// How many bytes of the content have been returned.
    offset: u64,
    state: State,
}

enum State {
    InMemory(PageCache),
    /// After one wait for the disk, others are expected.
    OnDisk,
    Reading(Task<Vec<u8>>),
}

impl Reader {
    fn new(file: LocalFile, state: State) -> Self {
        Self {
            file,
            offset: 0,
            state,
        }
    }

    /// Returns the next bytes; none at the end.
    async fn next(&mut self) -> Result<Bytes> {
        let bytes = match &mut self.state {
            State::InMemory(cache) => match cache.read(&self.file, self.offset).await {
                Some(bytes) => bytes,
                None => self.read_from_disk().await?,
            },
            State::OnDisk | State::Reading(_) => self.read_from_disk().await?,
        };
        self.offset += bytes.len() as u64;
        Ok(bytes)
    }

    async fn read_from_disk(&mut self) -> Result<Bytes> {
        let reading = match std::mem::replace(&mut self.state, State::OnDisk) {
            State::Reading(reading) => reading,
            State::InMemory(_) | State::OnDisk => self.start(self.offset),
        };
        let chunk = reading.await.map_err(|error| match self.file.path() {
            Some(path) => error.with_subject(path.display()),
            None => error,
        })?;
        let next = self.offset + chunk.len() as u64;
        let length = self
            .file
            .range()
            .end
            .saturating_sub(self.file.range().start);
        if !chunk.is_empty() && next < length {
            self.state = State::Reading(self.start(next));
        }
        Ok(chunk.into())
    }

    fn start(&self, offset: u64) -> Task<Vec<u8>> {
        let file = self.file.clone();
        let range = file.range();
        let left = range.end.saturating_sub(range.start.saturating_add(offset));
        // Allocated here and not on whichever of many threads reads: allocators keep what was freed by
        // the thread that asked for it.
        let mut bytes = vec![0; usize::try_from(left.min(CHUNK)).unwrap_or_default()];
        blocking::start(move || {
            let mut filled = 0;
            while filled < bytes.len() {
                match file.read_at(&mut bytes[filled..], offset + filled as u64) {
                    Ok(0) => break,
                    Ok(read) => filled += read,
                    Err(error) => return Err(Error::io("cannot be read", error)),
                }
            }
            bytes.truncate(filled);
            Ok(bytes)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{StreamExt as _, TryStreamExt as _};
    use std::fs::File;
    use std::io::Write as _;
    use std::ops::Range;

    fn content() -> Vec<u8> {
        (0..3 * CHUNK + 7).map(|at| (at / 100) as u8).collect()
    }

    fn file(content: &[u8], range: Range<u64>) -> LocalFile {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(content).expect("written");
        LocalFile::new(file, range)
    }

    async fn all(stream: impl Stream<Item = Result<Bytes>>) -> Result<Vec<u8>> {
        let pieces: Vec<Bytes> = stream.try_collect().await?;
        assert!(pieces.iter().all(|piece| !piece.is_empty()));
        Ok(pieces.concat())
    }

    #[tokio::test]
    async fn a_range_is_read_up_to_its_end_or_that_of_the_file() {
        let content = content();
        let length = content.len() as u64;
        for range in [
            0..u64::MAX,
            5..u64::MAX,
            CHUNK..2 * CHUNK + 1,
            3..3,
            length..length + 9,
            length + 9..u64::MAX,
        ] {
            let end = length.min(range.end) as usize;
            let expected = content.get(range.start as usize..end).unwrap_or_default();
            let opened = || file(&content, range.clone());
            assert!(all(read(opened())).await.expect("read") == expected);
            let on_disk = pieces(Reader::new(opened(), State::OnDisk));
            assert!(all(on_disk).await.expect("read") == expected);
        }
    }

    #[tokio::test]
    async fn a_piece_that_the_reader_keeps_is_not_written_to() {
        let content = content();
        let mut stream = Box::pin(read(file(&content, 0..u64::MAX)));
        let first = stream.next().await.expect("a piece").expect("read");
        let rest = all(stream).await.expect("read");
        assert!([&first[..], &rest].concat() == content);
    }

    #[tokio::test]
    async fn two_readers_of_one_file_do_not_disturb_each_other() {
        let content = content();
        let (first, second) = {
            let file = file(&content, 0..u64::MAX);
            (read(file.clone()), read(file))
        };
        let mut pairs = Box::pin(first.zip(second));
        while let Some((first, second)) = pairs.next().await {
            assert_eq!(first.expect("read"), second.expect("read"));
        }
    }

    #[tokio::test]
    async fn an_error_names_the_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let opened = File::open(directory.path()).expect("opened");
        let file = LocalFile::new(opened, 0..10).with_path("the/path");
        let error = all(read(file)).await.expect_err("a directory");
        assert!(error.to_string().starts_with("the/path: "), "{error}");
    }
}
