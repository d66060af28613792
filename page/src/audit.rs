//! Records of changes for the audit log of the server.

use std::fmt;

use http::StatusCode;
use tranship::RepositoryName;
use tranship_server::{AuditActor, AuditOperation, AuditRecord, AuditResult};

use crate::context::Context;
use crate::failure::Failure;
use crate::route::Route;

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
        outcome.map_err(|failure| {
            let record = record(context, self.operation, failure.status)
                .with_repository(context.service.stored_name(&self.repository))
                .with_reference(&self.reference);
            context.service.audit(record);
            failure.recorded()
        })
    }
}

/// Records a request that is refused before it is known what it would change, as those to the API are.
pub(crate) fn refused(context: &Context<'_>, route: Option<&Route>, failure: &Failure) {
    let mut record = record(context, AuditOperation::Other, failure.status);
    let Some(route) = route else { return };
    if failure.is_recorded || record.result != AuditResult::Refused {
        return;
    }
    if let Route::Repository(name, _) = route {
        record = record.with_repository(context.service.stored_name(name));
    }
    context.service.audit(record);
}

fn record(context: &Context<'_>, operation: AuditOperation, status: StatusCode) -> AuditRecord {
    AuditRecord::of_server(AuditActor::Client, operation)
        .by(context.request, context.viewer.identity())
        .with_request(&context.id)
        .with_status(status)
}
