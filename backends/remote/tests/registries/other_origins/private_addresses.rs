//! A public registry that names private addresses.

use std::net::{IpAddr, ToSocketAddrs as _};

use tranship_remote::{PrivateTargets, RemoteRegistry, RemoteRepository, Scheme, SecurityPolicy};

use super::{
    fetching, got_no_secret, is_refused, pushing, starting_uploads_at, wanting_credentials,
    with_secrets,
};
use crate::fake::{Fake, Reply, name};

/// The policy for a registry with a public address, which test servers do not have.
fn strict() -> SecurityPolicy {
    SecurityPolicy::default().with_private_targets(PrivateTargets::Refused)
}

/// A registry under a public name.
fn public(fake: &Fake, policy: SecurityPolicy) -> RemoteRepository {
    let host = format!("registry.example.com:{}", fake.port());
    let address = fake.host().parse().expect("an address");
    let options = with_secrets(&host)
        .with_scheme(Scheme::Http)
        .with_policy(policy)
        .with_resolve("registry.example.com", address);
    let registry = RemoteRegistry::with_options(&host.parse().expect("a name"), options);
    registry.expect("a client").open(&name())
}

#[tokio::test]
async fn a_public_registry_does_not_redirect_to_a_private_address() {
    let inside = Fake::start(|_| Reply::new(200).body("hello")).await;
    let target = inside.url("/latest/meta-data");
    let registry = wanting_credentials(move |_| Reply::redirect(&target)).await;
    let repository = public(&registry, strict());
    is_refused(&fetching(&repository).await.expect_err("refused"));
    inside.was_not_asked();

    let policy = SecurityPolicy::default().with_private_targets(PrivateTargets::Allowed);
    let read = fetching(&public(&registry, policy)).await.expect("read");
    assert_eq!(read, "hello");
    got_no_secret(&inside);
}

#[tokio::test]
async fn a_public_registry_does_not_redirect_to_localhost() {
    let inside = Fake::start(|_| Reply::new(200).body("hello")).await;
    for host in [
        "localhost",
        "LOCALHOST",
        "a.localhost",
        "[::ffff:127.0.0.1]",
        "2130706433",
    ] {
        let target = format!("http://{host}:{}/hello", inside.port());
        let registry = wanting_credentials(move |_| Reply::redirect(&target)).await;
        let repository = public(&registry, strict());
        is_refused(&fetching(&repository).await.expect_err(host));
    }
    inside.was_not_asked();
}

/// The name of this machine, and its address.
fn own_name() -> (String, IpAddr) {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    let name = name.trim().to_owned();
    let mut addresses = (name.as_str(), 0).to_socket_addrs().expect("known here");
    let address = addresses.next().expect("an address").ip();
    (name, address)
}

#[tokio::test]
#[ignore = "needs a host name that stands for a private address"]
async fn a_public_registry_does_not_redirect_to_a_private_name() {
    let (name, address) = own_name();
    let inside = Fake::start_on(address, |_| Reply::new(200).body("hello")).await;
    let target = format!("http://{name}:{}/hello", inside.port());
    let registry = wanting_credentials(move |_| Reply::redirect(&target)).await;
    let repository = public(&registry, strict());
    is_refused(&fetching(&repository).await.expect_err("refused"));
    inside.was_not_asked();
}

#[tokio::test]
async fn a_public_registry_has_no_token_server_at_a_private_address() {
    let inside = Fake::start(|_| Reply::new(200).body(r#"{"token":"t"}"#)).await;
    let realm = inside.url("/token");
    let registry = Fake::start(move |_| {
        Reply::new(401).header("www-authenticate", format!("Bearer realm=\"{realm}\""))
    })
    .await;
    let repository = public(&registry, strict());
    is_refused(&fetching(&repository).await.expect_err("refused"));
    inside.was_not_asked();
}

#[tokio::test]
async fn a_public_registry_does_not_take_uploads_at_a_private_address() {
    let inside = Fake::start(|_| Reply::new(201)).await;
    let target = inside.url("/upload");
    let registry = starting_uploads_at(target).await;
    let policy = strict().with_foreign_uploads(true);
    is_refused(&pushing(&public(&registry, policy)).await);
    inside.was_not_asked();
}
