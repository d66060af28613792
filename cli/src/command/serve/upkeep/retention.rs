//! Retention in a server.

use std::collections::{BTreeSet, HashMap};
use std::time::SystemTime;

use http::Method;
use tranship::layers::{ImmutableTags, Notify, Operation, OperationName};
use tranship::prelude::*;
use tranship::{Descriptor, Digest, RepositoryName, Result, Tag};
use tranship_artifact::retention::{Plan, PlannedTag, Selection, plan_all};
use tranship_server::{
    AuditActor, AuditRecord, AuditSink as _, Event, EventAction, EventCause, EventSink as _,
};
use tranship_webhooks::Notifier;

use super::super::registry::is_mirrored;
use super::{AuditLog, Upkeep};
use crate::args::{RepositorySettings, Settings};

/// The `User-Agent` in events of deletions.
const AGENT: &str = "tranship-retention";

impl Upkeep {
    /// Deletes tags in all repositories for which the settings have rules, except in those of mirrors. A repository that
    /// fails does not keep the others from being tidied.
    pub(super) async fn apply_retention(&self, settings: &Settings) {
        let names = match tranship::repositories(&*self.root).await {
            Ok(names) => names,
            Err(error) => {
                tracing::warn!(%error, "no tags are deleted by retention");
                return;
            }
        };
        let mut counts = Counts::default();
        for repository in names.iter().filter(|name| !is_mirrored(settings, name)) {
            let entry = settings.entry_of(repository);
            let Some(entry) = entry.filter(|entry| !entry.retention.is_empty()) else {
                continue;
            };
            counts.repositories += 1;
            let is_dry_run = settings.retention_dry_run;
            if let Err(error) = self.tidy(repository, entry, is_dry_run, &mut counts).await {
                counts.failures += 1;
                tracing::warn!(%repository, %error, "no tags are deleted by retention");
            }
        }
        let Counts {
            repositories,
            tags,
            manifests,
            failures,
        } = counts;
        let ended = match settings.retention_dry_run {
            true => "retention has ended, and nothing was deleted",
            false => "retention has ended",
        };
        tracing::info!(repositories, tags, manifests, failures, "{ended}");
    }

    async fn tidy(
        &self,
        name: &RepositoryName,
        settings: &RepositorySettings,
        is_dry_run: bool,
        counts: &mut Counts,
    ) -> Result<()> {
        let mut repository = self.root.repository(name).await?;
        if self.quotas.apply_to(name) {
            repository = self.quotas.around(repository);
        }
        let repository = ImmutableTags::new(repository, &settings.immutable_tags);
        let tags = tranship::tags(&repository).await?.into_iter();
        let immutable: BTreeSet<Tag> = tags.filter(|tag| repository.is_immutable(tag)).collect();
        let rules = settings.retention.iter();
        let selections: Vec<Selection> = rules
            .map(|rule| rule.selection().with_kept_tags(immutable.clone()))
            .collect();
        let pulled = |tag: &Tag, digest: &Digest| Some(self.pulls.last(name, tag, digest));
        let plan = plan_all(&repository, &selections, &pulled).await?;
        if is_dry_run {
            log(name, &plan, "would be deleted by retention");
            counts.tags += plan.tags().len();
            counts.manifests += plan.manifests().len();
            return Ok(());
        }
        if plan.tags().is_empty() {
            return Ok(());
        }
        // A plan takes a while, and does not know of tags that were set since it was begun.
        let now = plan_all(&repository, &selections, &pulled).await?;
        if !plan.is_same(&now) {
            tracing::info!(repository = %name, "tags have changed while retention read them; they are left to the next run");
            return Ok(());
        }
        log(name, &now, "is deleted by retention");
        let deletions = Deletions::new(name, &now, self);
        let reporting = Notify::new(repository, move |operation| deletions.report(operation));
        let outcome = now.carry_out(&reporting).await;
        let deleted = |tag: &&PlannedTag| {
            outcome.untagged.contains(&tag.tag)
                || (outcome.deleted.iter()).any(|it| it.digest() == tag.manifest.digest())
        };
        counts.tags += now.tags().iter().filter(deleted).count();
        counts.manifests += outcome.deleted.len();
        counts.failures += outcome.failures.len();
        for tag in &outcome.moved {
            tracing::info!(repository = %name, %tag, "was moved or removed, and is left alone");
        }
        for error in &outcome.failures {
            tracing::warn!(repository = %name, %error, "retention could not delete everything");
        }
        Ok(())
    }
}

/// What a run has done, or would do.
#[derive(Debug, Default)]
struct Counts {
    repositories: usize,
    tags: usize,
    manifests: usize,
    failures: usize,
}

fn log(repository: &RepositoryName, plan: &Plan, what: &str) {
    for planned in plan.tags() {
        let digest = planned.manifest.digest();
        tracing::info!(%repository, tag = %planned.tag, %digest, "{what}");
    }
}

/// Reports the deletions of one repository as events.
struct Deletions {
    repository: RepositoryName,
    manifests: HashMap<Digest, Descriptor>,
    tags: HashMap<Tag, Digest>,
    notifier: Option<Notifier>,
    audit: Option<AuditLog>,
}

impl Deletions {
    fn new(repository: &RepositoryName, plan: &Plan, upkeep: &Upkeep) -> Self {
        let manifests = plan.manifests().iter();
        let tags = plan.tags().iter();
        Self {
            repository: repository.clone(),
            manifests: manifests
                .map(|manifest| (*manifest.digest(), manifest.clone()))
                .collect(),
            tags: tags
                .map(|planned| (planned.tag.clone(), *planned.manifest.digest()))
                .collect(),
            notifier: upkeep.notifier.clone(),
            audit: upkeep.audit.clone(),
        }
    }

    fn report(&self, operation: &Operation) {
        let repository = &self.repository;
        let event = |action| Event::new(action, repository.clone());
        let event = match (operation.name, &operation.digest, &operation.tag) {
            (OperationName::Remove, Some(digest), _) => {
                tracing::info!(%repository, %digest, "retention has deleted a manifest");
                let manifest = self.manifests.get(digest);
                let deleted = event(EventAction::Delete);
                manifest.map_or(deleted.clone(), |manifest| deleted.with_content(manifest))
            }
            (OperationName::RemoveTag, _, Some(tag)) => {
                tracing::info!(%repository, %tag, "retention has removed a tag");
                let event = event(EventAction::Untag).with_tag(Some(tag));
                event.with_previous(self.tags.get(tag).copied())
            }
            _ => return,
        };
        if let Some(audit) = &self.audit {
            audit.record(AuditRecord::of_event(AuditActor::Retention, &event));
        }
        if let Some(notifier) = &self.notifier {
            let mut cause = EventCause::new(SystemTime::now(), Method::DELETE);
            cause.agent = Some(AGENT.to_owned());
            notifier.record(&cause, vec![event]);
        }
    }
}
