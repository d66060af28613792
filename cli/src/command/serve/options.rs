//! The options of the server.

use tranship::Result;
use tranship_server::{RedirectOptions, ServerOptions, TokenKey};

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
    }
    Ok(options)
}
