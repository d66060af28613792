//! The options of the server.

use http::Uri;
use tranship::Result;
use tranship_server::{LocalHosts, RedirectOptions, ServerOptions, TokenKey};

use super::access::access;
use crate::args::Settings;

/// Returns the options that the settings ask for, without a receiver of events. Tokens are signed with `generated` unless the settings name a key.
///
/// # Errors
/// The error of reading a file of users or keys.
pub(super) async fn server_options(
    settings: &Settings,
    generated: &TokenKey,
) -> Result<ServerOptions> {
    let patterns = settings.metrics_repository.iter();
    let mut options = ServerOptions::default()
        .with_complete_manifests(!settings.sparse)
        .with_shared(settings.shared)
        .with_max_manifest_size(settings.max_manifest_size())
        .with_body_timeout(settings.timeout())
        .with_metrics_patterns(patterns.map(|pattern| pattern.0.clone()).collect());
    if let Some(count) = settings.max_uploads {
        options = options.with_max_uploads(count as usize);
    }
    if let Some(count) = settings.max_uploads_per_user {
        options = options.with_max_uploads_per_user(count as usize);
    }
    if let Some(time) = settings.upload_expiry {
        options = options.with_upload_expiry(time.0);
    }
    if let Some(size) = settings.max_blob_size {
        options = options.with_max_blob_size(size.0);
    }
    if let Some(rate) = settings.rate_limit {
        options = options.with_request_rate(rate.0);
    }
    if let Some(warning) = &settings.warning {
        options = options.with_warning(warning);
    }
    if settings.redirect_blobs {
        let mut redirects = RedirectOptions::default();
        if let Some(size) = settings.redirect_min_size {
            redirects = redirects.with_min_size(size.0);
        }
        if let Some(time) = settings.redirect_expiry {
            redirects = redirects.with_valid_for(time.0);
        }
        options = options.with_redirects(redirects);
    }
    if let Some(access) = access(settings, generated).await? {
        options = options.with_access(access);
    } else if settings.is_local() && settings.tls_cert.is_none() {
        // A web page in a browser of this machine must not reach it. With TLS its name would not fit the certificate.
        options = options.with_local_hosts(local_hosts(settings));
    }
    Ok(options)
}

/// Returns the hosts by which programs of this machine may reach the server.
fn local_hosts(settings: &Settings) -> LocalHosts {
    let public = settings.public_url();
    let public = public.and_then(|url| Some(url.parse::<Uri>().ok()?.host()?.to_owned()));
    let given = settings.allow_host.iter().map(|host| host.0.clone());
    let hosts = given.chain(public);
    hosts.fold(LocalHosts::default(), LocalHosts::with_host)
}
