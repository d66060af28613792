//! Requests over the HTTP client that we build, or one that the caller has built.

use http::Method;
use reqwest::{RequestBuilder, Response};
use tranship::{Error, ErrorKind, Result};
use url::Url;

use super::failure::{self, SendError};
use crate::certificates::CertificateDirectories;
use crate::options::RemoteOptions;
use crate::resolver::GuardedResolver;
use crate::tls_options::TlsOptions;

/// Sends requests. Clones share connections.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    client: reqwest::Client,
    /// Checks the addresses for a client of the caller, which does not resolve names by it.
    addresses: Option<GuardedResolver>,
}

impl Sender {
    /// Returns a sender over a client of ours.
    pub(super) fn new(client: reqwest::Client) -> Self {
        Self {
            client,
            addresses: None,
        }
    }

    /// Returns a sender over the client of the caller.
    ///
    /// # Errors
    /// `InvalidInput` if an option is set that only a client of ours would look at.
    pub(super) fn of_caller(
        client: reqwest::Client,
        options: &RemoteOptions,
        resolver: GuardedResolver,
    ) -> Result<Self> {
        check_options(options)?;
        Ok(Self {
            client,
            addresses: Some(resolver),
        })
    }

    /// Begins a request, to be passed to [`send`](Self::send).
    pub(super) fn request(&self, method: Method, url: &Url) -> RequestBuilder {
        self.client.request(method, url.clone())
    }

    /// Sends a request to `url`. `is_http_told` says whether an option chose http.
    pub(super) async fn send(
        &self,
        url: &Url,
        request: RequestBuilder,
        is_http_told: bool,
    ) -> Result<Response, SendError> {
        if let Some(addresses) = &self.addresses {
            addresses.check(url).await?;
        }
        let response = request.send().await.map_err(|error| {
            if error.is_redirect() {
                return follows_redirects().with_source(error.without_url()).into();
            }
            SendError {
                is_unsent: failure::is_unsent(&error),
                error: failure::of_network(error, is_http_told),
            }
        })?;
        if without_fragment(response.url()) != without_fragment(url) {
            return Err(follows_redirects().into());
        }
        Ok(response)
    }
}

/// Refuses options that would be ignored with a client of the caller.
///
/// # Errors
/// `InvalidInput` with the first of them.
pub(super) fn check_options(options: &RemoteOptions) -> Result<()> {
    let ours = RemoteOptions::default();
    let set = [
        ("tls", options.tls != TlsOptions::default()),
        (
            "certificates",
            options.certificates != CertificateDirectories::default(),
        ),
        ("resolve", !options.resolve.is_empty()),
        ("proxy", options.proxy.is_some()),
        (
            "connect_timeout",
            options.connect_timeout != ours.connect_timeout,
        ),
        (
            "policy.max_headers",
            options.policy.max_headers != ours.policy.max_headers,
        ),
    ];
    match set.into_iter().find(|(_, is_set)| *is_set) {
        Some((name, _)) => Err(Error::new(
            ErrorKind::InvalidInput,
            format!("the option {name} is set together with a client, which would ignore it"),
        )
        .with_hint("set it where the client is built, and leave it out of RemoteOptions")),
        None => Ok(()),
    }
}

fn follows_redirects() -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        "the client of RemoteOptions::client follows redirects, past the security policy",
    )
    .with_hint("build it with reqwest::redirect::Policy::none(); tranship follows redirects itself")
}

fn without_fragment(url: &Url) -> &str {
    &url[..url::Position::AfterQuery]
}
