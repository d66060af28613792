//! The audit log: records wait in a queue for a thread that writes them.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tranship_server::{
    AuditActor, AuditOperation, AuditRecord, AuditResult, AuditSink, AuditState,
};

use super::file::LogFile;

/// How many records may wait. From half of them on, nothing may be changed, so that the other half is for changes that
/// have begun.
const MAX_QUEUED: usize = 20_000;

/// How many bytes are written at once, about.
const MAX_BATCH: usize = 64 * 1024;

/// The time between two attempts to write.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// How long the last records may take to be written.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Writes the audit records of a server to a file. Clones share everything.
#[derive(Debug, Clone)]
pub(in crate::command::serve) struct AuditLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: String,
    queue: Mutex<Queue>,
    /// Wakes the thread that writes.
    changed: Condvar,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

#[derive(Debug, Default)]
struct Queue {
    lines: VecDeque<Vec<u8>>,
    /// How many lines the thread is writing.
    writing: usize,
    /// How many records were lost of which the log does not tell yet.
    lost: u64,
    is_failing: bool,
    is_to_reopen: bool,
    is_closing: bool,
    state: AuditState,
}

impl AuditLog {
    /// Opens the file at `path`, and starts the thread that writes to it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = LogFile::open(path)?;
        let (end, ended) = oneshot::channel();
        let shared = Arc::new(Shared {
            path: path.display().to_string(),
            queue: Mutex::default(),
            changed: Condvar::new(),
            ended: Mutex::new(Some(ended)),
        });
        let writer = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("audit-log".to_owned())
            .spawn(move || {
                writer.write_all(file);
                drop(end);
            })?;
        Ok(Self(shared))
    }

    /// Opens the file again when the process gets SIGHUP, and never ends. From the call on, before the future is polled,
    /// the signal does not end the process.
    #[cfg(unix)]
    pub(in crate::command::serve) fn follow_signals(&self) -> impl Future<Output = ()> {
        use tokio::signal::unix::{SignalKind, signal};
        let hangups = signal(SignalKind::hangup());
        async move {
            if let Ok(mut hangups) = hangups {
                while hangups.recv().await.is_some() {
                    self.0.queue().is_to_reopen = true;
                    self.0.changed.notify_one();
                }
            }
            std::future::pending::<()>().await;
        }
    }

    #[cfg(not(unix))]
    pub(in crate::command::serve) async fn follow_signals(&self) {
        std::future::pending::<()>().await;
    }

    /// Waits until records of work that no client asked for can be added, for a while at most.
    pub(in crate::command::serve) async fn has_room(&self) {
        for _ in 0..100 {
            if self.0.queue().has_room() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Writes the records that wait, and ends the thread.
    pub(in crate::command::serve) async fn close(&self) {
        self.0.queue().is_closing = true;
        self.0.changed.notify_one();
        let ended = self.0.ended.lock();
        let ended = ended.unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ended) = ended {
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, ended).await;
        }
        let queued = self.state().queued;
        if queued > 0 {
            tracing::error!(path = self.0.path, "{queued} audit records are lost");
        }
    }
}

impl AuditSink for AuditLog {
    fn record(&self, record: AuditRecord) {
        let line = line(&record);
        let mut queue = self.0.queue();
        let may_have_changed = record.operation.is_change()
            && matches!(
                record.result,
                AuditResult::Success | AuditResult::Unfinished
            );
        let is_full = if may_have_changed {
            queue.len() >= MAX_QUEUED
        } else {
            !queue.has_room()
        };
        let (Some(line), false) = (line, is_full) else {
            queue.state.lost += 1;
            queue.lost += 1;
            if queue.lost == 1 {
                tracing::error!(path = self.0.path, "audit records are lost");
            }
            return;
        };
        queue.lines.push_back(line);
        self.0.changed.notify_one();
    }

    fn is_available(&self) -> bool {
        let queue = self.0.queue();
        !queue.is_failing && queue.has_room()
    }

    fn state(&self) -> AuditState {
        let queue = self.0.queue();
        let mut state = queue.state;
        state.queued = queue.len() as u64;
        state
    }
}

impl Queue {
    fn len(&self) -> usize {
        self.lines.len() + self.writing
    }

    fn has_room(&self) -> bool {
        self.len() < MAX_QUEUED / 2
    }

    /// Moves lines to `batch`, about as many as are written at once.
    fn take(&mut self, batch: &mut Vec<u8>) {
        if self.lost > 0 && !self.is_failing {
            let mut record =
                AuditRecord::of_server(AuditActor::AuditLog, AuditOperation::RecordsLost);
            record.count = Some(self.lost);
            self.lines.extend(line(&record));
            self.lost = 0;
        }
        while batch.len() < MAX_BATCH
            && let Some(line) = self.lines.pop_front()
        {
            batch.extend(line);
            self.writing += 1;
        }
    }
}

impl Shared {
    /// Writes records until the log is closed.
    fn write_all(&self, mut file: LogFile) {
        let mut batch = Vec::new();
        while let Some(is_to_reopen) = self.wait(&mut batch) {
            let mut written = match is_to_reopen {
                true => file.reopen(),
                false => Ok(()),
            };
            if written.is_ok() && !batch.is_empty() {
                written = file.append(&mut batch);
            }
            let left = batch.iter().filter(|byte| **byte == b'\n').count();
            self.note(written, left);
        }
    }

    /// Waits until there is something to write, and moves it to `batch`. Returns whether to open the file again, and
    /// `None` at the end.
    fn wait(&self, batch: &mut Vec<u8>) -> Option<bool> {
        let mut queue = self.queue();
        if queue.is_failing && !queue.is_closing {
            let waited = self
                .changed
                .wait_timeout_while(queue, RETRY_INTERVAL, |queue| {
                    !queue.is_closing && !queue.is_to_reopen
                });
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        loop {
            queue.take(batch);
            let is_to_reopen = std::mem::take(&mut queue.is_to_reopen);
            if queue.is_closing && (batch.is_empty() || queue.is_failing) {
                return None;
            }
            if !batch.is_empty() || is_to_reopen {
                return Some(is_to_reopen);
            }
            let waited = self.changed.wait(queue);
            queue = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Notes the result of an attempt after which `left` lines are still to be written.
    fn note(&self, written: io::Result<()>, left: usize) {
        let mut queue = self.queue();
        let count = queue.writing.saturating_sub(left);
        queue.writing = left;
        queue.state.written += count as u64;
        let was_failing = std::mem::replace(&mut queue.is_failing, written.is_err());
        if written.is_err() {
            queue.state.failed += 1;
        }
        drop(queue);
        let path = &self.path;
        match written {
            Err(error) if !was_failing => {
                tracing::error!(path, %error, "the audit log cannot be written; until it can, nothing can be changed");
            }
            Ok(()) if was_failing => tracing::info!(path, "the audit log can be written again"),
            _ => {}
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a record as a line. Records always encode.
fn line(record: &AuditRecord) -> Option<Vec<u8>> {
    let mut line = serde_json::to_vec(record).ok()?;
    line.push(b'\n');
    Some(line)
}
