//! What a server does at intervals: retention and garbage collection.

mod garbage;
mod job;
mod retention;

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;
use tranship::layers::RepositoryQuotas;
use tranship::{Registry, Result};
use tranship_backends::layout::{LayoutRegistry, MaintenanceLease};
use tranship_backends::{OpenOptions, RegistryLocation, open_layout_registry};
use tranship_server::{AuditSink as _, RegistryService};
use tranship_webhooks::Notifier;

use self::job::{Ended, Job};
use super::audit::AuditLog;
use super::pulls::PullLog;
use crate::args::Settings;

/// Does retention and garbage collection as the current settings say.
#[derive(Debug)]
pub(super) struct Upkeep {
    pub(super) settings: watch::Receiver<Settings>,
    pub(super) root: Arc<dyn Registry>,
    pub(super) open_options: OpenOptions,
    pub(super) service: RegistryService,
    pub(super) notifier: Option<Notifier>,
    pub(super) audit: Option<AuditLog>,
    pub(super) quotas: RepositoryQuotas,
    pub(super) pulls: Arc<PullLog>,
}

/// The layouts of the root, and the lease for their maintenance, which remembers the attempts to get it.
#[derive(Debug)]
struct Layouts {
    registry: LayoutRegistry,
    lease: MaintenanceLease,
}

impl Upkeep {
    /// Does the work when it is due, and never ends. Dropping this leaves the rest to the next run.
    pub(super) async fn run(mut self) {
        let (mut retention, mut gc) = (Job::default(), Job::default());
        let mut layouts = None;
        loop {
            let settings = self.settings.borrow_and_update().clone();
            let has_retention = settings.has_retention();
            let now = Instant::now();
            retention.schedule(has_retention.then(|| settings.retention_every()), now);
            gc.schedule(settings.gc_every.map(|interval| interval.0), now);
            tokio::select! {
                changed = self.settings.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return std::future::pending().await,
                },
                () = retention.is_due() => {}
                () = gc.is_due() => {}
            }
            let now = Instant::now();
            let due = Due {
                retention: retention.is_past(now),
                gc: gc.is_past(now),
            };
            let ended = match self.work(&settings, due, &mut layouts).await {
                Ok(ended) => ended,
                Err(error) => {
                    tracing::warn!(%error, "retention and garbage collection have to be tried again");
                    Ended::TryAgain
                }
            };
            for (job, was_due) in [(&mut retention, due.retention), (&mut gc, due.gc)] {
                if was_due {
                    job.end(ended, Instant::now());
                }
            }
        }
    }

    /// Does what is due, unless another server has the lease.
    async fn work(
        &self,
        settings: &Settings,
        due: Due,
        layouts: &mut Option<Layouts>,
    ) -> Result<Ended> {
        let audit = self.audit.as_ref();
        if audit.is_some_and(|audit| !audit.is_available()) {
            tracing::warn!("nothing is deleted while the audit log cannot be written");
            return Ok(Ended::TryAgain);
        }
        let work = async |layouts: Option<&Layouts>| {
            if due.retention {
                self.apply_retention(settings).await;
            }
            if let Some(layouts) = layouts.filter(|_| due.gc) {
                garbage::collect(&layouts.registry, &self.service, audit, &self.quotas).await;
            }
        };
        let root = settings.root.as_ref().map(|root| &root.0);
        let Some(root) = root.filter(|root| is_of_layouts(root)) else {
            work(None).await;
            return Ok(Ended::Done);
        };
        let layouts = match layouts {
            Some(layouts) => layouts,
            None => match open_layout_registry(root, &self.open_options).await {
                Ok(registry) => layouts.insert(Layouts {
                    lease: registry.maintenance_lease(),
                    registry,
                }),
                // Nothing has been pushed yet.
                Err(error) if error.is_not_found() => return Ok(Ended::Done),
                Err(error) => return Err(error),
            },
        };
        match layouts.lease.run(work(Some(layouts))).await? {
            Some(()) => Ok(Ended::Done),
            None => {
                tracing::info!("another server does retention and garbage collection");
                Ok(Ended::TryAgain)
            }
        }
    }
}

/// What is due.
#[derive(Debug, Clone, Copy)]
struct Due {
    retention: bool,
    gc: bool,
}

fn is_of_layouts(root: &RegistryLocation) -> bool {
    matches!(
        root,
        RegistryLocation::LayoutRegistry(_) | RegistryLocation::ObjectLayoutRegistry(_)
    )
}
