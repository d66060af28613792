//! What registries do that no client should put up with: each of it is an error.

use std::sync::Arc;

use tranship::*;
use tranship_conformance::content::{Image, Item};
use tranship_conformance::http::{Quirk, Quirky};
use tranship_memory::MemoryRegistry;
use tranship_remote::RemoteRegistry;
use tranship_server::{ServerOptions, TestServer, router};

/// A repository of a registry that lies about what it took while it did not, and the server to keep.
async fn lying(quirk: Quirk, items: &[&Item]) -> (Arc<dyn Repository>, TestServer) {
    assert!(quirk.is_lie(), "{quirk} has scenarios");
    let registry = MemoryRegistry::new();
    let name: RepositoryName = "library/app".parse().expect("a name");
    let honest = registry.repository(&name).await.expect("a repository");
    for item in items {
        honest
            .push(item.descriptor(), item.source())
            .await
            .expect("pushed");
        if item.descriptor().media_type().is_manifest() {
            let tag = "v1".parse().expect("a tag");
            honest.tag(item.descriptor(), &tag).await.expect("tagged");
        }
    }
    let service = router(Arc::new(registry), ServerOptions::default());
    let server = TestServer::serve(Quirky::new(service, [quirk]))
        .await
        .expect("a server");
    let host = server.host().parse().expect("a name");
    let client = RemoteRegistry::new(&host).expect("a client");
    (Arc::new(client.open(&name)), server)
}

#[track_caller]
fn fails_with<T>(kind: ErrorKind, outcome: Result<T>) {
    let error = outcome.err().expect("believed");
    assert_eq!(error.kind(), kind, "{error:?}");
}

#[tokio::test]
async fn a_wrong_digest_of_a_manifest_is_not_believed() {
    let image = Image::new("lied about").build();
    let manifest = image.manifest();
    let (repository, _server) = lying(Quirk::WrongManifestDigest, &[manifest]).await;
    let (kind, target) = (ErrorKind::DigestMismatch, manifest.descriptor());
    let by_digest = (*target.digest()).into();
    let tag: TagOrDigest = "v1".parse().expect("a tag");
    fails_with(kind, repository.fetch(target).await);
    fails_with(kind, repository.fetch_reference(&tag).await);
    fails_with(kind, repository.resolve(&by_digest).await);
    fails_with(kind, repository.exists(target).await);
}

#[tokio::test]
async fn a_wrong_digest_of_a_blob_is_not_believed() {
    let item = Item::noise(1, 1000);
    let (repository, _server) = lying(Quirk::WrongBlobDigest, &[&item]).await;
    let (kind, target) = (ErrorKind::DigestMismatch, item.descriptor());
    fails_with(kind, repository.fetch(target).await);
    fails_with(kind, repository.fetch_range(target, (5..10).into()).await);
    fails_with(kind, repository.exists(target).await);
    fails_with(kind, repository.push(target, item.source()).await);
}
