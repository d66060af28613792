//! Users, and what they may do.
//!
//! Two ideas are kept apart: to identify the caller of a request (`authenticate.rs`), and to decide what an identified
//! caller may do (`grants.rs`).

mod authenticate;
mod caller;
mod challenge;
mod credentials;
mod grants;
mod htpasswd;
mod identity;
mod issue;
mod jwt;
mod oidc;
mod pattern;
mod public_url;
mod robots;
mod scope;
mod stamp;
mod token_service;
mod tokens;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tranship::RepositoryName;

use grants::Grants;
use identity::Rights;
use tokens::TokenIssuer;

pub(crate) use caller::{Caller, Required, not_identified};
pub(crate) use challenge::{TOKEN_PATH, basic as basic_challenge};
pub use grants::{Grant, Permission};
pub use htpasswd::Htpasswd;
pub use identity::{CredentialKind, Identity};
pub use oidc::{FetchDocument, OidcIssuer, OidcRule};
pub use pattern::NamePattern;
pub use robots::{RobotAccount, RobotAccounts, RobotFile, RobotName};
pub(crate) use scope::{Action, Scopes};
pub use token_service::TokenService;
pub use tokens::{TokenKey, TokenOptions};

use crate::peer::Peer;
use crate::rate_limit::{Rate, RateLimiter, network};

/// The users, and what they may do. Clones share everything, and are cheap.
///
/// Without grants every user may do everything. With grants a user may do what one of the user's grants for the
/// repository allows, and nothing else.
///
/// The service asks it about every request. Another service on the same server, such as a page, uses the same
/// decisions:
///
/// ```
/// use http::HeaderMap;
/// use tranship_server::{Access, Htpasswd, Peer, Permission};
///
/// # async fn example(headers: &HeaderMap) -> tranship::Result<()> {
/// let access = Access::new(Htpasswd::open("users").await?).with_anonymous_read("public/**".parse()?);
/// let caller = access.identify(headers, &Peer::default()).await?;
/// if access.allows(&caller, &"team/app".parse()?, Permission::Read) {
///     println!("{} may read", caller.user().unwrap_or("anyone"));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Access(Arc<Settings>);

#[derive(Debug, Clone, Default)]
struct Settings {
    users: Option<Arc<Htpasswd>>,
    robots: Option<Arc<RobotAccounts>>,
    grants: Grants,
    issuer: Option<Arc<TokenIssuer>>,
    token_service: Option<Arc<TokenService>>,
    oidc: Vec<Arc<OidcIssuer>>,
    failed_logins: Option<Arc<RateLimiter<IpAddr>>>,
}

impl Access {
    /// Admits the users in `users`, and no anonymous callers.
    #[must_use]
    pub fn new(users: Htpasswd) -> Self {
        Self(Arc::new(Settings {
            users: Some(Arc::new(users)),
            ..Settings::default()
        }))
    }

    /// Also admits the robot accounts in `robots`, whose grants are in their file.
    #[must_use]
    pub fn with_robots(mut self, robots: RobotAccounts) -> Self {
        self.settings().robots = Some(Arc::new(robots));
        self
    }

    /// Lets every caller read the repositories that `names` matches, also without a login. May be called several
    /// times.
    #[must_use]
    pub fn with_anonymous_read(mut self, names: NamePattern) -> Self {
        self.settings().grants.add_anonymous_read(names);
        self
    }

    /// Grants `user` a `permission` for the repositories that `names` matches.
    #[must_use]
    pub fn with_grant(
        mut self,
        user: impl Into<String>,
        names: NamePattern,
        permission: Permission,
    ) -> Self {
        let grant = Grant::new(names, permission);
        self.settings().grants.add(user.into(), grant);
        self
    }

    /// Issues tokens, which are signed with `key`, at the path `/v2/auth/token`, and asks clients for them.
    ///
    /// Clients that pull without a login, such as docker, then get a token for anonymous callers. Without tokens they
    /// are asked for a password. Passwords stay valid everywhere.
    #[must_use]
    pub fn with_tokens(mut self, key: TokenKey, options: TokenOptions) -> Self {
        self.settings().issuer = Some(Arc::new(TokenIssuer::new(key, options)));
        self
    }

    /// Accepts the tokens of an external token service, and asks clients for them. Each token says what its bearer may
    /// do; grants do not apply to it.
    #[must_use]
    pub fn with_token_service(mut self, service: TokenService) -> Self {
        self.settings().token_service = Some(Arc::new(service));
        self
    }

    /// Accepts the OpenID Connect tokens of `issuer`, as passwords and as bearer tokens. May be called several times.
    #[must_use]
    pub fn with_oidc(mut self, issuer: OidcIssuer) -> Self {
        self.settings().oidc.push(Arc::new(issuer));
        self
    }

    /// Limits how many wrong passwords an address may send. Further ones are refused with 429 and the time to wait. A
    /// password that was correct before is accepted all the same, and so are tokens.
    #[must_use]
    pub fn with_failed_login_rate(mut self, rate: Rate) -> Self {
        self.settings().failed_logins = Some(Arc::new(RateLimiter::new(rate)));
        self
    }

    /// Returns whether `identity` has the permission `wanted` for the repository `name`.
    #[must_use]
    pub fn allows(&self, identity: &Identity, name: &RepositoryName, wanted: Permission) -> bool {
        let mut actions = Action::ALL.into_iter();
        actions.all(|action| {
            action.permission() > wanted || self.allows_action(identity, name, action)
        })
    }

    /// Returns whether `identity` may do `action` with the repository `name`, by its grants and by its token.
    fn allows_action(&self, identity: &Identity, name: &RepositoryName, action: Action) -> bool {
        // What every caller may read needs no token.
        self.0.grants.allow_anonymous(name, action.permission())
            || (identity.has_scope(name, action) && self.grants_action(identity, name, action))
    }

    /// Returns whether the grants let `identity` do `action` with the repository `name`, whatever its token says.
    fn grants_action(&self, identity: &Identity, name: &RepositoryName, action: Action) -> bool {
        let (grants, wanted) = (&self.0.grants, action.permission());
        grants.allow_anonymous(name, wanted)
            || identity.as_user().is_some_and(|user| match &user.rights {
                Rights::OfName => grants.allow_user(&user.name, name, wanted),
                Rights::Listed(listed) => listed.iter().any(|grant| grant.allows(name, wanted)),
                Rights::OfToken => false,
            })
            || identity
                .granted_scopes()
                .is_some_and(|scopes| scopes.allow(name, action))
    }

    /// Returns whether the grants let `identity` list repositories, whatever its token says.
    fn grants_catalog(&self, identity: &Identity) -> bool {
        match identity.granted_scopes() {
            Some(scopes) => scopes.allow_catalog(),
            None => identity.user().is_some() || self.0.grants.have_anonymous_read(),
        }
    }

    /// Returns whether a caller without credentials is asked for some before repositories are listed. Clients that have a
    /// login do not send it before they are asked, and would get a list without the repositories of their user.
    fn asks_before_listing(&self, identity: &Identity) -> bool {
        let has_credentials = identity.user().is_some() || identity.token_id().is_some();
        self.issues_tokens() && !has_credentials && !self.0.grants.have_anonymous_read_of_all()
    }

    fn users(&self) -> Option<&Htpasswd> {
        self.0.users.as_deref()
    }

    fn robots(&self) -> Option<&RobotAccounts> {
        self.0.robots.as_deref()
    }

    fn token_service(&self) -> Option<&TokenService> {
        self.0.token_service.as_deref()
    }

    /// Returns how long `peer` has to wait until it may log in, or `None` if it may now.
    fn login_wait(&self, peer: &Peer) -> Option<Duration> {
        let address = network(peer.address?.ip());
        self.0.failed_logins.as_ref()?.wait(address)
    }

    fn count_failed_login(&self, peer: &Peer) {
        if let (Some(failed), Some(address)) = (&self.0.failed_logins, peer.address) {
            // One that exceeds the rate was refused before, unless it was sent at the same time.
            let _ = failed.count(network(address.ip()));
        }
    }

    fn has_oidc(&self) -> bool {
        !self.0.oidc.is_empty()
    }

    /// Returns the issuer of OpenID Connect tokens with the URL `issuer`.
    fn oidc(&self, issuer: &str) -> Option<&OidcIssuer> {
        let mut issuers = self.0.oidc.iter();
        let found = issuers.find(|each| each.issuer() == issuer);
        found.map(AsRef::as_ref)
    }

    fn issuer(&self) -> Option<&TokenIssuer> {
        self.0.issuer.as_deref()
    }

    /// Returns whether this server issues tokens.
    pub(crate) fn issues_tokens(&self) -> bool {
        self.issuer().is_some()
    }

    fn settings(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.0)
    }
}
