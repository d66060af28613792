//! Registries that show nothing to users who are not logged in, and do not ask for a login.

use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderMap, Method, StatusCode};
use tokio::sync::OnceCell;

use super::limit::Permit;
use super::{Answer, Failed, Request, RequestKind, Transport, failure};
use crate::auth::{Challenged, Scopes};

/// What was found out about users who are not logged in.
#[derive(Default)]
pub(super) struct Strangers {
    /// The headers of the response to `/v2/`, if that is a 401.
    challenge: OnceCell<Option<HeaderMap>>,
    /// Whether the credentials turned out to be wrong.
    are_refused: AtomicBool,
}

impl Transport {
    /// The challenge of a registry that refuses a request without credentials as if there were nothing, and
    /// asks for credentials at `/v2/` alone, where crane and skopeo begin. `None` if it asks for none there
    /// either, or there are none to show. It is asked once.
    pub(super) async fn hidden_challenge(&self, request: &Request<'_>) -> Option<Challenged> {
        let inner = &*self.0;
        let strangers = &inner.strangers;
        if request.kind == RequestKind::Ping
            || strangers.are_refused.load(Ordering::Acquire)
            || !inner.authenticator.has_credentials(&request.scopes).await
        {
            return None;
        }
        let asked = strangers.challenge.get_or_try_init(|| self.ping()).await;
        let headers = asked.ok()?.as_ref()?;
        let scopes = &request.scopes;
        inner.authenticator.challenge(headers, scopes, None, false)
    }

    /// The answer that a request without credentials got, after the registry has refused the credentials
    /// themselves. They are not shown again: without them, the registry may show something.
    pub(super) fn stays_hidden(&self, mut answer: Answer) -> Answer {
        let inner = &*self.0;
        inner.strangers.are_refused.store(true, Ordering::Release);
        inner.authenticator.forget();
        let hint = "the registry does not accept the credentials for it; log in again, or log out";
        answer.hint = Some(hint.to_owned());
        answer
    }

    /// What a registry responds to `/v2/` without credentials, if it is a 401.
    async fn ping(&self) -> Result<Option<HeaderMap>, Failed> {
        let url = self.origin().join("v2/");
        let url = url.map_err(|_| failure::protocol("the registry has no URL"))?;
        let request = Request::new(RequestKind::Ping, Method::GET, url, Scopes::default());
        // The request that this one is for has a permit.
        let answer = self.try_once(&request, None, Permit::none()).await?;
        let is_own = self.0.origin.has(&answer.url);
        let is_challenge = is_own && answer.status() == StatusCode::UNAUTHORIZED;
        Ok(is_challenge.then(|| answer.headers().clone()))
    }
}
