//! `serve`.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::MissedTickBehavior;
use tranship::Registry;
use tranship::layers::{NoDeletes, ReadOnly};
use tranship_backends::OpenOptions;
use tranship_backends::RegistryLocation;
use tranship_memory::{MemoryOptions, MemoryRegistry};
use tranship_server::{Access, Htpasswd, RegistryService, Server, ServerOptions, Tls, router};

use crate::args::Serve;
use crate::command_error::{At as _, CommandError, Outcome};
use crate::log;
use crate::open_files;
use crate::output::Output;
use crate::signals::stop_signal;

/// How often uploads are looked for that nobody goes on with.
const HOUSEKEEPING: Duration = Duration::from_secs(60);

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

pub(super) async fn run(args: Serve, location_options: &OpenOptions, output: Output) -> Outcome {
    let registry = registry(&args, location_options).await?;
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(certificates), Some(key)) => Some(Tls::open(certificates, key).await?),
        _ => None,
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    let service = router(registry, options(&args).await?);
    let mut server = Server::bind(&*args.listen, service.clone())
        .await
        .map_err(|error| explain_address(error, &args.listen))
        .at(&args.listen)?
        .with_max_connections(args.max_connections as usize)
        .with_write_timeout(args.timeout.0)
        .with_grace(args.grace.0);
    if let Some(tls) = tls {
        server = server.with_tls(tls);
    }
    let _log = log::begin(output);
    say_what_is_served(&args);
    let address = server.address()?;
    let listening = Listening {
        url: format!("{scheme}://{address}"),
        address,
    };
    output.print(&listening).await?;

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = server.run(async {
        // Whether it is told or dropped, it is time to stop.
        let _ = stopped.await;
    });
    let signals = async {
        stop_signal().await;
        tracing::info!("stopping when requests under way are finished");
        drop(stop);
        stop_signal().await
    };
    tokio::select! {
        () = serving => Ok(()),
        status = signals => Err(CommandError::Stopped(status)),
        () = keep_house(&service) => Ok(()),
    }
}

/// The registry that this server is a proxy of.
fn proxied(args: &Serve) -> Option<&RegistryLocation> {
    let root = args.root.as_ref();
    root.filter(|root| matches!(root, RegistryLocation::Remote(_)))
}

fn is_read_only(args: &Serve) -> bool {
    args.read_only || (proxied(args).is_some() && !args.read_write)
}

/// Logs what whoever starts the server should know.
fn say_what_is_served(args: &Serve) {
    if let Some(host) = proxied(args) {
        let can = if is_read_only(args) {
            "read"
        } else {
            "read, write and delete"
        };
        tracing::warn!("everyone who is let in can {can} at {host} what your login there can");
        if is_read_only(args) && !args.read_only {
            tracing::warn!(
                "{host} is served read-only; --read-write lets clients store and delete"
            );
        }
    }
    match open_files::raise_limit() {
        Ok(Some(limit)) => tracing::info!("up to {limit} files may be open"),
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "the limit of open files cannot be raised"),
    }
}

/// Opens the registry that is served, with the layers that the flags ask for.
async fn registry(args: &Serve, location_options: &OpenOptions) -> Outcome<Arc<dyn Registry>> {
    let mut registry = open_registry(args, location_options).await?;
    if args.no_delete {
        registry = Arc::new(NoDeletes::new(registry));
    }
    if is_read_only(args) {
        registry = Arc::new(ReadOnly::new(registry));
    }
    Ok(registry)
}

async fn open_registry(args: &Serve, location_options: &OpenOptions) -> Outcome<Arc<dyn Registry>> {
    match &args.root {
        None => {
            let mut options =
                MemoryOptions::default().with_max_manifest_size(args.max_manifest_size);
            if let Some(quota) = args.quota {
                options = options.with_quota(quota);
            }
            Ok(Arc::new(MemoryRegistry::with_options(options)))
        }
        Some(root) => tranship_backends::open_registry_with(root, location_options)
            .await
            .at(root),
    }
}

async fn options(args: &Serve) -> Outcome<ServerOptions> {
    let mut options = ServerOptions::default()
        .with_complete_manifests(!args.sparse)
        .with_shared(args.shared)
        .with_max_manifest_size(args.max_manifest_size)
        .with_max_uploads(args.max_uploads as usize)
        .with_max_uploads_per_user(args.max_uploads_per_user as usize)
        .with_upload_expiry(args.upload_expiry.0)
        .with_body_timeout(args.timeout.0);
    if let Some(size) = args.max_blob_size {
        options = options.with_max_blob_size(size);
    }
    if let Some(warning) = &args.warning {
        options = options.with_warning(warning);
    }
    if let Some(path) = &args.htpasswd {
        let access =
            Access::new(Htpasswd::open(path).await?).with_anonymous_read(args.anonymous_read);
        let access = args.grants.iter().fold(access, |access, grant| {
            access.with_grant(&grant.user, grant.names.clone(), grant.permission)
        });
        options = options.with_access(access);
    }
    Ok(options)
}

/// Cancels uploads that nobody goes on with, now and then, and never ends.
async fn keep_house(service: &RegistryService) {
    let mut ticks = tokio::time::interval(HOUSEKEEPING);
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
