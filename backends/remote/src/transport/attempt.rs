//! One attempt of a request, with its redirects.

use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue, Method};
use tranship::Result;
use url::Url;

use super::connect::Clients;
use super::counts::{Counter, RequestKind};
use super::failure::{self, SendError};
use super::limit::Permit;
use super::locations::Locations;
use super::origin::Origin;
use super::other_hosts::OtherHosts;
use super::pull_limit::PullLimit;
use super::request::Request;
use super::request_body::{Progress, request_body};
use super::response::Response;
use super::trace;
use super::warnings::Warnings;
use crate::policy::SecurityPolicy;

/// Makes single attempts of requests.
pub(super) struct Attempts {
    pub(super) origin: Origin,
    pub(super) other_hosts: Arc<OtherHosts>,
    pub(super) locations: Locations,
    pub(super) clients: Clients,
    pub(super) warnings: Warnings,
    pub(super) pull_limit: PullLimit,
    pub(super) counter: Arc<Counter>,
    pub(super) policy: SecurityPolicy,
    pub(super) silence: Duration,
    /// Headers of every request to the registry.
    pub(super) headers: HeaderMap,
    /// Whether an option selects http.
    pub(super) is_http_told: bool,
}

impl Attempts {
    /// Makes one attempt of a request, and follows its redirects.
    pub(super) async fn send(
        &self,
        request: &Request<'_>,
        authorization: Option<HeaderValue>,
        permit: Permit,
    ) -> Result<Response, SendError> {
        let mut url = self.origin.adapted(&request.url);
        for _ in 0..=self.policy.max_redirects {
            self.other_hosts.check(&url)?;
            let sent = self.pull_limit.sent();
            let sending = self.dispatch(request, &url, authorization.as_ref());
            let sending = self.other_hosts.wait(&url, sending);
            let response = trace::exchange(request.kind, &request.method, &url, sending).await?;
            if self.origin.has(&url) {
                let repository = || request.scopes.repository();
                self.warnings.take_from(response.headers(), repository);
                if matches!(
                    request.kind,
                    RequestKind::ManifestGet | RequestKind::ManifestHead
                ) {
                    self.pull_limit.record(&response, repository(), sent);
                }
            }
            match self.locations.redirect(request, &url, &response)? {
                Some(next) => url = next,
                None => {
                    return Ok(Response {
                        method: request.method.clone(),
                        other_host: self.other_hosts.name(&url),
                        url,
                        inner: response,
                        permit,
                        silence: self.silence,
                        max_error_size: self.policy.max_error_size,
                        max_time: self.policy.max_metadata_time,
                        may_be_repeated: false,
                        is_http_told: self.is_http_told,
                        hint: None,
                    });
                }
            }
        }
        let most = self.policy.max_redirects;
        Err(failure::protocol(format!("the registry redirects more than {most} times")).into())
    }

    /// Sends a request to one URL and waits for the head of the response.
    async fn dispatch(
        &self,
        request: &Request<'_>,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<reqwest::Response, SendError> {
        let progress = Progress::default();
        let body = request_body(&request.payload, &progress).await?;
        let client = if request.is_bulk {
            &self.clients.bulk
        } else {
            &self.clients.small
        };
        let mut built = client
            .request(request.method.clone(), url)
            .headers(self.headers_for(request, url, authorization));
        if has_body(&request.method) {
            built = built.body(body);
        }
        self.counter.count(request.kind);
        let sending = client.send(url, built, self.is_http_told);
        let sent = progress.wait(sending, self.silence).await;
        // The source of the body may fail although the registry has already responded.
        match (progress.take_failure(), sent) {
            (Some(error), _) => Err(error.into()),
            (None, Some(Err(failed))) => Err(SendError {
                error: self.other_hosts.attribute(failed.error, url),
                is_unsent: failed.is_unsent,
            }),
            (None, Some(response)) => response,
            (None, None) => {
                let error = failure::silence(self.silence);
                Err(self.other_hosts.attribute(error, url).into())
            }
        }
    }

    /// Returns the headers of `request` to `url`.
    fn headers_for(
        &self,
        request: &Request<'_>,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> HeaderMap {
        let mut headers = request.headers.clone();
        if has_body(&request.method) {
            headers.insert(CONTENT_LENGTH, request.payload.len().into());
        }
        // Other hosts do not get the headers for the registry.
        if self.origin.has(url) {
            for (name, value) in &self.headers {
                headers.entry(name).or_insert_with(|| value.clone());
            }
            if let Some(authorization) = authorization {
                headers.insert(AUTHORIZATION, authorization.clone());
            }
            #[cfg(feature = "opentelemetry")]
            trace::propagate(&mut headers);
        }
        headers
    }
}

fn has_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}
