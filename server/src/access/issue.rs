//! Issuing tokens to identified callers.

use tranship::{Error, RepositoryName, Result};

use super::identity::LoginKind;
use super::scope::{Action, Scopes};
use super::tokens::{IssuedToken, Purpose, TokenIssuer};
use super::{Access, Identity};

impl Access {
    /// Issues a token to `identity`, with the part of the scopes `asked` that it may have. A client knows a repository of
    /// a mirror by another name than that of its grants, which `read_as` returns.
    ///
    /// # Errors
    /// - [`Unsupported`](tranship::ErrorKind::Unsupported) if this server does not issue tokens.
    /// - [`Io`](tranship::ErrorKind::Io) if the system has no random numbers.
    pub(crate) async fn issue_token(
        &self,
        identity: &Identity,
        asked: &Scopes,
        read_as: impl Fn(&RepositoryName) -> Option<RepositoryName>,
    ) -> Result<IssuedToken> {
        // The token of a user that is not recognised again decides by itself, and its scope for the catalog would list
        // every repository.
        let is_foreign = identity.as_user().is_some_and(|user| user.login.is_none());
        let may_list = !is_foreign && self.grants_catalog(identity);
        let allows = |name: &RepositoryName, action| {
            self.allows_action(identity, name, action)
                || (action == Action::Pull
                    && read_as(name)
                        .is_some_and(|name| self.allows_action(identity, &name, action)))
        };
        let granted = asked.granted(allows, may_list);
        self.sign(Purpose::Access, identity, granted).await
    }

    /// Issues a refresh token to `identity`, or returns `None` if it would not be useful: `identity` does not have a
    /// lasting credential, or the key of this server ends with the process.
    ///
    /// # Errors
    /// As [`issue_token`](Self::issue_token).
    pub(crate) async fn issue_refresh_token(
        &self,
        identity: &Identity,
    ) -> Result<Option<IssuedToken>> {
        let is_lasting = self
            .issuer()
            .is_some_and(TokenIssuer::issues_refresh_tokens);
        let has_login = identity.as_user().is_some_and(|user| {
            let login = user.login.as_ref();
            login.is_some_and(|login| login.kind != LoginKind::Certificate)
        });
        if !has_login || !is_lasting {
            return Ok(None);
        }
        let issued = self.sign(Purpose::Refresh, identity, Scopes::default());
        issued.await.map(Some)
    }

    async fn sign(
        &self,
        purpose: Purpose,
        identity: &Identity,
        scopes: Scopes,
    ) -> Result<IssuedToken> {
        let Some(issuer) = self.issuer() else {
            return Err(Error::unsupported("this server does not issue tokens"));
        };
        let (user, expires) = (identity.as_user(), identity.expires());
        issuer.issue(purpose, user, scopes, expires).await
    }
}
