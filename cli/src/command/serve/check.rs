//! Checks settings, in the same way for `--check-config`, before the start and before they are reloaded.

use std::path::Path;
use std::sync::Arc;

use tranship::{Error, Registry, Result, blocking};
use tranship_backends::RegistryLocation;
use tranship_memory::MemoryRegistry;
use tranship_server::{ServerName, ServerOptions, Tls, TokenKey};
use tranship_webhooks::Endpoint;

use super::options::server_options;
use super::state::StateDirectory;
use super::{advice, audit, directory, mirrors, registry, socket, webhooks};
use crate::args::{LocationOptions, RootArg, Settings};

/// The content of the files that valid settings name.
pub(super) struct Checked {
    /// The options of the server, without a receiver of events. Tokens are signed with the generated key unless the
    /// settings name another one.
    pub(super) options: ServerOptions,
    pub(super) tls: Option<Tls>,
    pub(super) endpoints: Vec<Endpoint>,
    /// What the user should know.
    pub(super) warnings: Vec<String>,
}

/// Checks the settings, and the files and directories that they name. Nothing is created, and neither the storage nor
/// mirrors or webhooks are contacted.
///
/// # Errors
/// The first one that is found, of a file, a directory, the address or the settings themselves.
pub(super) async fn check(
    settings: &Settings,
    location_options: &LocationOptions,
    generated: &TokenKey,
) -> Result<Checked> {
    let endpoints = webhooks::endpoints(settings).await?;
    let options = server_options(settings, generated).await?;
    let tls = open_tls(settings).await?;
    check_root(settings, location_options).await?;
    // Mirrors are checked over any registry.
    let root: Arc<dyn Registry> = Arc::new(MemoryRegistry::new());
    let server = ServerName::generate()?;
    mirrors::open(settings, &root, location_options, &server, None).await?;
    StateDirectory::check(settings).await?;
    audit::check(settings).await?;
    socket::check(settings.listen()).await?;
    Ok(Checked {
        options,
        tls,
        endpoints,
        warnings: advice::warnings(settings).await?,
    })
}

/// Checks the root if that sends no requests: a directory, or the host of another registry.
async fn check_root(settings: &Settings, location_options: &LocationOptions) -> Result<()> {
    let Some(RootArg(root)) = &settings.root else {
        return Ok(());
    };
    let options = location_options.clone().open_options()?;
    match root {
        RegistryLocation::LayoutRegistry(path) => {
            registry::open_root(settings, &options).await?;
            let path = path.clone();
            if registry::is_read_only(settings) {
                return Ok(());
            }
            blocking::run(move || check_creatable(path.as_ref())).await
        }
        RegistryLocation::Remote(_) => registry::open_root(settings, &options).await.map(drop),
        _ => Ok(()),
    }
}

/// Checks that the root can be created, unless it exists: its content may be read in any case.
fn check_creatable(root: &Path) -> Result<()> {
    if root.is_dir() {
        return Ok(());
    }
    directory::check(root).map_err(|error| {
        Error::io("the root does not exist and cannot be created", error)
            .with_subject(root.display())
    })
}

async fn open_tls(settings: &Settings) -> Result<Option<Tls>> {
    let (Some(certificates), Some(key)) = (&settings.tls_cert, &settings.tls_key) else {
        return Ok(None);
    };
    let tls = match &settings.tls_client_ca {
        None => Tls::open(certificates, key).await?,
        Some(clients) => Tls::open_with_clients(certificates, key, clients).await?,
    };
    Ok(Some(tls))
}
