//! Requests to the token server, which is usually another host than the registry.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tranship::Result;
use url::Url;

use super::counts::{Counter, RequestKind};
use super::failure;
use super::limit::Permit;
use super::origin::Origin;
use super::other_hosts::OtherHosts;
use super::request_body::Progress;
use super::response::Response;
use super::retry::{Retries, is_transient, retry_after};
use super::sender::Sender;
use super::trace;
use crate::auth::{TokenRequest, TokenServer};
use crate::policy::{NamingRegistry, SecurityPolicy};
use crate::resolver::GuardedResolver;
use crate::retry_policy::RetryPolicy;

/// Sends requests for tokens, which contain the credentials. The policy applies, and redirects are not followed.
pub(crate) struct TokenClient {
    pub(crate) origin: Origin,
    pub(super) other_hosts: Arc<OtherHosts>,
    pub(crate) resolver: GuardedResolver,
    pub(super) client: Sender,
    pub(crate) policy: SecurityPolicy,
    pub(crate) retry: RetryPolicy,
    pub(crate) silence: Duration,
    pub(crate) counter: Arc<Counter>,
}

#[async_trait]
impl TokenServer for TokenClient {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>> {
        let url = Url::parse(&request.uri().to_string())
            .map_err(|_| failure::protocol("the registry's token server has no URL"))?;
        let url = upgraded(url, self.origin.url());
        let naming_registry = NamingRegistry {
            origin: self.origin.url(),
            is_private: self.resolver.registry_is_private(),
        };
        self.policy.check_realm(naming_registry, &url)?;
        let mut retries = Retries::new(self.retry);
        loop {
            self.other_hosts.check(&url)?;
            let sent = self.send_once(&request, &url).await;
            let asked = match &sent {
                Ok(response) if is_transient(response.status()) => retry_after(response.headers()),
                Err(error) if error.is_retryable() => None,
                _ => return sent,
            };
            if !retries.pause(asked).await {
                return sent.inspect_err(|error| self.other_hosts.failed(error));
            }
        }
    }
}

/// Returns the URL of a token server with `https` if the registry names it with `http`, is reached by `https`
/// itself, and both are the same host. Registries whose TLS ends at a proxy do that.
fn upgraded(url: Url, registry: &Url) -> Url {
    let is_own =
        url.host() == registry.host() && (url.port().is_none() || url.port() == registry.port());
    if registry.scheme() != "https" || url.scheme() != "http" || !is_own {
        return url;
    }
    let mut secure = registry.clone();
    secure.set_path(url.path());
    secure.set_query(url.query());
    secure
}

impl TokenClient {
    async fn send_once(
        &self,
        request: &http::Request<Bytes>,
        url: &Url,
    ) -> Result<http::Response<Bytes>> {
        self.counter.count(RequestKind::Token);
        let built = self
            .client
            .request(request.method().clone(), url)
            .headers(request.headers().clone())
            .body(request.body().clone());
        let sending = self.client.send(url, built, false);
        let progress = Progress::default();
        let sending = async {
            progress
                .wait(sending, self.silence)
                .await
                .ok_or_else(|| failure::silence(self.silence))?
                .map_err(|failed| failed.error)
        };
        let sending = self.other_hosts.wait(url, sending);
        let response = trace::exchange(RequestKind::Token, request.method(), url, sending).await;
        let response = response.map_err(|error| self.other_hosts.attribute(error, url))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let response = Response {
            method: request.method().clone(),
            url: url.clone(),
            other_host: self.other_hosts.name(url),
            inner: response,
            permit: Permit::none(),
            silence: self.silence,
            max_error_size: self.policy.max_error_size,
            max_time: self.policy.max_metadata_time,
            may_be_repeated: false,
            is_http_told: false,
            hint: None,
        };
        let body = response.bytes(self.policy.max_token_size).await?;
        let mut response = http::Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response.extensions_mut().insert(TokenRequest {
            method: request.method().clone(),
            url: url.clone(),
        });
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_server_on_the_registrys_host_is_asked_over_https() {
        let upgraded = |realm: &str, registry: &str| {
            let (realm, registry) = (realm.parse().expect("a URL"), registry.parse());
            upgraded(realm, &registry.expect("a URL")).to_string()
        };
        for (realm, registry, expected) in [
            (
                "http://a.example/token?service=x",
                "https://a.example",
                "https://a.example/token?service=x",
            ),
            (
                "http://a.example/token",
                "https://a.example:8443",
                "https://a.example:8443/token",
            ),
            (
                "http://a.example:81/token",
                "https://a.example",
                "http://a.example:81/token",
            ),
            (
                "http://b.example/token",
                "https://a.example",
                "http://b.example/token",
            ),
            (
                "http://a.example/token",
                "http://a.example:5000",
                "http://a.example/token",
            ),
        ] {
            assert_eq!(upgraded(realm, registry), expected);
        }
    }
}
