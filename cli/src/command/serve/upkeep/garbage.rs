//! Garbage collection in a server.

use tranship::RepositoryName;
use tranship::layers::RepositoryQuotas;
use tranship_backends::layout::{GcOptions, GcReport, LayoutRegistry};
use tranship_server::{
    AuditActor, AuditOperation, AuditRecord, AuditSink as _, GcOutcome, RegistryService,
};

use super::super::quotas;
use super::AuditLog;

/// Collects the garbage of all layouts, one after the other, as `tranship gc` does. A layout that fails does not keep the
/// others from being collected.
pub(super) async fn collect(
    registry: &LayoutRegistry,
    service: &RegistryService,
    audit: Option<&AuditLog>,
    quotas: &RepositoryQuotas,
) {
    let (mut freed, mut outcome) = (0_u64, GcOutcome::Success);
    if let Err(error) = registry.rebuild_catalog().await {
        tracing::warn!(%error, "repositories that another program has stored may not be listed");
    }
    let names = tranship::repositories(registry).await;
    let names = names.unwrap_or_else(|error| {
        tracing::warn!(%error, "garbage is not collected");
        outcome = GcOutcome::Failure;
        Vec::new()
    });
    for repository in names {
        let collected = async {
            let layout = registry.layout(&repository).await?;
            layout.collect_garbage(&GcOptions::default()).await
        };
        match collected.await {
            Ok(report) => {
                freed = freed.saturating_add(report.freed);
                if !report.removed.is_empty() {
                    quotas::count(quotas, registry, &repository).await;
                }
                if let Some(audit) = audit {
                    record(audit, &repository, &report).await;
                }
                let (removed, leftovers) = (report.removed.len(), report.leftovers.len());
                if removed + leftovers > 0 {
                    tracing::info!(%repository, removed, leftovers, freed = report.freed, "garbage was removed");
                }
            }
            // It was removed since it was listed.
            Err(error) if error.is_not_found() => {}
            Err(error) => {
                outcome = GcOutcome::Failure;
                tracing::warn!(%repository, %error, "its garbage is not collected");
            }
        }
    }
    service.count_gc(outcome, freed);
    tracing::info!(freed, "garbage collection has ended");
}

/// Records what was removed. It is no longer known which of it were manifests.
async fn record(audit: &AuditLog, repository: &RepositoryName, report: &GcReport) {
    for removed in &report.removed {
        audit.has_room().await;
        let actor = AuditActor::GarbageCollection;
        let mut record = AuditRecord::of_server(actor, AuditOperation::DeleteBlob);
        record.repository = Some(repository.clone());
        record.digest = Some(removed.digest);
        audit.record(record);
    }
}
