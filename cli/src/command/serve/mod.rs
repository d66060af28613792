//! `serve`.

mod access;
mod advice;
mod audit;
mod check;
mod config;
mod directory;
mod mirrors;
mod options;
mod pulls;
mod quotas;
mod registry;
mod reload;
mod socket;
mod state;
mod upkeep;
mod webhooks;
mod widened;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, OptionFuture, join};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tranship_page::{Page, PageOptions};
use tranship_server::{RegistryService, Server, ServerName, TokenKey, router};

use self::audit::AuditLog;
use self::config::Config;
use self::pulls::PullLog;
use self::quotas::QuotaKeeper;
use self::reload::Reload;
use self::state::StateDirectory;
use self::upkeep::Upkeep;
use crate::args::{LocationOptions, Serve, Settings};
use crate::command_error::{CommandError, Outcome};
use crate::log;
use crate::open_files;
use crate::output::Output;
use crate::signals::StopSignals;
#[cfg(feature = "opentelemetry")]
use crate::telemetry::Traces;

/// The time between two searches for abandoned uploads.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(60);

/// The address of the registry.
#[derive(Debug, Serialize)]
struct Listening {
    url: String,
    address: SocketAddr,
}

impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

pub(super) async fn run(args: Serve, location_options: LocationOptions, output: Output) -> Outcome {
    let config = Config {
        file: args.file,
        given: args.settings,
    };
    // Before the file is read: a later change is one to reload.
    let loaded = match &config.file {
        Some(path) => reload::stamp(path).await,
        None => None,
    };
    let settings = config.load().await?;
    let token_key = TokenKey::generate()?;
    let checked = check::check(&settings, &location_options, &token_key).await?;
    if args.check_config {
        for warning in checked.warnings {
            eprintln!("warning: {warning}");
        }
        return Ok(());
    }
    let state = StateDirectory::of(&settings);
    let open_options = location_options.clone().open_options()?;
    let root = registry::open_root(&settings, &open_options).await?;
    // The content of a registry in memory is gone with the process.
    let cache_state = state.clone().filter(|_| settings.root.is_some());
    let server = ServerName::generate()?;
    let state_of_mirrors = cache_state.as_ref();
    let mirrors = mirrors::open(
        &settings,
        &root,
        &location_options,
        &server,
        state_of_mirrors,
    )
    .await?;
    let mut options = checked.options;
    options.mirrors.clone_from(&mirrors);
    let notifier = webhooks::open(&settings, checked.endpoints, state.as_ref()).await?;
    let options = webhooks::subscribe(options, notifier.as_ref());
    let audit = audit::open(&settings)?;
    let options = audit::subscribe(options, audit.as_ref(), &settings);
    let pulls = Arc::new(PullLog::open(&settings, cache_state.clone()).await);
    let counted = quotas::open(&settings, cache_state.as_ref()).await;
    let quotas = counted.0.clone();
    let options = options.with_quotas(quotas.clone());
    let registry = registry::layered(
        Arc::clone(&root),
        mirrors.as_ref(),
        &settings,
        &pulls,
        &quotas,
    );
    let service = router(registry, options);

    let tls = checked.tls;
    let listener = socket::listen(settings.listen()).await?;
    let address = socket::local_address(&listener)?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let has_pages = settings.ui || (address.ip().is_loopback() && !settings.no_ui);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async {
        // Whether it is told or dropped, it is time to stop.
        let _ = stopped.await;
    };
    let serving = if has_pages {
        let options = PageOptions::default().with_local_hosts_only(!settings.ui);
        let page = Page::new(service.clone(), options)?;
        let page = socket::configured(Server::on(listener, page), &settings, tls);
        Either::Left(page.run(stopped))
    } else {
        let plain = Server::on(listener, service.clone());
        Either::Right(socket::configured(plain, &settings, tls).run(stopped))
    };
    #[cfg(feature = "opentelemetry")]
    let traces = Traces::begin()?;
    #[cfg(feature = "opentelemetry")]
    let spans = traces.as_ref().map(Traces::layer);
    #[cfg(not(feature = "opentelemetry"))]
    let spans = None;
    let _log = log::begin(output, spans);
    log_what_is_served(&settings);
    for warning in checked.warnings {
        tracing::warn!("{warning}");
    }
    let listening = Listening {
        url: format!("{scheme}://{address}"),
        address,
    };
    // A process that reads the address may send signals.
    let mut signals = StopSignals::listen();
    let reopening = OptionFuture::from(audit.as_ref().map(AuditLog::follow_signals));
    output.print(&listening).await?;
    if has_pages {
        tracing::info!("pages for a browser are at {}/ui/", listening.url);
    }

    // When this is dropped, no more events happen.
    let (last_event, events_ended) = tokio::sync::oneshot::channel::<()>();
    let serving = async {
        serving.await;
        drop(last_event);
    };
    let delivering = OptionFuture::from(notifier.as_ref().map(|notifier| {
        notifier.run(async {
            let _ = events_ended.await;
        })
    }));
    let signals = async {
        signals.next().await;
        tracing::info!("stopping when requests under way are finished");
        drop(stop);
        signals.next().await
    };
    let mirrors = watch::Sender::new(mirrors);
    let current_mirrors = mirrors.subscribe();
    let settings = watch::Sender::new(settings);
    let mut keeper = QuotaKeeper::new(
        counted,
        cache_state.clone(),
        settings.subscribe(),
        open_options.clone(),
    );
    let upkeep = Upkeep {
        settings: settings.subscribe(),
        root: Arc::clone(&root),
        open_options,
        service: service.clone(),
        notifier: notifier.clone(),
        audit: audit.clone(),
        quotas: quotas.clone(),
        pulls: Arc::clone(&pulls),
    };
    let reload = Reload {
        config,
        loaded,
        settings,
        token_key,
        pulls: Arc::clone(&pulls),
        root,
        location_options,
        server,
        cache_state: cache_state.clone(),
        service: service.clone(),
        mirrors,
        notifier: notifier.clone(),
        audit: audit.clone(),
        quotas,
    };
    let outcome = tokio::select! {
        _ = join(serving, delivering) => Ok(()),
        status = signals => Err(CommandError::Stopped(status)),
        () = expire_uploads(&service) => Ok(()),
        () = reload.run() => Ok(()),
        () = upkeep.run() => Ok(()),
        () = pulls.run() => Ok(()),
        () = keeper.run() => Ok(()),
        Some(()) = reopening => Ok(()),
        () = mirrors::run(current_mirrors.clone(), cache_state.as_ref()) => Ok(()),
    };
    let mirrors = current_mirrors.borrow().clone();
    if let Some(mirrors) = mirrors {
        mirrors::save(&mirrors, cache_state.as_ref()).await;
    }
    pulls.save(true).await;
    keeper.save(true).await;
    if let Some(audit) = &audit {
        audit.close().await;
    }
    #[cfg(feature = "opentelemetry")]
    if let Some(traces) = traces {
        traces.shutdown().await;
    }
    outcome
}

/// Logs what the user should know about the settings.
fn log_what_is_served(settings: &Settings) {
    if let Some(host) = registry::proxied(settings) {
        let is_read_only = registry::is_read_only(settings);
        let can = if is_read_only {
            "read"
        } else {
            "read, write and delete"
        };
        tracing::warn!("every user of this server can {can} at {host} what your login there can");
        if is_read_only && !settings.read_only {
            tracing::warn!(
                "{host} is served read-only; --read-write lets clients store and delete"
            );
        }
    }
    for mirror in &settings.mirror {
        let host = &mirror.host;
        tracing::info!(
            "callers that may read {host}/** can read there what the login of this server can, if it has one"
        );
    }
    match open_files::raise_limit() {
        Ok(Some(limit)) => tracing::info!("up to {limit} files may be open"),
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "the limit of open files cannot be raised"),
    }
}

/// Cancels abandoned uploads every minute, and never ends.
async fn expire_uploads(service: &RegistryService) {
    let mut ticks = tokio::time::interval(EXPIRY_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        service.expire_uploads().await;
    }
}
