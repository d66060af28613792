//! Registries that show nothing to users who are not logged in, and do not ask for a login.

use http::{HeaderMap, Method, StatusCode};

use super::limit::Permit;
use super::{Failed, Request, RequestKind, Transport, failure};
use crate::auth::{Challenged, Scopes};

impl Transport {
    /// The challenge of a registry that refuses a request without credentials as if there were nothing, and
    /// asks for credentials at `/v2/` alone, where crane and skopeo begin. `None` if it asks for none there
    /// either, or there are none to show. It is asked once.
    pub(super) async fn hidden_challenge(&self, request: &Request<'_>) -> Option<Challenged> {
        let inner = &*self.0;
        if request.kind == RequestKind::Ping
            || !inner.authenticator.has_credentials(&request.scopes).await
        {
            return None;
        }
        let asked = inner.challenge.get_or_try_init(|| self.ping()).await;
        let headers = asked.ok()?.as_ref()?;
        let scopes = &request.scopes;
        inner.authenticator.challenge(headers, scopes, None, false)
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
