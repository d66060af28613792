//! `serve`.

mod access;
mod config;
mod mirrors;
mod options;
mod registry;
mod reload;
mod state;
mod webhooks;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{OptionFuture, join};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tranship_memory::MemoryRegistry;
use tranship_server::{RegistryService, Server, Tls, TokenKey, router};

use self::config::Config;
use self::options::server_options;
use self::reload::Reload;
use self::state::StateDirectory;
use crate::args::{LocationOptions, Serve, Settings};
use crate::command_error::{At as _, CommandError, Outcome};
use crate::log;
use crate::open_files;
use crate::output::Output;
use crate::signals::stop_signal;

/// The time between two searches for abandoned uploads.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(60);

/// Where the registry is to be found.
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
    let settings = config.load().await?;
    let endpoints = webhooks::endpoints(&settings).await?;
    let token_key = TokenKey::generate()?;
    let mut options = server_options(&settings, &token_key).await?;
    let tls = match (&settings.tls_cert, &settings.tls_key) {
        (Some(certificates), Some(key)) => Some(match &settings.tls_client_ca {
            None => Tls::open(certificates, key).await?,
            Some(clients) => Tls::open_with_clients(certificates, key, clients).await?,
        }),
        _ => None,
    };
    let root = if args.check_config {
        // Mirrors are checked over any registry.
        Arc::new(MemoryRegistry::new())
    } else {
        let open_options = location_options.clone().open_options()?;
        registry::open_root(&settings, &open_options).await?
    };
    let state = StateDirectory::of(&settings).filter(|_| !args.check_config);
    // The content of a registry in memory is gone with the process.
    let cache_state = state.clone().filter(|_| settings.root.is_some());
    let mirrors = mirrors::open(&settings, &root, &location_options, cache_state.as_ref()).await?;
    if args.check_config {
        return Ok(());
    }
    let scheme = if tls.is_some() { "https" } else { "http" };
    let registry = registry::layered(Arc::clone(&root), mirrors.as_ref(), &settings);
    options.mirrors.clone_from(&mirrors);
    let notifier = webhooks::open(&settings, endpoints, state.as_ref()).await?;
    let options = webhooks::subscribe(options, notifier.as_ref());
    let service = router(registry, options);
    let mirrors = watch::Sender::new(mirrors);
    let current_mirrors = mirrors.subscribe();
    let address = settings.listen();
    let mut server = Server::bind(address, service.clone())
        .await
        .map_err(|error| explain_address(error, address))
        .at(address)?
        .with_max_connections(settings.max_connections())
        .with_write_timeout(settings.timeout())
        .with_grace(settings.grace());
    if let Some(tls) = tls {
        server = server.with_tls(tls);
    }
    let _log = log::begin(output);
    log_what_is_served(&settings);
    let address = server.address()?;
    let listening = Listening {
        url: format!("{scheme}://{address}"),
        address,
    };
    output.print(&listening).await?;

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    // When this is dropped, no more events happen.
    let (last_event, events_ended) = tokio::sync::oneshot::channel::<()>();
    let serving = async {
        server
            .run(async {
                // Whether it is told or dropped, it is time to stop.
                let _ = stopped.await;
            })
            .await;
        drop(last_event);
    };
    let delivering = OptionFuture::from(notifier.as_ref().map(|notifier| {
        notifier.run(async {
            let _ = events_ended.await;
        })
    }));
    let signals = async {
        stop_signal().await;
        tracing::info!("stopping when requests under way are finished");
        drop(stop);
        stop_signal().await
    };
    let reload = Reload {
        config,
        settings,
        token_key,
        root,
        location_options,
        cache_state: cache_state.clone(),
        service: service.clone(),
        mirrors,
        notifier: notifier.clone(),
    };
    let outcome = tokio::select! {
        _ = join(serving, delivering) => Ok(()),
        status = signals => Err(CommandError::Stopped(status)),
        () = expire_uploads(&service) => Ok(()),
        () = reload.run() => Ok(()),
        () = mirrors::run(current_mirrors.clone(), cache_state.as_ref()) => Ok(()),
    };
    let mirrors = current_mirrors.borrow().clone();
    if let Some(mirrors) = mirrors {
        mirrors::save(&mirrors, cache_state.as_ref()).await;
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
        tracing::warn!("every user of this server can read at {host} what your login there can");
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

/// Adds how to write an address if only the port is given.
fn explain_address(error: tranship::Error, address: &str) -> tranship::Error {
    let port = address.strip_prefix(':').unwrap_or(address);
    match port.parse::<u16>() {
        Ok(port) => error.with_hint(format!(
            "write 127.0.0.1:{port} for this machine alone, or 0.0.0.0:{port} for all its networks"
        )),
        Err(_) => error,
    }
}
