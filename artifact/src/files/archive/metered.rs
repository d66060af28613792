//! A reader with bounds, for an archive from outside.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use tranship::{Error, ErrorKind};

/// How much may be read of an archive.
#[derive(Clone)]
pub(super) struct Allowance(Rc<Shared>);

struct Shared {
    /// The bytes that may be read before the next call of [`Allowance::next`].
    next: Cell<u64>,
    /// The bytes that may be read of the whole archive.
    total: Cell<u64>,
    exceeded: Cell<Option<&'static str>>,
}

impl Allowance {
    pub(super) fn new(total: u64) -> Self {
        Self(Rc::new(Shared {
            next: Cell::new(0),
            total: Cell::new(total),
            exceeded: Cell::new(None),
        }))
    }

    /// Allows `bytes` bytes from here on.
    pub(super) fn next(&self, bytes: u64) {
        self.0.next.set(bytes);
    }

    /// Returns the error for a failed read: that of the limit, if one was exceeded.
    pub(super) fn explain(&self, error: io::Error) -> Error {
        match self.0.exceeded.get() {
            Some(limit) => Error::new(ErrorKind::SizeExceedsLimit, limit).with_hint(
                "if you trust the archive, raise the limit of its unpacked size, or keep it packed",
            ),
            None => Error::new(ErrorKind::Corrupt, "the archive cannot be read").with_source(error),
        }
    }

    fn take(&self, wanted: usize) -> io::Result<usize> {
        let left = self.0.next.get().min(self.0.total.get());
        if left == 0 && wanted > 0 {
            self.0.exceeded.set(Some(if self.0.total.get() == 0 {
                "the unpacked archive exceeds the limit of its size"
            } else {
                "the name and the attributes of an entry exceed 1 MiB"
            }));
            return Err(io::Error::other("a limit is exceeded"));
        }
        Ok(usize::try_from(left).map_or(wanted, |left| left.min(wanted)))
    }

    fn spend(&self, bytes: usize) {
        for left in [&self.0.next, &self.0.total] {
            left.set(left.get().saturating_sub(bytes as u64));
        }
    }
}

/// A reader that fails when its allowance is spent. The reader of archives keeps the name and the attributes of an entry
/// in memory before it returns the entry, so their size must be bounded here.
pub(super) struct Metered<R> {
    inner: R,
    allowance: Allowance,
}

impl<R> Metered<R> {
    pub(super) fn new(inner: R, allowance: Allowance) -> Self {
        Self { inner, allowance }
    }

    pub(super) fn into_inner(self) -> R {
        self.inner
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.allowance.take(buffer.len())?;
        let read = self.inner.read(&mut buffer[..length])?;
        self.allowance.spend(read);
        Ok(read)
    }
}
