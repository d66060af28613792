//! Requests to the token server, which is rarely the registry itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tranship::Result;
use url::Url;

use super::answer::Answer;
use super::counts::{Counter, RequestKind};
use super::failure;
use super::limit::Permit;
use super::outgoing::Progress;
use super::retry::{Retries, is_transient, retry_after};
use super::trace;
use crate::auth::TokenServer;
use crate::options::RetryPolicy;
use crate::policy::SecurityPolicy;

/// Sends requests for tokens, which carry the credentials: to where the policy allows, and never on
/// to where they are redirected.
pub(crate) struct Tokens {
    pub(crate) origin: Url,
    pub(crate) client: reqwest::Client,
    pub(crate) policy: SecurityPolicy,
    pub(crate) retry: RetryPolicy,
    pub(crate) silence: Duration,
    pub(crate) counter: Arc<Counter>,
}

#[async_trait]
impl TokenServer for Tokens {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>> {
        let url = Url::parse(&request.uri().to_string())
            .map_err(|_| failure::protocol("the registry's token server has no URL"))?;
        self.policy.check_realm(&self.origin, &url)?;
        let mut retries = Retries::new(self.retry);
        loop {
            let sent = self.send_once(&request, &url).await;
            let asked = match &sent {
                Ok(response) if is_transient(response.status()) => retry_after(response.headers()),
                Err(error) if error.is_retryable() => None,
                _ => return sent,
            };
            if !retries.pause(asked).await {
                return sent;
            }
        }
    }
}

impl Tokens {
    async fn send_once(
        &self,
        request: &http::Request<Bytes>,
        url: &Url,
    ) -> Result<http::Response<Bytes>> {
        self.counter.count(RequestKind::Token);
        let sending = self
            .client
            .request(request.method().clone(), url.clone())
            .headers(request.headers().clone())
            .body(request.body().clone())
            .send();
        let progress = Progress::default();
        let sending = async {
            super::unless_silent(sending, &progress, self.silence)
                .await
                .ok_or_else(|| failure::silence(self.silence))?
                .map_err(failure::of_network)
        };
        let response = trace::exchange(RequestKind::Token, request.method(), url, sending).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let answer = Answer {
            method: request.method().clone(),
            url: url.clone(),
            response,
            permit: Permit::none(),
            silence: self.silence,
            max_error_size: self.policy.max_error_size,
            may_be_repeated: false,
        };
        let body = answer.bytes(self.policy.max_token_size).await?;
        let mut response = http::Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}
