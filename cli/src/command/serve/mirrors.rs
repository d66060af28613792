//! The mirrors of a server.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tranship::layers::{CacheOptions, Prefix};
use tranship::{Registry, Result};
use tranship_backends::{RegistryLocation, open_registry_with};
use tranship_server::{Mirror, Mirrors, ServerName};

use super::state::StateDirectory;
use crate::args::{LocationOptions, MirrorArg, Settings};

/// The time between two writes of the state.
const SAVE_INTERVAL: Duration = Duration::from_secs(60);

/// Opens the mirrors of the settings of `server`, which store in `local`; `None` if there are none.
///
/// # Errors
/// - [`InvalidInput`](tranship::ErrorKind::InvalidInput) if mirrors contradict each other.
/// - The error of opening a registry, which does not send requests.
pub(super) async fn open(
    settings: &Settings,
    local: &Arc<dyn Registry>,
    location_options: &LocationOptions,
    server: &ServerName,
    state: Option<&StateDirectory>,
) -> Result<Option<Arc<Mirrors>>> {
    let mut location_options = location_options.clone();
    location_options.registries = location_options.registries.for_mirrors_of(server.clone());
    if settings.mirror.is_empty() {
        return Ok(None);
    }
    let mut mirrors = Vec::with_capacity(settings.mirror.len());
    for mirror in &settings.mirror {
        let upstream = open_upstream(mirror, &location_options).await?;
        mirrors.push(Mirror::new(mirror.host.as_str(), upstream)?);
    }
    let mut options = CacheOptions::default().with_tag_ttl(settings.mirror_ttl());
    if let Some(size) = settings.cache_size {
        let pinned = settings.mirror_pin.clone();
        options = options
            .with_max_size(size.0)
            .with_pinned(move |name| pinned.iter().any(|pattern| pattern.0.matches(name)));
    }
    if let Some(state) = state {
        state.create().await?;
        options = options.with_spool_directory(state.path());
    }
    let mirrors = Mirrors::new(Arc::clone(local), mirrors, options)?;
    let mut mirrors = mirrors.with_server_name(server.clone());
    if let Some(host) = &settings.mirror_fallback {
        mirrors = mirrors.with_fallback(host)?;
    }
    if let Some(state) = state.filter(|_| mirrors.is_bounded()) {
        for content in state.cached_content().await {
            mirrors.add_stored(content);
        }
    }
    Ok(Some(Arc::new(mirrors)))
}

async fn open_upstream(
    mirror: &MirrorArg,
    location_options: &LocationOptions,
) -> Result<Arc<dyn Registry>> {
    let mut options = location_options.clone();
    if mirror.plain_http {
        let upstream = mirror.upstream.clone();
        options.registries = options.registries.with_plain_http(upstream);
    }
    let location = RegistryLocation::Remote(mirror.upstream.clone());
    let registry = open_registry_with(&location, &options.open_options()?).await?;
    Ok(match &mirror.below {
        None => registry,
        Some(below) => Arc::new(Prefix::new(registry, below.clone())),
    })
}

/// Does the work of the mirrors that are not part of a request: those that are current, which a reload may replace. This
/// never ends.
pub(super) async fn run(
    mut current: watch::Receiver<Option<Arc<Mirrors>>>,
    state: Option<&StateDirectory>,
) {
    loop {
        let mirrors = current.borrow_and_update().clone();
        let Some(mirrors) = mirrors else {
            if current.changed().await.is_err() {
                return std::future::pending().await;
            }
            continue;
        };
        tokio::select! {
            () = mirrors.run() => {}
            () = save_often(&mirrors, state) => {}
            changed = current.changed() => {
                save(&mirrors, state).await;
                if changed.is_err() {
                    return std::future::pending().await;
                }
            }
        }
    }
}

async fn save_often(mirrors: &Mirrors, state: Option<&StateDirectory>) {
    let mut saved = None;
    let mut ticks = tokio::time::interval(SAVE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let stats = Some(mirrors.stats());
        if saved != stats {
            saved = stats;
            save(mirrors, state).await;
        }
    }
}

/// Saves which content was read last, for the next start.
pub(super) async fn save(mirrors: &Mirrors, state: Option<&StateDirectory>) {
    let Some(state) = state.filter(|_| mirrors.is_bounded()) else {
        return;
    };
    if let Err(error) = state.save_cached_content(mirrors.stored()).await {
        tracing::warn!(%error, "the order in which cached content was read is not saved");
    }
}
