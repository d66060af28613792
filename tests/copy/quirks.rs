//! Copies to and from registries that misbehave, over HTTP.

use std::sync::Arc;

use futures_util::future::join_all;
use tranship::*;
use tranship_conformance::http::{PASSWORD, Quirk, Quirky, USER};
use tranship_memory::{MemoryRegistry, MemoryRepository};
use tranship_remote::{
    Credential, RemoteOptions, RemoteRegistry, RemoteRepository, RequestKind, StaticCredentials,
};
use tranship_server::{ServerOptions, TestServer, router};

use crate::artifacts::assert_same_graph;
use crate::extended_copy_v1;
use crate::referrers::{Signed, push_signed};

struct QuirkyRegistry(TestServer);

impl QuirkyRegistry {
    async fn start(quirk: Quirk) -> Self {
        let service = router(Arc::new(MemoryRegistry::new()), ServerOptions::default());
        let server = TestServer::serve(Quirky::new(service, [quirk])).await;
        Self(server.expect("a server"))
    }

    /// A client that knows nothing of the registry yet.
    fn client(&self) -> RemoteRegistry {
        let host: RegistryName = self.0.host().parse().expect("a name");
        let credential = Credential::basic(USER, PASSWORD);
        let credentials = StaticCredentials::new(host.clone(), credential);
        let options = RemoteOptions::default().with_credentials(Arc::new(credentials));
        RemoteRegistry::with_options(&host, options).expect("a client")
    }

    fn repository(&self) -> RemoteRepository {
        self.client().open(&"library/app".parse().expect("a name"))
    }
}

async fn signed() -> (MemoryRepository, Signed) {
    let source = MemoryRepository::new();
    let signed = push_signed(&source).await;
    (source, signed)
}

async fn there_and_back(quirk: Quirk) {
    let (source, signed) = signed().await;
    let registry = QuirkyRegistry::start(quirk).await;
    // Tokens that are good for a few requests are used up by others if there are any.
    let concurrency = match quirk {
        Quirk::ShortTokens => 1,
        _ => CopyOptions::DEFAULT_CONCURRENCY,
    };
    let copy = CopyOptions::default().with_concurrency(concurrency);
    let options = ExtendedCopyOptions::default().with_copy(copy);
    let there = extended_copy_v1(&source, &registry.repository(), &options).await;
    there.unwrap_or_else(|error| panic!("to {quirk}: {error:?}"));
    let destination = MemoryRepository::new();
    let back = extended_copy_v1(&registry.repository(), &destination, &options).await;
    back.unwrap_or_else(|error| panic!("from {quirk}: {error:?}"));
    for root in [
        &signed.image.index,
        &signed.attestation,
        &signed.of_platform,
    ] {
        assert_same_graph(&source, &destination, root).await;
    }
}

#[tokio::test]
async fn an_image_with_its_referrers_survives_every_quirk() {
    // Bursts of failures only take time, and have scenarios.
    let bursts = [Quirk::RateLimit, Quirk::Outage];
    let quirks = Quirk::ALL.iter().filter(|quirk| !quirk.is_lie());
    let quirks = quirks.filter(|quirk| !bursts.contains(quirk));
    join_all(quirks.map(|quirk| there_and_back(*quirk))).await;
}

#[tokio::test]
async fn a_destination_is_looked_at_with_the_right_to_push() {
    let registry = QuirkyRegistry::start(Quirk::PushToLook).await;
    let (source, signed) = signed().await;
    let root = &signed.image.index;
    for name in ["by/tag", "without/tag"] {
        let client = registry.client();
        let destination = client.open(&name.parse().expect("a name"));
        let options = CopyOptions::default();
        let copied = match name {
            "by/tag" => crate::copy_v1(&source, &destination, &options).await,
            _ => copy_graph(&source, root, &destination, &options).await,
        };
        copied.expect(name);
        // One token allows both to look and to push.
        let tokens = client.request_counts().of(RequestKind::Token);
        assert_eq!(tokens, 1, "{name}");
    }
}
