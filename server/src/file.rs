//! Blobs that are local files, on their way to a socket.
//!
//! What the system has in memory is read where the answer is written, without a detour over another
//! thread, into a buffer that was sent before. So a client takes two small buffers and no thread, however
//! slow it is.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use rustix::fs::OFlags;
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use tranship::{Body, ByteStream, Error, ErrorKind, LocalFile, Result};

/// How much is read at a time, in bytes.
const CHUNK: u64 = 64 * 1024;

/// The `length` bytes of a body: read here if they are a local file, else as they come.
pub(crate) async fn stream(body: Body, length: u64) -> ByteStream {
    // A small one is read in one go anyhow.
    if length <= CHUNK {
        return body.into_stream();
    }
    let Some(local) = body.local_file() else {
        return body.into_stream();
    };
    match open(local.clone(), length).await {
        Some((file, start)) => Box::pin(Reader::new(file, start, length).into_stream()),
        // Gone, or not as it should be: the backend knows better what to say to that.
        None => body.into_stream(),
    }
}

async fn open(local: LocalFile, length: u64) -> Option<(Arc<File>, u64)> {
    if let Some((file, start)) = local.opened() {
        return Some((Arc::clone(file), start));
    }
    let opened = tokio::task::spawn_blocking(move || {
        // What lies there may be no blob any more: a link is not followed, and a pipe not waited for.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = File::options()
            .read(true)
            .custom_flags(flags.bits().cast_signed())
            .open(local.path())
            .ok()?;
        let metadata = file.metadata().ok()?;
        (metadata.is_file() && metadata.len() == length).then_some(file)
    });
    Some((Arc::new(opened.await.ok()??), 0))
}

struct Reader {
    file: Arc<File>,
    position: u64,
    left: u64,
    /// What was sent last, and can be written to again when nobody else has it.
    sent: [Bytes; 2],
    /// Whether the system can say that it would have to wait for the disk.
    can_try: bool,
}

impl Reader {
    fn new(file: Arc<File>, start: u64, length: u64) -> Self {
        Self {
            file,
            position: start,
            left: length,
            sent: [Bytes::new(), Bytes::new()],
            can_try: true,
        }
    }

    fn into_stream(self) -> impl futures_util::Stream<Item = Result<Bytes>> + Send {
        stream::try_unfold(self, |mut reader| async move {
            let piece = reader.next().await?;
            Ok(piece.map(|piece| (piece, reader)))
        })
    }

    async fn next(&mut self) -> Result<Option<Bytes>> {
        let wanted = usize::try_from(self.left.min(CHUNK)).unwrap_or_default();
        if wanted == 0 {
            return Ok(None);
        }
        let mut buffer = self.buffer(wanted);
        let mut read = self.read_from_memory(&mut buffer);
        if read == 0 {
            (read, buffer) = self.read_from_disk(buffer).await?;
        }
        if read == 0 {
            // Whoever counts the bytes will notice that there are too few.
            return Ok(None);
        }
        buffer.truncate(read);
        let piece = buffer.freeze();
        self.position += read as u64;
        self.left -= read as u64;
        self.sent.swap(0, 1);
        self.sent[1] = piece.clone();
        Ok(Some(piece))
    }

    /// A buffer of `length` bytes: that of what was sent before last, if it was taken.
    fn buffer(&mut self, length: usize) -> BytesMut {
        if let Ok(mut free) = std::mem::take(&mut self.sent[0]).try_into_mut()
            && free.len() >= length
        {
            free.truncate(length);
            return free;
        }
        BytesMut::zeroed(length)
    }

    /// Reads what the system has in memory: nothing if that is not known.
    fn read_from_memory(&mut self, buffer: &mut BytesMut) -> usize {
        if !self.can_try {
            return 0;
        }
        let mut slices = [IoSliceMut::new(buffer)];
        let flags = ReadWriteFlags::NOWAIT;
        match preadv2(&self.file, &mut slices, self.position, flags) {
            Ok(read) => read,
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Err(_) => {
                self.can_try = false;
                0
            }
        }
    }

    async fn read_from_disk(&self, mut buffer: BytesMut) -> Result<(usize, BytesMut)> {
        let (file, position) = (Arc::clone(&self.file), self.position);
        let read = tokio::task::spawn_blocking(move || {
            loop {
                match file.read_at(&mut buffer, position) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    read => return read.map(|read| (read, buffer)),
                }
            }
        });
        read.await
            .map_err(|error| Error::new(ErrorKind::Io, "a read was cut short").with_source(error))?
            .map_err(|error| Error::io("the file cannot be read", error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::TryStreamExt as _;
    use std::io::Write as _;

    const LENGTH: usize = 3 * CHUNK as usize + 7;

    fn content() -> Vec<u8> {
        (0..LENGTH).map(|number| (number / 100) as u8).collect()
    }

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(content).expect("written");
        file
    }

    fn body(file: &tempfile::NamedTempFile) -> Body {
        let unread = stream::once(async { Err(Error::unsupported("the backend was asked")) });
        Body::from_stream(unread).with_local_file(LocalFile::immutable(file.path()))
    }

    async fn read(body: Body, length: u64) -> Result<Vec<u8>> {
        let pieces: Vec<Bytes> = stream(body, length).await.try_collect().await?;
        Ok(pieces.concat())
    }

    #[tokio::test]
    async fn a_file_is_read_to_its_end() {
        let file = file(&content());
        let read = read(body(&file), LENGTH as u64).await.expect("read");
        assert!(read == content());
    }

    #[tokio::test]
    async fn a_piece_that_somebody_keeps_is_not_written_to() {
        let file = file(&content());
        let mut stream = stream(body(&file), LENGTH as u64).await;
        let mut all = Vec::new();
        let first = stream.try_next().await.expect("read").expect("a piece");
        all.extend_from_slice(&first);
        while let Some(piece) = stream.try_next().await.expect("read") {
            all.extend_from_slice(&piece);
        }
        assert!(all == content());
        assert!(first == content()[..first.len()]);
    }

    #[tokio::test]
    async fn a_system_that_cannot_say_whether_it_waits_is_waited_for() {
        let file = file(&content());
        let mut reader = Reader::new(
            Arc::new(file.reopen().expect("opened")),
            10,
            LENGTH as u64 - 10,
        );
        reader.can_try = false;
        let pieces: Vec<Bytes> = reader.into_stream().try_collect().await.expect("read");
        assert!(pieces.concat() == content()[10..]);
    }

    #[tokio::test]
    async fn a_file_of_another_size_is_left_to_the_backend() {
        let file = file(&content());
        let error = read(body(&file), LENGTH as u64 + 1).await;
        assert!(error.expect_err("asked").is_unsupported());
        let gone = Body::from_bytes(Bytes::from(content()))
            .with_local_file(LocalFile::immutable("/nonexistent/blob"));
        assert!(read(gone, LENGTH as u64).await.expect("read") == content());
    }
}
