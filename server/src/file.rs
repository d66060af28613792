//! Blobs that are local files, on their way to a socket.
//!
//! Over a bare connection the system sends them. Over TLS, or in somebody else's server, what the system
//! has in memory is read where the answer is written, without a detour over another thread, into a
//! buffer that was sent before. So a client takes two small buffers and no thread, however slow it is.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use tranship::{Body, ByteStream, Error, ErrorKind, OpenFile, Result};
use tranship_sendfile::Outlet;

/// How much is read at a time, in bytes.
const CHUNK: u64 = 64 * 1024;

/// The `length` bytes of a body: if they lie in a file, sent through `outlet` without being read, or
/// read here; else as they come.
pub(crate) fn stream(body: Body, length: u64, outlet: Option<&Outlet>) -> ByteStream {
    // A small one is read in one go anyhow.
    if length <= CHUNK {
        return body.into_stream();
    }
    if let Some(outlet) = outlet {
        return outlet.stream(body);
    }
    match body.into_open_file() {
        Ok(file) => Box::pin(Reader::new(&file).into_stream()),
        Err(body) => body.into_stream(),
    }
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
    fn new(file: &OpenFile) -> Self {
        let range = file.range();
        Self {
            file: Arc::clone(file.file()),
            position: range.start,
            left: range.end - range.start,
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
    use std::io::{Seek as _, Write as _};

    const LENGTH: usize = 3 * CHUNK as usize + 7;

    fn content() -> Vec<u8> {
        (0..LENGTH).map(|number| (number / 100) as u8).collect()
    }

    fn body(content: &[u8]) -> Body {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(content).expect("written");
        file.rewind().expect("rewound");
        Body::from_file(file, u64::MAX)
    }

    async fn read(body: Body, length: u64) -> Vec<u8> {
        let pieces = stream(body, length, None).try_collect::<Vec<Bytes>>();
        pieces.await.expect("read").concat()
    }

    #[tokio::test]
    async fn a_file_is_read_to_its_end() {
        let content = content();
        assert!(read(body(&content), LENGTH as u64).await == content);
    }

    #[tokio::test]
    async fn a_piece_that_somebody_keeps_is_not_written_to() {
        let content = content();
        let mut stream = stream(body(&content), LENGTH as u64, None);
        let mut all = Vec::new();
        let first = stream.try_next().await.expect("read").expect("a piece");
        all.extend_from_slice(&first);
        while let Some(piece) = stream.try_next().await.expect("read") {
            all.extend_from_slice(&piece);
        }
        assert!(all == content);
        assert!(first == content[..first.len()]);
    }

    #[tokio::test]
    async fn a_system_that_cannot_say_whether_it_waits_is_waited_for() {
        let content = content();
        let mut reader = Reader::new(&body(&content).into_open_file().expect("a file"));
        reader.can_try = false;
        let pieces: Vec<Bytes> = reader.into_stream().try_collect().await.expect("read");
        assert!(pieces.concat() == content);
    }

    #[tokio::test]
    async fn what_is_in_no_file_is_left_to_the_backend() {
        let content = content();
        let body = Body::from_bytes(Bytes::from(content.clone()));
        assert!(read(body, LENGTH as u64).await == content);
    }
}
