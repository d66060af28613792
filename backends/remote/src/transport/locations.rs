//! Where a registry may lead: redirects, uploads and pages, as the policy allows.

use http::Method;
use http::header::LOCATION;
use tranship::Result;
use url::Url;

use super::failure;
use super::origin::Origin;
use super::request::Request;
use crate::hosts::same_origin;
use crate::policy::{NamingRegistry, SecurityPolicy};
use crate::resolver::GuardedResolver;

/// Decides which URLs that a registry names are followed.
pub(crate) struct Locations {
    pub(super) origin: Origin,
    pub(super) resolver: GuardedResolver,
    pub(super) policy: SecurityPolicy,
}

impl Locations {
    /// Returns the origin of the registry, as far as is known.
    pub(crate) fn origin(&self) -> &Url {
        self.origin.url()
    }

    /// Returns whether `url` has the origin of the registry.
    pub(crate) fn is_own(&self, url: &Url) -> bool {
        self.origin.has(url)
    }

    /// Returns the URL at which an upload continues if the registry names the URL `named`. A path of the registry's API
    /// is taken to the registry's own origin, because a registry may be configured with another host or scheme.
    ///
    /// # Errors
    /// `PermissionDenied` if the policy does not allow it.
    pub(crate) fn upload(&self, named: &Url) -> Result<Url> {
        if !self.origin.has(named)
            && !self.policy.foreign_uploads
            && let Some(own) = self.origin.own(named)
        {
            tracing::debug!(named = %named.origin().ascii_serialization(), "an upload stays at the registry");
            return Ok(own);
        }
        self.policy.check_upload(self.naming_registry(), named)?;
        Ok(named.clone())
    }

    /// Returns the URL at which an upload continues that another client began at `url`.
    ///
    /// # Errors
    /// As [`upload`](Self::upload).
    pub(crate) fn resumed_upload(&self, url: &Url) -> Result<Url> {
        // The other client has found out which scheme the registry speaks.
        if self
            .origin
            .alternative()
            .is_some_and(|other| same_origin(other, url))
        {
            self.origin.settle(true);
        }
        self.upload(url)
    }

    /// Returns the URL of the next page of a listing if the registry names the URL `named`, as for
    /// [`upload`](Self::upload).
    ///
    /// # Errors
    /// `PermissionDenied` if it has another origin.
    pub(crate) fn page(&self, named: Url) -> Result<Url> {
        if let Some(own) = self.origin.own(&named) {
            return Ok(own);
        }
        self.policy.check_page(self.naming_registry(), &named)?;
        Ok(named)
    }

    /// Returns where `response` redirects `request` to, if the redirect is to be followed.
    ///
    /// # Errors
    /// `PermissionDenied` if the policy does not allow the redirect, and `Unavailable` if it does not have a URL.
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
        if is_read {
            self.policy
                .check_redirect(self.naming_registry(), url, &next)?;
        } else {
            self.policy.check_upload(self.naming_registry(), &next)?;
        }
        tracing::debug!(host = next.host_str(), "redirected");
        Ok(Some(next))
    }

    fn naming_registry(&self) -> NamingRegistry<'_> {
        NamingRegistry {
            origin: self.origin.url(),
            is_private: self.resolver.registry_is_private(),
        }
    }
}
