//! Resolves host names, and applies the policy on private addresses. The client connects to the addresses that were checked,
//! so a name whose address changes in between does not get past the check.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::OnceCell;
use tranship::{Error, ErrorKind};
use url::{Host, Url};

use crate::hosts::{is_private_address, is_private_host};
use crate::policy::SecurityPolicy;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Resolves host names for one registry. Clones share whether the registry has a private address.
#[derive(Debug, Clone)]
pub(crate) struct GuardedResolver(Arc<ResolverState>);

#[derive(Debug)]
struct ResolverState {
    registry: String,
    policy: SecurityPolicy,
    /// Whether the registry has a private address.
    is_private: AtomicBool,
    /// Set when the registry's name was resolved for [`GuardedResolver::check`].
    looked_up: OnceCell<()>,
}

impl GuardedResolver {
    /// Returns a resolver for the registry at `origin`. `given` are the addresses in the options.
    pub(crate) fn new(
        origin: &Url,
        given: &[(String, SocketAddr)],
        policy: SecurityPolicy,
    ) -> Self {
        let registry = origin.host_str().unwrap_or_default();
        let mut given = given.iter().rev();
        let is_private = match given.find(|(name, _)| name.eq_ignore_ascii_case(registry)) {
            Some((_, address)) => is_private_address(address.ip()),
            None => origin.host().is_some_and(|host| is_private_host(&host)),
        };
        Self(Arc::new(ResolverState {
            registry: registry.to_ascii_lowercase(),
            policy,
            is_private: AtomicBool::new(is_private),
            looked_up: OnceCell::new(),
        }))
    }

    /// Returns whether the registry has a private address, as far as is known.
    pub(crate) fn registry_is_private(&self) -> bool {
        self.0.is_private.load(Ordering::Acquire)
    }

    /// Resolves `name`. The addresses have port 0.
    pub(crate) async fn addresses(&self, name: &str) -> Result<Vec<SocketAddr>, BoxError> {
        let found = tokio::net::lookup_host((name, 0)).await;
        let addresses = match found {
            Err(error) if does_not_exist(&error) => return Err(UnknownHost(name.to_owned()).into()),
            found => found?.collect(),
        };
        Ok(self.0.admit(name, addresses)?)
    }
}

impl GuardedResolver {
    /// Checks the addresses of `url` before a client connects that does not resolve names by this resolver. A name that
    /// cannot be resolved here is left to that client, which may have a proxy.
    ///
    /// # Errors
    /// `PermissionDenied` if the name has a private address that the policy does not allow.
    pub(crate) async fn check(&self, url: &Url) -> tranship::Result<()> {
        let guard = &*self.0;
        let Some(Host::Domain(name)) = url.host() else {
            return Ok(());
        };
        // Which addresses the registry may name depends on its own address.
        let look_up = async { drop(self.addresses(&guard.registry).await) };
        guard.looked_up.get_or_init(|| look_up).await;
        if name.eq_ignore_ascii_case(&guard.registry) {
            return Ok(());
        }
        match self.addresses(name).await {
            Err(error) if error.is::<PrivateAddress>() => Err(Error::new(
                ErrorKind::PermissionDenied,
                "the security policy does not allow the connection",
            )
            .with_source(error)),
            _ => Ok(()),
        }
    }
}

impl ResolverState {
    fn admit(
        &self,
        name: &str,
        addresses: Vec<SocketAddr>,
    ) -> Result<Vec<SocketAddr>, PrivateAddress> {
        let has_private = addresses
            .iter()
            .any(|address| is_private_address(address.ip()));
        if name.eq_ignore_ascii_case(&self.registry) {
            self.is_private.fetch_or(has_private, Ordering::AcqRel);
        } else if has_private
            && !self
                .policy
                .allows_private(self.is_private.load(Ordering::Acquire))
        {
            return Err(PrivateAddress(name.to_owned()));
        }
        Ok(addresses)
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let addresses = resolver.addresses(name.as_str()).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Whether a name server has responded that the host does not exist, judged by the messages of glibc, musl, the BSDs
/// and macOS, and Windows. The standard library has no error kind for that.
fn does_not_exist(error: &io::Error) -> bool {
    let text = error.to_string();
    let known = [
        "Name or service not known",
        "Name does not resolve",
        "No address associated with",
        "nodename nor servname provided",
        "No such host is known",
    ];
    known.iter().any(|known| text.contains(known))
}

/// The error for a host that does not exist.
#[derive(Debug)]
pub(crate) struct UnknownHost(pub(crate) String);

impl fmt::Display for UnknownHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no address is known for {}", self.0)
    }
}

impl std::error::Error for UnknownHost {}

/// The error for a name with a private address that the policy does not allow.
#[derive(Debug)]
pub(crate) struct PrivateAddress(String);

impl fmt::Display for PrivateAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} has a private address, which a public registry may not name",
            self.0
        )
    }
}

impl std::error::Error for PrivateAddress {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::PrivateTargets;

    #[test]
    fn a_host_that_does_not_exist_is_told_from_a_name_server_that_fails() {
        let of = |text: &str| does_not_exist(&io::Error::other(text));
        let glibc = "failed to lookup address information: Name or service not known";
        assert!(of(glibc) && of("No such host is known. (os error 11001)"));
        assert!(!of(
            "failed to lookup address information: Temporary failure in name resolution"
        ));
    }

    const INSIDE: &str = "10.0.0.1:0";
    const OUTSIDE: &str = "93.184.216.34:0";

    fn admits(guard: &ResolverState, name: &str, addresses: &[&str]) -> bool {
        let addresses = addresses
            .iter()
            .map(|text| text.parse().expect("an address"));
        guard.admit(name, addresses.collect()).is_ok()
    }

    fn guard(origin: &str) -> GuardedResolver {
        guard_with(origin, &[], PrivateTargets::default())
    }

    fn guard_with(
        origin: &str,
        given: &[(String, SocketAddr)],
        private_targets: PrivateTargets,
    ) -> GuardedResolver {
        let policy = SecurityPolicy::default().with_private_targets(private_targets);
        GuardedResolver::new(&origin.parse().expect("a URL"), given, policy)
    }

    const REGISTRY: &str = "https://registry.example.com";

    #[test]
    fn a_public_registry_does_not_lead_to_names_of_private_addresses() {
        let resolver = guard(REGISTRY);
        let guard = &resolver.0;
        assert!(admits(guard, "registry.example.com", &[OUTSIDE]));
        assert!(!resolver.registry_is_private());
        assert!(admits(guard, "cdn.example.net", &[OUTSIDE]));
        assert!(!admits(guard, "rebound.example.net", &[OUTSIDE, INSIDE]));
    }

    #[test]
    fn a_private_registry_leads_to_other_private_addresses() {
        let resolver = guard(REGISTRY);
        assert!(admits(&resolver.0, "Registry.Example.com", &[INSIDE]));
        assert!(resolver.registry_is_private());
        assert!(admits(&resolver.0, "minio.internal", &[INSIDE]));
    }

    #[tokio::test]
    async fn a_client_of_the_caller_is_not_led_to_names_of_private_addresses() {
        let given = [(
            "registry.example.com".to_owned(),
            OUTSIDE.parse().expect("an address"),
        )];
        let check = async |targets: PrivateTargets, url: &str| {
            let resolver = guard_with(REGISTRY, &given, targets);
            // This simulates that the name has been resolved.
            resolver.0.looked_up.set(()).expect("once");
            resolver.check(&url.parse().expect("a URL")).await
        };
        let refused = check(PrivateTargets::default(), "http://localhost:5000/").await;
        let error = refused.expect_err("private");
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        for (targets, url) in [
            (PrivateTargets::Allowed, "http://localhost:5000/"),
            (PrivateTargets::default(), "https://registry.example.com/"),
            // The rules about URLs check addresses.
            (PrivateTargets::default(), "https://10.0.0.1/"),
        ] {
            check(targets, url).await.expect(url);
        }
    }

    /// An address is never resolved.
    #[test]
    fn a_registry_that_is_named_by_a_private_address_is_private() {
        for origin in [
            "http://127.0.0.1:5000",
            "https://10.0.0.7",
            "http://[::1]:5000",
            "http://localhost:5000",
        ] {
            let resolver = guard(origin);
            assert!(resolver.registry_is_private(), "{origin}");
            assert!(admits(&resolver.0, "minio.internal", &[INSIDE]), "{origin}");
        }
        assert!(!guard("https://93.184.216.34").registry_is_private());
    }

    #[test]
    fn the_address_that_a_user_names_is_that_of_the_registry() {
        let given = |address: &str| {
            let address = address.parse().expect("an address");
            let given = [("registry.example.com".to_owned(), address)];
            guard_with(REGISTRY, &given, PrivateTargets::default()).registry_is_private()
        };
        assert!(given(INSIDE));
        assert!(!given(OUTSIDE));
    }

    #[test]
    fn the_policy_can_allow_private_addresses_or_refuse_them_to_all() {
        let allowing = guard_with(REGISTRY, &[], PrivateTargets::Allowed);
        assert!(admits(&allowing.0, "minio.internal", &[INSIDE]));
        let strict = guard_with("http://127.0.0.1:5000", &[], PrivateTargets::Refused);
        assert!(!admits(&strict.0, "minio.internal", &[INSIDE]));
        assert!(admits(&strict.0, "127.0.0.1", &[INSIDE]));
    }
}
