//! How long layers are decompressed, without the time in which the bytes of a layer are waited for.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Measures the time since it was made, except for that in which a [`TimedSource`] reads.
#[derive(Debug, Clone)]
pub(super) struct WorkTime(Rc<Measured>);

#[derive(Debug)]
struct Measured {
    begun: Instant,
    waited: Cell<Duration>,
    limit: Duration,
}

impl WorkTime {
    pub(super) fn with_limit(limit: Duration) -> Self {
        Self(Rc::new(Measured {
            begun: Instant::now(),
            waited: Cell::default(),
            limit,
        }))
    }

    /// # Errors
    /// [`TimedOut`](io::ErrorKind::TimedOut) if more time has been used than the limit.
    pub(super) fn check(&self) -> io::Result<()> {
        match self.left().is_zero() {
            true => Err(io::ErrorKind::TimedOut.into()),
            false => Ok(()),
        }
    }

    /// Returns how much of the limit is left.
    pub(super) fn left(&self) -> Duration {
        let used = self.0.begun.elapsed().saturating_sub(self.0.waited.get());
        self.0.limit.saturating_sub(used)
    }
}

/// Reads compressed bytes, and checks the time at each read: thousands of empty members or frames may follow each other
/// without a decompressed byte.
pub(super) struct TimedSource<R> {
    source: R,
    time: WorkTime,
}

impl<R> TimedSource<R> {
    pub(super) fn new(source: R, time: WorkTime) -> Self {
        Self { source, time }
    }
}

impl<R: Read> Read for TimedSource<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.time.check()?;
        let begun = Instant::now();
        let read = self.source.read(buffer);
        let measured = &self.time.0;
        measured.waited.set(measured.waited.get() + begun.elapsed());
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_is_waited_for_bytes_does_not_count() {
        struct Slow;
        impl Read for Slow {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                std::thread::sleep(Duration::from_millis(20));
                Ok(buffer.len())
            }
        }
        let time = WorkTime::with_limit(Duration::from_secs(3600));
        let begun = Instant::now();
        let mut source = TimedSource::new(Slow, time.clone());
        source.read_exact(&mut [0; 8]).expect("within the limit");
        let counted = Duration::from_secs(3600) - time.left();
        assert!(counted + Duration::from_millis(20) <= begun.elapsed());
    }

    #[test]
    fn reads_fail_when_the_time_is_used_up() {
        let time = WorkTime::with_limit(Duration::ZERO);
        let mut source = TimedSource::new(&b"bytes"[..], time);
        let error = source.read(&mut [0; 8]).expect_err("no time");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
