//! Classifies hosts and addresses: this machine, private, or public.

use std::net::IpAddr;

use url::{Host, Url};

/// Returns whether two URLs have the same scheme, host and port.
pub(crate) fn same_origin(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

/// Returns whether the host is this machine, by its name or address.
pub(crate) fn is_this_machine(host: Host<&str>) -> bool {
    literal(&host).is_some_and(|address| address.is_loopback()) || is_local_name(&host)
}

fn is_local_name(host: &Host<&str>) -> bool {
    matches!(host, Host::Domain(name) if *name == "localhost" || name.ends_with(".localhost"))
}

/// Returns whether the host is a private address or a name of this machine.
pub(crate) fn is_private_host(host: &Host<&str>) -> bool {
    literal(host).is_some_and(is_private_address) || is_local_name(host)
}

fn literal(host: &Host<&str>) -> Option<IpAddr> {
    match host {
        Host::Ipv4(address) => Some((*address).into()),
        Host::Ipv6(address) => Some((*address).into()),
        Host::Domain(_) => None,
    }
}

/// Returns whether an address is not public: loopback, link-local, of a private network,
/// shared, unspecified, or multicast.
pub(crate) fn is_private_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            address.is_loopback()
                || address.is_private()
                || address.is_link_local()
                || address.is_unspecified()
                || address.is_broadcast()
                || address.is_multicast()
                || first == 0
                || (first == 100 && (64..128).contains(&second))
        }
        IpAddr::V6(address) => match address.to_ipv4_mapped().or_else(|| embedded(&address)) {
            Some(address) => is_private_address(address.into()),
            None => {
                address.is_loopback()
                    || address.is_unspecified()
                    || address.is_multicast()
                    || address.is_unique_local()
                    || address.is_unicast_link_local()
            }
        },
    }
}

/// Returns the IPv4 address that a translator (`64:ff9b::/96`) connects to.
fn embedded(address: &std::net::Ipv6Addr) -> Option<std::net::Ipv4Addr> {
    let [0x0064, 0xff9b, 0, 0, 0, 0, high, low] = address.segments() else {
        return None;
    };
    let [a, b] = high.to_be_bytes();
    let [c, d] = low.to_be_bytes();
    Some(std::net::Ipv4Addr::new(a, b, c, d))
}
