//! The settings of a server, from the command line and from a file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tranship::{Error, ErrorKind, Result};
use tranship_backends::RegistryLocation;
use tranship_yaml::RepeatedKeys;

use crate::args::{NoEmptyValues, RootArg, Settings};
use crate::input::Input;

/// The largest file that is read, in bytes.
const MAX_FILE_SIZE: u64 = 4 * 1024 * 1024;

/// The shortest interval of retention and garbage collection.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// Where the settings come from.
#[derive(Debug, Clone)]
pub(super) struct Config {
    pub(super) file: Option<PathBuf>,
    /// The settings of the command line.
    pub(super) given: Settings,
}

impl Config {
    /// Reads the file, if there is one, and returns the settings.
    ///
    /// # Errors
    /// - The error of reading the file.
    /// - [`InvalidInput`](ErrorKind::InvalidInput) if the file is malformed, or settings exclude each other.
    pub(super) async fn load(&self) -> Result<Settings> {
        let settings = match &self.file {
            None => self.given.clone(),
            Some(path) => {
                let file = read_file(path).await?;
                self.given.clone().over(file)
            }
        };
        check(&settings)?;
        Ok(settings)
    }
}

async fn read_file(path: &Path) -> Result<Settings> {
    let name = path.display().to_string();
    let content = Input::File(path.to_owned()).bytes(MAX_FILE_SIZE).await?;
    let content = std::str::from_utf8(&content).map_err(|error| {
        let error = Error::new(ErrorKind::InvalidInput, "not UTF-8").with_source(error);
        error.with_subject(&name)
    })?;
    if content.trim().is_empty() {
        return Ok(Settings::default());
    }
    let decoded = tranship_yaml::decode(&name, content, RepeatedKeys::Refuse);
    // Other errors say more about a value.
    let decoded = decoded.and_then(|settings| {
        let filled = tranship_yaml::decode(&name, content, RepeatedKeys::Refuse);
        filled.map(|NoEmptyValues| settings)
    });
    decoded.map_err(|error: Error| match error.hint() {
        Some(_) => error,
        None => error
            .with_hint("docs/cli.md has the keys and their values, under \"A file with settings\""),
    })
}

/// Checks that settings fit each other. The command line cannot do so, as the other one may be in a file.
fn check(settings: &Settings) -> Result<()> {
    if let Some(endpoint) = &settings.redirect_endpoint
        && endpoint.contains('@')
    {
        let message = "redirect-endpoint has a user or a password, which clients would see";
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    let is_remote = matches!(settings.root, Some(RootArg(RegistryLocation::Remote(_))));
    let remote_root = ("root, the host of another registry,", is_remote);
    let root = ("root", settings.root.is_some());
    let tls_cert = ("tls-cert", settings.tls_cert.is_some());
    let tls_key = ("tls-key", settings.tls_key.is_some());
    let mirror = ("mirror", !settings.mirror.is_empty());
    let is_object_store = matches!(
        settings.root,
        Some(RootArg(RegistryLocation::ObjectLayoutRegistry(_)))
    );
    let object_store = ("root, an object store,", is_object_store);
    let is_layouts = is_object_store
        || matches!(
            settings.root,
            Some(RootArg(RegistryLocation::LayoutRegistry(_)))
        );
    let layouts = ("root, a directory of layouts,", is_layouts);
    let gc_every = ("gc-every", settings.gc_every.is_some());
    let retention = (
        "retention of an entry in repositories",
        settings.has_retention(),
    );
    let quotas = ("quota of an entry in repositories", settings.has_quotas());
    let redirect_blobs = ("redirect-blobs", settings.redirect_blobs);
    let needs = [
        (tls_cert, tls_key),
        (tls_key, tls_cert),
        (
            ("tls-client-ca", settings.tls_client_ca.is_some()),
            tls_cert,
        ),
        (("read-write", settings.read_write), remote_root),
        (
            ("mirror-fallback", settings.mirror_fallback.is_some()),
            mirror,
        ),
        (("mirror-ttl", settings.mirror_ttl.is_some()), mirror),
        (("mirror-pin", !settings.mirror_pin.is_empty()), mirror),
        (("cache-size", settings.cache_size.is_some()), mirror),
        (
            ("audit-pulls", settings.audit_pulls),
            ("audit-log", settings.audit_log.is_some()),
        ),
        (("quota-recount", settings.quota_recount.is_some()), quotas),
        (redirect_blobs, object_store),
        (gc_every, layouts),
        (
            ("retention-every", settings.retention_every.is_some()),
            retention,
        ),
        (("retention-dry-run", settings.retention_dry_run), retention),
        (
            ("redirect-endpoint", settings.redirect_endpoint.is_some()),
            redirect_blobs,
        ),
        (
            ("redirect-min-size", settings.redirect_min_size.is_some()),
            redirect_blobs,
        ),
        (
            ("redirect-expiry", settings.redirect_expiry.is_some()),
            redirect_blobs,
        ),
    ];
    for ((name, is_given), (other, other_given)) in needs.into_iter().chain(user_needs(settings)) {
        if is_given && !other_given {
            return Err(misfit(format!(
                "the setting {name} needs the setting {other} too"
            )));
        }
    }
    let excludes = [
        (
            ("read-only", settings.read_only),
            ("read-write", settings.read_write),
        ),
        (("quota", settings.quota.is_some()), root),
        (mirror, remote_root),
        (("ui", settings.ui), ("no-ui", settings.no_ui)),
        (
            ("token-key", settings.token_key.is_some()),
            ("auth-realm", settings.auth_realm.is_some()),
        ),
        (quotas, remote_root),
        (retention, remote_root),
        (retention, ("read-only", settings.read_only)),
        (gc_every, ("read-only", settings.read_only)),
    ];
    for ((name, is_given), (other, other_given)) in excludes {
        if is_given && other_given {
            let message = format!("the settings {name} and {other} cannot be used together");
            return Err(misfit(message));
        }
    }
    for (name, count) in [
        ("max-connections", settings.max_connections),
        ("max-uploads", settings.max_uploads),
        ("max-uploads-per-user", settings.max_uploads_per_user),
    ] {
        if count == Some(0) {
            return Err(misfit(format!("the setting {name} must be at least 1")));
        }
    }
    if settings.timeout.is_some_and(|timeout| timeout.0.is_zero()) {
        return Err(misfit(
            "the setting timeout must be more than 0s".to_owned(),
        ));
    }
    for (name, size) in [
        ("cache-size", settings.cache_size),
        ("max-blob-size", settings.max_blob_size),
        ("quota", settings.quota),
        ("max-manifest-size", settings.max_manifest_size),
    ] {
        if size.is_some_and(|size| size.0 == 0) {
            let message = format!("with the setting {name} of 0, nothing could be stored");
            return Err(misfit(message).with_hint("leave it out for the default"));
        }
    }
    check_upkeep(settings)
}

/// Checks the settings of what is done at intervals.
fn check_upkeep(settings: &Settings) -> Result<()> {
    for (name, interval) in [
        ("gc-every", settings.gc_every),
        ("retention-every", settings.retention_every),
        ("quota-recount", settings.quota_recount),
    ] {
        if interval.is_some_and(|interval| interval.0 < MIN_INTERVAL) {
            return Err(misfit(format!("the setting {name} must be at least 1s")));
        }
    }
    for entry in &settings.repositories {
        if entry.read_only && !entry.retention.is_empty() {
            let message = "the settings read-only and retention cannot be used together";
            return Err(misfit(message.to_owned()));
        }
        if let Some(flaw) = entry.retention_flaw() {
            return Err(misfit(flaw.to_owned()));
        }
        let mut rules = entry.retention.iter();
        if settings.shared && rules.any(|rule| rule.not_pulled_for.is_some()) {
            return Err(misfit(
                "the setting not-pulled-for cannot be used with shared, as a server does not know the pulls from others"
                    .to_owned(),
            ));
        }
    }
    Ok(())
}

/// The name of a setting, and whether it is given.
type Given = (&'static str, bool);

/// Returns the settings about users, each with one that it needs.
fn user_needs(settings: &Settings) -> Vec<(Given, Given)> {
    let users = (
        "htpasswd, robots, oidc, tls-client-ca or auth-realm",
        settings.has_users(),
    );
    let of_users = [
        ("anonymous-read", !settings.anonymous_read.is_empty()),
        ("grant", !settings.grant.is_empty()),
        ("token-key", settings.token_key.is_some()),
        ("token-lifetime", settings.token_lifetime.is_some()),
        ("failed-login-limit", settings.failed_login_limit.is_some()),
    ];
    let service = [
        ("auth-realm", settings.auth_realm.is_some()),
        ("auth-service", settings.auth_service.is_some()),
        ("auth-issuer", settings.auth_issuer.is_some()),
        ("auth-keys", settings.auth_keys.is_some()),
    ];
    let mut needs: Vec<(Given, Given)> = of_users.map(|given| (given, users)).to_vec();
    for given in service {
        needs.extend(service.map(|other| (given, other)));
    }
    needs
}

fn misfit(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}
