//! The registry that is served, with the layers that the settings ask for.

use std::sync::Arc;

use tranship::layers::{
    ImmutableTags, NoDeletes, Notify, Operation, PerRepository, ReadOnly, RepositoryQuotas,
};
use tranship::{Registry, RegistryName, Repository, RepositoryName, Result};
use tranship_backends::{OpenOptions, RegistryLocation};
use tranship_memory::{MemoryOptions, MemoryRegistry};
use tranship_server::Mirrors;

use super::pulls::{self, PullLog};
use crate::args::{RepositorySettings, Settings};

/// Opens the storage of the server, without layers.
///
/// # Errors
/// As [`open_registry_with`](tranship_backends::open_registry_with).
pub(super) async fn open_root(
    settings: &Settings,
    location_options: &OpenOptions,
) -> Result<Arc<dyn Registry>> {
    match &settings.root {
        None => {
            let mut options =
                MemoryOptions::default().with_max_manifest_size(settings.max_manifest_size());
            if let Some(quota) = settings.quota {
                options = options.with_quota(quota.0);
            }
            Ok(Arc::new(MemoryRegistry::with_options(options)))
        }
        Some(root) => {
            let mut options = location_options.clone();
            options
                .direct_endpoint
                .clone_from(&settings.redirect_endpoint);
            tranship_backends::open_registry_with(&root.0, &options).await
        }
    }
}

/// Returns the mirrors, or without them the root, with the layers of the settings around it. Pulls that
/// retention needs to know are noted in `pulls`, and stored bytes in `quotas`.
pub(super) fn layered(
    root: Arc<dyn Registry>,
    mirrors: Option<&Arc<Mirrors>>,
    settings: &Settings,
    pulls: &Arc<PullLog>,
    quotas: &RepositoryQuotas,
) -> Arc<dyn Registry> {
    let mut registry = match mirrors {
        Some(mirrors) => Arc::clone(mirrors) as Arc<dyn Registry>,
        None => root,
    };
    if !settings.repositories.is_empty() {
        let entries = settings.repositories.iter().cloned();
        let rules: Vec<Rule> = entries.map(Rule::new).collect();
        let (pulls, quotas) = (Arc::clone(pulls), quotas.clone());
        registry = Arc::new(PerRepository::new(registry, move |name, repository| {
            let mut rules = rules.iter();
            match rules.find(|rule| rule.settings.names.0.matches(name)) {
                Some(rule) => rule.around(repository, &pulls, &quotas),
                None => repository,
            }
        }));
    }
    if settings.no_delete {
        registry = Arc::new(NoDeletes::new(registry));
    }
    if is_read_only(settings) {
        registry = Arc::new(ReadOnly::new(registry));
    }
    registry
}

/// An entry of the settings, with what the repositories that it matches share.
struct Rule {
    settings: RepositorySettings,
    immutable_tags: ImmutableTags<()>,
}

impl Rule {
    fn new(settings: RepositorySettings) -> Self {
        Self {
            immutable_tags: ImmutableTags::new((), &settings.immutable_tags),
            settings,
        }
    }

    fn around(
        &self,
        repository: Arc<dyn Repository>,
        pulls: &Arc<PullLog>,
        quotas: &RepositoryQuotas,
    ) -> Arc<dyn Repository> {
        let settings = &self.settings;
        let mut repository = repository;
        if settings.quota.is_some() && quotas.apply_to(repository.name()) {
            repository = quotas.around(repository);
        }
        if !settings.immutable_tags.is_empty() {
            repository = Arc::new(self.immutable_tags.around(repository));
        }
        if settings.no_delete {
            repository = Arc::new(NoDeletes::new(repository));
        }
        if settings.read_only {
            repository = Arc::new(ReadOnly::new(repository));
        }
        if pulls::records(settings) {
            let pulls = Arc::clone(pulls);
            let record = move |operation: &Operation| pulls.record(operation);
            repository = Arc::new(Notify::new(repository, record));
        }
        repository
    }
}

/// Returns the registry that this server is a proxy of.
pub(super) fn proxied(settings: &Settings) -> Option<&RegistryName> {
    match settings.root.as_ref().map(|root| &root.0) {
        Some(RegistryLocation::Remote(host)) => Some(host),
        _ => None,
    }
}

/// Returns whether a repository belongs to a mirror, which decides itself what it stores.
pub(super) fn is_mirrored(settings: &Settings, name: &RepositoryName) -> bool {
    let first = name.as_str().split('/').next();
    let mut mirrors = settings.mirror.iter();
    mirrors.any(|mirror| Some(&*mirror.prefix()) == first)
}

pub(super) fn is_read_only(settings: &Settings) -> bool {
    settings.read_only || (proxied(settings).is_some() && !settings.read_write)
}
