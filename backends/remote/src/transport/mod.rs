//! Requests to a registry and their responses: credentials, redirects, retries, limits.

mod attempt;
mod connect;
mod counts;
mod document;
pub(crate) mod failure;
mod hidden;
mod limit;
mod locations;
mod no_proxy;
mod origin;
mod other_hosts;
mod proxies;
mod pull_limit;
mod pull_limit_headers;
mod request;
mod request_body;
mod response;
pub(crate) mod retry;
mod scheme;
mod sender;
mod tls;
mod tls_failure;
mod token_client;
mod trace;
mod warnings;

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tracing::Instrument as _;
use tranship::{Error, ErrorKind, RegistryName, Result};

pub use counts::{RequestCounts, RequestKind};
pub use document::DocumentClient;
pub(crate) use request::{Payload, Repeat, Request};
pub(crate) use response::Response;
pub(crate) use retry::Retries;

use crate::auth::{Authenticator, MetChallenge, Scopes};
use crate::options::{RemoteOptions, Scheme};
use crate::rate_limit::RateLimitStatus;
use crate::resolver::GuardedResolver;
use attempt::Attempts;
use counts::Counter;
use failure::SendError;
use hidden::HiddenChallenge;
use limit::{Limiter, Permit};
use locations::Locations;
use origin::Origin;
use other_hosts::OtherHosts;
use pull_limit::{Asked, Pull, PullLimit};
use scheme::SchemeProbe;
use token_client::TokenClient;
use warnings::Warnings;

/// How many 401 responses to one request are met: one for a token that has expired, and one for missing scopes.
const MAX_CHALLENGES: usize = 2;

/// Sends requests to one registry. Clones share everything except the headers of a repository.
#[derive(Clone)]
pub(crate) struct Transport(Arc<Inner>, Option<Arc<HeaderMap>>);

struct Inner {
    origin: Origin,
    attempts: Attempts,
    scheme: SchemeProbe,
    options: RemoteOptions,
    authenticator: Authenticator,
    hidden: HiddenChallenge,
    limiter: Limiter,
    counter: Arc<Counter>,
}

impl Transport {
    pub(crate) fn new(registry: &RegistryName, mut options: RemoteOptions) -> Result<Self> {
        if options.client.is_some() {
            // We check this before the certificates are read, which the client would ignore.
            sender::check_options(&options)?;
        }
        options.tls = options.certificates.add_to(options.tls, registry)?;
        let origin = Origin::new(registry, &options)?;
        let resolver = GuardedResolver::new(origin.url(), &options.resolve, options.policy);
        let clients = connect::clients(origin.url(), &options, resolver.clone())?;
        let counter = Arc::new(Counter::default());
        let other_hosts = OtherHosts::new(origin.clone(), options.other_host_pause);
        let other_hosts = Arc::new(other_hosts);
        let tokens = TokenClient {
            origin: origin.clone(),
            other_hosts: Arc::clone(&other_hosts),
            resolver: resolver.clone(),
            client: clients.small.clone(),
            policy: options.policy,
            retry: options.retry,
            silence: options.silence_timeout,
            counter: Arc::clone(&counter),
        };
        let authenticator = Authenticator::new(
            registry.clone(),
            Arc::clone(&options.credentials),
            Arc::new(tokens),
        );
        Ok(Self(
            Arc::new(Inner {
                authenticator,
                hidden: HiddenChallenge::default(),
                limiter: Limiter::new(options.max_concurrent_requests, options.requests_per_second),
                scheme: SchemeProbe {
                    origin: origin.clone(),
                    client: clients.small.clone(),
                    counter: Arc::clone(&counter),
                    connect_timeout: options.connect_timeout,
                },
                attempts: Attempts {
                    origin: origin.clone(),
                    other_hosts,
                    locations: Locations {
                        origin: origin.clone(),
                        resolver,
                        policy: options.policy,
                    },
                    clients,
                    warnings: Warnings::new(registry.clone(), options.warnings.clone()),
                    pull_limit: PullLimit::new(
                        registry.clone(),
                        options.rate_limit_reserve,
                        options.rate_limit_waits.clone(),
                    ),
                    counter: Arc::clone(&counter),
                    policy: options.policy,
                    silence: options.silence_timeout,
                    headers: options.headers.clone(),
                    is_http_told: options.scheme == Scheme::Http,
                },
                origin,
                options,
                counter,
            }),
            None,
        ))
    }

    /// Returns the transport for a repository that is opened now, whose requests may have other headers.
    pub(crate) fn for_repository(&self) -> Self {
        let headers = self.0.options.repository_headers.as_ref();
        let headers = headers.map(|headers| Arc::new(headers()));
        Self(Arc::clone(&self.0), headers)
    }

    pub(crate) fn options(&self) -> &RemoteOptions {
        &self.0.options
    }

    /// Returns the rules about URLs that the registry names.
    pub(crate) fn locations(&self) -> &Locations {
        &self.0.attempts.locations
    }

    pub(crate) fn counts(&self) -> RequestCounts {
        self.0.counter.counts()
    }

    /// Returns the limit on pulls that the registry last stated.
    pub(crate) fn rate_limit(&self) -> Option<RateLimitStatus> {
        self.0.attempts.pull_limit.status()
    }

    pub(crate) fn retries(&self) -> Retries {
        Retries::new(self.0.options.retry)
    }

    /// Sends a request, with retries, redirects and authentication. Returns the final response, whatever its status.
    ///
    /// # Errors
    /// Those of the network, the policy, the credentials, and the payload's source.
    pub(crate) async fn send(&self, mut request: Request<'_>) -> Result<Response> {
        for (name, value) in self.1.iter().flat_map(|headers| headers.iter()) {
            request.headers.insert(name, value.clone());
        }
        let span = tracing::debug_span!(
            "request",
            kind = ?request.kind,
            method = %request.method,
            host = request.url.host_str(),
            path = request.url.path(),
        );
        // The future is large, and callers nest it deeply.
        Box::pin(self.send_with_retries(&request).instrument(span)).await
    }

    async fn send_with_retries(&self, request: &Request<'_>) -> Result<Response> {
        let inner = &*self.0;
        inner.scheme.settle_before_tls().await;
        let mut retries = self.retries();
        let mut challenges = 0;
        let mut may_be_repeated = false;
        let mut hidden = None;
        let mut authorization = self.authorization(request).await?;
        loop {
            // A request that waits for the limit on pulls does not hold a permit.
            let pull = self.admit_pull(request).await?;
            let permit = inner.limiter.admit(request.class).await;
            let tried = inner.origin.url().clone();
            let outcome = inner
                .attempts
                .send(request, authorization.clone(), permit)
                .await;
            let is_uncertain = matches!(&outcome, Err(failed) if !failed.is_unsent);
            if let Some(pull) = pull
                && !is_uncertain
            {
                pull.finish();
            }
            let speaks_tls = inner
                .scheme
                .speaks_tls(&request.url, &tried, &outcome)
                .await;
            if speaks_tls && request.payload.is_replayable() {
                continue;
            }
            let failed = match outcome {
                Ok(mut response) => {
                    response.may_be_repeated = may_be_repeated;
                    let status = response.status();
                    if status == StatusCode::UNAUTHORIZED
                        && let Some(hidden) = hidden.take()
                    {
                        return Ok(self.stays_hidden(hidden));
                    }
                    if status == StatusCode::UNAUTHORIZED
                        && challenges < MAX_CHALLENGES
                        && response.headers().contains_key(WWW_AUTHENTICATE)
                        && inner.origin.has(&response.url)
                    {
                        let (scopes, sent) = (&request.scopes, authorization.as_ref());
                        let authenticator = &inner.authenticator;
                        let is_new = challenges > 0;
                        let challenge =
                            authenticator.challenge(response.headers(), scopes, sent, is_new);
                        let Some(challenge) = challenge else {
                            response.hint = authenticator.login_hint(scopes).await;
                            return Ok(response);
                        };
                        challenges += 1;
                        // The permit of the response must not be held while a token is requested.
                        drop(response);
                        let authorized = authenticator.authorize(challenge, scopes, sent).await?;
                        authorization = Some(authorized);
                        if !request.payload.is_replayable() {
                            return Err(not_replayable());
                        }
                        continue;
                    }
                    if status == StatusCode::UNAUTHORIZED && inner.origin.has(&response.url) {
                        // A server may issue tokens to anonymous callers, and refuse these.
                        response.hint = inner.authenticator.login_hint(&request.scopes).await;
                        return Ok(response);
                    }
                    if authorization.is_none()
                        && matches!(status, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN)
                        && request.payload.is_replayable()
                        && inner.origin.has(&response.url)
                        && let Some(challenge) = self.hidden_challenge(request).await
                    {
                        // The next attempt needs the permit.
                        response.permit = Permit::none();
                        hidden = Some(response);
                        let (scopes, authenticator) = (&request.scopes, &inner.authenticator);
                        authorization =
                            Some(authenticator.authorize(challenge, scopes, None).await?);
                        continue;
                    }
                    if !retry::is_transient(status)
                        || request.repeat != Repeat::Safe
                        || !request.payload.is_replayable()
                    {
                        return Ok(response);
                    }
                    // With a reserve, the next attempt waits for the limit on pulls instead.
                    let asked = if self.reaches_reserve(request, &response) {
                        None
                    } else {
                        response.retry_after()
                    };
                    tracing::debug!(%status, "the response is a transient failure");
                    // The next attempt must not wait for the permit of this response.
                    if !retries.pause(asked).await {
                        return Ok(response);
                    }
                    may_be_repeated = true;
                    continue;
                }
                Err(failed) => failed,
            };
            let may_repeat = failed.is_unsent || request.repeat == Repeat::Safe;
            let may_repeat = may_repeat && request.payload.is_replayable();
            // A host that is left alone has a time, and would be left alone again.
            let may_repeat = may_repeat && failed.error.retry_after().is_none();
            if !failed.error.is_retryable() || !may_repeat || !retries.pause(None).await {
                inner.attempts.other_hosts.failed(&failed.error);
                return Err(failed.error);
            }
            tracing::debug!(error = %failed.error, "the request is retried");
            may_be_repeated |= !failed.is_unsent;
        }
    }

    /// Waits until the limit on pulls allows `request`. Returns `None` for requests that registries do not count.
    async fn admit_pull(&self, request: &Request<'_>) -> Result<Option<Pull<'_>>> {
        if request.kind != RequestKind::ManifestGet {
            return Ok(None);
        }
        let repository = request.scopes.repository();
        let limit = &self.0.attempts.pull_limit;
        let pull = limit.admit(repository.as_ref(), || self.ask_for_pulls(request));
        pull.await.map(Some)
    }

    /// Returns whether `response` refuses `request` because no more is left than the reserve of pulls.
    fn reaches_reserve(&self, request: &Request<'_>, response: &Response) -> bool {
        request.kind == RequestKind::ManifestGet
            && response.status() == StatusCode::TOO_MANY_REQUESTS
            && self.0.origin.has(&response.url)
            && pull_limit_headers::is_stated(response.headers())
            && self.0.attempts.pull_limit.is_reached()
    }

    /// Asks for the limit on pulls with a `HEAD` of the manifest that `request` fetches.
    fn ask_for_pulls<'a>(&'a self, request: &Request<'_>) -> BoxFuture<'a, Result<Asked>> {
        let (url, scopes) = (request.url.clone(), request.scopes.clone());
        let mut head = Request::new(RequestKind::ManifestHead, Method::HEAD, url, scopes);
        head.headers = request.headers.clone();
        Box::pin(async move {
            let response = self.send(head).await?;
            let is_told = self.0.origin.has(&response.url)
                && pull_limit_headers::is_stated(response.headers());
            // A separate limit on all requests may refuse this one.
            Ok(
                if is_told || response.status() == StatusCode::TOO_MANY_REQUESTS {
                    Asked::Recorded
                } else {
                    Asked::Nothing
                },
            )
        })
    }

    /// Returns the challenge of a registry that hides content from users who are not logged in.
    async fn hidden_challenge(&self, request: &Request<'_>) -> Option<MetChallenge> {
        let Inner {
            hidden,
            authenticator,
            ..
        } = &*self.0;
        if request.kind == RequestKind::Ping {
            return None;
        }
        hidden
            .challenge(authenticator, &request.scopes, async || self.ping().await)
            .await
    }

    /// Returns the response to a request without credentials, after the registry has refused the credentials.
    fn stays_hidden(&self, mut response: Response) -> Response {
        let inner = &*self.0;
        inner.hidden.refuse_credentials();
        inner.authenticator.forget();
        let hint = "the registry does not accept the credentials for it; log in again, or log out";
        response.hint = Some(hint.to_owned());
        response
    }

    /// Returns the headers of the response to `/v2/` without credentials, if it is a 401.
    async fn ping(&self) -> Result<Option<HeaderMap>, SendError> {
        let origin = &self.0.origin;
        let url = origin.url().join("v2/");
        let url = url.map_err(|_| failure::protocol("the registry has no URL"))?;
        let request = Request::new(RequestKind::Ping, Method::GET, url, Scopes::default());
        // The request that this one is for has a permit.
        let response = self.0.attempts.send(&request, None, Permit::none()).await?;
        let is_challenge =
            origin.has(&response.url) && response.status() == StatusCode::UNAUTHORIZED;
        Ok(is_challenge.then(|| response.headers().clone()))
    }

    async fn authorization(&self, request: &Request<'_>) -> Result<Option<HeaderValue>> {
        let Inner {
            origin,
            authenticator,
            ..
        } = &*self.0;
        if origin.has(&origin.adapted(&request.url)) {
            authenticator.authorization(&request.scopes).await
        } else {
            Ok(None)
        }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("origin", &self.0.origin.url().as_str())
            .finish_non_exhaustive()
    }
}

fn not_replayable() -> Error {
    Error::new(
        ErrorKind::Unauthorized,
        "the registry asks for credentials in the middle of content that comes only once",
    )
    .with_hint("push from something that can be opened again, such as a file")
}
