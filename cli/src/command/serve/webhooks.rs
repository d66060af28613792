//! The webhooks of a server.

use std::path::Path;
use std::sync::Arc;

use tranship::{Error, ErrorKind, Result};
use tranship_server::{EventAction, ServerOptions};
use tranship_webhooks::{
    Endpoint, EventFilter, EventFormat, Notifier, NotifierOptions, RetryOptions, Secret,
};

use super::state::{self, StateDirectory};
use crate::args::{Settings, WebhookAction, WebhookFormat, WebhookSettings};
use crate::input::Input;

/// A file with a secret is shorter than this, in bytes.
const MAX_SECRET_SIZE: u64 = 4096;

/// Returns the endpoints of the settings.
///
/// # Errors
/// - [`InvalidInput`](ErrorKind::InvalidInput) if a URL, a header or a secret is not valid.
/// - The error of reading the file of a secret.
pub(super) async fn endpoints(settings: &Settings) -> Result<Vec<Endpoint>> {
    let mut endpoints = Vec::new();
    for (position, webhook) in settings.webhook.iter().enumerate() {
        let endpoint = endpoint(&webhook.0);
        let mut endpoint =
            endpoint.map_err(|error| error.with_subject(format_args!("webhook[{position}]")))?;
        if let Some(path) = &webhook.0.secret_file {
            endpoint = endpoint.with_secret(read_secret(path).await?);
        }
        endpoints.push(endpoint);
    }
    Ok(endpoints)
}

/// Makes `notifier` the receiver of the server's events.
pub(super) fn subscribe(options: ServerOptions, notifier: Option<&Notifier>) -> ServerOptions {
    match notifier {
        Some(notifier) => options.with_events(Arc::new(notifier.clone())),
        None => options,
    }
}

/// Returns an endpoint without its secret.
fn endpoint(webhook: &WebhookSettings) -> Result<Endpoint> {
    let mut endpoint = Endpoint::new(&webhook.url)?.with_format(match webhook.format {
        WebhookFormat::Distribution => EventFormat::Distribution,
        WebhookFormat::CloudEvents => EventFormat::CloudEvents,
    });
    for (name, value) in &webhook.headers {
        endpoint = endpoint.with_header(name, value)?;
    }
    if let Some(timeout) = webhook.timeout {
        endpoint = endpoint.with_timeout(timeout.0);
    }
    if let Some(time) = webhook.give_up_after {
        endpoint = endpoint.with_retry(RetryOptions::default().with_give_up_after(time.0));
    }
    let repositories = webhook.repositories.iter();
    let mut filter = EventFilter::default()
        .with_media_types(webhook.media_types.clone())
        .with_repositories(repositories.map(|names| names.0.clone()).collect());
    if !webhook.actions.is_empty() {
        let actions = webhook.actions.iter().map(|action| match action {
            WebhookAction::Pull => EventAction::Pull,
            WebhookAction::Push => EventAction::Push,
            WebhookAction::Mount => EventAction::Mount,
            WebhookAction::Delete => EventAction::Delete,
            WebhookAction::Tag => EventAction::Tag,
            WebhookAction::Untag => EventAction::Untag,
        });
        filter = filter.with_actions(actions.collect());
    }
    Ok(endpoint.with_filter(filter))
}

async fn read_secret(path: &Path) -> Result<Secret> {
    let content = Input::File(path.to_owned()).bytes(MAX_SECRET_SIZE).await?;
    let secret = match std::str::from_utf8(&content) {
        Ok(text) => Secret::parse(text),
        // The error of the conversion may show a part of the secret.
        Err(_) => Err(Error::new(ErrorKind::InvalidInput, "not UTF-8")),
    };
    secret.map_err(|error| error.with_subject(path.display()))
}

/// Opens the queues of `endpoints`; returns `None` without endpoints.
///
/// # Errors
/// - [`InvalidInput`](ErrorKind::InvalidInput) if the user has no home directory and the settings do not name one for the queues.
/// - As [`Notifier::open`].
pub(super) async fn open(
    settings: &Settings,
    endpoints: Vec<Endpoint>,
    state: Option<&StateDirectory>,
) -> Result<Option<Notifier>> {
    if endpoints.is_empty() {
        return Ok(None);
    }
    tranship_backends::ensure_tls_provider()?;
    let state = state.ok_or_else(state::missing)?;
    state.create().await?;
    let mut options = NotifierOptions::default()
        .with_directory(state.path().join("webhooks"))
        .with_address(settings.listen());
    if let Some(url) = settings.public_url() {
        options = options.with_public_url(url);
    }
    options.endpoints = endpoints;
    Notifier::open(options).await.map(Some)
}
