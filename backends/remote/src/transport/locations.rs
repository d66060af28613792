//! Where a registry leads: redirects, uploads and pages, as the policy allows.

use http::Method;
use http::header::LOCATION;
use tranship::Result;
use url::Url;

use super::{Inner, Request, Transport, failure};
use crate::policy::{Leader, same_origin};

impl Transport {
    /// The origin of the registry, as far as is known.
    pub(crate) fn origin(&self) -> &Url {
        self.0.origin.url()
    }

    /// Whether `url` is one of the registry.
    pub(crate) fn is_own(&self, url: &Url) -> bool {
        self.0.origin.has(url)
    }

    /// Where an upload continues that a registry says is at `named`. A path of the registry's API is one of
    /// the registry itself, by whatever host and scheme the registry has been configured to call itself.
    ///
    /// # Errors
    /// `PermissionDenied` if the policy does not allow it.
    pub(crate) fn upload(&self, named: &Url) -> Result<Url> {
        let Inner {
            origin, options, ..
        } = &*self.0;
        if !origin.has(named)
            && !options.policy.foreign_uploads
            && let Some(own) = origin.own(named)
        {
            tracing::debug!(named = %named.origin().ascii_serialization(), "an upload stays at the registry");
            return Ok(own);
        }
        options.policy.check_upload(self.leader(), named)?;
        Ok(named.clone())
    }

    /// Where an upload continues that was begun by another client, at `url`.
    ///
    /// # Errors
    /// As [`upload`](Self::upload).
    pub(crate) fn resumed_upload(&self, url: Url) -> Result<Url> {
        let origin = &self.0.origin;
        // The other client has found out which scheme the registry speaks.
        if origin
            .alternative()
            .is_some_and(|other| same_origin(other, &url))
        {
            origin.settle(true);
        }
        self.upload(&url)
    }

    /// Where the next page of a listing is that a registry says is at `named`, as for
    /// [`upload`](Self::upload).
    ///
    /// # Errors
    /// `PermissionDenied` if it is on another origin.
    pub(crate) fn page(&self, named: Url) -> Result<Url> {
        if let Some(own) = self.0.origin.own(&named) {
            return Ok(own);
        }
        let policy = &self.0.options.policy;
        policy.check_page(self.leader(), &named)?;
        Ok(named)
    }

    fn leader(&self) -> Leader<'_> {
        Leader {
            origin: self.0.origin.url(),
            is_private: self.0.resolver.registry_is_private(),
        }
    }

    /// Where an answer leads, if it is a redirect that is to be followed.
    pub(super) fn redirect(
        &self,
        request: &Request<'_>,
        url: &Url,
        response: &reqwest::Response,
    ) -> Result<Option<Url>> {
        let is_read = matches!(request.method, Method::GET | Method::HEAD);
        let follows = match response.status().as_u16() {
            301..=303 => is_read,
            307 | 308 => is_read || request.payload.is_replayable(),
            _ => false,
        };
        let Some(location) = response.headers().get(LOCATION).filter(|_| follows) else {
            return Ok(None);
        };
        let next = location.to_str().ok().and_then(|text| url.join(text).ok());
        let next = next.ok_or_else(|| failure::protocol("the registry redirects to no URL"))?;
        let inner = &*self.0;
        let policy = &inner.options.policy;
        match is_read {
            true => policy.check_redirect(self.leader(), url, &next)?,
            false => policy.check_upload(self.leader(), &next)?,
        }
        tracing::debug!(host = next.host_str(), "redirected");
        Ok(Some(next))
    }
}
