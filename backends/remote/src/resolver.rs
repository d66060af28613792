//! Names to addresses, with the policy's word on private ones: what is checked is what is connected
//! to, so a name that resolves to something else a moment later gains nothing.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::policy::is_private;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Clones share what they know of the registry.
#[derive(Debug, Clone)]
pub(crate) struct GuardedResolver(Arc<Guard>);

#[derive(Debug)]
struct Guard {
    registry: String,
    /// Whether private addresses are allowed, which a registry that has one itself brings about.
    inside: AtomicBool,
}

impl GuardedResolver {
    pub(crate) fn new(registry: &str, private_targets: bool) -> Self {
        Self(Arc::new(Guard {
            registry: registry.to_ascii_lowercase(),
            inside: AtomicBool::new(private_targets),
        }))
    }

    /// The addresses of `name`, with port 0.
    pub(crate) async fn addresses(&self, name: &str) -> Result<Vec<SocketAddr>, BoxError> {
        let addresses: Vec<_> = tokio::net::lookup_host((name, 0)).await?.collect();
        Ok(self.0.admit(name, addresses)?)
    }
}

impl Guard {
    fn admit(
        &self,
        name: &str,
        addresses: Vec<SocketAddr>,
    ) -> Result<Vec<SocketAddr>, PrivateAddress> {
        let is_inside = addresses.iter().any(|address| is_private(address.ip()));
        if name.eq_ignore_ascii_case(&self.registry) {
            self.inside.fetch_or(is_inside, Ordering::AcqRel);
        } else if is_inside && !self.inside.load(Ordering::Acquire) {
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

/// A name that the policy does not allow, because of where it leads.
#[derive(Debug)]
pub(crate) struct PrivateAddress(String);

impl fmt::Display for PrivateAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} has a private address, to which a public registry may not lead",
            self.0
        )
    }
}

impl std::error::Error for PrivateAddress {}

#[cfg(test)]
mod tests {
    use super::*;

    const INSIDE: &str = "10.0.0.1:0";
    const OUTSIDE: &str = "93.184.216.34:0";

    fn admits(guard: &Guard, name: &str, addresses: &[&str]) -> bool {
        let addresses = addresses
            .iter()
            .map(|text| text.parse().expect("an address"));
        guard.admit(name, addresses.collect()).is_ok()
    }

    fn guard(private_targets: bool) -> GuardedResolver {
        GuardedResolver::new("registry.example.com", private_targets)
    }

    #[test]
    fn a_public_registry_does_not_lead_to_names_of_private_addresses() {
        let GuardedResolver(guard) = guard(false);
        assert!(admits(&guard, "registry.example.com", &[OUTSIDE]));
        assert!(admits(&guard, "cdn.example.net", &[OUTSIDE]));
        assert!(!admits(&guard, "rebound.example.net", &[OUTSIDE, INSIDE]));
    }

    #[test]
    fn a_private_registry_leads_to_its_like() {
        let GuardedResolver(guard) = guard(false);
        assert!(admits(&guard, "Registry.Example.com", &[INSIDE]));
        assert!(admits(&guard, "minio.internal", &[INSIDE]));
    }

    #[test]
    fn the_policy_can_allow_them() {
        let GuardedResolver(guard) = guard(true);
        assert!(admits(&guard, "minio.internal", &[INSIDE]));
    }
}
