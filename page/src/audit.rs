//! Records of changes for the audit log of the server.

use std::fmt;

use tranship::RepositoryName;
use tranship_server::{AuditActor, AuditOperation, AuditRecord};

use crate::context::Context;
use crate::failure::Failure;

/// A change that a form asks for.
pub(crate) struct Change {
    operation: AuditOperation,
    repository: RepositoryName,
    reference: String,
}

impl Change {
    pub(crate) fn new(
        operation: AuditOperation,
        repository: &RepositoryName,
        reference: &impl fmt::Display,
    ) -> Self {
        Self {
            operation,
            repository: repository.clone(),
            reference: reference.to_string(),
        }
    }

    /// Awaits `change`, unless changes are not accepted at present, and records its failure. A change that succeeds
    /// reports itself.
    pub(crate) async fn attempt<T>(
        self,
        context: &Context<'_>,
        change: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let outcome = match context.service.accepts_changes() {
            true => change.await,
            false => Err(Failure::unavailable()),
        };
        if let Err(failure) = &outcome {
            let record = AuditRecord::of_server(AuditActor::Client, self.operation)
                .by(context.request, context.viewer.identity())
                .with_repository(context.service.stored_name(&self.repository))
                .with_reference(&self.reference)
                .with_request(&context.id)
                .with_status(failure.status);
            context.service.audit(record);
        }
        outcome
    }
}
