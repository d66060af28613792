//! Hashes what passes through a reader or a writer.

use std::io::{self, Read, Write};

use tranship::blocking::CancelFlag;
use tranship::{Algorithm, Digest, Digester};

/// A reader or writer that hashes and counts the bytes, and fails when the work is cancelled.
pub(in super::super) struct Hashed<T> {
    inner: T,
    digester: Digester,
    bytes: u64,
    cancelled: CancelFlag,
}

impl<T> Hashed<T> {
    pub(in super::super) fn new(inner: T, algorithm: Algorithm, cancelled: CancelFlag) -> Self {
        Self {
            inner,
            digester: Digester::new(algorithm),
            bytes: 0,
            cancelled,
        }
    }

    /// Returns the digest of all bytes, and their number.
    pub(in super::super) fn finish(self) -> (T, Digest, u64) {
        (self.inner, self.digester.finish(), self.bytes)
    }

    fn pass(&mut self, bytes: &[u8]) {
        self.digester.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    fn check(&self) -> io::Result<()> {
        self.cancelled.check().map_err(io::Error::other)
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        let read = self.inner.read(buffer)?;
        self.pass(&buffer[..read]);
        Ok(read)
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.check()?;
        let written = self.inner.write(bytes)?;
        self.pass(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
