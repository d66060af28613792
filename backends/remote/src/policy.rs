//! All rules about the URLs that a registry names: redirects, upload locations, token servers and pages.

use std::time::Duration;

use tranship::{Error, ErrorKind, Result};
use url::Url;

use crate::hosts::{is_private_host, same_origin};

/// What a registry may make the client do. The defaults are safe; each rule can be loosened.
///
/// Whatever is set here, credentials are sent to the registry itself and to its token server, and
/// never to where a redirect, an upload location or a page leads on another origin.
///
/// ```
/// use tranship_remote::SecurityPolicy;
///
/// // A registry behind object storage that takes uploads on another host.
/// let policy = SecurityPolicy::default().with_foreign_uploads(true);
/// assert!(!policy.downgrades);
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecurityPolicy {
    /// Whether `https` may lead to `http`: by a redirect, an upload location or a token server.
    /// No by default.
    pub downgrades: bool,
    /// Which registries may lead to private addresses: loopback, link-local, and the ranges of private
    /// networks, also by a name that resolves to one. By default those that have a private address
    /// themselves.
    pub private_targets: PrivateTargets,
    /// Whether uploads may continue at another origin, without credentials. No by default: the upload
    /// continues at the registry itself if the path is one of its API, since a registry that is reached by
    /// another host or scheme than it is configured with names that one; otherwise it fails.
    pub foreign_uploads: bool,
    /// Whether the token server may be on another host than the registry, as it is for Docker Hub.
    /// Yes by default.
    pub foreign_token_servers: bool,
    /// How many redirects are followed in a row. 10 by default.
    pub max_redirects: usize,
    /// How many pages a listing may have. 10,000 by default.
    pub max_pages: usize,
    /// How many bytes all pages of a listing may have together: 64 MiB by default, which is a million tags.
    pub max_listing_size: u64,
    /// How long the registry may take for all pages of a listing together: half an hour by default.
    pub max_listing_time: Duration,
    /// How long a manifest, a page or a token may take to arrive: 5 minutes by default.
    pub max_metadata_time: Duration,
    /// How large a manifest, a list of referrers and a page of a listing may be, in bytes: 4 MiB by
    /// default ([`MAX_MANIFEST_SIZE`](tranship::MAX_MANIFEST_SIZE)).
    pub max_manifest_size: u64,
    /// How much of an error's body is read, in bytes: 64 KiB by default.
    pub max_error_size: u64,
    /// The maximum size of a response of a token server, in bytes: 128 KiB by default.
    pub max_token_size: u64,
    /// The maximum number of headers of a response over HTTP/1.1. 100 by default.
    pub max_headers: usize,
}

/// Which registries may lead to private addresses, other than their own.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PrivateTargets {
    /// None.
    Refused,
    /// Those that have a private address themselves.
    #[default]
    FromPrivate,
    /// All.
    Allowed,
}

/// The registry whose response names another URL.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NamingRegistry<'a> {
    pub(crate) origin: &'a Url,
    /// Whether it has a private address.
    pub(crate) is_private: bool,
}

impl Default for SecurityPolicy {
    fn default() -> Self {
        Self {
            downgrades: false,
            private_targets: PrivateTargets::default(),
            foreign_uploads: false,
            foreign_token_servers: true,
            max_redirects: 10,
            max_pages: 10_000,
            max_listing_size: 64 * 1024 * 1024,
            max_listing_time: Duration::from_secs(30 * 60),
            max_metadata_time: Duration::from_secs(5 * 60),
            max_manifest_size: tranship::MAX_MANIFEST_SIZE,
            max_error_size: 64 * 1024,
            max_token_size: 128 * 1024,
            max_headers: 100,
        }
    }
}

macro_rules! setters {
    ($($setter:ident $field:ident: $kind:ty),* $(,)?) => {
        $(
            #[doc = concat!("Sets [`", stringify!($field), "`](Self::", stringify!($field), ").")]
            #[must_use]
            pub const fn $setter(mut self, value: $kind) -> Self {
                self.$field = value;
                self
            }
        )*
    };
}

impl SecurityPolicy {
    setters! {
        with_downgrades downgrades: bool,
        with_private_targets private_targets: PrivateTargets,
        with_foreign_uploads foreign_uploads: bool,
        with_foreign_token_servers foreign_token_servers: bool,
        with_max_redirects max_redirects: usize,
        with_max_pages max_pages: usize,
        with_max_listing_size max_listing_size: u64,
        with_max_listing_time max_listing_time: Duration,
        with_max_metadata_time max_metadata_time: Duration,
        with_max_manifest_size max_manifest_size: u64,
        with_max_error_size max_error_size: u64,
        with_max_token_size max_token_size: u64,
        with_max_headers max_headers: usize,
    }

    /// Checks that a response of `from` may redirect a download to `to`.
    pub(crate) fn check_redirect(
        &self,
        registry: NamingRegistry<'_>,
        from: &Url,
        to: &Url,
    ) -> Result<()> {
        self.check_target(registry, from, to, "a redirect")
    }

    /// Checks that an upload may continue at `to`.
    pub(crate) fn check_upload(&self, registry: NamingRegistry<'_>, to: &Url) -> Result<()> {
        let own = registry.origin;
        if !same_origin(own, to) && !self.foreign_uploads {
            return Err(refused(
                "the location of an upload leads to another origin",
                to,
                "`--allow foreign-uploads` follows it, without credentials",
            ));
        }
        self.check_target(registry, own, to, "the location of an upload")
    }

    /// Checks that a page of a listing may be at `to`.
    pub(crate) fn check_page(&self, registry: NamingRegistry<'_>, to: &Url) -> Result<()> {
        if same_origin(registry.origin, to) {
            return Ok(());
        }
        let hint = "reach the registry by the host and the scheme that it names";
        Err(refused("the next page is on another origin", to, hint))
    }

    /// Checks that tokens may be requested at `to`, with credentials.
    pub(crate) fn check_realm(&self, registry: NamingRegistry<'_>, to: &Url) -> Result<()> {
        let own = registry.origin;
        self.check_target(registry, own, to, "the token server")?;
        if self.foreign_token_servers || own.host() == to.host() {
            return Ok(());
        }
        let hint = "SecurityPolicy::foreign_token_servers allows it";
        Err(refused("the token server is on another host", to, hint))
    }

    fn check_target(
        &self,
        registry: NamingRegistry<'_>,
        from: &Url,
        to: &Url,
        what: &str,
    ) -> Result<()> {
        let never = "it may be an attack; ask whoever runs the registry";
        match to.scheme() {
            "https" => {}
            "http" if from.scheme() == "http" || self.downgrades => {}
            "http" => {
                return Err(refused(
                    &format!("{what} leads from https to http, where others can read the content"),
                    to,
                    "`--allow downgrades` follows it",
                ));
            }
            _ => {
                let message = format!("{what} is neither https nor http");
                return Err(refused(&message, to, never));
            }
        }
        if !to.username().is_empty() || to.password().is_some() {
            return Err(refused(&format!("{what} carries credentials"), to, never));
        }
        let Some(host) = to.host() else {
            return Err(refused(&format!("{what} names no host"), to, never));
        };
        if is_private_host(&host) && !self.may_be_private(registry, to) {
            let message = format!("{what} leads to a private address");
            return Err(refused(&message, to, IF_PRIVATE));
        }
        Ok(())
    }

    /// Returns whether `to` may have a private address. The addresses of host names are checked when they are resolved.
    fn may_be_private(&self, registry: NamingRegistry<'_>, to: &Url) -> bool {
        registry.origin.host() == to.host() || self.allows_private(registry.is_private)
    }

    /// Returns whether a registry may name private addresses. `is_private` says whether it has one itself.
    pub(crate) fn allows_private(&self, is_private: bool) -> bool {
        match self.private_targets {
            PrivateTargets::Refused => false,
            PrivateTargets::FromPrivate => is_private,
            PrivateTargets::Allowed => true,
        }
    }
}

/// The hint for a private address that is not allowed.
const IF_PRIVATE: &str = "`--allow private-targets` follows it";

fn refused(message: &str, to: &Url, hint: &'static str) -> Error {
    let origin = to.origin().ascii_serialization();
    Error::new(
        ErrorKind::PermissionDenied,
        format!("{message} ({origin}), which the security policy does not allow"),
    )
    .with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().expect("a URL")
    }

    /// Returns a registry that is private if its host is.
    fn naming(origin: &Url) -> NamingRegistry<'_> {
        NamingRegistry {
            origin,
            is_private: origin.host().is_some_and(|host| is_private_host(&host)),
        }
    }

    fn redirect(policy: SecurityPolicy, registry: &str, to: &str) -> bool {
        let registry = url(registry);
        policy
            .check_redirect(naming(&registry), &registry, &url(to))
            .is_ok()
    }

    const PUBLIC: &str = "https://registry.example.com";

    #[test]
    fn a_redirect_goes_to_other_public_hosts() {
        let policy = SecurityPolicy::default();
        assert!(redirect(
            policy,
            PUBLIC,
            "https://cdn.example.net/blob?sig=1"
        ));
    }

    #[test]
    fn https_does_not_lead_to_http_unless_allowed() {
        let policy = SecurityPolicy::default();
        assert!(!redirect(policy, PUBLIC, "http://cdn.example.net/"));
        assert!(redirect(
            policy.with_downgrades(true),
            PUBLIC,
            "http://cdn.example.net/"
        ));
        assert!(redirect(
            policy,
            "http://registry.example.com",
            "http://cdn.example.net/"
        ));
    }

    #[test]
    fn a_public_registry_does_not_lead_to_private_addresses_unless_allowed() {
        let policy = SecurityPolicy::default();
        for inside in [
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://10.0.0.5/",
            "https://172.16.0.1/",
            "https://192.168.1.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://100.64.0.1/",
            "https://0.0.0.0/",
            "https://[::ffff:10.0.0.1]/",
            "https://[64:ff9b::a00:1]/",
            "https://[fd00::1]/",
            "https://[fe80::1]/",
            "https://localhost/",
            "https://db.localhost/",
            "https://2130706433/",
        ] {
            assert!(!redirect(policy, PUBLIC, inside), "{inside}");
            let allowing = policy.with_private_targets(PrivateTargets::Allowed);
            assert!(redirect(allowing, PUBLIC, inside));
        }
    }

    #[test]
    fn a_private_registry_leads_to_private_addresses() {
        let policy = SecurityPolicy::default();
        assert!(redirect(
            policy,
            "http://127.0.0.1:5000",
            "http://127.0.0.1:9000/"
        ));
        assert!(redirect(
            policy,
            "http://localhost:5000",
            "http://10.0.0.1/"
        ));
        // The name is not private, but its address is.
        let registry = url("http://registry.internal");
        let registry_of = NamingRegistry {
            origin: &registry,
            is_private: true,
        };
        let target = url("http://10.0.0.1/");
        assert!(
            policy
                .check_redirect(registry_of, &registry, &target)
                .is_ok()
        );
        let strict = policy.with_private_targets(PrivateTargets::Refused);
        assert!(
            strict
                .check_redirect(registry_of, &registry, &target)
                .is_err()
        );
    }

    #[test]
    fn other_schemes_and_credentials_in_a_target_are_refused() {
        let policy = SecurityPolicy::default();
        for target in [
            "ftp://cdn.example.net/",
            "file:///etc/passwd",
            "https://u:p@cdn.example.net/",
        ] {
            assert!(!redirect(policy, PUBLIC, target), "{target}");
        }
    }

    #[test]
    fn uploads_stay_on_the_registry_unless_allowed() {
        let policy = SecurityPolicy::default();
        let registry = url(PUBLIC);
        let check = |policy: SecurityPolicy, to: &str| {
            policy.check_upload(naming(&registry), &url(to)).is_ok()
        };
        assert!(check(policy, "https://registry.example.com:443/upload/1"));
        assert!(!check(policy, "https://registry.example.com:444/upload/1"));
        assert!(!check(policy, "https://uploads.example.com/1"));
        let foreign = policy.with_foreign_uploads(true);
        assert!(check(foreign, "https://uploads.example.com/1"));
        assert!(!check(foreign, "http://uploads.example.com/1"));
        assert!(!check(foreign, "https://10.0.0.1/1"));
    }

    #[test]
    fn pages_stay_on_the_registry() {
        let policy = SecurityPolicy::default();
        let registry = url("https://localhost:5000/");
        assert!(
            policy
                .check_page(
                    naming(&registry),
                    &url("https://LOCALHOST:5000/v2/_catalog?last=a")
                )
                .is_ok()
        );
        for other in [
            "https://localhost:5001/",
            "http://localhost:5000/",
            "https://169.254.169.254/",
        ] {
            assert!(
                policy.check_page(naming(&registry), &url(other)).is_err(),
                "{other}"
            );
        }
    }

    #[test]
    fn a_token_server_may_be_elsewhere_but_not_inside_nor_in_clear_text() {
        let policy = SecurityPolicy::default();
        let check = |policy: SecurityPolicy, registry: &str, to: &str| {
            policy.check_realm(naming(&url(registry)), &url(to)).is_ok()
        };
        assert!(check(policy, PUBLIC, "https://auth.example.net/token"));
        assert!(!check(policy, PUBLIC, "http://auth.example.net/token"));
        assert!(!check(policy, PUBLIC, "https://127.0.0.1/token"));
        assert!(!check(policy, PUBLIC, "ftp://auth.example.net/token"));
        let plain = "http://registry.example.com";
        assert!(check(policy, plain, "http://auth.example.com/token"));
        assert!(!check(policy, plain, "http://169.254.169.254/token"));
        assert!(check(
            policy,
            "http://127.0.0.1:5000",
            "http://127.0.0.1:9090/token"
        ));
        let own = policy.with_foreign_token_servers(false);
        assert!(!check(own, PUBLIC, "https://auth.example.net/token"));
        assert!(check(
            own,
            PUBLIC,
            "https://registry.example.com:8443/token"
        ));
    }

    #[test]
    fn a_refusal_names_the_origin_and_no_more() {
        let error = SecurityPolicy::default()
            .check_upload(
                naming(&url(PUBLIC)),
                &url("https://other.example/u?state=secret"),
            )
            .expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(error.to_string().contains("https://other.example"));
        assert!(!error.to_string().contains("secret"));
    }
}
