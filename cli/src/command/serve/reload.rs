//! Follows changes of the file with the settings.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tranship::layers::RepositoryQuotas;
use tranship::{Error, ErrorKind, Registry, Result, blocking};
use tranship_server::{Mirrors, RegistryService, ServerName, TokenKey};
use tranship_webhooks::Notifier;

use super::audit::{self, AuditLog};
use super::config::Config;
use super::options::server_options;
use super::pulls::PullLog;
use super::state::StateDirectory;
use super::widened::widened;
use super::{check, mirrors, quotas, registry, webhooks};
use crate::args::{LocationOptions, Settings};
use crate::report::Report;

/// The time between two looks at the file. Notifications of the system would miss changes on network file systems.
const INTERVAL: Duration = Duration::from_secs(1);

/// A server whose settings are replaced when the file with them changes.
#[derive(Debug)]
pub(super) struct Reload {
    pub(super) config: Config,
    /// The stamp of the file before the settings were read.
    pub(super) loaded: Stamp,
    /// The key of tokens, so that those of before stay valid.
    pub(super) token_key: TokenKey,
    /// The settings in use.
    pub(super) settings: watch::Sender<Settings>,
    pub(super) pulls: Arc<PullLog>,
    pub(super) root: Arc<dyn Registry>,
    pub(super) location_options: LocationOptions,
    /// The name of this server for mirrored registries.
    pub(super) server: ServerName,
    pub(super) cache_state: Option<StateDirectory>,
    pub(super) service: RegistryService,
    pub(super) mirrors: watch::Sender<Option<Arc<Mirrors>>>,
    pub(super) notifier: Option<Notifier>,
    pub(super) audit: Option<AuditLog>,
    pub(super) quotas: RepositoryQuotas,
}

/// A change of this is taken for a change of the file.
pub(super) type Stamp = Option<(u64, Option<SystemTime>)>;

impl Reload {
    /// Looks at the file every second, and never ends.
    pub(super) async fn run(self) {
        let Some(path) = self.config.file.clone() else {
            return std::future::pending().await;
        };
        let mut loaded = self.loaded;
        let mut last = loaded;
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now = stamp(&path).await;
            // A file that changes between two looks is still being written.
            let is_settled = std::mem::replace(&mut last, now) == now;
            if !is_settled || now == loaded {
                continue;
            }
            loaded = now;
            let file = path.display();
            match self.reload().await {
                Ok(()) => tracing::info!(%file, "the settings were reloaded"),
                Err(error) => {
                    let (error, hint) = (causes(&error), error.hint());
                    tracing::warn!(%file, %error, hint, "not reloaded; the last valid settings stay in use");
                }
            }
        }
    }

    async fn reload(&self) -> Result<()> {
        let settings = self.config.load().await?;
        let old = self.settings.borrow().clone();
        if old.has_users() && !settings.has_users() {
            // The file may have lost its end. A server that is open to every caller is started, and not reloaded.
            let message =
                "the settings have no users, and the server would be open to every caller";
            let error = Error::new(ErrorKind::InvalidInput, message);
            return Err(error.with_hint("start the server again if that is meant"));
        }
        if !old.grant.is_empty() && settings.grant.is_empty() && settings.uses_grants() {
            let message = "the settings have no grants, and every user would be allowed everything";
            let error = Error::new(ErrorKind::InvalidInput, message);
            return Err(error.with_hint("start the server again if that is meant"));
        }
        for name in fixed_changes(&old, &settings) {
            tracing::warn!("the setting {name} has changed, which takes effect at the next start");
        }
        // Also what takes effect at the next start, which would fail.
        let checked = check::check(&settings, &self.location_options, &self.token_key).await?;
        // The storage and the address cannot change.
        let settings = Settings {
            root: old.root.clone(),
            listen: old.listen.clone(),
            ..settings
        };
        let mut options = server_options(&settings, &self.token_key).await?;
        // With the same settings they stay, as they know which tags are fresh.
        let mirrors = if mirrors_differ(&old, &settings) {
            let (state, server) = (self.cache_state.as_ref(), &self.server);
            let options = &self.location_options;
            mirrors::open(&settings, &self.root, options, server, state).await?
        } else {
            self.mirrors.borrow().clone()
        };
        options = webhooks::subscribe(options, self.notifier.as_ref());
        options = audit::subscribe(options, self.audit.as_ref(), &settings);
        for change in widened(&old, &settings) {
            tracing::warn!("the new settings allow more than before: {change}");
        }
        for warning in checked.warnings {
            tracing::warn!("{warning}");
        }
        if let Some(notifier) = &self.notifier {
            notifier.set_public_url(settings.public_url());
        }
        self.pulls.configure(&settings);
        quotas::configure(&self.quotas, &settings);
        let root = Arc::clone(&self.root);
        let registry =
            registry::layered(root, mirrors.as_ref(), &settings, &self.pulls, &self.quotas);
        options.quotas = Some(self.quotas.clone());
        options.mirrors.clone_from(&mirrors);
        self.service.replace(registry, options);
        self.mirrors.send_replace(mirrors);
        self.settings.send_replace(settings);
        Ok(())
    }
}

/// Returns the text of an error with its last cause.
fn causes(error: &Error) -> String {
    let line = Report::new(error).line();
    line.trim_start_matches("error: ").to_owned()
}

fn mirrors_differ(old: &Settings, new: &Settings) -> bool {
    old.mirror != new.mirror
        || old.mirror_fallback != new.mirror_fallback
        || old.mirror_ttl != new.mirror_ttl
        || old.mirror_pin != new.mirror_pin
        || old.cache_size != new.cache_size
}

pub(super) async fn stamp(path: &Path) -> Stamp {
    let path = path.to_owned();
    let stamp = blocking::run(move || {
        let metadata = fs::metadata(path).ok();
        Ok(metadata.map(|metadata| (metadata.len(), metadata.modified().ok())))
    });
    stamp.await.ok().flatten()
}

/// Returns the names of the settings that differ and take effect only at the start.
fn fixed_changes(old: &Settings, new: &Settings) -> Vec<&'static str> {
    let changes = [
        ("root", old.root != new.root),
        ("listen", old.listen != new.listen),
        ("state", old.state != new.state),
        ("quota", old.quota != new.quota),
        ("tls-cert", old.tls_cert != new.tls_cert),
        ("tls-key", old.tls_key != new.tls_key),
        ("tls-client-ca", old.tls_client_ca != new.tls_client_ca),
        ("audit-log", old.audit_log != new.audit_log),
        ("webhook", old.webhook != new.webhook),
        (
            "redirect-endpoint",
            old.redirect_endpoint != new.redirect_endpoint,
        ),
        (
            "metrics-repository",
            old.metrics_repository != new.metrics_repository,
        ),
        ("ui", old.ui != new.ui),
        ("no-ui", old.no_ui != new.no_ui),
        ("shared", old.shared != new.shared),
        ("max-uploads", old.max_uploads != new.max_uploads),
        (
            "max-uploads-per-user",
            old.max_uploads_per_user != new.max_uploads_per_user,
        ),
        ("upload-expiry", old.upload_expiry != new.upload_expiry),
        (
            "max-connections",
            old.max_connections != new.max_connections,
        ),
        ("grace", old.grace != new.grace),
    ];
    let changed = changes.into_iter().filter(|(_, changed)| *changed);
    changed.map(|(name, _)| name).collect()
}
