//! Where audit records go.

use std::fmt;
use std::sync::Arc;

use super::record::AuditRecord;

/// Takes the audit records of a server: [`ServerOptions::with_audit`](crate::ServerOptions::with_audit) sets it.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::mpsc::{SyncSender, sync_channel};
///
/// use tranship_memory::MemoryRegistry;
/// use tranship_server::{AuditOptions, AuditRecord, AuditSink, AuditState, ServerOptions, router};
///
/// #[derive(Debug)]
/// struct Forward(SyncSender<AuditRecord>);
///
/// impl AuditSink for Forward {
///     fn record(&self, record: AuditRecord) {
///         let _ = self.0.try_send(record);
///     }
///
///     fn is_available(&self) -> bool {
///         true
///     }
///
///     fn state(&self) -> AuditState {
///         AuditState::default()
///     }
/// }
///
/// let (sender, _receiver) = sync_channel(1000);
/// let audit = AuditOptions::new(Arc::new(Forward(sender)));
/// let options = ServerOptions::default().with_audit(audit);
/// let service = router(Arc::new(MemoryRegistry::new()), options);
/// # drop(service);
/// ```
pub trait AuditSink: Send + Sync + fmt::Debug {
    /// Takes a record.
    ///
    /// The request waits for this, so it must not block: no I/O, and no lock that is held for long.
    fn record(&self, record: AuditRecord);

    /// Returns whether records can be stored at present. While they cannot, requests that change something are refused
    /// with status 503.
    fn is_available(&self) -> bool;

    /// Returns what has become of the records, for `/metrics`.
    fn state(&self) -> AuditState;
}

/// What has become of audit records.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AuditState {
    /// How many records were written.
    pub written: u64,
    /// How many attempts to write have failed.
    pub failed: u64,
    /// How many records were lost.
    pub lost: u64,
    /// How many records wait.
    pub queued: u64,
}

/// Which requests are recorded, and where.
///
/// Requests that change something are recorded, whatever their result, and so are refused requests (401, 403 and 429),
/// failed logins, and tokens that are issued to users. A request without credentials that gets status 401 is not: most
/// clients ask so how to log in.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct AuditOptions {
    /// Where the records go.
    pub sink: Arc<dyn AuditSink>,
    /// Whether reads are recorded too, if they succeed: GETs of manifests, blobs and lists, and tokens for anonymous
    /// callers. False by default, since these are most of the requests.
    pub reads: bool,
}

impl AuditOptions {
    /// Passes records to `sink`.
    #[must_use]
    pub fn new(sink: Arc<dyn AuditSink>) -> Self {
        Self { sink, reads: false }
    }

    /// If `reads`, records reads too.
    #[must_use]
    pub fn with_reads(mut self, reads: bool) -> Self {
        self.reads = reads;
        self
    }
}
