//! The audit log: from requests to the sink in the options.

mod operation;
mod pending;
mod record;
mod sink;

pub use operation::AuditOperation;
pub(crate) use pending::PendingAudit;
pub use record::{AuditActor, AuditRecord, AuditResult, TagChange};
pub use sink::{AuditOptions, AuditSink, AuditState};
