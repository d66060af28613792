//! Who may do what, by the settings.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tranship::Result;
use tranship_backends::remote::{DocumentClient, RemoteOptions, SecurityPolicy};
use tranship_server::{
    Access, FetchDocument, Htpasswd, OidcIssuer, OidcRule, RobotAccounts, TokenKey, TokenOptions,
    TokenService,
};

use crate::args::{OidcSettings, Settings};

/// How long fetching a document of an issuer may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Returns the access that the settings ask for, or `None` if every caller may do everything. Tokens are signed with
/// `generated` unless the settings name a key.
///
/// # Errors
/// The error of reading a file of users or keys.
pub(super) async fn access(settings: &Settings, generated: &TokenKey) -> Result<Option<Access>> {
    if !settings.has_users() {
        return Ok(None);
    }
    let mut access = match &settings.htpasswd {
        Some(path) => Access::new(Htpasswd::open(path).await?),
        None => Access::default(),
    };
    if let Some(path) = &settings.robots {
        access = access.with_robots(RobotAccounts::open(path).await?);
    }
    for names in &settings.anonymous_read {
        access = access.with_anonymous_read(names.0.clone());
    }
    for given in &settings.grant {
        let grant = &given.grant;
        access = access.with_grant(&given.user, grant.names.clone(), grant.permission);
    }
    if let Some(rate) = settings.failed_login_limit {
        access = access.with_failed_login_rate(rate.0);
    }
    for given in &settings.oidc {
        access = access.with_oidc(oidc_issuer(given)?);
    }
    if let (Some(realm), Some(service), Some(issuer), Some(keys)) = (
        &settings.auth_realm,
        &settings.auth_service,
        &settings.auth_issuer,
        &settings.auth_keys,
    ) {
        let service = TokenService::open(realm, service, issuer, keys).await?;
        return Ok(Some(access.with_token_service(service)));
    }
    let key = match &settings.token_key {
        Some(path) => TokenKey::open(path).await?,
        None => generated.clone(),
    };
    let mut options = TokenOptions::default();
    if let Some(url) = settings.public_url() {
        options = options.with_public_url(url)?;
    }
    if let Some(lifetime) = settings.token_lifetime {
        options = options.with_lifetime(lifetime.0);
    }
    Ok(Some(access.with_tokens(key, options)))
}

/// Fetches the keys of issuers over the network.
#[derive(Debug)]
struct HttpsFetcher(DocumentClient);

impl FetchDocument for HttpsFetcher {
    fn fetch<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Bytes>> {
        Box::pin(self.0.get(url))
    }
}

fn oidc_issuer(given: &OidcSettings) -> Result<OidcIssuer> {
    let policy = SecurityPolicy::default().with_max_metadata_time(FETCH_TIMEOUT);
    let client = DocumentClient::new(RemoteOptions::default().with_policy(policy));
    let fetcher = Arc::new(HttpsFetcher(client));
    let mut issuer = OidcIssuer::new(&given.issuer, &given.audience, fetcher)?;
    for rule in &given.rules {
        let grants = rule.grant.iter().map(|grant| grant.0.clone());
        issuer = issuer.with_rule(OidcRule::new(&rule.claims, grants)?);
    }
    Ok(issuer)
}
